// Random sequences of everything the scheduling core can do, against the reference. Sequences shrink to a readable few.
//
// The core's own faults are planted by `Faulty`, which changes one call: each must be found, or this program fails.

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <iostream>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "kstone/scheduling_core.h"
#include "reference.h"

// In RapidCheck's library, but in none of its installed headers; it prints the line only when the process ends.
namespace rc::detail {
std::string reproduceMapToString(const std::unordered_map<std::string, Reproduce>& map);
}

namespace kstone::proptests {
namespace {

constexpr std::uint32_t stripe_count = 5;

// Any of `count` values with equal chance: inRange alone leaves the high ones out of short sequences.
template <class T>
T any_of(T count) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(0, count));
}

enum class Fault { none, forget_rerun, run_after_finish_running, lose_discarded, swap_ends };

// The system under test: the core, and what the shell keeps for it: whether each stripe's word holds requests.
struct System {
  SchedulingCore core{stripe_count};
  Fault fault = Fault::none;

  void finish(std::uint32_t id, CompactionOutcome::Kind kind, bool requested) {
    core.finish(id, fault == Fault::swap_ends && kind == CompactionOutcome::Kind::stopped
                        ? CompactionOutcome::Kind::failed
                        : kind,
                requested && (fault != Fault::forget_rerun || core.closed()));  // closed, the core itself would object
  }
  void apply(ShutdownMode mode) {
    core.apply(fault == Fault::run_after_finish_running && mode == ShutdownMode::finish_running ? ShutdownMode::drain
                                                                                                 : mode);
  }
};

std::uint64_t count(const Reference& reference, End how) {
  return static_cast<std::uint64_t>(std::count(reference.ended.begin(), reference.ended.end(), how));
}

// Every observable of the core against the reference, and the numbered invariants.
void compare(const Reference& expected, const SchedulingCore& core) {
  RC_ASSERT(core.queued() == expected.queue.size());
  RC_ASSERT(core.has_queued() == !expected.queue.empty());
  RC_ASSERT(core.running() == expected.running.size());  // C2
  RC_ASSERT(core.closed() == expected.closed);
  const auto& counters = core.counters();
  RC_ASSERT(counters.done == count(expected, End::done));
  RC_ASSERT(counters.failed == count(expected, End::failed));
  RC_ASSERT(counters.cancelled == count(expected, End::cancelled));
  RC_ASSERT(counters.discarded == count(expected, End::discarded));
  RC_ASSERT(counters.coalesced == expected.coalesced);
  std::uint64_t alive = 0;
  for (std::uint32_t id = 0; id < stripe_count; ++id) {
    const auto open = expected.open.count(id) != 0 ? expected.open.at(id) : 0;
    alive += static_cast<std::uint64_t>(open);
    const auto& stripe = core.stripe(id);
    const auto queued = std::count(expected.queue.begin(), expected.queue.end(), id);
    RC_ASSERT(queued <= 1);  // C1
    RC_ASSERT((stripe.state == SchedulingCore::State::queued) == (queued == 1));
    RC_ASSERT((stripe.state == SchedulingCore::State::running) == (expected.running.count(id) == 1));
    RC_ASSERT(stripe.rerun_owed == (expected.owed.count(id) == 1));
    RC_ASSERT(!stripe.rerun_owed || (core.closed() && core.mode() == ShutdownMode::drain));  // C4
    RC_ASSERT(stripe.discarded == (expected.discarded.count(id) == 1));
    RC_ASSERT(stripe.unfinished == (expected.unfinished.count(id) == 1));
    RC_ASSERT(core.alive_episodes(id, 0) == static_cast<std::uint32_t>(open));
  }
  RC_ASSERT(core.alive() == alive);
  RC_ASSERT(counters.opened == counters.done + counters.failed + counters.cancelled + counters.discarded + alive);  // C3
  RC_ASSERT(counters.opened == counters.queued + counters.rerun_pending);
  RC_ASSERT(!core.closed() || core.mode() == ShutdownMode::drain || core.queued() == 0U);  // C5
}

using Command = rc::state::Command<Reference, System>;

// A command whose effect on both sides is one call; `show` gives the call.
struct Call : Command {
  void run(const Reference& before, System& system) const override {
    Reference after = before;
    apply(after);
    perform(system, before);
    compare(after, system.core);
  }
  virtual void perform(System& system, const Reference& before) const = 0;
};

struct Link : Call {
  std::uint32_t id = any_of(stripe_count);
  void checkPreconditions(const Reference& s) const override { RC_PRE(!s.closed && s.idle(id)); }
  void apply(Reference& s) const override { s.link(id); }
  void perform(System& system, const Reference&) const override { system.core.link(id); }
  void show(std::ostream& out) const override { out << "link(" << id << ")"; }
};

struct Take : Call {
  void checkPreconditions(const Reference& s) const override { RC_PRE(!s.queue.empty()); }
  void apply(Reference& s) const override { s.take(); }
  void perform(System& system, const Reference& before) const override {
    RC_ASSERT(system.core.take() == before.queue.front());
  }
  void show(std::ostream& out) const override { out << "take()"; }
};

struct Finish : Call {
  std::uint32_t id = any_of(stripe_count);
  CompactionOutcome::Kind kind = static_cast<CompactionOutcome::Kind>(any_of(6));
  bool asked = *rc::gen::arbitrary<bool>();

  // In a closed core, what was requested is what it owes.
  bool requested(const Reference& s) const { return s.closed ? s.owed.count(id) != 0 : asked; }
  void checkPreconditions(const Reference& s) const override { RC_PRE(s.running.count(id) != 0); }
  void apply(Reference& s) const override { s.finish(id, kind, requested(s)); }
  void perform(System& system, const Reference& before) const override {
    system.finish(id, kind, requested(before));
  }
  void show(std::ostream& out) const override {
    out << "finish(" << id << ", " << to_string(kind) << (asked ? ", requested" : "") << ")";
  }
};

struct Close : Call {
  std::vector<std::uint64_t> words = *rc::gen::container<std::vector<std::uint64_t>>(
      stripe_count, rc::gen::resize(rc::kNominalSize, rc::gen::inRange<std::uint64_t>(0, 4)));
  ShutdownMode mode = static_cast<ShutdownMode>(any_of(3));

  void checkPreconditions(const Reference& s) const override { RC_PRE(!s.closed); }
  // A queued stripe's word holds at least the request that queued it.
  std::uint64_t word(const Reference& s, std::uint32_t id) const {
    const bool queued = !s.idle(id) && s.running.count(id) == 0;
    return queued ? words[id] + 1 : words[id];
  }
  void apply(Reference& s) const override {
    const Reference before = s;
    s.close();
    for (std::uint32_t id = 0; id < stripe_count; ++id) {
      s.close_stripe(id, word(before, id));
    }
    s.apply(mode);
  }
  void perform(System& system, const Reference& before) const override {
    system.core.close();
    for (std::uint32_t id = 0; id < stripe_count; ++id) {
      system.core.close_stripe(id, word(before, id));
    }
    system.apply(mode);
  }
  void show(std::ostream& out) const override {
    out << "close(" << to_string(mode) << ", words";
    for (const auto word : words) {
      out << " " << word;
    }
    out << ")";
  }
};

struct Strengthen : Call {
  ShutdownMode mode = static_cast<ShutdownMode>(any_of(3));
  void checkPreconditions(const Reference& s) const override { RC_PRE(s.closed); }
  void apply(Reference& s) const override { s.apply(mode); }
  void perform(System& system, const Reference&) const override { system.apply(mode); }
  void show(std::ostream& out) const override { out << "apply(" << to_string(mode) << ")"; }
};

struct DiscardQueue : Call {
  void checkPreconditions(const Reference& s) const override { RC_PRE(s.closed && s.running.empty()); }
  void apply(Reference& s) const override { s.discard_queue(); }
  void perform(System& system, const Reference&) const override {
    if (system.fault != Fault::lose_discarded) {
      system.core.discard_queue();
    }
  }
  void show(std::ostream& out) const override { out << "discard_queue()"; }
};

void run_sequence(Fault fault) {
  System system;
  system.fault = fault;
  rc::state::check(Reference{}, system,
                   rc::state::gen::execOneOfWithArgs<Link, Link, Take, Take, Finish, Finish, Finish, Close, Strengthen,
                                                     DiscardQueue>());
}

// The line that brings a failure back.
std::string reproduction(const rc::detail::TestResult& result) {
  std::ostringstream out;
  if (result.is<rc::detail::FailureResult>()) {
    const auto& failure = result.get<rc::detail::FailureResult>();
    out << "\nRC_PARAMS=\"reproduce=" << rc::detail::reproduceMapToString({{"core", failure.reproduce}}) << "\"";
  }
  return out.str();
}

rc::detail::TestResult explore(Fault fault) { 
  rc::detail::TestMetadata metadata;
  metadata.id = "core";
  return rc::detail::checkTestable([fault] { run_sequence(fault); }, metadata);
}

TEST(Core, every_sequence_agrees_with_the_reference) {
  const auto result = explore(Fault::none);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  std::cout << text.str() << "\n";
  RecordProperty("result", text.str());  // in the XML too: the sequence, and the RC_PARAMS line that brings it back
  ASSERT_TRUE(result.is<rc::detail::SuccessResult>()) << text.str() << reproduction(result);
  RecordProperty("sequences", result.get<rc::detail::SuccessResult>().numSuccess);
}

class PlantedFault : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, is_found) {
  const auto result = explore(GetParam());
  ASSERT_TRUE(result.is<rc::detail::FailureResult>()) << "no sequence found the planted fault";
  rc::detail::printResultMessage(result, std::cout);  // the shortest sequence that shows it
  std::cout << "\n";
}

INSTANTIATE_TEST_SUITE_P(Core, PlantedFault,
                         testing::Values(Fault::forget_rerun, Fault::run_after_finish_running, Fault::lose_discarded,
                                         Fault::swap_ends));

}  // namespace
}  // namespace kstone::proptests

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
