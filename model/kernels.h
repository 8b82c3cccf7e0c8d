// Small prototypes of the worker, whose execution counts measure a search: a change of the
// explorer's reduction shows here, and so does what Relacy's own search takes.
//
// `LockedKernel`: a word for each stripe (fetch_or), a mutex and a condition variable around a
// ring, one shutdown. `OneWordKernel`: submission without a lock; list head, sleeper count and
// closed bit change in one compare-exchange, and a semaphore hands over to the sleepers.
//
// `Types` are those of the model checker, or Relacy's own.

#ifndef KSTONE_MODEL_KERNELS_H_
#define KSTONE_MODEL_KERNELS_H_

#include <atomic>
#include <cstdint>

namespace kstone::model {

inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;

inline constexpr std::uint32_t wanted = 1;
inline constexpr std::uint32_t running = 2;

// What both kernels share: the stripe words and the job. Two jobs of one stripe at once are a race
// on `runs`.
template <class Types, int requesters, int workers, int stripes>
struct Kernel {
  static constexpr int threads = requesters;
  static constexpr int dynamic_threads = workers;

  // Whether the caller has to hand the stripe to a worker.
  bool claim(int stripe) {
    const std::uint32_t before = state[stripe].fetch_or(wanted, acq_rel);
    if (before != 0) {
      Types::cover("coalesced");
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
      Types::check(state[stripe].load(relaxed) == 0, "nothing is left wanted");
      Types::check(runs[stripe].read() > 0, "every request is served");
    }
  }

  typename Types::template atomic<std::uint32_t> state[stripes];
  typename Types::template cell<int> runs[stripes];
  typename Types::thread crew[workers];
};

template <class Types, int requesters, int workers, int stripes, bool notifies = true>
struct LockedKernel : Kernel<Types, requesters, workers, stripes> {
  void before() {
    Types::name(mutex, "mutex");
    Types::name(work, "work");
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
        Types::cover("slept");
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
        Types::cover("again");
        push(stripe);
      }
    }
    mutex.unlock();
  }

  struct Ring {
    int at[4] = {};
  };
  typename Types::mutex mutex;
  typename Types::condition_variable work;
  typename Types::template cell<Ring> ring;
  typename Types::template cell<int> head{0}, tail{0};
  typename Types::template cell<bool> closed{false};
};

template <class Types, int requesters, int workers, int stripes, bool posts = true>
struct OneWordKernel : Kernel<Types, requesters, workers, stripes> {
  static constexpr std::uint32_t head_mask = 0xff;
  static constexpr std::uint32_t sleeper = 0x100;
  static constexpr std::uint32_t sleepers_mask = 0xff00;
  static constexpr std::uint32_t closed = 0x10000;

  void before() {
    Types::name(control, "control");
    Types::name(tokens, "tokens");
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
        Types::cover("slept");
        tokens.wait();
      }
    }
  }
  void serve(int first) {
    while (first != 0) {
      const int stripe = first - 1;
      first = next[stripe].read();
      if (this->run(stripe)) {
        Types::cover("again");
        push(stripe);
      }
    }
  }
  void after() {
    std::uint32_t before = control.load(relaxed);
    while (!control.compare_exchange_weak(before, (before | closed) & ~sleepers_mask, relaxed,
                                          relaxed)) {
    }
    if ((before & sleepers_mask) != 0) {
      tokens.post((before & sleepers_mask) / sleeper);
    }
    for (auto& worker : this->crew) {
      worker.join();
    }
    this->check_served();
  }

  typename Types::template atomic<std::uint32_t> control;
  typename Types::template cell<int> next[stripes];
  typename Types::semaphore tokens;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_KERNELS_H_
