// Policies that break what a raise stands on, in one way each: the mark of a stripe (of
// `std::uint8_t`, and nothing else is), the step of a request that merges, and the push of a node
// that says that a stripe was raised.

#ifndef KSTONE_MODEL_WORKER_BROKEN_RAISES_H_
#define KSTONE_MODEL_WORKER_BROKEN_RAISES_H_

#include <cstdint>
#include <type_traits>

#include "broken_sync.h"
#include "relacy_sync.h"

namespace kstone::model {

// The exchange that sets the mark [R1], or that clears it [R2], has another order.
template <std::uint8_t becomes, std::memory_order weaker>
struct MarksWith : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const bool is_it = std::is_same_v<T, std::uint8_t> && value == T{becomes};
      return RelacySync::atomic<T>::exchange(value, is_it ? weaker : order, file, line, function);
    }
  };
};

using RaisesWithoutRelease = MarksWith<1, std::memory_order_acquire>;
using RaisesWithoutAcquire = MarksWith<1, std::memory_order_release>;
using ClearsWithoutAcquire = MarksWith<0, std::memory_order_release>;
using ClearsWithoutRelease = MarksWith<0, std::memory_order_acquire>;

// The step of a request with options [Q2] has another order. No other compare-exchange is acq_rel.
template <std::memory_order weaker>
struct MergesWith : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, KSTONE_MODEL_SITE) {
      return RelacySync::atomic<T>::compare_exchange_weak(
          expected, desired, success == std::memory_order_acq_rel ? weaker : success, failure, file,
          line, function);
    }
  };
};

using MergesWithoutRelease = MergesWith<std::memory_order_acquire>;
using MergesWithoutAcquire = MergesWith<std::memory_order_release>;

// The mark is looked at, and set, in two steps.
struct RaisesInTwoSteps : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      if (!std::is_same_v<T, std::uint8_t> || value == T{}) {
        return Base::exchange(value, order, file, line, function);
      }
      const T before = Base::load(std::memory_order_acquire, file, line, function);
      Base::store(value, std::memory_order_release, file, line, function);
      return before;
    }
  };
};

// A raise does not see that the mark is set.
struct RaisesEachTime : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::exchange(value, order, file, line, function);
      return std::is_same_v<T, std::uint8_t> && value != T{} ? T{} : before;
    }
  };
};

// Whoever takes the node leaves the mark set.
struct KeepsTheMark : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return std::is_same_v<T, std::uint8_t> && value == T{}
                 ? Base::load(std::memory_order_acquire, file, line, function)
                 : Base::exchange(value, order, file, line, function);
    }
  };
};

// The node of a raise wakes nobody.
struct RaisesWakeNobody : RelacySync {
  static inline int silent = -1;  // the thread that has just pushed one

  static bool brings_no_stripe(ControlWord before, ControlWord after) {
    return after.head() != before.head() && after.listed() == before.listed();
  }

  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, KSTONE_MODEL_SITE) {
      // Only [L1] is a release.
      const ControlWord before{static_cast<std::uint64_t>(expected)};
      const bool raise = success == std::memory_order_release && before.sleepers() != 0 &&
                         brings_no_stripe(before, {static_cast<std::uint64_t>(desired)});
      const T wanted = raise ? desired + T{ControlWord::one_sleeper} : desired;
      const bool exchanged =
          Base::compare_exchange_weak(expected, wanted, success, failure, file, line, function);
      silent = exchanged && raise ? RelacySync::thread::current_id() : silent;
      return exchanged;
    }
  };
  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (silent == RelacySync::thread::current_id()) {
        silent = -1;
        return;
      }
      RelacySync::semaphore::post(count, file, line, function);
    }
  };
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_BROKEN_RAISES_H_
