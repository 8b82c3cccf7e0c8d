// How the lanes share the threads, what a job is told of them, and what becomes of them at the end
// (contract section 3: lanes don't preempt).

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "lanes_scene.h"
#include "manual_clock_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using Sleepy = Jobs<WatchedSync>;

TEST(Lanes, a_reserved_thread_takes_only_the_high_lane) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.reserved_for_high = 1;
  jobs.start(2);
  watch.sleeps.await(2);
  jobs.run(0);
  jobs.request(1);
  watch.sleeps.await(3);  // the other thread has looked
  jobs.request(2, low);
  watch.sleeps.await(4);
  EXPECT_EQ(jobs.served.events().size(), 1U);
  jobs.run(3, high);
  jobs.go_on[3].open();
  watch.sleeps.await(5);
  EXPECT_EQ(jobs.served.events().size(), 2U);
  // Raised, it is no longer one of those for which there is no thread.
  jobs.request_again(1, high);
  jobs.served.await(3);
  EXPECT_EQ(jobs.rest(),
            (std::vector<Served>{{3, Priority::high}, {1, Priority::high}, {2, Priority::low}}));
  EXPECT_EQ(jobs.worker->snapshot().running_max, 2U);
}

TEST(Lanes, all_threads_take_the_high_lane) {
  Jobs jobs;
  jobs.options.lanes.reserved_for_high = 1;
  jobs.start(2);
  jobs.run(0, high);
  jobs.run(1, high);
  jobs.request(2);
  jobs.go_on[0].open();
  jobs.served.await(3);  // no thread is bound to a lane
  jobs.request(3);
  jobs.let_all_go();
  EXPECT_EQ(jobs.worker->wait_idle(), IdleResult::idle);
}

TEST(Lanes, of_three_threads_as_many_as_are_not_reserved_take_what_is_not_high) {
  for (const std::uint32_t reserved : {0U, 1U, 2U}) {
    WatchedSync::Watch watch;
    Sleepy jobs;
    jobs.options.lanes.reserved_for_high = reserved;
    jobs.start(3);
    watch.sleeps.await(3);
    const auto others = 3 - reserved;
    for (std::uint32_t id = 0; id < others; ++id) {
      jobs.run(id, id % 2 == 0 ? RequestOptions() : low);
    }
    for (std::uint32_t id = others; id < 3; ++id) {
      jobs.request(id);
      watch.sleeps.await(3 + id - others + 1);
    }
    EXPECT_EQ(jobs.served.events().size(), others);
    EXPECT_EQ(jobs.worker->snapshot().running, others);
    for (std::uint32_t id = 3; id < 3 + reserved; ++id) {
      jobs.run(id, high);
    }
    EXPECT_EQ(jobs.worker->snapshot().running, 3U);
    jobs.let_all_go();
    EXPECT_EQ(jobs.worker->wait_idle(), IdleResult::idle);
  }
}

TEST(Lanes, a_raised_limit_lets_what_waits_for_a_thread_that_is_not_reserved_run_at_once) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.reserved_for_high = 1;
  auto& worker = jobs.start(3);
  watch.sleeps.await(3);
  EXPECT_EQ(worker.set_max_concurrent(2), ResizeResult::resized);
  jobs.run(0);
  jobs.request(1);
  watch.sleeps.await(4);
  EXPECT_EQ(jobs.served.events().size(), 1U);
  EXPECT_EQ(worker.set_max_concurrent(3), ResizeResult::resized);
  jobs.served.await(2);  // both run
  EXPECT_EQ(worker.snapshot().running, 2U);
}

TEST(Lanes, a_raised_limit_lets_several_run_at_once) {
  Jobs jobs;
  jobs.options.lanes.reserved_for_high = 1;
  jobs.options.thread_capacity = 6;
  auto& worker = jobs.start(2);
  jobs.run(0);
  for (std::uint32_t id = 1; id < 6; ++id) {
    jobs.request(id);
  }
  EXPECT_EQ(worker.set_max_concurrent(6), ResizeResult::resized);
  jobs.served.await(5);
  EXPECT_EQ(worker.snapshot().running, 5U);
  EXPECT_EQ(worker.queue_size(), 1U);
}

TEST(Lanes, a_lowered_limit_keeps_as_many_threads_for_the_high_lane_but_not_the_last) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.reserved_for_high = 1;
  auto& worker = jobs.start(3);
  watch.sleeps.await(3);
  jobs.run(0);
  jobs.run(1);
  jobs.request(2);
  watch.sleeps.await(4);
  EXPECT_EQ(worker.set_max_concurrent(2), ResizeResult::resized);
  jobs.go_on[0].open();
  watch.sleeps.await(5);  // one of two may take what is not high, and it runs
  EXPECT_EQ(jobs.served.events().size(), 2U);
  EXPECT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  jobs.go_on[1].open();
  jobs.served.await(3);
  jobs.request(3);
  EXPECT_EQ(jobs.order(), (Ids{1, 2, 3}));
}

TEST(Lanes, no_more_of_the_low_lane_run_at_once_than_are_allowed) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.max_low = 1;
  jobs.start(3);
  watch.sleeps.await(3);
  jobs.run(0, low);
  jobs.request(1, low);
  watch.sleeps.await(4);
  EXPECT_EQ(jobs.served.events().size(), 1U);
  jobs.run(2);
  jobs.run(3, high);
  jobs.go_on[2].open();
  watch.sleeps.await(5);
  EXPECT_EQ(jobs.served.events().size(), 3U);  // a thread is free, and the lane is full
  jobs.go_on[0].open();
  jobs.served.await(4);
  EXPECT_EQ(jobs.served.events()[3].stripe_id, 1U);
}

TEST(Lanes, a_low_stripe_that_is_raised_is_not_one_of_those_that_are_allowed) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.max_low = 1;
  jobs.start(2);
  watch.sleeps.await(2);
  jobs.run(0, low);
  jobs.request(1, low);
  watch.sleeps.await(3);
  EXPECT_EQ(jobs.worker->queue_compaction(1), Submission::coalesced);
  jobs.served.await(2);
  EXPECT_EQ(jobs.served.events()[1], (Served{1, Priority::normal}));
}

// The thread whose compaction ends takes another that goes first.
TEST(Lanes, a_place_in_the_low_lane_that_becomes_free_wakes_a_thread) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  jobs.options.lanes.max_low = 1;
  jobs.outcome = [&](Sleepy::Worker::Context& context) {
    if (context.stripe_id() == 0) {
      jobs.request(2, high);
    }
    return CompactionOutcome::done();
  };
  jobs.start(2);
  watch.sleeps.await(2);
  jobs.run(0, low);
  jobs.request(1, low);
  watch.sleeps.await(3);
  jobs.go_on[0].open();
  jobs.served.await(3);
  EXPECT_EQ(jobs.worker->snapshot().running, 2U);
}

// ... which is a re-run of the stripe itself, of which nobody else was told.
TEST(Lanes, a_place_in_the_low_lane_that_a_rerun_leaves_wakes_a_thread) {
  WatchedSync::Watch watch;
  Sleepy jobs;
  Gate end_of_rerun;
  std::atomic<int> runs{0};
  jobs.options.lanes.max_low = 1;
  jobs.outcome = [&](Sleepy::Worker::Context& context) {
    if (context.stripe_id() == 0 && ++runs == 2) {
      end_of_rerun.pass();
    }
    return CompactionOutcome::done();
  };
  jobs.start(2);
  watch.sleeps.await(2);
  jobs.run(0, low);
  jobs.request(1, low);
  watch.sleeps.await(3);
  EXPECT_EQ(jobs.worker->queue_compaction(0, high), Submission::rerun_pending);
  jobs.go_on[0].open();
  jobs.served.await(3);
  EXPECT_EQ(jobs.worker->snapshot().running, 2U);
  end_of_rerun.open();
}

// Eight long jobs on eight threads: one of them is enough.
TEST(ShouldYield, is_told_to_one_job_for_each_stripe_that_waits_above) {
  constexpr std::uint32_t threads = 8;
  Journal<std::uint32_t> started;
  Journal<bool> told;
  Journal<bool> told_again;
  Gate ask;
  Gate end;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(threads), {}, 20, [&](CompactionContext& context) {
        started.add(context.stripe_id());
        if (context.stripe_id() >= threads || context.attempt() > 1) {
          return CompactionOutcome::done();
        }
        ask.pass();
        const bool yields = context.should_yield();
        told.add(yields);
        told.await(threads);
        told_again.add(context.should_yield() == yields);
        told_again.await(threads);
        if (!yields) {
          end.pass();
        }
        return yields ? CompactionOutcome::more_work() : CompactionOutcome::done();
      });
  ASSERT_EQ(worker.start(), StartResult::started);
  for (std::uint32_t id = 0; id < threads; ++id) {
    worker.queue_compaction(id);
  }
  started.await(threads);
  worker.queue_compaction(10);  // not urgent, and before it
  worker.queue_compaction(11, high);
  ask.open();
  started.await(threads + 3);
  const auto answers = told.events();
  EXPECT_EQ(std::count(answers.begin(), answers.end(), true), 1);
  EXPECT_EQ(told_again.events(), std::vector<bool>(threads, true));
  const auto order = started.events();
  EXPECT_EQ(order[threads], 11U);
  EXPECT_EQ(order[threads + 1], 10U);
  EXPECT_LT(order[threads + 2], threads);  // the rest of the one that made room
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(ShouldYield, is_told_to_as_many_jobs_as_stripes_wait_above) {
  for (std::uint32_t urgent = 0; urgent <= 4; ++urgent) {
    constexpr std::uint32_t threads = 3;
    Gate ask;
    Journal<std::uint32_t> started;
    Journal<bool> told;
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(threads), {}, 20,
                            [&](CompactionContext& context) {
                              started.add(context.stripe_id());
                              ask.pass();
                              if (context.stripe_id() < threads) {
                                told.add(context.should_yield());
                                told.await(threads);
                              }
                              return CompactionOutcome::done();
                            });
    ASSERT_EQ(worker.start(), StartResult::started);
    for (std::uint32_t id = 0; id < threads; ++id) {
      worker.queue_compaction(id);
    }
    started.await(threads);
    for (std::uint32_t id = 0; id < urgent; ++id) {
      worker.queue_compaction(threads + id, high);
    }
    ask.open();
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    const auto answers = told.events();
    EXPECT_EQ(std::count(answers.begin(), answers.end(), true), std::min(urgent, threads));
  }
}

// What the job of stripe 0 is told once `before` was done, by itself.
struct Asked {
  std::uint32_t threads = 1;
  LaneOptions lanes = {};
  RequestOptions runs = {};
  std::function<void(BackgroundWorker&)> before;

  bool yields() const {
    BackgroundWorker* self = nullptr;
    bool result = false;
    BackgroundWorker::Options options;
    options.lanes = lanes;
    BackgroundWorker worker(
        CompactionConfig().with_max_concurrent(threads), {}, 8,
        [&](CompactionContext& context) {
          if (context.stripe_id() == 0) {
            before(*self);
            result = context.should_yield();
          }
          return CompactionOutcome::done();
        },
        options);
    self = &worker;
    worker.queue_compaction(0, runs);
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    return result;
  }
};

TEST(ShouldYield, is_said_of_stripes_in_higher_lanes_alone) {
  for (const auto runs : {Priority::low, Priority::normal, Priority::high}) {
    for (const auto waits : {Priority::low, Priority::normal, Priority::high}) {
      const Asked asked{.runs = {runs}, .before = [&](BackgroundWorker& worker) {
                          worker.queue_compaction(1, {waits});
                        }};
      EXPECT_EQ(asked.yields(), waits > runs) << to_string(runs) << ' ' << to_string(waits);
    }
  }
}

TEST(ShouldYield, is_not_said_where_nothing_waits_or_a_thread_is_free) {
  const auto ask_for = [](RequestOptions request) {
    return [request](BackgroundWorker& worker) { worker.queue_compaction(1, request); };
  };
  EXPECT_FALSE((Asked{.before = [](BackgroundWorker&) {}}).yields());
  EXPECT_FALSE((Asked{.threads = 2, .before = ask_for(high)}).yields());
  EXPECT_FALSE((Asked{.threads = 2, .runs = low, .before = ask_for({})}).yields());
  EXPECT_FALSE((Asked{.threads = 2, .runs = low, .before = ask_for(high)}).yields());
}

TEST(ShouldYield, is_said_where_the_thread_that_is_free_is_reserved) {
  const LaneOptions lanes{.reserved_for_high = 1};
  const auto asks = [](BackgroundWorker& worker) { worker.queue_compaction(1); };
  EXPECT_TRUE((Asked{.threads = 2, .lanes = lanes, .runs = low, .before = asks}).yields());
  EXPECT_FALSE((Asked{.threads = 2, .lanes = lanes, .runs = {}, .before = asks}).yields());
}

TEST(ShouldYield, is_said_by_what_was_raised_and_not_by_what_was_cancelled) {
  const auto raises = [](BackgroundWorker& worker) {
    worker.queue_compaction(1, low);
    worker.snapshot();
    worker.queue_compaction(1, high);
  };
  EXPECT_TRUE((Asked{.before = raises}).yields());
  const auto cancels = [&](BackgroundWorker& worker) {
    raises(worker);
    worker.cancel(1);
  };
  EXPECT_FALSE((Asked{.before = cancels}).yields());
}

TEST(ShouldYield, is_not_said_by_what_a_pause_holds) {
  for (const bool all : {false, true}) {
    Jobs jobs;
    Journal<bool> told;
    jobs.outcome = [&](CompactionContext& context) {
      told.add(context.should_yield());
      return CompactionOutcome::done();
    };
    auto& worker = jobs.start();
    jobs.run(0);
    jobs.request(1, high);
    const auto guard = all ? worker.pause_all(std::chrono::seconds(0)) : worker.pause(1);
    jobs.let_all_go();
    EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
    EXPECT_EQ(told.events(), std::vector<bool>{false});
  }
}

// Who was told may go on; once nothing waits any more, that is forgotten.
TEST(ShouldYield, is_said_anew_each_time) {
  std::vector<bool> told;
  Jobs jobs;
  jobs.outcome = [&](CompactionContext& context) {
    if (context.stripe_id() == 0) {
      for (int round = 0; round < 2; ++round) {
        jobs.request(1, high);
        told.push_back(context.should_yield());
        told.push_back(context.should_yield());
        jobs.worker->cancel(1);
        told.push_back(context.should_yield());
      }
    }
    return CompactionOutcome::done();
  };
  jobs.start();
  jobs.run(0);
  EXPECT_TRUE(jobs.rest().empty());
  EXPECT_EQ(told, (std::vector<bool>{true, true, false, true, true, false}));
}

TEST(ShouldYield, outside_of_a_worker_is_no) {
  detail::StopState<ProductionSync> stop;
  const CompactionStatsAtomic stats;
  const CompactionContext context({3}, 1, stop, stats);
  EXPECT_FALSE(context.should_yield());
  EXPECT_EQ(served_by(context), (Served{3, Priority::normal}));
}

// The rest of the work would be discarded (D5), and nothing would be gained.
TEST(ShouldYield, is_not_said_once_the_worker_has_closed) {
  Jobs jobs;
  std::atomic<bool> told{true};
  jobs.outcome = [&](CompactionContext& context) {
    if (context.stripe_id() == 0) {
      told = context.should_yield();
    }
    return CompactionOutcome::done();
  };
  auto& worker = jobs.start();
  jobs.run(0);
  jobs.request(1, high);
  jobs.take_up();
  EXPECT_FALSE(worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0)).complete);
  jobs.let_all_go();
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
  EXPECT_FALSE(told);
}

TEST(Lanes, a_drain_goes_by_lanes_and_tells_what_the_words_said) {
  Jobs jobs;
  auto& worker = jobs.start();
  jobs.run(0, {Priority::low, 1});
  jobs.request(1, {Priority::low, 2});
  jobs.request(2, {Priority::normal, 4});
  jobs.request(3, {Priority::high, 8});
  jobs.request_again(3, {Priority::low, 16});
  jobs.request(4, {Priority::low, 32});
  jobs.request_again(4, {Priority::high, 64});
  EXPECT_EQ(worker.queue_compaction(0, {Priority::normal, 128}), Submission::rerun_pending);
  jobs.request_again(0, {Priority::high, 3});
  EXPECT_FALSE(worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0)).complete);
  EXPECT_EQ(worker.queue_compaction(2, high), Submission::rejected_shutting_down);
  jobs.let_all_go();
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
  EXPECT_EQ(jobs.behind_the_first(), (std::vector<Served>{{3, Priority::high, 24},
                                                          {4, Priority::high, 96},
                                                          {0, Priority::high, 131},
                                                          {2, Priority::normal, 4},
                                                          {1, Priority::low, 2}}));
  EXPECT_EQ(broken_law(worker.snapshot()), "");
}

TEST(Lanes, a_drain_lets_every_thread_take_what_waits) {
  for (const bool reserved : {false, true}) {
    Jobs jobs;
    jobs.options.lanes = {.reserved_for_high = reserved ? 2U : 0U, .max_low = reserved ? 0U : 1U};
    auto& worker = jobs.start(3);
    jobs.run(0, low);
    jobs.request(1, low);
    jobs.request(2, low);
    EXPECT_FALSE(worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0)).complete);
    jobs.served.await(3);  // and none has ended
    jobs.let_all_go();
    EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
    EXPECT_EQ(worker.snapshot().running_max, 3U);
  }
}

// Calls something, once, where the calling thread gives way between two slices of one stripe.
struct GivesWay : ProductionSync {
  static constexpr std::uint32_t stripes_in_a_hold = 1;
  static inline thread_local std::function<void()> next;

  class mutex : public ProductionSync::mutex {
   public:
    void give_way() {
      unlock();
      if (next) {
        std::exchange(next, nullptr)();
      }
      lock();
    }
  };
};

// The turn is stripe 9's, of the low lane. While the drain closes the words it is raised, behind
// stripe 2, whose word is not closed either.
void raise_the_next_while_a_drain_closes_the_words() {
  Jobs<GivesWay> jobs;
  jobs.options.lanes.patience = 1;
  auto& worker = jobs.start();
  jobs.run(0);
  for (const std::uint32_t id : {1U, 2U, 9U}) {
    jobs.request(id, low);
  }
  jobs.request(3, high);
  jobs.go_on[0].open();
  jobs.served.await(2);
  jobs.request_again(1, high);
  jobs.request_again(2, high);
  jobs.go_on[3].open();
  jobs.served.await(3);
  GivesWay::next = [&] {
    EXPECT_EQ(worker.queue_compaction(9, high), Submission::coalesced);
    jobs.let_all_go();
    jobs.served.await(5);
  };
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
  const std::vector<Served> expected{
      {3, Priority::high}, {1, Priority::high}, {2, Priority::high}, {9, Priority::high}};
  EXPECT_EQ(jobs.behind_the_first(), expected);
  std::exit(jobs.behind_the_first() == expected ? 0 : 1);
}

// In a process of its own, which a broken assertion would end.
TEST(Lanes, a_raise_that_a_drain_finds_in_a_word_lets_another_go_first) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(raise_the_next_while_a_drain_closes_the_words(), testing::ExitedWithCode(0), "");
}

TEST(Lanes, requests_with_options_are_answered_as_others_are) {
  for (const auto& options : {low, high, RequestOptions{.reasons = 1}}) {
    Jobs jobs;
    auto& worker = jobs.start();
    jobs.run(0, options);
    EXPECT_EQ(worker.queue_compaction(0, options), Submission::rerun_pending);
    EXPECT_EQ(worker.queue_compaction(0, options), Submission::coalesced);
    EXPECT_EQ(worker.queue_compaction(1, options), Submission::queued);
    EXPECT_EQ(worker.queue_compaction(1, options), Submission::coalesced);
    EXPECT_EQ(worker.queue_compaction(10, options), Submission::rejected_unknown_stripe);
    EXPECT_EQ(worker.remove(2), RemoveResult::removed);
    EXPECT_EQ(worker.queue_compaction(2, options), Submission::rejected_removed);
    jobs.let_all_go();
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    EXPECT_TRUE(worker.shutdown().complete);
    EXPECT_EQ(worker.queue_compaction(1, options), Submission::rejected_shutting_down);
    EXPECT_EQ(worker.queue_compaction(10, options), Submission::rejected_unknown_stripe);
    const auto snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.queued, 2U);
    EXPECT_EQ(snapshot.coalesced, 2U);
    EXPECT_EQ(snapshot.rerun_pending, 1U);
    EXPECT_EQ(snapshot.rejected_removed, 1U);
    EXPECT_EQ(snapshot.rejected_shutting_down, 1U);
    EXPECT_EQ(snapshot.rejected_unknown_stripe, 2U);
    EXPECT_EQ(broken_law(snapshot), "");
    BackgroundWorker disabled(CompactionConfig::disabled(), {}, 1, do_nothing);
    EXPECT_EQ(disabled.queue_compaction(0, options), Submission::rejected_disabled);
    EXPECT_EQ(disabled.queue_compaction(1, options), Submission::rejected_unknown_stripe);
  }
}

TEST(Lanes, a_snapshot_says_how_many_are_in_which) {
  Jobs jobs;
  auto& worker = jobs.start();
  jobs.run(0, high);
  jobs.request(1, high);
  jobs.request(2, low);
  jobs.request(3, low);
  jobs.request(4);
  const auto before = worker.snapshot();
  EXPECT_EQ(before.queue_size, 4U);
  EXPECT_EQ(before.in_high_lane, 1U);
  EXPECT_EQ(before.in_low_lane, 2U);
  jobs.request_again(3, high);
  const auto raised = worker.brief_snapshot();
  EXPECT_EQ(raised.in_high_lane, 2U);
  EXPECT_EQ(raised.in_low_lane, 1U);
  EXPECT_EQ(worker.queue_size(), 4U);
  EXPECT_EQ(jobs.order(), (Ids{1, 3, 4, 2}));
  EXPECT_EQ(worker.snapshot().in_high_lane, 0U);
  EXPECT_EQ(worker.snapshot().in_low_lane, 0U);
}

// A raise that waits in the inbox is no stripe.
TEST(Lanes, the_size_of_the_queue_counts_no_raise) {
  Jobs jobs;
  auto& worker = jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request_again(1, high);
  EXPECT_EQ(worker.queue_size(), 1U);
  jobs.take_up();
  EXPECT_EQ(worker.queue_size(), 1U);
}

TEST(Lanes, an_explanation_names_the_lane_and_what_is_before) {
  Jobs<ManualClockSync> jobs;
  auto& worker = jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request(2);
  jobs.request(3, high);
  jobs.request(4, high);
  EXPECT_EQ(worker.explain(4),
            "stripe 4 waits in the high lane for 0 ns, with 1 stripe before it: 1 of 1 compaction "
            "run.");
  EXPECT_EQ(worker.explain(2),
            "stripe 2 waits in the queue for 0 ns, with 2 stripes before it: 1 of 1 compaction "
            "run.");
  EXPECT_EQ(worker.explain(1),
            "stripe 1 waits in the low lane for 0 ns, with 3 stripes before it: 1 of 1 compaction "
            "run.");
}

TEST(Lanes, an_explanation_says_that_a_lane_is_full) {
  Jobs<ManualClockSync> jobs;
  jobs.options.lanes = {.reserved_for_high = 1, .max_low = 1};
  auto& worker = jobs.start(3);
  jobs.run(0, low);
  jobs.request(1, low);
  EXPECT_EQ(worker.explain(1),
            "stripe 1 waits in the low lane for 0 ns, with 0 stripes before it: 1 of 3 "
            "compactions run, and no more of its lane may.");
  jobs.run(2);
  jobs.request(3);
  EXPECT_EQ(worker.explain(3),
            "stripe 3 waits in the queue for 0 ns, with 0 stripes before it: 2 of 3 "
            "compactions run, and no more of its lane may.");
}

TEST(Lanes, more_reserved_threads_than_leave_one_are_refused_by_name) {
  const auto refusal_of = [](std::uint32_t threads, std::uint32_t reserved) -> std::string {
    BackgroundWorker::Options options;
    options.lanes.reserved_for_high = reserved;
    options.thread_capacity = 8;
    try {
      BackgroundWorker worker(CompactionConfig().with_max_concurrent(threads), {}, 1, do_nothing,
                              options);
    } catch (const std::invalid_argument& refusal) {
      return refusal.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal_of(1, 0), "accepted");
  EXPECT_EQ(refusal_of(4, 3), "accepted");
  EXPECT_EQ(refusal_of(4, 4), "BackgroundWorker: lanes.reserved_for_high is 4; expected 0 to 3");
  EXPECT_EQ(refusal_of(1, 1), "BackgroundWorker: lanes.reserved_for_high is 1; expected 0 to 0");
}

}  // namespace
}  // namespace kstone::test
