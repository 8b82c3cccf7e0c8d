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
  if (on_own_thread()) {
    return IdleResult::refused;
  }
  if (state_.read().core.closed()) {
    return IdleResult::shut_down;
  }
  const auto goals = goals_of_all_stripes();
  ++state_.write().idle_waiters;
  auto result = IdleResult::idle;
  for (auto goal = goals.begin(); goal != goals.end() && result == IdleResult::idle; ++goal) {
    result = await_goal(*goal, deadline);
  }
  --state_.write().idle_waiters;
  if (state_.read().core.closed()) {
    // The destructor, which waits under the mutex held here for the last wait.
    thread_left_.notify_all();
  }
  return result;
}

// The stripes with an episode alive at this moment, each with what its count of ended episodes will
// then have reached. A stripe that is claimed and not yet linked has one: it shows in its word.
template <class Sync>
auto Shell<Sync>::goals_of_all_stripes() const -> std::vector<Goal> {
  std::vector<Goal> goals;
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    const auto alive = state_.read().core.alive_episodes(i, inbox_.requests(i));
    if (alive != 0) {
      goals.push_back(Goal{i, state_.read().core.stripe(i).ended + alive});
    }
  }
  return goals;
}

template <class Sync>
IdleResult Shell<Sync>::await_goal(Goal goal, const Deadline& deadline) {
  // The counter wraps; at most two episodes of a stripe are alive, so the distance tells.
  const auto reached = [&]() KSTONE_REQUIRES(mutex_) {
    return static_cast<std::int32_t>(state_.read().core.stripe(goal.stripe_id).ended -
                                     goal.ended) >= 0;
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
