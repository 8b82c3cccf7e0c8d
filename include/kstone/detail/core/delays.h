// The stripes that wait for a time of their own, by that time. Those that there is no memory for
// wait together, for the time of the first of them.
//
// Thread safety: none; the scheduling core owns it.

#ifndef KSTONE_DETAIL_CORE_DELAYS_H_
#define KSTONE_DETAIL_CORE_DELAYS_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "kstone/detail/core/lane.h"
#include "kstone/detail/core/stripe.h"

namespace kstone::detail {

class Delays {
 public:
  using Time = std::chrono::nanoseconds;  // since some fixed point

  // *Requires* a stripe that is in no lane, whose links are free.
  void add(std::vector<Stripe>& stripes, std::uint32_t id, Time due) noexcept;
  // *Requires* one that was added.
  void remove(std::vector<Stripe>& stripes, std::uint32_t id);

  // When the first is due, and which it is.
  std::optional<Time> next() const;
  std::uint32_t first() const;  // *Requires* that there is one

  std::uint32_t size() const noexcept {
    return static_cast<std::uint32_t>(by_time_.size()) + without_memory_.size();
  }

 private:
  std::set<std::pair<Time, std::uint32_t>> by_time_;
  Lane without_memory_;
  Time together_{0};
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_DELAYS_H_
