// The words of the protocol as the bits that the worker keeps them in.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_LAYOUT_H_
#define KSTONE_PROTOCOL_LAYOUT_H_

#include <cstdint>

#include "kstone/detail/words/control_word.h"
#include "kstone/detail/words/stripe_word.h"
#include "words.h"

namespace kstone::protocol {

inline StripeWord<std::uint64_t, bool> stripe_word_of(std::uint64_t bits) {
  const kstone::detail::StripeWord word{bits};
  return {word.requests(), word.running(), word.closed(), word.under_way(),
          word.removed(),  word.low(),     word.high(),   word.reasons()};
}
inline std::uint64_t bits_of(const StripeWord<std::uint64_t, bool>& word) {
  return word.requests * kstone::detail::StripeWord::one_request +
         word.low * kstone::detail::StripeWord::one_low +
         word.high * kstone::detail::StripeWord::high_bit +
         (word.reasons << kstone::detail::StripeWord::reasons_shift) +
         word.removed * kstone::detail::StripeWord::removed_bit +
         word.under_way * kstone::detail::StripeWord::under_way_bit +
         word.running * kstone::detail::StripeWord::running_bit +
         word.closed * kstone::detail::StripeWord::closed_bit;
}

inline ControlWord<std::uint64_t, bool> control_word_of(std::uint64_t bits) {
  const kstone::detail::ControlWord word{bits};
  return {word.head(), word.listed(), word.sleepers(), word.closed()};
}
inline std::uint64_t bits_of(const ControlWord<std::uint64_t, bool>& word) {
  return (word.newest << kstone::detail::ControlWord::head_shift) +
         word.length * kstone::detail::ControlWord::one_listed +
         word.sleepers * kstone::detail::ControlWord::one_sleeper +
         word.closed * kstone::detail::ControlWord::closed_bit;
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_LAYOUT_H_
