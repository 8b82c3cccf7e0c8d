// Snapshots under the model checker: one who writes and one who reads what there was, while the
// worker replaces it.

#include <utility>

#include "kstone/model/gate.h"
#include "snapshot_engine.h"

using namespace kstone::model;

namespace {

template <class Engine>
struct ReadWhileMerging {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 1;  // the worker's
  Engine engine;

  void before() {
    check(engine.open(), "the engine opens");
    engine.put(7, 1);
  }
  void thread(int index) { index == 0 ? engine.put(7, 2) : read(); }
  void read() {
    const auto snapshot = engine.snapshot();
    const int value = snapshot->get(7).value_or(0);
    cover(value == 2 ? "new" : "old");
    check(value != 0 && snapshot->get(7) == value, "what a snapshot has stays");
  }
  void after() {
    engine.close();
    check(engine.snapshot()->get(7) == 2, "the newest value is read");
  }
};

// A planted fault: the pointer outlives the snapshot that it was taken from.
template <class Engine>
struct KeepsThePointer : ReadWhileMerging<Engine> {
  void thread(int index) { index == 0 ? this->engine.put(7, 2) : read(); }
  void read() {
    const auto* const version = this->engine.snapshot().get();
    check(version->get(7).has_value(), "the key is there");
  }
};

// A count of one's own, as engines have that are older than std::shared_ptr. `end` is the order in
// which an owner is given up.
template <class T, std::memory_order end>
class Counted {
 public:
  explicit Counted(T* object) : shared_(new Shared{object}) {}
  Counted(const Counted& other) : shared_(other.shared_) {
    shared_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  Counted& operator=(Counted other) {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~Counted() {
    if (shared_->owners.fetch_sub(1, end) == 1) {
      delete shared_->object;
      delete shared_;
    }
  }
  T* operator->() const { return shared_->object; }

 private:
  struct Shared {
    T* object;
    RelacySync::atomic<int> owners{1};
  };
  Shared* shared_;
};

template <std::memory_order end>
struct CountsItself : RelacySync {
  template <class T>
  using shared_ptr = Counted<T, end>;
  template <class T, class... Arguments>
  static shared_ptr<T> make_shared(Arguments&&... arguments) {
    return shared_ptr<T>(new T(std::forward<Arguments>(arguments)...));
  }
};

using Engine = example::SnapshotEngine<RelacySync>;
template <std::memory_order end>
using CountingEngine = example::SnapshotEngine<CountsItself<end>>;

const auto reading =
    suite<ReadWhileMerging<Engine>>({.name = "read_while_merging", .sometimes = {"old", "new"}});
const auto keeping = suite<KeepsThePointer<Engine>>({.name = "pointer_kept_after_its_snapshot",
                                                     .expected = {Failure::use_after_free},
                                                     .because = "version"});
const auto counting = suite<ReadWhileMerging<CountingEngine<std::memory_order_acq_rel>>>(
    {.name = "count_of_ones_own", .sometimes = {"old", "new"}});
const auto weak = suite<ReadWhileMerging<CountingEngine<std::memory_order_relaxed>>>(
    {.name = "count_of_ones_own_relaxed",
     .expected = {Failure::use_after_free},
     .because = "version: destruction"});

}  // namespace
