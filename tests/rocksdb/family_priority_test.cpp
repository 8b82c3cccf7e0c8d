// How urgent a column family is, and what becomes of that in the worker.

#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../test_support.h"
#include "database_support.h"

namespace kstone::rocksdb::test {
namespace {

// L0 is due with 4 files, and writers are slowed down with 10: half the way are 7.
Database with_l0_files(const std::vector<int>& files) {
  return Database(static_cast<std::uint32_t>(files.size()), [](auto& options) {
    options.level0_slowdown_writes_trigger = 10;
    options.level0_stop_writes_trigger = 20;
  });
}

void add_l0_files(Database& database, const std::vector<int>& files) {
  for (std::uint32_t family = 0; family < files.size(); ++family) {
    for (int i = 0; i < files[family]; ++i) {
      database.add_l0_file(family);
    }
  }
}

TEST(FamilyPriority, is_by_the_way_of_l0_to_where_writers_are_slowed_down) {
  const std::vector<int> files = {0, 3, 4, 6, 7, 12};
  Database database = with_l0_files(files);
  add_l0_files(database, files);
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config(),
                                        {.capacity = 7});
  const std::vector<Priority> expected = {Priority::low,    Priority::low,  Priority::normal,
                                          Priority::normal, Priority::high, Priority::high,
                                          Priority::normal};  // the last stripe is free
  for (std::uint32_t stripe = 0; stripe < 7; ++stripe) {
    EXPECT_EQ(compactor.priority_of(stripe), expected[stripe]) << stripe;
    EXPECT_EQ(compactor.priorities()(stripe), expected[stripe]) << stripe;
  }
}

TEST(FamilyPriority, is_high_with_one_file_more_than_due_where_writers_are_slowed_down_at_once) {
  Database database(1, [](auto& options) {
    options.level0_slowdown_writes_trigger = 5;
    options.level0_stop_writes_trigger = 20;
  });
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  add_l0_files(database, {4});
  EXPECT_EQ(compactor.priority_of(0), Priority::normal);
  add_l0_files(database, {1});
  EXPECT_EQ(compactor.priority_of(0), Priority::high);
}

TEST(FamilyPriority, what_is_urgent_is_compacted_first) {
  const std::vector<int> files = {4, 4, 8};
  Database database = with_l0_files(files);
  add_l0_files(database, files);
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  std::vector<std::uint32_t> order;  // one worker thread
  BackgroundWorker worker(Database::config().with_max_concurrent(1), {}, compactor.stripe_count(),
                          [&](CompactionContext& context) {
                            order.push_back(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  compactor.scan()(worker);
  EXPECT_EQ(worker.snapshot().in_high_lane, 1U);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();
  EXPECT_EQ(order, (std::vector<std::uint32_t>{2, 0, 1}));
}

TEST(FamilyPriority, a_flush_raises_a_family_that_waits) {
  Database database = with_l0_files({0});
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  BackgroundWorker worker(Database::config(), {}, compactor.stripe_count(), compactor.job());
  database.listener->attach(worker, database.handles, compactor.priorities());
  add_l0_files(database, {4});
  const auto in_high_lane = [&] { return worker.snapshot().in_high_lane; };
  EXPECT_EQ(in_high_lane(), 0U);
  add_l0_files(database, {4});
  // The callback of a flush may come after Flush has returned; the scan says what it would.
  compactor.scan()(worker);
  EXPECT_EQ(in_high_lane(), 1U);
  worker.shutdown();
  database.listener->detach();
}

TEST(FamilyPriority, the_rest_of_a_compaction_is_as_urgent_as_the_family_is_then) {
  Database database(1, [](auto& options) {
    options.level0_slowdown_writes_trigger = 10;
    options.level0_stop_writes_trigger = 20;
    options.max_bytes_for_level_base = 1;  // L1 is due whatever is in it
  });
  add_l0_files(database, {8});
  const ColumnFamilyCompactor compactor(database.db.get(), database.handles, Database::config());
  std::vector<Priority> priorities;  // one worker thread
  const auto compact = compactor.job();
  BackgroundWorker worker(Database::config().with_max_concurrent(1), {}, 1,
                          [&](CompactionContext& context) {
                            priorities.push_back(context.priority());
                            return compact(context);
                          });
  compactor.scan()(worker);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();
  ASSERT_GE(priorities.size(), 2U);
  EXPECT_EQ(priorities.front(), Priority::high);
  EXPECT_EQ(priorities.back(), Priority::low);  // nothing is left in L0
  database.expect_contents();
}

TEST(FamilyPriority, that_cannot_be_told_is_normal) {
  Database database(1);
  BackgroundWorker worker(Database::config(), {}, 1,
                          [](CompactionContext&) { return CompactionOutcome::done(); });
  database.listener->attach(worker, database.handles, [](std::uint32_t) -> Priority {
    throw std::runtime_error("a priority that nobody knows");
  });
  ::rocksdb::FlushJobInfo info;
  info.cf_id = database.handles[0]->GetID();
  info.cf_name = database.handles[0]->GetName();
  database.listener->OnFlushCompleted(nullptr, info);
  EXPECT_EQ(worker.queue_size(), 1U);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.in_high_lane + snapshot.in_low_lane, 0U);
  worker.shutdown();
  database.listener->detach();
}

}  // namespace
}  // namespace kstone::rocksdb::test
