// What can happen to the scheduling core inside the shell, step by step, and what it must look like
// after each step.
//
// `Shell` is the worker of `protocol/`, the reference. A `Step` changes a `Shell` and, by the same
// calls as the shell makes, a `System`, which holds the core. `difference` compares the two.

#ifndef KSTONE_PROPTESTS_CORE_STEPS_H_
#define KSTONE_PROPTESTS_CORE_STEPS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../protocol/invariants.h"
#include "kstone/detail/core/scheduling_core.h"

namespace kstone::proptests {

using detail::SchedulingCore;

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
  leave_out_mark,            // a stripe that is taken over is not under way
  enqueue_twice,             // a node that arrives late is linked whatever its stripe does
  believe_node,              // ... is taken for a request, though none is in the word
  drop_node,                 // ... is dropped, though a request is in the word
};
constexpr Fault last_fault = Fault::drop_node;

inline const char* to_string(Fault fault) {
  constexpr const char* names[] = {
      "none",           "forget_rerun",         "swap_ends",           "run_after_finish_running",
      "lose_discarded", "link_newest_first",    "lose_third",          "overlook_claim",
      "overlook_rerun", "ignore_strengthening", "count_first_request", "lose_error",
      "leave_out_mark", "enqueue_twice",        "believe_node",        "drop_node"};
  return names[static_cast<std::size_t>(fault)];
}

// The system under test.
struct System {
  using State = SchedulingCore::State;

  explicit System(std::uint32_t stripe_count, Fault planted = Fault::none)
      : core(stripe_count), fault(planted) {}

  // The node of a stripe whose word has requests, or has none. What the core requires is looked at
  // here, so that a fault is told of and not only fatal.
  void link(std::uint32_t id, bool requested) {
    if (core.stripe(id).under_way) {
      link_late(id, requested);
    } else if (core.stripe(id).state != State::idle) {
      broken = "a stripe whose node arrives is idle, or under way";
    } else if (fault != Fault::lose_third || core.queued() != 2) {
      core.enqueue(id);
    }
  }
  void link_late(std::uint32_t id, bool requested) {
    core.arrive_late(id, (requested || fault == Fault::believe_node) && fault != Fault::drop_node);
    if (fault == Fault::enqueue_twice && core.stripe(id).state != State::idle) {
      link(id, requested);
    }
  }
  detail::Effects adopt(std::uint32_t id) {
    if (fault == Fault::leave_out_mark) {
      core.enqueue(id);
      return {.wake = detail::Effects::Wake::one_more};
    }
    return core.adopt(id);
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
      core.stop({});
    }
  }

  SchedulingCore core;
  Fault fault;
  const char* broken = nullptr;  // of what the core requires
};

enum class Call : std::uint8_t {
  request,  // a call's step on the stripe's word
  list,     // ... and its second, if it claimed the stripe
  start,    // with `count` threads
  admit,    // the list is taken
  // A stripe that is claimed, or listed since the list was taken, is taken over.
  adopt,
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
struct Ending {
  const char* name;
  CompactionOutcome::Kind kind;
  const char* error = nullptr;
  bool thread_ends = false;
};
inline constexpr Ending endings[] = {
    {"done", CompactionOutcome::Kind::done},
    {"nothing_to_do", CompactionOutcome::Kind::nothing_to_do},
    {"more_work", CompactionOutcome::Kind::more_work},
    {"retry", CompactionOutcome::Kind::retry, "disk full"},
    {"failed", CompactionOutcome::Kind::failed, "bad block"},
    {"failed, without text", CompactionOutcome::Kind::failed, ""},
    {"stopped", CompactionOutcome::Kind::stopped},
    {"failed, its thread ends", CompactionOutcome::Kind::failed, "thread ended", true},
};

struct Step {
  Call call{};
  std::uint32_t stripe = 0;  // request, list, adopt, finish
  // Start: threads. take, close_stripe: that many more requests have just come.
  std::uint32_t count = 0;
  std::uint32_t ending = 0;                 // finish: of `endings`
  ShutdownMode mode = ShutdownMode::drain;  // apply
};

inline std::string to_string(const Step& step) {
  const auto stripe = std::to_string(step.stripe);
  const auto more =
      step.count == 0 ? std::string() : ", after " + std::to_string(step.count) + " more requests";
  switch (step.call) {
    case Call::request:
      return "request(" + stripe + ")";
    case Call::list:
      return "list(" + stripe + ")";
    case Call::start:
      return "start, " + std::to_string(step.count) + " threads";
    case Call::admit:
      return "take the list";
    case Call::adopt:
      return "adopt(" + stripe + ")";
    case Call::take:
      return "take()" + more;
    case Call::finish:
      return "finish(" + stripe + ", " + endings[step.ending].name + ")";
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

// Numbers of errors, for the protocol.
inline std::uint32_t number_of_error(std::uint32_t ending) {
  return endings[ending].error != nullptr ? ending + 1 : 0;
}
inline std::string error_of_number(std::uint32_t number) {
  const std::string text = number == 0 ? "" : endings[number - 1].error;
  return number != 0 && text.empty() ? "no text" : text;
}

// The worker as far as the core can tell, by the protocol: no thread of it sleeps.
struct Shell : protocol::State<std::uint32_t, bool> {
  Size size;

  explicit Shell(Size s) : State(static_cast<int>(s.stripes)), size(s) {}

  // That `step` can come next.
  bool possible(const Step& step) const {
    const auto& stripe = stripes[step.stripe];
    switch (step.call) {
      // A later one is rejected, and the core never learns of it.
      case Call::request:
        return !stripe.word.closed;
      case Call::list:
        return worker.may_push(stripe);
      case Call::start:
        return worker.may_start() && step.count >= 1 && step.count <= size.threads;
      case Call::admit:
        return worker.may_take_inbox();
      case Call::adopt:
        return worker.may_adopt(stripe);
      case Call::take:
        return std::any_of(stripes.begin(), stripes.end(),
                           [&](const auto& each) { return may_take(each); }) &&
               (!worker.closed || step.count == 0);
      case Call::finish:
        return worker.may_release(stripe);
      case Call::leave:
        return worker.may_leave();
      case Call::close:
        return worker.may_close();
      case Call::close_stripe:
        return worker.may_close_stripe(worker.words_closed) &&
               (step.count == 0 || stripes[worker.words_closed].asked());
      case Call::apply:
        return worker.may_apply();
      case Call::discard_queue:
        return worker.may_discard_queue();
    }
    return false;
  }

  void perform(const Step& step) {
    auto& stripe = stripes[step.stripe];
    switch (step.call) {
      case Call::request:
        worker.request(stripe);
        return;
      case Call::list:
        return worker.push(stripe, step.stripe);
      case Call::start:
        return worker.start(step.count);
      case Call::admit:
        return take_inbox();
      case Call::adopt:
        return adopt(stripe);
      case Call::take: {
        auto& head = stripes[queue().front()];
        request(head, step.count);
        return take(head);
      }
      case Call::finish:
        return finish(stripe, step.ending);
      case Call::leave:
        return worker.leave();
      case Call::close:
        return close();
      case Call::close_stripe:
        request(stripes[worker.words_closed], step.count);
        return worker.close_stripe(stripes[worker.words_closed]);
      case Call::apply:
        return apply(step.mode);
      case Call::discard_queue:
        return discard_queue();
    }
  }

 private:
  void request(Stripe& stripe, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      worker.request(stripe);
    }
  }
  // Both halves: to the core, a request in between is one before.
  void finish(Stripe& stripe, std::uint32_t ending) {
    const auto kind = endings[ending].kind;
    release(stripe, kind);
    State::finish(stripe, kind, number_of_error(ending));
    if (endings[ending].thread_ends) {
      worker.leave();
    }
  }
};

// What a node that arrives late finds.
enum class Late : std::uint8_t {
  queued,           // its stripe waits already, or again
  running,          // ... is being compacted
  with_requests,    // ... is idle, and requested anew: the node brings it
  without_request,  // ... is idle, and of no use
  at_closing,       // any of these, as the worker closes
};
constexpr std::size_t late_count = 5;

// How many so, at a step.
using LateArrivals = std::array<std::uint64_t, late_count>;
inline void count_late(const Shell& before, const Shell& after, const Step& step,
                       LateArrivals& counts) {
  for (std::size_t id = 0; id < before.stripes.size(); ++id) {
    const auto& stripe = before.stripes[id];
    if (stripe.pushed && stripe.word.under_way && !after.stripes[id].pushed) {
      const auto finds = stripe.queued    ? Late::queued
                         : stripe.running ? Late::running
                         : stripe.asked() ? Late::with_requests
                                          : Late::without_request;
      ++counts[static_cast<std::size_t>(finds)];
      counts[static_cast<std::size_t>(Late::at_closing)] += step.call == Call::close;
    }
  }
}
// The first that never came, or nullptr.
inline const char* never_came(const LateArrivals& counts) {
  constexpr const char* names[] = {"queued", "running", "idle, with requests",
                                   "idle, without request", "at closing"};
  const auto none = std::find(counts.begin(), counts.end(), 0U);
  return none == counts.end() ? nullptr : names[none - counts.begin()];
}

// Every stripe of the list goes behind the core's queue, or is of no use.
inline void admit(System& system, const Shell& before) {
  auto list = before.inbox();
  if (system.fault == Fault::link_newest_first) {
    std::reverse(list.begin(), list.end());
  }
  for (const auto id : list) {
    system.link(id, before.stripes[id].asked());
  }
}

// The calls of the core that the shell, in the state `before`, makes at `step`; `after` it the
// protocol has come to what it says. The sentence that does not hold of what they return or
// require, or nullptr.
inline const char* perform(System& system, const Shell& before, const Step& step,
                           const Shell& after) {
  using Wake = detail::Effects::Wake;
  auto& core = system.core;
  const auto wake = after.worker.has_queued() ? Wake::one_more : Wake::nobody;
  switch (step.call) {
    case Call::request:
    case Call::list:
    case Call::start:
    case Call::leave:
      break;
    case Call::admit:
      admit(system, before);
      break;
    case Call::adopt:
      if (system.adopt(step.stripe).wake != wake) {
        return "adopt() wakes another thread";
      }
      break;
    case Call::take: {
      const auto taken = core.take();
      const auto id = taken.stripe_id;
      if (id != before.queue().front()) {
        return "take() is the head of the protocol's queue";
      }
      if (taken.effects.wake != wake) {
        return "take() wakes another thread if it leaves a stripe";
      }
      if (!core.closed()) {
        system.count_coalesced(before.stripes[id].word.requests + step.count - 1);
      }
      break;
    }
    case Call::finish: {
      const auto& ending = endings[step.ending];
      const bool requested =
          core.closed() ? core.rerun_owed(step.stripe) : before.stripes[step.stripe].asked();
      if (requested || ending.kind == CompactionOutcome::Kind::more_work) {
        admit(system, before);
      }
      system.finish(step.stripe, ending.kind, requested);
      if (ending.error != nullptr) {
        system.record_error(ending.error);
      }
      break;
    }
    case Call::close:
      admit(system, before);
      core.close({});
      break;
    case Call::close_stripe:
      system.close_stripe(before.worker.words_closed,
                          before.stripes[before.worker.words_closed].word.requests + step.count);
      break;
    case Call::apply:
      system.apply(step.mode, !before.worker.applied);
      break;
    case Call::discard_queue:
      system.discard_queue();
      break;
  }
  return system.broken;
}

// The sentence that does not hold, or nullptr.
#define KSTONE_MUST(condition) \
  if (!(condition)) return #condition

// Every observable of the core against the protocol, and the numbered invariants.
inline const char* difference_of_worker(const Shell& expected, const SchedulingCore& core) {
  const auto& worker = expected.worker;
  KSTONE_MUST(core.closed() == worker.closed);
  KSTONE_MUST(core.mode() == static_cast<ShutdownMode>(worker.mode));
  KSTONE_MUST(core.queued() == worker.queued);
  KSTONE_MUST(core.has_queued() == worker.has_queued());
  KSTONE_MUST(core.running() == worker.running);
  KSTONE_MUST(core.running_max() == worker.running_max);
  KSTONE_MUST(core.first_error() == error_of_number(worker.first_error));

  WorkerCounters sum;
  std::uint32_t running = 0;
  for (const auto& stripe : expected.stripes) {
    sum.queued += stripe.learnt_of(Submission::queued);
    sum.coalesced += stripe.learnt_of(Submission::coalesced);
    sum.rerun_pending += stripe.learnt_of(Submission::rerun_pending);
    sum.episodes_opened += stripe.opened();
    sum.episodes_done += stripe.ends_as(protocol::End::done);
    sum.episodes_failed += stripe.ends_as(protocol::End::failed);
    sum.episodes_cancelled += stripe.ends_as(protocol::End::cancelled);
    sum.episodes_discarded += stripe.ends_as(protocol::End::discarded);
    sum.compactions_started += stripe.started;
    for (std::size_t kind = 0; kind < CompactionOutcome::kind_count; ++kind) {
      sum.outcomes[static_cast<CompactionOutcome::Kind>(kind)] += stripe.outcomes[kind];
    }
    running += stripe.running;
  }
  const auto& counters = core.counters();
  KSTONE_MUST(core.running() == running);  // C2
  KSTONE_MUST(counters == sum);
  const auto all_ended = counters.episodes_done + counters.episodes_failed +
                         counters.episodes_cancelled + counters.episodes_discarded;
  KSTONE_MUST(counters.episodes_opened == all_ended + core.alive());                        // C3
  KSTONE_MUST(!core.closed() || core.mode() == ShutdownMode::drain || core.queued() == 0);  // C5
  return nullptr;
}

inline const char* difference_of_stripes(const Shell& expected, const SchedulingCore& core) {
  using State = SchedulingCore::State;
  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    const auto& stripe = core.stripe(id);
    const auto& like = expected.stripes[id];
    KSTONE_MUST((stripe.state == State::queued) == like.queued);  // C1
    KSTONE_MUST((stripe.state == State::running) == like.running);
    KSTONE_MUST(stripe.rerun_owed == like.rerun_owed);
    KSTONE_MUST(core.rerun_owed(id) == stripe.rerun_owed);
    KSTONE_MUST(!stripe.rerun_owed || (stripe.state == State::running && core.closed() &&
                                       core.mode() == ShutdownMode::drain));  // C4
    KSTONE_MUST(stripe.discarded == like.discarded);
    KSTONE_MUST(stripe.unfinished == like.unfinished);
    KSTONE_MUST(stripe.under_way == like.word.under_way);
    KSTONE_MUST(stripe.ended == like.ended());
    KSTONE_MUST(stripe.attempts == like.attempts);
    KSTONE_MUST(core.alive_episodes(id, 0) == like.opened() - like.ended());
    alive += core.alive_episodes(id, 0);
  }
  KSTONE_MUST(core.alive() == alive);
  return nullptr;
}

// What callers were told against what a snapshot says of them, and what wait_idle waits for. Only
// while the mutex can be free: not in the middle of closing.
inline const char* difference_of_answers(const Shell& expected, const SchedulingCore& core) {
  WorkerSnapshot snapshot;
  core.fill(snapshot);
  const std::uint64_t rejected = core.closed() ? 3 : 0;  // in each closed word
  std::uint64_t told[3] = {};                            // by Submission
  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < expected.size.stripes; ++id) {
    const auto& stripe = expected.stripes[id];
    const auto requests = stripe.word.requests;
    core.add_pending(id, requests + rejected, snapshot);
    const auto not_ended = stripe.told_opened() - core.stripe(id).ended;
    KSTONE_MUST(core.alive_episodes(id, requests) == not_ended);
    KSTONE_MUST(core.closed() || core.can_adopt(id, requests) == expected.worker.may_adopt(stripe));
    KSTONE_MUST(core.closed() || core.stripe(id).state != SchedulingCore::State::queued ||
                requests != 0);
    alive += not_ended;
    std::transform(told, told + 3, stripe.told, told, std::plus<std::uint64_t>{});
  }
  KSTONE_MUST(snapshot.queued == told[0]);
  KSTONE_MUST(snapshot.coalesced == told[1]);
  KSTONE_MUST(snapshot.rerun_pending == told[2]);
  KSTONE_MUST(snapshot.rejected_shutting_down == rejected * expected.size.stripes);
  KSTONE_MUST(snapshot.episodes_opened == told[0] + told[2]);
  KSTONE_MUST(snapshot.episodes_alive == alive);
  return nullptr;
}

// What the core does not show, on a copy that is used up: both ends of its queue. One more stripe
// joins the queue, then all of it is taken.
inline const char* difference_of_queue(const Shell& expected, SchedulingCore core) {
  using State = SchedulingCore::State;
  const auto stripe_count = expected.size.stripes;
  auto queue = expected.queue();
  std::uint32_t id = 0;
  while (id < stripe_count && core.stripe(id).state == State::queued) {
    ++id;
  }
  if (id == stripe_count) {
    id = core.take().stripe_id;
    KSTONE_MUST(id == queue.front());
    queue.erase(queue.begin());
  }
  if (core.stripe(id).state == State::idle && !core.closed()) {
    core.enqueue(id);
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
    KSTONE_MUST(core.take().stripe_id == next);
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
  const char* found = difference_of_worker(expected, core);
  if (found == nullptr) {
    found = difference_of_stripes(expected, core);
  }
  if (found == nullptr && !expected.worker.closing()) {
    found = difference_of_answers(expected, core);
  }
  if (found == nullptr && before.worker.applied) {
    found = difference_of_step(core_before, core, expected.size.stripes);
  }
  if (found == nullptr) {
    found = protocol::broken(expected);
  }
  return found == nullptr ? difference_of_queue(expected, core) : found;
}

#undef KSTONE_MUST

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_STEPS_H_
