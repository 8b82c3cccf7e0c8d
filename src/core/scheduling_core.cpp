#include "kstone/detail/core/scheduling_core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "kstone/detail/core/outcome_rule.h"

namespace kstone::detail {

void SchedulingCore::enqueue(std::uint32_t id) {
  assert(!closed() && "SchedulingCore::enqueue: the core is closed");
  assert(stripes_[id].state == State::idle && "SchedulingCore::enqueue: the stripe is not idle");
  admit(id);
}

Effects SchedulingCore::adopt(std::uint32_t id) {
  enqueue(id);
  under_way_ += stripes_[id].under_way ? 0 : 1;
  stripes_[id].under_way = true;
  return Effects{.wake = Effects::Wake::one_more};
}

void SchedulingCore::arrive_late(std::uint32_t id, bool requested) {
  assert(stripes_[id].under_way && "SchedulingCore::arrive_late: the stripe is not under way");
  stripes_[id].under_way = false;
  --under_way_;
  if (can_adopt(id, requested ? 1 : 0)) {
    enqueue(id);
  }
}

SchedulingCore::Taken SchedulingCore::take() {
  assert(has_queued() && "SchedulingCore::take: the queue is empty");
  const auto id = lane_.pop_front(stripes_);
  auto& stripe = stripes_[id];
  stripe.state = State::running;
  ++stripe.attempts;
  ++running_;
  running_max_ = std::max(running_max_, running_);
  ++counters_.compactions_started;
  const auto wake = has_queued() ? Effects::Wake::one_more : Effects::Wake::nobody;
  return Taken{id, stripe.attempts, Effects{.wake = wake}};
}

Effects SchedulingCore::finish(std::uint32_t id, CompactionOutcome::Kind kind, bool requested) {
  using Episode = OutcomeRule::Episode;
  auto& stripe = stripes_[id];
  assert(stripe.state == State::running && "SchedulingCore::finish: the stripe is not running");
  stripe.state = State::idle;
  --running_;
  ++counters_.outcomes[kind];
  if (stripe.rerun_owed) {
    assert(requested && "SchedulingCore::finish: a re-run is owed");
    stripe.rerun_owed = false;
  } else if (requested) {
    ++counters_.rerun_pending;
    open_episode();
  }

  const auto rule = rule_of(kind);
  // Of the last compaction: a re-run may still make it good.
  stripe.unfinished = closed() && rule.leaves_work();
  switch (rule.episode) {
    case Episode::done:
      end_episode(stripe, EpisodeEnd::done);
      break;
    case Episode::failed:
      end_episode(stripe, EpisodeEnd::failed);
      break;
    case Episode::cancelled:
      end_episode(stripe, EpisodeEnd::cancelled);
      break;
    case Episode::goes_on:
      if (requested) {
        end_episode(stripe, EpisodeEnd::done);
      } else if (closed()) {
        end_episode(stripe, EpisodeEnd::discarded);
      } else {
        append(id);
      }
  }
  if (requested) {
    stripe.attempts = 0;
    append(id);
  }
  return Effects{.compaction_ended = true};
}

void SchedulingCore::record_error(std::string&& error) {
  if (first_error_.empty()) {
    first_error_ = error.empty() ? "no text" : std::move(error);
  }
}

Effects SchedulingCore::close(Time now) {
  assert(!closed() && "SchedulingCore::close: the core is closed already");
  closed_at_ = now;
  return Effects{.wake = Effects::Wake::everybody, .closed = true};
}

void SchedulingCore::close_stripe(std::uint32_t id, std::uint64_t requests) {
  assert(closed() && "SchedulingCore::close_stripe: the core is not closed");
  auto& stripe = stripes_[id];
  // A call that is between its steps finds the inbox closed.
  under_way_ -= stripe.under_way ? 1 : 0;
  stripe.under_way = false;
  if (requests == 0) {
    return;
  }
  counters_.coalesced += requests - 1;
  if (stripe.state == State::idle) {
    admit(id);
  } else if (stripe.state == State::running) {
    ++counters_.rerun_pending;
    open_episode();
    stripe.rerun_owed = true;
  }
}

void SchedulingCore::apply(ShutdownMode mode) {
  assert(closed() && "SchedulingCore::apply: the core is not closed");
  mode_ = std::max(mode_, mode);
  if (mode_ == ShutdownMode::drain) {
    return;
  }
  discard_queue();
  for (auto& stripe : stripes_) {
    if (stripe.rerun_owed) {
      stripe.rerun_owed = false;
      stripe.discarded = true;
      end_episode(stripe, EpisodeEnd::discarded);
    }
  }
}

void SchedulingCore::stop(Time now) {
  assert(closed() && "SchedulingCore::stop: the core is not closed");
  discard_queue();
  stopped_at_ = now;
}

void SchedulingCore::discard_queue() {
  while (has_queued()) {
    auto& stripe = stripes_[lane_.pop_front(stripes_)];
    stripe.state = State::idle;
    stripe.discarded = true;
    end_episode(stripe, EpisodeEnd::discarded);
  }
}

std::uint32_t SchedulingCore::alive_episodes(std::uint32_t id, std::uint64_t requests) const {
  const auto& stripe = stripes_[id];
  switch (stripe.state) {
    case State::idle:
      return requests != 0 ? 1 : 0;
    case State::queued:
      return 1;
    case State::running:
      return requests != 0 || stripe.rerun_owed ? 2 : 1;
  }
  return 0;
}

void SchedulingCore::add_pending(std::uint32_t id, std::uint64_t requests,
                                 WorkerSnapshot& snapshot) const {
  if (closed()) {
    snapshot.rejected_shutting_down += requests;
    return;
  }
  if (requests == 0) {
    return;
  }
  snapshot.coalesced += requests - 1;
  if (stripes_[id].state == State::queued) {
    return;  // the first of them opened the episode that the core counted
  }
  ++(stripes_[id].state == State::idle ? snapshot.queued : snapshot.rerun_pending);
  ++snapshot.episodes_opened;
  ++snapshot.episodes_alive;
}

void SchedulingCore::end_episode(Stripe& stripe, EpisodeEnd end) {
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
    case EpisodeEnd::discarded:
      ++counters_.episodes_discarded;
      break;
  }
  stripe.last_end = end;
  stripe.has_ended = true;
  ++stripe.ended;
  --alive_;
}

void SchedulingCore::admit(std::uint32_t id) {
  ++counters_.queued;
  open_episode();
  stripes_[id].attempts = 0;
  append(id);
}

void SchedulingCore::append(std::uint32_t id) {
  stripes_[id].state = State::queued;
  lane_.push_back(stripes_, id);
}

ShutdownReport SchedulingCore::report(Time now) const {
  ShutdownReport result;
  result.complete = stopped();
  result.mode = mode_;
  for (std::uint32_t i = 0; i < stripes_.size(); ++i) {
    if (stripes_[i].discarded) {
      result.discarded.push_back(CompactionRequest{i});
    }
    if (stripes_[i].unfinished) {
      result.unfinished.push_back(CompactionRequest{i});
    }
    if (stripes_[i].state == State::running) {
      result.still_running.push_back(CompactionRequest{i});
    }
  }
  result.duration = stopped_at_.value_or(now) - *closed_at_;
  result.first_error = first_error_;
  return result;
}

void SchedulingCore::fill(WorkerSnapshot& snapshot) const {
  static_cast<WorkerCounters&>(snapshot) = counters_;
  snapshot.episodes_alive = alive_;
  snapshot.running = running_;
  snapshot.running_max = running_max_;
  snapshot.first_error = first_error_;
}

}  // namespace kstone::detail
