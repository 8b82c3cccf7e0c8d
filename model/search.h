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
// Source sets (Abdulla, Aronis, Jonsson, Sagonas 2014): a node starts with one thread to explore.
// Each pair of conflicting steps (e, f) that nothing orders asks, at the node before e, for one
// thread that can begin an execution in which f comes first.
//
// Containers here grow while a simulation runs, and Relacy owns operator new then: they take memory
// from malloc.

#ifndef KSTONE_MODEL_SEARCH_H_
#define KSTONE_MODEL_SEARCH_H_

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "explorer.h"
#include "runtime.h"

namespace kstone::model {

template <class T>
struct MallocAllocator {
  using value_type = T;
  MallocAllocator() = default;
  template <class U>
  MallocAllocator(const MallocAllocator<U>&) {}
  T* allocate(std::size_t count) {
    void* const memory = std::malloc(count * sizeof(T));
    if (memory == nullptr) {
      std::abort();
    }
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }
  template <class U>
  bool operator==(const MallocAllocator<U>&) const {
    return true;
  }
};

template <class T>
using MallocVector = std::vector<T, MallocAllocator<T>>;
using MallocString = std::basic_string<char, std::char_traits<char>, MallocAllocator<char>>;

// Ends the run with an error of the model. Of explorer.cpp.
[[noreturn]] void exceeds_limit(const char* sentence);

inline constexpr int max_threads = 8;
using ThreadSet = std::uint32_t;

inline ThreadSet only(int thread) { return ThreadSet{1} << thread; }

// What one step touches.
struct Accesses {
  static constexpr int capacity = 6;
  struct Entry {
    runtime::ObjectId object;
    runtime::Access access;
    ObjectKind kind;
    bool modifies;  // an atomic read-modify-write or store: for the planted faults only
  };
  Entry entries[capacity];
  int count = 0;

  void add(runtime::ObjectId object, runtime::Access access, ObjectKind kind,
           bool modifies = false);
  bool covers(runtime::ObjectId object, runtime::Access access) const;
};

// What the search sees of a thread at a scheduling point.
struct ThreadView {
  Accesses accesses;
  // In a wait it can leave on its own: switching away from it is no preemption.
  bool waiting = false;
};

class Search {
 public:
  Search(const Limits& limits, int threads);

  void begin_execution();

  // The thread that steps next; -1 if the execution departs from the choices to be replayed.
  int choose_thread(ThreadSet enabled, const ThreadView* views);
  std::uint32_t choose_data(std::uint32_t count);

  // The chosen step has been carried out and touched these objects.
  void step_done(int thread, const Accesses& accesses);
  // `later`'s next step comes after everything that `earlier` has done.
  void order_after(int later, int earlier);
  // The same through an object: unlocking and locking a mutex.
  void release(runtime::ObjectId object, int thread);
  void acquire(runtime::ObjectId object, int thread);
  // The step that `thread` carries out changes what `other` would do next.
  void changes_next_step(int thread, int other);
  // The step being carried out may take from `other` the possibility of its next step: explore that
  // one as well.
  void offer(int other);
  // `thread` could make a step that touches these objects had an earlier step not used up what it
  // needs.
  void cannot_step(int thread, const Accesses& accesses);

  // Counts the execution and moves to the next; false if there is none.
  bool end_execution(bool complete);

  bool diverged() const { return diverged_; }
  // ... or ended before all choices of the replay were made.
  bool choices_left() const {
    return !limits_.replay.empty() && replay_position_ < limits_.replay.size();
  }
  bool redundant() const { return draining_; }
  // Whether the execution that has just ended belongs to this shard and is not redundant.
  bool counted() const;
  bool out_of_budget() const { return out_of_budget_; }
  std::uint64_t executions_complete() const { return complete_; }
  std::uint64_t executions_redundant() const { return redundant_; }
  std::uint32_t preemptions() const { return preemptions_; }
  // The mean of the walks' weights, and its standard error.
  double estimate() const;
  double estimate_error() const;
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
  struct Clock {
    std::uint32_t of[max_threads] = {};
    void join(const Clock& other);
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

  bool reduced() const {
    return limits_.mode == Mode::source_sets || limits_.mode == Mode::sleep_sets;
  }
  bool conflict(runtime::Access a, ObjectKind kind, bool a_modifies, runtime::Access b,
                bool b_modifies) const;
  bool independent(const Accesses& a, const Accesses& b) const;
  ThreadSet inherited_sleep() const;
  ThreadSet within_bound(ThreadSet enabled, const ThreadView* views, int current) const;
  int pick(ThreadSet candidates, int current) const;
  int choose_random(ThreadSet enabled);
  void note_choice(ThreadSet enabled, const ThreadView* views, int current, int chosen);
  bool enters_shard(bool branches);
  ObjectRecord& record(runtime::ObjectId object);
  static constexpr int max_races = 512;
  bool tracks_races() const;
  int find_races(int thread, const Accesses& accesses, Clock& clock, int (&races)[max_races]);
  void race(int earlier, int later_thread, const Clock& later_clock);
  void add_backtrack(Node& node, ThreadSet initials, int preferred, bool others);
  bool advance();
  std::uint64_t next_random();

  const Limits limits_;
  const int threads_;

  MallocVector<Node> stack_;
  std::size_t depth_ = 0;  // nodes passed in this execution
  int fresh_from_ = 0;     // the thread nodes before this one repeat the execution before
  int thread_node_ = -1;   // the node of the step being carried out
  bool draining_ = false;  // redundant: to the end without branching
  bool skipping_ = false;  // belongs to another shard
  bool diverged_ = false;
  bool out_of_budget_ = false;
  int last_thread_ = -1;
  std::uint32_t preemptions_ = 0;
  std::uint32_t branches_above_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t longest_ = 16;
  MallocString trail_;
  std::size_t replay_position_ = 0;

  Accesses taken_;  // what the last step touched

  Clock thread_clocks_[max_threads];
  std::uint32_t sequence_[max_threads] = {};
  MallocVector<Event> events_;
  MallocVector<AccessRecord> accesses_;
  MallocVector<ObjectRecord> objects_;
  MallocVector<int> between_;
  std::uint64_t races_ = 0;

  std::uint64_t complete_ = 0;
  std::uint64_t redundant_ = 0;
  bool counted_ = false;
  double started_ = 0;

  std::uint64_t shard_roots_ = 0;
  // The node that is the root of the subtree being explored; -1 if above one.
  std::ptrdiff_t owned_root_ = -1;

  std::uint64_t random_state_ = 1;
  int priority_[max_threads] = {};
  double weight_ = 1;  // the product of the numbers of choices on the walk (Knuth 1975)
  double weights_ = 0, squared_weights_ = 0;
  std::uint64_t change_at_[16] = {};
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_H_
