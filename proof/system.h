// The protocol of protocol/, unchanged, over the solver's terms: states of which nothing is known,
// and all steps.
//
// Of the stripes at most three are told apart: `of_step`, on which a step is made; `another`; and
// one that neither is about. A sentence about one stripe, or about all but for a sum, that holds of
// these holds of every other, since nothing tells those apart.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_SYSTEM_H_
#define KSTONE_PROOF_SYSTEM_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../protocol/protocol.h"
#include "terms.h"

namespace kstone::proof {

using protocol::Ending;
using protocol::Kind;
using protocol::Retries;
using Worker = protocol::Worker<Number, Condition>;
using Stripe = protocol::Stripe<Number, Condition>;

inline constexpr std::size_t of_step = 0;
inline constexpr std::size_t another = 1;
inline constexpr std::size_t told_apart = 3;

struct State : protocol::State<Number, Condition> {
  using protocol::State<Number, Condition>::State;
  std::vector<Number> ids;
};

struct Field {
  std::string name;
  z3::expr* term;
};
std::vector<Field> fields(Worker& worker);
std::vector<Field> fields(Stripe& stripe, const std::string& prefix);

// What has a value that nothing is known of.
Number any_number(const std::string& name);
Condition any_condition(const std::string& name);
// All of these that there are.
std::vector<z3::expr> constants();
// With so many stripes; from `told_apart` on with at least so many.
State any_state(std::size_t stripes);
// What is so by construction: the numbers of stripes, and which steps are given what.
z3::expr given(const State& state);

// Whoever has released a word keeps the mutex until it has finished. In the middle of that, what is
// true is what will be true once it has: so a state in the middle stands for the one that `finish`
// makes of it.
using Middle = std::optional<Ending>;
State seen(const State& state, const Middle& middle);

struct Step {
  std::string name;
  Middle from;
  Middle to;
  std::size_t actor = of_step;
  bool needs_stripe = true;
  std::function<Condition(const State& before)> possible;
  std::function<void(State& state)> perform;
  // What the contract says of it besides.
  std::string promise;
  std::function<Condition(const State& before, const State& after)> keeps;
  // One that threads make, and whoever posts a token: such steps end.
  bool of_threads = false;
};

std::vector<Step> steps();
// As the names of steps have it: "failed"; "failed delayed", if only what was requested meanwhile
// is tried again; "failed retried"; "failed retried by a probe".
inline std::string name_of(const Ending& ending) {
  const char* const what[] = {"", " delayed", " retried"};
  return std::string(to_string(ending.kind)) + what[static_cast<int>(ending.retries)] +
         (ending.quarantines ? " by a probe" : "");
}
inline constexpr int kinds = static_cast<int>(CompactionOutcome::kind_count);

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_SYSTEM_H_
