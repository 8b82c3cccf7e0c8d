#include "kstone/detail/core/scheduling_core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "kstone/detail/core/outcome_rule.h"

namespace kstone::detail {

void SchedulingCore::enqueue(std::uint32_t id, Priority priority) {
  assert(!closed() && "SchedulingCore::enqueue: the core is closed");
  assert(stripes_[id].state == State::idle && "SchedulingCore::enqueue: the stripe is not idle");
  admit(id, priority);
}

Effects SchedulingCore::adopt(std::uint32_t id, Priority priority) {
  enqueue(id, priority);
  mark_under_way(stripes_[id]);
  return wake_to_take();
}

void SchedulingCore::arrive_late(std::uint32_t id, const Requests& requests) {
  assert(stripes_[id].under_way && "SchedulingCore::arrive_late: the stripe is not under way");
  stripes_[id].under_way = false;
  --under_way_;
  if (can_adopt(id, requests.count)) {
    enqueue(id, requests.priority);
  }
}

SchedulingCore::Taken SchedulingCore::take() {
  assert(can_take() && "SchedulingCore::take: nothing is queued, or all is paused");
  assert((!closed() || stripes_[next_to_take()].settled) &&
         "SchedulingCore::take: the stripe is not settled");
  const auto open = open_lanes();
  const auto id = lanes_.pop(stripes_, *lanes_.next(stripes_, open), open);
  auto& stripe = stripes_[id];
  stripe.state = State::running;
  stripe.priority = stripe.lane;
  count_running(stripe.lane, true);
  set_unfinished(id, false);  // its end will say
  ++stripe.attempts;
  ++running_;
  running_max_ = std::max(running_max_, running_);
  ++counters_.compactions_started;
  return Taken{id, stripe.attempts, queued_for(stripe), wake_to_take()};
}

void SchedulingCore::serve(std::uint32_t id, const Requests& requests) {
  auto& stripe = stripes_[id];
  counters_.coalesced += requests.count - 1;
  stripe.priority = std::max<Priority>(stripe.priority, requests.priority);
  stripe.reasons |= requests.reasons;
}

Effects SchedulingCore::finish(std::uint32_t id, CompactionOutcome::Kind kind,
                               const Requests& requests, const Failure& failure) {
  const bool requested = requests.count != 0;
  auto& stripe = stripes_[id];
  assert(stripe.state == State::running && "SchedulingCore::finish: the stripe is not running");
  assert((!closed() || stripe.settled) && "SchedulingCore::finish: the stripe is not settled");
  stripe.state = State::idle;
  --running_;
  count_running(stripe.lane, false);
  ++counters_.outcomes[kind];
  if (stripe.rerun_owed) {
    assert(requested && "SchedulingCore::finish: a re-run is owed");
    stripe.rerun_owed = false;
  } else if (requested) {
    ++counters_.rerun_pending;
    open_episode();
  }

  // Of the last compaction: a re-run may still make it good.
  set_unfinished(id, (stripe.unfinished || rule_of(kind).leaves_work()) && !stripe.removed);
  const bool delayed = delays_after(stripe, kind, failure);
  const bool stays = goes_on(id, kind, failure);
  const auto due = next_due();
  note_outcome(stripe, kind, failure);
  const bool quarantines = delayed && stays && is_broken(stripe);
  stripe.reasons = (stays ? stripe.reasons : 0) | (requested ? requests.reasons : 0);
  const auto of_rest = std::max<Priority>(stripe.raised, stays ? stripe.priority : Priority::low);
  stripe.lane = requested ? std::max(of_rest, requests.priority) : of_rest;
  stripe.raised = Priority::low;
  if (const auto end = end_of(stripe, kind, requested, delayed && !quarantines && !requested)) {
    end_episode(stripe, *end);
    const bool retried = delayed && stays && !requested;
    if (retried) {
      ++(quarantines ? counters_.probes : counters_.retries);
      open_episode();
    }
    stripe.attempts = requested || retried ? 0 : stripe.attempts;
  }
  const bool stays_broken = closed() && stripe.quarantined && rule_of(kind).is_failure();
  set_quarantined(stripe, quarantines || (stays_broken && !stripe.asked_to_stop));
  stripe.asked_to_stop = false;
  if (delayed && (requested || stays)) {
    delay(id, failure, quarantines);
  } else if (requested || (stays && !closed())) {
    append(id);
  }
  const auto now_due = next_due();
  return Effects{.tell_waits = true, .tell_timekeeper = now_due && (!due || *now_due < *due)};
}

std::optional<EpisodeEnd> SchedulingCore::end_of(const Stripe& stripe, CompactionOutcome::Kind kind,
                                                 bool requested, bool same) const {
  using Episode = OutcomeRule::Episode;
  const auto rule = rule_of(kind);
  if (stripe.asked_to_stop && rule.leaves_work()) {
    return stripe.removed ? EpisodeEnd::removed : EpisodeEnd::cancelled;
  }
  switch (rule.episode) {
    case Episode::done:
      return EpisodeEnd::done;
    case Episode::failed:
      return EpisodeEnd::failed;
    case Episode::retried:
      return same ? std::nullopt : std::optional(EpisodeEnd::failed);
    case Episode::cancelled:
      return EpisodeEnd::cancelled;
    case Episode::goes_on:
      break;
  }
  if (requested) {
    return EpisodeEnd::done;
  }
  return closed() ? std::optional(EpisodeEnd::discarded) : std::nullopt;
}

bool SchedulingCore::goes_on(std::uint32_t id, CompactionOutcome::Kind kind,
                             const Failure& failure) const {
  const auto& stripe = stripes_[id];
  if (delays_after(stripe, kind, failure)) {
    return kind == CompactionOutcome::Kind::retry || failure.retries == Retries::all;
  }
  return rule_of(kind).goes_on() && !stripe.asked_to_stop;
}

void SchedulingCore::record_error(std::uint32_t id, std::string&& error) {
  errors_.record(id, std::move(error));
  if (!stripes_[id].unfinished) {
    errors_.forget(id);  // it was removed
  }
}

Effects SchedulingCore::close(ShutdownMode mode) {
  assert(!closed() && "SchedulingCore::close: the core is closed already");
  closed_at_ = now_;
  mode_ = mode;
  return Effects{.wake = Effects::Wake::everybody, .closed = true};
}

void SchedulingCore::strengthen(ShutdownMode mode) {
  assert(closed() && "SchedulingCore::strengthen: the core is not closed");
  if (mode_ == ShutdownMode::drain && mode != ShutdownMode::drain && !stopped()) {
    next_to_settle_ = 0;
  }
  mode_ = std::max(mode_, mode);
}

void SchedulingCore::settle(std::uint32_t id, const Requests& requests) {
  assert(closed() && "SchedulingCore::settle: the core is not closed");
  next_to_settle_ += id == next_to_settle_ ? 1 : 0;
  auto& stripe = stripes_[id];
  bool held = false;
  if (!stripe.settled) {
    close_stripe(id, requests);
    held = paused_ || stripe.paused || stripe.state == State::delayed;
    stripe.paused = false;
    stripe.settled = true;
  }
  if (held || discards()) {
    discard(id);
  }
}

void SchedulingCore::close_stripe(std::uint32_t id, const Requests& requests) {
  auto& stripe = stripes_[id];
  // A call that is between its steps finds the inbox closed.
  under_way_ -= stripe.under_way ? 1 : 0;
  stripe.under_way = false;
  if (stripe.removed) {
    counters_.rejected_removed += requests.count;
  } else if (requests.count != 0) {
    counters_.coalesced += requests.count - 1;
    if (stripe.state == State::running) {
      ++counters_.rerun_pending;
      open_episode();
      stripe.rerun_owed = true;
      stripe.rerun_priority = requests.priority;
      stripe.rerun_reasons = requests.reasons;
      return;
    }
    if (stripe.state == State::idle) {
      admit(id, requests.priority);
    } else {
      raise(id, requests.priority, 0);
    }
    stripe.reasons |= requests.reasons;
  }
}

Requests SchedulingCore::rerun_owed(std::uint32_t id) const {
  const auto& stripe = stripes_[id];
  return stripe.rerun_owed ? Requests{1, stripe.rerun_priority, stripe.rerun_reasons} : Requests();
}

bool SchedulingCore::discard_queue(std::uint32_t most) {
  assert(closed() && "SchedulingCore::discard_queue: the core is not closed");
  for (; most != 0 && !lanes_.empty(); --most) {
    discard(*lanes_.oldest(stripes_));
  }
  return lanes_.empty();
}

void SchedulingCore::stop() {
  assert(closed() && lanes_.empty() && "SchedulingCore::stop: something is queued");
  stopped_at_ = now_;
}

// What of the stripe has not begun.
void SchedulingCore::discard(std::uint32_t id) {
  auto& stripe = stripes_[id];
  if (stripe.waits()) {
    end_waiting(id, EpisodeEnd::discarded);
  } else if (stripe.rerun_owed) {
    stripe.rerun_owed = false;
    count_end(stripe, EpisodeEnd::discarded);
  } else {
    return;
  }
  discarded_ += stripe.discarded ? 0 : 1;
  stripe.discarded = true;
}

void SchedulingCore::end_episode(Stripe& stripe, EpisodeEnd end) {
  count_end(stripe, end);
  ++stripe.ended;
}

// *Requires* a stripe that waits.
void SchedulingCore::end_waiting(std::uint32_t id, EpisodeEnd end) {
  auto& stripe = stripes_[id];
  if (stripe.state == State::queued) {
    lanes_.remove(stripes_, id);
  } else if (stripe.state == State::delayed) {
    end_delay(id);
  } else {
    --held_;
  }
  stripe.state = State::idle;
  end_episode(stripe, end);
}

void SchedulingCore::count_end(Stripe& stripe, EpisodeEnd end) {
  switch (end) {
    case EpisodeEnd::done:
      ++counters_.episodes_done;
      break;
    case EpisodeEnd::failed:
      ++counters_.episodes_failed;
      break;
    case EpisodeEnd::cancelled:
      ++counters_.episodes_cancelled;
      break;
    case EpisodeEnd::removed:
      ++counters_.episodes_removed;
      break;
    case EpisodeEnd::discarded:
      ++counters_.episodes_discarded;
      break;
  }
  stripe.last_end = end;
  stripe.has_ended = true;
  --alive_;
}

void SchedulingCore::admit(std::uint32_t id, Priority priority) {
  ++counters_.queued;
  open_episode();
  auto& stripe = stripes_[id];
  stripe.attempts = 0;
  stripe.lane = std::max<Priority>(priority, stripe.raised);
  stripe.raised = Priority::low;
  stripe.reasons = 0;
  append(id);
}

void SchedulingCore::append(std::uint32_t id) {
  if (stripes_[id].paused) {
    stripes_[id].state = State::held;
    ++held_;
  } else {
    stripes_[id].state = State::queued;
    lanes_.push_back(stripes_, id, time_in_queue());
  }
}

void SchedulingCore::mark_under_way(Stripe& stripe) {
  under_way_ += stripe.under_way ? 0 : 1;
  stripe.under_way = true;
}

void SchedulingCore::set_unfinished(std::uint32_t id, bool unfinished) {
  auto& stripe = stripes_[id];
  if (stripe.unfinished == unfinished) {
    return;
  }
  stripe.unfinished = unfinished;
  if (unfinished) {
    ++unfinished_;
  } else {
    --unfinished_;
    errors_.forget(id);
  }
}

}  // namespace kstone::detail
