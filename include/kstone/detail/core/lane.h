// A lane of the queue: stripes that wait, first in, first out. The links lie in the stripes, of
// which each is in one lane at most, so a lane allocates nothing.
//
// Thread safety: none; the scheduling core owns it.

#ifndef KSTONE_DETAIL_CORE_LANE_H_
#define KSTONE_DETAIL_CORE_LANE_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "kstone/detail/core/stripe.h"

namespace kstone::detail {

class Lane {
 public:
  bool empty() const noexcept { return head_ == no_stripe; }
  // `no_stripe` if it is empty.
  std::uint32_t front() const noexcept { return head_; }
  std::uint32_t back() const noexcept { return empty() ? no_stripe : tail_; }
  std::uint32_t size() const noexcept { return size_; }

  void push_back(std::vector<Stripe>& stripes, std::uint32_t id) {
    (empty() ? head_ : stripes[tail_].next) = id;
    stripes[id].previous = tail_;
    tail_ = id;
    ++size_;
  }

  // `next` is one of the lane, or `no_stripe`: at the tail.
  void insert_before(std::vector<Stripe>& stripes, std::uint32_t next, std::uint32_t id) {
    if (next == no_stripe) {
      push_back(stripes, id);
      return;
    }
    stripes[id].next = next;
    stripes[id].previous = stripes[next].previous;
    (next == head_ ? head_ : stripes[stripes[next].previous].next) = id;
    stripes[next].previous = id;
    ++size_;
  }

  // *Requires* a stripe of the lane.
  void remove(std::vector<Stripe>& stripes, std::uint32_t id) {
    const auto next = std::exchange(stripes[id].next, no_stripe);
    const auto previous = stripes[id].previous;
    (id == head_ ? head_ : stripes[previous].next) = next;
    (id == tail_ ? tail_ : stripes[next].previous) = previous;
    --size_;
  }

  // *Requires* a lane that is not empty.
  std::uint32_t pop_front(std::vector<Stripe>& stripes) {
    const auto id = head_;
    remove(stripes, id);
    return id;
  }

 private:
  std::uint32_t head_ = no_stripe;
  std::uint32_t tail_ = no_stripe;  // of no account in an empty lane
  std::uint32_t size_ = 0;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_LANE_H_
