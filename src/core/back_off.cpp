// The scheduling core: what failed is tried again after a while.

#include <algorithm>
#include <cassert>

#include "kstone/detail/core/outcome_rule.h"
#include "kstone/detail/core/scheduling_core.h"

namespace kstone::detail {

// Whether a compaction of the stripe that answers so keeps it waiting before its next one.
bool SchedulingCore::delays_after(const Stripe& stripe, CompactionOutcome::Kind kind,
                                  const Failure& failure) const {
  return rule_of(kind).is_failure() && failure.retries != Retries::none && !closed() &&
         !stripe.asked_to_stop;
}

void SchedulingCore::note_outcome(Stripe& stripe, CompactionOutcome::Kind kind,
                                  const Failure& failure) {
  if (rule_of(kind).is_failure()) {
    stripe.lacks_resource = failure.resource;
    if (!failure.resource && stripe.failures != Stripe::most_failures) {
      ++stripe.failures;
    }
  } else if (kind != CompactionOutcome::Kind::stopped) {
    if (stripe.lacks_resource && rule_of(kind).did_work) {
      resource_is_back_ = !without_resource_.empty();
    }
    stripe.lacks_resource = false;
    stripe.failures = 0;
  }
}

// It has failed so often that it is for a probe to try it again.
bool SchedulingCore::is_broken(const Stripe& stripe) const {
  return quarantine_after_ != 0 && stripe.failures >= quarantine_after_ && !stripe.lacks_resource;
}

// *Requires* a stripe that neither runs nor waits.
void SchedulingCore::delay(std::uint32_t id, const Failure& failure, bool quarantines) {
  auto& stripe = stripes_[id];
  stripe.state = State::delayed;
  if (stripe.lacks_resource) {
    resource_is_back_ = false;
    if (without_resource_.empty()) {
      resource_due_ = std::max(resource_due_, now_ + resource_interval_);
    }
    without_resource_.push_back(stripes_, id);
  } else {
    const auto delay = quarantines ? probe_interval_ : delay_of(stripe);
    auto& delays = quarantines ? probes_ : delays_;
    delays.add(stripes_, id, now_ + less_a_share(delay, failure.share));
  }
}

// *Requires* one failure at least.
SchedulingCore::Time SchedulingCore::delay_of(const Stripe& stripe) const {
  auto delay = stripe.failures == Stripe::most_failures ? cap_ : initial_;
  for (int i = 1; i < stripe.failures && delay < cap_; ++i) {
    delay *= 2;
  }
  return std::min(delay, cap_);
}

SchedulingCore::Time SchedulingCore::less_a_share(Time delay, double share) const {
  return delay - std::chrono::duration_cast<Time>(delay * (jitter_ * share));
}

// *Requires* a stripe that is delayed. Of those that wait together for want of memory: the first.
SchedulingCore::Time SchedulingCore::due_of(const Stripe& stripe) const {
  if (stripe.has_due) {
    return stripe.time.get();
  }
  if (stripe.lacks_resource) {
    return resource_is_back_ ? now_ : resource_due_;
  }
  return (stripe.quarantined ? probes_ : delays_).next().value_or(now_);
}

void SchedulingCore::set_quarantined(Stripe& stripe, bool quarantined) {
  quarantined_ += quarantined ? 1 : 0;
  quarantined_ -= stripe.quarantined ? 1 : 0;
  stripe.quarantined = quarantined;
}

// *Requires* a stripe that is delayed, which is in no list then.
void SchedulingCore::end_delay(std::uint32_t id) {
  const auto& stripe = stripes_[id];
  if (stripe.lacks_resource) {
    without_resource_.remove(stripes_, id);
  } else {
    (stripe.quarantined ? probes_ : delays_).remove(stripes_, id);
  }
}

Effects SchedulingCore::retry(std::uint32_t id) {
  assert(!closed() && "SchedulingCore::retry: the core is closed");
  if (stripes_[id].state != State::delayed) {
    return Effects();
  }
  end_delay(id);
  append(id);
  auto effects = wake_to_take();
  effects.tell_waits = is_held(id);  // who waits for what is delayed, and not for what is paused
  return effects;
}

Effects SchedulingCore::release(std::uint32_t id) {
  assert(!closed() && "SchedulingCore::release: the core is closed");
  stripes_[id].failures = 0;
  const auto effects = waits_for_probe(id) ? retry(id) : Effects();
  set_quarantined(stripes_[id], false);
  return effects;
}

Effects SchedulingCore::expire(std::uint32_t most) {
  assert(!closed() && "SchedulingCore::expire: the core is closed");
  Effects effects;
  const auto go_on = [&](std::uint32_t id) {
    const bool tells = effects.tell_waits;
    effects = retry(id);
    effects.tell_waits = effects.tell_waits || tells;
  };
  for (; most != 0 && resource_is_back_ && !without_resource_.empty(); --most) {
    go_on(without_resource_.front());
  }
  resource_is_back_ = resource_is_back_ && !without_resource_.empty();
  if (most != 0 && !without_resource_.empty() && resource_due_ <= now_) {
    resource_due_ = now_ + resource_interval_;
    go_on(without_resource_.front());
    --most;
  }
  for (const auto* delays : {&delays_, &probes_}) {
    for (; most != 0 && delays->next() && *delays->next() <= now_; --most) {
      go_on(delays->first());
    }
  }
  return effects;
}

std::optional<SchedulingCore::Time> SchedulingCore::next_due() const {
  auto next = delays_.next();
  const auto at = [&next](Time time) { next = next ? std::min(*next, time) : time; };
  if (const auto probe = probes_.next()) {
    at(*probe);
  }
  if (!without_resource_.empty()) {
    at(resource_is_back_ ? Time(0) : resource_due_);
  }
  return next;
}

}  // namespace kstone::detail
