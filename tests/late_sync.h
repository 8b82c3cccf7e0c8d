// A policy for tests in which a requester is suspended inside its call.

#ifndef KSTONE_TESTS_LATE_SYNC_H_
#define KSTONE_TESTS_LATE_SYNC_H_

#include <atomic>
#include <cstdint>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include "kstone/background_worker.h"
#include "test_support.h"

namespace kstone::test {

// The production policy, and a thread whose push waits: between its step on the stripe's word and
// that on the control word. One `watch` at a time.
struct LateSync : ProductionSync {
  template <class T>
  struct atomic : ProductionSync::atomic<T> {
    using Base = ProductionSync::atomic<T>;
    using Base::Base;
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) noexcept {
      // Of the worker's exchanges only [L1], which pushes, is a release.
      if (success == std::memory_order_release && watch->late == std::this_thread::get_id()) {
        watch->late = std::thread::id();
        watch->suspended.open();
        watch->resume.pass();
      }
      return Base::compare_exchange_weak(expected, desired, success, failure);
    }
  };
  struct Watch {
    Watch() { watch = this; }
    std::atomic<std::thread::id> late;  // the thread whose next push waits
    Gate suspended;
    Gate resume;
    std::vector<atomic<std::uint64_t>*> words;  // of the stripes
  };
  static inline Watch* watch = nullptr;

  template <class Object>
  static void name(Object& object, std::string_view name) {
    if constexpr (std::is_same_v<Object, atomic<std::uint64_t>>) {
      if (name == "word") {
        watch->words.push_back(&object);
      }
    }
  }
};

}  // namespace kstone::test

#endif  // KSTONE_TESTS_LATE_SYNC_H_
