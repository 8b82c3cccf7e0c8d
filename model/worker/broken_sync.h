// Policies that break their contract in one way each: for every claim, a scenario of it on one of
// these must fail. (What breaks when a line of the worker itself is changed is the mutants'
// subject.)

#ifndef KSTONE_MODEL_WORKER_BROKEN_SYNC_H_
#define KSTONE_MODEL_WORKER_BROKEN_SYNC_H_

#include <utility>

#include "held_sync.h"
#include "kstone/detail/words/control_word.h"
#include "kstone/detail/words/stripe_word.h"
#include "relacy_sync.h"

namespace kstone::model {

using detail::ControlWord;
using detail::StripeWord;

// A token that is posted does not arrive: who sleeps, sleeps on.
struct LosesTokens : RelacySync {
  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t) {}
  };
};

// ... of those that threads post; those of a shutdown, which the scene calls at its end, do arrive.
struct LosesTokensOfRequests : RelacySync {
  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == 0) {  // main
        RelacySync::semaphore::post(count, file, line, function);
      }
    }
  };
};

// ... of those that are posted one at a time; a shutdown of several threads posts several.
struct LosesSingleTokens : RelacySync {
  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (count != 1) {
        RelacySync::semaphore::post(count, file, line, function);
      }
    }
  };
};

// ... of those that one thread posts, whichever the scene names.
struct LosesTokensOfOne : RelacySync {
  static inline int loser = -1;
  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() != loser) {
        RelacySync::semaphore::post(count, file, line, function);
      }
    }
  };
};

// Notifying wakes nobody.
struct LosesNotifications : RelacySync {
  struct condition_variable : RelacySync::condition_variable {
    void notify_one() {}
    void notify_all() {}
  };
};

// Notifying one wakes nobody.
struct LosesNotificationsOfOne : RelacySync {
  struct condition_variable : RelacySync::condition_variable {
    void notify_one() {}
  };
};

// ... if one thread does it, whichever the scene names.
struct LosesNotificationsOfThread : RelacySync {
  static inline int loser = -1;
  struct condition_variable : RelacySync::condition_variable {
    void notify_one(KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() != loser) {
        RelacySync::condition_variable::notify_one(file, line, function);
      }
    }
  };
};

// Notifying wakes one of those who wait.
struct NotifiesOne : RelacySync {
  struct condition_variable : RelacySync::condition_variable {
    void notify_all(KSTONE_MODEL_SITE) { notify_one(file, line, function); }
  };
};

// The mutex excludes others, and orders nothing: what one holder writes is not published to the
// next.
struct LocksWithoutOrder : RelacySync {
  class mutex {
   public:
    mutex() { free_.post(1); }
    void lock() { free_.wait(); }
    void unlock() { free_.post(1); }
    void give_way() {
      unlock();
      lock();
    }

   private:
    RelacySync::semaphore free_;
  };
  class condition_variable {
   public:
    void wait(mutex& held) {
      own_.lock();
      held.unlock();
      changed_.wait(own_);
      own_.unlock();
      held.lock();
    }
    bool wait_until(mutex& held, std::chrono::nanoseconds) {
      wait(held);
      return true;
    }
    void notify_one() { notify_all(); }
    void notify_all() {
      own_.lock();
      changed_.notify_all();
      own_.unlock();
    }

   private:
    RelacySync::mutex own_;
    RelacySync::condition_variable changed_;
  };
};

// Every atomic operation is relaxed.
struct OrdersNothing : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    static constexpr auto relaxed = std::memory_order_relaxed;

    T load(std::memory_order, KSTONE_MODEL_SITE) const {
      return Base::load(relaxed, file, line, function);
    }
    void store(T value, std::memory_order, KSTONE_MODEL_SITE) {
      Base::store(value, relaxed, file, line, function);
    }
    T exchange(T value, std::memory_order, KSTONE_MODEL_SITE) {
      return Base::exchange(value, relaxed, file, line, function);
    }
    T fetch_add(T value, std::memory_order, KSTONE_MODEL_SITE) {
      return Base::fetch_add(value, relaxed, file, line, function);
    }
    T fetch_sub(T value, std::memory_order, KSTONE_MODEL_SITE) {
      return Base::fetch_sub(value, relaxed, file, line, function);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order, std::memory_order,
                               KSTONE_MODEL_SITE) {
      return Base::compare_exchange_weak(expected, desired, relaxed, relaxed, file, line, function);
    }
  };
};

// What a requester wrote before its call is not published by it.
struct PublishesNoRequest : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    T fetch_add(T value, std::memory_order, KSTONE_MODEL_SITE) {
      return RelacySync::atomic<T>::fetch_add(value, std::memory_order_acquire, file, line,
                                              function);
    }
  };
};

// A request of a stripe that runs is answered, and forgotten.
struct ForgetsReruns : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_add(value, order, file, line, function);
      if (value == StripeWord::one_request && (before & StripeWord::running_bit) != 0) {
        Base::fetch_sub(value, order, file, line, function);
      }
      return before;
    }
  };
};

// A request does not see that its stripe's node is under way.
template <class Sync>
struct OverlooksUnderWay : Sync {
  template <class T>
  struct atomic : Sync::template atomic<T> {
    using Base = typename Sync::template atomic<T>;
    using Base::Base;
    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_add(value, order, file, line, function);
      return value == T{StripeWord::one_request} ? T{before & ~StripeWord::under_way_bit} : before;
    }
  };
};

using OverlooksWhatIsUnderWay = OverlooksUnderWay<SuspendsBetweenSteps>;

// A request does not see that its stripe was removed.
struct OverlooksRemovals : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_add(value, order, file, line, function);
      return before & ~T{StripeWord::removed_bit};
    }
  };
};

// A flag that was raised stays so.
struct KeepsFlags : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    void store(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      if (value != T{}) {
        RelacySync::atomic<T>::store(value, order, file, line, function);
      }
    }
  };
};

// Who holds the mutex does not see what is claimed.
struct OverlooksClaims : SuspendsBetweenSteps {
  template <class T>
  struct atomic : SuspendsBetweenSteps::atomic<T> {
    using Base = SuspendsBetweenSteps::atomic<T>;
    using Base::Base;
    T load(std::memory_order order, KSTONE_MODEL_SITE) const {
      const T value = Base::load(order, file, line, function);
      const auto bits = static_cast<std::uint64_t>(value);
      return bits == StripeWord::one_request || bits == 2 * StripeWord::one_request ? T{} : value;
    }
  };
};

// The scan's interval never passes.
struct NeverScansAgain : ScansWhileClaimIsSuspended {
  struct condition_variable : RelacySync::condition_variable {};
};

// Once a job has failed, what was requested while a compaction ran is forgotten when it ends.
struct ForgetsAfterFailure : RelacySync {
  static inline bool failed = false;  // set by the job of the one worker thread

  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T fetch_sub(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      if (!failed || value != T{StripeWord::running_bit}) {
        return Base::fetch_sub(value, order, file, line, function);
      }
      Base::exchange(T{}, order, file, line, function);
      return value;
    }
  };
};

// A requester that finds two sleepers claims and wakes both.
struct WakesTwo : CountsTokens {
  static inline bool claimed_two = false;  // of the one requester

  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, KSTONE_MODEL_SITE) {
      // Only [L1] is a release.
      const bool two =
          success == std::memory_order_release && ControlWord{expected}.sleepers() == 2;
      const T wanted = two ? desired - T{ControlWord::one_sleeper} : desired;
      const bool exchanged =
          Base::compare_exchange_weak(expected, wanted, success, failure, file, line, function);
      claimed_two = claimed_two || (exchanged && two);
      return exchanged;
    }
  };
  struct semaphore : CountsTokens::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      CountsTokens::semaphore::post(count + (std::exchange(claimed_two, false) ? 1 : 0), file, line,
                                    function);
    }
  };
};

// Closing a word tells nothing of what stood in it: claimed stripes and those in the list are
// forgotten.
struct ForgetsWhatItCloses : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::exchange(value, order, file, line, function);
      return value == T{StripeWord::closed_bit} ? T{} : before;
    }
  };
};

// Who is asked to stop never learns of it.
struct AsksNobody : RelacySync {
  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    void store(T, std::memory_order) {}
  };
};

// Joining does not wait.
struct JoinsNothing : RelacySync {
  struct thread : RelacySync::thread {
    bool joinable() const { return false; }
  };
};

// A thread that could not be created counts as one.
struct CountsRefusedThreads : RelacySync {
  struct thread : RelacySync::thread {
    bool start(void (*)(void*), void*) { return true; }
  };
};

// A thread does not know who it is.
struct KnowsNoThread : RelacySync {
  struct thread : RelacySync::thread {
    static RelacySync::thread::id_type current_id() {
      static int another = -2;
      return another--;
    }
  };
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_BROKEN_SYNC_H_
