#include "offline.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "bad_input.h"
#include "entry_accounts.h"
#include "escape.h"
#include "judge.h"
#include "kstone/background_worker.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_listener.h"
#include "look.h"
#include "open_database.h"
#include "places.h"
#include "progress.h"
#include "record_digest.h"
#include "report.h"

namespace kstone::compact {
namespace {

using Clock = std::chrono::steady_clock;
using Stripes = std::vector<std::size_t>;  // indices of families of the plan
constexpr double mib = 1 << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void require_not_refused(const OfflineOptions& options, const Plan& plan) {
  if (!plan.refused()) {
    return;
  }
  if (options.json) {
    print_plan_json(plan);
  }
  throw BadInput(escaped(plan.path) + ": refused: " + plan.refusal());
}

// Compacts what the plan says, on a worker, in rounds. RocksDB stops all work on a database when
// one compaction fails, and hands the error of that family to all others. So a round ends at the
// first failure, the database is opened anew, and each suspect gets a round of its own: what fails
// alone fails because of itself, and the rest goes on.
class Offline {
 public:
  Offline(const OfflineOptions& options, Wakeup& wakeup, Look& look)
      : options_(options),
        wakeup_(wakeup),
        look_(look),
        progress_(options.json ? stderr : stdout),
        listener_(std::make_shared<rocksdb::DatabaseListener>()),
        accounts_(std::make_shared<EntryAccounts>(report_.stats)) {}

  int run();

 private:
  void read_before();
  void begin_work();
  void compact_in_rounds();
  // The stripes of the round that failed; those that were not begun keep their fate.
  Stripes run_round(const Stripes& stripes);
  void work_on(OpenDatabase& database, const Stripes& stripes);
  CompactionOutcome compact(OpenDatabase& database, std::size_t stripe, CompactionContext& context);
  void begin(std::size_t stripe);
  CompactionOutcome end(std::size_t stripe, const ::rocksdb::Status& status, bool stop_requested);
  void look_again(OpenDatabase& database);
  void compare_records();
  void begin_reading(const std::string& what);
  void end_reading();
  bool is_busy(const Stripes& stripes) const;
  void show(const BackgroundWorker& worker);
  void say(const std::string& line) {
    progress_.say(text("%7.3f s  ", seconds_since(started_)) + line);
  }
  const std::string& name(std::size_t stripe) const { return look_.plan.families[stripe].name; }
  int end_status() const;

  const OfflineOptions& options_;
  Wakeup& wakeup_;
  Look& look_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point work_started_ = started_;
  std::uint64_t bytes_max_ = 0;  // that compactions read and write

  // Guards progress_, the fates in report_, and failed_ while the worker runs.
  mutable std::mutex mutex_;
  Progress progress_;
  OfflineReport report_;
  bool failed_ = false;  // in this round

  const std::shared_ptr<rocksdb::DatabaseListener> listener_;
  const std::shared_ptr<EntryAccounts> accounts_;
  std::map<std::string, RecordDigest> records_before_;

  Clock::time_point reading_since_;
  Clock::time_point reading_shown_;
  std::uint64_t bytes_read_ = 0;  // since then
  const OpenDatabase::ReadSoFar tell_read_ = [this](std::uint64_t bytes) {
    bytes_read_ += bytes;
    if (Clock::now() - reading_shown_ >= progress_.long_interval()) {
      reading_shown_ = Clock::now();
      progress_.show({text("%7.3f s  ", seconds_since(started_)) + read_so_far()});
    }
  };
  std::string read_so_far() const {
    const auto rate = static_cast<double>(bytes_read_) / mib;
    return "read " + in_mib(bytes_read_) +
           text(", %.1f MiB/s", rate / std::max(seconds_since(reading_since_), 1e-3));
  }
};

void Offline::begin_reading(const std::string& what) {
  say(what);
  reading_since_ = reading_shown_ = Clock::now();
  bytes_read_ = 0;
}

void Offline::end_reading() { say(read_so_far()); }

void Offline::begin(std::size_t stripe) {
  const auto before = report_.families[stripe].before;
  const std::lock_guard<std::mutex> lock(mutex_);
  report_.families[stripe].fate = Fate::running;
  say("compaction of " + in_quotes(name(stripe)) + " starts: " + in_mib(before.bytes) + " in " +
      counted(before.files, "SST"));
}

CompactionOutcome Offline::end(std::size_t stripe, const ::rocksdb::Status& status,
                               bool stop_requested) {
  auto outcome =
      status.ok() ? CompactionOutcome::done() : rocksdb::outcome_of(status, stop_requested);
  using Kind = CompactionOutcome::Kind;
  const std::lock_guard<std::mutex> lock(mutex_);
  auto& family = report_.families[stripe];
  if (status.ok()) {
    family.fate = accounts_->has_merged(name(stripe)) ? Fate::compacted : Fate::nothing;
    family.note.clear();
  } else if (outcome.kind() == Kind::stopped) {
    family.fate = Fate::stopped;
  } else {
    family.fate = Fate::failed;
    family.note = status.ToString();
    failed_ = true;
  }
  say("compaction of " + in_quotes(name(stripe)) + " ends" +
      (status.ok() ? "" : std::string(": ") + to_string(family.fate)) +
      (family.fate == Fate::failed ? ": " + printable(family.note) : ""));
  wakeup_.notify();
  return outcome;
}

CompactionOutcome Offline::compact(OpenDatabase& database, std::size_t stripe,
                                   CompactionContext& context) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failed_) {
      return CompactionOutcome::stopped();  // the database answers with another's error
    }
  }
  begin(stripe);
  ::rocksdb::CompactRangeOptions options;
  // RocksDB takes a pointer to what it could change, and only reads it.
  options.canceled = const_cast<std::atomic<bool>*>(&context.stop_flag());
  // "Exclusive" would have every other compaction of the database wait for this one.
  options.exclusive_manual_compaction = false;
  options.max_subcompactions = 1;
  options.target_path_id = look_.plan.families[stripe].target_path;
  using LastLevel = ::rocksdb::BottommostLevelCompaction;
  options.bottommost_level_compaction =
      options_.rewrites_last_level ? LastLevel::kForceOptimized : LastLevel::kSkip;
  const auto status =
      database.db().CompactRange(options, database.handles()[stripe], nullptr, nullptr);
  return end(stripe, status, context.stop_requested());
}

bool Offline::is_busy(const Stripes& stripes) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(stripes.begin(), stripes.end(), [&](std::size_t stripe) {
    const auto fate = report_.families[stripe].fate;
    return fate == Fate::running || (fate == Fate::not_started && !failed_);
  });
}

void Offline::show(const BackgroundWorker& worker) {
  const auto now = worker.snapshot();
  const auto compacted = now.stats.total_bytes_read + now.stats.total_bytes_written;
  const double seconds = seconds_since(work_started_);  // without what was read before
  const double rate = static_cast<double>(compacted) / mib / std::max(seconds, 1e-3);
  const std::lock_guard<std::mutex> lock(mutex_);
  progress_.show(
      {text("%7.3f s  read and written %s of at most %s, %.1f MiB/s", seconds_since(started_),
            in_mib(compacted).c_str(), in_mib(bytes_max_).c_str(), rate),
       text("queue %llu  running %u (merging %u)  ended %llu",
            static_cast<unsigned long long>(now.queue_size), now.running, listener_->merging(),
            static_cast<unsigned long long>(now.episodes_opened - now.episodes_alive))});
}

void Offline::work_on(OpenDatabase& database, const Stripes& stripes) {
  BackgroundWorker::Options options;
  options.back_off = BackOff::off();  // what failed is told, and not tried a second time
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(options_.workers), report_.stats,
      static_cast<std::uint32_t>(look_.plan.families.size()),
      // RocksDB is in no known state after an exception, so none is contained: the process ends.
      [&](CompactionContext& context) noexcept {
        return compact(database, context.stripe_id(), context);
      },
      std::move(options));
  for (const auto stripe : stripes) {
    worker.queue_compaction(static_cast<std::uint32_t>(stripe));
  }
  if (!interrupted() && worker.start() != StartResult::started) {
    throw BadInput("the system refuses to start a thread");
  }
  auto shown = Clock::now();
  while (!interrupted() && is_busy(stripes)) {
    wakeup_.wait_for(progress_.long_interval());
    if (Clock::now() - shown >= progress_.long_interval()) {
      show(worker);
      shown = Clock::now();
    }
  }
  const auto shutdown = worker.shutdown(ShutdownMode::cancel);
  report_.shutdown_ms += std::chrono::duration<double, std::milli>(shutdown.duration).count();
  report_.merging_max = listener_->merging_max();
}

// Sizes afterwards, and whether the entries add up.
void Offline::look_again(OpenDatabase& database) {
  report_.wrong.clear();
  report_.uncertain.clear();
  report_.families_verified = 0;
  for (std::size_t stripe = 0; stripe < report_.families.size(); ++stripe) {
    auto& family = report_.families[stripe];
    family.after = database.size(database.handles()[stripe]);
    if (family.fate == Fate::failed) {
      continue;
    }
    const auto& plan = look_.plan.families[stripe];
    ::rocksdb::TablePropertiesCollection ssts;
    const auto status = database.db().GetPropertiesOfAllTables(database.handles()[stripe], &ssts);
    const bool compacted = family.fate == Fate::compacted || family.fate == Fate::nothing;
    if (!status.ok() && !compacted) {
      continue;  // one that could not be read before either: an objection says so
    }
    const auto wrong = status.ok() ? accounts_->wrong(plan.name, plan.contents, contents_of(ssts))
                                   : "its SSTs cannot be read any more: " + status.ToString();
    if (!wrong.empty() && status.ok() && !accounts_->doubt().empty()) {
      report_.uncertain = "column family " + in_quotes(name(stripe)) + ": " + wrong +
                          "; an error on the way may explain it (" + accounts_->doubt() +
                          "), and only --verify full could tell, which compares every record";
      continue;
    }
    if (!wrong.empty()) {
      report_.wrong.push_back("column family " + in_quotes(name(stripe)) + ": " + wrong);
    }
    report_.families_verified += compacted ? 1 : 0;
  }
}

Stripes Offline::run_round(const Stripes& stripes) {
  failed_ = false;
  OpenDatabase database;
  require_ok(database.open(look_.plan, options_.workers, {listener_, accounts_}),
             escaped(look_.plan.path));
  look_.enclosure->watch_reads(true);
  work_on(database, stripes);
  look_.enclosure->watch_reads(false);
  look_again(database);
  Stripes failures;
  std::copy_if(stripes.begin(), stripes.end(), std::back_inserter(failures),
               [&](std::size_t stripe) { return report_.families[stripe].fate == Fate::failed; });
  // After a failure RocksDB answers the close with it, and nothing is left to write.
  if (const auto status = database.close(); failures.empty() && !status.ok()) {
    report_.close_error = "closing the database: " + status.ToString();
  }
  return failures;
}

void Offline::compact_in_rounds() {
  std::deque<Stripes> rounds(1);
  for (std::size_t stripe = 0; stripe < report_.families.size(); ++stripe) {
    if (report_.families[stripe].fate == Fate::not_started) {
      rounds.front().push_back(stripe);
    }
  }
  if (rounds.front().empty()) {
    return;
  }
  bool opened = false;
  while (!rounds.empty() && report_.close_error.empty() && !interrupted()) {
    const auto round = rounds.front();
    rounds.pop_front();
    Stripes failures;
    try {
      failures = run_round(round);
    } catch (const BadInput& error) {
      if (!opened) {
        throw;
      }
      report_.wrong.push_back(std::string("the database cannot be opened again: ") + error.what());
      break;
    }
    opened = true;
    if (failures.empty() || round.size() == 1) {
      continue;
    }
    Stripes rest;
    std::copy_if(round.begin(), round.end(), std::back_inserter(rest), [&](std::size_t stripe) {
      return report_.families[stripe].fate == Fate::not_started;
    });
    if (!rest.empty()) {
      rounds.push_front(rest);
    }
    for (const auto suspect : failures) {
      report_.families[suspect].fate = Fate::not_started;
      rounds.push_front({suspect});
    }
  }
}

void Offline::begin_work() {
  const auto& plan = look_.plan;
  work_started_ = Clock::now();
  for (const auto& family : plan.families) {
    bytes_max_ += family.compacts() ? family.bytes_read_max() + family.bytes_written_max() : 0;
  }
  // Looking, and reading every SST, may have taken hours.
  if (!look_.enclosure->work()) {
    throw BadInput(escaped(plan.path) + another_folder);
  }
  // Nobody had ever opened this copy, so there was nothing to lock.
  if (!look_.enclosure->locked()) {
    require_lock(*look_.enclosure, plan.path);
  }
  if (read_text(plan.path + "/CURRENT") != plan.current) {
    throw BadInput(escaped(plan.path) + ": somebody has opened it meanwhile");
  }
}

// What is damaged, or cannot be read, is known before anything is judged, and so before anything is
// written.
void Offline::read_before() {
  std::map<std::string, std::string> errors;
  if (options_.verify == VerifyMode::full) {
    begin_reading("reading every record before");
    records_before_ = digest_records(look_.plan, *look_.enclosure, tell_read_);
    for (const auto& [family, digest] : records_before_) {
      errors[family] = digest.error.empty() ? "" : digest.text();
    }
  } else {
    begin_reading("reading every SST before");
    for (const auto& [family, error] : damaged_families(look_.plan, tell_read_)) {
      errors[family] = error;
    }
  }
  end_reading();
  for (std::size_t stripe = 0; stripe < look_.plan.families.size(); ++stripe) {
    if (const auto& error = errors[name(stripe)]; !error.empty()) {
      look_.evidence.families[stripe].unreadable = error;
      records_before_.erase(name(stripe));
    }
  }
  judge(options_, look_.evidence, look_.plan);
  require_not_refused(options_, look_.plan);
}

void Offline::compare_records() {
  begin_reading("reading every record afterwards");
  std::map<std::string, RecordDigest> after;
  try {
    after = digest_records(look_.plan, *look_.enclosure, tell_read_);
  } catch (const BadInput& error) {
    report_.wrong.push_back(std::string("the database cannot be read afterwards: ") + error.what());
    return;
  }
  end_reading();
  for (const auto& [family, before] : records_before_) {
    const auto found = after.find(family);
    if (found == after.end() || !found->second.whole) {
      if (!interrupted()) {
        report_.wrong.push_back("column family " + in_quotes(family) + ": was not read afterwards");
      }
      continue;  // what was not read to its end tells nothing
    }
    report_.records_verified += before.records;
    if (!before.is_kept_in(found->second)) {
      report_.wrong.push_back("column family " + in_quotes(family) + ": before " + before.text() +
                              ", after " + found->second.text());
    }
  }
  for (const auto& family : look_.plan.families) {
    if (!records_before_.contains(family.name)) {
      report_.not_read.push_back(in_quotes(family.name));
    }
  }
  report_.verified_in_full = !interrupted() && !records_before_.empty();
}

int Offline::end_status() const {
  if (!report_.wrong.empty()) {
    std::fprintf(stderr, "kstone-compact: %s: %s\n", escaped(look_.plan.path).c_str(),
                 report_.wrong.front().c_str());
    return exit_wrong_data;
  }
  if (const auto failures = report_.failures(); !failures.empty()) {
    throw BadInput(escaped(look_.plan.path) + ": " + failures);
  }
  if (!report_.uncertain.empty() && !report_.verified_in_full) {
    throw BadInput(escaped(look_.plan.path) + ": " + report_.uncertain);
  }
  if (!report_.close_error.empty()) {
    throw BadInput(escaped(look_.plan.path) + ": " + report_.close_error);
  }
  if (const auto refused = look_.enclosure->refused(); !refused.empty()) {
    throw BadInput(escaped(look_.plan.path) + ": RocksDB was kept from this: " + escaped(refused));
  }
  return interrupted() ? exit_interrupted : exit_success;
}

int Offline::run() {
  read_before();
  report_.begin(look_.plan);
  if (!interrupted()) {
    for (const auto& note : look_.plan.notes) {
      say(note);
    }
    try {
      begin_work();
      compact_in_rounds();
    } catch (const BadInput& error) {
      report_.notes.push_back(error.what());
      report_.seconds = seconds_since(started_);
      report_.print(options_.json);
      throw;
    }
    if (options_.verify == VerifyMode::full && !interrupted()) {
      compare_records();
    }
  }
  if (const auto undeleted = look_.enclosure->undeleted(); !undeleted.empty()) {
    report_.notes.push_back("a file that is no longer needed could not be deleted: " +
                            escaped(undeleted));
    say(report_.notes.back());
  }
  report_.seconds = seconds_since(started_);
  report_.interrupted = interrupted();
  report_.interrupted_while_verifying = interrupted() && options_.verify == VerifyMode::full;
  report_.print(options_.json);
  return end_status();
}

}  // namespace

namespace {

Look look_or_tell(const OfflineOptions& options) {
  try {
    return look_at(options);
  } catch (const BadInput& error) {
    if (options.json) {
      print_refusal_json(options.path, error.what());
    }
    throw;
  }
}

}  // namespace

int run_offline(const OfflineOptions& options, Wakeup& wakeup) {
  // A file is made for nobody else, and then given the mode it shall have.
  umask(S_IRWXG | S_IRWXO);
  auto look = look_or_tell(options);
  if (options.plan) {
    options.json ? print_plan_json(look.plan) : print_plan(look.plan);
    return look.plan.refused() || look.plan.verdict() == "in part" ? exit_bad_input : exit_success;
  }
  if (look.plan.verdict() == "nothing to do") {
    OfflineReport report;
    report.begin(look.plan);
    report.print(options.json);
    return exit_success;
  }
  require_not_refused(options, look.plan);
  return Offline(options, wakeup, look).run();
}

}  // namespace kstone::compact
