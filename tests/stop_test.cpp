// Contract 4: what a job can do about a stop: ask, wait for it, and be called.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"
#include "test_support.h"

namespace kstone::test {
namespace {

// A worker with one thread, which does what the test says.
struct OneThread {
  std::function<CompactionOutcome(CompactionContext&)> job = do_nothing;
  Gate running;
  std::optional<BackgroundWorker> worker;

  OneThread() {
    worker.emplace(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 2,
                   [this](CompactionContext& context) { return job(context); });
    EXPECT_EQ(worker->start(), StartResult::started);
  }
  void run(std::function<CompactionOutcome(CompactionContext&)> what, std::uint32_t stripe_id = 0) {
    job = std::move(what);
    EXPECT_EQ(worker->queue_compaction(stripe_id), Submission::queued);
  }
};

CompactionOutcome wait_and_stop(CompactionContext& context) {
  return context.wait_for_stop(Limit()) ? CompactionOutcome::stopped() : CompactionOutcome::done();
}

TEST(WaitForStop, sleeps_until_the_stripe_is_cancelled) {
  OneThread one;
  one.run([&](CompactionContext& context) {
    one.running.open();
    return wait_and_stop(context);
  });
  one.running.pass();
  EXPECT_EQ(one.worker->cancel(1), CancelReport());
  EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
}

TEST(WaitForStop, ends_with_its_limit_and_with_remove_and_shutdown) {
  OneThread one;
  bool stopped = true;
  one.run([&](CompactionContext& context) {
    stopped = context.wait_for_stop(std::chrono::nanoseconds(1));
    return CompactionOutcome::done();
  });
  EXPECT_EQ(one.worker->wait_idle(0).last_end, EpisodeEnd::done);
  EXPECT_FALSE(stopped);
  one.run([&](CompactionContext& context) {
    one.running.open();
    return wait_and_stop(context);
  });
  one.running.pass();
  EXPECT_EQ(one.worker->remove(0), RemoveResult::removed);
  one.run(wait_and_stop, 1);
  while (one.worker->snapshot().running != 1) {
    std::this_thread::yield();
  }
  EXPECT_EQ(ids(one.worker->shutdown(ShutdownMode::cancel).unfinished),
            std::vector<std::uint32_t>{1});
}

TEST(OnStop, is_called_once_on_the_thread_that_asks_with_no_lock_held) {
  OneThread one;
  std::thread::id called_on;
  int calls = 0;
  std::size_t queue_size = 7;
  IdleResult waited{};
  Gate called;  // else the job might end before, and its callback with it
  one.run([&](CompactionContext& context) {
    const auto stop = context.on_stop([&] {
      ++calls;
      called_on = std::this_thread::get_id();
      queue_size = one.worker->queue_size();
      waited = one.worker->wait_idle(std::chrono::seconds(0));
      called.open();
    });
    one.running.open();
    called.pass();
    return CompactionOutcome::stopped();
  });
  one.running.pass();
  EXPECT_TRUE(one.worker->cancel(0, Limit()).running);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(called_on, std::this_thread::get_id());
  EXPECT_EQ(queue_size, 0U);
  EXPECT_EQ(waited, IdleResult::refused);
  EXPECT_EQ(one.worker->wait_idle(), IdleResult::idle);  // this thread is itself again
}

TEST(OnStop, registered_after_the_stop_it_runs_at_once) {
  OneThread one;
  std::thread::id called_on;
  std::thread::id job_on;
  one.run([&](CompactionContext& context) {
    one.running.open();
    auto outcome = wait_and_stop(context);
    job_on = std::this_thread::get_id();
    const auto stop = context.on_stop([&] { called_on = std::this_thread::get_id(); });
    return outcome;
  });
  one.running.pass();
  EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
  EXPECT_EQ(called_on, job_on);
}

TEST(OnStop, what_has_ended_is_not_called_and_exceptions_are_contained) {
  OneThread one;
  int calls = 0;
  Gate called;
  one.run([&](CompactionContext& context) {
    {
      const auto over = context.on_stop([&] { calls += 100; });
    }
    const auto called_last = context.on_stop([&] {
      ++calls;
      called.open();
    });
    const auto called_first = context.on_stop([&] {
      ++calls;
      throw std::runtime_error("broken");
    });
    one.running.open();
    called.pass();
    return CompactionOutcome::stopped();
  });
  one.running.pass();
  EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
  EXPECT_EQ(calls, 2);
}

TEST(OnStop, its_end_waits_for_the_call_and_inside_itself_it_does_not) {
  OneThread one;
  std::atomic<bool> called{false};
  Gate go_on;
  one.run([&](CompactionContext& context) {
    bool lives = true;  // the callback's to use until its end has returned
    {
      const auto stop = context.on_stop([&] {
        go_on.open();
        called = lives;
      });
      one.running.open();
      go_on.pass();
    }
    EXPECT_TRUE(called);
    lives = false;
    return CompactionOutcome::stopped();
  });
  one.running.pass();
  EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);

  Gate second;
  one.run([&](CompactionContext& context) {
    using Stop = decltype(context.on_stop(std::function<void()>()));
    std::optional<Stop>* own = nullptr;
    struct Make {
      CompactionContext& context;
      std::function<void()> callback;
      operator Stop() { return context.on_stop(callback); }  // NOLINT: into the optional, unmoved
    };
    std::optional<Stop> stop;
    own = &stop;
    Gate ended;
    stop.emplace(Make{context, [&] {
                        own->reset();
                        ended.open();
                      }});
    second.open();
    ended.pass();
    return CompactionOutcome::stopped();
  });
  second.pass();
  EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
}

// One callback ends itself on the thread that asks, while the job makes and ends others.
TEST(OnStop, callbacks_may_end_on_several_threads_at_once) {
  OneThread one;
  for (int round = 0; round < 50; ++round) {
    Gate running;
    one.run([&](CompactionContext& context) {
      using Stop = decltype(context.on_stop(std::function<void()>()));
      struct Make {
        CompactionContext& context;
        std::function<void()> callback;
        operator Stop() { return context.on_stop(callback); }  // NOLINT: into the optional, unmoved
      };
      std::optional<Stop> stop;
      std::atomic<bool> ended{false};
      stop.emplace(Make{context, [&] {
                          stop.reset();
                          ended = true;
                        }});
      running.open();
      while (!ended) {
        const auto another = context.on_stop([] {});
      }
      return CompactionOutcome::stopped();
    });
    running.pass();
    EXPECT_EQ(one.worker->cancel(0, Limit()).end, EpisodeEnd::cancelled);
  }
}

// Each callback takes the engine's lock and cancels its own stripe: none runs inside another, nor
// on the thread of somebody who asked another job.
TEST(OnStop, is_called_by_who_asked_that_job_and_not_inside_another_callback) {
  Journal<std::uint32_t> begun;
  std::atomic<int> inside{0};
  std::atomic<int> nested{0};
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), {}, 3,
                          [&](CompactionContext& context) {
                            Gate called;
                            const auto stop = context.on_stop([&] {
                              nested += inside++;
                              self->cancel(context.stripe_id());
                              self->cancel(2);
                              --inside;
                              called.open();
                            });
                            begun.add(context.stripe_id());
                            called.pass();
                            return CompactionOutcome::stopped();
                          });
  self = &worker;
  ASSERT_EQ(worker.start(), StartResult::started);
  for (const std::uint32_t id : {0, 1}) {
    EXPECT_EQ(worker.queue_compaction(id), Submission::queued);
  }
  begun.await(2);
  EXPECT_TRUE(worker.shutdown(ShutdownMode::cancel).complete);
  EXPECT_EQ(nested, 0);
}

TEST(OnStop, a_shutdown_that_cancels_calls_each_jobs_callbacks) {
  Journal<std::uint32_t> begun;
  std::atomic<int> calls{0};
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(3), {}, 3,
                          [&](CompactionContext& context) {
                            Gate called;
                            const auto stop = context.on_stop([&] {
                              ++calls;
                              called.open();
                            });
                            begun.add(context.stripe_id());
                            called.pass();
                            return CompactionOutcome::stopped();
                          });
  ASSERT_EQ(worker.start(), StartResult::started);
  for (const std::uint32_t id : {0, 1, 2}) {
    EXPECT_EQ(worker.queue_compaction(id), Submission::queued);
  }
  begun.await(3);
  EXPECT_TRUE(worker.shutdown(ShutdownMode::cancel).complete);
  EXPECT_EQ(calls, 3);
}

TEST(OnStopDeathTest, a_callback_that_outlives_its_job_is_said) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        OneThread one;
        one.run([](CompactionContext& context) {
          const auto callback = [] {};
          using Stop = decltype(context.on_stop(callback));
          alignas(Stop) static char leaked[sizeof(Stop)];
          new (leaked) Stop(context.on_stop(callback));
          return CompactionOutcome::done();
        });
        static_cast<void>(one.worker->wait_idle());
      },
      "on_stop: a callback outlives the job that made it");
}

}  // namespace
}  // namespace kstone::test
