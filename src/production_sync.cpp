#include "kstone/production_sync.h"

#include <cstdio>
#include <cstdlib>
#include <system_error>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kstone {

#if defined(__linux__)

namespace {

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t), "a futex is a 4-byte word");

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) noexcept {
  // The results are of no use: a wait that returns early looks again, and a wake cannot fail.
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}

}  // namespace

// tokens_ and sleepers_ form a Dekker pair: post() adds a token, then looks for a sleeper; wait() counts itself, then looks
// for a token in the kernel. Both are seq_cst, so one of the two sees the other: [S1] with [S2], which name each other.
void ProductionSync::semaphore::post(std::uint32_t count) noexcept {
  // [S1] seq_cst; pairs with [S2]. A sleeper that this thread does not see has not looked at tokens_ yet, and will find these.
  tokens_.fetch_add(count, std::memory_order_seq_cst);
  // [S3] seq_cst; pairs with [S2].
  if (sleepers_.load(std::memory_order_seq_cst) != 0) {
    futex(tokens_, FUTEX_WAKE_PRIVATE, count);
  }
}

void ProductionSync::semaphore::wait() noexcept {
  for (;;) {
    // Relaxed: a token carries no data (see the policy's contract).
    auto tokens = tokens_.load(std::memory_order_relaxed);
    while (tokens != 0) {
      if (tokens_.compare_exchange_weak(tokens, tokens - 1, std::memory_order_relaxed, std::memory_order_relaxed)) {
        return;
      }
    }
    // [S2] seq_cst; pairs with [S1] and [S3]. The kernel compares tokens_ with 0 after this, under its own lock.
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    futex(tokens_, FUTEX_WAIT_PRIVATE, 0);
    // Relaxed: a count that is too high for a moment costs a system call.
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }
}

#else

void ProductionSync::semaphore::post(std::uint32_t count) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  tokens_ += count;
  token_added_.notify_all();
}

void ProductionSync::semaphore::wait() noexcept {
  std::unique_lock<std::mutex> lock(mutex_);
  while (tokens_ == 0) {
    token_added_.wait(lock);
  }
  --tokens_;
}

#endif

bool ProductionSync::thread::start(void (*entry)(void*), void* argument) noexcept {
  try {
    native_ = std::thread([entry, argument] {
      // A thread that is cancelled while it waits would leave the worker without a word. A job may allow it for itself.
      const detail::CancellationOff off;
#if defined(__linux__)
      // For debuggers and top. By the thread itself: from outside it goes through /proc, which makes its end slower.
      pthread_setname_np(pthread_self(), "kstone");
#endif
      entry(argument);
    });
    return true;
  } catch (const std::exception&) {  // std::system_error, or no memory for the thread's state
    return false;
  }
}

#if defined(__linux__)

ProductionSync::thread::id_type ProductionSync::thread::current_id() noexcept { return syscall(SYS_gettid); }

// A system call for each request would cost twenty times what the request does, so the child is marked when it is made.
ProductionSync::process::process() noexcept {
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { generation_.fetch_add(1, std::memory_order_relaxed); });
  born_ = generation_.load(std::memory_order_relaxed);
}

#endif

void ProductionSync::fail(const char* sentence) noexcept {
  std::fprintf(stderr, "kstone: %s\n", sentence);
  std::abort();
}

}  // namespace kstone
