// Memory that runs out: nothing leaves a destructor, and no call that needs none asks for any.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace {

thread_local bool allocations_fail = false;
thread_local int still_succeed = 0;  // so many before they do

}  // namespace

// Those with an alignment are the library's own, and stay.
void* operator new(std::size_t size) {
  if (!allocations_fail || still_succeed-- > 0) {
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) {
      return memory;
    }
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace kstone::test {
namespace {

struct FailingAllocations {
  explicit FailingAllocations(int after = 0) {
    allocations_fail = true;
    still_succeed = after;
  }
  ~FailingAllocations() { allocations_fail = false; }
};

TEST(FailingAllocations, do_fail) {
  bool thrown = false;
  {
    const FailingAllocations none;
    try {
      delete new std::string(100, 'x');
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  EXPECT_TRUE(thrown);
}

TEST(FailingAllocations, let_stripes_wait_together_for_the_time_of_the_first) {
  BackOff back_off;
  back_off.jitter = 0;
  detail::SchedulingCore core(8, back_off);
  const auto fail = [&](std::uint32_t id, std::chrono::milliseconds now) {
    core.set_time(now);
    core.enqueue(id);
    core.take();
    core.finish(id, CompactionOutcome::Kind::retry, {}, {.retries = detail::Retries::all});
  };
  fail(0, std::chrono::milliseconds(500));
  {
    const FailingAllocations none;
    for (std::uint32_t id = 1; id < 6; ++id) {
      fail(id, std::chrono::milliseconds(100 * id));
    }
  }
  EXPECT_EQ(core.delayed(), 6U);
  EXPECT_TRUE(core.cancel(2, 1).waited);  // out of the middle
  EXPECT_EQ(core.next_due(), std::chrono::milliseconds(200));
  core.set_time(std::chrono::milliseconds(199));
  core.expire(100);
  EXPECT_EQ(core.delayed(), 5U);
  core.set_time(std::chrono::milliseconds(200));
  core.expire(100);
  EXPECT_EQ(core.delayed(), 1U);
  for (const std::uint32_t id : {1U, 3U, 4U, 5U}) {
    EXPECT_EQ(core.take().stripe_id, id);
  }
  EXPECT_EQ(core.next_due(), std::chrono::milliseconds(600));
}

TEST(FailingAllocations, do_not_reach_requests_and_the_destructor) {
  int lines = 0;
  BackgroundWorker::Options options;
  options.log = [&](LogLevel level, std::string_view) { lines += level == LogLevel::info ? 1 : 0; };
  auto worker = std::make_unique<BackgroundWorker>(CompactionConfig(), CompactionStatsAtomic(), 4,
                                                   do_nothing, options);
  {
    const FailingAllocations none;
    EXPECT_EQ(worker->queue_compaction(1), Submission::queued);
    worker.reset();
  }
  EXPECT_EQ(lines, 1) << "of the end";
}

// Calls something, once, when a thread has given up the mutex.
struct CallsWhenUnlocked : ProductionSync {
  class KSTONE_CAPABILITY("mutex") mutex : public ProductionSync::mutex {
   public:
    void unlock() KSTONE_RELEASE() {
      ProductionSync::mutex::unlock();
      if (const auto call = std::exchange(when_unlocked, nullptr)) {
        call();
      }
    }
  };
  static inline std::function<void()> when_unlocked;
};

// A pause that fails has held nothing, and ends nothing of what another has begun meanwhile.
TEST(FailingAllocations, of_a_pause_leave_those_of_others_alone) {
  using Worker = basic_background_worker<CallsWhenUnlocked>;
  Worker worker(CompactionConfig(), {}, 4,
                [](Worker::Context&) { return CompactionOutcome::done(); });
  basic_pause_guard<CallsWhenUnlocked> other;
  CallsWhenUnlocked::when_unlocked = [&] {
    allocations_fail = false;
    other = worker.pause(1);
  };
  bool thrown = false;
  {
    const FailingAllocations all_but_one(1);
    try {
      static_cast<void>(worker.pause(1));
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  EXPECT_TRUE(thrown);
  EXPECT_TRUE(other.holds());
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
}

TEST(FailingAllocations, leave_another_text_of_an_error_that_is_cut) {
  std::string text(max_error_size + 1, 'x');
  const FailingAllocations none;
  EXPECT_EQ(CompactionOutcome::failed(std::move(text)).error(), "out of memory");
}

TEST(FailingAllocations, do_not_reach_the_end_however_many_callers_are_in_a_sink) {
  constexpr std::size_t callers = 64;  // a vector that doubles is full then
  Journal<int> in_sink;
  Gate sink_may_return;
  BackgroundWorker::Options options;
  options.log = [&](LogLevel, std::string_view text) {
    if (text == "start: the worker runs already") {
      in_sink.add(0);
      sink_may_return.pass();
    }
  };
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                          do_nothing, options);
  EXPECT_EQ(worker.start(), StartResult::started);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < callers; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(worker.start(), StartResult::already_running); });
  }
  in_sink.await(callers);
  {
    const FailingAllocations none;
    EXPECT_TRUE(worker.shutdown().complete);
  }
  EXPECT_EQ(worker.snapshot().waiting_callers, 0U);
  sink_may_return.open();
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_TRUE(worker.shutdown().complete);
}

}  // namespace
}  // namespace kstone::test
