// The word of a stripe: one request is one `fetch_add` on it, and the value before decides the
// answer.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
#define KSTONE_DETAIL_WORDS_STRIPE_WORD_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/detail/words/requests.h"
#include "kstone/request_options.h"

namespace kstone::detail {

// | requests : 35 | low : 16 | reasons : 8 | high : 1 | removed : 1 | under_way : 1 | running : 1 |
// closed : 1 |
//
// `requests` counts the calls since a worker thread last took the stripe (and one of the worker's
// own after `more_work`), or, of a word that is closed or removed, those rejected since; else
// *wanted* is `requests != 0`. A count instead of a bit costs nothing (one `lock xadd`) and gives
// the number of coalesced requests without a second counter. A request that finds the word full
// takes its count back, so it never wraps.
//
// `low` counts those of them that were of low priority; `high`: one was of high. `reasons` are
// those of all. A request with none of these is of normal priority, and one `fetch_add`.
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
  static constexpr std::uint64_t high_bit = 16;
  static constexpr unsigned reasons_shift = 5;
  static constexpr unsigned low_shift = 13;
  static constexpr unsigned requests_shift = 29;
  static constexpr std::uint64_t one_low = 1ULL << low_shift;
  static constexpr std::uint64_t low_mask = ((1ULL << requests_shift) - 1) & ~(one_low - 1);
  static constexpr std::uint64_t most_low = low_mask - one_low;  // and one of the worker's own
  static constexpr std::uint64_t one_request = 1ULL << requests_shift;
  // Half of what fits, so that as many calls as there can be threads find room above it.
  static constexpr std::uint64_t full_bit = 1ULL << 63;

  std::uint64_t bits = 0;

  constexpr bool closed() const noexcept { return (bits & closed_bit) != 0; }
  constexpr bool running() const noexcept { return (bits & running_bit) != 0; }
  constexpr bool under_way() const noexcept { return (bits & under_way_bit) != 0; }
  constexpr bool removed() const noexcept { return (bits & removed_bit) != 0; }
  constexpr bool rejects() const noexcept { return (bits & (closed_bit | removed_bit)) != 0; }
  constexpr bool full() const noexcept { return (bits & full_bit) != 0; }
  constexpr std::uint64_t requests() const noexcept { return bits >> requests_shift; }
  constexpr std::uint64_t low() const noexcept { return (bits & low_mask) >> low_shift; }
  constexpr bool high() const noexcept { return (bits & high_bit) != 0; }
  constexpr std::uint8_t reasons() const noexcept {
    return static_cast<std::uint8_t>((bits >> reasons_shift) & 0xFF);
  }
  constexpr bool wanted() const noexcept { return !rejects() && requests() != 0; }

  // All of its requests are, and there are some.
  constexpr bool is_low() const noexcept {
    return (bits & low_mask) != 0 && low() == requests() && !high();
  }
  // Of a word with requests.
  constexpr Priority priority() const noexcept {
    return high() ? Priority::high : is_low() ? Priority::low : Priority::normal;
  }
  constexpr Requests all() const noexcept { return {requests(), priority(), reasons()}; }
  constexpr Requests all_wanted() const noexcept { return wanted() ? all() : Requests(); }

  // With one request more. Where there is no room for it, it is not counted.
  constexpr StripeWord with(RequestOptions options) const noexcept {
    if (rejects()) {
      return StripeWord{full() ? bits : bits + one_request};
    }
    const bool counts_low = options.priority == Priority::low;
    const bool room = !full() && !(counts_low && (bits & low_mask) >= most_low);
    const auto count = one_request + (counts_low ? one_low : 0);
    const auto merged = bits | (options.priority == Priority::high ? high_bit : 0) |
                        (std::uint64_t{options.reasons} << reasons_shift);
    return StripeWord{merged + (room ? count : 0)};
  }
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_WORDS_STRIPE_WORD_H_
