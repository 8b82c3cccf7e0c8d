// The word of a stripe: one request is one `fetch_add` on it, and the value before decides the
// answer.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
#define KSTONE_DETAIL_WORDS_STRIPE_WORD_H_

#include "kstone/cxx20.h"

#include <cstdint>

namespace kstone::detail {

// | requests : 60 | removed : 1 | under_way : 1 | running : 1 | closed : 1 |
//
// `requests` counts the calls since a worker thread last took the stripe (and one of the worker's
// own after `more_work`), or, of a word that is closed or removed, those rejected since; else
// *wanted* is `requests != 0`. A count instead of a bit costs nothing (one `lock xadd`) and gives
// the number of coalesced requests without a second counter. A request that finds the word full
// takes its count back, so it never wraps: not within 18 years at a request a nanosecond, and not
// then.
//
// `under_way`: the stripe was taken over, or given up, before its node came out of the inbox. While
// it is set nobody pushes the stripe; whoever pops the node clears it.
//
// `removed`: requests are rejected until the stripe is restored.
struct StripeWord {
  static constexpr std::uint64_t closed_bit = 1;
  static constexpr std::uint64_t running_bit = 2;
  static constexpr std::uint64_t under_way_bit = 4;
  static constexpr std::uint64_t removed_bit = 8;
  static constexpr std::uint64_t one_request = 16;
  // Half of what fits, so that as many calls as there can be threads find room above it.
  static constexpr std::uint64_t full_bit = 1ULL << 63;

  std::uint64_t bits = 0;

  constexpr bool closed() const noexcept { return (bits & closed_bit) != 0; }
  constexpr bool running() const noexcept { return (bits & running_bit) != 0; }
  constexpr bool under_way() const noexcept { return (bits & under_way_bit) != 0; }
  constexpr bool removed() const noexcept { return (bits & removed_bit) != 0; }
  constexpr bool rejects() const noexcept { return (bits & (closed_bit | removed_bit)) != 0; }
  constexpr bool full() const noexcept { return (bits & full_bit) != 0; }
  constexpr std::uint64_t requests() const noexcept { return bits / one_request; }
  constexpr bool wanted() const noexcept { return !rejects() && requests() != 0; }
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
