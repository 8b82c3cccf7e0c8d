// A program of atomics and plain data on Relacy's own types, under its own full search: another
// opinion, which shares neither the modelled types nor the explorer.

#ifndef KSTONE_MODEL_SOUNDNESS_NATIVE_H_
#define KSTONE_MODEL_SOUNDNESS_NATIVE_H_

#include <string>
#include <vector>

#include "explorer.h"

namespace kstone::model::soundness {

struct Seen {
  Verdict verdict;
  std::vector<std::string> outcomes;
};

// Of program_.
Seen run_native();

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_NATIVE_H_
