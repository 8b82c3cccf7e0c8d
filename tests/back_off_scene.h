// A worker whose jobs fail as a test tells them to, on a clock that only the test moves.

#ifndef KSTONE_TESTS_BACK_OFF_SCENE_H_
#define KSTONE_TESTS_BACK_OFF_SCENE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "manual_clock_sync.h"
#include "test_support.h"

namespace kstone::test::back_off {

using Worker = basic_background_worker<ManualClockSync>;
using Clock = ManualClockSync::clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

struct Started {
  std::uint32_t stripe_id;
  std::uint32_t attempt;
  nanoseconds at;  // since the scene was set

  friend bool operator==(const Started&, const Started&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Started& started) {
  return out << started.stripe_id << " attempt " << started.attempt << " at "
             << started.at.count() / 1'000'000 << " ms";
}

// One thread, whose job fails as it is told to.
struct Scene {
  std::function<CompactionOutcome(Worker::Context&)> outcome;
  Worker::Options options;
  nanoseconds begin = Clock::now();
  Journal<Started> started;
  std::unique_ptr<Worker> worker;

  explicit Scene(std::function<CompactionOutcome(Worker::Context&)> outcome_of)
      : outcome(std::move(outcome_of)) {
    options.back_off.jitter = 0;
  }
  Worker& start(std::uint32_t threads = 1) {
    worker = std::make_unique<Worker>(
        CompactionConfig().with_max_concurrent(threads), Worker::StatsAtomic(), 100,
        [this](Worker::Context& context) {
          started.add({context.stripe_id(), context.attempt(), Clock::now() - begin});
          return outcome(context);
        },
        options);
    EXPECT_EQ(worker->start(), StartResult::started);
    return *worker;
  }
  // Until so many compactions have ended, and what failed of them is delayed.
  void await(std::uint64_t compactions) const {
    while (worker->brief_snapshot().outcomes.sum() != compactions) {
      std::this_thread::yield();
    }
  }
  // Until so many calls wait.
  void await_callers(std::uint32_t count) const {
    while (worker->brief_snapshot().waiting_callers != count) {
      std::this_thread::yield();
    }
  }
  // Until the timekeeper waits for what is delayed. Then that long.
  void pass(nanoseconds time) const {
    Clock::await_sleepers(1);
    Clock::advance(time);
  }
  // In milliseconds.
  std::vector<std::int64_t> times() const {
    std::vector<std::int64_t> result;
    for (const auto& each : started.events()) {
      result.push_back(each.at.count() / 1'000'000);
    }
    return result;
  }
};

inline CompactionOutcome retries(Worker::Context&) { return CompactionOutcome::retry("busy"); }
inline CompactionOutcome fails(Worker::Context&) { return CompactionOutcome::failed("bad block"); }
inline CompactionOutcome lacks_room(Worker::Context&) {
  return CompactionOutcome::retry("disk full", Retry::resource);
}

}  // namespace kstone::test::back_off

#endif  // KSTONE_TESTS_BACK_OFF_SCENE_H_
