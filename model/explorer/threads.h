// The threads of an execution: where each stands, which of them can step, and which one does.
//
// An operation announces what it is about to touch and hands control over; once chosen, it is
// carried out. A step that cannot run (a held mutex, no token) is not *enabled*, and a thread never
// parks inside Relacy, whose parking forgets stale stores and prunes unfair interleavings.

#ifndef KSTONE_MODEL_EXPLORER_THREADS_H_
#define KSTONE_MODEL_EXPLORER_THREADS_H_

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "explorer.h"
#include "explorer/happens_before.h"
#include "explorer/objects.h"
#include "report/names.h"
#include "search/accesses.h"

namespace kstone::model::explorer {

struct Step {
  Operation operation = Operation::none;
  ObjectId object = 0;
  Accesses accesses;
  int target = -1;  // join
};

struct Thread {
  bool started = false;
  bool finished = false;
  bool announced = false;
  Step pending;  // or being carried out
  Site pending_at;
  int pending_calls = -1;  // of Trace
  Accesses extra;          // of the step that is announced next
  Accesses touched;        // by the step being carried out
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  Timestamps created{};  // what its first step is ordered after
  Timestamps ended{};    // what a join is ordered after
  bool may_freeze = false;
  // Of Limits::retries_forget, objects or -1: what its last step read and did not change, and
  // where that was a weak compare-exchange of what it had read just before.
  int looked_at = -1;
  std::memory_order looked_with = std::memory_order_relaxed;
  int failed_at = -1;
  bool retries = false;  // what it does next is left to another execution
  // Of equal threads: the step by which they are put in order.
  bool next_in_turn = false;  // it is the one that is announced next; it is pending;
  bool in_turn = false;
  bool makes_turn = false;  // it is being carried out; it was made
  bool had_turn = false;

  // In a wait on a condition variable.
  bool in_wait = false;  // ... not notified
  bool notified = false;
  bool timed = false;
  bool left_by_timeout = false;
  ObjectId wait_mutex = 0;
};

class Threads {
 public:
  Threads(const ScenarioTable& scenario, PlantedFault planted);

  void begin_execution();

  // Main, the application's, those that Sync::thread starts; Relacy has two at least.
  int count() const { return count_; }
  int of_relacy() const { return relacy_; }
  int application() const { return application_; }
  ThreadName name(int index) const { return report_thread_name(index, application_); }

  Thread& operator[](int index) { return threads_[index]; }
  const Thread& operator[](int index) const { return threads_[index]; }
  int current() const { return current_; }
  Thread& current_thread() { return threads_[current_]; }
  // Whether it would step if others let it: neither ended nor still to be started.
  bool is_alive(int index) const {
    const Thread& thread = threads_[index];
    return !thread.finished && (thread.pending.operation != Operation::start || thread.started);
  }

  // The thread that Sync::thread starts next; -1 if the scenario declares no more.
  int next_dynamic() { return next_dynamic_ < count_ ? next_dynamic_++ : -1; }
  // Its next step is the one by which equal threads are put in order.
  void takes_turn(int index) { threads_[index].next_in_turn = !threads_[index].had_turn; }
  void set_frozen(int index) { frozen_ = index; }
  int frozen() const { return frozen_; }
  std::uint32_t steps() const { return steps_; }

  // Hands control to the scheduler; comes back once this thread's step has been chosen.
  void announce(const Step& step, Site site);
  // Called by Relacy's scheduling point: the thread that steps next.
  int schedule();
  // Tells the search what the step did, before anything else looks at its order.
  void settle();

  // Narrows what the step is taken to have touched to what it did: a failed compare-exchange only
  // read. Reaching for something that was not announced ends the run.
  void performs(ObjectId object, runtime::Access access);
  // The step announced this, but did not touch it.
  void spares(ObjectId object);

 private:
  bool enabled(int index) const;
  bool application_has_ended() const;
  bool is_held_back(int index) const;
  void expect_equal_turns(int index);
  void expect_turns_to_come(ThreadSet ready) const;
  void may_freeze_others(Site site);
  static void notice_retry(Thread& thread, const Step& step);
  [[noreturn]] void fail_stuck() const;

  const int application_;
  const int count_;
  const int relacy_;
  const bool all_are_equal_;                     // with a planted fault
  int group_[max_threads];                       // of equal threads; -1 in none
  Site turn_at_[EqualThreads::most_groups + 1];  // of the first turn of each group
  Thread threads_[max_threads];
  int next_dynamic_ = 0;
  int current_ = 0;
  int stepped_ = -1;  // the thread whose step is being carried out
  int frozen_ = -1;   // the only thread that may step
  std::uint32_t steps_ = 0;
  std::uint64_t stores_ = 0;  // announced; with PlantedFault::forget_announcement
};

Step make_step(Operation operation, ObjectId object, runtime::Access access, bool modifies = false);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_THREADS_H_
