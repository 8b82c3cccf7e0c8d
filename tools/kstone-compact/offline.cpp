#include "offline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "bad_input.h"
#include "kstone/background_worker.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_listener.h"
#include "offline_database.h"
#include "progress.h"

namespace kstone::compact {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double mib = 1 << 20;

// CompactRange is many compactions of RocksDB; each tells here what it did.
class CompactionCounter final : public ::rocksdb::EventListener {
 public:
  explicit CompactionCounter(CompactionStatsAtomic stats) : stats_(std::move(stats)) {}
  const char* Name() const override { return "kstone::compact::CompactionCounter"; }

  void OnCompactionCompleted(::rocksdb::DB*, const ::rocksdb::CompactionJobInfo& info) override {
    // A file that only moved to another level was not merged.
    if (info.status.ok() && info.stats.num_input_records > 0) {
      rocksdb::record_job_stats(stats_, info.stats);
    }
  }

 private:
  CompactionStatsAtomic stats_;
};

enum class Fate { not_asked, not_started, running, compacted, stopped, failed };

const char* to_string(Fate fate) {
  switch (fate) {
    case Fate::not_asked:
      return "-";
    case Fate::not_started:
      return "not started";
    case Fate::running:
      return "running";
    case Fate::compacted:
      return "compacted";
    case Fate::stopped:
      return "stopped";
    case Fate::failed:
      return "failed";
  }
  return "?";
}

struct Stripe {
  std::string name;
  ::rocksdb::ColumnFamilyHandle* handle = nullptr;
  OfflineDatabase::Size before;
  OfflineDatabase::Size after;
  Fate fate = Fate::not_asked;
  std::string note;
};

class Offline {
 public:
  Offline(const OfflineOptions& options, Wakeup& wakeup)
      : options_(options), wakeup_(wakeup), progress_(options.json ? stderr : stdout) {}

  int run();

 private:
  void survey(OfflineDatabase& database);
  void choose();
  void compact_chosen(OfflineDatabase& database);
  CompactionOutcome compact(OfflineDatabase& database, CompactionContext& context);
  void begin(Stripe& stripe);
  void end(Stripe& stripe, const ::rocksdb::Status& status, const CompactionOutcome& outcome);
  bool has_fate(Fate fate) const;
  void show(const BackgroundWorker& worker);
  void say(const std::string& line);
  void report() const;
  void print_table() const;
  void print_json() const;

  const OfflineOptions& options_;
  Wakeup& wakeup_;
  const Clock::time_point started_ = Clock::now();
  const CompactionStatsAtomic stats_;
  const std::shared_ptr<rocksdb::DatabaseListener> listener_ = std::make_shared<rocksdb::DatabaseListener>();

  mutable std::mutex mutex_;  // guards what follows while the worker runs
  Progress progress_;
  std::vector<Stripe> stripes_;

  std::uint32_t merging_max_ = 0;
  double shutdown_ms_ = 0;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint64_t bytes_compacted(const CompactionStats& stats) { return stats.total_bytes_read + stats.total_bytes_written; }

void Offline::say(const std::string& line) { progress_.say(text("%7.3f s  ", seconds_since(started_)) + line); }

void Offline::survey(OfflineDatabase& database) {
  for (auto* handle : database.handles()) {
    Stripe stripe;
    stripe.name = handle->GetName();
    stripe.handle = handle;
    stripe.before = stripe.after = database.size(handle);
    if (database.db().GetOptions(handle).compaction_style == ::rocksdb::kCompactionStyleFIFO) {
      stripe.note = "FIFO: never merged, and compacting it would delete its oldest records";
    }
    stripes_.push_back(std::move(stripe));
  }
}

// Marks the stripes to compact. Every name is checked before anything is done.
void Offline::choose() {
  for (const auto& name : options_.families) {
    if (std::none_of(stripes_.begin(), stripes_.end(), [&](const auto& stripe) { return stripe.name == name; })) {
      throw BadInput(options_.path + ": has no column family '" + name + "'");
    }
  }
  for (auto& stripe : stripes_) {
    const auto& names = options_.families;
    const bool named = names.empty() || std::find(names.begin(), names.end(), stripe.name) != names.end();
    if (!named || !stripe.note.empty()) {
      continue;
    }
    if (stripe.before.files < options_.min_ssts) {
      stripe.note = "below " + std::to_string(options_.min_ssts) + " SSTs";
    } else {
      stripe.fate = Fate::not_started;
    }
  }
}

void Offline::begin(Stripe& stripe) {
  const std::lock_guard<std::mutex> lock(mutex_);
  stripe.fate = Fate::running;
  say("compaction of '" + stripe.name + "' starts: " +
      text("%.1f MiB in %llu SSTs", static_cast<double>(stripe.before.bytes) / mib,
           static_cast<unsigned long long>(stripe.before.files)));
}

void Offline::end(Stripe& stripe, const ::rocksdb::Status& status, const CompactionOutcome& outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  using Kind = CompactionOutcome::Kind;
  if (status.ok() || outcome.kind() == Kind::nothing_to_do) {
    stripe.fate = Fate::compacted;
    say("compaction of '" + stripe.name + "' ends");
  } else if (outcome.kind() == Kind::stopped) {
    stripe.fate = Fate::stopped;
    say("compaction of '" + stripe.name + "' ends: stopped");
  } else {
    stripe.fate = Fate::failed;
    stripe.note = status.ToString();
    say("compaction of '" + stripe.name + "' ends: failed");
  }
  wakeup_.notify();
}

CompactionOutcome Offline::compact(OfflineDatabase& database, CompactionContext& context) {
  auto& stripe = stripes_[context.stripe_id()];
  begin(stripe);
  ::rocksdb::CompactRangeOptions options;
  // RocksDB takes a pointer to what it could change, and only reads it.
  options.canceled = const_cast<std::atomic<bool>*>(&context.stop_flag());
  // "Exclusive" would have every other compaction of the database wait for this one.
  options.exclusive_manual_compaction = false;
  options.max_subcompactions = 1;
  const auto status = database.db().CompactRange(options, stripe.handle, nullptr, nullptr);
  auto outcome = status.ok() ? CompactionOutcome::done() : rocksdb::outcome_of(status, context.stop_requested());
  end(stripe, status, outcome);
  return outcome;
}

bool Offline::has_fate(Fate fate) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::any_of(stripes_.begin(), stripes_.end(), [&](const auto& stripe) { return stripe.fate == fate; });
}

void Offline::show(const BackgroundWorker& worker) {
  const auto now = worker.snapshot();
  const double compacted = static_cast<double>(bytes_compacted(now.stats));
  const double elapsed = seconds_since(started_);
  const std::lock_guard<std::mutex> lock(mutex_);
  progress_.show({text("%7.3f s  compacted %.1f MiB, %.1f MB/s", elapsed, compacted / mib, compacted / elapsed / 1e6),
                  text("queue %llu  running %u (merging %u)  ended %llu", static_cast<unsigned long long>(now.queue_size),
                       now.running, listener_->merging(), static_cast<unsigned long long>(now.episodes_opened - now.episodes_alive))});
}

void Offline::compact_chosen(OfflineDatabase& database) {
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(options_.workers), stats_,
                          static_cast<std::uint32_t>(stripes_.size()),
                          [&](CompactionContext& context) { return compact(database, context); });
  for (std::uint32_t stripe = 0; stripe < stripes_.size(); ++stripe) {
    if (stripes_[stripe].fate == Fate::not_started) {
      worker.queue_compaction(stripe);
    }
  }
  if (!interrupted() && worker.start() != StartResult::started) {
    throw BadInput("the system refuses to start a thread");
  }
  auto shown = Clock::now();
  while (!interrupted() && (has_fate(Fate::not_started) || has_fate(Fate::running))) {
    wakeup_.wait_for(progress_.interval());
    if (Clock::now() - shown >= progress_.interval()) {
      show(worker);
      shown = Clock::now();
    }
  }
  const auto shutdown = worker.shutdown(ShutdownMode::cancel);
  shutdown_ms_ = std::chrono::duration<double, std::milli>(shutdown.duration).count();
  merging_max_ = listener_->merging_max();
}

int Offline::run() {
  OfflineDatabase database(options_.path, options_.workers, {listener_, std::make_shared<CompactionCounter>(stats_)});
  survey(database);
  choose();
  compact_chosen(database);
  for (auto& stripe : stripes_) {
    stripe.after = database.size(stripe.handle);
  }
  const auto failed = std::find_if(stripes_.begin(), stripes_.end(), [](const auto& s) { return s.fate == Fate::failed; });
  if (failed == stripes_.end()) {
    database.close();
  }
  report();
  if (failed != stripes_.end()) {
    throw BadInput(options_.path + ": compacting column family '" + failed->name + "': " + failed->note);
  }
  return interrupted() ? exit_interrupted : exit_success;
}

void Offline::report() const {
  if (options_.json) {
    print_json();
  } else {
    print_table();
  }
}

void Offline::print_table() const {
  std::size_t width = 13;
  for (const auto& stripe : stripes_) {
    width = std::max(width, stripe.name.size());
  }
  std::printf("\n%-*s  %21s      %21s\n", static_cast<int>(width), "column family", "before", "after");
  OfflineDatabase::Size before;
  OfflineDatabase::Size after;
  for (const auto& stripe : stripes_) {
    before = {before.bytes + stripe.before.bytes, before.files + stripe.before.files};
    after = {after.bytes + stripe.after.bytes, after.files + stripe.after.files};
  }
  const auto row = [&](const char* name, OfflineDatabase::Size was, OfflineDatabase::Size is, const std::string& what) {
    std::printf("%-*s  %9.1f MiB %4llu SSTs  ->  %9.1f MiB %4llu SSTs  %s\n", static_cast<int>(width), name,
                static_cast<double>(was.bytes) / mib, static_cast<unsigned long long>(was.files),
                static_cast<double>(is.bytes) / mib, static_cast<unsigned long long>(is.files), what.c_str());
  };
  for (const auto& stripe : stripes_) {
    row(stripe.name.c_str(), stripe.before, stripe.after,
        to_string(stripe.fate) + (stripe.note.empty() ? std::string() : ": " + stripe.note));
  }
  row("in all", before, after, interrupted() ? "interrupted" : "");
  const auto stats = stats_.snapshot();
  std::printf("%.1f MiB read, %.1f MiB written, %llu records deduplicated, %llu tombstones removed, %u merging at once, "
              "%.1f s\n",
              static_cast<double>(stats.total_bytes_read) / mib, static_cast<double>(stats.total_bytes_written) / mib,
              static_cast<unsigned long long>(stats.total_records_deduplicated),
              static_cast<unsigned long long>(stats.total_tombstones_removed), merging_max_, seconds_since(started_));
}

void Offline::print_json() const {
  const auto stats = stats_.snapshot();
  nlohmann::ordered_json json;
  json["path"] = options_.path;
  json["interrupted"] = interrupted();
  json["max_concurrent_seen"] = merging_max_;
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
  json["shutdown_ms"] = shutdown_ms_;
  json["wall_seconds"] = seconds_since(started_);
  for (const auto& stripe : stripes_) {
    json["column_families"].push_back({{"name", stripe.name},
                                       {"result", to_string(stripe.fate)},
                                       {"note", stripe.note},
                                       {"bytes_before", stripe.before.bytes},
                                       {"ssts_before", stripe.before.files},
                                       {"bytes_after", stripe.after.bytes},
                                       {"ssts_after", stripe.after.files}});
  }
  // A name of a column family may be any bytes.
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

int run_offline(const OfflineOptions& options, Wakeup& wakeup) { return Offline(options, wakeup).run(); }

}  // namespace kstone::compact
