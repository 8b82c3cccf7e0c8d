// What a step touches, which two steps conflict by, and sets of threads.

#ifndef KSTONE_MODEL_SEARCH_ACCESSES_H_
#define KSTONE_MODEL_SEARCH_ACCESSES_H_

#include <cstdint>

#include "runtime.h"

namespace kstone::model {

inline constexpr int max_threads = 8;
using ThreadSet = std::uint32_t;

inline ThreadSet only(int thread) { return ThreadSet{1} << thread; }

// Ends the run with an error of the model; whoever runs the executions defines it.
[[noreturn]] void exceeds_limit(const char* sentence);

// What one step touches.
struct Accesses {
  static constexpr int capacity = 6;
  struct Entry {
    runtime::ObjectId object;
    runtime::Access access;
    ObjectKind kind;
    bool modifies;  // an atomic read-modify-write or store: for the planted faults only
  };
  Entry entries[capacity];
  int count = 0;

  void add(runtime::ObjectId object, runtime::Access access, ObjectKind kind,
           bool modifies = false) {
    for (int i = 0; i < count; ++i) {
      if (entries[i].object == object) {
        if (entries[i].access != access) {
          entries[i].access = runtime::Access::write;
        }
        entries[i].modifies = entries[i].modifies || modifies;
        return;
      }
    }
    if (count == capacity) {
      static_assert(capacity == 6);
      exceeds_limit("a step touches more than 6 objects: with_next_step() was called for too many");
    }
    entries[count++] = Entry{object, access, kind, modifies};
  }

  bool covers(runtime::ObjectId object, runtime::Access access) const {
    for (int i = 0; i < count; ++i) {
      if (entries[i].object == object) {
        return entries[i].access == runtime::Access::write || entries[i].access == access;
      }
    }
    return false;
  }
};

// What the search sees of a thread at a scheduling point.
struct ThreadView {
  Accesses accesses;
  // In a wait it can leave on its own: switching away from it is no preemption.
  bool waiting = false;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_ACCESSES_H_
