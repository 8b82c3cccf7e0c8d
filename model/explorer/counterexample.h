// A counter-example from what an exploration has kept of its last execution.

#ifndef KSTONE_MODEL_EXPLORER_COUNTEREXAMPLE_H_
#define KSTONE_MODEL_EXPLORER_COUNTEREXAMPLE_H_

#include <string>

#include "explorer.h"

namespace kstone::model::explorer {

// Threads, steps, and where each thread stands, of the exploration that runs. May name the line of
// the failure in the message, which nothing else knew.
void tell(Result& result);

// What stands still, for the message.
std::string standstill_message();

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_COUNTEREXAMPLE_H_
