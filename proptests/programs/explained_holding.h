// The steps of the calls that hold stripes back: cancel, remove, restore, and pauses.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_HOLDING_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_HOLDING_H_

#include "explained_state.h"

namespace kstone::programs {

// Who calls, and what the history says of it.
struct Caller {
  const History& history;
  int thread;
  bool on_own_thread;  // of the worker
  const Call& call;
  const CallRecord& record;
  bool scans;     // there is a scan,
  bool scanning;  // ... which has begun its calls and not ended them
};

// The next step, which may go `choices` ways, and goes this one. False if it cannot be taken now,
// or contradicts the history. *Requires* that the mutex is free.
bool hold_back(State& state, const Caller& caller, int choice, int& choices, bool& done);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_HOLDING_H_
