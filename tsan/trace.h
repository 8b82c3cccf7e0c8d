// What a recorded run consists of: for each thread a log of its own, filled by `RecordingSync` and
// by the program that runs the worker, and replayed by `replay`.
//
// Thread safety: a log is written by one thread, and read once all threads have ended.

#ifndef KSTONE_TSAN_TRACE_H_
#define KSTONE_TSAN_TRACE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kstone/compaction_types.h"
#include "kstone/request_options.h"
#include "kstone/worker_snapshot.h"

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
  // `object` is the stripe, `after` the attempt, `detail` the priority, `before` the reasons.
  job_begin,
  // `object` is the stripe, `after` the outcome's kind, `before` its text in Log::texts; `detail`
  // 1: unwound; 2: it lacks a resource.
  job_end,
  scan_begin,
  scan_end,  // `after` is 1 if it threw
  sink_begin,
  sink_end,
  call_begin,  // `detail` is the Call, `after` its argument
  call_end,    // `after` is the answer, or where it stands in the log
  clock,       // the time was read: `after`, in nanoseconds
};

enum class Call : std::uint8_t {
  queue_compaction,  // RequestArgument
  queue_size,
  is_running,
  wait_idle,      // its argument: 1 if it has a limit, and 2 if it waits for what is delayed
  wait_stripe,    // wait_idle(stripe): StripeArgument
  cancel,         // without waiting: the stripe
  cancel_within,  // StripeArgument
  remove,         // StripeArgument
  restore,        // the stripe
  is_removed,     // the stripe
  pause,          // PauseArgument
  resume,         // the end of a guard: the number of its pause
  shutdown,
  start,
  set_max_concurrent,  // its argument
  set_check_interval,
  retry_now,
  release,  // the stripe
  snapshot,
  destroy
};

struct RequestArgument {
  std::uint64_t all;

  explicit RequestArgument(std::uint64_t argument) : all(argument) {}
  RequestArgument(std::uint32_t stripe, RequestOptions options)
      : all(stripe | (std::uint64_t{static_cast<std::uint8_t>(options.priority)} << 32) |
            (std::uint64_t{options.reasons} << 40)) {}
  std::uint32_t stripe() const { return static_cast<std::uint32_t>(all); }
  RequestOptions options() const {
    return {static_cast<Priority>((all >> 32) & 0xFF), static_cast<std::uint8_t>(all >> 40)};
  }
};

// Of calls for one stripe that may have a limit.
struct StripeArgument {
  std::uint64_t stripe_and_limit;

  explicit StripeArgument(std::uint64_t argument) : stripe_and_limit(argument) {}
  StripeArgument(std::uint32_t stripe, bool has_limit)
      : stripe_and_limit(std::uint64_t{stripe} * 2 + (has_limit ? 1 : 0)) {}
  std::uint32_t stripe() const { return static_cast<std::uint32_t>(stripe_and_limit / 2); }
  bool has_limit() const { return stripe_and_limit % 2 != 0; }
};

// Of Call::pause: its number, which no other pause of the run has, and the stripe; none: all.
struct PauseArgument {
  std::uint64_t number_and_stripe;

  explicit PauseArgument(std::uint64_t argument) : number_and_stripe(argument) {}
  PauseArgument(std::uint32_t number, std::optional<std::uint32_t> stripe)
      : number_and_stripe((std::uint64_t{number} << 32) | (stripe ? *stripe + 1 : 0)) {}
  std::uint32_t number() const { return static_cast<std::uint32_t>(number_and_stripe >> 32); }
  std::optional<std::uint32_t> stripe() const {
    const auto next = static_cast<std::uint32_t>(number_and_stripe);
    return next == 0 ? std::nullopt : std::optional(next - 1);
  }
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

inline std::uint64_t number_of(const std::optional<EpisodeEnd>& end) {
  return end ? 1 + static_cast<std::uint64_t>(*end) : 0;
}
// What Call::wait_stripe answers.
inline std::uint64_t number_of(const StripeIdle& answer) {
  return static_cast<std::uint64_t>(answer.result) + 8 * number_of(answer.last_end);
}
// What Call::cancel and Call::cancel_within answer.
inline std::uint64_t number_of(const CancelReport& answer) {
  return static_cast<std::uint64_t>(answer.result) + (answer.waited ? 8 : 0) +
         (answer.rerun_pending ? 16 : 0) + (answer.running ? 32 : 0) + 64 * number_of(answer.end);
}

enum class Change : std::uint8_t { none, episode_ended, thread_left, closed, unparked, due };

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
  std::uint32_t worker_threads = 0;   // at first
  std::uint32_t thread_capacity = 0;  // no less
  bool enabled = true;
  bool has_scan = false;
  bool has_sink = false;
  bool all_removed = false;

  // Of back-off, in nanoseconds; 0: none.
  std::uint64_t initial = 0;
  std::uint64_t cap = 0;
  std::uint64_t resource_interval = 0;
  bool retries_failed = false;
  std::uint32_t quarantine_after = 0;
  std::uint64_t probe_interval = 0;
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
  // Stripes whose delay had passed.
  std::uint64_t expired = 0;
  // Stripes that were put in quarantine, each time.
  std::uint64_t quarantined = 0;
  // Threads that were too many, each time.
  std::uint64_t parked = 0;
  // Nodes whose stripe was given up while it was only claimed; some of them by a removal that met
  // the claim as it took its step.
  std::uint64_t claims_withdrawn = 0;
  std::uint64_t claims_removed_late = 0;
  // Nodes that said that their stripe was raised, and of those the ones that raised it.
  std::uint64_t raises = 0;
  std::uint64_t raised = 0;
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
