// The faults that the stress program plants: what a sanitizer must report, and policies that the
// replay must find out.

#ifndef KSTONE_TSAN_STRESS_FAULTS_H_
#define KSTONE_TSAN_STRESS_FAULTS_H_

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>

#include "kstone/background_worker.h"
#include "kstone/detail/words/stripe_word.h"
#include "late_sync.h"
#include "recording_sync.h"

namespace kstone::stress {

using trace::Act;

// A mutex that excludes others but orders nothing: what it guards is a race, though it never goes
// wrong on this machine.
struct MutexWithoutOrder : kstone::ProductionSync {
  class KSTONE_CAPABILITY("mutex") mutex {
   public:
    void lock() KSTONE_ACQUIRE() {
      while (taken_.exchange(true, std::memory_order_relaxed)) {
        std::this_thread::yield();
      }
    }
    void unlock() KSTONE_RELEASE() { taken_.store(false, std::memory_order_relaxed); }
    void give_way() KSTONE_REQUIRES(this) {
      unlock();
      lock();
    }

   private:
    std::atomic<bool> taken_{false};
  };
  class condition_variable {
   public:
    void wait(mutex& held) KSTONE_REQUIRES(held) {
      held.unlock();
      std::this_thread::yield();
      held.lock();
    }
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) KSTONE_REQUIRES(held) {
      wait(held);
      return clock::now() < deadline;
    }
    void notify_one() {}
    void notify_all() {}
  };
};

// A request whose step is relaxed.
struct RequestWithoutPublication : kstone::ProductionSync {
  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T fetch_add(T amount, std::memory_order) {
      return std::atomic<T>::fetch_add(amount, std::memory_order_relaxed);
    }
  };
};

// Whoever clears the mark of a node that arrived late lets go of its link without saying so.
struct LateArrivalWithoutRelease : Late<kstone::ProductionSync> {
  struct Word : Late<kstone::ProductionSync>::Word {
    using LateWord::LateWord;
    Word() noexcept = default;
    std::uint64_t fetch_sub(std::uint64_t amount, std::memory_order order) noexcept {
      const bool clears = amount == kstone::detail::StripeWord::under_way_bit;
      return LateWord::fetch_sub(amount, clears ? std::memory_order_relaxed : order);
    }
  };
  template <class T>
  using atomic = std::conditional_t<std::is_same_v<T, std::uint64_t>, Word, std::atomic<T>>;
};

// Whoever gives up what a word holds lets go of the stripe's link without saying so.
struct WithdrawalWithoutRelease : Late<kstone::ProductionSync> {
  struct Word : Late<kstone::ProductionSync>::Word {
    using LateWord::LateWord;
    Word() noexcept = default;
    std::uint64_t exchange(std::uint64_t value, std::memory_order order) noexcept {
      const bool withdraws = order == std::memory_order_release;
      return LateWord::exchange(value, withdraws ? std::memory_order_relaxed : order);
    }
  };
  template <class T>
  using atomic = std::conditional_t<std::is_same_v<T, std::uint64_t>, Word, std::atomic<T>>;
};

// The engine frees what it has of a stripe though `remove` has timed out.
struct FreesTooEarly : Late<kstone::ProductionSync> {
  static constexpr bool frees_too_early = true;
};

// As the recorder, but what is paused is the stripe after the one that was asked for.
struct PausesAnother : Late<kstone::trace::RecordingSync> {
  static constexpr bool pauses_another = true;
};

// As the recorder, but one more compaction is allowed than was asked for.
struct AllowsOneMore : Late<kstone::trace::RecordingSync> {
  static constexpr bool allows_one_more = true;
};

// As the recorder, but every other look at the clock is taken to be later than it was.
struct Hurries : Late<kstone::trace::RecordingSync> {
  struct clock {
    static std::chrono::nanoseconds now() noexcept {
      thread_local bool hurries = false;
      hurries = !hurries;
      return RecordingSync::clock::now() + std::chrono::microseconds(hurries ? 100 : 0);
    }
  };
};

// As the recorder, but its words say something else than they hold; `Fault` says what.
template <class Fault>
struct Lying : Late<kstone::trace::RecordingSync> {
  struct Word : Late<kstone::trace::RecordingSync>::Word {
    using LateWord<kstone::trace::VersionedWord>::LateWord;
    Word() noexcept = default;
    std::uint64_t exchange(std::uint64_t value, std::memory_order order) {
      return Fault::exchanged(value, LateWord::exchange(value, order));
    }
    std::uint64_t fetch_add(std::uint64_t amount, std::memory_order order) {
      return Fault::added(LateWord::fetch_add(amount, order));
    }
    std::uint64_t fetch_sub(std::uint64_t amount, std::memory_order order) {
      return Fault::subtracted(amount, LateWord::fetch_sub(amount, order));
    }
  };
  template <class T>
  using atomic = std::conditional_t<std::is_same_v<T, std::uint64_t>, Word, std::atomic<T>>;
};

struct NoLie {
  static std::uint64_t exchanged(std::uint64_t, std::uint64_t before) { return before; }
  static std::uint64_t added(std::uint64_t before) { return before; }
  static std::uint64_t subtracted(std::uint64_t, std::uint64_t before) { return before; }
};

// Closing a word tells nothing of what stood in it: claimed stripes and those in the list are
// forgotten.
struct ForgetsWhatItCloses : NoLie {
  static std::uint64_t exchanged(std::uint64_t value, std::uint64_t before) {
    return value == kstone::detail::StripeWord::closed_bit ? 0 : before;
  }
};

// Now and then a request is told that there was one before it: nobody lists the stripe.
struct LosesClaims : NoLie {
  static std::uint64_t added(std::uint64_t before) {
    static std::atomic<unsigned> count{0};
    return before == 0 && count.fetch_add(1, std::memory_order_relaxed) % 16 == 0
               ? kstone::detail::StripeWord::one_request
               : before;
  }
};

// A cancel finds nothing in the word that it empties.
struct ForgetsWhatItCancels : NoLie {
  static std::uint64_t exchanged(std::uint64_t value, std::uint64_t before) {
    using Word = kstone::detail::StripeWord;
    const bool cancels = value == (before & Word::running_bit);
    return cancels ? before % Word::one_request : before;
  }
};

// A request of a removed stripe that finds another there is told that this one was accepted.
struct AcceptsWhatIsRemoved : NoLie {
  static std::uint64_t added(std::uint64_t before) {
    const kstone::detail::StripeWord word{before};
    const bool lies = word.removed() && !word.closed() && word.requests() != 0;
    return lies ? before - kstone::detail::StripeWord::removed_bit : before;
  }
};

// A node that arrives late finds no requests, whatever came meanwhile: nobody queues the stripe.
struct LosesLateArrivals : NoLie {
  static std::uint64_t subtracted(std::uint64_t amount, std::uint64_t before) {
    using Word = kstone::detail::StripeWord;
    return amount == Word::under_way_bit ? before % Word::one_request : before;
  }
};

// A thread that goes to sleep wakes at once, without a token.
struct WakesWithoutToken : kstone::trace::RecordingSync {
  struct semaphore : RecordingSync::semaphore {
    void wait() noexcept {
      kstone::trace::add({Act::sleep});
      kstone::trace::add({Act::wake});
    }
  };
  static void check(bool, const char*) {}  // the worker's own would abort it first
};

// A timed wait says that its time has come when it was only notified.
struct TimesOutEarly : kstone::trace::RecordingSync {
  struct condition_variable : RecordingSync::condition_variable {
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) KSTONE_REQUIRES(held) {
      RecordingSync::condition_variable::wait_until(held, deadline);
      return false;
    }
  };
};

// Its tokens are counted in memory that has been given back.
struct CountsInFreedMemory : kstone::ProductionSync {
  struct semaphore : ProductionSync::semaphore {
    void post(std::uint32_t count) noexcept {
      auto owner = std::make_unique<std::uint32_t>(0);
      // So that the compiler does not see what the sanitizer must.
      std::uint32_t* volatile kept = owner.get();
      owner.reset();
      *kept += count;
      ProductionSync::semaphore::post(count);
    }
  };
};

// Its tokens are counted in a number that soon is too small.
struct CountsTooFar : kstone::ProductionSync {
  struct semaphore : ProductionSync::semaphore {
    void post(std::uint32_t count) noexcept {
      thread_local volatile int posted = std::numeric_limits<int>::max();
      posted = posted + static_cast<int>(count);
      ProductionSync::semaphore::post(count);
    }
  };
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_FAULTS_H_
