// Callers that wait for compactions or episodes to end. Each one's entry stands on its own stack,
// so nothing is allocated.
//
// Thread safety: none; the worker's mutex guards it, and the entries.

#ifndef KSTONE_DETAIL_SHELL_WAITS_H_
#define KSTONE_DETAIL_SHELL_WAITS_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kstone/compaction_types.h"
#include "kstone/detail/core/stripe.h"

namespace kstone::detail {

// What a wait waits for: `stripe_id` has ended that many episodes.
struct Goal {
  std::uint32_t stripe_id;
  std::uint32_t ended;

  // The counter wraps; at most two episodes of a stripe are alive, so the distance tells.
  bool is_reached(const Stripe& stripe) const {
    return static_cast<std::int32_t>(stripe.ended - ended) >= 0;
  }
};

class Waits {
 public:
  struct Entry {
    // In ascending order of stripes; none if something else is waited for.
    Goal* goals = nullptr;
    std::size_t count = 0;
    std::optional<EpisodeEnd> last_end = {};  // of one goal, once it is reached
    WhenDelayed when_delayed = WhenDelayed::answer;
    Entry* next = nullptr;
  };

  void enter(Entry& entry) {
    entry.next = first_;
    first_ = &entry;
    ++size_;
  }
  void leave(const Entry& entry) {
    Entry** link = &first_;
    while (*link != &entry) {
      link = &(*link)->next;
    }
    *link = entry.next;
    --size_;
  }
  std::uint32_t size() const noexcept { return size_; }

  // An episode of the stripe has ended, mostly. Later ones are not the entry's.
  void note_end(std::uint32_t stripe_id, const Stripe& stripe) {
    for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
      if (entry->count == 1 && entry->goals->stripe_id == stripe_id &&
          entry->goals->ended == stripe.ended) {
        entry->last_end = stripe.last_end;
      }
    }
  }
  // The episode behind the running one has ended before it. Who waits for both waits for the
  // running one only; the next to be opened has the number anew.
  void note_early_end(std::uint32_t stripe_id, const Stripe& stripe) {
    for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
      auto* const end = entry->goals + entry->count;
      auto* const goal =
          std::lower_bound(entry->goals, end, stripe_id,
                           [](const Goal& each, std::uint32_t id) { return each.stripe_id < id; });
      if (goal != end && goal->stripe_id == stripe_id && goal->ended == stripe.ended + 2) {
        --goal->ended;
      }
    }
  }

 private:
  Entry* first_ = nullptr;
  std::uint32_t size_ = 0;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_WAITS_H_
