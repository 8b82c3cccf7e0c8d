// Control (contract section 5): start, shutdown in its three modes, refusals, the destructor.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "held.h"
#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using std::chrono::nanoseconds;

TEST(Start, twice_is_said_and_harmless) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.start(), StartResult::already_running);
  EXPECT_EQ(worker.snapshot().worker_threads, 4U);
}

TEST(Start, serves_what_was_queued_before) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            return CompactionOutcome::done();
                          });
  worker.queue_compaction(2);
  EXPECT_EQ(worker.start(), StartResult::started);
  compacted.await(1);
}

// A policy whose first threads can be created and whose later ones cannot.
struct FewThreads : ProductionSync {
  static inline std::atomic<int> available{0};
  struct thread : ProductionSync::thread {
    bool start(void (*entry)(void*), void* argument) noexcept {
      return available.fetch_sub(1) > 0 && ProductionSync::thread::start(entry, argument);
    }
  };
};

using FewThreadsWorker = basic_background_worker<FewThreads>;

TEST(Start, with_fewer_threads_than_configured_runs_and_says_so) {
  FewThreads::available = 2;
  std::string warning;
  auto options = without_back_off<FewThreadsWorker>();
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warn) {
      warning = text;
    }
  };
  std::atomic<int> runs{0};
  FewThreadsWorker worker(
      CompactionConfig().with_max_concurrent(4), {}, 8,
      [&](auto&) {
        ++runs;
        return CompactionOutcome::done();
      },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(warning, "started with 2 of 4 worker threads for 8 stripes");
  for (std::uint32_t id = 0; id < 8; ++id) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(runs, 8);
  EXPECT_EQ(worker.snapshot().worker_threads, 2U);
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(Start, without_any_thread_is_an_error_and_may_be_tried_again) {
  FewThreads::available = 0;
  std::vector<std::string> errors;
  FewThreadsWorker::Options options;
  options.scan = [](FewThreadsWorker&) {};
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::error) {
      errors.emplace_back(text);
    }
  };
  FewThreadsWorker worker(
      CompactionConfig(), {}, 8, [](auto&) { return CompactionOutcome::done(); }, options);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::no_threads);
  EXPECT_FALSE(worker.is_running());
  EXPECT_EQ(worker.queue_size(), 1U);
  EXPECT_EQ(errors, std::vector<std::string>{"start: failed, no thread could be created"});
  FewThreads::available = 100;
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(Start, with_threads_for_jobs_but_none_for_the_scan_runs_and_says_so) {
  FewThreads::available = 1;
  std::vector<std::string> lines;
  auto options = without_back_off<FewThreadsWorker>();
  options.scan = [](FewThreadsWorker&) {};
  options.log = [&](LogLevel level, std::string_view text) {
    if (level != LogLevel::debug) {
      lines.push_back(std::string(to_string(level)) + ": " + std::string(text));
    }
  };
  FewThreadsWorker worker(
      CompactionConfig().with_max_concurrent(1), {}, 8,
      [](auto&) { return CompactionOutcome::done(); }, options);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(
      lines,
      (std::vector<std::string>{
          "info: started with 1 of 1 worker threads for 8 stripes",
          "error: start: no thread could be created for the periodic scan; it will not run"}));
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  // Nor does a later call say so again: it tried nothing.
  lines.clear();
  EXPECT_EQ(worker.start(), StartResult::already_running);
  EXPECT_EQ(lines, std::vector<std::string>{"warn: start: the worker runs already"});
}

TEST(Shutdown, drain_runs_every_accepted_stripe_once_more) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  held.worker.queue_compaction(1);
  held.worker.queue_compaction(2);
  EXPECT_EQ(held.worker.queue_compaction(0), Submission::rerun_pending);
  const auto under_way = held.worker.shutdown(ShutdownMode::drain, nanoseconds(0));
  EXPECT_FALSE(under_way.complete);
  EXPECT_EQ(ids(under_way.still_running), std::vector<std::uint32_t>{0});
  EXPECT_EQ(ids(under_way.waiting), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(held.worker.queue_compaction(3), Submission::rejected_shutting_down);
  held.end.open();
  const auto report = held.worker.shutdown(ShutdownMode::drain);
  EXPECT_TRUE(report.complete);
  EXPECT_TRUE(report.discarded.empty());
  EXPECT_TRUE(report.unfinished.empty());
  EXPECT_TRUE(report.waiting.empty());
  EXPECT_TRUE(report.still_running.empty());
  EXPECT_EQ(held.started.events(), (std::vector<std::uint32_t>{0, 1, 2, 0}));
  EXPECT_EQ(held.worker.snapshot().episodes_done, 4U);
}

TEST(Shutdown, finish_running_discards_what_waits_and_pending_reruns) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  held.worker.queue_compaction(2);
  held.worker.queue_compaction(1);
  held.worker.queue_compaction(0);
  held.worker.shutdown(ShutdownMode::finish_running, nanoseconds(0));
  held.end.open();
  const auto report = held.worker.shutdown();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.discarded), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(held.started.events(), std::vector<std::uint32_t>{0});
  const auto snapshot = held.worker.snapshot();
  EXPECT_EQ(snapshot.episodes_done, 1U);
  EXPECT_EQ(snapshot.episodes_discarded, 3U);
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(Shutdown, cancel_asks_running_jobs_to_stop) {
  Held held(2);
  held.obey_stop = true;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(4);
  held.worker.queue_compaction(5);
  held.started.await(2);
  held.worker.queue_compaction(6);
  const auto report = held.worker.shutdown(ShutdownMode::cancel);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.mode, ShutdownMode::cancel);
  EXPECT_EQ(ids(report.discarded), std::vector<std::uint32_t>{6});
  EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{4, 5}));
  EXPECT_EQ(held.worker.snapshot().episodes_cancelled, 2U);
}

TEST(Shutdown, a_later_call_may_strengthen_the_mode_and_not_weaken_it) {
  Held held;
  held.obey_stop = true;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  held.worker.queue_compaction(1);
  EXPECT_TRUE(held.worker.shutdown(ShutdownMode::drain, nanoseconds(0)).discarded.empty());
  EXPECT_EQ(ids(held.worker.shutdown(ShutdownMode::finish_running, nanoseconds(0)).discarded),
            std::vector<std::uint32_t>{1});
  EXPECT_EQ(held.worker.shutdown(ShutdownMode::drain, nanoseconds(0)).mode,
            ShutdownMode::finish_running);
  const auto report = held.worker.shutdown(ShutdownMode::cancel);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.discarded), std::vector<std::uint32_t>{1});
  EXPECT_EQ(ids(report.unfinished), std::vector<std::uint32_t>{0});
}

TEST(Shutdown, with_a_mode_out_of_range_is_refused_and_nothing_happens) {
  Held held;
  held.obey_stop = true;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  for (const int mode : {3, 77, 255}) {
    const auto refused = held.worker.shutdown(static_cast<ShutdownMode>(mode), nanoseconds(0));
    EXPECT_TRUE(refused.refused);
    EXPECT_FALSE(refused.complete);
  }
  EXPECT_TRUE(held.worker.is_running());
  EXPECT_EQ(held.worker.queue_compaction(1), Submission::queued);
  const auto report = held.worker.shutdown(ShutdownMode::cancel);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.mode, ShutdownMode::cancel);
  EXPECT_EQ(ids(report.unfinished), std::vector<std::uint32_t>{0});
}

TEST(Shutdown, lists_what_drained_jobs_left_undone) {
  Held held;
  held.outcomes = {CompactionOutcome::more_work(), CompactionOutcome::retry("full"),
                   CompactionOutcome::failed("bad"), CompactionOutcome::done()};
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  for (std::uint32_t id = 1; id < 4; ++id) {
    held.worker.queue_compaction(id);
  }
  held.worker.shutdown(ShutdownMode::drain, nanoseconds(0));
  held.end.open();
  const auto report = held.worker.shutdown(ShutdownMode::drain);
  EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_TRUE(report.discarded.empty());
  EXPECT_EQ(report.first_error, "full");
  EXPECT_EQ(broken_law(held.worker.snapshot()), "");
}

TEST(Shutdown, again_gives_the_same_report) {
  Held held;
  held.worker.queue_compaction(3);
  // Never started: nobody could run it.
  const auto first = held.worker.shutdown(ShutdownMode::drain);
  EXPECT_TRUE(first.complete);
  EXPECT_EQ(ids(first.discarded), std::vector<std::uint32_t>{3});
  const auto again = held.worker.shutdown(ShutdownMode::drain);
  EXPECT_TRUE(again.complete);
  EXPECT_EQ(again.discarded, first.discarded);
  EXPECT_EQ(again.duration, first.duration);
}

TEST(Shutdown, a_rerun_that_is_done_makes_good_what_failed_before_it) {
  Journal<int> runs;
  Gate started;
  Gate end;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
                          [&](CompactionContext&) {
                            runs.add(0);
                            started.open();
                            end.pass();
                            return runs.events().size() == 1 ? CompactionOutcome::failed("first")
                                                             : CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  started.pass();
  worker.queue_compaction(0);
  worker.shutdown(ShutdownMode::drain, nanoseconds(0));
  end.open();
  const auto report = worker.shutdown(ShutdownMode::drain);
  EXPECT_EQ(runs.events().size(), 2U);
  EXPECT_TRUE(report.unfinished.empty());
  EXPECT_EQ(report.first_error, "first");
}

TEST(Shutdown, from_many_threads_at_once_gives_all_the_same_report) {
  Held held(2);
  held.end.open();
  EXPECT_EQ(held.worker.start(), StartResult::started);
  for (std::uint32_t id = 0; id < 8; ++id) {
    held.worker.queue_compaction(id);
  }
  std::vector<ShutdownReport> reports(4);
  std::vector<std::thread> threads;
  for (auto& report : reports) {
    threads.emplace_back([&] { report = held.worker.shutdown(); });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& report : reports) {
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.discarded, reports[0].discarded);
    EXPECT_EQ(report.duration, reports[0].duration);
  }
}

TEST(Shutdown, a_job_that_does_not_end_is_reported_at_the_limit) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(5);
  held.started.await(1);
  const auto report = held.worker.shutdown(ShutdownMode::cancel, std::chrono::milliseconds(1));
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(ids(report.still_running), std::vector<std::uint32_t>{5});
  EXPECT_FALSE(held.worker.is_running());
  held.end.open();
}

TEST(Shutdown, racing_requests_are_served_or_reported_and_never_both) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<std::uint64_t> ran{0};
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 64,
                            [&](CompactionContext& context) {
                              ran.fetch_or(std::uint64_t{1} << context.stripe_id());
                              return CompactionOutcome::done();
                            });
    EXPECT_EQ(worker.start(), StartResult::started);
    std::uint64_t queued = 0;
    std::thread requester([&] {
      for (std::uint32_t id = 0; id < 64; ++id) {
        const auto answer = worker.queue_compaction(id);  // each stripe once
        EXPECT_TRUE(answer == Submission::queued || answer == Submission::rejected_shutting_down);
        queued |= answer == Submission::queued ? std::uint64_t{1} << id : 0;
      }
    });
    const auto report =
        worker.shutdown(round % 2 == 0 ? ShutdownMode::drain : ShutdownMode::finish_running);
    requester.join();
    std::uint64_t discarded = 0;
    for (const auto id : ids(report.discarded)) {
      discarded |= std::uint64_t{1} << id;
    }
    EXPECT_EQ(ran & discarded, 0U);
    EXPECT_EQ(ran | discarded, queued);
    EXPECT_EQ(broken_law(worker.snapshot()), "");
    EXPECT_EQ(worker.snapshot().requests(), 64U);
  }
}

TEST(Refusal, waits_from_inside_a_job_are_refused) {
  BackgroundWorker* self = nullptr;
  IdleResult idle = IdleResult::idle;
  ShutdownReport report;
  StartResult start = StartResult::started;
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 1, [&](CompactionContext&) {
    idle = self->wait_idle();
    report = self->shutdown();
    start = self->start();
    return CompactionOutcome::done();
  });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(idle, IdleResult::refused);
  EXPECT_TRUE(report.refused);
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(start, StartResult::already_running);
  EXPECT_TRUE(worker.is_running());
}

// An object of the engine that lives as long as the worker's thread, and calls back when that ends.
struct CallsAtThreadEnd {
  std::function<void()> call;
  ~CallsAtThreadEnd() {
    if (call) {
      call();
    }
  }
};

TEST(Refusal, waits_from_destructors_of_a_worker_thread_are_refused) {
  std::atomic<int> refused{0};
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
      [&](CompactionContext&) {
        thread_local CallsAtThreadEnd at_end;
        at_end.call = [&] {
          refused += self->shutdown().refused && self->wait_idle() == IdleResult::refused ? 1 : 0;
        };
        return CompactionOutcome::done();
      });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(refused, 1);
}

TEST(Cancellation, of_a_thread_in_wait_idle_waits_for_its_end) {
  Held held;
  EXPECT_EQ(held.worker.start(), StartResult::started);
  held.worker.queue_compaction(0);
  held.started.await(1);
  std::atomic<bool> returned{false};
  std::thread waiter([&] {
    EXPECT_EQ(held.worker.wait_idle(), IdleResult::idle);
    returned = true;
  });
  while (held.worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  pthread_cancel(waiter.native_handle());
  held.end.open();
  waiter.join();
  EXPECT_TRUE(returned);
  EXPECT_EQ(held.worker.snapshot().waiting_callers, 0U);
}

// Both are set to what is not the default, and told as they were.
std::pair<int, int> allow_cancellation() {
  std::pair<int, int> before;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before.first);
  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before.second);
  return before;
}

TEST(Cancellation, that_a_job_or_sink_allows_is_off_again_after_it) {
  Journal<std::pair<int, int>> found;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view) {
    if (level == LogLevel::debug) {
      found.add(allow_cancellation());
    }
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 2,
      [&](CompactionContext& context) {
        found.add(allow_cancellation());
        if (context.stripe_id() == 0) {
          throw std::runtime_error("also if it throws");
        }
        return CompactionOutcome::done();
      },
      options);
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(found.events(), (std::vector<std::pair<int, int>>(
                                5, std::pair(PTHREAD_CANCEL_DISABLE, PTHREAD_CANCEL_DEFERRED))));
}

TEST(Cancellation, of_a_caller_whose_sink_can_be_cancelled_waits_for_its_end) {
  std::atomic<bool> returned{false};
  BackgroundWorker::Options options;
  options.log = [](LogLevel, std::string_view) { pthread_testcancel(); };
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 1, do_nothing, options);
  std::thread caller([&] {
    pthread_cancel(pthread_self());
    EXPECT_EQ(worker.start(), StartResult::started);
    returned = true;
    pthread_testcancel();
    ADD_FAILURE() << "the caller's own state is as before";
  });
  caller.join();
  EXPECT_TRUE(returned);
}

TEST(Jobs, an_exception_without_a_text_is_contained) {
  struct Silent : std::exception {
    const char* what() const noexcept override { return nullptr; }
  };
  BackgroundWorker worker(
      CompactionConfig(), CompactionStatsAtomic(), 1,
      [](CompactionContext&) -> CompactionOutcome { throw Silent(); }, without_back_off());
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().first_error, "no text");
}

// Systems give the identity of a thread that has ended to a new one.
TEST(Refusal, a_later_thread_is_not_taken_for_a_worker_thread) {
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(4), CompactionStatsAtomic(), 1,
                          do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_TRUE(worker.shutdown().complete);
  for (int i = 0; i < 8; ++i) {
    std::thread([&] {
      EXPECT_FALSE(worker.shutdown().refused);
      EXPECT_EQ(worker.wait_idle(), IdleResult::shut_down);
    }).join();
  }
}

TEST(Refusal, a_job_of_another_worker_may_wait) {
  BackgroundWorker inner(CompactionConfig(), CompactionStatsAtomic(), 1, do_nothing);
  EXPECT_EQ(inner.start(), StartResult::started);
  IdleResult idle = IdleResult::refused;
  bool complete = false;
  BackgroundWorker outer(CompactionConfig(), CompactionStatsAtomic(), 1, [&](CompactionContext&) {
    inner.queue_compaction(0);
    idle = inner.wait_idle();
    complete = inner.shutdown().complete;
    return CompactionOutcome::done();
  });
  EXPECT_EQ(outer.start(), StartResult::started);
  outer.queue_compaction(0);
  EXPECT_EQ(outer.wait_idle(), IdleResult::idle);
  EXPECT_EQ(idle, IdleResult::idle);
  EXPECT_TRUE(complete);
}

TEST(RefusalDeathTest, destruction_from_inside_a_job_aborts_with_a_sentence) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        // Of no owner, who would forget it while the main thread uses it.
        BackgroundWorker* worker = nullptr;
        worker = new BackgroundWorker(CompactionConfig(), CompactionStatsAtomic(), 1,
                                      [&](CompactionContext&) {
                                        delete worker;
                                        return CompactionOutcome::done();
                                      });
        EXPECT_EQ(worker->start(), StartResult::started);
        worker->queue_compaction(0);
        static_cast<void>(worker->wait_idle());
      },
      "kstone: ~BackgroundWorker: called from a job");
}

TEST(Destructor, discards_what_waits_and_ends_what_runs) {
  Journal<std::uint32_t> compacted;
  Gate end;
  std::thread opener;
  {
    Gate started;
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                            [&](CompactionContext& context) {
                              started.open();
                              end.pass();
                              compacted.add(context.stripe_id());
                              return CompactionOutcome::done();
                            });
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.queue_compaction(0);
    worker.queue_compaction(1);
    started.pass();
    // Opened once the destructor, or just before it, has closed the worker.
    opener = std::thread([&worker, &end] {
      (void)worker.shutdown(ShutdownMode::finish_running, nanoseconds(0));
      end.open();
    });
    opener.join();
  }
  EXPECT_EQ(compacted.events(), std::vector<std::uint32_t>{0});
}

TEST(Destructor, waits_for_waits_that_were_entered_before) {
  for (int round = 0; round < 100; ++round) {
    auto worker = std::make_unique<BackgroundWorker>(CompactionConfig(), CompactionStatsAtomic(), 1,
                                                     do_nothing);
    worker->queue_compaction(0);  // never started
    std::thread waiter(
        [&, raw = worker.get()] { EXPECT_EQ(raw->wait_idle(), IdleResult::shut_down); });
    // The waiter has entered once a request of the queue is the only thing it can wait for: ask the
    // worker itself.
    while (worker->snapshot().waiting_callers == 0) {
      std::this_thread::yield();
    }
    worker.reset();
    waiter.join();
  }
}

}  // namespace
}  // namespace kstone::test

template class kstone::basic_background_worker<kstone::test::FewThreads>;
