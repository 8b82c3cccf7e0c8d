// Histories in words: for whoever reads a failure, and to count which answers have occurred at all.

#ifndef KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_
#define KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_

#include <set>
#include <string>
#include <vector>

#include "explorer.h"
#include "history.h"
#include "program.h"

namespace kstone::programs {

// For each thread that did anything, in its lane: its calls and compactions, with what they
// answered and saw.
std::vector<model::Standing> answered(const Program& program, const History& history,
                                      const std::vector<std::string>& lanes);

// Everything that a large enough run should have seen.
const std::set<std::string>& all_answers();
void add_answers(const Program& program, const History& history, std::set<std::string>& seen);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_
