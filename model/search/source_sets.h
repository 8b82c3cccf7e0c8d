// Source sets (Abdulla, Aronis, Jonsson, Sagonas 2014): a node of the search starts with one thread
// to explore. Each pair of conflicting steps (e, f) that nothing orders asks, at the node before e,
// for one thread that can begin an execution in which f comes first.
//
// This file knows the steps of one execution and what orders them; the nodes are the search's.

#ifndef KSTONE_MODEL_SEARCH_SOURCE_SETS_H_
#define KSTONE_MODEL_SEARCH_SOURCE_SETS_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "search/accesses.h"
#include "search/independence.h"
#include "search/malloc_containers.h"

namespace kstone::model {

class SourceSets {
 public:
  explicit SourceSets(Independence independence) : independence_(independence) {}

  void begin_execution();

  // `later`'s next step comes after everything that `earlier` has done.
  void order_after(int later, int earlier) { clocks_[later].join(clocks_[earlier]); }
  // The same through an object: unlocking and locking a mutex.
  void release(runtime::ObjectId object, int thread) {
    record(object).released.join(clocks_[thread]);
  }
  void acquire(runtime::ObjectId object, int thread) {
    clocks_[thread].join(record(object).released);
  }

  // The same through the turns of equal threads.
  void begin_turn(int group, int thread) { clocks_[thread].join(turns_[group]); }
  void end_turn(int group, int thread) { turns_[group].join(clocks_[thread]); }

  // Whether the newest write of the object comes before what `thread` does next, whatever order
  // independent steps are taken in.
  bool newest_write_is_before(runtime::ObjectId object, int thread);

  // An earlier step, with which a later one conflicts although nothing orders them.
  using Race = int;

  // Notes the step that was chosen at `node`; the races that it is the later step of.
  std::span<const Race> step(int thread, const Accesses& accesses, int node);
  // The races of a step that was not made.
  std::span<const Race> step_not_made(int thread, const Accesses& accesses);

  // What would make the later step of such a race come first.
  struct Reversal {
    int node;            // of the earlier step
    ThreadSet initials;  // threads that can begin that order there
    bool others;         // whether more than the later step comes before the earlier one then
  };
  // Of a race that the latest of step() and step_not_made() gave.
  Reversal reversal(Race race);

 private:
  struct Clock {
    std::uint32_t of[max_threads] = {};
    void join(const Clock& other) {
      for (int i = 0; i < max_threads; ++i) {
        of[i] = std::max(of[i], other.of[i]);
      }
    }
  };
  struct Event {
    int thread;
    std::uint32_t sequence;  // number among the thread's own events, from 1
    int node;
    Clock clock;
  };
  struct AccessRecord {
    int event;
    int previous;  // the one before it on the same object; -1 if none
    runtime::Access access;
    ObjectKind kind;
    bool modifies;
  };
  struct ObjectRecord {
    int last_access = -1;
    Clock released;
  };
  static constexpr int max_races = 512;

  ObjectRecord& record(runtime::ObjectId object) {
    if (objects_.size() <= object) {
      objects_.resize(object + 1);
    }
    return objects_[object];
  }
  int unordered(int thread, const Accesses& accesses, const Clock& clock, bool hand_overs,
                int (&earlier)[max_races]);
  void find_races(int thread, const Accesses& accesses, Clock& clock);

  const Independence independence_;
  Clock clocks_[max_threads];
  std::uint32_t sequence_[max_threads] = {};
  Clock turns_[max_threads];  // of each group of equal threads: what its turns so far come after
  MallocVector<Event> events_;
  MallocVector<AccessRecord> accesses_;
  MallocVector<ObjectRecord> objects_;
  MallocVector<int> between_;
  // The races that were found last, and the step that is the later one of each.
  Race races_[max_races];
  int race_count_ = 0;
  int later_thread_ = -1;
  Clock later_clock_;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_SOURCE_SETS_H_
