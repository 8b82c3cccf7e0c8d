#include "claims.h"

#include <algorithm>

#include "../protocol/callers.h"
#include "../protocol/invariants.h"

namespace kstone::proof {
namespace {

bool begins(const std::string& text, const char* with) { return text.rfind(with, 0) == 0; }

void add(Claims& claims, const std::string& sentence, const z3::expr& holds) {
  const auto same = [&](const Claim& claim) { return claim.sentence == sentence; };
  const auto found = std::find_if(claims.begin(), claims.end(), same);
  if (found == claims.end()) {
    claims.push_back({sentence, holds});
  } else {
    found->holds = found->holds && holds;
  }
}

template <class Invariants>
void add_all(Claims& claims, const Invariants& invariants) {
  for (const auto& each : invariants) {
    add(claims, each.sentence, each.holds.term);
  }
}

void add_inside(Claims& claims, const State& state) {
  add_all(claims, protocol::invariants_of_worker(state.worker));
  for (std::size_t i = 0; i < state.stripes.size(); ++i) {
    add_all(claims, protocol::invariants_inside(state.worker, state.stripes[i]));
    add_all(claims, protocol::invariants_of_places(state.worker, state.stripes[i]));
    for (std::size_t k = 0; k < i; ++k) {
      add_all(claims, protocol::invariants_of_two(state.stripes[i], state.stripes[k]));
    }
  }
}

void add_all_but_sums(Claims& claims, const State& state) {
  add_inside(claims, state);
  for (std::size_t i = 0; i < state.stripes.size(); ++i) {
    add_all(claims, protocol::invariants_outside(state.worker, state.stripes[i], state.ids[i]));
    add_all(claims, protocol::invariants_of_lanes(state.worker, state.stripes[i]));
  }
}

// A sum, for the stripes that are told apart: what the worker says, less what they add.
std::vector<protocol::Sum<Number>> less_stripes(const State& state, std::size_t stripes) {
  const auto nothing = protocol::sums(state.worker, Stripe());
  std::vector<protocol::Sum<Number>> result(nothing.begin(), nothing.end());
  for (std::size_t i = 0; i < stripes; ++i) {
    const auto shares = protocol::sums(state.worker, state.stripes[i]);
    for (std::size_t k = 0; k < result.size(); ++k) {
      result[k].total = result[k].total - shares[k].of_stripe;
    }
  }
  return result;
}

// Stripes that are not told apart add what they add: no less than nothing, and no more than one.
void add_sums(Claims& claims, const State& state) {
  const auto apart = static_cast<int>(state.stripes.size());
  for (const auto& sum : less_stripes(state, state.stripes.size())) {
    const auto& total = sum.total.term;
    add(claims, sum.sentence,
        state.stripes.size() < told_apart
            ? total == 0
            : total >= 0 && total <= state.worker.stripes.term - apart);
  }
}

constexpr std::size_t sum_of_running = 0;
constexpr std::size_t sum_of_queue = 1;
constexpr std::size_t sum_of_inbox = 3;
constexpr std::size_t sum_of_closed = 4;

// A step leaves each sum as it was, but for the stripes that it may be on. The last of those that
// are told apart stands for all that are not.
void add_sums_behind(Claims& claims, const State& before, const State& after) {
  const auto stripes = before.stripes.size();
  const auto apart = std::min(stripes, told_apart - 1);
  const auto was = less_stripes(before, apart);
  const auto is = less_stripes(after, apart);
  for (std::size_t k = 0; k < is.size(); ++k) {
    add(claims, is[k].sentence, (is[k].total == was[k].total).term);
    if (stripes == told_apart) {
      const auto share = [&](const State& state) {
        return protocol::sums(state.worker, state.stripes.back())[k].of_stripe;
      };
      add(claims, is[k].sentence, (share(after) == share(before)).term);
    }
  }
}

// What goes one way only.
void add_never_back(Claims& claims, State before, State after) {
  const std::vector<std::string> ups = {"tail",         "inbox_from", "closed",      "word_closed",
                                        "words_closed", "mode",       "running_max", "started",
                                        "told",         "learnt",     "ends",        "outcomes",
                                        "compactions",  "rejected",   "retried",     "probed"};
  z3::expr holds = context().bool_val(true);
  const auto look = [&](const std::vector<Field>& was, const std::vector<Field>& is) {
    for (std::size_t i = 0; i < was.size(); ++i) {
      const auto name = was[i].name.substr(was[i].name.find('.') + 1);
      const auto goes_up = [&](const std::string& up) {
        return name == up || name.substr(0, name.find('_')) == up;
      };
      if (std::any_of(ups.begin(), ups.end(), goes_up)) {
        holds = holds && (was[i].term->is_bool() ? z3::implies(*was[i].term, *is[i].term)
                                                 : *was[i].term <= *is[i].term);
      }
    }
  };
  look(fields(before.worker), fields(after.worker));
  for (std::size_t i = 0; i < before.stripes.size(); ++i) {
    look(fields(before.stripes[i], ""), fields(after.stripes[i], ""));
  }
  add(claims, "what happened stays: counts, closing and its mode never go back", holds);
}

// Who waits for what, and in which place.
void add_of_order(Claims& claims, const State& before, const State& after) {
  using protocol::implies;
  const auto& was = before.worker;
  for (std::size_t i = 0; i < before.stripes.size(); ++i) {
    const auto& old = before.stripes[i];
    const auto& now = after.stripes[i];
    const Condition arrived = choose(old.paused, now.held, now.queued && now.queued_at == was.tail);
    add(claims,
        "nobody is overtaken: who waits keeps its place, and no lower lane, until it is taken, "
        "held "
        "or ended",
        (implies(old.queued && now.queued, now.queued_at == old.queued_at) &&
         implies(old.queued && now.queued, !(now.lane < old.lane)) &&
         implies(old.pushed && now.pushed, now.pushed_at == old.pushed_at) &&
         implies(old.arrives() && !now.pushed, arrived))
            .term);
    add(claims, "what is paused does not begin to run",
        implies(was.paused || old.paused, !now.running || old.running).term);
    // Goals as a wait has them. `reached` counts what ended in the order of opening.
    const auto goal = any_number("goal");
    const auto ended = [](const Stripe& stripe) { return stripe.ended() - stripe.early; };
    add(claims, "who waits for what runs waits until that has ended, whatever ends before it",
        (implies(protocol::reached(old, goal), protocol::reached(now, goal)) &&
         implies(old.running && ended(now) != ended(old),
                 !now.running && now.ended() == old.ended() + Number(1)))
            .term);
  }
}

// How long what callers asked for lasts.
void add_of_holding(Claims& claims, const Step& step, const State& before, const State& after) {
  using protocol::implies;
  const auto is_one_of = [&step](const std::vector<std::string>& names) {
    return Condition(std::find(names.begin(), names.end(), step.name) != names.end());
  };
  const Condition is_request(begins(step.name, "request"));
  add(claims, "a pause lasts until somebody resumes, or the worker closes",
      implies(before.worker.paused && !after.worker.paused, is_one_of({"resume_all"})).term);
  for (std::size_t i = 0; i < before.stripes.size(); ++i) {
    const auto& old = before.stripes[i];
    const auto& now = after.stripes[i];
    add(claims, "a pause lasts until somebody resumes, or the worker closes",
        implies(old.paused && !now.paused, is_one_of({"resume", "restore", "close_stripe"})).term);
    add(claims, "what is removed stays so until it is restored",
        implies(old.word.removed && !now.word.removed, is_one_of({"restore"})).term);
    add(claims, "what is asked to stop stays so until it ends",
        implies(old.asked_to_stop && !now.asked_to_stop, !now.running).term);
    // As a snapshot adds them up.
    const auto rejected = [](const Stripe& stripe) {
      return stripe.rejected +
             choose(stripe.word.removed && !stripe.word.closed, stripe.word.requests, Number(0));
    };
    const Condition one_more =
        is_request && Condition(i == step.actor) && old.word.removed && !old.word.closed;
    add(claims, "each request that is rejected by a removal is counted, once",
        (rejected(now) == rejected(old) + protocol::one_if<Number>(one_more)).term);
  }
}

// What each step does to what it is not about.
void add_of_steps(Claims& claims, const Step& step, const State& before, const State& after) {
  using protocol::implies;
  const auto& was = before.worker;
  const auto& is = after.worker;
  add(claims, "the most that have run at once is what it was, or what runs",
      (is.running_max == was.running_max || is.running_max == is.running).term);
  add(claims, "the first error stays",
      implies(was.first_error != Number(0), is.first_error == was.first_error).term);
  add(claims, "no thread is woken for nothing: something was pushed, or can be taken",
      implies(is.control.sleepers < was.control.sleepers && !is.closed,
              was.nodes() < is.nodes() || is.has_ready())
          .term);
  const bool is_request = begins(step.name, "request");
  for (std::size_t i = 0; i < before.stripes.size(); ++i) {
    const auto& old = before.stripes[i];
    const auto& now = after.stripes[i];
    if (!is_request) {
      add(claims, "a closed word counts rejected requests, and nothing else",
          implies(old.word.closed, now.word.requests == old.word.requests).term);
    }
    if (!step.from) {
      add(claims, "nothing is put in quarantine but by the end of a compaction",
          implies(now.quarantined, old.quarantined).term);
      const auto discarded = now.ends_as(protocol::End::discarded);
      const Condition as_before = discarded == old.ends_as(protocol::End::discarded);
      const Condition held_back = was.closed && (was.paused || old.paused || old.delayed);
      add(claims,
          "a drain discards nothing while there are threads, but what a pause or a delay holds "
          "back",
          (as_before || is.discards() || is.alive == Number(0) || held_back).term);
      add(claims, "what is discarded is reported, and nothing else",
          (choose(as_before, protocol::equal(old.discarded, now.discarded), now.discarded)).term);
    }
  }
}

// How much there is left to do: a number that is never negative. Once the worker has closed, each
// step of a thread or token lowers it, and so does each that closes a word or discards.
Number times(int factor, const Number& number) { return Number(factor * number.term); }
Number count(const Condition& condition) { return protocol::one_if<Number>(condition); }
Number at_least_nothing(const Number& number) {
  return choose(number < Number(0), Number(0), number);
}
// Of the limit: how many more could be up, and how many are too many.
Number missing(const Worker& worker) { return at_least_nothing(worker.limit - worker.up()); }
Number surplus(const Worker& worker) { return at_least_nothing(worker.up() - worker.limit); }
Number left_when_closed(const Worker& worker) {
  return times(5, worker.owed) + times(4, worker.tokens) + times(2, worker.alive) +
         times(2, worker.parked) + times(2, surplus(worker)) + worker.looking();
}
Number left_when_closed(const Stripe& stripe) {
  return times(4, count(!stripe.word.closed)) + times(3, count(stripe.queued)) +
         times(2, count(stripe.running)) + times(3, count(stripe.rerun_owed));
}

// Before closing, each step that neither asks for more nor has more work lowers this one, or leaves
// it and lowers the next, and what holds back does not raise it. A factor is what is to come of the
// thing, and one; of what is held or delayed nothing is to come.
Number left_when_open(const Worker& worker) {
  return times(8, worker.control.length) + times(7, worker.queued) + worker.raises;
}
Number left_when_open(const Stripe& stripe) {
  return times(12, count(stripe.claimed)) + times(4, count(stripe.running)) +
         times(3, stripe.raising) + times(2, count(stripe.raise_claimed)) +
         times(7, count(stripe.running && stripe.asked()));
}
// What is to come of threads that neither take nor end anything. While something waits nobody falls
// asleep; else who waited apart may.
Number left_of_threads(const Worker& worker) {
  const Number while_something_waits = times(2, worker.owed) + worker.tokens +
                                       times(3, worker.asleep) + missing(worker) +
                                       times(3, surplus(worker));
  const Number else_left = times(5, worker.owed) + times(4, worker.tokens) + worker.looking() +
                           times(2, worker.parked) + times(2, surplus(worker));
  return choose(worker.something_waits(), while_something_waits, else_left);
}

struct Left {
  Number known;   // of the worker, and of the stripes that a step may be on
  Number others;  // of any other stripe
};
template <class Measure>
Left left(const State& state, const Measure& measure) {
  Left result{measure(state.worker), Number(0)};
  for (std::size_t i = 0; i < state.stripes.size(); ++i) {
    auto& sum = i < told_apart - 1 ? result.known : result.others;
    sum = sum + measure(state.stripes[i]);
  }
  return result;
}

void add_ranking(Claims& claims, const Step& step, const State& was, const State& is) {
  // By so much at least; a negative number says how much it may rise.
  const auto falls = [&](const auto& measure, int by) {
    const auto before = left(was, measure);
    const auto after = left(is, measure);
    return !(before.known < after.known + Number(by)) && !(before.others < after.others) &&
           !(after.known < Number(0));
  };
  const auto when_closed = [](const auto& of) { return left_when_closed(of); };
  const auto when_open = [](const auto& of) { return left_when_open(of); };
  add(claims, "once the worker has closed, each step of a thread or token leaves less to do",
      protocol::implies(was.worker.closed, falls(when_closed, step.of_threads ? 1 : 0)).term);
  const auto begins_with_one_of = [&step](const std::vector<const char*>& names) {
    return std::any_of(names.begin(), names.end(),
                       [&step](const char* name) { return begins(step.name, name); });
  };
  const bool asks_for_more =
      begins_with_one_of({"request", "start", "resize", "add_thread", "adopt", "resume", "expire",
                          "end_quarantine", "release more_work"});
  const bool holds_back = begins_with_one_of({"cancel", "remove", "restore", "pause"});
  if (!asks_for_more) {
    // What finish does is seen with release already, but for what a thread that is unwound does: it
    // wakes another.
    const Number threads_then = left_of_threads(was.worker);
    const Number threads_now = left_of_threads(is.worker);
    const Condition threads_leave_less = threads_now < threads_then && !(threads_now < Number(0));
    const bool may_stay = holds_back || begins(step.name, "finish");
    add(claims, "an open worker comes to rest: what asks for no more leaves less to do",
        (is.worker.closed || falls(when_open, 1) ||
         (falls(when_open, 0) && (Condition(may_stay) || threads_leave_less)))
            .term);
  }
}

}  // namespace

Claims known_of(const State& state, const Middle& middle) {
  Claims claims;
  const auto then = seen(state, middle);
  add_all_but_sums(claims, then);
  add_sums(claims, then);
  if (middle) {
    add_inside(claims, state);
    z3::expr one = state.worker.may_finish(state.stripes[of_step]).term;
    for (std::size_t i = another; i < state.stripes.size(); ++i) {
      one = one && !state.stripes[i].released.term;
    }
    add(claims, "no compaction is in the middle of its end", one);
  }
  return claims;
}

Claims of_the_beginning(const State& state) {
  Claims claims;
  add_all_but_sums(claims, state);
  for (const auto& sum : less_stripes(state, 0)) {
    add(claims, sum.sentence, sum.total.term == 0);
  }
  for (const auto& stripe : state.stripes) {
    for (const auto& sum : protocol::sums(state.worker, stripe)) {
      add(claims, sum.sentence, sum.of_stripe.term == 0);
    }
  }
  return claims;
}

Claims behind(const Step& step, const State& before, const State& after) {
  Claims claims;
  const auto was = seen(before, step.from);
  const auto is = seen(after, step.to);
  add_all_but_sums(claims, is);
  add_sums_behind(claims, was, is);
  if (step.to) {
    add_inside(claims, after);
    z3::expr one = after.worker.may_finish(after.stripes[of_step]).term;
    for (std::size_t i = another; i < after.stripes.size(); ++i) {
      one = one && !after.stripes[i].released.term;
    }
    add(claims, "no compaction is in the middle of its end", one);
  }
  add_never_back(claims, before, after);
  add_of_steps(claims, step, before, after);
  add_of_order(claims, before, after);
  add_of_holding(claims, step, before, after);
  add_ranking(claims, step, was, is);
  if (step.keeps) {
    add(claims, step.promise, step.keeps(before, after).term);
  }
  return claims;
}

z3::expr possible(const State& state, const Step& step) { return step.possible(state).term; }

Claims chosen(const State& state) {
  Claims claims;
  if (state.stripes.size() < told_apart) {
    return claims;
  }
  const auto& worker = state.worker;
  const auto names = protocol::sums(worker, Stripe());
  Condition first = worker.queued == Number(0);
  Condition oldest = worker.nodes() == Number(0);
  Condition one_runs = worker.running == Number(0);
  Condition one_is_open = worker.words_closed == worker.stripes;
  for (std::size_t i = 0; i < state.stripes.size(); ++i) {
    const auto& stripe = state.stripes[i];
    Condition none_before = stripe.queued;
    for (const auto& other : state.stripes) {
      none_before = none_before && !(other.queued && other.queued_at < stripe.queued_at);
    }
    first = first || none_before;
    oldest = oldest || worker.may_arrive(stripe) || worker.may_arrive_raise(stripe);
    one_runs = one_runs || stripe.running;
    one_is_open = one_is_open || !stripe.word.closed;
  }
  add(claims, names[sum_of_queue].sentence, first.term);
  // As many nodes as the inbox has places, each in another: one is in the first.
  add(claims, names[sum_of_inbox].sentence, oldest.term);
  add(claims, names[sum_of_running].sentence, one_runs.term);
  add(claims, names[sum_of_closed].sentence, one_is_open.term);
  return claims;
}

namespace {

// Some of these steps are possible.
struct Some {
  const State& state;
  const Possible& is_possible;

  Condition operator()(const std::vector<std::string>& names) const {
    Condition any(false);
    for (const auto& step : steps()) {
      if (std::find(names.begin(), names.end(), step.name) == names.end() ||
          (step.needs_stripe && state.stripes.empty())) {
        continue;
      }
      any = any || Condition(is_possible(state, step));
      for (std::size_t i = another; step.needs_stripe && i < state.stripes.size(); ++i) {
        State other = state;  // with another stripe in the step's place
        std::swap(other.stripes[of_step], other.stripes[i]);
        std::swap(other.ids[of_step], other.ids[i]);
        any = any || Condition(is_possible(other, step));
      }
    }
    return any;
  }
};

void add_progress(Claims& claims, const State& state, const Some& some) {
  using protocol::implies;
  const auto& w = state.worker;
  const Condition threads = w.alive != Number(0);
  const Condition waits = w.something_waits();
  const auto put = [&claims](const char* sentence, const Condition& holds) {
    add(claims, sentence, holds.term);
  };
  put("no wake-up is lost: if all threads sleep and no token is coming, nothing waits",
      implies(threads && w.alive == w.asleep && w.owed == Number(0) && w.tokens == Number(0),
              !waits && !w.closed));
  put("while something waits and there are threads, the worker goes on by itself",
      implies(waits && threads, some({"post", "wake", "arrive", "arrive_raise", "take",
                                      "release done", "close_stripe", "park", "unpark"})));
  put("a thread that looks for work takes, moves the inbox, settles stripes, sleeps, parks or "
      "leaves",
      implies(w.looking() != Number(0), some({"arrive", "arrive_raise", "take", "sleep", "leave",
                                              "close_stripe", "discard", "park"})));
  put("a limit that is too low for those that are up parks one; one too few wakes one",
      implies(w.has_surplus() && w.looking() != Number(0), some({"park"})) &&
          implies(w.parked != Number(0) && w.up() < w.limit, some({"unpark"})));
  put("until the worker closes its limit can be changed, and threads that are missing created",
      w.closed || (some({"resize"}) &&
                   implies(w.started && w.enabled && w.alive < w.limit, some({"add_thread"}))));
  put("whoever closes the worker closes every word, and discards what will not run",
      implies(w.closed && w.words_closed != w.stripes, some({"close_stripe"})) &&
          implies(w.all_words_closed() && w.queued != Number(0) && w.discards(),
                  some({"discard"})));
  put("once the worker has closed, threads go on until the last has left",
      implies(w.closed && threads, some({"post", "wake", "take", "leave", "release done",
                                         "close_stripe", "discard", "park", "unpark"})));
  put("once the last thread has left, what is still queued is discarded",
      implies(w.all_words_closed() && !threads && w.queued != Number(0), some({"discard"})));
  put("a worker that is not closed can be closed; one that never started can be started",
      (w.closed || (some({"close drain", "arrive", "arrive_raise"}) &&
                    some({"close finish_running", "arrive", "arrive_raise"}) &&
                    some({"close cancel", "arrive", "arrive_raise"}))) &&
          (w.closed || w.started || some({"start"})));
  put("a shutdown that comes later can ask for each mode",
      implies(w.closed, some({"strengthen drain"}) && some({"strengthen finish_running"}) &&
                            some({"strengthen cancel"})));
  put("until the worker closes all can be paused, or resumed",
      w.closed || choose(w.paused, some({"resume_all"}), some({"pause_all"})));
  Condition ends(true);
  for (const auto& ending : protocol::endings) {
    ends = ends && some({"release " + name_of(ending)});
  }
  put("a compaction can end, whatever its job returned",
      implies(w.running != Number(0), ends || some({"close_stripe", "discard"})));
}

void add_progress_of_stripes(Claims& claims, const State& state, const Some& some) {
  using protocol::implies;
  const auto& w = state.worker;
  const auto put = [&claims](const char* sentence, const Condition& holds) {
    add(claims, sentence, holds.term);
  };
  for (const auto& stripe : state.stripes) {
    put("a request is possible in every state", some({"request"}));
    put("a raise is marked, pushed and comes out, unless the worker closes",
        implies(stripe.raising != Number(0), some({"mark_raise"})) &&
            implies(stripe.raise_claimed && !w.closed, some({"push_raise"})));
    put("a stripe that was claimed is pushed, unless the worker closes",
        implies(stripe.claimed && !w.closed, some({"push"})));
    put("... or taken over, if somebody asks for it who is told `queued` and pushes nothing",
        implies(stripe.asked() && stripe.idle() && !w.closed, some({"adopt"})));
    put("a stripe can be cancelled, also while a shutdown drains",
        some({"cancel", "close_stripe"}));
    put("until the worker closes a stripe can be removed, and restored once it has ended",
        w.closed ||
            choose(stripe.word.removed, stripe.running || some({"restore"}), some({"remove"})));
    put("what is delayed goes on when its time has come, unless the worker closes",
        implies(stripe.delayed && !w.closed, some({"expire"})));
    put("what is in quarantine can be released, unless the worker closes",
        implies(stripe.quarantined && !w.closed, some({"end_quarantine"})));
    put("until the worker closes a stripe can be paused, or resumed",
        w.closed || choose(stripe.paused, some({"resume"}), some({"pause"})));
  }
}

// Of what a caller has withdrawn or held back, and of who waits for it.
void add_of_held(Claims& claims, const Worker& w, const Stripe& stripe) {
  using protocol::implies;
  const auto put = [&claims](const char* sentence, const Condition& holds) {
    add(claims, sentence, holds.term);
  };
  put("nothing is taken of what is paused, or removed",
      implies(w.paused || stripe.paused || stripe.word.removed, !w.may_take(stripe)));
  put("once it has ended, nothing is left of a stripe that was removed, and nobody takes it over",
      implies(stripe.word.removed && !stripe.running,
              stripe.alive() == Number(0) && !stripe.arrives() && !w.may_adopt(stripe)));
  put("what waits is held by a pause, or delayed, or threads find it",
      implies(stripe.waits(),
              choose(protocol::is_held(w, stripe) || stripe.delayed, !w.may_take(stripe),
                     stripe.queued && (w.has_ready() || w.discards()))) &&
          implies(protocol::is_held(w, stripe), stripe.waits() && (w.paused || stripe.paused)));
  put("until the worker closes, what is in quarantine has an episode",
      implies(stripe.quarantined && !w.closed, stripe.alive() != Number(0)));
  const auto goal = protocol::goal_of(stripe);
  put("who waits for a stripe waits for all that callers were told of, and for no more",
      goal == stripe.told_opened() && implies(stripe.running, !protocol::reached(stripe, goal)) &&
          implies(stripe.alive() == Number(0), protocol::reached(stripe, goal)));
}

void add_of_stripe(Claims& claims, const State& state, const Stripe& stripe, const Number& id) {
  using protocol::implies;
  const auto& w = state.worker;
  const auto put = [&claims](const char* sentence, const Condition& holds) {
    add(claims, sentence, holds.term);
  };
  put("one at a time: what is taken does not run",
      implies(w.may_take(stripe), !stripe.running && !stripe.word.running));
  put("no request is lost: a stripe with requests waits, runs, or is about to be pushed",
      implies(stripe.asked(), stripe.claimed || stripe.pushed || stripe.waits() || stripe.running));
  put("one node: a stripe is claimed, pushed or waits, and two of these only if it was taken over",
      !(stripe.claimed && stripe.pushed) &&
          implies(stripe.waits() && (stripe.claimed || stripe.pushed), stripe.word.under_way));
  put("whoever takes the queue's head finds its word as a taker wants it",
      implies(stripe.queued && w.is_settled(stripe), stripe.word.may_take()));
  put("a compaction can end: its word says running, or is closed",
      implies(stripe.running && w.is_settled(stripe), stripe.word.may_release()));
  Stripe released = stripe;
  w.release(released, Kind::more_work);
  put("whoever takes back a request of its own leaves one",
      implies(stripe.running && !w.closed && w.takes_back(released, Kind::more_work),
              released.word.may_take_back()));
  put("each episode that a caller was told of has one end, or is alive",
      stripe.told_opened() == stripe.ended() + stripe.alive());
  put("once all is over, every episode that a caller was told of has ended",
      implies(w.all_words_closed() && w.alive == Number(0) && w.queued == Number(0),
              stripe.told_opened() == stripe.ended()));
  put("an end that a mode other than drain brings: nothing starts any more",
      implies(w.discards(), !w.may_take(stripe)));
  const auto told = [&](Submission answer) {
    return stripe.told[static_cast<int>(answer)] ==
           stripe.learnt_of(answer) + stripe.pending(answer);
  };
  put("a snapshot adds up: answers, episodes, compactions, threads",
      told(Submission::queued) && told(Submission::coalesced) && told(Submission::rerun_pending) &&
          stripe.opened() == stripe.ended() + stripe.alive_inside() &&
          stripe.started == stripe.compactions_ended() + protocol::one_if<Number>(stripe.running) &&
          !(w.running_max < w.running) && !(w.alive < w.running));
  put("the inbox is found by its newest stripe, which its word names",
      implies(stripe.pushed, w.control.newest != Number(0) && !w.closed) &&
          implies(stripe.pushed && stripe.pushed_at + Number(1) == w.inbox_from + w.nodes(),
                  w.control.newest == id + Number(1) + choose(stripe.looks, w.stripes, Number(0))));
}

}  // namespace

Claims properties(const State& state, const Possible& possible_step) {
  Claims claims;
  add_progress(claims, state, {state, possible_step});
  add_progress_of_stripes(claims, state, {state, possible_step});
  for (std::size_t i = 0; i < state.stripes.size(); ++i) {
    add_of_stripe(claims, state, state.stripes[i], state.ids[i]);
    add_of_held(claims, state.worker, state.stripes[i]);
  }
  return claims;
}

}  // namespace kstone::proof
