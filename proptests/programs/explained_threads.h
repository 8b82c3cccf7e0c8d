// The steps of the calls that say how many threads there are: start and set_max_concurrent.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_THREADS_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_THREADS_H_

#include <algorithm>
#include <cstdint>

#include "explained_state.h"

namespace kstone::programs {

// Threads are not told apart, and nothing tells of one that waits apart: those that are too many do
// so at once.
inline void park_surplus(State::Worker& worker) {
  worker.parked = worker.alive - std::min(worker.alive, std::max(worker.running, worker.limit));
}

// How many threads the system gave matters to nobody but whether it gave any.
inline bool start(State& s, const Program& program, std::uint32_t answer) {
  auto& worker = s.worker;
  const bool none = static_cast<StartResult>(answer) == StartResult::no_threads;
  const auto threads = none ? 0U : static_cast<std::uint32_t>(program.workers);
  if (protocol::start_answer(worker, threads) != answer || (none && !program.refusals)) {
    return false;
  }
  if (worker.may_start()) {
    worker.start(threads);
    park_surplus(worker);
  }
  return true;
}

// A thread that was refused to `start` may be created now, or be refused.
inline bool set_max(State& s, const Program& program, std::uint32_t to, std::uint32_t answer) {
  const bool fewer = program.refusals && s.worker.started &&
                     answer == static_cast<std::uint32_t>(ResizeResult::fewer_threads);
  const auto capacity = static_cast<std::uint32_t>(program.workers);
  if (protocol::resize_answer(s.worker, to, capacity, fewer) != answer) {
    return false;
  }
  if (s.worker.may_resize() && to <= capacity) {
    s.worker.resize(to);
    park_surplus(s.worker);
  }
  return true;
}

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_THREADS_H_
