// What no history tells: whether a program met a stripe that was taken over, and a node that
// arrived late. A `Sync` that looks at the stripe words' operations as they pass.

#ifndef KSTONE_PROPTESTS_PROGRAMS_OBSERVED_SYNC_H_
#define KSTONE_PROPTESTS_PROGRAMS_OBSERVED_SYNC_H_

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "kstone/detail/words/stripe_word.h"
#include "relacy_sync.h"

namespace kstone::programs {

enum class Met { adoption, late_running, late_requested, late_without_request, request_under_way };
inline constexpr const char* names_of_met[] = {
    "inside: a stripe is taken over",
    "inside: a node arrives late, its stripe runs",
    "inside: a node arrives late, its stripe has requests",
    "inside: a node arrives late, its stripe has none",
    "inside: a request leaves its stripe to the node under way",
};

// In any execution of the program that is explored.
inline bool met_[std::size(names_of_met)] = {};
inline void meet(Met what) { met_[static_cast<int>(what)] = true; }

template <class Sync>
struct Observed : Sync {
  template <class T>
  struct atomic : Sync::template atomic<T> {
    using Base = typename Sync::template atomic<T>;
    using Base::Base;

    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_add(value, order, file, line, function);
      if constexpr (std::is_same_v<T, std::uint64_t>) {
        const detail::StripeWord word{before};
        if (value == detail::StripeWord::under_way_bit) {
          meet(Met::adoption);
        } else if (value == detail::StripeWord::one_request && word.under_way() &&
                   !word.running() && word.requests() == 0) {
          meet(Met::request_under_way);
        }
      }
      return before;
    }
    T fetch_sub(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_sub(value, order, file, line, function);
      if constexpr (std::is_same_v<T, std::uint64_t>) {
        const detail::StripeWord word{before};
        if (value == detail::StripeWord::under_way_bit) {
          meet(word.running()         ? Met::late_running
               : word.requests() != 0 ? Met::late_requested
                                      : Met::late_without_request);
        }
      }
      return before;
    }
  };
};

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_OBSERVED_SYNC_H_
