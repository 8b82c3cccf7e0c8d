// Shell: who looks at the worker, and the log.

#ifndef KSTONE_DETAIL_SHELL_OBSERVERS_H_
#define KSTONE_DETAIL_SHELL_OBSERVERS_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
std::size_t Shell<Sync>::queue_size() {
  check_process("queue_size: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  return waiting_stripes();
}

// Nodes that come late are no stripes, so they go first; one that comes while we look is left out
// with whatever else does.
template <class Sync>
std::size_t Shell<Sync>::waiting_stripes() {
  if (state_.read().core.under_way() == 0) {
    return state_.read().core.waiting() + inbox_.size();
  }
  while (!take_inbox_for_others()) {
    mutex_.give_way();
  }
  return state_.read().core.waiting();
}

template <class Sync>
bool Shell<Sync>::is_running() const {
  check_process("is_running: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  const auto& state = state_.read();
  return state.started && !state.core.closed() &&
         (state.crew.alive_workers() != 0 || !config_.enabled);
}

template <class Sync>
WorkerSnapshot Shell<Sync>::snapshot(bool brief) {
  check_process("snapshot: called in a child of fork(), where the worker has no threads");
  WorkerSnapshot result;
  result.compactions.reserve(std::min(capacity_, stripe_count_));
  result.stats = stats_.snapshot();
  ScopedLock lock(mutex_);
  result.queue_size = waiting_stripes();
  const auto& state = state_.read();
  state.core.fill(result);
  result.worker_threads = state.crew.alive_workers();
  result.max_concurrent = state.crew.limit();
  result.parked_threads = state.crew.parked();
  result.check_interval = state.check_interval;
  result.waiting_callers = state.waits.size() + state.shutdown_callers;
  // Relaxed: counts of calls; those that overlap may be missed.
  result.rejected_unknown_stripe = rejected_unknown_stripe_.load(std::memory_order_relaxed);
  result.rejected_disabled = rejected_disabled_.load(std::memory_order_relaxed);
  state.crew.add_running(Sync::clock::now(), result.compactions);
  if (!brief) {
    in_slices([&](std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_) {
      state_.read().core.add_pending(stripe_id, inbox_.requests(stripe_id), result);
      return true;
    });
  }
  keep_from_going_back(result);
  return result;
}

// A snapshot of many stripes may miss what a thread has taken up meanwhile, and a brief one what no
// thread has; one before may not have. What was shown stays so, and the laws say the rest.
template <class Sync>
void Shell<Sync>::keep_from_going_back(WorkerSnapshot& snapshot) {
  auto& shown = state_.write().shown;
  for (const auto counter :
       {&WorkerCounters::queued, &WorkerCounters::coalesced, &WorkerCounters::rerun_pending,
        &WorkerCounters::rejected_removed, &WorkerCounters::rejected_shutting_down}) {
    snapshot.*counter = shown.*counter = std::max(snapshot.*counter, shown.*counter);
  }
  const auto missing = snapshot.queued + snapshot.rerun_pending + snapshot.retries +
                       snapshot.probes - snapshot.episodes_opened;
  snapshot.episodes_opened += missing;
  snapshot.episodes_alive += missing;
}

// On a thread of the worker, also when it has left and runs destructors of the engine's
// thread_local objects; or in a sink that was called on the thread of a caller. Waiting there would
// wait for itself.
template <class Sync>
bool Shell<Sync>::on_own_thread() const {
  const auto current = Sync::thread::current_id();
  const auto& state = state_.read();
  return state.crew.find(current) || state.sink_calls.has(current);
}

// Who waits and has not started the worker has mostly forgotten to. It is a wait already, so that
// the destructor leaves the sink alone.
template <class Sync>
void Shell<Sync>::warn_before_start() {
  const auto& before = state_.read();
  if (!calls_.log || !config_.enabled || before.started || before.warned_before_start ||
      before.core.closed() || on_own_thread()) {
    return;
  }
  state_.write().warned_before_start = true;
  Waits::Entry entry;
  state_.write().waits.enter(entry);
  mutex_.unlock();
  log_on_caller(LogLevel::warn, "wait_idle: the worker has not been started");
  mutex_.lock();
  leave_wait(entry);
}

// On the thread of a caller, which is known as such while the sink runs. A line that the sink
// itself causes is dropped: it would be called without end.
template <class Sync>
template <class... Arguments>
void Shell<Sync>::log_on_caller(LogLevel level, const char* format, Arguments... arguments) {
  if (!logs(level)) {
    return;
  }
  typename SinkCalls<Sync>::Entry entry{Sync::thread::current_id()};
  {
    ScopedLock lock(mutex_);
    auto& state = state_.write();
    const auto own = state.crew.find(entry.caller);
    if (state.sink_calls.has(entry.caller) || (own && slots_[*own].in_sink)) {
      return;
    }
    state.sink_calls.enter(entry);
  }
  tell(level, format, arguments...);
  ScopedLock lock(mutex_);
  state_.write().sink_calls.leave(entry);
}

// On a thread of the worker, which needs no mutex to be known.
template <class Sync>
template <class... Arguments>
void Shell<Sync>::log(Slot<Sync>& slot, LogLevel level, const char* format,
                      Arguments... arguments) noexcept {
  slot.in_sink = true;
  tell(level, format, arguments...);
  slot.in_sink = false;
}

template <class Sync>
template <class... Arguments>
void Shell<Sync>::tell(LogLevel level, const char* format, Arguments... arguments) const noexcept {
  if (!logs(level)) {
    return;
  }
  char text[256];
  if constexpr (sizeof...(Arguments) == 0) {
    std::snprintf(text, sizeof text, "%s", format);
  } else {
    std::snprintf(text, sizeof text, format, arguments...);
  }
  try {
    const typename Sync::cancellation_off off;  // a sink that writes is a cancellation point
    calls_.log(level, text);
  } catch (...) {
    // A sink that fails must not fail the worker, and there is nobody left to tell.
  }
  check_process("a log sink returned in a child of fork(), where the worker has no threads");
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_OBSERVERS_H_
