// A stripe of the protocol, and how its compactions end.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_STRIPE_H_
#define KSTONE_PROTOCOL_STRIPE_H_

#include <iterator>
#include <numeric>

#include "words.h"

namespace kstone::protocol {

using Kind = CompactionOutcome::Kind;

using End = EpisodeEnd;

// Which failures the worker tries again by itself, after a delay: none; those that say so; all.
// What has ended its thread it never does.
enum class Retries { none, those_that_say_so, all };

// How a compaction ends: what its job said, and what the worker makes of a failure. `quarantines`:
// the stripe has failed so often that the worker tries it by a probe.
struct Ending {
  constexpr Ending(Kind with, Retries which = Retries::none, bool quarantined = false)
      : kind(with), retries(which), quarantines(quarantined) {}

  constexpr bool failed() const { return kind == Kind::retry || kind == Kind::failed; }
  constexpr bool worked() const { return kind == Kind::done || kind == Kind::nothing_to_do; }

  Kind kind;
  Retries retries;
  bool quarantines;

  friend bool operator==(const Ending&, const Ending&) = default;
};

// All of them that differ.
inline constexpr Ending endings[] = {Kind::done,
                                     Kind::nothing_to_do,
                                     Kind::more_work,
                                     Kind::retry,
                                     Kind::failed,
                                     Kind::stopped,
                                     {Kind::retry, Retries::those_that_say_so},
                                     {Kind::failed, Retries::those_that_say_so},
                                     {Kind::failed, Retries::all},
                                     {Kind::retry, Retries::those_that_say_so, true},
                                     {Kind::failed, Retries::all, true}};

template <class Number, class Bool>
struct Stripe {
  StripeWord<Number, Bool> word;

  // Between the two steps of the call that was told `queued`; in the inbox; in the queue; kept out
  // of it by a pause; kept out of it by a failure, until its time has come; being compacted. The
  // first two are where its node is, the others where it is itself: both at once only if its word
  // says that the node is under way.
  Bool claimed{false};
  Bool pushed{false};
  Bool looks{false};  // its node says that its word has options
  Bool queued{false};
  Bool held{false};
  Bool delayed{false};
  // It has failed so often that a probe tries it: that is delayed, waits or runs; or the worker has
  // closed.
  Bool quarantined{false};
  Bool running{false};
  Number pushed_at{0};
  Number queued_at{0};  // what is raised to a higher lane keeps it

  // Calls that raised what waits, between their step on the word and that on its mark; one of them
  // that set it, before it pushes a node that says so; that node, in the inbox.
  Number raising{0};
  Bool raise_claimed{false};
  Bool raise_pushed{false};
  Number raise_at{0};

  // Priorities by number: of what waits, or runs; of what its compaction serves; idle or running,
  // at least so when it will wait. And reasons, of what it will be given, or was.
  Number lane = number_of<Number>(Priority::normal);
  Number priority = number_of<Number>(Priority::normal);
  Number raised = number_of<Number>(Priority::low);
  Number reasons{0};

  Bool paused{false};
  Bool asked_to_stop{false};  // running, and cancelled or removed meanwhile
  Bool rerun_owed{false};     // running, and to be run once more by a drain
  Number attempts{0};         // compactions of the episode that runs or ran last
  Number early{0};            // episodes that ended before the one that runs, which is older
  Bool discarded{false};      // for the report
  Bool unfinished{false};

  // Between the two halves of a compaction's end: requests had come by the first.
  Bool released{false};
  Bool requested{false};
  // Of those, or of the re-run that is owed.
  Number requested_priority = number_of<Number>(Priority::normal);
  Number requested_reasons{0};

  // What happened. `told`: answers as callers got them; `learnt`: as far as the worker has read
  // them from the word. By Submission, End and Kind. `rejected`: learnt of rejected_removed.
  Number told[3] = {Number(0), Number(0), Number(0)};
  Number learnt[3] = {Number(0), Number(0), Number(0)};
  Number rejected{0};
  Number ends[5] = {Number(0), Number(0), Number(0), Number(0), Number(0)};
  Number outcomes[CompactionOutcome::kind_count] = {};
  Number started{0};
  Number retried{0};  // episodes that a failure opened, and no caller
  Number probed{0};   // ... of a stripe in quarantine

  Bool idle() const { return !waits() && !running; }
  Bool waits() const { return queued || held || delayed; }
  Bool waits_for_probe() const { return delayed && quarantined; }
  // The word has requests that no compaction has taken.
  Bool asked() const { return word.wants() && word.requests != Number(0); }
  // It will wait when the inbox is taken: its node is what brings it.
  Bool arrives() const { return pushed && (!word.under_way || (idle() && asked())); }
  Bool arrives_ready() const { return arrives() && !paused; }

  // Episodes: as callers were told, and as far as the worker has learnt; those that it opened
  // itself in both.
  Number told_opened() const {
    return told[static_cast<int>(Submission::queued)] +
           told[static_cast<int>(Submission::rerun_pending)] + retried + probed;
  }
  Number opened() const {
    return learnt_of(Submission::queued) + learnt_of(Submission::rerun_pending) + retried + probed;
  }
  Number ended() const { return ends[0] + ends[1] + ends[2] + ends[3] + ends[4]; }
  // ... that have not ended: as the worker knows, and with those that only the word knows of.
  Number alive_inside() const { return one_if<Number>(!idle()) + one_if<Number>(rerun_owed); }
  Number alive() const {
    return one_if<Number>(!idle()) + one_if<Number>(!waits() && (rerun_owed || asked()));
  }

  Bool is_raise_marked() const { return raise_claimed || raise_pushed; }
  // Its word says that it is of this priority.
  void raise(const Number& to) {
    lane = choose(waits(), larger(lane, to), lane);
    raised = choose(waits(), raised, larger(raised, to));
  }

  // Answers behind the requests of the word, which the worker has not learnt of.
  Number pending(Submission answer) const {
    const Bool first = answer == Submission::queued ? idle() : running;
    return answer == Submission::coalesced ? choose(asked(), word.requests - Number(1), Number(0))
                                           : one_if<Number>(asked() && first);
  }

  Number compactions_ended() const {
    return std::accumulate(std::begin(outcomes), std::end(outcomes), Number(0));
  }
  Number learnt_of(Submission answer) const { return learnt[static_cast<int>(answer)]; }
  Number ends_as(End how) const { return ends[static_cast<int>(how)]; }

  void learn(Submission answer, const Number& count) {
    add(learnt[static_cast<int>(answer)], count);
  }
  // The requests of a word that rejects them are rejected ones.
  void learn_rejected_if(const Bool& condition) {
    add(rejected, choose(condition, word.requests, Number(0)));
  }
  void end_if(const Bool& condition, End how) {
    add(ends[static_cast<int>(how)], one_if<Number>(condition));
  }
  // All but the first of the requests in the word are coalesced.
  void learn_coalesced_if(const Bool& condition) {
    learn(Submission::coalesced, choose(condition, pending(Submission::coalesced), Number(0)));
  }
  void discard_if(const Bool& condition) {
    end_if(condition, End::discarded);
    discarded = discarded || condition;
  }

 private:
  static void add(Number& to, const Number& count) { to = to + count; }
};

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_STRIPE_H_
