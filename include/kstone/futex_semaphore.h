// The counting semaphore of the production policy, as a template over its futex:
// `model/worker/futex_semaphore.cpp` explores it, `src/` runs it on Linux.
//
// `Futex` has the member template atomic<T>, as a policy does, and
//
//   wait(atomic<std::uint32_t>& word, std::uint32_t value)   sleeps if the word has that value;
//                                                            looking and falling asleep are one
//                                                            step to wake(). May return early.
//   wake(atomic<std::uint32_t>& word, std::uint32_t count)   wakes so many sleepers
//
// Thread safety: post() and wait() may be called from any threads at once. Neither promises any
// memory ordering.

#ifndef KSTONE_FUTEX_SEMAPHORE_H_
#define KSTONE_FUTEX_SEMAPHORE_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>

namespace kstone::detail {

// tokens_ and sleepers_ form a Dekker pair: post() adds a token, then looks for a sleeper; wait()
// counts itself, then looks for a token within the futex. All of these are seq_cst, so one of the
// two sees the other.
template <class Futex>
class basic_futex_semaphore {
 public:
  basic_futex_semaphore() = default;
  basic_futex_semaphore(const basic_futex_semaphore&) = delete;
  basic_futex_semaphore& operator=(const basic_futex_semaphore&) = delete;

  // Adds `count` tokens and wakes as many sleepers. Takes no lock; never blocks.
  void post(std::uint32_t count) noexcept {
    // [S1] seq_cst; pairs with [S2]. A sleeper that this thread does not see has not looked at
    // tokens_ yet, and will find these.
    tokens_.fetch_add(count, std::memory_order_seq_cst);
    // [S3] seq_cst; pairs with [S2].
    if (sleepers_.load(std::memory_order_seq_cst) != 0) {
      futex_.wake(tokens_, count);
    }
  }

  // Blocks until it has consumed a token.
  void wait() noexcept {
    for (;;) {
      // Relaxed: a token carries no data (see the policy's contract).
      std::uint32_t tokens = tokens_.load(std::memory_order_relaxed);
      while (tokens != 0) {
        if (tokens_.compare_exchange_weak(tokens, tokens - 1, std::memory_order_relaxed,
                                          std::memory_order_relaxed)) {
          return;
        }
      }
      // [S2] seq_cst; pairs with [S1] and [S3]. The futex compares tokens_ with 0 after this.
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      futex_.wait(tokens_, 0);
      // Relaxed: a count that is too high for a moment costs a system call.
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }
  }

 private:
  using Word = typename Futex::template atomic<std::uint32_t>;

  Word tokens_{0};
  Word sleepers_{0};
  [[no_unique_address]] Futex futex_;
};

}  // namespace kstone::detail

#endif  // KSTONE_FUTEX_SEMAPHORE_H_
