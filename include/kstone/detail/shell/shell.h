// The shell around the scheduling core: threads, waits, and the one mutex. `BackgroundWorker`
// forwards to it.
//
// Thread safety: as `BackgroundWorker`.
//
// Invariants (I1 to I4 hold whenever the mutex is free, I5 and I6 always; those that are not here
// stand at `Inbox`):
//   I1  A stripe is never compacted by two threads at the same time.
//   I3  While some worker thread sleeps, those that are awake and run no job, or are owed a token,
//       are at least as many as the stripes that wait in the inbox and the queue. A thread goes to
//       sleep only when none waits; who pushes a stripe claims a sleeper in the same step, and owes
//       it a token; who puts a stripe back is awake itself. That token may be late, if its
//       requester is suspended: so who takes a stripe and leaves others in the queue wakes another.
//       Where more are awake than may compact, those that park count, too.

#ifndef KSTONE_DETAIL_SHELL_SHELL_H_
#define KSTONE_DETAIL_SHELL_SHELL_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kstone/back_off.h"
#include "kstone/compaction_config.h"
#include "kstone/compaction_context.h"
#include "kstone/compaction_types.h"
#include "kstone/detail/core/scheduling_core.h"
#include "kstone/detail/deadline.h"
#include "kstone/detail/explanation.h"
#include "kstone/detail/pauses.h"
#include "kstone/detail/shell/crew.h"
#include "kstone/detail/shell/inbox.h"
#include "kstone/detail/shell/sink_calls.h"
#include "kstone/detail/shell/waits.h"
#include "kstone/detail/thread_annotations.h"
#include "kstone/duration_histogram.h"
#include "kstone/pause_guard.h"
#include "kstone/worker_snapshot.h"

namespace kstone::detail {

// So many stripes are looked at under one hold of the mutex, whatever for, beside the one that a
// call or a compaction is about.
template <class Sync>
inline constexpr std::uint32_t stripes_in_a_hold =
    Sync::stripes_in_a_hold > 1 ? Sync::stripes_in_a_hold - 1 : 1;

// ... and so many stripes a raise passes at the most, to find its place.
inline constexpr std::uint32_t passed_by_a_raise = 64;

template <class Mutex>
class KSTONE_SCOPED_CAPABILITY ScopedLock {
 public:
  explicit ScopedLock(Mutex& mutex) KSTONE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~ScopedLock() KSTONE_RELEASE() { mutex_.unlock(); }
  ScopedLock(const ScopedLock&) = delete;
  ScopedLock& operator=(const ScopedLock&) = delete;

 private:
  Mutex& mutex_;
};

template <class Sync>
class Shell {
 public:
  using Context = basic_compaction_context<Sync>;
  using StatsAtomic = basic_compaction_stats_atomic<Sync>;
  using Guard = basic_pause_guard<Sync>;

  // What it calls of the user's, and how.
  struct Calls {
    std::function<CompactionOutcome(Context&)> job;
    std::function<void()> scan;  // may be null
    LogSink log;                 // may be null
    LogLevel least_level = LogLevel::debug;
    bool keep_signal_mask = false;
    BackOff back_off = BackOff::off();
    std::chrono::nanoseconds watchdog_limit{0};
    LaneOptions lanes = {};
    bool needs_timekeeper() const { return back_off.is_on() || watchdog_limit.count() != 0; }
  };

  Shell(CompactionConfig config, StatsAtomic stats, std::uint32_t stripe_count,
        std::uint32_t thread_capacity, bool all_removed, Calls calls);

  StartResult start();
  ResizeResult set_max_concurrent(std::uint32_t limit);
  void set_check_interval(std::chrono::seconds interval);
  Submission queue_compaction(std::uint32_t stripe_id) noexcept;
  Submission queue_compaction(std::uint32_t stripe_id, RequestOptions options) noexcept;
  std::size_t queue_size();
  bool is_running() const;
  IdleResult wait_idle(Limit limit, WhenDelayed when_delayed);
  StripeIdle wait_idle(std::uint32_t stripe_id, Limit limit, WhenDelayed when_delayed);
  CancelReport cancel(std::uint32_t stripe_id);
  CancelReport cancel(std::uint32_t stripe_id, Limit limit);
  RemoveResult remove(std::uint32_t stripe_id, Limit limit);
  RestoreResult restore(std::uint32_t stripe_id);
  bool is_removed(std::uint32_t stripe_id) const;
  std::uint32_t retry_now();
  ReleaseResult release(std::uint32_t stripe_id);
  std::vector<StripeError> quarantined();
  Guard pause(std::optional<std::uint32_t> stripe_id, Limit limit);  // none: all
  void resume(const Pauses::Entry& entry);
  bool holds(const Pauses::Entry& entry) const;
  ShutdownReport shutdown(ShutdownMode mode, Limit limit);
  WorkerSnapshot snapshot(bool brief);
  std::string explain(std::uint32_t stripe_id);
  void prepare_destruction();

  std::uint32_t stripe_count() const noexcept { return stripe_count_; }
  const CompactionConfig& config() const noexcept { return config_; }

 private:
  using Mutex = typename Sync::mutex;
  template <class T>
  using Atomic = typename Sync::template atomic<T>;
  template <class T>
  using Cell = typename Sync::template cell<T>;
  using Asker =
      typename SinkCalls<Sync>::Entry;  // of a stop: a call, on whose thread callbacks run

  // What the mutex guards, in one cell: read() or write() without it is a race that is found. Keep
  // no reference past an unlock.
  struct State {
    State(std::uint32_t stripe_count, std::uint32_t capacity, const CompactionConfig& config,
          const BackOff& back_off, const LaneOptions& lanes)
        : core(stripe_count, back_off, lanes),
          crew(capacity, config.max_concurrent_compactions),
          check_interval(config.check_interval_secs) {}

    SchedulingCore core;
    Crew<Sync> crew;
    std::chrono::seconds check_interval;
    bool started = false;
    bool warned_before_start = false;
    bool joining = false;  // a caller of shutdown joins the threads
    std::uint64_t scans_begun = 0;
    std::uint64_t scans_ended = 0;
    Waits waits;
    Pauses pauses;
    std::uint32_t shutdown_callers = 0;
    WorkerCounters shown;  // by snapshots
    DurationHistogram waited;
    DurationHistogram ran;
    std::uint64_t overdue = 0;  // compactions that the watchdog has named
    SinkCalls<Sync> sink_calls;
  };

  // What calls mutex_.give_way(), warn_before_start(), compact(), join_threads(), log_end(), and
  // call_stop_callbacks() release the mutex and take it again.

  std::optional<Submission> refusal_of(std::uint32_t stripe_id) noexcept;

  // Starting: starting.h.
  void start_threads() KSTONE_REQUIRES(mutex_);
  bool start_workers(std::uint32_t most) KSTONE_REQUIRES(mutex_);
  template <void (Shell::*body)(Slot<Sync>&)>
  bool start_thread(std::uint32_t index) KSTONE_REQUIRES(mutex_);
  void enter(const Slot<Sync>& slot) KSTONE_REQUIRES(mutex_);

  // Fewer threads, or more: resizing.h.
  bool add_workers() KSTONE_REQUIRES(mutex_);
  Effects share_threads() KSTONE_REQUIRES(mutex_);
  void park() KSTONE_REQUIRES(mutex_);

  // Worker threads: working.h.
  void work(Slot<Sync>& slot) KSTONE_EXCLUDES(mutex_);
  std::optional<ControlWord> take_inbox(std::uint32_t& room) KSTONE_REQUIRES(mutex_);
  std::uint32_t arrive(Node node) KSTONE_REQUIRES(mutex_);
  template <class Look>
  void in_slices(const Look& look) KSTONE_REQUIRES(mutex_);
  bool settle_next(std::uint32_t& room) KSTONE_REQUIRES(mutex_);
  std::uint32_t compact(Slot<Sync>& slot) KSTONE_REQUIRES(mutex_);
  CompactionOutcome run_job(Slot<Sync>& slot, const SchedulingCore::Taken& taken,
                            const Requests& serves) KSTONE_EXCLUDES(mutex_);
  bool should_yield(std::uint32_t index) KSTONE_EXCLUDES(mutex_);
  void log_outcome(Slot<Sync>& slot, std::uint32_t stripe_id, const CompactionOutcome& outcome,
                   std::chrono::nanoseconds ran) KSTONE_EXCLUDES(mutex_);
  template <class Call>
  bool contained(Slot<Sync>& slot, std::optional<std::uint32_t> stripe_id, std::string& error,
                 const Call& call) KSTONE_EXCLUDES(mutex_);
  Effects finish(std::uint32_t index, std::uint32_t stripe_id, CompactionOutcome&& outcome,
                 Failure failure, std::uint32_t& room) KSTONE_REQUIRES(mutex_);
  Requests end_in_word(std::uint32_t stripe_id, CompactionOutcome::Kind kind,
                       const Failure& failure) KSTONE_REQUIRES(mutex_);
  void leave(Slot<Sync>& slot) KSTONE_REQUIRES(mutex_);
  void leave_unwound(Slot<Sync>& slot, std::optional<std::uint32_t> stripe_id)
      KSTONE_EXCLUDES(mutex_);

  // The time, for what the core does next under this hold of the mutex.
  std::chrono::nanoseconds tick() KSTONE_REQUIRES(mutex_);

  // What the core asks for. The answer is how many tokens the caller posts once it has released the
  // mutex: a thread that is woken may be run at once in place of this one, and would wait for it.
  [[nodiscard]] std::uint32_t apply(Effects effects) KSTONE_REQUIRES(mutex_);

  // Claims that are late: adopting.h.
  std::optional<std::uint32_t> adopt(std::uint32_t stripe_id, std::uint32_t& room)
      KSTONE_REQUIRES(mutex_);
  bool take_inbox_for_others(std::uint32_t& room) KSTONE_REQUIRES(mutex_);
  bool take_inbox_for_others() KSTONE_REQUIRES(mutex_);
  void wake(Effects effects) KSTONE_REQUIRES(mutex_);
  void adopt_all() KSTONE_REQUIRES(mutex_);

  // The time of what is delayed, and of what runs too long: timekeeper.h.
  void keep_time(Slot<Sync>& slot) KSTONE_EXCLUDES(mutex_);
  bool name_overdue(Slot<Sync>& slot) KSTONE_REQUIRES(mutex_);
  Deadline next_look() const KSTONE_REQUIRES(mutex_);
  Failure failure_of(Slot<Sync>& slot, const CompactionOutcome& outcome) const
      KSTONE_EXCLUDES(mutex_);
  double share_of_chance(Slot<Sync>& slot) const KSTONE_EXCLUDES(mutex_);

  // The scan's thread: scanning.h.
  void scan(Slot<Sync>& slot) KSTONE_EXCLUDES(mutex_);
  void await_interval(std::chrono::nanoseconds since) KSTONE_REQUIRES(mutex_);

  // Waits: waiting.h.
  std::optional<IdleResult> first_answer_of_wait() const KSTONE_REQUIRES(mutex_);
  std::optional<IdleResult> find_goals(std::vector<Goal>& goals, Waits::Entry& entry, Limit limit,
                                       const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  std::uint32_t find_some_goals(std::vector<Goal>& goals, std::uint32_t from)
      KSTONE_REQUIRES(mutex_);
  StripeIdle await_stripe(std::uint32_t stripe_id, Waits::Entry& entry, const Deadline& deadline)
      KSTONE_REQUIRES(mutex_);
  IdleResult await_goals(const Waits::Entry& entry, const Deadline& deadline)
      KSTONE_REQUIRES(mutex_);
  std::optional<IdleResult> answer_of_wait(const Waits::Entry& entry, std::size_t& at,
                                           const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  std::optional<IdleResult> await_scan(const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  bool await_scans(std::uint64_t count, const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  bool has_scanned(std::uint64_t count) const KSTONE_REQUIRES(mutex_);
  template <class Done>
  bool await(const Deadline& deadline, const Done& done) KSTONE_REQUIRES(mutex_);
  void leave_wait(const Waits::Entry& entry) KSTONE_REQUIRES(mutex_);

  // What is given up: withdrawing.h.
  static CancelReport report_of(const SchedulingCore::Withdrawn& found);
  SchedulingCore::Withdrawn withdraw(std::uint32_t stripe_id, EpisodeEnd end, const Asker& asker)
      KSTONE_REQUIRES(mutex_);
  std::uint64_t take_requests(std::uint32_t stripe_id, bool removes) KSTONE_REQUIRES(mutex_);
  void ask_to_stop(std::uint32_t index, const Asker& asker) KSTONE_REQUIRES(mutex_);
  void call_stop_callbacks(Asker& asker) KSTONE_REQUIRES(mutex_);
  bool await_compaction(std::uint32_t stripe_id, Asker& asker, const Deadline& deadline,
                        std::optional<EpisodeEnd>& end) KSTONE_REQUIRES(mutex_);

  // What is held back for a while: pausing.h.
  PauseResult pause(Pauses::Entry& entry, const Deadline& deadline) KSTONE_REQUIRES(mutex_);

  // The end: closing.h.
  ShutdownReport report() KSTONE_REQUIRES(mutex_);
  void stop(ShutdownMode mode, const Deadline& deadline, bool destroys) KSTONE_REQUIRES(mutex_);
  void leave_shutdown() KSTONE_REQUIRES(mutex_);
  std::optional<std::uint32_t> close(ShutdownMode mode, std::uint32_t& room)
      KSTONE_REQUIRES(mutex_);
  void settle(std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_);
  void settle_some(std::uint32_t room) KSTONE_REQUIRES(mutex_);
  bool await_threads(const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  void join_threads(const Deadline& deadline) KSTONE_REQUIRES(mutex_);
  void log_end() KSTONE_REQUIRES(mutex_);
  void check_destructible() const KSTONE_EXCLUDES(mutex_);
  void await_callers() KSTONE_EXCLUDES(mutex_);

  // Who looks, and the log: observers.h.
  std::size_t waiting_stripes() KSTONE_REQUIRES(mutex_);
  StripeFacts::Worker state_of_worker() const KSTONE_REQUIRES(mutex_);
  StripeFacts facts_of(std::uint32_t stripe_id) KSTONE_REQUIRES(mutex_);
  void keep_from_going_back(WorkerSnapshot& snapshot) KSTONE_REQUIRES(mutex_);
  bool on_own_thread() const KSTONE_REQUIRES(mutex_);
  void warn_before_start() KSTONE_REQUIRES(mutex_);
  template <class... Arguments>
  void log_on_caller(LogLevel level, const char* format, Arguments... arguments)
      KSTONE_EXCLUDES(mutex_);
  template <class... Arguments>
  void log(Slot<Sync>& slot, LogLevel level, const char* format, Arguments... arguments) noexcept
      KSTONE_EXCLUDES(mutex_);
  template <class... Arguments>
  void tell(LogLevel level, const char* format, Arguments... arguments) const noexcept
      KSTONE_EXCLUDES(mutex_);

  bool logs(LogLevel level) const { return calls_.log && level >= calls_.least_level; }

  // A call in a forked child would be answered and never served, or wait for ever.
  void check_process(const char* sentence) const noexcept {
    Sync::check(process_.is_current(), sentence);
  }

  // Immutable after construction.
  const CompactionConfig config_;
  const std::uint32_t capacity_;  // of worker threads
  const StatsAtomic stats_;
  const std::uint32_t stripe_count_;
  const Calls calls_;

  // Bound by `start` if there are threads, until they have ended.
  typename Sync::process process_{};

  // Touched by requesters.
  Inbox<Sync> inbox_;
  Atomic<std::uint64_t> rejected_unknown_stripe_{0};
  Atomic<std::uint64_t> rejected_disabled_{0};

  // Taken by worker threads and control calls, never by `queue_compaction`.
  alignas(cache_line) mutable Mutex mutex_;
  // An episode, a compaction or a scan has; or something is paused, or the worker has closed.
  typename Sync::condition_variable episode_ended_;
  typename Sync::condition_variable thread_left_;  // or the threads were joined, or a wait left
  typename Sync::condition_variable closed_;       // or the scan's interval has changed
  typename Sync::condition_variable unparked_;     // a worker thread is one too few
  // A stripe is due before those that were, or the worker has closed.
  typename Sync::condition_variable due_;

  Cell<State> state_ KSTONE_GUARDED_BY(mutex_);

  // As in Crew.
  const std::unique_ptr<Slot<Sync>[]> slots_;
};

// Throws std::invalid_argument for what the constructor of the worker does not accept.
KSTONE_EXPORT void validate(const CompactionConfig& config, std::uint32_t stripe_count,
                            std::uint32_t thread_capacity, const BackOff& back_off,
                            std::chrono::nanoseconds watchdog_limit, const LaneOptions& lanes,
                            bool has_job);

// Assigns `text`, or a shorter one if there is no memory for it.
KSTONE_EXPORT void assign_or_truncate(std::string& target, const char* text) noexcept;

template <class Sync>
Shell<Sync>::Shell(CompactionConfig config, StatsAtomic stats, std::uint32_t stripe_count,
                   std::uint32_t thread_capacity, bool all_removed, Calls calls)
    : config_((validate(config, stripe_count, thread_capacity, calls.back_off, calls.watchdog_limit,
                        calls.lanes, static_cast<bool>(calls.job)),
               config)),
      capacity_(thread_capacity != 0 ? thread_capacity : config.max_concurrent_compactions),
      stats_(std::move(stats)),
      stripe_count_(stripe_count),
      calls_(std::move(calls)),
      inbox_(stripe_count, all_removed),
      state_(State(stripe_count, capacity_, config, calls_.back_off, calls_.lanes)),
      slots_(new Slot<Sync>[Crew<Sync>::places(capacity_)]) {
  Sync::name(mutex_, "mutex");
  Sync::name(state_, "state");
  Sync::name(episode_ended_, "episode_ended");
  Sync::name(thread_left_, "thread_left");
  Sync::name(closed_, "closed");
  Sync::name(unparked_, "unparked");
  Sync::name(due_, "due");
  state_.write().core.set_limit(config_.max_concurrent_compactions);
  if (all_removed) {
    state_.write().core.remove_all();
  }
}

template <class Sync>
std::uint32_t Shell<Sync>::apply(Effects effects) {
  const auto& state = state_.read();
  if (effects.closed) {
    closed_.notify_one();  // the scan
  }
  if (effects.closed || effects.tell_timekeeper) {
    due_.notify_one();
  }
  if ((effects.tell_waits || effects.closed) && state.waits.size() != 0) {
    episode_ended_.notify_all();  // who waits looks at the core under the mutex held here
  }
  switch (effects.wake) {
    case Effects::Wake::nobody:
      break;
    case Effects::Wake::one_more:
      if (inbox_.claim_sleeper()) {
        return 1;
      }
      if (state.crew.vacancies() != 0) {
        unparked_.notify_one();
      }
      return 0;
    case Effects::Wake::everybody:
      // For each thread, not for each sleeper: one whose claimed token its requester has yet to
      // post must not keep the shutdown waiting. Tokens that remain are of no account, since nobody
      // sleeps any more.
      return state.crew.alive_workers();
  }
  return 0;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_SHELL_H_
