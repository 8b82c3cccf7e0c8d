// Shell: who waits for the end of compactions.

#ifndef KSTONE_DETAIL_SHELL_WAITING_H_
#define KSTONE_DETAIL_SHELL_WAITING_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
IdleResult Shell<Sync>::wait_idle(Limit limit) {
  check_process("wait_idle: called in a child of fork(), where the worker has no threads");
  const auto deadline = deadline_after(limit);
  ScopedLock lock(mutex_);
  warn_before_start();
  if (const auto answer = first_answer_of_wait()) {
    return *answer;
  }
  const auto goals = goals_of_all_stripes();
  ++state_.write().idle_waiters;
  auto result = IdleResult::idle;
  for (auto goal = goals.begin(); goal != goals.end() && result == IdleResult::idle; ++goal) {
    result = await_goal(*goal, deadline);
  }
  leave_wait();
  return result;
}

template <class Sync>
StripeIdle Shell<Sync>::wait_idle(std::uint32_t stripe_id, Limit limit) {
  check_process("wait_idle: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) {
    return StripeIdle{IdleResult::unknown_stripe, {}};
  }
  const auto deadline = deadline_after(limit);
  ScopedLock lock(mutex_);
  warn_before_start();
  if (const auto answer = first_answer_of_wait()) {
    return StripeIdle{*answer, {}};
  }
  const auto alive = adopt(stripe_id);
  const auto& stripe = state_.read().core.stripe(stripe_id);
  if (alive == 0) {
    return StripeIdle{IdleResult::idle,
                      stripe.has_ended ? std::optional(stripe.last_end) : std::nullopt};
  }
  StripeWaits::Entry entry{Goal{stripe_id, stripe.ended + alive}};
  state_.write().stripe_waits.enter(entry);
  ++state_.write().idle_waiters;
  const auto result = await_goal(entry.goal, deadline);
  state_.write().stripe_waits.leave(entry);
  leave_wait();
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
void Shell<Sync>::leave_wait() {
  --state_.write().idle_waiters;
  if (state_.read().core.closed()) {
    // The destructor, which waits under the mutex held here for the last wait.
    thread_left_.notify_all();
  }
}

// The stripes with an episode alive at this moment, each with what its count of ended episodes will
// then have reached. A stripe that is claimed and not yet linked has one: it shows in its word.
template <class Sync>
std::vector<Goal> Shell<Sync>::goals_of_all_stripes() {
  std::vector<Goal> goals;
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    const auto alive = adopt(i);
    if (alive != 0) {
      goals.push_back(Goal{i, state_.read().core.stripe(i).ended + alive});
    }
  }
  return goals;
}

template <class Sync>
IdleResult Shell<Sync>::await_goal(Goal goal, const Deadline& deadline) {
  const auto reached = [&]() KSTONE_REQUIRES(mutex_) {
    return goal.is_reached(state_.read().core.stripe(goal.stripe_id));
  };
  while (!reached()) {
    const bool in_time = wait(episode_ended_, deadline);
    if (state_.read().core.closed()) {
      return IdleResult::shut_down;  // whatever became of the episode: it may have been discarded
    }
    if (!in_time) {
      return reached() ? IdleResult::idle : IdleResult::timed_out;
    }
  }
  return IdleResult::idle;
}

// False once the deadline has passed. May wake spuriously.
template <class Sync>
bool Shell<Sync>::wait(typename Sync::condition_variable& change, const Deadline& deadline) {
  if (deadline) {
    return change.wait_until(mutex_, *deadline);
  }
  change.wait(mutex_);
  return true;
}

template <class Sync>
auto Shell<Sync>::deadline_after(Limit limit) -> Deadline {
  const auto most = limit.nanoseconds();
  if (!most) {
    return std::nullopt;
  }
  const auto now = Sync::clock::now();
  // Beyond what the clock can say is none.
  return *most >= std::chrono::nanoseconds::max() - now ? Deadline() : now + *most;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_WAITING_H_
