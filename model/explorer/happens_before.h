// What happens before what, by the vector clocks that Relacy keeps of its threads.

#ifndef KSTONE_MODEL_EXPLORER_HAPPENS_BEFORE_H_
#define KSTONE_MODEL_EXPLORER_HAPPENS_BEFORE_H_

#include <cstdint>

#include "search/accesses.h"

namespace kstone::model::explorer {

// One entry for each thread: how far of it is known.
struct Timestamps {
  std::uint64_t of[max_threads];
};

// Adds what the running thread has done and knows.
void join(Timestamps& into);
// From here on, the running thread knows this.
void acquire(const Timestamps& from);
// A thread whose part in `accesses` is not ordered before the running one; -1 if all is. The same
// rule as rl::var, with the other side of the race at hand.
int unordered(const Timestamps& accesses);
// Notes an access of the running thread; returns which thread that is.
int note(Timestamps& accesses);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_HAPPENS_BEFORE_H_
