// A background worker for LSM storage engines: writers say which stripe needs compaction, threads
// compact it, and one day somebody calls shutdown.
//
// Thread safety: every public method may be called from any thread at any time, also from jobs; the
// destructor may not overlap any other call but waits (`wait_idle`, `shutdown`) that were entered
// before it.
//
// Invariants (I1 to I4 hold whenever the mutex is free, I5 and I6 always):
//   I1  A stripe is never compacted by two threads at the same time.
//   I2  A stripe whose word holds requests and is not closed is in the list, in the core's queue,
//       running, or claimed: between the two steps of the call that answered `queued`.
//   I3  While some worker thread sleeps, those that are awake and run no job, or are owed a token,
//       are at least as many as the stripes that wait in the list and the queue. A thread goes to
//       sleep only when none waits; who lists a stripe claims a sleeper in the same step, and owes
//       it a token; who puts a stripe back is awake itself. That token may be late, if its
//       requester is suspended: so who takes a stripe and leaves others in the queue wakes another.
//   I4  Once the core is closed, every stripe word is closed, and so is the list.
//   I5  Each sleeper that is claimed is posted one token, and each sleeper consumes one; there are
//       never more than threads.
//   I6  A stripe has one node. Only the call that found its word without requests and not running
//       links it, and only the thread that took the list touches it until the stripe is idle again.

#ifndef KSTONE_BACKGROUND_WORKER_H_
#define KSTONE_BACKGROUND_WORKER_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kstone/atomic_words.h"
#include "kstone/compaction_config.h"
#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/export.h"
#include "kstone/production_sync.h"
#include "kstone/scheduling_core.h"
#include "kstone/thread_annotations.h"

namespace kstone {

// What a job is given. It lives for the call of the job.
template <class Sync>
class basic_compaction_context {
 public:
  using StatsAtomic = basic_compaction_stats_atomic<Sync>;

  basic_compaction_context(CompactionRequest request, std::uint32_t attempt,
                           const typename Sync::template atomic<bool>& stop_flag,
                           const StatsAtomic& stats)
      : request_(request), attempt_(attempt), stop_flag_(stop_flag), stats_(stats) {}

  CompactionRequest request() const noexcept { return request_; }
  std::uint32_t stripe_id() const noexcept { return request_.stripe_id; }

  // 1 for the first compaction of an episode, one more for each that follows `more_work`.
  std::uint32_t attempt() const noexcept { return attempt_; }

  // True once `shutdown(ShutdownMode::cancel)` asks this compaction to give up; it may then answer
  // `stopped`. Relaxed: it asks for something, and publishes nothing.
  bool stop_requested() const noexcept { return stop_flag_.load(std::memory_order_relaxed); }

  // The flag behind `stop_requested`, for engines that poll an atomic of their caller. Not to be
  // written; RocksDB's `canceled` is a pointer to a non-const one that RocksDB only reads, so a
  // const_cast is in order there.
  const typename Sync::template atomic<bool>& stop_flag() const noexcept { return stop_flag_; }

  // Where the job records what it merged. `total_compactions` and `active_compactions` are the
  // worker's to keep: a job that calls `record_compaction` or `start_compaction` counts twice.
  const StatsAtomic& stats() const noexcept { return stats_; }

 private:
  CompactionRequest request_;
  std::uint32_t attempt_;
  const typename Sync::template atomic<bool>& stop_flag_;
  const StatsAtomic& stats_;
};

// *Requires*
//   - The job and the log sink tolerate being called from several threads at once: one job object
//     serves all threads.
//   - Nobody calls a method once the destructor has begun, and none but waits is under way. Flush
//     callbacks and writers have been stopped by then.
//   - Nobody calls `shutdown`, `wait_idle` or the destructor while holding a lock that a job needs.
//   - A child of `fork` leaves the worker alone: its threads live in the parent. On Linux any call
//     there that would use them, the destructor too, aborts with a sentence, and so does the return
//     of a job that has forked.
// *Guarantees*
//   - One at a time: never two compactions of one stripe at the same time; of different stripes, as
//     many as configured.
//   - No lost request: an accepted request is followed by a compaction of its stripe that starts
//     after the request's effect, or the episode is reported (failed, cancelled, discarded). Any
//     number of requests for a stripe that waits cost one compaction; any number during a
//     compaction cost one more.
//   - Publication: what a caller wrote before `queue_compaction` is visible to the compaction that
//     serves the request, also when the answer was `coalesced` or `rerun_pending`. What a
//     compaction wrote is visible to the next one of its stripe, and to whoever learns of its end
//     through `wait_idle` or `shutdown`.
//   - Nobody waits for a timer: a request wakes a sleeping thread, and every wait ends when
//     `shutdown` is called.
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
    // Called on a thread of its own when the worker starts, and again `check_interval_secs` after
    // each call has ended; it may queue stripes. A backstop for what an engine forgot to request:
    // nothing here depends on it. None by default. If it throws, or its thread cannot be created,
    // the log says so, and nothing else does. One that takes long asks `is_running`, which is false
    // once a shutdown has begun: the shutdown waits for it, and is not `complete` before.
    Scan scan = {};
    // None by default: failed compactions then show in the snapshot and in the report only. It must
    // not end its thread.
    LogSink log = {};
  };

  // Stripes are `0 .. stripe_count - 1`. Allocates all that requests and dispatch will ever need;
  // starts no thread. Throws std::invalid_argument, naming the value, for a stripe count of 0 or
  // above `max_stripe_count`, a null job, or a configuration outside the ranges that
  // `CompactionConfig` states.
  basic_background_worker(CompactionConfig config, StatsAtomic stats, std::uint32_t stripe_count,
                          Job job, Options options = {});

  // Blocks for no longer than the running jobs and a scan take. Called from a job, scan or log sink
  // of this worker it aborts with a sentence, since it would wait for itself.
  ~basic_background_worker();

  basic_background_worker(const basic_background_worker&) = delete;
  basic_background_worker& operator=(const basic_background_worker&) = delete;

  // Creates the threads; what was queued before starts now. Fewer threads than configured are a
  // warning in the log; none at all is an error. Does not wait for jobs.
  [[nodiscard]] StartResult start();

  // Asks for a compaction of the stripe. Takes no lock, allocates nothing, calls no code of the
  // user, never waits. (Where there is no futex, that is on systems other than Linux, waking a
  // sleeping thread takes a lock for a moment.)
  //
  // Memory ordering: what the caller wrote before is visible to the compaction that serves the
  // request.
  Submission queue_compaction(std::uint32_t stripe_id) noexcept;

  // Stripes that are accepted and not running. O(1); exact when no call overlaps. Takes the
  // worker's mutex, for which a snapshot, a `wait_idle` or `start` may make it wait: not for the
  // path of a write.
  std::size_t queue_size() const;

  // True from a successful `start` until `shutdown`, if a worker thread lives (or, disabled, none
  // is needed). Takes the mutex, as `queue_size` does.
  bool is_running() const;

  // Waits until every request answered before the call has reached its end; requests that come
  // later are not waited for. Without a limit it waits as long as that takes; a limit of zero or
  // less asks without waiting. Before `start` it waits for the start. O(stripes) at first, during
  // which no thread takes up a stripe. Throws std::bad_alloc if there is no memory to note what to
  // wait for.
  //
  // Memory ordering: after `idle`, what those compactions wrote is visible to the caller.
  [[nodiscard]] IdleResult wait_idle(Limit limit = {});

  // Ends the worker for good, and waits for its threads. Every request from now on is rejected.
  // Called again, or from several threads, it joins the shutdown under way; a stronger mode takes
  // effect, a weaker one does not. With a limit it returns when that has passed, `complete` being
  // false, and what was begun goes on. (The limit does not bound what runs after a thread's last
  // job, destructors of the engine's thread_local objects, nor the log sink.) Throws std::bad_alloc
  // if the report cannot be built; the shutdown goes on.
  //
  // Memory ordering: when `complete`, what every compaction wrote is visible to the caller.
  ShutdownReport shutdown(ShutdownMode mode = ShutdownMode::finish_running, Limit limit = {});

  // All counters, such that their laws hold. O(stripes), during which no thread takes up a stripe;
  // requests go on, and one that overlaps the call may be counted or not. Throws std::bad_alloc if
  // there is no memory for the text of the first error.
  WorkerSnapshot snapshot() const;

  std::uint32_t stripe_count() const noexcept { return stripe_count_; }
  const CompactionConfig& config() const noexcept { return config_; }

 private:
  using Mutex = typename Sync::mutex;
  template <class T>
  using Atomic = typename Sync::template atomic<T>;
  template <class T>
  using Cell = typename Sync::template cell<T>;
  using Deadline = std::optional<std::chrono::nanoseconds>;
  // Bytes; std::hardware_destructive_interference_size varies with -mtune.
  static constexpr std::size_t cache_line = 64;

  // A thread of the worker, as it itself sees it: written before it starts, joined by the one
  // caller that set `joining`.
  struct Slot {
    basic_background_worker* self = nullptr;
    std::uint32_t index = 0;  // into State::threads
    typename Sync::thread thread;
    Atomic<bool> stop_flag{false};
  };

  // ... and as the others see it.
  struct ThreadState {
    std::optional<typename Sync::thread::id_type> id;  // from its first step until it was joined
    bool alive = false;
  };

  // What the mutex guards, in one cell: read() or write() without it is a race that is found. Keep
  // no reference past an unlock.
  struct State {
    State(std::uint32_t stripe_count, std::uint32_t worker_threads)
        : core(stripe_count), threads(std::size_t{worker_threads} + 1) {
      in_sink.reserve(16);  // so that the destructor's line needs no memory
    }

    bool all_threads_left() const { return alive_workers == 0 && !threads.back().alive; }

    SchedulingCore core;
    std::vector<ThreadState> threads;  // the worker threads, then the scan's
    // Callers of the worker on whose threads the sink runs.
    std::vector<typename Sync::thread::id_type> in_sink;
    std::uint32_t alive_workers = 0;
    bool started = false;
    bool joining = false;  // a caller of shutdown joins the threads
    bool joined = false;
    std::uint32_t idle_waiters = 0;
    std::uint32_t shutdown_callers = 0;
    std::chrono::nanoseconds closed_at{0};
    std::optional<std::chrono::nanoseconds> stopped_at;
  };

  void link(std::uint32_t stripe_id) noexcept;

  // A call in a forked child would be answered and never served, or wait for ever.
  void check_process(const char* sentence) const noexcept {
    Sync::check(process_.is_current(), sentence);
  }

  // What wait_idle waits for: `stripe_id` has ended that many episodes.
  struct Goal {
    std::uint32_t stripe_id;
    std::uint32_t ended;
  };

  // The threads. compact(), wake_threads(), join_threads() and log_end() release the mutex and take
  // it again.
  void start_threads() KSTONE_REQUIRES(mutex_);
  bool start_thread(std::uint32_t index, void (*entry)(void*)) KSTONE_REQUIRES(mutex_);
  void enter(const Slot& slot) KSTONE_REQUIRES(mutex_);
  void work(Slot& slot) KSTONE_EXCLUDES(mutex_);
  void scan(Slot& slot) KSTONE_EXCLUDES(mutex_);
  ControlWord admit_listed() KSTONE_REQUIRES(mutex_);
  void link_taken(std::uint32_t head) KSTONE_REQUIRES(mutex_);
  void compact(Slot& slot) KSTONE_REQUIRES(mutex_);
  CompactionOutcome run_job(Slot& slot, std::uint32_t stripe_id, std::uint32_t attempt)
      KSTONE_EXCLUDES(mutex_);
  template <class Call>
  bool contained(Slot& slot, std::optional<std::uint32_t> stripe_id, std::string& error,
                 const Call& call) KSTONE_EXCLUDES(mutex_);
  bool release_word(std::uint32_t stripe_id, CompactionOutcome::Kind kind) KSTONE_REQUIRES(mutex_);
  void finish(std::uint32_t stripe_id, CompactionOutcome&& outcome) KSTONE_REQUIRES(mutex_);
  void leave(Slot& slot) KSTONE_REQUIRES(mutex_);
  void leave_unwound(Slot& slot, std::optional<std::uint32_t> stripe_id) KSTONE_EXCLUDES(mutex_);
  bool claim_sleeper() KSTONE_REQUIRES(mutex_);

  void check_destructible() const KSTONE_EXCLUDES(mutex_);
  void await_callers() KSTONE_EXCLUDES(mutex_);
  void stop(ShutdownMode mode, const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  void close() KSTONE_REQUIRES(mutex_);
  void wake_threads() KSTONE_REQUIRES(mutex_);
  bool await_threads(const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  void join_threads(const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  void log_end() KSTONE_REQUIRES(mutex_);
  std::vector<Goal> goals_of_all_stripes() const KSTONE_REQUIRES(mutex_);
  IdleResult await_goal(Goal goal, const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  std::size_t waiting_stripes() const KSTONE_REQUIRES(mutex_);
  bool on_own_thread() const KSTONE_REQUIRES(mutex_);
  ShutdownReport report() const KSTONE_REQUIRES(mutex_);
  bool wait(typename Sync::condition_variable& change, const Deadline& deadline)
      KSTONE_REQUIRES(mutex_);
  static Deadline deadline_after(Limit limit);
  template <class... Arguments>
  void log_on_caller(LogLevel level, const char* format, Arguments... arguments)
      KSTONE_EXCLUDES(mutex_);
  template <class... Arguments>
  void log(LogLevel level, const char* format, Arguments... arguments) const noexcept
      KSTONE_EXCLUDES(mutex_);

  // Immutable after construction.
  const typename Sync::process process_{};
  const CompactionConfig config_;
  const StatsAtomic stats_;
  const std::uint32_t stripe_count_;
  const Job job_;
  const Options options_;
  const std::unique_ptr<Atomic<std::uint64_t>[]> words_;  // StripeWord
  // The list: the stripe below each one, plus one. Written by the call that links, read by the
  // thread that took the list.
  const std::unique_ptr<Cell<std::uint32_t>[]> links_;

  // Touched by requesters, so on a cache line that holds nothing else.
  alignas(cache_line) Atomic<std::uint64_t> control_{0};  // ControlWord
  Atomic<std::uint64_t> rejected_unknown_stripe_{0};
  Atomic<std::uint64_t> rejected_disabled_{0};
  typename Sync::semaphore sleepers_;

  // Taken by worker threads and control calls, never by `queue_compaction`.
  alignas(cache_line) mutable Mutex mutex_;
  typename Sync::condition_variable episode_ended_;  // or the worker has closed
  // Or the threads were joined, or a wait has been left.
  typename Sync::condition_variable thread_left_;
  typename Sync::condition_variable closed_;  // ends the scan's wait

  Cell<State> state_ KSTONE_GUARDED_BY(mutex_);

  // As State::threads.
  const std::unique_ptr<Slot[]> slots_;
};

template <class Sync>
Submission basic_background_worker<Sync>::queue_compaction(std::uint32_t stripe_id) noexcept {
  check_process("queue_compaction: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) [[unlikely]] {
    // Relaxed: a count that only the snapshot shows.
    rejected_unknown_stripe_.fetch_add(1, std::memory_order_relaxed);
    return Submission::rejected_unknown_stripe;
  }
  if (!config_.enabled) [[unlikely]] {
    rejected_disabled_.fetch_add(1, std::memory_order_relaxed);  // relaxed: as above
    return Submission::rejected_disabled;
  }
  // [Q1] acq_rel. Release: pairs with [T1] and [C2], publishes the caller's writes to the
  // compaction, also when coalesced. Acquire: pairs with [F1], so that the list node's last use
  // lies before its next. model/worker/no_lost_wake_up.cpp
  const StripeWord before{
      words_[stripe_id].fetch_add(StripeWord::one_request, std::memory_order_acq_rel)};
  // The answer depends on `before` alone, whatever comes later. A rejected call leaves its count in
  // the closed word, where it means nothing but one more rejection.
  if (before.closed()) [[unlikely]] {
    return Submission::rejected_shutting_down;
  }
  if (before.requests() != 0) {
    return Submission::coalesced;
  }
  if (before.running()) {
    return Submission::rerun_pending;
  }
  link(stripe_id);
  return Submission::queued;
}

template <class Sync>
void basic_background_worker<Sync>::link(std::uint32_t stripe_id) noexcept {
  // Relaxed: a stale value makes the compare-exchange fail, which brings the newest.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  do {
    if (control.closed()) [[unlikely]] {
      return;  // shutdown has seen the claim in the stripe's word, or will, and takes it over
    }
    links_[stripe_id].write() = control.head();
    // [L1] release; pairs with [T2] and [C1]. Publishes the link below this stripe.
    // model/worker/no_lost_wake_up.cpp
  } while (!control_.compare_exchange_weak(control.bits, control.with_listed(stripe_id).bits,
                                           std::memory_order_release, std::memory_order_relaxed));
  if (control.sleepers() != 0) {
    sleepers_.post(1);  // the sleeper that the exchange above claimed
  }
}

using BackgroundWorker = basic_background_worker<ProductionSync>;
using CompactionContext = basic_compaction_context<ProductionSync>;

extern template class KSTONE_EXPORT basic_background_worker<ProductionSync>;

}  // namespace kstone

#endif  // KSTONE_BACKGROUND_WORKER_H_
