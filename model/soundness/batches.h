// Many programs, in batches that are processes of their own: what Relacy loses for each search goes
// with them.

#ifndef KSTONE_MODEL_SOUNDNESS_BATCHES_H_
#define KSTONE_MODEL_SOUNDNESS_BATCHES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "explorer.h"
#include "soundness/comparison.h"

namespace kstone::model::soundness {

struct Child {
  pid_t pid = -1;
  int read_end = -1;
};

// `count` programs from the seeds first, first + 1, ...; ends at the first that disagrees.
Child start_batch(std::uint64_t first, std::uint64_t count, PlantedFault planted);

// Waits for its end and adds its sums; whether all programs were equal.
bool finish_batch(const Child& child, Tally& total, std::string& complaint);

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_BATCHES_H_
