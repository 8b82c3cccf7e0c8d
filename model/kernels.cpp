// Small prototypes of the worker, whose execution counts measure the explorer: a change of its reduction shows here.
//
// `LockedKernel`: a word for each stripe (fetch_or), a mutex and a condition variable around a ring, one shutdown.
// `OneWordKernel`: submission without a lock; list head, sleeper count and closed bit change in one
// compare-exchange, and a semaphore hands over to the sleepers.

#include "runner.h"
#include "scenario.h"

namespace kstone::model {
namespace {

using Sync = RelacySync;

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;

constexpr std::uint32_t wanted = 1;
constexpr std::uint32_t running = 2;

// What both kernels share: the stripe words and the job. Two jobs of one stripe at once are a race on `runs`.
template <int requesters, int workers, int stripes>
struct Kernel {
  static constexpr int threads = requesters;
  static constexpr int dynamic_threads = workers;

  // Whether the caller has to hand the stripe to a worker.
  bool claim(int stripe) {
    const std::uint32_t before = state[stripe].fetch_or(wanted, acq_rel);
    if (before != 0) {
      cover("coalesced");
    }
    return before == 0;
  }
  // Whether the stripe was wanted again while its job ran.
  bool run(int stripe) {
    state[stripe].exchange(running, acq_rel);
    runs[stripe].write() += 1;
    std::uint32_t expected = running;
    return !state[stripe].compare_exchange_strong(expected, 0, acq_rel);
  }
  void check_served() {
    for (int stripe = 0; stripe < stripes && stripe < requesters; ++stripe) {
      check(state[stripe].load(relaxed) == 0, "nothing is left wanted");
      check(runs[stripe].read() > 0, "every request is served");
    }
  }

  Sync::atomic<std::uint32_t> state[stripes];
  Sync::cell<int> runs[stripes];
  Sync::thread crew[workers];
};

template <int requesters, int workers, int stripes, bool notifies = true>
struct LockedKernel : Kernel<requesters, workers, stripes> {
  void before() {
    name(mutex, "mutex");
    name(work, "work");
    for (auto& worker : this->crew) {
      worker.start([](void* self) { static_cast<LockedKernel*>(self)->loop(); }, this);
    }
  }
  void thread(int index) {
    const int stripe = index % stripes;
    if (this->claim(stripe)) {
      mutex.lock();
      push(stripe);
      if (notifies) {
        work.notify_one();
      }
      mutex.unlock();
    }
  }
  void after() {
    mutex.lock();
    closed.write() = true;
    work.notify_all();
    mutex.unlock();
    for (auto& worker : this->crew) {
      worker.join();
    }
    this->check_served();
  }
  void push(int stripe) { ring.write().at[static_cast<unsigned>(tail.write()++ % 4)] = stripe; }
  void loop() {
    mutex.lock();
    for (;;) {
      while (head.read() == tail.read() && !closed.read()) {
        cover("slept");
        work.wait(mutex);
      }
      if (head.read() == tail.read()) {
        break;
      }
      const int stripe = ring.read().at[static_cast<unsigned>(head.write()++ % 4)];
      mutex.unlock();
      const bool again = this->run(stripe);
      mutex.lock();
      if (again) {
        cover("again");
        push(stripe);
      }
    }
    mutex.unlock();
  }

  struct Ring {
    int at[4] = {};
  };
  Sync::mutex mutex;
  Sync::condition_variable work;
  Sync::cell<Ring> ring;
  Sync::cell<int> head{0}, tail{0};
  Sync::cell<bool> closed{false};
};

template <int requesters, int workers, int stripes, bool posts = true>
struct OneWordKernel : Kernel<requesters, workers, stripes> {
  static constexpr std::uint32_t head_mask = 0xff;
  static constexpr std::uint32_t sleeper = 0x100;
  static constexpr std::uint32_t sleepers_mask = 0xff00;
  static constexpr std::uint32_t closed = 0x10000;

  void before() {
    name(control, "control");
    name(tokens, "tokens");
    for (auto& worker : this->crew) {
      worker.start([](void* self) { static_cast<OneWordKernel*>(self)->loop(); }, this);
    }
  }
  void thread(int index) {
    const int stripe = index % stripes;
    if (this->claim(stripe)) {
      push(stripe);
    }
  }
  void push(int stripe) {
    std::uint32_t before = control.load(relaxed);
    std::uint32_t after = 0;
    do {
      next[stripe].write() = static_cast<int>(before & head_mask);
      after = (before & ~head_mask) | static_cast<std::uint32_t>(stripe + 1);
      if ((before & sleepers_mask) != 0) {
        after -= sleeper;
      }
    } while (!control.compare_exchange_weak(before, after, release, relaxed));
    if ((before & sleepers_mask) != 0 && posts) {
      tokens.post(1);
    }
  }
  void loop() {
    for (;;) {
      std::uint32_t before = control.load(relaxed);
      if ((before & head_mask) != 0) {
        if (control.compare_exchange_weak(before, before & ~head_mask, acquire, relaxed)) {
          serve(static_cast<int>(before & head_mask));
        }
      } else if ((before & closed) != 0) {
        break;
      } else if (control.compare_exchange_weak(before, before + sleeper, relaxed, relaxed)) {
        cover("slept");
        tokens.wait();
      }
    }
  }
  void serve(int first) {
    while (first != 0) {
      const int stripe = first - 1;
      first = next[stripe].read();
      if (this->run(stripe)) {
        cover("again");
        push(stripe);
      }
    }
  }
  void after() {
    std::uint32_t before = control.load(relaxed);
    while (!control.compare_exchange_weak(before, (before | closed) & ~sleepers_mask, relaxed, relaxed)) {
    }
    if ((before & sleepers_mask) != 0) {
      tokens.post((before & sleepers_mask) / sleeper);
    }
    for (auto& worker : this->crew) {
      worker.join();
    }
    this->check_served();
  }

  Sync::atomic<std::uint32_t> control;
  Sync::cell<int> next[stripes];
  Sync::semaphore tokens;
};

// A loop that waits for another thread without a step of its own ends as a livelock, and not when memory does.
struct LoopWithoutStep {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 0;
  void before() {}
  void thread(int) {
    while (!closed.read()) {
    }
  }
  void after() {}
  Sync::cell<bool> closed{false};
};

SuiteOptions options(const char* name, int requesters, int workers, std::vector<std::string> sometimes) {
  SuiteOptions options;
  options.name = name;
  options.property = "kernel";
  options.requesters = requesters;
  options.workers = workers;
  options.sometimes = std::move(sometimes);
  return options;
}

SuiteOptions must_fail(const char* name, Failure failure) {
  SuiteOptions options;
  options.name = name;
  options.property = "kernel";
  options.expected = {failure};
  return options;
}

const Registered suites[] = {
    suite<LockedKernel<1, 1, 1>>(options("locked_1_1", 1, 1, {"slept"})),
    suite<LockedKernel<2, 1, 1>>(options("locked_2_1", 2, 1, {"slept", "coalesced", "again"})),
    suite<LockedKernel<2, 1, 2>>(options("locked_2_1_two_stripes", 2, 1, {"slept"})),
    suite<LockedKernel<1, 2, 1>>(options("locked_1_2", 1, 2, {"slept"})),
    suite<LockedKernel<3, 1, 1>>(options("locked_3_1", 3, 1, {"slept", "coalesced", "again"})),
    suite<LockedKernel<2, 2, 1>>(options("locked_2_2", 2, 2, {"slept", "coalesced", "again"})),
    suite<OneWordKernel<1, 1, 1>>(options("one_word_1_1", 1, 1, {"slept"})),
    suite<OneWordKernel<2, 1, 1>>(options("one_word_2_1", 2, 1, {"slept", "coalesced", "again"})),
    suite<OneWordKernel<2, 1, 2>>(options("one_word_2_1_two_stripes", 2, 1, {"slept"})),
    suite<OneWordKernel<1, 2, 1>>(options("one_word_1_2", 1, 2, {"slept"})),
    suite<OneWordKernel<3, 1, 1>>(options("one_word_3_1", 3, 1, {"slept", "coalesced", "again"})),
    suite<OneWordKernel<2, 2, 1>>(options("one_word_2_2", 2, 2, {"slept", "coalesced", "again"})),
    suite<LoopWithoutStep>(must_fail("loop_without_step", Failure::livelock)),
    suite<OneWordKernel<2, 1, 1, false>>(must_fail("one_word_2_1_without_post", Failure::deadlock)),
};

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) { return kstone::model::run_suites(argc, argv); }
