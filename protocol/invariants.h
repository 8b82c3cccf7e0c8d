// What is true of the worker in every state but in the middle of a compaction's end, each as a
// sentence and a condition: on the worker, on it and any one of its stripes, or a sum over all its
// stripes. The initial state has them, each step keeps them: for small sizes protocol_test.cpp
// looks at every state, for any sizes proof/ has them proven.
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

template <class Bool>
Bool equal(const Bool& a, const Bool& b) {
  return implies(a, b) && implies(b, a);
}

// Of the worker by itself.
template <class Number, class Bool>
auto invariants_of_worker(const Worker<Number, Bool>& worker) {
  const auto& control = worker.control;
  const Number claims = control.sleepers + worker.owed + worker.tokens;
  const auto natural = [](const Number& number) { return !(number < Number(0)); };
  return std::array{
      // Where numbers are unsigned, that is nothing to look at.
      Invariant<Bool>{"no count has fallen below nothing",
                      natural(worker.asleep) && natural(worker.parked) && natural(worker.running) &&
                          natural(worker.owed) && natural(worker.tokens) &&
                          natural(worker.words_closed) && natural(worker.mode) &&
                          natural(control.sleepers) && natural(control.length) &&
                          natural(worker.raises) && natural(worker.arriving)},
      Invariant<Bool>{"the inbox names its newest node, unless it is empty",
                      equal(worker.nodes() == Number(0), control.is_empty())},
      Invariant<Bool>{"the inbox is closed when the worker is",
                      equal(Bool(worker.closed), Bool(control.closed))},
      Invariant<Bool>{
          "the mode is one of three, and the weakest until the worker closes",
          !(number_of<Number>(ShutdownMode::cancel) < worker.mode) &&
              implies(!worker.closed, worker.mode == number_of<Number>(ShutdownMode::drain))},
      Invariant<Bool>{"threads are asleep, parked, run a job, or look for one",
                      !(worker.alive < worker.asleep + worker.parked + worker.running)},
      Invariant<Bool>{"one compaction at least is allowed", Number(0) < worker.limit},
      Invariant<Bool>{"before the start there are no threads",
                      implies(!worker.started, worker.alive == Number(0))},
      // Each push claims a sleeper, and so does whoever takes a stripe and leaves others: so for
      // the queue one is enough.
      Invariant<Bool>{"while a thread sleeps that nobody has claimed, one is on the way for each "
                      "push, or waits "
                      "apart",
                      implies(control.wakes(),
                              !(worker.looking() + worker.owed + worker.tokens + worker.parked <
                                worker.nodes() + one_if<Number>(worker.has_ready())))},
      Invariant<Bool>{
          "each thread that sleeps can be claimed or has a token coming; no other has, "
          "until the worker closes",
          !(claims < worker.asleep) && implies(!worker.closed, !(worker.asleep < claims))},
      Invariant<Bool>{
          "a closed worker has nothing in its inbox, and counts no sleepers",
          implies(worker.closed, worker.nodes() == Number(0) && control.sleepers == Number(0))},
  };
}

// A number of the worker that is the sum of what each stripe adds to it, one or nothing.
template <class Number>
struct Sum {
  const char* sentence;
  Number total;
  Number of_stripe;
};

template <class Number, class Bool>
auto sums(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  return std::array{
      Sum<Number>{"as many stripes run as the worker counts", worker.running,
                  one_if<Number>(stripe.running)},
      Sum<Number>{"as many stripes are queued as the worker counts", worker.queued,
                  one_if<Number>(stripe.queued)},
      Sum<Number>{"as many stripes of the inbox will be queued as the worker counts",
                  worker.arriving, one_if<Number>(stripe.arrives_ready())},
      Sum<Number>{"the inbox is as long as it says", worker.control.length - worker.arriving,
                  one_if<Number>(stripe.pushed && !stripe.arrives_ready())},
      Sum<Number>{"the inbox has as many nodes without a stripe as it says", worker.raises,
                  one_if<Number>(stripe.raise_pushed)},
      Sum<Number>{"as many words are closed as the worker counts", worker.words_closed,
                  one_if<Number>(stripe.word.closed)},
  };
}

// Of places, which hold in the middle of a compaction's end as well.
template <class Number, class Bool>
auto invariants_of_places(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  return std::array{
      Invariant<Bool>{"what is queued next has a place behind all that are",
                      implies(stripe.queued, stripe.queued_at < worker.tail)},
      Invariant<Bool>{
          "a stripe of the inbox has a place there",
          implies(stripe.pushed, !(stripe.pushed_at < worker.inbox_from) &&
                                     stripe.pushed_at < worker.inbox_from + worker.nodes())},
      Invariant<Bool>{"a raise of the inbox has a place there, which is not its stripe's",
                      implies(stripe.raise_pushed,
                              !(stripe.raise_at < worker.inbox_from) &&
                                  stripe.raise_at < worker.inbox_from + worker.nodes() &&
                                  !(stripe.pushed && stripe.raise_at == stripe.pushed_at))},
  };
}

// ... of any two stripes.
template <class Number, class Bool>
auto invariants_of_two(const Stripe<Number, Bool>& a, const Stripe<Number, Bool>& b) {
  return std::array{
      Invariant<Bool>{"no two stripes have one place in the queue",
                      implies(a.queued && b.queued, a.queued_at != b.queued_at)},
      Invariant<Bool>{"no two stripes have one place in the inbox",
                      implies(a.pushed && b.pushed, a.pushed_at != b.pushed_at) &&
                          implies(a.raise_pushed && b.raise_pushed, a.raise_at != b.raise_at) &&
                          implies(a.pushed && b.raise_pushed, a.pushed_at != b.raise_at) &&
                          implies(a.raise_pushed && b.pushed, a.raise_at != b.pushed_at)},
  };
}

// Of what the mutex guards alone.
template <class Number, class Bool>
auto invariants_inside(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe) {
  return std::array{
      Invariant<Bool>{"a stripe that waits does not run, and waits for one thing",
                      !(stripe.running && stripe.waits()) &&
                          !(stripe.delayed && (stripe.queued || stripe.held))},
      Invariant<Bool>{"what is in quarantine waits, or runs, until the worker closes",
                      implies(stripe.quarantined && !worker.closed, !stripe.idle())},
      Invariant<Bool>{"what is paused is held and not queued, and nothing else is",
                      implies(stripe.queued, !stripe.paused) &&
                          implies(stripe.held, stripe.paused && !stripe.queued)},
      Invariant<Bool>{
          "only what runs is asked to stop, and has younger episodes that ended early",
          implies(!stripe.running, !stripe.asked_to_stop && stripe.early == Number(0)) &&
              !(stripe.early < Number(0)) &&
              implies(stripe.early != Number(0), stripe.asked_to_stop || worker.closed)},
      Invariant<Bool>{"a re-run is owed only by a stripe that runs in a closed worker",
                      implies(stripe.rerun_owed, stripe.running && worker.closed)},
      Invariant<Bool>{"episodes that the worker knows of are those that ended and those alive",
                      stripe.opened() == stripe.ended() + stripe.alive_inside()},
      Invariant<Bool>{
          "compactions started are those that ended and the one that runs",
          stripe.started == stripe.compactions_ended() + one_if<Number>(stripe.running)},
      Invariant<Bool>{"no more have run at once than the worker says",
                      !(worker.running_max < worker.running)},
  };
}

// ... and of the words, and of what callers were told.
template <class Number, class Bool>
auto invariants_outside(const Worker<Number, Bool>& worker, const Stripe<Number, Bool>& stripe,
                        const Number& id) {
  const auto& word = stripe.word;
  const Number last = worker.inbox_from + worker.nodes() - Number(1);
  const auto answered = [&](Submission answer) {
    return stripe.told[static_cast<int>(answer)] ==
           stripe.learnt_of(answer) + stripe.pending(answer);
  };
  return std::array{
      Invariant<Bool>{"no compaction is in the middle of its end", !stripe.released},
      Invariant<Bool>{"a word closes only in a closed worker, with no request",
                      implies(word.closed, worker.closed) && !(word.requests < Number(0))},
      Invariant<Bool>{
          "a stripe that is wanted waits, runs, or is claimed",
          implies(stripe.claimed && !word.under_way, stripe.idle() && stripe.asked()) &&
              implies(stripe.asked(), stripe.claimed || stripe.pushed || !stripe.idle())},
      Invariant<Bool>{"a node is in one place, and says that it is under way unless it brings the "
                      "stripe",
                      !(stripe.claimed && stripe.pushed) &&
                          implies(word.under_way, stripe.claimed || stripe.pushed) &&
                          implies(stripe.pushed && !word.under_way, stripe.idle())},
      Invariant<Bool>{
          "the inbox names the node that was pushed last",
          implies(stripe.pushed && stripe.pushed_at == last,
                  worker.control.newest ==
                      id + Number(1) + choose(stripe.looks, worker.stripes, Number(0))) &&
              implies(stripe.raise_pushed && stripe.raise_at == last,
                      worker.control.newest == id + Number(1) + worker.stripes + worker.stripes)},
      Invariant<Bool>{"a re-run is owed only behind a closed word",
                      implies(stripe.rerun_owed, word.closed)},
      Invariant<Bool>{"an open word says running while its stripe runs, a closed one never",
                      implies(word.running, stripe.running) &&
                          !(word.closed && (word.running || word.under_way)) &&
                          implies(stripe.running && !word.closed, word.running)},
      Invariant<Bool>{
          "what waits in an open worker is wanted by its word",
          implies(!word.closed && ((stripe.pushed && !word.under_way) || stripe.waits()),
                  stripe.asked())},
      Invariant<Bool>{
          "a removed stripe does not wait, is asked to stop if it runs, and leaves nothing undone",
          implies(word.removed, !stripe.waits() && !stripe.rerun_owed && !stripe.unfinished) &&
              implies(word.removed && stripe.running, stripe.asked_to_stop)},
      Invariant<Bool>{
          "no pause of a stripe outlasts its word's closing, nor a delay, which leaves nothing of "
          "what is held",
          implies(stripe.paused || stripe.delayed, !word.closed) &&
              implies(worker.paused && word.closed, !stripe.waits() && !stripe.rerun_owed)},
      Invariant<Bool>{"what callers were told is what the worker has learnt and the word holds",
                      answered(Submission::queued) && answered(Submission::coalesced) &&
                          answered(Submission::rerun_pending)},
  };
}

// ... and of what requests with options ask for.
template <class Number, class Bool>
auto invariants_of_lanes(const Worker<Number, Bool>&, const Stripe<Number, Bool>& stripe) {
  const auto& word = stripe.word;
  const auto is_priority = [](const Number& number) {
    return !(number < Number(0)) && !(number_of<Number>(Priority::high) < number);
  };
  // Of a node that is looked at, the word says where.
  const Bool is_looked_at = (stripe.claimed || stripe.pushed) && (stripe.looks || word.under_way);
  const Number will_wait_in =
      choose(stripe.waits(), stripe.lane,
             larger(stripe.raised,
                    choose(is_looked_at, word.priority(), number_of<Number>(Priority::normal))));
  return std::array{
      Invariant<Bool>{
          "what waits, or arrives, is in no lower lane than its word says, unless a raise "
          "is on the way",
          implies(stripe.asked() && !word.running, stripe.raising != Number(0) ||
                                                       stripe.is_raise_marked() ||
                                                       !(will_wait_in < word.priority()))},
      Invariant<Bool>{"there are three priorities",
                      is_priority(stripe.lane) && is_priority(stripe.priority) &&
                          is_priority(stripe.raised) && is_priority(stripe.requested_priority)},
      Invariant<Bool>{"requests of low and of high priority are among those that the word counts",
                      !(word.low < Number(0)) && !(word.requests < word.low) &&
                          implies(word.high, word.requests != Number(0))},
      Invariant<Bool>{
          "a raise has one node, and one call at the most that pushes it",
          !(stripe.raise_claimed && stripe.raise_pushed) && !(stripe.raising < Number(0))},
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
// The first sum that is not what the stripes add up to, or nullptr.
template <class Number>
const char* broken_sum(const State<Number, bool>& state) {
  const auto totals = sums(state.worker, Stripe<Number, bool>());
  for (std::size_t i = 0; i < totals.size(); ++i) {
    Number sum = 0;
    for (const auto& stripe : state.stripes) {
      sum += sums(state.worker, stripe)[i].of_stripe;
    }
    if (sum != totals[i].total) {
      return totals[i].sentence;
    }
  }
  return nullptr;
}
template <class Number>
const char* broken_of_two(const State<Number, bool>& state) {
  for (auto a = state.stripes.begin(); a != state.stripes.end(); ++a) {
    for (auto b = state.stripes.begin(); b != a; ++b) {
      for (const auto& each : invariants_of_two(*a, *b)) {
        if (!each.holds) {
          return each.sentence;
        }
      }
    }
  }
  return nullptr;
}
template <class Number>
const char* broken(const State<Number, bool>& state) {
  const auto& worker = state.worker;
  for (const auto& each : invariants_of_worker(worker)) {
    if (!each.holds) {
      return each.sentence;
    }
  }
  Number id = 0;
  for (const auto& stripe : state.stripes) {
    for (const auto& each : invariants_outside(worker, stripe, id++)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
    for (const auto& each : invariants_of_places(worker, stripe)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
    for (const auto& each : invariants_of_lanes(worker, stripe)) {
      if (!each.holds) {
        return each.sentence;
      }
    }
  }
  for (const char* sentence : {broken_sum(state), broken_of_two(state)}) {
    if (sentence != nullptr) {
      return sentence;
    }
  }
  return broken_inside(state);
}

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_INVARIANTS_H_
