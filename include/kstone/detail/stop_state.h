// Whether the compaction that a thread runs is asked to stop, and what the job wants to be called
// for then.
//
// Thread safety: `request` and `reset` are called under the worker's mutex, all else without it.
// Its own mutex is taken inside that one, and never held while code of the user runs.

#ifndef KSTONE_DETAIL_STOP_STATE_H_
#define KSTONE_DETAIL_STOP_STATE_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>

#include "kstone/compaction_types.h"
#include "kstone/detail/deadline.h"
#include "kstone/detail/thread_annotations.h"
#include "kstone/export.h"

namespace kstone::detail {

// Calls code of the user, whose exceptions end here.
KSTONE_EXPORT void call_contained(void (*call)(void*), void* argument) noexcept;

template <class Sync>
class StopState {
 public:
  using Id = typename Sync::thread::id_type;
  using Flag = typename Sync::template atomic<bool>;

  // Stands in the job.
  struct Callback {
    enum class State : std::uint8_t { waits, is_called, was_called };

    void (*call)(void*) = nullptr;
    void* argument = nullptr;
    State state = State::waits;
    Id caller = {};        // while it is called
    bool* gone = nullptr;  // ... set if it is destroyed meanwhile
    Callback* next = nullptr;
  };

  StopState() {
    Sync::name(mutex_, "stop mutex");
    Sync::name(changed_, "stop changed");
    Sync::name(job_, "job");
  }

  // -- The job ------------------------------------------------------------------------------------

  // Relaxed: it asks for something, and publishes nothing.
  bool requested() const noexcept { return flag_.load(std::memory_order_relaxed); }
  const Flag& flag() const noexcept { return flag_; }

  // Until a stop is asked for; false if the limit passed first.
  bool wait(Limit limit) {
    const auto deadline = deadline_after<Sync>(limit);
    mutex_.lock();
    bool in_time = true;
    while (in_time && !requested()) {
      in_time = wait_until<Sync>(changed_, mutex_, deadline);
    }
    mutex_.unlock();
    return requested();
  }

  // Called on the thread that asks for the stop; at once, and here, if that was before.
  void enter(Callback& callback) {
    mutex_.lock();
    ++callbacks_;
    const bool late = requested();
    if (!late) {
      callback.next = first_;
      first_ = &callback;
    }
    mutex_.unlock();
    if (late) {
      callback.state = Callback::State::was_called;
      call_contained(callback.call, callback.argument);
    }
  }
  // It will not be called any more. Waits while another thread calls it.
  void leave(Callback& callback) {
    mutex_.lock();
    --callbacks_;
    if (callback.state == Callback::State::waits) {
      Callback** link = &first_;
      while (*link != &callback) {
        link = &(*link)->next;
      }
      *link = callback.next;
    } else if (callback.state == Callback::State::is_called) {
      if (callback.caller == Sync::thread::current_id()) {
        *callback.gone = true;
      } else {
        while (callback.state == Callback::State::is_called) {
          changed_.wait(mutex_);
        }
      }
    }
    mutex_.unlock();
  }

  // Whether all have ended; false is an error of the job, which returns.
  bool has_no_callback() {
    mutex_.lock();
    const bool none = callbacks_ == 0;
    mutex_.unlock();
    return none;
  }

  // -- Whoever asks -------------------------------------------------------------------------------

  // True if the caller is to `call_all`, without the worker's mutex.
  bool request() {
    mutex_.lock();
    flag_.store(true, std::memory_order_relaxed);  // relaxed: asks, publishes nothing
    const bool calls = first_ != nullptr;
    changed_.notify_all();
    mutex_.unlock();
    return calls;
  }
  // Which job of the thread it is, of those that followed one that was asked to stop. Under the
  // worker's mutex.
  std::uint64_t job() const noexcept { return job_.read(); }
  // The next begins.
  void reset() {
    mutex_.lock();
    flag_.store(false, std::memory_order_relaxed);  // relaxed: asks, publishes nothing
    ++job_.write();
    mutex_.unlock();
  }
  // Those of the job that was asked to stop: once it has ended, there are none, and those of the
  // next are let alone, also if somebody else has asked that one to stop.
  void call_all(std::uint64_t job) {
    mutex_.lock();
    while (job == job_.read() && first_ != nullptr) {
      auto& callback = *first_;
      first_ = callback.next;
      bool gone = false;
      callback.state = Callback::State::is_called;
      callback.caller = Sync::thread::current_id();
      callback.gone = &gone;
      mutex_.unlock();
      call_contained(callback.call, callback.argument);
      mutex_.lock();
      if (!gone) {
        callback.state = Callback::State::was_called;
        changed_.notify_all();
      }
    }
    mutex_.unlock();
  }

 private:
  Flag flag_{false};  // written under the mutex
  typename Sync::mutex mutex_;
  typename Sync::condition_variable changed_;
  Callback* first_ = nullptr;
  typename Sync::template cell<std::uint64_t> job_{std::uint64_t{0}};  // written under both mutexes
  std::uint32_t callbacks_ = 0;  // that have not ended, called or not
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_STOP_STATE_H_
