// The modelled objects of an execution: what each kind keeps, who has used it, and whether it is
// still alive. What its operations do is in the file of each kind.

#ifndef KSTONE_MODEL_EXPLORER_OBJECTS_H_
#define KSTONE_MODEL_EXPLORER_OBJECTS_H_

#include <cstdint>

#include "explorer/happens_before.h"
#include "runtime.h"
#include "search/accesses.h"

namespace rl {
struct atomic_data;
}

namespace kstone::model::explorer {

using runtime::ObjectId;

struct Object {
  static constexpr int store_history = 3;  // rl::atomic_history_size

  ObjectKind kind;
  bool alive;
  const void* address;
  const char* name;

  // Atomic: the values that Relacy's history stands for, and the events that wrote them.
  rl::atomic_data* data;
  std::uint64_t stores[store_history];
  int writers[store_history];
  unsigned newest;
  // Mutex: -1 if free; since when it is held, and what the next owner is ordered after.
  int owner;
  Site locked_at;
  Timestamps released;
  std::uint32_t tokens;  // semaphore
  ThreadSet waiters;     // condition variable

  // Every use, and every write of a cell, as a plain variable: what is not ordered with it is a
  // race.
  Timestamps reads, writes;
  Site read_at[max_threads], write_at[max_threads];
  Operation read_by[max_threads], write_by[max_threads];
};

class Objects {
 public:
  void begin_execution();

  ObjectId add(ObjectKind kind, const void* address, const char* name);
  Object& operator[](ObjectId id) { return objects_[id]; }
  const Object& operator[](ObjectId id) const { return objects_[id]; }
  ObjectId count() const { return count_; }
  // Whether this address still is the object that it claims to be: its memory may hold anything.
  bool is_alive(ObjectId id, const void* address) const {
    return was_at(id, address) && objects_[id].alive;
  }
  bool was_at(ObjectId id, const void* address) const {
    return id < count_ && objects_[id].address == address;
  }

  // What steps touch besides the scenario's own objects.
  ObjectId thread_table() const { return thread_table_; }
  ObjectId wake_up_limit() const { return wake_up_limit_; }
  ObjectId clock() const { return clock_; }

 private:
  static constexpr int max_objects = 4096;  // each shared_ptr, temporaries too, is one

  Object objects_[max_objects];
  ObjectId count_ = 0;
  ObjectId thread_table_ = 0, wake_up_limit_ = 0, clock_ = 0;
};

// Its name in messages, in `buffer`.
const char* object_text(ObjectId id, char (&buffer)[64]);

// Every operation asks this first, and again when its step has been chosen.
void check_alive(ObjectId id, const void* address, Operation operation, Site site);

// The object for an operation that has been chosen: it must be alive, and the operation ordered
// after whatever it may not race with.
Object& use(ObjectId id, const void* address, Operation operation, Site site);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_OBJECTS_H_
