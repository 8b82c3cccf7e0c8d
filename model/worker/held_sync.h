// Policies that keep their contract and choose one moment: what the machine may do at any time,
// they do when the scene wants it. Each has one `hold`, of the one execution that runs.

#ifndef KSTONE_MODEL_WORKER_HELD_SYNC_H_
#define KSTONE_MODEL_WORKER_HELD_SYNC_H_

#include "kstone/background_worker.h"
#include "relacy_sync.h"

namespace kstone::model {

// The smallest room that a hold of the mutex can have, so that two stripes need two.
struct OneStripeInAHold : RelacySync {
  static constexpr std::uint32_t stripes_in_a_hold = 1;
};

// The first requester is suspended between claiming a sleeper and posting its token: a post that
// waits.
struct SuspendsFirstRequester : RelacySync {
  struct Hold {
    RelacySync::semaphore post;  // ends the suspension
    RelacySync::semaphore job;
    int first = -1;  // the requester's thread
  };
  static inline Hold* hold = nullptr;

  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == hold->first) {
        hold->post.wait();
      }
      RelacySync::semaphore::post(count, file, line, function);
    }
  };
};

// As above, and among equal threads there is no choice left: each begins once the one before it
// sleeps, and the first tokens go to them in that order. `claimed` has a token once the requester
// is suspended.
struct SuspendsFirstRequesterInOrder : SuspendsFirstRequester {
  static constexpr int workers = 3;
  struct Run {
    void (*entry)(void*) = nullptr;
    void* argument = nullptr;
    int thread = -1;
    bool slept = false;
    RelacySync::semaphore begin;
    RelacySync::semaphore token;
  };
  struct Order {
    Run run[workers];
    RelacySync::semaphore asleep;
    RelacySync::semaphore claimed;
    int started = 0;
    int posted = 0;  // each post follows from the one before

    void put_to_sleep() {
      for (auto& each : run) {
        each.begin.post(1);
        asleep.wait();
      }
    }
  };
  static inline Order* order = nullptr;

  struct thread : RelacySync::thread {
    bool start(void (*entry)(void*), void* argument, KSTONE_MODEL_SITE) {
      auto& run = order->run[order->started++];
      run.entry = entry;
      run.argument = argument;
      return RelacySync::thread::start(
          [](void* of) {
            auto& started = *static_cast<Run*>(of);
            started.thread = RelacySync::thread::current_id();
            started.begin.wait();
            started.entry(started.argument);
          },
          &run, file, line, function);
    }
  };
  struct semaphore : RelacySync::semaphore {
    void wait(KSTONE_MODEL_SITE) {
      for (auto& run : order->run) {
        if (run.thread == RelacySync::thread::current_id() && !run.slept) {
          run.slept = true;
          order->asleep.post(1);
          return run.token.wait(file, line, function);
        }
      }
      RelacySync::semaphore::wait(file, line, function);
    }
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == hold->first) {
        order->claimed.post(1);
        hold->post.wait();
      }
      for (; count > 0 && order->posted < workers; --count) {
        order->run[order->posted++].token.post(1, file, line, function);
      }
      if (count > 0) {
        RelacySync::semaphore::post(count, file, line, function);
      }
    }
  };
};

// The first requester, if it claims its stripe, is suspended before it pushes it: an exchange of
// the control word that waits.
struct SuspendsBetweenSteps : RelacySync {
  struct Hold {
    RelacySync::semaphore suspended;  // has a token from then on
    RelacySync::semaphore push;       // ends the suspension
    int first = -1;                   // the requester's thread, until it was suspended
  };
  static inline Hold* hold = nullptr;

  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using RelacySync::atomic<T>::atomic;
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, KSTONE_MODEL_SITE) {
      // Only [L1] is a release.
      if (success == std::memory_order_release && RelacySync::thread::current_id() == hold->first) {
        hold->first = -1;
        hold->suspended.post(1);
        hold->push.wait();
      }
      return RelacySync::atomic<T>::compare_exchange_weak(expected, desired, success, failure, file,
                                                          line, function);
    }
  };
};

// As above, and the scan's interval passes once `again` has a token; after that it never does.
struct ScansWhileClaimIsSuspended : SuspendsBetweenSteps {
  struct Look {
    RelacySync::semaphore again;
    RelacySync::mutex order;  // a token orders nothing
    bool looked = false;      // of the scan's thread

    void now(KSTONE_MODEL_SITE) {
      order.lock(file, line, function);
      order.unlock(file, line, function);
      again.post(1, file, line, function);
    }
  };
  static inline Look* look = nullptr;

  struct condition_variable : RelacySync::condition_variable {
    bool wait_until(RelacySync::mutex& held, std::chrono::nanoseconds deadline, KSTONE_MODEL_SITE) {
      if (look->looked) {
        return RelacySync::condition_variable::wait_until(held, deadline, file, line, function);
      }
      look->looked = true;
      held.unlock(file, line, function);
      look->again.wait(file, line, function);
      look->order.lock(file, line, function);
      look->order.unlock(file, line, function);
      held.lock(file, line, function);
      return false;
    }
  };
};

// A wait with a limit ends by it, and its thread has the mutex again only after `late` has a token.
struct TimesOutLate : RelacySync {
  struct Hold {
    RelacySync::semaphore late;
    bool times_out = false;          // of the one thread that waits
    void (*entry)(void*) = nullptr;  // of the one worker thread
    void* argument = nullptr;
  };
  static inline Hold* hold = nullptr;

  struct condition_variable : RelacySync::condition_variable {
    bool wait_until(RelacySync::mutex& held, std::chrono::nanoseconds, KSTONE_MODEL_SITE) {
      hold->times_out = true;
      held.unlock(file, line, function);
      hold->late.wait(file, line, function);
      held.lock(file, line, function);
      return false;
    }
  };
};

// As above, and the one worker thread gives the token when it has ended.
struct TimesOutAtThreadEnd : TimesOutLate {
  struct thread : RelacySync::thread {
    bool start(void (*entry)(void*), void* argument, KSTONE_MODEL_SITE) {
      hold->entry = entry;
      hold->argument = argument;
      return RelacySync::thread::start(
          [](void* of) {
            auto& started = *static_cast<Hold*>(of);
            started.entry(started.argument);
            started.late.post(1);
          },
          hold, file, line, function);
    }
  };
};

// The end of the one worker thread destroys objects of the engine that ask the worker something.
// Where joining does not wait, it keeps its contract in all but that.
enum class Joining { waits, does_not_wait };

template <Joining joining>
struct AsksAtThreadEnd : RelacySync {
  struct Hold {
    RelacySync::thread thread;
    basic_background_worker<AsksAtThreadEnd>* worker = nullptr;
    void (*entry)(void*) = nullptr;
    void* argument = nullptr;
  };
  static inline Hold* hold = nullptr;

  struct thread {
    using id_type = RelacySync::thread::id_type;
    bool start(void (*entry)(void*), void* argument, KSTONE_MODEL_SITE) {
      hold->entry = entry;
      hold->argument = argument;
      return hold->thread.start(
          [](void* of) {
            auto& started = *static_cast<Hold*>(of);
            started.entry(started.argument);
            started.worker->is_running();
          },
          hold, file, line, function);
    }
    bool joinable() const { return joining == Joining::waits && hold->thread.joinable(); }
    void join() { hold->thread.join(); }
    static id_type current_id() { return RelacySync::thread::current_id(); }
  };
};

// The thread `looker` looks without the mutex, and nobody notices that it does.
struct LooksWithoutLock : RelacySync {
  static inline int looker = -1;
  static bool looks() { return RelacySync::thread::current_id() == looker; }

  struct mutex : RelacySync::mutex {
    void lock(KSTONE_MODEL_SITE) {
      if (!looks()) {
        RelacySync::mutex::lock(file, line, function);
      }
    }
    void unlock(KSTONE_MODEL_SITE) {
      if (!looks()) {
        RelacySync::mutex::unlock(file, line, function);
      }
    }
    void give_way(KSTONE_MODEL_SITE) {
      unlock(file, line, function);
      lock(file, line, function);
    }
  };
  template <class T>
  struct cell {
    template <class... Arguments>
    explicit cell(Arguments&&... arguments) : value(std::forward<Arguments>(arguments)...) {}
    const T& read() const { return value; }
    T& write() { return value; }
    T value;
  };
};

// Counts the tokens that wake sleepers, but those that main posts, which waits.
struct CountsTokens : RelacySync {
  static inline std::uint32_t posted = 0;  // a sum: the same in every order of independent steps

  struct semaphore : RelacySync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      posted += RelacySync::thread::current_id() == 0 ? 0 : count;
      RelacySync::semaphore::post(count, file, line, function);
    }
  };
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_HELD_SYNC_H_
