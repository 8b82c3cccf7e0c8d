// Shell: the end, asked for by `shutdown` or the destructor. What becomes of each episode the core
// decides (`settle`).

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
  if (mode == ShutdownMode::drain && state_.read().started && !state_.read().core.closed()) {
    await_scan(deadline);  // what the first one finds was there before
  }
  stop(mode, deadline, false);
  ShutdownReport result;
  try {
    result = report();
  } catch (...) {
    leave_shutdown();
    throw;
  }
  leave_shutdown();
  return result;
}

// Of a closed worker. The core knows how much there is to find.
template <class Sync>
ShutdownReport Shell<Sync>::report() {
  tick();
  auto result = state_.read().core.report();
  in_slices([&](std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_) {
    return state_.read().core.report_on(stripe_id, result);
  });
  return result;
}

// All of a shutdown but its report, which may lack the memory to be built. Until `leave_shutdown`
// the destructor waits.
template <class Sync>
void Shell<Sync>::stop(ShutdownMode mode, const Deadline& deadline, bool destroys) {
  Asker asker{Sync::thread::current_id()};
  ++state_.write().shutdown_callers;
  auto room = stripes_in_a_hold<Sync>;
  const auto tokens = close(mode, room);
  // In the hold in which it closes: no pause that is waited for holds anything after that.
  Sync::check(!destroys || !state_.read().pauses.any_is_owned(),
              "~BackgroundWorker: a pause guard outlives the worker");
  settle_some(room);
  if (state_.read().core.mode() == ShutdownMode::cancel) {
    for (std::uint32_t i = 0; i < capacity_; ++i) {
      if (state_.read().crew.runs_something(i)) {
        ask_to_stop(i, asker);
      }
    }
  }
  if (tokens) {
    mutex_.unlock();
    inbox_.wake(*tokens);
    mutex_.lock();
  }
  while (!state_.read().core.settled()) {
    mutex_.give_way();
    settle_some(stripes_in_a_hold<Sync>);
  }
  call_stop_callbacks(asker);
  // Without a limit, joining is all the waiting there is, and spares this thread a wake-up.
  if (!deadline || await_threads(deadline)) {
    join_threads(deadline);
  }
}

template <class Sync>
void Shell<Sync>::leave_shutdown() {
  --state_.write().shutdown_callers;
  thread_left_.notify_all();  // the destructor, which waits under the mutex held here
}

// Closes inbox and core under one hold of the mutex; of the stripes, each is settled after that.
// How many tokens the caller posts. None if the worker was closed already: a stronger mode takes
// effect.
template <class Sync>
std::optional<std::uint32_t> Shell<Sync>::close(ShutdownMode mode, std::uint32_t& room) {
  while (!state_.read().core.closed()) {
    const auto control = take_inbox(room);
    if (!control) {
      mutex_.give_way();
      room = stripes_in_a_hold<Sync>;
    } else if (inbox_.close(*control)) {
      tick();
      return apply(state_.write().core.close(mode));
    }
  }
  state_.write().core.strengthen(mode);
  return std::nullopt;
}

// What stood in the stripe's word until it closed becomes the core's. Whoever touches a stripe of a
// closed core does so first.
template <class Sync>
void Shell<Sync>::settle(std::uint32_t stripe_id) {
  auto& core = state_.write().core;
  const auto& stripe = core.stripe(stripe_id);
  core.settle(stripe_id,
              stripe.settled ? Requests() : inbox_.close_word(stripe_id, stripe.removed));
}

// As many as there is room for; callers of shutdown do so, and threads that find nothing to take,
// until all are.
template <class Sync>
void Shell<Sync>::settle_some(std::uint32_t room) {
  const auto& core = state_.read().core;
  for (; room != 0 && !core.settled(); --room) {
    settle(core.next_to_settle());
  }
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
    for (std::size_t i = 0; i < Crew<Sync>::places(capacity_); ++i) {
      if (slots_[i].thread.joinable()) {
        mutex_.unlock();
        slots_[i].thread.join();
        mutex_.lock();
      }
    }
    // Stripes are still queued if it was never started, or every thread was ended by its job.
    while (!state_.write().core.discard_queue(stripes_in_a_hold<Sync>)) {
      mutex_.give_way();
    }
    tick();
    state_.write().core.stop();
    process_.unbind();
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
  stop(ShutdownMode::finish_running, std::nullopt, true);
  leave_shutdown();
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
