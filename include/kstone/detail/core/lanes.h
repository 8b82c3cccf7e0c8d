// The queue: a lane for each priority, in each the oldest stripe first. Which lane is next depends
// on how often its first stripe was passed over.
//
// The age of a stripe is when it entered the queue, by `Stripe::time`. It keeps it when it is
// raised to a higher lane, unless its place there lies deep.
//
// Between two dispatches of stripes that are not younger than one whose lane is open, at most
// `patience` younger ones are dispatched: each passes over the first of its lane, which is no
// younger than it, and a lane that was passed over so often is next, or one with an older first.
//
// Thread safety: none; the scheduling core owns it.

#ifndef KSTONE_DETAIL_CORE_LANES_H_
#define KSTONE_DETAIL_CORE_LANES_H_

#include "kstone/cxx20.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kstone/detail/core/lane.h"
#include "kstone/detail/core/stripe.h"
#include "kstone/request_options.h"

namespace kstone::detail {

class Lanes {
 public:
  using Time = std::chrono::nanoseconds;
  // By priority: stripes of that lane may be taken.
  using Open = std::array<bool, priority_count>;

  explicit Lanes(std::uint32_t patience) : patience_(patience) {}

  std::uint32_t size() const noexcept {
    return size(Priority::low) + size(Priority::normal) + size(Priority::high);
  }
  std::uint32_t size(Priority lane) const noexcept { return at(lane).size(); }
  bool empty() const noexcept { return size() == 0; }
  // *Requires* a lane that is not empty.
  std::uint32_t front(Priority lane) const noexcept { return at(lane).front(); }

  // At the tail of its lane, now, or a nanosecond after the youngest that was there.
  void push_back(std::vector<Stripe>& stripes, std::uint32_t id, Time now);
  // *Requires* a stripe of the queue.
  void remove(std::vector<Stripe>& stripes, std::uint32_t id);
  // To a higher lane, behind those that are older. Its place is looked for from both ends, over so
  // many stripes at most; if it lies deeper, the stripe goes before the last that was looked at
  // from the younger end, and takes over its age: nobody else waits longer for that. How many it
  // passed. *Requires* a stripe of the queue.
  std::uint32_t raise(std::vector<Stripe>& stripes, std::uint32_t id, Priority to,
                      std::uint32_t most);

  // The lane to take from next, if an open one has anything.
  std::optional<Priority> next(const std::vector<Stripe>& stripes, const Open& open) const;
  // The first of that lane, which leaves the queue, and passes over older ones of others that are
  // open.
  std::uint32_t pop(std::vector<Stripe>& stripes, Priority lane, const Open& open);
  // How often the first of the lane was passed over since the lane was served, up to the patience.
  std::uint32_t passed_over(Priority lane) const noexcept {
    return passed_[static_cast<std::size_t>(lane)];
  }
  // The oldest stripe, if there is one.
  std::optional<std::uint32_t> oldest(const std::vector<Stripe>& stripes) const;

 private:
  Lane& at(Priority lane) noexcept { return lanes_[static_cast<std::size_t>(lane)]; }
  const Lane& at(Priority lane) const noexcept { return lanes_[static_cast<std::size_t>(lane)]; }

  std::array<Lane, priority_count> lanes_;
  std::array<std::uint32_t, priority_count> passed_{};
  std::uint32_t patience_;
  Time last_{0};  // when a stripe entered the queue last
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_LANES_H_
