// Shell: the end, asked for by `shutdown` or the destructor. What becomes of each episode the core
// decides (`close_stripe`, `apply`).

#ifndef KSTONE_DETAIL_SHELL_CLOSING_H_
#define KSTONE_DETAIL_SHELL_CLOSING_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <optional>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
ShutdownReport Shell<Sync>::shutdown(ShutdownMode mode, Limit limit) {
  check_process("shutdown: called in a child of fork(), where the worker has no threads");
  const auto deadline = deadline_after<Sync>(limit);
  ScopedLock lock(mutex_);
  // A mode that there is not would be the strongest, and keep a later `cancel` from any effect.
  if (on_own_thread() || mode > ShutdownMode::cancel) {
    ShutdownReport refused;
    refused.refused = true;
    return refused;
  }
  stop(mode, deadline);
  return state_.read().core.report(Sync::clock::now());
}

// All of a shutdown but its report, which may lack the memory to be built.
template <class Sync>
void Shell<Sync>::stop(ShutdownMode mode, const Deadline& deadline) {
  Asker asker{Sync::thread::current_id()};
  ++state_.write().shutdown_callers;
  const bool closes = !state_.read().core.closed();
  const auto tokens = closes ? apply(close()) : 0;
  state_.write().core.apply(mode);
  if (state_.read().core.mode() == ShutdownMode::cancel) {
    for (std::uint32_t i = 0; i < config_.max_concurrent_compactions; ++i) {
      if (state_.read().crew.runs_something(i)) {
        ask_to_stop(i, asker);
      }
    }
  }
  if (closes) {
    mutex_.unlock();
    inbox_.wake(tokens);
    mutex_.lock();
  }
  call_stop_callbacks(asker);
  // Without a limit, joining is all the waiting there is, and spares this thread a wake-up.
  if (!deadline || await_threads(deadline)) {
    join_threads(deadline);
  }
  --state_.write().shutdown_callers;
  thread_left_.notify_all();  // the destructor, which waits under the mutex held here
}

template <class Sync>
Effects Shell<Sync>::close() {
  const auto now = Sync::clock::now();
  enqueue(inbox_.close());
  auto& core = state_.write().core;
  const auto effects = core.close(now);
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    core.close_stripe(i, inbox_.close_word(i, core.stripe(i).removed));
  }
  return effects;
}

template <class Sync>
bool Shell<Sync>::await_threads(const Deadline& deadline) {
  while (!state_.read().crew.all_left()) {
    if (!wait_until<Sync>(thread_left_, mutex_, deadline) && !state_.read().crew.all_left()) {
      return false;
    }
  }
  return true;
}

template <class Sync>
void Shell<Sync>::join_threads(const Deadline& deadline) {
  if (!state_.read().joining) {
    state_.write().joining = true;
    for (std::uint32_t i = 0; i <= config_.max_concurrent_compactions; ++i) {
      if (slots_[i].thread.joinable()) {
        mutex_.unlock();
        slots_[i].thread.join();
        mutex_.lock();
      }
    }
    // Stripes are still queued if it was never started, or every thread was ended by its job.
    state_.write().core.stop(Sync::clock::now());
    // Other callers of shutdown, who wait under the mutex held here, do not wait for this one's
    // sink.
    thread_left_.notify_all();
    log_end();
  }
  while (!state_.read().core.stopped() && wait_until<Sync>(thread_left_, mutex_, deadline)) {
  }
}

template <class Sync>
void Shell<Sync>::log_end() {
  const auto counters = state_.read().core.counters();
  mutex_.unlock();
  log_on_caller(
      LogLevel::info,
      "shut down; of %llu episodes %llu were done, %llu failed, %llu cancelled, %llu removed, "
      "%llu discarded",
      static_cast<unsigned long long>(counters.episodes_opened),
      static_cast<unsigned long long>(counters.episodes_done),
      static_cast<unsigned long long>(counters.episodes_failed),
      static_cast<unsigned long long>(counters.episodes_cancelled),
      static_cast<unsigned long long>(counters.episodes_removed),
      static_cast<unsigned long long>(counters.episodes_discarded));
  mutex_.lock();
}

template <class Sync>
void Shell<Sync>::prepare_destruction() {
  check_destructible();
  mutex_.lock();
  stop(ShutdownMode::finish_running, std::nullopt);
  mutex_.unlock();
  await_callers();
}

template <class Sync>
void Shell<Sync>::check_destructible() const {
  check_process("~BackgroundWorker: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  Sync::check(!on_own_thread(),
              "~BackgroundWorker: called from a job, scan or log sink of this worker; it would "
              "wait for itself");
  Sync::check(!state_.read().pauses.any_is_owned(),
              "~BackgroundWorker: a pause guard outlives the worker");
}

// Waits that were entered before the destructor still use the worker.
template <class Sync>
void Shell<Sync>::await_callers() {
  ScopedLock lock(mutex_);
  while (state_.read().waits.size() + state_.read().shutdown_callers != 0) {
    thread_left_.wait(mutex_);
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_CLOSING_H_
