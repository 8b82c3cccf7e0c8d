// Executions: what each operation does, when it can run, and Relacy around it.
//
// Relacy gives the fibers, the store histories and vector clocks of its memory model, and the
// allocator that finds leaks and double frees. Blocking is ours: a step that cannot run (a held
// mutex, no token) is not *enabled*, and a thread never parks inside Relacy, whose parking forgets
// stale stores and prunes unfair interleavings.

#include "explorer.h"

#include "relacy_headers.h"
#include "report.h"
#include "search.h"
#include "watchdog.h"

#include <cxxabi.h>
#include <execinfo.h>

#include <bit>
#include <cinttypes>
#include <csignal>
#include <cstdarg>

// Relacy replaces the unsized forms only.
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete[](memory); }

namespace kstone::model {

using runtime::Access;
using runtime::ObjectId;

namespace {

// Relacy's replacements are inline, and clang emits what is used here only: without them, leaks
// would go unseen.
[[maybe_unused]] __attribute__((used)) void* (*const kept_new[])(std::size_t) = {
    &::operator new, &::operator new[] };
[[maybe_unused]] __attribute__((used)) void (*const kept_delete[])(void*) = {&::operator delete,
                                                                             &::operator delete[] };

constexpr int max_objects = 4096;         // each shared_ptr, temporaries too, is one
constexpr unsigned events_per_step = 32;  // unlocks and cell accesses are events too
constexpr int max_covers = 64;
constexpr int store_history = 3;  // rl::atomic_history_size
static_assert(store_history == rl::atomic_history_size);

// The vector clocks of Relacy's threads.
struct Timestamps {
  rl::timestamp_t of[max_threads];
};

struct Object {
  ObjectKind kind;
  bool alive;
  const void* address;
  const char* name;
  rl::atomic_data* data;                // atomic
  std::uint64_t stores[store_history];  // atomic: the values that Relacy's history stands for
  int writers[store_history];           // ... and the events that wrote them
  unsigned newest;
  int owner;             // mutex: -1 if free
  std::uint32_t tokens;  // semaphore
  ThreadSet waiters;     // condition variable
  Timestamps released;   // mutex: what the next owner is ordered after
  // Every use, and every write of a cell, as a plain variable: what is not ordered with it is a
  // race.
  Timestamps reads, writes;
  Site locked_at;  // mutex
  Site read_at[max_threads], write_at[max_threads];
  Operation read_by[max_threads], write_by[max_threads];
};

// What backtrace() gives, of at most so many calls.
struct Calls {
  static constexpr int most = 40;
  void* addresses[most];
  int count;
};

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
  bool running_step = false;
  Step pending;  // or being carried out
  Site pending_at;
  int pending_calls = -1;
  Accesses extra;
  Accesses touched;  // by the step being carried out
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  Timestamps created{};  // what its first step is ordered after
  Timestamps ended{};    // what a join is ordered after
  bool in_wait = false;  // on a condition variable, not notified
  bool notified = false;
  bool timed = false;
  bool left_by_timeout = false;
  std::int64_t deadline = 0;
  ObjectId wait_mutex = 0;
  bool may_freeze = false;
  alignas(16) unsigned char exceptions[16] = {};
};

struct SiteRecord {
  const char* file;
  int line;
  const char* function;
  Operation operation;
  std::memory_order order, failure_order;
  std::memory_order effective, effective_failure;
  char name[192];
  const char* object_name;
  ObjectKind object_kind;
  std::uint64_t executed;
};

struct Execution {
  const ScenarioTable* scenario = nullptr;
  Limits limits;
  Search* search = nullptr;
  void* instance = nullptr;

  int thread_count = 0;  // main, application, dynamic
  int relacy_threads = 0;
  Thread threads[max_threads];
  int next_dynamic = 0;
  int current = -1;
  int stepped = -1;  // the thread whose step is being carried out
  int frozen = -1;   // the only thread that may step
  bool complete = false;

  Object objects[max_objects];
  ObjectId object_count = 0;
  ObjectId table_object = 0, budget_object = 0, clock_object = 0;

  std::uint32_t spurious_left = 0, timeouts_left = 0, weak_left = 0, start_failures_left = 0;
  std::uint32_t stale_now = 0;
  std::int64_t now = 0;
  bool stale_seen = false, spurious_seen = false, timeout_seen = false;
  std::uint64_t unannounced = 0;

  MallocVector<ReportEvent> events;
  std::uint32_t steps = 0;

  const char* cover_names[max_covers];
  int cover_count = 0;
  std::uint64_t cover_now = 0;
  std::uint64_t cover_occurred[max_covers] = {};

  MallocString outcome_now;
  bool has_outcome = false;
  std::map<MallocString, std::uint32_t, std::less<>,
           MallocAllocator<std::pair<const MallocString, std::uint32_t>>>
      outcomes;  // and the fewest preemptions that lead to each

  std::uint64_t stale_executions = 0, spurious_executions = 0, timeout_executions = 0;
  std::uint64_t longest = 0;

  Failure failure = Failure::none;
  char message[1024] = {};
  Standstill standstill = Standstill::none;
  Calls standstill_at{};
  MallocVector<Calls> calls;  // of the events, with Limits::stacks
  int failed_calls = -1;
  double last_progress = 0, started = 0;

  std::uint64_t demotions_used = 0;
  MallocVector<SiteRecord> sites;
  int site_table[4096];
  MallocVector<void*> stacks;
};

Execution* run_ = nullptr;

Execution& run() {
  if (run_ == nullptr || !rl::is_ctx()) {
    std::fprintf(stderr, "kstone model: a modelled operation outside an execution\n");
    std::abort();
  }
  return *run_;
}

rl::thread_info_base& relacy_thread() { return *rl::ctx().threadx_; }

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr const char departs[] =
    "the execution departs from the recorded choices: the scenario is not deterministic, or the "
    "replay "
    "line belongs to another program";

// Which of Execution::calls this is; -1 if nobody wants it.
int record_calls() {
  Execution& e = *run_;
  if (!e.limits.stacks) {
    return -1;
  }
  Calls calls;
  calls.count = backtrace(calls.addresses, Calls::most);
  e.calls.push_back(calls);
  return static_cast<int>(e.calls.size()) - 1;
}

[[noreturn]] void fail(Failure failure, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

void fail(Failure failure, const char* format, ...) {
  run_->failure = failure;
  if (failure != Failure::crash &&
      run_->standstill == Standstill::none) {  // there, nothing is safe but to leave
    run_->failed_calls = record_calls();
  }
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(run_->message, sizeof run_->message, format, arguments);
  va_end(arguments);
  rl::ctx().fail_test("", rl::test_result_user_assert_failed, rl::debug_info());
  std::abort();  // fail_test does not come back
}

}  // namespace

void exceeds_limit(const char* sentence) { fail(Failure::model_error, "%s", sentence); }

namespace {

// While it lives, a crash of what is explored is a failure like others, with a history. The handler
// runs on the fiber that crashed, and leaves it for good.
class CrashIsFailure {
 public:
  CrashIsFailure() {
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_NODEFER;  // it does not return, and the next execution may crash, too
    for (int i = 0; i < count; ++i) {
      sigaction(signals[i], &action, &before_[i]);
    }
  }
  ~CrashIsFailure() {
    for (int i = 0; i < count; ++i) {
      sigaction(signals[i], &before_[i], nullptr);
    }
  }
  CrashIsFailure(const CrashIsFailure&) = delete;
  CrashIsFailure& operator=(const CrashIsFailure&) = delete;

 private:
  static void on_signal(int signal) {
    if (run_ == nullptr || !rl::is_ctx() || run_->failure != Failure::none) {
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
    fail(Failure::crash, "%s", strsignal(signal));
  }

  static constexpr int count = 4;
  static constexpr int signals[count] = {SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
  struct sigaction before_[count];
};

// On the fiber that stands still, which is left for good: what it holds or waits for is never
// looked at again. Where it stands is found out later, when memory may be allocated.
void on_standstill(Standstill kind, void* const* addresses, int count) {
  if (run_ == nullptr || !rl::is_ctx() || run_->failure != Failure::none) {
    return;
  }
  run_->standstill = kind;
  run_->standstill_at.count = std::min(count, Calls::most);
  std::copy_n(addresses, run_->standstill_at.count, run_->standstill_at.addresses);
  fail(Failure::model_error, "no step");
}

const char* object_text(ObjectId object, char (&buffer)[64]) {
  report_object_name(run_->objects[object].kind, run_->objects[object].name, object, buffer,
                     sizeof buffer);
  return buffer;
}

const char* base_name(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

// --- happens-before ---

void join(Timestamps& into) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < run_->relacy_threads; ++i) {
    into.of[i] = std::max(into.of[i], thread.acq_rel_order_[i]);
  }
}

void acquire(const Timestamps& from) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < run_->relacy_threads; ++i) {
    thread.acq_rel_order_[i] = std::max(thread.acq_rel_order_[i], from.of[i]);
  }
}

// The same rule as rl::var, with the other side of the race at hand. -1 if all is ordered.
int unordered(const Timestamps& accesses) {
  const rl::thread_info_base& thread = relacy_thread();
  for (int i = 0; i < run_->relacy_threads; ++i) {
    if (thread.acq_rel_order_[i] < accesses.of[i]) {
      return i;
    }
  }
  return -1;
}

void note_access(Object& object, bool write, Operation operation, Site site) {
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  const int index = thread.index_;
  (write ? object.writes : object.reads).of[index] = thread.own_acq_rel_order_;
  (write ? object.write_at : object.read_at)[index] = site;
  (write ? object.write_by : object.read_by)[index] = operation;
}

void report_race(ObjectId id, Operation operation, Site site, int other, bool other_wrote) {
  const Object& object = run_->objects[id];
  char name[64];
  const Site there = other_wrote ? object.write_at[other] : object.read_at[other];
  const Operation by = other_wrote ? object.write_by[other] : object.read_by[other];
  const bool lifetime =
      object.kind != ObjectKind::cell || operation == Operation::destroy || by == Operation::none;
  fail(lifetime ? Failure::use_after_free : Failure::data_race,
       "%s: %s by %s (%s:%d) is not ordered with %s by %s (%s:%d)", object_text(id, name),
       operation_name(operation),
       report_thread_name(relacy_thread().index_, run_->scenario->threads).text,
       base_name(site.file), site.line, by == Operation::none ? "construction" : operation_name(by),
       report_thread_name(other, run_->scenario->threads).text, base_name(there.file), there.line);
}

// Every operation reads the object's lifetime. Its memory may hold anything by now, so what is
// looked up is whether this address still is the object that it claims to be.
void check_alive(ObjectId id, const void* address, Operation operation, Site site) {
  const Execution& e = *run_;
  if (id >= e.object_count || !e.objects[id].alive || e.objects[id].address != address) {
    char name[64] = "an object";
    const bool known = id < e.object_count && e.objects[id].address == address;
    fail(Failure::use_after_free, "%s at %s:%d after the destruction of %s",
         operation_name(operation), base_name(site.file), site.line,
         known ? object_text(id, name) : name);
  }
}

Object& use(ObjectId id, const void* address, Operation operation, Site site) {
  check_alive(id, address, operation, site);
  Object& object = run_->objects[id];
  const bool cell = object.kind == ObjectKind::cell;
  if (const int other = unordered(object.writes); other >= 0) {
    report_race(id, operation, site, other, true);
  }
  const bool write = cell && operation == Operation::cell_write;
  if (write) {
    if (const int other = unordered(object.reads); other >= 0) {
      report_race(id, operation, site, other, false);
    }
  }
  note_access(object, write, operation, site);
  return object;
}

ObjectId new_object(ObjectKind kind, const void* address, const char* name) {
  Execution& e = *run_;
  if (e.object_count == max_objects) {
    fail(Failure::model_error, "more than %d objects in one execution", max_objects);
  }
  Object& object = e.objects[e.object_count];
  object = Object{};
  object.kind = kind;
  object.alive = true;
  object.address = address;
  object.name = name;
  object.owner = -1;
  return e.object_count++;
}

// --- steps ---

ReportEvent& log(Operation operation, ObjectId object, Site site) {
  Execution& e = *run_;
  ReportEvent event{};
  event.thread = e.current;
  event.operation = operation;
  event.object = object;
  event.kind = e.objects[object].kind;
  event.object_name = e.objects[object].name;
  event.site = site;
  event.read_from = -1;
  event.calls = record_calls();
  watchdog::progress();
  if (e.events.size() >= std::size_t{events_per_step} * e.limits.max_steps) {
    fail(Failure::livelock, "more than %zu events: a loop without a step", e.events.size());
  }
  e.events.push_back(event);
  return e.events.back();
}

bool can_leave(const Thread& thread) {
  return run_->spurious_left > 0 || (thread.timed && run_->timeouts_left > 0);
}

bool enabled(int index) {
  const Execution& e = *run_;
  const Thread& thread = e.threads[index];
  if (thread.finished || (e.frozen >= 0 && e.frozen != index)) {
    return false;
  }
  switch (thread.pending.operation) {
    case Operation::start:
      return thread.started || e.threads[0].finished;
    case Operation::lock:
      return e.objects[thread.pending.object].owner < 0;
    case Operation::leave_wait:
      return can_leave(thread);
    case Operation::take:
      return e.objects[thread.pending.object].tokens > 0;
    case Operation::join:
      return e.threads[thread.pending.target].finished;
    case Operation::join_application:
      for (int i = 1; i <= e.scenario->threads; ++i) {
        if (!e.threads[i].finished) {
          return false;
        }
      }
      return true;
    default:
      return true;
  }
}

[[noreturn]] void fail_stuck() {
  Execution& e = *run_;
  char text[768];
  int length = 0;
  for (int i = 0; i < e.thread_count; ++i) {
    const Thread& thread = e.threads[i];
    if (thread.finished || (thread.pending.operation == Operation::start && !thread.started)) {
      continue;
    }
    char name[64] = "";
    const Operation operation = thread.pending.operation;
    const bool has_object = operation == Operation::lock || operation == Operation::leave_wait ||
                            operation == Operation::take;
    length += std::snprintf(
        text + length, sizeof text - static_cast<std::size_t>(length), "%s%s %s%s%s",
        length > 0 ? ", " : "", report_thread_name(i, e.scenario->threads).text,
        operation == Operation::leave_wait ? "sleeps on" : operation_name(operation),
        has_object ? " " : "", has_object ? object_text(thread.pending.object, name) : "");
    length = std::min<int>(length, static_cast<int>(sizeof text) - 1);
  }
  fail(e.frozen >= 0 ? Failure::blocked : Failure::deadlock, "nobody can step: %s", text);
}

// Tells the search what the step did, before anything else looks at its order.
void settle() {
  Execution& e = *run_;
  if (e.stepped >= 0) {
    e.search->step_done(e.stepped, e.threads[e.stepped].touched);
    e.stepped = -1;
  }
}

// Called by Relacy's scheduling point: the thread that steps next.
int schedule() {
  Execution& e = *run_;
  if (e.current >= 0 && !e.threads[e.current].finished && !e.threads[e.current].announced) {
    fail(Failure::model_error, "a scheduling point of Relacy without an announcement");
  }
  const int previous = e.current;
  watchdog::progress();
  settle();
  if (++e.steps > e.limits.max_steps) {
    fail(Failure::livelock, "more than %u steps", e.limits.max_steps);
  }
  ThreadSet ready = 0;
  int silent = -1;
  ThreadView views[max_threads];
  for (int i = 0; i < e.relacy_threads; ++i) {
    if (!enabled(i)) {
      views[i].accesses = e.threads[i].pending.accesses;
      continue;
    }
    views[i].accesses = e.threads[i].pending.accesses;
    views[i].waiting = e.threads[i].pending.operation == Operation::leave_wait;
    ready |= only(i);
    if (views[i].accesses.count == 0 && (silent < 0 || i == previous)) {
      silent = i;
    }
  }
  if (ready == 0) {
    fail_stuck();
  }
  // A step that touches nothing is independent of every other: no order of it matters.
  int chosen = silent;
  if (silent < 0) {
    chosen = e.search->choose_thread(ready, views);
    if (chosen < 0) {
      fail(Failure::model_error, departs);
    }
    e.stepped = chosen;
  }
  Thread& thread = e.threads[chosen];
  thread.touched = thread.pending.accesses;
  thread.announced = false;
  e.current = chosen;
  return chosen;
}

Step make_step(Operation operation, ObjectId object, Access access, bool modifies = false);

// Hands control to the scheduler; comes back once this thread's step has been chosen.
void announce(const Step& step, Site site) {
  Execution& e = *run_;
  Thread& thread = e.threads[e.current];
  if (thread.may_freeze && e.frozen < 0) {
    // A point of its own: the others may be anywhere, also where they keep the step that comes next
    // from running.
    thread.may_freeze = false;
    announce(make_step(Operation::ghost_read, e.table_object, Access::read), site);
    thread.may_freeze = true;
    if (e.search->choose_data(2) == 1) {
      e.frozen = e.current;
      for (ObjectId id = 0; id < e.object_count; ++id) {
        if (e.objects[id].kind == ObjectKind::mutex && e.objects[id].owner >= 0 &&
            e.objects[id].owner != e.current) {
          runtime::cover("frozen while it holds a mutex");
        }
      }
    }
  }
  thread.pending = step;
  thread.pending_at = site;
  thread.pending_calls = record_calls();
  for (int i = 0; i < thread.extra.count; ++i) {
    const Accesses::Entry& entry = thread.extra.entries[i];
    thread.pending.accesses.add(entry.object, entry.access, entry.kind, entry.modifies);
  }
  thread.extra.count = 0;
  if (e.limits.planted == PlantedFault::forget_announcement && step.operation == Operation::store &&
      ++e.unannounced % 3 == 0) {
    thread.pending.accesses.count = 0;
  }
  thread.announced = true;
  // Fibers share the thread that keeps the handled exceptions: each gets its own.
  std::memcpy(thread.exceptions, abi::__cxa_get_globals(), sizeof thread.exceptions);
  rl::ctx().sched();
  std::memcpy(static_cast<void*>(abi::__cxa_get_globals()), thread.exceptions,
              sizeof thread.exceptions);
}

Step make_step(Operation operation, ObjectId object, Access access, bool modifies) {
  Step step;
  step.operation = operation;
  step.object = object;
  step.accesses.add(object, access, run_->objects[object].kind, modifies);
  return step;
}

// Narrows what the step is taken to have touched to what it did: a failed compare-exchange only
// read. Reaching for something that was not announced ends the run.
void performs(ObjectId object, Access access) {
  Execution& e = *run_;
  Thread& thread = e.threads[e.current];
  if (!thread.pending.accesses.covers(object, access)) {
    char name[64];
    fail(Failure::model_error, "a step touches %s without having announced it",
         object_text(object, name));
  }
  for (int i = 0; i < thread.touched.count; ++i) {
    Accesses::Entry& entry = thread.touched.entries[i];
    if (entry.object == object && entry.access == Access::write) {
      entry.access = access;
    }
  }
}

// The step announced this, but did not touch it.
void spares(ObjectId object) {
  Accesses& touched = run_->threads[run_->current].touched;
  for (int i = 0; i < touched.count; ++i) {
    if (touched.entries[i].object == object) {
      touched.entries[i] = touched.entries[--touched.count];
      return;
    }
  }
}

// --- memory orders and call sites ---

const char* order_text(std::memory_order order) { return report_order_name(order); }

std::memory_order parse_order(const std::string& text, bool& known) {
  for (const std::memory_order order :
       {std::memory_order_relaxed, std::memory_order_acquire, std::memory_order_release,
        std::memory_order_acq_rel, std::memory_order_seq_cst}) {
    if (text == report_order_name(order)) {
      return order;
    }
  }
  known = false;
  return std::memory_order_seq_cst;
}

SiteRecord& site_record(Site site, Operation operation, std::memory_order order,
                        std::memory_order failure_order, ObjectId object) {
  Execution& e = *run_;
  std::size_t hash = reinterpret_cast<std::uintptr_t>(site.file) * 31 +
                     static_cast<std::size_t>(site.line) * 131 +
                     static_cast<std::size_t>(operation) * 7 + static_cast<std::size_t>(order) * 3 +
                     static_cast<std::size_t>(failure_order);
  for (std::size_t i = hash % 4096;; i = (i + 1) % 4096) {
    if (e.site_table[i] >= 0) {
      SiteRecord& record = e.sites[static_cast<std::size_t>(e.site_table[i])];
      if (record.file == site.file && record.line == site.line && record.operation == operation &&
          record.order == order && record.failure_order == failure_order) {
        ++record.executed;
        return record;
      }
      continue;
    }
    if (e.sites.size() > 2048) {
      fail(Failure::model_error, "more than 2048 call sites");
    }
    SiteRecord record{};
    record.file = site.file;
    record.line = site.line;
    record.function = site.function;
    record.operation = operation;
    record.order = record.effective = order;
    record.failure_order = record.effective_failure = failure_order;
    record.object_name = e.objects[object].name;
    record.object_kind = e.objects[object].kind;
    std::snprintf(record.name, sizeof record.name, "%s:%d:%s", base_name(site.file), site.line,
                  operation_name(operation));
    int same = 1;
    for (const SiteRecord& other : e.sites) {
      const std::size_t length = std::strlen(record.name);
      if (std::strncmp(other.name, record.name, length) == 0 &&
          (other.name[length] == '\0' || other.name[length] == '#') &&
          !(other.order == order && other.failure_order == failure_order)) {
        ++same;
      }
    }
    if (same > 1) {
      const std::size_t length = std::strlen(record.name);
      std::snprintf(record.name + length, sizeof record.name - length, "#%d", same);
    }
    for (std::size_t d = 0; d < e.limits.demotions.size(); ++d) {
      const Demotion& demotion = e.limits.demotions[d];
      if (demotion.site == record.name) {
        e.demotions_used |= std::uint64_t{1} << (d % 64);
        bool known = true;
        (demotion.failure_order ? record.effective_failure : record.effective) =
            parse_order(demotion.order, known);
      }
    }
    record.executed = 1;
    e.site_table[i] = static_cast<int>(e.sites.size());
    e.sites.push_back(record);
    return e.sites.back();
  }
}

using LoadFunction = unsigned (rl::thread_info_base::*)(rl::atomic_data*);
using ModifyFunction = unsigned (rl::thread_info_base::*)(rl::atomic_data*, bool&);

LoadFunction load_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    // A compare-exchange demoted to release: its failing load is relaxed.
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_load_relaxed;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_load_seq_cst;
    default:
      return &rl::thread_info_base::atomic_load_acquire;
  }
}

LoadFunction newest_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_load_relaxed_rmw;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_load_seq_cst_rmw;
    default:
      return &rl::thread_info_base::atomic_load_acquire_rmw;
  }
}

LoadFunction store_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
    case std::memory_order_acquire:
      return &rl::thread_info_base::atomic_store_relaxed;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_store_seq_cst;
    default:
      return &rl::thread_info_base::atomic_store_release;
  }
}

ModifyFunction modify_function(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return &rl::thread_info_base::atomic_rmw_relaxed;
    case std::memory_order_release:
      return &rl::thread_info_base::atomic_rmw_release;
    case std::memory_order_acq_rel:
      return &rl::thread_info_base::atomic_rmw_acq_rel;
    case std::memory_order_seq_cst:
      return &rl::thread_info_base::atomic_rmw_seq_cst;
    default:
      return &rl::thread_info_base::atomic_rmw_acquire;
  }
}

void wrote(Object& object, unsigned index, std::uint64_t value) {
  object.newest = index;
  object.stores[index] = value;
  object.writers[index] = static_cast<int>(run_->events.size());  // the event that is logged next
}

// --- the life of an execution ---

void begin_execution() {
  Execution& e = *run_;
  for (Thread& thread : e.threads) {
    thread = Thread{};
    thread.pending.operation = Operation::start;
  }
  e.threads[0].started = true;
  for (int i = e.thread_count; i < max_threads; ++i) {
    e.threads[i].finished = i >= e.relacy_threads;
  }
  e.next_dynamic = e.scenario->threads + 1;
  e.current = e.stepped = e.frozen = -1;
  e.complete = false;
  e.object_count = 0;
  e.table_object = new_object(ObjectKind::ghost, nullptr, "thread table");
  e.budget_object = new_object(ObjectKind::limit, nullptr, "wake-up limit");
  e.clock_object = new_object(ObjectKind::clock, nullptr, "clock");
  e.spurious_left = e.limits.spurious;
  e.timeouts_left = e.limits.timeouts;
  e.weak_left = e.limits.weak_cas_failures;
  e.start_failures_left = e.limits.thread_start_failures;
  e.now = 0;
  e.stale_seen = e.spurious_seen = e.timeout_seen = false;
  e.unannounced = 0;
  e.events.clear();
  e.calls.clear();
  e.failed_calls = -1;
  e.steps = 0;
  e.cover_now = 0;
  e.has_outcome = false;
  e.outcome_now.clear();
  e.search->begin_execution();
  e.current = 0;
}

bool end_execution() {
  Execution& e = *run_;
  const bool more = e.search->end_execution(true);
  if (e.search->diverged()) {
    e.failure = Failure::model_error;
    std::snprintf(e.message, sizeof e.message, departs);
    return false;
  }
  if (e.search->counted()) {
    for (int i = 0; i < e.cover_count; ++i) {
      e.cover_occurred[i] += (e.cover_now >> i) & 1;
    }
    if (e.has_outcome) {
      const auto [found, inserted] = e.outcomes.emplace(e.outcome_now, e.search->preemptions());
      found->second = std::min(found->second, e.search->preemptions());
    }
    e.stale_executions += e.stale_seen ? 1 : 0;
    e.spurious_executions += e.spurious_seen ? 1 : 0;
    e.timeout_executions += e.timeout_seen ? 1 : 0;
    e.longest = std::max<std::uint64_t>(e.longest, e.steps);
  }
  if (e.limits.progress && (e.search->executions_complete() & 0xfff) == 0) {
    const double now = seconds_now();
    if (now - e.last_progress > 10) {
      e.last_progress = now;
      std::fprintf(stderr, "  %.0f s: %" PRIu64 " executions, %" PRIu64 " redundant\n",
                   now - e.started, e.search->executions_complete(),
                   e.search->executions_redundant());
    }
  }
  return more;
}

void run_main() {
  Execution& e = *run_;
  e.scenario->construct(e.instance);
  e.scenario->before(e.instance);
  settle();
  for (int i = 1; i <= e.scenario->threads; ++i) {
    join(e.threads[i].created);
    e.threads[i].started = true;
    e.search->order_after(i, 0);
  }
  Step step;
  step.operation = Operation::join_application;
  announce(step, Site{});
  for (int i = 1; i <= e.scenario->threads; ++i) {
    acquire(e.threads[i].ended);
    e.search->order_after(0, i);
  }
  e.scenario->after(e.instance);
  e.scenario->destroy(e.instance);
}

// The body of each fiber.
void run_thread(int index) {
  Execution& e = *run_;
  void* const stack = rl::ctx().threadx_->fiber_.fib.uc_stack.ss_sp;
  if (std::find(e.stacks.begin(), e.stacks.end(), stack) == e.stacks.end()) {
    e.stacks.push_back(stack);
  }
  std::memset(static_cast<void*>(abi::__cxa_get_globals()), 0, 16);
  Thread& thread = e.threads[index];
  if (thread.started) {
    acquire(thread.created);
    if (index == 0) {
      run_main();
    } else if (index <= e.scenario->threads) {
      e.scenario->thread(e.instance, index - 1);
    } else {
      thread.entry(thread.argument);
    }
    if (thread.may_freeze || e.frozen == index) {
      fail(Failure::model_error, "a thread ends inside FreezeOthers");
    }
    join(thread.ended);
  }
  settle();
  thread.finished = true;
}

// --- Relacy's side ---

template <int count>
struct Suite : rl::test_suite<Suite<count>, count> {
  void thread(unsigned index) { run_thread(static_cast<int>(index)); }
};

template <rl::thread_id_t count>
class Scheduler : public rl::scheduler<Scheduler<count>, rl::scheduler_thread_info, count> {
 public:
  using base_t = rl::scheduler<Scheduler<count>, rl::scheduler_thread_info, count>;
  using thread_info_t = typename base_t::thread_info_t;
  using shared_context_t = typename base_t::shared_context_t;
  struct task_t {};

  Scheduler(rl::test_params& params, shared_context_t& context, rl::thread_id_t dynamic)
      : base_t(params, context, dynamic) {}

  rl::thread_id_t iteration_begin_impl() {
    begin_execution();
    return 0;
  }
  bool iteration_end_impl() { return !end_execution(); }
  rl::thread_id_t schedule_impl(rl::unpark_reason& reason, unsigned /*yield*/) {
    reason = rl::unpark_reason_normal;
    return schedule();
  }
  unsigned rand_impl(unsigned limit, rl::sched_type type) {
    switch (type) {
      case rl::sched_type_mem_realloc:
        return 0;  // always deferred: a freed block is not reused at once
      case rl::sched_type_atomic_load: {
        Execution& e = *run_;
        if (e.stale_now >= e.limits.stale_depth || e.search->choose_data(limit) == 0) {
          return 0;
        }
        ++e.stale_now;
        return 1;
      }
      default:
        fail(Failure::model_error, "Relacy asks for a choice that the model does not know");
    }
  }
  rl::iteration_t iteration_count_impl() { return this->iter_ + 1; }
  void get_state_impl(std::ostream&) {}
  void set_state_impl(std::istream&) {}
  void on_thread_block(rl::thread_id_t, bool) {}
};

template <int count>
rl::test_result_e run_relacy(rl::test_params& params) {
  rl::ostringstream state;
  return rl::run_test<Suite<count>, Scheduler<count>>(params, state, false);
}

Failure relacy_failure(rl::test_result_e result) {
  switch (result) {
    case rl::test_result_success:
      return Failure::none;
    case rl::test_result_double_free:
      return Failure::double_free;
    case rl::test_result_memory_leak:
    case rl::test_result_resource_leak:
      return Failure::memory_leak;
    case rl::test_result_livelock:
      return Failure::livelock;
    case rl::test_result_data_race:
      return Failure::data_race;
    case rl::test_result_access_to_freed_memory:
      return Failure::use_after_free;
    case rl::test_result_unitialized_access:
      return Failure::uninitialized;
    default:
      return Failure::model_error;
  }
}

// The calls that were recorded, as lines.
class Located {
 public:
  explicit Located(const std::vector<Calls>& calls) : lines_(calls.size()) {
    std::map<void*, std::size_t> numbers;
    std::vector<void*> addresses;
    for (const Calls& each : calls) {
      for (int i = 0; i < each.count; ++i) {
        if (numbers.emplace(each.addresses[i], addresses.size()).second) {
          addresses.push_back(each.addresses[i]);
        }
      }
    }
    const std::vector<std::vector<Place>> places = places_of(addresses);
    for (std::size_t i = 0; i < calls.size(); ++i) {
      for (int j = 0; j < calls[i].count; ++j) {
        const std::vector<Place>& here = places[numbers[calls[i].addresses[j]]];
        lines_[i].insert(lines_[i].end(), here.begin(), here.end());
      }
    }
  }
  const std::vector<Place>& calls(int which) const {
    static const std::vector<Place> none;
    return which < 0 ? none : lines_[static_cast<std::size_t>(which)];
  }

 private:
  std::vector<std::vector<Place>> lines_;
};

// Where calls are inlined and the lines of them are not kept, a function of the explorer's may
// stand there.
std::string function_text(const Place& own) {
  const std::string name = short_name(own.function);
  return own.function.find("scenario_table<") == std::string::npos
             ? name.substr(name.rfind(':') + 1)
             : "";
}

std::string place_text(Site site, const Place* own) {
  if (own != nullptr && (site.line == 0 || is_worker(site.file))) {
    const std::string function = function_text(*own);
    return file_name(own->file) + ":" + std::to_string(own->line) + (function.empty() ? "" : " ") +
           function;
  }
  return site.line == 0 ? ""
                        : std::string(base_name(site.file)) + ":" + std::to_string(site.line) +
                              " " + site.function;
}

// Where a thread that cannot step stands, and what it keeps from others.
std::string standing_text(int index, const Located& located) {
  const Execution& e = *run_;
  const Thread& thread = e.threads[index];
  char name[64];
  const auto object = [&name](ObjectId id) { return std::string(object_text(id, name)); };
  std::string text;
  switch (thread.pending.operation) {
    case Operation::lock: {
      const Object& mutex = e.objects[thread.pending.object];
      text = (thread.notified ? "was woken, waits to lock " : "waits to lock ") +
             object(thread.pending.object);
      text += mutex.owner < 0
                  ? ""
                  : std::string(", which ") +
                        report_thread_name(mutex.owner, e.scenario->threads).text + " holds";
      break;
    }
    case Operation::leave_wait:
      text = "sleeps on " + object(thread.pending.object);
      break;
    case Operation::take:
      text = "waits for a token of " + object(thread.pending.object);
      break;
    case Operation::join:
      text = std::string("waits for the end of ") +
             report_thread_name(thread.pending.target, e.scenario->threads).text;
      break;
    case Operation::join_application:
      return "waits for the application threads to end";
    default:
      text = std::string("is before: ") + operation_name(thread.pending.operation);
  }
  const std::string place =
      place_text(thread.pending_at, own_place(located.calls(thread.pending_calls)));
  const std::string step = place_text(thread.pending_at, nullptr);
  text += place.empty() ? "" : ", at " + place;
  text += !is_worker(thread.pending_at.file) ? ""
          : place == step                    ? ", inside the worker"
                                             : " (inside the worker: " + step + ")";
  std::string held;
  for (ObjectId id = 0; id < e.object_count; ++id) {
    const Object& mutex = e.objects[id];
    if (mutex.kind == ObjectKind::mutex && mutex.alive && mutex.owner == index) {
      held += (held.empty() ? "" : ", ") + object(id) + " (since " +
              place_text(mutex.locked_at, nullptr) + ")";
    }
  }
  return text + (held.empty() ? "; holds no mutex" : "; holds " + held);
}

// The counter-example in words.
void tell(Result& result) {
  Execution& e = *run_;
  const Located located(std::vector<Calls>(e.calls.begin(), e.calls.end()));
  std::vector<std::string> files;  // names that the sites point to
  files.reserve(2 * e.events.size());
  for (ReportEvent& event : e.events) {
    if (const Place* const own = own_place(located.calls(event.calls));
        own != nullptr && event.site.line == 0) {
      files.push_back(own->file);
      const std::string& file = files.back();
      files.push_back(function_text(*own));
      event.site = Site{file.c_str(), own->line, files.back().c_str()};
    }
  }
  // What failed has no line of its own, as a destructor: the line that led there.
  if (const Place* const own = own_place(located.calls(e.failed_calls)); own != nullptr) {
    const std::string place = file_name(own->file) + ":" + std::to_string(own->line);
    const std::size_t first = result.message.find('(');
    if (first != std::string::npos && result.message.compare(first, 4, "(:0)") == 0) {
      result.message.replace(first + 1, 2, place);
    } else if (const std::size_t at = result.message.find(" at :0 "); at != std::string::npos) {
      result.message.replace(at + 4, 2, place);
    }
  }
  std::vector<int> columns(static_cast<std::size_t>(e.thread_count), -1);
  for (int i = 0; i < e.thread_count; ++i) {
    if (i == 0 || i <= e.scenario->threads || e.threads[i].started) {
      columns[static_cast<std::size_t>(i)] = static_cast<int>(result.threads.size());
      result.threads.emplace_back(report_thread_name(i, e.scenario->threads).text);
    }
  }
  result.steps = report_steps(e.events.data(), e.events.size(), e.scenario->threads,
                              [&located](const ReportEvent& event) -> const std::vector<Place>& {
                                return located.calls(event.calls);
                              });
  for (HistoryStep& step : result.steps) {
    step.thread = columns[static_cast<std::size_t>(step.thread)];
  }
  if (result.failure == Failure::deadlock || result.failure == Failure::blocked) {
    for (int i = 0; i < e.thread_count; ++i) {
      const Thread& thread = e.threads[i];
      const bool absent =
          thread.finished || (thread.pending.operation == Operation::start && !thread.started);
      if (!absent && columns[static_cast<std::size_t>(i)] >= 0) {
        result.standing.push_back(
            result.threads[static_cast<std::size_t>(columns[static_cast<std::size_t>(i)])] + " " +
            standing_text(i, located));
      }
    }
  }
  result.history =
      report_history(e.events.data(), e.events.size(), e.thread_count, e.scenario->threads, result);
}

Result explore_once(const ScenarioTable& scenario, const Limits& limits) {
  Result result;
  const int threads = 1 + scenario.threads + scenario.dynamic_threads;
  bool known = true;
  for (const Demotion& demotion : limits.demotions) {
    parse_order(demotion.order, known);
  }
  if (threads > max_threads || !known || limits.demotions.size() > 64) {
    result.verdict = Verdict::unknown;
    result.failure = Failure::model_error;
    result.reason = threads > max_threads ? "more than 7 application and dynamic threads"
                                          : "an unknown memory order, or more than 64 demotions";
    return result;
  }
  auto* const execution = new Execution;
  Search search(limits, std::max(threads, 2));
  Execution& e = *execution;
  run_ = execution;
  e.scenario = &scenario;
  e.limits = limits;
  e.search = &search;
  e.thread_count = threads;
  e.relacy_threads = std::max(threads, 2);
  e.instance = ::operator new(scenario.size, std::align_val_t(scenario.alignment));
  e.events.reserve(1024);
  e.started = e.last_progress = seconds_now();
  std::fill(std::begin(e.site_table), std::end(e.site_table), -1);

  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = rl::sched_random;  // lets a load read two stores back
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  params.execution_depth_limit = 0x7fffffff;
  rl::test_result_e status = rl::test_result_success;
  const CrashIsFailure crash_is_failure;
  watchdog::watch(limits.step_seconds, on_standstill);
  switch (e.relacy_threads) {
    case 2:
      status = run_relacy<2>(params);
      break;
    case 3:
      status = run_relacy<3>(params);
      break;
    case 4:
      status = run_relacy<4>(params);
      break;
    case 5:
      status = run_relacy<5>(params);
      break;
    case 6:
      status = run_relacy<6>(params);
      break;
    case 7:
      status = run_relacy<7>(params);
      break;
    default:
      status = run_relacy<8>(params);
      break;
  }
  watchdog::unwatch();
  std::memset(static_cast<void*>(abi::__cxa_get_globals()), 0, 16);
  for (void* const stack : e.stacks) {
    std::free(stack);
  }
  ::operator delete(e.instance, std::align_val_t(scenario.alignment));

  if (e.failure == Failure::none && status != rl::test_result_success) {
    e.failure = relacy_failure(status);
    std::snprintf(e.message, sizeof e.message, "%s", rl::test_result_str(status));
  }
  // A failure of another execution than the one to be repeated, too.
  if (search.diverged() || search.choices_left()) {
    e.failure = Failure::model_error;
    std::snprintf(e.message, sizeof e.message, departs);
  }
  result.failure = e.failure;
  result.message = e.message;
  if (e.standstill != Standstill::none && e.failure == Failure::model_error) {
    result.message =
        std::string(report_thread_name(e.current, scenario.threads).text) + " " +
        standstill_text(e.standstill, limits.step_seconds, Located({e.standstill_at}).calls(0));
  }
  result.executions_complete = search.executions_complete();
  result.executions_redundant = search.executions_redundant();
  result.longest_execution = e.longest;
  result.stale_reads = e.stale_executions;
  result.spurious_wakeups = e.spurious_executions;
  result.timeouts = e.timeout_executions;
  if (limits.mode == Mode::estimate) {
    result.estimate = search.estimate();
    result.estimate_error = search.estimate_error();
  }
  result.seconds = seconds_now() - e.started;
  for (int i = 0; i < e.cover_count; ++i) {
    result.covers.push_back(Cover{e.cover_names[i], e.cover_occurred[i],
                                  result.executions_complete - e.cover_occurred[i]});
  }
  for (const SiteRecord& record : e.sites) {
    const bool exchange = record.operation == Operation::compare_exchange_weak ||
                          record.operation == Operation::compare_exchange_strong;
    result.sites.push_back(CallSite{
        record.name, order_text(record.order), exchange ? order_text(record.failure_order) : "",
        record.object_name == nullptr ? "" : record.object_name, record.executed});
  }
  for (const auto& [text, preemptions] : e.outcomes) {
    result.outcomes.emplace_back(text.c_str());
    result.outcome_preemptions.push_back(preemptions);
  }
  if (e.failure == Failure::model_error) {
    result.verdict = Verdict::unknown;
    result.reason = result.message;
  } else if (e.failure != Failure::none) {
    result.verdict = Verdict::refuted;
  } else if (limits.mode == Mode::random) {
    result.reason = "a random search proves nothing";
  } else if (limits.mode == Mode::estimate) {
    result.reason = "an estimate proves nothing";
  } else if (!limits.replay.empty()) {
    result.reason = "one execution replayed";
  } else if (search.out_of_budget()) {
    result.reason = "the budget is used up";
  } else if (std::popcount(e.demotions_used) != static_cast<int>(limits.demotions.size())) {
    result.reason = "a demotion names no call site that was executed";
  } else {
    result.verdict = Verdict::proved;
  }
  if (e.failure != Failure::none) {
    result.replay.assign(search.trail().begin(), search.trail().end());
    result.preemptions = search.preemptions();
    tell(result);
  }
  run_ = nullptr;
  delete execution;
  return result;
}

}  // namespace

Result explore(const ScenarioTable& scenario, const Limits& limits) {
  Result result = explore_once(scenario, limits);
  if (result.verdict != Verdict::refuted || !limits.minimize || !limits.replay.empty()) {
    return result;
  }
  // The fewest preemptions first; what the unbounded search found stands if the budget does not
  // suffice.
  bool all_smaller_searched = true;
  for (std::uint32_t bound = 0; bound < result.preemptions || bound == 0; ++bound) {
    Limits bounded = limits;
    bounded.mode = Mode::bounded;
    bounded.preemption_bound = bound;
    bounded.max_executions = limits.minimize_executions;
    bounded.shard = ShardOf{};
    bounded.minimize = false;
    Result smaller = explore_once(scenario, bounded);
    if (smaller.verdict == Verdict::refuted && smaller.failure == result.failure) {
      result.message = smaller.message;
      result.replay = smaller.replay;
      result.history = smaller.history;
      result.threads = smaller.threads;
      result.steps = smaller.steps;
      result.standing = smaller.standing;
      result.preemptions = smaller.preemptions;
      break;
    }
    all_smaller_searched = all_smaller_searched && smaller.verdict == Verdict::proved;
  }
  result.fewest_preemptions = all_smaller_searched;
  return result;
}

void outcome(const char* text) {
  Execution& e = run();
  e.outcome_now = text;
  e.has_outcome = true;
}

// --- the operations ---

namespace runtime {

ObjectId create(ObjectKind kind, const void* address) {
  Execution& e = run();
  const ObjectId id = new_object(kind, address, nullptr);
  note_access(e.objects[id], true, Operation::none, Site{});
  return id;
}

void destroy(ObjectId id, const void* address) {
  Execution& e = run();
  const Site site{"", 0, ""};
  Object& object = use(id, address, Operation::destroy, site);
  if (const int other = unordered(object.reads); other >= 0) {
    report_race(id, Operation::destroy, site, other, false);
  }
  char name[64];
  if (object.kind == ObjectKind::mutex && object.owner >= 0) {
    fail(Failure::lock_misuse, "%s is destroyed while %s holds it", object_text(id, name),
         report_thread_name(object.owner, e.scenario->threads).text);
  }
  if (object.kind == ObjectKind::condition_variable && object.waiters != 0) {
    fail(Failure::use_after_free, "%s is destroyed while a thread sleeps on it",
         object_text(id, name));
  }
  if (object.data != nullptr) {
    rl::ctx().atomic_dtor(object.data);
  }
  object.alive = false;
}

void name(ObjectId id, const char* text) { run().objects[id].name = text; }

void atomic_initialize(ObjectId id, std::uint64_t value) {
  Object& object = run().objects[id];
  object.data = rl::ctx().atomic_ctor(nullptr);
  const unsigned index = relacy_thread().atomic_store_relaxed(object.data);
  object.newest = index;
  object.stores[index] = value;
  object.writers[index] = -2;  // the construction
}

std::uint64_t atomic_load(ObjectId id, const void* address, std::memory_order order, Site site) {
  Execution& e = run();
  check_alive(id, address, Operation::load, site);
  announce(make_step(Operation::load, id, Access::read), site);
  Object& object = use(id, address, Operation::load, site);
  performs(id, Access::read);
  const SiteRecord& record =
      site_record(site, Operation::load, order, std::memory_order_relaxed, id);
  e.stale_now = 0;
  const unsigned index = (relacy_thread().*load_function(record.effective))(object.data);
  if (index == static_cast<unsigned>(-1)) {
    char text[64];
    fail(Failure::uninitialized, "%s is read before its first store", object_text(id, text));
  }
  ReportEvent& event = log(Operation::load, id, site);
  event.value = object.stores[index];
  event.order = record.effective;
  event.stale = index != object.newest;
  event.read_from = object.writers[index];
  e.stale_seen = e.stale_seen || event.stale;
  return object.stores[index];
}

void atomic_store(ObjectId id, const void* address, std::uint64_t value, std::memory_order order,
                  Site site) {
  run();
  check_alive(id, address, Operation::store, site);
  announce(make_step(Operation::store, id, Access::write, true), site);
  Object& object = use(id, address, Operation::store, site);
  performs(id, Access::write);
  const SiteRecord& record =
      site_record(site, Operation::store, order, std::memory_order_relaxed, id);
  const unsigned index = (relacy_thread().*store_function(record.effective))(object.data);
  wrote(object, index, value);
  ReportEvent& event = log(Operation::store, id, site);
  event.value = value;
  event.order = record.effective;
}

std::uint64_t atomic_modify(ObjectId id, const void* address, Operation operation,
                            std::uint64_t operand, unsigned width, std::memory_order order,
                            Site site) {
  run();
  check_alive(id, address, operation, site);
  announce(make_step(operation, id, Access::write, true), site);
  Object& object = use(id, address, operation, site);
  performs(id, Access::write);
  const SiteRecord& record = site_record(site, operation, order, std::memory_order_relaxed, id);
  const std::uint64_t before = object.stores[object.newest];
  const int from = object.writers[object.newest];
  std::uint64_t after = operand;
  switch (operation) {
    case Operation::fetch_add:
      after = before + operand;
      break;
    case Operation::fetch_sub:
      after = before - operand;
      break;
    case Operation::fetch_or:
      after = before | operand;
      break;
    case Operation::fetch_and:
      after = before & operand;
      break;
    case Operation::fetch_xor:
      after = before ^ operand;
      break;
    default:
      break;
  }
  if (width < 8) {
    after &= (std::uint64_t{1} << (8 * width)) - 1;
  }
  bool aba = false;
  const unsigned index = (relacy_thread().*modify_function(record.effective))(object.data, aba);
  wrote(object, index, after);
  ReportEvent& event = log(operation, id, site);
  event.value = before;
  event.value_after = after;
  event.order = record.effective;
  event.read_from = from;
  return before;
}

bool atomic_compare_exchange(ObjectId id, const void* address, bool weak, std::uint64_t& expected,
                             std::uint64_t desired, std::memory_order success,
                             std::memory_order failure, Site site) {
  Execution& e = run();
  const Operation operation =
      weak ? Operation::compare_exchange_weak : Operation::compare_exchange_strong;
  check_alive(id, address, operation, site);
  announce(make_step(operation, id, Access::write, true), site);
  Object& object = use(id, address, operation, site);
  const SiteRecord& record = site_record(site, operation, success, failure, id);
  const std::uint64_t current = object.stores[object.newest];
  const int from = object.writers[object.newest];
  bool exchanges = current == expected;
  bool spurious = false;
  if (exchanges && weak && e.weak_left > 0 && e.search->choose_data(2) == 1) {
    --e.weak_left;
    exchanges = false;
    spurious = true;
  }
  performs(id, exchanges ? Access::write : Access::read);
  if (exchanges) {
    bool aba = false;
    const unsigned index = (relacy_thread().*modify_function(record.effective))(object.data, aba);
    wrote(object, index, desired);
  } else {
    (relacy_thread().*newest_function(record.effective_failure))(object.data);
  }
  ReportEvent& event = log(operation, id, site);
  event.value = current;
  event.value_after = exchanges ? desired : current;
  event.order = exchanges ? record.effective : record.effective_failure;
  event.read_from = from;
  event.failed = !exchanges;
  event.spurious = spurious;
  expected = current;
  return exchanges;
}

void mutex_lock(ObjectId id, const void* address, Site site) {
  Execution& e = run();
  char text[64];
  if (use(id, address, Operation::lock, site).owner == e.current) {
    fail(Failure::lock_misuse, "%s locks %s, which it holds (%s:%d)",
         report_thread_name(e.current, e.scenario->threads).text, object_text(id, text),
         base_name(site.file), site.line);
  }
  announce(make_step(Operation::lock, id, Access::write), site);
  Object& object = use(id, address, Operation::lock, site);
  performs(id, Access::write);
  object.owner = e.current;
  object.locked_at = site;
  acquire(object.released);
  log(Operation::lock, id, site);
  // The search learns of the step first: that two locks could have come the other way round.
  settle();
  e.search->acquire(id, e.current);
}

void mutex_unlock(ObjectId id, const void* address, Site site) {
  Execution& e = run();
  Object& object = use(id, address, Operation::unlock, site);
  char text[64];
  if (object.owner != e.current) {
    fail(Failure::lock_misuse, "%s unlocks %s, which it does not hold (%s:%d)",
         report_thread_name(e.current, e.scenario->threads).text, object_text(id, text),
         base_name(site.file), site.line);
  }
  settle();  // the unlock belongs to the step before it
  object.owner = -1;
  join(object.released);
  e.search->release(id, e.current);
  log(Operation::unlock, id, site);
}

bool condition_wait(ObjectId id, const void* address, ObjectId mutex, const void* mutex_address,
                    bool timed, std::int64_t deadline, Site site) {
  Execution& e = run();
  use(id, address, Operation::wait, site);
  char text[64];
  if (use(mutex, mutex_address, Operation::wait, site).owner != e.current) {
    fail(Failure::lock_misuse, "%s waits with %s, which it does not hold (%s:%d)",
         report_thread_name(e.current, e.scenario->threads).text, object_text(mutex, text),
         base_name(site.file), site.line);
  }
  announce(make_step(Operation::wait, id, Access::add), site);
  Object& condition = use(id, address, Operation::wait, site);
  performs(id, Access::add);
  Thread& thread = e.threads[e.current];
  settle();
  log(Operation::wait, id, site);
  condition.waiters |= only(e.current);
  thread.in_wait = true;
  thread.notified = false;
  thread.timed = timed;
  thread.deadline = deadline;
  thread.left_by_timeout = false;
  thread.wait_mutex = mutex;
  Object& held = e.objects[mutex];
  held.owner = -1;
  join(held.released);
  e.search->release(mutex, e.current);

  Step leave = make_step(Operation::leave_wait, id, Access::write);
  leave.accesses.add(e.budget_object, Access::write, ObjectKind::limit);
  if (timed && e.limits.timeouts > 0) {
    leave.accesses.add(e.clock_object, Access::write, ObjectKind::clock);
  }
  if (!can_leave(thread) && e.limits.spurious + (timed ? e.limits.timeouts : 0) > 0) {
    e.search->cannot_step(e.current, leave.accesses);  // the others have used up the limit
  }
  announce(leave, site);
  if (!thread.notified) {  // chosen as it stands: it leaves on its own
    Object& left = use(id, address, Operation::leave_wait, site);
    performs(id, Access::write);
    for (int i = 0; i < e.thread_count; ++i) {
      if (i != e.current && e.threads[i].in_wait && can_leave(e.threads[i]) &&
          e.limits.planted != PlantedFault::ignore_budget_dependency) {
        e.search->offer(i);
      }
    }
    const bool may_spurious = e.spurious_left > 0;
    const bool may_time_out = timed && e.timeouts_left > 0;
    thread.left_by_timeout = may_time_out && (!may_spurious || e.search->choose_data(2) == 1);
    if (thread.left_by_timeout) {
      --e.timeouts_left;
      e.now = std::max(e.now, deadline);
      e.timeout_seen = true;
    } else {
      --e.spurious_left;
      e.spurious_seen = true;
    }
    left.waiters &= ~only(e.current);
    thread.in_wait = false;
    ReportEvent& event = log(Operation::leave_wait, id, site);
    event.spurious = !thread.left_by_timeout;
    announce(make_step(Operation::lock, mutex, Access::write), site);
  }
  Object& again = use(mutex, mutex_address, Operation::lock, site);
  use(id, address, Operation::wait, site);
  performs(mutex, Access::write);
  again.owner = e.current;
  again.locked_at = site;
  acquire(again.released);
  ReportEvent& event = log(Operation::lock, mutex, site);
  event.after_wait = true;
  settle();
  e.search->acquire(mutex, e.current);
  return !thread.left_by_timeout;
}

void condition_notify(ObjectId id, const void* address, bool all, Site site) {
  Execution& e = run();
  const Operation operation = all ? Operation::notify_all : Operation::notify_one;
  check_alive(id, address, operation, site);
  Step step = make_step(operation, id, Access::write);
  // It takes from the sleepers the possibility to wake on their own: what conflicts with that,
  // conflicts with this.
  const bool takes_away = e.limits.spurious + e.limits.timeouts > 0 &&
                          e.limits.planted != PlantedFault::forget_disabled_step;
  if (takes_away) {
    step.accesses.add(e.budget_object, Access::write, ObjectKind::limit);
    step.accesses.add(e.clock_object, Access::write, ObjectKind::clock);
  }
  announce(step, site);
  Object& condition = use(id, address, operation, site);
  ThreadSet woken = condition.waiters;
  performs(id, woken == 0 ? Access::read : Access::write);
  if (!all && woken != 0) {
    std::uint32_t skip = e.search->choose_data(static_cast<std::uint32_t>(std::popcount(woken)));
    while (skip-- > 0) {
      woken &= woken - 1;
    }
    woken &= ~(woken - 1);
  }
  if (takes_away) {
    bool any = false;
    bool timed = false;
    for (int i = 0; i < e.thread_count; ++i) {
      if ((woken & only(i)) != 0) {
        any = true;  // also if the limit is used up by now: it was not before
        timed = timed || e.threads[i].timed;
      }
    }
    if (!any) {
      spares(e.budget_object);
    }
    if (!timed) {
      spares(e.clock_object);
    }
  }
  settle();
  ReportEvent& event = log(operation, id, site);
  event.value = woken;
  condition.waiters &= ~woken;
  for (int i = 0; i < e.thread_count; ++i) {
    if ((woken & only(i)) != 0) {
      Thread& sleeper = e.threads[i];
      sleeper.in_wait = false;
      sleeper.notified = true;
      sleeper.pending = make_step(Operation::lock, sleeper.wait_mutex, Access::write);
      e.search->changes_next_step(e.current, i);
    }
  }
}

void semaphore_post(ObjectId id, const void* address, std::uint32_t count, Site site) {
  run();
  check_alive(id, address, Operation::post, site);
  announce(make_step(Operation::post, id, Access::add), site);
  Object& object = use(id, address, Operation::post, site);
  performs(id, Access::add);
  object.tokens += count;
  log(Operation::post, id, site).value = count;
}

void semaphore_wait(ObjectId id, const void* address, Site site) {
  run();
  check_alive(id, address, Operation::take, site);
  announce(make_step(Operation::take, id, Access::write), site);
  Object& object = use(id, address, Operation::take, site);
  performs(id, Access::write);
  object.tokens -= 1;
  log(Operation::take, id, site);
}

int thread_start(ObjectId id, const void* address, void (*entry)(void*), void* argument,
                 Site site) {
  Execution& e = run();
  check_alive(id, address, Operation::start_thread, site);
  announce(make_step(Operation::start_thread, e.table_object, Access::write), site);
  performs(e.table_object, Access::write);
  if (e.start_failures_left > 0 && e.search->choose_data(2) == 1) {
    --e.start_failures_left;
    log(Operation::start_thread, id, site).failed = true;
    return -1;
  }
  if (e.next_dynamic >= e.thread_count) {
    fail(Failure::thread_misuse, "more threads are started than the scenario declares (%d)",
         e.scenario->dynamic_threads);
  }
  const int index = e.next_dynamic++;
  Thread& thread = e.threads[index];
  thread.entry = entry;
  thread.argument = argument;
  thread.started = true;
  join(thread.created);
  log(Operation::start_thread, id, site).value = static_cast<std::uint64_t>(index);
  settle();
  e.search->order_after(index, e.current);
  return index;
}

void thread_join(ObjectId id, const void* address, int target, Site site) {
  Execution& e = run();
  check_alive(id, address, Operation::join, site);
  if (target == e.current) {
    fail(Failure::thread_misuse, "a thread joins itself (%s:%d)", base_name(site.file), site.line);
  }
  Step step;
  step.operation = Operation::join;
  step.object = id;
  step.target = target;
  announce(step, site);
  use(id, address, Operation::join, site);
  acquire(e.threads[target].ended);
  e.search->order_after(e.current, target);
  log(Operation::join, id, site).value = static_cast<std::uint64_t>(target);
}

int thread_current() { return run().current; }

void cell_access(ObjectId id, const void* address, bool write, Site site) {
  run();
  use(id, address, write ? Operation::cell_write : Operation::cell_read, site);
  log(write ? Operation::cell_write : Operation::cell_read, id, site);
}

std::int64_t clock_now(Site site) {
  Execution& e = run();
  Step step;
  step.operation = Operation::now;
  step.object = e.clock_object;
  step.accesses.add(e.clock_object, Access::read, ObjectKind::clock);
  announce(step, site);
  performs(e.clock_object, Access::read);
  log(Operation::now, e.clock_object, site).value = static_cast<std::uint64_t>(e.now);
  return e.now;
}

void clock_advance(std::int64_t nanoseconds, Site site) {
  Execution& e = run();
  announce(make_step(Operation::advance_clock, e.clock_object, Access::write), site);
  performs(e.clock_object, Access::write);
  e.now += nanoseconds;
  log(Operation::advance_clock, e.clock_object, site).value = static_cast<std::uint64_t>(e.now);
}

void ghost_step(ObjectId id, const void* address, Access access, Site site) {
  run();
  const Operation operation =
      access == Access::read ? Operation::ghost_read : Operation::ghost_write;
  check_alive(id, address, operation, site);
  announce(make_step(operation, id, access), site);
  performs(id, access);
  log(operation, id, site);
}

void ghost_with_next_step(ObjectId id, const void* address, Access access) {
  Execution& e = run();
  use(id, address, Operation::ghost_write, Site{});
  e.threads[e.current].extra.add(id, access, ObjectKind::ghost);
}

void ghost_expect(ObjectId id, const void* address, Access access, Site site) {
  run();
  use(id, address, access == Access::read ? Operation::ghost_read : Operation::ghost_write, site);
  performs(id, access);
}

int happens_before(std::uint64_t* clock, int threads) {
  run();
  rl::thread_info_base& thread = relacy_thread();
  thread.own_acq_rel_order_ += 1;
  for (int i = 0; i < threads; ++i) {
    clock[i] = i < run_->relacy_threads ? thread.acq_rel_order_[i] : 0;
  }
  return thread.index_;
}

void fail_check(const char* sentence, Site site) {
  run();
  fail(Failure::check_failed, "%s (%s:%d)", sentence, base_name(site.file), site.line);
}

void fail_thread(const char* sentence, Site site) {
  run();
  fail(Failure::thread_misuse, "%s (%s:%d)", sentence, base_name(site.file), site.line);
}

std::uint32_t choose(std::uint32_t count) { return run().search->choose_data(count); }

void cover(const char* event) {
  Execution& e = run();
  for (int i = 0; i < e.cover_count; ++i) {
    if (e.cover_names[i] == event || std::strcmp(e.cover_names[i], event) == 0) {
      e.cover_now |= std::uint64_t{1} << i;
      return;
    }
  }
  if (e.cover_count == max_covers) {
    fail(Failure::model_error, "more than %d cover events", max_covers);
  }
  e.cover_names[e.cover_count] = event;
  e.cover_now |= std::uint64_t{1} << e.cover_count++;
}

void freeze_begin() {
  Execution& e = run();
  const Mode mode = e.limits.mode;
  if ((mode == Mode::source_sets || mode == Mode::sleep_sets) && e.limits.replay.empty()) {
    fail(Failure::model_error,
         "FreezeOthers wants a search without reduction: --mode plain or bounded");
  }
  e.threads[e.current].may_freeze = true;
}

void freeze_end() {
  Execution& e = run();
  e.threads[e.current].may_freeze = false;
  if (e.frozen == e.current) {
    e.frozen = -1;
  }
}

}  // namespace runtime
}  // namespace kstone::model
