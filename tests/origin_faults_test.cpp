// The nine faults of the origin that must not come back (contract section 2), one test each.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

// The interval is 11 days: a worker that waits for it does not pass within the test's time limit.
CompactionConfig never_checks() { return CompactionConfig().with_check_interval(1'000'000); }

TEST(OriginFault, f1_a_request_or_shutdown_waits_for_the_interval) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker worker(never_checks(), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.queue_compaction(2);
  compacted.await(1);  // with nothing to wake the worker but the request
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(OriginFault, f1_nor_with_a_periodic_scan) {
  Journal<std::uint32_t> compacted;
  Gate scanned;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker&) { scanned.open(); };
  BackgroundWorker worker(
      never_checks(), CompactionStatsAtomic(), 4,
      [&](CompactionContext& context) {
        compacted.add(context.stripe_id());
        return CompactionOutcome::done();
      },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scanned.pass();
  worker.queue_compaction(2);
  compacted.await(1);
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(OriginFault, f2_max_concurrent_is_only_a_batch_size) {
  // Each job waits until three run: with less concurrency than that, none would end.
  std::atomic<int> arrived{0};
  Gate all_here;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(3), CompactionStatsAtomic(), 8,
                          [&](CompactionContext&) {
                            if (++arrived == 3) {
                              all_here.open();
                            }
                            all_here.pass();
                            return CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  for (std::uint32_t i = 0; i < 6; ++i) {
    worker.queue_compaction(i);
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().running_max, 3U);
}

TEST(OriginFault, f3_the_compaction_is_not_performed) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker worker(never_checks(), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            context.stats().record_ssts_merged(5);
                            compacted.add(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  worker.queue_compaction(3);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(compacted.events(), std::vector<std::uint32_t>{3});
  EXPECT_EQ(worker.snapshot().stats.total_ssts_merged, 5U);
}

TEST(OriginFault, f4_requests_taken_from_the_queue_are_dropped_by_shutdown) {
  // Shutdown comes while the first of four runs. The others run (drain) or are reported
  // (finish_running).
  for (const auto mode : {ShutdownMode::drain, ShutdownMode::finish_running}) {
    Journal<std::uint32_t> compacted;
    Gate started;
    Gate end;
    BackgroundWorker worker(never_checks().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                            [&](CompactionContext& context) {
                              started.open();
                              end.pass();
                              compacted.add(context.stripe_id());
                              return CompactionOutcome::done();
                            });
    EXPECT_EQ(worker.start(), StartResult::started);
    for (std::uint32_t i = 0; i < 4; ++i) {
      worker.queue_compaction(i);
    }
    started.pass();
    EXPECT_FALSE(worker.shutdown(mode, std::chrono::nanoseconds(0)).complete);
    end.open();
    const auto report = worker.shutdown(mode);
    EXPECT_TRUE(report.complete);
    std::set<std::uint32_t> accounted;
    for (const auto id : ids(report.discarded)) {
      EXPECT_TRUE(accounted.insert(id).second);
    }
    for (const auto id : compacted.events()) {
      EXPECT_TRUE(accounted.insert(id).second) << "stripe " << id << " ran and was reported too";
    }
    EXPECT_EQ(accounted.size(), 4U);
    EXPECT_EQ(compacted.events().size(), mode == ShutdownMode::drain ? 4U : 1U);
  }
}

TEST(OriginFault, f5_duplicates_of_a_running_stripe_are_not_seen) {
  Gate started;
  Gate end;
  std::atomic<int> runs{0};
  BackgroundWorker worker(never_checks(), CompactionStatsAtomic(), 4, [&](CompactionContext&) {
    ++runs;
    started.open();
    end.pass();
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.queue_compaction(1), Submission::queued);
  started.pass();
  EXPECT_EQ(worker.queue_compaction(1), Submission::rerun_pending);
  EXPECT_EQ(worker.queue_compaction(1), Submission::coalesced);
  EXPECT_EQ(worker.queue_compaction(1), Submission::coalesced);
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(runs, 2);
}

TEST(OriginFault, f6_start_after_shutdown_does_nothing_and_says_nothing) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.shutdown();
  EXPECT_EQ(worker.start(), StartResult::shut_down);
  EXPECT_FALSE(worker.is_running());
}

TEST(OriginFault, f7_a_request_after_shutdown_is_accepted) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.shutdown();
  EXPECT_EQ(worker.queue_compaction(1), Submission::rejected_shutting_down);
  EXPECT_EQ(worker.queue_size(), 0U);
  EXPECT_EQ(worker.snapshot().rejected_shutting_down, 1U);
}

TEST(OriginFault, f8_a_panicking_job_kills_the_thread_unseen) {
  std::atomic<int> runs{0};
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [&](CompactionContext& context) -> CompactionOutcome {
        ++runs;
        if (context.stripe_id() == 0) {
          throw std::runtime_error("block 17 is corrupt");
        }
        if (context.stripe_id() == 1) {
          throw 42;
        }
        return CompactionOutcome::done();
      },
      without_back_off());
  EXPECT_EQ(worker.start(), StartResult::started);
  for (std::uint32_t i = 0; i < 3; ++i) {
    worker.queue_compaction(i);
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(runs, 3);
  EXPECT_TRUE(worker.is_running());
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.worker_threads, 1U);
  EXPECT_EQ(snapshot.episodes_failed, 2U);
  EXPECT_EQ(snapshot.episodes_done, 1U);
  EXPECT_EQ(snapshot.first_error, "block 17 is corrupt");
  EXPECT_EQ(worker.shutdown().first_error, "block 17 is corrupt");
}

// And where a thread really is ended from within its job, is_running says so.
TEST(OriginFault, f8_a_thread_that_its_job_ended_does_not_count_as_running) {
  CompactionStatsAtomic stats;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), stats, 4,
                          [](CompactionContext&) -> CompactionOutcome { pthread_exit(nullptr); });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_FALSE(worker.is_running());
  worker.queue_compaction(1);
  const auto report = worker.shutdown(ShutdownMode::drain);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.discarded), std::vector<std::uint32_t>{1});
  EXPECT_EQ(worker.snapshot().episodes_failed, 1U);
  EXPECT_EQ(stats.snapshot().active_compactions, 0U);
}

// The thread goes without having looked at the queue again, so another is woken for what it leaves
// there.
TEST(OriginFault, f8_a_rerun_owed_by_a_thread_that_its_job_ended_runs) {
  using Worker = basic_background_worker<WatchedSync>;
  WatchedSync::Watch watch;
  Journal<std::uint32_t> attempts;
  Worker* self = nullptr;
  Worker worker(CompactionConfig().with_max_concurrent(2), {}, 1, [&](Worker::Context& context) {
    attempts.add(context.attempt());
    const auto runs = attempts.events().size();
    if (runs == 1) {
      self->queue_compaction(0);
    }
    if (runs != 2) {
      pthread_exit(nullptr);
    }
    return CompactionOutcome::done();
  });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  watch.sleeps.await(2);
  worker.queue_compaction(0);
  attempts.await(2);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(watch.tokens, 2U);  // for the request and for the re-run
  EXPECT_TRUE(worker.is_running());

  watch.sleeps.await(3);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_FALSE(worker.is_running());
  EXPECT_EQ(attempts.events(), (std::vector<std::uint32_t>{1, 1, 1}));
  const auto report = worker.shutdown();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(watch.tokens, 3U);  // nobody slept, when the last thread was ended
  EXPECT_EQ(report.first_error, "thread ended");
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.episodes_failed, 2U);
  EXPECT_EQ(snapshot.episodes_done, 1U);
  EXPECT_EQ(snapshot.worker_threads, 0U);
}

TEST(OriginFault, f9_the_configuration_and_the_stats_are_not_used) {
  BackgroundWorker disabled(CompactionConfig::disabled(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(disabled.start(), StartResult::started);
  EXPECT_EQ(disabled.queue_compaction(1), Submission::rejected_disabled);
  EXPECT_EQ(disabled.queue_size(), 0U);

  CompactionStatsAtomic stats;
  Gate started;
  Gate end;
  BackgroundWorker worker(CompactionConfig(), stats, 4, [&](CompactionContext&) {
    started.open();
    end.pass();
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(1);
  started.pass();
  EXPECT_EQ(stats.snapshot().active_compactions, 1U);
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(stats.snapshot().active_compactions, 0U);
  EXPECT_EQ(stats.snapshot().total_compactions, 1U);
}

}  // namespace
}  // namespace kstone::test
