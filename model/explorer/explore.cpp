// explore(): one search from its beginning to its verdict, and after a refutation the search for a
// counter-example with fewer preemptions.

#include <memory>

#include "explorer.h"
#include "explorer/counterexample.h"
#include "explorer/exploration.h"
#include "explorer/relacy.h"
#include "watchdog.h"

namespace kstone::model {
namespace explorer {
namespace {

// Equal threads are threads of the scenario, each in one group.
std::string refusal_of_equals(const ScenarioTable& scenario) {
  int after = 0;
  for (const EqualThreads::Group& group : scenario.equal_threads.groups) {
    const bool fits = group.count >= 0 && (group.count == 0 || group.first >= after) &&
                      group.first + group.count <= scenario.threads;
    if (!fits) {
      return "equal_threads names thread(" + std::to_string(group.first) + ") and " +
             std::to_string(group.count - 1) + " more; expected were groups in order, of " +
             std::to_string(scenario.threads) + " threads";
    }
    after = group.count == 0 ? after : group.first + group.count;
  }
  if (scenario.equal_dynamic_threads < 0 ||
      scenario.equal_dynamic_threads > scenario.dynamic_threads) {
    return "equal_dynamic_threads is " + std::to_string(scenario.equal_dynamic_threads) +
           "; expected was at most dynamic_threads, " + std::to_string(scenario.dynamic_threads);
  }
  return "";
}

// Why it cannot be explored; empty if it can.
std::string refusal(const ScenarioTable& scenario, const Limits& limits) {
  if (1 + scenario.threads + scenario.dynamic_threads > max_threads) {
    return "more than 7 application and dynamic threads";
  }
  if (const std::string why = refusal_of_equals(scenario); !why.empty()) {
    return why;
  }
  return CallSites::are_known(limits.demotions)
             ? ""
             : "an unknown memory order, or more than 64 demotions";
}

void run_to_the_end(Exploration& e) {
  const CrashIsFailure crash_is_failure;
  watchdog::watch(e.limits.step_seconds, on_standstill);
  const Finding finding = run_executions(e.threads.of_relacy());
  watchdog::unwatch();
  if (e.ending.failure == Failure::none && finding.failure != Failure::none) {
    e.ending.set(finding.failure, finding.text);
  }
  // A failure of another execution than the one to be repeated, too.
  if (e.search.diverged() || e.search.choices_left()) {
    e.ending.set(Failure::model_error, departs);
  }
}

// Why a search without a failure proves nothing; empty if it does.
std::string doubt(const Exploration& e) {
  if (e.limits.mode == Mode::random) {
    return "a random search proves nothing";
  }
  if (e.limits.mode == Mode::estimate) {
    return "an estimate proves nothing";
  }
  if (!e.limits.replay.empty()) {
    return "one execution replayed";
  }
  if (e.search.out_of_budget()) {
    return "the budget is used up";
  }
  return e.sites.all_demotions_used() ? "" : "a demotion names no call site that was executed";
}

void put_verdict(const Exploration& e, Result& result) {
  result.failure = e.ending.failure;
  result.message = e.ending.message;
  if (e.ending.standstill != Standstill::none && result.failure == Failure::model_error) {
    result.message = standstill_message();
  }
  if (result.failure == Failure::model_error) {
    result.reason = result.message;
  } else if (result.failure != Failure::none) {
    result.verdict = Verdict::refuted;
  } else {
    result.reason = doubt(e);
    result.verdict = result.reason.empty() ? Verdict::proved : Verdict::unknown;
  }
}

void put_numbers(const Exploration& e, Result& result) {
  result.executions_complete = e.search.executions_complete();
  result.executions_redundant = e.search.executions_redundant();
  result.longest_execution = e.longest_steps;
  result.stale_reads = e.surprises.with_stale_load;
  result.spurious_wakeups = e.surprises.with_spurious_wake_up;
  result.timeouts = e.surprises.with_timeout;
  if (e.limits.mode == Mode::estimate) {
    result.estimate = e.search.estimate();
    result.estimate_error = e.search.estimate_error();
  }
  result.seconds = e.progress.seconds();
}

Result explore_once(const ScenarioTable& scenario, const Limits& limits) {
  Result result;
  if (const std::string why = refusal(scenario, limits); !why.empty()) {
    result.failure = Failure::model_error;
    result.reason = why;
    return result;
  }
  const auto e = std::make_unique<Exploration>(scenario, limits);
  run_to_the_end(*e);
  put_numbers(*e, result);
  put_verdict(*e, result);
  e->observations.put_into(result);
  result.sites = e->sites.list();
  if (result.failure != Failure::none) {
    result.replay.assign(e->search.trail().begin(), e->search.trail().end());
    result.preemptions = e->search.preemptions();
    tell(result);
  }
  return result;
}

// The fewest preemptions first; what the unbounded search found stands if the budget does not
// suffice.
void minimize(const ScenarioTable& scenario, const Limits& limits, Result& result) {
  bool all_smaller_searched = true;
  for (std::uint32_t bound = 0; bound < result.preemptions || bound == 0; ++bound) {
    Limits bounded = limits;
    bounded.mode = Mode::bounded;
    bounded.preemption_bound = bound;
    bounded.max_executions = limits.minimize_executions;
    bounded.shard = ShardOf{};
    bounded.minimize = false;
    const Result smaller = explore_once(scenario, bounded);
    if (smaller.verdict == Verdict::refuted && smaller.failure == result.failure) {
      result.counterexample() = smaller.counterexample();
      break;
    }
    all_smaller_searched = all_smaller_searched && smaller.verdict == Verdict::proved;
  }
  result.fewest_preemptions = all_smaller_searched;
}

}  // namespace
}  // namespace explorer

Result explore(const ScenarioTable& scenario, const Limits& limits) {
  Result result = explorer::explore_once(scenario, limits);
  if (result.verdict == Verdict::refuted && limits.minimize && limits.replay.empty()) {
    explorer::minimize(scenario, limits, result);
  }
  return result;
}

}  // namespace kstone::model
