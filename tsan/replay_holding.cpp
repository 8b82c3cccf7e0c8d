// What calls do with the mutex that give up what of a stripe has not begun, or hold it back for a
// while, and what they must answer.

#include <algorithm>

#include "replay_state.h"

namespace kstone::trace {

using protocol::End;

// -- Giving up ------------------------------------------------------------------------------------

void Replay::cancel(Thread& thread, Frame& frame) {
  const bool waits = frame.call == Call::cancel_within;
  const auto id =
      waits ? StripeArgument(frame.argument).stripe() : static_cast<std::uint32_t>(frame.argument);
  auto& report = frame.cancelled;
  if (frame.at == At::entry) {
    if (waits && on_own_thread(thread)) {
      report.result = CancelReport::Result::refused;
    } else {
      report = withdraw(thread, id, End::cancelled);
      if (report.running) {
        report.result = CancelReport::Result::still_running;
        await_compaction_of(frame, id);
      }
    }
  }
  if (waits && report.running) {
    const auto over = await(thread, frame, At::awaits_compaction, is_over(frame));
    if (!over) {
      return;
    }
    if (*over) {
      report.result = CancelReport::Result::ended;
      report.end = frame.last_end;
    }
  }
  frame.answer = number_of(report);
  finish_call(thread, frame);
}

// First for the compaction that runs, then for a scan that had begun.
void Replay::remove(Thread& thread, Frame& frame) {
  if (frame.at == At::entry && !begin_removal(thread, frame)) {
    finish_call(thread, frame);
    return;
  }
  frame.answer = static_cast<std::uint64_t>(RemoveResult::timed_out);
  if (frame.at != At::awaits_scan && !frame.goals.empty()) {
    const auto over = await(thread, frame, At::awaits_compaction, is_over(frame));
    if (!over || !*over) {
      if (over) {
        finish_call(thread, frame);
      }
      return;
    }
  }
  const auto scanned = await(thread, frame, At::awaits_scan, has_scanned(frame.scans));
  if (!scanned) {
    return;
  }
  if (*scanned) {
    frame.answer = static_cast<std::uint64_t>(RemoveResult::removed);
  }
  finish_call(thread, frame);
}

// False if the answer is known.
bool Replay::begin_removal(Thread& thread, Frame& frame) {
  const auto id = StripeArgument(frame.argument).stripe();
  if (on_own_thread(thread) || (state_.worker.closed && !state_.stripes[id].word.removed)) {
    frame.answer = static_cast<std::uint64_t>(on_own_thread(thread) ? RemoveResult::refused
                                                                    : RemoveResult::shut_down);
    return false;
  }
  if (state_.worker.may_remove(state_.stripes[id])) {
    withdraw(thread, id, End::removed);
  }
  frame.scans = scans_begun_;
  if (state_.stripes[id].running) {
    await_compaction_of(frame, id);
  }
  return true;
}

void Replay::restore(Thread& thread, Frame& frame) {
  const auto id = static_cast<std::uint32_t>(frame.argument);
  auto& worker = state_.worker;
  auto& stripe = state_.stripes[id];
  auto answer = RestoreResult::restored;
  if (worker.closed) {
    answer = RestoreResult::shut_down;
  } else if (!stripe.word.removed) {
    answer = RestoreResult::not_removed;
  } else if (!worker.may_restore(stripe)) {
    answer = RestoreResult::still_running;
  } else {
    const auto& event = transition(thread, id, "a stripe is restored and its word does not say so");
    see_word(id, event.before);
    worker.restore(stripe);
    delays_.restore(id);
    require_made(stripe.word, event, "a restored stripe begins with something in its word");
    for (auto& [number, pause] : pauses_) {
      pause.forgotten = pause.forgotten || pause.stripe == id;
    }
    tell_of_end(thread);  // who waits in `pause`
  }
  frame.answer = static_cast<std::uint64_t>(answer);
  finish_call(thread, frame);
}

// What it found. One step of the protocol, at the transition that empties the word, if there is one
// to be emptied. The mark of a node that is under way comes before, if the claim was seen, or right
// after.
CancelReport Replay::withdraw(Thread& thread, std::uint32_t id, End end) {
  auto& worker = state_.worker;
  auto& stripe = state_.stripes[id];
  const bool removes = end == End::removed;
  const auto* emptying =
      worker.closed || stripe.word.removed ? nullptr : empty_word(thread, id, removes);
  const auto before = stripe;
  const bool claimed = before.asked() && before.idle();
  require(removes ? worker.may_remove(stripe) : worker.may_cancel(stripe),
          "a stripe is given up twice");
  removes ? worker.remove(stripe) : worker.cancel(stripe);
  delays_.end(id);
  const bool marks = stripe.word.under_way && !before.word.under_way;
  stripe.word.under_way = before.word.under_way;
  if (emptying != nullptr) {
    require_made(stripe.word, *emptying, "what is given up leaves something else in its word");
  }
  if (marks) {
    mark(thread, id, "a claim is given up without a mark");
  }
  note_end(id, before);
  const bool waited = claimed || before.waits();
  if (waited) {
    tell_of_end(thread);
  }
  verdict_.claims_withdrawn += claimed ? 1U : 0U;
  verdict_.claims_removed_late += marks ? 1U : 0U;
  return CancelReport{.waited = waited,
                      .rerun_pending = before.running && (before.asked() || before.rerun_owed),
                      .running = before.running};
}

// The transition that takes the requests out of the word. None, if the stripe is idle and nobody
// has asked for it: it is a removal that has to say more than that.
const Event* Replay::empty_word(Thread& thread, std::uint32_t id, bool removes) {
  auto& stripe = load_word(thread, id);
  bool claimed = state_.worker.may_adopt(stripe);
  if (claimed) {
    admit_for_others(thread);
    claimed = stripe.idle();
  }
  if (stripe.idle() && !claimed && !removes) {
    return nullptr;
  }
  if (claimed && !stripe.word.under_way) {
    mark(thread, id, "a claim is given up without a mark");
  }
  const auto& event = transition(thread, id, "what is given up stays in its word");
  see_word(id, event.before);
  return &event;
}

// Half a step: the protocol marks and empties the word at once.
void Replay::mark(Thread& thread, std::uint32_t id, const char* otherwise) {
  const auto& marking = transition(thread, id, otherwise);
  require(protocol::stripe_word_of(marking.after).under_way, otherwise);
  auto& word = see_word(id, marking.before).word;
  word.mark();
  require_made(word, marking, "the mark changes more than itself");
}

void Replay::await_compaction_of(Frame& frame, std::uint32_t id) {
  const auto& stripe = state_.stripes[id];
  frame.goals.emplace_back(id, stripe.ended() + 1);
}

bool Replay::is_over(const Frame& frame) const {
  const auto& [id, goal] = frame.goals.front();
  return protocol::reached(state_.stripes[id], goal);
}

// So often, or there will be no more.
bool Replay::has_scanned(std::uint64_t count) const {
  return scans_ended_ >= count || (state_.worker.started && !callers_.scan_alive);
}

// -- Holding back ---------------------------------------------------------------------------------

void Replay::pause(Thread& thread, Frame& frame) {
  const PauseArgument argument(frame.argument);
  if (frame.at == At::entry && !begin_pause(thread, frame)) {
    finish_call(thread, frame);
    return;
  }
  const auto& worker = state_.worker;
  const auto stripe = argument.stripe();
  const bool nothing_runs = stripe ? !state_.stripes[*stripe].running : worker.running == 0;
  const bool forgotten = pauses_.at(argument.number()).forgotten;
  const auto over =
      await(thread, frame, At::awaits_compaction, worker.closed || forgotten || nothing_runs);
  if (!over) {
    return;
  }
  auto answer = *over ? PauseResult::paused : PauseResult::still_running;
  if (worker.closed || forgotten) {
    leave_pause(argument.number());
    answer = worker.closed ? PauseResult::shut_down : PauseResult::restored;
  }
  frame.answer = static_cast<std::uint64_t>(answer);
  finish_call(thread, frame);
}

// False if the answer is known. A second pause of the same is no step.
bool Replay::begin_pause(Thread& thread, Frame& frame) {
  auto& worker = state_.worker;
  if (on_own_thread(thread) || worker.closed) {
    frame.answer = static_cast<std::uint64_t>(on_own_thread(thread) ? PauseResult::refused
                                                                    : PauseResult::shut_down);
    return false;
  }
  const PauseArgument argument(frame.argument);
  const auto stripe = argument.stripe();
  require(pauses_.emplace(argument.number(), Pause{stripe}).second,
          "two pauses have the same number");
  if (stripe) {
    admit_for_others(thread);
  }
  if (!stripe) {
    if (worker.may_pause_all()) {
      worker.pause_all();
    }
  } else if (worker.may_pause(state_.stripes[*stripe])) {
    worker.pause(state_.stripes[*stripe]);
  }
  tell_of_end(thread);
  return true;
}

void Replay::resume(Thread& thread, Frame& frame) {
  auto& worker = state_.worker;
  const auto number = static_cast<std::uint32_t>(frame.argument);
  require(pauses_.count(number) != 0, "a pause ends that does not hold anything");
  const auto stripe = pauses_.at(number).stripe;
  if (leave_pause(number) && !worker.closed) {
    bool wakes = false;
    if (stripe) {
      admit_for_others(thread);
      require(worker.may_resume(state_.stripes[*stripe]), "a stripe goes on that is not paused");
      wakes = state_.stripes[*stripe].held;
      worker.resume(state_.stripes[*stripe]);
      wakes = wakes && worker.has_ready();
    } else {
      require(worker.may_resume_all(), "all go on, and are not paused");
      worker.resume_all();
      wakes = worker.has_ready();
    }
    if (wakes) {
      claim_sleeper(thread);
    }
  }
  finish_call(thread, frame);
}

// True if nobody else holds the same.
bool Replay::leave_pause(std::uint32_t number) {
  const auto left = pauses_.at(number);
  pauses_.erase(number);
  return !left.forgotten && std::none_of(pauses_.begin(), pauses_.end(), [&](const auto& each) {
    return each.second.stripe == left.stripe && !each.second.forgotten;
  });
}

}  // namespace kstone::trace
