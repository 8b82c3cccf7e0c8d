// Contract 4 and 5: cancel, remove, pauses and stops where they meet each other and what waits.
// Each test is there because a change of the worker was not noticed without it.

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "manual_clock_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using Stripes = std::vector<std::uint32_t>;
constexpr std::chrono::seconds no_time(0);
using Job = std::function<CompactionOutcome(CompactionContext&)>;

struct Fixture {
  Gate gate;
  Journal<std::uint32_t> begun;
  Job job;
  std::optional<BackgroundWorker> worker;
  explicit Fixture(std::uint32_t threads = 1, Job what = {}, BackgroundWorker::Options options = {})
      : job(std::move(what)) {
    worker.emplace(
        CompactionConfig().with_max_concurrent(threads), CompactionStatsAtomic(), 4,
        [this](CompactionContext& context) {
          begun.add(context.stripe_id());
          if (job) {
            return job(context);
          }
          gate.pass();
          return CompactionOutcome::done();
        },
        std::move(options));
  }
  ~Fixture() { gate.open(); }
  void start() { ASSERT_EQ(worker->start(), StartResult::started); }
  void run(std::uint32_t id) {
    const auto before = begun.events().size();
    ASSERT_EQ(worker->queue_compaction(id), Submission::queued);
    begun.await(before + 1);
  }
  void await_callers(std::uint32_t count) {
    while (worker->snapshot().waiting_callers != count) {
      std::this_thread::yield();
    }
  }
};

TEST(HoldingBack, cancel_tells_who_waits_for_what_waited_and_how_it_ended) {
  Fixture f;
  f.start();
  f.run(1);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  StripeIdle one;
  std::thread waiter([&] { one = f.worker->wait_idle(0); });
  f.await_callers(1);
  EXPECT_TRUE(f.worker->cancel(0).waited);
  waiter.join();
  EXPECT_EQ(one, (StripeIdle{IdleResult::idle, EpisodeEnd::cancelled}));
}

TEST(HoldingBack, cancel_without_a_limit_calls_the_callbacks_and_those_of_no_other) {
  Journal<std::uint32_t> called;
  Journal<std::uint32_t> registered;
  Fixture f(2, [&](CompactionContext& context) {
    const auto id = context.stripe_id();
    const auto stop = context.on_stop([&called, id] { called.add(id); });
    registered.add(id);
    called.await(1);  // else the end of the wait below might end the callback before its call
    context.wait_for_stop(Limit());
    return CompactionOutcome::stopped();
  });
  f.start();
  f.run(0);
  f.run(1);
  registered.await(2);
  EXPECT_TRUE(f.worker->cancel(0).running);
  EXPECT_EQ(called.events(), Stripes{0});
  EXPECT_EQ(f.worker->wait_idle(0).last_end, EpisodeEnd::cancelled);
  EXPECT_EQ(f.worker->snapshot().running, 1U);
  EXPECT_EQ(f.worker->cancel(1, Limit()).end, EpisodeEnd::cancelled);
}

TEST(HoldingBack, a_stop_is_forgotten_with_its_compaction) {
  std::atomic<int> round{0};
  Fixture f(1, {}, without_back_off());
  f.job = [&](CompactionContext&) {
    if (round == 0) {
      f.gate.pass();
      return CompactionOutcome::stopped();
    }
    return ++round == 2 ? CompactionOutcome::more_work() : CompactionOutcome::failed("no");
  };
  f.start();
  f.run(0);
  EXPECT_TRUE(f.worker->cancel(0).running);
  f.gate.open();
  EXPECT_EQ(f.worker->wait_idle(0).last_end, EpisodeEnd::cancelled);
  round = 1;
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(f.worker->wait_idle(0).last_end, EpisodeEnd::failed);
  EXPECT_EQ(f.begun.events().size(), 3U);
}

TEST(HoldingBack, a_restored_stripe_is_held_by_new_pauses_alone) {
  Fixture f;
  f.gate.open();
  f.start();
  std::vector<PauseGuard> old;
  for (const std::uint32_t id : {1, 2}) {
    old.push_back(f.worker->pause(id));
    EXPECT_EQ(f.worker->remove(id), RemoveResult::removed);
    EXPECT_EQ(f.worker->restore(id), RestoreResult::restored);
    EXPECT_EQ(f.worker->queue_compaction(id), Submission::queued);
    EXPECT_EQ(f.worker->wait_idle(id).result, IdleResult::idle);  // the old one lives
  }
  for (const std::uint32_t id : {1, 2}) {
    auto anew = f.worker->pause(id);
    EXPECT_EQ(f.worker->queue_compaction(id), Submission::queued);
    anew.release();
    EXPECT_EQ(f.worker->wait_idle(id).result, IdleResult::idle);
  }
  auto anew = f.worker->pause(1);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  old.clear();
  EXPECT_EQ(f.worker->wait_idle(1).result, IdleResult::paused);
}

TEST(HoldingBack, guards_are_released_in_any_order) {
  Fixture f;
  f.gate.open();
  f.start();
  std::vector<PauseGuard> guards;
  for (const std::uint32_t id : {0, 1, 2, 0}) {
    guards.push_back(f.worker->pause(id));
  }
  for (const std::uint32_t id : {0, 1, 2}) {
    EXPECT_EQ(f.worker->queue_compaction(id), Submission::queued);
  }
  EXPECT_EQ(f.worker->wait_idle(), IdleResult::paused);  // takes the inbox
  EXPECT_EQ(f.worker->snapshot().held, 3U);
  guards[0].release();
  EXPECT_EQ(f.worker->wait_idle(0).result, IdleResult::paused);
  guards[3].release();
  EXPECT_EQ(f.worker->wait_idle(0).result, IdleResult::idle);
  guards[1].release();
  guards[2].release();
  EXPECT_EQ(f.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(f.worker->snapshot().held, 0U);
  EXPECT_EQ(f.worker->queue_size(), 0U);
}

TEST(HoldingBack, the_end_of_the_scans_thread_is_told_to_who_waits_for_it) {
  Gate go;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker&) {
    go.pass();
    pthread_exit(nullptr);
  };
  Fixture f(1, {}, std::move(options));
  f.start();
  IdleResult result{};
  std::thread waiter([&] { result = f.worker->wait_idle(); });
  f.await_callers(1);
  go.open();
  waiter.join();
  EXPECT_EQ(result, IdleResult::idle);
}

TEST(HoldingBack, a_wait_for_both_waits_for_no_re_run_that_came_after_the_withdrawn_one) {
  std::array<Gate, 3> gates;
  std::atomic<std::size_t> next{0};
  Fixture f(1, [&](CompactionContext&) {
    gates[next++].pass();
    return CompactionOutcome::done();
  });
  f.start();
  f.run(1);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::rerun_pending);
  StripeIdle one;
  IdleResult all{};
  std::thread waits_for_one([&] { one = f.worker->wait_idle(1); });
  std::thread waits_for_all([&] { all = f.worker->wait_idle(); });
  std::thread pauses([&] { static_cast<void>(f.worker->pause(1)); });
  f.await_callers(3);
  EXPECT_TRUE(f.worker->cancel(1).rerun_pending);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::rerun_pending);
  gates[0].open();
  pauses.join();
  waits_for_one.join();
  waits_for_all.join();
  EXPECT_EQ(one, (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(all, IdleResult::idle);
  gates[1].open();
  gates[2].open();
}

TEST(HoldingBack, a_stripe_that_is_removed_while_it_runs_stays_so_when_it_is_cancelled) {
  Fixture f;
  f.start();
  f.run(0);
  EXPECT_EQ(f.worker->remove(0, no_time), RemoveResult::timed_out);
  EXPECT_EQ(f.worker->cancel(0).result, CancelReport::Result::still_running);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::rejected_removed);
  f.gate.open();
  EXPECT_EQ(f.worker->remove(0), RemoveResult::removed);
  EXPECT_EQ(f.begun.events(), Stripes{0});
}

TEST(HoldingBack, a_refused_cancel_cancels_nothing) {
  Fixture f;
  f.job = [&](CompactionContext& context) {
    if (context.stripe_id() == 0) {
      EXPECT_EQ(f.worker->cancel(1, no_time).result, CancelReport::Result::refused);
    }
    return CompactionOutcome::done();
  };
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  f.start();
  EXPECT_EQ(f.worker->wait_idle(1).last_end, EpisodeEnd::done);
}

using Callback = decltype(std::declval<CompactionContext&>().on_stop(std::function<void()>()));
struct Make {
  CompactionContext& context;
  std::function<void()> callback;
  operator Callback() { return context.on_stop(callback); }  // NOLINT
};

TEST(HoldingBack, callbacks_end_in_any_order) {
  Journal<std::uint32_t> called;
  Gate all_called;
  Gate registered;
  Fixture f(1, [&](CompactionContext& context) {
    std::array<std::optional<Callback>, 5> stops;
    for (std::uint32_t i = 0; i < 5; ++i) {
      stops[i].emplace(Make{context, [&, i] {
                              called.add(i);
                              if (i == 1) {
                                all_called.open();
                              }
                            }});
    }
    for (const int gone : {0, 3, 2}) {
      stops[static_cast<std::size_t>(gone)].reset();
    }
    registered.open();
    all_called.pass();
    return CompactionOutcome::stopped();
  });
  f.start();
  f.run(0);
  registered.pass();
  EXPECT_EQ(f.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
  EXPECT_EQ(called.events(), (Stripes{4, 1}));
}

TEST(HoldingBack, a_late_callback_may_end_itself_and_is_not_called_for_the_next_job) {
  std::atomic<int> calls{0};
  Fixture f(1, [&](CompactionContext& context) {
    context.wait_for_stop(Limit());
    {
      const auto late = context.on_stop([&] {
        // Takes the mutex of the stop, which must not be held.
        const auto inner = context.on_stop([&] { ++calls; });
        ++calls;
      });
    }
    return CompactionOutcome::stopped();
  });
  f.start();
  for (int i = 1; i != 4; ++i) {
    f.run(0);
    EXPECT_EQ(f.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
    EXPECT_EQ(calls, 2 * i);
  }
}

TEST(HoldingBack, a_job_may_cancel_itself_with_a_callback) {
  int calls = 0;
  Fixture f;
  f.job = [&](CompactionContext& context) {
    const auto stop = context.on_stop([&] { ++calls; });
    EXPECT_TRUE(f.worker->cancel(context.stripe_id()).running);
    return CompactionOutcome::stopped();
  };
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  f.start();
  EXPECT_EQ(f.worker->wait_idle(0).last_end, EpisodeEnd::cancelled);
  EXPECT_EQ(calls, 1);
}

TEST(HoldingBack, a_pause_does_not_wait_for_a_job_once_the_worker_has_closed) {
  Fixture f;
  f.start();
  f.run(0);
  PauseResult result{};
  std::thread pauses([&] { result = f.worker->pause_all().result(); });
  f.await_callers(1);
  EXPECT_FALSE(f.worker->shutdown(ShutdownMode::drain, no_time).complete);
  pauses.join();
  EXPECT_EQ(result, PauseResult::shut_down);
}

TEST(HoldingBack, a_pause_of_all_is_no_answer_while_what_is_waited_for_runs) {
  Fixture f;
  f.start();
  f.run(0);
  const auto guard = f.worker->pause_all(no_time);
  IdleResult result{};
  std::thread waiter([&] { result = f.worker->wait_idle(); });
  f.await_callers(1);
  f.gate.open();
  waiter.join();
  EXPECT_EQ(result, IdleResult::idle);
}

TEST(HoldingBack, a_pause_of_all_that_comes_later_ends_waits_without_a_limit) {
  Fixture f;
  f.start();
  f.run(0);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  IdleResult result{};
  std::thread waiter([&] { result = f.worker->wait_idle(1).result; });
  f.await_callers(1);
  const auto guard = f.worker->pause_all(no_time);
  waiter.join();
  EXPECT_EQ(result, IdleResult::paused);
}

TEST(HoldingBack, a_pause_of_what_is_idle_ends_too) {
  Fixture f;
  f.gate.open();
  f.start();
  f.worker->pause(1).release();
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(f.worker->wait_idle(1).result, IdleResult::idle);
}

TEST(HoldingBack, what_was_removed_while_it_waited_is_not_unfinished) {
  Fixture f;
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(f.worker->remove(1), RemoveResult::removed);
  EXPECT_EQ(f.worker->shutdown().unfinished.size(), 0U);
}

TEST(HoldingBack, restore_answers_for_what_is_not_removed) {
  Fixture f;
  f.start();
  f.run(0);
  EXPECT_EQ(f.worker->restore(0), RestoreResult::not_removed);  // although it runs
  f.gate.open();
  f.worker->shutdown();
  EXPECT_EQ(f.worker->restore(1), RestoreResult::shut_down);
}

TEST(HoldingBack, a_drain_of_what_was_never_started_discards_all) {
  Fixture f;
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(f.worker->shutdown(ShutdownMode::drain).discarded.size(), 2U);
}

TEST(HoldingBack, counts_before_anything_has_happened) {
  Fixture f;
  const auto s = f.worker->snapshot();
  EXPECT_EQ(s.running_max, 0U);
  EXPECT_EQ(s.held, 0U);
  const auto guard = f.worker->pause(0);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(f.worker->wait_idle(0).result, IdleResult::paused);  // takes the inbox
  EXPECT_EQ(f.worker->snapshot().held, 1U);
  EXPECT_EQ(f.worker->queue_size(), 2U);
}

TEST(HoldingBack, a_re_run_that_is_cancelled_is_counted) {
  Fixture f;
  f.start();
  f.run(0);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::rerun_pending);
  EXPECT_TRUE(f.worker->cancel(0).rerun_pending);
  auto s = f.worker->snapshot();
  EXPECT_EQ(s.rerun_pending, 1U);
  EXPECT_EQ(s.episodes_opened, 2U);
  EXPECT_EQ(s.episodes_alive, 1U);
  EXPECT_EQ(s.compactions_started, 1U);
  f.gate.open();
}

TEST(HoldingBack, rejections_are_counted_when_the_worker_closes) {
  Fixture f;
  EXPECT_EQ(f.worker->remove(0), RemoveResult::removed);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::rejected_removed);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::coalesced);
  f.worker->shutdown();
  EXPECT_EQ(f.worker->snapshot().rejected_removed, 1U);
  EXPECT_EQ(f.worker->snapshot().coalesced, 1U);
}

TEST(HoldingBack, answers_of_a_job_in_a_worker_that_has_closed) {
  Fixture f;
  RemoveResult removed{};
  PauseResult paused{};
  f.job = [&](CompactionContext&) {
    f.gate.pass();
    removed = f.worker->remove(1);
    paused = f.worker->pause_all().result();
    return CompactionOutcome::done();
  };
  f.start();
  f.run(0);
  EXPECT_FALSE(f.worker->shutdown(ShutdownMode::drain, no_time).complete);
  f.gate.open();
  EXPECT_TRUE(f.worker->shutdown().complete);
  EXPECT_EQ(removed, RemoveResult::refused);
  EXPECT_EQ(paused, PauseResult::refused);
}

TEST(HoldingBack, a_wait_for_all_mends_the_goal_of_the_stripe_whose_re_run_was_withdrawn) {
  std::array<Gate, 3> gates;
  std::atomic<std::size_t> next{0};
  Fixture f(1, [&](CompactionContext&) {
    gates[next++].pass();
    return CompactionOutcome::done();
  });
  f.start();
  f.run(1);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::rerun_pending);
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::queued);
  IdleResult all{};
  std::thread waiter([&] { all = f.worker->wait_idle(); });
  f.await_callers(1);
  EXPECT_TRUE(f.worker->cancel(1).rerun_pending);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::rerun_pending);
  gates[0].open();
  gates[1].open();
  waiter.join();
  EXPECT_EQ(all, IdleResult::idle);
  gates[2].open();
}

TEST(HoldingBack, a_wait_for_all_keeps_the_goals_of_stripes_whose_re_run_was_not_withdrawn) {
  std::array<Gate, 3> gates;  // of stripe 1, of stripe 2, and of its re-run
  std::atomic<bool> again{false};
  Fixture f(2, [&](CompactionContext& context) {
    gates[context.stripe_id() == 1 ? 0 : again.exchange(true) ? 2 : 1].pass();
    return CompactionOutcome::done();
  });
  f.start();
  f.run(2);
  EXPECT_EQ(f.worker->queue_compaction(2), Submission::rerun_pending);
  std::atomic<bool> waited{false};
  std::thread waiter([&] {
    static_cast<void>(f.worker->wait_idle());
    waited = true;
  });
  f.await_callers(1);
  f.run(1);
  EXPECT_EQ(f.worker->queue_compaction(1), Submission::rerun_pending);
  EXPECT_TRUE(f.worker->cancel(1).rerun_pending);
  gates[0].open();
  gates[1].open();
  f.begun.await(3);
  EXPECT_EQ(f.worker->wait_idle(1).result, IdleResult::idle);
  EXPECT_EQ(f.worker->snapshot().waiting_callers, 1U);
  EXPECT_FALSE(waited);
  gates[2].open();
  waiter.join();
}

TEST(HoldingBack, a_wait_for_the_first_scan_says_that_the_worker_was_shut_down) {
  Gate go;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker&) { go.pass(); };
  Fixture f(1, {}, std::move(options));
  f.start();
  IdleResult result{};
  std::thread waiter([&] { result = f.worker->wait_idle(); });
  f.await_callers(1);
  EXPECT_FALSE(f.worker->shutdown(ShutdownMode::drain, no_time).complete);
  waiter.join();
  EXPECT_EQ(result, IdleResult::shut_down);
  go.open();
}

TEST(HoldingBack, a_disabled_worker_has_no_scan_to_wait_for) {
  BackgroundWorker::Options options;
  options.scan = [](BackgroundWorker&) {};
  BackgroundWorker worker(
      CompactionConfig::disabled(), CompactionStatsAtomic(), 1,
      [](CompactionContext&) { return CompactionOutcome::done(); }, options);
  EXPECT_EQ(worker.wait_idle(no_time), IdleResult::idle);
}

TEST(HoldingBack, a_rejected_request_is_nothing_to_wait_for) {
  Fixture f;
  f.worker->shutdown();
  EXPECT_EQ(f.worker->queue_compaction(0), Submission::rejected_shutting_down);
  EXPECT_EQ(f.worker->wait_idle(0).result, IdleResult::shut_down);
  EXPECT_EQ(f.worker->wait_idle(), IdleResult::shut_down);
}

TEST(HoldingBack, wait_idle_waits_for_the_scan_that_is_under_way) {
  using Worker = basic_background_worker<ManualClockSync>;
  using Clock = ManualClockSync::clock;
  Gate second;
  Journal<int> scans;
  Worker::Options options;
  options.scan = [&](Worker&) {
    scans.add(0);
    if (scans.events().size() == 2) {
      second.pass();
    }
  };
  Worker worker(
      CompactionConfig().with_check_interval(60), {}, 1,
      [](Worker::Context&) { return CompactionOutcome::done(); }, options);
  EXPECT_EQ(worker.start(), StartResult::started);
  Clock::await_sleepers(1);
  Clock::advance(std::chrono::seconds(60));
  scans.await(2);
  EXPECT_EQ(worker.wait_idle(no_time), IdleResult::timed_out);
  second.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

}  // namespace
}  // namespace kstone::test
