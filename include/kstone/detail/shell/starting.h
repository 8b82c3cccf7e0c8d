// Shell: from the constructor to running threads.

#ifndef KSTONE_DETAIL_SHELL_STARTING_H_
#define KSTONE_DETAIL_SHELL_STARTING_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <optional>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
StartResult Shell<Sync>::start() {
  check_process("start: called in a child of fork(), where the worker has no threads");
  auto result = StartResult::started;
  std::uint32_t workers = 0;
  std::uint32_t limit = 0;
  bool scan_missing = false;  // although it was to be started
  bool timekeeper_missing = false;
  {
    ScopedLock lock(mutex_);
    auto& state = state_.write();
    if (state.core.closed()) {
      result = StartResult::shut_down;
    } else if (state.started) {
      result = StartResult::already_running;
    } else {
      if (config_.enabled) {
        start_threads();
      }
      state.started = state.crew.alive_workers() != 0 || !config_.enabled;
      share_threads();
      result = state.started ? StartResult::started : StartResult::no_threads;
      if (state.crew.alive_workers() != 0) {
        process_.bind();  // before any thread can run a job, which might fork
      }
      const bool started = state.crew.alive_workers() != 0;
      scan_missing = started && calls_.scan && !state.crew.scan_alive();
      timekeeper_missing = started && calls_.needs_timekeeper() && !state.crew.timekeeper_alive();
      wake(Effects{.tell_waits = scan_missing});  // who waits for a scan
    }
    workers = state.crew.alive_workers();
    limit = state.crew.limit();
  }
  if (result == StartResult::already_running) {
    log_on_caller(LogLevel::warn, "start: the worker runs already");
  } else if (result != StartResult::started) {
    log_on_caller(LogLevel::error, "start: failed, %s",
                  result == StartResult::shut_down ? "the worker was shut down"
                                                   : "no thread could be created");
  } else if (!config_.enabled) {
    log_on_caller(LogLevel::info, "started without threads, since the configuration is disabled");
  } else {
    log_on_caller(workers == limit ? LogLevel::info : LogLevel::warn,
                  "started with %u of %u worker threads for %u stripes", workers, limit,
                  stripe_count_);
  }
  if (scan_missing) {
    log_on_caller(LogLevel::error,
                  "start: no thread could be created for the periodic scan; it will not run");
  }
  if (timekeeper_missing) {
    log_on_caller(
        LogLevel::warn,
        "start: no thread could be created that keeps the time; what fails is tried again "
        "by the next request alone, and the watchdog does not look");
  }
  return result;
}

template <class Sync>
void Shell<Sync>::start_threads() {
  start_workers(capacity_);
  const auto& crew = state_.read().crew;
  if (crew.alive_workers() == 0) {
    return;
  }
  if (calls_.scan) {
    start_thread<&Shell::scan>(crew.scan_index());
  }
  if (calls_.needs_timekeeper()) {
    start_thread<&Shell::keep_time>(crew.timekeeper_index());
  }
}

// As many as the limit wants, the system gives, and so many at the most. True if more are wanted.
template <class Sync>
bool Shell<Sync>::start_workers(std::uint32_t most) {
  for (; most != 0; --most) {
    const auto next = state_.read().crew.next_to_create();
    if (!next || !start_thread<&Shell::work>(*next)) {
      return false;
    }
  }
  return state_.read().crew.next_to_create().has_value();
}

// One that runs `body`.
template <class Sync>
template <void (Shell<Sync>::*body)(Slot<Sync>&)>
bool Shell<Sync>::start_thread(std::uint32_t index) {
  std::optional<typename Sync::signals_blocked> blocked;
  if (!calls_.keep_signal_mask) {
    blocked.emplace();
  }
  auto& slot = slots_[index];
  slot.self = this;
  slot.index = index;
  // Captureless, so that `Sync::thread` needs no allocation for what it runs.
  const auto run = [](void* own) {
    auto& its_slot = *static_cast<Slot<Sync>*>(own);
    (its_slot.self->*body)(its_slot);
  };
  if (!slot.thread.start(run, &slot)) {
    return false;
  }
  state_.write().crew.created(index);
  return true;
}

// The first step of every thread of the worker.
template <class Sync>
void Shell<Sync>::enter(const Slot<Sync>& slot) {
  state_.write().crew.entered(slot.index, Sync::thread::current_id());
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_STARTING_H_
