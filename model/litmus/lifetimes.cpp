// Threads and memory: starting, joining, destroying, leaking; crashes and loops; and what scenarios
// use for checking alone.

#include <cstdlib>

#include "litmus/row.h"

namespace kstone::model::litmus {

namespace {

// Who destroys is not ordered after who uses.
template <bool ordered>
struct Destruction : Base<2> {
  void before() { shared = new Sync::atomic<int>(0); }
  void thread(int index) {
    if (index == 0) {
      shared->store(1, relaxed);
      x.store(1, ordered ? release : relaxed);
    } else if (x.load(acquire) == 1) {
      delete shared;
      shared = nullptr;
    }
  }
  void after() {
    report({shared == nullptr ? 1 : 0});
    delete shared;
  }
  Sync::atomic<int>* shared = nullptr;
};

template <bool joins>
struct Joining {
  static constexpr int threads = 0;
  static constexpr int dynamic_threads = 1;
  void before() {
    worker.start([](void* self) { static_cast<Joining*>(self)->data.write() = 7; }, this);
  }
  void thread(int) {}
  void after() {
    if (joins) {
      worker.join();
    }
    report({data.read()});
  }
  Sync::cell<int> data{0};
  Sync::thread worker;
};

struct RefusedThread {
  static constexpr int threads = 0;
  static constexpr int dynamic_threads = 2;
  void before() {
    first = a.start([](void*) {}, this);
    second = b.start([](void*) {}, this);
  }
  void thread(int) {}
  void after() {
    report({first ? 1 : 0, second ? 1 : 0});
    for (Sync::thread* thread : {&a, &b}) {
      if (thread->joinable()) {
        thread->join();
      }
    }
  }
  Sync::thread a, b;
  bool first = false, second = false;
};

struct DoubleJoin : Joining<true> {
  void after() {
    worker.join();
    worker.join();
  }
};

// Two threads join one thread object, or one joins while the other asks whether it is joinable.
template <bool joins>
struct JoiningAtOnce : Joining<true> {
  static constexpr int threads = 2;
  void thread(int index) {
    if (index == 0 || (worker.joinable() && joins)) {
      worker.join();
    }
  }
  void after() {}
};

// The same behind a lock, one after the other.
struct JoiningInTurn : Joining<true> {
  static constexpr int threads = 2;
  void thread(int) {
    m.lock();
    if (worker.joinable()) {
      worker.join();
    }
    m.unlock();
  }
  void after() { report({data.read()}); }
  Sync::mutex m;
};

struct Leak : Base<1> {
  void thread(int) { leaked = new int(0); }
  void after() {}
  // Volatile: the compiler may drop an allocation that nobody looks at.
  int* volatile leaked = nullptr;
};

struct NullPointer : Base<1> {
  void thread(int) { *absent = 1; }
  void after() {}
  int* volatile absent = nullptr;
};

struct Abort : Base<1> {
  void thread(int) { std::abort(); }
  void after() {}
};

struct Uncaught : Base<1> {
  void thread(int) { throw 1; }
  void after() {}
};

struct Spin : Base<1> {
  void thread(int) {
    while (x.load(relaxed) == 0) {
    }
  }
  void after() {}
};

// A check about real-time order: did the store come before the read ended? Ghost state is a step of
// its own.
struct RealTime : Base<2> {
  void thread(int index) {
    if (index == 0) {
      ended.step_write() = 1;
    } else {
      r[0] = ended.step_read();
    }
  }
  void after() { report({r[0]}); }
  Ghost<int> ended{0};
};

template <bool locks>
struct Frozen : Base<2> {
  void thread(int index) {
    if (index == 0) {
      FreezeOthers alone;
      if (locks) {
        m.lock();
        m.unlock();
      } else {
        x.fetch_add(1, relaxed);
      }
    } else {
      m.lock();
      x.fetch_add(1, relaxed);
      m.unlock();
    }
  }
  void after() { report({x.load(relaxed)}); }
  Sync::mutex m;
};

}  // namespace

std::vector<Row> lifetimes() {
  return {
      row<Destruction<true>>("ordered destruction", {"0 1", "0 1", "0 1"}),
      row<Destruction<false>>("unordered destruction",
                              {"!use after free", "!use after free", "!use after free"}),
      row<Joining<true>>("join", {"7", "7", "7"}),
      row<Joining<false>>("no join", {"!thread misuse", "!thread misuse", "!thread misuse"}),
      row<DoubleJoin>("double join", {"!thread misuse", "!thread misuse", "!thread misuse"}),
      row<JoiningAtOnce<true>>("two joins at once", {"!data race", "!data race", "!data race"}),
      row<JoiningAtOnce<false>>("joinable during a join",
                                {"!data race", "!data race", "!data race"}),
      row<JoiningInTurn>("two joins in turn", {"7", "7", "7"}),
      row<RefusedThread>("a refused thread", {"01 10 11", "01 10 11", "01 10 11"},
                         {.thread_start_failures = 1}),
      row<Leak>("a leak", {"!memory leak", "!memory leak", "!memory leak"}),
      row<NullPointer>("a null pointer", {"!crash", "!crash", "!crash"}),
      row<Abort>("an abort", {"!crash", "!crash", "!crash"}),
      row<Uncaught>("an exception that nobody catches", {"!crash", "!crash", "!crash"}),
      row<Spin>("a spin loop", {"!livelock", "!livelock", "!livelock"}),
      row<RealTime>("real-time order", {"0 1", "0 1", "0 1"}),
  };
}

// A reduction does not visit every state, and the one that is frozen may be any.
std::vector<Row> frozen() {
  std::vector<Row> rows = {
      row<Frozen<false>>("frozen, lock-free", {"2", "2", "2"}),
      row<Frozen<true>>("frozen, behind a lock", {"!blocked", "1", "!blocked"}),
  };
  for (Row& each : rows) {
    each.reducible = false;
  }
  return rows;
}

}  // namespace kstone::model::litmus
