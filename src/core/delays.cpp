#include "kstone/detail/core/delays.h"

#include <algorithm>
#include <new>

namespace kstone::detail {

void Delays::add(std::vector<Stripe>& stripes, std::uint32_t id, Time due) noexcept {
  try {
    by_time_.emplace(due, id);
    stripes[id].time.set(due);
    stripes[id].has_due = true;
  } catch (const std::bad_alloc&) {
    together_ = without_memory_.empty() ? due : together_;
    without_memory_.push_back(stripes, id);
  }
}

void Delays::remove(std::vector<Stripe>& stripes, std::uint32_t id) {
  auto& stripe = stripes[id];
  if (stripe.has_due) {
    by_time_.erase({stripe.time.get(), id});
    stripe.has_due = false;
  } else {
    without_memory_.remove(stripes, id);
  }
}

std::optional<Delays::Time> Delays::next() const {
  if (by_time_.empty()) {
    return without_memory_.empty() ? std::nullopt : std::optional(together_);
  }
  const auto time = by_time_.begin()->first;
  return without_memory_.empty() ? time : std::min(time, together_);
}

std::uint32_t Delays::first() const {
  const bool together =
      !without_memory_.empty() && (by_time_.empty() || together_ < by_time_.begin()->first);
  return together ? without_memory_.front() : by_time_.begin()->second;
}

}  // namespace kstone::detail
