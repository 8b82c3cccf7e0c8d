// What the worker's own threads do with the mutex, and what a shutdown does that closes.

#include "replay_state.h"

#include <algorithm>

namespace kstone::trace {

void Replay::work(Thread& thread) {
  if (thread.phase == Phase::ran) {
    const auto next_due = delays_.next_due();
    const bool was_quarantined = state_.stripes[thread.stripe].quarantined;
    finish(thread);
    if (thread.unwound) {
      leave(thread);
      return;
    }
    if (is_earlier(next_due)) {
      notify(thread, Change::due, false);
    }
    tell_of_end(thread);
    if (state_.stripes[thread.stripe].quarantined && !was_quarantined && setting_.has_sink) {
      unlock(thread);
      thread.phase = Phase::told;
      thread.owed_lines = 1;
      return;
    }
  } else if (thread.phase == Phase::parked) {
    if (!state_.worker.may_unpark()) {
      unlock(thread, Change::unparked);
      return;
    }
    state_.worker.unpark();
  } else {
    require(
        thread.phase == Phase::begins || thread.phase == Phase::woke || thread.phase == Phase::told,
        "a worker thread takes the mutex out of turn");
  }
  auto& worker = state_.worker;
  if (worker.may_park()) {
    park(thread);
    return;
  }
  for (;;) {
    admit(thread);  // before each dispatch
    if (worker.has_ready()) {
      break;
    }
    if (worker.may_leave()) {
      leave(thread);
      return;
    }
    if (worker.may_sleep() && exchange(thread, worker.control, Step::add_sleeper) != nullptr) {
      worker.sleep();
      unlock(thread);
      thread.phase = Phase::sleeps;
      return;
    }
  }
  compact(thread);
}

// It is one too many.
void Replay::park(Thread& thread) {
  auto& worker = state_.worker;
  worker.park();
  ++verdict_.parked;
  unlock(thread, Change::unparked);
  thread.phase = Phase::parked;
}

// Looks into the inbox, and takes what is there. True if something was.
bool Replay::admit(Thread& thread) {
  bool taken = false;
  auto& worker = state_.worker;
  worker.control = load_control(thread);
  while (worker.control.may_take_inbox()) {
    if (const auto* taking = exchange(thread, worker.control, Step::take_inbox)) {
      push_again(thread, *taking);
      worker.control = protocol::control_word_of(taking->after);
      taken = true;
    }
  }
  return taken;
}

// By whoever takes nothing from the queue: what it has queued wakes a sleeper.
void Replay::admit_for_others(Thread& thread) {
  if (admit(thread)) {
    wake_another(thread);
  }
}

// The token is posted with the mutex.
void Replay::wake_another(Thread& thread) {
  claim_sleeper(thread);
  if (thread.owed_tokens != 0) {
    post(thread);
  }
}

// The record orders the pushes by the control word alone, so they are made up for when the inbox is
// taken.
void Replay::push_again(Thread& thread, const Event& taking) {
  auto& worker = state_.worker;
  worker.control = ControlWord();
  worker.arriving = worker.raises = 0;
  const auto nodes = steps_.taken(taking.version);
  const auto node_of = [this](std::uint32_t number) {
    return detail::Node::of(number, setting_.stripes);
  };
  for (const auto number : nodes) {
    const auto node = node_of(number);
    auto& stripe = state_.stripes[node.stripe_id];
    require(worker.control.may_push(), "a node is pushed after closing");
    if (node.brings_stripe()) {
      require((stripe.idle() || stripe.word.under_way) && !stripe.pushed,
              "a stripe is pushed that waits or runs already");
      stripe.looks = node.kind == detail::Node::Kind::stripe_with_options;
      worker.push(stripe, node.stripe_id);
    } else {
      require(!stripe.raise_pushed, "a raise is pushed that was pushed already");
      worker.push_raise(stripe, node.stripe_id);
    }
  }
  for (const auto number : nodes) {
    arrive(thread, node_of(number));
  }
}

// Whoever takes out a node with options, or of a raise, looks at its stripe's word.
void Replay::arrive(Thread& thread, detail::Node node) {
  auto& stripe = state_.stripes[node.stripe_id];
  if (!node.brings_stripe()) {
    load_word(thread, node.stripe_id);
    const auto lane = stripe.lane;
    state_.arrive_raise(stripe);
    ++verdict_.raises;
    verdict_.raised += stripe.lane != lane ? 1U : 0U;
    return;
  }
  if (stripe.word.under_way) {
    arrive_late(thread, node.stripe_id);
    verdict_.late_arrivals_queued += stripe.arrives() ? 1U : 0U;
  } else if (stripe.looks) {
    load_word(thread, node.stripe_id);
  }
  state_.worker.arrive(stripe);
}

// A node comes out of the inbox after its stripe was taken over: whoever takes it clears the mark.
void Replay::arrive_late(Thread& thread, std::uint32_t id) {
  const auto& event = transition(thread, id, "a node arrives late and its mark is not cleared");
  auto word = see_word(id, event.before).word;
  word.clear_mark_if(true);
  require_made(word, event, "a late arrival changes more than the mark");
  ++verdict_.late_arrivals;
}

void Replay::compact(Thread& thread) {
  auto& worker = state_.worker;
  const auto id = state_.queue().front();
  auto& stripe = state_.stripes[id];
  const Event* taking = nullptr;
  if (!worker.closed) {
    taking = &transition(thread, id, "the stripe that is first in the queue is not taken");
    see_word(id, taking->before);
    require(!stripe.word.closed && stripe.word.may_take(),
            "a stripe is taken that nobody requested");
  }
  require(state_.may_take(stripe), "a stripe is taken out of turn");
  state_.pass_over(stripe);
  worker.take(stripe);
  if (taking != nullptr) {
    require_made(stripe.word, *taking, "a taken stripe is not marked running");
  }
  thread.stripe = id;
  thread.owed_tokens = 0;
  if (worker.has_ready()) {
    claim_sleeper(thread);
  }
  unlock(thread);
  thread.phase = Phase::runs;
  thread.owed_lines = setting_.has_sink ? 1 : 0;
  if (thread.owed_tokens != 0) {
    const auto* event = peek(thread);
    require(event != nullptr && event->act == Act::post,
            "a sleeper was claimed and no token posted");
  }
}

void Replay::claim_sleeper(Thread& thread) {
  auto& control = state_.worker.control;
  control = load_control(thread);
  while (control.may_claim_sleeper()) {
    if (exchange(thread, control, Step::claim_sleeper) != nullptr) {
      thread.owed_tokens = 1;
      return;
    }
  }
  if (state_.worker.may_unpark()) {
    notify(thread, Change::unparked, false);
  }
}

// Which failures are tried again, the worker was told when it was made.
protocol::Ending Replay::ending_of(const Thread& thread) {
  using protocol::Retries;
  const bool failed = thread.outcome == Kind::failed || thread.outcome == Kind::retry;
  if (!failed || !callers_.timekeeper_alive || thread.unwound) {
    return thread.outcome;
  }
  const bool again = setting_.retries_failed || thread.outcome == Kind::retry;
  return {thread.outcome, setting_.retries_failed ? Retries::all : Retries::those_that_say_so,
          again && delays_.quarantines(thread.stripe, thread.lacks_resource)};
}

void Replay::finish(Thread& thread) {
  auto& stripe = state_.stripes[thread.stripe];
  const auto ending = ending_of(thread);
  release(thread);
  if (state_.worker.puts_back(stripe, ending)) {
    admit(thread);
  }
  std::uint64_t error = 0;
  if (thread.outcome == Kind::failed || thread.outcome == Kind::retry) {
    error = errors_.size();
    errors_.push_back(thread.error.empty() ? "no text" : thread.error);
  }
  require(state_.worker.may_finish(stripe), "a compaction ends that does not run");
  const auto before = stripe;
  state_.worker.finish(stripe, ending, error);
  delays_.note(thread.stripe, ending.kind, thread.lacks_resource);
  if (stripe.delayed) {
    delays_.delay(thread.stripe, last_time(thread), stripe.quarantined);
    verdict_.quarantined += stripe.quarantined ? 1U : 0U;  // anew, or still
  }
  note_end(thread.stripe, before);
}

// If an episode has ended: who waits for this stripe, and whose goal that reaches, learns of it.
void Replay::note_end(std::uint32_t id, const protocol::Stripe<std::uint64_t, bool>& before) {
  const auto& stripe = state_.stripes[id];
  const auto end = protocol::end_since(before, stripe);
  if (!end) {
    return;
  }
  last_ends_[id] = *end;
  for (const auto& thread : threads_) {
    for (auto& frame : thread->frames) {
      if (frame.goals.size() == 1 && frame.goals.front().first == id && !frame.last_end &&
          protocol::reached(stripe, frame.goals.front().second)) {
        frame.last_end = end;
      }
    }
  }
}

void Replay::tell_of_end(Thread& thread) {
  if (callers_.tells_of_end()) {
    notify(thread, Change::episode_ended, true);
  }
}

// The first half of a compaction's end. In a closed worker there is none to be seen.
void Replay::release(Thread& thread) {
  auto& worker = state_.worker;
  auto& stripe = state_.stripes[thread.stripe];
  const auto ending = ending_of(thread);
  const Event* releasing = nullptr;
  if (!worker.closed) {
    releasing = &transition(thread, thread.stripe);
    see_word(thread.stripe, releasing->before);
    require(!stripe.word.closed, "a compaction ends in a word that is closed");
  }
  require(worker.may_release(stripe), "a compaction ends in a word that does not run");
  worker.release(stripe, ending);
  if (releasing != nullptr) {
    require_made(stripe.word, *releasing,
                 ending.kind == Kind::more_work
                     ? "a compaction with more work does not request it"
                     : "a compaction ends otherwise than by clearing running");
  }
  if (worker.takes_back(stripe, ending)) {
    const auto& event = transition(thread, thread.stripe);
    see_word(thread.stripe, event.before);
    require(stripe.word.may_take_back(), "the only request of a word is taken back");
    stripe.word.take_back_if(true, worker.rests_low(stripe));
    require_made(stripe.word, event, "the request of more work is not taken back");
  }
}

void Replay::leave(Thread& thread) {
  if (thread.role == Role::worker) {
    state_.worker.leave();
  } else {
    (thread.role == Role::scan ? callers_.scan_alive : callers_.timekeeper_alive) = false;
  }
  if (state_.worker.may_unpark()) {
    notify(thread, Change::unparked, false);
  }
  if (callers_.tells_of_leaving()) {
    notify(thread, Change::thread_left, true);
  }
  thread.owed_tokens = 0;
  if (thread.unwound) {
    tell_of_end(thread);  // of its compaction, and that it will not return
    claim_sleeper(thread);
  }
  unlock(thread);
  thread.phase = Phase::left;
}

void Replay::scan(Thread& thread) {
  const bool due = thread.phase == Phase::begins || !in_time_;
  require(thread.phase == Phase::begins || thread.phase == Phase::waits,
          "the scan's thread takes the mutex out of turn");
  if (thread.has_scanned) {
    scans_ended_ = scans_begun_;
    tell_of_end(thread);
  }
  switch (static_cast<protocol::Scan>(protocol::scan_after(state_.worker, due))) {
    case protocol::Scan::leaves:
      leave(thread);
      return;
    case protocol::Scan::scans:
      ++scans_begun_;
      unlock(thread);
      thread.phase = Phase::scans;
      return;
    case protocol::Scan::awaits:
      if (thread.has_scanned) {
        thread.has_scanned = false;
        adopt(thread, 0, setting_.stripes, {});
      }
      unlock(thread, Change::closed);
      return;
  }
}

// -- What is delayed ------------------------------------------------------------------------------

// A look at the clock, in each hold.
void Replay::keep_time(Thread& thread) {
  require(thread.phase == Phase::begins || thread.phase == Phase::waits,
          "the timekeeper takes the mutex out of turn");
  thread.phase = Phase::waits;
  if (state_.worker.closed) {
    leave(thread);
    return;
  }
  const auto now = read_clock(thread);
  const auto next = delays_.next_due();
  if (!next || now < *next) {
    unlock(thread, Change::due);
    return;
  }
  admit_for_others(thread);
  expire(thread);
  unlock(thread);
}

// That was read in this hold, up to its next step.
std::uint64_t Replay::last_time(Thread& thread) {
  peek(thread);
  return thread.time;
}

std::uint64_t Replay::read_clock(Thread& thread) {
  const auto& events = thread.log->events;
  require(thread.next < events.size() && events[thread.next].act == Act::clock,
          "the time is not read");
  return thread.time = events[thread.next++].after;
}

// All that is due by the time that the thread has read.
void Replay::expire(Thread& thread) {
  const auto due = delays_.expire(last_time(thread));
  bool held = false;
  for (const auto id : due) {
    state_.worker.expire(state_.stripes[id]);
    held = held || protocol::is_held(state_.worker, state_.stripes[id]);
    ++verdict_.expired;
  }
  if (held) {
    tell_of_end(thread);
  }
  if (!due.empty() && state_.worker.has_ready()) {
    wake_another(thread);
  }
}

// Something is due before what was.
bool Replay::is_earlier(const std::optional<std::uint64_t>& before) const {
  const auto next = delays_.next_due();
  return next && (!before || *next < *before);
}

// First the inbox is taken, until it is found empty.
void Replay::close(Thread& thread, ShutdownMode mode) {
  auto& worker = state_.worker;
  do {
    admit(thread);
  } while (exchange(thread, worker.control, Step::close) == nullptr);
  worker.close(mode);
  notify(thread, Change::closed, false);
  notify(thread, Change::due, false);
  tell_of_end(thread);
  for (std::uint32_t id = 0; id < setting_.stripes; ++id) {
    const auto& closing = transition(thread, id, "shutdown closes another word than is due");
    auto& stripe = see_word(id, closing.before);
    require(!stripe.word.closed && worker.may_close_stripe(stripe),
            "shutdown closes a word that is closed");
    state_.close_stripe(stripe);
    delays_.end(id);
    require_made(stripe.word, closing, "shutdown does not close a stripe's word");
  }
}

// Whoever waits, or looks, takes over what is claimed and late: first what has arrived meanwhile,
// then what has not. One look at each word; `see` is told of the stripe as it is then.
void Replay::adopt(Thread& thread, std::uint32_t first, std::uint32_t last,
                   const std::function<void(std::uint32_t)>& see) {
  for (auto id = first; id != last; ++id) {
    auto& stripe = load_word(thread, id);
    const auto priority = stripe.word.priority();
    if (state_.worker.may_adopt(stripe)) {
      admit_for_others(thread);
      if (state_.worker.may_adopt(stripe)) {
        take_over(thread, id, priority);
        if (state_.worker.has_ready()) {
          wake_another(thread);
        }
      }
    }
    if (see) {
      see(id);
    }
  }
}

void Replay::take_over(Thread& thread, std::uint32_t id, std::uint64_t priority) {
  auto& stripe = state_.stripes[id];
  const Event* marking = nullptr;
  if (!stripe.word.under_way) {
    marking = &transition(thread, id, "a stripe is taken over without a mark");
    require(see_word(id, marking->before).word.may_mark(),
            "a stripe is marked that runs, or that nobody requested");
  }
  state_.worker.adopt(stripe, priority);
  if (marking != nullptr) {
    require_made(stripe.word, *marking, "the mark changes more than itself");
  }
  ++verdict_.adoptions;
  verdict_.adoptions_by_scan += thread.role == Role::scan ? 1U : 0U;
}

// Who counts the stripes that wait lets nodes arrive that come late, since these are no stripes.
// One that comes just now is counted.
std::uint64_t Replay::see_waiting(Thread& thread) {
  // Nodes that come late are no stripes: then only what was in the inbox counts with the queue.
  const bool late = std::any_of(state_.stripes.begin(), state_.stripes.end(),
                                [](const auto& stripe) { return stripe.word.under_way; });
  if (late) {
    admit_for_others(thread);
  } else {
    state_.worker.control = load_control(thread);
  }
  const auto waiting = std::count_if(state_.stripes.begin(), state_.stripes.end(),
                                     [](const auto& stripe) { return stripe.waits(); });
  return static_cast<std::uint64_t>(waiting) + (late ? 0 : state_.worker.control.length);
}

}  // namespace kstone::trace
