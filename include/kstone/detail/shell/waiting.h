// Shell: who waits for the end of compactions.

#ifndef KSTONE_DETAIL_SHELL_WAITING_H_
#define KSTONE_DETAIL_SHELL_WAITING_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
IdleResult Shell<Sync>::wait_idle(Limit limit, WhenDelayed when_delayed) {
  check_process("wait_idle: called in a child of fork(), where the worker has no threads");
  const auto deadline = deadline_after<Sync>(limit);
  std::vector<Goal> goals;
  goals.reserve(stripe_count_);  // for all, so that it need not grow under the mutex
  ScopedLock lock(mutex_);
  warn_before_start();
  if (const auto answer = first_answer_of_wait()) {
    return *answer;
  }
  if (const auto answer = await_scan(deadline)) {
    return *answer;
  }
  Waits::Entry entry{.when_delayed = when_delayed};
  state_.write().waits.enter(entry);
  auto answer = find_goals(goals, entry, limit, deadline);
  if (!answer) {
    answer = await_goals(entry, deadline);
  }
  leave_wait(entry);
  return *answer;
}

template <class Sync>
StripeIdle Shell<Sync>::wait_idle(std::uint32_t stripe_id, Limit limit, WhenDelayed when_delayed) {
  check_process("wait_idle: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return StripeIdle{IdleResult::unknown_stripe, {}};
  }
  const auto deadline = deadline_after<Sync>(limit);
  ScopedLock lock(mutex_);
  warn_before_start();
  if (const auto answer = first_answer_of_wait()) {
    return StripeIdle{*answer, {}};
  }
  Waits::Entry entry{.when_delayed = when_delayed};
  state_.write().waits.enter(entry);
  const auto answer = await_stripe(stripe_id, entry, deadline);
  leave_wait(entry);
  return answer;
}

template <class Sync>
StripeIdle Shell<Sync>::await_stripe(std::uint32_t stripe_id, Waits::Entry& entry,
                                     const Deadline& deadline) {
  auto room = stripes_in_a_hold<Sync>;
  auto alive = adopt(stripe_id, room);
  for (; !alive; alive = adopt(stripe_id, room)) {
    if (has_passed<Sync>(deadline)) {
      return StripeIdle{IdleResult::timed_out, {}};  // it has requests
    }
    mutex_.give_way();
    if (state_.read().core.closed()) {
      return StripeIdle{IdleResult::shut_down, {}};
    }
    room = stripes_in_a_hold<Sync>;
  }
  const auto end_so_far = [&]() KSTONE_REQUIRES(mutex_) {
    const auto& stripe = state_.read().core.stripe(stripe_id);
    return stripe.has_ended ? std::optional(stripe.last_end) : std::nullopt;
  };
  if (state_.read().core.is_quarantined(stripe_id)) {
    return StripeIdle{IdleResult::quarantined, end_so_far()};
  }
  if (*alive == 0) {
    return StripeIdle{IdleResult::idle, end_so_far()};
  }
  Goal goal{stripe_id, state_.read().core.stripe(stripe_id).ended + *alive};
  entry.goals = &goal;
  entry.count = 1;
  const auto result = await_goals(entry, deadline);
  entry.goals = nullptr;
  entry.count = 0;
  if (result == IdleResult::idle && !entry.last_end) {
    return StripeIdle{IdleResult::quarantined, end_so_far()};
  }
  return StripeIdle{result, result == IdleResult::idle ? entry.last_end : std::nullopt};
}

template <class Sync>
std::optional<IdleResult> Shell<Sync>::first_answer_of_wait() const {
  if (on_own_thread()) {
    return IdleResult::refused;
  }
  return state_.read().core.closed() ? std::optional(IdleResult::shut_down) : std::nullopt;
}

template <class Sync>
void Shell<Sync>::leave_wait(const Waits::Entry& entry) {
  state_.write().waits.leave(entry);
  if (state_.read().core.closed()) {
    // The destructor, which waits under the mutex held here for the last wait.
    thread_left_.notify_all();
  }
}

// The stripes with an episode alive when they are looked at, each with what its count of ended
// episodes will then have reached. A stripe that is claimed and not yet linked has one: it shows in
// its word. An answer if there is one already: a limit of zero asks, and looks at all for that,
// unless it has found something that has not ended.
template <class Sync>
std::optional<IdleResult> Shell<Sync>::find_goals(std::vector<Goal>& goals, Waits::Entry& entry,
                                                  Limit limit, const Deadline& deadline) {
  const bool asks = limit.nanoseconds() == std::chrono::nanoseconds(0);
  for (std::uint32_t stripe_id = 0;;) {
    stripe_id = find_some_goals(goals, stripe_id);
    entry.goals = goals.data();
    entry.count = goals.size();
    if (stripe_id == stripe_count_) {
      return std::nullopt;
    }
    const auto& core = state_.read().core;
    const auto told = entry.when_delayed == WhenDelayed::answer ? core.delayed() : 0;
    if (asks ? core.alive() > told + core.quarantined() : has_passed<Sync>(deadline)) {
      return IdleResult::timed_out;
    }
    mutex_.give_way();
    if (state_.read().core.closed()) {
      return IdleResult::shut_down;
    }
  }
}

// Of as many stripes as one hold has room for. The next one.
template <class Sync>
std::uint32_t Shell<Sync>::find_some_goals(std::vector<Goal>& goals, std::uint32_t from) {
  auto stripe_id = from;
  for (auto room = stripes_in_a_hold<Sync>; room != 0 && stripe_id != stripe_count_; ++stripe_id) {
    const auto alive = adopt(stripe_id, room);
    if (!alive) {
      break;
    }
    if (*alive != 0 && !state_.read().core.is_quarantined(stripe_id)) {
      goals.push_back(Goal{stripe_id, state_.read().core.stripe(stripe_id).ended + *alive});
    }
    room -= room != 0 ? 1 : 0;
  }
  return stripe_id;
}

// A wait without a limit does not wait for what a pause holds, nor any for what is delayed, unless
// it is to; for the rest it does.
template <class Sync>
IdleResult Shell<Sync>::await_goals(const Waits::Entry& entry, const Deadline& deadline) {
  std::size_t at = 0;
  auto answer = answer_of_wait(entry, at, deadline);
  for (bool in_time = true; !answer; answer = answer_of_wait(entry, at, deadline)) {
    if (!in_time) {
      answer = IdleResult::timed_out;
      break;
    }
    in_time = wait_until<Sync>(episode_ended_, mutex_, deadline);
    if (state_.read().core.closed()) {
      // Whatever became of the episodes: they may have been discarded.
      answer = IdleResult::shut_down;
      break;
    }
  }
  return *answer;
}

// None while there is something to wait for, which it has seen in the hold that it returns in: the
// goal `at`. The next look goes on from there, and round to it: at each end of a compaction it sees
// one goal, not all those before it that a pause holds.
template <class Sync>
std::optional<IdleResult> Shell<Sync>::answer_of_wait(const Waits::Entry& entry, std::size_t& at,
                                                      const Deadline& deadline) {
  bool held = false;
  bool delayed = false;
  auto room = stripes_in_a_hold<Sync>;
  for (std::size_t seen = 0; seen < entry.count; ++seen, --room) {
    if (room == 0) {
      mutex_.give_way();
      if (state_.read().core.closed()) {
        return IdleResult::shut_down;
      }
      room = stripes_in_a_hold<Sync>;
    }
    const auto& core = state_.read().core;
    const auto& goal = entry.goals[at];
    if (!goal.is_reached(core.stripe(goal.stripe_id)) && !core.is_quarantined(goal.stripe_id)) {
      if (core.is_held(goal.stripe_id) && !deadline) {
        held = true;
      } else if (core.is_delayed(goal.stripe_id) && entry.when_delayed == WhenDelayed::answer) {
        delayed = true;
      } else {
        return std::nullopt;
      }
    }
    at = at + 1 == entry.count ? 0 : at + 1;
  }
  return held ? IdleResult::paused : delayed ? IdleResult::delayed : IdleResult::idle;
}

// The first scan, and one that is under way: what they queue is waited for, too. None once they
// have returned.
template <class Sync>
std::optional<IdleResult> Shell<Sync>::await_scan(const Deadline& deadline) {
  if (!calls_.scan || !config_.enabled) {
    return std::nullopt;
  }
  const auto count = std::max<std::uint64_t>(state_.read().scans_begun, 1);
  Waits::Entry entry;
  state_.write().waits.enter(entry);
  const bool in_time = await(deadline, [&]() KSTONE_REQUIRES(mutex_) {
    return state_.read().core.closed() || has_scanned(count);
  });
  leave_wait(entry);
  if (state_.read().core.closed()) {
    return IdleResult::shut_down;
  }
  return in_time ? std::nullopt : std::optional(IdleResult::timed_out);
}

// So many that have begun. False once the deadline has passed.
template <class Sync>
bool Shell<Sync>::await_scans(std::uint64_t count, const Deadline& deadline) {
  if (has_scanned(count)) {
    return true;
  }
  Waits::Entry entry;
  state_.write().waits.enter(entry);
  const bool ended = await(deadline, [&]() KSTONE_REQUIRES(mutex_) { return has_scanned(count); });
  leave_wait(entry);
  return ended;
}

// So often, or there will be no more: the thread for it is missing.
template <class Sync>
bool Shell<Sync>::has_scanned(std::uint64_t count) const {
  const auto& state = state_.read();
  return state.scans_ended >= count || (state.started && !state.crew.scan_alive());
}

// True once `done`, of which `episode_ended_` tells whoever has entered a wait. False once the
// deadline has passed.
template <class Sync>
template <class Done>
bool Shell<Sync>::await(const Deadline& deadline, const Done& done) {
  bool result = done();
  for (bool in_time = true; in_time && !result; result = done()) {
    in_time = wait_until<Sync>(episode_ended_, mutex_, deadline);
  }
  return result;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_WAITING_H_
