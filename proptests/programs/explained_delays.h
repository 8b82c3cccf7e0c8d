// The steps of what waits since it failed.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_DELAYS_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_DELAYS_H_

#include <cstddef>
#include <cstdint>

#include "explained_state.h"

namespace kstone::programs {

// With back-off all failures are tried again; where a stripe is in quarantine after the first, by a
// probe.
inline protocol::Ending ending_of(const Program& program, protocol::Kind kind) {
  const bool retried = program.back_off && protocol::Ending(kind).failed();
  return {kind, retried ? protocol::Retries::all : protocol::Retries::none,
          retried && program.quarantine};
}

// The time of a stripe has come; who moves it need not have heard of what others have listed.
inline void expire(State& s, std::uint32_t id, bool stale) {
  if (!stale) {
    s.take_inbox();
  }
  s.expire(s.stripes[id]);
}

inline bool retry_now(State& s, const Program& program, std::uint32_t answer, bool stale) {
  std::uint32_t retried = 0;
  if (!stale && !s.worker.closed) {
    s.take_inbox();
  }
  for (std::uint32_t id = 0; id < program.stripes; ++id) {
    if (s.worker.may_expire(s.stripes[id]) && !s.stripes[id].quarantined) {
      s.expire(s.stripes[id]);
      ++retried;
    }
  }
  return retried == answer;
}

inline bool release(State& s, std::uint32_t id, std::uint8_t answer, bool stale) {
  auto& stripe = s.stripes[id];
  const auto expected = s.worker.closed      ? ReleaseResult::shut_down
                        : stripe.quarantined ? ReleaseResult::released
                                             : ReleaseResult::not_quarantined;
  if (!stale && stripe.waits_for_probe()) {
    s.take_inbox();
  }
  if (s.worker.may_end_quarantine(stripe)) {
    s.end_quarantine(stripe);
  }
  return expected == static_cast<ReleaseResult>(answer);
}

// As a set.
inline unsigned in_quarantine(const State& s) {
  unsigned set = 0;
  for (std::size_t id = 0; id < s.stripes.size(); ++id) {
    set |= s.stripes[id].quarantined ? 1U << id : 0;
  }
  return set;
}

// By a wait for one stripe.
inline bool is_told_of_quarantine(const State& s, const Call& call, const CallRecord& record) {
  return result_of(record.answer) == IdleResult::quarantined &&
         last_end(s, call.stripe) == last_end_of(record.answer);
}

// What a wait waits for, of which none has reached its goal.
struct Left {
  bool others = false;   // neither of these
  bool held = false;     // by a pause, and it has no limit
  bool delayed = false;  // as the wait need not wait for

  void add(const State& s, const Call& call, std::uint32_t id) {
    const auto& stripe = s.stripes[id];
    if (stripe.quarantined) {
      return;  // nobody waits for it
    }
    const bool is_held = !call.limited && protocol::is_held(s.worker, stripe);
    held = held || is_held;
    delayed = delayed || (!is_held && stripe.delayed);
    others = others || (!is_held && !stripe.delayed);
  }
  std::uint32_t answer(const State& s, bool in_time) const {
    return protocol::answer_of_wait(s.worker, others, held, delayed, in_time);
  }
};

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_DELAYS_H_
