// Draws programs: small ones, with enough of each kind of operation to disagree about.

#ifndef KSTONE_MODEL_SOUNDNESS_GENERATOR_H_
#define KSTONE_MODEL_SOUNDNESS_GENERATOR_H_

#include <cstdint>

#include "soundness/program.h"

namespace kstone::model::soundness {

// Program 0 is written by hand, the others are random.
Program draw(std::uint64_t seed);

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_GENERATOR_H_
