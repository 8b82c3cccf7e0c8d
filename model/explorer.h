// Explores the executions of a scenario and reports a verdict.
//
//   Limits limits;  // exhaustive, no spurious wake-ups, no timeouts
//   const Result result = explore<MyScenario>(limits);
//   if (result.verdict == Verdict::refuted) std::puts(result.message.c_str());
//
// The search is depth-first over choices: which thread steps next, which store a load reads, which
// waiter a notify_one wakes, whether a weak compare-exchange fails. Each execution runs the
// scenario from its beginning.
//
// Invariants:
// I1. The choices before the first branch that is not yet exhausted are replayed unchanged; an
//     execution that departs from them ends the run ("the scenario is not deterministic").
// I2. In a reduced mode a thread sleeps at a node only if every execution that starts with its step
//     there has an equivalent one among those already explored.
// I3. A step touches no modelled object that it did not announce; a departure ends the run.
// I4. A search that its budget has cut short is `unknown`.
//
// Thread safety: none; one exploration at a time in a process. Parallel searches are processes
// (Limits::shard).

#ifndef KSTONE_MODEL_EXPLORER_H_
#define KSTONE_MODEL_EXPLORER_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "runtime.h"

namespace kstone::model {

enum class Mode {
  source_sets,  // exhaustive: source sets and sleep sets
  sleep_sets,   // exhaustive: sleep sets only
  plain,        // exhaustive, no reduction: the reference of the soundness comparison
  bounded,      // exhaustive within `preemption_bound`; no reduction, since the two do not mix
  // `max_executions` executions by random priorities with a few random changes; never proves.
  random,
  // `max_executions` random walks, to estimate how many executions `plain` would take; never
  // proves.
  estimate,
};

enum class Verdict { proved, refuted, unknown };

// What went wrong. `none` belongs to proved and unknown.
enum class Failure {
  none,
  check_failed,
  deadlock,
  livelock,  // an execution longer than Limits::max_steps
  blocked,   // a step blocks while FreezeOthers holds every other thread
  data_race,
  use_after_free,  // of a modelled object: after its destruction, or not ordered with it
  double_free,
  memory_leak,
  // Recursive lock, unlock or wait by a thread that does not hold it, destruction while held.
  lock_misuse,
  thread_misuse,  // too many threads, one never joined
  uninitialized,
  crash,  // a null pointer, an assertion, an exception that nobody catches
  // The scenario or the explorer itself is wrong: not deterministic, an unannounced access, ...
  model_error,
};

const char* mode_name(Mode mode);
const char* verdict_name(Verdict verdict);
const char* failure_name(Failure failure);
std::optional<Mode> parse_mode(const std::string& text);

// One rule of the reduction, broken on purpose: the soundness comparison must notice each.
enum class PlantedFault {
  none,
  reads_conflict_with_nothing,  // a load is taken to be independent of a store to the same object
  ignore_rmw_dependency,        // two read-modify-writes of one object are taken to be independent
  ignore_lock_dependency,
  ignore_wait_dependency,  // going to sleep and notifying are taken to be independent
  ignore_semaphore_dependency,
  ignore_budget_dependency,  // waking without a notification: the shared limit
  ignore_clock_dependency,
  ignore_ghost_dependency,
  sleep_inherits_everything,  // a dependent step does not wake a sleeper
  sleep_before_data_choices,  // a thread is put to sleep after the first of its data choices
  sleep_includes_current,     // the chosen thread goes to sleep below its own step
  forget_race,                // source sets: every second race adds no backtrack point
  // Source sets: a notification does not race with waking on one's own.
  forget_wake_up_race,
  // A notification conflicts with less than the waking on one's own that it prevents.
  forget_disabled_step,
  different_threads_are_equal,  // every thread is taken to be equal to every other
  turn_orders_too_much,         // what comes before a turn counts as ordered by the turns before it
  // Source sets: no load reads an older write than the newest, also where it cannot come before it.
  read_newest_only,
  retry_any_failure,    // a compare-exchange that fails is taken for a retry, whatever comes next
  forget_announcement,  // the adapter touches an object that it did not announce
};

struct ShardOf {
  unsigned index = 0;
  unsigned count = 1;
};

// A memory order that the adapter weakens for one call site, without recompiling.
struct Demotion {
  std::string site;            // as CallSite::name
  std::string order;           // "relaxed", "acquire", "release", "acq_rel"
  bool failure_order = false;  // of a compare-exchange: the order of its failing load
};

struct Limits {
  Mode mode = Mode::source_sets;
  std::uint32_t preemption_bound = 2;  // Mode::bounded
  std::uint32_t spurious = 0;          // spurious wake-ups in one execution
  std::uint32_t timeouts = 0;          // timeouts in one execution
  // Spurious failures of weak compare-exchanges in one execution.
  std::uint32_t weak_cas_failures = 0;
  std::uint32_t thread_start_failures = 0;  // refused thread creations in one execution
  std::uint32_t max_steps = 2000;           // of one execution; more is a livelock
  // Every weak compare-exchange that fails is tried again until it succeeds, and who tries again
  // remembers nothing of the failure. Then an execution in which a load is followed by such a
  // failure, both relaxed, is the same as one in which the load comes later, and the reduced
  // searches leave it to that one. Nobody checks it: declare it of code that you have read.
  bool retries_forget = false;
  // Also those executions that are another one with equal threads exchanged (scenario.h). The modes
  // `plain`, `estimate` and `random` always explore them.
  bool exchanges_equals = false;
  // How many stores back a load may read: 0, 1 or 2 (Relacy keeps 3).
  std::uint32_t stale_depth = 2;
  std::uint64_t max_executions = 0;  // 0: no limit
  double max_seconds = 0;            // 0: no limit
  // Of one thread's own time between two steps; more is an error. 0: no limit.
  double step_seconds = 1;
  std::uint64_t seed = 1;              // Mode::random, Mode::estimate
  std::uint32_t priority_changes = 2;  // Mode::random: the "depth" of PCT, less one
  ShardOf shard = {};
  std::uint32_t shard_depth = 6;  // branching choices above the roots of the shards
  // After a refutation: search bound 0, 1, 2, ... for a shorter one.
  bool minimize = false;
  std::uint64_t minimize_executions = 200000;
  bool progress = false;    // a line on stderr every ten seconds
  bool stacks = false;      // keep the calls that led to each step, for the counter-example; slow
  std::string replay = {};  // the choices of one execution; explores that one only
  std::vector<Demotion> demotions = {};
  PlantedFault planted = PlantedFault::none;
};

struct Cover {
  std::string event;
  std::uint64_t occurred = 0;  // complete executions in which it happened
  std::uint64_t absent = 0;    // ... and in which it did not
};

struct CallSite {
  std::string name;  // "file:line:operation", with "#2" for a second one in the same line
  std::string order;
  std::string failure_order;  // of a compare-exchange
  std::string object;         // the name of an object seen there
  std::uint64_t executed = 0;
};

// A step of a counter-example. Its place is that of the operation; `own` that of the engine's line
// which led there, where Limits::stacks has found one.
struct HistoryStep {
  int thread = 0;  // in Result::threads
  Operation operation = Operation::none;
  std::string object;  // its name
  std::string order;   // the memory order of an atomic operation; else empty
  // What was read, or stored by a store; tokens that are posted; the time.
  std::uint64_t value = 0;
  std::uint64_t value_after = 0;  // what a read-modify-write has stored
  int reads_from = -1;      // the step that stored what was read; -1 none, or the construction
  std::vector<int> others;  // the threads that it wakes, starts or joins
  bool stale = false;       // there was a newer store
  bool failed = false;      // a compare-exchange, the creation of a thread
  bool spurious = false;    // it failed, or woke, for no reason
  bool after_wait = false;  // of a lock: a waiter was notified
  std::string file;
  int line = 0;
  std::string function;
  std::string own_file;
  int own_line = 0;
  std::string call;  // the function of the worker that was called there
};

// Where a thread stands that cannot step, and what it holds; or of a history that cannot be
// explained, what the thread's calls answered.
struct Standing {
  int thread = 0;  // in Result::threads
  std::string text;
};

struct Counterexample {
  std::string message;
  std::string file;  // the line that failed, where one did; 0 if none did
  int line = 0;
  std::string replay;  // its choices, in one line
  std::uint32_t preemptions = 0;
  std::vector<std::string> threads;  // that took part in it,
  std::vector<HistoryStep> steps;    // ... what they did,
  std::vector<Standing> standing;    // ... and of a deadlock, where each of them stands
};

struct Result : Counterexample {
  Verdict verdict = Verdict::unknown;
  Failure failure = Failure::none;
  std::string reason;  // why the verdict is unknown
  std::uint64_t executions_complete = 0;
  std::uint64_t executions_redundant = 0;
  std::uint64_t longest_execution = 0;  // steps
  bool fewest_preemptions = false;      // no counter-example with fewer exists
  std::uint64_t stale_reads = 0;        // executions in which some load read a superseded store
  std::uint64_t spurious_wakeups = 0;   // executions with one
  std::uint64_t timeouts = 0;           // executions with one
  double estimate = 0;                  // Mode::estimate: executions of the plain search, and
  double estimate_error = 0;            // the standard error of that mean
  double seconds = 0;
  std::vector<Cover> covers;
  std::vector<CallSite> sites;
  std::vector<std::string> outcomes;  // the distinct texts given to model::outcome()
  // The fewest seen with each; all of them in Mode::plain only.
  std::vector<std::uint32_t> outcome_preemptions;

  Counterexample& counterexample() { return *this; }
  const Counterexample& counterexample() const { return *this; }
};

// Joins the results of the shards of one search: proved only if every shard is.
Result merge(const std::vector<Result>& shards);

// Groups of equal threads (scenario.h): thread(first), and so on.
struct EqualThreads {
  struct Group {
    int first = 0;
    int count = 0;
  };
  static constexpr int most_groups = 3;
  Group groups[most_groups] = {};
};

// A scenario without its type.
struct ScenarioTable {
  const char* name;
  int threads;
  int dynamic_threads;
  EqualThreads equal_threads;
  int equal_dynamic_threads;  // so many of the first ones that the scenario starts
  std::size_t size;
  std::size_t alignment;
  void (*construct)(void*);
  void (*before)(void*);
  void (*thread)(void*, int);
  void (*after)(void*);
  void (*destroy)(void*);
};

Result explore(const ScenarioTable& scenario, const Limits& limits);

template <class Scenario>
constexpr EqualThreads equal_threads_of() {
  if constexpr (requires { Scenario::equal_threads; }) {
    return Scenario::equal_threads;
  }
  return {};
}

template <class Scenario>
constexpr int equal_dynamic_threads_of() {
  if constexpr (requires { Scenario::equal_dynamic_threads; }) {
    return Scenario::equal_dynamic_threads;
  }
  return 0;
}

template <class Scenario>
ScenarioTable scenario_table(const char* name) {
  return ScenarioTable{
      name,
      Scenario::threads,
      Scenario::dynamic_threads,
      equal_threads_of<Scenario>(),
      equal_dynamic_threads_of<Scenario>(),
      sizeof(Scenario),
      alignof(Scenario),
      [](void* memory) { ::new (memory) Scenario(); },
      [](void* scenario) { static_cast<Scenario*>(scenario)->before(); },
      [](void* scenario, int index) { static_cast<Scenario*>(scenario)->thread(index); },
      [](void* scenario) { static_cast<Scenario*>(scenario)->after(); },
      [](void* scenario) { static_cast<Scenario*>(scenario)->~Scenario(); }};
}

template <class Scenario>
Result explore(const Limits& limits) {
  return explore(scenario_table<Scenario>("scenario"), limits);
}

// Notes the observable outcome of this execution; Result::outcomes has each distinct one of
// complete executions.
void outcome(const char* text);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_EXPLORER_H_
