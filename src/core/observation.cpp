// The scheduling core: what it shows of itself.

#include "kstone/detail/core/scheduling_core.h"

namespace kstone::detail {
SchedulingCore::Time SchedulingCore::oldest_waiting() const {
  const auto oldest = lanes_.oldest(stripes_);
  return oldest ? queued_for(stripes_[*oldest]) : Time::zero();
}

std::uint32_t SchedulingCore::alive_episodes(std::uint32_t id, std::uint64_t requests) const {
  const auto& stripe = stripes_[id];
  const bool asked = requests != 0 && !stripe.removed;
  switch (stripe.state) {
    case State::idle:
      return asked ? 1 : 0;
    case State::queued:
    case State::held:
    case State::delayed:
      return 1;
    case State::running:
      return asked || stripe.rerun_owed ? 2 : 1;
  }
  return 0;
}

void SchedulingCore::add_pending(std::uint32_t id, std::uint64_t requests,
                                 WorkerSnapshot& snapshot) const {
  if (stripes_[id].settled) {
    snapshot.rejected_shutting_down += requests;
    return;
  }
  if (stripes_[id].removed) {
    snapshot.rejected_removed += requests;
    return;
  }
  if (requests == 0) {
    return;
  }
  snapshot.coalesced += requests - 1;
  if (stripes_[id].waits()) {
    return;  // the first of them opened the episode that the core counted
  }
  ++(stripes_[id].state == State::idle ? snapshot.queued : snapshot.rerun_pending);
  ++snapshot.episodes_opened;
  ++snapshot.episodes_alive;
  ++snapshot.pending;
}

ShutdownReport SchedulingCore::report() const {
  ShutdownReport result;
  result.complete = stopped();
  result.mode = mode_;
  // Room at once: to move what is there when it grows would take as long as there is of it.
  result.discarded.reserve(stopped() ? discarded_ : stripes_.size());
  result.unfinished.reserve(stopped() ? unfinished_ : stripes_.size());
  result.quarantined.reserve(stopped() ? quarantined_ : stripes_.size());
  result.errors.reserve(errors_.size());
  result.waiting.reserve(std::size_t{lanes_.size()} + running_);
  result.still_running.reserve(running_max_);
  result.duration = stopped_at_.value_or(now_) - *closed_at_;
  result.first_error = errors_.first();
  return result;
}

bool SchedulingCore::report_on(std::uint32_t id, ShutdownReport& report) const {
  const auto& stripe = stripes_[id];
  if (stripe.discarded) {
    report.discarded.push_back(CompactionRequest{id});
  }
  if (stripe.quarantined) {
    report.quarantined.push_back(CompactionRequest{id});
  }
  if (stripe.unfinished) {
    report.unfinished.push_back(CompactionRequest{id});
    const auto* const error = errors_.last_of(id);
    if (error != nullptr && report.errors.size() < report.errors.capacity()) {
      report.errors.push_back(StripeError{id, *error});
    }
  }
  if (stripe.state == State::queued || stripe.rerun_owed) {
    report.waiting.push_back(CompactionRequest{id});
  }
  if (stripe.state == State::running) {
    report.still_running.push_back(CompactionRequest{id});
  }
  // One that was begun before the end may list what has been made good since.
  return !report.complete || report.discarded.size() < discarded_ ||
         report.unfinished.size() < unfinished_;
}

void SchedulingCore::explain(std::uint32_t id, std::uint32_t most, StripeFacts& facts) const {
  using Place = StripeFacts::Place;
  const auto& stripe = stripes_[id];
  facts.all_paused = paused_;
  facts.removed = stripe.removed;
  facts.asked_to_stop = stripe.asked_to_stop;
  facts.requested = stripe.rerun_owed;
  facts.lacks_resource = stripe.lacks_resource;
  facts.quarantined = stripe.quarantined;
  facts.failures = stripe.failures;
  facts.all_failures = stripe.failures != Stripe::most_failures;
  facts.paused = stripe.paused;
  facts.unfinished = stripe.unfinished;
  facts.last_end = stripe.has_ended ? std::optional(stripe.last_end) : std::nullopt;
  if (const auto* const error = errors_.last_of(id)) {
    facts.error.assign(*error, 0, StripeFacts::most_of_error);
  }
  switch (stripe.state) {
    case State::idle:
      break;
    case State::queued:
      facts.place = Place::queued;
      facts.time = queued_for(stripe);
      count_before(id, most, facts);
      break;
    case State::held:
      facts.place = Place::held;
      break;
    case State::delayed:
      facts.place = Place::delayed;
      facts.due_in = due_of(stripe) - now_;
      break;
    case State::running:
      facts.place = Place::running;
  }
}

// As the queue stands: those of higher lanes, and those before it in its own.
void SchedulingCore::count_before(std::uint32_t id, std::uint32_t most, StripeFacts& facts) const {
  const auto lane = stripes_[id].lane;
  facts.lane = lane;
  facts.lane_is_open = open_lanes()[static_cast<std::size_t>(lane)];
  facts.before = lane != Priority::high ? lanes_.size(Priority::high) : 0;
  facts.before += lane == Priority::low ? lanes_.size(Priority::normal) : 0;
  for (auto each = lanes_.front(lane); each != id && facts.all_before;
       each = stripes_[each].next, --most) {
    facts.all_before = most != 0;
    facts.before += facts.all_before ? 1 : 0;
  }
}

void SchedulingCore::fill(WorkerSnapshot& snapshot) const {
  static_cast<WorkerCounters&>(snapshot) = counters_;
  snapshot.episodes_alive = alive_;
  snapshot.held = held_ + (paused_ ? lanes_.size() : 0);
  snapshot.delayed = delayed();
  snapshot.quarantined = quarantined_;
  snapshot.removed = removed_;
  snapshot.in_high_lane = lanes_.size(Priority::high);
  snapshot.in_low_lane = lanes_.size(Priority::low);
  snapshot.running = running_;
  snapshot.running_max = running_max_;
  snapshot.first_error = errors_.first();
}

}  // namespace kstone::detail
