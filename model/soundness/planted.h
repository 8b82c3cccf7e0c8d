// The comparison, compared: with a rule of the reduction broken on purpose, the outcomes or the
// verdict of some program must tell. The counts are not looked at there.

#ifndef KSTONE_MODEL_SOUNDNESS_PLANTED_H_
#define KSTONE_MODEL_SOUNDNESS_PLANTED_H_

#include <cstdint>

namespace kstone::model::soundness {

// Breaks one rule after the other, and tries so many programs on each. With `print`, says which
// program told, and how.
struct PlantedTally {
  int planted = 0;
  int caught = 0;
};
PlantedTally run_planted(std::uint64_t programs, bool print);

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_PLANTED_H_
