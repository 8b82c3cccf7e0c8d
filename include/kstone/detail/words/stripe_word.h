// The word of a stripe: one request is one `fetch_add` on it, and the value before decides the
// answer.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
#define KSTONE_DETAIL_WORDS_STRIPE_WORD_H_

#include "kstone/cxx20.h"

#include <cstdint>

namespace kstone::detail {

// | requests : 62 | running : 1 | closed : 1 |
//
// `requests` counts the calls since a worker thread last took the stripe, or, once closed, those
// rejected since; while the word is open, *wanted* is `requests != 0`. A count instead of a bit
// costs nothing (one `lock xadd`) and gives the number of coalesced requests without a second
// counter. At one request a nanosecond it would overflow after 146 years.
struct StripeWord {
  static constexpr std::uint64_t closed_bit = 1;
  static constexpr std::uint64_t running_bit = 2;
  static constexpr std::uint64_t one_request = 4;

  std::uint64_t bits = 0;

  constexpr bool closed() const noexcept { return (bits & closed_bit) != 0; }
  constexpr bool running() const noexcept { return (bits & running_bit) != 0; }
  constexpr std::uint64_t requests() const noexcept { return bits / one_request; }
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
