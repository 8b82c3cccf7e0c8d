// A program: what application threads call, and what the jobs of each stripe do, as a text that can
// be read and given back.
//
//   workers 1 stripes 2 before: start t0: request(0) wait_idle t1: shutdown(drain) after: snapshot
//   job0: request(1) more_work done
//
// `before` and `after` are calls of the main thread, made before the application threads begin and
// after they have ended; then the worker is destroyed. The first compaction of stripe 0 requests
// stripe 1 and answers `more_work`, the second `done`, and so do all that follow. Flags before the
// first section: real_time (calls are ordered as they happened, not only by happens-before),
// surprises (one spurious wake-up and one failing weak compare-exchange in an execution), refusals
// (one thread may not be created), back_off (what fails is tried again, after a delay), quarantine
// (... and its stripe waits for a probe), overtakes (the last thread destroys the worker once all
// others are in a wait), all_removed (its stripes are, until they are restored). `scan` is what the
// periodic scan calls the first time.
//
// What a thread has paused, it holds until it resumes it, at its end at the latest.

#ifndef KSTONE_PROPTESTS_PROGRAMS_PROGRAM_H_
#define KSTONE_PROPTESTS_PROGRAMS_PROGRAM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "explorer.h"
#include "kstone/compaction_types.h"
#include "kstone/request_options.h"

namespace kstone::programs {

enum class Operation {
  request,
  wait_idle,
  wait_stripe,  // wait_idle(stripe)
  shutdown,
  start,
  snapshot,
  queue_size,
  is_running,
  set_max,  // set_max_concurrent
  retry_now,
  release,
  cancel,
  cancel_and_await,
  remove,
  restore,
  is_removed,
  pause,
  pause_stripe,  // pause(stripe)
  resume,        // the end of `pause`
  resume_stripe
};

struct Call {
  const char* name;
  Operation operation;
  std::uint32_t stripe = 0;  // of set_max the number
  ShutdownMode mode = ShutdownMode::finish_running;
  bool limited = false;
  Priority priority = Priority::normal;

  bool is_wait() const {
    return operation == Operation::wait_idle || operation == Operation::wait_stripe;
  }
  bool waits() const { return is_wait() && !limited; }
  bool waits_for(std::uint32_t other) const {
    return operation == Operation::wait_idle || stripe == other;
  }
  bool pauses() const {
    return operation == Operation::pause || operation == Operation::pause_stripe;
  }
  bool resumes() const {
    return operation == Operation::resume || operation == Operation::resume_stripe;
  }
  bool ends(const Call& pause) const {
    return (operation == Operation::resume && pause.operation == Operation::pause) ||
           (operation == Operation::resume_stripe && pause.operation == Operation::pause_stripe &&
            stripe == pause.stripe);
  }
  // One of those that hold stripes back.
  bool holds_back() const { return operation >= Operation::cancel; }
  bool can_be_overtaken() const { return is_wait() || operation == Operation::shutdown; }
  bool controls() const {
    return is_wait() || operation == Operation::shutdown || operation == Operation::start;
  }
};

// Every call there is, the simplest first: what is drawn shrinks towards the beginning.
inline constexpr Call calls[] = {
    {"request(0)", Operation::request, 0},
    {"request(1)", Operation::request, 1},
    {"is_running", Operation::is_running},
    {"queue_size", Operation::queue_size},
    {"start", Operation::start},
    {"wait_idle", Operation::wait_idle},
    {"wait_idle(limit)", Operation::wait_idle, 0, ShutdownMode::finish_running, true},
    {"wait_idle(0)", Operation::wait_stripe, 0},
    {"wait_idle(1)", Operation::wait_stripe, 1},
    {"wait_idle(0,limit)", Operation::wait_stripe, 0, ShutdownMode::finish_running, true},
    {"shutdown(finish_running)", Operation::shutdown, 0, ShutdownMode::finish_running},
    {"shutdown(drain)", Operation::shutdown, 0, ShutdownMode::drain},
    {"shutdown(cancel)", Operation::shutdown, 0, ShutdownMode::cancel},
    {"shutdown(finish_running,limit)", Operation::shutdown, 0, ShutdownMode::finish_running, true},
    {"shutdown(drain,limit)", Operation::shutdown, 0, ShutdownMode::drain, true},
    {"shutdown(cancel,limit)", Operation::shutdown, 0, ShutdownMode::cancel, true},
    {"snapshot", Operation::snapshot},
    {"request(unknown)", Operation::request, 9},
    {"set_max(1)", Operation::set_max, 1},
    {"set_max(2)", Operation::set_max, 2},
    {"retry_now", Operation::retry_now},
    {"release(0)", Operation::release, 0},
    {"request(0,low)", Operation::request, 0, ShutdownMode::finish_running, false, Priority::low},
    {"request(1,low)", Operation::request, 1, ShutdownMode::finish_running, false, Priority::low},
    {"request(0,high)", Operation::request, 0, ShutdownMode::finish_running, false, Priority::high},
    {"request(1,high)", Operation::request, 1, ShutdownMode::finish_running, false, Priority::high},
    {"cancel(0)", Operation::cancel, 0},
    {"cancel(1)", Operation::cancel, 1},
    {"cancel(0,await)", Operation::cancel_and_await, 0},
    {"cancel(0,limit)", Operation::cancel_and_await, 0, ShutdownMode::finish_running, true},
    {"remove(0)", Operation::remove, 0},
    {"remove(1)", Operation::remove, 1},
    {"remove(0,limit)", Operation::remove, 0, ShutdownMode::finish_running, true},
    {"restore(0)", Operation::restore, 0},
    {"restore(1)", Operation::restore, 1},
    {"is_removed(0)", Operation::is_removed, 0},
    {"pause", Operation::pause},
    {"pause(limit)", Operation::pause, 0, ShutdownMode::finish_running, true},
    {"pause(0)", Operation::pause_stripe, 0},
    {"pause(1)", Operation::pause_stripe, 1},
    {"pause(0,limit)", Operation::pause_stripe, 0, ShutdownMode::finish_running, true},
    {"resume", Operation::resume},
    {"resume(0)", Operation::resume_stripe, 0},
    {"resume(1)", Operation::resume_stripe, 1},
};

const Call& call_named(const std::string& name);  // of `calls`, one of which is called so

// How a compaction learns that it shall stop, and then does: it looks after its calls, waits for it
// within a limit, or has a callback called meanwhile.
enum class Look : std::uint8_t { none, stop_requested, wait_for_stop, on_stop };
inline constexpr const char* names_of_looks[] = {"", "stop?", "stop?(limit)", "on_stop?"};

// How it may end.
struct End {
  std::string_view name;
  CompactionOutcome::Kind kind;                         // as the worker takes it
  CompactionOutcome (*outcome)(std::string) = nullptr;  // null: it throws
};
inline const End ends[] = {
    {"done", CompactionOutcome::Kind::done, [](std::string) { return CompactionOutcome::done(); }},
    {"nothing_to_do", CompactionOutcome::Kind::nothing_to_do,
     [](std::string) { return CompactionOutcome::nothing_to_do(); }},
    {"more_work", CompactionOutcome::Kind::more_work,
     [](std::string) { return CompactionOutcome::more_work(); }},
    {"retry", CompactionOutcome::Kind::retry,
     [](std::string error) { return CompactionOutcome::retry(std::move(error)); }},
    {"failed", CompactionOutcome::Kind::failed, &CompactionOutcome::failed},
    {"throws", CompactionOutcome::Kind::failed},
};

struct Compaction {
  std::vector<Call> calls;
  Look look = Look::none;
  int end = 0;  // of `ends`
};

struct Program {
  static constexpr int most_threads = 3;
  static constexpr std::uint32_t stripe_limit = 2;

  int workers = 1;
  std::uint32_t stripes = 1;
  bool real_time = false;
  bool surprises = false;
  bool refusals = false;
  bool overtakes = false;
  bool all_removed = false;
  bool back_off = false;
  bool quarantine = false;  // it has back-off then
  std::vector<Call> before;
  std::vector<std::vector<Call>> threads;
  std::vector<Call> after;
  std::vector<Call> scan;
  std::vector<Compaction> jobs[stripe_limit];

  // The `number`th compaction of the stripe, from 1.
  const Compaction& compaction(std::uint32_t stripe, int number) const;

  std::string text() const;
  static std::optional<Program> parse(const std::string& text);

  model::Limits limits() const;

  std::size_t calls_of_threads() const;
  // Two application threads at least, four calls, one of them a control call, and two threads that
  // request the same stripe.
  bool non_trivial() const;

  // How many of cancel, remove, restore, is_removed and pause it calls, wherever, and of
  // wait_for_stop and on_stop.
  int kinds_of_holding_back() const;

  // Somebody asks how many stripes wait.
  bool counts() const;

  // Takes out what would let a program wait for ever although the worker does what it promises.
  void make_finite();

 private:
  std::uint32_t waits_for_stop() const;  // of jobs, each within a limit
  std::uint32_t failures() const;        // of jobs
  void make_pauses_end();
};

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_PROGRAM_H_
