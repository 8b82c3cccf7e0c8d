// What the modelled types of relacy_sync.h ask of the explorer: one function for each operation.
//
// Nothing here names Relacy: a scenario and the worker it drives compile without it. Of the
// explorer, only atomic.cpp, happens_before.cpp and relacy.cpp see its headers, through
// relacy_headers.h.
//
// Every function runs on a modelled thread, inside an execution; called elsewhere it ends the
// process.

#ifndef KSTONE_MODEL_RUNTIME_H_
#define KSTONE_MODEL_RUNTIME_H_

#include <atomic>
#include <cstdint>

// A call site, as default arguments: clang 14 has no std::source_location.
#define KSTONE_MODEL_SITE                                           \
  const char *file = __builtin_FILE(), int line = __builtin_LINE(), \
             const char *function = __builtin_FUNCTION()
#define KSTONE_MODEL_HERE \
  ::kstone::model::Site { file, line, function }

namespace kstone::model {

// Where an operation was called: the default arguments of the modelled types fill it in.
struct Site {
  const char* file = "";
  int line = 0;
  const char* function = "";
};

// The order of the enumerators is the one in which the history names them.
enum class ObjectKind : std::uint8_t {
  atomic,
  mutex,
  condition_variable,
  semaphore,
  thread,
  cell,
  ghost,
  limit,
  clock
};

enum class Operation : std::uint8_t {
  none,
  start,  // the first step of a thread
  load,
  store,
  exchange,
  fetch_add,
  fetch_sub,
  fetch_or,
  fetch_and,
  fetch_xor,
  compare_exchange_weak,
  compare_exchange_strong,
  lock,
  unlock,
  wait,        // leaves the mutex and sleeps
  leave_wait,  // wakes without a notification
  notify_one,
  notify_all,
  post,
  take,
  start_thread,
  join,
  join_application,
  now,
  advance_clock,
  ghost_read,
  ghost_write,
  cell_read,
  cell_write,
  destroy,
};

// In messages, and for programs, as the enumerator is called.
const char* operation_name(Operation operation);
const char* operation_key(Operation operation);

namespace runtime {

using ObjectId = std::uint32_t;

ObjectId create(ObjectKind kind, const void* address);
void destroy(ObjectId object, const void* address);
void name(ObjectId object, const char* text);

// Atomics of every type travel as 64 bits; `width` is the size of the type in bytes.
void atomic_initialize(ObjectId object, std::uint64_t value);
std::uint64_t atomic_load(ObjectId object, const void* address, std::memory_order order, Site site);
void atomic_store(ObjectId object, const void* address, std::uint64_t value,
                  std::memory_order order, Site site);
std::uint64_t atomic_modify(ObjectId object, const void* address, Operation operation,
                            std::uint64_t operand, unsigned width, std::memory_order order,
                            Site site);
bool atomic_compare_exchange(ObjectId object, const void* address, bool weak,
                             std::uint64_t& expected, std::uint64_t desired,
                             std::memory_order success, std::memory_order failure, Site site);

void mutex_lock(ObjectId object, const void* address, Site site);
void mutex_unlock(ObjectId object, const void* address, Site site);

// False if the wait ended by a timeout. `deadline` in nanoseconds; `timed` says whether there is
// one.
bool condition_wait(ObjectId object, const void* address, ObjectId mutex, const void* mutex_address,
                    bool timed, std::int64_t deadline, Site site);
void condition_notify(ObjectId object, const void* address, bool all, Site site);

void semaphore_post(ObjectId object, const void* address, std::uint32_t count, Site site);
void semaphore_wait(ObjectId object, const void* address, Site site);

// The index of the new thread; -1 if the system refused to create one.
int thread_start(ObjectId object, const void* address, void (*entry)(void*), void* argument,
                 Site site);
void thread_join(ObjectId object, const void* address, int thread, Site site);
int thread_current();

void cell_access(ObjectId object, const void* address, bool write, Site site);

std::int64_t clock_now(Site site);
void clock_advance(std::int64_t nanoseconds, Site site);

// How a step touches an object. Two steps on one object are independent if both read it or both add
// to it (additions commute: posting to a semaphore, going to sleep on a condition variable); all
// others conflict.
enum class Access : std::uint8_t { read, add, write };

// A step of its own on state which several threads use for checking only (scenario.h).
void ghost_step(ObjectId object, const void* address, Access access, Site site);
// The next step of this thread touches the object, too.
void ghost_with_next_step(ObjectId object, const void* address, Access access);
// Ends the run unless the step that is executing has announced this access.
void ghost_expect(ObjectId object, const void* address, Access access, Site site);

// What happens before the calling thread's next operation, as a vector clock of `threads` entries;
// returns its own index.
int happens_before(std::uint64_t* clock, int threads);

[[noreturn]] void fail_check(const char* sentence, Site site);
[[noreturn]] void fail_thread(const char* sentence, Site site);  // a thread is misused

std::uint32_t choose(std::uint32_t count);
void in_turn();
void cover(const char* event);
void freeze_begin();
void freeze_end();

}  // namespace runtime
}  // namespace kstone::model

#endif  // KSTONE_MODEL_RUNTIME_H_
