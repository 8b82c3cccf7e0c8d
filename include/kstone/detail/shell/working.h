// Shell: what a worker thread does from its first step to its last.

#ifndef KSTONE_DETAIL_SHELL_WORKING_H_
#define KSTONE_DETAIL_SHELL_WORKING_H_

#include "kstone/cxx20.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "kstone/detail/core/outcome_rule.h"
#include "kstone/detail/duration_text.h"
#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
void Shell<Sync>::work(Slot<Sync>& slot) {
  mutex_.lock();  // no guard: a job that ends its thread leaves this function without the mutex
  enter(slot);
  tick();
  // For the inbox, under this hold of the mutex.
  for (auto room = stripes_in_a_hold<Sync>;;) {
    if (state_.read().crew.has_surplus()) {
      park();
      room = stripes_in_a_hold<Sync>;
      tick();
      continue;
    }
    // Before each dispatch: what is in the inbox may be of a higher lane. All of it, else what is
    // put back again and again would hold up what there was no room for.
    const auto control = take_inbox(room);
    if (!control) {
      mutex_.give_way();
      room = stripes_in_a_hold<Sync>;
      continue;
    }
    if (state_.read().core.can_take()) {
      if (settle_next(room)) {
        room = compact(slot);
      } else {
        mutex_.give_way();
        room = stripes_in_a_hold<Sync>;
      }
      continue;
    }
    // The core is what says that nothing will be queued any more; shutdown closes it and the inbox
    // under one hold of the mutex.
    if (state_.read().core.closed()) {
      if (state_.read().core.settled()) {
        break;
      }
      settle_some(room);  // which may find something to take
      mutex_.give_way();
      room = stripes_in_a_hold<Sync>;
      tick();
      continue;
    }
    if (!inbox_.add_sleeper(*control)) {
      continue;
    }
    Sync::check(control->sleepers() < state_.read().crew.alive_workers(),
                "work: this thread was awake, so not all slept");
    // Between unlocking and sleeping a requester may claim this sleeper; its token is then there
    // before the wait.
    state_.write().crew.sleeps();
    mutex_.unlock();
    inbox_.sleep();
    mutex_.lock();
    room = stripes_in_a_hold<Sync>;
    state_.write().crew.wakes();
    tick();
  }
  leave(slot);
  mutex_.unlock();
}

// Stripes of the inbox go behind their lanes, oldest first: so many as there is room for, which is
// that much less then. The control word as it was last seen, if that is all of them.
template <class Sync>
std::optional<ControlWord> Shell<Sync>::take_inbox(std::uint32_t& room) {
  for (;;) {
    const auto taken = inbox_.take(room);
    std::uint32_t out = 0;
    for (; out < room; ++out) {
      const auto node = inbox_.next();
      if (!node) {
        break;
      }
      if (out == 0) {
        tick();
      }
      out += arrive(*node);
    }
    // The last to be turned are the first to come out.
    room -= std::min(room, std::max(taken.turned, out));
    if (!inbox_.is_taken_out()) {
      return std::nullopt;
    }
    if (taken.control.list_is_empty()) {
      return taken.control;
    }
    if (room == 0) {
      return std::nullopt;
    }
  }
}

template <class Sync>
std::chrono::nanoseconds Shell<Sync>::tick() {
  const auto now = Sync::clock::now();
  state_.write().core.set_time(now);
  return now;
}

// How many others it had to pass.
template <class Sync>
std::uint32_t Shell<Sync>::arrive(Node node) {
  auto& core = state_.write().core;
  const auto stripe_id = node.stripe_id;
  if (!node.brings_stripe()) {
    const auto requests = inbox_.clear_raised(stripe_id);
    return requests.count != 0 ? core.raise(stripe_id, requests.priority, passed_by_a_raise) : 0;
  }
  if (core.stripe(stripe_id).under_way) {
    core.arrive_late(stripe_id, inbox_.clear_under_way(stripe_id));
  } else {
    const bool plain = node.kind == Node::Kind::stripe;
    core.enqueue(stripe_id, plain ? Priority::normal : inbox_.requests(stripe_id).priority);
  }
  return 0;
}

// Looks at each stripe, in ascending order, while `look` wants more.
template <class Sync>
template <class Look>
void Shell<Sync>::in_slices(const Look& look) {
  std::uint32_t stripe_id = 0;
  while (look(stripe_id++) && stripe_id != stripe_count_) {
    if (stripe_id % stripes_in_a_hold<Sync> == 0) {
      mutex_.give_way();
    }
  }
}

// The next stripe of the queue, as a closed core wants it. That may be another one then: its word
// may say that it was raised. False if there was no room left.
template <class Sync>
bool Shell<Sync>::settle_next(std::uint32_t& room) {
  const auto& core = state_.read().core;
  while (core.closed() && !core.stripe(core.next_to_take()).settled) {
    if (room == 0) {
      return false;
    }
    --room;
    settle(core.next_to_take());
  }
  return true;
}

// How much room there is left under the hold in which it returns.
template <class Sync>
std::uint32_t Shell<Sync>::compact(Slot<Sync>& slot) {
  auto& core = state_.write().core;
  const auto taken = core.take();
  if (!core.closed()) {
    const bool under_way = core.stripe(taken.stripe_id).under_way;
    core.serve(taken.stripe_id, inbox_.begin(taken.stripe_id, under_way));
  }
  const Requests serves{1, core.stripe(taken.stripe_id).priority,
                        core.stripe(taken.stripe_id).reasons};
  auto& crew = state_.write().crew;
  crew.begins(slot.index, {taken.stripe_id, taken.attempt, core.time(), false, serves.priority});
  state_.write().waited.record(taken.waited);
  if (crew.forget_stop(slot.index)) {
    slot.stop.reset();
  }
  auto active = stats_.start_compaction();
  const auto tokens = apply(taken.effects);
  mutex_.unlock();

  if (tokens != 0) {
    inbox_.wake(tokens);
  }
  auto outcome = run_job(slot, taken, serves);
  const auto failure = failure_of(slot, outcome);

  mutex_.lock();
  tick();
  active.end();
  const bool was_quarantined = state_.read().core.is_quarantined(taken.stripe_id);
  auto room = stripes_in_a_hold<Sync>;
  const auto more_tokens =
      apply(finish(slot.index, taken.stripe_id, std::move(outcome), failure, room));
  Sync::check(more_tokens == 0, "compact: this thread is awake, and looks at the queue next");
  const bool is_quarantined = state_.read().core.is_quarantined(taken.stripe_id);
  if (is_quarantined && !was_quarantined && logs(LogLevel::warn)) {
    const std::uint32_t failures = state_.read().core.stripe(taken.stripe_id).failures;
    mutex_.unlock();
    log(slot, LogLevel::warn,
        "stripe %u has failed %u times in a row: only a probe tries it again, until it is released",
        taken.stripe_id, failures);
    mutex_.lock();
    room = stripes_in_a_hold<Sync>;
    tick();
  }
  return room == 0 ? 0 : room - 1;  // for the stripe that is taken next
}

template <class Sync>
CompactionOutcome Shell<Sync>::run_job(Slot<Sync>& slot, const SchedulingCore::Taken& taken,
                                       const Requests& serves) {
  if (logs(LogLevel::debug)) {
    log(slot, LogLevel::debug, "compaction of stripe %u starts after %s in the queue",
        taken.stripe_id, text_of(taken.waited).c_str());
  }
  const auto begin = logs(LogLevel::warn) ? Sync::clock::now() : std::chrono::nanoseconds();
  const auto stripe_id = taken.stripe_id;
  const detail::YieldQuestion question{[](void* shell, std::uint32_t index) {
                                         return static_cast<Shell*>(shell)->should_yield(index);
                                       },
                                       this, slot.index};
  Context context(CompactionRequest{stripe_id}, taken.attempt, slot.stop, stats_,
                  {serves.priority, serves.reasons, question});
  auto outcome = CompactionOutcome::failed({});
  std::string error;
  if (!contained(slot, stripe_id, error, [&] { outcome = calls_.job(context); })) {
    outcome = CompactionOutcome::failed(std::move(error));
  }
  const bool failed = rule_of(outcome.kind()).is_failure();
  if (logs(failed ? LogLevel::warn : LogLevel::debug)) {
    log_outcome(slot, stripe_id, outcome, Sync::clock::now() - begin);
  }
  return outcome;
}

template <class Sync>
bool Shell<Sync>::should_yield(std::uint32_t index) {
  check_process("should_yield: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  take_inbox_for_others();
  const auto& state = state_.read();
  const auto stripe_id = state.crew.stripe_of(index);
  const auto waiting = stripe_id ? state.core.waiting_above(*stripe_id) : 0;
  return state_.write().crew.yields(index, waiting);
}

template <class Sync>
void Shell<Sync>::log_outcome(Slot<Sync>& slot, std::uint32_t stripe_id,
                              const CompactionOutcome& outcome, std::chrono::nanoseconds ran) {
  const auto after = text_of(ran);
  if (rule_of(outcome.kind()).is_failure()) {
    log(slot, LogLevel::warn, "compaction of stripe %u failed after %s: %s", stripe_id,
        after.c_str(), outcome.error().c_str());
  } else {
    const auto kind = to_string(outcome.kind());
    log(slot, LogLevel::debug, "compaction of stripe %u ends after %s: %.*s", stripe_id,
        after.c_str(), static_cast<int>(kind.size()), kind.data());
  }
}

// Calls code of the user. False, with the text, if it threw. Nothing here synchronizes inside a
// handler, where a fiber of the model checker must not be switched, but that of a thread that is
// unwound, which no model is.
template <class Sync>
template <class Call>
bool Shell<Sync>::contained([[maybe_unused]] Slot<Sync>& slot,
                            [[maybe_unused]] std::optional<std::uint32_t> stripe_id,
                            std::string& error, const Call& call) {
  bool returned = false;
  try {
    const typename Sync::cancellation_off off;  // unless the call allows it, for itself
    call();
    returned = true;
#if defined(__GLIBCXX__)
  } catch (const abi::__forced_unwind&) {
    // The thread was cancelled, or ended itself: not ours to stop.
    leave_unwound(slot, stripe_id);
    throw;
#endif
  } catch (const std::exception& exception) {
    assign_or_truncate(error, exception.what());
  } catch (...) {
    assign_or_truncate(error, "an exception that is not a std::exception");
  }
  // In the child this thread would go on as a second worker, on the same files.
  check_process("a job or scan returned in a child of fork(), where the worker has no threads");
  return returned;
}

template <class Sync>
Effects Shell<Sync>::finish(std::uint32_t index, std::uint32_t stripe_id,
                            CompactionOutcome&& outcome, Failure failure, std::uint32_t& room) {
  const auto kind = outcome.kind();
  const auto rule = rule_of(kind);
  if (rule.is_failure() && !state_.read().crew.timekeeper_alive()) {
    failure.retries = Retries::none;  // nobody would say when its time has come
  }
  if (const auto rest = outcome.rest()) {
    state_.write().core.set_rest(stripe_id, *rest);
  }
  const auto requested = end_in_word(stripe_id, kind, failure);
  auto& core = state_.write().core;
  if (requested.count != 0 || core.goes_on(stripe_id, kind, failure)) {
    // The tail of the queue is behind every stripe that was pushed before, unless those are too
    // many for one hold. Not else: the core does not know yet that the stripe is idle, so a node
    // that comes late would be overlooked.
    take_inbox(room);
  }
  auto& state = state_.write();
  state.ran.record(state.crew.runs_for(index, core.time()));
  state.crew.ends(index);
  const auto effects = core.finish(stripe_id, kind, requested, failure);
  state.waits.note_end(stripe_id, core.stripe(stripe_id));
  if (rule.did_work) {
    stats_.record_compaction();
  }
  if (rule.is_failure()) {
    core.record_error(stripe_id, outcome.take_error());
  }
  return effects;
}

// The requests that came meanwhile. In a closed core the word counts rejections.
template <class Sync>
Requests Shell<Sync>::end_in_word(std::uint32_t stripe_id, CompactionOutcome::Kind kind,
                                  const Failure& failure) {
  if (state_.read().core.closed()) {
    settle(stripe_id);
    return state_.read().core.rerun_owed(stripe_id);
  }
  const auto& core = state_.read().core;
  const bool low = core.stripe(stripe_id).priority == Priority::low;
  return core.goes_on(stripe_id, kind, failure) ? inbox_.end_with_more_work(stripe_id, low)
                                                : inbox_.end(stripe_id);
}

template <class Sync>
void Shell<Sync>::leave(Slot<Sync>& slot) {
  auto& state = state_.write();
  state.crew.left(slot.index);
  share_threads();
  if (state.crew.vacancies() != 0) {
    unparked_.notify_one();
  }
  if (state.shutdown_callers != 0) {
    thread_left_.notify_all();  // shutdown, which waits under the mutex held here for the last one
  }
}

// The thread is being unwound out of a job or scan (pthread_exit, a cancellation). Its compaction,
// if it had one, has failed. One that is parked takes its place, if there is one. A worker thread
// goes without having looked at the queue, so it wakes another.
template <class Sync>
void Shell<Sync>::leave_unwound(Slot<Sync>& slot, std::optional<std::uint32_t> stripe_id) {
  check_process("a job or scan ended its thread in a child of fork(), where the worker has none");
  if (stripe_id) {
    log(slot, LogLevel::error, "compaction of stripe %u ended its thread, which is gone for good",
        *stripe_id);
  } else {
    log(slot, LogLevel::error, "the periodic scan ended its thread; it will not run again");
  }
  mutex_.lock();
  tick();
  Effects effects;
  if (stripe_id) {
    // A text that needs no memory.
    auto room = stripes_in_a_hold<Sync>;
    effects =
        finish(slot.index, *stripe_id, CompactionOutcome::failed("thread ended"), Failure(), room);
  }
  effects.wake = Effects::Wake::one_more;
  effects.tell_waits = true;  // of a scan that will not return
  leave(slot);
  const auto tokens = apply(effects);
  mutex_.unlock();
  if (tokens != 0) {
    inbox_.wake(tokens);
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_WORKING_H_
