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
  leave,   // a thread that finds a closed core that is settled, and an empty queue
  close,   // list and core
  settle,  // the next one
  strengthen,
  discard_queue,  // by shutdown, once no thread is left
  cancel,
  remove,
  restore,
  pause,  // also what is paused already
  resume,
  pause_all,
  resume_all,
  expire,   // a stripe that is delayed is due
  release,  // its failures are forgotten, and its quarantine is over
};
constexpr Call last_call = Call::release;

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
    case Call::expire:
    case Call::release:
      return true;
    default:
      return false;
  }
}

// That more requests may have come just before it.
constexpr bool may_follow_requests(Call call) {
  return call == Call::take || call == Call::settle || call == Call::cancel ||
         call == Call::remove || call == Call::restore;
}

// How a compaction ends.
struct Ending {
  const char* name;
  CompactionOutcome::Kind kind;
  const char* error = nullptr;
  bool thread_ends = false;
  protocol::Retries retries = protocol::Retries::none;
  bool resource = false;

  // Of a compaction of a stripe that has failed so often before it.
  protocol::Ending to_protocol(std::uint32_t failures) const {
    const bool again = retries == protocol::Retries::all ||
                       (is_delayed() && kind == CompactionOutcome::Kind::retry);
    return {kind, retries, again && !resource && failures + 1 >= quarantine_after};
  }
  bool is_delayed() const { return retries != protocol::Retries::none; }
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
    {"retry, delayed", CompactionOutcome::Kind::retry, "busy", false,
     protocol::Retries::those_that_say_so},
    {"retry, a resource is gone", CompactionOutcome::Kind::retry, "no room", false,
     protocol::Retries::all, true},
    {"failed, only a request retries", CompactionOutcome::Kind::failed, "bad index", false,
     protocol::Retries::those_that_say_so},
    {"failed, retried", CompactionOutcome::Kind::failed, "bad block", false,
     protocol::Retries::all},
};

struct Step {
  Call call{};
  std::uint32_t stripe = 0;  // of a call that is of one
  // Start: threads. take, settle, cancel, remove, restore: that many more requests have just
  // come.
  std::uint32_t count = 0;
  std::uint32_t ending = 0;                 // finish: of `endings`
  ShutdownMode mode = ShutdownMode::drain;  // close, strengthen
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
      return "close(" + std::string(kstone::to_string(step.mode)) + ")";
    case Call::settle:
      return "settle()" + more;
    case Call::strengthen:
      return "strengthen(" + std::string(kstone::to_string(step.mode)) + ")";
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
    case Call::expire:
      return "expire(" + stripe + ")";
    case Call::release:
      return "release(" + stripe + ")";
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
  std::vector<std::uint32_t> failures;  // of each stripe in a row, as far as they tell
  std::uint32_t told_removed = 0;       // answers of rejected_removed
  std::uint32_t next_to_settle = 0;
  bool stopped = false;  // the queue was discarded when no thread was left

  explicit Shell(Size s)
      : State(static_cast<int>(s.stripes)),
        size(s),
        ended_early(s.stripes),
        failures(s.stripes),
        early_seen_(s.stripes) {}

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
        return worker.control.may_take_inbox();
      case Call::adopt:
        return worker.may_adopt(stripe);
      case Call::take:
        return worker.has_ready() && worker.looking() != 0 && (!worker.closed || step.count == 0);
      case Call::finish:
        return stripe.running;
      case Call::leave:
        return settled() && worker.may_leave();
      case Call::close:
        return !worker.closed;
      case Call::settle:
        return worker.closed && !settled() && (step.count == 0 || stripes[next_to_settle].asked());
      case Call::strengthen:
        return worker.may_strengthen();
      case Call::discard_queue:
        return settled() && worker.alive == 0;
      case Call::cancel:
        return step.count == 0 || (!worker.closed && stripe.word.wants());
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
      case Call::expire:
        return worker.may_expire(stripe);
      case Call::release:
        return !worker.closed;
    }
    return false;
  }

  // Every stripe of a closed worker is, at least once since its mode became stronger.
  bool settled() const { return next_to_settle == size.stripes; }

  void perform(const Step& step) {
    take_step(step);
    count_early();
  }

  // By whoever touches the stripe.
  void settle_if_closed(std::uint32_t id) {
    if (!worker.closed) {
      return;
    }
    next_to_settle += id == next_to_settle ? 1 : 0;
    auto& stripe = stripes[id];
    if (worker.may_close_stripe(stripe)) {
      worker.close_stripe(stripe);
    }
    if (worker.discards() && worker.may_discard(stripe)) {
      worker.discard(stripe);
    }
    count_early();
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
        worker.limit = std::max(step.count, 1U);  // none is one too many
        return worker.start(step.count);
      case Call::admit:
        return take_inbox();
      case Call::adopt:
        return adopt(stripe);
      case Call::take: {
        const auto head = queue().front();
        request(stripes[head], step.count);
        settle_if_closed(head);
        return take(stripes[head]);
      }
      case Call::finish:
        settle_if_closed(step.stripe);
        return finish(step.stripe, step.ending);
      case Call::leave:
        return worker.leave();
      case Call::close:
        take_inbox();
        return worker.close(step.mode);
      case Call::settle:
        request(stripes[next_to_settle], step.count);
        return settle_if_closed(next_to_settle);
      case Call::strengthen:
        if (worker.mode == 0 && step.mode != ShutdownMode::drain && !stopped) {
          next_to_settle = 0;
        }
        return worker.strengthen(step.mode);
      case Call::discard_queue:
        stopped = true;
        return discard();
      default:
        return hold_back(stripe, step);
    }
  }
  void hold_back(Stripe& stripe, const Step& step) {
    request(stripe, step.count);
    switch (step.call) {
      case Call::cancel:
        settle_if_closed(step.stripe);
        return worker.cancel(stripe);
      case Call::remove:
        return worker.remove(stripe);
      case Call::restore:
        failures[step.stripe] = 0;
        return worker.restore(stripe);
      case Call::pause:
        return worker.may_pause(stripe) ? worker.pause(stripe) : void();
      case Call::resume:
        return resume(stripe);
      case Call::pause_all:
        return worker.may_pause_all() ? worker.pause_all() : void();
      case Call::expire:
        return expire(stripe);
      case Call::release:
        failures[step.stripe] = 0;
        return stripe.quarantined ? end_quarantine(stripe) : void();
      default:
        return resume_all();
    }
  }

  void count_early() {
    for (std::size_t id = 0; id < stripes.size(); ++id) {
      const auto now = stripes[id].early;
      ended_early[id] += now > early_seen_[id] ? now - early_seen_[id] : 0;
      early_seen_[id] = now;
    }
  }
  void request(Stripe& stripe, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto answer = worker.request(stripe);
      told_removed += answer == static_cast<std::uint32_t>(Submission::rejected_removed) ? 1 : 0;
    }
  }
  // Both halves: to the core, a request in between is one before.
  void finish(std::uint32_t id, std::uint32_t ending) {
    auto& stripe = stripes[id];
    const auto how = endings[ending].to_protocol(failures[id]);
    if (how.failed()) {
      failures[id] = std::min(failures[id] + (endings[ending].resource ? 0 : 1), quarantine_after);
    } else if (how.kind != CompactionOutcome::Kind::stopped) {
      failures[id] = 0;
    }
    release(stripe, how);
    if (worker.puts_back(stripe, how)) {
      take_inbox();
    }
    worker.finish(stripe, how, number_of_error(ending));
    if (endings[ending].thread_ends) {
      worker.leave();
    }
  }

  std::vector<std::uint32_t> early_seen_;
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

// By whoever touches a stripe of a closed core.
inline void settle_if_closed(System& system, const Shell& before, std::uint32_t id,
                             std::uint32_t count) {
  if (system.core.closed()) {
    const auto& word = before.stripes[id].word;
    system.settle(id, word.closed ? 0 : word.requests + count);
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
  Shell settled = before;
  if (step.call == Call::cancel) {
    settle_if_closed(system, before, step.stripe, 0);
    settled.settle_if_closed(step.stripe);
  }
  const auto& stripe = settled.stripes[step.stripe];
  const auto requests = stripe.word.wants() ? stripe.word.requests + step.count : 0;
  const auto ready = after.worker.has_ready() ? Wake::one_more : Wake::nobody;
  switch (step.call) {
    case Call::cancel:
      return found(system.cancel(step.stripe, requests), settled, step)
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
    case Call::expire:
      return system.expire(step.stripe).wake == ready
                 ? nullptr
                 : "what is due wakes another thread if it can be taken";
    case Call::release:
      return system.release(step.stripe).wake == (stripe.waits_for_probe() ? ready : Wake::nobody)
                 ? nullptr
                 : "what is released wakes another thread if it can be taken";
    default:
      return system.resume_all().wake == ready
                 ? nullptr
                 : "resume_all() wakes another thread if a stripe can be taken again";
  }
}

inline const char* finish(System& system, const Shell& before, const Step& step) {
  auto& core = system.core;
  const auto& ending = endings[step.ending];
  settle_if_closed(system, before, step.stripe, 0);
  const bool requested =
      core.closed() ? core.rerun_owed(step.stripe).count != 0 : before.stripes[step.stripe].asked();
  const Failure failure{static_cast<detail::Retries>(ending.retries), ending.resource};
  const bool goes_on = system.goes_on(step.stripe, ending.kind, failure);
  if (goes_on != before.worker.goes_on(before.stripes[step.stripe], ending.to_protocol(0))) {
    return "goes_on() is the protocol's";
  }
  if (requested || goes_on) {
    admit(system, before);
  }
  system.finish(step.stripe, ending.kind, requested, failure);
  if (ending.error != nullptr) {
    system.record_error(step.stripe, ending.error);
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
      const auto head = before.queue().front();
      if (core.next_to_take() != head) {
        return "next_to_take() is the head of the protocol's queue";
      }
      settle_if_closed(system, before, head, 0);
      const auto taken = core.take();
      const auto id = taken.stripe_id;
      if (id != head) {
        return "take() is the head of the protocol's queue";
      }
      if (taken.effects.wake != wake) {
        return "take() wakes another thread if it leaves a stripe";
      }
      if (!core.closed()) {
        system.serve(id, before.stripes[id].word.requests + step.count);
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
      system.close(step.mode);
      break;
    case Call::settle:
      settle_if_closed(system, before, core.next_to_settle(), step.count);
      break;
    case Call::strengthen:
      system.strengthen(step.mode);
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
