// The production policy with a clock that only the test moves.

#ifndef KSTONE_TESTS_MANUAL_CLOCK_SYNC_H_
#define KSTONE_TESTS_MANUAL_CLOCK_SYNC_H_

#include <chrono>
#include <mutex>
#include <vector>

#include "kstone/background_worker.h"

namespace kstone::test {

struct ManualClockSync : ProductionSync {
  class clock {
   public:
    static std::chrono::nanoseconds now() {
      const std::lock_guard<std::mutex> lock(state().mutex);
      return state().now;
    }
    // Moves the clock, backwards too, and wakes every timed wait to look at it.
    static void advance(std::chrono::nanoseconds by) {
      std::vector<Sleeper> sleepers;
      {
        const std::lock_guard<std::mutex> lock(state().mutex);
        state().now += by;
        sleepers = state().sleepers;
      }
      for (const auto& sleeper : sleepers) {
        // So that the notification does not fall between its look and its sleep.
        sleeper.held->lock();
        sleeper.changed->notify_all();
        sleeper.held->unlock();
      }
    }
    // Blocks until `count` threads are in a timed wait.
    static void await_sleepers(std::size_t count) {
      std::unique_lock<std::mutex> lock(state().mutex);
      state().sleepers_changed.wait(lock, [&] { return state().sleepers.size() == count; });
    }

   private:
    friend struct ManualClockSync;
    struct Sleeper {
      ProductionSync::mutex* held;
      ProductionSync::condition_variable* changed;
    };
    struct State {
      std::mutex mutex;
      std::condition_variable sleepers_changed;
      std::chrono::nanoseconds now{std::chrono::hours(1)};
      std::vector<Sleeper> sleepers;
    };
    static State& state() {
      static State only;
      return only;
    }
  };

  class condition_variable : public ProductionSync::condition_variable {
   public:
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) {
      auto& state = clock::state();
      {
        const std::lock_guard<std::mutex> lock(state.mutex);
        if (state.now >= deadline) {
          return false;
        }
        state.sleepers.push_back({&held, this});
        state.sleepers_changed.notify_all();
      }
      wait(held);
      const std::lock_guard<std::mutex> lock(state.mutex);
      std::erase_if(state.sleepers, [&](const auto& sleeper) { return sleeper.changed == this; });
      state.sleepers_changed.notify_all();
      return state.now < deadline;
    }
  };
};

}  // namespace kstone::test

#endif  // KSTONE_TESTS_MANUAL_CLOCK_SYNC_H_
