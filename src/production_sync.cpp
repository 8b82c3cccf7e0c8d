#include "kstone/production_sync.h"

#include <cstdio>
#include <cstdlib>
#include <new>
#include <system_error>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kstone {

#if defined(__linux__)

static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t),
              "a futex is a 4-byte word");

// The results of the system calls are of no use: a wait that returns early looks again, and a wake
// cannot fail.
void detail::Futex::wait(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr,
          nullptr, 0);
}

void detail::Futex::wake(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr,
          nullptr, 0);
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

namespace {

std::atomic<ProductionSync::thread::id_type> threads_known{0};

// 0 until the thread asks. Nothing destroys it, so that it holds for the engine's own thread_local
// objects to the last; and it is in the memory that a thread has from its beginning, where others
// are allocated at their first use if the library was loaded by dlopen.
#if defined(__GLIBC__)
[[gnu::tls_model("initial-exec")]]
#endif
thread_local ProductionSync::thread::id_type own_id = 0;

}  // namespace

ProductionSync::thread::id_type ProductionSync::thread::current_id() noexcept {
  if (own_id == 0) {
    // Relaxed: a number that nobody else has is all that is asked for.
    own_id = threads_known.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  return own_id;
}

bool ProductionSync::thread::start(void (*entry)(void*), void* argument) noexcept {
  try {
    native_ = std::thread([entry, argument] {
      // A thread that is cancelled while it waits would leave the worker without a word. A job may
      // allow it for itself.
      const detail::CancellationOff off;
#if defined(__linux__)
      // For debuggers and top. By the thread itself: from outside it goes through /proc, which
      // makes its end slower.
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

ProductionSync::signals_blocked::signals_blocked() noexcept {
  sigset_t blocked;
  sigfillset(&blocked);
  // What the thread itself has done, where a blocked signal would kill the process or be lost, and
  // what profilers send to each thread.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF}) {
    sigdelset(&blocked, signal);
  }
  pthread_sigmask(SIG_BLOCK, &blocked, &before_);
}

ProductionSync::signals_blocked::~signals_blocked() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

#else

ProductionSync::signals_blocked::signals_blocked() noexcept {}
ProductionSync::signals_blocked::~signals_blocked() {}

#endif

#if defined(__linux__)

// A system call for each request would cost twenty times what the request does, so the child is
// marked when it is made.
ProductionSync::process::process() {
  [[maybe_unused]] static const bool registered = [] {
    if (pthread_atfork(nullptr, nullptr,
                       [] { generation_.fetch_add(1, std::memory_order_relaxed); }) != 0) {
      throw std::bad_alloc();  // the only error there is; the next worker tries again
    }
    return true;
  }();
}

#endif

void ProductionSync::fail(const char* sentence) noexcept {
  std::fprintf(stderr, "kstone: %s\n", sentence);
  std::abort();
}

}  // namespace kstone
