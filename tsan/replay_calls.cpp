// What calls do with the mutex, and what they must answer.

#include "replay_state.h"

#include <algorithm>

namespace kstone::trace {

namespace {

void check_snapshot(WorkerSnapshot expected, const WorkerSnapshot& given) {
  // Calls that are refused before the words are reached: the protocol does not count them.
  expected.rejected_unknown_stripe = given.rejected_unknown_stripe;
  expected.rejected_disabled = given.rejected_disabled;
  std::vector<std::uint64_t> counters;
  expected.for_each([&](std::string_view, std::uint64_t value) { counters.push_back(value); });
  auto next = counters.begin();
  given.for_each([&](std::string_view name, std::uint64_t value) {
    if (*next != value) {
      illegal("the snapshot says " + std::string(name) + " " + std::to_string(value) +
              "; by the protocol it is " + std::to_string(*next));
    }
    ++next;
  });
  require(
      expected.episodes_alive == given.episodes_alive && expected.queue_size == given.queue_size,
      "the snapshot's living episodes or waiting stripes are not the protocol's");
  require(expected.held == given.held && expected.delayed == given.delayed &&
              expected.quarantined == given.quarantined && expected.removed == given.removed,
          "the snapshot's held, delayed, quarantined or removed stripes are not the protocol's");
  require(given.compactions.size() == given.running,
          "the snapshot names more compactions than run, or fewer");
  require(expected.running == given.running && expected.running_max == given.running_max &&
              expected.worker_threads == given.worker_threads &&
              expected.max_concurrent == given.max_concurrent &&
              expected.parked_threads == given.parked_threads &&
              expected.waiting_callers == given.waiting_callers &&
              expected.first_error == given.first_error,
          "the snapshot's threads, callers or first error are not the protocol's");
}

void check_report(const ShutdownReport& expected, const ShutdownReport& given) {
  require(expected.refused == given.refused, "a shutdown is refused, or not, against the rule");
  if (expected.refused) {
    return;
  }
  require(expected.complete == given.complete, "the report is complete, or not, against the rule");
  require(expected.mode == given.mode, "the report's mode is not the protocol's");
  require(expected.discarded == given.discarded,
          "the report's discarded stripes are not the protocol's");
  require(expected.quarantined == given.quarantined,
          "the report's quarantined stripes are not the protocol's");
  require(expected.unfinished == given.unfinished,
          "the report's unfinished stripes are not the protocol's");
  require(expected.waiting == given.waiting, "the report's waiting stripes are not the protocol's");
  require(expected.still_running == given.still_running,
          "the report's running stripes are not the protocol's");
  require(expected.first_error == given.first_error,
          "the report's first error is not the protocol's");
  require(given.duration.count() >= 0, "the report's duration is negative");
}

}  // namespace

void Replay::call(Thread& thread, Frame& frame) {
  auto& worker = state_.worker;
  switch (frame.call) {
    case Call::queue_compaction:
      illegal("a request takes the mutex");
    case Call::queue_size:
      frame.answer = see_waiting(thread);
      finish_call(thread, frame);
      return;
    case Call::is_running:
      frame.answer = protocol::is_running(worker);
      finish_call(thread, frame);
      return;
    case Call::snapshot:
      snapshot(thread, frame);
      return;
    case Call::start:
      start(thread, frame);
      return;
    case Call::set_max_concurrent:
      resize(thread, frame);
      return;
    case Call::set_check_interval:
      if (!worker.closed) {
        notify(thread, Change::closed, false);  // the scan, which waits no longer than that
      }
      finish_call(thread, frame);
      return;
    case Call::retry_now:
      retry_now(thread, frame);
      return;
    case Call::release:
      release_from_quarantine(thread, frame);
      return;
    case Call::wait_idle:
    case Call::wait_stripe:
      wait_idle(thread, frame);
      return;
    case Call::cancel:
    case Call::cancel_within:
      cancel(thread, frame);
      return;
    case Call::remove:
      remove(thread, frame);
      return;
    case Call::restore:
      restore(thread, frame);
      return;
    case Call::is_removed:
      frame.answer = state_.stripes[frame.argument].word.removed;
      finish_call(thread, frame);
      return;
    case Call::pause:
      pause(thread, frame);
      return;
    case Call::resume:
      resume(thread, frame);
      return;
    case Call::shutdown:
    case Call::destroy:
      shutdown(thread, frame);
      return;
  }
}

void Replay::finish_call(Thread& thread, Frame& frame) {
  unlock(thread);
  frame.at = At::finished;
}

bool Replay::on_own_thread(const Thread& thread) const {
  return (thread.role != Role::caller && !callers_.joined) || thread.in_sink != 0;
}

// Two holds for each line that is logged on a caller: it is noted before, and forgotten after. One
// for a line that the sink itself causes, which is dropped. True in the last of them.
bool Replay::logs(Thread& thread, Frame& frame) {
  if (!frame.noted) {
    if (std::any_of(thread.frames.begin(), thread.frames.end(),
                    [](const Frame& outer) { return outer.kind == Frame::Kind::sink; })) {
      unlock(thread);
      return --frame.lines == 0;
    }
    ++thread.in_sink;
    frame.noted = true;
    thread.owed_lines = 1;
    unlock(thread);
    return false;
  }
  --thread.in_sink;
  frame.noted = false;
  unlock(thread);
  return --frame.lines == 0;
}

void Replay::snapshot(Thread& thread, Frame& frame) {
  if (frame.at == Frame::At::entry && admit(thread)) {
    wake_another(thread);
    unlock(thread);
    frame.at = Frame::At::looks;
    return;
  }
  const auto waiting = see_waiting(thread);
  for (std::uint32_t id = 0; id < setting_.stripes; ++id) {
    load_word(thread, id);
  }
  frame.snapshot = protocol::snapshot_of(state_);
  frame.snapshot.queue_size = waiting;
  for (const auto& stripe : state_.stripes) {
    frame.snapshot.held += protocol::is_held(state_.worker, stripe) ? 1U : 0U;
    frame.snapshot.removed += stripe.word.removed ? 1U : 0U;
  }
  frame.snapshot.waiting_callers = static_cast<std::uint32_t>(callers_.waiting + callers_.stopping);
  frame.snapshot.first_error = first_error();
  finish_call(thread, frame);
}

// -- Starting -------------------------------------------------------------------------------------

void Replay::start(Thread& thread, Frame& frame) {
  if (frame.at == At::logs) {
    if (logs(thread, frame)) {
      frame.at = At::finished;
    }
    return;
  }
  const bool starts = state_.worker.may_start();
  const auto threads = starts && setting_.enabled ? start_threads(thread) : 0;
  frame.answer = protocol::start_answer(state_.worker, std::uint64_t{threads});
  if (starts) {
    state_.worker.start(threads);
  }
  const bool scan_missing = threads != 0 && setting_.has_scan && !callers_.scan_alive;
  const bool timekeeper_missing =
      threads != 0 && setting_.initial != 0 && !callers_.timekeeper_alive;
  if (scan_missing) {
    tell_of_end(thread);  // who waits for a scan
  }
  frame.lines = setting_.has_sink ? 1U + scan_missing + timekeeper_missing : 0U;
  unlock(thread);
  frame.at = frame.lines != 0 ? At::logs : At::finished;
}

std::uint32_t Replay::start_threads(Thread& thread) {
  std::uint32_t count = 0;
  while (count < state_.worker.limit && start_worker(thread)) {
    ++count;
  }
  if (setting_.has_scan && count != 0) {
    callers_.scan_alive = start_thread(thread, Role::scan);
  }
  if (setting_.initial != 0 && count != 0) {
    callers_.timekeeper_alive = start_thread(thread, Role::timekeeper);
  }
  return count;
}

bool Replay::start_thread(Thread& thread, Role role) {
  const auto& event = take(thread, Act::thread_start);
  require(event.object < thread.log->children.size(), "a thread without a log");
  if (event.after == 0) {
    return false;
  }
  auto& child = *by_log_.at(thread.log->children[event.object].get());
  child.role = role;
  ++threads_started_;
  return true;
}

// One more of those that there can be.
bool Replay::start_worker(Thread& thread) {
  if (workers_started_ == setting_.thread_capacity || !start_thread(thread, Role::worker)) {
    return false;
  }
  ++workers_started_;
  return true;
}

void Replay::resize(Thread& thread, Frame& frame) {
  if (frame.at == At::logs) {
    if (logs(thread, frame)) {
      frame.at = At::finished;
    }
    return;
  }
  auto& worker = state_.worker;
  if (worker.may_resize()) {
    const bool changed = worker.limit != frame.argument;
    worker.resize(frame.argument);
    const auto up = worker.up();
    for (auto called = up; called < std::min(worker.limit, up + worker.parked); ++called) {
      notify(thread, Change::unparked, false);
    }
    while (worker.may_add_thread() && start_worker(thread)) {
      worker.add_thread();
    }
    frame.lines = setting_.has_sink && (changed || worker.may_add_thread()) ? 1 : 0;
  }
  frame.answer = protocol::resize_answer(
      worker, frame.argument, std::uint64_t{setting_.thread_capacity}, worker.may_add_thread());
  unlock(thread);
  frame.at = frame.lines != 0 ? At::logs : At::finished;
}

void Replay::retry_now(Thread& thread, Frame& frame) {
  auto& worker = state_.worker;
  if (!worker.closed) {
    admit_for_others(thread);
  }
  for (std::uint32_t id = 0; id < setting_.stripes && !worker.closed; ++id) {
    if (state_.stripes[id].delayed && !state_.stripes[id].quarantined) {
      worker.expire(state_.stripes[id]);
      went_on(thread, id);
      ++frame.answer;
    }
  }
  finish_call(thread, frame);
}

void Replay::release_from_quarantine(Thread& thread, Frame& frame) {
  const auto id = static_cast<std::uint32_t>(frame.argument);
  auto answer = ReleaseResult::not_quarantined;
  if (state_.worker.closed) {
    answer = ReleaseResult::shut_down;
  } else {
    auto& stripe = state_.stripes[id];
    const bool waited = stripe.waits_for_probe();
    answer = stripe.quarantined ? ReleaseResult::released : answer;
    if (waited) {
      admit_for_others(thread);
    }
    delays_.forget_failures(id);
    if (state_.worker.may_end_quarantine(stripe)) {
      state_.worker.end_quarantine(stripe);
    }
    if (waited) {
      went_on(thread, id);
    }
  }
  frame.answer = static_cast<std::uint64_t>(answer);
  finish_call(thread, frame);
}

// What was delayed has come to wait for threads, or for a pause's end.
void Replay::went_on(Thread& thread, std::uint32_t id) {
  auto& worker = state_.worker;
  delays_.end(id);
  if (protocol::is_held(worker, state_.stripes[id])) {
    tell_of_end(thread);
  }
  if (worker.has_ready()) {
    wake_another(thread);
  }
}

// -- Waiting --------------------------------------------------------------------------------------

void Replay::wait_idle(Thread& thread, Frame& frame) {
  if (frame.at == At::warns && frame.lines != 0) {
    logs(thread, frame);
  } else if (frame.at == At::waits) {
    go_on_waiting(thread, frame);
  } else {
    if (frame.at == At::warns) {
      leave_wait(thread);
    }
    if (frame.at == At::awaits_scan || begin_wait(thread, frame)) {
      begin_goals(thread, frame);
    }
  }
}

// True if it goes on to wait.
bool Replay::begin_wait(Thread& thread, Frame& frame) {
  if (setting_.has_sink && state_.worker.enabled && !warned_before_start_ &&
      state_.worker.may_start() && !on_own_thread(thread)) {
    warned_before_start_ = true;
    ++callers_.waiting;
    frame.lines = 1;
    frame.at = At::warns;
    unlock(thread);
    return false;
  }
  frame.answer = protocol::first_answer_of_wait(state_.worker, on_own_thread(thread));
  if (frame.answer != protocol::still_waits<std::uint64_t>) {
    finish_call(thread, frame);
    return false;
  }
  return true;
}

// Of all stripes: the first scan, and one that is under way. True once they have returned.
bool Replay::await_scan(Thread& thread, Frame& frame) {
  if (frame.call != Call::wait_idle || !setting_.has_scan || !setting_.enabled) {
    return true;
  }
  if (frame.at != At::awaits_scan) {
    frame.scans = std::max<std::uint64_t>(scans_begun_, 1);
  }
  const bool closed = state_.worker.closed;
  const auto done = await(thread, frame, At::awaits_scan, closed || has_scanned(frame.scans));
  if (!done || (*done && !closed)) {
    return done.has_value();
  }
  frame.answer = static_cast<std::uint64_t>(closed ? IdleResult::shut_down : IdleResult::timed_out);
  finish_call(thread, frame);
  return false;
}

void Replay::begin_goals(Thread& thread, Frame& frame) {
  if (!await_scan(thread, frame)) {
    return;
  }
  const bool one = frame.call == Call::wait_stripe;
  const auto first = one ? StripeArgument(frame.argument).stripe() : 0;
  const auto last = one ? first + 1 : setting_.stripes;
  adopt(thread, first, last, [&](std::uint32_t id) {
    const auto& stripe = state_.stripes[id];
    if (stripe.alive() != 0 && !stripe.quarantined) {
      frame.goals.emplace_back(id, protocol::goal_of(stripe));
    }
  });
  if (one && frame.goals.empty()) {
    const auto result =
        state_.stripes[first].quarantined ? IdleResult::quarantined : IdleResult::idle;
    frame.answer = number_of(StripeIdle{result, last_end(first)});
    finish_call(thread, frame);
    return;
  }
  ++callers_.waiting;
  frame.at = At::waits;
  in_time_ = true;  // whatever it has waited for before
  go_on_waiting(thread, frame);
}

std::optional<protocol::End> Replay::last_end(std::uint32_t id) const {
  const auto end = last_ends_.find(id);
  return end == last_ends_.end() ? std::nullopt : std::optional(end->second);
}

// The goals one after the other, each with a wait of its own.
void Replay::go_on_waiting(Thread& thread, Frame& frame) {
  const bool one = frame.call == Call::wait_stripe;
  const bool limited = one ? StripeArgument(frame.argument).has_limit() : frame.argument % 2 != 0;
  const bool waits_out = !one && frame.argument / 2 != 0;
  bool held = false;
  bool delayed = false;
  auto next = frame.goal;
  for (; next < frame.goals.size(); ++next) {
    const auto& [id, goal] = frame.goals[next];
    const auto& stripe = state_.stripes[id];
    if (protocol::reached(stripe, goal)) {
      frame.goal += next == frame.goal ? 1 : 0;
    } else if (stripe.quarantined) {
      continue;  // nobody waits for it
    } else if (!limited && protocol::is_held(state_.worker, stripe)) {
      held = true;
    } else if (!waits_out && stripe.delayed) {
      delayed = true;
    } else {
      break;
    }
  }
  const bool waits = next != frame.goals.size();
  const auto answer = protocol::answer_of_wait(state_.worker, waits, held, delayed, in_time_);
  if (answer == protocol::still_waits<std::uint64_t>) {
    unlock(thread, Change::episode_ended);
    return;
  }
  frame.answer = answer;
  if (frame.call == Call::wait_stripe && answer == static_cast<std::uint64_t>(IdleResult::idle)) {
    const auto id = frame.goals.front().first;
    frame.answer = number_of(frame.last_end ? StripeIdle{IdleResult::idle, frame.last_end}
                                            : StripeIdle{IdleResult::quarantined, last_end(id)});
  }
  leave_wait(thread);
  finish_call(thread, frame);
}

// A wait for one thing, which `at` names. Whether that is `done`, once it is or the time is over;
// none: it waits on.
std::optional<bool> Replay::await(Thread& thread, Frame& frame, At at, bool done) {
  const bool waits = frame.at == at;
  if (!done && (!waits || in_time_)) {
    callers_.waiting += waits ? 0U : 1U;
    frame.at = at;
    unlock(thread, Change::episode_ended);
    return std::nullopt;
  }
  if (waits) {
    leave_wait(thread);
  }
  return done;
}

void Replay::leave_wait(Thread& thread) {
  --callers_.waiting;
  if (callers_.tells_of_return(state_.worker)) {
    notify(thread, Change::thread_left, true);
  }
}

// -- Shutdown and destructor ----------------------------------------------------------------------

void Replay::shutdown(Thread& thread, Frame& frame) {
  switch (frame.at) {
    case At::entry:
      enter(thread, frame);
      return;
    case At::entry_of_destructor:
      stop(thread, frame);
      return;
    case At::has_woken:
    case At::waits:
      go_on(thread, frame);
      return;
    case At::has_joined:
      ++joins_seen_;
      require(joins_ == joins_seen_,
              "the mutex is taken before the thread was joined, or after two");
      join_next(thread, frame);
      return;
    case At::logs:
      if (logs(thread, frame)) {
        frame.at = At::is_over;
      }
      return;
    case At::is_over:
      end_stop(thread, frame);
      return;
    case At::awaits_callers:
      await_callers(thread, frame);
      return;
    case At::awaits_scan:
      drain(thread, frame);
      return;
    case At::warns:
    case At::looks:
    case At::awaits_compaction:
    case At::finished:
      illegal("the mutex is taken once more after the call was over");
  }
}

void Replay::enter(Thread& thread, Frame& frame) {
  const bool own = on_own_thread(thread);
  if (frame.call == Call::destroy) {
    require(!own, "the worker is destroyed by itself");
    require(pauses_.empty(), "the worker is destroyed under a pause");
    unlock(thread);
    frame.at = At::entry_of_destructor;
  } else if (own) {
    frame.report.refused = true;
    finish_call(thread, frame);
  } else {
    const bool drains = ShutdownArgument(frame.argument).mode() == ShutdownMode::drain;
    const auto& worker = state_.worker;
    if (drains && worker.started && !worker.closed && setting_.has_scan && setting_.enabled) {
      drain(thread, frame);
    } else {
      stop(thread, frame);
    }
  }
}

// Until the first scan has returned, and one that is under way, or the limit has passed.
void Replay::drain(Thread& thread, Frame& frame) {
  if (frame.at != At::awaits_scan) {
    frame.scans = std::max<std::uint64_t>(scans_begun_, 1);
  }
  const bool done = state_.worker.closed || has_scanned(frame.scans);
  if (await(thread, frame, At::awaits_scan, done)) {
    stop(thread, frame);
  }
}

void Replay::stop(Thread& thread, Frame& frame) {
  auto& worker = state_.worker;
  ++callers_.stopping;
  const bool closes = !worker.closed;
  const auto mode = frame.call == Call::destroy ? ShutdownMode::finish_running
                                                : ShutdownArgument(frame.argument).mode();
  if (closes) {
    close(thread, mode);
    unlock(thread);
    thread.owed_tokens = worker.alive;
    tokens_at_end_ += worker.alive;
    frame.at = At::has_woken;
  } else {
    worker.strengthen(mode);
    if (worker.discards()) {
      state_.discard();
    }
    go_on(thread, frame);
  }
}

// To what comes next: waiting, or joining the threads, or the end.
void Replay::go_on(Thread& thread, Frame& frame) {
  const bool limited = frame.call != Call::destroy && ShutdownArgument(frame.argument).has_limit();
  const auto from = static_cast<std::uint64_t>(frame.stop);
  frame.stop = static_cast<protocol::Stop>(callers_.after(from, state_.worker, limited, in_time_));
  switch (frame.stop) {
    case protocol::Stop::joins:
      callers_.joining = true;
      join_next(thread, frame);
      return;
    case protocol::Stop::ends:
      end_stop(thread, frame);
      return;
    default:
      unlock(thread, Change::thread_left);
      frame.at = At::waits;
  }
}

// One thread after the other, each without the mutex.
void Replay::join_next(Thread& thread, Frame& frame) {
  frame.joins = joins_seen_ < threads_started_;
  if (frame.joins) {
    unlock(thread);
    frame.at = At::has_joined;
    return;
  }
  require(state_.worker.all_words_closed() && state_.worker.alive == 0,
          "every thread is joined, and one is alive");
  state_.discard();
  callers_.joined = true;
  notify(thread, Change::thread_left, true);
  unlock(thread);
  frame.lines = setting_.has_sink ? 1 : 0;
  frame.at = setting_.has_sink ? At::logs : At::is_over;
}

void Replay::end_stop(Thread& thread, Frame& frame) {
  --callers_.stopping;
  notify(thread, Change::thread_left, true);
  if (frame.call == Call::destroy) {
    unlock(thread);
    frame.at = At::awaits_callers;
    return;
  }
  frame.report = protocol::report_of(state_, callers_.joined);
  frame.report.first_error = first_error();
  finish_call(thread, frame);
}

void Replay::await_callers(Thread& thread, Frame& frame) {
  if (!callers_.may_destroy()) {
    unlock(thread, Change::thread_left);
  } else {
    finish_call(thread, frame);
    destroyed_ = true;
  }
}

// -- Answers --------------------------------------------------------------------------------------

void Replay::check_answer(const Thread& thread, const Frame& frame, std::uint64_t answer) const {
  require(thread.owed_tokens == 0, "a token was claimed and not posted");
  require(thread.owed_lines == 0, "a log line is missing");
  if (frame.call == Call::snapshot) {
    check_snapshot(frame.snapshot, thread.log->snapshots.at(answer));
  } else if (frame.call == Call::shutdown) {
    check_report(frame.report, thread.log->reports.at(answer));
  } else if (answer != frame.answer) {
    illegal("the answer is " + std::to_string(answer) + "; by the protocol it is " +
            std::to_string(frame.answer));
  }
}

}  // namespace kstone::trace
