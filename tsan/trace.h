// What a recorded run consists of: for each thread a log of its own, filled by `RecordingSync` and
// by the program that runs the worker, and replayed by `replay`.
//
// Thread safety: a log is written by one thread, and read once all threads have ended.

#ifndef KSTONE_TSAN_TRACE_H_
#define KSTONE_TSAN_TRACE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "kstone/compaction_types.h"

namespace kstone::trace {

enum class Act : std::uint8_t {
  transition,  // of a word: `version` counts them, `before` became `after`
  load,        // of a word, or a compare-exchange that did not take effect: `version`, `after`
  lock,    // `version` is the number of the hold; after a wait `object` is its Change, and `after`
           // says "in time"
  unlock,  // the same number; `object` is the Change that is waited for, if any
  notify,  // `object` is the Change, `after` 1 for all waiters
  post,    // `after` tokens; with or without the mutex
  sleep,   // waits for a token
  wake,    // has got one
  thread_start,  // `object` counts this thread's children, `after` is 1 if there is one now
  thread_begin,
  thread_end,
  join,
  job_begin,  // `object` is the stripe, `after` the attempt
  // `object` is the stripe, `after` the outcome's kind, `before` its text in Log::texts; `detail`
  // 1: unwound.
  job_end,
  scan_begin,
  scan_end,  // `after` is 1 if it threw
  sink_begin,
  sink_end,
  call_begin,  // `detail` is the Call, `after` its argument
  call_end,    // `after` is the answer, or where it stands in the log
};

enum class Call : std::uint8_t {
  queue_compaction,
  queue_size,
  is_running,
  wait_idle,
  wait_stripe,  // wait_idle(stripe), its argument
  shutdown,
  start,
  snapshot,
  destroy
};

// The argument of Call::shutdown.
struct ShutdownArgument {
  std::uint64_t mode_and_limit;

  explicit ShutdownArgument(std::uint64_t argument) : mode_and_limit(argument) {}
  ShutdownArgument(ShutdownMode mode, bool has_limit)
      : mode_and_limit(static_cast<std::uint64_t>(mode) * 2 + (has_limit ? 1 : 0)) {}
  ShutdownMode mode() const { return static_cast<ShutdownMode>(mode_and_limit / 2); }
  bool has_limit() const { return mode_and_limit % 2 != 0; }
};

// What Call::wait_stripe answers.
inline std::uint64_t number_of(const StripeIdle& answer) {
  return static_cast<std::uint64_t>(answer.result) +
         8 * (answer.last_end ? 1 + static_cast<std::uint64_t>(*answer.last_end) : 0);
}

enum class Change : std::uint8_t { none, episode_ended, thread_left, closed };

struct Event {
  Act act;
  std::uint8_t detail = 0;
  std::uint32_t object = 0;
  std::uint64_t version = 0;
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};

// `Event::object` of transitions and loads: a stripe, or
inline constexpr std::uint32_t control_object = UINT32_MAX;

struct Log {
  std::vector<Event> events;
  std::vector<std::unique_ptr<Log>> children;  // of the threads that this one started
  std::deque<WorkerSnapshot> snapshots;
  std::deque<ShutdownReport> reports;
  std::deque<std::string> texts;
  std::uint32_t words_named = 0;
  // Bit n: the n-th thread that this one starts is refused by the system.
  std::uint64_t refused_starts = 0;

  void add(Event event) { events.push_back(event); }
};

// Where the calling thread records; null: nowhere.
inline thread_local Log* current = nullptr;

inline void add(Event event) {
  if (current != nullptr) {
    current->add(event);
  }
}

// What the worker of a run was made of.
struct Setting {
  std::uint32_t stripes = 0;
  std::uint32_t worker_threads = 0;
  bool enabled = true;
  bool has_scan = false;
  bool has_sink = false;
};

struct Verdict {
  // The first event that is not as it must be, in one sentence; empty if all are.
  std::string illegal;
  std::uint64_t transitions = 0;
  std::uint64_t events = 0;
  std::uint64_t holds = 0;

  // Stripes that were taken over, and by the scan's thread. Nodes that came out of the inbox after
  // that, and those of them that brought their stripe.
  std::uint64_t adoptions = 0;
  std::uint64_t adoptions_by_scan = 0;
  std::uint64_t late_arrivals = 0;
  std::uint64_t late_arrivals_queued = 0;
};

// Replays the logs of one worker's life, from before its construction to after its destruction.
//
// The transitions of each word are numbered, and so are the holds of the mutex; nothing else orders
// the logs. Every change of what the mutex guards happens in a hold, so the holds, in their order,
// are replayed on the worker of `protocol/`, with the values that the words had; each thread must
// do what the protocol says that comes next, each answer must be the protocol's.
Verdict replay(const Setting& setting, const std::vector<const Log*>& logs);

}  // namespace kstone::trace

#endif  // KSTONE_TSAN_TRACE_H_
