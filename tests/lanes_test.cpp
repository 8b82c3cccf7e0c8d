// What a request says beside its stripe: which lane the stripe waits in, and what its job is told
// (contract section 3, coalescing and order).

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "back_off_scene.h"
#include "kstone/background_worker_impl.h"
#include "lanes_scene.h"
#include "late_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

TEST(Lanes, high_goes_before_normal_before_low_and_in_each_the_first_requested) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request(2);
  jobs.request(3, high);
  jobs.request(4, low);
  jobs.request(5);
  jobs.request(6, high);
  EXPECT_EQ(jobs.order(), (Ids{3, 6, 2, 5, 1, 4}));
}

// Also before the start, and where one thread has to take them out of the inbox.
TEST(Lanes, what_was_requested_before_the_start_goes_by_its_lane) {
  Journal<std::uint32_t> order;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), {}, 4,
                          [&](CompactionContext& context) {
                            order.add(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  worker.queue_compaction(0, low);
  worker.queue_compaction(1);
  worker.queue_compaction(2, high);
  worker.queue_compaction(3);
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(order.events(), (Ids{2, 1, 3, 0}));
}

// What comes later, of a higher lane, is seen before each dispatch, not only when nothing else is
// queued.
TEST(Lanes, what_comes_while_others_wait_goes_by_its_lane) {
  Jobs jobs;
  jobs.outcome = [&](CompactionContext& context) {
    if (context.stripe_id() == 1) {
      jobs.request(4, high);
    }
    return CompactionOutcome::done();
  };
  jobs.start();
  jobs.run(0);
  jobs.request(1);
  jobs.request(2);
  jobs.request(3);
  EXPECT_EQ(jobs.order(), (Ids{1, 4, 2, 3}));
}

TEST(Lanes, a_lane_that_was_passed_over_often_enough_is_next) {
  Jobs jobs;
  jobs.options.lanes.patience = 2;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request(2, low);
  for (std::uint32_t id = 3; id < 9; ++id) {
    jobs.request(id, high);
  }
  EXPECT_EQ(jobs.order(), (Ids{3, 4, 1, 5, 6, 2, 7, 8}));
}

TEST(Lanes, without_patience_all_is_first_in_first_out) {
  Jobs jobs;
  jobs.options.lanes.patience = 0;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request(2, high);
  jobs.request(3);
  jobs.request(4, high);
  jobs.request_again(3, high);
  EXPECT_EQ(
      jobs.rest(),
      (std::vector<Served>{
          {1, Priority::low}, {2, Priority::high}, {3, Priority::high}, {4, Priority::high}}));
}

// It waits in the inbox, or in its lane.
TEST(Lanes, a_request_raises_a_stripe_that_waits) {
  for (const bool in_lane : {false, true}) {
    Jobs jobs;
    jobs.start();
    jobs.run(0);
    jobs.request(1);
    jobs.request(2);
    jobs.request(3, low);
    jobs.request(4, low);
    jobs.request(5, low);
    if (in_lane) {
      jobs.take_up();
    }
    jobs.request_again(2, high);
    jobs.request_again(4);
    EXPECT_EQ(jobs.worker->queue_compaction(4), Submission::coalesced);  // of those without options
    jobs.request_again(5, high);
    if (in_lane) {
      jobs.take_up();
    }
    EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::high},
                                                {5, Priority::high},
                                                {1, Priority::normal},
                                                {4, Priority::normal},
                                                {3, Priority::low}}));
  }
}

TEST(Lanes, a_request_without_options_raises_from_low) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.request(2, low);
  jobs.take_up();
  EXPECT_EQ(jobs.worker->queue_compaction(2), Submission::coalesced);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low}}));
}

TEST(Lanes, a_request_of_a_lower_priority_lowers_nothing) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1);
  jobs.request(2, high);
  jobs.request_again(2);
  jobs.request_again(2, low);
  jobs.take_up();
  jobs.request_again(2, low);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::high}, {1, Priority::normal}}));
}

TEST(Lanes, a_raised_stripe_goes_by_its_age_among_those_of_the_higher_lane) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1);
  jobs.request(2, high);
  jobs.request(3, low);
  jobs.request(4, high);
  jobs.request(5);
  jobs.take_up();
  jobs.request_again(5, high);
  jobs.request_again(3, high);
  jobs.request_again(1, high);
  EXPECT_EQ(jobs.order(), (Ids{1, 2, 3, 4, 5}));
}

TEST(Lanes, a_job_is_told_the_highest_priority_and_the_reasons_of_all_requests_that_it_serves) {
  Jobs jobs;
  jobs.start();
  jobs.run(0, {Priority::low, 0x10});
  jobs.request(1, {Priority::low, 0x01});
  jobs.request_again(1, {Priority::high, 0x80});
  jobs.take_up();
  jobs.request_again(1, {Priority::normal, 0x04});
  jobs.request_again(1);
  jobs.request(2, {Priority::normal, 0x02});
  jobs.request_again(2, {Priority::normal, 0x02});
  EXPECT_EQ(jobs.served.events()[0], (Served{0, Priority::low, 0x10}));
  EXPECT_EQ(jobs.rest(),
            (std::vector<Served>{{1, Priority::high, 0x85}, {2, Priority::normal, 0x02}}));
  // Of the next requests the earlier ones are no part.
  jobs.request(1, low);
  jobs.request(2);
  EXPECT_EQ(jobs.worker->wait_idle(), IdleResult::idle);
  const auto events = jobs.served.events();
  EXPECT_TRUE(std::ranges::find(events, Served{1, Priority::low}) != events.end());
  EXPECT_TRUE(std::ranges::find(events, Served{2, Priority::normal}) != events.end());
}

TEST(Lanes, a_rerun_has_the_priority_and_the_reasons_of_its_own_requests) {
  Jobs jobs;
  jobs.start();
  jobs.run(0, {Priority::high, 1});
  jobs.request(1);
  jobs.request(2, high);
  EXPECT_EQ(jobs.worker->queue_compaction(0, {Priority::low, 2}), Submission::rerun_pending);
  jobs.take_up();
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{
                             {2, Priority::high}, {1, Priority::normal}, {0, Priority::low, 2}}));
}

TEST(Lanes, a_rerun_is_raised_before_it_waits) {
  Jobs jobs;
  jobs.start();
  jobs.run(0, {Priority::low, 1});
  jobs.request(1);
  EXPECT_EQ(jobs.worker->queue_compaction(0, {Priority::low, 2}), Submission::rerun_pending);
  jobs.request_again(0, {Priority::high, 4});
  jobs.request(2, high);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{
                             {2, Priority::high}, {0, Priority::high, 6}, {1, Priority::normal}}));
}

TEST(Lanes, more_work_keeps_the_priority_and_the_reasons) {
  for (const auto priority : {Priority::low, Priority::normal, Priority::high}) {
    Jobs jobs;
    jobs.outcome = [](CompactionContext& context) {
      return context.stripe_id() == 0 && context.attempt() < 3 ? CompactionOutcome::more_work()
                                                               : CompactionOutcome::done();
    };
    jobs.start();
    jobs.run(0, {priority, 5});
    jobs.request(1, low);
    jobs.request(2);
    jobs.request(3, high);
    auto rest = jobs.rest();
    std::erase_if(rest, [](const Served& served) { return served.stripe_id == 0; });
    EXPECT_EQ(rest, (std::vector<Served>{
                        {3, Priority::high}, {2, Priority::normal}, {1, Priority::low}}));
    const auto all = jobs.behind_the_first();
    // Behind the one that waits in its lane, twice.
    const auto behind =
        static_cast<std::size_t>(std::ranges::find(all, Served{priority == Priority::low    ? 1U
                                                               : priority == Priority::high ? 3U
                                                                                            : 2U,
                                                               priority}) -
                                 all.begin());
    ASSERT_GT(all.size(), behind + 2);
    EXPECT_EQ(all[behind + 1], (Served{0, priority, 5, 2}));
    EXPECT_EQ(all[behind + 2], (Served{0, priority, 5, 3}));
  }
}

TEST(Lanes, more_work_and_what_was_requested_meanwhile_are_served_together) {
  for (const auto& [first, second] :
       {std::pair{Priority::high, Priority::low}, std::pair{Priority::low, Priority::high}}) {
    Jobs jobs;
    bool more = true;
    jobs.outcome = [&](CompactionContext&) {
      return std::exchange(more, false) ? CompactionOutcome::more_work()
                                        : CompactionOutcome::done();
    };
    jobs.start();
    jobs.run(0, {first, 1});
    jobs.request(1);
    EXPECT_EQ(jobs.worker->queue_compaction(0, {second, 2}), Submission::rerun_pending);
    EXPECT_EQ(jobs.rest(), (std::vector<Served>{{0, Priority::high, 3}, {1, Priority::normal}}));
    EXPECT_EQ(broken_law(jobs.worker->snapshot()), "");
  }
}

// What more work leaves of a low one is low, until somebody asks for more.
TEST(Lanes, what_was_put_back_is_raised_by_a_later_request) {
  Jobs jobs;
  jobs.outcome = [&](CompactionContext& context) {
    if (context.stripe_id() == 1) {
      EXPECT_EQ(jobs.worker->queue_compaction(0), Submission::coalesced);
    }
    return context.stripe_id() == 0 && context.attempt() == 1 ? CompactionOutcome::more_work()
                                                              : CompactionOutcome::done();
  };
  jobs.start();
  jobs.run(0, {Priority::low, 1});
  jobs.request(1, high);
  jobs.request(2, low);
  EXPECT_EQ(
      jobs.rest(),
      (std::vector<Served>{{1, Priority::high}, {0, Priority::normal, 1, 2}, {2, Priority::low}}));
}

// A retry is put back when its time has come; the thread is held then, and another stripe waits.
struct Delayed : back_off::Scene {
  Gate gate;
  Journal<Served> served;

  Delayed() : Scene(nullptr) {
    outcome = [this](back_off::Worker::Context& context) {
      served.add(served_by(context));
      if (context.stripe_id() == 0) {
        gate.pass();
      }
      return context.stripe_id() == 1 && context.attempt() == 1 ? CompactionOutcome::retry("busy")
                                                                : CompactionOutcome::done();
    };
  }
  void fail(RequestOptions request) {
    worker->queue_compaction(1, request);
    await(1);
    EXPECT_EQ(worker->snapshot().delayed, 1U);
  }
  // What is served once the delay has ended.
  std::vector<Served> rest() {
    worker->queue_compaction(0);
    served.await(2);
    worker->queue_compaction(2);
    worker->snapshot();
    pass(std::chrono::milliseconds(100));
    while (worker->snapshot().delayed != 0) {
      std::this_thread::yield();
    }
    gate.open();
    EXPECT_EQ(worker->wait_idle(), IdleResult::idle);
    const auto events = served.events();
    return {events.begin() + 2, events.end()};
  }
};

TEST(Lanes, a_retry_keeps_the_priority_and_the_reasons) {
  Delayed scene;
  scene.start();
  scene.fail({Priority::high, 5});
  EXPECT_EQ(scene.rest(), (std::vector<Served>{{1, Priority::high, 5, 2}, {2, Priority::normal}}));
}

TEST(Lanes, what_is_delayed_is_raised) {
  Delayed scene;
  auto& worker = scene.start();
  scene.fail({Priority::low, 5});
  EXPECT_EQ(worker.queue_compaction(1, {Priority::high, 8}), Submission::coalesced);
  worker.snapshot();
  EXPECT_EQ(worker.snapshot().delayed, 1U);  // not before its time
  EXPECT_EQ(scene.rest(), (std::vector<Served>{{1, Priority::high, 13, 2}, {2, Priority::normal}}));
}

TEST(Lanes, a_retry_of_low_priority_stays_behind_others) {
  Delayed scene;
  scene.start();
  scene.fail({Priority::low, 5});
  EXPECT_EQ(scene.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low, 5, 2}}));
}

TEST(Lanes, what_a_pause_holds_is_raised_and_goes_to_the_tail_of_its_lane) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  {
    const auto guard = jobs.worker->pause(1);
    jobs.request(1, {Priority::low, 1});
    jobs.take_up();
    jobs.request_again(1, {Priority::high, 2});
    jobs.request(2);
    jobs.request(3, high);
    jobs.take_up();
    EXPECT_EQ(jobs.worker->snapshot().held, 1U);
    EXPECT_EQ(jobs.worker->snapshot().in_high_lane, 1U);
  }
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{
                             {3, Priority::high}, {1, Priority::high, 3}, {2, Priority::normal}}));
}

TEST(Lanes, a_pause_keeps_the_lane_of_what_it_takes_out) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, {Priority::high, 1});
  jobs.request(2);
  {
    const auto guard = jobs.worker->pause(1);
  }
  EXPECT_EQ(jobs.order(), (Ids{1, 2}));
}

TEST(Lanes, a_request_after_a_cancel_is_not_lifted_by_an_earlier_raise) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, {Priority::low, 1});
  jobs.take_up();
  jobs.request_again(1, {Priority::high, 2});  // which nobody has seen
  EXPECT_TRUE(jobs.worker->cancel(1).waited);
  jobs.request(1, {Priority::low, 4});
  jobs.request(2);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low, 4}}));
}

TEST(Lanes, a_rerun_after_a_cancel_is_not_lifted_by_an_earlier_one) {
  Jobs jobs;
  jobs.start();
  jobs.run(0, {Priority::high, 1});
  EXPECT_EQ(jobs.worker->queue_compaction(0, {Priority::high, 2}), Submission::rerun_pending);
  jobs.take_up();
  EXPECT_TRUE(jobs.worker->cancel(0).rerun_pending);
  EXPECT_EQ(jobs.worker->queue_compaction(0, {Priority::low, 4}), Submission::rerun_pending);
  jobs.request(1);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{1, Priority::normal}, {0, Priority::low, 4}}));
}

TEST(Lanes, a_request_after_a_cancel_has_nothing_of_what_was_put_back) {
  Jobs jobs;
  bool more = true;
  jobs.outcome = [&](CompactionContext& context) {
    if (context.stripe_id() == 1) {
      EXPECT_TRUE(jobs.worker->cancel(0).waited);
      jobs.request(0, {Priority::low, 2});
    }
    return std::exchange(more, false) ? CompactionOutcome::more_work() : CompactionOutcome::done();
  };
  jobs.start();
  jobs.run(0, {Priority::high, 5});
  jobs.request(1, high);
  jobs.request(2);
  jobs.let_all_go();
  jobs.served.await(4);
  EXPECT_EQ(
      jobs.behind_the_first(),
      (std::vector<Served>{{1, Priority::high}, {2, Priority::normal}, {0, Priority::low, 2}}));
}

TEST(Lanes, a_restored_stripe_starts_afresh) {
  for (const bool seen : {false, true}) {
    Jobs jobs;
    jobs.start();
    jobs.run(0);
    jobs.request(1, {Priority::low, 1});
    jobs.take_up();
    jobs.request_again(1, {Priority::high, 2});
    if (seen) {
      jobs.take_up();
    }
    EXPECT_EQ(jobs.worker->remove(1), RemoveResult::removed);
    jobs.take_up();
    EXPECT_EQ(jobs.worker->restore(1), RestoreResult::restored);
    jobs.request(1, {Priority::low, 4});
    jobs.request(2);
    EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low, 4}}));
  }
}

// The raise was on its way when the stripe was removed.
TEST(Lanes, a_restored_stripe_is_not_lifted_by_what_was_rejected) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  jobs.take_up();
  jobs.request_again(1);
  EXPECT_EQ(jobs.worker->remove(1), RemoveResult::removed);
  EXPECT_EQ(jobs.worker->queue_compaction(1), Submission::rejected_removed);
  jobs.take_up();
  EXPECT_EQ(jobs.worker->restore(1), RestoreResult::restored);
  jobs.request(1, low);
  jobs.request(2);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low}}));
}

// A stripe that waits in the low lane, and a requester who raises it and is suspended in its call.
struct LateRaise {
  LateSync::Watch watch;
  Jobs<LateSync> jobs;
  std::thread requester;

  LateRaise() {
    jobs.start();
    jobs.run(0);
    jobs.request(1, low);
    jobs.request(2);
    jobs.take_up();
    requester = std::thread([this] {
      watch.late = std::this_thread::get_id();
      jobs.request_again(1, {Priority::high, 1});
    });
    watch.suspended.pass();
  }
  ~LateRaise() { resume(); }
  void resume() {
    watch.resume.open();
    if (requester.joinable()) {
      requester.join();
    }
  }
};

// Of what runs: the raise comes late, and finds the requests of the re-run.
TEST(Lanes, a_raise_that_comes_during_a_compaction_lifts_the_rerun_alone) {
  for (const bool cancels : {false, true}) {
    LateRaise late;
    auto& jobs = late.jobs;
    jobs.go_on[0].open();
    jobs.go_on[2].open();
    jobs.served.await(3);
    EXPECT_EQ(jobs.worker->queue_compaction(1, high), Submission::rerun_pending);
    late.resume();
    jobs.take_up();
    if (cancels) {
      EXPECT_TRUE(jobs.worker->cancel(1).rerun_pending);
      EXPECT_EQ(jobs.worker->queue_compaction(1, low), Submission::rerun_pending);
    }
    jobs.request(3);
    jobs.let_all_go();
    EXPECT_EQ(jobs.worker->wait_idle(), IdleResult::idle);
    const Served rerun{1, cancels ? Priority::low : Priority::high};
    const Served other{3, Priority::normal};
    const auto rest = jobs.behind_the_first();
    EXPECT_EQ(std::vector<Served>(rest.begin() + 2, rest.end()),
              cancels ? (std::vector<Served>{other, rerun}) : (std::vector<Served>{rerun, other}));
    const auto guard = jobs.worker->pause_all();
    jobs.request(1, low);
    jobs.take_up();
    EXPECT_EQ(jobs.worker->snapshot().in_low_lane, 1U);
  }
}

// Somebody else raises what a suspended requester has claimed.
TEST(Lanes, a_raise_that_comes_before_its_stripe_is_kept_for_it) {
  LateSync::Watch watch;
  Jobs<LateSync> jobs;
  jobs.start();
  jobs.run(0);
  std::thread requester([&] {
    watch.late = std::this_thread::get_id();
    jobs.request(1);
  });
  watch.suspended.pass();
  jobs.request_again(1, high);
  jobs.request(2);
  jobs.take_up();
  watch.resume.open();
  requester.join();
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{1, Priority::high}, {2, Priority::normal}}));
}

TEST(Lanes, a_raise_by_a_suspended_requester_is_told_to_the_job_and_lifts_nothing_later) {
  LateRaise late;
  late.jobs.request_again(1, {Priority::high, 2});
  EXPECT_EQ(late.jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::high, 3}}));
  const auto guard = late.jobs.worker->pause_all();
  late.jobs.request(1, low);
  late.resume();
  late.jobs.request(2);
  late.jobs.take_up();
  EXPECT_EQ(late.jobs.worker->snapshot().in_low_lane, 1U);
  EXPECT_EQ(late.jobs.worker->snapshot().in_high_lane, 0U);
}

TEST(Lanes, a_raise_by_a_suspended_requester_lifts_nothing_after_a_cancel) {
  LateRaise late;
  EXPECT_TRUE(late.jobs.worker->cancel(1).waited);
  late.jobs.request(1, low);
  late.resume();
  EXPECT_EQ(late.jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low}}));
}

TEST(Lanes, a_raise_by_a_suspended_requester_lifts_what_waits_when_it_comes) {
  LateRaise late;
  late.resume();
  EXPECT_EQ(late.jobs.rest(), (std::vector<Served>{{1, Priority::high, 1}, {2, Priority::normal}}));
}

TEST(Lanes, more_requests_of_low_priority_than_are_counted_are_of_low_priority) {
  Jobs jobs;
  jobs.start();
  jobs.run(0);
  jobs.request(1, low);
  for (int i = 0; i < 70'000; ++i) {
    jobs.worker->queue_compaction(1, low);
  }
  jobs.request(2);
  EXPECT_EQ(jobs.worker->snapshot().coalesced, 65'533U);
  EXPECT_EQ(jobs.rest(), (std::vector<Served>{{2, Priority::normal}, {1, Priority::low}}));
  EXPECT_EQ(broken_law(jobs.worker->snapshot()), "");
}

}  // namespace
}  // namespace kstone::test
