// Column families that come and go while the worker runs, with scans, flushes and whoever asks for
// what is due at the same time.

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../test_support.h"
#include "database_support.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_closer.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::Gate;
using kstone::test::Journal;

using Stripes = std::vector<std::uint32_t>;
constexpr std::chrono::seconds at_once(0);

::rocksdb::FlushJobInfo flush_of(std::uint32_t id, const std::string& name) {
  ::rocksdb::FlushJobInfo info{};
  info.cf_id = id;
  info.cf_name = name;
  return info;
}

void stop_at_eight(::rocksdb::ColumnFamilyOptions& options) {
  options.level0_slowdown_writes_trigger = 7;
  options.level0_stop_writes_trigger = 8;
}

// A database of some families, and a compactor of more stripes. Merges of the family that is named
// wait at the gate.
struct Scene {
  Scene(std::uint32_t families, std::uint32_t stripes, std::uint64_t max_step_bytes = 64U << 20,
        const Database::Tweak& tweak = stop_at_eight)
      : database(families, tweak, {std::make_shared<MergeHook>([this](const auto& info) {
                   if (info.cf_name == gated) {
                     merges.add(info.cf_name);
                     gate.pass();
                   }
                 })}),
        compactor(database.db.get(), database.handles, Database::config(),
                  {.capacity = stripes, .max_step_bytes = max_step_bytes}) {}
  ~Scene() {
    gate.open();
    if (worker) {
      worker->shutdown();
      listener().detach();
    }
  }

  void start(BackgroundWorker::Options options = {}) {
    worker = std::make_unique<BackgroundWorker>(
        Database::config().with_check_interval(1), CompactionStatsAtomic(),
        compactor.stripe_count(),
        [this, job = compactor.job()](CompactionContext& context) {
          begun.add(context.stripe_id());
          return job(context);
        },
        std::move(options));
    listener().attach(*worker, database.handles);
    ASSERT_EQ(worker->start(), StartResult::started);
  }
  void fill_l0(std::uint32_t family, std::size_t files) {
    while (database.files(family, 0) < files) {
      database.add_l0_file(family);
    }
  }
  AddResult add(std::uint32_t family) {
    return compactor.add_family(database.handles[family], *worker, listener());
  }
  RemoveResult remove(std::uint32_t family, Limit limit = {}) {
    return compactor.remove_family(database.handles[family], *worker, listener(), limit);
  }
  void drop(std::uint32_t family) {
    expect_ok(database.db->DropColumnFamily(database.handles[family]));
  }
  // It is the last one.
  void destroy(std::uint32_t family) {
    ASSERT_EQ(family + 1, database.handles.size());
    expect_ok(database.db->DestroyColumnFamilyHandle(database.handles[family]));
    database.handles.pop_back();
  }
  DatabaseListener& listener() { return *database.listener; }

  std::string gated;
  Gate gate;
  Journal<std::string> merges;   // that have come to the gate
  Journal<std::uint32_t> begun;  // stripes, as their compactions began
  Database database;
  ColumnFamilyCompactor compactor;
  std::unique_ptr<BackgroundWorker> worker;
};

// -- Adding ---------------------------------------------------------------------------------------

// Nobody would ever free this writer: no scan, and no flush of its family reaches the worker.
TEST(AddFamily, a_writer_that_l0_has_stopped_goes_on) {
  Scene scene(1, 2);
  scene.start();
  scene.database.add_family("born later");
  scene.fill_l0(1, 8);
  std::uint64_t stopped = 0;
  ASSERT_TRUE(
      scene.database.db->GetIntProperty(::rocksdb::DB::Properties::kIsWriteStopped, &stopped));
  ASSERT_EQ(stopped, 1U);
  scene.listener().OnFlushCompleted(nullptr,
                                    flush_of(scene.database.handles[1]->GetID(), "born later"));
  ASSERT_EQ(scene.listener().unserved().size(), 1U);
  EXPECT_EQ(scene.listener().unserved()[0].name, "born later");
  std::thread writer([&] { scene.database.put(1, "stopped", "and let go on"); });
  EXPECT_EQ(scene.add(1), AddResult::added);
  writer.join();
  EXPECT_EQ(scene.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.compactor.stripe_of(scene.database.handles[1]), 1U);
  EXPECT_LT(scene.database.files(1, 0), 4U);
  EXPECT_TRUE(scene.listener().unserved().empty());
  // From here on its flushes are requests.
  const auto unserved = scene.listener().unserved_events();
  const auto requests = scene.worker->snapshot().requests();
  scene.listener().OnFlushCompleted(nullptr,
                                    flush_of(scene.database.handles[1]->GetID(), "born later"));
  EXPECT_EQ(scene.worker->snapshot().requests(), requests + 1);
  EXPECT_EQ(scene.listener().unserved_events(), unserved);
  EXPECT_EQ(scene.worker->snapshot().first_error, "");
  EXPECT_EQ(scene.worker->wait_idle(), IdleResult::idle);
  scene.database.expect_contents();
}

TEST(AddFamily, one_that_is_not_due_is_not_requested) {
  Scene scene(1, 2);
  scene.start();
  scene.database.add_family("small");
  EXPECT_EQ(scene.add(1), AddResult::added);
  EXPECT_EQ(scene.worker->snapshot().requests(), 0U);
}

TEST(AddFamily, takes_every_family_where_the_worker_has_none_at_first) {
  Scene scene(0, 2);
  scene.start({.all_removed = true});
  EXPECT_EQ(scene.compactor.stripe_count(), 2U);
  EXPECT_EQ(scene.worker->snapshot().removed, 2U);
  scene.database.add_family("0");
  scene.database.add_family("1");
  scene.fill_l0(0, 5);
  EXPECT_EQ(scene.add(0), AddResult::added);
  EXPECT_EQ(scene.add(1), AddResult::added);
  EXPECT_EQ(scene.worker->snapshot().removed, 0U);
  EXPECT_EQ(scene.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.begun.events(), Stripes{0});
  EXPECT_LT(scene.database.files(0, 0), 4U);
}

TEST(AddFamily, is_refused_without_a_free_stripe_and_after_the_end) {
  Scene scene(1, 2);
  scene.start();
  scene.database.add_family("1");
  scene.database.add_family("2");
  EXPECT_EQ(scene.add(1), AddResult::added);
  EXPECT_EQ(scene.add(2), AddResult::no_free_stripe);
  EXPECT_EQ(scene.compactor.stripe_of(scene.database.handles[2]), std::nullopt);
  EXPECT_EQ(scene.remove(1), RemoveResult::removed);
  EXPECT_EQ(scene.add(2), AddResult::added);
  EXPECT_EQ(scene.remove(2), RemoveResult::removed);
  scene.worker->shutdown();
  EXPECT_EQ(scene.add(2), AddResult::shut_down);
  EXPECT_EQ(scene.compactor.family_count(), 1U);
}

TEST(AddFamily, refuses_a_worker_with_too_few_stripes) {
  Scene scene(1, 2);
  BackgroundWorker small(Database::config(), {}, 1, scene.compactor.job());
  scene.database.add_family("1");
  EXPECT_THROW(static_cast<void>(
                   scene.compactor.add_family(scene.database.handles[1], small, scene.listener())),
               std::invalid_argument);
  EXPECT_EQ(scene.compactor.family_count(), 1U);
}

TEST(AddFamily, refuses_what_the_constructor_refuses_and_what_is_there) {
  Scene scene(1, 2);
  scene.start();
  const auto refusal = [&](::rocksdb::ColumnFamilyHandle* handle) -> std::string {
    try {
      return std::string(
          to_string(scene.compactor.add_family(handle, *scene.worker, scene.listener())));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
  EXPECT_NE(refusal(scene.database.handles[0]).find("'0' is served already"), std::string::npos);
  ::rocksdb::ColumnFamilyHandle* handle = nullptr;
  expect_ok(scene.database.db->CreateColumnFamily({}, "its own", &handle));
  EXPECT_NE(refusal(handle).find("'its own' needs compaction_style"), std::string::npos);
  expect_ok(scene.database.db->DestroyColumnFamilyHandle(handle));
  EXPECT_EQ(scene.compactor.family_count(), 1U);
}

TEST(AddFamily, free_stripes_are_nothing_to_do_and_have_no_name) {
  Scene scene(1, 3);
  scene.start();
  EXPECT_EQ(scene.worker->queue_compaction(2), Submission::queued);
  EXPECT_EQ(scene.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.worker->snapshot().outcomes[CompactionOutcome::Kind::nothing_to_do], 1U);
  EXPECT_EQ(scene.compactor.family(2), "");
  EXPECT_TRUE(scene.compactor.levels(2).empty());
  EXPECT_TRUE(scene.compactor.due().empty());
}

TEST(AddFamily, results_have_names) {
  EXPECT_EQ(to_string(AddResult::added), "added");
  EXPECT_EQ(to_string(AddResult::no_free_stripe), "no_free_stripe");
  EXPECT_EQ(to_string(AddResult::shut_down), "shut_down");
  EXPECT_EQ(to_string(static_cast<AddResult>(99)), "unknown");
}

// -- Removing -------------------------------------------------------------------------------------

// The neighbour compacts for as long as the test lasts; scans come every second, and callbacks of
// both families all the time.
TEST(RemoveFamily, a_dropped_family_is_freed_while_another_one_compacts_for_long) {
  Scene scene(2, 2);
  scene.gated = "0";
  scene.fill_l0(0, 5);
  scene.fill_l0(1, 5);
  Journal<int> scans;
  scene.start({.scan = [&](BackgroundWorker& worker) {
    scene.compactor.scan()(worker);
    scans.add(0);
  }});
  scene.merges.await(1);
  EXPECT_EQ(scene.worker->wait_idle(1).result, IdleResult::idle);
  const auto of_0 = flush_of(scene.database.handles[0]->GetID(), "0");
  const auto of_1 = flush_of(scene.database.handles[1]->GetID(), "1");
  std::atomic<bool> end{false};
  std::thread callbacks([&] {
    while (!end.load(std::memory_order_relaxed)) {
      scene.listener().OnFlushCompleted(nullptr, of_0);
      scene.listener().OnFlushCompleted(nullptr, of_1);
      std::this_thread::yield();
    }
  });
  for (int files = 0; files < 5; ++files) {
    scene.database.add_l0_file(1);  // due again, or being compacted
  }
  scene.drop(1);
  EXPECT_EQ(scene.remove(1), RemoveResult::removed);
  scene.destroy(1);
  const auto begun = scene.begun.events().size();
  scans.await(scans.events().size() + 2);
  EXPECT_EQ(scene.worker->queue_compaction(1), Submission::rejected_removed);
  EXPECT_EQ(scene.begun.events().size(), begun);  // the neighbour's has not ended
  EXPECT_EQ(scene.compactor.family_count(), 1U);
  EXPECT_EQ(scene.compactor.family(1), "");
  EXPECT_EQ(scene.worker->snapshot().running, 1U);
  end.store(true, std::memory_order_relaxed);
  callbacks.join();
  scene.gate.open();
  EXPECT_EQ(scene.worker->wait_idle(0).result, IdleResult::idle);
  EXPECT_EQ(scene.worker->snapshot().first_error, "");
}

TEST(RemoveFamily, frees_nothing_before_its_merge_has_ended) {
  Scene scene(2, 2);
  scene.gated = "1";
  scene.start();
  scene.fill_l0(1, 4);
  scene.merges.await(1);
  EXPECT_EQ(scene.remove(1, at_once), RemoveResult::timed_out);
  EXPECT_EQ(scene.compactor.family(1), "1");
  EXPECT_TRUE(scene.worker->is_removed(1));
  EXPECT_EQ(scene.worker->queue_compaction(1), Submission::rejected_removed);
  EXPECT_EQ(scene.remove(1, at_once), RemoveResult::timed_out);
  scene.gate.open();
  EXPECT_EQ(scene.remove(1), RemoveResult::removed);
  EXPECT_EQ(scene.remove(1), RemoveResult::unknown_stripe);
  EXPECT_EQ(scene.compactor.family(1), "");
  // Nor does a callback remember it.
  const auto requests = scene.worker->snapshot().requests();
  scene.listener().OnFlushCompleted(nullptr, flush_of(scene.database.handles[1]->GetID(), "1"));
  EXPECT_EQ(scene.worker->snapshot().requests(), requests);
  EXPECT_EQ(scene.listener().unserved_events(), 1U);
  scene.database.expect_contents();  // not dropped: what was merged is there
}

// It need not come to the end of its step, and leaves no SST.
TEST(RemoveFamily, the_merge_of_a_dropped_family_ends_at_once) {
  Scene scene(2, 2);
  scene.gated = "1";
  scene.start();
  scene.fill_l0(1, 4);
  scene.merges.await(1);
  scene.drop(1);
  EXPECT_EQ(scene.remove(1, at_once), RemoveResult::timed_out);
  scene.gate.open();
  EXPECT_EQ(scene.remove(1), RemoveResult::removed);
  EXPECT_EQ(scene.worker->snapshot().stats.total_ssts_merged, 0U);
  EXPECT_EQ(scene.worker->snapshot().first_error, "");
  scene.destroy(1);
}

TEST(RemoveFamily, after_the_end_leaves_the_handle_to_the_closer) {
  Scene scene(2, 2);
  scene.start();
  scene.worker->shutdown();
  EXPECT_EQ(scene.remove(1), RemoveResult::shut_down);
  EXPECT_EQ(scene.compactor.family(1), "1");
}

TEST(RemoveFamily, in_a_job_is_refused) {
  Scene scene(2, 2);
  RemoveResult result{};
  BackgroundWorker* itself = nullptr;
  BackgroundWorker worker(Database::config(), {}, 2, [&](CompactionContext&) {
    result = scene.compactor.remove_family(scene.database.handles[1], *itself, scene.listener());
    return CompactionOutcome::done();
  });
  itself = &worker;
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(result, RemoveResult::refused);
  EXPECT_EQ(scene.compactor.family_count(), 2U);
}

// RocksDB tells of an ingestion by name: the stripe of a family that was made anew is its own.
TEST(RemoveFamily, one_made_anew_under_the_same_name_starts_afresh) {
  Scene scene(2, 2);
  scene.start();
  for (int round = 0; round < 3; ++round) {
    scene.fill_l0(1, 2);
    scene.drop(1);
    EXPECT_EQ(scene.remove(1), RemoveResult::removed);
    scene.destroy(1);
    ::rocksdb::ColumnFamilyOptions options;
    stop_at_eight(options);
    use_worker_compactions(options, Database::config());
    ::rocksdb::ColumnFamilyHandle* handle = nullptr;
    expect_ok(scene.database.db->CreateColumnFamily(options, "1", &handle));
    scene.database.handles.push_back(handle);
    EXPECT_EQ(scene.add(1), AddResult::added);
    EXPECT_EQ(scene.compactor.stripe_of(handle), 1U);
    const auto requests = scene.worker->snapshot().requests();
    scene.database.ingest(1);
    EXPECT_EQ(scene.worker->snapshot().requests(), requests + 1);
    EXPECT_EQ(scene.worker->wait_idle(), IdleResult::idle);
  }
  EXPECT_EQ(scene.worker->snapshot().rejected_removed, 0U);
}

// -- Stopping one ---------------------------------------------------------------------------------

// RocksDB cannot break off a single CompactFiles: the step comes to its end, the next does not.
TEST(CancelFamily, a_running_compaction_stops_after_its_step) {
  Scene scene(1, 1, 1, {});
  scene.gated = "0";
  scene.fill_l0(0, 10);
  scene.start();
  scene.worker->queue_compaction(0);
  scene.merges.await(1);
  const auto report = scene.worker->cancel(0, at_once);
  EXPECT_EQ(report.result, CancelReport::Result::still_running);
  scene.gate.open();
  EXPECT_EQ(scene.worker->wait_idle(0).last_end, EpisodeEnd::cancelled);
  EXPECT_EQ(scene.database.files(0, 0), 9U);
  EXPECT_EQ(scene.worker->snapshot().first_error, "");
  scene.worker->queue_compaction(0);
  EXPECT_EQ(scene.worker->wait_idle(0).last_end, EpisodeEnd::done);
  EXPECT_LT(scene.database.files(0, 0), 4U);
  scene.database.expect_contents();
}

// -- The end --------------------------------------------------------------------------------------

TEST(CloseFamilies, those_added_later_are_closed_with_the_others_and_named) {
  Scene scene(1, 3);
  scene.start();
  scene.database.add_family("later");
  scene.database.add_family("gone");
  EXPECT_EQ(scene.add(1), AddResult::added);
  EXPECT_EQ(scene.add(2), AddResult::added);
  EXPECT_EQ(scene.remove(2), RemoveResult::removed);
  const auto held = scene.worker->pause_all();
  scene.fill_l0(1, 5);
  scene.worker->queue_compaction(1);
  DatabaseCloser closer({*scene.database.db, scene.database.handles, scene.compactor, *scene.worker,
                         scene.listener()});
  const auto report = closer.close(ShutdownMode::drain);
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.errors.empty());
  ASSERT_EQ(report.undone.size(), 1U);
  EXPECT_EQ(report.undone[0].family, "later");
  EXPECT_TRUE(scene.database.handles.empty());
}

// A worker of no families ends as every other.
TEST(CloseFamilies, without_any_family_the_worker_is_shut_down_all_the_same) {
  Scene scene(0, 2);
  scene.start();
  const auto report = DatabaseCloser({*scene.database.db, scene.database.handles, scene.compactor,
                                      *scene.worker, scene.listener()})
                          .close();
  ASSERT_TRUE(report.closed);
  EXPECT_TRUE(report.shutdown.complete);
  EXPECT_FALSE(scene.worker->is_running());
}

// -- All at once ----------------------------------------------------------------------------------

// Families that live for a moment, on two threads, while others scan, ask and call back: what used
// a handle that was given back would use freed memory.
TEST(ComeAndGo, with_scans_callbacks_and_questions_at_the_same_time) {
  Scene scene(1, 3);
  scene.start({.scan = scene.compactor.scan()});
  std::atomic<bool> end{false};
  std::vector<std::thread> others;
  others.emplace_back([&] {
    while (!end.load(std::memory_order_relaxed)) {
      scene.compactor.scan()(*scene.worker);
      scene.compactor.due();
      for (std::uint32_t stripe = 0; stripe < 3; ++stripe) {
        scene.compactor.levels(stripe);
        scene.compactor.family(stripe);
      }
      std::this_thread::yield();
    }
  });
  others.emplace_back([&] {
    for (std::uint32_t id = 0; !end.load(std::memory_order_relaxed); id = (id + 1) % 50) {
      scene.listener().OnFlushCompleted(nullptr, flush_of(id, std::to_string(id)));
      std::this_thread::yield();
    }
  });
  const auto come_and_go = [&](const std::string& name) {
    auto& db = *scene.database.db;
    ::rocksdb::ColumnFamilyOptions options;
    use_worker_compactions(options, Database::config());
    for (int round = 0; round < 20; ++round) {
      ::rocksdb::ColumnFamilyHandle* handle = nullptr;
      expect_ok(db.CreateColumnFamily(options, name, &handle));
      EXPECT_EQ(scene.compactor.add_family(handle, *scene.worker, scene.listener()),
                AddResult::added);
      for (int files = 0; files < 5; ++files) {
        expect_ok(db.Put({}, handle, "key", std::to_string(files)));
        expect_ok(db.Flush({}, handle));
      }
      if (round % 2 == 0) {
        expect_ok(db.DropColumnFamily(handle));
      }
      EXPECT_EQ(scene.compactor.remove_family(handle, *scene.worker, scene.listener()),
                RemoveResult::removed);
      if (round % 2 != 0) {
        expect_ok(db.DropColumnFamily(handle));
      }
      expect_ok(db.DestroyColumnFamilyHandle(handle));
    }
  };
  std::thread one(come_and_go, "one");
  std::thread two(come_and_go, "two");
  one.join();
  two.join();
  end.store(true, std::memory_order_relaxed);
  for (auto& thread : others) {
    thread.join();
  }
  const auto snapshot = scene.worker->snapshot();
  EXPECT_EQ(snapshot.first_error, "");
  EXPECT_EQ(scene.compactor.family_count(), 1U);
}

}  // namespace
}  // namespace kstone::rocksdb::test
