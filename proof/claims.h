// What is claimed of a state and of a step: the invariants of protocol/invariants.h, each over all
// stripes that are told apart, and the properties that follow from them.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_CLAIMS_H_
#define KSTONE_PROOF_CLAIMS_H_

#include <string>
#include <vector>

#include "system.h"

namespace kstone::proof {

struct Claim {
  std::string sentence;
  z3::expr holds;
};
using Claims = std::vector<Claim>;

// In every state; a claim for each sentence.
Claims known_of(const State& state, const Middle& middle);
// Of the state that a worker begins in.
Claims of_the_beginning(const State& state);
// Of the state behind a step, from what is known of the one before it. `after`: what the step, or
// a broken one in its place, has made of it.
Claims behind(const Step& step, const State& before, const State& after);

// Whether a step is possible in a state, for some stripe; by its name.
using Possible = std::function<z3::expr(const State&, const Step&)>;
z3::expr possible(const State& state, const Step& step);

// Of every state in which no compaction is in the middle of its end.
Claims properties(const State& state, const Possible& possible_step);
// What is known of `state` besides, since stripes that are told apart may be chosen: the one at the
// queue's head, one that runs, the inbox's oldest, one whose word is open.
Claims chosen(const State& state);

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_CLAIMS_H_
