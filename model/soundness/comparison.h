// One program in every kind of search, and whether they agree.
//
// The plain search gives the set of reachable outcomes (what every thread has read, and what
// happened before what) and the verdict. Then, with the same limits,
//   source sets and sleep sets          give the same outcomes and verdict, and equally many
//                                       complete executions, one for each equivalence class (but
//                                       for programs with spurious failures of a weak
//                                       compare-exchange: a sleeper stands for all its choices
//                                       together);
//   either, sharded over 2 and 3        likewise, merged; sleep sets also as many redundant
//                                       executions;
//   preemption bound 0, 1 and 2         gives the outcomes that the plain search reached with so
//                                       few preemptions;
//   random                              gives none that the plain search did not reach;
//   Relacy's own full search, on an     gives the same outcomes and verdict as ours with loads that
//   independent translation into rl::   look one store back: programs of atomics and plain data,
//                                       where its fairness rule and its missing spurious wake-ups
//                                       leave nothing out.
// A refuted program ends each search at its first failure: there the verdict is compared.

#ifndef KSTONE_MODEL_SOUNDNESS_COMPARISON_H_
#define KSTONE_MODEL_SOUNDNESS_COMPARISON_H_

#include <cstdint>
#include <optional>
#include <string>

#include "explorer.h"
#include "soundness/program.h"

namespace kstone::model::soundness {

// Sums over the programs that were compared.
struct Tally {
  std::uint64_t programs = 0, equal = 0, multi_outcome = 0, refuted = 0, native = 0,
                drawn_again = 0;
  std::uint64_t plain = 0, sleep = 0, source = 0, sleep_redundant = 0, source_redundant = 0;
};

// Whether every search agrees; `complaint` says which does not. Draws no conclusion (and returns
// nothing) for a large program. With a planted fault, only outcomes and verdicts of the reductions
// are looked at.
std::optional<bool> compare(const Program& program, Tally& tally, std::string& complaint,
                            PlantedFault planted);

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_COMPARISON_H_
