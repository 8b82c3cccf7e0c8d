#include "breaks.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

namespace kstone::proof {
namespace {

// On one line, and not all of a long one.
std::string text_of(const z3::expr& term) {
  std::string result;
  for (const char c : term.to_string()) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!space || (!result.empty() && result.back() != ' ')) {
      result.push_back(space ? ' ' : c);
    }
  }
  return result;
}

bool is(const z3::expr& term, Z3_decl_kind kind) {
  return term.is_app() && term.decl().decl_kind() == kind;
}

std::vector<z3::expr> arguments_of(const z3::expr& term) {
  std::vector<z3::expr> result;
  for (unsigned i = 0; i < term.num_args(); ++i) {
    result.push_back(term.arg(i));
  }
  return result;
}

void conjuncts(const z3::expr& term, std::vector<z3::expr>& to) {
  if (is(term, Z3_OP_AND)) {
    for (const auto& each : arguments_of(term)) {
      conjuncts(each, to);
    }
  } else {
    to.push_back(term);
  }
}

z3::expr all_of(const std::vector<z3::expr>& terms) {
  z3::expr all = context().bool_val(true);
  for (const auto& term : terms) {
    all = all && term;
  }
  return all;
}

// Every term in it, each once.
void terms_in(const z3::expr& term, std::set<unsigned>& seen, std::vector<z3::expr>& to) {
  if (!term.is_app() || !seen.insert(term.id()).second) {
    return;
  }
  to.push_back(term);
  for (const auto& each : arguments_of(term)) {
    terms_in(each, seen, to);
  }
}

std::vector<Field> fields_of_step(State& state, const Step& step) {
  auto result = fields(state.worker);
  if (step.actor < state.stripes.size()) {
    const auto more = fields(state.stripes[step.actor], "");
    result.insert(result.end(), more.begin(), more.end());
  }
  return result;
}

class Generator {
 public:
  Generator(const Step& step, const State& before)
      : step_(step), before_(before), after_(before), possible_(step.possible(before).term) {
    step.perform(after_);
    const auto was = fields_of_step(before_, step_);
    const auto is = fields_of_step(after_, step_);
    for (std::size_t i = 0; i < is.size(); ++i) {
      if (!z3::eq(was[i].term->simplify(), is[i].term->simplify())) {
        changed_.push_back(i);
      }
    }
  }

  std::vector<Break> all() {
    result_.push_back({step_.name + ": never", context().bool_val(false), after_, true});
    guards();
    changes();
    conditions();
    return std::move(result_);
  }

 private:
  void put(const std::string& what, State after) {
    result_.push_back({step_.name + ": " + what, possible_, std::move(after)});
  }
  void put(const std::string& what, std::size_t field, const z3::expr& value) {
    State after = after_;
    *fields_of_step(after, step_)[field].term = value;
    put(what, std::move(after));
  }

  void guards() {
    std::vector<z3::expr> parts;
    conjuncts(possible_, parts);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      auto others = parts;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      if (!parts[i].is_true()) {
        result_.push_back(
            {step_.name + ": possible without " + text_of(parts[i]), all_of(others), after_});
      }
    }
  }

  void changes() {
    auto was = fields_of_step(before_, step_);
    auto is = fields_of_step(after_, step_);
    for (const auto i : changed_) {
      const auto& name = is[i].name;
      const auto value = *is[i].term;
      put(name + " stays", i, *was[i].term);
      if (value.is_bool()) {
        put(name + " the other way", i, !value);
      } else {
        put(name + " one more", i, value + 1);
        put(name + " one less", i, value - 1);
      }
    }
  }

  // In everything that the step changes at once, as where the code has the condition.
  void conditions() {
    std::set<unsigned> seen;
    std::vector<z3::expr> terms;
    const auto is = fields_of_step(after_, step_);
    for (const auto i : changed_) {
      terms_in(*is[i].term, seen, terms);
    }
    std::set<unsigned> tried;
    for (const auto& term : terms) {
      if (proof::is(term, Z3_OP_ITE) && tried.insert(term.arg(0).id()).second) {
        for (const bool value : {true, false}) {
          put_replaced(term.arg(0), context().bool_val(value),
                       std::string("always ") + (value ? "" : "not ") + text_of(term.arg(0)));
        }
      }
      if (proof::is(term, Z3_OP_AND) || proof::is(term, Z3_OP_OR)) {
        for (unsigned i = 0; i < term.num_args(); ++i) {
          put_replaced(term, term.arg(1 - i),
                       "without " + text_of(term.arg(i)) + " in " + text_of(term));
        }
      }
    }
  }
  void put_replaced(const z3::expr& term, const z3::expr& by, const std::string& what) {
    z3::expr_vector from(context()), to(context());
    from.push_back(term);
    to.push_back(by);
    State after = after_;
    auto is = fields_of_step(after, step_);
    for (const auto i : changed_) {
      *is[i].term = is[i].term->substitute(from, to);
    }
    put(what, std::move(after));
  }

  const Step& step_;
  State before_;
  State after_;
  z3::expr possible_;
  std::vector<std::size_t> changed_;
  std::vector<Break> result_;
};

struct ByHand {
  const char* step;
  const char* what;
  std::function<void(State&)> perform;
};

// As the patches among the mutants: other orders, parts left out.
Stripe& stripe(State& s) { return s.stripes[of_step]; }
Number error() { return any_number("error"); }

std::vector<ByHand> by_hand_of_waking() {
  return {
      {"push", "claims nobody",
       [](State& s) {
         const State before = s;
         s.worker.push(stripe(s), s.ids[of_step]);
         s.worker.control.sleepers = before.worker.control.sleepers;
         s.worker.owed = before.worker.owed;
       }},
      {"push", "owes a token and claims nobody",
       [](State& s) {
         const auto sleepers = s.worker.control.sleepers;
         s.worker.push(stripe(s), s.ids[of_step]);
         s.worker.control.sleepers = sleepers;
       }},
      {"post", "twice",
       [](State& s) {
         s.worker.post();
         s.worker.tokens = s.worker.tokens + Number(1);
       }},
      {"post", "the token is lost", [](State& s) { s.worker.owed = s.worker.owed - Number(1); }},
      {"take", "wakes nobody for the others", [](State& s) { s.worker.take(stripe(s)); }},
      {"take", "claims a sleeper whether or not anything is left",
       [](State& s) {
         s.worker.take(stripe(s));
         s.worker.claim_sleeper_if(Condition(true));
       }},
      {"take", "looks whether anything is left before it has taken",
       [](State& s) {
         s.worker.claim_sleeper_if(s.worker.wakes_another());
         s.worker.take(stripe(s));
       }},
      {"take", "leaves the stripe in the queue",
       [](State& s) {
         const auto queued = s.worker.queued;
         s.take(stripe(s));
         s.worker.queued = queued;
         stripe(s).queued = Condition(true);
       }},
      {"adopt", "without the mark",
       [](State& s) {
         s.adopt(stripe(s));
         stripe(s).word.under_way = Condition(false);
       }},
      {"adopt", "wakes nobody", [](State& s) { s.worker.adopt(stripe(s)); }},
      {"arrive", "in the old place",
       [](State& s) {
         s.worker.arrive(stripe(s));
         stripe(s).queued_at = stripe(s).pushed_at;
       }},
  };
}

std::vector<ByHand> by_hand_of_ends() {
  return {
      {"release retry", "forgets the requests that came meanwhile",
       [](State& s) {
         s.release(stripe(s), Kind::retry);
         stripe(s).requested = Condition(false);
       }},
      {"release done", "takes the requests with it",
       [](State& s) {
         s.release(stripe(s), Kind::done);
         stripe(s).word.requests = Number(0);
       }},
      {"release more_work", "requests nothing for the rest",
       [](State& s) { s.release(stripe(s), Kind::done); }},
      {"release more_work", "takes nothing back",
       [](State& s) { s.worker.release(stripe(s), Kind::more_work); }},
      {"finish failed", "as done",
       [](State& s) { s.worker.finish(stripe(s), Kind::done, error()); }},
      {"finish done", "as more work",
       [](State& s) { s.worker.finish(stripe(s), Kind::more_work, error()); }},
      {"finish more_work", "as done",
       [](State& s) { s.worker.finish(stripe(s), Kind::done, error()); }},
      {"finish done", "to the head of the queue",
       [](State& s) {
         s.worker.finish(stripe(s), Kind::done, error());
         stripe(s).queued_at = s.worker.tail - s.worker.queued;
       }},
      {"finish unwound", "wakes nobody",
       [](State& s) {
         s.worker.finish(stripe(s), Kind::failed, error());
         s.worker.leave();
       }},
      {"finish unwound", "leaves twice",
       [](State& s) {
         s.worker.finish(stripe(s), Kind::failed, error());
         s.worker.claim_sleeper_if(s.worker.wakes_another());
         s.worker.leave();
         s.worker.leave();
       }},
  };
}

std::vector<ByHand> by_hand_of_withdrawing() {
  return {
      {"cancel", "a claim is forgotten, and not marked",
       [](State& s) {
         const auto under_way = stripe(s).word.under_way;
         s.worker.cancel(stripe(s));
         stripe(s).word.under_way = under_way;
         stripe(s).claimed = Condition(false);
       }},
      {"cancel", "leaves the stripe in the queue",
       [](State& s) {
         const State before = s;
         s.worker.cancel(stripe(s));
         s.worker.queued = before.worker.queued;
         stripe(s).queued = before.stripes[of_step].queued;
       }},
      {"cancel", "leaves what is held",
       [](State& s) {
         const auto held = stripe(s).held;
         s.worker.cancel(stripe(s));
         stripe(s).held = held;
       }},
      {"cancel", "the word first",
       [](State& s) {
         stripe(s).word.withdraw();
         s.worker.cancel(stripe(s));
       }},
      {"cancel", "leaves the requests in the word",
       [](State& s) {
         const auto requests = stripe(s).word.requests;
         s.worker.cancel(stripe(s));
         stripe(s).word.requests = requests;
       }},
      {"cancel", "ends what runs as well",
       [](State& s) {
         s.worker.cancel(stripe(s));
         stripe(s).end_if(stripe(s).running, protocol::End::cancelled);
       }},
      {"cancel", "as removed", [](State& s) { s.worker.remove(stripe(s)); }},
      {"remove", "as cancelled",
       [](State& s) {
         s.worker.cancel(stripe(s));
         stripe(s).word.remove();
         stripe(s).unfinished = Condition(false);
       }},
      {"remove", "the word first",
       [](State& s) {
         stripe(s).word.remove();
         s.worker.remove(stripe(s));
       }},
      {"remove", "waits for nothing, and accepts requests",
       [](State& s) {
         s.worker.remove(stripe(s));
         stripe(s).word.removed = Condition(false);
       }},
      {"restore", "the word first",
       [](State& s) {
         stripe(s).word.restore();
         s.worker.restore(stripe(s));
       }},
  };
}

std::vector<ByHand> by_hand_of_pausing() {
  return {
      {"pause", "leaves the stripe in the queue",
       [](State& s) {
         const auto arrived = stripe(s).arrives_ready();
         stripe(s).paused = Condition(true);
         s.worker.arriving = s.worker.arriving - protocol::one_if<Number>(arrived);
       }},
      {"pause", "drops what waits",
       [](State& s) {
         s.worker.pause(stripe(s));
         stripe(s).held = Condition(false);
       }},
      {"expire", "leaves it delayed",
       [](State& s) {
         s.expire(stripe(s));
         stripe(s).delayed = Condition(true);
       }},
      {"end_quarantine", "leaves it delayed",
       [](State& s) { stripe(s).quarantined = Condition(false); }},
      {"end_quarantine", "wakes nobody", [](State& s) { s.worker.end_quarantine(stripe(s)); }},
      {"finish retry delayed by a probe", "goes on as the same episode",
       [](State& s) {
         s.worker.finish(stripe(s), {Kind::retry, Retries::those_that_say_so}, error());
         stripe(s).quarantined = stripe(s).delayed;
       }},
      {"expire", "wakes nobody", [](State& s) { s.worker.expire(stripe(s)); }},
      {"finish retry delayed", "queues it at once",
       [](State& s) { s.worker.finish(stripe(s), Kind::more_work, error()); }},
      {"finish failed retried", "waits for a request",
       [](State& s) {
         s.worker.finish(stripe(s), {Kind::failed, Retries::those_that_say_so}, error());
       }},
      {"finish failed delayed", "queues at once what was requested",
       [](State& s) { s.worker.finish(stripe(s), Kind::failed, error()); }},
      {"release failed retried", "requests nothing for the retry",
       [](State& s) { s.release(stripe(s), Kind::failed); }},
      {"resume", "leaves what is held",
       [](State& s) {
         const auto held = stripe(s).held;
         stripe(s).held = Condition(false);
         s.resume(stripe(s));
         stripe(s).held = held;
       }},
      {"resume", "to the head of the queue",
       [](State& s) {
         s.resume(stripe(s));
         stripe(s).queued_at = s.worker.tail - s.worker.queued;
       }},
      {"resume", "wakes nobody", [](State& s) { s.worker.resume(stripe(s)); }},
      {"resume", "wakes before it queues",
       [](State& s) {
         s.worker.claim_sleeper_if(s.worker.wakes_another());
         s.worker.resume(stripe(s));
       }},
      {"pause_all", "drops what waits",
       [](State& s) {
         s.worker.pause_all();
         s.worker.queued = Number(0);
       }},
      {"resume_all", "wakes nobody", [](State& s) { s.worker.resume_all(); }},
      {"resume_all", "wakes before it resumes",
       [](State& s) {
         s.worker.claim_sleeper_if(s.worker.wakes_another());
         s.worker.resume_all();
       }},
  };
}

// Of steps that find a stripe paused, removed or asked to stop.
std::vector<ByHand> by_hand_of_held() {
  return {
      {"adopt", "queues what is paused",
       [](State& s) {
         const auto paused = stripe(s).paused;
         stripe(s).paused = Condition(false);
         s.adopt(stripe(s));
         stripe(s).paused = paused;
       }},
      {"arrive", "queues what is paused",
       [](State& s) {
         const auto paused = stripe(s).paused;
         stripe(s).paused = Condition(false);
         s.worker.arrive(stripe(s));
         stripe(s).paused = paused;
       }},
      {"close_stripe", "what a pause holds goes to the drain",
       [](State& s) {
         stripe(s).queued = stripe(s).queued || stripe(s).held;
         s.worker.queued = s.worker.queued + protocol::one_if<Number>(stripe(s).held);
         stripe(s).held = stripe(s).paused = s.worker.paused = Condition(false);
         s.worker.close_stripe(stripe(s));
       }},
      {"close_stripe", "forgets that it was removed",
       [](State& s) {
         s.worker.close_stripe(stripe(s));
         stripe(s).word.removed = Condition(false);
       }},
      {"finish done", "queues what is paused",
       [](State& s) {
         const auto paused = stripe(s).paused;
         stripe(s).paused = Condition(false);
         s.worker.finish(stripe(s), Kind::done, error());
         stripe(s).paused = paused;
       }},
      {"finish failed", "as failed, although it was asked to stop",
       [](State& s) {
         stripe(s).asked_to_stop = Condition(false);
         s.worker.finish(stripe(s), Kind::failed, error());
       }},
      {"finish more_work", "goes on, although it was asked to stop",
       [](State& s) {
         stripe(s).asked_to_stop = Condition(false);
         s.worker.finish(stripe(s), Kind::more_work, error());
       }},
      {"release more_work", "goes on, although it was asked to stop",
       [](State& s) {
         const auto asked_to_stop = stripe(s).asked_to_stop;
         stripe(s).asked_to_stop = Condition(false);
         s.release(stripe(s), Kind::more_work);
         stripe(s).asked_to_stop = asked_to_stop;
       }},
  };
}

std::vector<ByHand> by_hand_of_closing() {
  return {
      {"close drain", "the inbox is dropped",
       [](State& s) {
         s.worker.close(ShutdownMode::drain);
         s.worker.arriving = Number(0);
       }},
      {"close drain", "a token for each sleeper instead of each thread",
       [](State& s) {
         const auto owed = s.worker.owed;
         s.worker.close(ShutdownMode::drain);
         s.worker.owed = owed + s.worker.asleep;
       }},
      {"close drain", "wakes nobody",
       [](State& s) {
         const auto owed = s.worker.owed;
         s.worker.close(ShutdownMode::drain);
         s.worker.owed = owed;
       }},
      {"close cancel", "as a drain", [](State& s) { s.worker.close(ShutdownMode::drain); }},
      {"close_stripe", "forgets claims",
       [](State& s) {
         stripe(s).claimed = Condition(false);
         stripe(s).word.close();
         s.worker.words_closed = s.worker.words_closed + Number(1);
       }},
      {"close_stripe", "the word first",
       [](State& s) {
         stripe(s).word.close();
         s.worker.close_stripe(stripe(s));
       }},
      {"close_stripe", "a re-run is owed whether or not anybody asked",
       [](State& s) {
         s.worker.close_stripe(stripe(s));
         stripe(s).rerun_owed = stripe(s).running;
       }},
      {"close_stripe", "leaves to the drain what the mode discards",
       [](State& s) {
         const auto mode = s.worker.mode;
         s.worker.mode = Number(0);
         s.worker.close_stripe(stripe(s));
         s.worker.mode = mode;
       }},
      {"strengthen drain", "weakens", [](State& s) { s.worker.mode = Number(0); }},
      {"discard", "keeps the re-run that is owed",
       [](State& s) {
         const auto rerun_owed = stripe(s).rerun_owed;
         stripe(s).rerun_owed = Condition(false);
         s.worker.discard(stripe(s));
         stripe(s).rerun_owed = rerun_owed;
       }},
      {"discard", "discards what runs, too",
       [](State& s) {
         s.worker.discard(stripe(s));
         stripe(s).end_if(stripe(s).running, protocol::End::discarded);
       }},
  };
}

}  // namespace

std::vector<Break> breaks_of(const Step& step, const State& before) {
  auto result = Generator(step, before).all();
  for (const auto& by_hand : {by_hand_of_waking(), by_hand_of_ends(), by_hand_of_withdrawing(),
                              by_hand_of_pausing(), by_hand_of_held(), by_hand_of_closing()}) {
    for (const auto& hand : by_hand) {
      if (step.name == hand.step) {
        State after = before;
        hand.perform(after);
        result.push_back(
            {step.name + ": by hand: " + hand.what, step.possible(before).term, std::move(after)});
      }
    }
  }
  return result;
}

z3::expr same(const Break& broken, const z3::expr& possible, const State& after) {
  State is = broken.after, was = after;
  z3::expr all = broken.possible == possible;
  const auto add = [&](const std::vector<Field>& a, const std::vector<Field>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (!z3::eq(*a[i].term, *b[i].term)) {
        all = all && z3::implies(possible, *a[i].term == *b[i].term);
      }
    }
  };
  add(fields(is.worker), fields(was.worker));
  for (std::size_t i = 0; i < is.stripes.size(); ++i) {
    add(fields(is.stripes[i], ""), fields(was.stripes[i], ""));
  }
  return all;
}

}  // namespace kstone::proof
