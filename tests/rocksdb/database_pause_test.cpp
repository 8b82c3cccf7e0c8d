// The pause of database and worker: nothing replaces an SST while it is in effect, whatever is due
// or requested, and all goes on after it. The last two: the worker's own pause, and its first scan.

#include "kstone/rocksdb/database_pause.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::Gate;

constexpr std::chrono::seconds at_once(0);

// Two families; a merge, once it has begun, waits at the gate.
struct Scene {
  Gate begun;
  Gate go_on;
  Database database{2, {}, {std::make_shared<MergeHook>([this](const auto&) {
                      begun.open();
                      go_on.pass();
                    })}};
  ColumnFamilyCompactor compactor{database.db.get(), database.handles, Database::config()};
  BackgroundWorker worker{Database::config(), {}, compactor.stripe_count(), compactor.job()};

  Scene() {
    database.listener->attach(worker, database.handles);
    EXPECT_EQ(worker.start(), StartResult::started);
  }
  ~Scene() {
    go_on.open();
    worker.shutdown();
    database.listener->detach();
  }

  void fill_l0(std::uint32_t family) {
    while (database.files(family, 0) < 6) {
      database.ingest(family);
    }
  }
  std::vector<std::string> live_ssts() const {
    std::vector<::rocksdb::LiveFileMetaData> files;
    database.db->GetLiveFilesMetaData(&files);
    std::vector<std::string> names;
    for (const auto& file : files) {
      names.push_back(file.name);
    }
    return names;
  }
  // Begins a flush, and returns once all has run that RocksDB has scheduled for the one thread that
  // flushes. What a pause holds is not scheduled.
  void begin_flush(std::uint32_t family) {
    ::rocksdb::FlushOptions flush;
    flush.allow_write_stall = true;
    flush.wait = false;
    expect_ok(database.db->Flush(flush, database.handles[family]));
    auto& env = *::rocksdb::Env::Default();
    ASSERT_EQ(env.GetBackgroundThreads(::rocksdb::Env::HIGH), 1);
    Gate passed;
    env.Schedule([](void* gate) { static_cast<Gate*>(gate)->open(); }, &passed,
                 ::rocksdb::Env::HIGH);
    passed.pass();
  }
  // Family 0 is due before the pause, and requested in it; family 1 is filled before, and flushed
  // and requested in it.
  void expect_still() {
    const auto before = live_ssts();
    database.put(0, "written", "in the pause");
    worker.queue_compaction(0);
    begin_flush(0);
    database.listener->OnFlushCompleted(nullptr, [&] {
      ::rocksdb::FlushJobInfo info{};
      info.cf_id = database.handles[1]->GetID();
      return info;
    }());
    EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
    EXPECT_EQ(worker.queue_size(), 2U);
    EXPECT_EQ(live_ssts(), before);
  }
};

TEST(DatabasePause, nothing_replaces_an_sst_and_afterwards_what_was_due_is_compacted) {
  Scene scene;
  scene.go_on.open();
  std::optional<DatabasePause> pause;
  {
    const auto filling = scene.worker.pause_all();
    scene.fill_l0(0);
    scene.fill_l0(1);
    pause.emplace(*scene.database.db, scene.worker);
  }
  expect_ok(pause->status());
  scene.expect_still();
  pause.reset();
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);  // without a flush or a request
  EXPECT_LT(scene.database.files(0, 0), 4U);
  EXPECT_LT(scene.database.files(1, 0), 4U);
  scene.database.flush(0);  // ends only if RocksDB goes on, too
  scene.database.expect_contents();
}

// What it is for. A writer goes on while the files are copied.
TEST(DatabasePause, files_that_are_copied_meanwhile_are_a_database) {
  Scene scene;
  scene.go_on.open();
  auto& database = scene.database;
  for (int files = 0; files < 6; ++files) {
    database.add_l0_file(0);
  }
  const TemporaryFolder copies;
  const auto copy = copies.path() / "copy";
  {
    const DatabasePause pause(*database.db, scene.worker);
    expect_ok(pause.status());
    std::atomic<bool> end{false};
    std::thread writer([&] {
      for (int i = 0; !end.load(std::memory_order_relaxed); ++i) {
        database.put(1, std::to_string(i % 100), "written meanwhile");
        std::this_thread::yield();
      }
    });
    scene.worker.queue_compaction(0);
    std::filesystem::copy(database.db->GetName(), copy);
    end.store(true, std::memory_order_relaxed);
    writer.join();
  }
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);
  ::rocksdb::DB* opened = nullptr;
  std::vector<::rocksdb::ColumnFamilyHandle*> handles;
  const ::rocksdb::ColumnFamilyOptions options;
  expect_ok(::rocksdb::DB::Open({}, copy.string(),
                                {{"default", options}, {"0", options}, {"1", options}}, &handles,
                                &opened));
  ASSERT_NE(opened, nullptr);
  const std::unique_ptr<::rocksdb::DB> db(opened);
  expect_ok(db->VerifyChecksum());
  for (int i = 0; i < 100; ++i) {
    const auto key = std::to_string(i);
    std::string here, there;
    if (database.db->Get({}, database.handles[0], key, &here).ok()) {
      expect_ok(db->Get({}, handles[1], key, &there));
      EXPECT_EQ(here, there);
    }
  }
  for (auto* handle : handles) {
    expect_ok(db->DestroyColumnFamilyHandle(handle));
  }
}

TEST(DatabasePause, the_last_of_several_lets_all_go_on) {
  Scene scene;
  scene.go_on.open();
  std::optional<DatabasePause> first;
  first.emplace(*scene.database.db, scene.worker);
  std::optional<DatabasePause> second;
  second.emplace(*scene.database.db, scene.worker);
  expect_ok(second->status());
  first.reset();
  scene.fill_l0(0);
  scene.expect_still();
  second.reset();
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);
  EXPECT_LT(scene.database.files(0, 0), 4U);
  scene.database.flush(0);
}

TEST(DatabasePause, waits_for_the_compaction_that_runs) {
  Scene scene;
  scene.fill_l0(0);
  scene.begun.pass();
  std::thread copier([&] {
    const DatabasePause pause(*scene.database.db, scene.worker);
    expect_ok(pause.status());
    EXPECT_EQ(scene.worker.snapshot().running, 0U);
    scene.expect_still();
  });
  while (scene.worker.snapshot().waiting_callers != 1) {
    std::this_thread::yield();
  }
  EXPECT_EQ(scene.worker.snapshot().running, 1U);
  scene.go_on.open();
  copier.join();
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);
  scene.database.expect_contents();
}

TEST(DatabasePause, where_a_compaction_outlasts_the_limit_it_holds_nothing) {
  Scene scene;
  scene.fill_l0(0);
  scene.begun.pass();
  {
    const DatabasePause pause(*scene.database.db, scene.worker, at_once);
    EXPECT_TRUE(pause.status().IsTimedOut()) << pause.status().ToString();
    scene.database.put(1, "flushed", "all the same");
    scene.database.flush(1);
    scene.go_on.open();
    EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);
  }
  EXPECT_LT(scene.database.files(0, 0), 4U);
  scene.database.flush(0);
}

TEST(DatabasePause, of_a_worker_that_was_shut_down_holds_nothing) {
  Scene scene;
  scene.worker.shutdown();
  const DatabasePause pause(*scene.database.db, scene.worker);
  EXPECT_TRUE(pause.status().IsShutdownInProgress()) << pause.status().ToString();
  scene.database.put(0, "flushed", "all the same");
  scene.database.flush(0);
}

TEST(DatabasePause, in_a_job_is_refused_and_holds_nothing) {
  Database database(1);
  BackgroundWorker* itself = nullptr;
  ::rocksdb::Status status;
  BackgroundWorker worker(Database::config(), {}, 1, [&](CompactionContext&) {
    const DatabasePause pause(*database.db, *itself);
    status = pause.status();
    database.add_l0_file(0);
    return CompactionOutcome::done();
  });
  itself = &worker;
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(status.IsInvalidArgument()) << status.ToString();
}

// -- What the page says of the worker alone -------------------------------------------------------

TEST(WorkerPause, holds_compactions_while_flushes_go_on) {
  Scene scene;
  scene.go_on.open();
  const auto pause = scene.worker.pause_all();
  EXPECT_EQ(pause.result(), PauseResult::paused);
  for (int files = 0; files < 6; ++files) {
    scene.database.add_l0_file(0);
  }
  scene.worker.queue_compaction(0);
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::paused);
  EXPECT_EQ(scene.database.files(0, 0), 6U);
}

// Twelve SSTs in each family, and no writer: only the scan finds them.
TEST(FirstScan, a_wait_after_start_leaves_no_family_due) {
  Database database(3);
  for (std::uint32_t family = 0; family < 3; ++family) {
    for (int files = 0; files < 12; ++files) {
      database.add_l0_file(family);
    }
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 3, compactor.job(), {.scan = compactor.scan()});
  EXPECT_EQ(compactor.due().size(), 3U);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(compactor.due().empty());
  database.expect_contents();
}

}  // namespace
}  // namespace kstone::rocksdb::test
