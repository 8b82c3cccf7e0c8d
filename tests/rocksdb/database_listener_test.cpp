// The listener: from when until when flushes and ingestions reach a worker, and what it counts.

#include "kstone/rocksdb/database_listener.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::do_nothing;

::rocksdb::FlushJobInfo flush_of(const ::rocksdb::ColumnFamilyHandle* handle) {
  ::rocksdb::FlushJobInfo info{};
  info.cf_id = handle->GetID();
  info.cf_name = handle->GetName();
  return info;
}

::rocksdb::FlushJobInfo flush_of(std::uint32_t id, const std::string& name) {
  ::rocksdb::FlushJobInfo info{};
  info.cf_id = id;
  info.cf_name = name;
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
  auto worker = std::make_unique<BackgroundWorker>(Database::config(), CompactionStatsAtomic(), 1,
                                                   do_nothing);
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

TEST(DatabaseListener, a_file_that_is_ingested_requests_its_own_stripe) {
  Database database(3);
  BackgroundWorker worker(Database::config(), {}, 2, do_nothing);
  database.ingest(0);  // nothing is attached
  database.listener->attach(worker, {database.handles[2], database.handles[0]});
  database.ingest(0);
  database.ingest(0);
  database.ingest(1);  // not a stripe
  EXPECT_EQ(worker.snapshot().queued, 1U);
  EXPECT_EQ(worker.snapshot().requests(), 2U);
  database.listener->detach();
  database.ingest(0);
  EXPECT_EQ(worker.snapshot().requests(), 2U);
  EXPECT_EQ(kstone::test::ids(worker.shutdown().discarded), std::vector<std::uint32_t>{1});
  EXPECT_EQ(database.listener->unserved_events(), 1U);
  database.expect_contents();
}

// RocksDB holds up writers until L0 is compacted, and nobody flushes meanwhile: the ingestion
// itself has to be heard.
TEST(DatabaseListener, ingestions_that_fill_l0_are_compacted_without_a_scan) {
  Database database(1, [](auto& options) {
    options.level0_slowdown_writes_trigger = 7;
    options.level0_stop_writes_trigger = 8;
  });
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  database.listener->attach(worker, database.handles);
  EXPECT_EQ(worker.start(), StartResult::started);
  for (int files = 0; files < 12; ++files) {
    database.ingest(0);
  }
  database.put(0, "after", "a full L0");
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_LT(database.files(0, 0), 4U);
  EXPECT_EQ(worker.snapshot().first_error, "");
  worker.shutdown();
  database.listener->detach();
  database.expect_contents();
}

// RocksDB tells of an ingestion by name only. A family that was dropped and made anew has the name
// of the old one.
TEST(DatabaseListener, an_ingestion_goes_to_the_younger_of_two_families_of_one_name) {
  for (const bool younger_first : {false, true}) {
    Database database(2);
    expect_ok(database.db->DropColumnFamily(database.handles[0]));
    database.add_family("0");
    const auto old = database.handles[0];
    const auto young = database.handles[2];
    BackgroundWorker worker(Database::config(), {}, 2, do_nothing);
    database.listener->attach(worker,
                              younger_first ? std::vector{young, old} : std::vector{old, young});
    database.ingest(2);
    EXPECT_EQ(kstone::test::ids(worker.shutdown().discarded),
              std::vector<std::uint32_t>{younger_first ? 0U : 1U});
    database.listener->detach();
  }
}

TEST(DatabaseListener, families_that_are_not_attached_are_counted_by_name) {
  Database database(1);
  BackgroundWorker worker(Database::config(), {}, 1, do_nothing);
  database.add_family("born later");
  database.add_l0_file(1);  // nothing is attached: there is nobody who ought to serve it
  EXPECT_EQ(database.listener->unserved_events(), 0U);
  database.listener->attach(worker, {database.handles[0]});
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[1]));
  database.add_family("and another");
  database.ingest(2);
  database.ingest(1);
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[0]));
  database.listener->detach();
  database.listener->OnFlushCompleted(nullptr, flush_of(database.handles[1]));
  EXPECT_EQ(database.listener->unserved_events(), 3U);
  const auto unserved = database.listener->unserved();
  ASSERT_EQ(unserved.size(), 2U);
  EXPECT_EQ(unserved[0].name, "born later");
  EXPECT_EQ(unserved[0].events, 2U);
  EXPECT_EQ(unserved[1].name, "and another");
  EXPECT_EQ(unserved[1].events, 1U);
  EXPECT_EQ(worker.snapshot().requests(), 1U);
}

TEST(DatabaseListener, a_family_that_is_added_is_unserved_no_longer_and_one_that_is_removed_is) {
  Database database(2);
  BackgroundWorker worker(Database::config(), {}, 2, do_nothing);
  auto& listener = *database.listener;
  listener.attach(worker, {database.handles[0]});
  listener.OnFlushCompleted(nullptr, flush_of(database.handles[1]));
  listener.OnFlushCompleted(nullptr, flush_of(77, "left alone"));
  listener.add(database.handles[1], 1);
  ASSERT_EQ(listener.unserved().size(), 1U);
  EXPECT_EQ(listener.unserved()[0].name, "left alone");
  database.ingest(1);
  EXPECT_EQ(worker.snapshot().queued, 1U);
  EXPECT_EQ(listener.unserved_events(), 2U);
  listener.remove(database.handles[1]);
  listener.remove(database.handles[1]);
  database.ingest(1);
  listener.OnFlushCompleted(nullptr, flush_of(database.handles[1]));
  EXPECT_EQ(worker.snapshot().requests(), 1U);
  EXPECT_EQ(listener.unserved_events(), 4U);
  ASSERT_EQ(listener.unserved().size(), 2U);
  EXPECT_EQ(listener.unserved()[1].name, "1");
  EXPECT_EQ(listener.unserved()[1].events, 2U);
  listener.detach();
  listener.add(database.handles[1], 1);  // nothing is attached
  listener.attach(worker, {});
  listener.OnFlushCompleted(nullptr, flush_of(database.handles[1]));
  EXPECT_EQ(listener.unserved_events(), 5U);
  listener.detach();
}

// More families than are kept, met by several threads at once while another reads: each is there
// once, none beyond the bound, and each event is in the sum. Many times over, since what could go
// wrong needs two threads that meet a family at one moment.
TEST(DatabaseListener, counts_of_unserved_families_are_exact_and_bounded) {
  constexpr std::uint32_t families = DatabaseListener::unserved_families_max + 20;
  constexpr std::uint32_t threads = 3;
  BackgroundWorker worker(Database::config(), {}, 1, do_nothing);
  for (int round = 0; round < 300; ++round) {
    DatabaseListener listener;
    listener.attach(worker, {});
    std::barrier<> together(threads + 1);
    std::vector<std::thread> callbacks;
    for (std::uint32_t thread = 0; thread < threads; ++thread) {
      callbacks.emplace_back([&] {
        together.arrive_and_wait();
        for (std::uint32_t family = 0; family < families; ++family) {
          listener.OnFlushCompleted(nullptr, flush_of(100 + family, std::to_string(family)));
        }
      });
    }
    together.arrive_and_wait();
    while (listener.unserved_events() != threads * families) {
      EXPECT_LE(listener.unserved().size(), DatabaseListener::unserved_families_max);
    }
    for (auto& thread : callbacks) {
      thread.join();
    }
    std::map<std::string, std::uint64_t> events;
    for (const auto& family : listener.unserved()) {
      EXPECT_TRUE(events.emplace(family.name, family.events).second)
          << family.name << " is there twice";
      EXPECT_EQ(family.events, threads) << family.name;
    }
    EXPECT_EQ(events.size(), DatabaseListener::unserved_families_max);
    listener.detach();
  }
  EXPECT_EQ(worker.snapshot().requests(), 0U);
}

// No exception may reach RocksDB. In a process of its own, which has no room for another such name.
TEST(DatabaseListener, without_memory_for_the_name_a_family_is_counted_all_the_same) {
  const auto child = fork();
  if (child == 0) {
    BackgroundWorker worker(Database::config(), {}, 1, do_nothing);
    DatabaseListener listener;
    listener.attach(worker, {});
    ::rocksdb::FlushJobInfo flush{};
    flush.cf_name.assign(100 << 20, 'x');  // more than other tests can have left free
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 1;  // what is there stays; nothing more is mapped
    setrlimit(RLIMIT_AS, &limit);
    listener.OnFlushCompleted(nullptr, flush);
    const bool right = listener.unserved_events() == 1 && listener.unserved().empty();
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// Callbacks and detach at the same time: a callback that used a worker after detach would use freed
// memory, which the count of requests, the sanitizers, or the allocator shows.
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
    auto worker = std::make_unique<BackgroundWorker>(Database::config(), CompactionStatsAtomic(), 1,
                                                     do_nothing);
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
