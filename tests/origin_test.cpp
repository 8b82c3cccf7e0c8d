// The origin's five unit tests hold here too.

#include <gtest/gtest.h>

#include "test_support.h"

namespace kstone::test {
namespace {

TEST(Origin, start_stop) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 16, do_nothing);
  EXPECT_FALSE(worker.is_running());
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_TRUE(worker.is_running());
  worker.shutdown();
  EXPECT_FALSE(worker.is_running());
}

TEST(Origin, queue_with_a_duplicate) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 16, do_nothing);
  EXPECT_EQ(worker.queue_size(), 0U);
  EXPECT_EQ(worker.queue_compaction(1), Submission::queued);
  EXPECT_EQ(worker.queue_size(), 1U);
  EXPECT_EQ(worker.queue_compaction(2), Submission::queued);
  EXPECT_EQ(worker.queue_size(), 2U);
  EXPECT_EQ(worker.queue_compaction(1), Submission::coalesced);
  EXPECT_EQ(worker.queue_size(), 2U);
}

TEST(Origin, shutdown_on_destruction) {
  Gate started;
  Gate end;
  bool ended = false;
  {
    BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 16,
                            [&](CompactionContext&) {
                              started.open();
                              end.pass();
                              ended = true;
                              return CompactionOutcome::done();
                            });
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.queue_compaction(0);
    started.pass();
    end.open();
  }
  EXPECT_TRUE(ended);
}

TEST(Origin, started_with_a_disabled_configuration) {
  BackgroundWorker worker(CompactionConfig::disabled(), CompactionStatsAtomic(), 16, do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_TRUE(worker.is_running());
  EXPECT_EQ(worker.snapshot().worker_threads, 0U);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_FALSE(worker.is_running());
}

TEST(Origin, ten_items_queued_before_any_start) {
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 16,
                          do_nothing);
  for (std::uint32_t i = 0; i < 10; ++i) {
    worker.queue_compaction(i);
  }
  EXPECT_EQ(worker.queue_size(), 10U);
}

TEST(Origin, the_setters_raise_what_is_too_small) {
  const auto config =
      CompactionConfig().with_sst_threshold(0).with_check_interval(7).with_max_concurrent(0);
  EXPECT_EQ(config.sst_threshold, 2U);
  EXPECT_EQ(config.check_interval_secs, 7U);
  EXPECT_EQ(config.max_concurrent_compactions, 1U);
  EXPECT_TRUE(config.enabled);
  EXPECT_FALSE(CompactionConfig::disabled().enabled);
}

}  // namespace
}  // namespace kstone::test
