// Faults around a database that a worker compacts: a disk that is full or read-only and recovers, a
// process that is killed. docs/faults.md lists all. What kstone-compact says on a full or read-only
// tmpfs is in tests/rocksdb/command_line_test.cpp.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

#include "demo_database.h"
#include "faulty_file_system.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "process_support.h"
#include "sample_database.h"
#include "verifier.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using compact::DemoDatabase;
using Fault = FaultyFileSystem::Fault;

compact::RecordSet some_records() {
  compact::RecordSet set;
  set.texts = {std::string(200, 'a'), std::string(200, 'b')};
  for (int i = 0; i < 2000; ++i) {
    set.records.push_back({"key " + std::to_string(i), {0, 1}});
  }
  return set;
}

// One stripe with enough in L0 to be due, on a disk that can fail.
class Scene {
 public:
  Scene() {
    open();
    for (int round = 0; round < 4; ++round) {
      write();
      database_->flush();
    }
  }

  void open() {
    database_.reset();
    database_ = std::make_unique<DemoDatabase>(folder_.path().string(), 1, Database::config(),
                                               compact::DemoDatabaseOptions{.env = env_.get()});
  }
  void write() {
    for (std::size_t record = 0; record < ledger_.size(); ++record) {
      expect_ok(database_->db().Put({}, database_->stripes()[0], ledger_.key(record),
                                    ledger_.next_value(record)));
      ledger_.note_put(record);
    }
  }
  // What a worker says of it, with a request for the stripe.
  WorkerSnapshot compact(IdleResult expected) {
    const ColumnFamilyCompactor compactor(&database_->db(), database_->stripes(),
                                          Database::config());
    BackgroundWorker worker(Database::config(), CompactionStatsAtomic(), 1, compactor.job());
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.queue_compaction(0);
    EXPECT_EQ(worker.wait_idle(), expected);
    return worker.snapshot();
  }
  void expect_every_key() {
    const auto found = compact::verify(database_->db(), database_->stripes(), ledger_);
    EXPECT_TRUE(found.passed()) << found.first_error;
    EXPECT_EQ(found.verified, ledger_.size());
  }
  // While `fault` lasts, the job fails with `text`, its stripe waits, and nothing is lost.
  void expect_failure(Fault fault, const std::string& text) {
    disk().set(fault);
    const auto failed = compact(IdleResult::delayed);
    EXPECT_EQ(failed.outcomes[CompactionOutcome::Kind::retry], 1U);
    EXPECT_EQ(failed.delayed, 1U);
    EXPECT_EQ(failed.episodes_failed, 0U);
    EXPECT_NE(failed.first_error.find(text), std::string::npos) << failed.first_error;
    EXPECT_GT(disk().refused(), 0U);
    EXPECT_EQ(database_->l0_files(0), 4U);
    expect_every_key();
    disk().set(Fault::none);
  }
  void expect_success() {
    const auto done = compact(IdleResult::idle);
    EXPECT_EQ(done.first_error, "");
    EXPECT_GE(done.outcomes[CompactionOutcome::Kind::done], 1U);
    EXPECT_LT(database_->l0_files(0), 4U);
    expect_every_key();
  }

  ::rocksdb::DB& db() { return database_->db(); }
  FaultyFileSystem& disk() { return *disk_; }

 private:
  TemporaryFolder folder_;
  std::shared_ptr<FaultyFileSystem> disk_ = std::make_shared<FaultyFileSystem>();
  std::unique_ptr<::rocksdb::Env> env_ = ::rocksdb::NewCompositeEnv(disk_);
  const compact::RecordSet records_ = some_records();
  compact::Ledger ledger_{records_, 1};
  std::unique_ptr<DemoDatabase> database_;
};

TEST(Disk, that_is_full_delays_the_compaction_which_succeeds_once_there_is_space) {
  Scene scene;
  scene.expect_failure(Fault::full, "No space left on device");
  expect_ok(scene.db().Resume());
  scene.expect_success();
  scene.write();
}

TEST(Disk, that_is_read_only_delays_the_compaction_and_loses_nothing) {
  Scene scene;
  scene.expect_failure(Fault::read_only, "Read-only file system");
  const auto resumed = scene.db().Resume();
  std::cout << "Resume: " << resumed.ToString() << "\n";
  if (!resumed.ok()) {
    scene.open();  // RocksDB takes it for an error that only a reopening mends
  }
  scene.expect_success();
  scene.write();
}

// -- Kill -----------------------------------------------------------------------------------------

// KSTONE_KILLS is how often (3), KSTONE_SEED the seed (random). The worker keeps nothing on disk,
// so what a killed process leaves is the engine's: it must open, with every key, and the rest of
// the work must be doable.
TEST(Process, killed_in_the_middle_of_compactions_leaves_a_database_with_every_key) {
  const auto kills = setting("KSTONE_KILLS", 3);
  const auto seed = setting("KSTONE_SEED", std::random_device()());
  std::cout << "seed " << seed << ", " << kills << " kills\n";
  std::mt19937_64 random(seed);
  const SampleShape shape{4, 6, 12'000, 400};
  const TemporaryFolder folder;
  const auto original = folder.path() / "original";
  const auto copy = folder.path() / "copy";
  make_sample(original.string(), shape);
  std::uint64_t while_running = 0;
  // On a busy machine the process may be through before this thread looks; then that round has
  // shown nothing, and another is due.
  for (std::uint64_t round = 0; round < kills || (while_running == 0 && round < 20 * kills);
       ++round) {
    fs::remove_all(copy);
    fs::copy(original, copy, fs::copy_options::recursive);
    Process process({"db", copy.string(), "--workers", "2"});
    // A moment is a number of looks at a running compaction.
    const auto starts = 1 + random() % 4;
    auto looks = random() % (round < kills ? 200 : 1);
    while (!process.ended() && (count(process.out(), "' starts") < starts || looks-- > 0)) {
      std::this_thread::yield();
    }
    const auto log = process.out();
    kill(process.pid(), SIGKILL);
    const bool killed = process.wait().status == 128 + SIGKILL;
    while_running += killed && count(log, "' starts") > count(log, "' ends") ? 1 : 0;
    EXPECT_EQ(check_sample(copy.string(), shape), "") << "killed after " << log;
  }
  std::cout << while_running << " with a compaction running\n";
  EXPECT_GE(while_running, 1U);
  EXPECT_EQ(run({"db", copy.string()}).status, 0);
  EXPECT_EQ(check_sample(copy.string(), shape), "");
}

}  // namespace
}  // namespace kstone::rocksdb::test
