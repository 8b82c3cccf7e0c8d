// The end of a database: in which order, what becomes of writers that are stalled, what the report
// names, and what is left alone where it could not be done.

#include "kstone/rocksdb/database_closer.h"

#include <gtest/gtest.h>
#include <rocksdb/convenience.h>
#include <rocksdb/utilities/stackable_db.h>
#include <rocksdb/write_buffer_manager.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::Gate;
using kstone::test::ids;

constexpr std::chrono::nanoseconds at_once{0};

std::vector<std::uint32_t> ids(const std::vector<UndoneStripe>& undone) {
  std::vector<std::uint32_t> result;
  for (const auto& stripe : undone) {
    result.push_back(stripe.stripe_id);
  }
  return result;
}

// Writers slow down and stop at eight SSTs in L0.
void stop_at_eight(::rocksdb::ColumnFamilyOptions& options) {
  options.level0_slowdown_writes_trigger = 8;
  options.level0_stop_writes_trigger = 8;
}

::rocksdb::WriteOptions without_wal() {
  ::rocksdb::WriteOptions options;
  options.disableWAL = true;
  return options;
}

// A database, its worker, and what closes them. Nothing is requested before a test does so.
struct Scene {
  explicit Scene(std::uint32_t families, const Database::Tweak& tweak = {},
                 std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners = {},
                 const std::function<void(::rocksdb::DBOptions&)>& tweak_database = {},
                 const BackgroundWorker::Options& options = {})
      : database(families, tweak, std::move(listeners), tweak_database),
        worker(Database::config().with_max_concurrent(1), {}, compactor.stripe_count(),
               compactor.job(), options) {}

  void fill_l0(std::uint32_t family, std::size_t files) {
    while (database.files(family, 0) < files) {
      database.add_l0_file(family);
    }
  }
  ClosingDatabase closing(std::function<bool(Limit)> await_writers = {}, bool logged = false) {
    return {*database.db,       database.handles,         compactor, worker,
            *database.listener, std::move(await_writers), logged};
  }
  bool can_read() {
    std::string value;
    return !database.handles.empty() && database.db->Get({}, database.handles[0], "0", &value).ok();
  }

  Database database;
  ColumnFamilyCompactor compactor{database.db.get(), database.handles, Database::config()};
  BackgroundWorker worker;
};

// A writer that has begun and may have to wait.
struct Writer {
  Writer(Database& database, const ::rocksdb::WriteOptions& options = {})
      : ended(std::async(std::launch::async, [&database, options] {
          return database.db->Put(options, database.handles[0], "late", "value");
        })) {}

  std::function<bool(Limit)> joined() {
    return [this](Limit) {
      status = ended.get();
      return true;
    };
  }

  std::future<::rocksdb::Status> ended;
  ::rocksdb::Status status;
};

TEST(DatabaseCloser, closes_and_leaves_every_key_and_nobody_who_calls) {
  Scene scene(3);
  scene.database.listener->attach(scene.worker, scene.database.handles);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  for (std::uint32_t family = 0; family < 3; ++family) {
    scene.fill_l0(family, 2);
  }
  DatabaseCloser closer(scene.closing());
  // Another mode would discard, and name, what the last flushes have requested.
  const auto report = closer.close(ShutdownMode::drain);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.writers_ended);
  EXPECT_TRUE(report.shutdown.complete);
  EXPECT_TRUE(report.undone.empty());
  EXPECT_TRUE(report.errors.empty());
  EXPECT_TRUE(scene.database.handles.empty());
  // A family that is not attached would be counted if anything was.
  scene.database.listener->OnFlushCompleted(nullptr, {});
  EXPECT_EQ(scene.database.listener->unserved_events(), 0U);
  const auto again = closer.close(ShutdownMode::cancel, at_once);
  ASSERT_TRUE(again.closed);
  EXPECT_EQ(again.shutdown.mode, ShutdownMode::drain);
  scene.database.reopen();
  scene.database.expect_contents();
}

TEST(DatabaseCloser, drain_compacts_all_that_is_due_also_what_nobody_requested) {
  Scene scene(3);
  scene.fill_l0(0, 6);
  scene.fill_l0(1, 2);
  scene.fill_l0(2, 6);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  const auto report = DatabaseCloser(scene.closing()).close(ShutdownMode::drain);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.undone.empty());
  scene.database.reopen();
  EXPECT_LT(scene.database.files(0, 0), 4U);
  EXPECT_LT(scene.database.files(2, 0), 4U);
  scene.database.expect_contents();
}

TEST(DatabaseCloser, drain_compacts_what_waits_since_it_failed) {
  for (const bool quarantined : {false, true}) {
    BackgroundWorker::Options options;
    options.back_off.quarantine_after = quarantined ? 1 : 0;
    Scene scene(1, {}, {}, {}, options);
    scene.fill_l0(0, 6);
    EXPECT_EQ(scene.worker.start(), StartResult::started);
    scene.database.db->DisableManualCompaction();
    scene.worker.queue_compaction(0);
    EXPECT_EQ(scene.worker.wait_idle(), quarantined ? IdleResult::idle : IdleResult::delayed);
    EXPECT_EQ(scene.worker.snapshot().quarantined, quarantined ? 1U : 0U);
    scene.database.db->EnableManualCompaction();
    const auto report = DatabaseCloser(scene.closing()).close(ShutdownMode::drain);
    ASSERT_TRUE(report.closed);
    EXPECT_TRUE(report.undone.empty());
    scene.database.reopen();
    EXPECT_LT(scene.database.files(0, 0), 4U);
    scene.database.expect_contents();
  }
}

TEST(DatabaseCloser, names_what_was_requested_and_what_is_due_unrequested) {
  Scene scene(4);
  scene.fill_l0(0, 6);
  scene.fill_l0(1, 2);
  scene.fill_l0(2, 6);
  scene.worker.queue_compaction(1);  // not due, but accepted
  const auto report = DatabaseCloser(scene.closing()).close();
  ASSERT_TRUE(report.closed);
  EXPECT_EQ(ids(report.shutdown.discarded), std::vector<std::uint32_t>{1});
  ASSERT_EQ(ids(report.undone), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(report.undone[2].family, "2");
}

// -- Writers --------------------------------------------------------------------------------------

// Nobody has requested the compaction that the writer waits for.
TEST(DatabaseCloser, a_stalled_writer_is_freed_by_the_worker_and_its_write_is_done) {
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    Scene scene(1, stop_at_eight);
    scene.fill_l0(0, 8);
    EXPECT_EQ(scene.worker.start(), StartResult::started);
    Writer writer(scene.database);
    const auto report = DatabaseCloser(scene.closing(writer.joined())).close(mode);
    ASSERT_TRUE(report.closed) << to_string(mode);
    EXPECT_TRUE(writer.status.ok()) << writer.status.ToString();
    scene.database.reopen();
    EXPECT_LT(scene.database.files(0, 0), 8U);
    std::string value;
    expect_ok(scene.database.db->Get({}, scene.database.handles[0], "late", &value));
  }
}

// The worker has no thread, so no compaction would ever free the writer.
TEST(DatabaseCloser, a_stalled_writer_is_sent_back_at_once_where_nothing_has_to_be_flushed) {
  Scene scene(1, stop_at_eight);
  scene.fill_l0(0, 8);
  scene.worker.queue_compaction(0);
  Writer writer(scene.database);
  const auto report =
      DatabaseCloser(scene.closing(writer.joined(), true)).close(ShutdownMode::cancel);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(writer.status.IsShutdownInProgress()) << writer.status.ToString();
  EXPECT_EQ(ids(report.shutdown.discarded), std::vector<std::uint32_t>{0});
  EXPECT_EQ(ids(report.undone), std::vector<std::uint32_t>{0});
  scene.database.reopen();
  EXPECT_EQ(scene.database.files(0, 0), 8U);
  scene.database.expect_contents();
}

// What is in memory only has to be flushed, which RocksDB cannot do while the writer is stalled:
// it would have to be told first, and its flush would wait for the writer.
TEST(DatabaseCloser, a_stalled_writer_and_memtables_without_a_log_wait_for_the_worker) {
  Scene scene(2, stop_at_eight);
  scene.database.put(1, "in memory", "only", without_wal());
  scene.fill_l0(0, 8);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  Writer writer(scene.database, without_wal());
  const auto report = DatabaseCloser(scene.closing(writer.joined())).close(ShutdownMode::cancel);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(writer.status.ok()) << writer.status.ToString();
  scene.database.reopen();
  std::string value;
  expect_ok(scene.database.db->Get({}, scene.database.handles[0], "late", &value));
  expect_ok(scene.database.db->Get({}, scene.database.handles[1], "in memory", &value));
}

// RocksDB begins no flush after it was told, and a flush is what this writer waits for.
TEST(DatabaseCloser, a_writer_that_waits_for_the_memory_of_memtables_is_let_go_on_before) {
  Gate flushing;
  Gate flush;
  struct Hook final : ::rocksdb::EventListener {
    Hook(Gate& begun_gate, Gate& go_on_gate) : begun(begun_gate), go_on(go_on_gate) {}
    void OnFlushBegin(::rocksdb::DB*, const ::rocksdb::FlushJobInfo&) override {
      begun.open();
      go_on.pass();
    }
    Gate& begun;
    Gate& go_on;
  };
  const auto memory = std::make_shared<::rocksdb::WriteBufferManager>(4 << 20, nullptr, true);
  const auto small_blocks = [](auto& options) { options.arena_block_size = 4096; };
  Scene scene(1, small_blocks, {std::make_shared<Hook>(flushing, flush)},
              [&](auto& options) { options.write_buffer_manager = memory; });
  // Until the memory is used up, and the flush has begun that would free it.
  auto writer = std::async(std::launch::async, [&] {
    ::rocksdb::Status status;
    for (int i = 0; i < 8000 && status.ok(); ++i) {
      const auto key = "key " + std::to_string(i);
      status = scene.database.db->Put({}, scene.database.handles[0], key, std::string(1000, 'v'));
    }
    return status;
  });
  flushing.pass();
  while (!memory->IsStallActive()) {
    std::this_thread::yield();
  }
  ::rocksdb::Status written;
  const auto await_writers = [&](Limit) {
    flush.open();
    written = writer.get();
    return true;
  };
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  const auto report =
      DatabaseCloser(scene.closing(await_writers, true)).close(ShutdownMode::cancel);
  ASSERT_TRUE(report.closed);
  expect_ok(written);
}

TEST(DatabaseCloser, writers_that_stay_leave_everything_as_it_was) {
  Scene scene(1);
  scene.fill_l0(0, 6);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  bool ended = false;
  std::optional<std::chrono::nanoseconds> given;
  DatabaseCloser closer(scene.closing([&](Limit limit) {
    given = limit.nanoseconds();
    return ended;
  }));
  const auto first = closer.close(ShutdownMode::drain, std::chrono::hours(1));
  EXPECT_FALSE(first.closed);
  EXPECT_FALSE(first.writers_ended);
  EXPECT_FALSE(first.shutdown.complete);
  ASSERT_TRUE(given);
  EXPECT_GT(*given, std::chrono::nanoseconds(0));
  EXPECT_LE(*given, std::chrono::hours(1));
  EXPECT_TRUE(scene.worker.is_running());
  EXPECT_TRUE(scene.can_read());
  ended = true;
  EXPECT_TRUE(closer.close(ShutdownMode::drain).closed);
  EXPECT_FALSE(given);  // no limit
}

TEST(DatabaseCloser, passes_on_what_the_wait_for_writers_throws_and_may_be_called_again) {
  Scene scene(1);
  bool broken = true;
  DatabaseCloser closer(scene.closing([&](Limit) {
    if (broken) {
      throw std::runtime_error("no writers");
    }
    return true;
  }));
  EXPECT_THROW(closer.close(), std::runtime_error);
  EXPECT_EQ(scene.database.handles.size(), 1U);
  broken = false;
  EXPECT_TRUE(closer.close().closed);
}

// Who has only the default family needs no handle of his own for it.
TEST(DatabaseCloser, ends_the_worker_also_where_the_engine_has_no_handle) {
  Database database(0);
  auto& db = *database.db;
  const std::vector<::rocksdb::ColumnFamilyHandle*> served{db.DefaultColumnFamily()};
  const ColumnFamilyCompactor compactor(&db, served, Database::config());
  BackgroundWorker worker(Database::config(), {}, compactor.stripe_count(), compactor.job());
  for (int i = 0; i < 6; ++i) {
    expect_ok(db.Put({}, "key", std::to_string(i)));
    expect_ok(db.Flush({}));
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  int asked = 0;
  DatabaseCloser closer({.db = db,
                         .handles = database.handles,
                         .compactor = compactor,
                         .worker = worker,
                         .listener = *database.listener,
                         .await_writers = [&](Limit) { return ++asked != 0; }});
  const auto report = closer.close(ShutdownMode::drain);
  ASSERT_TRUE(report.closed);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(report.writers_ended);
  EXPECT_TRUE(report.shutdown.complete);
  EXPECT_TRUE(report.undone.empty());
  database.reopen();
  ::rocksdb::ColumnFamilyMetaData metadata;
  database.db->GetColumnFamilyMetaData(&metadata);
  EXPECT_LT(metadata.file_count, 6U);
}

// Threads are joined once.
TEST(DatabaseCloser, does_not_wait_again_for_writers_that_have_ended) {
  Gate merging;
  Gate go_on;
  Scene scene(1, {}, {std::make_shared<MergeHook>([&](const auto&) {
                merging.open();
                go_on.pass();
              })});
  scene.fill_l0(0, 5);
  scene.worker.queue_compaction(0);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  merging.pass();
  int asked = 0;
  DatabaseCloser closer(scene.closing([&](Limit) { return ++asked != 0; }));
  EXPECT_FALSE(closer.close(ShutdownMode::drain, at_once).closed);
  go_on.open();
  EXPECT_TRUE(closer.close(ShutdownMode::cancel).closed);
  EXPECT_EQ(asked, 1);
}

// -- Compactions ----------------------------------------------------------------------------------

// The first family is being merged, five wait. RocksDB is told while the first one merges.
TEST(DatabaseCloser, names_every_family_that_a_cancelled_end_left_undone) {
  for (const bool logged : {false, true}) {
    Gate merging;
    Gate go_on;
    Scene scene(6, {}, {std::make_shared<MergeHook>([&](const auto&) {
                  merging.open();
                  go_on.pass();
                })});
    for (std::uint32_t family = 0; family < 6; ++family) {
      scene.fill_l0(family, 5);
      scene.worker.queue_compaction(family);
    }
    EXPECT_EQ(scene.worker.start(), StartResult::started);
    merging.pass();
    DatabaseCloser closer(scene.closing({}, logged));
    const auto first = closer.close(ShutdownMode::cancel, at_once);
    EXPECT_FALSE(first.closed);
    EXPECT_EQ(ids(first.shutdown.still_running), std::vector<std::uint32_t>{0});
    go_on.open();
    const auto report = closer.close(ShutdownMode::cancel);
    ASSERT_TRUE(report.closed);
    EXPECT_EQ(ids(report.undone), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(ids(report.shutdown.unfinished), std::vector<std::uint32_t>{0});
    EXPECT_EQ(report.shutdown.first_error, "");
    scene.database.reopen();
    for (std::uint32_t family = 0; family < 6; ++family) {
      EXPECT_EQ(scene.database.files(family, 0), 5U);
    }
    scene.database.expect_contents();
  }
}

// Somebody has told RocksDB before, and the worker has seen its compactions end.
TEST(DatabaseCloser, names_what_rocksdb_broke_off_before) {
  Gate merging;
  Gate go_on;
  Scene scene(2, {}, {std::make_shared<MergeHook>([&](const auto&) {
                merging.open();
                go_on.pass();
              })});
  for (std::uint32_t family = 0; family < 2; ++family) {
    scene.fill_l0(family, 5);
    scene.worker.queue_compaction(family);
  }
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  merging.pass();
  ::rocksdb::CancelAllBackgroundWork(scene.database.db.get(), false);
  go_on.open();
  EXPECT_EQ(scene.worker.wait_idle(), IdleResult::idle);
  const auto report = DatabaseCloser(scene.closing({}, true)).close();
  ASSERT_TRUE(report.closed);
  EXPECT_EQ(ids(report.shutdown.unfinished), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(ids(report.undone), (std::vector<std::uint32_t>{0, 1}));
}

TEST(DatabaseCloser, a_limit_that_passes_destroys_nothing_and_the_call_may_be_repeated) {
  Gate merging;
  Gate go_on;
  Scene scene(1, {}, {std::make_shared<MergeHook>([&](const auto&) {
                merging.open();
                go_on.pass();
              })});
  scene.fill_l0(0, 5);
  scene.worker.queue_compaction(0);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  merging.pass();
  DatabaseCloser closer(scene.closing());
  for (const auto mode : {ShutdownMode::drain, ShutdownMode::drain}) {
    const auto report = closer.close(mode, at_once);
    EXPECT_FALSE(report.closed);
    EXPECT_TRUE(report.writers_ended);
    EXPECT_EQ(ids(report.shutdown.still_running), std::vector<std::uint32_t>{0});
    EXPECT_EQ(ids(report.undone), std::vector<std::uint32_t>{0});
    EXPECT_TRUE(report.errors.empty());
    EXPECT_TRUE(scene.can_read());
  }
  go_on.open();
  const auto report = closer.close(ShutdownMode::drain);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.undone.empty());
  scene.database.reopen();
  EXPECT_LT(scene.database.files(0, 0), 4U);
  scene.database.expect_contents();
}

TEST(DatabaseCloser, is_refused_in_a_job_and_destroys_nothing) {
  const std::pair<ShutdownMode, bool> ways[] = {{ShutdownMode::finish_running, false},
                                                {ShutdownMode::cancel, false},
                                                {ShutdownMode::cancel, true}};
  for (const auto& [how, is_logged] : ways) {
    const auto mode = how;
    const auto logged = is_logged;
    Scene scene(1);
    scene.fill_l0(0, 2);
    CloseReport report;
    BackgroundWorker* itself = nullptr;
    BackgroundWorker worker(Database::config(), {}, 1, [&](CompactionContext&) {
      ClosingDatabase closing{*scene.database.db, scene.database.handles, scene.compactor, *itself,
                              *scene.database.listener};
      closing.every_write_is_logged = logged;
      closing.await_writers = [&](Limit) {
        EXPECT_FALSE(logged) << "the worker was asked first, and has refused";
        return true;
      };
      report = DatabaseCloser(closing).close(mode);
      return CompactionOutcome::done();
    });
    itself = &worker;
    worker.queue_compaction(0);
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    EXPECT_TRUE(report.shutdown.refused);
    EXPECT_FALSE(report.closed);
    EXPECT_TRUE(worker.is_running());
    EXPECT_TRUE(scene.can_read());
    scene.database.add_l0_file(0);  // RocksDB was told nothing, either
    worker.shutdown();
  }
}

TEST(DatabaseCloser, families_that_were_dropped_are_no_work_and_no_error) {
  Scene scene(3);
  for (std::uint32_t family = 0; family < 3; ++family) {
    scene.fill_l0(family, 5);
  }
  scene.database.put(1, "in memory", "only", without_wal());
  expect_ok(scene.database.db->DropColumnFamily(scene.database.handles[1]));
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  const auto report = DatabaseCloser(scene.closing()).close();
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.errors.empty());
  EXPECT_EQ(ids(report.undone), (std::vector<std::uint32_t>{0, 2}));
}

// -- Memtables ------------------------------------------------------------------------------------

// Which flushes there were. Read while none runs.
struct FlushJobs final : ::rocksdb::EventListener {
  void OnFlushBegin(::rocksdb::DB*, const ::rocksdb::FlushJobInfo& info) override {
    const std::lock_guard<std::mutex> lock(mutex);
    jobs.insert(info.job_id);
  }
  std::mutex mutex;
  std::set<int> jobs;
};

// One more SST in L0 would stall writers, so RocksDB's own flush at the end waits for a compaction
// that nobody would run. The default family has no handle of the engine's.
TEST(DatabaseCloser, flushes_what_is_in_memory_only_where_l0_is_nearly_full) {
  for (const bool atomic : {false, true}) {
    const auto flushes = std::make_shared<FlushJobs>();
    Scene scene(2, stop_at_eight, {flushes}, [&](auto& options) { options.atomic_flush = atomic; });
    auto* default_family = scene.database.db->DefaultColumnFamily();
    ::rocksdb::FlushOptions flush;
    flush.allow_write_stall = true;
    for (int files = 0; files < 7; ++files) {
      expect_ok(scene.database.db->Put({}, default_family, "key", "value"));
      expect_ok(scene.database.db->Flush(flush, default_family));
    }
    scene.fill_l0(1, 7);
    scene.database.put(0, "in memory", "only", without_wal());
    scene.database.put(1, "in memory", "only", without_wal());
    expect_ok(scene.database.db->Put(without_wal(), default_family, "in memory", "only"));
    flushes->jobs.clear();
    const auto report = DatabaseCloser(scene.closing()).close();
    EXPECT_EQ(flushes->jobs.size(), atomic ? 1U : 3U);
    ASSERT_TRUE(report.closed);
    EXPECT_TRUE(report.errors.empty());
    EXPECT_EQ(ids(report.undone), std::vector<std::uint32_t>{1});
    scene.database.reopen();
    scene.database.expect_contents();
    std::string value;
    default_family = scene.database.db->DefaultColumnFamily();
    expect_ok(scene.database.db->Get({}, default_family, "in memory", &value));
  }
}

TEST(DatabaseCloser, flushes_nothing_that_the_engine_has_given_up) {
  Scene scene(1, stop_at_eight);
  scene.fill_l0(0, 7);
  expect_ok(scene.database.db->Put(without_wal(), scene.database.handles[0], "given", "up"));
  expect_ok(scene.database.db->SetDBOptions({{"avoid_flush_during_shutdown", "true"}}));
  EXPECT_TRUE(DatabaseCloser(scene.closing()).close().closed);
  scene.database.reopen();
  scene.database.expect_contents();
}

// -- Errors of RocksDB ----------------------------------------------------------------------------

// Answers of RocksDB that a healthy one does not give.
class FaultyDb final : public ::rocksdb::StackableDB {
 public:
  explicit FaultyDb(::rocksdb::DB* db)
      : StackableDB(std::shared_ptr<::rocksdb::DB>(db, [](::rocksdb::DB*) {})) {}

  ::rocksdb::Status Flush(const ::rocksdb::FlushOptions& options,
                          ::rocksdb::ColumnFamilyHandle* family) override {
    return flush.ok() ? StackableDB::Flush(options, family) : flush;
  }
  ::rocksdb::Status Flush(const ::rocksdb::FlushOptions& options,
                          const std::vector<::rocksdb::ColumnFamilyHandle*>& families) override {
    return flush.ok() ? StackableDB::Flush(options, families) : flush;
  }
  ::rocksdb::Status Close() override {
    ++closes;
    const auto done = close.IsAborted() ? ::rocksdb::Status() : StackableDB::Close();
    return close.ok() ? done : close;
  }
  ::rocksdb::Status DestroyColumnFamilyHandle(::rocksdb::ColumnFamilyHandle* family) override {
    const auto done = StackableDB::DestroyColumnFamilyHandle(family);
    return destroy.ok() ? done : destroy;
  }

  ::rocksdb::Status flush, close, destroy;
  int closes = 0;
};

TEST(DatabaseCloser, a_flush_that_fails_destroys_nothing_and_is_named) {
  for (const bool atomic : {false, true}) {
    Scene scene(2, {}, {}, [&](auto& options) { options.atomic_flush = atomic; });
    EXPECT_EQ(scene.worker.start(), StartResult::started);
    scene.database.put(1, "in memory", "only", without_wal());
    FaultyDb faulty(scene.database.db.get());
    faulty.flush = ::rocksdb::Status::NoSpace("full");
    DatabaseCloser closer(
        {faulty, scene.database.handles, scene.compactor, scene.worker, *scene.database.listener});
    const auto failed = closer.close(ShutdownMode::cancel);
    EXPECT_FALSE(failed.closed);
    ASSERT_EQ(failed.errors.size(), atomic ? 1U : 3U);  // with that of the default family
    EXPECT_EQ(failed.errors[atomic ? 0 : 1].text(),
              std::string("Flush of ") + (atomic ? "all column families" : "column family '1'") +
                  ": IO error: No space left on device: full");
    EXPECT_EQ(scene.database.handles.size(), 2U);
    EXPECT_TRUE(scene.worker.is_running());
    faulty.flush = {};
    const auto report = closer.close(ShutdownMode::cancel);
    ASSERT_TRUE(report.closed);
    EXPECT_TRUE(report.errors.empty());
    scene.database.reopen();
    scene.database.expect_contents();
  }
}

TEST(DatabaseCloser, errors_of_the_end_are_named_and_it_is_an_end) {
  Scene scene(1);
  FaultyDb faulty(scene.database.db.get());
  faulty.close = ::rocksdb::Status::IOError("directory");
  faulty.destroy = ::rocksdb::Status::InvalidArgument("handle");
  DatabaseCloser closer(
      {faulty, scene.database.handles, scene.compactor, scene.worker, *scene.database.listener});
  closer.close();
  const auto report = closer.close();  // the same; the database may be gone by now
  EXPECT_EQ(faulty.closes, 1);
  ASSERT_TRUE(report.closed);
  ASSERT_EQ(report.errors.size(), 2U);
  EXPECT_EQ(report.errors[0].text(), "DestroyColumnFamilyHandle: Invalid argument: handle");
  EXPECT_EQ(report.errors[1].text(), "Close: IO error: directory");
}

// RocksDB answers so while its user still holds a snapshot with a timestamp.
TEST(DatabaseCloser, a_database_that_cannot_close_yet_is_closed_by_a_later_call) {
  Scene scene(1);
  scene.fill_l0(0, 5);
  FaultyDb faulty(scene.database.db.get());
  faulty.close = ::rocksdb::Status::Aborted("snapshot");
  DatabaseCloser closer(
      {faulty, scene.database.handles, scene.compactor, scene.worker, *scene.database.listener});
  const auto first = closer.close();
  EXPECT_FALSE(first.closed);
  EXPECT_TRUE(scene.database.handles.empty());
  ASSERT_EQ(first.errors.size(), 1U);
  faulty.close = {};
  const auto report = closer.close();
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.errors.empty());
  EXPECT_EQ(ids(report.undone), std::vector<std::uint32_t>{0});
}

TEST(DatabaseCloser, a_snapshot_that_is_not_released_leaves_everything_as_it_was) {
  Scene scene(2);
  scene.database.listener->attach(scene.worker, scene.database.handles);
  EXPECT_EQ(scene.worker.start(), StartResult::started);
  scene.fill_l0(0, 5);
  const auto* snapshot = scene.database.db->GetSnapshot();
  const auto first = DatabaseCloser(scene.closing()).close(ShutdownMode::drain);
  EXPECT_FALSE(first.closed);
  EXPECT_EQ(scene.database.handles.size(), 2U);
  EXPECT_TRUE(scene.can_read());
  ASSERT_EQ(first.errors.size(), 1U);
  EXPECT_EQ(first.errors[0].text(), "Close: Operation aborted: 1 unreleased snapshots");
  scene.database.db->ReleaseSnapshot(snapshot);
  const auto report = DatabaseCloser(scene.closing()).close();  // another one
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.errors.empty());
  scene.database.reopen();
  scene.database.expect_contents();
}

// The handles are gone by then, and the compactor refers to them.
TEST(DatabaseCloser, another_one_may_go_on_where_rocksdb_refused_to_close) {
  Scene scene(2);
  scene.fill_l0(0, 5);
  FaultyDb faulty(scene.database.db.get());
  faulty.close = ::rocksdb::Status::Aborted("snapshot");
  const ClosingDatabase closing{faulty, scene.database.handles, scene.compactor, scene.worker,
                                *scene.database.listener};
  EXPECT_FALSE(DatabaseCloser(closing).close().closed);
  EXPECT_TRUE(scene.database.handles.empty());
  faulty.close = {};
  EXPECT_TRUE(DatabaseCloser(closing).close(ShutdownMode::drain).closed);
  EXPECT_TRUE(DatabaseCloser(closing).close(ShutdownMode::cancel).closed);
}

// An engine of one family may use RocksDB's own handle, which is not its to destroy.
TEST(DatabaseCloser, leaves_the_handle_of_the_default_family_to_rocksdb) {
  Database database(0);
  std::vector<::rocksdb::ColumnFamilyHandle*> handles{database.db->DefaultColumnFamily()};
  const ColumnFamilyCompactor compactor(database.db.get(), handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  const auto report =
      DatabaseCloser({*database.db, handles, compactor, worker, *database.listener}).close();
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.errors.empty());
  EXPECT_TRUE(handles.empty());
}

}  // namespace
}  // namespace kstone::rocksdb::test
