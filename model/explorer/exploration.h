// One call of explore() while it runs: what it was asked, the search that makes its choices, and
// the state of the execution that is going on, each part of which has its own file.

#ifndef KSTONE_MODEL_EXPLORER_EXPLORATION_H_
#define KSTONE_MODEL_EXPLORER_EXPLORATION_H_

#include <cstdint>

#include "explorer.h"
#include "explorer/call_sites.h"
#include "explorer/failures.h"
#include "explorer/objects.h"
#include "explorer/observations.h"
#include "explorer/surprises.h"
#include "explorer/threads.h"
#include "explorer/trace.h"
#include "search/search.h"

namespace kstone::model::explorer {

// A line on stderr every ten seconds.
class Progress {
 public:
  Progress();
  void tell(const Search& search);
  double seconds() const;

 private:
  double started_, told_;
};

struct Exploration {
  Exploration(const ScenarioTable& scenario, const Limits& limits);
  ~Exploration();
  Exploration(const Exploration&) = delete;
  Exploration& operator=(const Exploration&) = delete;

  // Around each execution; end_execution() says whether there is another.
  void begin_execution();
  bool end_execution();

  const ScenarioTable& scenario;
  const Limits limits;
  void* const instance;  // memory for the scenario's object

  Threads threads;
  Search search;
  Objects objects;
  Surprises surprises;
  Trace trace;
  CallSites sites;
  Observations observations;
  Ending ending;
  Progress progress;
  std::int64_t now = 0;             // of the modelled clock
  std::uint64_t longest_steps = 0;  // of the executions that count
};

// The one that runs; there is one at a time in a process.
inline Exploration* running_ = nullptr;
inline Exploration& exploration() { return *running_; }

// The same for an operation of the scenario, which must not come outside an execution.
Exploration& inside();

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_EXPLORATION_H_
