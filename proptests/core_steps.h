// What can happen to the scheduling core inside the shell, step by step, and what it must look like
// after each step.
//
// `Shell` is the shell as far as the core can tell: the stripe words, the list, the threads, and
// what callers were told. It holds the reference. A `Step` changes a `Shell` and, by the same calls
// as the shell makes, a `System`, which holds the core. `difference` compares the two.

#ifndef KSTONE_PROPTESTS_CORE_STEPS_H_
#define KSTONE_PROPTESTS_CORE_STEPS_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kstone/scheduling_core.h"
#include "reference.h"

namespace kstone::proptests {

// Each changes one call of the core, and must be found.
enum class Fault : std::uint8_t {
  none,
  forget_rerun,              // a request during the run is not passed on
  swap_ends,                 // stopped is passed on as failed
  run_after_finish_running,  // the queue is run although only running compactions should be
  lose_discarded,            // what is queued when the last thread has left is not discarded
  link_newest_first,         // the list is not turned round
  lose_third,                // a stripe that would be the third of the queue is not linked
  overlook_claim,            // a claimed stripe is not taken over at closing
  overlook_rerun,            // a re-run is not owed at closing
  ignore_strengthening,      // only the first mode counts
  count_first_request,       // the request that opened the episode counts as coalesced too
  lose_error,                // the text of a failure is not kept
};
constexpr Fault last_fault = Fault::lose_error;

inline const char* to_string(Fault fault) {
  constexpr const char* names[] = {
      "none",           "forget_rerun",         "swap_ends",           "run_after_finish_running",
      "lose_discarded", "link_newest_first",    "lose_third",          "overlook_claim",
      "overlook_rerun", "ignore_strengthening", "count_first_request", "lose_error"};
  return names[static_cast<std::size_t>(fault)];
}

// The system under test.
struct System {
  using State = SchedulingCore::State;

  explicit System(std::uint32_t stripe_count, Fault planted = Fault::none)
      : core(stripe_count), fault(planted) {}

  void link(std::uint32_t id) {
    if (fault != Fault::lose_third || core.queued() != 2) {
      core.link(id);
    }
  }
  void finish(std::uint32_t id, CompactionOutcome::Kind kind, bool requested) {
    using Kind = CompactionOutcome::Kind;
    core.finish(id, fault == Fault::swap_ends && kind == Kind::stopped ? Kind::failed : kind,
                // Closed, the core itself would object.
                requested && (fault != Fault::forget_rerun || core.closed()));
  }
  void count_coalesced(std::uint64_t requests) {
    core.count_coalesced(fault == Fault::count_first_request ? requests + 1 : requests);
  }
  void record_error(std::string text) {
    if (fault != Fault::lose_error) {
      core.record_error(std::move(text));
    }
  }
  void close_stripe(std::uint32_t id, std::uint64_t requests) {
    const auto state = core.stripe(id).state;
    if (!(fault == Fault::overlook_claim && state == State::idle) &&
        !(fault == Fault::overlook_rerun && state == State::running)) {
      core.close_stripe(id, requests);
    }
  }
  void apply(ShutdownMode mode, bool first) {
    if (fault == Fault::run_after_finish_running && mode == ShutdownMode::finish_running) {
      core.apply(ShutdownMode::drain);
    } else if (fault != Fault::ignore_strengthening || first) {
      core.apply(mode);
    }
  }
  void discard_queue() {
    if (fault != Fault::lose_discarded) {
      core.discard_queue();
    }
  }

  SchedulingCore core;
  Fault fault;
};

enum class Call : std::uint8_t {
  request,  // a call's step on the stripe's word
  list,     // ... and its second, if it claimed the stripe
  start,    // with `count` threads
  admit,    // a thread takes the list
  take,
  finish,
  leave,         // a thread that finds a closed core and an empty queue
  close,         // list and core
  close_stripe,  // the next one
  apply,
  discard_queue,  // by shutdown, once no thread is left
};
constexpr Call last_call = Call::discard_queue;

// How a compaction ends.
enum class Ending : std::uint8_t {
  done,
  nothing_to_do,
  more_work,
  retry,
  failed,
  failed_without_text,
  stopped,
  thread_ended,  // the job has ended its thread
};
constexpr Ending last_ending = Ending::thread_ended;

inline CompactionOutcome::Kind kind_of(Ending ending) {
  using Kind = CompactionOutcome::Kind;
  constexpr Kind kinds[] = {Kind::done,   Kind::nothing_to_do, Kind::more_work, Kind::retry,
                            Kind::failed, Kind::failed,        Kind::stopped,   Kind::failed};
  return kinds[static_cast<std::size_t>(ending)];
}
inline std::optional<std::string> error_of(Ending ending) {
  switch (ending) {
    case Ending::retry:
      return "disk full";
    case Ending::failed:
      return "bad block";
    case Ending::failed_without_text:
      return "";
    case Ending::thread_ended:
      return "thread ended";
    default:
      return std::nullopt;
  }
}

struct Step {
  Call call{};
  std::uint32_t stripe = 0;  // request, list, finish
  // Start: threads. take, close_stripe: that many more requests have just come.
  std::uint32_t count = 0;
  Ending ending = Ending::done;             // finish
  ShutdownMode mode = ShutdownMode::drain;  // apply
};

inline std::string to_string(const Step& step) {
  const auto stripe = std::to_string(step.stripe);
  const auto more =
      step.count == 0 ? std::string() : ", after " + std::to_string(step.count) + " more requests";
  constexpr const char* endings[] = {
      "done",   "nothing_to_do",        "more_work", "retry",
      "failed", "failed, without text", "stopped",   "failed, its thread ends"};
  switch (step.call) {
    case Call::request:
      return "request(" + stripe + ")";
    case Call::list:
      return "list(" + stripe + ")";
    case Call::start:
      return "start, " + std::to_string(step.count) + " threads";
    case Call::admit:
      return "take the list";
    case Call::take:
      return "take()" + more;
    case Call::finish:
      return "finish(" + stripe + ", " + endings[static_cast<std::size_t>(step.ending)] + ")";
    case Call::leave:
      return "a thread leaves";
    case Call::close:
      return "close()";
    case Call::close_stripe:
      return "close_stripe()" + more;
    case Call::apply:
      return "apply(" + std::string(kstone::to_string(step.mode)) + ")";
    case Call::discard_queue:
      return "discard_queue()";
  }
  return {};
}

struct Size {
  std::uint32_t stripes = 0;
  std::uint32_t threads = 0;
};

struct Shell {
  Size size;
  Reference core;
  // Requests that stand in each stripe's word; nothing once it is closed.
  std::vector<std::uint64_t> words;
  std::vector<std::uint32_t> list;       // oldest first
  std::optional<std::uint32_t> threads;  // alive; none before the start
  std::uint32_t words_closed = 0;        // the words of stripes below it are closed
  bool mode_applied = false;             // closing is over

  // What callers were told.
  std::uint64_t told_queued = 0;
  std::uint64_t told_coalesced = 0;
  std::uint64_t told_rerun_pending = 0;
  std::map<std::uint32_t, int> told_opened;  // episodes, by stripe

  explicit Shell(Size s) : size(s), words(s.stripes) {}

  bool closing() const { return core.closed && !mode_applied; }
  bool listed(std::uint32_t id) const {
    return std::find(list.begin(), list.end(), id) != list.end();
  }
  // Between the two steps of the call that was told `queued`.
  bool claimed(std::uint32_t id) const { return words[id] != 0 && core.idle(id) && !listed(id); }
  std::uint32_t free_threads() const {
    return threads.value_or(0) - static_cast<std::uint32_t>(core.running.size());
  }

  // That `step` can come next.
  bool possible(const Step& step) const {
    switch (step.call) {
      // A later one is rejected, and the core never learns of it.
      case Call::request:
        return step.stripe >= words_closed;
      case Call::list:
        return !core.closed && claimed(step.stripe);
      case Call::start:
        return !core.closed && !threads && step.count >= 1 && step.count <= size.threads;
      case Call::admit:
        return !core.closed && !list.empty();
      case Call::take:
        return !closing() && !core.queue.empty() && free_threads() != 0 &&
               (!core.closed || step.count == 0);
      case Call::finish:
        return !closing() && core.running.count(step.stripe) != 0;
      case Call::leave:
        return mode_applied && core.queue.empty() && free_threads() != 0;
      case Call::close:
        return !core.closed;
      case Call::close_stripe:
        return closing() && words_closed < size.stripes &&
               (step.count == 0 || words[words_closed] != 0);
      case Call::apply:
        return core.closed && words_closed == size.stripes;
      case Call::discard_queue:
        return mode_applied && threads.value_or(0) == 0;
    }
    return false;
  }

  void request(std::uint32_t id, std::uint64_t count = 1) {
    if (count == 0) {
      return;
    }
    const bool first = words[id] == 0;
    const bool running = core.running.count(id) != 0;
    told_queued += first && !running;
    told_rerun_pending += first && running;
    told_opened[id] += first;
    told_coalesced += count - first;
    words[id] += count;
  }
  bool requested(std::uint32_t id) const {
    return core.closed ? core.owed.count(id) != 0 : words[id] != 0;
  }

  void admit() {
    for (const auto id : list) {
      core.link(id);
    }
    list.clear();
  }
  void finish(std::uint32_t id, Ending ending) {
    const bool more_work = ending == Ending::more_work;
    const bool again = requested(id);
    if (again || more_work) {
      admit();
    }
    if (more_work && !again && !core.closed) {
      words[id] = 1;  // the thread's own
    }
    core.finish(id, kind_of(ending), again);
    if (const auto error = error_of(ending)) {
      core.record_error(*error);
    }
    if (ending == Ending::thread_ended) {
      --*threads;
    }
  }
  void take(std::uint32_t more_requests) {
    const auto id = core.queue.front();
    request(id, more_requests);
    core.take();
    if (!core.closed) {
      core.coalesced += words[id] - 1;
      words[id] = 0;
    }
  }
  void close_stripe(std::uint32_t more_requests) {
    request(words_closed, more_requests);
    core.close_stripe(words_closed, words[words_closed]);
    words[words_closed] = 0;
    ++words_closed;
  }

  void perform(const Step& step) {
    switch (step.call) {
      case Call::request:
        return request(step.stripe);
      case Call::list:
        return list.push_back(step.stripe);
      case Call::start:
        threads = step.count;
        return;
      case Call::admit:
        return admit();
      case Call::take:
        return take(step.count);
      case Call::finish:
        return finish(step.stripe, step.ending);
      case Call::leave:
        --*threads;
        return;
      case Call::close:
        admit();
        return core.close();
      case Call::close_stripe:
        return close_stripe(step.count);
      case Call::apply:
        core.apply(step.mode);
        mode_applied = true;
        return;
      case Call::discard_queue:
        return core.discard_queue();
    }
  }
};

// The calls of the core that the shell, in the state `before`, makes at `step`. False if the core
// takes another stripe than the reference.
inline bool perform(System& system, const Shell& before, const Step& step) {
  auto& core = system.core;
  const auto admit = [&] {
    auto list = before.list;
    if (system.fault == Fault::link_newest_first) {
      std::reverse(list.begin(), list.end());
    }
    for (const auto id : list) {
      system.link(id);
    }
  };
  switch (step.call) {
    case Call::request:
    case Call::list:
    case Call::start:
    case Call::leave:
      return true;
    case Call::admit:
      admit();
      return true;
    case Call::take: {
      const auto id = core.take();
      if (id == before.core.queue.front() && !core.closed()) {
        system.count_coalesced(before.words[id] + step.count - 1);
      }
      return id == before.core.queue.front();
    }
    case Call::finish: {
      const auto kind = kind_of(step.ending);
      const bool requested =
          core.closed() ? core.rerun_owed(step.stripe) : before.words[step.stripe] != 0;
      if (requested || kind == CompactionOutcome::Kind::more_work) {
        admit();
      }
      system.finish(step.stripe, kind, requested);
      if (auto error = error_of(step.ending)) {
        system.record_error(std::move(*error));
      }
      return true;
    }
    case Call::close:
      admit();
      core.close();
      return true;
    case Call::close_stripe:
      system.close_stripe(before.words_closed, before.words[before.words_closed] + step.count);
      return true;
    case Call::apply:
      system.apply(step.mode, !before.mode_applied);
      return true;
    case Call::discard_queue:
      system.discard_queue();
      return true;
  }
  return false;
}

// The sentence that does not hold, or nullptr.
#define KSTONE_MUST(condition) \
  if (!(condition)) return #condition

// Every observable of the core against the reference, and the numbered invariants.
inline const char* difference_of_core(const Reference& expected, const SchedulingCore& core,
                                      std::uint32_t stripe_count) {
  KSTONE_MUST(core.closed() == expected.closed);
  KSTONE_MUST(core.mode() == expected.mode);
  KSTONE_MUST(core.queued() == expected.queue.size());
  KSTONE_MUST(core.has_queued() == !expected.queue.empty());
  KSTONE_MUST(core.running() == expected.running.size());  // C2
  KSTONE_MUST(core.running_max() == expected.running_max);
  KSTONE_MUST(core.first_error() == (expected.errors.empty() ? "" : expected.errors.front()));

  std::uint64_t ends[4] = {};
  std::vector<std::uint32_t> ended(stripe_count);
  for (const auto& [id, how] : expected.ended) {
    ++ends[static_cast<std::size_t>(how)];
    ++ended[id];
  }
  const auto& counters = core.counters();
  KSTONE_MUST(counters.done == ends[0]);
  KSTONE_MUST(counters.failed == ends[1]);
  KSTONE_MUST(counters.cancelled == ends[2]);
  KSTONE_MUST(counters.discarded == ends[3]);
  KSTONE_MUST(counters.opened == expected.opened.size());
  const auto queued =
      std::count(expected.opened.begin(), expected.opened.end(), Submission::queued);
  KSTONE_MUST(counters.queued == static_cast<std::uint64_t>(queued));
  KSTONE_MUST(counters.opened == counters.queued + counters.rerun_pending);
  KSTONE_MUST(counters.coalesced == expected.coalesced);
  std::uint64_t outcomes[6] = {};
  for (const auto kind : expected.outcomes) {
    ++outcomes[static_cast<std::size_t>(kind)];
  }
  KSTONE_MUST(std::equal(outcomes, outcomes + 6, counters.outcomes));
  KSTONE_MUST(counters.started == expected.outcomes.size() + core.running());
  const auto all_ended = counters.done + counters.failed + counters.cancelled + counters.discarded;
  KSTONE_MUST(counters.opened == all_ended + core.alive());  // C3

  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < stripe_count; ++id) {
    const auto& stripe = core.stripe(id);
    const auto places = std::count(expected.queue.begin(), expected.queue.end(), id);
    const auto open = expected.open.find(id);
    const auto attempts = expected.attempts.find(id);
    KSTONE_MUST(places <= 1);  // C1
    KSTONE_MUST((stripe.state == SchedulingCore::State::queued) == (places == 1));
    KSTONE_MUST((stripe.state == SchedulingCore::State::running) ==
                (expected.running.count(id) == 1));
    KSTONE_MUST(stripe.rerun_owed == (expected.owed.count(id) == 1));
    KSTONE_MUST(core.rerun_owed(id) == stripe.rerun_owed);
    KSTONE_MUST(!stripe.rerun_owed || (stripe.state == SchedulingCore::State::running &&
                                       core.closed() && core.mode() == ShutdownMode::drain));  // C4
    KSTONE_MUST(stripe.discarded == (expected.discarded.count(id) == 1));
    KSTONE_MUST(stripe.unfinished == (expected.unfinished.count(id) == 1));
    KSTONE_MUST(stripe.ended == ended[id]);
    KSTONE_MUST(stripe.attempts == (attempts == expected.attempts.end() ? 0 : attempts->second));
    KSTONE_MUST(core.alive_episodes(id, 0) ==
                static_cast<std::uint32_t>(open == expected.open.end() ? 0 : open->second));
    alive += core.alive_episodes(id, 0);
  }
  KSTONE_MUST(core.alive() == alive);
  KSTONE_MUST(!core.closed() || core.mode() == ShutdownMode::drain || core.queued() == 0);  // C5
  return nullptr;
}

// What callers were told against what a snapshot says of them, and what wait_idle waits for. Only
// while the mutex can be free: not in the middle of closing.
inline const char* difference_of_answers(const Shell& expected, const SchedulingCore& core) {
  const auto& counters = core.counters();
  WorkerSnapshot snapshot;
  snapshot.queued = counters.queued;
  snapshot.coalesced = counters.coalesced;
  snapshot.rerun_pending = counters.rerun_pending;
  snapshot.episodes_opened = counters.opened;
  snapshot.episodes_alive = core.alive();
  const std::uint64_t rejected = core.closed() ? 3 : 0;  // in each closed word
  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    core.add_pending(id, expected.words[id] + rejected, snapshot);
    const auto opened = expected.told_opened.find(id);
    const auto episodes =
        opened == expected.told_opened.end() ? 0U : static_cast<std::uint32_t>(opened->second);
    KSTONE_MUST(core.alive_episodes(id, expected.words[id]) == episodes - core.stripe(id).ended);
    KSTONE_MUST(core.closed() || core.stripe(id).state != SchedulingCore::State::queued ||
                expected.words[id] != 0);
    alive += episodes - core.stripe(id).ended;
  }
  KSTONE_MUST(snapshot.queued == expected.told_queued);
  KSTONE_MUST(snapshot.coalesced == expected.told_coalesced);
  KSTONE_MUST(snapshot.rerun_pending == expected.told_rerun_pending);
  KSTONE_MUST(snapshot.rejected_shutting_down == rejected * expected.size.stripes);
  KSTONE_MUST(snapshot.episodes_opened == expected.told_queued + expected.told_rerun_pending);
  KSTONE_MUST(snapshot.episodes_alive == alive);
  return nullptr;
}

// What the core does not show, on a copy that is used up: both ends of its queue. One more stripe
// joins the queue, then all of it is taken.
inline const char* difference_of_queue(const Reference& expected, SchedulingCore core,
                                       std::uint32_t stripe_count) {
  using State = SchedulingCore::State;
  auto queue = expected.queue;
  std::uint32_t id = 0;
  while (id < stripe_count && core.stripe(id).state == State::queued) {
    ++id;
  }
  if (id == stripe_count) {
    id = core.take();
    KSTONE_MUST(id == queue.front());
    queue.erase(queue.begin());
  }
  if (core.stripe(id).state == State::idle && !core.closed()) {
    core.link(id);
  } else if (core.stripe(id).state == State::idle) {
    core.close_stripe(id, 1);
  } else if (!core.closed()) {
    core.finish(id, CompactionOutcome::Kind::more_work, false);
  } else {
    core.close_stripe(id, core.rerun_owed(id) ? 0 : 1);
    core.finish(id, CompactionOutcome::Kind::done, true);
  }
  queue.push_back(id);
  for (const auto next : queue) {
    KSTONE_MUST(core.has_queued());
    KSTONE_MUST(core.take() == next);
  }
  KSTONE_MUST(!core.has_queued());
  KSTONE_MUST(core.queued() == 0);
  return nullptr;
}

// What must hold between a state and the next, once closing is over.
inline const char* difference_of_step(const SchedulingCore& before, const SchedulingCore& after,
                                      std::uint32_t stripe_count) {
  using State = SchedulingCore::State;
  for (std::uint32_t id = 0; id < stripe_count; ++id) {
    const auto was = before.stripe(id).state;
    const auto is = after.stripe(id).state;
    // Together: a stripe starts once more at most.
    KSTONE_MUST(was != State::idle || is == State::idle);  // C5
    KSTONE_MUST(was != State::running || before.rerun_owed(id) || is != State::queued);
    KSTONE_MUST(before.rerun_owed(id) || !after.rerun_owed(id));
  }
  KSTONE_MUST(after.mode() >= before.mode());
  return nullptr;
}

// The first of these that is not as it should be, or nullptr.
inline const char* difference(const Shell& before, const SchedulingCore& core_before,
                              const Shell& expected, const SchedulingCore& core) {
  const auto stripe_count = expected.size.stripes;
  const char* found = difference_of_core(expected.core, core, stripe_count);
  if (found == nullptr && !expected.closing()) {
    found = difference_of_answers(expected, core);
  }
  if (found == nullptr && before.mode_applied) {
    found = difference_of_step(core_before, core, stripe_count);
  }
  return found == nullptr ? difference_of_queue(expected.core, core, stripe_count) : found;
}

#undef KSTONE_MUST

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_STEPS_H_
