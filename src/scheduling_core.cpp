#include "kstone/scheduling_core.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace kstone {

void SchedulingCore::link(std::uint32_t stripe) {
  assert(!closed_ && "SchedulingCore::link: the core is closed");
  assert(stripes_[stripe].state == State::idle && "SchedulingCore::link: the stripe is not idle");
  admit(stripe);
}

std::uint32_t SchedulingCore::take() {
  assert(head_ != none && "SchedulingCore::take: the queue is empty");
  const auto id = head_;
  auto& stripe = stripes_[id];
  head_ = stripe.next;
  if (head_ == none) {
    tail_ = none;
  }
  --queued_;
  stripe.next = none;
  stripe.state = State::running;
  ++stripe.attempts;
  ++running_;
  running_max_ = std::max(running_max_, running_);
  ++counters_.started;
  return id;
}

void SchedulingCore::finish(std::uint32_t id, CompactionOutcome::Kind kind, bool requested) {
  using Kind = CompactionOutcome::Kind;
  auto& stripe = stripes_[id];
  assert(stripe.state == State::running && "SchedulingCore::finish: the stripe is not running");
  stripe.state = State::idle;
  --running_;
  ++counters_.outcomes[static_cast<std::size_t>(kind)];
  if (stripe.rerun_owed) {
    assert(requested && "SchedulingCore::finish: a re-run is owed");
    stripe.rerun_owed = false;
  } else if (requested) {
    ++counters_.rerun_pending;
    open_episode();
  }

  const bool worked = kind == Kind::done || kind == Kind::nothing_to_do;
  // Of the last compaction: a re-run may still make it good.
  stripe.unfinished = closed_ && !worked;
  if (worked || (kind == Kind::more_work && requested)) {
    end_episode(stripe, counters_.done);
  } else if (kind == Kind::more_work && !closed_) {
    append(id);  // the same episode goes on
  } else if (kind == Kind::more_work) {
    end_episode(stripe, counters_.discarded);
  } else {
    end_episode(stripe, kind == Kind::stopped ? counters_.cancelled : counters_.failed);
  }
  if (requested) {
    stripe.attempts = 0;
    append(id);
  }
}

void SchedulingCore::record_error(std::string&& error) {
  if (first_error_.empty()) {
    first_error_ = error.empty() ? "no text" : std::move(error);
  }
}

void SchedulingCore::close() {
  assert(!closed_ && "SchedulingCore::close: the core is closed already");
  closed_ = true;
}

void SchedulingCore::close_stripe(std::uint32_t id, std::uint64_t requests) {
  assert(closed_ && "SchedulingCore::close_stripe: the core is not closed");
  if (requests == 0) {
    return;
  }
  counters_.coalesced += requests - 1;
  auto& stripe = stripes_[id];
  if (stripe.state == State::idle) {
    admit(id);
  } else if (stripe.state == State::running) {
    ++counters_.rerun_pending;
    open_episode();
    stripe.rerun_owed = true;
  }
}

void SchedulingCore::apply(ShutdownMode mode) {
  assert(closed_ && "SchedulingCore::apply: the core is not closed");
  mode_ = std::max(mode_, mode);
  if (mode_ == ShutdownMode::drain) {
    return;
  }
  discard_queue();
  for (auto& stripe : stripes_) {
    if (stripe.rerun_owed) {
      stripe.rerun_owed = false;
      stripe.discarded = true;
      end_episode(stripe, counters_.discarded);
    }
  }
}

void SchedulingCore::discard_queue() {
  assert(closed_ && "SchedulingCore::discard_queue: the core is not closed");
  while (head_ != none) {
    auto& stripe = stripes_[head_];
    head_ = std::exchange(stripe.next, none);
    --queued_;
    stripe.state = State::idle;
    stripe.discarded = true;
    end_episode(stripe, counters_.discarded);
  }
  tail_ = none;
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
  if (closed_) {
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

void SchedulingCore::admit(std::uint32_t id) {
  ++counters_.queued;
  open_episode();
  stripes_[id].attempts = 0;
  append(id);
}

void SchedulingCore::append(std::uint32_t id) {
  auto& stripe = stripes_[id];
  stripe.state = State::queued;
  (tail_ == none ? head_ : stripes_[tail_].next) = id;
  tail_ = id;
  ++queued_;
}

}  // namespace kstone
