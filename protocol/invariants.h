// What is true of the worker in every state but in the middle of a compaction's end, each as a
// sentence and a condition on the worker and any one of its stripes.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_INVARIANTS_H_
#define KSTONE_PROTOCOL_INVARIANTS_H_

#include <array>

#include "protocol.h"

namespace kstone::protocol {

template <class Bool>
struct Invariant {
  const char* sentence;
  Bool holds;
};

// a implies b.
template <class Bool>
Bool implies(const Bool& a, const Bool& b) {
  return !a || b;
}

// Of what the mutex guards alone.
template <class Number, class Bool>
auto invariants_inside(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  const Bool drains = worker.mode == number_of<Number>(ShutdownMode::drain);
  return std::array{
      Invariant<Bool>{"a stripe that is queued does not run", !(stripe.running && stripe.queued)},
      Invariant<Bool>{"the queue has a place for each of its stripes",
                      implies(stripe.queued,
                              !(stripe.queued_at < worker.head) && stripe.queued_at < worker.tail)},
      Invariant<Bool>{"a re-run is owed only by a stripe that runs in a closed worker that drains",
                      implies(stripe.rerun_owed, stripe.running && worker.closed && drains)},
      Invariant<Bool>{"nothing is queued once another mode than drain is applied",
                      implies(worker.applied && !drains, !stripe.queued)},
      Invariant<Bool>{"episodes that the worker knows of are those that ended and those alive",
                      stripe.opened() == stripe.ended() + stripe.alive_inside()},
      Invariant<Bool>{
          "compactions started are those that ended and the one that runs",
          stripe.started == stripe.compactions_ended() + one_if<Number>(stripe.running)},
      Invariant<Bool>{"threads are asleep, run a job, or look for one",
                      !(worker.alive < worker.asleep + worker.running) &&
                          !(worker.running_max < worker.running) &&
                          implies(stripe.running, worker.running != Number(0))},
  };
}

// ... and of the words, and of what callers were told.
template <class Number, class Bool>
auto invariants_outside(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  const auto& word = stripe.word;
  const auto answered = [&](Submission answer) {
    return stripe.told[static_cast<int>(answer)] ==
           stripe.learnt_of(answer) + stripe.pending(answer);
  };
  return std::array{
      Invariant<Bool>{
          "a stripe that is wanted waits, runs, or is claimed",
          implies(stripe.claimed, stripe.idle() && !stripe.pushed && stripe.asked()) &&
              implies(stripe.asked(), stripe.claimed || stripe.pushed || !stripe.idle())},
      Invariant<Bool>{"a stripe in the inbox is neither queued nor runs",
                      implies(stripe.pushed, stripe.idle())},
      Invariant<Bool>{
          "the inbox has a place for each of its stripes",
          implies(stripe.pushed, !(stripe.pushed_at < worker.inbox_from) &&
                                     stripe.pushed_at < worker.inbox_from + worker.control.length)},
      Invariant<Bool>{"a closed worker has nothing in its inbox, and counts no sleepers",
                      implies(worker.closed, !stripe.pushed && worker.control.length == Number(0) &&
                                                 worker.control.sleepers == Number(0))},
      Invariant<Bool>{"a re-run is owed only behind a closed word",
                      implies(stripe.rerun_owed, word.closed)},
      Invariant<Bool>{"an open word says running while its stripe runs, a closed one never",
                      implies(word.running, stripe.running && !word.closed) &&
                          implies(stripe.running && !word.closed, word.running)},
      Invariant<Bool>{"what waits in an open worker is wanted by its word",
                      implies(!word.closed && (stripe.pushed || stripe.queued), stripe.asked())},
      Invariant<Bool>{"episodes that callers were told of are those that ended and those alive",
                      stripe.told_opened() == stripe.ended() + stripe.alive()},
      Invariant<Bool>{"what callers were told is what the worker has learnt and the word holds",
                      answered(Submission::queued) && answered(Submission::coalesced) &&
                          answered(Submission::rerun_pending)},
      // Each push claims a sleeper, and so does whoever takes a stripe and leaves others: so for
      // the queue one is enough.
      Invariant<Bool>{
          "while a thread sleeps that nobody has claimed, one is on the way for each push",
          implies(worker.control.wakes(),
                  !(worker.looking() + worker.owed + worker.tokens <
                    worker.control.length + one_if<Number>(worker.has_queued())))},
      Invariant<Bool>{
          "every thread that sleeps can still be claimed, or has a token coming",
          implies(!worker.closing(),
                  !(worker.control.sleepers + worker.owed + worker.tokens < worker.asleep))},
  };
}

// The first sentence that does not hold of some stripe, or nullptr.
template <class Number>
const char* broken_inside(const State<Number, bool>& state) {
  for (const auto& stripe : state.stripes) {
    for (const auto& each : invariants_inside(state.worker, stripe)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
  }
  return nullptr;
}
template <class Number>
const char* broken(const State<Number, bool>& state) {
  for (const auto& stripe : state.stripes) {
    for (const auto& each : invariants_outside(state.worker, stripe)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
  }
  return broken_inside(state);
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_INVARIANTS_H_
