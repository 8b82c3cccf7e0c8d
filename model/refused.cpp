// Scenarios that the checker must refuse with a sentence, never with a crash or without a word.
// tools_test.py runs them.

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <string>

#include "runner.h"
#include "scenario.h"

namespace kstone::model {
namespace {

struct ManyConflicts {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int index) {
    for (int stores = index == 0 ? 600 : 1; stores > 0; --stores) {
      value.store(index, std::memory_order_relaxed);
    }
  }
  void after() {}
};

struct ManyObjects {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 0;
  Ghost<int> ghosts[7];
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int) {
    for (auto& each : ghosts) {
      each.with_next_step(Access::add);
    }
    value.store(1, std::memory_order_relaxed);
  }
  void after() {}
};

// Takes its turn where the equal thread that comes first may have to wait for it.
struct LateTurn {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  static constexpr EqualThreads equal_threads = {{{0, 2}}};
  RelacySync::mutex mutex;
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int) {
    const std::lock_guard lock(mutex);
    in_turn();
    value.fetch_add(1, std::memory_order_relaxed);
  }
  void after() {}
};

// Threads that are not equal, and groups that are none.
struct UnequalTurns {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  static constexpr EqualThreads equal_threads = {{{0, 2}}};
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int index) {
    in_turn();
    if (index == 0) {
      value.fetch_add(1, std::memory_order_relaxed);
    } else {
      value.fetch_sub(1, std::memory_order_relaxed);
    }
  }
  void after() {}
};

template <int first, int count, int dynamic>
struct EqualsThatAreNone : UnequalTurns {
  static constexpr EqualThreads equal_threads = {{{first, count}}};
  static constexpr int equal_dynamic_threads = dynamic;
};

// What a deadlock says of each thread.
struct OppositeOrder {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  RelacySync::mutex first, second;

  void before() {
    name(first, "first");
    name(second, "second");
  }
  void thread(int index) { index == 0 ? forwards() : backwards(); }
  void forwards() {
    const std::lock_guard outer(first);
    const std::lock_guard inner(second);
  }
  void backwards() {
    const std::scoped_lock outer(second);
    std::unique_lock inner(first);
  }
  void after() {}
};

// What blocks the one real thread for good, each in a way of its own. The first thread keeps it
// across a step.
template <class Block>
struct Blocks {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  RelacySync::atomic<int> value{0};
  Block block;

  void before() {}
  void thread(int index) {
    if (index == 0) {
      block.begin();
    }
    value.fetch_add(1, std::memory_order_relaxed);
    if (index == 0) {
      block.end();
    } else {
      block.enter();
      value.fetch_add(1, std::memory_order_relaxed);  // else a tail call would hide this function
    }
  }
  void after() {}
};

struct RealMutex {
  void begin() { mutex.lock(); }
  void end() { mutex.unlock(); }
  void enter() { const std::lock_guard<std::mutex> lock(mutex); }
  std::mutex mutex;
};

struct RealSharedMutex {
  void begin() { mutex.lock_shared(); }
  void end() { mutex.unlock_shared(); }
  void enter() { const std::unique_lock<std::shared_mutex> lock(mutex); }
  std::shared_mutex mutex;
};

struct RealCondition {
  void begin() {}
  void end() { done.notify_one(); }
  void enter() {
    std::unique_lock<std::mutex> lock(mutex);
    done.wait(lock);
  }
  std::mutex mutex;
  std::condition_variable done;
};

struct RealSemaphore {
  void begin() {}
  void end() { tokens.release(); }
  void enter() { tokens.acquire(); }
  std::counting_semaphore<> tokens{0};
};

struct RealAtomic {
  void begin() { held.store(true); }
  void end() { held.store(false); }
  void enter() {
    while (held.load()) {
    }
  }
  std::atomic<bool> held{false};
};

// Where no signal arrives, nobody can be led away.
struct RealMutexWithoutSignals : RealMutex {
  void enter() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    RealMutex::enter();
  }
};

struct NoBlock {
  void begin() {}
  void end() {}
  void enter() {}
};

const Registered opposite_order = suite<OppositeOrder>({.name = "opposite_order"});
const Registered real_mutex = suite<Blocks<RealMutex>>({.name = "real_mutex"});
const Registered real_mutex_must_fail =
    suite<Blocks<RealMutex>>({.name = "real_mutex_must_fail", .expected = {Failure::deadlock}});
const Registered real_mutex_without_signals =
    suite<Blocks<RealMutexWithoutSignals>>({.name = "real_mutex_without_signals"});
const Registered real_shared_mutex = suite<Blocks<RealSharedMutex>>({.name = "real_shared_mutex"});
const Registered real_condition = suite<Blocks<RealCondition>>({.name = "real_condition"});
const Registered real_semaphore = suite<Blocks<RealSemaphore>>({.name = "real_semaphore"});
const Registered real_atomic = suite<Blocks<RealAtomic>>({.name = "real_atomic"});
const Registered no_block = suite<Blocks<NoBlock>>({.name = "no_block"});
const Registered many_conflicts = suite<ManyConflicts>({.name = "many_conflicts"});
const Registered many_objects = suite<ManyObjects>({.name = "many_objects"});
const Registered late_turn = suite<LateTurn>({.name = "late_turn"});
const Registered unequal_turns = suite<UnequalTurns>({.name = "unequal_turns"});
const Registered equals_beyond = suite<EqualsThatAreNone<1, 2, 0>>({.name = "equals_beyond"});
const Registered equal_dynamic_beyond =
    suite<EqualsThatAreNone<0, 0, 1>>({.name = "equal_dynamic_beyond"});

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) {
  using namespace kstone::model;
  if (argc > 1 && std::string(argv[1]) == "--twice") {
    suite<ManyObjects>({.name = "many_objects"});
    return run_suites(1, argv);
  }
  return run_suites(argc, argv);
}
