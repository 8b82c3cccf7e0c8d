// Histories in words: for whoever reads a failure, and to count which answers have occurred at all.

#ifndef KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_
#define KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_

#include <set>
#include <string>

#include "history.h"
#include "program.h"

namespace kstone::programs {

// One line for each thread: its calls and compactions, with what they answered and saw.
std::string in_words(const Program& program, const History& history);

// Everything that a large enough run should have seen.
const std::set<std::string>& all_answers();
void add_answers(const Program& program, const History& history, std::set<std::string>& seen);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_ANSWERS_H_
