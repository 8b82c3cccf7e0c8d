// Requests (contract section 3): answers, coalescing, order, publication.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

TEST(Requests, an_unknown_stripe_is_rejected_without_effect) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.queue_compaction(4), Submission::rejected_unknown_stripe);
  EXPECT_EQ(worker.queue_compaction(UINT32_MAX), Submission::rejected_unknown_stripe);
  EXPECT_EQ(worker.queue_size(), 0U);
  EXPECT_EQ(worker.snapshot().rejected_unknown_stripe, 2U);
}

TEST(Requests, are_first_asked_for_a_known_stripe_then_whether_anybody_serves_them) {
  BackgroundWorker disabled(CompactionConfig::disabled(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_FALSE(disabled.is_running()) << "before start";
  EXPECT_EQ(disabled.queue_compaction(4), Submission::rejected_unknown_stripe);
  EXPECT_EQ(disabled.queue_compaction(3), Submission::rejected_disabled);
}

TEST(Requests, are_rejected_however_often_after_shutdown) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.shutdown().mode, ShutdownMode::finish_running) << "the mode where none is given";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(worker.queue_compaction(0), Submission::rejected_shutting_down);
  }
}

TEST(Requests, any_number_before_start_are_one_compaction) {
  std::atomic<int> runs{0};
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, [&](CompactionContext&) {
    ++runs;
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.queue_compaction(2), Submission::queued);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(worker.queue_compaction(2), Submission::coalesced);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(runs, 1);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.queued, 1U);
  EXPECT_EQ(snapshot.coalesced, 100U);
  EXPECT_EQ(snapshot.requests(), 101U);
}

TEST(Requests, stripes_run_in_the_order_of_their_first_request) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 8,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  for (const std::uint32_t id : {5U, 1U, 7U, 1U, 0U, 5U, 3U}) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(compacted.events(), (std::vector<std::uint32_t>{5, 1, 7, 0, 3}));
}

TEST(Requests, a_rerun_waits_behind_what_was_queued_before_it) {
  Journal<std::uint32_t> compacted;
  Gate started;
  Gate end;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 8,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            started.open();
                            end.pass();
                            return CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  started.pass();
  EXPECT_EQ(worker.queue_compaction(1), Submission::queued);
  EXPECT_EQ(worker.queue_compaction(0), Submission::rerun_pending);
  EXPECT_EQ(worker.queue_size(), 1U);  // stripe 0 runs
  EXPECT_EQ(worker.queue_compaction(2), Submission::queued);
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(compacted.events(), (std::vector<std::uint32_t>{0, 1, 2, 0}));
}

TEST(Requests, a_job_may_request_its_own_and_other_stripes) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker* self = nullptr;
  std::vector<Submission> answers;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            if (compacted.events().size() == 1) {
                              answers.push_back(self->queue_compaction(0));
                              answers.push_back(self->queue_compaction(3));
                              answers.push_back(self->queue_compaction(0));
                            }
                            return CompactionOutcome::done();
                          });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(answers, (std::vector<Submission>{Submission::rerun_pending, Submission::queued,
                                              Submission::coalesced}));
  const auto events = compacted.events();
  EXPECT_EQ(std::count(events.begin(), events.end(), 0U), 2);
  EXPECT_EQ(std::count(events.begin(), events.end(), 3U), 1);
}

// Three threads, all asleep, and a caller that is suspended between claiming one of them for stripe
// 0 and posting its token. The compaction of stripe 0 waits for that of stripe 1.
struct SuspendedCaller {
  using Worker = basic_background_worker<WatchedSync>;

  WatchedSync::Watch watch;
  Gate other;
  Worker worker;
  std::atomic<bool> returned{false};
  std::thread caller;

  SuspendedCaller()
      : worker(CompactionConfig().with_max_concurrent(3), {}, 2, [this](Worker::Context& context) {
          if (context.stripe_id() == 0) {
            other.pass();
          } else {
            other.open();
          }
          return CompactionOutcome::done();
        }) {
    EXPECT_EQ(worker.start(), StartResult::started);
    watch.sleeps.await(3);
    caller = std::thread([this] {
      watch.held = std::this_thread::get_id();
      worker.queue_compaction(0);
      returned = true;
    });
    watch.holding.pass();
  }
  void resume() {
    watch.resume.open();
    caller.join();
  }
};

// It holds up that one thread. Of the other two, one compacts stripe 0, which waits for stripe 1,
// and wakes the last for it.
TEST(Requests, of_a_suspended_caller_cost_one_thread_and_not_more) {
  SuspendedCaller suspended;
  suspended.worker.queue_compaction(1);
  EXPECT_EQ(suspended.worker.wait_idle(), IdleResult::idle);
  EXPECT_FALSE(suspended.returned);
  EXPECT_EQ(suspended.watch.tokens, 2U);
  suspended.resume();
  EXPECT_EQ(suspended.watch.tokens, 3U);
}

// The same, and somebody has looked at stripe 0 meanwhile, which moved it into the queue: the
// thread that takes it does not look into the inbox, so the look wakes a thread for it.
TEST(Requests, of_a_suspended_caller_cost_one_thread_also_after_a_look) {
  SuspendedCaller suspended;
  EXPECT_EQ(suspended.worker.wait_idle(0, std::chrono::seconds(0)).result, IdleResult::timed_out);
  EXPECT_EQ(suspended.watch.tokens, 1U);
  suspended.worker.queue_compaction(1);
  EXPECT_EQ(suspended.worker.wait_idle(), IdleResult::idle);
  suspended.resume();
}

TEST(Requests, from_many_threads_are_each_served_by_a_later_compaction) {
  constexpr std::uint32_t stripes = 8;
  constexpr int callers = 4;
  constexpr int calls = 2'000;
  // Plain data: a caller writes its own cell before the call; the compaction that serves it must
  // see at least that.
  static int written[callers][stripes];
  static int seen[callers][stripes];
  for (auto& row : written) {
    std::fill(std::begin(row), std::end(row), 0);
  }
  for (auto& row : seen) {
    std::fill(std::begin(row), std::end(row), 0);
  }
  std::atomic<int> overlaps{0};
  std::atomic<bool> busy[stripes] = {};
  std::atomic<int> publish[callers][stripes] = {};
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(3), CompactionStatsAtomic(),
                          stripes, [&](CompactionContext& context) {
                            const auto id = context.stripe_id();
                            overlaps += busy[id].exchange(true) ? 1 : 0;
                            for (int caller = 0; caller < callers; ++caller) {
                              seen[caller][id] =
                                  publish[caller][id].load(std::memory_order_relaxed);
                            }
                            busy[id] = false;
                            return CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller) {
    threads.emplace_back([&, caller] {
      for (int i = 1; i <= calls; ++i) {
        const auto id = static_cast<std::uint32_t>(i * 7 + caller) % stripes;
        written[caller][id] = i;
        publish[caller][id].store(i, std::memory_order_relaxed);
        EXPECT_TRUE(accepted(worker.queue_compaction(id)));
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(overlaps, 0);
  for (int caller = 0; caller < callers; ++caller) {
    for (std::uint32_t id = 0; id < stripes; ++id) {
      EXPECT_EQ(seen[caller][id], written[caller][id]);
    }
  }
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.requests(), std::uint64_t{callers} * calls);
  EXPECT_EQ(broken_law(snapshot), "");
  EXPECT_EQ(snapshot.episodes_alive, 0U);
}

}  // namespace
}  // namespace kstone::test
