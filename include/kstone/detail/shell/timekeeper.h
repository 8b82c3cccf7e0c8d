// Shell: the timekeeper, a thread that moves stripes to the queue when their time has come. It
// calls no code of the user.

#ifndef KSTONE_DETAIL_SHELL_TIMEKEEPER_H_
#define KSTONE_DETAIL_SHELL_TIMEKEEPER_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "kstone/detail/core/outcome_rule.h"
#include "kstone/detail/duration_text.h"
#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
void Shell<Sync>::keep_time(Slot<Sync>& slot) {
  mutex_.lock();  // no guard: as in work()
  enter(slot);
  while (!state_.read().core.closed()) {
    const auto now = tick();
    if (name_overdue(slot)) {
      continue;
    }
    const auto next = next_look();
    if (!next || now < *next) {
      wait_until<Sync>(due_, mutex_, next);
      continue;
    }
    auto room = stripes_in_a_hold<Sync>;
    if (take_inbox_for_others(room)) {  // what was pushed before stands before them
      wake(state_.write().core.expire(room));
    }
    mutex_.give_way();
  }
  leave(slot);
  mutex_.unlock();
}

// When there is something to do: a delay ends, or a compaction will have run too long. One that
// begins meanwhile cannot have before the limit has passed, so it is enough to look as often.
template <class Sync>
Deadline Shell<Sync>::next_look() const {
  const auto& state = state_.read();
  auto next = state.core.next_due();
  if (const auto limit = calls_.watchdog_limit; limit.count() != 0) {
    const auto watch = state.crew.next_overdue(limit).value_or(state.core.time() + limit);
    next = std::min(next.value_or(watch), watch);
  }
  return next;
}

// Of the compactions that have run too long, one that has not been named.
template <class Sync>
bool Shell<Sync>::name_overdue(Slot<Sync>& slot) {
  const auto limit = calls_.watchdog_limit;
  auto& state = state_.write();
  const auto running = limit.count() != 0 ? state.crew.name_overdue(limit, state.core.time())
                                          : std::optional<RunningCompaction>();
  if (!running) {
    return false;
  }
  ++state.overdue;
  if (logs(LogLevel::warn)) {
    mutex_.unlock();
    log(slot, LogLevel::warn, "compaction of stripe %u has been running for %s on thread %u",
        running->stripe_id, text_of(running->running_for).c_str(), running->thread);
    mutex_.lock();
  }
  return true;
}

template <class Sync>
std::uint32_t Shell<Sync>::retry_now() {
  check_process("retry_now: called in a child of fork(), where the worker has no threads");
  std::uint32_t retried = 0;
  ScopedLock lock(mutex_);
  for (std::uint32_t stripe_id = 0; !state_.read().core.closed(); mutex_.give_way()) {
    tick();
    auto room = stripes_in_a_hold<Sync>;
    if (take_inbox_for_others(room)) {  // as above
      for (; room != 0 && stripe_id != stripe_count_; ++stripe_id, --room) {
        if (state_.read().core.is_delayed(stripe_id)) {
          ++retried;
          wake(state_.write().core.retry(stripe_id));
        }
      }
    }
    if (stripe_id == stripe_count_) {
      break;
    }
  }
  return retried;
}

template <class Sync>
ReleaseResult Shell<Sync>::release(std::uint32_t stripe_id) {
  check_process("release: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return ReleaseResult::unknown_stripe;
  }
  ScopedLock lock(mutex_);
  if (state_.read().core.closed()) {
    return ReleaseResult::shut_down;
  }
  const bool quarantined = state_.read().core.is_quarantined(stripe_id);
  if (state_.read().core.waits_for_probe(stripe_id)) {
    take_inbox_for_others();  // as above
  }
  tick();
  wake(state_.write().core.release(stripe_id));
  return quarantined ? ReleaseResult::released : ReleaseResult::not_quarantined;
}

template <class Sync>
std::vector<StripeError> Shell<Sync>::quarantined() {
  check_process("quarantined: called in a child of fork(), where the worker has no threads");
  std::vector<StripeError> result;
  std::uint32_t room = 0;
  for (bool fits = false; !fits;) {
    result.clear();
    result.reserve(room);  // so that it need not grow under the mutex
    ScopedLock lock(mutex_);
    fits = state_.read().core.quarantined() <= result.capacity();
    if (fits && state_.read().core.quarantined() != 0) {
      in_slices([&](std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_) {
        const auto& core = state_.read().core;
        if (!core.is_quarantined(stripe_id)) {
          return true;
        }
        fits = result.size() != result.capacity();
        if (fits) {
          const auto* const error = core.last_error(stripe_id);
          result.push_back(StripeError{stripe_id, error != nullptr ? *error : std::string()});
        }
        return fits;
      });
    }
    room = std::max(room, state_.read().core.quarantined());
  }
  return result;
}

// What becomes of a failure, for the core.
template <class Sync>
Failure Shell<Sync>::failure_of(Slot<Sync>& slot, const CompactionOutcome& outcome) const {
  Failure failure;
  const auto& back_off = calls_.back_off;
  if (back_off.is_on() && rule_of(outcome.kind()).is_failure()) {
    failure.retries = back_off.retry_failed ? Retries::all : Retries::those_that_say_so;
    failure.resource = outcome.lacks_resource();
    if (back_off.jitter > 0 && !failure.resource) {
      failure.share = share_of_chance(slot);
    }
  }
  return failure;
}

// From 0 to 1: of the engine's source, or by SplitMix64, for which the time is good enough a seed.
template <class Sync>
double Shell<Sync>::share_of_chance(Slot<Sync>& slot) const {
  const auto& random = calls_.back_off.random;
  if (!random) {
    slot.chance += 0x9E3779B97F4A7C15ULL * (slot.index + 1) +
                   static_cast<std::uint64_t>(Sync::clock::now().count());
    auto mixed = (slot.chance ^ (slot.chance >> 30)) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
    return static_cast<double>((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53;
  }
  double share = 0;
  try {
    const typename Sync::cancellation_off off;  // unless the call allows it, for itself
    share = random();
  } catch (...) {
    // The delay is then as long as it can be.
  }
  check_process(
      "a source of chance returned in a child of fork(), where the worker has no threads");
  return share > 0 && share < 1 ? share : 0;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_TIMEKEEPER_H_
