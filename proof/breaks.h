// Broken steps: each step changed in the ways in which the mutants change the code. A condition of
// its guard is left out, a condition in it is taken as true or as false, an operand is dropped, a
// change is forgotten, or goes too far; it never comes; and by hand, what none of these makes.
//
// Thread safety: one thread.

#ifndef KSTONE_PROOF_BREAKS_H_
#define KSTONE_PROOF_BREAKS_H_

#include <string>
#include <vector>

#include "system.h"

namespace kstone::proof {

struct Break {
  std::string name;
  z3::expr possible;
  State after;
  bool never = false;  // refuted, if at all, by what no longer goes on
};

// Of a step from `before`.
std::vector<Break> breaks_of(const Step& step, const State& before);

// That it changes nothing: the step is possible when it was, and does what it did.
z3::expr same(const Break& broken, const z3::expr& possible, const State& after);

}  // namespace kstone::proof

#endif  // KSTONE_PROOF_BREAKS_H_
