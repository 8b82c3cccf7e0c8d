// What has happened in this execution, for the counter-example: each event, and with Limits::stacks
// the calls that led there.

#ifndef KSTONE_MODEL_EXPLORER_TRACE_H_
#define KSTONE_MODEL_EXPLORER_TRACE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "explorer.h"
#include "explorer/calls.h"
#include "runtime.h"
#include "search/malloc_containers.h"

namespace kstone::model::explorer {

struct Event {
  int thread;
  Operation operation;
  runtime::ObjectId object;
  ObjectKind kind;
  const char* object_name;
  Site site;
  std::memory_order order;
  std::uint64_t value;        // read, written, posted; threads that are woken, started, joined
  std::uint64_t value_after;  // of a read-modify-write
  int calls;                  // to ask Trace for; -1 none
  int read_from;              // the event that wrote what was read; -1 none, -2 the construction
  bool stale;                 // a newer store existed
  bool failed;                // compare-exchange, thread creation
  bool spurious;
  bool after_wait;
};

class Trace {
 public:
  explicit Trace(const Limits& limits);

  void begin_execution();

  // Of the running thread. The caller fills in the values.
  Event& log(Operation operation, runtime::ObjectId object, Site site);
  // The number of the event that is logged next.
  int next() const { return static_cast<int>(events_.size()); }

  // Keeps the calls that led here; the number to ask for them by, -1 if nobody wants them.
  int record_calls() { return keeps_calls_ ? keep_calls() : -1; }
  void note_failure() { failed_calls_ = record_calls(); }

  const MallocVector<Event>& events() const { return events_; }
  const MallocVector<Calls>& calls() const { return calls_; }
  int failed_calls() const { return failed_calls_; }

 private:
  static constexpr unsigned events_per_step = 32;  // unlocks and cell accesses are events too

  int keep_calls();

  const std::size_t most_events_;
  const bool keeps_calls_;
  MallocVector<Event> events_;
  MallocVector<Calls> calls_;
  int failed_calls_ = -1;
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_TRACE_H_
