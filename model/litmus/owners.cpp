// shared_ptr and weak_ptr: what owners give up is ordered, and nothing else is.

#include <memory>
#include <string>
#include <utility>

#include "kstone/production_sync.h"
#include "litmus/row.h"

namespace kstone::model::litmus {

namespace {

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

// The order with which an owner that goes out of scope gives up its share: where that is, no line
// tells.
Limits demoted(const char* order) {
  Limits limits;
  limits.demotions = {{":0:fetch_sub", order}};
  return limits;
}

}  // namespace

std::vector<Row> owners() {
  static const std::string answers = pointer_answers<ProductionSync>();
  constexpr Columns freed{"!use after free", "!use after free", "!use after free"};
  return {
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
  };
}

}  // namespace kstone::model::litmus
