// Relacy, as far as the explorer needs it: fibers, and executions one after the other. Its memory
// model is behind atomic.h and happens_before.h.

#ifndef KSTONE_MODEL_EXPLORER_RELACY_H_
#define KSTONE_MODEL_EXPLORER_RELACY_H_

#include "explorer.h"

namespace kstone::model::explorer {

// What ended the executions: nothing, a failure that the explorer has noted, or one of those that
// Relacy finds itself (leaks, double frees).
struct Finding {
  Failure failure;
  const char* text;
};

// Runs executions of so many threads, from 2 to 8, until the search has no more.
Finding run_executions(int threads);

// Whether an execution is going on; what runs then runs on one of its fibers.
bool inside_execution();

// To the thread that the scheduler chooses; comes back when this one is chosen.
void switch_thread();

// Ends the execution and the exploration. The fiber that it is called on is left for good.
[[noreturn]] void leave_execution();

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_RELACY_H_
