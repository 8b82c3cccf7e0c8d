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
#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "stripe.h"

namespace kstone::protocol {

template <class Number, class Bool>
struct Worker {
  using Stripe = protocol::Stripe<Number, Bool>;

  // Never change.
  Number stripes{0};
  Bool enabled{true};  // by its configuration

  ControlWord<Number, Bool> control;
  Number raises{0};      // nodes of the inbox that bring no stripe
  Number inbox_from{0};  // the number of the inbox's oldest node
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

  // -- Requests: two steps without the mutex, or three --------------------------------------------

  Number nodes() const { return control.length + raises; }

  // A Submission.
  Number request(Stripe& stripe) { return request(stripe, Options<Number>()); }
  Number request(Stripe& stripe, const Options<Number>& options) {
    const Bool arrived = stripe.arrives_ready();
    const auto before = stripe.word;
    const Number answer = stripe.word.answer();
    for (int i = 0; i < 3; ++i) {
      stripe.told[i] = stripe.told[i] + one_if<Number>(answer == Number(i));
    }
    const Bool plain =
        options.priority == number_of<Number>(Priority::normal) && options.reasons == Number(0);
    stripe.looks = choose(before.may_claim(), !plain, stripe.looks);
    stripe.claimed = stripe.claimed || before.may_claim();
    stripe.word.request(options);
    stripe.raising = stripe.raising +
                     one_if<Number>(answer == number_of<Number>(Submission::coalesced) &&
                                    !before.running && before.priority() < stripe.word.priority());
    recount(arrived, stripe);
    return answer;
  }

  Bool may_push(const Stripe& stripe) const { return control.may_push() && stripe.claimed; }
  void push(Stripe& stripe, const Number& id) {
    stripe.claimed = Bool(false);
    stripe.pushed = Bool(true);
    stripe.pushed_at = inbox_from + nodes();
    recount(Bool(false), stripe);
    owed = owed + one_if<Number>(control.wakes());
    control.push(id + choose(stripe.looks, stripes, Number(0)), Bool(true));
  }
  // Of a call that has raised the stripe: on its mark, and, if it was the one to set it, on the
  // list.
  Bool may_mark_raise(const Stripe& stripe) const { return stripe.raising != Number(0); }
  void mark_raise(Stripe& stripe) {
    stripe.raising = stripe.raising - Number(1);
    stripe.raise_claimed = stripe.raise_claimed || !stripe.is_raise_marked();
  }
  Bool may_push_raise(const Stripe& stripe) const {
    return control.may_push() && stripe.raise_claimed;
  }
  void push_raise(Stripe& stripe, const Number& id) {
    stripe.raise_claimed = Bool(false);
    stripe.raise_pushed = Bool(true);
    stripe.raise_at = inbox_from + nodes();
    owed = owed + one_if<Number>(control.wakes());
    control.push(id + stripes + stripes, Bool(false));
    raises = raises + Number(1);
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
    const Bool looks = stripe.looks || stripe.word.under_way;
    append_if(arrives, stripe);
    open_if(arrives, stripe,
            choose(looks, stripe.word.priority(), number_of<Number>(Priority::normal)));
    stripe.word.clear_mark_if(Bool(true));
    stripe.pushed = Bool(false);
    take_oldest(Bool(true));
    recount(ready, stripe);
  }
  // The oldest node of the inbox says that its stripe was raised.
  Bool may_arrive_raise(const Stripe& stripe) const {
    return stripe.raise_pushed && stripe.raise_at == inbox_from;
  }
  void arrive_raise(Stripe& stripe) {
    stripe.raise_pushed = Bool(false);
    take_oldest(Bool(false));
    stripe.raise(choose(stripe.asked(), stripe.word.priority(), number_of<Number>(Priority::low)));
  }

  // Whoever waits, or looks, takes over a stripe whose node has not come out of the inbox: its
  // requester may be suspended.
  Bool may_adopt(const Stripe& stripe) const { return !closed && stripe.idle() && stripe.asked(); }
  void adopt(Stripe& stripe) { adopt(stripe, stripe.word.priority()); }
  // ... which the word had when it was looked at; a raise since then has a node, or the stripe
  // keeps it.
  void adopt(Stripe& stripe, const Number& priority) {
    const Bool arrived = stripe.arrives_ready();
    stripe.word.mark();
    open_if(Bool(true), stripe, priority);
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
    stripe.raised = number_of<Number>(Priority::low);
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
    stripe.priority = choose(closed, stripe.lane, larger(stripe.lane, stripe.word.priority()));
    stripe.reasons = choose(closed, stripe.reasons, unite(stripe.reasons, stripe.word.reasons));
    stripe.word.take();
    queued = queued - Number(1);
    running = running + Number(1);
    running_max = choose(running_max < running, running, running_max);
  }
  // Whoever takes a stripe and leaves others wakes a sleeper for them, since whoever owes the token
  // for them may be suspended; so does a thread that its job ends, without having looked.
  Bool wakes_another() const { return has_ready() && control.may_claim_sleeper(); }
  Bool something_waits() const { return has_ready() || !control.is_empty(); }
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
    stripe.requested_priority = choose(closed, stripe.requested_priority, stripe.word.priority());
    stripe.requested_reasons = choose(closed, stripe.requested_reasons, stripe.word.reasons);
    stripe.released = Bool(true);
    stripe.word.release(goes_on(stripe, ending), rests_low(stripe));
  }
  // The worker's own request for the rest of the work is of low priority.
  Bool rests_low(const Stripe& stripe) const {
    return stripe.priority == number_of<Number>(Priority::low);
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
    const Number rest =
        larger(stripe.raised, choose(stays, stripe.priority, number_of<Number>(Priority::low)));
    stripe.lane = choose(requested, larger(rest, stripe.requested_priority), rest);
    stripe.raised = number_of<Number>(Priority::low);
    stripe.reasons = unite(choose(stays, stripe.reasons, Number(0)),
                           choose(requested, stripe.requested_reasons, Number(0)));
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
    open_if(taken_over, stripe, stripe.word.priority());
    stripe.reasons = choose(asked && !stripe.running, unite(stripe.reasons, stripe.word.reasons),
                            stripe.reasons);
    stripe.requested_priority = choose(rerun, stripe.word.priority(), stripe.requested_priority);
    stripe.requested_reasons = choose(rerun, stripe.word.reasons, stripe.requested_reasons);
    stripe.lane =
        choose(asked && stripe.waits(), larger(stripe.lane, stripe.word.priority()), stripe.lane);
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
    stripe.raised = number_of<Number>(Priority::low);
    open_if(claimed, stripe, number_of<Number>(Priority::normal));
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
  static void open_if(const Bool& condition, Stripe& stripe, const Number& priority) {
    const Number low = number_of<Number>(Priority::low);
    stripe.learn(Submission::queued, one_if<Number>(condition));
    stripe.attempts = choose(condition, Number(0), stripe.attempts);
    stripe.lane = choose(condition, larger(priority, stripe.raised), stripe.lane);
    stripe.raised = choose(condition, low, stripe.raised);
    stripe.reasons = choose(condition, Number(0), stripe.reasons);
  }
  void take_oldest(const Bool& brings_stripe) {
    control.take_oldest(nodes() == Number(1), brings_stripe);
    raises = raises - one_if<Number>(!brings_stripe);
    inbox_from = inbox_from + Number(1);
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

  // No other is queued before it in its lane. Which lane is next, see `queue`.
  Bool is_first(const Stripe& stripe) const {
    Bool result(true);
    for (const auto& other : stripes) {
      if (&other != &stripe) {
        result = result &&
                 (!other.queued || other.lane != stripe.lane || stripe.queued_at < other.queued_at);
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
    if constexpr (std::is_same_v<Bool, bool>) {
      pass_over(stripe);
    }
    worker.take(stripe);
    worker.claim_sleeper_if(worker.wakes_another());
  }
  void release(Stripe& stripe, Ending ending) {
    worker.release(stripe, ending);
    stripe.word.take_back_if(worker.takes_back(stripe, ending), worker.rests_low(stripe));
  }

  // -- Of numbers that are no terms ---------------------------------------------------------------

  void take_inbox() {
    while (worker.nodes() != 0) {
      for (auto& stripe : stripes) {
        if (worker.may_arrive(stripe)) {
          worker.arrive(stripe);
        } else if (worker.may_arrive_raise(stripe)) {
          arrive_raise(stripe);
        }
      }
    }
  }
  void arrive_raise(Stripe& stripe) {
    const auto from = stripe.lane;
    worker.arrive_raise(stripe);
    follow_raise(stripe, from);
  }
  void close_stripe(Stripe& stripe) {
    const auto from = stripe.lane;
    const bool waited = stripe.queued;
    worker.close_stripe(stripe);
    if (waited) {
      follow_raise(stripe, from);
    }
  }
  // Whoever takes the stripe passes over older ones of other lanes. Which lane is next, no proof
  // says yet.
  void pass_over(const Stripe& stripe) {
    pass_over(in_order([](const Stripe& each) { return each.queued; },
                       [](const Stripe& each) { return each.queued_at; }),
              static_cast<std::uint32_t>(&stripe - stripes.data()), passed);
  }
  // The first of a lane has been passed over as often as the first of the one that it came from.
  void follow_raise(const Stripe& stripe, Number from) {
    if (stripe.queued && from < stripe.lane && is_first(stripe)) {
      passed[stripe.lane] = std::max(passed[stripe.lane], passed[from]);
    }
  }
  // What is not closed yet, the stripes of the inbox first, in their order.
  void close(ShutdownMode mode) {
    take_inbox();
    worker.close(mode);
    for (auto& stripe : stripes) {
      if (worker.may_close_stripe(stripe)) {
        close_stripe(stripe);
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

  // Stripes whose nodes are in it, oldest first.
  std::vector<std::uint32_t> inbox() const {
    return in_order([](const Stripe& stripe) { return stripe.pushed; },
                    [](const Stripe& stripe) { return stripe.pushed_at; });
  }
  // As they are taken, if nothing comes between: a lane is next whose first was passed over so
  // often by younger stripes, of several the one with the oldest, else the highest.
  std::vector<std::uint32_t> queue() const {
    auto by_age = in_order([](const Stripe& stripe) { return stripe.queued; },
                           [](const Stripe& stripe) { return stripe.queued_at; });
    auto passes = passed;
    std::vector<std::uint32_t> result;
    while (!by_age.empty()) {
      const auto next = next_of(by_age, passes);
      pass_over(by_age, *next, passes);
      result.push_back(*next);
      by_age.erase(next);
    }
    return result;
  }

  Worker worker;
  std::vector<Stripe> stripes;
  Number patience{16};
  std::array<Number, priority_count> passed{};  // the first of each lane, by younger stripes

 private:
  using Ids = std::vector<std::uint32_t>;

  template <class Is, class At>
  Ids in_order(const Is& is, const At& at) const {
    Ids result;
    for (std::uint32_t id = 0; id < stripes.size(); ++id) {
      if (is(stripes[id])) {
        result.push_back(id);
      }
    }
    std::sort(result.begin(), result.end(),
              [&](std::uint32_t a, std::uint32_t b) { return at(stripes[a]) < at(stripes[b]); });
    return result;
  }
  Ids::iterator next_of(Ids& by_age, const std::array<Number, priority_count>& passes) const {
    auto highest = by_age.begin();
    for (auto each = by_age.begin(); each != by_age.end(); ++each) {
      if (passes[stripes[*each].lane] >= patience) {
        return each;
      }
      highest = stripes[*highest].lane < stripes[*each].lane ? each : highest;
    }
    return highest;
  }
  // The lanes whose first is older than `taken`.
  void pass_over(const Ids& by_age, std::uint32_t taken,
                 std::array<Number, priority_count>& passes) const {
    const auto lane = stripes[taken].lane;
    for (std::size_t other = 0; other != passes.size(); ++other) {
      const bool older = std::any_of(by_age.begin(), by_age.end(), [&](std::uint32_t id) {
        return stripes[id].lane == other && stripes[id].queued_at < stripes[taken].queued_at;
      });
      passes[other] = other == lane ? 0
                      : older       ? std::min<Number>(passes[other] + 1, patience)
                                    : passes[other];
    }
  }
};

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_PROTOCOL_H_
