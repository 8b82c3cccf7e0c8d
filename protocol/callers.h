// The protocol as callers meet it: what each call answers, and how a shutdown goes on.
//
// Answers are enumerators by number, as everywhere in the protocol.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_CALLERS_H_
#define KSTONE_PROTOCOL_CALLERS_H_

#include <algorithm>
#include <optional>

#include "kstone/worker_snapshot.h"
#include "protocol.h"

namespace kstone::protocol {

// Where a shutdown stands when it has the mutex, from the moment on at which every word is closed.
enum class Stop { settled, awaits_threads, joins, awaits_joined, ends };

template <class Number, class Bool>
struct Callers {
  using Worker = protocol::Worker<Number, Bool>;

  Bool scan_alive{false};  // the thread of the periodic scan
  Bool timekeeper_alive{false};
  Number waiting{0};    // in wait_idle
  Number stopping{0};   // in shutdown or the destructor
  Bool joining{false};  // one of these joins the threads,
  Bool joined{false};   // ... and has

  Bool all_left(const Worker& worker) const {
    return worker.alive == Number(0) && !scan_alive && !timekeeper_alive;
  }

  // What a shutdown does next. One without a limit joins at once, which is all the waiting there
  // is; of several, one joins. `in_time`: the wait that it comes from has not run out of time.
  Number after(const Number& at, const Worker& worker, const Bool& limited,
               const Bool& in_time) const {
    const auto is = [](Stop stop) { return number_of<Number>(stop); };
    const Bool late = !in_time;
    const Bool awaited_threads = at == is(Stop::awaits_threads);
    const Bool awaited_joined = at == is(Stop::awaits_joined);
    const Bool awaits = limited && !awaited_joined && !all_left(worker);
    const Number others = choose(joined || (awaited_joined && late), is(Stop::ends),
                                 choose(joining, is(Stop::awaits_joined), is(Stop::joins)));
    return choose(!awaits, others,
                  choose(awaited_threads && late, is(Stop::ends), is(Stop::awaits_threads)));
  }

  // Whom a step has to tell, with the mutex still held. (That a shutdown closes or ends is told
  // always.)
  Bool tells_of_end() const { return waiting != Number(0); }       // of a compaction, or of all
  Bool tells_of_leaving() const { return stopping != Number(0); }  // of a thread
  // The destructor waits for the last wait, and for the last shutdown.
  Bool tells_of_return(const Worker& worker) const { return worker.closed; }
  Bool may_destroy() const { return waiting == Number(0) && stopping == Number(0); }
};

// What the thread of the periodic scan does next; `due`: it begins, or its interval has passed.
enum class Scan { scans, awaits, leaves };

template <class Number, class Bool>
Number scan_after(const Worker<Number, Bool>& worker, const Bool& due) {
  const auto is = [](Scan scan) { return number_of<Number>(scan); };
  return choose(worker.closed, is(Scan::leaves), choose(due, is(Scan::scans), is(Scan::awaits)));
}

// Of start, which the system gives so many threads; before `Worker::start`.
template <class Number, class Bool>
Number start_answer(const Worker<Number, Bool>& worker, const Number& threads) {
  const auto is = [](StartResult result) { return number_of<Number>(result); };
  return choose(worker.closed, is(StartResult::shut_down),
                choose(worker.started, is(StartResult::already_running),
                       choose(worker.enabled && threads == Number(0), is(StartResult::no_threads),
                              is(StartResult::started))));
}

// Of set_max_concurrent, to so many of the capacity; `fewer`: after threads were created there are
// too few.
template <class Number, class Bool>
Number resize_answer(const Worker<Number, Bool>& worker, const Number& to, const Number& capacity,
                     const Bool& fewer) {
  const auto is = [](ResizeResult result) { return number_of<Number>(result); };
  return choose(to == Number(0) || capacity < to, is(ResizeResult::out_of_range),
                choose(worker.closed, is(ResizeResult::shut_down),
                       choose(fewer, is(ResizeResult::fewer_threads), is(ResizeResult::resized))));
}

template <class Number, class Bool>
Bool is_running(const Worker<Number, Bool>& worker) {
  return worker.started && !worker.closed && (worker.alive != Number(0) || !worker.enabled);
}

template <class Number>
Number queue_size(const State<Number, bool>& state) {
  return static_cast<Number>(
      std::count_if(state.stripes.begin(), state.stripes.end(),
                    [](const auto& stripe) { return stripe.waits() || stripe.arrives(); }));
}

// wait_idle: a goal for each stripe, which is reached once all its episodes have ended that were
// alive. First it looks whether it may wait at all, then whether it still has to.
template <class Number>
const Number still_waits = Number(-1);

template <class Number, class Bool>
Number first_answer_of_wait(const Worker<Number, Bool>& worker, const Bool& on_own_thread) {
  return choose(
      on_own_thread, number_of<Number>(IdleResult::refused),
      choose(worker.closed, number_of<Number>(IdleResult::shut_down), still_waits<Number>));
}
template <class Number, class Bool>
Number goal_of(const Stripe<Number, Bool>& stripe) {
  return stripe.ended() + stripe.alive();
}
// An episode that was withdrawn while an older one runs does not count before that has ended.
template <class Number, class Bool>
Bool reached(const Stripe<Number, Bool>& stripe, const Number& goal) {
  return !(stripe.ended() < goal + stripe.early);
}
// A wait without a limit does not wait for what a pause holds.
template <class Number, class Bool>
Bool is_held(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  return stripe.held || (stripe.queued && worker.paused);
}
// `held`: one of those that it waits for, and it has no limit. `delayed`: one of them, and it does
// not wait for that. `others`: one that is neither, nor in quarantine, which nobody waits for.
template <class Number, class Bool>
Number answer_of_wait(const Worker<Number, Bool>& worker, const Bool& others, const Bool& held,
                      const Bool& delayed, const Bool& in_time) {
  const auto is = [](IdleResult result) { return number_of<Number>(result); };
  return choose(worker.closed, is(IdleResult::shut_down),
                choose(others, choose(in_time, still_waits<Number>, is(IdleResult::timed_out)),
                       choose(held, is(IdleResult::paused),
                              choose(delayed, is(IdleResult::delayed), is(IdleResult::idle)))));
}

// How the episode ended that a step has ended, if it has ended one.
template <class Number>
std::optional<End> end_since(const Stripe<Number, bool>& before,
                             const Stripe<Number, bool>& after) {
  for (const auto end : {End::done, End::failed, End::cancelled, End::removed, End::discarded}) {
    if (after.ends_as(end) != before.ends_as(end)) {
      return end;
    }
  }
  return std::nullopt;
}

// All of a snapshot but the error's text, the callers, and the statistics.
template <class Number>
WorkerSnapshot snapshot_of(const State<Number, bool>& state) {
  WorkerSnapshot result;
  const auto answered = [](const auto& stripe, Submission answer) {
    return stripe.learnt_of(answer) + stripe.pending(answer);
  };
  for (const auto& stripe : state.stripes) {
    result.queued += answered(stripe, Submission::queued);
    result.coalesced += answered(stripe, Submission::coalesced);
    result.rerun_pending += answered(stripe, Submission::rerun_pending);
    const auto rejected = [&stripe](bool so) { return so ? stripe.word.requests : Number(0); };
    result.rejected_shutting_down += rejected(stripe.word.closed);
    result.rejected_removed +=
        stripe.rejected + rejected(stripe.word.removed && !stripe.word.closed);
    result.episodes_done += stripe.ends_as(End::done);
    result.episodes_failed += stripe.ends_as(End::failed);
    result.episodes_cancelled += stripe.ends_as(End::cancelled);
    result.episodes_removed += stripe.ends_as(End::removed);
    result.episodes_discarded += stripe.ends_as(End::discarded);
    result.episodes_alive += stripe.alive();
    result.retries += stripe.retried;
    result.probes += stripe.probed;
    result.delayed += stripe.delayed && !stripe.quarantined;
    result.quarantined += stripe.quarantined;
    result.compactions_started += stripe.started;
    for (std::size_t kind = 0; kind < CompactionOutcome::kind_count; ++kind) {
      result.outcomes[static_cast<CompactionOutcome::Kind>(kind)] += stripe.outcomes[kind];
    }
  }
  result.episodes_opened = result.queued + result.rerun_pending + result.retries + result.probes;
  result.queue_size = queue_size(state);
  result.running = static_cast<std::uint32_t>(state.worker.running);
  result.running_max = static_cast<std::uint32_t>(state.worker.running_max);
  result.worker_threads = static_cast<std::uint32_t>(state.worker.alive);
  result.max_concurrent = static_cast<std::uint32_t>(state.worker.limit);
  result.parked_threads = static_cast<std::uint32_t>(state.worker.parked);
  return result;
}

// All of a report but the error's text and the duration.
template <class Number>
ShutdownReport report_of(const State<Number, bool>& state, bool complete) {
  ShutdownReport result;
  result.complete = complete;
  result.mode = static_cast<ShutdownMode>(state.worker.mode);
  for (std::uint32_t id = 0; id < state.stripes.size(); ++id) {
    const auto& stripe = state.stripes[id];
    const auto add_if = [id](bool listed, std::vector<CompactionRequest>& list) {
      if (listed) {
        list.push_back(CompactionRequest{id});
      }
    };
    add_if(stripe.discarded, result.discarded);
    add_if(stripe.quarantined, result.quarantined);
    add_if(stripe.unfinished, result.unfinished);
    add_if(stripe.queued || stripe.rerun_owed, result.waiting);
    add_if(stripe.running, result.still_running);
  }
  return result;
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_CALLERS_H_
