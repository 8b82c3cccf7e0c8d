// The scheduling core: what is given up, and what is held back for a while.

#include <cassert>

#include "kstone/detail/core/scheduling_core.h"

namespace kstone::detail {

void SchedulingCore::remove_all() {
  for (auto& stripe : stripes_) {
    stripe.removed = true;
  }
  removed_ = static_cast<std::uint32_t>(stripes_.size());
}

SchedulingCore::Withdrawn SchedulingCore::cancel(std::uint32_t id, std::uint64_t requests) {
  return withdraw(id, requests, EpisodeEnd::cancelled);
}

SchedulingCore::Withdrawn SchedulingCore::remove(std::uint32_t id, std::uint64_t requests) {
  assert(!closed() && "SchedulingCore::remove: the core is closed");
  auto& stripe = stripes_[id];
  assert(!stripe.removed && "SchedulingCore::remove: the stripe is removed already");
  const auto result = withdraw(id, requests, EpisodeEnd::removed);
  stripe.removed = true;
  set_unfinished(id, false);
  ++removed_;
  return result;
}

SchedulingCore::Withdrawn SchedulingCore::withdraw(std::uint32_t id, std::uint64_t requests,
                                                   EpisodeEnd end) {
  auto& stripe = stripes_[id];
  stripe.raised = Priority::low;
  if (requests != 0) {
    counters_.coalesced += requests - 1;
    if (stripe.state == State::idle) {
      admit(id, Priority::normal);
      mark_under_way(stripe);
    }
  }
  Withdrawn result;
  switch (stripe.state) {
    case State::idle:
      break;
    case State::queued:
    case State::held:
    case State::delayed:
      end_waiting(id, end);
      set_unfinished(id, true);
      result.waited = true;
      break;
    case State::running:
      result.running = true;
      stripe.asked_to_stop = true;
      if (requests != 0) {
        ++counters_.rerun_pending;
        open_episode();
      }
      if (requests != 0 || stripe.rerun_owed) {
        count_end(stripe, end);
        stripe.rerun_owed = false;
        set_unfinished(id, true);
        result.rerun_pending = true;
      }
  }
  set_quarantined(stripe, stripe.quarantined && stripe.discarded);
  result.effects.tell_waits = result.waited;
  return result;
}

void SchedulingCore::restore(std::uint32_t id, std::uint64_t rejected) {
  auto& stripe = stripes_[id];
  assert(stripe.removed && "SchedulingCore::restore: the stripe is not removed");
  assert(stripe.state == State::idle && "SchedulingCore::restore: the stripe is not idle");
  assert(!closed() && "SchedulingCore::restore: the core is closed");
  counters_.rejected_removed += rejected;
  stripe.removed = false;
  stripe.paused = false;
  stripe.raised = Priority::low;
  stripe.failures = 0;
  stripe.lacks_resource = false;
  --removed_;
}

Effects SchedulingCore::pause(std::uint32_t id) {
  assert(!closed() && "SchedulingCore::pause: the core is closed");
  auto& stripe = stripes_[id];
  stripe.paused = true;
  if (stripe.state == State::queued) {
    lanes_.remove(stripes_, id);
    append(id);
  }
  return Effects{.tell_waits = true};
}

Effects SchedulingCore::resume(std::uint32_t id) {
  assert(!closed() && "SchedulingCore::resume: the core is closed");
  auto& stripe = stripes_[id];
  stripe.paused = false;
  if (stripe.state != State::held) {
    return Effects();
  }
  --held_;
  append(id);
  return wake_to_take();
}

Effects SchedulingCore::pause_all() {
  assert(!closed() && "SchedulingCore::pause_all: the core is closed");
  paused_at_ = paused_ ? paused_at_ : now_;
  paused_ = true;
  return Effects{.tell_waits = true};
}

Effects SchedulingCore::resume_all() {
  assert(!closed() && "SchedulingCore::resume_all: the core is closed");
  paused_for_ += paused_ ? now_ - paused_at_ : Time::zero();
  paused_ = false;
  return wake_to_take();
}

}  // namespace kstone::detail
