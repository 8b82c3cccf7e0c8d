// The scheduling core as the shell calls it, and faults that are planted into these calls.

#ifndef KSTONE_PROPTESTS_CORE_SYSTEM_H_
#define KSTONE_PROPTESTS_CORE_SYSTEM_H_

#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "kstone/detail/core/scheduling_core.h"

namespace kstone::proptests {

using detail::Failure;
using detail::SchedulingCore;

// Each changes one call of the core, and must be found.
enum class Fault : std::uint8_t {
  none,
  forget_rerun,              // a request during the run is not passed on
  swap_ends,                 // stopped is passed on as failed
  run_after_finish_running,  // the queue is run although only running compactions should be
  lose_discarded,            // what is queued when the last thread has left is not discarded
  link_newest_first,         // the list is not turned round
  lose_third,                // a stripe that would be the third of the queue is not linked
  overlook_claim,            // a claimed stripe is not taken over at closing
  overlook_rerun,            // a re-run is not owed at closing
  ignore_strengthening,      // only the first mode counts
  count_first_request,       // the request that opened the episode counts as coalesced too
  lose_error,                // the text of a failure is not kept
  leave_out_mark,            // a stripe that is taken over is not under way
  enqueue_twice,             // a node that arrives late is linked whatever its stripe does
  believe_node,              // ... is taken for a request, though none is in the word
  drop_node,                 // ... is dropped, though a request is in the word
  cancel_lets_wait,          // cancelling leaves what waits where it is
  cancel_lets_run,           // ... asks nobody to stop
  cancel_forgets_requests,   // ... does not learn of the requests in the word
  cancel_marks_nothing,      // ... claims a stripe whose node is then not under way
  remove_as_cancelled,       // what is removed ends as cancelled
  remove_accepts,            // ... is accepted again at once
  remove_forgets_requests,   // removing does not learn of the requests in the word
  restore_forgets_rejected,  // restoring does not learn of the rejected ones
  restore_keeps_pause,       // what is restored is paused as before
  pause_lets_queued,         // what is queued already stays so
  pause_twice_resumes,       // who pauses what is paused lets it go on
  resume_leaves_held,        // what is held stays so
  resume_out_of_turn,        // ... is queued before all others
  pause_all_for_nobody,      // all go on
  resume_all_for_nobody,     // none goes on
  resume_wakes_nobody,       // nobody looks at what can be taken again
  stop_goes_on,              // what was asked to stop is taken to have more work
  failure_is_final,          // no failure is tried again
  failure_is_queued,         // what is to be tried again is not delayed
  retry_is_another,          // a retry that is the same episode opens one
  expire_leaves_delayed,     // what is due stays so
  expire_wakes_nobody,       // nobody looks at what is due
  settle_lets_delayed,       // closing finds nothing delayed, but queued
  failure_is_of_another,     // each is taken for that of a resource, and does not count
  release_forgets_nothing,   // what is released has failed as often as before
};
constexpr Fault last_fault = Fault::release_forgets_nothing;

inline const char* to_string(Fault fault) {
  constexpr const char* names[] = {"none",
                                   "forget_rerun",
                                   "swap_ends",
                                   "run_after_finish_running",
                                   "lose_discarded",
                                   "link_newest_first",
                                   "lose_third",
                                   "overlook_claim",
                                   "overlook_rerun",
                                   "ignore_strengthening",
                                   "count_first_request",
                                   "lose_error",
                                   "leave_out_mark",
                                   "enqueue_twice",
                                   "believe_node",
                                   "drop_node",
                                   "cancel_lets_wait",
                                   "cancel_lets_run",
                                   "cancel_forgets_requests",
                                   "cancel_marks_nothing",
                                   "remove_as_cancelled",
                                   "remove_accepts",
                                   "remove_forgets_requests",
                                   "restore_forgets_rejected",
                                   "restore_keeps_pause",
                                   "pause_lets_queued",
                                   "pause_twice_resumes",
                                   "resume_leaves_held",
                                   "resume_out_of_turn",
                                   "pause_all_for_nobody",
                                   "resume_all_for_nobody",
                                   "resume_wakes_nobody",
                                   "stop_goes_on",
                                   "failure_is_final",
                                   "failure_is_queued",
                                   "retry_is_another",
                                   "expire_leaves_delayed",
                                   "expire_wakes_nobody",
                                   "settle_lets_delayed",
                                   "failure_is_of_another",
                                   "release_forgets_nothing"};
  static_assert(std::size(names) == static_cast<std::size_t>(last_fault) + 1);
  return names[static_cast<std::size_t>(fault)];
}

// Failures in a row.
inline constexpr std::uint32_t quarantine_after = 2;

// The system under test.
struct System {
  using State = SchedulingCore::State;

  explicit System(std::uint32_t count, Fault planted = Fault::none)
      : core(count, back_off()), stripe_count(count), fault(planted) {}
  System(const SchedulingCore& like, std::uint32_t count, Fault planted)
      : core(like), stripe_count(count), fault(planted) {}

  static BackOff back_off() {
    BackOff result;
    result.quarantine_after = quarantine_after;
    return result;
  }

  // The node of a stripe whose word has requests, or has none. What the core requires is looked at
  // here, so that a fault is told of and not only fatal.
  void link(std::uint32_t id, bool requested) {
    if (core.stripe(id).under_way) {
      link_late(id, requested);
    } else if (core.stripe(id).state != State::idle) {
      broken = "a stripe whose node arrives is idle, or under way";
    } else if (fault != Fault::lose_third || core.waiting() != 2) {
      core.enqueue(id);
    }
  }
  void link_late(std::uint32_t id, bool requested) {
    const bool finds = (requested || fault == Fault::believe_node) && fault != Fault::drop_node;
    core.arrive_late(id, {.count = finds ? 1U : 0U});
    if (fault == Fault::enqueue_twice && core.stripe(id).state != State::idle) {
      link(id, requested);
    }
  }
  detail::Effects adopt(std::uint32_t id) {
    if (fault == Fault::leave_out_mark) {
      core.enqueue(id);
      return {.wake = detail::Effects::Wake::one_more};
    }
    return core.adopt(id);
  }
  void finish(std::uint32_t id, CompactionOutcome::Kind kind, bool requested, Failure failure) {
    using Kind = CompactionOutcome::Kind;
    if (fault == Fault::failure_is_final) {
      failure = {};
    }
    failure.resource = failure.resource || fault == Fault::failure_is_of_another;
    const bool swaps =
        (fault == Fault::swap_ends && kind == Kind::stopped) ||
        (fault == Fault::retry_is_another && failure.retries != detail::Retries::none);
    if (swaps && kind == Kind::retry) {
      failure.retries = detail::Retries::all;
    }
    // Closed, the core itself would object.
    const bool passed_on = requested && (fault != Fault::forget_rerun || core.closed());
    core.finish(id, swaps ? Kind::failed : kind, {.count = passed_on ? 1U : 0U}, failure);
    if (fault == Fault::failure_is_queued && core.is_delayed(id)) {
      core.retry(id);
    }
  }
  detail::Effects expire(std::uint32_t id) {
    if (fault == Fault::expire_leaves_delayed) {
      return {.wake = detail::Effects::Wake::one_more};
    }
    const auto effects = core.retry(id);
    return fault == Fault::expire_wakes_nobody ? detail::Effects() : effects;
  }
  detail::Effects release(std::uint32_t id) {
    const bool forgets = fault != Fault::release_forgets_nothing;
    return forgets                    ? core.release(id)
           : core.waits_for_probe(id) ? core.retry(id)
                                      : detail::Effects();
  }
  void serve(std::uint32_t id, std::uint64_t requests) {
    core.serve(id, {.count = fault == Fault::count_first_request ? requests + 1 : requests});
  }
  void record_error(std::uint32_t id, std::string text) {
    if (fault != Fault::lose_error) {
      core.record_error(id, std::move(text));
    }
  }
  void close(ShutdownMode mode) {
    for (std::uint32_t id = 0; fault == Fault::settle_lets_delayed && id != stripe_count; ++id) {
      core.retry(id);
    }
    core.close(fault == Fault::run_after_finish_running && mode == ShutdownMode::finish_running
                   ? ShutdownMode::drain
                   : mode);
  }
  void settle(std::uint32_t id, std::uint64_t requests) {
    const auto state = core.stripe(id).state;
    const bool overlooked = (fault == Fault::overlook_claim && state == State::idle) ||
                            (fault == Fault::overlook_rerun && state == State::running);
    core.settle(id, {.count = overlooked ? 0 : requests});
  }
  void strengthen(ShutdownMode mode) {
    if (fault != Fault::ignore_strengthening) {
      core.strengthen(mode);
    }
  }
  void discard_queue() {
    if (fault != Fault::lose_discarded) {
      core.discard_queue(stripe_count);
      core.stop();
    }
  }

  using Withdrawn = SchedulingCore::Withdrawn;

  Withdrawn cancel(std::uint32_t id, std::uint64_t requests) {
    const auto state = core.stripe(id).state;
    const bool runs = state == State::running;
    if ((fault == Fault::cancel_lets_run && runs) ||
        (fault == Fault::cancel_lets_wait && core.stripe(id).waits())) {
      return {};
    }
    if (fault == Fault::cancel_marks_nothing && state == State::idle && requests != 0) {
      core.enqueue(id);
      core.serve(id, {.count = requests});  // counts those that were coalesced
      return core.cancel(id, 0);
    }
    return core.cancel(id, fault == Fault::cancel_forgets_requests ? 0 : requests);
  }
  Withdrawn remove(std::uint32_t id, std::uint64_t requests) {
    const bool idle = core.stripe(id).state == State::idle;
    if (fault == Fault::remove_as_cancelled) {
      const auto found = core.cancel(id, requests);
      core.remove(id, 0);
      return found;
    }
    const auto found = core.remove(id, fault == Fault::remove_forgets_requests ? 0 : requests);
    if (fault == Fault::remove_accepts && idle) {
      core.restore(id, 0);
    }
    return found;
  }
  void restore(std::uint32_t id, std::uint64_t rejected) {
    const bool paused = core.stripe(id).paused;
    core.restore(id, fault == Fault::restore_forgets_rejected ? 0 : rejected);
    if (fault == Fault::restore_keeps_pause && paused) {
      core.pause(id);
    }
  }

  detail::Effects pause(std::uint32_t id) {
    const auto& stripe = core.stripe(id);
    if (fault == Fault::pause_lets_queued && stripe.state == State::queued) {
      return {.tell_waits = true};
    }
    if (fault == Fault::pause_twice_resumes && stripe.paused) {
      core.resume(id);
      return {.tell_waits = true};
    }
    return core.pause(id);
  }
  detail::Effects resume(std::uint32_t id) {
    const bool held = core.stripe(id).state == State::held;
    if (fault == Fault::resume_leaves_held && held) {
      return {};
    }
    const auto effects = core.resume(id);
    if (fault == Fault::resume_out_of_turn && held) {
      bring_forward(id);
    }
    return fault == Fault::resume_wakes_nobody ? detail::Effects() : effects;
  }
  detail::Effects pause_all() {
    return fault == Fault::pause_all_for_nobody ? detail::Effects{.tell_waits = true}
                                                : core.pause_all();
  }
  detail::Effects resume_all() {
    if (fault == Fault::resume_all_for_nobody) {
      return {};
    }
    const auto effects = core.resume_all();
    return fault == Fault::resume_wakes_nobody ? detail::Effects() : effects;
  }
  bool goes_on(std::uint32_t id, CompactionOutcome::Kind kind, const Failure& failure) const {
    const bool more_work = kind == CompactionOutcome::Kind::more_work;
    return core.goes_on(id, kind, failure) || (fault == Fault::stop_goes_on && more_work);
  }

  SchedulingCore core;
  std::uint32_t stripe_count;
  Fault fault;
  const char* broken = nullptr;  // of what the core requires

 private:
  // All others of the queue go behind the stripe.
  void bring_forward(std::uint32_t id) {
    for (std::uint32_t other = 0; other < stripe_count; ++other) {
      if (other != id && core.stripe(other).state == State::queued) {
        core.pause(other);
        core.resume(other);
      }
    }
  }
};

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_SYSTEM_H_
