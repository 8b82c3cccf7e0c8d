// What has happened in this execution, for the counter-example: each event, and with Limits::stacks
// the calls that led there.

#ifndef KSTONE_MODEL_EXPLORER_TRACE_H_
#define KSTONE_MODEL_EXPLORER_TRACE_H_

#include <cstddef>
#include <cstdint>

#include "explorer/calls.h"
#include "report.h"
#include "search/malloc_containers.h"

namespace kstone::model::explorer {

class Trace {
 public:
  explicit Trace(const Limits& limits);

  void begin_execution();

  // Of the running thread. The caller fills in the values.
  ReportEvent& log(Operation operation, runtime::ObjectId object, Site site);
  // The number of the event that is logged next.
  int next() const { return static_cast<int>(events_.size()); }

  // Keeps the calls that led here; the number to ask for them by, -1 if nobody wants them.
  int record_calls() { return keeps_calls_ ? keep_calls() : -1; }
  void note_failure() { failed_calls_ = record_calls(); }

  MallocVector<ReportEvent>& events() { return events_; }
  const MallocVector<Calls>& calls() const { return calls_; }
  int failed_calls() const { return failed_calls_; }

 private:
  static constexpr unsigned events_per_step = 32;  // unlocks and cell accesses are events too

  int keep_calls();

  const std::size_t most_events_;
  const bool keeps_calls_;
  MallocVector<ReportEvent> events_;
  MallocVector<Calls> calls_;
  int failed_calls_ = -1;
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_TRACE_H_
