// The synchronization types under which every interleaving of the worker is explored.
//
// Satisfies the same concept as `ProductionSync` (include/kstone/production_sync.h); a worker is
// instantiated as `basic_background_worker<model::RelacySync>`. Each operation announces what it is
// about to touch, hands control to the explorer, and is carried out once it has been chosen; the
// memory model behind it is Relacy's.
//
// What is *not* a scheduling point, and why nothing is lost by that:
//   mutex::unlock       nobody else can touch a held mutex, so running it at once only moves it to
//                       the left;
//   cell                a race is found by happens-before, the same in every order of an
//                       equivalence class;
//   construction,       likewise: an operation that is not ordered after the construction, and a
//   destruction         destruction that is not ordered after every operation, fail whichever of
//                       them ran first;
//   allocation          Relacy keeps the last 64 freed blocks back, so a freed object's memory is
//                       not reused at once.

#ifndef KSTONE_MODEL_RELACY_SYNC_H_
#define KSTONE_MODEL_RELACY_SYNC_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "runtime.h"

namespace kstone::model {

template <class T>
class SharedPtr;  // relacy_shared_ptr.h
template <class T>
class WeakPtr;

struct RelacySync {
  template <class T>
  class atomic {
    static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>,
                  "a modelled atomic holds an integer, an enumeration or a pointer; guard anything "
                  "else, a shared_ptr "
                  "among it, by a Sync::mutex");

   public:
    using value_type = T;

    atomic() : atomic(T{}) {}
    // Implicit, as std::atomic.
    atomic(T value) : object_(runtime::create(ObjectKind::atomic, this)) {
      runtime::atomic_initialize(object_, widen(value));
    }
    ~atomic() { runtime::destroy(object_, this); }
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(std::memory_order order, KSTONE_MODEL_SITE) const {
      return narrow(runtime::atomic_load(object_, this, order, KSTONE_MODEL_HERE));
    }
    void store(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      runtime::atomic_store(object_, this, widen(value), order, KSTONE_MODEL_HERE);
    }
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::exchange, value, order, KSTONE_MODEL_HERE);
    }
    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::fetch_add, value, order, KSTONE_MODEL_HERE);
    }
    T fetch_sub(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::fetch_sub, value, order, KSTONE_MODEL_HERE);
    }
    T fetch_or(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::fetch_or, value, order, KSTONE_MODEL_HERE);
    }
    T fetch_and(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::fetch_and, value, order, KSTONE_MODEL_HERE);
    }
    T fetch_xor(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      return modify(Operation::fetch_xor, value, order, KSTONE_MODEL_HERE);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                               std::memory_order failure, KSTONE_MODEL_SITE) {
      return compare_exchange(true, expected, desired, success, failure, KSTONE_MODEL_HERE);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order order, KSTONE_MODEL_SITE) {
      return compare_exchange(true, expected, desired, order, failure_order(order),
                              KSTONE_MODEL_HERE);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                                 std::memory_order failure, KSTONE_MODEL_SITE) {
      return compare_exchange(false, expected, desired, success, failure, KSTONE_MODEL_HERE);
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order order,
                                 KSTONE_MODEL_SITE) {
      return compare_exchange(false, expected, desired, order, failure_order(order),
                              KSTONE_MODEL_HERE);
    }

    runtime::ObjectId model_object() const { return object_; }

   private:
    static std::uint64_t widen(T value) {
      if constexpr (std::is_pointer_v<T>) {
        return reinterpret_cast<std::uintptr_t>(value);
      } else if constexpr (std::is_enum_v<T>) {
        return static_cast<std::uint64_t>(
            static_cast<std::make_unsigned_t<std::underlying_type_t<T>>>(value));
      } else if constexpr (std::is_same_v<T, bool>) {
        return value ? 1 : 0;
      } else {
        return static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
      }
    }
    static T narrow(std::uint64_t value) {
      if constexpr (std::is_pointer_v<T>) {
        return reinterpret_cast<T>(static_cast<std::uintptr_t>(value));
      } else {
        return static_cast<T>(value);
      }
    }
    static constexpr std::memory_order failure_order(std::memory_order order) {
      if (order == std::memory_order_acq_rel) {
        return std::memory_order_acquire;
      }
      return order == std::memory_order_release ? std::memory_order_relaxed : order;
    }
    T modify(Operation operation, T operand, std::memory_order order, Site site) {
      return narrow(
          runtime::atomic_modify(object_, this, operation, widen(operand), sizeof(T), order, site));
    }
    bool compare_exchange(bool weak, T& expected, T desired, std::memory_order success,
                          std::memory_order failure, Site site) {
      std::uint64_t wide = widen(expected);
      const bool exchanged = runtime::atomic_compare_exchange(
          object_, this, weak, wide, widen(desired), success, failure, site);
      expected = narrow(wide);
      return exchanged;
    }

    runtime::ObjectId object_;
  };

  class mutex {
   public:
    mutex() : object_(runtime::create(ObjectKind::mutex, this)) {}
    ~mutex() { runtime::destroy(object_, this); }
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    void lock(KSTONE_MODEL_SITE) { runtime::mutex_lock(object_, this, KSTONE_MODEL_HERE); }
    void unlock(KSTONE_MODEL_SITE) { runtime::mutex_unlock(object_, this, KSTONE_MODEL_HERE); }
    void give_way(KSTONE_MODEL_SITE) {  // whether somebody waits, or comes just now, is chosen
      unlock(file, line, function);
      lock(file, line, function);
    }

    runtime::ObjectId model_object() const { return object_; }

   private:
    runtime::ObjectId object_;
  };

  class condition_variable {
   public:
    condition_variable() : object_(runtime::create(ObjectKind::condition_variable, this)) {}
    ~condition_variable() { runtime::destroy(object_, this); }
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    void wait(mutex& held, KSTONE_MODEL_SITE) {
      runtime::condition_wait(object_, this, held.model_object(), &held, false, 0,
                              KSTONE_MODEL_HERE);
    }
    // A timeout is a choice, allowed `Limits::timeouts` times in an execution: with 0 this is
    // wait().
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline, KSTONE_MODEL_SITE) {
      return runtime::condition_wait(object_, this, held.model_object(), &held, true,
                                     deadline.count(), KSTONE_MODEL_HERE);
    }
    void notify_one(KSTONE_MODEL_SITE) {
      runtime::condition_notify(object_, this, false, KSTONE_MODEL_HERE);
    }
    void notify_all(KSTONE_MODEL_SITE) {
      runtime::condition_notify(object_, this, true, KSTONE_MODEL_HERE);
    }

    runtime::ObjectId model_object() const { return object_; }

   private:
    runtime::ObjectId object_;
  };

  // As weak as its contract: the one who takes a token is *not* ordered after the one who posted
  // it.
  class semaphore {
   public:
    semaphore() : object_(runtime::create(ObjectKind::semaphore, this)) {}
    ~semaphore() { runtime::destroy(object_, this); }
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      runtime::semaphore_post(object_, this, count, KSTONE_MODEL_HERE);
    }
    void wait(KSTONE_MODEL_SITE) { runtime::semaphore_wait(object_, this, KSTONE_MODEL_HERE); }

    runtime::ObjectId model_object() const { return object_; }

   private:
    runtime::ObjectId object_;
  };

  template <class T>
  class cell {
   public:
    template <class... Arguments>
    explicit cell(Arguments&&... arguments)
        : object_(runtime::create(ObjectKind::cell, this)),
          value_(std::forward<Arguments>(arguments)...) {}
    ~cell() { runtime::destroy(object_, this); }
    cell(const cell&) = delete;
    cell& operator=(const cell&) = delete;

    const T& read(KSTONE_MODEL_SITE) const {
      runtime::cell_access(object_, this, false, KSTONE_MODEL_HERE);
      return value_;
    }
    T& write(KSTONE_MODEL_SITE) {
      runtime::cell_access(object_, this, true, KSTONE_MODEL_HERE);
      return value_;
    }

    runtime::ObjectId model_object() const { return object_; }

   private:
    runtime::ObjectId object_;
    T value_;
  };

  template <class T>
  using shared_ptr = SharedPtr<T>;
  template <class T>
  using weak_ptr = WeakPtr<T>;
  template <class T, class... Arguments>
  static SharedPtr<T> make_shared(Arguments&&... arguments);

  // Its index is in a cell: joining writes the object, so that whoever touches it at the same time
  // is a race.
  class thread {
   public:
    using id_type = int;

    thread() : object_(runtime::create(ObjectKind::thread, this)) {}
    ~thread() {
      if (joinable()) {
        runtime::fail_thread("a thread is destroyed that was never joined", Site{});
      }
      runtime::destroy(object_, this);
    }
    thread(const thread&) = delete;
    thread& operator=(const thread&) = delete;

    // False if the system refuses: a choice, allowed `Limits::thread_start_failures` times in an
    // execution.
    bool start(void (*entry)(void*), void* argument, KSTONE_MODEL_SITE) {
      int& index = index_.write(file, line, function);
      if (index >= 0) {
        runtime::fail_thread("a thread is started twice", KSTONE_MODEL_HERE);
      }
      index = runtime::thread_start(object_, this, entry, argument, KSTONE_MODEL_HERE);
      return index >= 0;
    }
    bool joinable(KSTONE_MODEL_SITE) const { return index_.read(file, line, function) >= 0; }
    void join(KSTONE_MODEL_SITE) {
      const int index = index_.write(file, line, function);  // from the beginning of the call
      if (index < 0) {
        runtime::fail_thread("a thread is joined that is not joinable", KSTONE_MODEL_HERE);
      }
      runtime::thread_join(object_, this, index, KSTONE_MODEL_HERE);
      index_.write(file, line, function) = -1;  // ... to its end
    }
    static id_type current_id() { return runtime::thread_current(); }

    runtime::ObjectId model_object() const { return object_; }

   private:
    runtime::ObjectId object_;
    cell<int> index_{-1};
  };

  static constexpr std::uint32_t stripes_in_a_hold = 1024;

  // Stands still but for a timeout, which moves it to the deadline, and model::advance_clock.
  struct clock {
    static std::chrono::nanoseconds now(KSTONE_MODEL_SITE) {
      return std::chrono::nanoseconds(runtime::clock_now(KSTONE_MODEL_HERE));
    }
  };

  // Nor are they cancelled, or take signals.
  struct cancellation_off {
    ~cancellation_off() {}
  };
  struct signals_blocked {
    ~signals_blocked() {}
  };

  // Scenes do not fork; the tests of faults do.
  struct process {
    void bind() {}
    void unbind() {}
    bool is_current() const { return true; }
  };

  // What histories call an object; what is no modelled object itself has no name.
  template <class Object>
  static void name(const Object& object, const char* text) {
    if constexpr (requires { object.model_object(); }) {
      runtime::name(object.model_object(), text);
    }
  }

  static void check(bool holds, const char* sentence, KSTONE_MODEL_SITE) {
    if (!holds) {
      runtime::fail_check(sentence, KSTONE_MODEL_HERE);
    }
  }
};

// What histories call an object. `text` must outlive the run: a literal.
template <class Object>
void name(const Object& object, const char* text) {
  runtime::name(object.model_object(), text);
}

}  // namespace kstone::model

#include "relacy_locks.h"
#include "relacy_shared_ptr.h"

#endif  // KSTONE_MODEL_RELACY_SYNC_H_
