// The listener: from when until when a flush reaches a worker.

#include "kstone/rocksdb/database_listener.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::do_nothing;

::rocksdb::FlushJobInfo flush_of(const ::rocksdb::ColumnFamilyHandle* handle) {
  ::rocksdb::FlushJobInfo info{};
  info.cf_id = handle->GetID();
  return info;
}

TEST(DatabaseListener, a_flush_requests_its_own_stripe) {
  Database database(3);
  BackgroundWorker worker(Database::config(), {}, 2, do_nothing);
  database.listener->attach(worker, {database.handles[2], database.handles[0]});
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
  EXPECT_EQ(worker.queue_size(), 1U);
  EXPECT_EQ(worker.snapshot().coalesced, 1U);
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[1]));  // not a stripe
  EXPECT_EQ(worker.snapshot().requests(), 2U);
  database.listener->detach();
  const auto report = worker.shutdown();
  EXPECT_EQ(kstone::test::ids(report.discarded), std::vector<std::uint32_t>{1});
}

TEST(DatabaseListener, no_flush_reaches_a_worker_before_attach_or_after_detach) {
  Database database(1);
  auto worker = std::make_unique<BackgroundWorker>(Database::config(), CompactionStatsAtomic(), 1, do_nothing);
  database.add_l0_file(0);
  EXPECT_EQ(worker->snapshot().requests(), 0U);
  database.listener->attach(*worker, database.handles);
  database.listener->detach();
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
  EXPECT_EQ(worker->snapshot().requests(), 0U);
  worker.reset();
  database.add_l0_file(0);
}

TEST(DatabaseListener, another_worker_may_be_attached_later) {
  Database database(1);
  for (int i = 0; i < 2; ++i) {
    BackgroundWorker worker(Database::config(), {}, 1, do_nothing);
    database.listener->attach(worker, database.handles);
    database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
    EXPECT_EQ(worker.queue_size(), 1U);
    database.listener->detach();
  }
}

// Callbacks and detach at the same time: a callback that used a worker after detach would use freed memory, which the
// count of requests, the sanitizers, or the allocator shows.
TEST(DatabaseListener, detach_waits_for_callbacks) {
  Database database(1);
  std::atomic<bool> end{false};
  std::vector<std::thread> flushes;
  for (int thread = 0; thread < 2; ++thread) {
    flushes.emplace_back([&] {
      while (!end.load(std::memory_order_relaxed)) {
        database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
      }
    });
  }
  std::uint64_t requests = 0;
  for (int round = 0; round < 500 || requests == 0; ++round) {
    auto worker = std::make_unique<BackgroundWorker>(Database::config(), CompactionStatsAtomic(), 1, do_nothing);
    database.listener->attach(*worker, database.handles);
    std::this_thread::yield();
    database.listener->detach();
    const auto after_detach = worker->snapshot().requests();
    EXPECT_EQ(worker->snapshot().requests(), after_detach);
    requests += after_detach;
  }
  end.store(true, std::memory_order_relaxed);
  for (auto& thread : flushes) {
    thread.join();
  }
  EXPECT_GT(requests, 0U);
}

TEST(DatabaseListener, counts_a_merge_once_however_many_parts_it_has) {
  DatabaseListener listener;
  ::rocksdb::SubcompactionJobInfo first{}, second{};
  first.job_id = 1;
  second.job_id = 2;
  listener.OnSubcompactionBegin(first);
  listener.OnSubcompactionBegin(first);
  listener.OnSubcompactionBegin(second);
  EXPECT_EQ(listener.merging(), 2U);
  listener.OnSubcompactionCompleted(first);
  listener.OnSubcompactionCompleted(second);
  EXPECT_EQ(listener.merging(), 1U);  // the other part of the first
  listener.OnSubcompactionCompleted(first);
  EXPECT_EQ(listener.merging(), 0U);
  listener.OnSubcompactionCompleted(first);  // one that began before the listener was there
  EXPECT_EQ(listener.merging(), 0U);
  EXPECT_EQ(listener.merging_max(), 2U);
}

}  // namespace
}  // namespace kstone::rocksdb::test
