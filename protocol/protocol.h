// The worker's protocol as a transition system: what there is, which steps are possible when, and
// what they change. Whoever holds the worker or its core against something holds it against this.
//
// `Stripe` and `Worker` are the state. A step is one of the worker and of one stripe at the most:
// `may_x` is its guard, `x` its update, atomic. What the worker does with many stripes, such as
// taking the inbox or closing, is many steps; `State`, which is some number of stripes, has some of
// these one after the other. Threads are counts.
// Inbox and queue are no containers: a stripe that is in one has a number there, and the order of
// the numbers is that of the stripes. There may be gaps.
//
// Counts of what happened are of each stripe; of the worker they are sums over all stripes.
// Numbers are as `words.h` has them, so all of it can be instantiated with a solver's terms.
//
// It knows the worker's values, and neither its shell nor its core.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_PROTOCOL_H_
#define KSTONE_PROTOCOL_PROTOCOL_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <vector>

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
  Bool queued{false};
  Bool held{false};
  Bool delayed{false};
  // It has failed so often that a probe tries it: that is delayed, waits or runs; or the worker has
  // closed.
  Bool quarantined{false};
  Bool running{false};
  Number pushed_at{0};
  Number queued_at{0};

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

template <class Number, class Bool>
struct Worker {
  using Stripe = protocol::Stripe<Number, Bool>;

  // Never change.
  Number stripes{0};
  Bool enabled{true};  // by its configuration

  ControlWord<Number, Bool> control;
  Number inbox_from{0};  // the number of the inbox's oldest stripe
  Number arriving{0};    // stripes of the inbox that will be queued when it is taken

  // The mutex guards what follows.
  Number queued{0};    // stripes
  Number tail{0};      // the number of the one that is queued next
  Bool paused{false};  // all of it
  Bool closed{false};
  Number words_closed{0};
  Number mode{0};         // ShutdownMode, by number
  Number first_error{0};  // the first that was given to `finish`; 0: none

  // Worker threads. Alive: asleep, parked, running a job, or awake and looking for a stripe. Of the
  // last two no more than the limit take anything.
  Bool started{false};
  Number limit{1};
  Number alive{0};
  Number running{0};
  Number running_max{0};
  Number asleep{0};
  Number parked{0};
  Number owed{0};    // tokens for sleepers that were claimed, not posted yet
  Number tokens{0};  // posted, and nobody has woken by them yet

  // All but a drain: what waits will not run.
  Bool discards() const { return closed && mode != number_of<Number>(ShutdownMode::drain); }
  Bool all_words_closed() const { return closed && words_closed == stripes; }
  // A thread finds something to take.
  Bool has_ready() const { return queued != Number(0) && !paused && !discards(); }
  Number up() const { return alive - asleep - parked; }
  Number looking() const { return up() - running; }
  Bool has_surplus() const { return limit < up(); }

  // -- Requests: two steps without the mutex ------------------------------------------------------

  // A Submission.
  Number request(Stripe& stripe) {
    const Bool arrived = stripe.arrives_ready();
    const Number answer = stripe.word.answer();
    for (int i = 0; i < 3; ++i) {
      stripe.told[i] = stripe.told[i] + one_if<Number>(answer == Number(i));
    }
    stripe.claimed = stripe.claimed || stripe.word.may_claim();
    stripe.word.request();
    recount(arrived, stripe);
    return answer;
  }

  Bool may_push(const Stripe& stripe) const { return control.may_push() && stripe.claimed; }
  void push(Stripe& stripe, const Number& id) {
    stripe.claimed = Bool(false);
    stripe.pushed = Bool(true);
    stripe.pushed_at = inbox_from + control.length;
    recount(Bool(false), stripe);
    owed = owed + one_if<Number>(control.wakes());
    control.push(id);
  }
  // By whoever claimed a sleeper.
  Bool may_post() const { return owed != Number(0); }
  void post() {
    owed = owed - Number(1);
    tokens = tokens + Number(1);
  }

  // -- Worker threads, with the mutex -------------------------------------------------------------

  // With as many threads as the system gives; none is no start, unless none is wanted.
  Bool may_start() const { return !closed && !started; }
  void start(const Number& threads) {
    started = threads != Number(0) || !enabled;
    alive = threads;
  }

  // How many may compact at the same time. It takes effect as threads look for a stripe.
  Bool may_resize() const { return !closed; }
  void resize(const Number& to) { limit = to; }
  Bool may_add_thread() const { return started && enabled && !closed && alive < limit; }
  void add_thread() { alive = alive + Number(1); }
  // One that is up, and too many, waits apart. What it was woken for is left to the others.
  Bool may_park() const { return has_surplus() && looking() != Number(0); }
  void park() { parked = parked + Number(1); }
  Bool may_unpark() const { return parked != Number(0) && up() < limit; }
  void unpark() { parked = parked - Number(1); }

  // The oldest stripe of the inbox goes behind the queue, unless it was taken over and nobody has
  // asked for it since, or is paused. Threads take the inbox when they find nothing in the queue,
  // and before a stripe is put back.
  Bool may_arrive(const Stripe& stripe) const {
    return stripe.pushed && stripe.pushed_at == inbox_from;
  }
  void arrive(Stripe& stripe) {
    const Bool ready = stripe.arrives_ready();
    const Bool arrives = stripe.arrives();
    append_if(arrives, stripe);
    open_if(arrives, stripe);
    stripe.word.clear_mark_if(Bool(true));
    stripe.pushed = Bool(false);
    control.take_oldest();
    inbox_from = inbox_from + Number(1);
    recount(ready, stripe);
  }

  // Whoever waits, or looks, takes over a stripe whose node has not come out of the inbox: its
  // requester may be suspended.
  Bool may_adopt(const Stripe& stripe) const { return !closed && stripe.idle() && stripe.asked(); }
  void adopt(Stripe& stripe) {
    const Bool arrived = stripe.arrives_ready();
    stripe.word.mark();
    open_if(Bool(true), stripe);
    append_if(Bool(true), stripe);
    recount(arrived, stripe);
  }

  // What of a stripe has not begun ends at once, also if it is only claimed: its node is under way
  // then. What runs is asked to stop.
  Bool may_cancel(const Stripe& stripe) const { return is_settled(stripe); }
  void cancel(Stripe& stripe) { withdraw(stripe, End::cancelled); }
  // ... and nothing new is accepted. What is removed owes nothing.
  Bool may_remove(const Stripe& stripe) const { return !closed && !stripe.word.removed; }
  void remove(Stripe& stripe) {
    withdraw(stripe, End::removed);
    stripe.word.remove();
    stripe.unfinished = Bool(false);
  }
  Bool may_restore(const Stripe& stripe) const {
    return !closed && stripe.word.removed && !stripe.running;
  }
  void restore(Stripe& stripe) {
    stripe.learn_rejected_if(Bool(true));
    stripe.word.restore();
    stripe.paused = Bool(false);
  }

  // A stripe that is paused is kept out of the queue.
  Bool may_pause(const Stripe& stripe) const { return !closed && !stripe.paused; }
  void pause(Stripe& stripe) {
    const Bool arrived = stripe.arrives_ready();
    stripe.paused = Bool(true);
    stripe.held = stripe.held || stripe.queued;
    queued = queued - one_if<Number>(stripe.queued);
    stripe.queued = Bool(false);
    recount(arrived, stripe);
  }
  Bool may_resume(const Stripe& stripe) const { return !closed && stripe.paused; }
  void resume(Stripe& stripe) {
    const Bool arrived = stripe.arrives_ready();
    stripe.paused = Bool(false);
    append_if(stripe.held, stripe);
    stripe.held = Bool(false);
    recount(arrived, stripe);
  }
  // The time of a stripe has come that a failure has delayed; it may be paused by now.
  Bool may_expire(const Stripe& stripe) const { return !closed && stripe.delayed; }
  void expire(Stripe& stripe) {
    stripe.delayed = Bool(false);
    append_if(Bool(true), stripe);
  }
  // A caller ends the quarantine: what waits for a probe waits no longer.
  Bool may_end_quarantine(const Stripe& stripe) const { return !closed && stripe.quarantined; }
  void end_quarantine(Stripe& stripe) {
    const Bool waited = stripe.waits_for_probe();
    stripe.delayed = stripe.delayed && !waited;
    stripe.quarantined = Bool(false);
    append_if(waited, stripe);
  }

  // All: nothing is moved.
  Bool may_pause_all() const { return !closed && !paused; }
  void pause_all() { paused = Bool(true); }
  Bool may_resume_all() const { return !closed && paused; }
  void resume_all() { paused = Bool(false); }

  // The first of the queue.
  Bool may_take(const Stripe& stripe) const {
    return has_ready() && is_settled(stripe) && stripe.queued && looking() != Number(0) &&
           !has_surplus() && stripe.word.may_take();
  }
  void take(Stripe& stripe) {
    stripe.queued = Bool(false);
    stripe.running = Bool(true);
    stripe.attempts = stripe.attempts + Number(1);
    stripe.started = stripe.started + Number(1);
    stripe.unfinished = Bool(false);
    stripe.learn_coalesced_if(!closed);
    stripe.word.take();
    queued = queued - Number(1);
    running = running + Number(1);
    running_max = choose(running_max < running, running, running_max);
  }
  // Whoever takes a stripe and leaves others wakes a sleeper for them, since whoever owes the token
  // for them may be suspended; so does a thread that its job ends, without having looked.
  Bool wakes_another() const { return has_ready() && control.may_claim_sleeper(); }
  Bool something_waits() const { return has_ready() || control.length != Number(0); }
  void claim_sleeper_if(const Bool& condition) {
    control.sleepers = control.sleepers - one_if<Number>(condition);
    owed = owed + one_if<Number>(condition);
  }

  // A compaction ends in two halves: the word stops saying *running*, then what the mutex guards
  // follows. Requests may come in between; to the word they are for a next compaction already.
  Bool may_release(const Stripe& stripe) const {
    return is_settled(stripe) && stripe.running && !stripe.released && stripe.word.may_release();
  }
  void release(Stripe& stripe, Ending ending) const {
    stripe.requested = choose(closed, stripe.rerun_owed, stripe.asked());
    stripe.released = Bool(true);
    stripe.word.release(goes_on(stripe, ending));
  }
  Bool takes_back(const Stripe& stripe, Ending ending) const {
    return !closed && stripe.requested && goes_on(stripe, ending);
  }
  // The stripe goes to the tail of the queue, so the inbox is taken before, as far as it goes into
  // one hold of the mutex. Else it must not be: a request that comes between the halves leaves the
  // stripe to the node that is under way.
  Bool puts_back(const Stripe& stripe, Ending ending) const {
    return stripe.requested || goes_on(stripe, ending);
  }
  // Work is left, and wanted: at once, or after a delay.
  Bool goes_on(const Stripe& stripe, Ending ending) const {
    const bool again = ending.kind == Kind::retry || ending.retries == Retries::all;
    return (Bool(ending.kind == Kind::more_work) && !stripe.asked_to_stop) ||
           (delays(stripe, ending) && Bool(again));
  }
  // What waits behind this end waits for its time, or a request.
  Bool delays(const Stripe& stripe, Ending ending) const {
    return Bool(ending.failed() && ending.retries != Retries::none) && !closed &&
           !stripe.asked_to_stop;
  }
  Bool may_finish(const Stripe& stripe) const { return stripe.running && stripe.released; }
  // The table of contract section 4.
  void finish(Stripe& stripe, Ending ending, const Number& error) {
    const Kind kind = ending.kind;
    const Bool worked(ending.worked());
    const Bool failed(ending.failed());
    const Bool delayed = delays(stripe, ending);
    const Bool stays = goes_on(stripe, ending);
    const Bool more_work = stays && !failed;
    const Bool asked_to_stop = stripe.asked_to_stop;
    const Bool requested = stripe.requested;
    const Bool arrived = stripe.arrives_ready();
    stripe.running = Bool(false);
    stripe.released = Bool(false);
    running = running - Number(1);
    auto& outcomes = stripe.outcomes[static_cast<int>(kind)];
    outcomes = outcomes + Number(1);
    // The re-run that is owed opened its episode when the worker closed.
    stripe.learn(Submission::rerun_pending, one_if<Number>(requested && !stripe.rerun_owed));
    stripe.rerun_owed = Bool(false);
    stripe.asked_to_stop = Bool(false);
    stripe.early = Number(0);

    const Bool removed = asked_to_stop && !worked && stripe.word.removed;
    stripe.end_if(worked || (more_work && requested), End::done);
    const bool may_go_on_later = kind == Kind::retry && !ending.quarantines;
    const Bool goes_on_later = delayed && Bool(may_go_on_later) && !requested;
    stripe.end_if(failed && !asked_to_stop && !goes_on_later, End::failed);
    stripe.end_if(!removed && (Bool(kind == Kind::stopped) || (asked_to_stop && !worked)),
                  End::cancelled);
    stripe.end_if(removed, End::removed);
    stripe.end_if(more_work && !requested && closed, End::discarded);
    stripe.unfinished = (stripe.unfinished || !worked) && !stripe.word.removed;
    const Bool same_episode = (more_work && !requested && !closed) || goes_on_later;
    const Bool retried = delayed && stays && !requested && !goes_on_later;
    auto& opened = ending.quarantines ? stripe.probed : stripe.retried;
    opened = opened + one_if<Number>(retried);
    stripe.attempts = choose(requested || retried, Number(0), stripe.attempts);
    const Bool again = requested || same_episode || retried;
    stripe.delayed = again && delayed;
    stripe.quarantined = (stripe.delayed && Bool(ending.quarantines)) ||
                         (closed && stripe.quarantined && failed && !asked_to_stop);
    append_if(again && !delayed, stripe);
    recount(arrived, stripe);
    first_error = choose(first_error == Number(0), error, first_error);
  }

  // Awake, with nothing to do.
  Bool may_sleep() const {
    return !has_ready() && control.may_add_sleeper() && looking() != Number(0);
  }
  void sleep() {
    control.add_sleeper();
    asleep = asleep + Number(1);
  }
  Bool may_wake() const { return tokens != Number(0) && asleep != Number(0); }
  void wake() {
    tokens = tokens - Number(1);
    asleep = asleep - Number(1);
  }
  Bool may_leave() const {
    return all_words_closed() && queued == Number(0) && looking() != Number(0);
  }
  void leave() { alive = alive - Number(1); }

  // -- Closing, with the mutex --------------------------------------------------------------------

  // First the inbox, which is empty, and the worker, with a token for each thread; then the word of
  // each stripe, in any order. Whoever does anything with a stripe of a closed worker closes its
  // word first.
  Bool may_close() const { return !closed && control.may_close(); }
  void close(ShutdownMode with) {
    control.close();
    closed = Bool(true);
    mode = number_of<Number>(with);
    owed = owed + alive;
  }
  Bool is_settled(const Stripe& stripe) const { return !closed || stripe.word.closed; }

  // A stripe that is idle was claimed by a call that will find the inbox closed, and is taken over.
  // What a pause holds, or a failure delays, is discarded, or all.
  Bool may_close_stripe(const Stripe& stripe) const { return !is_settled(stripe); }
  void close_stripe(Stripe& stripe) {
    const Bool asked = stripe.asked();
    const Bool discarded = paused || stripe.paused || stripe.delayed || discards();
    stripe.learn_coalesced_if(Bool(true));
    stripe.learn_rejected_if(stripe.word.removed);
    stripe.learn(Submission::rerun_pending, one_if<Number>(asked && stripe.running));
    const Bool rerun = asked && stripe.running;
    const Bool taken_over = asked && stripe.idle();
    stripe.claimed = Bool(false);
    open_if(taken_over, stripe);
    stripe.discard_if(discarded && (rerun || taken_over || stripe.waits()));
    stripe.early = stripe.early + one_if<Number>(discarded && rerun);
    stripe.rerun_owed = rerun && !discarded;
    append_if(taken_over && !discarded, stripe);
    queued = queued - one_if<Number>(discarded && stripe.queued);
    stripe.queued = stripe.queued && !discarded;
    stripe.held = stripe.delayed = Bool(false);
    stripe.paused = Bool(false);
    stripe.word.close();
    words_closed = words_closed + Number(1);
  }

  // Later calls may only strengthen the mode.
  Bool may_strengthen() const { return closed; }
  void strengthen(ShutdownMode to) {
    const auto asked = number_of<Number>(to);
    mode = choose(mode < asked, asked, mode);
  }
  // Running jobs are asked to stop.
  Bool stops_jobs() const { return mode == number_of<Number>(ShutdownMode::cancel); }
  // What waits, and will not run: the mode says so, or the last thread has left, or there never was
  // one.
  Bool may_discard(const Stripe& stripe) const {
    return closed && stripe.word.closed && (stripe.queued || stripe.rerun_owed) &&
           (discards() || alive == Number(0));
  }
  void discard(Stripe& stripe) {
    stripe.discard_if(Bool(true));
    stripe.early = stripe.early + one_if<Number>(stripe.rerun_owed);
    queued = queued - one_if<Number>(stripe.queued);
    stripe.queued = stripe.rerun_owed = Bool(false);
  }

 private:
  // After a step on the stripe, which arrived before it or did not.
  void recount(const Bool& arrived, const Stripe& stripe) {
    arriving = arriving + one_if<Number>(stripe.arrives_ready()) - one_if<Number>(arrived);
  }
  void withdraw(Stripe& stripe, End end) {
    const Bool arrived = stripe.arrives_ready();
    const Bool asked = stripe.asked();
    const Bool claimed = asked && stripe.idle();
    const Bool rerun = stripe.running && (asked || stripe.rerun_owed);
    stripe.learn_coalesced_if(Bool(true));
    open_if(claimed, stripe);
    stripe.learn(Submission::rerun_pending, one_if<Number>(asked && stripe.running));
    stripe.end_if(claimed || stripe.waits() || rerun, end);
    stripe.early = stripe.early + one_if<Number>(rerun);
    stripe.unfinished = stripe.unfinished || claimed || stripe.waits() || rerun;
    stripe.asked_to_stop = stripe.running;
    stripe.rerun_owed = Bool(false);
    stripe.word.under_way = stripe.word.under_way || claimed;
    queued = queued - one_if<Number>(stripe.queued);
    stripe.queued = stripe.held = stripe.delayed = Bool(false);
    stripe.quarantined = stripe.quarantined && closed && stripe.discarded;
    stripe.word.withdraw();
    recount(arrived, stripe);
  }
  static void open_if(const Bool& condition, Stripe& stripe) {
    stripe.learn(Submission::queued, one_if<Number>(condition));
    stripe.attempts = choose(condition, Number(0), stripe.attempts);
  }
  static void put_if(const Bool& condition, Stripe& stripe, const Number& at) {
    const Bool goes = condition && !stripe.paused;
    stripe.held = stripe.held || (condition && stripe.paused);
    stripe.queued = stripe.queued || goes;
    stripe.queued_at = choose(goes, at, stripe.queued_at);
  }
  void append_if(const Bool& condition, Stripe& stripe) {
    const Bool goes = condition && !stripe.paused;
    put_if(condition, stripe, tail);
    tail = tail + one_if<Number>(goes);
    queued = queued + one_if<Number>(goes);
  }
};

// A worker with so many stripes.
template <class Number, class Bool>
struct State {
  using Stripe = protocol::Stripe<Number, Bool>;
  using Worker = protocol::Worker<Number, Bool>;

  explicit State(int count) : stripes(static_cast<std::size_t>(count)) {
    worker.stripes = Number(count);
  }

  // No other is queued before it.
  Bool is_first(const Stripe& stripe) const {
    Bool result(true);
    for (const auto& other : stripes) {
      if (&other != &stripe) {
        result = result && (!other.queued || stripe.queued_at < other.queued_at);
      }
    }
    return result;
  }
  Bool may_take(const Stripe& stripe) const { return worker.may_take(stripe) && is_first(stripe); }

  // By itself; one sleeper is woken for all that are taken over under one hold of the mutex.
  void adopt(Stripe& stripe) {
    worker.adopt(stripe);
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void resume(Stripe& stripe) {
    worker.resume(stripe);
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void resume_all() {
    worker.resume_all();
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void expire(Stripe& stripe) {
    worker.expire(stripe);
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void end_quarantine(Stripe& stripe) {
    const Bool waited = stripe.waits_for_probe();
    worker.end_quarantine(stripe);
    worker.claim_sleeper_if(waited && worker.wakes_another());
  }
  void take(Stripe& stripe) {
    worker.take(stripe);
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void release(Stripe& stripe, Ending ending) {
    worker.release(stripe, ending);
    stripe.word.take_back_if(worker.takes_back(stripe, ending));
  }

  // -- Of numbers that are no terms ---------------------------------------------------------------

  void take_inbox() {
    for (const auto id : inbox()) {
      worker.arrive(stripes[id]);
    }
  }
  // What is not closed yet, the stripes of the inbox first, in their order.
  void close(ShutdownMode mode) {
    take_inbox();
    worker.close(mode);
    for (auto& stripe : stripes) {
      if (worker.may_close_stripe(stripe)) {
        worker.close_stripe(stripe);
      }
    }
  }
  void discard() {
    for (auto& stripe : stripes) {
      if (worker.may_discard(stripe)) {
        worker.discard(stripe);
      }
    }
  }

  // Oldest first.
  std::vector<std::uint32_t> inbox() const {
    std::vector<std::uint32_t> result(worker.control.length);
    for (std::uint32_t id = 0; id < stripes.size(); ++id) {
      if (stripes[id].pushed) {
        result.at(stripes[id].pushed_at - worker.inbox_from) = id;
      }
    }
    return result;
  }
  std::vector<std::uint32_t> queue() const {
    std::vector<std::uint32_t> result;
    for (std::uint32_t id = 0; id < stripes.size(); ++id) {
      if (stripes[id].queued) {
        result.push_back(id);
      }
    }
    std::sort(result.begin(), result.end(), [&](std::uint32_t a, std::uint32_t b) {
      return stripes[a].queued_at < stripes[b].queued_at;
    });
    return result;
  }

  Worker worker;
  std::vector<Stripe> stripes;
};

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_PROTOCOL_H_
