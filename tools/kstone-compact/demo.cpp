#include "demo.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "bad_input.h"
#include "demo_database.h"
#include "escape.h"
#include "kstone/background_worker.h"
#include "kstone/detail/duration_text.h"
#include "kstone/json.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "ledger.h"
#include "progress.h"
#include "records.h"
#include "summary_file.h"
#include "temporary_folder.h"
#include "verifier.h"
#include "write_sequence.h"

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double mib = 1 << 20;

// `wait_idle` knows nothing of interrupts.
constexpr std::chrono::milliseconds interrupt_interval(50);

// An interrupt while writing leaves this long to check what was written; one while checking ends
// that.
constexpr double check_seconds_after_interrupt = 2;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The folder of the database: the user's, which must be new or empty, or a temporary one, which
// goes away at the end.
class Folder {
 public:
  explicit Folder(const DemoOptions& options)
      : temporary_(options.folder.empty()), keep_(!temporary_ || options.keep) {
    if (temporary_) {
      path_ = make_temporary_folder();
      return;
    }
    path_ = options.folder;
    const auto name = "--dir " + escaped(path_);
    std::error_code error;
    if (fs::exists(path_, error) && !fs::is_directory(path_, error)) {
      throw BadInput(name + ": is not a folder");
    }
    fs::create_directories(path_, error);
    if (error) {
      throw BadInput(name + ": " + error.message());
    }
    if (const bool empty = fs::is_empty(path_, error); error || !empty) {
      throw BadInput(name + ": " +
                     (error ? error.message() : "is not empty; the demo needs a new database"));
    }
  }
  ~Folder() {
    if (temporary_ && !keep_) {
      remove_temporary_folder();
    }
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // A temporary folder that is asked to stay does so from now on, when there is something in it.
  void use() const {
    if (keep_) {
      keep_temporary_folder();
    }
  }

  const std::string& path() const { return path_; }
  bool stays() const { return keep_; }

 private:
  std::string path_;
  bool temporary_;
  bool keep_;
};

std::uint64_t read(const std::atomic<std::uint64_t>& counter) {
  // Relaxed: it is shown, and nothing else is read because of what it says.
  return counter.load(std::memory_order_relaxed);
}

// Writes on a thread of its own until it is told to stop.
class Writer {
 public:
  Writer(DemoDatabase& database, Ledger& ledger, std::uint64_t seed, Wakeup& wakeup)
      : database_(database), writes_(ledger, seed), wakeup_(wakeup) {
    thread_ = std::thread([this] { run(); });
  }
  ~Writer() { stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  const WriteCounts& counts() const { return writes_.counts(); }
  // Relaxed: the text is read after join.
  bool has_failed() const { return failed_.load(std::memory_order_relaxed); }

  // Returns when the thread has ended; the ledger may be used from then on.
  void stop() {
    stop_.store(true, std::memory_order_relaxed);  // relaxed: publishes nothing; join does
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  const std::string& error() const { return error_; }

 private:
  void run() {
    bool was_loaded = false;
    while (!stop_.load(std::memory_order_relaxed)) {
      if (const auto status = writes_.next(database_); !status.ok()) {
        error_ = "writing: " + status.ToString();
        failed_.store(true, std::memory_order_relaxed);
        wakeup_.notify();
        return;
      }
      if (!was_loaded && writes_.loaded()) {
        was_loaded = true;
        wakeup_.notify();
      }
    }
  }

  DemoDatabase& database_;
  WriteSequence writes_;
  Wakeup& wakeup_;
  std::string error_;  // written by the thread, read after join
  std::atomic<bool> failed_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses all of the above
};

// The summary would take the place of the records.
void refuse_summary_over_input(const DemoOptions& options) {
  std::error_code error;
  if (fs::is_regular_file(options.input, error) &&
      fs::equivalent(options.input, options.summary, error)) {
    throw BadInput("--summary " + escaped(options.summary) + ": is the file of --input");
  }
}

struct L0Range {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};

// Of the compactions that run, the one that began first.
std::chrono::nanoseconds longest(const WorkerSnapshot& snapshot) {
  std::chrono::nanoseconds result{0};
  for (const auto& each : snapshot.compactions) {
    result = std::max(result, each.running_for);
  }
  return result;
}

class Demo {
 public:
  Demo(const DemoOptions& options, Wakeup& wakeup)
      : options_(options), wakeup_(wakeup), progress_(options.json ? stderr : stdout) {}

  int run();

 private:
  CompactionConfig config() const {
    return CompactionConfig().with_sst_threshold(4).with_check_interval(5).with_max_concurrent(
        options_.workers);
  }
  // No more than there are stripes are of use.
  std::uint32_t capacity() const { return std::max(options_.workers, options_.stripes); }
  void write_and_compact(DemoDatabase& database, Ledger& ledger);
  void write(DemoDatabase& database, Ledger& ledger, BackgroundWorker& worker);
  void drain(DemoDatabase& database, BackgroundWorker& worker);
  void resize(BackgroundWorker& worker);
  void check(const Folder& folder, const Ledger& ledger);
  void load_write_and_check(const RecordSet& records, const Folder& folder);
  void report(const Folder& folder) const;
  L0Range note_l0(DemoDatabase& database);
  void note_l0(std::uint32_t files);
  void show(const char* phase, DemoDatabase& database, const BackgroundWorker& worker);
  nlohmann::ordered_json summary() const;
  void print_table() const;

  const DemoOptions& options_;
  Wakeup& wakeup_;
  Progress progress_;
  Clock::time_point started_ = Clock::now();

  // Results.
  std::string source_;
  std::uint64_t puts_ = 0;
  std::uint64_t deletes_ = 0;
  std::uint64_t reinserts_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t keys_written_ = 0;
  double load_seconds_ = 0;
  double write_seconds_ = 0;
  double drain_seconds_ = 0;
  double verify_seconds_ = 0;
  double stall_seconds_ = 0;
  double wall_seconds_ = 0;
  std::atomic<std::uint32_t> l0_files_max_{0};
  std::uint32_t merging_max_ = 0;
  WorkerSnapshot snapshot_;
  ShutdownReport shutdown_;
  Verification verification_;
  bool checked_ = false;  // every key, every file
  bool interrupted_ = false;
};

std::uint64_t bytes_compacted(const CompactionStats& stats) {
  return stats.total_bytes_read + stats.total_bytes_written;
}

void Demo::note_l0(std::uint32_t files) {
  auto most = l0_files_max_.load(std::memory_order_relaxed);  // relaxed: a maximum that is shown
  while (files > most &&
         !l0_files_max_.compare_exchange_weak(most, files, std::memory_order_relaxed)) {
  }
}

L0Range Demo::note_l0(DemoDatabase& database) {
  L0Range range{UINT32_MAX, 0};
  for (std::uint32_t stripe = 0; stripe < options_.stripes; ++stripe) {
    const auto files = database.l0_files(stripe);
    range.min = std::min(range.min, files);
    range.max = std::max(range.max, files);
  }
  note_l0(range.max);
  return range;
}

void Demo::show(const char* phase, DemoDatabase& database, const BackgroundWorker& worker) {
  const auto now = worker.snapshot();
  const auto l0 = note_l0(database);
  const double elapsed = seconds_since(started_);
  const double compacted = static_cast<double>(bytes_compacted(now.stats));
  progress_.show({
      text("%6.1f s  %-10s compacted %.1f MiB, %.1f MB/s", elapsed, phase, compacted / mib,
           compacted / elapsed / 1e6),
      text("requests %llu  coalesced %llu  rerun_pending %llu  queue %llu (high %u, low %u)  "
           "delayed %u  quarantined %u  running %u of %u (merging %u)",
           static_cast<unsigned long long>(now.requests()),
           static_cast<unsigned long long>(now.coalesced),
           static_cast<unsigned long long>(now.rerun_pending),
           static_cast<unsigned long long>(now.queue_size), now.in_high_lane, now.in_low_lane,
           now.delayed, now.quarantined, now.running, now.max_concurrent,
           database.listener().merging()),
      text("L0 files per stripe %u..%u  write stalls %.2f s  longest waiting %s  running %s",
           l0.min, l0.max, database.stall_seconds(), detail::text_of(now.oldest_waiting).c_str(),
           detail::text_of(longest(now)).c_str()),
  });
}

// By as many as signals have asked for, within what there can be.
void Demo::resize(BackgroundWorker& worker) {
  if (const int steps = take_steps(); steps != 0) {
    const auto now = static_cast<std::int64_t>(worker.snapshot().max_concurrent);
    const auto to = std::clamp<std::int64_t>(now + steps, 1, capacity());
    if (worker.set_max_concurrent(static_cast<std::uint32_t>(to)) == ResizeResult::fewer_threads) {
      progress_.say("the system refuses to start a thread; the worker goes on with those it has");
    }
  }
}

void Demo::write(DemoDatabase& database, Ledger& ledger, BackgroundWorker& worker) {
  const auto begun = Clock::now();
  Writer writer(database, ledger, options_.seed, wakeup_);
  bool loaded = false;
  while (!interrupted() && !writer.has_failed()) {
    if (!loaded && writer.counts().loaded.load(std::memory_order_relaxed)) {
      loaded = true;
      load_seconds_ = seconds_since(begun);
    }
    if (loaded && (seconds_since(begun) >= options_.seconds ||
                   bytes_compacted(worker.snapshot().stats) >= options_.compact_mib << 20)) {
      break;
    }
    resize(worker);
    show(loaded ? "writing" : "loading", database, worker);
    wakeup_.wait_for(progress_.interval());
  }
  writer.stop();
  write_seconds_ = seconds_since(begun);
  puts_ = read(writer.counts().puts);
  deletes_ = read(writer.counts().deletes);
  reinserts_ = read(writer.counts().reinserts);
  bytes_written_ = read(writer.counts().bytes);
  if (!writer.error().empty()) {
    throw BadInput(writer.error());
  }
}

// The last memtables go to L0 and all that is due is compacted, then the worker ends. After an
// interrupt it ends at once; what was written is in the log of the database.
void Demo::drain(DemoDatabase& database, BackgroundWorker& worker) {
  const auto begun = Clock::now();
  auto shown = begun;
  if (!interrupted()) {
    database.flush();
  }
  bool retried = false;
  while (!interrupted()) {
    const auto answer = worker.wait_idle(interrupt_interval);
    if (answer == IdleResult::delayed && !retried) {
      retried = worker.retry_now() != 0;  // once: what fails now is told
    } else if (answer != IdleResult::timed_out) {
      break;
    }
    resize(worker);
    if (Clock::now() - shown >= progress_.interval()) {
      show("draining", database, worker);
      shown = Clock::now();
    }
  }
  const bool stop = interrupted();
  show(stop ? "stopping" : "drained", database, worker);
  drain_seconds_ = seconds_since(begun);
  shutdown_ = worker.shutdown(stop ? ShutdownMode::cancel : ShutdownMode::drain);
}

void Demo::write_and_compact(DemoDatabase& database, Ledger& ledger) {
  const rocksdb::ColumnFamilyCompactor compactor(&database.db(), database.stripes(), config());
  const auto job = [&, compact = compactor.job()](CompactionContext& context) {
    // L0 is never larger than just before a compaction.
    note_l0(database.l0_files(context.stripe_id()));
    auto outcome = compact(context);
    note_l0(database.l0_files(context.stripe_id()));
    return outcome;
  };
  BackgroundWorker::Options options;
  options.scan = compactor.scan();
  options.thread_capacity = capacity();
  BackgroundWorker worker(config(), CompactionStatsAtomic(), compactor.stripe_count(), job,
                          std::move(options));
  database.listener().attach(worker, database.stripes(), compactor.priorities());
  const struct Detach {
    rocksdb::DatabaseListener& listener;
    BackgroundWorker& worker;
    ~Detach() {
      // Again: only an exception comes here before drain() has done it.
      worker.shutdown(ShutdownMode::cancel);
      listener.detach();
    }
  } detach{database.listener(), worker};
  if (worker.start() != StartResult::started) {
    throw BadInput("the system refuses to start a thread for the worker");
  }
  write(database, ledger, worker);
  drain(database, worker);
  snapshot_ = worker.snapshot();
  merging_max_ = database.listener().merging_max();
  stall_seconds_ = database.stall_seconds();
  if (!snapshot_.first_error.empty()) {
    throw BadInput("compacting: " + snapshot_.first_error);
  }
}

void Demo::check(const Folder& folder, const Ledger& ledger) {
  const auto begun = Clock::now();
  const bool was_interrupted = interrupted();
  progress_.say("reopening the database and checking every key" +
                (was_interrupted ? text(", for %.0f s at most", check_seconds_after_interrupt)
                                 : std::string()));
  DemoDatabase database(folder.path(), options_.stripes, config());
  const auto opened = Clock::now();
  auto shown = opened;
  verification_ =
      verify(database.db(), database.stripes(), ledger, [&](const Verification& so_far) {
        if (Clock::now() - shown >= progress_.interval()) {
          shown = Clock::now();
          progress_.show(
              {text("%6.1f s  %-10s %llu of %zu keys looked up", seconds_since(started_),
                    "checking", static_cast<unsigned long long>(so_far.looked_up), ledger.size()),
               text("%llu iterated over", static_cast<unsigned long long>(so_far.live))});
        }
        return was_interrupted ? seconds_since(opened) >= check_seconds_after_interrupt
                               : interrupted();
      });
  checked_ = verification_.complete;
  database.close();
  verify_seconds_ = seconds_since(begun);
}

void Demo::load_write_and_check(const RecordSet& records, const Folder& folder) {
  folder.use();
  progress_.say(text("%zu keys from ", records.records.size()) + source_ +
                text(", %u stripes, %u workers, seed %llu, in ", options_.stripes, options_.workers,
                     static_cast<unsigned long long>(options_.seed)) +
                escaped(folder.path()));
  Ledger ledger(records, options_.stripes);
  {
    DemoDatabase database(folder.path(), options_.stripes, config());
    write_and_compact(database, ledger);
    database.close();
  }
  for (std::size_t record = 0; record < ledger.size(); ++record) {
    keys_written_ += ledger.was_written(record) ? 1 : 0;
  }
  check(folder, ledger);
}

int Demo::run() {
  handle_steps();
  refuse_summary_over_input(options_);
  SummaryFile file(options_.summary);
  const Folder folder(options_);
  const auto records =
      options_.input.empty() ? read_system_records() : read_record_file(options_.input);
  source_ = records.source;
  if (!interrupted()) {
    load_write_and_check(records, folder);
  }
  wall_seconds_ = seconds_since(started_);
  interrupted_ = interrupted();
  file.write(summary().dump(2) + '\n');
  report(folder);
  if (!verification_.passed()) {
    std::fprintf(stderr, "kstone-compact: verification failed: %s\n",
                 printable(verification_.first_error).c_str());
    return exit_wrong_data;
  }
  return interrupted_ ? exit_interrupted : exit_success;
}

void Demo::report(const Folder& folder) const {
  if (options_.json) {
    std::printf("%s\n", summary().dump(2).c_str());
    return;
  }
  print_table();
  if (folder.stays()) {
    std::printf("the database stays in %s\n", escaped(folder.path()).c_str());
  }
}

nlohmann::ordered_json Demo::summary() const {
  const auto& stats = snapshot_.stats;
  nlohmann::ordered_json json;
  json["source"] = source_;
  json["stripes"] = options_.stripes;
  json["workers"] = options_.workers;
  json["workers_at_end"] = snapshot_.max_concurrent;
  json["seed"] = options_.seed;
  json["keys_written"] = keys_written_;
  json["keys_checked"] = verification_.looked_up;
  json["keys_verified"] = verification_.verified;
  json["keys_wrong"] = verification_.keys_wrong();
  json["keys_live"] = verification_.live;
  json["verified"] = checked_ && verification_.passed();
  json["interrupted"] = interrupted_;
  json["puts"] = puts_;
  json["deletes"] = deletes_;
  json["reinserts"] = reinserts_;
  json["bytes_put"] = bytes_written_;
  json["requests"] = snapshot_.requests();
  json["queued"] = snapshot_.queued;
  json["coalesced"] = snapshot_.coalesced;
  json["rerun_pending"] = snapshot_.rerun_pending;
  json["compactions"] = snapshot_.compactions_started;
  json["more_work"] = snapshot_.outcomes[CompactionOutcome::Kind::more_work];
  json["nothing_to_do"] = snapshot_.outcomes[CompactionOutcome::Kind::nothing_to_do];
  json["waited"] = snapshot_.waited;
  json["ran"] = snapshot_.ran;
  json["discarded"] = shutdown_.discarded.size();
  json["unfinished"] = shutdown_.unfinished.size();
  json["max_concurrent_seen"] = merging_max_;
  json["max_l0_files"] = l0_files_max_.load(std::memory_order_relaxed);
  json["stall_seconds"] = stall_seconds_;
  json["shutdown_ms"] = std::chrono::duration<double, std::milli>(shutdown_.duration).count();
  json["bytes_compacted"] = bytes_compacted(stats);
  json["total_compactions"] = stats.total_compactions;
  json["total_ssts_merged"] = stats.total_ssts_merged;
  json["total_ssts_created"] = stats.total_ssts_created;
  json["total_bytes_read"] = stats.total_bytes_read;
  json["total_bytes_written"] = stats.total_bytes_written;
  json["total_bytes_reclaimed"] = stats.total_bytes_reclaimed;
  json["total_records_deduplicated"] = stats.total_records_deduplicated;
  json["total_tombstones_removed"] = stats.total_tombstones_removed;
  json["active_compactions"] = stats.active_compactions;
  json["load_seconds"] = load_seconds_;
  json["write_seconds"] = write_seconds_;
  json["drain_seconds"] = drain_seconds_;
  json["verify_seconds"] = verify_seconds_;
  json["wall_seconds"] = wall_seconds_;
  return json;
}

void Demo::print_table() const {
  const auto row = [](const char* name, const std::string& value) {
    std::printf("  %-34s %16s\n", name, value.c_str());
  };
  const auto number = [&](const char* name, std::uint64_t value) {
    row(name, text("%llu", static_cast<unsigned long long>(value)));
  };
  const auto& stats = snapshot_.stats;
  std::printf("\n");
  number("stripes", options_.stripes);
  number("seed", options_.seed);
  number("keys written", keys_written_);
  number("keys checked", verification_.looked_up);
  number("keys verified", verification_.verified);
  number("keys wrong, missing or extra", verification_.keys_wrong());
  number("puts", puts_);
  number("deletes", deletes_);
  number("requests", snapshot_.requests());
  number("  queued", snapshot_.queued);
  number("  coalesced", snapshot_.coalesced);
  number("  rerun_pending", snapshot_.rerun_pending);
  number("compactions", snapshot_.compactions_started);
  number("  that merged SSTs", stats.total_compactions);
  row("  waited for a thread, median", detail::text_of(snapshot_.waited.quantile(0.5)).c_str());
  row("    99 %", detail::text_of(snapshot_.waited.quantile(0.99)).c_str());
  row("  ran, median", detail::text_of(snapshot_.ran.quantile(0.5)).c_str());
  row("    99 %", detail::text_of(snapshot_.ran.quantile(0.99)).c_str());
  number("  discarded at shutdown", shutdown_.discarded.size());
  number("most merging at once in RocksDB", merging_max_);
  number("most L0 files of a stripe seen", l0_files_max_.load(std::memory_order_relaxed));
  row("MiB compacted (read + written)",
      text("%.1f", static_cast<double>(bytes_compacted(stats)) / mib));
  row("  read", text("%.1f", static_cast<double>(stats.total_bytes_read) / mib));
  row("  written", text("%.1f", static_cast<double>(stats.total_bytes_written) / mib));
  row("  reclaimed", text("%.1f", static_cast<double>(stats.total_bytes_reclaimed) / mib));
  number("SSTs merged", stats.total_ssts_merged);
  number("SSTs created", stats.total_ssts_created);
  number("records deduplicated", stats.total_records_deduplicated);
  number("tombstones removed", stats.total_tombstones_removed);
  row("seconds writers were held up", text("%.2f", stall_seconds_));
  row("milliseconds for the shutdown",
      text("%.1f", std::chrono::duration<double, std::milli>(shutdown_.duration).count()));
  row("seconds in all", text("%.1f", wall_seconds_));
  if (interrupted_) {
    std::printf("\ninterrupted%s\n",
                checked_ ? "; what was written is checked" : " before everything was checked");
  }
  std::printf("\nsummary: %s\n", escaped(options_.summary).c_str());
}

}  // namespace

int run_demo(const DemoOptions& options, Wakeup& wakeup) { return Demo(options, wakeup).run(); }

}  // namespace kstone::compact
