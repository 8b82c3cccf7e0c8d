// The crew: the worker's threads, as they see themselves and as the others see them.
//
// Thread safety: see each class.

#ifndef KSTONE_DETAIL_SHELL_CREW_H_
#define KSTONE_DETAIL_SHELL_CREW_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "kstone/detail/stop_state.h"
#include "kstone/request_options.h"
#include "kstone/worker_snapshot.h"

namespace kstone::detail {

template <class Sync>
class Shell;

// A thread of the worker, as it itself sees it: written before it starts, joined by the one caller
// of shutdown that set `joining`.
template <class Sync>
struct Slot {
  Shell<Sync>* self = nullptr;
  std::uint32_t index = 0;
  typename Sync::thread thread;
  StopState<Sync> stop;
  // Touched by the thread alone.
  bool in_sink = false;
  std::uint64_t chance = 0;  // the state of its generator
};

// ... and as the others see it. Guarded by the worker's mutex.
template <class Sync>
class Crew {
 public:
  using Id = typename Sync::thread::id_type;

  struct Run {
    std::uint32_t stripe_id = 0;
    std::uint32_t attempt = 0;
    std::chrono::nanoseconds since{0};  // by the policy's clock
    bool is_named = false;              // as one that runs too long
    Priority priority = Priority::normal;
    bool yields = false;  // was told to make room
  };

  // The worker threads have the indices from 0 on; then come the scan's and the timekeeper's.
  static constexpr std::size_t places(std::uint32_t capacity) { return std::size_t{capacity} + 2; }

  // With so many worker threads at the most, of which so many may compact at the same time.
  Crew(std::uint32_t capacity, std::uint32_t limit)
      : threads_(places(capacity)), capacity_(capacity), limit_(limit) {}

  std::uint32_t scan_index() const noexcept { return capacity_; }
  std::uint32_t timekeeper_index() const noexcept { return capacity_ + 1; }

  // The index of the worker thread to create next, if there are too few.
  std::optional<std::uint32_t> next_to_create() const {
    return has_too_few() && is_worker(created_workers_) != 0 ? std::optional(created_workers_)
                                                             : std::nullopt;
  }
  void created(std::uint32_t index) {
    threads_[index].alive = true;
    alive_workers_ += is_worker(index);
    created_workers_ += is_worker(index);
  }
  // Its first step: from here on calls from it are known as such, also those of destructors at its
  // end. Nobody else is ever given its identity, so it need not be forgotten.
  void entered(std::uint32_t index, Id id) { threads_[index].id = id; }
  void left(std::uint32_t index) {
    threads_[index].alive = false;
    alive_workers_ -= is_worker(index);
  }

  void begins(std::uint32_t index, const Run& run) {
    auto& thread = threads_[index];
    // A stripe for which another thread was to make room has found this one.
    if (!std::exchange(thread.has_yielded, false) && yielding_ != 0) {
      const auto other = first([&run](const Thread& each) {
        return each.runs && each.runs->yields && each.runs->priority < run.priority;
      });
      if (other) {
        set_yields(*threads_[*other].runs, false);
      }
    }
    thread.runs = run;
    thread.callbacks_due_from = nullptr;  // of the one before
  }
  void ends(std::uint32_t index) {
    threads_[index].has_yielded = threads_[index].runs->yields;
    set_yields(*threads_[index].runs, false);
    threads_[index].runs.reset();
  }
  // That its compaction has been asked to stop; `asker` owes it the call of its callbacks, if it
  // has any.
  void asked_to_stop(std::uint32_t index, const void* asker) {
    threads_[index].asked_to_stop = true;
    threads_[index].callbacks_due_from = asker;
  }
  // The index of a thread whose callbacks are due from the asker.
  std::optional<std::uint32_t> take_callbacks_due(const void* asker) {
    const auto due =
        first([asker](const Thread& thread) { return thread.callbacks_due_from == asker; });
    if (due) {
      threads_[*due].callbacks_due_from = nullptr;
    }
    return due;
  }
  bool forget_stop(std::uint32_t index) {
    return std::exchange(threads_[index].asked_to_stop, false);
  }
  // *Requires* a thread that compacts: for how long; zero if the clock has gone back.
  std::chrono::nanoseconds runs_for(std::uint32_t index, std::chrono::nanoseconds now) const {
    return std::max(now - threads_[index].runs->since, std::chrono::nanoseconds(0));
  }
  bool is_asked_to_stop(std::uint32_t index) const { return threads_[index].asked_to_stop; }
  bool runs_something(std::uint32_t index) const { return threads_[index].runs.has_value(); }
  std::optional<std::uint32_t> stripe_of(std::uint32_t index) const {
    const auto& runs = threads_[index].runs;
    return runs ? std::optional(runs->stripe_id) : std::nullopt;
  }
  // Whether its compaction is one of so many that are told to make room. *Requires* one that runs,
  // if any are.
  bool yields(std::uint32_t index, std::uint32_t wanted) {
    std::uint32_t others = 0;
    for (std::uint32_t i = 0; i < created_workers_; ++i) {
      auto& runs = threads_[i].runs;
      if (runs && wanted == 0) {
        set_yields(*runs, false);  // it need not any more
      }
      others += i != index && runs && runs->yields ? 1 : 0;
    }
    const bool result = others < wanted;
    if (threads_[index].runs) {
      set_yields(*threads_[index].runs, result);
    }
    return result;
  }
  // The index of the thread that compacts the stripe.
  std::optional<std::uint32_t> find_running(std::uint32_t stripe_id) const {
    return first([stripe_id](const Thread& thread) {
      return thread.runs && thread.runs->stripe_id == stripe_id;
    });
  }

  // Of the worker threads no more than the limit take stripes: those that are up. The others sleep,
  // where requesters claim them, or are parked, where nobody does. A sleeper whose requester is
  // late is not up: nobody parks because of it, and one that is parked may take its place (D66).
  void set_limit(std::uint32_t limit) { limit_ = limit; }
  std::uint32_t limit() const noexcept { return limit_; }
  bool has_too_few() const { return alive_workers_ < limit_; }
  bool has_surplus() const { return limit_ < up(); }
  // How many of the parked are called back.
  std::uint32_t vacancies() const { return up() < limit_ ? std::min(parked_, limit_ - up()) : 0; }
  void sleeps() { ++asleep_; }
  void wakes() { --asleep_; }
  void parks() { ++parked_; }
  void unparks() { --parked_; }
  std::uint32_t parked() const noexcept { return parked_; }

  // Behind those that are there; needs no memory if there is room for as many as run.
  void add_running(std::chrono::nanoseconds now, std::vector<RunningCompaction>& to) const {
    for (std::uint32_t i = 0; i < created_workers_; ++i) {
      if (const auto& runs = threads_[i].runs) {
        to.push_back({runs->stripe_id, i, runs->attempt, runs_for(i, now)});
      }
    }
  }

  // A compaction that has run as long and is not named yet; it is from now on.
  std::optional<RunningCompaction> name_overdue(std::chrono::nanoseconds limit,
                                                std::chrono::nanoseconds now) {
    const auto index = first([&](const Thread& thread) {
      return thread.runs && !thread.runs->is_named && now - thread.runs->since >= limit;
    });
    if (!index) {
      return std::nullopt;
    }
    auto& run = *threads_[*index].runs;
    run.is_named = true;
    return RunningCompaction{run.stripe_id, *index, run.attempt, now - run.since};
  }
  // When one that runs will have, if there is one.
  std::optional<std::chrono::nanoseconds> next_overdue(std::chrono::nanoseconds limit) const {
    std::optional<std::chrono::nanoseconds> next;
    for (std::uint32_t i = 0; i < created_workers_; ++i) {
      const auto& runs = threads_[i].runs;
      if (runs && !runs->is_named) {
        next = std::min(next.value_or(runs->since + limit), runs->since + limit);
      }
    }
    return next;
  }

  std::uint32_t alive_workers() const noexcept { return alive_workers_; }
  bool scan_alive() const { return threads_[scan_index()].alive; }
  bool timekeeper_alive() const { return threads_[timekeeper_index()].alive; }
  bool all_left() const { return alive_workers_ == 0 && !scan_alive() && !timekeeper_alive(); }
  // The index of the thread that has it.
  std::optional<std::uint32_t> find(Id id) const {
    return first([id](const Thread& thread) { return thread.id == id; });
  }

 private:
  struct Thread {
    std::optional<Id> id;
    bool alive = false;
    std::optional<Run> runs;
    bool has_yielded = false;    // the one before was told to make room
    bool asked_to_stop = false;  // its flag says so
    const void* callbacks_due_from = nullptr;
  };

  void set_yields(Run& run, bool yields) {
    yielding_ += yields ? 1 : 0;
    yielding_ -= run.yields ? 1 : 0;
    run.yields = yields;
  }
  // The index of the first for which it holds, of those that were ever created.
  template <class Holds>
  std::optional<std::uint32_t> first(const Holds& holds) const {
    for (std::uint32_t i = 0; i < created_workers_; ++i) {
      if (holds(threads_[i])) {
        return i;
      }
    }
    for (const auto i : {scan_index(), timekeeper_index()}) {
      if (holds(threads_[i])) {
        return i;
      }
    }
    return std::nullopt;
  }
  std::uint32_t up() const { return alive_workers_ - asleep_ - parked_; }
  std::uint32_t is_worker(std::uint32_t index) const { return index < capacity_ ? 1 : 0; }

  std::vector<Thread> threads_;
  std::uint32_t capacity_;
  std::uint32_t limit_;
  std::uint32_t created_workers_ = 0;  // ever: an index is not used again
  std::uint32_t alive_workers_ = 0;
  std::uint32_t asleep_ = 0;  // of those alive
  std::uint32_t parked_ = 0;
  std::uint32_t yielding_ = 0;  // were told to make room: nobody looks for them at each dispatch
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_CREW_H_
