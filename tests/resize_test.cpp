// How many stripes are compacted at the same time, changed while the worker lives (contract section
// 5, resize).

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

constexpr std::uint32_t stripes = 8;

// A worker whose jobs announce that they run, and run until the test lets their stripe go.
struct Jobs {
  explicit Jobs(std::uint32_t threads, std::uint32_t capacity = 4) {
    BackgroundWorker::Options options;
    options.thread_capacity = capacity;
    worker = std::make_unique<BackgroundWorker>(
        CompactionConfig().with_max_concurrent(threads), CompactionStatsAtomic(), stripes,
        [this](CompactionContext& context) {
          started.add(context.stripe_id());
          go_on[context.stripe_id()].pass();
          return CompactionOutcome::done();
        },
        options);
  }
  ~Jobs() { let_all_go(); }

  void start() { EXPECT_EQ(worker->start(), StartResult::started); }
  void request(std::uint32_t from, std::uint32_t to) {
    for (auto id = from; id < to; ++id) {
      EXPECT_EQ(worker->queue_compaction(id), Submission::queued);
    }
  }
  void let_all_go() {
    for (auto& each : go_on) {
      each.open();
    }
  }
  // There is no call to wait for it with: a thread parks when it finds that it is one too many.
  void await_parked(std::uint32_t threads) const {
    while (worker->snapshot().parked_threads != threads) {
      std::this_thread::yield();
    }
  }

  Gate go_on[stripes];
  Journal<std::uint32_t> started;
  std::unique_ptr<BackgroundWorker> worker;
};

TEST(Resize, raised_creates_threads_at_once) {
  Jobs jobs(1);
  jobs.start();
  jobs.request(0, 3);
  jobs.started.await(1);
  EXPECT_EQ(jobs.worker->snapshot().worker_threads, 1U);
  EXPECT_EQ(jobs.worker->set_max_concurrent(3), ResizeResult::resized);
  jobs.started.await(3);  // all three run, and none has ended
  const auto snapshot = jobs.worker->snapshot();
  EXPECT_EQ(snapshot.running, 3U);
  EXPECT_EQ(snapshot.worker_threads, 3U);
  EXPECT_EQ(snapshot.max_concurrent, 3U);
  EXPECT_EQ(snapshot.parked_threads, 0U);
}

TEST(Resize, lowered_takes_effect_as_compactions_end) {
  Jobs jobs(3);
  jobs.start();
  jobs.request(0, 6);
  jobs.started.await(3);
  EXPECT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  EXPECT_EQ(jobs.worker->snapshot().running, 3U);  // nothing is stopped
  const auto running = jobs.started.events();
  jobs.go_on[running[0]].open();
  jobs.await_parked(1);
  jobs.go_on[running[1]].open();
  jobs.await_parked(2);
  EXPECT_EQ(jobs.started.events().size(), 3U);  // nobody took anything
  jobs.go_on[running[2]].open();
  jobs.started.await(4);
  const auto snapshot = jobs.worker->snapshot();
  EXPECT_EQ(snapshot.running, 1U);
  EXPECT_EQ(snapshot.worker_threads, 3U);
  EXPECT_EQ(snapshot.max_concurrent, 1U);
  jobs.let_all_go();
  EXPECT_EQ(jobs.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(jobs.started.events().size(), 6U);
}

TEST(Resize, lowered_while_all_sleep_lets_no_more_run) {
  using Worker = basic_background_worker<WatchedSync>;
  WatchedSync::Watch watch;
  std::atomic<int> at_once{0};
  std::atomic<int> most{0};
  Worker worker(CompactionConfig().with_max_concurrent(4), {}, stripes, [&](Worker::Context&) {
    const int now = at_once.fetch_add(1) + 1;
    most = std::max(most.load(), now);
    std::this_thread::yield();
    at_once.fetch_sub(1);
    return CompactionOutcome::done();
  });
  ASSERT_EQ(worker.start(), StartResult::started);
  watch.sleeps.await(4);
  ASSERT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  for (int round = 0; round < 200; ++round) {
    for (std::uint32_t id = 0; id < stripes; ++id) {
      worker.queue_compaction(id);
    }
    ASSERT_EQ(worker.wait_idle(), IdleResult::idle);
  }
  EXPECT_EQ(most, 1);
  EXPECT_EQ(worker.snapshot().running_max, 1U);
}

TEST(Resize, raised_again_wakes_threads_that_wait_apart) {
  Jobs jobs(3, 3);
  jobs.start();
  jobs.request(0, 6);
  jobs.started.await(3);
  ASSERT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  const auto running = jobs.started.events();
  jobs.go_on[running[0]].open();
  jobs.go_on[running[1]].open();
  jobs.await_parked(2);
  EXPECT_EQ(jobs.worker->set_max_concurrent(3), ResizeResult::resized);
  jobs.started.await(5);  // two more, though the third of the first three still runs
  const auto snapshot = jobs.worker->snapshot();
  EXPECT_EQ(snapshot.running, 3U);
  EXPECT_EQ(snapshot.parked_threads, 0U);
  EXPECT_EQ(snapshot.worker_threads, 3U);  // none was created
}

TEST(Resize, raised_by_one_calls_one_thread_back) {
  Jobs jobs(4);
  jobs.start();
  jobs.request(0, 8);
  jobs.started.await(4);
  ASSERT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  const auto running = jobs.started.events();
  for (int i = 0; i < 3; ++i) {
    jobs.go_on[running[static_cast<std::size_t>(i)]].open();
  }
  jobs.await_parked(3);
  EXPECT_EQ(jobs.worker->set_max_concurrent(2), ResizeResult::resized);
  jobs.started.await(5);
  EXPECT_EQ(jobs.worker->snapshot().parked_threads, 2U);
  EXPECT_EQ(jobs.worker->snapshot().running, 2U);
}

TEST(Resize, raised_beyond_the_threads_that_live_calls_back_and_creates) {
  Jobs jobs(2, 4);
  jobs.start();
  jobs.request(0, 6);
  jobs.started.await(2);
  ASSERT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  jobs.go_on[jobs.started.events()[0]].open();
  jobs.await_parked(1);
  EXPECT_EQ(jobs.worker->set_max_concurrent(4), ResizeResult::resized);
  jobs.started.await(5);  // one goes on, and three begin
  EXPECT_EQ(jobs.worker->snapshot().running, 4U);
  EXPECT_EQ(jobs.worker->snapshot().worker_threads, 4U);
}

TEST(Resize, before_the_start_says_how_many_threads_it_creates) {
  Jobs jobs(1);
  EXPECT_EQ(jobs.worker->set_max_concurrent(4), ResizeResult::resized);
  EXPECT_EQ(jobs.worker->snapshot().worker_threads, 0U);
  jobs.start();
  EXPECT_EQ(jobs.worker->snapshot().worker_threads, 4U);
  EXPECT_EQ(jobs.worker->config().max_concurrent_compactions, 1U);  // as it was made
}

TEST(Resize, out_of_range_changes_nothing) {
  Jobs jobs(2, 3);
  jobs.start();
  EXPECT_EQ(jobs.worker->set_max_concurrent(0), ResizeResult::out_of_range);
  EXPECT_EQ(jobs.worker->set_max_concurrent(4), ResizeResult::out_of_range);
  EXPECT_EQ(jobs.worker->set_max_concurrent(UINT32_MAX), ResizeResult::out_of_range);
  EXPECT_EQ(jobs.worker->snapshot().max_concurrent, 2U);
  EXPECT_EQ(jobs.worker->snapshot().worker_threads, 2U);
}

TEST(Resize, without_a_capacity_goes_no_higher_than_configured) {
  Jobs jobs(2, 0);
  jobs.start();
  EXPECT_EQ(jobs.worker->set_max_concurrent(3), ResizeResult::out_of_range);
  EXPECT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  EXPECT_EQ(jobs.worker->set_max_concurrent(2), ResizeResult::resized);
}

TEST(Resize, of_a_closed_worker_changes_nothing) {
  Jobs jobs(1);
  jobs.start();
  jobs.request(0, 1);
  jobs.started.await(1);
  EXPECT_FALSE(
      jobs.worker->shutdown(ShutdownMode::finish_running, std::chrono::seconds(0)).complete);
  EXPECT_EQ(jobs.worker->set_max_concurrent(2), ResizeResult::shut_down);
  jobs.let_all_go();
  EXPECT_TRUE(jobs.worker->shutdown().complete);
  EXPECT_EQ(jobs.worker->set_max_concurrent(2), ResizeResult::shut_down);
  EXPECT_EQ(jobs.worker->snapshot().max_concurrent, 1U);
}

TEST(Resize, a_disabled_worker_creates_no_thread) {
  BackgroundWorker::Options options;
  options.thread_capacity = 8;
  BackgroundWorker worker(CompactionConfig::disabled(), CompactionStatsAtomic(), stripes,
                          do_nothing, options);
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.set_max_concurrent(8), ResizeResult::resized);
  EXPECT_EQ(worker.snapshot().worker_threads, 0U);
}

TEST(Resize, by_a_job_lets_another_run_beside_it) {
  Gate other;
  BackgroundWorker* itself = nullptr;
  BackgroundWorker::Options options;
  options.thread_capacity = 2;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), stripes,
      [&](CompactionContext& context) {
        if (context.stripe_id() == 0) {
          EXPECT_EQ(itself->set_max_concurrent(2), ResizeResult::resized);
          other.pass();  // opened by the other stripe's job
        } else {
          other.open();
        }
        return CompactionOutcome::done();
      },
      options);
  itself = &worker;
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

// The thread of the compaction was created later, and has a number beyond the configured one.
TEST(Resize, a_cancel_and_a_refusal_reach_threads_that_were_created_later) {
  for (const bool shuts_down : {false, true}) {
    BackgroundWorker* itself = nullptr;
    Journal<std::uint32_t> started;
    std::atomic<int> refused{0};
    std::atomic<int> stopped{0};
    BackgroundWorker::Options options;
    options.thread_capacity = 3;
    BackgroundWorker worker(
        CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), stripes,
        [&](CompactionContext& context) {
          refused += itself->wait_idle() == IdleResult::refused;
          started.add(context.stripe_id());
          stopped += context.wait_for_stop(Limit());
          return CompactionOutcome::stopped();
        },
        options);
    itself = &worker;
    ASSERT_EQ(worker.start(), StartResult::started);
    ASSERT_EQ(worker.set_max_concurrent(3), ResizeResult::resized);
    for (std::uint32_t id = 0; id < 3; ++id) {
      worker.queue_compaction(id);
    }
    started.await(3);
    if (shuts_down) {
      EXPECT_TRUE(worker.shutdown(ShutdownMode::cancel).complete);
    } else {
      for (const auto id : {2U, 1U, 0U}) {  // not the first that runs
        EXPECT_EQ(worker.cancel(id, Limit()).end, EpisodeEnd::cancelled);
      }
    }
    EXPECT_EQ(refused, 3);
    EXPECT_EQ(stopped, 3);
  }
}

// Neither waits, so the scan, the sink and stop callbacks may change both.
TEST(Resize, from_a_scan_a_sink_and_a_stop_callback) {
  BackgroundWorker* itself = nullptr;
  Gate begun;
  Gate called;
  std::atomic<int> answers{0};
  const auto resize = [&](std::uint32_t max) {
    answers += itself->set_max_concurrent(max) == ResizeResult::resized;
    itself->set_check_interval(std::chrono::hours(max));
  };
  BackgroundWorker::Options options;
  options.thread_capacity = 3;
  options.scan = [&](BackgroundWorker&) { resize(2); };
  options.log = [&](LogLevel level, std::string_view) {
    if (level == LogLevel::debug) {  // not its own lines
      resize(3);
    }
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), stripes,
      [&](CompactionContext& context) {
        const auto callback = context.on_stop([&] {
          resize(1);
          called.open();
        });
        begun.open();
        called.pass();
        return CompactionOutcome::stopped();
      },
      options);
  itself = &worker;
  ASSERT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  begun.pass();
  EXPECT_EQ(worker.cancel(0, Limit()).end, EpisodeEnd::cancelled);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(answers, 4);  // one of the scan and the callback, two of lines
}

// How many threads are created under one hold of the mutex, at the most.
struct CountedHolds : ProductionSync {
  static inline std::atomic<int> in_this_hold{0};
  static inline std::atomic<int> most{0};

  struct thread : ProductionSync::thread {
    bool start(void (*entry)(void*), void* argument) noexcept {
      most = std::max(most.load(), ++in_this_hold);
      return ProductionSync::thread::start(entry, argument);
    }
  };
  struct mutex : ProductionSync::mutex {
    void give_way() {
      in_this_hold = 0;
      ProductionSync::mutex::give_way();
    }
  };
};

TEST(Resize, creates_no_more_than_16_threads_under_one_hold_of_the_mutex) {
  using Worker = basic_background_worker<CountedHolds>;
  Worker::Options options;
  options.thread_capacity = 41;
  Worker worker(
      CompactionConfig().with_max_concurrent(1), {}, stripes,
      [](auto&) { return CompactionOutcome::done(); }, options);
  ASSERT_EQ(worker.start(), StartResult::started);
  CountedHolds::in_this_hold = 0;
  EXPECT_EQ(worker.set_max_concurrent(41), ResizeResult::resized);
  EXPECT_EQ(CountedHolds::most, 16);
  EXPECT_EQ(worker.snapshot().worker_threads, 41U);
  EXPECT_TRUE(worker.shutdown().complete);
}

// The worker closes while others are created.
struct ClosesInBetween : ProductionSync {
  static inline std::function<void()> in_between;
  struct mutex : ProductionSync::mutex {
    void give_way() {
      unlock();
      if (in_between) {
        std::exchange(in_between, {})();
      }
      lock();
    }
  };
};

TEST(Resize, that_a_shutdown_overtakes_creates_no_more) {
  using Worker = basic_background_worker<ClosesInBetween>;
  Worker::Options options;
  options.thread_capacity = 41;
  Worker worker(
      CompactionConfig().with_max_concurrent(1), {}, stripes,
      [](auto&) { return CompactionOutcome::done(); }, options);
  ASSERT_EQ(worker.start(), StartResult::started);
  std::thread closer;
  ClosesInBetween::in_between = [&] {
    closer = std::thread([&] { EXPECT_TRUE(worker.shutdown().complete); });
    while (worker.is_running()) {
      std::this_thread::yield();
    }
  };
  EXPECT_EQ(worker.set_max_concurrent(41), ResizeResult::shut_down);
  closer.join();
  EXPECT_EQ(worker.snapshot().worker_threads, 0U);
}

TEST(Resize, a_shutdown_ends_threads_that_wait_apart) {
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    Jobs jobs(4);
    jobs.start();
    jobs.request(0, 8);
    jobs.started.await(4);
    ASSERT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
    const auto running = jobs.started.events();
    jobs.go_on[running[0]].open();
    jobs.go_on[running[1]].open();
    jobs.await_parked(2);
    EXPECT_FALSE(jobs.worker->shutdown(mode, std::chrono::seconds(0)).complete);
    jobs.let_all_go();
    const auto report = jobs.worker->shutdown(mode);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.discarded.size(), mode == ShutdownMode::drain ? 0U : 4U);
    EXPECT_EQ(jobs.started.events().size(), mode == ShutdownMode::drain ? 8U : 4U);
    EXPECT_EQ(jobs.worker->snapshot().worker_threads, 0U);
  }
}

TEST(Resize, the_destructor_ends_threads_that_wait_apart) {
  Jobs jobs(2);
  jobs.start();
  jobs.request(0, 2);
  jobs.started.await(2);
  ASSERT_EQ(jobs.worker->set_max_concurrent(1), ResizeResult::resized);
  jobs.go_on[0].open();
  jobs.await_parked(1);
  jobs.let_all_go();
  jobs.worker.reset();
}

// The system gives so many threads, and no more.
struct SomeThreads : ProductionSync {
  static inline std::atomic<int> available{0};
  struct thread : ProductionSync::thread {
    bool start(void (*entry)(void*), void* argument) noexcept {
      return available.fetch_sub(1) > 0 && ProductionSync::thread::start(entry, argument);
    }
  };
};

TEST(Resize, says_if_threads_are_missing_and_creates_them_when_asked_again) {
  using Worker = basic_background_worker<SomeThreads>;
  SomeThreads::available = 2;
  std::vector<std::string> lines;
  auto options = without_back_off<Worker>();
  options.thread_capacity = 4;
  options.log = [&](LogLevel level, std::string_view text) {
    lines.push_back(std::string(to_string(level)) + ": " + std::string(text));
  };
  Worker worker(
      CompactionConfig().with_max_concurrent(1), {}, stripes,
      [](auto&) { return CompactionOutcome::done(); }, options);
  ASSERT_EQ(worker.start(), StartResult::started);
  lines.clear();
  EXPECT_EQ(worker.set_max_concurrent(4), ResizeResult::fewer_threads);
  EXPECT_EQ(worker.snapshot().worker_threads, 2U);
  EXPECT_EQ(worker.snapshot().max_concurrent, 4U);
  SomeThreads::available = 100;
  EXPECT_EQ(worker.set_max_concurrent(4), ResizeResult::resized);
  EXPECT_EQ(worker.snapshot().worker_threads, 4U);
  const std::vector<std::string> expected = {
      "warn: set_max_concurrent: 2 of 4 worker threads; the system refused one, or jobs have ended "
      "those for which there was a place"};
  EXPECT_EQ(lines, expected);
  EXPECT_EQ(worker.set_max_concurrent(3), ResizeResult::resized);
  EXPECT_EQ(lines.back(), "info: set_max_concurrent: the limit is 3 now");
}

TEST(Resize, raised_where_no_thread_can_be_created_calls_back_who_waits_apart) {
  using Worker = basic_background_worker<SomeThreads>;
  SomeThreads::available = 2;
  Journal<std::uint32_t> started;
  Gate go_on[stripes];
  Worker::Options options;
  options.thread_capacity = 4;
  Worker worker(
      CompactionConfig().with_max_concurrent(2), {}, stripes,
      [&](Worker::Context& context) {
        started.add(context.stripe_id());
        go_on[context.stripe_id()].pass();
        return CompactionOutcome::done();
      },
      options);
  ASSERT_EQ(worker.start(), StartResult::started);
  for (std::uint32_t id = 0; id < 3; ++id) {
    worker.queue_compaction(id);
  }
  started.await(2);
  ASSERT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  go_on[started.events()[0]].open();
  while (worker.snapshot().parked_threads != 1) {
    std::this_thread::yield();
  }
  EXPECT_EQ(worker.set_max_concurrent(4), ResizeResult::fewer_threads);
  started.await(3);  // beside the one that still runs
  for (auto& each : go_on) {
    each.open();
  }
}

// A job for stripe 0 ends its thread.
CompactionOutcome end_thread(CompactionContext& context) {
  if (context.stripe_id() == 0) {
    pthread_exit(nullptr);
  }
  return CompactionOutcome::done();
}

TEST(Resize, replaces_threads_that_jobs_have_ended) {
  BackgroundWorker::Options options;
  options.thread_capacity = 2;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(),
                          stripes, end_thread, options);
  ASSERT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  while (worker.is_running()) {
    std::this_thread::yield();  // its thread leaves after its compaction has ended
  }
  worker.queue_compaction(1);
  EXPECT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  EXPECT_TRUE(worker.is_running());
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  // Its place is not used again: of two there is one left.
  EXPECT_EQ(worker.set_max_concurrent(2), ResizeResult::fewer_threads);
}

TEST(Resize, a_thread_that_waits_apart_replaces_one_that_a_job_has_ended) {
  Gate go_on;
  Journal<std::uint32_t> started;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(),
                          stripes, [&](CompactionContext& context) {
                            started.add(context.stripe_id());
                            if (context.stripe_id() == 0) {
                              go_on.pass();
                              pthread_exit(nullptr);
                            }
                            return CompactionOutcome::done();
                          });
  worker.queue_compaction(0);
  ASSERT_EQ(worker.start(), StartResult::started);
  started.await(1);
  ASSERT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  worker.queue_compaction(1);  // which wakes the other thread; it is one too many
  while (worker.snapshot().parked_threads != 1) {
    std::this_thread::yield();
  }
  EXPECT_EQ(started.events().size(), 1U);
  go_on.open();
  started.await(2);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().parked_threads, 0U);
}

// A requester that the system suspends holds a sleeper: those that are up take nothing from it.
TEST(Resize, a_sleeper_whose_requester_is_late_takes_no_place) {
  using Worker = basic_background_worker<WatchedSync>;
  WatchedSync::Watch watch;
  Journal<std::uint32_t> started;
  Worker worker(CompactionConfig().with_max_concurrent(2), {}, stripes,
                [&](Worker::Context& context) {
                  started.add(context.stripe_id());
                  return CompactionOutcome::done();
                });
  ASSERT_EQ(worker.start(), StartResult::started);
  watch.sleeps.await(2);
  ASSERT_EQ(worker.set_max_concurrent(1), ResizeResult::resized);
  std::thread late([&] {
    watch.held = std::this_thread::get_id();
    worker.queue_compaction(0);
  });
  watch.holding.pass();        // it has claimed a sleeper, and not posted
  worker.queue_compaction(1);  // claims the other
  started.await(2);            // which takes both
  watch.resume.open();
  late.join();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

// A worker of which one requester is late: it has claimed a sleeper, and not woken it.
struct LateRequester {
  using Worker = basic_background_worker<WatchedSync>;

  explicit LateRequester(std::uint32_t threads)
      : worker(CompactionConfig().with_max_concurrent(threads), {}, stripes,
               [this](Worker::Context& context) {
                 started.add(context.stripe_id());
                 if (context.stripe_id() == 0) {
                   end_of_stripe_0.pass();
                 }
                 return CompactionOutcome::done();
               }) {
    EXPECT_EQ(worker.start(), StartResult::started);
    watch.sleeps.await(threads);
  }
  ~LateRequester() {
    end_of_stripe_0.open();
    watch.resume.open();
    late.join();
  }
  void request_late(std::uint32_t stripe_id) {
    late = std::thread([this, stripe_id] {
      watch.held = std::this_thread::get_id();
      worker.queue_compaction(stripe_id);
    });
    watch.holding.pass();
  }
  void await_parked(std::uint32_t threads) {
    while (worker.snapshot().parked_threads != threads) {
      std::this_thread::yield();
    }
  }

  WatchedSync::Watch watch;
  Journal<std::uint32_t> started;
  Gate end_of_stripe_0;
  Worker worker;
  std::thread late;
};

TEST(Resize, raised_while_a_requester_is_late_calls_back_who_waits_apart) {
  LateRequester scene(3);
  scene.worker.queue_compaction(0);
  scene.started.await(1);
  ASSERT_EQ(scene.worker.set_max_concurrent(1), ResizeResult::resized);
  scene.request_late(1);
  scene.worker.queue_compaction(2);  // wakes the third thread, which is one too many
  scene.await_parked(1);
  ASSERT_EQ(scene.worker.set_max_concurrent(2), ResizeResult::resized);
  scene.started.await(3);  // beside stripe 0
}

TEST(Resize, who_waits_calls_back_who_waits_apart_while_a_requester_is_late) {
  LateRequester scene(2);
  scene.worker.queue_compaction(0);
  scene.started.await(1);
  ASSERT_EQ(scene.worker.set_max_concurrent(1), ResizeResult::resized);
  scene.worker.queue_compaction(1);
  scene.await_parked(1);
  scene.end_of_stripe_0.open();
  scene.watch.sleeps.await(3);  // the thread of both stripes
  scene.request_late(2);
  EXPECT_EQ(scene.worker.wait_idle(2).result, IdleResult::idle);
}

}  // namespace
}  // namespace kstone::test
