// A policy whose requesters can be late: between a request's two steps, that on its stripe's word
// and that on the control word, the thread does what it was told to do then.
//
// So can be whoever gives up what of a stripe has not begun, between its look at the word and the
// exchange that empties it: then requests may come, which nothing but time lets.
//
// What it adds to the policy below: a look at a thread-local pointer before each compare-exchange,
// and at a number before each exchange, and two relaxed counts of what only the mutex's holder
// does.
//
// Thread safety: as the policy below.

#ifndef KSTONE_TSAN_LATE_SYNC_H_
#define KSTONE_TSAN_LATE_SYNC_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <type_traits>
#include <utility>

#include "kstone/detail/words/stripe_word.h"

namespace kstone::stress {

// What the calling thread does before its next compare-exchange, once; null: nothing. Of a request,
// that is the push.
inline thread_local const std::function<void()>* before_push = nullptr;

// How often the calling thread gives way before its next exchange.
inline thread_local unsigned yields_before_exchange = 0;

// Of all workers: stripes that were marked as under way, and nodes that came out of the inbox then.
inline std::atomic<std::uint64_t> marks{0};
inline std::atomic<std::uint64_t> late_arrivals{0};

template <class Word>
struct LateWord : Word {
  using Word::Word;
  LateWord() noexcept = default;

  bool compare_exchange_weak(std::uint64_t& expected, std::uint64_t desired,
                             std::memory_order success, std::memory_order failure) noexcept {
    if (const auto* wait = std::exchange(before_push, nullptr)) {
      (*wait)();
    }
    return Word::compare_exchange_weak(expected, desired, success, failure);
  }
  std::uint64_t exchange(std::uint64_t value, std::memory_order order) noexcept {
    for (auto left = std::exchange(yields_before_exchange, 0U); left != 0; --left) {
      std::this_thread::yield();
    }
    return Word::exchange(value, order);
  }
  std::uint64_t fetch_add(std::uint64_t amount, std::memory_order order) noexcept {
    count_if(amount == detail::StripeWord::under_way_bit, marks);
    return Word::fetch_add(amount, order);
  }
  std::uint64_t fetch_sub(std::uint64_t amount, std::memory_order order) noexcept {
    count_if(amount == detail::StripeWord::under_way_bit, late_arrivals);
    return Word::fetch_sub(amount, order);
  }

 private:
  static void count_if(bool condition, std::atomic<std::uint64_t>& count) noexcept {
    if (condition) {
      count.fetch_add(1, std::memory_order_relaxed);
    }
  }
};

template <class Base>
struct Late : Base {
  using Word = LateWord<typename Base::template atomic<std::uint64_t>>;
  template <class T>
  using atomic =
      std::conditional_t<std::is_same_v<T, std::uint64_t>, Word, typename Base::template atomic<T>>;
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_LATE_SYNC_H_
