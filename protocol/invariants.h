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

template <class Number, class Bool>
auto invariants(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  const auto& word = stripe.word;
  const Number zero(0);
  const auto implies = [](const Bool& a, const Bool& b) { return !a || b; };
  const auto within = [](const Number& from, const Number& at, const Number& to) {
    return !(at < from) && at < to;
  };
  const Bool drains = worker.mode == number_of<Number>(ShutdownMode::drain);
  const auto answered = [&](Submission answer) {
    return stripe.told[static_cast<int>(answer)] ==
           stripe.learnt_of(answer) + stripe.pending(answer);
  };
  return std::array{
      Invariant<Bool>{"a stripe is in the inbox, in the queue, or runs, and in one of them only",
                      !(stripe.pushed && stripe.queued) && !(stripe.running && stripe.queued) &&
                          !(stripe.running && stripe.pushed)},
      Invariant<Bool>{
          "the inbox and the queue have a place for each of their stripes",
          implies(stripe.pushed, within(worker.inbox_from, stripe.pushed_at,
                                        worker.inbox_from + worker.control.length)) &&
              implies(stripe.queued, within(worker.head, stripe.queued_at, worker.tail))},
      Invariant<Bool>{"an open word says running while its stripe runs, a closed one never",
                      (word.running && stripe.running && !word.closed) ||
                          (!word.running && (!stripe.running || word.closed))},
      Invariant<Bool>{
          "what waits in an open worker is wanted by its word",
          implies(!word.closed && (stripe.pushed || stripe.queued), word.requests != zero)},
      Invariant<Bool>{"a re-run is owed only by a stripe that runs in a closed worker that drains",
                      implies(stripe.rerun_owed, stripe.running && worker.closed && drains)},
      Invariant<Bool>{"nothing is queued once another mode than drain is applied",
                      implies(worker.applied && !drains, !stripe.queued)},
      Invariant<Bool>{"nothing is left in the inbox of a closed worker",
                      implies(worker.closed, !stripe.pushed && worker.control.length == zero)},
      Invariant<Bool>{"episodes opened are those that ended and those alive, inside",
                      stripe.opened() == stripe.ended() + stripe.alive_inside()},
      Invariant<Bool>{"episodes that callers were told of are those that ended and those alive",
                      stripe.told_opened() == stripe.ended() + stripe.alive()},
      Invariant<Bool>{"what callers were told is what the worker has learnt and the word holds",
                      answered(Submission::queued) && answered(Submission::coalesced) &&
                          answered(Submission::rerun_pending)},
      Invariant<Bool>{
          "compactions started are those that ended and the one that runs",
          stripe.started == stripe.compactions_ended() + one_if<Number>(stripe.running)},
      Invariant<Bool>{"threads are asleep, run a job, or look for one",
                      !(worker.alive < worker.asleep + worker.running) &&
                          !(worker.running_max < worker.running) &&
                          implies(stripe.running, worker.running != zero)},
      Invariant<Bool>{
          "while something waits and a thread sleeps that nobody has claimed, one is on the way",
          implies((worker.has_queued() || worker.control.length != zero) && worker.control.wakes(),
                  worker.looking() + worker.owed + worker.tokens != zero)},
      Invariant<Bool>{
          "every thread that sleeps is still to be claimed or has a token coming",
          implies(!worker.closing(),
                  !(worker.control.sleepers + worker.owed + worker.tokens < worker.asleep))},
  };
}

// The first sentence that does not hold of some stripe, or nullptr.
template <class Number>
const char* broken(const State<Number, bool>& state) {
  for (const auto& stripe : state.stripes) {
    for (const auto& each : invariants(state.worker, stripe)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
  }
  return nullptr;
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_INVARIANTS_H_
