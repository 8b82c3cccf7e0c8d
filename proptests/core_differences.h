// What the scheduling core must look like after each step of `core_steps.h`.

#ifndef KSTONE_PROPTESTS_CORE_DIFFERENCES_H_
#define KSTONE_PROPTESTS_CORE_DIFFERENCES_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>

#include "../protocol/callers.h"
#include "../protocol/invariants.h"
#include "core_steps.h"

namespace kstone::proptests {

// The sentence that does not hold, or nullptr.
#define KSTONE_MUST(condition) \
  if (!(condition)) return #condition

// Every observable of the core against the protocol, and the numbered invariants.
inline const char* difference_of_worker(const Shell& expected, const SchedulingCore& core) {
  const auto& worker = expected.worker;
  KSTONE_MUST(core.closed() == worker.closed);
  KSTONE_MUST(core.mode() == static_cast<ShutdownMode>(worker.mode));
  KSTONE_MUST(core.can_take() == worker.has_ready());
  KSTONE_MUST(core.running() == worker.running);
  KSTONE_MUST(core.running_max() == worker.running_max);
  KSTONE_MUST(core.first_error() == error_of_number(worker.first_error));

  WorkerCounters sum;
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  for (const auto& stripe : expected.stripes) {
    sum.queued += stripe.learnt_of(Submission::queued);
    sum.coalesced += stripe.learnt_of(Submission::coalesced);
    sum.rerun_pending += stripe.learnt_of(Submission::rerun_pending);
    sum.episodes_opened += stripe.opened();
    sum.retries += stripe.retried;
    sum.probes += stripe.probed;
    sum.episodes_done += stripe.ends_as(protocol::End::done);
    sum.episodes_failed += stripe.ends_as(protocol::End::failed);
    sum.episodes_cancelled += stripe.ends_as(protocol::End::cancelled);
    sum.episodes_removed += stripe.ends_as(protocol::End::removed);
    sum.rejected_removed += stripe.rejected;
    sum.episodes_discarded += stripe.ends_as(protocol::End::discarded);
    sum.compactions_started += stripe.started;
    for (std::size_t kind = 0; kind < CompactionOutcome::kind_count; ++kind) {
      sum.outcomes[static_cast<CompactionOutcome::Kind>(kind)] += stripe.outcomes[kind];
    }
    running += stripe.running;
    waiting += stripe.waits();
  }
  const auto& counters = core.counters();
  KSTONE_MUST(core.running() == running);  // C2
  KSTONE_MUST(core.waiting() == waiting);
  KSTONE_MUST(counters == sum);
  const auto all_ended = counters.episodes_done + counters.episodes_failed +
                         counters.episodes_cancelled + counters.episodes_removed +
                         counters.episodes_discarded;
  KSTONE_MUST(counters.episodes_opened == all_ended + core.alive());  // C3
  KSTONE_MUST(core.stopped() == expected.stopped);
  KSTONE_MUST(core.settled() == (expected.next_to_settle == expected.size.stripes));
  KSTONE_MUST(!core.settled() || core.mode() == ShutdownMode::drain || core.waiting() == 0);  // C5
  return nullptr;
}

inline const char* difference_of_stripes(const Shell& expected, const SchedulingCore& core) {
  using State = SchedulingCore::State;
  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    const auto& stripe = core.stripe(id);
    const auto& like = expected.stripes[id];
    KSTONE_MUST((stripe.state == State::queued) == like.queued);  // C1
    KSTONE_MUST((stripe.state == State::held) == like.held);
    KSTONE_MUST((stripe.state == State::delayed) == like.delayed);
    KSTONE_MUST(core.is_delayed(id) == (like.delayed && !like.quarantined));
    KSTONE_MUST(core.is_quarantined(id) == like.quarantined);
    KSTONE_MUST(core.waits_for_probe(id) == like.waits_for_probe());
    KSTONE_MUST(std::min<std::uint32_t>(stripe.failures, quarantine_after) ==
                expected.failures[id]);
    KSTONE_MUST((stripe.state == State::running) == like.running);
    KSTONE_MUST(stripe.rerun_owed == like.rerun_owed);
    KSTONE_MUST((core.rerun_owed(id).count != 0) == stripe.rerun_owed);
    KSTONE_MUST(!stripe.rerun_owed || (stripe.state == State::running && core.closed()));      // C4
    KSTONE_MUST(!stripe.rerun_owed || !core.settled() || core.mode() == ShutdownMode::drain);  // C5
    KSTONE_MUST(stripe.settled == like.word.closed);
    KSTONE_MUST(!stripe.settled || (!stripe.paused && stripe.state != State::held &&
                                    stripe.state != State::delayed));  // C5
    KSTONE_MUST(stripe.discarded == like.discarded);
    KSTONE_MUST(stripe.unfinished == like.unfinished);
    KSTONE_MUST(stripe.under_way == like.word.under_way);
    KSTONE_MUST(stripe.removed == like.word.removed);
    KSTONE_MUST(stripe.paused == like.paused);
    KSTONE_MUST(stripe.asked_to_stop == like.asked_to_stop);
    KSTONE_MUST(core.is_held(id) == protocol::is_held(expected.worker, like));
    KSTONE_MUST(stripe.ended == like.ended() - expected.ended_early[id]);
    KSTONE_MUST(stripe.has_ended == (like.ended() != 0));
    KSTONE_MUST(stripe.attempts == like.attempts);
    KSTONE_MUST(core.alive_episodes(id, 0) == like.opened() - like.ended());
    alive += core.alive_episodes(id, 0);
  }
  KSTONE_MUST(core.alive() == alive);
  return nullptr;
}

// The last of the ends of each stripe.
inline const char* difference_of_ends(const Shell& before, const Shell& expected,
                                      const SchedulingCore& core) {
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    const auto end = protocol::end_since(before.stripes[id], expected.stripes[id]);
    KSTONE_MUST(!end || core.stripe(id).last_end == *end);
  }
  return nullptr;
}

// What callers were told against what a snapshot says of them, and what wait_idle waits for.
inline const char* difference_of_answers(const Shell& expected, const SchedulingCore& core) {
  WorkerSnapshot snapshot;
  core.fill(snapshot);
  std::uint64_t rejected_in_all = 0;
  std::uint64_t told[3] = {};  // by Submission
  std::uint64_t alive = 0;
  std::uint64_t retried = 0;
  std::uint64_t probed = 0;
  std::uint32_t held = 0;
  std::uint32_t delayed = 0;
  std::uint32_t quarantined = 0;
  std::uint32_t probes_wait = 0;
  std::uint32_t removed = 0;
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    const auto& stripe = expected.stripes[id];
    const auto requests = stripe.word.requests;
    const std::uint64_t rejected = stripe.word.closed ? 3 : 0;
    rejected_in_all += rejected;
    core.add_pending(id, requests + rejected, snapshot);
    const auto not_ended = stripe.told_opened() - stripe.ended();
    KSTONE_MUST(core.alive_episodes(id, requests) == not_ended);
    KSTONE_MUST(core.closed() || core.can_adopt(id, requests) == expected.worker.may_adopt(stripe));
    KSTONE_MUST(core.closed() || !stripe.waits() || requests != 0);
    alive += not_ended;
    held += protocol::is_held(expected.worker, stripe);
    delayed += stripe.delayed && !stripe.quarantined;
    quarantined += stripe.quarantined;
    probes_wait += stripe.waits_for_probe();
    retried += stripe.retried;
    probed += stripe.probed;
    removed += stripe.word.removed;
    std::transform(told, told + 3, stripe.told, told, std::plus<std::uint64_t>{});
  }
  KSTONE_MUST(snapshot.queued == told[0]);
  KSTONE_MUST(snapshot.coalesced == told[1]);
  KSTONE_MUST(snapshot.rerun_pending == told[2]);
  KSTONE_MUST(snapshot.rejected_shutting_down == rejected_in_all);
  KSTONE_MUST(snapshot.rejected_removed == expected.told_removed);
  KSTONE_MUST(snapshot.episodes_opened == told[0] + told[2] + retried + probed);
  KSTONE_MUST(snapshot.retries == retried);
  KSTONE_MUST(snapshot.probes == probed);
  KSTONE_MUST(snapshot.episodes_alive == alive);
  KSTONE_MUST(snapshot.pending == alive - core.alive());
  KSTONE_MUST(snapshot.held == held);
  KSTONE_MUST(snapshot.delayed == delayed);
  KSTONE_MUST(core.delayed() == delayed);
  KSTONE_MUST(snapshot.quarantined == quarantined);
  KSTONE_MUST(core.quarantined() == quarantined);
  KSTONE_MUST(core.closed() || core.next_due().has_value() == (delayed + probes_wait != 0));
  KSTONE_MUST(snapshot.removed == removed);
  return nullptr;
}

// Whether `put_at_tail` can put the stripe there. A closed core that discards queues nothing.
inline bool can_join(const SchedulingCore& core, std::uint32_t id) {
  using State = SchedulingCore::State;
  const auto& stripe = core.stripe(id);
  const bool settled = stripe.settled && !stripe.rerun_owed;
  return stripe.state != State::queued &&
         !(core.closed() &&
           (settled || stripe.removed || stripe.paused || stripe.state == State::delayed));
}

// Puts the stripe at the tail of the queue. *Requires* that the core is not paused.
inline void put_at_tail(SchedulingCore& core, std::uint32_t id) {
  using State = SchedulingCore::State;
  using Kind = CompactionOutcome::Kind;
  const auto& stripe = core.stripe(id);
  if (core.closed()) {
    core.settle(id, {1});
    if (stripe.state == State::running) {
      core.finish(id, Kind::done, {1});
    }
    return;
  }
  const bool running = stripe.state == State::running;
  if (running && !stripe.removed && !stripe.paused && !stripe.asked_to_stop) {
    core.finish(id, Kind::more_work, {});
    return;
  }
  if (running) {
    core.finish(id, Kind::done, {});
  }
  if (stripe.removed) {
    core.restore(id, 0);
  }
  const bool waits = stripe.state != State::idle;
  core.resume(id);
  if (!waits) {
    core.enqueue(id);
  } else if (stripe.state == State::delayed) {
    core.retry(id);
  }
}

// What the core does not show, on a copy that is used up: both ends of its queue. One more stripe
// joins the queue, then all of it is taken.
inline const char* difference_of_queue(const Shell& expected, SchedulingCore core) {
  const auto stripe_count = expected.size.stripes;
  auto queue = expected.queue();
  if (core.closed() && (expected.worker.paused || core.mode() != ShutdownMode::drain)) {
    return nullptr;  // nothing will be taken
  }
  if (!core.closed()) {
    core.resume_all();
  }
  std::uint32_t id = 0;
  while (id < stripe_count && !can_join(core, id)) {
    ++id;
  }
  if (id != stripe_count) {
    put_at_tail(core, id);
    queue.push_back(id);
  }
  if (id == stripe_count && core.can_take() && !core.closed()) {
    id = core.take().stripe_id;
    KSTONE_MUST(id == queue.front());
    queue.erase(queue.begin());
    put_at_tail(core, id);
    queue.push_back(id);
  }
  for (std::uint32_t each = 0; core.closed() && each < stripe_count; ++each) {
    core.settle(each, {});
  }
  for (const auto next : queue) {
    KSTONE_MUST(core.can_take());
    KSTONE_MUST(core.take().stripe_id == next);
  }
  KSTONE_MUST(!core.can_take());
  return nullptr;
}

// What must hold between a state and the next, of what is settled.
inline const char* difference_of_step(const SchedulingCore& before, const SchedulingCore& after,
                                      std::uint32_t stripe_count) {
  using State = SchedulingCore::State;
  for (std::uint32_t id = 0; id < stripe_count; ++id) {
    const auto was = before.stripe(id).state;
    const auto is = after.stripe(id).state;
    if (!before.stripe(id).settled) {
      continue;
    }
    // Together: a stripe starts once more at most.
    KSTONE_MUST(was != State::idle || is == State::idle);  // C5
    KSTONE_MUST(was != State::running || before.stripe(id).rerun_owed || is != State::queued);
    KSTONE_MUST(before.stripe(id).rerun_owed || !after.stripe(id).rerun_owed);
  }
  KSTONE_MUST(after.mode() >= before.mode());
  return nullptr;
}

// The first of these that is not as it should be, or nullptr.
inline const char* difference(const Shell& before, const SchedulingCore& core_before,
                              const Shell& expected, const SchedulingCore& core) {
  const char* found = difference_of_worker(expected, core);
  if (found == nullptr) {
    found = difference_of_stripes(expected, core);
  }
  if (found == nullptr) {
    found = difference_of_ends(before, expected, core);
  }
  if (found == nullptr) {
    found = difference_of_answers(expected, core);
  }
  if (found == nullptr && before.worker.closed) {
    found = difference_of_step(core_before, core, expected.size.stripes);
  }
  if (found == nullptr) {
    found = protocol::broken(expected);
  }
  return found == nullptr ? difference_of_queue(expected, core) : found;
}

#undef KSTONE_MUST

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_DIFFERENCES_H_
