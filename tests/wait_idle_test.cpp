// Waiting (contract section 5): wait_idle, for all stripes and for one.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "held.h"
#include "kstone/background_worker.h"
#include "kstone/detail/shell/waits.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using std::chrono::nanoseconds;

TEST(WaitIdle, without_a_request_answers_at_once) {
  Held held;
  EXPECT_EQ(held.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(held.worker.start(), StartResult::started);
  EXPECT_EQ(held.worker.wait_idle(nanoseconds(-1)), IdleResult::idle);
}

TEST(WaitIdle, at_its_limit_says_so) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  EXPECT_EQ(held.worker.wait_idle(nanoseconds(0)), IdleResult::timed_out);
  EXPECT_EQ(held.worker.wait_idle(std::chrono::milliseconds(1)), IdleResult::timed_out);
  EXPECT_EQ(held.worker.wait_idle(nanoseconds(-5)), IdleResult::timed_out);
  held.end.open();
  EXPECT_EQ(held.worker.wait_idle(nanoseconds::max()), IdleResult::idle);
}

TEST(WaitIdle, waits_for_the_rerun_too) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  held.worker.queue_compaction(0);
  held.end.open();
  EXPECT_EQ(held.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(held.started.events().size(), 2U);
}

TEST(WaitIdle, does_not_wait_for_requests_that_come_later) {
  // Stripe 0 requests itself for ever; a wait that looked for a moment of silence would not end.
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 1, [&](CompactionContext&) {
    self->queue_compaction(0);
    return CompactionOutcome::done();
  });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(WaitIdle, does_not_wait_for_stripes_requested_after_the_call) {
  Held held(2);
  held.separately = true;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  IdleResult result = IdleResult::refused;
  std::thread waiter([&] { result = held.worker.wait_idle(); });
  while (held.worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  // Stripe 1 comes later, and its job ends only when the test lets it.
  held.worker.queue_compaction(1);
  held.started.await(2);
  held.end_of_stripe_0.open();
  waiter.join();
  EXPECT_EQ(result, IdleResult::idle);
  held.end.open();
}

TEST(WaitIdle, a_limit_beyond_the_clock_is_none) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 1, do_nothing);
  worker.queue_compaction(0);
  std::thread starter([&] {
    while (worker.snapshot().waiting_callers == 0) {
      std::this_thread::yield();
    }
    EXPECT_EQ(worker.start(), StartResult::started);
  });
  EXPECT_EQ(worker.wait_idle(std::chrono::seconds::max()), IdleResult::idle);
  starter.join();
  EXPECT_EQ(worker.wait_idle(std::chrono::seconds::min()), IdleResult::idle);
}

TEST(WaitIdle, is_interrupted_by_shutdown) {
  Held held;
  held.worker.queue_compaction(0);  // never started: idle would take for ever
  std::atomic<bool> entered{false};
  IdleResult result = IdleResult::idle;
  std::thread waiter([&] {
    entered = true;
    result = held.worker.wait_idle();
  });
  while (!entered) {
    std::this_thread::yield();
  }
  held.worker.shutdown();
  waiter.join();
  EXPECT_EQ(result, IdleResult::shut_down);
  EXPECT_EQ(held.worker.wait_idle(), IdleResult::shut_down);
}

TEST(WaitIdleOfOneStripe, without_a_request_answers_at_once_and_names_no_end) {
  Held held;
  EXPECT_EQ(held.worker.wait_idle(7), (StripeIdle{IdleResult::idle, {}}));
  EXPECT_EQ(held.worker.start(), StartResult::started);
  EXPECT_EQ(held.worker.wait_idle(7, nanoseconds(0)), (StripeIdle{IdleResult::idle, {}}));
}

TEST(WaitIdleOfOneStripe, of_an_unknown_stripe_says_so) {
  Held held;
  EXPECT_EQ(held.worker.wait_idle(8), (StripeIdle{IdleResult::unknown_stripe, {}}));
  EXPECT_EQ(held.worker.wait_idle(UINT32_MAX, nanoseconds(0)).result, IdleResult::unknown_stripe);
}

TEST(WaitIdleOfOneStripe, does_not_wait_for_others) {
  Held held(2);
  held.separately = true;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.worker.queue_compaction(1);
  held.started.await(2);
  EXPECT_EQ(held.worker.wait_idle(0, nanoseconds(0)), (StripeIdle{IdleResult::timed_out, {}}));
  held.end_of_stripe_0.open();
  EXPECT_EQ(held.worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(held.worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));  // again
  EXPECT_EQ(held.worker.wait_idle(1, nanoseconds(0)).result, IdleResult::timed_out);
  held.end.open();
}

TEST(WaitIdleOfOneStripe, says_how_its_last_episode_ended) {
  Held held;
  held.outcomes = {CompactionOutcome::done(), CompactionOutcome::failed("broken"),
                   CompactionOutcome::stopped(), CompactionOutcome::nothing_to_do()};
  for (std::uint32_t id = 0; id < 4; ++id) {
    held.worker.queue_compaction(id);
  }
  std::vector<StripeIdle> answers(4);
  std::vector<std::thread> waiters;
  for (std::uint32_t id = 0; id < 4; ++id) {
    waiters.emplace_back([&, id] { answers[id] = held.worker.wait_idle(id); });
  }
  while (held.worker.snapshot().waiting_callers != 4) {
    std::this_thread::yield();
  }
  held.end.open();
  EXPECT_EQ(held.worker.start(), StartResult::started);
  for (auto& waiter : waiters) {
    waiter.join();
  }
  EXPECT_EQ(answers[0], (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(answers[1], (StripeIdle{IdleResult::idle, EpisodeEnd::failed}));
  EXPECT_EQ(answers[2], (StripeIdle{IdleResult::idle, EpisodeEnd::cancelled}));
  EXPECT_EQ(answers[3], (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
}

// The n-th compaction of the stripe fails if n is 1 or 3. The wait begins while the first runs and
// is requested again: its goal is the second's end, and the third is not its affair.
TEST(WaitIdleOfOneStripe, waits_for_the_rerun_and_not_for_what_comes_after_it) {
  Journal<std::uint32_t> started;
  Gate first, rest;
  BackgroundWorker* self = nullptr;
  std::uint32_t compactions = 0;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
      [&](CompactionContext& context) {
        const auto number = ++compactions;
        started.add(context.stripe_id());
        if (number == 1) {
          first.pass();
        } else if (number == 2) {
          self->queue_compaction(0);  // the third
        } else {
          rest.pass();
        }
        return number == 2 ? CompactionOutcome::done() : CompactionOutcome::failed("broken");
      },
      without_back_off());
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  started.await(1);
  EXPECT_EQ(worker.queue_compaction(0), Submission::rerun_pending);
  StripeIdle answer;
  std::thread waiter([&] { answer = worker.wait_idle(0); });
  while (worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  first.open();
  waiter.join();
  EXPECT_EQ(answer, (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  rest.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(WaitIdleOfOneStripe, is_interrupted_by_shutdown) {
  Held held;
  held.worker.queue_compaction(0);  // never started: idle would take for ever
  StripeIdle answer;
  std::thread waiter([&] { answer = held.worker.wait_idle(0); });
  while (held.worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  held.worker.shutdown();
  waiter.join();
  EXPECT_EQ(answer, (StripeIdle{IdleResult::shut_down, {}}));
  EXPECT_EQ(held.worker.wait_idle(0), (StripeIdle{IdleResult::shut_down, {}}));
}

// Of each waiting caller, the end that it waits for, and no earlier or later one.
TEST(WaitIdleOfOneStripe, each_caller_keeps_the_end_that_it_waits_for) {
  using detail::Goal;
  using detail::Waits;
  Waits waits;
  Goal goals[] = {{3, 5}, {3, 6}, {4, 5}};
  Waits::Entry fifth{.goals = &goals[0], .count = 1};
  Waits::Entry sixth{.goals = &goals[1], .count = 1};
  Waits::Entry other{.goals = &goals[2], .count = 1};
  for (auto* entry : {&fifth, &sixth, &other}) {
    waits.enter(*entry);
  }
  detail::Stripe stripe;
  stripe.ended = 5;
  stripe.last_end = EpisodeEnd::failed;
  waits.note_end(3, stripe);
  stripe.ended = 6;
  stripe.last_end = EpisodeEnd::done;
  waits.note_end(3, stripe);
  EXPECT_EQ(fifth.last_end, EpisodeEnd::failed);
  EXPECT_EQ(sixth.last_end, EpisodeEnd::done);
  EXPECT_EQ(other.last_end, std::nullopt);
  // Whoever leaves, first or last, hears of nothing any more, and the others still do.
  waits.leave(fifth);
  waits.leave(other);
  stripe.ended = 5;
  stripe.last_end = EpisodeEnd::cancelled;
  waits.note_end(3, stripe);
  waits.note_end(4, stripe);
  EXPECT_EQ(fifth.last_end, EpisodeEnd::failed);
  EXPECT_EQ(other.last_end, std::nullopt);
  stripe.ended = 6;
  waits.note_end(3, stripe);
  EXPECT_EQ(sixth.last_end, EpisodeEnd::cancelled);
}

}  // namespace
}  // namespace kstone::test
