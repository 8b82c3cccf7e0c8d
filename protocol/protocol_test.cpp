// The protocol by itself: its invariants in every state that three stripes and two threads reach,
// or two and three, with threads that sleep and tokens on their way; and that it is written for
// terms as well as for numbers.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iterator>
#include <random>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "callers.h"
#include "invariants.h"
#include "test_terms.h"

namespace kstone::protocol {

// All of it, used or not.
template struct Stripe<terms::Term, terms::Condition>;
template struct Worker<terms::Term, terms::Condition>;
template struct Callers<terms::Term, terms::Condition>;
template terms::Term start_answer(const Worker<terms::Term, terms::Condition>&, const terms::Term&);
template terms::Term resize_answer(const Worker<terms::Term, terms::Condition>&, const terms::Term&,
                                   const terms::Term&, const terms::Condition&);
template terms::Condition is_running(const Worker<terms::Term, terms::Condition>&);
template terms::Term answer_of_wait(const Worker<terms::Term, terms::Condition>&,
                                    const terms::Condition&, const terms::Condition&,
                                    const terms::Condition&, const terms::Condition&);
template terms::Condition is_held(const Worker<terms::Term, terms::Condition>&,
                                  const Stripe<terms::Term, terms::Condition>&);

namespace {

// Whoever has released a word keeps the mutex until it has finished, with the same outcome.
struct Numbers : State<std::uint32_t, bool> {
  using State::State;
  bool releasing = false;
  bool puts_back = false;
  Ending ending = Kind::done;
};

enum class Move {
  request,
  push,
  post,
  wake,
  start,
  resize,
  add_thread,
  park,
  unpark,
  arrive,
  adopt,
  cancel,
  remove,
  restore,
  pause,
  resume,
  pause_all,
  resume_all,
  expire,
  end_quarantine,
  take,
  release,
  finish,
  sleep,
  leave,
  close,
  close_stripe,
  strengthen,
  discard,
  request_low,
  request_high,
  request_with_reasons,
  mark_raise,
  push_raise,
  arrive_raise
};
constexpr int moves = 35;

struct Step {
  Move move{};
  std::uint32_t detail = 0;    // the stripe; of `start` and `resize` threads, of closing the mode
  Ending ending = Kind::done;  // of `release` and `finish`
};

// Each leaves out what an invariant is for.
enum class Fault {
  none,
  push_claims_nobody,
  sleeps_without_a_look,
  token_is_lost,
  forgets_claims,
  adopts_without_a_mark,
  adopts_and_wakes_nobody,
  never_unparks,
  takes_beyond_the_limit,
  expires_and_wakes_nobody,
  forgets_what_is_delayed,
  forgets_what_is_raised,
  raises_before_it_runs_only,
  raises_twice
};

// By one that is too many.
bool could_be_taken(const Numbers& state, const Numbers::Stripe& stripe) {
  const auto& worker = state.worker;
  return worker.has_surplus() && worker.has_ready() && worker.looking() != 0 &&
         state.is_first(stripe) && stripe.queued && worker.is_settled(stripe) &&
         stripe.word.may_take();
}

bool possible_raise(const Numbers& state, const Step& step) {
  const auto& worker = state.worker;
  const auto& stripe = state.stripes[step.detail % state.stripes.size()];
  switch (step.move) {
    case Move::mark_raise:
      return worker.may_mark_raise(stripe);
    case Move::push_raise:
      return worker.may_push_raise(stripe);
    case Move::arrive_raise:
      return worker.may_arrive_raise(stripe) && (!state.releasing || state.puts_back);
    default:
      return false;
  }
}

bool possible_resize(const Numbers& state, const Step& step, Fault fault) {
  const auto& worker = state.worker;
  switch (step.move) {
    case Move::resize:
      return worker.may_resize() && worker.limit != step.detail;
    case Move::add_thread:
      return worker.may_add_thread();
    case Move::park:
      return worker.may_park();
    case Move::unpark:
      return worker.may_unpark() && fault != Fault::never_unparks;
    default:
      return false;
  }
}

bool possible(const Numbers& state, const Step& step, Fault fault) {
  const auto& worker = state.worker;
  const auto& stripe = state.stripes[step.detail % state.stripes.size()];
  const bool free = !state.releasing;
  switch (step.move) {
    case Move::request:
    case Move::request_low:
    case Move::request_high:
    case Move::request_with_reasons:
      return !stripe.word.closed && stripe.word.requests < 2 && stripe.raising == 0;
    case Move::push:
      return worker.may_push(stripe);
    case Move::post:
      return worker.may_post();
    case Move::wake:
      return worker.may_wake();
    case Move::start:
      return free && worker.may_start();
    case Move::arrive:
      // Also by who waits. Between the halves only where the stripe is put back.
      return worker.may_arrive(stripe) && (free || state.puts_back);
    case Move::adopt:
      return free && worker.may_adopt(stripe);
    case Move::cancel:
      return free && worker.may_cancel(stripe);
    case Move::remove:
      return free && worker.may_remove(stripe);
    case Move::restore:
      return free && worker.may_restore(stripe);
    case Move::pause:
      return free && worker.may_pause(stripe);
    case Move::resume:
      return free && worker.may_resume(stripe);
    case Move::pause_all:
      return free && worker.may_pause_all();
    case Move::resume_all:
      return free && worker.may_resume_all();
    case Move::expire:
      return free && worker.may_expire(stripe);
    case Move::end_quarantine:
      return free && worker.may_end_quarantine(stripe);
    case Move::take:
      return free && (state.may_take(stripe) ||
                      (fault == Fault::takes_beyond_the_limit && could_be_taken(state, stripe)));
    case Move::release:
      return free && worker.may_release(stripe);
    case Move::finish:
      return worker.may_finish(stripe) && step.ending == state.ending;
    case Move::sleep:
      return free && (worker.may_sleep() || (fault == Fault::sleeps_without_a_look &&
                                             !worker.closed && worker.looking() != 0));
    case Move::leave:
      return free && worker.may_leave();
    case Move::close:
      return free && worker.may_close();
    case Move::close_stripe:
      return free && worker.may_close_stripe(stripe);
    case Move::strengthen:
      return free && worker.may_strengthen();
    case Move::discard:
      return free && worker.may_discard(stripe);
    default:
      return possible_raise(state, step) || (free && possible_resize(state, step, fault));
  }
}

template <class Number, class Bool>
void perform_with_options(State<Number, Bool>& state, const Step& step) {
  auto& worker = state.worker;
  auto& stripe = state.stripes[step.detail % state.stripes.size()];
  const Number detail(static_cast<int>(step.detail));
  switch (step.move) {
    case Move::request_low:
      worker.request(stripe, {.priority = number_of<Number>(Priority::low)});
      return;
    case Move::request_high:
      worker.request(stripe, {.priority = number_of<Number>(Priority::high)});
      return;
    case Move::request_with_reasons:
      worker.request(stripe, {.reasons = Number(5)});
      return;
    case Move::mark_raise:
      return worker.mark_raise(stripe);
    case Move::push_raise:
      return worker.push_raise(stripe, detail);
    case Move::arrive_raise:
      return worker.arrive_raise(stripe);
    default:
      return;
  }
}

template <class Number, class Bool>
void perform(State<Number, Bool>& state, const Step& step) {
  auto& worker = state.worker;
  auto& stripe = state.stripes[step.detail % state.stripes.size()];
  const Number detail(static_cast<int>(step.detail));
  switch (step.move) {
    case Move::request:
      worker.request(stripe);
      return;
    case Move::push:
      return worker.push(stripe, detail);
    case Move::post:
      return worker.post();
    case Move::wake:
      return worker.wake();
    case Move::start:
      return worker.start(detail);
    case Move::resize:
      return worker.resize(detail);
    case Move::add_thread:
      return worker.add_thread();
    case Move::park:
      return worker.park();
    case Move::unpark:
      return worker.unpark();
    case Move::arrive:
      return worker.arrive(stripe);
    case Move::adopt:
      return state.adopt(stripe);
    case Move::cancel:
      return worker.cancel(stripe);
    case Move::remove:
      return worker.remove(stripe);
    case Move::restore:
      return worker.restore(stripe);
    case Move::pause:
      return worker.pause(stripe);
    case Move::resume:
      return state.resume(stripe);
    case Move::pause_all:
      return worker.pause_all();
    case Move::resume_all:
      return state.resume_all();
    case Move::expire:
      return state.expire(stripe);
    case Move::end_quarantine:
      return state.end_quarantine(stripe);
    case Move::take:
      return state.take(stripe);
    case Move::release:
      return state.release(stripe, step.ending);
    case Move::finish:
      return worker.finish(stripe, step.ending, number_of<Number>(step.ending.kind));
    case Move::sleep:
      return worker.sleep();
    case Move::leave:
      return worker.leave();
    case Move::close:
      return worker.close(static_cast<ShutdownMode>(step.detail));
    case Move::close_stripe:
      return worker.close_stripe(stripe);
    case Move::strengthen:
      return worker.strengthen(static_cast<ShutdownMode>(step.detail));
    case Move::discard:
      return worker.discard(stripe);
    default:
      return perform_with_options(state, step);
  }
}

void perform(Numbers& state, const Step& step, Fault fault) {
  const auto before = state.worker;
  auto& worker = state.worker;
  const auto& stripe = state.stripes[step.detail % state.stripes.size()];
  if (fault == Fault::forgets_claims && step.move == Move::close_stripe && stripe.claimed) {
    state.stripes[step.detail].claimed = false;
    state.stripes[step.detail].word.close();
    ++worker.words_closed;
    return;
  }
  perform<std::uint32_t, bool>(state, step);
  if (fault == Fault::adopts_without_a_mark && step.move == Move::adopt) {
    state.stripes[step.detail].word.under_way = false;
  }
  if (fault == Fault::adopts_and_wakes_nobody && step.move == Move::adopt) {
    worker.control.sleepers = before.control.sleepers;
    worker.owed = before.owed;
  }
  if (fault == Fault::expires_and_wakes_nobody && step.move == Move::expire) {
    worker.control.sleepers = before.control.sleepers;
    worker.owed = before.owed;
  }
  if (fault == Fault::forgets_what_is_delayed && step.move == Move::finish) {
    state.stripes[step.detail].delayed = false;
  }
  if (fault == Fault::forgets_what_is_raised && step.move == Move::arrive_raise) {
    state.stripes[step.detail].lane = 0;
    state.stripes[step.detail].raised = 0;
  }
  if (fault == Fault::raises_before_it_runs_only && step.move == Move::finish) {
    state.stripes[step.detail].lane = 0;
  }
  if (fault == Fault::raises_twice && step.move == Move::mark_raise) {
    state.stripes[step.detail].raise_claimed = true;
  }
  if (fault == Fault::push_claims_nobody && step.move == Move::push) {
    worker.control.sleepers = before.control.sleepers;
    worker.owed = before.owed;
  }
  if (fault == Fault::token_is_lost && step.move == Move::post) {
    worker.tokens = before.tokens;
  }
  if (step.move == Move::release) {
    state.ending = step.ending;
    state.puts_back = worker.puts_back(stripe, step.ending);
  }
  state.releasing = step.move == Move::release || (step.move != Move::finish && state.releasing);
}

// What callers call beside requests and closing: cancel, remove, restore and pauses; how many may
// compact; delays, with all that holds back; requests with options, with cancel and pauses; all
// that.
enum class Calls { few, holding_back, resizing, retrying, options, all, everything };

bool calls(Calls which, Move move) {
  const bool resizes = Move::resize <= move && move <= Move::unpark;
  const bool holds_back = Move::cancel <= move && move <= Move::resume_all;
  const bool has_options = Move::request_low <= move;
  if (which == Calls::everything) {
    return true;
  }
  return (!resizes || which == Calls::resizing || which == Calls::all) &&
         ((move != Move::expire && move != Move::end_quarantine) || which == Calls::retrying ||
          which == Calls::all) &&
         (!has_options || (which == Calls::options && move != Move::request_with_reasons)) &&
         (!holds_back || which == Calls::holding_back || which == Calls::all ||
          which == Calls::retrying ||
          (which == Calls::options &&
           (move == Move::cancel || move == Move::pause || move == Move::resume)));
}

// What could come next in some state of so many stripes.
std::vector<Step> steps(std::uint32_t stripes, std::uint32_t threads, Calls which) {
  std::vector<Step> result;
  for (int i = 0; i < moves; ++i) {
    const auto move = static_cast<Move>(i);
    if (!calls(which, move)) {
      continue;
    }
    const bool ends = move == Move::release || move == Move::finish;
    const bool of_stripe = ends || move == Move::request || move == Move::push ||
                           move == Move::arrive || move == Move::adopt || move == Move::take ||
                           move == Move::close_stripe || move == Move::discard ||
                           (Move::cancel <= move && move <= Move::resume) || move == Move::expire ||
                           move == Move::end_quarantine || Move::request_low <= move;
    // The strongest mode is to the protocol what the second is, but for its number.
    const bool has_mode = move == Move::close || move == Move::strengthen;
    const bool of_threads = move == Move::start || move == Move::resize;
    const auto details = of_stripe ? stripes : has_mode ? 2 : of_threads ? threads + 1 : 1;
    for (std::uint32_t detail = move == Move::resize ? 1 : 0; detail < details; ++detail) {
      for (const auto& ending : endings) {
        if (ends
                ? ending.retries == Retries::none || which == Calls::retrying || which >= Calls::all
                : &ending == endings) {
          result.push_back({move, detail, ending});
        }
      }
    }
  }
  return result;
}

// The state without its counts.
std::string key_of(const Numbers& state) {
  std::string key;
  const auto put = [&key](std::uint32_t value) { key.push_back(static_cast<char>(value)); };
  const auto& worker = state.worker;
  for (const auto number : {worker.control.length, worker.raises, worker.control.sleepers,
                            worker.queued, worker.mode, worker.limit, worker.alive, worker.running,
                            worker.asleep, worker.parked, worker.owed, worker.tokens}) {
    put(number);
  }
  put(worker.closed + 2U * state.puts_back + 4U * worker.started + 8U * state.releasing +
      16U * worker.paused);
  put(state.releasing ? static_cast<std::uint32_t>(state.ending.kind) +
                            16 * static_cast<std::uint32_t>(state.ending.retries) +
                            64 * static_cast<std::uint32_t>(state.ending.quarantines)
                      : 0);
  for (const auto id : state.queue()) {
    put(id);
  }
  for (const auto& stripe : state.stripes) {
    put(stripe.word.requests);
    put(stripe.word.low + 4U * stripe.word.high + 8U * stripe.word.reasons);
    // Where nothing asks for them any more, they are left over.
    const bool requested = stripe.released || stripe.rerun_owed;
    put((stripe.waits() || stripe.running ? stripe.lane : 0) +
        4 * (stripe.running ? stripe.priority : 0) + 16 * stripe.raised + 64U * stripe.looks);
    put((requested ? stripe.requested_priority : 0) + 4 * stripe.raising);
    put((stripe.waits() || stripe.running ? stripe.reasons : 0) +
        8 * (requested ? stripe.requested_reasons : 0));
    put(stripe.raise_pushed ? 2 + stripe.raise_at - worker.inbox_from : stripe.raise_claimed);
    put(stripe.pushed ? 1 + stripe.pushed_at - worker.inbox_from : 0);
    put(stripe.running + 2U * stripe.rerun_owed + 4U * stripe.released + 8U * stripe.requested +
        16U * stripe.word.running + 32U * stripe.claimed + 64U * stripe.word.under_way);
    put(stripe.held + 2U * stripe.paused + 4U * stripe.asked_to_stop + 8U * stripe.word.removed +
        16U * stripe.word.closed + 32U * stripe.delayed + 64U * stripe.quarantined);
  }
  return key;
}

// Not the callers' steps: what the worker does by itself, once they have posted what they owe.
bool is_of_worker(Move move) {
  return move == Move::post || move == Move::wake || move == Move::arrive || move == Move::take ||
         move == Move::release || move == Move::finish || move == Move::sleep ||
         move == Move::leave || move == Move::close_stripe || move == Move::discard ||
         move == Move::park || move == Move::unpark || move == Move::expire ||
         move == Move::mark_raise || move == Move::push_raise || move == Move::arrive_raise;
}

struct Result {
  std::uint64_t states = 0;
  std::uint64_t steps = 0;
  std::array<std::uint64_t, moves> taken = {};
  std::string broken;
};

// The sentence that does not hold, or nullptr. Between the halves of a compaction's end the words
// are ahead of the rest.
const char* broken(const Numbers& state) {
  return state.releasing ? broken_inside(state) : protocol::broken<std::uint32_t>(state);
}

// Each state once, each step from each; the counts, which are no part of a state, are looked at
// after every step.
Result enumerate(std::uint32_t stripes, std::uint32_t threads, Fault fault,
                 Calls which = Calls::holding_back) {
  Result result;
  const auto all = steps(stripes, threads, which);
  std::unordered_set<std::string> seen;
  std::deque<Numbers> open = {Numbers(static_cast<int>(stripes))};
  open.front().worker.limit = threads;
  seen.insert(key_of(open.front()));
  while (!open.empty() && result.broken.empty()) {
    const Numbers state = std::move(open.front());
    open.pop_front();
    ++result.states;
    const auto& worker = state.worker;
    const bool waits = worker.has_ready() || !worker.control.is_empty() ||
                       (worker.closed && worker.alive != 0) ||
                       (worker.closed && !worker.all_words_closed());
    bool goes_on = !waits || (worker.alive == 0 && !worker.closed);
    for (const auto& step : all) {
      if (!possible(state, step, fault)) {
        continue;
      }
      ++result.steps;
      ++result.taken[static_cast<std::size_t>(step.move)];
      goes_on = goes_on || is_of_worker(step.move);
      Numbers next = state;
      perform(next, step, fault);
      if (const char* sentence = broken(next)) {
        result.broken = sentence;
      }
      if (step.move == Move::take && next.worker.limit < next.worker.running) {
        result.broken = "no more run than are allowed when one is taken";
      }
      if (seen.insert(key_of(next)).second) {
        open.push_back(std::move(next));
      }
    }
    if (!goes_on) {
      result.broken = "while something waits, the worker goes on by itself";
    }
  }
  return result;
}

TEST(Protocol, invariants_hold_in_every_state) {
  struct Size {
    std::uint32_t stripes;
    std::uint32_t threads;
    Calls which;
  };
  for (const auto& [stripes, threads, which] :
       {Size{3, 2, Calls::few}, Size{2, 3, Calls::few}, Size{2, 2, Calls::holding_back},
        Size{2, 2, Calls::resizing}, Size{1, 3, Calls::all}, Size{2, 1, Calls::retrying},
        Size{1, 2, Calls::options}}) {
    const auto result = enumerate(stripes, threads, Fault::none, which);
    EXPECT_EQ(result.broken, "");
    for (const auto& step : steps(stripes, threads, which)) {
      const auto move = static_cast<std::size_t>(step.move);
      EXPECT_NE(result.taken[move], 0) << "step " << move << " never came";
    }
    std::printf("%u stripes, %u threads: %llu states, %llu steps\n", stripes, threads,
                static_cast<unsigned long long>(result.states),
                static_cast<unsigned long long>(result.steps));
  }
}

constexpr const char* nobody_on_the_way =
    "while a thread sleeps that nobody has claimed, one is on the way for each push, or waits "
    "apart";

TEST(Protocol, what_an_invariant_is_for_breaks_it) {
  EXPECT_EQ(enumerate(2, 2, Fault::push_claims_nobody).broken, nobody_on_the_way);
  EXPECT_EQ(enumerate(2, 2, Fault::sleeps_without_a_look).broken, nobody_on_the_way);
  EXPECT_EQ(enumerate(2, 2, Fault::token_is_lost).broken,
            "each thread that sleeps can be claimed or has a token coming; no other has, "
            "until the worker closes");
  EXPECT_EQ(enumerate(2, 2, Fault::forgets_claims).broken,
            "what callers were told is what the worker has learnt and the word holds");
  EXPECT_EQ(enumerate(2, 2, Fault::adopts_without_a_mark).broken,
            "a stripe that is wanted waits, runs, or is claimed");
  EXPECT_EQ(enumerate(2, 2, Fault::adopts_and_wakes_nobody).broken, nobody_on_the_way);
  EXPECT_EQ(enumerate(1, 2, Fault::never_unparks, Calls::resizing).broken,
            "while something waits, the worker goes on by itself");
  EXPECT_EQ(enumerate(2, 2, Fault::takes_beyond_the_limit, Calls::resizing).broken,
            "no more run than are allowed when one is taken");
  EXPECT_EQ(enumerate(2, 2, Fault::expires_and_wakes_nobody, Calls::retrying).broken,
            nobody_on_the_way);
  EXPECT_EQ(enumerate(1, 1, Fault::forgets_what_is_delayed, Calls::retrying).broken,
            "what callers were told is what the worker has learnt and the word holds");
}

TEST(Protocol, what_is_raised_is_lost_or_raised_twice_by_a_fault) {
  constexpr const char* lost =
      "what waits, or arrives, is in no lower lane than its word says, unless a raise is on the "
      "way";
  const auto broken_by = [](Fault fault) { return enumerate(1, 1, fault, Calls::options).broken; };
  EXPECT_EQ(broken_by(Fault::forgets_what_is_raised), lost);
  EXPECT_EQ(broken_by(Fault::raises_before_it_runs_only), lost);
  EXPECT_EQ(broken_by(Fault::raises_twice),
            "a raise has one node, and one call at the most that pushes it");
}

template <class Number, class Bool>
std::vector<int> values_of(const State<Number, Bool>& state) {
  std::vector<int> values;
  const auto put = [&values](const auto& value) {
    if constexpr (requires { model_of(value); }) {
      values.push_back(model_of(value));
    } else {
      values.push_back(static_cast<int>(value));
    }
  };
  const auto& w = state.worker;
  for (const auto& number :
       {w.control.newest, w.control.length, w.raises, w.control.sleepers, w.queued, w.arriving,
        w.tail, w.words_closed, w.mode, w.first_error, w.alive, w.limit, w.running, w.running_max,
        w.asleep, w.parked, w.owed, w.tokens}) {
    put(number);
  }
  for (const auto& each : invariants_of_worker(w)) {
    put(each.holds);
  }
  Number id(0);
  for (const auto& stripe : state.stripes) {
    for (const auto& number : {stripe.word.requests,
                               stripe.word.low,
                               stripe.word.reasons,
                               stripe.word.priority(),
                               stripe.raising,
                               stripe.lane,
                               stripe.priority,
                               stripe.raised,
                               stripe.reasons,
                               stripe.requested_priority,
                               stripe.requested_reasons,
                               stripe.attempts,
                               stripe.started,
                               stripe.told_opened(),
                               stripe.opened(),
                               stripe.ended(),
                               stripe.compactions_ended(),
                               stripe.alive(),
                               stripe.retried,
                               stripe.probed}) {
      put(number);
    }
    for (const auto& each : invariants_inside(w, stripe)) {
      put(each.holds);
    }
    for (const auto& each : invariants_outside(w, stripe, id)) {
      put(each.holds);
    }
    for (const auto& each : invariants_of_places(w, stripe)) {
      put(each.holds);
    }
    for (const auto& each : invariants_of_lanes(w, stripe)) {
      put(each.holds);
    }
    for (const auto& sum : sums(w, stripe)) {
      put(sum.total);
      put(sum.of_stripe);
    }
    for (const auto& each : invariants_of_two(stripe, state.stripes.front())) {
      put(each.holds);
    }
    id = id + Number(1);
  }
  return values;
}

TEST(Protocol, terms_say_what_numbers_say) {
  std::mt19937 random(20260101);
  const auto all = steps(3, 2, Calls::everything);
  for (int sequence = 0; sequence < 100; ++sequence) {
    Numbers numbers(3);
    State<terms::Term, terms::Condition> terms(3);
    for (int i = 0; i < 200; ++i) {
      std::vector<Step> next;
      std::copy_if(all.begin(), all.end(), std::back_inserter(next),
                   [&](const Step& step) { return possible(numbers, step, Fault::none); });
      ASSERT_FALSE(next.empty());
      const auto& step = next[random() % next.size()];
      perform(numbers, step, Fault::none);
      perform(terms, step);
      ASSERT_EQ(values_of<std::uint32_t>(numbers), values_of(terms));
    }
  }
}

}  // namespace
}  // namespace kstone::protocol
