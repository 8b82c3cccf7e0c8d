// The production policy, recorded: every transition of a word, every hold of the mutex, every
// token, notification and thread goes to the log of the thread that acts.
//
// Production does not instantiate it, so it costs nothing there. What it adds to the worker that it
// watches: words of 16 bytes, whose upper half counts the transitions and changes in the same step
// and with the same memory order; an exchange that is a loop around a compare-exchange; a number in
// the mutex, changed by its holder. Threads share nothing else, so the recorder orders nothing that
// the worker leaves unordered, except that it takes time. The words that `Sync::name` does not
// name, counters of the statistics, are as wide and not recorded.
//
// Thread safety: as the production policy.

#ifndef KSTONE_TSAN_RECORDING_SYNC_H_
#define KSTONE_TSAN_RECORDING_SYNC_H_

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

#include "kstone/production_sync.h"
#include "trace.h"

namespace kstone::trace {

class VersionedWord {
 public:
  VersionedWord() noexcept = default;
  explicit VersionedWord(std::uint64_t value) noexcept : pair_(value) {}
  VersionedWord(const VersionedWord&) = delete;
  VersionedWord& operator=(const VersionedWord&) = delete;

  std::uint64_t load(std::memory_order order) const noexcept {
    return seen(__atomic_load_n(&pair_, number(order)));
  }

  // Before the word is shared: a value that it begins with, and no transition.
  void store(std::uint64_t value, std::memory_order order) noexcept {
    __atomic_store_n(&pair_, Pair{value}, number(order));
  }

  std::uint64_t exchange(std::uint64_t value, std::memory_order order) noexcept {
    Pair before = __atomic_load_n(&pair_, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&pair_, &before, next(before, value), true, number(order),
                                        __ATOMIC_RELAXED)) {
    }
    return changed(before, value);
  }

  // The value never overflows, nor falls below 0: the halves do not touch.
  std::uint64_t fetch_add(std::uint64_t amount, std::memory_order order) noexcept {
    const Pair before = __atomic_fetch_add(&pair_, one_version + amount, number(order));
    return changed(before, value_of(before) + amount);
  }
  std::uint64_t fetch_sub(std::uint64_t amount, std::memory_order order) noexcept {
    const Pair before = __atomic_fetch_add(&pair_, one_version - amount, number(order));
    return changed(before, value_of(before) - amount);
  }

  // Fails only if the value is another one: a version that has moved on while the value came back
  // is no failure.
  bool compare_exchange_weak(std::uint64_t& expected, std::uint64_t desired,
                             std::memory_order success, std::memory_order failure) noexcept {
    Pair before = __atomic_load_n(&pair_, number(failure));
    while (value_of(before) == expected) {
      if (__atomic_compare_exchange_n(&pair_, &before, next(before, desired), true, number(success),
                                      number(failure))) {
        changed(before, desired);
        return true;
      }
    }
    expected = seen(before);
    return false;
  }

 private:
  friend struct RecordingSync;
  __extension__ typedef unsigned __int128 Pair;  // | version : 64 | value : 64 |
  static constexpr Pair one_version = Pair{1} << 64;
  static constexpr std::uint32_t unnamed = control_object - 1;

  static constexpr int number(std::memory_order order) noexcept { return static_cast<int>(order); }
  static constexpr std::uint64_t value_of(Pair pair) noexcept {
    return static_cast<std::uint64_t>(pair);
  }
  static constexpr std::uint64_t version_of(Pair pair) noexcept {
    return static_cast<std::uint64_t>(pair >> 64);
  }
  static constexpr Pair next(Pair before, std::uint64_t value) noexcept {
    return (Pair{version_of(before) + 1} << 64) | value;
  }

  std::uint64_t seen(Pair pair) const noexcept {
    if (object_ != unnamed) {
      add({Act::load, 0, object_, version_of(pair), 0, value_of(pair)});
    }
    return value_of(pair);
  }
  std::uint64_t changed(Pair before, std::uint64_t after) const noexcept {
    if (object_ != unnamed) {
      add({Act::transition, 0, object_, version_of(before) + 1, value_of(before), after});
    }
    return value_of(before);
  }

  alignas(16) Pair pair_ = 0;
  mutable std::uint32_t object_ = unnamed;  // set before the word is shared
};

struct RecordingSync : ProductionSync {
  template <class T>
  using atomic =
      std::conditional_t<std::is_same_v<T, std::uint64_t>, VersionedWord, std::atomic<T>>;

  struct clock {
    static std::chrono::nanoseconds now() noexcept {
      const auto time = ProductionSync::clock::now();
      add({Act::clock, 0, 0, 0, 0, static_cast<std::uint64_t>(time.count())});
      return time;
    }
  };

  class condition_variable;

  class KSTONE_CAPABILITY("mutex") mutex : public ProductionSync::mutex {
   public:
    void lock() KSTONE_ACQUIRE() {
      ProductionSync::mutex::lock();
      locked(Change::none, true);
    }
    void unlock() KSTONE_RELEASE() {
      unlocks(Change::none);
      ProductionSync::mutex::unlock();
    }
    void give_way() KSTONE_REQUIRES(this) {
      unlock();
      lock();
    }

   private:
    friend class condition_variable;
    friend struct RecordingSync;
    void locked(Change after, bool in_time) {
      if (!is_recorded_) {
        return;
      }
      add({Act::lock, 0, static_cast<std::uint32_t>(after), ++holds_, 0, in_time});
    }
    void unlocks(Change awaited) {
      if (is_recorded_) {
        add({Act::unlock, 0, static_cast<std::uint32_t>(awaited), holds_, 0, 0});
      }
    }

    std::uint64_t holds_ = 0;  // guarded by the mutex itself
    // The worker's; not those of the stops of its threads. Set before it is shared.
    mutable bool is_recorded_ = false;
  };

  class condition_variable : public ProductionSync::condition_variable {
   public:
    void wait(mutex& held) KSTONE_REQUIRES(held) {
      held.unlocks(change_);
      ProductionSync::condition_variable::wait(held);
      held.locked(change_, true);
    }
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) KSTONE_REQUIRES(held) {
      held.unlocks(change_);
      const bool in_time = ProductionSync::condition_variable::wait_until(held, deadline);
      held.locked(change_, in_time);
      return in_time;
    }
    void notify_one() noexcept {
      notifies(0);
      ProductionSync::condition_variable::notify_one();
    }
    void notify_all() noexcept {
      notifies(1);
      ProductionSync::condition_variable::notify_all();
    }

   private:
    friend struct RecordingSync;
    void notifies(std::uint64_t all) noexcept {
      if (change_ != Change::none) {
        add({Act::notify, 0, static_cast<std::uint32_t>(change_), 0, 0, all});
      }
    }

    mutable Change change_ = Change::none;  // of the worker's; else none
  };

  class semaphore : public ProductionSync::semaphore {
   public:
    void post(std::uint32_t count) noexcept {
      add({Act::post, 0, 0, 0, 0, count});
      ProductionSync::semaphore::post(count);
    }
    void wait() noexcept {
      add({Act::sleep});
      ProductionSync::semaphore::wait();
      add({Act::wake});
    }
  };

  class thread : public ProductionSync::thread {
   public:
    // The child's log belongs to its parent; it reaches the child as its argument does.
    bool start(void (*entry)(void*), void* argument) noexcept {
      const auto count = static_cast<std::uint32_t>(current->children.size());
      bool started = ((current->refused_starts >> (count % 64)) & 1) == 0;
      current->children.push_back(std::make_unique<Log>());
      entry_ = entry;
      argument_ = argument;
      log_ = current->children.back().get();
      started = started && ProductionSync::thread::start(&run, this);
      add({Act::thread_start, 0, count, 0, 0, started});
      return started;
    }
    void join() {
      ProductionSync::thread::join();
      add({Act::join});
    }

   private:
    static void run(void* self) {
      auto& own = *static_cast<thread*>(self);
      const Recording recording(own.log_);
      own.entry_(own.argument_);
    }

    // Of a whole thread, also of one that is unwound.
    struct Recording {
      explicit Recording(Log* log) {
        current = log;
        add({Act::thread_begin});
      }
      ~Recording() {
        add({Act::thread_end});
        current = nullptr;
      }
    };

    void (*entry_)(void*) = nullptr;
    void* argument_ = nullptr;
    Log* log_ = nullptr;
  };

  template <class Object>
  static void name(const Object& object, const char* text) noexcept {
    const auto is = [text](const char* other) { return std::strcmp(text, other) == 0; };
    if constexpr (std::is_base_of_v<VersionedWord, Object>) {
      if (current != nullptr) {
        object.VersionedWord::object_ = is("control") ? control_object : current->words_named++;
      }
    } else if constexpr (std::is_base_of_v<condition_variable, Object>) {
      object.condition_variable::change_ = is("episode_ended") ? Change::episode_ended
                                           : is("thread_left") ? Change::thread_left
                                           : is("closed")      ? Change::closed
                                           : is("unparked")    ? Change::unparked
                                           : is("due")         ? Change::due
                                                               : Change::none;
    } else if constexpr (std::is_base_of_v<mutex, Object>) {
      object.mutex::is_recorded_ = is("mutex");
    }
  }
};

}  // namespace kstone::trace

#endif  // KSTONE_TSAN_RECORDING_SYNC_H_
