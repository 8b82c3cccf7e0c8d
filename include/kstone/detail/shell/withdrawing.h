// Shell: what of a stripe has not begun is given up, and what runs is asked to stop: `cancel`,
// `remove` and its opposite.

#ifndef KSTONE_DETAIL_SHELL_WITHDRAWING_H_
#define KSTONE_DETAIL_SHELL_WITHDRAWING_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
CancelReport Shell<Sync>::cancel(std::uint32_t stripe_id) {
  check_process("cancel: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return CancelReport{.result = CancelReport::Result::unknown_stripe};
  }
  ScopedLock lock(mutex_);
  Asker asker{Sync::thread::current_id()};
  const auto found = withdraw(stripe_id, EpisodeEnd::cancelled, asker);
  call_stop_callbacks(asker);
  return report_of(found);
}

template <class Sync>
CancelReport Shell<Sync>::cancel(std::uint32_t stripe_id, Limit limit) {
  check_process("cancel: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return CancelReport{.result = CancelReport::Result::unknown_stripe};
  }
  const auto deadline = deadline_after<Sync>(limit);
  ScopedLock lock(mutex_);
  if (on_own_thread()) {
    return CancelReport{.result = CancelReport::Result::refused};
  }
  Asker asker{Sync::thread::current_id()};
  auto report = report_of(withdraw(stripe_id, EpisodeEnd::cancelled, asker));
  if (report.running && await_compaction(stripe_id, asker, deadline, report.end)) {
    report.result = CancelReport::Result::ended;
  }
  return report;
}

template <class Sync>
CancelReport Shell<Sync>::report_of(const SchedulingCore::Withdrawn& found) {
  CancelReport report;
  report.waited = found.waited;
  report.rerun_pending = found.rerun_pending;
  report.running = found.running;
  report.result = found.running ? CancelReport::Result::still_running : CancelReport::Result::ended;
  return report;
}

template <class Sync>
RemoveResult Shell<Sync>::remove(std::uint32_t stripe_id, Limit limit) {
  check_process("remove: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return RemoveResult::unknown_stripe;
  }
  const auto deadline = deadline_after<Sync>(limit);
  ScopedLock lock(mutex_);
  if (on_own_thread()) {
    return RemoveResult::refused;
  }
  Asker asker{Sync::thread::current_id()};
  if (!state_.read().core.stripe(stripe_id).removed) {
    if (state_.read().core.closed()) {
      return RemoveResult::shut_down;
    }
    withdraw(stripe_id, EpisodeEnd::removed, asker);
  }
  const auto scans = state_.read().scans_begun;  // later ones ask is_removed
  std::optional<EpisodeEnd> end;
  const bool runs = state_.read().core.stripe(stripe_id).state == Stripe::State::running;
  if (runs && !await_compaction(stripe_id, asker, deadline, end)) {
    return RemoveResult::timed_out;
  }
  return await_scans(scans, deadline) ? RemoveResult::removed : RemoveResult::timed_out;
}

template <class Sync>
RestoreResult Shell<Sync>::restore(std::uint32_t stripe_id) {
  check_process("restore: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return RestoreResult::unknown_stripe;
  }
  ScopedLock lock(mutex_);
  auto& state = state_.write();
  const auto& stripe = state.core.stripe(stripe_id);
  if (state.core.closed()) {
    return RestoreResult::shut_down;
  }
  if (!stripe.removed) {
    return RestoreResult::not_removed;
  }
  if (stripe.state == Stripe::State::running) {
    return RestoreResult::still_running;
  }
  const StripeWord becomes{stripe.under_way ? StripeWord::under_way_bit : 0};
  state.core.restore(stripe_id, inbox_.withdraw(stripe_id, becomes));
  state.pauses.forget(stripe_id);
  wake(Effects{.tell_waits = true});  // who waits in `pause`
  return RestoreResult::restored;
}

template <class Sync>
bool Shell<Sync>::is_removed(std::uint32_t stripe_id) const {
  check_process("is_removed: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return false;
  }
  ScopedLock lock(mutex_);
  return state_.read().core.stripe(stripe_id).removed;
}

template <class Sync>
auto Shell<Sync>::withdraw(std::uint32_t stripe_id, EpisodeEnd end, const Asker& asker)
    -> SchedulingCore::Withdrawn {
  const bool removes = end == EpisodeEnd::removed;
  auto& state = state_.write();
  auto& core = state.core;
  if (core.closed()) {
    settle(stripe_id);
  }
  const bool rejects = core.closed() || core.stripe(stripe_id).removed;
  const auto requests = rejects ? 0 : take_requests(stripe_id, removes);
  const auto result = removes ? core.remove(stripe_id, requests) : core.cancel(stripe_id, requests);
  if (result.waited) {
    state.waits.note_end(stripe_id, core.stripe(stripe_id));
  }
  if (result.rerun_pending) {
    state.waits.note_early_end(stripe_id, core.stripe(stripe_id));
  }
  if (result.running) {
    ask_to_stop(*state.crew.find_running(stripe_id), asker);
  }
  wake(result.effects);
  return result;
}

// The calls in the word of a stripe that accepts them, which stand there no longer. If they are
// behind a claim whose node has not come out of the inbox, the word says so from here on: else the
// next call would push the stripe a second time.
template <class Sync>
std::uint64_t Shell<Sync>::take_requests(std::uint32_t stripe_id, bool removes) {
  const auto& core = state_.read().core;
  const auto& stripe = core.stripe(stripe_id);
  bool claimed = core.can_adopt(stripe_id, inbox_.requests(stripe_id).count);
  if (claimed) {
    take_inbox_for_others();
    claimed = stripe.state == Stripe::State::idle;
  }
  const bool idle = stripe.state == Stripe::State::idle;
  if (idle && !claimed && !removes) {
    return 0;
  }
  if (claimed && !stripe.under_way) {
    inbox_.mark_under_way(stripe_id);
  }
  const bool marked = claimed || stripe.under_way;
  const bool running = stripe.state == Stripe::State::running;
  const auto requests =
      inbox_.withdraw(stripe_id, StripeWord{(running ? StripeWord::running_bit : 0) |
                                            (marked ? StripeWord::under_way_bit : 0) |
                                            (removes ? StripeWord::removed_bit : 0)});
  if (idle && requests != 0 && !marked) {
    inbox_.mark_under_way(stripe_id);  // claimed since we looked; nobody claims a removed stripe
  }
  return requests;
}

// While the thread runs the compaction that is to stop. Its callbacks are called by the same
// asker's `call_stop_callbacks`.
template <class Sync>
void Shell<Sync>::ask_to_stop(std::uint32_t index, const Asker& asker) {
  const bool has_callbacks = slots_[index].stop.request();
  state_.write().crew.asked_to_stop(index, has_callbacks ? &asker : nullptr);
}

// Of all that the asker has asked to stop. They are code of the user: the thread is known as one
// that may not wait while they run.
template <class Sync>
void Shell<Sync>::call_stop_callbacks(Asker& asker) {
  for (auto index = state_.write().crew.take_callbacks_due(&asker); index;
       index = state_.write().crew.take_callbacks_due(&asker)) {
    const auto job = slots_[*index].stop.job();
    state_.write().sink_calls.enter(asker);
    mutex_.unlock();
    slots_[*index].stop.call_all(job);
    check_process("a stop callback returned in a child of fork(), where the worker has no threads");
    mutex_.lock();
    state_.write().sink_calls.leave(asker);
  }
}

// Calls the callbacks of what was asked to stop, and waits for the end of the compaction that runs,
// whatever else happens. False once the deadline has passed.
template <class Sync>
bool Shell<Sync>::await_compaction(std::uint32_t stripe_id, Asker& asker, const Deadline& deadline,
                                   std::optional<EpisodeEnd>& end) {
  Goal goal{stripe_id, state_.read().core.stripe(stripe_id).ended + 1};
  Waits::Entry entry{.goals = &goal, .count = 1};
  state_.write().waits.enter(entry);
  call_stop_callbacks(asker);
  const bool ended = await(deadline, [&]() KSTONE_REQUIRES(mutex_) {
    return goal.is_reached(state_.read().core.stripe(stripe_id));
  });
  leave_wait(entry);
  end = entry.last_end;
  return ended;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_WITHDRAWING_H_
