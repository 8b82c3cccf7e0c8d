// Callers that wait for one stripe. Each one's entry stands on its own stack, so nothing is
// allocated.
//
// Thread safety: none; the worker's mutex guards it, and the entries.

#ifndef KSTONE_DETAIL_SHELL_STRIPE_WAITS_H_
#define KSTONE_DETAIL_SHELL_STRIPE_WAITS_H_

#include "kstone/cxx20.h"

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

class StripeWaits {
 public:
  struct Entry {
    Goal goal;
    std::optional<EpisodeEnd> last_end = {};  // once the goal is reached
    Entry* next = nullptr;
  };

  void enter(Entry& entry) {
    entry.next = first_;
    first_ = &entry;
  }
  void leave(const Entry& entry) {
    Entry** link = &first_;
    while (*link != &entry) {
      link = &(*link)->next;
    }
    *link = entry.next;
  }
  // A compaction of the stripe has ended, and with it mostly an episode. Later ones are not the
  // entry's.
  void note_end(std::uint32_t stripe_id, const Stripe& stripe) {
    for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
      if (entry->goal.stripe_id == stripe_id && entry->goal.ended == stripe.ended) {
        entry->last_end = stripe.last_end;
      }
    }
  }

 private:
  Entry* first_ = nullptr;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_STRIPE_WAITS_H_
