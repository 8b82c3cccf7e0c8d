// The command line of a model executable: scenario files register suites, main() calls
// run_suites().
//
//   const model::Registered lost_wake_up = model::suite<LostWakeUp>({
//       .name = "request_while_falling_asleep_is_not_lost",
//       .property = "P2",
//       .sometimes = {"worker slept"},
//   });
//   const model::Registered broken = model::suite<LostWakeUpWithoutNotify>({
//       .name = "without_notify_request_is_lost", .property = "P2",
//       .expected = {model::Failure::deadlock},
//       .because = "main sleeps on idle"});
//
//   int main(int argc, char** argv) { return kstone::model::run_suites(argc, argv); }
//
// A suite that must pass is green if it is proved and each event of `sometimes` occurred in some
// executions and was absent in others; one that must fail, if it is refuted with one of the
// `expected` failures, whose message contains `because`. The exit code is 0 if every suite that ran
// is green, 1 if one is red, 2 for a wrong command line.

#ifndef KSTONE_MODEL_RUNNER_H_
#define KSTONE_MODEL_RUNNER_H_

#include <string>
#include <vector>

#include "explorer.h"

namespace kstone::model {

struct SuiteOptions {
  std::string name;
  std::string property = {};
  std::vector<Failure> expected = {};  // empty: must pass
  // Of a suite that must fail: what its message has to contain.
  std::string because = {};
  // Events that occur in some executions and not in others.
  std::vector<std::string> sometimes = {};
  std::vector<std::string> always = {};  // events that occur in every execution
  // Events that occur in none (declared by a cover() that is not reached).
  std::vector<std::string> never = {};
  int requesters = 0;  // for the report only
  int workers = 0;
  Limits limits = {};
  bool large = false;  // takes longer than the quick tests may: left out by --without-large
  // The suites (smaller; bounded) that together stand in where this one is cut short.
  std::string fallback = {};
};

struct Suite {
  SuiteOptions options;
  ScenarioTable table;
  Site site;  // the line that registers it
};

class Registered {
 public:
  explicit Registered(Suite suite);
};

// Histories write the values of atomics called `name` in these words.
struct ValuesInWords {
  ValuesInWords(const char* name, std::string (*words)(std::uint64_t));
};

std::vector<Suite>& registered_suites();

template <class Scenario>
Registered suite(SuiteOptions options, KSTONE_MODEL_SITE) {
  return Registered(Suite{std::move(options), scenario_table<Scenario>(""), KSTONE_MODEL_HERE});
}

// Whether the result is what the suite wants, and in words if it is not.
bool is_green(const Suite& suite, const Result& result, std::string& why);

// One search over `jobs` processes; equals the unsharded one.
Result explore_in_processes(const ScenarioTable& table, const Limits& limits, unsigned jobs);

// Which steps of a counter-example are printed: those of the engine and the scenario, the ones
// inside the worker summed up in a line unless --inner is given; or all.
enum class Rows { own, all };

int run_suites(int argc, char** argv, Rows rows = Rows::own);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RUNNER_H_
