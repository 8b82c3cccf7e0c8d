// Faults around the worker: memory, threads and clocks that fail it, signals, fork. docs/faults.md
// lists all, with where each is tried. This program replaces operator new, to say which allocation
// fails.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../manual_clock_sync.h"
#include "../test_support.h"
#include "kstone/background_worker_impl.h"

namespace {

// Allocations of this thread until one fails; negative: none does.
thread_local long until_failure = -1;
std::atomic<bool> out_of_memory{false};  // every allocation of every thread fails
std::atomic<long> living{0};

void* allocate(std::size_t size) {
  const bool fails = until_failure >= 0 && until_failure-- == 0;
  void* memory =
      fails || out_of_memory.load(std::memory_order_relaxed) ? nullptr : std::malloc(size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  living.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void release(void* memory) noexcept {
  if (memory != nullptr) {
    living.fetch_sub(1, std::memory_order_relaxed);
    std::free(memory);
  }
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace kstone::test {
namespace {

// -- Memory ---------------------------------------------------------------------------------------

// The n-th allocation of this thread fails, counted from 0, once.
class FailingAllocation {
 public:
  explicit FailingAllocation(long n) { until_failure = n; }
  ~FailingAllocation() { until_failure = -1; }
  bool happened() const { return until_failure < 0; }
};

class OutOfMemory {
 public:
  OutOfMemory() { out_of_memory = true; }
  ~OutOfMemory() { out_of_memory = false; }
};

void await(const std::atomic<int>& count, int least) {
  while (count.load() < least) {
    std::this_thread::yield();
  }
}

TEST(Memory, that_fails_at_construction_is_thrown_and_nothing_is_left) {
  BackgroundWorker::Options options;
  options.scan = [padding = std::string(100, 's')](BackgroundWorker&) {};
  options.log = [padding = std::string(100, 'l')](LogLevel, std::string_view) {};
  const BackgroundWorker::Job job = [padding = std::string(100, 'j')](CompactionContext&) {
    return CompactionOutcome::done();
  };
  const auto config = CompactionConfig().with_max_concurrent(3);
  long failures = 0;
  for (bool constructed = false; !constructed; ++failures) {
    const auto before = living.load();
    try {
      const FailingAllocation failing(failures);
      BackgroundWorker worker(config, CompactionStatsAtomic(), 100, job, options);
      constructed = !failing.happened();
    } catch (const std::bad_alloc&) {
    }
    ASSERT_EQ(living.load(), before) << "allocation " << failures;
  }
  EXPECT_GE(failures, 8);
}

TEST(Memory, that_fails_at_start_costs_threads_and_is_no_reason_to_fail) {
  bool all = false;
  for (long failure = 0; !all; ++failure) {
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(3), CompactionStatsAtomic(), 4,
                            do_nothing, without_back_off());
    worker.queue_compaction(1);
    auto result = StartResult::started;
    {
      const FailingAllocation failing(failure);
      result = worker.start();
      all = !failing.happened();
    }
    EXPECT_EQ(result, failure == 0 ? StartResult::no_threads : StartResult::started)
        << "allocation " << failure;
    if (result == StartResult::no_threads) {
      EXPECT_EQ(worker.start(), StartResult::started);
    } else if (!all) {
      EXPECT_LT(worker.snapshot().worker_threads, 3U);
    }
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  }
}

TEST(Memory, that_fails_in_a_wait_or_a_report_is_thrown_and_the_worker_goes_on) {
  Gate end;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                          [&](CompactionContext&) {
                            end.pass();
                            return CompactionOutcome::done();
                          });
  for (std::uint32_t id = 0; id < 4; ++id) {
    worker.queue_compaction(id);
  }
  {
    const FailingAllocation failing(0);
    EXPECT_THROW(static_cast<void>(worker.wait_idle()), std::bad_alloc);
  }
  EXPECT_EQ(worker.snapshot().waiting_callers, 0U);
  EXPECT_EQ(worker.start(), StartResult::started);
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);

  BackgroundWorker stopped(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  stopped.queue_compaction(2);
  {
    const FailingAllocation failing(0);
    EXPECT_THROW(stopped.shutdown(), std::bad_alloc);
  }
  const auto report = stopped.shutdown();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.discarded), std::vector<std::uint32_t>{2});
}

TEST(Memory, that_fails_in_a_snapshot_is_thrown_and_the_worker_goes_on) {
  BackgroundWorker worker(
      CompactionConfig(), CompactionStatsAtomic(), 1,
      [](CompactionContext&) { return CompactionOutcome::failed(std::string(100, 'e')); },
      without_back_off());
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  {
    const FailingAllocation failing(0);
    EXPECT_THROW(worker.snapshot(), std::bad_alloc);
  }
  EXPECT_EQ(worker.snapshot().first_error, std::string(100, 'e'));
}

// Contract section 6: no allocation after construction on any path of requests and dispatch; nor at
// the end.
TEST(Memory, is_not_needed_for_requests_dispatch_failures_and_the_end) {
  struct LongText : std::exception {
    const char* what() const noexcept override {
      return "a text that is too long to be copied without any memory at all";
    }
  };
  std::atomic<int> lines{0};
  std::atomic<int> runs{0};
  BackgroundWorker* self = nullptr;
  BackgroundWorker::Options options;
  options.log = [&](LogLevel, std::string_view) { ++lines; };
  options.back_off.initial = std::chrono::microseconds(1);
  options.back_off.cap = std::chrono::microseconds(10);
  options.back_off.probe_interval = std::chrono::microseconds(10);
  std::optional<BackgroundWorker> worker(
      std::in_place, CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 8,
      [&](CompactionContext& context) {
        const int run = ++runs;
        if (run % 4 == 0) {
          throw LongText();
        }
        if (run % 4 == 1) {
          self->queue_compaction((context.stripe_id() + 1) % 8);
        }
        return run % 4 == 2 ? CompactionOutcome::more_work() : CompactionOutcome::retry("later");
      },
      options);
  self = &*worker;
  ASSERT_EQ(worker->start(), StartResult::started);
  {
    const OutOfMemory now;
    for (int i = 0; runs < 1000; ++i) {
      worker->queue_compaction(static_cast<std::uint32_t>(i % 8));
      worker->queue_size();
    }
  }
  const auto snapshot = worker->snapshot();
  EXPECT_EQ(broken_law(snapshot), "");
  EXPECT_TRUE(snapshot.first_error == "out of memory" || snapshot.first_error == "later")
      << snapshot.first_error;
  worker->queue_compaction(3);
  {
    const OutOfMemory now;
    worker.reset();
  }
  EXPECT_GE(lines, 1001);
}

// -- Threads --------------------------------------------------------------------------------------

std::size_t address_space() {
  std::size_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    pages = std::fscanf(file, "%zu", &pages) == 1 ? pages : 0;
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// In a process of its own, with room for a few stacks only.
TEST(Threads, refused_by_the_system_are_fewer_threads) {
  const auto with_little_room = [] {
    const rlim_t room = address_space() + (100U << 20);
    const rlimit limit{room, room};
    setrlimit(RLIMIT_AS, &limit);
    std::atomic<int> runs{0};
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(64), CompactionStatsAtomic(),
                            100, [&](CompactionContext&) {
                              ++runs;
                              return CompactionOutcome::done();
                            });
    for (std::uint32_t id = 0; id < 100; ++id) {
      worker.queue_compaction(id);
    }
    const bool started = worker.start() == StartResult::started;
    const auto threads = worker.snapshot().worker_threads;
    await(runs, 100);
    std::_Exit(started && threads >= 1 && threads < 64 ? 0 : 1);
  };
  EXPECT_EXIT(with_little_room(), testing::ExitedWithCode(0), "");
}

// -- Clock ----------------------------------------------------------------------------------------

using Clock = ManualClockSync::clock;
using ClockWorker = basic_background_worker<ManualClockSync>;
using std::chrono::seconds;

TEST(Clock, that_jumps_makes_limits_early_or_late_and_loses_nothing) {
  Gate end;
  Journal<std::uint32_t> started;
  ClockWorker worker(CompactionConfig().with_max_concurrent(1), {}, 4, [&](auto& context) {
    started.add(context.stripe_id());
    end.pass();
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  started.await(1);

  auto result = IdleResult::refused;
  std::thread waiter([&] { result = worker.wait_idle(seconds(10)); });
  Clock::await_sleepers(1);
  Clock::advance(-seconds(1000));
  Clock::await_sleepers(1);
  Clock::advance(seconds(1005));  // half its time
  Clock::await_sleepers(1);
  Clock::advance(seconds(100'000));
  waiter.join();
  EXPECT_EQ(result, IdleResult::timed_out);

  std::optional<ShutdownReport> report;
  std::thread caller([&] { report = worker.shutdown(ShutdownMode::drain, seconds(10)); });
  Clock::await_sleepers(1);
  Clock::advance(-seconds(5));
  Clock::await_sleepers(1);
  Clock::advance(seconds(100'000));
  caller.join();
  EXPECT_FALSE(report->complete);
  EXPECT_EQ(ids(report->still_running), std::vector<std::uint32_t>{0});

  Clock::advance(-seconds(50'000));
  end.open();
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.episodes_done, 2U);
  EXPECT_EQ(broken_law(snapshot), "");
}

// -- Signals --------------------------------------------------------------------------------------

std::atomic<int> signals_seen{0};
void note_signal(int) { signals_seen.fetch_add(1, std::memory_order_relaxed); }

std::vector<pid_t> threads_of_this_process() {
  std::vector<pid_t> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    threads.push_back(std::stoi(entry.path().filename().string()));
  }
  return threads;
}

sigset_t mask_of_this_thread() {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return mask;
}

// The numbers of the signals in it; SIGKILL, SIGSTOP and those of the C library never are.
std::vector<int> numbers(const sigset_t& mask) {
  std::vector<int> result;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    if (sigismember(&mask, signal) == 1) {
      result.push_back(signal);
    }
  }
  return result;
}

TEST(Signals, are_blocked_in_the_workers_threads_but_those_of_faults_and_profilers) {
  std::vector<int> expected;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    const auto taken = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,  SIGFPE,
                        SIGILL,  SIGTRAP, SIGSYS,  SIGABRT, SIGPROF};
    const bool of_the_library = signal >= 32 && signal < SIGRTMIN;
    if (!of_the_library && std::find(taken.begin(), taken.end(), signal) == taken.end()) {
      expected.push_back(signal);
    }
  }
  Journal<std::vector<int>> of_scan;
  Journal<std::vector<int>> of_job;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker&) { of_scan.add(numbers(mask_of_this_thread())); };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
      [&](CompactionContext&) {
        of_job.add(numbers(mask_of_this_thread()));
        return CompactionOutcome::done();
      },
      options);
  const auto before = numbers(mask_of_this_thread());
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(numbers(mask_of_this_thread()), before) << "the caller's own";
  worker.queue_compaction(0);
  of_scan.await(1);
  of_job.await(1);
  EXPECT_EQ(of_scan.events()[0], expected);
  EXPECT_EQ(of_job.events()[0], expected);
}

// The jobs of two stripes meet, on the thread that `start` created and one that was created later.
struct Meeting {
  Journal<std::vector<int>> masks;
  BackgroundWorker worker;

  explicit Meeting(bool keep_signal_mask)
      : worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 2,
               [this](CompactionContext&) {
                 masks.add(numbers(mask_of_this_thread()));
                 masks.await(2);
                 return CompactionOutcome::done();
               },
               {.keep_signal_mask = keep_signal_mask, .thread_capacity = 2}) {
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.queue_compaction(0);
    worker.queue_compaction(1);
  }
};

TEST(Signals, are_blocked_in_threads_that_are_created_later_too) {
  Meeting meeting(false);
  const auto before = numbers(mask_of_this_thread());
  EXPECT_EQ(meeting.worker.set_max_concurrent(2), ResizeResult::resized);
  EXPECT_EQ(numbers(mask_of_this_thread()), before) << "the caller's own";
  EXPECT_EQ(meeting.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(meeting.masks.events()[0], meeting.masks.events()[1]);
  EXPECT_NE(meeting.masks.events()[0], before);
}

TEST(Signals, are_those_of_the_caller_that_creates_a_thread_if_the_engine_wants_it) {
  Meeting meeting(true);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &mask, &before);
  EXPECT_EQ(meeting.worker.set_max_concurrent(2), ResizeResult::resized);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(meeting.worker.wait_idle(), IdleResult::idle);
  auto masks = meeting.masks.events();
  std::sort(masks.begin(), masks.end());
  std::vector<std::vector<int>> expected = {numbers(before), {SIGUSR2}};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(masks, expected);
}

TEST(Signals, are_those_of_the_caller_of_start_if_the_engine_wants_it) {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &mask, &before);
  Journal<std::vector<int>> of_job;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
                          [&](CompactionContext&) {
                            of_job.add(numbers(mask_of_this_thread()));
                            return CompactionOutcome::done();
                          },
                          {.keep_signal_mask = true});
  EXPECT_EQ(worker.start(), StartResult::started);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  worker.queue_compaction(0);
  of_job.await(1);
  EXPECT_EQ(of_job.events()[0], std::vector<int>{SIGUSR2});
}

// The handler has no SA_RESTART: futex, condition variable and join are all interrupted.
TEST(Signals, to_every_thread_wake_nobody_wrongly_and_lose_nothing) {
  struct sigaction action{};
  action.sa_handler = note_signal;
  sigaction(SIGUSR1, &action, nullptr);
  std::atomic<int> runs{0};
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(3), CompactionStatsAtomic(), 4,
                          [&](CompactionContext&) {
                            ++runs;
                            return CompactionOutcome::done();
                          },
                          {.keep_signal_mask = true});
  EXPECT_EQ(worker.start(), StartResult::started);
  std::atomic<bool> ended{false};
  std::thread waiter([&] {
    for (int i = 0; i < 300; ++i) {
      worker.queue_compaction(static_cast<std::uint32_t>(i % 4));
      EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    }
    EXPECT_TRUE(worker.shutdown().complete);
    ended = true;
  });
  const auto self = gettid();
  while (!ended) {
    for (const auto thread : threads_of_this_process()) {
      if (thread != self) {
        syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
      }
    }
  }
  waiter.join();
  signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(runs, 300);
  EXPECT_GT(signals_seen, 0);
  EXPECT_EQ(worker.snapshot().episodes_done, 300U);
}

}  // namespace
}  // namespace kstone::test
