// Shell: who looks at the worker, and the log.

#ifndef KSTONE_DETAIL_SHELL_OBSERVERS_H_
#define KSTONE_DETAIL_SHELL_OBSERVERS_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

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
  // So that ages count, also where every thread is busy, or hangs.
  auto room = stripes_in_a_hold<Sync>;
  take_inbox_for_others(room);
  if (room != stripes_in_a_hold<Sync>) {
    mutex_.give_way();
  }
  result.queue_size = waiting_stripes();
  tick();
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
  result.oldest_waiting = state.core.oldest_waiting();
  result.overdue = state.overdue;
  result.waited = state.waited;
  result.ran = state.ran;
  state.crew.add_running(state.core.time(), result.compactions);
  if (!brief) {
    in_slices([&](std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_) {
      state_.read().core.add_pending(stripe_id, inbox_.requests(stripe_id).count, result);
      return true;
    });
  }
  keep_from_going_back(result);
  return result;
}

template <class Sync>
std::string Shell<Sync>::explain(std::uint32_t stripe_id) {
  check_process("explain: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return "There is no stripe " + std::to_string(stripe_id) + ": they are 0 to " +
           std::to_string(stripe_count_ - 1) + '.';
  }
  StripeFacts facts;
  {
    ScopedLock lock(mutex_);
    facts = facts_of(stripe_id);
  }
  return sentence_of(facts);
}

template <class Sync>
StripeFacts::Worker Shell<Sync>::state_of_worker() const {
  using Worker = StripeFacts::Worker;
  const auto& state = state_.read();
  if (!config_.enabled) {
    return Worker::disabled;
  }
  if (state.core.closed()) {
    return state.core.stopped() ? Worker::stopped : Worker::closing;
  }
  return state.started ? Worker::running : Worker::not_started;
}

template <class Sync>
StripeFacts Shell<Sync>::facts_of(std::uint32_t stripe_id) {
  using Place = StripeFacts::Place;
  auto& core = state_.write().core;
  // One look at the word: what comes later is not missing.
  const auto requests = core.closed() ? 0 : inbox_.requests(stripe_id).count;
  auto room = stripes_in_a_hold<Sync>;
  bool all = true;
  if (core.closed()) {
    settle(stripe_id);
  } else if (core.can_adopt(stripe_id, requests)) {
    all = take_inbox_for_others(room);
  }
  tick();
  StripeFacts facts;
  facts.stripe_id = stripe_id;
  core.explain(stripe_id, room, facts);
  if (core.can_adopt(stripe_id, requests)) {
    facts.place = all ? Place::missing : Place::inbox;
  }
  const auto& crew = state_.read().crew;
  facts.worker = state_of_worker();
  facts.running_now = core.running();
  facts.max_concurrent = crew.limit();
  facts.worker_threads = crew.alive_workers();
  if (facts.place == Place::running) {
    facts.requested = facts.requested || (requests != 0 && !facts.removed);
    facts.thread = crew.find_running(stripe_id).value_or(0);
    facts.attempt = core.stripe(stripe_id).attempts;
    facts.time = crew.runs_for(facts.thread, core.time());
    facts.asked_to_stop = facts.asked_to_stop || crew.is_asked_to_stop(facts.thread);
  }
  return facts;
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
