// The checker, checked: small programs whose outcomes are known, one row each, one column for each
// kind of search.
//
// Every row is explored by source sets, sleep sets, and the plain search, which must all give the
// set in the column `all`; within preemption bound 0 (`unpreempted`); and with loads that never
// read a superseded store (`fresh`). The columns say what *this* model allows. Where C++ allows
// more, the row's comment says so. `--self-test` flips each cell in turn and demands that the table
// turns red.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "explorer.h"
#include "kstone/production_sync.h"
#include "scenario.h"

namespace kstone::model {
namespace {

using Sync = RelacySync;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;
constexpr auto seq_cst = std::memory_order_seq_cst;

// What the threads have read, as digits.
void report(std::initializer_list<int> values) {
  char text[16] = {};
  std::size_t length = 0;
  for (const int value : values) {
    text[length++] = static_cast<char>('0' + value);
  }
  outcome(text);
}

template <int count>
struct Base {
  static constexpr int threads = count;
  static constexpr int dynamic_threads = 0;
  void before() {}
  Sync::atomic<int> x, y;
  int r[4] = {};  // each written by one thread, read in after()
};

template <std::memory_order store, std::memory_order load>
struct MessagePassing : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      y.store(1, store);
    } else {
      r[0] = y.load(load);
      r[1] = x.load(relaxed);
    }
  }
  void after() { report({r[0], r[1]}); }
};

// Plain data published by a flag.
template <std::memory_order store, std::memory_order load>
struct Publication : Base<2> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      y.store(1, store);
    } else if (y.load(load) == 1) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

template <std::memory_order store, std::memory_order load>
struct StoreBuffering : Base<2> {
  void thread(int index) {
    (index == 0 ? x : y).store(1, store);
    r[index] = (index == 0 ? y : x).load(load);
  }
  void after() { report({r[0], r[1]}); }
};

struct LoadBuffering : Base<2> {
  void thread(int index) {
    r[index] = (index == 0 ? x : y).load(relaxed);
    (index == 0 ? y : x).store(1, relaxed);
  }
  void after() { report({r[0], r[1]}); }
};

template <std::memory_order store, std::memory_order load>
struct IndependentReads : Base<4> {
  void thread(int index) {
    switch (index) {
      case 0:
        x.store(1, store);
        break;
      case 1:
        y.store(1, store);
        break;
      case 2:
        r[0] = x.load(load);
        r[1] = y.load(load);
        break;
      default:
        r[2] = y.load(load);
        r[3] = x.load(load);
    }
  }
  // Only the question asked: may the two readers see the stores in opposite orders?
  void after() { report({r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0 ? 1 : 0}); }
};

struct TwoPlusTwoWrites : Base<2> {
  void thread(int index) {
    (index == 0 ? x : y).store(1, relaxed);
    (index == 0 ? y : x).store(2, relaxed);
  }
  void after() { report({x.load(relaxed), y.load(relaxed)}); }
};

template <std::memory_order store, std::memory_order load>
struct WriteToReadCausality : Base<3> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
    } else if (index == 1) {
      r[0] = x.load(relaxed);
      y.store(r[0], store);
    } else {
      r[1] = y.load(load);
      r[2] = x.load(relaxed);
    }
  }
  void after() { report({r[0] == 1 && r[1] == 1 && r[2] == 0 ? 1 : 0}); }
};

// The same with a read-modify-write in the middle: it hands on what it has acquired.
template <std::memory_order middle>
struct CumulativeChain : Base<3> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
    } else if (index == 1) {
      r[0] = x.load(middle == acq_rel ? acquire : relaxed);
      if (r[0] == 1) {
        y.store(1, release);
      }
    } else if (y.load(acquire) == 1) {
      r[1] = data.read();
    }
  }
  void after() { report({r[0], r[1]}); }
  Sync::cell<int> data{0};
};

struct ReadReadCoherence : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      x.store(2, relaxed);
    } else {
      r[0] = x.load(relaxed);
      r[1] = x.load(relaxed);
    }
  }
  void after() { report({r[0], r[1]}); }
};

// A read-modify-write by another thread continues the release sequence.
template <std::memory_order middle, bool by_store>
struct ReleaseSequence : Base<3> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
    } else if (index == 1) {
      if (by_store) {
        if (x.load(relaxed) == 1) {
          x.store(2, middle);
        }
      } else {
        int expected = 1;
        x.compare_exchange_strong(expected, 2, middle, relaxed);
      }
    } else if (x.load(acquire) == 2) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

// A later relaxed store by the releasing thread: C++11 continued the sequence, C++20 does not,
// Relacy still does.
struct SameThreadSequence : Base<2> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
      x.store(2, relaxed);
    } else if (x.load(acquire) == 2) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

// A failing compare-exchange reads the newest store here; C++ lets it read an older one ("00"
// below).
struct StaleCompareExchange : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      y.store(1, release);
    } else {
      r[0] = y.load(relaxed);
      int expected = 5;
      x.compare_exchange_strong(expected, 6, relaxed, relaxed);
      r[1] = expected;
    }
  }
  void after() { report({r[0], r[1]}); }
};

struct WeakCompareExchange : Base<1> {
  void thread(int) {
    int expected = 0;
    r[0] = x.compare_exchange_weak(expected, 1, acq_rel) ? 1 : 0;
    expected = r[0];
    r[1] = x.compare_exchange_weak(expected, 2, acq_rel) ? 1 : 0;
  }
  void after() { report({r[0], r[1]}); }
};

struct Increments : Base<2> {
  void thread(int index) { r[index] = x.fetch_add(1, relaxed); }
  void after() { report({r[0], r[1], x.load(relaxed)}); }
};

struct LostUpdate : Base<2> {
  void thread(int index) {
    r[index] = x.load(relaxed);
    x.store(r[index] + 1, relaxed);
  }
  void after() { report({x.load(relaxed)}); }
};

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

// What several threads own: something that they read, and that tells when it ends.
struct Owned {
  explicit Owned(int value = 7) : data(value) {}
  Sync::cell<int> data;
};

// Each of two owners reads and gives up its share; whoever is last destroys.
struct SharedRelease : Base<2> {
  void thread(int index) {
    const Sync::shared_ptr<Owned> mine = std::move(owners[index]);
    r[index] = mine->data.read();
  }
  void after() { report({r[0] == 7 && r[1] == 7 ? 1 : 0, owners[0] == nullptr ? 1 : 0}); }
  Sync::shared_ptr<Owned> first = Sync::make_shared<Owned>();
  Sync::shared_ptr<Owned> owners[2] = {first, std::move(first)};
};

// The pointer itself: one assigns it, one copies it.
template <bool guarded>
struct SharedVariable : Base<2> {
  void thread(int index) {
    if (guarded) {
      m.lock();
    }
    Sync::shared_ptr<Owned> kept = current;
    if (index == 0) {
      current = Sync::make_shared<Owned>(1);
    }
    if (guarded) {
      m.unlock();
    }
    r[index] = kept->data.read();
  }
  void after() { report({r[1]}); }
  Sync::mutex m;
  Sync::shared_ptr<Owned> current = Sync::make_shared<Owned>(2);
};

// A pointer that is kept without a share.
template <bool keeps_share>
struct RawPointer : Base<2> {
  void thread(int index) {
    if (index == 0) {
      owners[0].reset();
    } else {
      const Owned* const raw = owners[1].get();
      if (!keeps_share) {
        owners[1].reset();
      }
      r[0] = raw->data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::shared_ptr<Owned> owners[2] = {Sync::make_shared<Owned>(), nullptr};
  void before() { owners[1] = owners[0]; }
};

// The count may be old by the time it is seen; "1" says nothing of what the other owner did before.
template <bool writes>
struct UseCount : Base<2> {
  void before() { owners[1] = owners[0]; }
  void thread(int index) {
    if (index == 0) {
      r[0] = owners[0]->data.read();
      owners[0].reset();
    } else {
      r[1] = static_cast<int>(owners[1].use_count());
      if (writes && r[1] == 1) {
        owners[1]->data.write() = 1;
      }
    }
  }
  void after() { report({r[1]}); }
  Sync::shared_ptr<Owned> owners[2] = {Sync::make_shared<Owned>(), nullptr};
};

struct WeakLock : Base<2> {
  void before() { weak = owner; }
  void thread(int index) {
    if (index == 0) {
      owner.reset();
    } else {
      const Sync::shared_ptr<Owned> locked = weak.lock();
      r[0] = locked == nullptr ? 0 : locked->data.read();
    }
  }
  void after() { report({r[0], weak.expired() ? 1 : 0}); }
  Sync::shared_ptr<Owned> owner = Sync::make_shared<Owned>();
  Sync::weak_ptr<Owned> weak;
};

// That the weak pointer found an owner does not say what another owner has done.
struct WeakLockOrdersNothing : Base<2> {
  void before() { weak = owner; }
  void thread(int index) {
    if (index == 0) {
      owner->data.write() = 1;
      const Sync::shared_ptr<Owned> copy = owner;
    } else if (weak.use_count() == 2) {
      if (const Sync::shared_ptr<Owned> locked = weak.lock()) {
        r[0] = locked->data.read();
      }
    }
  }
  void after() { report({r[0]}); }
  Sync::shared_ptr<Owned> owner = Sync::make_shared<Owned>();
  Sync::weak_ptr<Owned> weak;
};

struct OwnsItself : Base<1> {
  struct Node {
    Sync::shared_ptr<Node> next;
  };
  void thread(int) {
    const Sync::shared_ptr<Node> node = Sync::make_shared<Node>();
    node->next = node;
  }
  void after() {}
};

struct OwnedTwice : Base<1> {
  void thread(int) {
    int* volatile object = new int(1);  // volatile: the compiler sees the fault
    const Sync::shared_ptr<int> one(static_cast<int*>(object)), other(static_cast<int*>(object));
  }
  void after() {}
};

struct EmptyPointer : Base<1> {
  void thread(int) {
    const Sync::shared_ptr<int> empty;
    *empty = 1;
  }
  void after() {}
};

struct Shape {
  virtual ~Shape() = default;
  int sides = 3;
};
struct Square : Shape {
  Square() { sides = 4; }
};

// One thread: what it does is what std::shared_ptr does. A digit for each question.
template <class AnySync>
std::string pointer_answers() {
  std::string digits;
  const auto say = [&digits](auto value) {
    digits += static_cast<char>('0' + static_cast<int>(value));
  };
  int deleted = 0;
  {
    const auto square = AnySync::template make_shared<Square>();
    typename AnySync::template shared_ptr<const Shape> shape = square;
    say(square.use_count());
    say(shape->sides);
    say(shape == square);
    auto other = dynamic_pointer_cast<const Square>(shape);
    say(other != nullptr && other.get() == square.get());
    say(dynamic_pointer_cast<const Square>(
            typename AnySync::template shared_ptr<const Shape>(new Shape)) == nullptr);
    say(const_pointer_cast<Shape>(shape).use_count());
    say(static_pointer_cast<const Square>(shape).use_count());
    typename AnySync::template shared_ptr<const int> part(square, &square->sides);
    say(*part);
    say(square.use_count());
    shape = nullptr;
    shape.reset(new Square);
    say(shape.use_count());
    other = std::move(other);
    swap(other, other);
    other = std::exchange(other, nullptr);
    say(other.use_count());
    const auto moved = std::move(other);
    say(other == nullptr && moved != nullptr && !other && moved);
    typename AnySync::template weak_ptr<const Square> weak = moved;
    auto observer = weak;
    say(weak.use_count());
    say(observer.lock() == moved);
    observer.reset();
    say(observer.expired() && !weak.expired());
    say((moved <=> moved) == 0);
  }
  {
    typename AnySync::template shared_ptr<int> counted(new int(5), [&deleted](int* object) {
      ++deleted;
      delete object;
    });
    typename AnySync::template weak_ptr<int> weak = counted;
    counted = typename AnySync::template shared_ptr<int>(std::make_unique<int>(6));
    say(deleted);
    say(weak.expired() && weak.lock() == nullptr);
    say(*counted);
    counted = typename AnySync::template shared_ptr<int>(std::unique_ptr<int>());
    say(counted.use_count());
    counted = nullptr;
    counted.reset();
    counted.reset(new int(7));
    say(*counted);
  }
  say(deleted);
  return digits;
}

struct PointerAnswers : Base<1> {
  void thread(int) { outcome(pointer_answers<Sync>().c_str()); }
  void after() {}
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

struct Columns {
  const char* all;          // outcomes, or "!" and a failure
  const char* unpreempted;  // preemption bound 0
  const char* fresh;        // stale_depth = 0
};

struct Row {
  const char* name;
  ScenarioTable table;
  Limits limits;
  Columns expected;
  bool reducible = true;
};

template <class Scenario>
Row row(const char* name, Columns expected, Limits limits = {}) {
  return Row{name, scenario_table<Scenario>(name), limits, expected};
}

Limits with(std::uint32_t spurious, std::uint32_t timeouts = 0, std::uint32_t weak = 0,
            std::uint32_t refused = 0) {
  Limits limits;
  limits.spurious = spurious;
  limits.timeouts = timeouts;
  limits.weak_cas_failures = weak;
  limits.thread_start_failures = refused;
  return limits;
}

// The order with which an owner that goes out of scope gives up its share: where that is, no line
// tells.
Limits demoted(const char* order) {
  Limits limits;
  limits.demotions = {{":0:fetch_sub", order}};
  return limits;
}

std::vector<Row> table() {
  static const std::string answers = pointer_answers<ProductionSync>();
  constexpr Columns freed{"!use after free", "!use after free", "!use after free"};
  std::vector<Row> rows = {
      row<MessagePassing<relaxed, relaxed>>("MP relaxed",
                                            {"00 01 10 11", "00 01 10 11", "00 01 11"}),
      row<MessagePassing<release, acquire>>("MP release/acquire",
                                            {"00 01 11", "00 01 11", "00 01 11"}),
      row<MessagePassing<release, relaxed>>("MP release/relaxed",
                                            {"00 01 10 11", "00 01 10 11", "00 01 11"}),
      row<Publication<release, acquire>>("publication", {"0 1", "0 1", "0 1"}),
      row<Publication<relaxed, acquire>>("publication relaxed store",
                                         {"!data race", "!data race", "!data race"}),
      row<Publication<release, relaxed>>("publication relaxed load",
                                         {"!data race", "!data race", "!data race"}),
      row<StoreBuffering<seq_cst, seq_cst>>("SB seq_cst", {"01 10 11", "01 10", "01 10 11"}),
      row<StoreBuffering<release, acquire>>("SB release/acquire",
                                            {"00 01 10 11", "00 01 10", "01 10 11"}),
      row<LoadBuffering>("LB relaxed (C++ allows 11)", {"00 01 10", "00 01 10", "00 01 10"}),
      row<IndependentReads<seq_cst, seq_cst>>("IRIW seq_cst", {"0", "0", "0"}),
      row<IndependentReads<release, acquire>>("IRIW release/acquire", {"0 1", "0 1", "0"}),
      row<TwoPlusTwoWrites>("2+2W relaxed (C++ allows 11)", {"12 21 22", "12 21", "12 21 22"}),
      row<WriteToReadCausality<release, acquire>>("WRC release/acquire", {"0", "0", "0"}),
      row<WriteToReadCausality<relaxed, relaxed>>("WRC relaxed", {"0 1", "0 1", "0"}),
      row<CumulativeChain<acq_rel>>("WRC published", {"00 10 11", "00 10 11", "00 10 11"}),
      row<CumulativeChain<relaxed>>("WRC broken", {"!data race", "!data race", "!data race"}),
      row<ReadReadCoherence>("CoRR",
                             {"00 01 02 11 12 22", "00 01 02 11 12 22", "00 01 02 11 12 22"}),
      row<ReleaseSequence<relaxed, false>>("release sequence through an RMW",
                                           {"0 1", "0 1", "0 1"}),
      row<ReleaseSequence<relaxed, true>>("release sequence broken by a store",
                                          {"!data race", "!data race", "!data race"}),
      row<SameThreadSequence>("release sequence, same thread (C++20: race)", {"0 1", "0 1", "0 1"}),
      row<StaleCompareExchange>("stale CAS (C++ allows 10)", {"00 01 11", "00 01 11", "00 01 11"}),
      row<WeakCompareExchange>("weak CAS, no failures", {"11", "11", "11"}),
      row<WeakCompareExchange>("weak CAS, one failure", {"01 10 11", "01 10 11", "01 10 11"},
                               with(0, 0, 1)),
      row<WeakCompareExchange>("weak CAS, two failures",
                               {"00 01 10 11", "00 01 10 11", "00 01 10 11"}, with(0, 0, 2)),
      row<Increments>("increments", {"012 102", "012 102", "012 102"}),
      row<LostUpdate>("lost update", {"1 2", "1 2", "1 2"}),
      row<Mutual>("mutual exclusion", {"01 10", "01 10", "01 10"}),
      row<Unguarded>("no mutual exclusion", {"!data race", "!data race", "!data race"}),
      row<LockOrder>("lock order", {"!deadlock", "0", "!deadlock"}),
      row<Waiting<true>>("while around the wait", {"1", "1", "1"}),
      row<Waiting<true>>("while, spurious wake-up", {"1", "1", "1"}, with(1)),
      row<Waiting<false>>("if around the wait", {"1", "1", "1"}),
      row<Waiting<false>>("if, spurious wake-up", {"0 1", "0 1", "0 1"}, with(1)),
      row<Waiting<true, false>>("no notification", {"!deadlock", "!deadlock", "!deadlock"}),
      row<TimedWait<true>>("wait_until, timeouts off", {"000 110", "000 110", "000 110"}),
      row<TimedWait<true>>("wait_until, one timeout",
                           {"000 110 201 211", "000 110 201", "000 110 201 211"}, with(0, 1)),
      row<TimedWait<false>>("wait_until hides nothing", {"!deadlock", "!deadlock", "!deadlock"}),
      row<WrongWaiter<false>>("two waiters, notify_one", {"!deadlock", "!deadlock", "!deadlock"}),
      row<WrongWaiter<true>>("two waiters, notify_all", {"0", "0", "0"}),
      row<Handover<true>>("hand-over by semaphore", {"0 1", "0 1", "1"}),
      row<Handover<false>>("a semaphore orders nothing",
                           {"!data race", "!data race", "!data race"}),
      row<NoToken>("no token", {"!deadlock", "!deadlock", "!deadlock"}),
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
                         with(0, 0, 0, 1)),
      row<Leak>("a leak", {"!memory leak", "!memory leak", "!memory leak"}),
      row<SharedRelease>("shared_ptr, two owners", {"11", "11", "11"}),
      row<SharedRelease>("shared_ptr, ended relaxed", freed, demoted("relaxed")),
      row<SharedRelease>("shared_ptr, ended with release", freed, demoted("release")),
      row<SharedRelease>("shared_ptr, ended with acquire", freed, demoted("acquire")),
      row<SharedVariable<true>>("shared_ptr behind a mutex", {"1 2", "1 2", "1 2"}),
      row<SharedVariable<false>>("shared_ptr behind nothing",
                                 {"!data race", "!data race", "!data race"}),
      row<RawPointer<true>>("a pointer beside its share", {"7", "7", "7"}),
      row<RawPointer<false>>("a pointer without its share", freed),
      row<UseCount<false>>("use_count", {"1 2", "1 2", "1 2"}),
      row<UseCount<true>>("use_count orders nothing", {"!data race", "!data race", "!data race"}),
      row<WeakLock>("weak_ptr against the last owner", {"01 71", "01 71", "01 71"}),
      row<WeakLockOrdersNothing>("weak_ptr orders nothing",
                                 {"!data race", "!data race", "!data race"}),
      row<OwnsItself>("a shared_ptr that owns itself",
                      {"!memory leak", "!memory leak", "!memory leak"}),
      row<OwnedTwice>("two counts of one object", {"!double free", "!double free", "!double free"}),
      row<EmptyPointer>("an empty shared_ptr", {"!check failed", "!check failed", "!check failed"}),
      row<PointerAnswers>("shared_ptr as the standard's",
                          {answers.c_str(), answers.c_str(), answers.c_str()}),
      row<Guards>("guards of a mutex", {"122 212 222", "122 212", "122 212 222"}),
      row<NullPointer>("a null pointer", {"!crash", "!crash", "!crash"}),
      row<Abort>("an abort", {"!crash", "!crash", "!crash"}),
      row<Uncaught>("an exception that nobody catches", {"!crash", "!crash", "!crash"}),
      row<Spin>("a spin loop", {"!livelock", "!livelock", "!livelock"}),
      row<RealTime>("real-time order", {"0 1", "0 1", "0 1"}),
      row<Frozen<false>>("frozen, lock-free", {"2", "2", "2"}),
      row<Frozen<true>>("frozen, behind a lock", {"!blocked", "1", "!blocked"}),
  };
  for (Row& entry : rows) {
    entry.reducible = std::strncmp(entry.name, "frozen", 6) != 0;
  }
  return rows;
}

std::string outcome_text(const Result& result) {
  if (result.verdict == Verdict::refuted) {
    return std::string("!") + failure_name(result.failure);
  }
  if (result.verdict == Verdict::unknown) {
    return "?" + result.reason;
  }
  std::string text;
  for (const std::string& value : result.outcomes) {
    text += (text.empty() ? "" : " ") + value;
  }
  return text;
}

struct Measured {
  std::vector<std::pair<const char*, std::string>> all;  // one for each mode
  std::string unpreempted, fresh;
  std::string random;  // of some executions: nothing that `all` has not
};

Measured measure(const Row& entry) {
  Measured measured;
  Limits limits = entry.limits;
  for (const Mode mode : {Mode::source_sets, Mode::sleep_sets, Mode::plain}) {
    limits.mode = mode;
    if (entry.reducible || mode == Mode::plain) {
      measured.all.emplace_back(mode_name(mode), outcome_text(explore(entry.table, limits)));
    }
  }
  limits.mode = Mode::bounded;
  limits.preemption_bound = 1000;
  measured.all.emplace_back("bounded 1000", outcome_text(explore(entry.table, limits)));
  limits.preemption_bound = 0;
  measured.unpreempted = outcome_text(explore(entry.table, limits));
  limits.mode = entry.reducible ? Mode::source_sets : Mode::plain;
  limits.stale_depth = 0;
  measured.fresh = outcome_text(explore(entry.table, limits));
  limits = entry.limits;
  limits.mode = Mode::random;
  limits.max_executions = 500;
  Result some = explore(entry.table, limits);
  if (some.verdict == Verdict::unknown && some.failure == Failure::none) {
    some.verdict = Verdict::proved;  // not proved, but its outcomes are wanted
  }
  measured.random = outcome_text(some);
  return measured;
}

// Whether each outcome of `some` is one of `all`. What every search refutes, one at random may
// miss.
bool is_part_of(const std::string& some, const std::string& all) {
  std::istringstream words(some);
  std::istringstream known(all);
  const std::set<std::string> expected{std::istream_iterator<std::string>(known), {}};
  return (!all.empty() && all.front() == '!' && some != all &&
          some.find('!') == std::string::npos) ||
         std::all_of(std::istream_iterator<std::string>(words), {},
                     [&expected](const std::string& word) { return expected.count(word) != 0; });
}

// The number of cells that are not as expected.
int compare(const Row& entry, const Measured& measured, const Columns& expected, bool print) {
  int wrong = 0;
  const auto cell = [&](const char* column, const std::string& seen, const char* wanted) {
    if (seen != wanted) {
      ++wrong;
      if (print) {
        std::printf("RED  %-46s %-14s %s, expected %s\n", entry.name, column, seen.c_str(), wanted);
      }
    }
  };
  for (const auto& [mode, seen] : measured.all) {
    cell(mode, seen, expected.all);
  }
  cell("unpreempted", measured.unpreempted, expected.unpreempted);
  cell("fresh", measured.fresh, expected.fresh);
  if (!is_part_of(measured.random, expected.all)) {
    cell("random", measured.random, expected.all);
  }
  return wrong;
}

int run(bool self_test) {
  int wrong = 0;
  int flipped = 0;
  for (const Row& entry : table()) {
    const Measured measured = measure(entry);
    const int here = compare(entry, measured, entry.expected, true);
    wrong += here;
    if (here == 0) {
      std::printf("ok   %-46s %-24s %-24s %s\n", entry.name, entry.expected.all,
                  entry.expected.unpreempted, entry.expected.fresh);
    }
    if (self_test) {
      for (int column = 0; column < 3; ++column) {
        Columns changed = entry.expected;
        (column == 0 ? changed.all : column == 1 ? changed.unpreempted : changed.fresh) = "flipped";
        if (compare(entry, measured, changed, false) <= here) {
          std::printf("RED  %-46s a flipped cell goes unnoticed\n", entry.name);
          ++wrong;
        }
        ++flipped;
      }
      Measured more = measured;
      more.random = *entry.expected.all == '!' ? "!planted" : more.random + " planted";
      if (compare(entry, more, entry.expected, false) <= here) {
        std::printf("RED  %-46s an outcome that only the random search has goes unnoticed\n",
                    entry.name);
        ++wrong;
      }
      ++flipped;
    }
  }
  std::printf("%zu rows, %d wrong cells%s\n", table().size(), wrong,
              self_test ? (", " + std::to_string(flipped) + " flipped cells tried").c_str() : "");
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) {
  const bool self_test = argc > 1 && std::strcmp(argv[1], "--self-test") == 0;
  if (argc > 1 && !self_test) {
    std::fprintf(stderr, "usage: %s [--self-test]\n", argv[0]);
    return 2;
  }
  return kstone::model::run(self_test);
}
