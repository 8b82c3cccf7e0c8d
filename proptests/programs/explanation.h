// Whether some order of the steps of all calls and compactions, one after the other, explains a
// history.
//
// A call is one step or a few: a request claims its stripe, then links it; a shutdown closes the
// list, closes each stripe, applies its mode, and ends; wait_idle begins and answers; a compaction
// is taken and finished, in two steps each, since requests may come in between. Which step is
// possible, what it does and what it answers is protocol/; here is how an order is searched for,
// and what of a history has to agree with it.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLANATION_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLANATION_H_

#include <vector>

#include "history.h"
#include "program.h"

namespace kstone::programs {

// Threads are started in this order: main, the application's, the workers, the scan's.
inline int scan_thread(const Program& program) {
  return 1 + static_cast<int>(program.threads.size()) + program.workers;
}

// What the thread called, in its order; the calls of a worker thread are those of its jobs; the
// scan may not have run.
std::vector<Call> calls_of(const Program& program, const History& history, int thread);

bool is_explained(const Program& program, const History& history);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLANATION_H_
