// The search tree: which choice comes next, and which choices need no exploring. Knows nothing of
// Relacy.
//
// A *node* is a place where a choice is made: a thread node (who steps) or a data node (a stale
// load, a woken waiter, ...). Data nodes lie below the thread node whose step they belong to; all
// of them are explored before the thread is put to sleep.
//
// Sleep sets: once every execution that starts with thread q at a node has been explored, q sleeps
// there, and in the children for as long as only steps independent of q's pending step are taken.
// Where every enabled thread sleeps, the execution is redundant: it runs to its end without
// branching (Relacy's fibers cannot be abandoned) and is counted apart.
//
// Source sets (source_sets.h): a node starts with one thread to explore, and gets others where a
// race asks for them. A load that races with the newest write reads that one: choose_write.

#ifndef KSTONE_MODEL_SEARCH_SEARCH_H_
#define KSTONE_MODEL_SEARCH_SEARCH_H_

#include <cstdint>

#include "explorer.h"
#include "search/accesses.h"
#include "search/independence.h"
#include "search/malloc_containers.h"
#include "search/shards.h"
#include "search/source_sets.h"
#include "search/walks.h"

namespace kstone::model {

class Search {
 public:
  Search(const Limits& limits, int threads);

  void begin_execution();

  // The thread that steps next, none of `left`, which are enabled; -1 if the execution departs from
  // the choices to be replayed.
  int choose_thread(ThreadSet enabled, ThreadSet left, const ThreadView* views);
  std::uint32_t choose_data(std::uint32_t count);
  // The same for a load of `object` by `thread`, which reads the newest write (0), or an older one.
  //
  // Where that write is not ordered before the load, the load could as well come first, and would
  // read the older one there: that execution is the same to everybody, and the race between the two
  // asks for it. So the older one is not read here.
  std::uint32_t choose_write(runtime::ObjectId object, int thread, std::uint32_t count);

  // Whether a thread that tries again stays where it is, and its future is left to the execution
  // in which it looked later (Limits::retries_forget): as if it had ended there. The others go on,
  // and so every race that they show is seen.
  bool leaves_retries() const {
    return (limits_.retries_forget || limits_.planted == PlantedFault::retry_any_failure) &&
           tracks_order();
  }
  // Whether equal threads take their steps in turn (scenario.h).
  bool takes_turns() const {
    return !limits_.exchanges_equals && limits_.replay.empty() &&
           (reduced() || limits_.mode == Mode::bounded);
  }
  // Around such a step of `thread`: it comes after the earlier ones of its group, and after what
  // was before those.
  void begin_turn(int group, int thread) {
    if (takes_turns() && group >= 0) {
      source_sets_.begin_turn(group, thread);
    }
  }
  void end_turn(int group, int thread) {
    if (takes_turns() && group >= 0) {
      source_sets_.end_turn(group, thread);
      if (limits_.planted == PlantedFault::turn_orders_too_much && thread + 1 < threads_) {
        source_sets_.order_after(thread + 1, thread);
      }
    }
  }
  // Nobody else can step: to the end without branching, counted as redundant.
  void discard() { draining_ = true; }

  // The chosen step has been carried out and touched these objects.
  void step_done(int thread, const Accesses& accesses);
  // `later`'s next step comes after everything that `earlier` has done.
  void order_after(int later, int earlier) { source_sets_.order_after(later, earlier); }
  // The same through an object: unlocking and locking a mutex.
  void release(runtime::ObjectId object, int thread) { source_sets_.release(object, thread); }
  void acquire(runtime::ObjectId object, int thread) { source_sets_.acquire(object, thread); }
  // The step that `thread` carries out changes what `other` would do next.
  void changes_next_step(int thread, int other);
  // The step being carried out may take from `other` the possibility of its next step: explore that
  // one as well.
  void offer(int other);
  // `thread` could make a step that touches these objects had an earlier step not used up what it
  // needs.
  void cannot_step(int thread, const Accesses& accesses);

  // Counts the execution and moves to the next; false if there is none.
  bool end_execution();

  bool diverged() const { return diverged_; }
  // ... or ended before all choices of the replay were made.
  bool choices_left() const {
    return !limits_.replay.empty() && replay_position_ < limits_.replay.size();
  }
  // Whether the execution that has just ended belongs to this shard and is not redundant.
  bool counted() const { return counted_; }
  bool out_of_budget() const { return out_of_budget_; }
  std::uint64_t executions_complete() const { return complete_; }
  std::uint64_t executions_redundant() const { return redundant_; }
  std::uint32_t preemptions() const { return preemptions_; }
  // The mean of the walks' weights, and its standard error.
  double estimate() const { return walks_.estimate(complete_); }
  double estimate_error() const { return walks_.estimate_error(complete_); }
  const MallocString& trail() const { return trail_; }

 private:
  struct Node {
    bool is_data = false;
    bool branches = false;
    std::uint32_t count = 0;  // data: how many, and which
    std::uint32_t index = 0;
    ThreadSet enabled = 0;  // thread node
    ThreadSet allowed = 0;  // enabled and within the bound
    ThreadSet sleep = 0;
    ThreadSet done = 0;
    ThreadSet backtrack = 0;
    int chosen = -1;
    Accesses explored[max_threads];  // what the step of a thread that is done or asleep touches
  };

  bool reduced() const {
    return limits_.mode == Mode::source_sets || limits_.mode == Mode::sleep_sets;
  }
  ThreadSet inherited_sleep() const;
  ThreadSet within_bound(ThreadSet enabled, const ThreadView* views, int current) const;
  // The thread that steps next, by what says so; -1 if the execution departs from the choices to
  // be replayed.
  int replayed(ThreadSet enabled, int current);
  int round_robin(ThreadSet enabled);
  int repeated(ThreadSet enabled);
  int at_new_node(ThreadSet enabled, ThreadSet left, const ThreadView* views, int current);
  void note_choice(ThreadSet enabled, const ThreadView* views, int current, int chosen);
  bool tracks_order() const;
  bool tracks_races() const;
  void reverse(SourceSets::Race race, int later_thread);
  bool advance();

  const Limits limits_;
  const int threads_;
  const Independence independence_;

  // The tree: the nodes from the root to the one that this execution is at or will be.
  MallocVector<Node> stack_;
  std::size_t depth_ = 0;  // nodes passed in this execution
  int fresh_from_ = 0;     // the thread nodes before this one repeat the execution before
  int thread_node_ = -1;   // the node of the step being carried out

  // This execution.
  bool draining_ = false;  // redundant: to the end without branching
  bool skipping_ = false;  // belongs to another shard
  bool diverged_ = false;
  int last_thread_ = -1;
  std::uint32_t preemptions_ = 0;
  std::uint64_t steps_ = 0;
  MallocString trail_;
  std::size_t replay_position_ = 0;
  Accesses taken_;  // what the last step touched

  SourceSets source_sets_;
  Shards shards_;
  Walks walks_;

  // All executions so far.
  std::uint64_t races_ = 0;
  std::uint64_t complete_ = 0;
  std::uint64_t redundant_ = 0;
  bool counted_ = false;
  bool out_of_budget_ = false;
  double started_ = 0;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_SEARCH_H_
