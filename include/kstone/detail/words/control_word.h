// The control word, one for the worker: the list of newly accepted stripes (the inbox), the number
// of sleeping worker threads and the closed bit change together in one compare-exchange, so that
// who pushes a stripe learns in the same step whether somebody sleeps; as separate words they would
// need a store-buffering argument and seq_cst.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_WORDS_CONTROL_WORD_H_
#define KSTONE_DETAIL_WORDS_CONTROL_WORD_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/compaction_config.h"

namespace kstone::detail {

// A node of the list, by number: the stripes, then the stripes as other kinds.
struct Node {
  enum class Kind : std::uint8_t {
    stripe,               // it was claimed by a request without options
    stripe_with_options,  // its word says what else is asked
    raised                // its word says more than it did when the stripe was brought
  };
  static constexpr std::uint32_t kinds = 3;

  std::uint32_t stripe_id;
  Kind kind;

  constexpr bool brings_stripe() const noexcept { return kind != Kind::raised; }
  constexpr std::uint32_t number(std::uint32_t stripe_count) const noexcept {
    return static_cast<std::uint32_t>(kind) * stripe_count + stripe_id;
  }
  static constexpr Node of(std::uint32_t number, std::uint32_t stripe_count) noexcept {
    auto kind = 0;  // no division: each dispatch of a stripe comes by
    for (; number >= stripe_count; number -= stripe_count) {
      ++kind;
    }
    return {number, static_cast<Kind>(kind)};
  }
  // Of those links that each stripe has two of: that of its raise comes behind those of all.
  constexpr std::uint32_t link(std::uint32_t stripe_count) const noexcept {
    return brings_stripe() ? stripe_id : stripe_count + stripe_id;
  }
};

// | head : 26 | listed : 25 | sleepers : 12 | closed : 1 |
//
// `head` is the newest node of the list plus one, 0 if the list is empty; `listed` is how many of
// its nodes bring a stripe. (The others say that one was raised; see `Node`.)
struct ControlWord {
  static constexpr unsigned head_width = 26;
  static constexpr unsigned listed_width = 25;
  static constexpr unsigned sleepers_width = 12;

  static constexpr std::uint64_t closed_bit = 1;
  static constexpr std::uint64_t one_sleeper = 2;
  static constexpr std::uint64_t sleepers_mask = ((1ULL << sleepers_width) - 1) << 1;
  static constexpr unsigned listed_shift = 1 + sleepers_width;
  static constexpr std::uint64_t one_listed = 1ULL << listed_shift;
  static constexpr unsigned head_shift = listed_shift + listed_width;

  std::uint64_t bits = 0;

  constexpr bool closed() const noexcept { return (bits & closed_bit) != 0; }
  constexpr std::uint32_t sleepers() const noexcept {
    return static_cast<std::uint32_t>((bits & sleepers_mask) / one_sleeper);
  }
  constexpr std::uint32_t listed() const noexcept {
    return static_cast<std::uint32_t>((bits >> listed_shift) & ((1ULL << listed_width) - 1));
  }
  constexpr std::uint32_t head() const noexcept {
    return static_cast<std::uint32_t>(bits >> head_shift);
  }
  constexpr bool list_is_empty() const noexcept { return head() == 0; }

  // The node becomes the head; one of the sleepers, if there are any, is claimed by whoever
  // installs this value. Which one it is, the semaphore says.
  constexpr ControlWord with_listed(std::uint32_t node, bool brings_stripe) const noexcept {
    return ControlWord{((static_cast<std::uint64_t>(node) + 1) << head_shift) |
                       (bits & ((1ULL << head_shift) - 1))}
        .plus(brings_stripe ? one_listed : 0)
        .with_sleeper_claimed();
  }
  constexpr ControlWord with_list_taken() const noexcept {
    return ControlWord{bits & ((1ULL << listed_shift) - 1)};
  }
  constexpr ControlWord with_sleeper_added() const noexcept { return plus(one_sleeper); }
  constexpr ControlWord with_sleeper_claimed() const noexcept {
    return sleepers() == 0 ? *this : ControlWord{bits - one_sleeper};
  }
  static constexpr ControlWord closed_and_empty() noexcept { return ControlWord{closed_bit}; }

 private:
  constexpr ControlWord plus(std::uint64_t amount) const noexcept {
    return ControlWord{bits + amount};
  }
};

static_assert(Node::kinds * max_stripe_count < (1U << ControlWord::head_width),
              "head holds a node plus one");
static_assert(max_worker_threads < (1U << ControlWord::sleepers_width),
              "every worker thread may sleep");
static_assert(max_stripe_count < (1U << ControlWord::listed_width), "every stripe may be listed");
static_assert(ControlWord::head_shift >= ControlWord::listed_shift + ControlWord::listed_width,
              "listed does not reach head");
static_assert(ControlWord::head_shift <= 64 - ControlWord::head_width,
              "head fits, and no subtraction has wrapped");

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_WORDS_CONTROL_WORD_H_
