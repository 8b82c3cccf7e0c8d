// Random load on a RocksDB database that a worker compacts, with faults of the disk switched on and
// off, for as long as asked.
//
//   kstone_soak [--seconds N] [--seed N] [--summary FILE] [--plant FAULT]
//
// It is a row of lives: each opens the database, starts a worker of another size, writes, requests,
// waits, looks, cancels, pauses, removes and restores stripes, breaks the disk and mends it, has
// jobs that throw, and shuts down in some mode. All the time a thread holds the worker to its laws.
// After each life the accounts must agree, every key must be in the next one, and memory and
// threads must be no more than they were.
//
// It must have done something, too: a run without compactions, looks or verified keys fails, and
// one of fifty lives or more in which no disk failed a compaction.
//
// --plant makes it fail: lost_write notes a write that was never made, left_thread leaves a thread
// behind each life, no_load asks for nothing. The exit status is 0 if all was well, 1 if not, 2 for
// wrong arguments.

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../tests/faults/faulty_file_system.h"
#include "demo_database.h"
#include "kstone/background_worker.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "ledger.h"
#include "verifier.h"

namespace {

using kstone::BackgroundWorker;
using kstone::CompactionConfig;
using kstone::CompactionOutcome;
using kstone::Limit;
using kstone::PauseResult;
using kstone::RemoveResult;
using kstone::RestoreResult;
using kstone::ShutdownMode;
using kstone::WorkerSnapshot;
using kstone::compact::DemoDatabase;
using kstone::compact::Ledger;
using kstone::rocksdb::test::FaultyFileSystem;
using Clock = std::chrono::steady_clock;
using Fault = FaultyFileSystem::Fault;
using Random = std::mt19937_64;

constexpr std::uint32_t stripes = 8;

// With fewer lives memory is not judged; with fewer than `many_lives` chance may leave out the
// disk's failures or a mode of shutdown.
constexpr std::size_t enough_lives = 12;
constexpr std::size_t many_lives = 50;

enum class Plant { nothing, lost_write, left_thread, no_load };
const std::map<std::string, Plant> plants = {{"lost_write", Plant::lost_write},
                                             {"left_thread", Plant::left_thread},
                                             {"no_load", Plant::no_load}};

// What was wrong first; everything ends soon after it.
class Problems {
 public:
  void add(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (texts_.size() < 20) {
      texts_.push_back(text);
      std::fprintf(stderr, "soak: %s\n", text.c_str());
    }
  }
  void require(bool holds, const std::string& text) {
    if (!holds) {
      add(text);
    }
  }
  std::vector<std::string> all() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return texts_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
};

struct Totals {
  std::atomic<std::uint64_t> puts{0};
  std::atomic<std::uint64_t> deletes{0};
  std::atomic<std::uint64_t> writes_refused{0};
  std::atomic<std::uint64_t> looks{0};
  std::atomic<std::uint64_t> cancels{0};  // that found something
  std::atomic<std::uint64_t> pauses{0};
  std::atomic<std::uint64_t> removals{0};
  std::uint64_t lives = 0;
  std::uint64_t requests = 0;
  std::uint64_t compactions = 0;
  std::uint64_t compactions_failed = 0;
  std::uint64_t episodes = 0;
  std::uint64_t bytes_compacted = 0;
  std::uint64_t faults_switched_on = 0;
  std::uint64_t keys_verified = 0;
  std::map<std::string, std::uint64_t> shutdowns;  // by mode
};

// Resident memory in KiB and the number of threads, by the kernel's count.
struct Process {
  std::uint64_t resident_kib = 0;
  std::uint64_t threads = 0;

  static Process now() {
    malloc_trim(0);  // what is free is not held
    Process process;
    std::ifstream lines("/proc/self/status");
    for (std::string name; lines >> name; lines.ignore(1000, '\n')) {
      if (name == "VmRSS:") {
        lines >> process.resident_kib;
      } else if (name == "Threads:") {
        lines >> process.threads;
      }
    }
    return process;
  }
};

class Life {
 public:
  Life(const std::string& folder, FaultyFileSystem& disk, ::rocksdb::Env* env, Ledger& ledger,
       Random& random, Problems& problems, Totals& totals, Plant plant)
      : disk_(disk),
        ledger_(ledger),
        random_(random),
        problems_(problems),
        totals_(totals),
        plant_(plant),
        config_(CompactionConfig().with_sst_threshold(4).with_check_interval(1).with_max_concurrent(
            1 + static_cast<std::uint32_t>(random() % 4))),
        database_(folder, stripes, config_, {.env = env}),
        compactor_(&database_.db(), database_.stripes(), config_, 1ULL << 20),
        worker_(config_, {}, stripes,
                [this, compact = compactor_.job()](kstone::CompactionContext& context) {
                  ++begun_[context.stripe_id()];
                  if (++jobs_ % 97 == 0) {
                    ++thrown_;
                    throw context.stripe_id();
                  }
                  return compact(context);
                },
                {compactor_.scan(), [this](kstone::LogLevel, std::string_view) { ++lines_; }}) {}

  void verify() {
    const auto found = kstone::compact::verify(database_.db(), database_.stripes(), ledger_);
    totals_.keys_verified += found.verified;
    problems_.require(found.passed(), "a key is not as it was written: " + found.first_error);
  }

  void live(std::chrono::milliseconds time) {
    database_.listener().attach(worker_, database_.stripes());
    problems_.require(worker_.start() == kstone::StartResult::started, "start did not start");
    const auto thread = [this](void (Life::*body)(Random&)) {
      threads_.emplace_back([this, body, seed = random_()] {
        Random own(seed);
        while (!ended_) {
          (this->*body)(own);
        }
      });
    };
    if (plant_ != Plant::no_load) {
      thread(&Life::write);
      thread(&Life::request);
      thread(&Life::request);
      thread(&Life::hold_back);
    }
    thread(&Life::look);
    break_and_mend(time);
    end();
  }

 private:
  // The only thread that touches the ledger.
  void write(Random& own) {
    const auto record = own() % ledger_.size();
    const auto family = database_.stripes()[ledger_.stripe(record)];
    const bool removes = ledger_.present(record) && own() % 8 == 0;
    const auto status =
        removes ? database_.db().Delete({}, family, ledger_.key(record))
        : plant_ == Plant::lost_write
            ? ::rocksdb::Status::OK()
            : database_.db().Put({}, family, ledger_.key(record), ledger_.next_value(record));
    // RocksDB refuses writes after a failed flush or compaction, before they reach its log.
    if (!status.ok()) {
      ++totals_.writes_refused;
      if (broken_ || !refused_since_) {
        refused_since_ = Clock::now();
      }
      // RocksDB looks every five seconds whether there is space again.
      problems_.require(Clock::now() - *refused_since_ < std::chrono::seconds(60),
                        "writes do not recover on a sound disk: " + status.ToString());
      pause(own, 10'000);
      return;
    }
    refused_since_.reset();
    if (removes) {
      ledger_.note_delete(record);
      ++totals_.deletes;
    } else {
      ledger_.note_put(record);
      ++totals_.puts;
    }
  }

  void request(Random& own) {
    const auto stripe = static_cast<std::uint32_t>(own() % (stripes + 1));
    const auto answer = worker_.queue_compaction(stripe);
    problems_.require(stripe == stripes
                          ? answer == kstone::Submission::rejected_unknown_stripe
                          : accepted(answer) || answer == kstone::Submission::rejected_removed ||
                                (answer == kstone::Submission::rejected_shutting_down && ended_),
                      "a request was answered " + std::string(to_string(answer)));
    if (own() % 64 == 0) {
      const auto idle = worker_.wait_idle(std::chrono::milliseconds(own() % 20));
      problems_.require(idle == kstone::IdleResult::idle || idle == kstone::IdleResult::timed_out ||
                            idle == kstone::IdleResult::delayed ||
                            (idle == kstone::IdleResult::shut_down && ended_),
                        "wait_idle answered " + std::string(to_string(idle)));
    }
    pause(own, 4000);
  }

  // The only thread that removes, so no more than one stripe is removed at a time.
  void hold_back(Random& own) {
    const auto stripe = static_cast<std::uint32_t>(own() % stripes);
    const auto limit = own() % 2 == 0 ? Limit() : Limit(std::chrono::milliseconds(own() % 20));
    switch (own() % 4) {
      case 0: {
        const auto report = worker_.cancel(stripe, limit);
        totals_.cancels += report.waited || report.running ? 1U : 0U;
        break;
      }
      case 1:
        remove(own, stripe, limit);
        break;
      case 2:
        keep_paused(own, worker_.pause(stripe, limit), stripe, stripe + 1);
        break;
      default:
        keep_paused(own, worker_.pause_all(limit), 0, stripes);
    }
    pause(own, 20'000);
  }

  void keep_paused(Random& own, const kstone::PauseGuard& guard, std::uint32_t first,
                   std::uint32_t last) {
    if (guard.result() != PauseResult::paused) {
      problems_.require(guard.result() == PauseResult::still_running ||
                            (guard.result() == PauseResult::shut_down && ended_),
                        "a pause answered " + std::string(to_string(guard.result())));
      return;
    }
    const auto before = begun(first, last);
    pause(own, 5000);
    problems_.require(begun(first, last) == before, "a compaction begins that a pause holds");
    ++totals_.pauses;
  }

  void remove(Random& own, std::uint32_t stripe, Limit limit) {
    auto removed = worker_.remove(stripe, limit);
    if (removed == RemoveResult::timed_out) {
      removed = worker_.remove(stripe);
    }
    if (removed == RemoveResult::removed) {
      const auto before = begun(stripe, stripe + 1);
      pause(own, 5000);
      problems_.require(begun(stripe, stripe + 1) == before, "a removed stripe is compacted");
      ++totals_.removals;
      const auto restored = worker_.restore(stripe);
      problems_.require(
          restored == RestoreResult::restored || (restored == RestoreResult::shut_down && ended_),
          "a restore answered " + std::string(to_string(restored)));
      return;
    }
    problems_.require(removed == RemoveResult::shut_down && ended_,
                      "a removal answered " + std::string(to_string(removed)));
  }

  // Compactions of the stripes.
  std::uint64_t begun(std::uint32_t first, std::uint32_t last) const {
    return std::accumulate(begun_.begin() + first, begun_.begin() + last, std::uint64_t{0});
  }

  void look(Random& own) {
    check(worker_.snapshot());
    problems_.require(worker_.is_running() || ended_, "the worker does not run");
    ++totals_.looks;
    pause(own, 2000);
  }

  void check(const WorkerSnapshot& s) {
    problems_.require(s.episodes_opened == s.episodes_done + s.episodes_failed +
                                               s.episodes_cancelled + s.episodes_removed +
                                               s.episodes_discarded + s.episodes_alive,
                      "episodes are not conserved");
    problems_.require(s.episodes_opened == s.queued + s.rerun_pending + s.retries + s.probes,
                      "episodes are not as many as the requests that opened them");
    problems_.require(s.running <= config_.max_concurrent_compactions &&
                          s.running_max <= config_.max_concurrent_compactions,
                      "more compactions run than configured");
    problems_.require(s.queue_size <= stripes, "more stripes wait than there are");
    problems_.require(s.held <= s.queue_size, "more stripes are held than wait");
    problems_.require(s.removed <= 1, "a stripe is removed that nobody has removed");
  }

  void pause(Random& own, unsigned microseconds_max) {
    std::unique_lock<std::mutex> lock(mutex_);
    ends_.wait_for(lock, std::chrono::microseconds(own() % microseconds_max),
                   [this] { return ended_.load(); });
  }

  void break_and_mend(std::chrono::milliseconds time) {
    const auto end = Clock::now() + time;
    bool beyond_repair = false;
    while (Clock::now() < end && problems_.all().empty()) {
      pause(random_, 1'000'000);
      if (random_() % 4 == 0) {
        // Read-only is fatal to RocksDB: only the next life mends it, so it comes near the end of
        // this one.
        const bool fatal =
            random_() % 4 == 0 && end - Clock::now() < std::chrono::milliseconds(500);
        broken_ = true;
        beyond_repair = beyond_repair || fatal;
        disk_.set(fatal ? Fault::read_only : Fault::full);
        ++totals_.faults_switched_on;
        pause(random_, 300'000);
        disk_.set(Fault::none);
        // It may be about to recover by itself, or cannot.
        database_.db().Resume().PermitUncheckedError();
        broken_ = beyond_repair;
      }
    }
  }

  void end() {
    disk_.set(Fault::none);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    ends_.notify_all();
    const auto mode = static_cast<ShutdownMode>(random_() % 3);
    if (random_() % 2 == 0) {  // under the callers
      worker_.shutdown(mode, std::chrono::milliseconds(random_() % 10));
    }
    for (auto& thread : threads_) {
      thread.join();
    }
    const auto report = worker_.shutdown(mode);
    ++totals_.shutdowns[std::string(to_string(report.mode))];
    database_.listener().detach();
    const auto s = worker_.snapshot();
    check(s);
    problems_.require(report.complete && report.still_running.empty(),
                      "a shutdown without a limit is not complete");
    problems_.require(s.episodes_alive == 0 && s.running == 0 && s.queue_size == 0 &&
                          s.worker_threads == 0 && s.waiting_callers == 0 &&
                          s.stats.active_compactions == 0,
                      "after shutdown something is left");
    problems_.require(s.compactions_started == jobs_, "compactions and jobs are not as many");
    problems_.require(
        s.stats.total_compactions == s.outcomes[CompactionOutcome::Kind::done] +
                                         s.outcomes[CompactionOutcome::Kind::more_work],
        "total_compactions is not the number of compactions that did something");
    problems_.require(s.outcomes[CompactionOutcome::Kind::failed] == thrown_,
                      "jobs that failed and that threw are not as many: " + s.first_error);
    totals_.requests += s.requests();
    totals_.compactions += s.compactions_started;
    totals_.compactions_failed += s.outcomes[CompactionOutcome::Kind::retry];
    totals_.episodes += s.episodes_opened;
    totals_.bytes_compacted += s.stats.total_bytes_read + s.stats.total_bytes_written;
    ++totals_.lives;
  }

  FaultyFileSystem& disk_;
  Ledger& ledger_;
  Random& random_;
  Problems& problems_;
  Totals& totals_;
  const Plant plant_;
  const CompactionConfig config_;
  std::atomic<std::uint64_t> jobs_{0};
  std::atomic<std::uint64_t> thrown_{0};
  std::array<std::atomic<std::uint64_t>, stripes> begun_ = {};  // compactions of each
  std::atomic<std::uint64_t> lines_{0};
  std::atomic<bool> broken_{false};
  // On a sound disk, without a write that succeeded.
  std::optional<Clock::time_point> refused_since_;
  std::mutex mutex_;
  std::condition_variable ends_;
  std::atomic<bool> ended_{false};
  DemoDatabase database_;
  const kstone::rocksdb::ColumnFamilyCompactor compactor_;
  BackgroundWorker worker_;
  std::vector<std::thread> threads_;
};

kstone::compact::RecordSet some_records(Random& random) {
  kstone::compact::RecordSet set;
  for (int i = 0; i < 16; ++i) {
    std::string text(100 + random() % 900, ' ');
    std::generate(text.begin(), text.end(), [&] { return static_cast<char>('!' + random() % 90); });
    set.texts.push_back(text);
  }
  for (int i = 0; i < 20'000; ++i) {
    set.records.push_back(
        {"key " + std::to_string(i), {static_cast<std::uint32_t>(random() % 16)}});
  }
  return set;
}

std::uint64_t median(std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// Memory is flat if the last third of the lives holds no more than the second one, but for a tenth
// and 8 MiB; the first third warms caches up. Threads must be the same after each life.
void check_flat(const std::vector<Process>& lives, Problems& problems,
                nlohmann::ordered_json& summary) {
  std::vector<std::uint64_t> thirds[3];
  for (std::size_t i = 0; i < lives.size(); ++i) {
    thirds[3 * i / lives.size()].push_back(lives[i].resident_kib);
    problems.require(lives[i].threads == lives[0].threads,
                     "after a life there were " + std::to_string(lives[i].threads) +
                         " threads, after the first " + std::to_string(lives[0].threads));
  }
  const auto before = median(thirds[1]);
  const auto after = median(thirds[2]);
  summary["resident_mib_first_middle_last_third"] = {median(thirds[0]) / 1024, before / 1024,
                                                     after / 1024};
  summary["threads_after_each_life"] = lives.empty() ? 0 : lives.back().threads;
#if defined(__SANITIZE_THREAD__)
  constexpr std::size_t enough = SIZE_MAX;  // a sanitizer's shadow grows with what was touched
#else
  constexpr std::size_t enough = enough_lives;
#endif
  if (lives.size() >= enough) {
    problems.require(after <= before + before / 10 + 8192, "resident memory grew from " +
                                                               std::to_string(before) + " to " +
                                                               std::to_string(after) + " KiB");
  } else {
    summary["note"] = "too few lives, or a sanitizer: memory was not judged";
  }
}

// Laws that were never tried hold. What must have happened for this run to say anything:
void check_done(const Totals& totals, Problems& problems) {
  const auto happened = [&](std::uint64_t count, const char* what) {
    problems.require(count != 0,
                     "in " + std::to_string(totals.lives) + " lives there was not one " + what);
  };
  happened(totals.compactions, "compaction");
  happened(totals.puts, "write");
  happened(totals.looks, "snapshot");
  happened(totals.cancels, "cancel that found something");
  happened(totals.pauses, "pause");
  happened(totals.removals, "removal");
  happened(totals.keys_verified, "key to verify");
  if (totals.lives >= many_lives) {
    happened(totals.faults_switched_on, "fault of the disk");
    happened(totals.compactions_failed, "compaction that the disk failed");
    problems.require(totals.shutdowns.size() == 3, "not every mode of shutdown occurred");
  }
}

class Folder {
 public:
  Folder() {
    auto pattern = (std::filesystem::temp_directory_path() / "kstone-soak-XXXXXX").string();
    path = mkdtemp(pattern.data()) != nullptr ? pattern
                                              : throw std::runtime_error("mkdtemp " + pattern);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path;
};

struct Arguments {
  std::uint64_t seconds = 60;
  std::uint64_t seed = std::random_device()();
  std::string summary;
  Plant plant = Plant::nothing;
};

int soak(const Arguments& arguments) {
  Random random(arguments.seed);
  const auto disk = std::make_shared<FaultyFileSystem>();
  const auto env = ::rocksdb::NewCompositeEnv(disk);
  const auto records = some_records(random);
  const Folder folder;
  Ledger ledger(records, stripes);
  Problems problems;
  Totals totals;
  std::vector<Process> processes;
  const auto begun = Clock::now();
  const auto elapsed = [&] { return Clock::now() - begun; };
  while (elapsed() < std::chrono::seconds(arguments.seconds) && problems.all().empty()) {
    {
      Life life(folder.path, *disk, env.get(), ledger, random, problems, totals, arguments.plant);
      life.verify();
      life.live(std::chrono::milliseconds(random() %
                                          std::max<std::uint64_t>(arguments.seconds * 20, 1000)));
    }
    if (arguments.plant == Plant::left_thread) {
      std::thread(pause).detach();
    }
    processes.push_back(Process::now());
  }
  Life(folder.path, *disk, env.get(), ledger, random, problems, totals, Plant::nothing).verify();

  nlohmann::ordered_json summary;
  summary["seed"] = arguments.seed;
  summary["seconds"] = std::chrono::duration_cast<std::chrono::seconds>(elapsed()).count();
  check_flat(processes, problems, summary);
  check_done(totals, problems);
  summary["lives"] = totals.lives;
  summary["puts"] = totals.puts.load();
  summary["deletes"] = totals.deletes.load();
  summary["writes_refused"] = totals.writes_refused.load();
  summary["requests"] = totals.requests;
  summary["episodes"] = totals.episodes;
  summary["compactions"] = totals.compactions;
  summary["compactions_failed_by_the_disk"] = totals.compactions_failed;
  summary["bytes_compacted"] = totals.bytes_compacted;
  summary["faults_switched_on"] = totals.faults_switched_on;
  summary["writes_refused_by_the_disk"] = disk->refused();
  summary["snapshots_held_to_the_laws"] = totals.looks.load();
  summary["cancels_that_found_something"] = totals.cancels.load();
  summary["pauses"] = totals.pauses.load();
  summary["removals"] = totals.removals.load();
  summary["keys_verified"] = totals.keys_verified;
  summary["shutdowns"] = totals.shutdowns;
  summary["problems"] = problems.all();
  std::printf("%s\n", summary.dump(2).c_str());
  if (!arguments.summary.empty()) {
    std::ofstream file(arguments.summary);
    file << summary.dump(1) << "\n";
    if (!file.flush()) {
      std::fprintf(stderr, "kstone_soak: --summary %s: cannot be written\n",
                   arguments.summary.c_str());
      return 2;
    }
  }
  return problems.all().empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (value != nullptr && option == "--seconds") {
      arguments.seconds = std::strtoull(value, nullptr, 10);
    } else if (value != nullptr && option == "--seed") {
      arguments.seed = std::strtoull(value, nullptr, 10);
    } else if (value != nullptr && option == "--summary") {
      arguments.summary = value;
    } else if (value != nullptr && option == "--plant" && plants.contains(value)) {
      arguments.plant = plants.at(value);
    } else {
      std::fprintf(stderr, "kstone_soak: '%s' is unknown or lacks its value\n", argv[i]);
      std::fprintf(stderr,
                   "usage: kstone_soak [--seconds N] [--seed N] [--summary FILE] [--plant "
                   "lost_write|left_thread|no_load]\n");
      return 2;
    }
  }
  std::printf("soak: --seed %llu\n", static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  return soak(arguments);
}
