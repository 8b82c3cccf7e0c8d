// What the scenario says of its executions: events that it covers, and outcomes.

#ifndef KSTONE_MODEL_EXPLORER_OBSERVATIONS_H_
#define KSTONE_MODEL_EXPLORER_OBSERVATIONS_H_

#include <cstdint>

#include "explorer.h"
#include "search/malloc_containers.h"

namespace kstone::model::explorer {

class Observations {
 public:
  void begin_execution();
  void cover(const char* event);
  void outcome(const char* text);
  // The execution is one of those that count.
  void count_execution(std::uint32_t preemptions);

  void put_into(Result& result) const;

 private:
  static constexpr int max_events = 64;

  const char* events_[max_events];
  int event_count_ = 0;
  std::uint64_t covered_ = 0;  // in this execution: a bit for each event
  std::uint64_t executions_ = 0;
  std::uint64_t occurred_[max_events] = {};

  bool has_outcome_ = false;  // of this execution
  MallocString outcome_;
  MallocMap<MallocString, std::uint32_t> outcomes_;  // and the fewest preemptions of each
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_OBSERVATIONS_H_
