// The synchronization types that the worker runs on in production.
//
// `basic_background_worker<Sync>` names no atomic, mutex or thread of its own: it takes them from
// `Sync`. This file is the production policy and the only one, beside the adapter for RocksDB, that
// names `std::mutex`, `std::thread` or a clock; `model/` holds the one under which every
// interleaving is explored. A policy has these members:
//
//   atomic<T>           as std::atomic<T>; every operation is given its memory order
//   mutex               lock(), unlock(); give_way(), by its holder: others may have it in between
//   condition_variable  wait(mutex&); wait_until(mutex&, deadline), false once the deadline has
//                       passed; notify_one(), notify_all(). Either wait may wake spuriously.
//   semaphore           post(count), wait(): wait() returns after it consumed one token.
//                       It promises *no* memory ordering: who wakes synchronizes through something
//                       else.
//   thread              start(entry, argument), false if the system refuses; join(); joinable();
//                       id_type; current_id(), which no other thread of the process ever has
//   cell<T>             plain shared data: read() and write() give the reference. Costs nothing
//                       here; the model finds a race on it.
//   shared_ptr<T>       as std::shared_ptr, and weak_ptr<T>, make_shared<T>(arguments...): for
//                       engines that publish snapshots so. The worker shares nothing in this way.
//   clock               now(), nanoseconds since some fixed point, monotonic
//   cancellation_off    while it lives, a cancellation of this thread waits; then all is as before
//   signals_blocked     while it lives, threads are born that take no signals but those of faults
//   process             bind(), once; is_current(): false in a child that was forked since then
//   name(object, text)  what histories call the object; nothing here
//   check(bool, text)   an invariant of the worker; aborts with the text
//   stripes_in_a_hold   at most so many are looked at under one hold of the worker's mutex
//
// Thread safety: as documented at each type.

#ifndef KSTONE_PRODUCTION_SYNC_H_
#define KSTONE_PRODUCTION_SYNC_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#if defined(__linux__)
#include <pthread.h>
#include <signal.h>
#endif

#include "kstone/detail/futex_semaphore.h"
#include "kstone/detail/thread_annotations.h"
#include "kstone/export.h"

namespace kstone {
namespace detail {

// While it lives, pthread_cancel of this thread has to wait: an unwinding out of the middle of a
// wait would leave the worker's accounts wrong and a mutex unlocked twice. What code of the engine
// sets meanwhile ends with it.
class CancellationOff {
#if defined(__linux__)
 public:
  CancellationOff() noexcept {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state_before_);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type_before_);
  }
  ~CancellationOff() {
    pthread_setcanceltype(type_before_, nullptr);
    pthread_setcancelstate(state_before_, nullptr);
  }
  CancellationOff(const CancellationOff&) = delete;
  CancellationOff& operator=(const CancellationOff&) = delete;

 private:
  int state_before_ = 0;
  int type_before_ = 0;
#else
 public:
  ~CancellationOff() {}
#endif
};

#if defined(__linux__)
// The kernel's. It looks at the word and puts the thread to sleep under a lock of its own, which
// wake() takes as well.
struct KSTONE_EXPORT Futex {
  template <class T>
  using atomic = std::atomic<T>;

  void wait(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept;
  void wake(std::atomic<std::uint32_t>& word, std::uint32_t count) noexcept;
};
#endif

}  // namespace detail

struct KSTONE_EXPORT ProductionSync {
  template <class T>
  using atomic = std::atomic<T>;

  class condition_variable;

  // libstdc++'s mutex carries no thread-safety annotations, so clang could not check who holds it.
  class KSTONE_CAPABILITY("mutex") mutex {
   public:
    mutex() = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    void lock() KSTONE_ACQUIRE() {
      if (!native_.try_lock()) {
        // Relaxed, here and below: a hint for whoever holds it.
        waiting_.fetch_add(1, std::memory_order_relaxed);
        native_.lock();
        waiting_.fetch_sub(1, std::memory_order_relaxed);
      }
    }
    void unlock() KSTONE_RELEASE() { native_.unlock(); }

    // Whoever unlocks a mutex and locks it again mostly has it before those that wait. So if
    // somebody waits, the processor goes with it; who comes back from a condition variable is not
    // counted, and has to be quick.
    void give_way() KSTONE_REQUIRES(this) {
      unlock();
      if (waiting_.load(std::memory_order_relaxed) != 0) {
        std::this_thread::yield();
      }
      lock();
    }

   private:
    friend class condition_variable;
    std::mutex native_;
    std::atomic<std::uint32_t> waiting_{0};
  };

  class condition_variable {
   public:
    void wait(mutex& held) KSTONE_REQUIRES(held) {
      const detail::CancellationOff off;
      std::unique_lock<std::mutex> lock(held.native_, std::adopt_lock);
      native_.wait(lock);
      lock.release();
    }

    // False once `deadline` (on `clock`) has passed.
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) KSTONE_REQUIRES(held) {
      const detail::CancellationOff off;
      std::unique_lock<std::mutex> lock(held.native_, std::adopt_lock);
      const auto status = native_.wait_until(lock, std::chrono::steady_clock::time_point(deadline));
      lock.release();
      return status == std::cv_status::no_timeout;
    }

    void notify_one() noexcept { native_.notify_one(); }
    void notify_all() noexcept { native_.notify_all(); }

   private:
    std::condition_variable native_;
  };

  // std::counting_semaphore is not used: libstdc++ 12's can sleep although a token is there.
#if defined(__linux__)
  using semaphore = detail::basic_futex_semaphore<detail::Futex>;
#else
  class semaphore {
   public:
    semaphore() = default;
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    void post(std::uint32_t count) noexcept;
    void wait() noexcept;

   private:
    std::mutex mutex_;
    std::condition_variable token_added_;
    std::uint64_t tokens_ = 0;
  };
#endif

  class thread {
   public:
    // A number of our own. The kernel gives its number away once a thread has ended, and
    // std::thread::id goes to the next thread as soon as one has been joined: a stranger would be
    // taken for a thread of the worker.
    using id_type = std::uint64_t;
    static id_type current_id() noexcept;

    thread() = default;

    // Runs entry(argument) on a new thread; false if the system refuses to create one.
    bool start(void (*entry)(void*), void* argument) noexcept;

    bool joinable() const noexcept { return native_.joinable(); }
    void join() {
      const detail::CancellationOff off;
      native_.join();
    }

   private:
    std::thread native_;
  };

  using cancellation_off = detail::CancellationOff;

  // While it lives, this thread takes no signals but those of faults and profilers, and those that
  // it creates are born so: one that set its own mask would take signals until it has. On Linux.
  class signals_blocked {
   public:
    signals_blocked() noexcept;
    ~signals_blocked();
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;

#if defined(__linux__)
   private:
    sigset_t before_;
#endif
  };

  template <class T>
  class cell {
   public:
    cell() = default;
    template <class Argument>
    explicit cell(Argument&& argument) : value_(std::forward<Argument>(argument)) {}
    cell(const cell&) = delete;
    cell& operator=(const cell&) = delete;

    const T& read() const noexcept { return value_; }
    T& write() noexcept { return value_; }

   private:
    T value_{};
  };

  template <class T>
  using shared_ptr = std::shared_ptr<T>;
  template <class T>
  using weak_ptr = std::weak_ptr<T>;
  template <class T, class... Arguments>
  static std::shared_ptr<T> make_shared(Arguments&&... arguments) {
    return std::make_shared<T>(std::forward<Arguments>(arguments)...);
  }

  struct clock {
    static std::chrono::nanoseconds now() noexcept {
      return std::chrono::duration_cast<std::chrono::nanoseconds>(
          std::chrono::steady_clock::now().time_since_epoch());
    }
  };

  // The process that an object is bound to, any before. Only Linux tells; elsewhere it is always
  // the current one.
  class process {
#if defined(__linux__)
   public:
    // Throws std::bad_alloc if the system has no memory to note whom to tell of forks.
    process();
    // Relaxed, here and below: a child has what its parent had when it was made.
    void bind() noexcept {
      bound_to_.store(generation_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    void unbind() noexcept { bound_to_.store(any, std::memory_order_relaxed); }
    bool is_current() const noexcept {
      const auto bound_to = bound_to_.load(std::memory_order_relaxed);
      return bound_to == any || bound_to == generation_.load(std::memory_order_relaxed);
    }

   private:
    static constexpr std::uint32_t any = 0;
    // Forks between the program's start and this process, plus one; changed in a child before it
    // runs anything but handlers of forks that were registered before the first worker was made.
    static inline std::atomic<std::uint32_t> generation_{1};

    std::atomic<std::uint32_t> bound_to_{any};
#else
   public:
    void bind() noexcept {}
    void unbind() noexcept {}
    bool is_current() const noexcept { return true; }
#endif
  };

  static constexpr std::uint32_t stripes_in_a_hold = 1024;

  template <class Object>
  static void name(const Object&, const char*) noexcept {}

  static void check(bool holds, const char* sentence) noexcept {
    if (!holds) [[unlikely]] {
      fail(sentence);
    }
  }

  [[noreturn]] static void fail(const char* sentence) noexcept;
};

}  // namespace kstone

#endif  // KSTONE_PRODUCTION_SYNC_H_
