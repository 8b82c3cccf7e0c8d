// kstone_bench_rocksdb, W9: the demo's load on RocksDB, compacted by the worker and by RocksDB's
// own scheduling.
//
// A run is one database under one scheduling: every record is loaded, a fixed number of updates
// follows, the same for both, then everything is flushed, and when nothing is left to compact the
// database is shut down. A second database of the run is shut down again and again while it is
// written to and merges. Both are opened once more, and every key is checked.
//
// Equal for both: stripes, buffers, levels and their targets, the number of L0 files that is due,
// the sizes of outputs, the bound of one compaction, compression, threads that flush and threads
// that compact, one subcompaction each. Different is who decides what is merged when, and on which
// threads.

#include <pthread.h>
#include <rocksdb/convenience.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <thread>

#include "bad_input.h"
#include "demo_database.h"
#include "kstone/background_worker.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "ledger.h"
#include "records.h"
#include "verifier.h"
#include "write_sequence.h"

namespace kstone::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
using compact::BadInput;
using compact::DemoDatabase;
using compact::Scheduling;

constexpr double mib = 1 << 20;
constexpr auto look_interval = std::chrono::milliseconds(1);
constexpr double quiet_limit_seconds = 300;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of all threads of this process, in user and in system mode.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct LoadOptions {
  std::string input;   // empty: the system's records
  std::string folder;  // where the temporary folder is made; empty: the system's
  std::string output;
  unsigned pairs = 5;
  std::uint32_t stripes = 16;
  std::uint32_t workers = 2;
  std::uint64_t updates = 300'000;
  unsigned shutdowns = 9;                  // of each kind
  std::uint64_t shutdown_updates = 8'000;  // before each of them
  std::uint64_t seed = 1;
  std::optional<Scheduling> only;
};

CompactionConfig config_of(const LoadOptions& options) {
  return CompactionConfig().with_sst_threshold(4).with_check_interval(5).with_max_concurrent(
      options.workers);
}

class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::string& parent) {
    auto pattern =
        ((parent.empty() ? fs::temp_directory_path() : fs::path(parent)) / "kstone-bench-XXXXXX")
            .string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw BadInput("cannot make a temporary folder " + pattern);
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What is seen of a database on the threads that flush and merge, in the same way whoever schedules
// them.
//
// Thread safety: callbacks come on any thread; the rest is called while none can come, or under the
// mutex.
class Observer final : public ::rocksdb::EventListener {
 public:
  struct Merging {
    std::uint64_t merges = 0;
    std::set<std::uint64_t> threads;
  };

  const char* Name() const override { return "kstone::bench::Observer"; }

  void attach(DemoDatabase& database) {
    const std::lock_guard lock(mutex_);
    database_ = &database;
  }
  // The handles go next; a flush may still come.
  void detach() {
    const std::lock_guard lock(mutex_);
    database_ = nullptr;
  }

  std::uint32_t l0_files_max() const {
    const std::lock_guard lock(mutex_);
    return l0_files_max_;
  }
  // By the name of the thread. RocksDB calls this on the thread that reads, merges and writes.
  std::map<std::string, Merging> merging() const {
    const std::lock_guard lock(mutex_);
    return merging_;
  }

  // L0 grows by flushes alone, so a look after each sees the most there ever is.
  void OnFlushCompleted(::rocksdb::DB*, const ::rocksdb::FlushJobInfo& info) override {
    const std::lock_guard lock(mutex_);
    if (database_ == nullptr) {
      return;
    }
    for (std::uint32_t stripe = 0; stripe < database_->stripes().size(); ++stripe) {
      if (database_->stripes()[stripe]->GetID() == info.cf_id) {
        l0_files_max_ = std::max(l0_files_max_, database_->l0_files(stripe));
      }
    }
  }

  void OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) override {
    char name[16] = "?";
    pthread_getname_np(pthread_self(), name, sizeof name);
    const std::lock_guard lock(mutex_);
    auto& merging = merging_[name];
    ++merging.merges;
    merging.threads.insert(info.thread_id);
  }

 private:
  mutable std::mutex mutex_;
  DemoDatabase* database_ = nullptr;
  std::uint32_t l0_files_max_ = 0;
  std::map<std::string, Merging> merging_;
};

// Which of the two learns first that a shutdown begins, if there is a worker.
enum class ShutdownOrder : std::uint8_t {
  worker_first,  // what runs ends by itself, step by step
  // RocksDB breaks off what runs, and refuses what would begin, which the worker then reports as
  // stopped.
  database_first,
};

// An open database and whoever compacts it.
class Engine {
 public:
  Engine(const std::string& folder, const LoadOptions& options, Scheduling scheduling,
         std::shared_ptr<Observer> observer)
      : observer_(std::move(observer)),
        database_(folder, options.stripes, config_of(options),
                  {.scheduling = scheduling, .listeners = {observer_}}) {
    if (scheduling == Scheduling::worker) {
      compactor_.emplace(&database_.db(), database_.stripes(), config_of(options));
      worker_.emplace(config_of(options), CompactionStatsAtomic(), compactor_->stripe_count(),
                      compactor_->job(), BackgroundWorker::Options{.scan = compactor_->scan()});
      if (worker_->start() != StartResult::started) {
        throw BadInput("the system refuses to start a thread");
      }
      database_.listener().attach(*worker_, database_.stripes());
    }
    observer_->attach(database_);
  }
  ~Engine() { stop(ShutdownOrder::worker_first); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  DemoDatabase& database() { return database_; }

  // Until nothing is flushed, compacted, or due to be. Two looks in a row, since RocksDB's
  // properties are read one by one and work may go from one to the other in between.
  void await_quiet() {
    const auto begun = Clock::now();
    for (int quiet_looks = 0; quiet_looks < 2; quiet_looks = is_quiet() ? quiet_looks + 1 : 0) {
      if (seconds_since(begun) > quiet_limit_seconds) {
        throw BadInput("compactions do not end");
      }
      std::this_thread::sleep_for(look_interval);
    }
  }

  // Milliseconds until everything is closed. Compactions that run are asked to stop; what is queued
  // is not done.
  double shutdown(ShutdownOrder order = ShutdownOrder::worker_first) {
    const auto begun = Clock::now();
    stop(order);
    database_.close();
    return seconds_since(begun) * 1e3;
  }

 private:
  void stop(ShutdownOrder order) {
    observer_->detach();
    if (stopped_) {
      return;
    }
    stopped_ = true;
    if (!worker_ || order == ShutdownOrder::database_first) {
      ::rocksdb::CancelAllBackgroundWork(&database_.db(), !worker_);
    }
    if (worker_) {
      worker_->shutdown(ShutdownMode::cancel);
      database_.listener().detach();
    }
  }

  bool is_quiet() {
    if (worker_) {
      const auto now = worker_->snapshot();
      if (now.queue_size != 0 || now.running != 0) {
        return false;
      }
      if (!now.first_error.empty()) {
        throw BadInput("compacting: " + now.first_error);
      }
    }
    for (auto* stripe : database_.stripes()) {
      if (property(stripe, "rocksdb.compaction-pending") != 0 ||
          property(stripe, "rocksdb.mem-table-flush-pending") != 0) {
        return false;
      }
    }
    auto* any = database_.stripes().front();
    return property(any, "rocksdb.num-running-flushes") == 0 &&
           property(any, "rocksdb.num-running-compactions") == 0;
  }

  std::uint64_t property(::rocksdb::ColumnFamilyHandle* stripe, const char* name) {
    std::uint64_t value = 0;
    if (!database_.db().GetIntProperty(stripe, name, &value)) {
      throw BadInput(std::string("RocksDB does not know ") + name);
    }
    return value;
  }

  std::shared_ptr<Observer> observer_;
  DemoDatabase database_;
  std::optional<rocksdb::ColumnFamilyCompactor> compactor_;
  std::optional<BackgroundWorker> worker_;
  bool stopped_ = false;
};

void write(compact::WriteSequence& writes, DemoDatabase& database) {
  compact::require_ok(writes.next(database), "writing");
}

void load(compact::WriteSequence& writes, DemoDatabase& database) {
  // The last of these writes is the first update.
  while (!writes.loaded()) {
    write(writes, database);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Files and bytes of each level, summed over the stripes; trailing empty levels are left out.
Json shape_of(DemoDatabase& database) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> levels;
  for (auto* stripe : database.stripes()) {
    ::rocksdb::ColumnFamilyMetaData metadata;
    database.db().GetColumnFamilyMetaData(stripe, &metadata);
    levels.resize(std::max(levels.size(), metadata.levels.size()));
    for (const auto& level : metadata.levels) {
      auto& [files, bytes] = levels[static_cast<std::size_t>(level.level)];
      files += level.files.size();
      bytes += level.size;
    }
  }
  while (!levels.empty() && levels.back().first == 0) {
    levels.pop_back();
  }
  Json shape = Json::array();
  for (const auto& [files, bytes] : levels) {
    shape.push_back({{"files", files}, {"bytes", bytes}});
  }
  return shape;
}

// What RocksDB itself counts, summed over the stripes, to find out where a difference comes from:
// what held up writers, and what was merged from the level above (Rn) and from the level itself
// (Rnp1) into each level, or moved there without being read.
Json counts_of(DemoDatabase& database) {
  static const std::regex wanted(
      R"(io_stalls\..*|compaction\.L\d\.(CompCount|MovedGB|RnGB|Rnp1GB|WriteGB))");
  std::map<std::string, double> counts;
  for (auto* stripe : database.stripes()) {
    std::map<std::string, std::string> properties;
    database.db().GetMapProperty(stripe, ::rocksdb::DB::Properties::kCFStats, &properties);
    for (const auto& [name, value] : properties) {
      if (const auto count = std::strtod(value.c_str(), nullptr);
          count != 0 && std::regex_match(name, wanted)) {
        counts[name] += count;
      }
    }
  }
  return counts;
}

class WrongData : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One database under one scheduling, then another that is shut down under load.
class Run {
 public:
  Run(const LoadOptions& options, const compact::RecordSet& records, Scheduling scheduling)
      : options_(options), records_(records), scheduling_(scheduling) {}

  // Throws WrongData if a key is not as written: there are no figures then.
  Json measure() {
    result_["scheduling"] = scheduling_ == Scheduling::worker ? "worker" : "rocksdb";
    load_and_update();
    shut_down_under_load("shutdown_under_load_ms", ShutdownOrder::worker_first);
    if (scheduling_ == Scheduling::worker) {
      shut_down_under_load("shutdown_under_load_database_first_ms", ShutdownOrder::database_first);
    }
    return result_;
  }

 private:
  void load_and_update() {
    const TemporaryFolder folder(options_.folder);
    compact::Ledger ledger(records_, options_.stripes);
    compact::WriteSequence writes(ledger, options_.seed);
    const auto observer = std::make_shared<Observer>();
    {
      Engine engine(folder.path(), options_, scheduling_, observer);
      auto& database = engine.database();
      const auto cpu_before = cpu_seconds();
      auto begun = Clock::now();
      load(writes, database);
      result_["load_seconds"] = seconds_since(begun);
      for (std::uint64_t update = 1; update < options_.updates; ++update) {
        write(writes, database);
      }
      const auto write_seconds = seconds_since(begun);
      const auto& counts = writes.counts();
      result_["writes"] = counts.puts + counts.deletes;
      result_["write_seconds"] = write_seconds;
      result_["writes_per_second"] =
          static_cast<double>(counts.puts + counts.deletes) / write_seconds;
      begun = Clock::now();
      database.flush();
      result_["flush_seconds"] = seconds_since(begun);
      engine.await_quiet();
      result_["quiet_seconds"] = seconds_since(begun);
      result_["cpu_seconds"] = cpu_seconds() - cpu_before;
      note(database, *observer);
      engine.shutdown();
    }
    shut_down_quiet(folder.path(), writes);
    check(folder.path(), ledger);
  }

  // The same files are opened again after each shutdown, and a little is written.
  void shut_down_quiet(const std::string& folder, compact::WriteSequence& writes) {
    std::vector<double> durations;
    for (unsigned shutdown = 0; shutdown < options_.shutdowns; ++shutdown) {
      Engine engine(folder, options_, scheduling_, std::make_shared<Observer>());
      auto& database = engine.database();
      for (std::uint64_t update = 0; update < options_.shutdown_updates; ++update) {
        write(writes, database);
      }
      database.flush();
      engine.await_quiet();
      durations.push_back(engine.shutdown());
    }
    note_shutdowns("shutdown_ms", durations);
  }

  void note_shutdowns(const std::string& name, const std::vector<double>& durations) {
    result_["each_" + name] = durations;
    result_[name] = median(durations);
  }

  void note(DemoDatabase& database, const Observer& observer) {
    result_["stall_seconds"] = database.stall_seconds();
    result_["counts"] = counts_of(database);
    result_["max_l0_files"] = observer.l0_files_max();
    const auto read = database.statistics().getTickerCount(::rocksdb::COMPACT_READ_BYTES);
    const auto written = database.statistics().getTickerCount(::rocksdb::COMPACT_WRITE_BYTES);
    result_["bytes_read"] = read;
    result_["bytes_written"] = written;
    result_["compacted_mib"] = static_cast<double>(read + written) / mib;
    result_["merging_at_once_max"] = database.listener().merging_max();
    for (const auto& [name, merging] : observer.merging()) {
      result_["merging_threads"][name] = {{"threads", merging.threads.size()},
                                          {"merges", merging.merges}};
    }
    result_["shape"] = shape_of(database);
  }

  // The same files are opened again after each shutdown, and written on from where the last one
  // left off.
  void shut_down_under_load(const std::string& name, ShutdownOrder order) {
    const TemporaryFolder folder(options_.folder);
    compact::Ledger ledger(records_, options_.stripes);
    compact::WriteSequence writes(ledger, options_.seed);
    std::vector<double> durations;
    for (unsigned shutdown = 0; shutdown < options_.shutdowns; ++shutdown) {
      Engine engine(folder.path(), options_, scheduling_, std::make_shared<Observer>());
      auto& database = engine.database();
      load(writes, database);
      for (std::uint64_t update = 0; update < options_.shutdown_updates; ++update) {
        write(writes, database);
      }
      // Nearly always something merges by then. Else writing goes on until something does.
      for (std::uint64_t more = 0;
           database.listener().merging() == 0 && more < options_.shutdown_updates; ++more) {
        write(writes, database);
      }
      result_["merging_at_shutdown"].push_back(database.listener().merging());
      durations.push_back(engine.shutdown(order));
    }
    note_shutdowns(name, durations);
    check(folder.path(), ledger);
  }

  void check(const std::string& folder, const compact::Ledger& ledger) {
    DemoDatabase database(folder, options_.stripes, config_of(options_));
    const auto verification = compact::verify(database.db(), database.stripes(), ledger);
    database.close();
    if (!verification.passed()) {
      throw WrongData(result_["scheduling"].get<std::string>() + ": " + verification.first_error);
    }
    result_["keys_verified"].push_back(verification.verified);
  }

  const LoadOptions& options_;
  const compact::RecordSet& records_;
  Scheduling scheduling_;
  Json result_;
};

// A figure of a run; lower is better in all of them.
struct Figure {
  const char* name;
  const char* title;
  const char* unit;
  const char* key;
};

constexpr Figure figures[] = {
    {"W9/write", "one thread loads every record, then writes a fixed number of skewed updates", "s",
     "write_seconds"},
    {"W9/stall", "of that, held up by RocksDB", "s", "stall_seconds"},
    {"W9/quiet", "from the last write until all is flushed and nothing is due", "s",
     "quiet_seconds"},
    {"W9/shutdown", "shutting down when nothing is due", "ms", "shutdown_ms"},
    {"W9/shutdown under load", "shutting down while stripes are merged", "ms",
     "shutdown_under_load_ms"},
    {"W9/max L0", "the most files of one stripe's L0", "files", "max_l0_files"},
    {"W9/compacted", "read and written by compactions", "MiB", "compacted_mib"},
    {"W9/processor", "processor time of all threads until nothing is due", "s", "cpu_seconds"},
};

Json subject_of(const char* name, const char* lacks, const std::vector<Json>& runs,
                const char* scheduling, const std::string& key) {
  std::vector<double> values;
  for (const auto& run : runs) {
    if (run["scheduling"] == scheduling) {
      values.push_back(run[key].get<double>());
    }
  }
  return {{"name", name}, {"lacks", lacks}, {"figures", values}};
}

Json workloads_of(const std::vector<Json>& runs) {
  Json workloads = Json::array();
  for (const auto& figure : figures) {
    auto subjects = Json::array();
    subjects.push_back(subject_of("kstone", "", runs, "worker", figure.key));
    subjects.push_back(subject_of("rocksdb",
                                  "requests, a wait for a stripe, a report of what a shutdown left "
                                  "undone, threads that end with the database",
                                  runs, "rocksdb", figure.key));
    if (figure.key == std::string("shutdown_under_load_ms")) {
      subjects.push_back(subject_of("kstone, database first", "", runs, "worker",
                                    "shutdown_under_load_database_first_ms"));
    }
    workloads.push_back({{"name", figure.name},
                         {"title", figure.title},
                         {"unit", figure.unit},
                         {"subjects", std::move(subjects)}});
  }
  return workloads;
}

void add_options(CLI::App& app, LoadOptions& options) {
  const std::map<std::string, Scheduling> schedulings{{"worker", Scheduling::worker},
                                                      {"rocksdb", Scheduling::rocksdb}};
  app.add_option("--pairs", options.pairs, "Runs under each scheduling")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--json", options.output, "Where to write the figures")->required();
  app.add_option("--scheduling", options.only,
                 "Only worker or only rocksdb, for a look at one of them")
      ->transform(CLI::CheckedTransformer(schedulings));
  app.add_option("--input", options.input,
                 "File of lines key TAB value, in place of Debian's package index");
  app.add_option("--dir", options.folder,
                 "Where to make the temporary folders (default: the system's place for them)");
  app.add_option("--stripes", options.stripes, "Stripes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Compactions at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--updates", options.updates, "Updates after the load")->capture_default_str();
  app.add_option("--shutdowns", options.shutdowns, "Shutdowns of each kind")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--shutdown-updates", options.shutdown_updates, "Updates before each of them")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the updates")->capture_default_str();
}

int run(int argc, char** argv) {
  LoadOptions options;
  CLI::App app(
      "W9: the demo's load on RocksDB, compacted by the worker and by RocksDB's own scheduling.");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  const auto records = options.input.empty() ? compact::read_system_records()
                                             : compact::read_record_file(options.input);
  std::cerr << "W9" << std::flush;
  std::vector<Json> runs;
  for (unsigned pair = 0; pair < options.pairs; ++pair) {
    std::array order{Scheduling::worker, Scheduling::rocksdb};
    if (pair % 2 == 1) {
      std::swap(order[0], order[1]);
    }
    for (const auto scheduling : order) {
      if (options.only.value_or(scheduling) == scheduling) {
        runs.push_back(Run(options, records, scheduling).measure());
        runs.back()["pair"] = pair;
      }
    }
    std::cerr << '.' << std::flush;
  }
  std::cerr << '\n';
  std::ofstream out(options.output);
  out << Json{{"rounds", options.pairs}, {"workloads", workloads_of(runs)}, {"runs", runs}}.dump(1)
      << '\n';
  out.close();
  if (!out) {
    throw BadInput("--json " + options.output + ": cannot be written");
  }
  return compact::exit_success;
}

}  // namespace
}  // namespace kstone::bench

int main(int argc, char** argv) {
  try {
    return kstone::bench::run(argc, argv);
  } catch (const kstone::bench::WrongData& error) {
    std::cerr << "\nkstone_bench_rocksdb: wrong data: " << error.what() << '\n';
    return kstone::compact::exit_wrong_data;
  } catch (const std::exception& error) {
    std::cerr << "\nkstone_bench_rocksdb: " << error.what() << '\n';
    return kstone::compact::exit_bad_input;
  }
}
