#include "explorer/trace.h"

#include <execinfo.h>

#include "explorer/exploration.h"
#include "watchdog.h"

namespace kstone::model::explorer {

Trace::Trace(const Limits& limits)
    : most_events_(std::size_t{events_per_step} * limits.max_steps), keeps_calls_(limits.stacks) {
  events_.reserve(1024);
}

void Trace::begin_execution() {
  events_.clear();
  calls_.clear();
  failed_calls_ = -1;
}

Event& Trace::log(Operation operation, runtime::ObjectId object, Site site) {
  const Exploration& e = exploration();
  Event event{};
  event.thread = e.threads.current();
  event.operation = operation;
  event.object = object;
  event.kind = e.objects[object].kind;
  event.object_name = e.objects[object].name;
  event.site = site;
  event.read_from = -1;
  event.calls = record_calls();
  watchdog::progress();
  if (events_.size() >= most_events_) {
    fail(Failure::livelock, "more than %zu events: a loop without a step", events_.size());
  }
  events_.push_back(event);
  return events_.back();
}

int Trace::keep_calls() {
  Calls calls;
  calls.count = backtrace(calls.addresses, Calls::most);
  calls_.push_back(calls);
  return static_cast<int>(calls_.size()) - 1;
}

}  // namespace kstone::model::explorer
