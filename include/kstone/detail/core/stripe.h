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
  enum class State : std::uint8_t { idle, queued, running };

  std::uint32_t next = no_stripe;  // in its lane
  std::uint32_t attempts = 0;      // compactions of the episode that runs or ran last
  std::uint32_t ended = 0;         // episodes that have ended; wraps
  State state = State::idle;
  EpisodeEnd last_end = EpisodeEnd::done;  // of the episode that ended last, if any has
  bool has_ended : 1 = false;
  bool rerun_owed : 1 = false;
  bool under_way : 1 = false;   // taken over before its node came out of the inbox
  bool discarded : 1 = false;   // for the report
  bool unfinished : 1 = false;  // for the report
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_STRIPE_H_
