// What the worker shows of itself: its counters, and one moment of it.
//
// Thread safety: plain values.

#ifndef KSTONE_WORKER_SNAPSHOT_H_
#define KSTONE_WORKER_SNAPSHOT_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/duration_histogram.h"
#include "kstone/export.h"

namespace kstone {

// What the worker has counted since it was made. No counter goes back. (To add one:
// CONTRIBUTING.md.)
struct WorkerCounters {
  // Answers given by `queue_compaction`. Exact once the callers have returned.
  std::uint64_t queued = 0;
  std::uint64_t coalesced = 0;
  std::uint64_t rerun_pending = 0;
  std::uint64_t rejected_unknown_stripe = 0;
  std::uint64_t rejected_disabled = 0;
  std::uint64_t rejected_shutting_down = 0;
  std::uint64_t rejected_removed = 0;

  // Episodes, by how they ended.
  std::uint64_t episodes_opened = 0;
  std::uint64_t retries = 0;  // those of them that no request opened, but a failure
  std::uint64_t probes = 0;   // ... but a failure that put the stripe in quarantine
  std::uint64_t episodes_done = 0;
  std::uint64_t episodes_failed = 0;
  std::uint64_t episodes_cancelled = 0;
  std::uint64_t episodes_removed = 0;
  std::uint64_t episodes_discarded = 0;

  // Compactions started, and those that ended, by outcome.
  std::uint64_t compactions_started = 0;
  OutcomeCounts outcomes;

  std::uint64_t requests() const noexcept {
    return queued + coalesced + rerun_pending + rejected_unknown_stripe + rejected_disabled +
           rejected_shutting_down + rejected_removed;
  }

  // Calls `visit` with the name and the value of each counter, in the order above; those of
  // outcomes are named `outcomes_done`, and so on. The name lives for the call only.
  template <class Visit>
  void for_each(const Visit& visit) const {
    visit(std::string_view("queued"), queued);
    visit(std::string_view("coalesced"), coalesced);
    visit(std::string_view("rerun_pending"), rerun_pending);
    visit(std::string_view("rejected_unknown_stripe"), rejected_unknown_stripe);
    visit(std::string_view("rejected_disabled"), rejected_disabled);
    visit(std::string_view("rejected_shutting_down"), rejected_shutting_down);
    visit(std::string_view("rejected_removed"), rejected_removed);
    visit(std::string_view("episodes_opened"), episodes_opened);
    visit(std::string_view("retries"), retries);
    visit(std::string_view("probes"), probes);
    visit(std::string_view("episodes_done"), episodes_done);
    visit(std::string_view("episodes_failed"), episodes_failed);
    visit(std::string_view("episodes_cancelled"), episodes_cancelled);
    visit(std::string_view("episodes_removed"), episodes_removed);
    visit(std::string_view("episodes_discarded"), episodes_discarded);
    visit(std::string_view("compactions_started"), compactions_started);
    for (std::size_t kind = 0; kind < CompactionOutcome::kind_count; ++kind) {
      const auto each = static_cast<CompactionOutcome::Kind>(kind);
      visit(std::string_view("outcomes_" + std::string(to_string(each))), outcomes[each]);
    }
  }

  friend bool operator==(const WorkerCounters&, const WorkerCounters&) = default;
};

// A compaction that runs.
struct RunningCompaction {
  std::uint32_t stripe_id = 0;
  std::uint32_t thread = 0;                 // the number of the worker thread, from 0
  std::uint32_t attempt = 0;                // as its job was told
  std::chrono::nanoseconds running_for{0};  // since the thread took the stripe

  friend bool operator==(const RunningCompaction&, const RunningCompaction&) = default;
};

// One moment of the worker. Of everything but `stats`, which jobs change while the snapshot is
// taken, two laws hold in every snapshot:
//   episodes_opened = done + failed + cancelled + removed + discarded + alive
//   episodes_opened = queued + rerun_pending + retries + probes
struct WorkerSnapshot : WorkerCounters {
  CompactionStats stats;

  std::uint64_t episodes_alive = 0;  // opened and not ended
  std::uint64_t pending = 0;         // those of them that the queue does not know of yet
  std::uint64_t queue_size = 0;      // stripes accepted and not running
  std::uint32_t in_high_lane = 0;    // those of them that the worker has in the high lane
  std::uint32_t in_low_lane = 0;     // ... and in the low one
  std::uint32_t held = 0;            // ... and that a pause holds
  std::uint32_t delayed = 0;         // ... and that wait since a compaction of theirs failed
  std::uint32_t quarantined = 0;     // stripes in quarantine; also while a probe of them runs
  std::uint32_t removed = 0;         // stripes that are removed
  std::uint32_t running = 0;         // stripes being compacted
  std::uint32_t running_max = 0;     // the most there ever were at once
  std::uint64_t overdue = 0;         // compactions that ran longer than `Options::watchdog_limit`
  std::uint32_t worker_threads = 0;  // threads alive
  std::uint32_t max_concurrent = 0;  // how many stripes may run at once
  // Threads that wait apart, because they found too many up. Those that sleep are not counted.
  std::uint32_t parked_threads = 0;
  std::chrono::seconds check_interval{0};      // from the end of a scan to the next
  std::uint32_t waiting_callers = 0;           // threads in calls that wait
  std::string first_error;                     // the error of the first job that failed
  std::vector<RunningCompaction> compactions;  // those that run, by thread

  // How long the stripe that entered the queue first has been waiting for a thread; zero if none is
  // in the queue. A stripe enters it when the worker learns of it: when a thread has nothing else
  // to take, or when a snapshot looks (so one every second is off by a second at most, also while
  // all threads hang). It enters it anew when a pause or a delay of it ends, or when it is to be
  // compacted once more. While all stripes are paused it gets no older.
  std::chrono::nanoseconds oldest_waiting{0};
  DurationHistogram waited;  // in the queue: of each compaction that was started
  // Of each compaction that has ended: from when its thread took the stripe until the worker noted
  // the end, with what the log sink took.
  DurationHistogram ran;
};

// For people: a line for each compaction that runs, and some more. What programs read is
// `kstone/json.h`.
KSTONE_EXPORT std::ostream& operator<<(std::ostream& out, const RunningCompaction& running);
KSTONE_EXPORT std::ostream& operator<<(std::ostream& out, const WorkerSnapshot& snapshot);

}  // namespace kstone

#endif  // KSTONE_WORKER_SNAPSHOT_H_
