// Shell: how many of its threads may compact at the same time, while it runs.

#ifndef KSTONE_DETAIL_SHELL_RESIZING_H_
#define KSTONE_DETAIL_SHELL_RESIZING_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
ResizeResult Shell<Sync>::set_max_concurrent(std::uint32_t limit) {
  check_process("set_max_concurrent: called in a child of fork(), where the worker has no threads");
  if (limit == 0 || limit > capacity_) {
    return ResizeResult::out_of_range;
  }
  std::uint32_t workers = 0;
  bool too_few = false;
  {
    ScopedLock lock(mutex_);
    if (state_.read().core.closed()) {
      return ResizeResult::shut_down;
    }
    auto& state = state_.write();
    state.crew.set_limit(limit);
    if (state.crew.has_vacancy()) {
      unparked_.notify_all();
    }
    if (state.started && config_.enabled) {
      start_workers();
      too_few = state.crew.has_too_few();
    }
    workers = state.crew.alive_workers();
  }
  if (too_few) {
    log_on_caller(LogLevel::warn,
                  "set_max_concurrent: %u of %u worker threads; no more could be created", workers,
                  limit);
    return ResizeResult::fewer_threads;
  }
  log_on_caller(LogLevel::info, "set_max_concurrent: at most %u compactions at the same time",
                limit);
  return ResizeResult::resized;
}

// More threads are up than the limit allows, so this one waits apart until there are fewer than
// that: who leaves says so, and who raises the limit. It may have been woken for something that
// waits, so it passes that on.
template <class Sync>
void Shell<Sync>::park() {
  state_.write().crew.parks();
  if (state_.read().core.can_take() || inbox_.size() != 0) {
    wake(Effects{.wake = Effects::Wake::one_more});
  }
  while (!state_.read().crew.has_vacancy()) {
    unparked_.wait(mutex_);
  }
  state_.write().crew.unparks();
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_RESIZING_H_
