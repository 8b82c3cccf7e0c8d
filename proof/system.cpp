#include "system.h"

#include <iterator>
#include <map>
#include <utility>

#include "../protocol/callers.h"
#include "../protocol/invariants.h"

namespace kstone::proof {

State seen(const State& state, const Middle& middle) {
  State result = state;
  if (middle) {
    result.worker.finish(result.stripes[of_step], *middle, any_number("error"));
  }
  return result;
}

namespace {

Step step(std::string name, std::function<Condition(const State&)> possible,
          std::function<void(State&)> perform, bool needs_stripe = true) {
  Step result;
  result.name = std::move(name);
  result.needs_stripe = needs_stripe;
  result.possible = std::move(possible);
  result.perform = std::move(perform);
  return result;
}

// For any reasons.
void request(State& s, std::size_t actor, Priority priority) {
  s.worker.request(s.stripes[actor],
                   {protocol::number_of<Number>(priority), any_number("asked_reasons")});
}

// What needs no mutex.
std::vector<Step> free_steps(std::size_t actor) {
  std::vector<Step> result = {
      step(
          "request", [](const State&) { return Condition(true); },
          [actor](State& s) { s.worker.request(s.stripes[actor]); }),
      step(
          "request low", [](const State&) { return Condition(true); },
          [actor](State& s) { request(s, actor, Priority::low); }),
      step(
          "request high", [](const State&) { return Condition(true); },
          [actor](State& s) { request(s, actor, Priority::high); }),
      step(
          "push", [actor](const State& s) { return s.worker.may_push(s.stripes[actor]); },
          [actor](State& s) { s.worker.push(s.stripes[actor], s.ids[actor]); }),
      step(
          "mark_raise",
          [actor](const State& s) { return s.worker.may_mark_raise(s.stripes[actor]); },
          [actor](State& s) { s.worker.mark_raise(s.stripes[actor]); }),
      step(
          "push_raise",
          [actor](const State& s) { return s.worker.may_push_raise(s.stripes[actor]); },
          [actor](State& s) { s.worker.push_raise(s.stripes[actor], s.ids[actor]); }),
  };
  for (auto& each : result) {
    each.actor = actor;
  }
  return result;
}

std::vector<Step> token_steps() {
  std::vector<Step> result = {
      step(
          "post", [](const State& s) { return s.worker.may_post(); },
          [](State& s) { s.worker.post(); }, false),
      step(
          "wake", [](const State& s) { return s.worker.may_wake(); },
          [](State& s) { s.worker.wake(); }, false),
  };
  for (auto& each : result) {
    each.of_threads = true;
  }
  return result;
}

std::vector<Step> thread_steps() {
  std::vector<Step> result = {
      step(
          "start", [](const State& s) { return s.worker.may_start(); },
          [](State& s) { s.worker.start(any_number("threads")); }, false),
      // By threads and by who waits, whenever they please.
      step(
          "arrive", [](const State& s) { return s.worker.may_arrive(s.stripes[of_step]); },
          [](State& s) { s.worker.arrive(s.stripes[of_step]); }),
      step(
          "take", [](const State& s) { return s.may_take(s.stripes[of_step]); },
          [](State& s) { s.take(s.stripes[of_step]); }),
      step(
          "sleep", [](const State& s) { return s.worker.may_sleep(); },
          [](State& s) { s.worker.sleep(); }, false),
      step(
          "leave", [](const State& s) { return s.worker.may_leave(); },
          [](State& s) { s.worker.leave(); }, false),
      step(
          "adopt", [](const State& s) { return s.worker.may_adopt(s.stripes[of_step]); },
          [](State& s) { s.adopt(s.stripes[of_step]); }),
  };
  result[2].promise =
      "first in, first out: what is taken was queued before all of its lane that stay, and begins "
      "afresh; "
      "nothing does that a shutdown's mode discards, and no more run than the limit allows";
  result[2].keeps = [](const State& before, const State& after) {
    const auto& is = after.stripes[of_step];
    Condition all = !is.unfinished && !is.asked_to_stop && !before.worker.discards() &&
                    !(after.worker.limit < after.worker.running);
    for (std::size_t i = another; i < after.stripes.size(); ++i) {
      all = all &&
            (!after.stripes[i].queued || after.stripes[i].lane != before.stripes[of_step].lane ||
             before.stripes[of_step].queued_at < after.stripes[i].queued_at);
    }
    return all;
  };
  result[5].promise = "a stripe that is taken over waits from then on, and its node is under way";
  result[5].keeps = [](const State&, const State& after) {
    const auto& is = after.stripes[of_step];
    return is.waits() && protocol::equal(is.held, is.paused) && is.word.under_way;
  };
  result[0].promise = "start starts as many threads as the system gives, if it says so";
  result[0].keeps = [](const State& before, const State& after) {
    const auto answer = protocol::start_answer(before.worker, any_number("threads"));
    const auto started = protocol::number_of<Number>(StartResult::started);
    return !before.worker.closed && after.worker.alive == any_number("threads") &&
           protocol::equal(after.worker.started, answer == started);
  };
  result[1].promise = "first pushed, first queued: what arrives was pushed before all that stay";
  result[1].keeps = [](const State& before, const State& after) {
    Condition all = !after.stripes[of_step].pushed;
    for (std::size_t i = another; i < after.stripes.size(); ++i) {
      all = all && (!after.stripes[i].pushed ||
                    before.stripes[of_step].pushed_at < after.stripes[i].pushed_at);
    }
    return all;
  };
  result[2].of_threads = result[4].of_threads = true;
  result[4].promise = "no thread leaves by itself while something is queued, or a word is open";
  result[4].keeps = [](const State& before, const State& after) {
    return after.worker.queued == Number(0) && after.worker.all_words_closed() &&
           after.worker.alive == before.worker.alive - Number(1);
  };
  return result;
}

// By whoever takes the inbox, too.
std::vector<Step> raise_steps() {
  std::vector<Step> result = {
      step(
          "arrive_raise",
          [](const State& s) { return s.worker.may_arrive_raise(s.stripes[of_step]); },
          [](State& s) { s.worker.arrive_raise(s.stripes[of_step]); }),
  };
  result.back().promise = "what is raised is in no lower lane than its word says, nor than it was";
  result.back().keeps = [](const State& before, const State& after) {
    const auto& was = before.stripes[of_step];
    const auto& is = after.stripes[of_step];
    return !(is.lane < was.lane) && !(is.raised < was.raised) &&
           protocol::implies(is.waits() && is.asked(), !(is.lane < is.word.priority()));
  };
  return result;
}

// Of a stripe whose calls were withdrawn: one episode at the most had not begun.
Condition withdraws(protocol::End end, const State& before, const State& after) {
  const auto& was = before.stripes[of_step];
  const auto& is = after.stripes[of_step];
  const Number waited = was.alive() - protocol::one_if<Number>(was.running);
  return is.ends_as(end) == was.ends_as(end) + waited && !is.waits() &&
         is.alive() == protocol::one_if<Number>(was.running) &&
         protocol::equal(is.running, was.running) &&
         protocol::equal(is.asked_to_stop, is.running) &&
         protocol::implies(is.quarantined, was.discarded);
}

std::vector<Step> withdrawing_steps() {
  std::vector<Step> result = {
      step(
          "cancel", [](const State& s) { return s.worker.may_cancel(s.stripes[of_step]); },
          [](State& s) { s.worker.cancel(s.stripes[of_step]); }),
      step(
          "remove", [](const State& s) { return s.worker.may_remove(s.stripes[of_step]); },
          [](State& s) { s.worker.remove(s.stripes[of_step]); }),
      step(
          "restore", [](const State& s) { return s.worker.may_restore(s.stripes[of_step]); },
          [](State& s) { s.worker.restore(s.stripes[of_step]); }),
  };
  result[0].promise =
      "what is cancelled: all that had not begun has ended so, nothing waits, no quarantine lasts, "
      "and what runs is asked to stop";
  result[0].keeps = [](const State& before, const State& after) {
    const auto& was = before.stripes[of_step];
    const Condition waited = protocol::one_if<Number>(was.running) < was.alive();
    return withdraws(protocol::End::cancelled, before, after) &&
           protocol::equal(after.stripes[of_step].unfinished, was.unfinished || waited);
  };
  result[1].promise = "what is removed: so has it ended, and requests are rejected from then on";
  result[1].keeps = [](const State& before, const State& after) {
    const auto& is = after.stripes[of_step];
    return withdraws(protocol::End::removed, before, after) && !is.unfinished &&
           is.word.answer() == protocol::number_of<Number>(Submission::rejected_removed);
  };
  result[2].promise = "what is restored: requests are accepted again, and it starts afresh";
  result[2].keeps = [](const State&, const State& after) {
    const auto& is = after.stripes[of_step];
    return is.word.answer() == protocol::number_of<Number>(Submission::queued) &&
           is.alive() == Number(0) && !is.paused && !is.unfinished;
  };
  return result;
}

// The stripe of the step, if it is queued.
Condition is_behind_others(const State& state) {
  const auto& stripe = state.stripes[of_step];
  Condition all(true);
  for (std::size_t i = another; i < state.stripes.size(); ++i) {
    const auto& other = state.stripes[i];
    all = all && !(stripe.queued && other.queued && stripe.queued_at < other.queued_at);
  }
  return all;
}

// All of them, and of each what waits, as it was.
Condition order_stays(const State& before, const State& after) {
  Condition all = after.worker.queued == before.worker.queued;
  for (std::size_t i = 0; i < before.stripes.size(); ++i) {
    const auto& was = before.stripes[i];
    const auto& is = after.stripes[i];
    all = all && protocol::equal(is.queued, was.queued) && protocol::equal(is.held, was.held) &&
          protocol::equal(is.delayed, was.delayed) &&
          protocol::equal(is.quarantined, was.quarantined) && is.queued_at == was.queued_at;
  }
  return all;
}

// What waits, and who does what, is as it was.
Condition threads_stay(const State& before, const State& after) {
  const auto& was = before.worker;
  const auto& is = after.worker;
  return order_stays(before, after) && is.running == was.running && is.owed == was.owed &&
         is.tokens == was.tokens && is.asleep == was.asleep;
}

std::vector<Step> resizing_steps() {
  std::vector<Step> result = {
      step(
          "resize", [](const State& s) { return s.worker.may_resize(); },
          [](State& s) { s.worker.resize(any_number("to")); }, false),
      step(
          "add_thread", [](const State& s) { return s.worker.may_add_thread(); },
          [](State& s) { s.worker.add_thread(); }, false),
      step(
          "park", [](const State& s) { return s.worker.may_park(); },
          [](State& s) { s.worker.park(); }, false),
      step(
          "unpark", [](const State& s) { return s.worker.may_unpark(); },
          [](State& s) { s.worker.unpark(); }, false),
  };
  result[0].promise = "a limit is what was asked for, and stops nothing that runs";
  result[0].keeps = [](const State& before, const State& after) {
    return after.worker.limit == any_number("to") && threads_stay(before, after) &&
           after.worker.alive == before.worker.alive && after.worker.parked == before.worker.parked;
  };
  result[1].promise =
      "a thread is created where there are fewer than the limit, and any are wanted; it looks at "
      "once";
  result[1].keeps = [](const State& before, const State& after) {
    return threads_stay(before, after) && after.worker.enabled &&
           !(after.worker.limit < after.worker.alive) &&
           after.worker.looking() == before.worker.looking() + Number(1);
  };
  result[2].promise =
      "who is one too many waits apart, wakes nobody, and leaves up as many as the limit says";
  result[2].keeps = [](const State& before, const State& after) {
    const auto& was = before.worker;
    const auto& is = after.worker;
    return threads_stay(before, after) && !(is.up() < is.limit) && is.up() == was.up() - Number(1);
  };
  result[3].promise = "who waited apart looks again, and no more are up than the limit";
  result[3].keeps = [](const State& before, const State& after) {
    const auto& is = after.worker;
    return threads_stay(before, after) && !(is.limit < is.up()) &&
           is.looking() == before.worker.looking() + Number(1);
  };
  result[2].of_threads = result[3].of_threads = true;
  return result;
}

std::vector<Step> pausing_steps() {
  std::vector<Step> result = {
      step(
          "pause", [](const State& s) { return s.worker.may_pause(s.stripes[of_step]); },
          [](State& s) { s.worker.pause(s.stripes[of_step]); }),
      step(
          "resume", [](const State& s) { return s.worker.may_resume(s.stripes[of_step]); },
          [](State& s) { s.resume(s.stripes[of_step]); }),
      step(
          "pause_all", [](const State& s) { return s.worker.may_pause_all(); },
          [](State& s) { s.worker.pause_all(); }, false),
      step(
          "resume_all", [](const State& s) { return s.worker.may_resume_all(); },
          [](State& s) { s.resume_all(); }, false),
  };
  result[0].promise = "a stripe that is paused is not queued, and waits all the same if it did";
  result[0].keeps = [](const State& before, const State& after) {
    const auto& is = after.stripes[of_step];
    const auto& was = before.stripes[of_step];
    return is.paused && !is.queued && protocol::equal(is.held, was.queued || was.held) &&
           protocol::equal(is.delayed, was.delayed) &&
           protocol::equal(is.quarantined, was.quarantined);
  };
  result[1].promise = "a stripe that is resumed is queued if it was held, behind all others";
  result[1].keeps = [](const State& before, const State& after) {
    const auto& is = after.stripes[of_step];
    return !is.paused && protocol::equal(is.queued, before.stripes[of_step].held) &&
           is_behind_others(after);
  };
  result[2].promise = "all is paused: nothing can be taken, and nothing is moved";
  result[2].keeps = [](const State& before, const State& after) {
    Condition all = after.worker.paused && order_stays(before, after);
    for (const auto& stripe : after.stripes) {
      all = all && !after.worker.may_take(stripe);
    }
    return all;
  };
  result[3].promise = "all is resumed: threads find the queue as it was";
  result[3].keeps = [](const State& before, const State& after) {
    return protocol::equal(after.worker.has_ready(), after.worker.queued != Number(0)) &&
           order_stays(before, after);
  };
  return result;
}

std::vector<Step> delaying_steps() {
  std::vector<Step> result = {
      step(
          "expire", [](const State& s) { return s.worker.may_expire(s.stripes[of_step]); },
          [](State& s) { s.expire(s.stripes[of_step]); }),
      step(
          "end_quarantine",
          [](const State& s) { return s.worker.may_end_quarantine(s.stripes[of_step]); },
          [](State& s) { s.end_quarantine(s.stripes[of_step]); }),
  };
  result[0].promise =
      "what was delayed waits behind all others when its time has come, or is held by a pause; its "
      "episode goes on";
  result[0].keeps = [](const State& before, const State& after) {
    const auto& was = before.stripes[of_step];
    const auto& is = after.stripes[of_step];
    return !is.delayed && protocol::equal(is.quarantined, was.quarantined) &&
           protocol::equal(is.held, is.paused) && protocol::equal(is.queued, !is.paused) &&
           protocol::equal(is.paused, was.paused) && is.opened() == was.opened() &&
           is.ended() == was.ended() && is.attempts == was.attempts && is_behind_others(after);
  };
  result[1].promise =
      "what waited for a probe waits behind all others once its quarantine is over, or is held by "
      "a "
      "pause; what did not stays where it is";
  result[1].keeps = [](const State& before, const State& after) {
    const auto& was = before.stripes[of_step];
    const auto& is = after.stripes[of_step];
    const Condition waited = was.waits_for_probe();
    return !is.quarantined && protocol::equal(is.delayed, was.delayed && !waited) &&
           protocol::equal(is.held, was.held || (waited && is.paused)) &&
           protocol::equal(is.queued, was.queued || (waited && !is.paused)) &&
           is.opened() == was.opened() && is.ended() == was.ended() &&
           is.attempts == was.attempts &&
           choose(waited, is_behind_others(after), is.queued_at == was.queued_at);
  };
  return result;
}

// What of a stripe waits, or is owed, is discarded; what runs goes on.
Condition discards_all(const State& before, const State& after) {
  const auto& was = before.stripes[of_step];
  const auto& is = after.stripes[of_step];
  const Number running = protocol::one_if<Number>(was.running);
  return is.alive() == running && protocol::equal(is.running, was.running) &&
         is.ends_as(protocol::End::discarded) ==
             was.ends_as(protocol::End::discarded) + was.alive() - running;
}

std::vector<Step> settling_steps() {
  std::vector<Step> result = {
      step(
          "close_stripe",
          [](const State& s) { return s.worker.may_close_stripe(s.stripes[of_step]); },
          [](State& s) { s.worker.close_stripe(s.stripes[of_step]); }),
      step(
          "discard", [](const State& s) { return s.worker.may_discard(s.stripes[of_step]); },
          [](State& s) { s.worker.discard(s.stripes[of_step]); }),
  };
  result[0].promise =
      "a word closes with no request in it: those that come then are rejected, and what a pause "
      "holds back, or a delay, or the mode, is discarded";
  result[0].keeps = [](const State& before, const State& after) {
    const auto& was = before.stripes[of_step];
    const auto& is = after.stripes[of_step];
    const auto discarded = [](const Stripe& stripe) {
      return stripe.ends_as(protocol::End::discarded);
    };
    return is.word.requests == Number(0) && is.word.closed && !is.claimed &&
           choose(before.worker.paused || was.paused || was.delayed || before.worker.discards(),
                  discards_all(before, after),
                  is.alive() == was.alive() && discarded(is) == discarded(was));
  };
  result[1].promise = "what is discarded does not wait, and is owed nothing";
  result[1].keeps = discards_all;
  result[0].of_threads = result[1].of_threads = true;
  return result;
}

std::vector<Step> closing_steps() {
  auto result = settling_steps();
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    const char* const names[] = {"drain", "finish_running", "cancel"};
    const std::string of = std::string(" ") + names[static_cast<int>(mode)];
    const auto number = protocol::number_of<Number>(mode);
    result.push_back(step(
        "close" + of, [](const State& s) { return s.worker.may_close(); },
        [mode](State& s) { s.worker.close(mode); }, false));
    result.back().promise = "a worker closes in the mode that was asked for, and wakes all threads";
    result.back().keeps = [number](const State& before, const State& after) {
      const auto& is = after.worker;
      return is.closed && is.mode == number && is.owed == before.worker.owed + before.worker.alive;
    };
    result.push_back(step(
        "strengthen" + of, [](const State& s) { return s.worker.may_strengthen(); },
        [mode](State& s) { s.worker.strengthen(mode); }, false));
    result.back().promise = "a shutdown's mode takes effect, unless a stronger one has";
    result.back().keeps = [number](const State& before, const State& after) {
      const auto& was = before.worker.mode;
      return after.worker.mode == choose(was < number, number, was);
    };
  }
  return result;
}

// How the episode ends whose compaction does, if it ends. The table of contract section 4, and what
// a cancel or a removal makes of it.
Condition ends_as_told(Ending ending, const Stripe& was, const Stripe& is,
                       const Condition& closed) {
  using protocol::End;
  const auto kind = ending.kind;
  const bool worked = ending.worked();
  const Condition stop = was.asked_to_stop && Condition(!worked);
  const Condition goes_on_later =
      Condition(kind == Kind::retry && ending.retries != Retries::none && !ending.quarantines) &&
      !closed && !was.requested;
  const auto by_itself = [&](End end) {
    const Condition more(kind == Kind::more_work);
    switch (end) {
      case End::done:
        return Condition(worked) || (more && was.requested);
      case End::failed:
        return Condition(ending.failed()) && !goes_on_later;
      case End::cancelled:
        return Condition(kind == Kind::stopped);
      case End::removed:
        return Condition(false);
      case End::discarded:
        return more && !was.requested && closed;
    }
    return Condition(false);
  };
  const auto by_a_stop = [&](End end) {
    return choose(was.word.removed, Condition(end == End::removed),
                  Condition(end == End::cancelled));
  };
  Condition all(true);
  for (const auto end : {End::done, End::failed, End::cancelled, End::removed, End::discarded}) {
    all = all && is.ends_as(end) == was.ends_as(end) + protocol::one_if<Number>(choose(
                                                           stop, by_a_stop(end), by_itself(end)));
  }
  return all;
}

// What waits behind a compaction's end, and for what: a failure that is tried again, and what was
// requested behind one, for its time, or a probe; what a caller has given up, and the re-run of a
// shutdown, for nothing.
Condition waits_as_told(Ending ending, const Stripe& was, const Stripe& is,
                        const Condition& closed) {
  const Condition may_stay = !closed && !was.asked_to_stop;
  const Condition delays =
      Condition(ending.failed() && ending.retries != Retries::none) && may_stay;
  const bool by_itself = ending.kind == Kind::retry || ending.retries == Retries::all;
  const Condition later = delays && (was.requested || Condition(by_itself));
  const Condition at_once =
      !delays && (was.requested || (Condition(ending.kind == Kind::more_work) && may_stay));
  const bool opens = by_itself && (ending.kind == Kind::failed || ending.quarantines);
  const Condition opened = delays && !was.requested && Condition(opens);
  const auto more = [&](bool so) {
    return protocol::one_if<Number>(opened && Condition(so == ending.quarantines));
  };
  const Condition stays_broken =
      was.quarantined && closed && Condition(ending.failed()) && !was.asked_to_stop;
  return protocol::equal(is.delayed, later) && protocol::equal(is.waits(), later || at_once) &&
         protocol::equal(is.quarantined,
                         (later && Condition(ending.quarantines)) || stays_broken) &&
         is.retried == was.retried + more(false) && is.probed == was.probed + more(true) &&
         is.attempts == choose(was.requested || opened, Number(0), was.attempts);
}

// What callers are told of a compaction's end: its outcome, its episode's end, the first error, and
// for the report of a shutdown whether its work was finished.
Condition counts_as(Ending ending, const State& before, const State& after) {
  const auto i = static_cast<std::size_t>(ending.kind);
  const auto& was = before.stripes[of_step];
  const auto& is = after.stripes[of_step];
  const bool worked = ending.worked();
  return is.outcomes[i] == was.outcomes[i] + Number(1) &&
         waits_as_told(ending, was, is, before.worker.closed) &&
         ends_as_told(ending, was, is, before.worker.closed) &&
         (before.worker.first_error != Number(0) ||
          after.worker.first_error == any_number("error")) &&
         protocol::equal(is.unfinished,
                         !was.word.removed && (was.unfinished || Condition(!worked)));
}

// A compaction's end, with what may come between its halves.
std::vector<Step> ends_with(Ending ending) {
  const std::string of = " " + name_of(ending);
  const auto may_finish = [](const State& s) { return s.worker.may_finish(s.stripes[of_step]); };
  const auto finish = [ending](State& s) {
    s.worker.finish(s.stripes[of_step], ending, any_number("error"));
  };
  std::vector<Step> result = {
      step(
          "release" + of, [](const State& s) { return s.worker.may_release(s.stripes[of_step]); },
          [ending](State& s) { s.release(s.stripes[of_step], ending); }),
      step("finish" + of, may_finish, finish)};
  result[0].to = ending;
  result[0].of_threads = true;
  result[1].from = ending;
  result[1].promise =
      "a compaction's end counts as what its job returned, unless it was asked to stop";
  result[1].keeps = [ending](const State& before, const State& after) {
    return counts_as(ending, before, after);
  };
  if (ending == Ending(Kind::failed)) {
    // The end of a thread that is unwound out of its job: it wakes another, and leaves.
    result.push_back(step("finish unwound", may_finish, [finish](State& s) {
      finish(s);
      s.worker.claim_sleeper_if(s.worker.wakes_another());
      s.worker.leave();
    }));
    result.back().from = ending;
    result.back().promise = "a thread that is unwound is one thread less";
    result.back().keeps = [ending](const State& before, const State& after) {
      return counts_as(ending, before, after) &&
             after.worker.alive == before.worker.alive - Number(1);
    };
  }
  auto between = token_steps();
  for (const auto actor : {of_step, another}) {
    for (auto& each : free_steps(actor)) {
      each.name += actor == of_step ? " of it" : " of another";
      between.push_back(std::move(each));
    }
    // The inbox is taken before the stripe is put back.
    auto arrives = step(
        actor == of_step ? "arrive of it" : "arrive of another",
        [actor, ending](const State& s) {
          return s.worker.may_arrive(s.stripes[actor]) &&
                 s.worker.puts_back(s.stripes[of_step], ending);
        },
        [actor](State& s) { s.worker.arrive(s.stripes[actor]); });
    arrives.actor = actor;
    between.push_back(std::move(arrives));
    auto is_raised = step(
        actor == of_step ? "arrive_raise of it" : "arrive_raise of another",
        [actor, ending](const State& s) {
          return s.worker.may_arrive_raise(s.stripes[actor]) &&
                 s.worker.puts_back(s.stripes[of_step], ending);
        },
        [actor](State& s) { s.worker.arrive_raise(s.stripes[actor]); });
    is_raised.actor = actor;
    between.push_back(std::move(is_raised));
  }
  for (auto& each : between) {
    each.name += " before finish" + of;
    each.from = each.to = ending;
    result.push_back(std::move(each));
  }
  return result;
}

}  // namespace

std::vector<Step> steps() {
  auto result = free_steps(of_step);
  const auto add = [&result](std::vector<Step> more) {
    std::move(more.begin(), more.end(), std::back_inserter(result));
  };
  add(token_steps());
  add(thread_steps());
  add(raise_steps());
  add(resizing_steps());
  add(withdrawing_steps());
  add(pausing_steps());
  add(delaying_steps());
  add(closing_steps());
  for (const auto& ending : protocol::endings) {
    add(ends_with(ending));
  }
  return result;
}

}  // namespace kstone::proof
