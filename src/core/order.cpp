// The scheduling core: which lane a stripe waits in, and which lanes may be taken from.

#include <algorithm>

#include "kstone/detail/core/scheduling_core.h"

namespace kstone::detail {

std::uint32_t SchedulingCore::raise(std::uint32_t id, Priority priority, std::uint32_t most) {
  auto& stripe = stripes_[id];
  if (!stripe.waits()) {
    stripe.raised = std::max<Priority>(stripe.raised, priority);
    return 0;
  }
  if (priority <= stripe.lane) {
    return 0;
  }
  if (stripe.state == State::queued) {
    return lanes_.raise(stripes_, id, priority, most);
  }
  stripe.lane = priority;  // where it will be queued
  return 0;
}

Effects SchedulingCore::set_limit(std::uint32_t limit) {
  limit_ = limit;
  return reserved_for_high_ != 0 ? wake_to_take() : Effects();
}

// A closed core has no rules but the order: nothing urgent can come any more. Asked several times a
// dispatch.
Lanes::Open SchedulingCore::open_lanes() const {
  if (closed() || (reserved_for_high_ == 0 && max_low_ == 0)) {
    return {true, true, true};
  }
  const auto others = reserved_for_high_ == 0       ? UINT32_MAX
                      : limit_ > reserved_for_high_ ? limit_ - reserved_for_high_
                                                    : 1;
  const bool normal = running_ - running_high_ < others;
  const bool low = normal && (max_low_ == 0 || running_low_ < max_low_);
  return {low, normal, true};
}

std::uint32_t SchedulingCore::waiting_above(std::uint32_t id) const {
  const auto lane = stripes_[id].priority;
  if (paused_ || closed() || lane == Priority::high) {  // closed: the rest would be discarded
    return 0;
  }
  const bool free = running_ < limit_;
  const auto high = free ? 0 : lanes_.size(Priority::high);
  const bool counts_normal = lane == Priority::low && !(free && open_lanes()[1]);
  return high + (counts_normal ? lanes_.size(Priority::normal) : 0);
}

void SchedulingCore::count_running(Priority lane, bool begins) {
  if (lane != Priority::normal) {
    auto& running = lane == Priority::low ? running_low_ : running_high_;
    running += begins ? 1 : UINT32_MAX;
  }
}

}  // namespace kstone::detail
