// What can happen to the scheduling core inside the shell, step by step.
//
// `Shell` is the worker of `protocol/`, the reference. A `Step` changes a `Shell` and, by the same
// calls as the shell makes, a `System`, which holds the core.

#ifndef KSTONE_PROPTESTS_CORE_STEPS_H_
#define KSTONE_PROPTESTS_CORE_STEPS_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "../protocol/protocol.h"
#include "core_system.h"

namespace kstone::proptests {

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
  cancel,
  remove,
  restore,
  pause,  // also what is paused already
  resume,
  pause_all,
  resume_all,
};
constexpr Call last_call = Call::resume_all;

// That it is of one stripe, of which there are several.
constexpr bool is_of_stripe(Call call) {
  switch (call) {
    case Call::request:
    case Call::list:
    case Call::adopt:
    case Call::finish:
    case Call::cancel:
    case Call::remove:
    case Call::restore:
    case Call::pause:
    case Call::resume:
      return true;
    default:
      return false;
  }
}

// That more requests may have come just before it.
constexpr bool may_follow_requests(Call call) {
  return call == Call::take || call == Call::close_stripe || call == Call::cancel ||
         call == Call::remove || call == Call::restore;
}

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
  std::uint32_t stripe = 0;  // of a call that is of one
  // Start: threads. take, close_stripe, cancel, remove, restore: that many more requests have just
  // come.
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
    case Call::cancel:
      return "cancel(" + stripe + ")" + more;
    case Call::remove:
      return "remove(" + stripe + ")" + more;
    case Call::restore:
      return "restore(" + stripe + ")" + more;
    case Call::pause:
      return "pause(" + stripe + ")";
    case Call::resume:
      return "resume(" + stripe + ")";
    case Call::pause_all:
      return "pause_all()";
    case Call::resume_all:
      return "resume_all()";
  }
  return {};
}

constexpr std::size_t max_stripes = 64;

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
  // Episodes of each stripe that ended before an older one: the core counts them among the ends,
  // but not as one that a wait counts.
  std::vector<std::uint32_t> ended_early;
  std::uint32_t told_removed = 0;  // answers of rejected_removed

  explicit Shell(Size s) : State(static_cast<int>(s.stripes)), size(s), ended_early(s.stripes) {}

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
      case Call::cancel:
        return worker.may_cancel() && (step.count == 0 || stripe.word.wants());
      case Call::remove:
        return worker.may_remove(stripe);
      case Call::restore:
        return worker.may_restore(stripe);
      case Call::pause:
      case Call::pause_all:
        return !worker.closed;
      case Call::resume:
        return worker.may_resume(stripe);
      case Call::resume_all:
        return worker.may_resume_all();
    }
    return false;
  }

  void perform(const Step& step) {
    const auto early_before = early();
    take_step(step);
    const auto early_after = early();
    for (std::size_t id = 0; id < stripes.size(); ++id) {
      ended_early[id] +=
          early_after[id] > early_before[id] ? early_after[id] - early_before[id] : 0;
    }
  }

 private:
  void take_step(const Step& step) {
    auto& stripe = stripes[step.stripe];
    switch (step.call) {
      case Call::request:
        return request(stripe, 1);
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
      default:
        return hold_back(stripe, step);
    }
  }
  void hold_back(Stripe& stripe, const Step& step) {
    request(stripe, step.count);
    switch (step.call) {
      case Call::cancel:
        return worker.cancel(stripe);
      case Call::remove:
        return worker.remove(stripe);
      case Call::restore:
        return worker.restore(stripe);
      case Call::pause:
        return worker.may_pause(stripe) ? worker.pause(stripe) : void();
      case Call::resume:
        return resume(stripe);
      case Call::pause_all:
        return worker.may_pause_all() ? worker.pause_all() : void();
      default:
        return resume_all();
    }
  }

  std::array<std::uint32_t, max_stripes> early() const {
    std::array<std::uint32_t, max_stripes> result{};
    std::transform(stripes.begin(), stripes.end(), result.begin(),
                   [](const auto& stripe) { return stripe.early; });
    return result;
  }
  void request(Stripe& stripe, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto answer = worker.request(stripe);
      told_removed += answer == static_cast<std::uint32_t>(Submission::rejected_removed) ? 1 : 0;
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
      const auto finds = stripe.waits()   ? Late::queued
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

// What `cancel` and `remove` say they have found.
inline bool found(const SchedulingCore::Withdrawn& said, const Shell& before, const Step& step) {
  using Wake = detail::Effects::Wake;
  const auto& stripe = before.stripes[step.stripe];
  const bool asked = stripe.asked() || (step.count != 0 && stripe.word.wants());
  return said.waited == (stripe.waits() || (stripe.idle() && asked)) &&
         said.rerun_pending == (stripe.running && (asked || stripe.rerun_owed)) &&
         said.running == stripe.running && said.effects.tell_waits == said.waited &&
         said.effects.wake == Wake::nobody;
}

// As `perform` below.
inline const char* hold_back(System& system, const Shell& before, const Step& step,
                             const Shell& after) {
  using Wake = detail::Effects::Wake;
  const auto& stripe = before.stripes[step.stripe];
  const auto requests = stripe.word.wants() ? stripe.word.requests + step.count : 0;
  const auto ready = after.worker.has_ready() ? Wake::one_more : Wake::nobody;
  switch (step.call) {
    case Call::cancel:
      return found(system.cancel(step.stripe, requests), before, step)
                 ? nullptr
                 : "cancel() says what it found";
    case Call::remove:
      return found(system.remove(step.stripe, requests), before, step)
                 ? nullptr
                 : "remove() says what it found";
    case Call::restore:
      system.restore(step.stripe, stripe.word.requests + step.count);
      return nullptr;
    case Call::pause:
      return system.pause(step.stripe).tell_waits ? nullptr : "pause() tells who waits";
    case Call::resume:
      return system.resume(step.stripe).wake == (stripe.held ? ready : Wake::nobody)
                 ? nullptr
                 : "resume() wakes another thread if the stripe can be taken again";
    case Call::pause_all:
      return system.pause_all().tell_waits ? nullptr : "pause_all() tells who waits";
    default:
      return system.resume_all().wake == ready
                 ? nullptr
                 : "resume_all() wakes another thread if a stripe can be taken again";
  }
}

inline const char* finish(System& system, const Shell& before, const Step& step) {
  auto& core = system.core;
  const auto& ending = endings[step.ending];
  const bool requested =
      core.closed() ? core.rerun_owed(step.stripe) : before.stripes[step.stripe].asked();
  const bool goes_on = system.goes_on(step.stripe, ending.kind);
  if (goes_on != before.worker.goes_on(before.stripes[step.stripe], ending.kind)) {
    return "goes_on() is the protocol's";
  }
  if (requested || goes_on) {
    admit(system, before);
  }
  system.finish(step.stripe, ending.kind, requested);
  if (ending.error != nullptr) {
    system.record_error(ending.error);
  }
  return nullptr;
}

// The calls of the core that the shell, in the state `before`, makes at `step`; `after` it the
// protocol has come to what it says. The sentence that does not hold of what they return or
// require, or nullptr.
inline const char* perform(System& system, const Shell& before, const Step& step,
                           const Shell& after) {
  using Wake = detail::Effects::Wake;
  auto& core = system.core;
  const auto wake = after.worker.has_ready() ? Wake::one_more : Wake::nobody;
  if (step.call >= Call::cancel) {
    return hold_back(system, before, step, after);
  }
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
    case Call::finish:
      if (const char* sentence = finish(system, before, step)) {
        return sentence;
      }
      break;
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
    default:
      break;
  }
  return system.broken;
}

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_STEPS_H_
