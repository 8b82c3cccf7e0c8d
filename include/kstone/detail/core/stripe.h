// What the scheduling core knows of one stripe.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_CORE_STRIPE_H_
#define KSTONE_DETAIL_CORE_STRIPE_H_

#include "kstone/cxx20.h"

#include <cstdint>

namespace kstone::detail {

inline constexpr std::uint32_t no_stripe = UINT32_MAX;

struct Stripe {
  enum class State : std::uint8_t { idle, queued, running };

  std::uint32_t next = no_stripe;  // in its lane
  std::uint32_t attempts = 0;      // compactions of the episode that runs or ran last
  std::uint32_t ended = 0;         // episodes that have ended; wraps
  State state = State::idle;
  bool rerun_owed = false;
  bool discarded = false;   // for the report
  bool unfinished = false;  // for the report
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_STRIPE_H_
