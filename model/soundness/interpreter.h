// The program on the modelled types. Its outcome: what every thread has read, the atomics at the
// end, and what happened before what.

#ifndef KSTONE_MODEL_SOUNDNESS_INTERPRETER_H_
#define KSTONE_MODEL_SOUNDNESS_INTERPRETER_H_

#include "explorer.h"

namespace kstone::model::soundness {

// Of program_.
ScenarioTable interpreter_table();

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_INTERPRETER_H_
