// The values that pass between an engine and the worker: requests and their answers, outcomes of
// jobs, shutdown modes and their report.
//
// Thread safety: plain values.

#ifndef KSTONE_COMPACTION_TYPES_H_
#define KSTONE_COMPACTION_TYPES_H_

#include "kstone/cxx20.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kstone/export.h"
#include "kstone/request_options.h"

namespace kstone {

// What a job, a scan and a report speak of.
struct CompactionRequest {
  std::uint32_t stripe_id = 0;

  friend bool operator==(const CompactionRequest&, const CompactionRequest&) = default;
};

// The answer of `queue_compaction`. The first three mean accepted: a compaction of the stripe
// starts after the call's effect, or the episode is reported with another end.
enum class Submission : std::uint8_t {
  queued,     // the stripe was idle and now waits for a worker thread
  coalesced,  // a request that no compaction has taken yet covers this one too
  // The stripe is being compacted; it will be compacted once more afterwards.
  rerun_pending,
  rejected_unknown_stripe,  // the id is not below the stripe count
  rejected_disabled,        // `CompactionConfig::enabled` is false
  rejected_shutting_down,   // `shutdown` has closed the worker
  rejected_removed,         // `remove` was called for the stripe, and `restore` was not
};

constexpr bool accepted(Submission answer) noexcept { return answer <= Submission::rerun_pending; }
KSTONE_EXPORT std::string_view to_string(Submission answer) noexcept;

// Beyond it the text of an error is cut to 64 bytes. It is copied by each report and snapshot,
// while the worker's threads wait.
inline constexpr std::size_t max_error_size = std::size_t{1} << 20;

// What a compaction that shall be tried again has found: something of its stripe, which alone
// waits; or that a resource is gone which others need, too, such as room on a disk. Those that say
// so wait together, and one of them tries each second (`BackOff::resource_interval`).
enum class Retry : std::uint8_t { stripe, resource };

// What became of one compaction. Only the failing kinds carry a text, of `max_error_size` at most.
class [[nodiscard]] CompactionOutcome {
 public:
  enum class Kind : std::uint8_t {
    done,           // work was done and none is left
    nothing_to_do,  // there was nothing to compact; no success, no failure
    more_work,      // work was done and some is left: the stripe goes to the tail of the queue
    // Failed, and trying again makes sense: the episode goes on, after a delay (`BackOff`).
    retry,
    failed,   // failed: a retry tries again, after a delay, or, if it is so set, the next request
    stopped,  // gave up because it was asked to stop
  };
  static constexpr std::size_t kind_count = static_cast<std::size_t>(Kind::stopped) + 1;

  static CompactionOutcome done() { return CompactionOutcome(Kind::done); }
  static CompactionOutcome nothing_to_do() { return CompactionOutcome(Kind::nothing_to_do); }
  static CompactionOutcome more_work() { return CompactionOutcome(Kind::more_work); }
  // ... where the rest is of another priority than this compaction was.
  static CompactionOutcome more_work(Priority rest) {
    auto outcome = CompactionOutcome(Kind::more_work);
    outcome.rest_ = rest <= Priority::high ? rest : Priority::normal;  // as a request has it
    return outcome;
  }
  static CompactionOutcome retry(std::string error, Retry what = Retry::stripe) {
    auto outcome = CompactionOutcome(Kind::retry, std::move(error));
    outcome.lacks_resource_ = what == Retry::resource;
    return outcome;
  }
  static CompactionOutcome failed(std::string error) {
    return CompactionOutcome(Kind::failed, std::move(error));
  }
  static CompactionOutcome stopped() { return CompactionOutcome(Kind::stopped); }

  Kind kind() const noexcept { return kind_; }
  const std::string& error() const noexcept { return error_; }
  bool lacks_resource() const noexcept { return lacks_resource_; }
  std::optional<Priority> rest() const noexcept { return rest_; }
  std::string take_error() noexcept { return std::move(error_); }

 private:
  explicit CompactionOutcome(Kind kind, std::string error = {})
      : kind_(kind), error_(std::move(error)) {
    if (error_.size() > max_error_size) {
      cut_error();
    }
  }
  KSTONE_EXPORT void cut_error() noexcept;

  Kind kind_;
  bool lacks_resource_ = false;
  std::optional<Priority> rest_;
  std::string error_;
};

KSTONE_EXPORT std::string_view to_string(CompactionOutcome::Kind kind) noexcept;

// A number for each kind of outcome: `counts[CompactionOutcome::Kind::done]`.
class OutcomeCounts {
 public:
  std::uint64_t& operator[](CompactionOutcome::Kind kind) {
    return counts_[static_cast<std::size_t>(kind)];
  }
  std::uint64_t operator[](CompactionOutcome::Kind kind) const {
    return counts_[static_cast<std::size_t>(kind)];
  }
  std::uint64_t sum() const noexcept {
    std::uint64_t result = 0;
    for (const auto count : counts_) {
      result += count;
    }
    return result;
  }

  friend bool operator==(const OutcomeCounts&, const OutcomeCounts&) = default;

 private:
  std::array<std::uint64_t, CompactionOutcome::kind_count> counts_{};
};

enum class StartResult : std::uint8_t {
  // At least one worker thread runs, or the configuration is disabled and none is needed.
  started,
  already_running,  // an earlier call started it
  shut_down,        // an error: a worker that was shut down does not start again; make a new one
  // An error: the system refused every thread; nothing was started, `start` may be called again.
  no_threads,
};

KSTONE_EXPORT std::string_view to_string(StartResult result) noexcept;

// Of `set_max_concurrent`.
enum class ResizeResult : std::uint8_t {
  resized,  // as many may run from now on, and so many threads there are, once it has started
  // As many may run, but there are fewer threads: the system refused one, or jobs have ended so
  // many that there are no places left.
  fewer_threads,
  out_of_range,  // nothing happened: 0, or more than the capacity for threads
  shut_down,     // the worker has closed, before or meanwhile
};

KSTONE_EXPORT std::string_view to_string(ResizeResult result) noexcept;

enum class IdleResult : std::uint8_t {
  // Every request answered before the call has reached its end. (A wait for all stripes passes over
  // those in quarantine.)
  idle,
  timed_out,  // the limit passed first
  shut_down,  // `shutdown` was called before or meanwhile
  refused,    // called from a job, scan or log sink of this worker, where it would wait for itself
  unknown_stripe,  // of the wait for one stripe: it is `stripe_count` or above
  paused,          // of a wait without a limit: a pause holds something that it waits for
  // All that is left waits after a failure, until it is tried again (`BackOff`).
  delayed,
  // Of the wait for one stripe: it is in quarantine, and what was asked for waits for a probe.
  quarantined,
};

// What a wait does when all that is left is delayed: answers so, or waits for that, too.
enum class WhenDelayed : std::uint8_t { answer, wait };

KSTONE_EXPORT std::string_view to_string(IdleResult result) noexcept;

// How an episode ended: its request was served; its compaction failed; it was cancelled, or its
// stripe removed, before it was done; or the worker ended before it ran.
enum class EpisodeEnd : std::uint8_t { done, failed, cancelled, removed, discarded };

KSTONE_EXPORT std::string_view to_string(EpisodeEnd end) noexcept;

// What a wait for one stripe answers.
struct StripeIdle {
  IdleResult result = IdleResult::idle;
  // With `idle`: how the last of the episodes that were waited for ended; where none was alive, and
  // with `quarantined`, how the latest of the stripe did. None if no episode of it has ended yet.
  std::optional<EpisodeEnd> last_end;

  friend bool operator==(const StripeIdle&, const StripeIdle&) = default;
};

// What `cancel` found of a stripe, and what became of it.
struct CancelReport {
  enum class Result : std::uint8_t {
    ended,  // nothing of what was found is left; also if nothing was found
    // A compaction ran and was asked to stop; with a limit, it had not ended when that passed.
    still_running,
    // With a limit from a job, scan, log sink or stop callback, where it would wait for itself.
    refused,
    unknown_stripe,
  };

  Result result = Result::ended;
  // Something was accepted and had not begun; its episode has ended as cancelled.
  bool waited = false;
  // A compaction ran, and a request had come meanwhile; the episode of that has ended as cancelled.
  bool rerun_pending = false;
  // A compaction ran; it was asked to stop. Unless it is done in spite of that, its episode ends as
  // cancelled.
  bool running = false;
  // How the episode of that compaction ended, if the call has waited for it.
  std::optional<EpisodeEnd> end = {};

  friend bool operator==(const CancelReport&, const CancelReport&) = default;
};

KSTONE_EXPORT std::string_view to_string(CancelReport::Result result) noexcept;

enum class RemoveResult : std::uint8_t {
  removed,    // nothing of the worker touches the stripe, nor will before it is restored
  timed_out,  // the limit passed first: removed all the same, and `remove` may be asked again
  // `shutdown` was called before the stripe was removed; nothing happened, and nothing may be freed
  // before the shutdown is complete.
  shut_down,
  refused,  // called from a job, scan, log sink or stop callback, where it would wait for itself
  unknown_stripe,
};

KSTONE_EXPORT std::string_view to_string(RemoveResult result) noexcept;

enum class RestoreResult : std::uint8_t {
  restored,       // requests are accepted again
  not_removed,    // nothing to do
  still_running,  // a compaction that was asked to stop by `remove` has not ended: ask again
  shut_down,      // `shutdown` was called before; nothing happened
  unknown_stripe,
};

KSTONE_EXPORT std::string_view to_string(RestoreResult result) noexcept;

enum class ReleaseResult : std::uint8_t {
  released,         // its quarantine is over, and its failures are forgotten
  not_quarantined,  // its failures are forgotten all the same
  shut_down,        // `shutdown` was called before; nothing happened
  unknown_stripe,
};

KSTONE_EXPORT std::string_view to_string(ReleaseResult result) noexcept;

enum class PauseResult : std::uint8_t {
  // Nothing runs of what is paused, nor will while the guard lives (of one stripe: and it is not
  // removed and restored meanwhile).
  paused,
  still_running,  // nothing new starts while the guard lives, but the limit passed first
  // In the rest the guard holds nothing.
  shut_down,  // `shutdown` was called before or meanwhile
  restored,   // meanwhile the stripe was, which ends its pauses
  refused,    // called from a job, scan, log sink or stop callback, where it would wait for itself
  unknown_stripe,
};

KSTONE_EXPORT std::string_view to_string(PauseResult result) noexcept;

// How long a call may wait: any std::chrono duration. None waits as long as it takes; with zero or
// less it does not wait; more than a clock of nanoseconds can say (292 years) is none.
class Limit {
 public:
  Limit() = default;
  template <class Rep, class Period>
  Limit(std::chrono::duration<Rep, Period> limit) {  // implicit: a duration is what callers have
    const double seconds = std::chrono::duration<double>(limit).count();
    if (!(seconds > 0)) {
      nanoseconds_ = std::chrono::nanoseconds(0);
    } else if (seconds < 9e9) {
      // Not duration_cast: with a period such as 1001/30000 s its product overflows long before
      // that.
      const std::chrono::duration<long double, std::nano> exact(limit);
      nanoseconds_ = std::chrono::nanoseconds(static_cast<std::int64_t>(exact.count() + 0.5L));
    }
  }

  std::optional<std::chrono::nanoseconds> nanoseconds() const noexcept { return nanoseconds_; }

 private:
  std::optional<std::chrono::nanoseconds> nanoseconds_;
};

// What `shutdown` does with work that was accepted before it. Each mode does less than the one
// before it; a later call may only move to the right.
enum class ShutdownMode : std::uint8_t {
  // Each accepted stripe that waits is compacted once, then the threads end; without threads, all
  // is discarded, and so is always what waits after a failure.
  drain,
  finish_running,  // running compactions end by themselves; what is queued is discarded
  cancel,          // as finish_running, and running compactions are asked to stop
};

KSTONE_EXPORT std::string_view to_string(ShutdownMode mode) noexcept;

// A stripe, and the error of its last compaction.
struct StripeError {
  std::uint32_t stripe_id = 0;
  std::string error;

  friend bool operator==(const StripeError&, const StripeError&) = default;
};

// What `shutdown` did. Every caller gets the same cumulative report, as of the moment its call
// returns.
struct ShutdownReport {
  // True: the call was made from a job, scan or log sink of this worker, or with a mode that there
  // is not, and did nothing. The rest is empty.
  bool refused = false;

  // All threads have ended, that of the scan too. False only when the caller's limit passed first.
  bool complete = false;

  // The strongest mode asked for so far, also after the end; all else is then as it was.
  ShutdownMode mode = ShutdownMode::finish_running;

  // Accepted stripes that were not compacted (again), in ascending order.
  std::vector<CompactionRequest> discarded;

  // Stripes that are in quarantine (`BackOff`): those of `discarded` that were when the worker
  // closed, and those of `unfinished` whose probe failed after that. In ascending order.
  std::vector<CompactionRequest> quarantined;

  // Stripes whose last compaction left work undone (`more_work`, `retry`, `failed` or `stopped`),
  // whenever that was, or whose last episode was cancelled before it ran. Not removed ones. In
  // ascending order.
  std::vector<CompactionRequest> unfinished;

  // The errors of those stripes of `unfinished` whose last compaction failed; `discarded` may have
  // some of them, too. All texts that a worker keeps share 1 MiB, and one that finds no room is cut
  // to 64 bytes, which it has beyond that. One for which there was no memory is missing; before the
  // end, where others have failed while the report was built, some are.
  std::vector<StripeError> errors;

  // Accepted stripes that wait still to be compacted (again): only of a drain whose limit has
  // passed, and they are drained on. In ascending order, at the moment of this report, as is what
  // follows.
  std::vector<CompactionRequest> waiting;

  // Stripes being compacted at the moment of this report. (Of more than 1,024 stripes and before
  // the end, it is no single moment: each stripe is looked at once.)
  std::vector<CompactionRequest> still_running;

  // From when the worker closed to the end of the last thread, or to now.
  std::chrono::nanoseconds duration{0};

  // The error of the first job that failed in the worker's life; empty if none did.
  std::string first_error;
};

// For people: of each list that is not empty a line with its first ten stripes, and the first ten
// errors. What programs read is `kstone/json.h`.
KSTONE_EXPORT std::ostream& operator<<(std::ostream& out, const ShutdownReport& report);

// Warn: the worker goes on, with less or later. Error: something that it was asked to do will not
// be done until somebody acts: `start` failed, the scan does not run, a thread is gone for good.
enum class LogLevel : std::uint8_t { debug, info, warn, error };

KSTONE_EXPORT std::string_view to_string(LogLevel level) noexcept;

// Called on the acting thread, with no lock held; may queue requests; what it throws is swallowed.
// Never called from `queue_compaction`. The text lives for the call only.
using LogSink = std::function<void(LogLevel, std::string_view)>;

}  // namespace kstone

#endif  // KSTONE_COMPACTION_TYPES_H_
