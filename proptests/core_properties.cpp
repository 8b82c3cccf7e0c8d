// Random sequences of everything that can happen to the scheduling core inside the shell, longer
// and for larger sizes than `core_enumeration.cpp` can visit, against the reference. Sequences
// shrink to a readable few.
//
// Faults are planted by `System`, which changes one call: each must be found, or this program
// fails.

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "core_differences.h"
#include "core_json.h"
#include "core_steps.h"

// In RapidCheck's library, but in none of its installed headers; it prints the line only when the
// process ends.
namespace rc::detail {
std::string reproduceMapToString(const std::unordered_map<std::string, Reproduce>& map);
}

namespace kstone::proptests {

void showValue(const Size& size, std::ostream& out) {
  out << size.stripes << " stripes, " << size.threads << " threads";
}

namespace {

int sequences_asked = 0;  // 0: as RC_PARAMS says
int length_asked = 0;
std::uint64_t steps_done = 0;
std::uint64_t adoptions = 0;
LateArrivals late{};
json share = {{"planted", 0}, {"planted_caught", 0}};

// Any of `count` values with equal chance: inRange alone leaves the high ones out of short
// sequences.
template <class T>
T any_of(T count) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(0, count));
}
std::uint32_t any_of(const std::vector<std::uint32_t>& ids) { return ids[any_of(ids.size())]; }

// Half of them small, where stripes and threads meet often.
Size any_size() {
  const bool small = any_of(2) == 0;
  const auto stripes = 1 + any_of(small ? 4U : 64U);
  return Size{stripes, 1 + any_of(small ? 3U : 16U)};
}

std::vector<std::uint32_t> stripes_for(const Shell& shell, Call call) {
  std::vector<std::uint32_t> result;
  for (std::uint32_t id = 0; id < shell.size.stripes; ++id) {
    if (shell.possible({.call = call, .stripe = id})) {
      result.push_back(id);
    }
  }
  return result;
}

// One of the steps that can come next. Closing is rare, most of all with many stripes, and then
// goes through.
Step any_step(const Shell& shell) {
  constexpr unsigned weights[] = {8, 8, 2, 4, 4, 8, 8, 4, 1, 40, 1,
                                  1, 3, 1, 2, 2, 3, 1, 2, 6, 2};  // by Call
  static_assert(std::size(weights) == static_cast<std::size_t>(last_call) + 1);
  std::vector<Call> calls;
  for (int i = 0; i <= static_cast<int>(last_call); ++i) {
    const auto call = static_cast<Call>(i);
    const bool possible =
        is_of_stripe(call) ? !stripes_for(shell, call).empty()
                           : shell.possible({.call = call, .count = call == Call::start ? 1U : 0U});
    const bool patient = shell.size.stripes > 4 && call != Call::close;
    if (possible) {
      calls.insert(calls.end(), patient ? 10 * weights[i] : weights[i], call);
    }
  }
  Step step{.call = calls[any_of(calls.size())]};
  switch (step.call) {
    case Call::request: {
      // Every other one for a stripe that runs, if any does.
      const auto running = stripes_for(shell, Call::finish);
      step.stripe = running.empty() || any_of(2) == 0 ? any_of(stripes_for(shell, step.call))
                                                      : any_of(running);
      break;
    }
    case Call::start:
      step.count = 1 + any_of(shell.size.threads);
      break;
    case Call::close:
    case Call::strengthen:
      step.mode = static_cast<ShutdownMode>(any_of(3));
      break;
    default:
      step.stripe = is_of_stripe(step.call) ? any_of(stripes_for(shell, step.call)) : 0;
      break;
  }
  if (step.call == Call::finish) {
    step.ending = static_cast<std::uint32_t>(any_of(static_cast<int>(std::size(endings))));
  }
  if (!shell.worker.closed && may_follow_requests(step.call)) {
    step.count = any_of(3U);
  }
  return step;
}

struct Next : rc::state::Command<Shell, System> {
  explicit Next(const Shell& shell) : step(any_step(shell)) {}

  void checkPreconditions(const Shell& shell) const override { RC_PRE(shell.possible(step)); }
  void apply(Shell& shell) const override { shell.perform(step); }
  void run(const Shell& before, System& system) const override {
    Shell after = before;
    after.perform(step);
    const SchedulingCore core_before = system.core;
    const char* found = perform(system, before, step, after);
    if (found == nullptr) {
      found = difference(before, core_before, after, system.core);
    }
    if (found != nullptr) {
      RC_FAIL(std::string("Does not hold: ") + found);
    }
    ++steps_done;
    adoptions += step.call == Call::adopt;
    count_late(before, after, step, late);
  }
  void show(std::ostream& out) const override { out << to_string(step); }

  Step step;
};

void run_sequence(Fault fault) {
  const Size size = *rc::gen::exec(any_size);
  System system(size.stripes, fault);
  rc::state::check(Shell(size), system, rc::state::gen::execOneOfWithArgs<Next>());
}

// The line that brings a failure back.
std::string reproduction(const rc::detail::TestResult& result) {
  std::ostringstream out;
  if (result.is<rc::detail::FailureResult>()) {
    const auto& failure = result.get<rc::detail::FailureResult>();
    out << "\nRC_PARAMS=\"reproduce="
        << rc::detail::reproduceMapToString({{"core", failure.reproduce}}) << "\"";
  }
  return out.str();
}

rc::detail::TestResult explore(Fault fault) {
  rc::detail::TestMetadata metadata;
  // A reproduction is for the one and not for the others.
  metadata.id = fault == Fault::none ? "core" : to_string(fault);
  auto params = rc::detail::configuration().testParams;
  params.maxSuccess =
      sequences_asked != 0 && fault == Fault::none ? sequences_asked : params.maxSuccess;
  params.maxSize = length_asked != 0 && fault == Fault::none ? length_asked : params.maxSize;
  return rc::detail::checkTestable([fault] { run_sequence(fault); }, metadata, params);
}

TEST(Core, every_sequence_agrees_with_the_reference) {
  const auto result = explore(Fault::none);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  std::cout << text.str() << "\n";
  // In the XML too: the sequence, and the RC_PARAMS line that brings it back.
  RecordProperty("result", text.str());
  share["sequence_steps"] = steps_done;
  share["adoptions"] = adoptions;
  share["late_arrivals"] = late;
  share["difference"] =
      result.is<rc::detail::SuccessResult>() ? "" : text.str() + reproduction(result);
  share["sequences"] = 0;
  ASSERT_TRUE(result.is<rc::detail::SuccessResult>()) << text.str() << reproduction(result);
  const auto sequences = result.get<rc::detail::SuccessResult>().numSuccess;
  share["sequences"] = sequences;
  RecordProperty("sequences", sequences);
  std::cout << sequences << " sequences, " << steps_done << " steps, " << adoptions
            << " adoptions, " << std::accumulate(late.begin(), late.end() - 1, 0ULL)
            << " late arrivals\n";
  ASSERT_EQ(never_came(late), nullptr);
}

class PlantedFault : public testing::TestWithParam<int> {};

TEST_P(PlantedFault, is_found) {
  share["planted"] = share["planted"].get<int>() + 1;
  const auto fault = static_cast<Fault>(GetParam());
  const auto result = explore(fault);
  ASSERT_TRUE(result.is<rc::detail::FailureResult>())
      << "no sequence found the planted fault " << to_string(fault);
  rc::detail::printResultMessage(result, std::cout);  // the shortest sequence that shows it
  std::cout << "\n";
  share["planted_caught"] = share["planted_caught"].get<int>() + 1;
}

INSTANTIATE_TEST_SUITE_P(Core, PlantedFault, testing::Range(1, static_cast<int>(last_fault) + 1),
                         [](const auto& planted) {
                           return std::string(to_string(static_cast<Fault>(planted.param)));
                         });

}  // namespace
}  // namespace kstone::proptests

int main(int argc, char** argv) {
  using namespace kstone::proptests;
  testing::InitGoogleTest(&argc, argv);
  CLI::App app{
      "Random sequences of the scheduling core. RC_PARAMS is read too; GoogleTest's options are "
      "known."};
  std::string file;
  app.add_option("--sequences", sequences_asked, "that many, instead of max_success")
      ->check(CLI::PositiveNumber);
  app.add_option("--length", length_asked, "up to that many steps in each, instead of max_size")
      ->check(CLI::PositiveNumber);
  app.add_option("--json", file, "merge the results into this file");
  CLI11_PARSE(app, argc, argv);
  const bool passed = RUN_ALL_TESTS() == 0;
  share["passed"] = passed;
  return merge_into(file, "sequences", share) && passed ? 0 : 1;
}
