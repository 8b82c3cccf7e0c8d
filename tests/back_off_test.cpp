// What failed is tried again after a while, on a clock that only the test moves: contract section
// 4.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "back_off_scene.h"

namespace kstone::test {
namespace {

using namespace back_off;

TEST(BackOff, a_retry_is_delayed_and_is_the_same_episode) {
  Scene scene([](Worker::Context& context) {
    return context.attempt() < 3 ? CompactionOutcome::retry("busy") : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(7);
  scene.await(1);
  auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.delayed, 1U);
  EXPECT_EQ(snapshot.queue_size, 1U);
  EXPECT_EQ(worker.queue_size(), 1U);
  EXPECT_EQ(snapshot.episodes_alive, 1U);
  EXPECT_EQ(snapshot.first_error, "busy");
  scene.pass(milliseconds(99));
  scene.pass(milliseconds(1));
  scene.await(2);
  scene.pass(milliseconds(200));
  scene.await(3);
  EXPECT_EQ(scene.started.events(),
            (std::vector<Started>{
                {7, 1, milliseconds(0)}, {7, 2, milliseconds(100)}, {7, 3, milliseconds(300)}}));
  snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.delayed, 0U);
  EXPECT_EQ(snapshot.episodes_opened, 1U);
  EXPECT_EQ(snapshot.episodes_done, 1U);
  EXPECT_EQ(snapshot.retries, 0U);
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(BackOff, doubles_up_to_the_cap_and_begins_anew_after_a_success) {
  int compactions = 0;
  Scene scene([&](Worker::Context&) {
    return ++compactions == 6 ? CompactionOutcome::more_work() : CompactionOutcome::retry("busy");
  });
  scene.options.back_off.cap = milliseconds(500);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  std::uint64_t ended = 1;
  for (const int delay : {100, 200, 400, 500, 500}) {
    scene.pass(milliseconds(delay - 1));
    EXPECT_EQ(scene.started.events().size(), ended);
    scene.pass(milliseconds(1));
    ended += ended == 5 ? 2 : 1;  // the sixth leaves more work, which the seventh fails at
    scene.await(ended);
  }
  scene.pass(milliseconds(100));
  scene.await(8);
  EXPECT_EQ(scene.times(), (std::vector<std::int64_t>{0, 100, 300, 700, 1200, 1700, 1700, 1800}));
}

TEST(BackOff, leaves_a_part_of_each_delay_to_chance) {
  for (const auto& [share, delay] :
       std::vector<std::pair<double, int>>{{0, 100},
                                           {0.5, 80},
                                           {1, 100},
                                           {-1, 100},
                                           {1.5, 100},
                                           {std::numeric_limits<double>::quiet_NaN(), 100}}) {
    Scene scene(retries);
    scene.options.back_off.jitter = 0.4;
    scene.options.back_off.random = [share = share] { return share; };
    auto& worker = scene.start();
    worker.queue_compaction(0);
    scene.await(1);
    scene.pass(milliseconds(delay - 1));
    EXPECT_EQ(scene.started.events().size(), 1U);
    scene.pass(milliseconds(1));
    scene.await(2);
  }
  // One that throws leaves nothing to chance.
  Scene scene(retries);
  scene.options.back_off.random = []() -> double { throw std::runtime_error("no entropy"); };
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(milliseconds(100));
  scene.await(2);
}

TEST(BackOff, has_a_source_of_chance_of_its_own) {
  Scene scene(retries);
  scene.options.back_off.jitter = 1;
  auto& worker = scene.start();
  for (std::uint32_t i = 0; i < 50; ++i) {
    worker.queue_compaction(i);
  }
  scene.await(50);
  // All within their delay, and, but for a chance of one in 2^50, some before half of it and some
  // after.
  scene.pass(milliseconds(50));
  const auto delayed = [&] { return worker.snapshot().delayed; };
  scene.started.await(51);
  scene.pass(milliseconds(0));
  EXPECT_LT(0U, delayed());
}

TEST(BackOff, failed_ends_the_episode_and_a_retry_opens_one) {
  bool broken = true;
  Scene scene([&](Worker::Context&) {
    return std::exchange(broken, false) ? CompactionOutcome::failed("bad block")
                                        : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(3);
  scene.await(1);
  auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.episodes_failed, 1U);
  EXPECT_EQ(snapshot.retries, 1U);
  EXPECT_EQ(snapshot.episodes_alive, 1U);
  EXPECT_EQ(snapshot.delayed, 1U);
  EXPECT_EQ(broken_law(snapshot), "");
  scene.pass(milliseconds(100));
  scene.await(2);
  EXPECT_EQ(scene.started.events()[1], (Started{3, 1, milliseconds(100)}));
  snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.episodes_done, 1U);
  EXPECT_EQ(snapshot.episodes_opened, 2U);
  EXPECT_EQ(snapshot.episodes_alive, 0U);
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(BackOff, failed_waits_for_a_request_if_it_is_not_to_be_retried) {
  Scene scene(fails);
  scene.options.back_off.retry_failed = false;
  auto& worker = scene.start();
  worker.queue_compaction(3);
  EXPECT_EQ(worker.wait_idle(3), (StripeIdle{IdleResult::idle, EpisodeEnd::failed}));
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.delayed, 0U);
  EXPECT_EQ(snapshot.retries, 0U);
  EXPECT_EQ(worker.queue_compaction(3), Submission::queued);  // at once: nothing is delayed
  scene.await(2);
}

TEST(BackOff, what_was_requested_meanwhile_is_delayed_and_keeps_the_count_of_failures) {
  for (const bool retry_failed : {true, false}) {
    Scene scene(retry_failed ? fails : retries);
    scene.options.back_off.retry_failed = retry_failed;
    Worker* self = nullptr;
    const auto outcome = std::exchange(scene.outcome, nullptr);
    scene.outcome = [&, outcome](Worker::Context& context) {
      if (context.attempt() == 1) {
        self->queue_compaction(0);
      }
      return outcome(context);
    };
    auto& worker = scene.start();
    self = &worker;
    worker.queue_compaction(0);
    scene.await(1);
    auto snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.episodes_failed, 1U);
    EXPECT_EQ(snapshot.rerun_pending, 1U);
    EXPECT_EQ(snapshot.retries, 0U);
    EXPECT_EQ(snapshot.delayed, 1U);
    scene.pass(milliseconds(100));
    scene.await(2);
    scene.pass(milliseconds(199));
    EXPECT_EQ(scene.started.events().size(), 2U);
    scene.pass(milliseconds(1));
    scene.await(3);
    EXPECT_EQ(broken_law(worker.snapshot()), "");
  }
}

TEST(BackOff, requests_merge_into_what_is_delayed_and_do_not_hurry_it) {
  Scene scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  EXPECT_EQ(worker.queue_compaction(0), Submission::coalesced);
  EXPECT_EQ(worker.queue_compaction(0), Submission::coalesced);
  scene.pass(milliseconds(99));
  EXPECT_EQ(scene.started.events().size(), 1U);
  scene.pass(milliseconds(1));
  scene.await(2);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.coalesced, 2U);
  EXPECT_EQ(snapshot.queued, 1U);
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(BackOff, delays_that_stripe_alone) {
  Scene scene([](Worker::Context& context) {
    return context.stripe_id() == 0 ? CompactionOutcome::failed("bad block")
                                    : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  scene.await(2);
  worker.queue_compaction(2);
  EXPECT_EQ(worker.wait_idle(2), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(worker.snapshot().delayed, 1U);
}

TEST(BackOff, those_with_less_to_wait_go_first) {
  Scene scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(milliseconds(100));
  scene.await(2);  // it waits until 300 ms now
  worker.queue_compaction(1);
  scene.await(3);  // until 200 ms
  scene.pass(milliseconds(100));
  scene.await(4);
  EXPECT_EQ(scene.started.events().back(), (Started{1, 2, milliseconds(200)}));
}

TEST(BackOff, retry_now_ends_every_delay) {
  bool full = true;
  Scene scene([&](Worker::Context& context) {
    return !full                     ? CompactionOutcome::done()
           : context.stripe_id() < 2 ? lacks_room(context)
                                     : fails(context);
  });
  auto& worker = scene.start();
  EXPECT_EQ(worker.retry_now(), 0U);
  for (std::uint32_t i = 0; i < 4; ++i) {
    worker.queue_compaction(i);
  }
  scene.await(4);
  EXPECT_EQ(worker.snapshot().delayed, 4U);
  full = false;
  EXPECT_EQ(worker.retry_now(), 4U);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().delayed, 0U);
  EXPECT_EQ(scene.started.events().size(), 8U);
  worker.shutdown();
  EXPECT_EQ(worker.retry_now(), 0U);
}

TEST(BackOff, wait_idle_says_that_all_that_is_left_is_delayed) {
  Scene scene([](Worker::Context& context) {
    return context.attempt() == 1 ? CompactionOutcome::retry("busy") : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::delayed);
  EXPECT_EQ(worker.wait_idle(seconds(100)), IdleResult::delayed);  // whatever the limit
  EXPECT_EQ(worker.wait_idle(seconds(0)), IdleResult::delayed);
  EXPECT_EQ(worker.wait_idle(0).result, IdleResult::delayed);
  EXPECT_EQ(worker.wait_idle(1).result, IdleResult::idle);
  EXPECT_EQ(worker.wait_idle(seconds(0), WhenDelayed::wait), IdleResult::timed_out);
  IdleResult answer{};
  StripeIdle of_stripe;
  std::thread waiter([&] { answer = worker.wait_idle({}, WhenDelayed::wait); });
  std::thread other([&] { of_stripe = worker.wait_idle(0, {}, WhenDelayed::wait); });
  scene.await_callers(2);
  scene.pass(milliseconds(100));
  waiter.join();
  other.join();
  EXPECT_EQ(answer, IdleResult::idle);
  EXPECT_EQ(of_stripe, (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
}

TEST(BackOff, wait_idle_that_waits_is_answered_when_the_last_is_delayed) {
  Gate go_on;
  Scene scene([&](Worker::Context& context) {
    go_on.pass();
    return context.stripe_id() == 0 ? CompactionOutcome::retry("busy") : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(1);
  worker.queue_compaction(0);
  IdleResult answer{};
  std::thread waiter([&] { answer = worker.wait_idle(); });
  scene.await_callers(1);
  go_on.open();
  waiter.join();
  EXPECT_EQ(answer, IdleResult::delayed);
}

TEST(BackOff, what_a_pause_holds_is_told_before_what_is_delayed) {
  Scene scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  const auto guard = worker.pause(1);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
  EXPECT_EQ(worker.wait_idle(seconds(0)), IdleResult::timed_out);
}

TEST(BackOff, what_is_delayed_can_be_cancelled_or_removed) {
  bool broken = true;
  Scene scene([&](Worker::Context& context) {
    return broken ? retries(context) : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  for (std::uint32_t i = 0; i < 3; ++i) {
    worker.queue_compaction(i);
  }
  scene.await(3);
  const auto cancelled = worker.cancel(0);
  EXPECT_TRUE(cancelled.waited);
  EXPECT_FALSE(cancelled.running);
  EXPECT_EQ(worker.remove(1), RemoveResult::removed);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.delayed, 1U);
  EXPECT_EQ(snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(snapshot.episodes_removed, 1U);
  EXPECT_EQ(broken_law(snapshot), "");
  // A cancelled one runs when it is asked for, and its failures count on; a restored one starts
  // afresh.
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  scene.await(4);
  EXPECT_EQ(worker.restore(1), RestoreResult::restored);
  EXPECT_EQ(worker.queue_compaction(1), Submission::queued);
  scene.await(5);
  broken = false;
  scene.pass(milliseconds(100));
  scene.await(7);
  EXPECT_EQ(worker.snapshot().delayed, 1U);  // stripe 0, since it has failed twice
  scene.pass(milliseconds(100));
  scene.await(8);
  EXPECT_EQ(scene.started.events().back(), (Started{0, 2, milliseconds(200)}));
}

TEST(BackOff, what_fails_after_it_was_cancelled_is_not_tried_again) {
  Gate cancelled;
  Scene scene([&](Worker::Context& context) {
    if (context.attempt() == 1) {
      cancelled.pass();
    }
    return fails(context);
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.started.await(1);
  EXPECT_TRUE(worker.cancel(0).running);
  cancelled.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(snapshot.delayed, 0U);
}

TEST(BackOff, a_pause_holds_what_is_due) {
  bool broken = true;
  Scene scene([&](Worker::Context& context) {
    return std::exchange(broken, false) ? retries(context) : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  {
    const auto guard = worker.pause(0);
    EXPECT_EQ(guard.result(), PauseResult::paused);
    EXPECT_EQ(worker.snapshot().delayed, 1U);  // its delay goes on
    EXPECT_EQ(worker.snapshot().held, 0U);
    scene.pass(milliseconds(100));
    while (worker.snapshot().held == 0) {
      std::this_thread::yield();
    }
    EXPECT_EQ(worker.snapshot().delayed, 0U);
    EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.started.events().size(), 2U);
}

TEST(BackOff, a_shutdown_discards_what_is_delayed_in_every_mode) {
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    Scene scene([](Worker::Context& context) {
      return context.stripe_id() == 0 ? retries(context) : lacks_room(context);
    });
    auto& worker = scene.start();
    worker.queue_compaction(0);
    worker.queue_compaction(1);
    scene.await(2);
    const auto report = worker.shutdown(mode);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(ids(report.discarded), (std::vector<std::uint32_t>{0, 1}));
    EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{0, 1}));
    const auto snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.delayed, 0U);
    EXPECT_EQ(snapshot.episodes_discarded, 2U);
    EXPECT_EQ(broken_law(snapshot), "");
  }
}

TEST(BackOff, what_fails_while_it_is_drained_is_unfinished) {
  Gate closed;
  Scene scene([&](Worker::Context& context) {
    closed.pass();
    return context.stripe_id() == 0 ? retries(context) : fails(context);
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  scene.started.await(1);
  std::thread closer([&] { worker.shutdown(ShutdownMode::drain); });
  while (worker.is_running()) {
    std::this_thread::yield();
  }
  closed.open();
  closer.join();
  const auto report = worker.shutdown();
  EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{0, 1}));
  EXPECT_TRUE(report.discarded.empty());
  EXPECT_EQ(worker.snapshot().episodes_failed, 2U);
  EXPECT_EQ(scene.started.events().size(), 2U);
}

TEST(BackOff, a_resource_that_is_gone_is_tried_once_each_second_by_one_stripe) {
  Scene scene(lacks_room);
  auto& worker = scene.start(2);
  for (std::uint32_t i = 0; i < 3; ++i) {
    worker.queue_compaction(i);
  }
  scene.await(3);
  for (std::uint64_t second = 1; second <= 30; ++second) {
    scene.pass(milliseconds(999));
    scene.pass(milliseconds(1));
    scene.await(3 + second);
  }
  const auto events = scene.started.events();
  ASSERT_EQ(events.size(), 33U);
  for (std::uint64_t second = 1; second <= 30; ++second) {
    // In turn, however often they have failed.
    EXPECT_EQ(events[2 + second].at, seconds(second));
    EXPECT_EQ(events[2 + second].attempt, (second + 2) / 3 + 1);
  }
  EXPECT_EQ(worker.snapshot().episodes_alive, 3U);
}

TEST(BackOff, a_resource_that_is_there_again_ends_the_delays_of_all_that_lacked_it) {
  bool full = true;
  bool nothing = false;
  Scene scene([&](Worker::Context& context) {
    return context.stripe_id() == 9 ? fails(context)
           : full                   ? lacks_room(context)
           : nothing                ? CompactionOutcome::nothing_to_do()
                                    : CompactionOutcome::done();
  });
  scene.options.back_off.initial = seconds(30);
  auto& worker = scene.start();
  for (const std::uint32_t i : {9U, 0U, 1U, 2U, 3U}) {
    worker.queue_compaction(i);
  }
  scene.await(5);
  full = false;
  nothing = true;  // which says nothing of the disk
  scene.pass(seconds(1));
  scene.await(6);
  EXPECT_EQ(worker.snapshot().delayed, 4U);
  nothing = false;
  scene.pass(seconds(1));
  scene.await(9);
  EXPECT_EQ(worker.snapshot().delayed, 1U);  // the broken stripe
  // One that never lacked it says nothing of it either.
  full = true;
  worker.queue_compaction(4);
  scene.await(10);
  full = false;
  worker.queue_compaction(5);
  scene.await(11);
  EXPECT_EQ(worker.snapshot().delayed, 2U);
}

TEST(BackOff, a_resource_that_is_gone_again_delays_what_has_not_run) {
  std::uint32_t compactions = 0;
  Scene scene([&](Worker::Context& context) {
    // There is room for one.
    return ++compactions == 4 ? CompactionOutcome::done() : lacks_room(context);
  });
  auto& worker = scene.start();
  for (std::uint32_t i = 0; i < 3; ++i) {
    worker.queue_compaction(i);
  }
  scene.await(3);
  scene.pass(seconds(1));
  scene.await(6);  // both others have tried
  EXPECT_EQ(worker.snapshot().delayed, 2U);
  scene.pass(milliseconds(999));
  EXPECT_EQ(scene.started.events().size(), 6U);
  scene.pass(milliseconds(1));
  scene.await(7);
}

// The first thread can be created.
struct NoTimekeeper : ManualClockSync {
  static inline int created = 0;
  struct thread : ManualClockSync::thread {
    bool start(void (*entry)(void*), void* argument) noexcept {
      return created++ == 0 && ManualClockSync::thread::start(entry, argument);
    }
  };
};

TEST(BackOff, without_a_thread_for_it_the_next_request_tries_again) {
  using Lonely = basic_background_worker<NoTimekeeper>;
  std::vector<std::string> lines;
  Lonely::Options options;
  options.least_log_level = LogLevel::info;
  options.log = [&](LogLevel level, std::string_view text) {
    lines.push_back(std::string(to_string(level)) + ": " + std::string(text));
  };
  bool broken = true;
  Lonely worker(
      CompactionConfig().with_max_concurrent(1), {}, 8,
      [&](Lonely::Context&) {
        return std::exchange(broken, false) ? CompactionOutcome::retry("busy")
                                            : CompactionOutcome::done();
      },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(
      lines.back(),
      "warn: start: no thread could be created that keeps the time; what fails is tried again "
      "by the next request alone, and the watchdog does not look");
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::failed}));
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
}

TEST(BackOff, who_waits_for_what_is_delayed_learns_that_a_pause_holds_it_now) {
  for (const bool all : {false, true}) {
    Scene scene(retries);
    auto& worker = scene.start();
    worker.queue_compaction(0);
    scene.await(1);
    const auto guard = all ? worker.pause_all() : worker.pause(0);
    IdleResult answer{};
    std::thread waiter([&] { answer = worker.wait_idle({}, WhenDelayed::wait); });
    scene.await_callers(1);
    scene.pass(milliseconds(100));
    waiter.join();
    EXPECT_EQ(answer, IdleResult::paused);
  }
}

TEST(BackOff, a_clock_that_jumps_makes_delays_late_or_early_by_the_jump) {
  Scene scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(-std::chrono::hours(1));
  scene.pass(std::chrono::hours(1));
  EXPECT_EQ(scene.started.events().size(), 1U);
  scene.pass(std::chrono::hours(1));
  scene.await(2);
  EXPECT_EQ(worker.snapshot().delayed, 1U);
}

TEST(BackOff, a_job_that_ended_its_thread_is_not_tried_again) {
  Scene scene([](Worker::Context&) -> CompactionOutcome { pthread_exit(nullptr); });
  auto& worker = scene.start(2);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::failed}));
  EXPECT_EQ(worker.snapshot().delayed, 0U);
}

TEST(BackOff, off_is_a_worker_without_delays) {
  Scene scene(retries);
  scene.options.back_off = BackOff::off();
  auto& worker = scene.start();
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::failed}));
  EXPECT_EQ(worker.snapshot().delayed, 0U);
}

}  // namespace
}  // namespace kstone::test
