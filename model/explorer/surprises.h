// What may happen to a thread without anybody's doing: how often it still may in this execution,
// and in how many executions it did.

#ifndef KSTONE_MODEL_EXPLORER_SURPRISES_H_
#define KSTONE_MODEL_EXPLORER_SURPRISES_H_

#include <cstdint>

#include "explorer.h"

namespace kstone::model::explorer {

struct Surprises {
  // Left in this execution.
  std::uint32_t spurious_wake_ups = 0;
  std::uint32_t timeouts = 0;
  std::uint32_t weak_failures = 0;
  std::uint32_t refused_threads = 0;
  // How many stores back the load that is being carried out has gone.
  std::uint32_t stores_back = 0;

  // In this execution ...
  bool saw_stale_load = false;
  bool saw_spurious_wake_up = false;
  bool saw_timeout = false;
  // ... and executions in which it was seen.
  std::uint64_t with_stale_load = 0;
  std::uint64_t with_spurious_wake_up = 0;
  std::uint64_t with_timeout = 0;

  void begin_execution(const Limits& limits) {
    spurious_wake_ups = limits.spurious;
    timeouts = limits.timeouts;
    weak_failures = limits.weak_cas_failures;
    refused_threads = limits.thread_start_failures;
    saw_stale_load = saw_spurious_wake_up = saw_timeout = false;
  }
  void count_execution() {
    with_stale_load += saw_stale_load ? 1 : 0;
    with_spurious_wake_up += saw_spurious_wake_up ? 1 : 0;
    with_timeout += saw_timeout ? 1 : 0;
  }
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_SURPRISES_H_
