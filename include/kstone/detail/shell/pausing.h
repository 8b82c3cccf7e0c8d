// Shell: stripes that are kept from running for a while, one or all.

#ifndef KSTONE_DETAIL_SHELL_PAUSING_H_
#define KSTONE_DETAIL_SHELL_PAUSING_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
auto Shell<Sync>::pause(std::optional<std::uint32_t> stripe_id, Limit limit) -> Guard {
  check_process("pause: called in a child of fork(), where the worker has no threads");
  Guard guard;
  if (stripe_id && *stripe_id >= stripe_count_) {
    guard.result_ = PauseResult::unknown_stripe;
    return guard;
  }
  const auto deadline = deadline_after<Sync>(limit);
  auto entry = std::make_unique<Pauses::Entry>(Pauses::Entry{.stripe_id = stripe_id});
  ScopedLock lock(mutex_);
  guard.result_ = pause(*entry, deadline);
  if (guard.result_ == PauseResult::paused || guard.result_ == PauseResult::still_running) {
    state_.write().pauses.own(*entry);
    guard.entry_ = std::move(entry);
    guard.shell_ = this;
  }
  return guard;
}

template <class Sync>
PauseResult Shell<Sync>::pause(Pauses::Entry& entry, const Deadline& deadline) {
  if (on_own_thread()) {
    return PauseResult::refused;
  }
  if (state_.read().core.closed()) {
    return PauseResult::shut_down;
  }
  auto& core = state_.write().core;
  state_.write().pauses.enter(entry);
  if (entry.stripe_id) {
    take_inbox_for_others();  // it is held wherever it waits
  }
  tick();
  wake(entry.stripe_id ? core.pause(*entry.stripe_id) : core.pause_all());
  Waits::Entry wait;
  state_.write().waits.enter(wait);
  const bool ended = await(deadline, [&]() KSTONE_REQUIRES(mutex_) {
    const auto& now = state_.read().core;
    return now.closed() || entry.forgotten ||
           (entry.stripe_id ? now.stripe(*entry.stripe_id).state != Stripe::State::running
                            : now.running() == 0);
  });
  leave_wait(wait);
  const bool closed = state_.read().core.closed();
  if (closed || entry.forgotten) {
    state_.write().pauses.leave(entry);
    return closed ? PauseResult::shut_down : PauseResult::restored;
  }
  return ended ? PauseResult::paused : PauseResult::still_running;
}

template <class Sync>
void Shell<Sync>::resume(const Pauses::Entry& entry) {
  check_process("~PauseGuard: called in a child of fork(), where the worker has no threads");
  std::uint32_t tokens = 0;
  {
    ScopedLock lock(mutex_);
    auto& state = state_.write();
    if (state.pauses.leave(entry) && !state.core.closed()) {
      if (entry.stripe_id) {
        take_inbox_for_others();  // what was pushed before stands before the stripe
      }
      tick();
      tokens =
          apply(entry.stripe_id ? state.core.resume(*entry.stripe_id) : state.core.resume_all());
    }
  }
  if (tokens != 0) {
    inbox_.wake(tokens);
  }
}

template <class Sync>
bool Shell<Sync>::holds(const Pauses::Entry& entry) const {
  check_process("PauseGuard::holds: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  return !entry.forgotten && !state_.read().core.closed();
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_PAUSING_H_
