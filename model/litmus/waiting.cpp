// Mutexes, condition variables and semaphores: who waits, who is woken, and what orders what.

#include <chrono>
#include <mutex>
#include <utility>

#include "litmus/row.h"

namespace kstone::model::litmus {

namespace {

struct Mutual : Base<2> {
  void thread(int index) {
    m.lock();
    r[index] = data.read();
    data.write() = r[index] + 1;
    m.unlock();
  }
  void after() { report({r[0], r[1]}); }
  Sync::mutex m;
  Sync::cell<int> data{0};
};

struct Unguarded : Base<2> {
  void thread(int) { data.write() += 1; }
  void after() {}
  Sync::cell<int> data{0};
};

struct LockOrder : Base<2> {
  void thread(int index) {
    (index == 0 ? m : n).lock();
    (index == 0 ? n : m).lock();
    m.unlock();
    n.unlock();
  }
  void after() { report({0}); }
  Sync::mutex m, n;
};

// `if` for `while`: right but for spurious wake-ups.
template <bool loops, bool notifies = true>
struct Waiting : Base<2> {
  void thread(int index) {
    m.lock();
    if (index == 0) {
      ready = true;
      if (notifies) {
        c.notify_one();
      }
    } else if (loops) {
      while (!ready) {
        c.wait(m);
      }
      r[0] = ready ? 1 : 0;
    } else {
      if (!ready) {
        c.wait(m);
      }
      r[0] = ready ? 1 : 0;
    }
    m.unlock();
  }
  void after() { report({r[0]}); }
  Sync::mutex m;
  Sync::condition_variable c;
  bool ready = false;  // guarded by m
};

template <bool notifies>
struct TimedWait : Base<2> {
  void thread(int index) {
    m.lock();
    if (index == 0) {
      ready = true;
      if (notifies) {
        c.notify_one();
      }
    } else if (!ready) {
      r[0] = c.wait_until(m, std::chrono::nanoseconds(10)) ? 1 : 2;
      r[1] = ready ? 1 : 0;
      r[2] = static_cast<int>(Sync::clock::now().count() / 10);
    }
    m.unlock();
  }
  void after() { report({r[0], r[1], r[2]}); }
  Sync::mutex m;
  Sync::condition_variable c;
  bool ready = false;
};

// Two waiters on different predicates, one notify_one: it may wake the wrong one.
template <bool all>
struct WrongWaiter : Base<3> {
  void thread(int index) {
    m.lock();
    if (index < 2) {
      while (turn != index + 1) {
        c.wait(m);
      }
      turn = 0;
    } else {
      turn = 1;
      if (all) {
        c.notify_all();
      } else {
        c.notify_one();
      }
      m.unlock();
      done.wait();
      m.lock();
      turn = 2;
      c.notify_all();
    }
    m.unlock();
    if (index == 0) {
      done.post(1);
    }
  }
  void after() { report({0}); }
  Sync::mutex m;
  Sync::condition_variable c;
  Sync::semaphore done;
  int turn = 0;  // guarded by m
};

// The semaphore promises no memory ordering: the data race is there although the reader always
// comes second.
template <bool ordered>
struct Handover : Base<2> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, ordered ? release : relaxed);
      s.post(1);
    } else {
      s.wait();
      if (x.load(acquire) == 1) {
        r[0] = data.read();
      }
    }
  }
  void after() { report({r[0]}); }
  Sync::semaphore s;
  Sync::cell<int> data{0};
};

struct NoToken : Base<2> {
  void thread(int index) {
    if (index == 0) {
      s.post(1);
    } else {
      s.wait();
      s.wait();
    }
  }
  void after() { report({0}); }
  Sync::semaphore s;
};

// Guards of a modelled mutex.
struct Guards : Base<2> {
  void thread(int index) {
    if (index == 0) {
      const std::scoped_lock lock(m);
      data.write() += 1;
    } else {
      std::unique_lock lock(m, std::defer_lock);
      lock.lock();
      data.write() += 1;
      std::unique_lock moved = std::move(lock);
      moved.unlock();
      r[1] = lock.owns_lock() || moved.owns_lock() ? 1 : 0;
    }
    const std::lock_guard lock(m);
    r[index] += data.read();
  }
  void after() {
    m.lock();
    const std::lock_guard adopted(m, std::adopt_lock);
    report({r[0], r[1], data.read()});
  }
  Sync::mutex m;
  Sync::cell<int> data{0};
};

}  // namespace

std::vector<Row> waiting() {
  return {
      row<Mutual>("mutual exclusion", {"01 10", "01 10", "01 10"}),
      row<Unguarded>("no mutual exclusion", {"!data race", "!data race", "!data race"}),
      row<LockOrder>("lock order", {"!deadlock", "0", "!deadlock"}),
      row<Waiting<true>>("while around the wait", {"1", "1", "1"}),
      row<Waiting<true>>("while, spurious wake-up", {"1", "1", "1"}, {.spurious = 1}),
      row<Waiting<false>>("if around the wait", {"1", "1", "1"}),
      row<Waiting<false>>("if, spurious wake-up", {"0 1", "0 1", "0 1"}, {.spurious = 1}),
      row<Waiting<true, false>>("no notification", {"!deadlock", "!deadlock", "!deadlock"}),
      row<TimedWait<true>>("wait_until, timeouts off", {"000 110", "000 110", "000 110"}),
      row<TimedWait<true>>("wait_until, one timeout",
                           {"000 110 201 211", "000 110 201", "000 110 201 211"}, {.timeouts = 1}),
      row<TimedWait<false>>("wait_until hides nothing", {"!deadlock", "!deadlock", "!deadlock"}),
      row<WrongWaiter<false>>("two waiters, notify_one", {"!deadlock", "!deadlock", "!deadlock"}),
      row<WrongWaiter<true>>("two waiters, notify_all", {"0", "0", "0"}),
      row<Handover<true>>("hand-over by semaphore", {"0 1", "0 1", "1"}),
      row<Handover<false>>("a semaphore orders nothing",
                           {"!data race", "!data race", "!data race"}),
      row<NoToken>("no token", {"!deadlock", "!deadlock", "!deadlock"}),
      row<Guards>("guards of a mutex", {"122 212 222", "122 212", "122 212 222"}),
  };
}

}  // namespace kstone::model::litmus
