// The words of the protocol as the bits that the worker keeps them in.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_LAYOUT_H_
#define KSTONE_PROTOCOL_LAYOUT_H_

#include <cstdint>

#include "kstone/atomic_words.h"
#include "words.h"

namespace kstone::protocol {

inline StripeWord<std::uint64_t, bool> stripe_word_of(std::uint64_t bits) {
  const kstone::StripeWord word{bits};
  return {word.requests(), word.running(), word.closed()};
}
inline std::uint64_t bits_of(const StripeWord<std::uint64_t, bool>& word) {
  return word.requests * kstone::StripeWord::one_request +
         word.running * kstone::StripeWord::running_bit +
         word.closed * kstone::StripeWord::closed_bit;
}

inline ControlWord<std::uint64_t, bool> control_word_of(std::uint64_t bits) {
  const kstone::ControlWord word{bits};
  return {word.head(), word.listed(), word.sleepers(), word.closed()};
}
inline std::uint64_t bits_of(const ControlWord<std::uint64_t, bool>& word) {
  return (word.newest << kstone::ControlWord::head_shift) +
         word.length * kstone::ControlWord::one_listed +
         word.sleepers * kstone::ControlWord::one_sleeper +
         word.closed * kstone::ControlWord::closed_bit;
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_LAYOUT_H_
