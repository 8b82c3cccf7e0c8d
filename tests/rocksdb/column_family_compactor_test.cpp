// The job on a real database: what is merged, what is counted, and what happens when somebody stops
// it, drops the column family or fills L0.

#include "kstone/rocksdb/column_family_compactor.h"

#include <gtest/gtest.h>
#include <rocksdb/convenience.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include <atomic>
#include <functional>
#include <set>
#include <stdexcept>
#include <thread>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

using kstone::test::Gate;
using kstone::test::ids;

using Kind = CompactionOutcome::Kind;

TEST(ColumnFamilyCompactor, flushes_request_compactions_and_every_key_remains) {
  Database database(3);
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, compactor.stripe_count(), compactor.job());
  database.listener->attach(worker, database.handles);
  EXPECT_EQ(worker.start(), StartResult::started);
  for (int round = 0; round < 20; ++round) {
    for (std::uint32_t family = 0; family < 3; ++family) {
      database.add_l0_file(family);
    }
  }
  // The callback of the last flush may come after Flush has returned; what it would request is what
  // the scan finds.
  compactor.scan()(worker);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto snapshot = worker.snapshot();
  worker.shutdown();
  database.listener->detach();
  EXPECT_EQ(snapshot.first_error, "");
  EXPECT_GE(snapshot.queued + snapshot.coalesced + snapshot.rerun_pending, 50U);
  EXPECT_GE(snapshot.stats.total_compactions, 3U);
  for (std::uint32_t family = 0; family < 3; ++family) {
    EXPECT_LT(database.files(family, 0), 4U);
    EXPECT_GT(database.files(family, 1), 0U);
  }
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, counters_agree_with_what_rocksdb_counts) {
  Database database(1);
  // Deletion markers between values: all but those of the last round are hidden by newer values, so
  // they are deduplicated, not removed.
  for (int round = 0; round < 4; ++round) {
    database.add_l0_file(0);
    for (int i = 0; i < 20; ++i) {
      database.remove(0, std::to_string(2 * i));
    }
    database.flush(0);
  }
  const auto files_before = database.files(0);
  const auto bytes_before = database.bytes(0);
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto stats = worker.snapshot().stats;
  EXPECT_EQ(stats.total_compactions, 1U);
  EXPECT_EQ(stats.total_ssts_merged, 8U);
  EXPECT_EQ(files_before - stats.total_ssts_merged + stats.total_ssts_created, database.files(0));
  EXPECT_EQ(stats.total_bytes_read, bytes_before);
  EXPECT_EQ(stats.total_bytes_written, database.bytes(0));
  EXPECT_EQ(stats.total_bytes_reclaimed, bytes_before - database.bytes(0));
  EXPECT_GT(stats.total_records_deduplicated, 0U);
  EXPECT_EQ(stats.total_records_deduplicated,
            database.ticker(::rocksdb::COMPACTION_KEY_DROP_NEWER_ENTRY));
  EXPECT_EQ(stats.total_tombstones_removed, 20U);
  EXPECT_EQ(stats.total_tombstones_removed,
            database.ticker(::rocksdb::COMPACTION_KEY_DROP_OBSOLETE));
  EXPECT_EQ(stats.active_compactions, 0U);
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, deletion_markers_with_nothing_below_are_counted_as_removed) {
  Database database(1);
  database.put(0, "kept", "value");
  database.flush(0);
  for (int i = 0; i < 3; ++i) {
    database.remove(0, "never there " + std::to_string(i));
    database.put(0, "kept " + std::to_string(i), "value");
    database.flush(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().stats.total_tombstones_removed, 3U);
  EXPECT_EQ(worker.snapshot().stats.total_records_deduplicated, 0U);
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, a_level_over_its_target_is_more_work_until_none_is) {
  Database database(1, [](auto& options) {
    options.max_bytes_for_level_base = 150'000;
    options.max_bytes_for_level_multiplier = 2;
    options.target_file_size_base = 50'000;
  });
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  database.listener->attach(worker, database.handles);
  EXPECT_EQ(worker.start(), StartResult::started);
  for (int round = 0; round < 24; ++round) {
    database.add_l0_file(0);
  }
  compactor.scan()(worker);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto snapshot = worker.snapshot();
  worker.shutdown();
  database.listener->detach();
  EXPECT_GT(snapshot.outcomes[CompactionOutcome::Kind::more_work], 0U);
  EXPECT_GT(database.files(0, 2), 0U);
  EXPECT_FALSE(pick_step(compactor.levels(0),
                         {4, 150'000, 2, ColumnFamilyCompactor::default_max_step_bytes},
                         *::rocksdb::BytewiseComparator()));
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, the_scan_queues_stripes_at_the_threshold_and_no_others) {
  Database database(3);
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(1);
    if (files < 3) {
      database.add_l0_file(2);
    }
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  std::set<std::uint32_t> compacted;  // one worker thread
  BackgroundWorker worker(Database::config().with_max_concurrent(1), {}, 3,
                          [&](CompactionContext& context) {
                            compacted.insert(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  compactor.scan()(worker);
  EXPECT_EQ(worker.queue_size(), 1U);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();
  EXPECT_EQ(compacted, std::set<std::uint32_t>{1});
}

// Two stripes merge, and neither goes on before both have begun: this ends only if they really run
// at the same time.
TEST(ColumnFamilyCompactor, two_stripes_merge_at_the_same_time) {
  std::atomic<int> inside{0};
  Gate both_inside;
  auto hook = std::make_shared<MergeHook>([&](const auto&) {
    if (++inside == 2) {
      both_inside.open();
    }
    both_inside.pass();
  });
  Database database(2, {}, {hook});
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
    database.add_l0_file(1);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 2, compactor.job(), {.scan = compactor.scan()});
  EXPECT_EQ(worker.start(), StartResult::started);
  both_inside.pass();
  worker.shutdown(ShutdownMode::drain);
  EXPECT_EQ(database.listener->merging_max(), 2U);
  EXPECT_EQ(database.listener->merging(), 0U);
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, one_worker_thread_never_merges_two_stripes_at_the_same_time) {
  Database database(2);
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
    database.add_l0_file(1);
  }
  const auto config = Database::config().with_max_concurrent(1);
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, config);
  BackgroundWorker worker(config, {}, 2, compactor.job());
  compactor.scan()(worker);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().stats.total_compactions, 2U);
  EXPECT_EQ(database.listener->merging_max(), 1U);
}

TEST(ColumnFamilyCompactor, a_running_compaction_that_is_asked_to_stop_stops_after_its_step) {
  Gate begun;
  Gate go_on;
  std::atomic<int> merges{0};
  auto hook = std::make_shared<MergeHook>([&](const auto&) {
    ++merges;
    begun.open();
    go_on.pass();
  });
  Database database(1, {}, {hook});
  for (int files = 0; files < 10; ++files) {
    database.add_l0_file(0);
  }
  // A step of one byte is one SST and its overlap: ten steps are due, and the first one is under
  // way.
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config(), 1);
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  begun.pass();
  const auto first = worker.shutdown(ShutdownMode::cancel, std::chrono::nanoseconds(0));
  EXPECT_FALSE(first.complete);
  EXPECT_EQ(ids(first.still_running), std::vector<std::uint32_t>{0});
  go_on.open();
  const auto report = worker.shutdown(ShutdownMode::cancel);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.unfinished), std::vector<std::uint32_t>{0});
  EXPECT_EQ(report.first_error, "");
  EXPECT_EQ(merges, 1);
  EXPECT_EQ(database.files(0, 0), 9U);
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, a_compaction_that_is_asked_to_stop_before_it_begins_merges_nothing) {
  Database database(1);
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  detail::StopState<ProductionSync> stop;
  stop.request();
  const CompactionStatsAtomic stats;
  CompactionContext context({0}, 1, stop, stats);
  EXPECT_EQ(compactor.job()(context).kind(), Kind::stopped);
  EXPECT_EQ(database.files(0, 0), 4U);
}

TEST(ColumnFamilyCompactor, left_alone_the_same_stripe_takes_all_its_steps) {
  Database database(1);
  for (int files = 0; files < 10; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config(), 1);
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  // Ten files, due down to four: the first alone, then as many as share the overlap in L1.
  EXPECT_EQ(worker.snapshot().stats.total_compactions, 4U);
  EXPECT_EQ(worker.snapshot().outcomes[CompactionOutcome::Kind::more_work], 3U);
  EXPECT_LT(database.files(0, 0), 4U);
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, dropping_a_column_family_while_it_is_merged_is_no_error) {
  Gate begun;
  Gate dropped;
  auto hook = std::make_shared<MergeHook>([&](const ::rocksdb::SubcompactionJobInfo& info) {
    if (info.cf_name == "1") {
      begun.open();
      dropped.pass();
    }
  });
  Database database(2, {}, {hook});
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
    database.add_l0_file(1);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 2, compactor.job());
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::started);
  begun.pass();
  expect_ok(database.db->DropColumnFamily(database.handles[1]));
  dropped.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.queue_compaction(1);  // long dropped
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.first_error, "");
  EXPECT_EQ(snapshot.outcomes[CompactionOutcome::Kind::nothing_to_do], 2U);
  EXPECT_EQ(snapshot.outcomes[CompactionOutcome::Kind::done], 1U);
  database.put(0, "still", "writable");
  worker.shutdown();
  database.expect_contents();
}

TEST(ColumnFamilyCompactor, a_database_that_closes_stops_the_compaction_without_an_error) {
  Gate begun;
  Gate closing;
  auto hook = std::make_shared<MergeHook>([&](const auto&) {
    begun.open();
    closing.pass();
  });
  Database database(1, {}, {hook});
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  begun.pass();
  ::rocksdb::CancelAllBackgroundWork(database.db.get(), false);
  closing.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().outcomes[CompactionOutcome::Kind::stopped], 1U);
  EXPECT_EQ(worker.snapshot().first_error, "");
  worker.shutdown();
  EXPECT_EQ(database.files(0, 0), 4U);
  database.expect_contents();
}

// Back-pressure. Stop and slowdown lie close together, so that the writer is stopped and not only
// delayed.
void stop_at_eight(::rocksdb::ColumnFamilyOptions& options) {
  options.level0_slowdown_writes_trigger = 7;
  options.level0_stop_writes_trigger = 8;
}

bool writes_are_stopped(Database& database) {
  std::uint64_t stopped = 0;
  EXPECT_TRUE(database.db->GetIntProperty(::rocksdb::DB::Properties::kIsWriteStopped, &stopped));
  return stopped != 0;
}

bool can_write_at_once(Database& database) {
  ::rocksdb::WriteOptions options;
  options.no_slowdown = true;
  return database.db->Put(options, database.handles[0], "key", "value").ok();
}

TEST(ColumnFamilyCompactor, a_stopped_writer_is_released_by_the_worker) {
  Database database(1, stop_at_eight);
  while (database.files(0, 0) < 8) {
    database.add_l0_file(0);
  }
  ASSERT_TRUE(writes_are_stopped(database));
  EXPECT_FALSE(can_write_at_once(database));

  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  compactor.scan()(worker);
  std::thread writer([&] { database.put(0, "stopped", "and released"); });
  // Nobody compacts: the writer stays where it is, whether it has arrived there or not.
  EXPECT_TRUE(writes_are_stopped(database));
  EXPECT_FALSE(can_write_at_once(database));
  EXPECT_EQ(worker.start(), StartResult::started);
  writer.join();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_FALSE(writes_are_stopped(database));
  EXPECT_TRUE(can_write_at_once(database));
}

// The neighbour, and the reason for kCompactionStyleNone: with auto compactions disabled nothing
// ever holds up a writer.
TEST(ColumnFamilyCompactor, without_auto_compactions_rocksdb_would_never_stop_a_writer) {
  Database database(1, [](auto& options) {
    stop_at_eight(options);
    options.disable_auto_compactions = true;
  });
  while (database.files(0, 0) < 30) {
    database.add_l0_file(0);
  }
  EXPECT_FALSE(writes_are_stopped(database));
  EXPECT_TRUE(can_write_at_once(database));
}

std::vector<std::string> live_ssts(Database& database) {
  std::vector<::rocksdb::LiveFileMetaData> files;
  database.db->GetLiveFilesMetaData(&files);
  std::vector<std::string> names;
  for (const auto& file : files) {
    names.push_back(file.name);
  }
  return names;
}

// What docs/attaching-an-engine.md warns of, and why there is a `DatabasePause`.
TEST(ColumnFamilyCompactor, a_pause_of_rocksdb_does_not_hold_the_worker) {
  Database database(1);
  for (int files = 0; files < 6; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  EXPECT_EQ(worker.start(), StartResult::started);
  expect_ok(database.db->PauseBackgroundWork());
  const auto before = live_ssts(database);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_NE(live_ssts(database), before);
  expect_ok(database.db->ContinueBackgroundWork());
}

// Nothing is merged, and the scan takes up what was due.
TEST(ColumnFamilyCompactor, disabled_manual_compactions_delay_what_is_asked_for) {
  Database database(1);
  for (int files = 0; files < 6; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  EXPECT_EQ(worker.start(), StartResult::started);
  database.db->DisableManualCompaction();
  const auto before = live_ssts(database);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::delayed);
  EXPECT_LE(1U, worker.snapshot().outcomes[CompactionOutcome::Kind::retry]);
  EXPECT_EQ(live_ssts(database), before);
  database.db->EnableManualCompaction();
  EXPECT_EQ(worker.wait_idle({}, WhenDelayed::wait), IdleResult::idle);
  EXPECT_LT(database.files(0, 0), 4U);
  database.expect_contents();
}

std::string refusal(const Database::Tweak& tweak) {
  Database database(1, tweak);
  try {
    const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
    return "accepted";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

// With them RocksDB promises compactions that nobody would do.
TEST(ColumnFamilyCompactor, refuses_what_rocksdb_does_only_by_itself) {
  const auto expect = [](const std::string& part, const Database::Tweak& tweak) {
    const auto why = refusal(tweak);
    EXPECT_NE(why.find("column family '0' has " + part), std::string::npos) << why;
  };
  expect("ttl 3600", [](auto& options) { options.ttl = 3600; });
  expect("periodic_compaction_seconds 7200",
         [](auto& options) { options.periodic_compaction_seconds = 7200; });
  expect("a CompactOnDeletionCollector", [](auto& options) {
    options.table_properties_collector_factories.push_back(
        ::rocksdb::NewCompactOnDeletionCollectorFactory(100, 50));
  });
  EXPECT_EQ(refusal([](auto& options) { options.ttl = options.periodic_compaction_seconds = 0; }),
            "accepted");
}

TEST(ColumnFamilyCompactor, refuses_options_with_which_it_cannot_work) {
  EXPECT_EQ(refusal({}), "accepted");
  EXPECT_NE(refusal([](auto& options) {
              options.compaction_style = ::rocksdb::kCompactionStyleLevel;
            }).find("column family '0' needs compaction_style"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& options) {
              options.disable_auto_compactions = true;
            }).find("disable_auto_compactions"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& options) { options.num_levels = 1; }).find("num_levels 1"),
            std::string::npos);
  EXPECT_NE(refusal([](auto& options) {
              options.level0_file_num_compaction_trigger = 2;
              options.level0_slowdown_writes_trigger = 2;
              options.level0_stop_writes_trigger = 3;
            }).find("level0_stop_writes_trigger 3"),
            std::string::npos);
}

TEST(OutcomeOf, follows_the_table) {
  using ::rocksdb::Status;
  EXPECT_EQ(outcome_of(Status::ColumnFamilyDropped(), false).kind(), Kind::nothing_to_do);
  EXPECT_EQ(outcome_of(Status::ShutdownInProgress(), false).kind(), Kind::stopped);
  EXPECT_EQ(outcome_of(Status::Incomplete(), true).kind(), Kind::stopped);
  EXPECT_EQ(outcome_of(Status::Incomplete(), false).kind(), Kind::retry);
  EXPECT_EQ(outcome_of(Status::Aborted("busy"), false).kind(), Kind::retry);
  EXPECT_EQ(outcome_of(Status::NoSpace("full"), false).kind(), Kind::retry);
  EXPECT_EQ(outcome_of(Status::IOError("torn"), true).kind(), Kind::retry);
  EXPECT_EQ(outcome_of(Status::CompactionTooLarge(), false).kind(), Kind::retry);
  EXPECT_EQ(outcome_of(Status::Corruption("bad"), false).kind(), Kind::failed);
  EXPECT_EQ(outcome_of(Status::InvalidArgument("stale"), false).kind(), Kind::failed);
  EXPECT_EQ(outcome_of(Status::Corruption("bad block"), false).error(), "Corruption: bad block");
}

// Bytewise order that calls back once, in the middle of picking.
class HookedOrder final : public ::rocksdb::Comparator {
 public:
  const char* Name() const override { return bytewise_.Name(); }
  int Compare(const ::rocksdb::Slice& a, const ::rocksdb::Slice& b) const override {
    if (armed.exchange(false)) {
      call();
    }
    return bytewise_.Compare(a, b);
  }
  void FindShortestSeparator(std::string*, const ::rocksdb::Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}

  mutable std::atomic<bool> armed{false};
  std::function<void()> call;

 private:
  const ::rocksdb::Comparator& bytewise_ = *::rocksdb::BytewiseComparator();
};

std::vector<std::string> l0_names(const ColumnFamilyCompactor& compactor) {
  std::vector<std::string> names;
  const auto levels = compactor.levels(0);
  for (const auto& sst : levels[0]) {
    names.push_back(sst.name);
  }
  return names;
}

// Between picking and merging, somebody else merges what was picked.
TEST(ColumnFamilyCompactor, a_stale_pick_is_picked_again) {
  HookedOrder order;
  Database database(1, [&](auto& options) { options.comparator = &order; });
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  order.call = [&] {
    expect_ok(database.db->CompactFiles({}, database.handles[0], l0_names(compactor), 1));
    for (int files = 0; files < 4; ++files) {
      database.add_l0_file(0);
    }
  };
  order.armed = true;
  detail::StopState<ProductionSync> stop;
  const CompactionStatsAtomic stats;
  CompactionContext context({0}, 1, stop, stats);
  const auto outcome = compactor.job()(context);
  EXPECT_FALSE(order.armed);
  EXPECT_EQ(outcome.kind(), Kind::done) << outcome.error();
  EXPECT_EQ(stats.snapshot().total_ssts_merged, 5U);  // the newer four, and what the others became
  EXPECT_EQ(database.files(0, 0), 0U);
  database.expect_contents();
}

// Somebody else merges the same SSTs: the step is planned again, a bounded number of times, and
// given back as a retry.
TEST(ColumnFamilyCompactor, ssts_that_somebody_else_compacts_are_a_retry) {
  Gate begun;
  Gate go_on;
  auto hook = std::make_shared<MergeHook>([&](const auto&) {
    begun.open();
    go_on.pass();
  });
  Database database(1, {}, {hook});
  for (int files = 0; files < 4; ++files) {
    database.add_l0_file(0);
  }
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  std::thread somebody([&, inputs = l0_names(compactor)] {
    expect_ok(database.db->CompactFiles({}, database.handles[0], inputs, 1));
  });
  begun.pass();
  BackgroundWorker worker(Database::config(), {}, 1, compactor.job());
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::delayed);
  EXPECT_LE(1U, worker.snapshot().outcomes[CompactionOutcome::Kind::retry]);
  EXPECT_NE(worker.snapshot().first_error.find("being compacted"), std::string::npos)
      << worker.snapshot().first_error;
  go_on.open();
  somebody.join();
  database.expect_contents();
}

}  // namespace
}  // namespace kstone::rocksdb::test
