// Registering a scenario: what it claims, and how it is searched.
//
//   const Registered suites[] = {
//       proved<RequestThenIdle<With<Requesters<2>, Workers<1>>>>({
//           .name = "request_then_idle_2_1",
//           .property = "P1 P2",
//           .sometimes = {"coalesced"},
//       }),
//       refuted<RequestThenIdle<With<Requesters<1>, Workers<1>>, LosesTokens>>({
//           .name = "request_then_idle_without_tokens",
//           .property = "P2",
//           .failure = Failure::deadlock,
//           .because = "main sleeps on episode_ended",
//       }),
//   };

#ifndef KSTONE_MODEL_WORKER_CLAIM_H_
#define KSTONE_MODEL_WORKER_CLAIM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner.h"

namespace kstone::model {

// Which of the two suites of a scenario takes longer than a quick test may.
enum class Large { no, with_surprises, yes };

struct Claim {
  std::string name;
  std::string property;  // of docs/properties.md: "P1 P2"

  // Events that occur in some executions and not in others; that occur in every one.
  std::vector<std::string> sometimes = {};
  std::vector<std::string> always = {};

  // What may happen in an execution: so many waits with a limit reach it, so many threads are
  // refused. By default none.
  std::uint32_t timeouts = 0;
  std::uint32_t refused_threads = 0;

  // How it is searched: in full and with reduction, unless one of these says otherwise.
  Mode mode = Mode::source_sets;
  std::optional<std::uint32_t> within = {};  // preemptions
  Large large = Large::no;
  // Has not been seen to end: cut short, and these suites together stand in for it.
  std::uint64_t max_executions = 0;
  std::string fallback = {};

  // Of one that must fail: how, and what the failure's message has to contain. The property's own
  // reason: a neighbour that fails for another one shows nothing of the property.
  Failure failure = Failure::none;
  std::string because = {};
};

template <class Scenario>
SuiteOptions options_of(const Claim& claim) {
  SuiteOptions options;
  options.name = claim.name;
  options.property = claim.property;
  options.sometimes = claim.sometimes;
  options.always = claim.always;
  if constexpr (requires { Scenario::requesters + Scenario::workers; }) {
    options.requesters = Scenario::requesters;
    options.workers = Scenario::workers;
  }
  options.large = claim.large == Large::yes;
  options.fallback = claim.fallback;
  options.limits.mode = claim.within ? Mode::bounded : claim.mode;
  options.limits.preemption_bound = claim.within.value_or(options.limits.preemption_bound);
  options.limits.timeouts = claim.timeouts;
  options.limits.retries_forget = true;
  options.limits.thread_start_failures = claim.refused_threads;
  options.limits.max_executions = claim.max_executions;
  if (claim.failure != Failure::none) {
    options.expected = {claim.failure};
    options.because = claim.because;
  }
  return options;
}

// The same with one spurious wake-up and one failing weak compare-exchange.
inline SuiteOptions with_surprises(SuiteOptions options, const Claim& claim) {
  options.name += "_spurious";
  options.large = options.large || claim.large == Large::with_surprises;
  options.limits.spurious = 1;
  options.limits.weak_cas_failures = 1;
  return options;
}

// A scenario that must pass, as two suites: NAME without surprises, for liveness, since a spurious
// wake-up can hide a lost one; and NAME_spurious with them, for safety.
template <class Scenario>
Registered proved(const Claim& claim, KSTONE_MODEL_SITE) {
  const SuiteOptions options = options_of<Scenario>(claim);
  suite<Scenario>(options, file, line, function);
  return suite<Scenario>(with_surprises(options, claim), file, line, function);
}

// ... too large for a second one.
template <class Scenario>
Registered proved_without_surprises(const Claim& claim, KSTONE_MODEL_SITE) {
  return suite<Scenario>(options_of<Scenario>(claim), file, line, function);
}

// The neighbour that must fail: the same scene with a planted fault.
template <class Scenario>
Registered refuted(const Claim& claim, KSTONE_MODEL_SITE) {
  return suite<Scenario>(options_of<Scenario>(claim), file, line, function);
}

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_CLAIM_H_
