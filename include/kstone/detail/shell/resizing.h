// Shell: how many of its threads may compact at the same time, while it runs.

#ifndef KSTONE_DETAIL_SHELL_RESIZING_H_
#define KSTONE_DETAIL_SHELL_RESIZING_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <cstdint>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

// So many are created under one hold of the mutex.
inline constexpr std::uint32_t threads_in_a_hold = 16;

template <class Sync>
ResizeResult Shell<Sync>::set_max_concurrent(std::uint32_t limit) {
  check_process("set_max_concurrent: called in a child of fork(), where the worker has no threads");
  if (limit == 0 || limit > capacity_) {
    return ResizeResult::out_of_range;
  }
  bool changed = false;
  bool too_few = false;
  std::uint32_t workers = 0;
  {
    ScopedLock lock(mutex_);
    if (state_.read().core.closed()) {
      return ResizeResult::shut_down;
    }
    auto& crew = state_.write().crew;
    changed = crew.limit() != limit;
    crew.set_limit(limit);
    wake(share_threads());  // one of a lane that was full may run
    for (auto vacancies = crew.vacancies(); vacancies != 0; --vacancies) {
      unparked_.notify_one();
    }
    if (!add_workers()) {
      return ResizeResult::shut_down;
    }
    wake(share_threads());
    const auto& state = state_.read();  // another call may have set another limit meanwhile
    limit = state.crew.limit();
    workers = state.crew.alive_workers();
    too_few = state.started && config_.enabled && state.crew.has_too_few();
  }
  if (too_few) {
    log_on_caller(
        LogLevel::warn,
        "set_max_concurrent: %u of %u worker threads; the system refused one, or jobs have "
        "ended those for which there was a place",
        workers, limit);
    return ResizeResult::fewer_threads;
  }
  if (changed) {
    log_on_caller(LogLevel::info, "set_max_concurrent: the limit is %u now", limit);
  }
  return ResizeResult::resized;
}

// Between the lanes: those that there are, once it was started.
template <class Sync>
Effects Shell<Sync>::share_threads() {
  auto& state = state_.write();
  const auto alive = state.started ? state.crew.alive_workers() : capacity_;
  return state.core.set_limit(std::min(state.crew.limit(), alive));
}

// Of a worker that was started. False if it has closed meanwhile.
template <class Sync>
bool Shell<Sync>::add_workers() {
  while (state_.read().started && config_.enabled && start_workers(threads_in_a_hold)) {
    mutex_.give_way();
    if (state_.read().core.closed()) {
      return false;
    }
  }
  return true;
}

// More threads are up than the limit allows. This one waits apart, until fewer are, and somebody
// says so: who leaves, who raises the limit, and who finds no sleeper to wake. What it was woken
// for is left to those that are up: as many as the limit, and each looks again before it sleeps.
template <class Sync>
void Shell<Sync>::park() {
  state_.write().crew.parks();
  while (state_.read().crew.vacancies() == 0) {
    unparked_.wait(mutex_);
  }
  state_.write().crew.unparks();
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_RESIZING_H_
