// A background worker for LSM storage engines: writers say which stripe needs compaction, threads
// compact it, and one day somebody calls shutdown.
//
// Thread safety: every public method may be called from any thread at any time, also from jobs; the
// destructor may not overlap any other call but those that wait (`wait_idle`, `cancel` with a
// limit, `remove`, `shutdown`) and were entered before it: a snapshot's `waiting_callers` has
// counted them. Nor may it overlap `pause`, whose guard would use the worker afterwards.

#ifndef KSTONE_BACKGROUND_WORKER_H_
#define KSTONE_BACKGROUND_WORKER_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "kstone/back_off.h"
#include "kstone/compaction_config.h"
#include "kstone/compaction_context.h"
#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/export.h"
#include "kstone/pause_guard.h"
#include "kstone/production_sync.h"
#include "kstone/request_options.h"
#include "kstone/worker_snapshot.h"

namespace kstone {
namespace detail {
template <class Sync>
class Shell;
}

// *Requires*
//   - The job and the log sink tolerate being called from several threads at once: one job object
//     serves all threads.
//   - Nobody calls a method once the destructor has begun, and none but waits is under way. Flush
//     callbacks and writers have been stopped by then.
//   - Nobody calls what waits for jobs (`wait_idle`, `cancel` with a limit, `remove`, `pause`,
//     `pause_all`, `shutdown`, the destructor) while holding a lock that a job or the scan needs;
//     nor what asks jobs to stop (`cancel`, `remove`, `shutdown`) with one that a stop callback
//     needs.
//   - A child of `fork` leaves a worker alone that had threads then: they live in the parent. On
//     Linux any call there, the destructor too, aborts with a sentence, and so does the return of a
//     job that has forked. One that has none (never started, started by a disabled configuration,
//     or shut down completely) works in the child, if no other thread was inside a call of it at
//     the fork, which nobody checks.
// *Guarantees*
//   - One at a time: never two compactions of one stripe at the same time; of different stripes, as
//     many as configured, or as `set_max_concurrent` said last.
//   - No lost request: an accepted request is followed by a compaction of its stripe that starts
//     after the request's effect, or its episode ends otherwise (failed, cancelled, removed,
//     discarded). Any number of requests for a stripe that waits cost one compaction; any number
//     during a compaction cost one more.
//   - Publication: what a caller wrote before `queue_compaction` is visible to the compaction that
//     serves the request, also when the answer was `coalesced` or `rerun_pending`. What a
//     compaction wrote is visible to the next one of its stripe, and to whoever learns of its end
//     through a call that waited for it.
//   - Only what failed waits for a timer: a request wakes a thread, and `wait_idle` and `pause` end
//     when a shutdown closes the worker, a drain after the first scan; what waits for one
//     compaction waits for its end. A thread that the system suspends inside `queue_compaction`
//     holds up the stripe that it asked for, until somebody waits for that or the scan has run
//     (D36), or one of the worker's threads (D11; all of them, where the limit was lowered to as
//     few: D66).
// *Lifetime*
//   - The destructor does what `shutdown(ShutdownMode::finish_running)` without a limit does: it
//     waits for running compactions, and discards queued ones, also those of a drain whose limit
//     had passed. Call `wait_idle` or `shutdown(ShutdownMode::drain)` first to have them done, and
//     look at its report.
//   - What the job, the scan and the sink captured lives until the destructor has returned, not
//     only until `shutdown` has.
//
//     auto compact = [&](CompactionContext& context) {
//       engine.compact(context.stripe_id());
//       return CompactionOutcome::done();
//     };
//     BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(),
//                             16, compact);
//     if (worker.start() != StartResult::started) { return error; }
//     worker.queue_compaction(7);  // from any writer, any number of times
//     auto report = worker.shutdown(ShutdownMode::drain);
template <class Sync>
class basic_background_worker {
 public:
  using Context = basic_compaction_context<Sync>;
  using StatsAtomic = basic_compaction_stats_atomic<Sync>;
  using Job = std::function<CompactionOutcome(Context&)>;
  using Scan = std::function<void(basic_background_worker&)>;

  struct Options {
    // Called on a thread of its own when the worker starts, and again the check interval after each
    // call has ended; it may queue stripes. A backstop for what an engine forgot to request:
    // nothing here depends on it, but stripes whose requester is suspended (D36), which its thread
    // takes over after each call. `wait_idle()` waits for the first one and `remove` for one that
    // is under way, so one that does not return holds them up. None by default. If it throws, or
    // its thread cannot be created, the log says so, and nothing else does. One that takes long
    // asks `is_running`, which is false once a shutdown has closed the worker: the shutdown waits
    // for its end, and is not `complete` before. A drain waits for the first scan before it closes,
    // so a scan has to end by itself.
    Scan scan = {};
    // None by default: failed compactions then show in the snapshot and in the report only. It must
    // not end its thread.
    LogSink log = {};
    // Lines of a lower level are not made: what a job starts and ends is `debug`.
    LogLevel least_log_level = LogLevel::debug;
    // True: the worker's threads have the signal mask of whoever creates them, the caller of
    // `start` or `set_max_concurrent`. Else, on Linux, they block all signals but those of faults
    // and profilers (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF), so that
    // handlers run on threads of the application. A process that a job makes inherits the mask: set
    // an empty one before it runs another program.
    bool keep_signal_mask = false;
    // True: every stripe is removed at first, and accepts requests once it is restored. So
    // `stripe_count` is how many stripes there can be, and they come and go.
    bool all_removed = false;
    // How many worker threads there can be in all, for `set_max_concurrent`: the configured number
    // to `max_worker_threads`. 0: as many as configured, so that can only be lowered. A place that
    // is not used costs a few hundred bytes.
    std::uint32_t thread_capacity = 0;
    // When a stripe whose compaction failed is tried again. A thread of the worker's keeps the
    // time; where it cannot be created, the worker is one without back-off, which the log says. A
    // shutdown discards what is delayed, in every mode.
    BackOff back_off = {};
    // A compaction that runs longer is named in the log at level warn, once: its stripe, its thread
    // and for how long; and counted in a snapshot (`overdue`). 0: none is. At most
    // `max_watchdog_limit`. The thread that keeps the time looks and calls the sink; while no
    // compaction runs it wakes each time as much has passed. After closing nobody looks: a
    // shutdown's report lists what still runs.
    std::chrono::nanoseconds watchdog_limit{0};
    // How stripes of different priorities share the threads.
    LaneOptions lanes = {};
  };

  // Stripes are `0 .. stripe_count - 1`. Allocates all that requests and dispatch will ever need;
  // starts no thread. Throws std::invalid_argument, naming the value, for a stripe count of 0 or
  // above `max_stripe_count`, a null job, or a configuration, thread capacity, back-off, watchdog
  // limit or number of reserved threads outside the ranges stated there.
  basic_background_worker(CompactionConfig config, StatsAtomic stats, std::uint32_t stripe_count,
                          Job job, Options options = {});

  // Blocks for no longer than the running jobs and a scan take. Called from a job, scan or log sink
  // of this worker it aborts with a sentence, since it would wait for itself.
  ~basic_background_worker();

  basic_background_worker(const basic_background_worker&) = delete;
  basic_background_worker& operator=(const basic_background_worker&) = delete;

  // Creates the threads; what was queued before starts now. Fewer threads than wanted are a
  // warning in the log; none at all is an error. Does not wait for jobs. Threads that jobs have
  // ended (pthread_exit) are created anew by `set_max_concurrent` alone, while there are places.
  [[nodiscard]] StartResult start();

  // How many stripes may be compacted at the same time, 1 to `Options::thread_capacity`; before
  // `start` too, and from jobs. From then on none begins while so many run. No compaction is
  // stopped: a lower number takes effect as they end, and threads that are then too many wait
  // apart. With a higher one they go on, and missing threads are created at once. Threads are
  // missing, too, where the system has refused one, or jobs have ended some; so the same number
  // again creates those. (The place of a thread that a job has ended is not used again.) A shutdown
  // that has begun goes on with the number it finds: raise it before a drain that shall be quick.
  //
  // Waits for no job. Takes the worker's mutex, for 16 new threads at a time. A new thread has its
  // creator's affinity, priority, and, if the worker keeps it, signal mask.
  //
  // Memory ordering: none is promised.
  [[nodiscard]] ResizeResult set_max_concurrent(std::uint32_t max);

  // How long after the end of one scan the next one begins, from now on: as
  // `CompactionConfig::with_check_interval` takes it, with the same bounds. An interval that has
  // begun counts from where it did, so a shorter one may have passed. Nothing happens once the
  // worker has closed, or where there is no scan.
  template <class Rep, class Period>
  void set_check_interval(std::chrono::duration<Rep, Period> interval) {
    set_check_interval_secs(CompactionConfig().with_check_interval(interval).check_interval_secs);
  }

  // Asks for a compaction of the stripe. Takes no lock, allocates nothing, calls no code of the
  // user, never waits. (Where there is no futex, that is on systems other than Linux, waking a
  // sleeping thread takes a lock for a moment.)
  //
  // Memory ordering: what the caller wrote before is visible to the compaction that serves the
  // request.
  Submission queue_compaction(std::uint32_t stripe_id) noexcept;

  // The same, with a priority other than normal, or with reasons. Of the requests that one
  // compaction serves the highest priority counts, and all reasons: a request that raises a stripe
  // which waits moves it to the higher lane, before those that have waited for less long, and one
  // that raises a re-run counts for that. A stripe that is put back (`more_work`, or a retry)
  // keeps both. Lock-free: where others request the same stripe at the same time, it may try its
  // step again. Of one stripe, 65,534 requests of low priority are counted between two compactions;
  // more are served, and not counted.
  //
  // Memory ordering: as above.
  Submission queue_compaction(std::uint32_t stripe_id, RequestOptions options) noexcept;

  // Stripes that are accepted and not running, also what a pause holds, or waits after a failure.
  // O(1); exact when no call overlaps. Takes the worker's mutex, for which a snapshot, a
  // `wait_idle` or `start` may make it wait: not for the path of a write.
  std::size_t queue_size() const;

  // True from a successful `start` until `shutdown`, if a worker thread lives (or, disabled, none
  // is needed). Takes the mutex, as `queue_size` does.
  bool is_running() const;

  // Waits until every request answered before the call has reached its end; requests that come
  // later are not waited for. If there is a scan, it first waits until the first one, and one that
  // is under way, have returned; what is requested until then, by the scan or by others, is waited
  // for, too. With no limit, it does not wait for what a pause holds: once all else has ended it
  // answers `paused`. What waits after a failure it does not wait for either, whatever the limit,
  // and answers `delayed` once that is all that is left, unless it is to wait. It never waits for a
  // stripe that is in quarantine, as long as that lasts. Without a limit it waits as long as that
  // takes; a limit of zero or less asks without waiting. Before `start` it waits for the start,
  // with a warning in the log the first time, for which no limit counts. What another thread has
  // begun to request is taken over from it, in case that it is suspended. O(stripes) at first,
  // 1,024 of them at a time with the mutex; of more than that it may also wait for what is
  // requested meanwhile. Throws std::bad_alloc if there is no memory to note what to wait for.
  //
  // Memory ordering: after `idle`, what those compactions wrote is visible to the caller.
  [[nodiscard]] IdleResult wait_idle(Limit limit = {},
                                     WhenDelayed when_delayed = WhenDelayed::answer);

  // The same for one stripe: waits until its episodes that are alive at the call have ended, two at
  // the most, and says how the last of these did, or if none was alive, the latest. Other stripes,
  // and later requests, are not waited for. It may have to move into the queue what others have
  // requested, each stripe once; else O(1). Of a stripe in quarantine, or once it is, it answers
  // `quarantined`. Allocates nothing; takes the mutex, so it is not for the path of a write. While
  // somebody waits so, each end of a compaction looks at each who does.
  //
  // Memory ordering: after `idle`, what those compactions wrote is visible to the caller.
  [[nodiscard]] StripeIdle wait_idle(std::uint32_t stripe_id, Limit limit = {},
                                     WhenDelayed when_delayed = WhenDelayed::answer);

  // Gives the stripe up: what was accepted for it and has not begun ends as *cancelled*, also the
  // re-run behind a compaction that runs; that compaction is asked to stop (its `stop_requested`),
  // and unless it is done all the same, its episode ends as cancelled, too. Says what of that it
  // found. Later requests are accepted as ever. This form waits for no job, so a job may call it,
  // also for its own stripe; the job's stop callbacks run here. O(threads); it may have to move
  // into the queue what others have requested. Allocates nothing; takes the mutex.
  CancelReport cancel(std::uint32_t stripe_id);

  // The same, and waits for the end of the compaction that ran: without a limit (`Limit()`) as long
  // as that takes, also while the worker shuts down.
  //
  // Memory ordering: after `ended`, what that compaction wrote is visible to the caller.
  [[nodiscard]] CancelReport cancel(std::uint32_t stripe_id, Limit limit);

  // Takes the stripe out: from its step on, requests are `rejected_removed`; what was accepted and
  // has not begun ends as *removed*, and a compaction that runs is asked to stop. Then waits,
  // within the limit, for that compaction and for a scan that had begun before; later scans ask
  // `is_removed`. After `removed` nothing of the worker touches the stripe, so what the job uses of
  // it may be freed. After `timed_out` it may not: call again, which waits for that compaction and
  // for a scan under way at that call, also once the worker has closed. A stop callback of the job
  // runs here.
  //
  // Memory ordering: after `removed`, what its compactions wrote is visible to the caller.
  [[nodiscard]] RemoveResult remove(std::uint32_t stripe_id, Limit limit = {});

  // Accepts requests for a removed stripe again, which starts afresh: pauses of it end. What was
  // rejected meanwhile is not remembered, so request it if there is work. Never waits. Not before
  // `remove` has answered `removed`, or another caller's `remove` would speak of the new stripe.
  //
  // Memory ordering: what the caller wrote before is visible to whoever requests the stripe after
  // having learnt of the restore, and to its compactions.
  [[nodiscard]] RestoreResult restore(std::uint32_t stripe_id);

  // For scans, and whoever else looks at all stripes; false for an unknown one. Takes the mutex.
  bool is_removed(std::uint32_t stripe_id) const;

  // What waits after a failure waits no longer: all such stripes go to the tail of the queue, those
  // that lack a resource too, but not those in quarantine. For whoever knows that the cause is
  // gone. How many they were; 0 once the worker has closed. Waits for no job; O(stripes), 1,024 of
  // them at a time with the mutex. Their failures still count, so one that fails again waits longer
  // than before.
  //
  // Memory ordering: what the caller wrote before is visible to their compactions.
  std::uint32_t retry_now();

  // Forgets the failures of the stripe, and ends its quarantine (`BackOff`): if it waits for a
  // probe, it goes to the tail of the queue; if its compaction runs, that is the first to count if
  // it fails. For whoever has mended what it failed of. Waits for no job. It may have to move into
  // the queue what others have requested; takes the mutex. Of all of them: for each of
  // `quarantined`.
  //
  // Memory ordering: what the caller wrote before is visible to its compactions.
  [[nodiscard]] ReleaseResult release(std::uint32_t stripe_id);

  // The stripes in quarantine, in ascending order, each with the error of its last compaction. (As
  // in the report, an error may be cut; it is missing while a probe runs.) Of more than 1,024
  // stripes it is no single moment: each is looked at once. Once the worker has closed, those that
  // the report lists. O(stripes), 1,024 of them at a time with the mutex, and once more where many
  // are put there meanwhile. Throws std::bad_alloc if there is no memory.
  std::vector<StripeError> quarantined() const;

  // Keeps the stripe from running while the guard lives, and waits within the limit for a
  // compaction of it that runs: look at the guard's result, only after `paused` none does. Requests
  // are accepted and wait, holding no thread. Several pauses may hold the same; it goes on with the
  // end of the last, at the tail of the queue. A shutdown discards, in every mode, what is held at
  // its step; guards released after that do nothing. With a limit of zero it does not wait. Throws
  // std::bad_alloc if there is no memory for the guard.
  //
  // Memory ordering: after `paused`, what the compactions wrote is visible to the caller; what the
  // caller writes before it releases the guard is visible to those that run then.
  [[nodiscard]] basic_pause_guard<Sync> pause(std::uint32_t stripe_id, Limit limit = {});

  // The same for every stripe: nothing is moved, and they go on in their order. Scans go on, and
  // are not waited for.
  [[nodiscard]] basic_pause_guard<Sync> pause_all(Limit limit = {});

  // Ends the worker for good, and waits for its threads. Once it has closed, every request is
  // rejected. A drain closes after the first scan has returned, and one that is under way, so that
  // what they find is drained, too; its limit counts, and the worker runs on meanwhile. Called
  // again, or from several threads, it joins the shutdown under way; a stronger mode takes effect,
  // a weaker one does not. With a limit it returns when that has passed, `complete` being false,
  // and what was begun goes on. (The limit does not bound what runs after a thread's last job,
  // destructors of the engine's thread_local objects, nor the log sink; nor closing each stripe and
  // reporting on many: O(stripes), 1,024 of them at a time with the mutex.) Throws std::bad_alloc
  // if the report cannot be built; the shutdown goes on. A mode that is none of the three is
  // refused, and nothing happens.
  //
  // Memory ordering: when `complete`, what every compaction wrote is visible to the caller.
  ShutdownReport shutdown(ShutdownMode mode = ShutdownMode::finish_running, Limit limit = {});

  // All counters, such that their laws hold. O(stripes), 1,024 of them at a time with the mutex; it
  // moves into the queue what others have requested, as many at most. Requests go on, and one that
  // overlaps the call may be counted or not; of more stripes than that, one may be missing, too,
  // whose stripe a thread has taken up meanwhile. Throws std::bad_alloc if there is no memory for
  // the text of the first error.
  WorkerSnapshot snapshot() const;

  // The same without a look at each stripe: O(threads), for a page that is read every second. (It
  // moves into the queue what others have requested.) Its laws hold too; what has been answered of
  // a stripe since a thread last took it up or moved it into the queue may be missing from
  // `queued`, `coalesced`, `rerun_pending`, the rejections, and the episodes, and `pending` is 0.
  // No counter goes back from one snapshot to the next, whichever they are.
  WorkerSnapshot brief_snapshot() const;

  // Why the stripe is being compacted just now, or is not, for people: one sentence, such as
  // "stripe 5 waits in the queue for 3.2 s, with 2 stripes before it: 4 of 4 compactions run." Its
  // words may change. For a stripe that there is not, too. Takes the worker's mutex; it may have to
  // move into the queue what others have requested, and looks at 1,024 stripes at most. An error is
  // cut to 256 bytes. Throws std::bad_alloc.
  std::string explain(std::uint32_t stripe_id) const;

  std::uint32_t stripe_count() const noexcept;
  // As the worker was made. What was changed since is in a snapshot.
  const CompactionConfig& config() const noexcept;

 private:
  void set_check_interval_secs(std::uint64_t seconds);

  const std::unique_ptr<detail::Shell<Sync>> shell_;
};

using BackgroundWorker = basic_background_worker<ProductionSync>;
using PauseGuard = basic_pause_guard<ProductionSync>;

extern template class KSTONE_EXPORT basic_background_worker<ProductionSync>;
extern template class KSTONE_EXPORT basic_pause_guard<ProductionSync>;

}  // namespace kstone

#endif  // KSTONE_BACKGROUND_WORKER_H_
