// What the scheduling core knows of one stripe.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_CORE_STRIPE_H_
#define KSTONE_DETAIL_CORE_STRIPE_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/compaction_types.h"

namespace kstone::detail {

inline constexpr std::uint32_t no_stripe = UINT32_MAX;

struct Stripe {
  // Held: as queued, but kept out of the queue by a pause.
  enum class State : std::uint8_t { idle, queued, held, running };

  std::uint32_t next = no_stripe;      // in its lane
  std::uint32_t previous = no_stripe;  // ... of no account at its head
  std::uint32_t attempts = 0;          // compactions of the episode that runs or ran last
  // Episodes that have ended; wraps. One that ends before an older one, which runs, is not counted.
  std::uint32_t ended = 0;
  State state = State::idle;
  EpisodeEnd last_end = EpisodeEnd::done;  // of the episode that ended last, if any has
  bool has_ended : 1 = false;
  bool rerun_owed : 1 = false;
  bool under_way : 1 = false;  // taken over, or given up, before its node came out of the inbox
  bool removed : 1 = false;
  bool paused : 1 = false;
  bool asked_to_stop : 1 = false;  // running, and cancelled or removed meanwhile
  bool discarded : 1 = false;      // for the report
  bool unfinished : 1 = false;     // for the report
  bool settled : 1 = false;        // its word is closed, and the core has what stood in it
};

static_assert(sizeof(Stripe) == 20, "docs/performance.md says what a stripe costs");

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_STRIPE_H_
