// The definitions of basic_background_worker<Sync> that are not on the path of a request.
//
// Included by whoever instantiates the template for a `Sync`: `src/` for production, `model/` for
// exploration, tests with a clock of their own. Users of `BackgroundWorker` need it not.

#ifndef KSTONE_BACKGROUND_WORKER_IMPL_H_
#define KSTONE_BACKGROUND_WORKER_IMPL_H_

#include "kstone/cxx20.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "kstone/background_worker.h"
#include "kstone/export.h"

namespace kstone {
namespace detail {

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

// Throws std::invalid_argument for what the constructor does not accept.
KSTONE_EXPORT void validate(const CompactionConfig& config, std::uint32_t stripe_count,
                            bool has_job);

// Assigns `text`, or a shorter one if there is no memory for it.
KSTONE_EXPORT void assign_or_truncate(std::string& target, const char* text) noexcept;

}  // namespace detail

template <class Sync>
basic_background_worker<Sync>::basic_background_worker(CompactionConfig config, StatsAtomic stats,
                                                       std::uint32_t stripe_count, Job job,
                                                       Options options)
    : config_((detail::validate(config, stripe_count, static_cast<bool>(job)), config)),
      stats_(std::move(stats)),
      stripe_count_(stripe_count),
      job_(std::move(job)),
      options_(std::move(options)),
      words_(new Atomic<std::uint64_t>[stripe_count] {}),
      links_(new Cell<std::uint32_t>[stripe_count]),
      state_(State(stripe_count, config.max_concurrent_compactions)),
      slots_(new Slot[std::size_t{config.max_concurrent_compactions} + 1]) {
  Sync::name(control_, "control");
  Sync::name(sleepers_, "sleepers");
  Sync::name(mutex_, "mutex");
  Sync::name(state_, "state");
  Sync::name(episode_ended_, "episode_ended");
  Sync::name(thread_left_, "thread_left");
  Sync::name(closed_, "closed");
  for (std::uint32_t i = 0; i < stripe_count; ++i) {
    Sync::name(words_[i], "word");
    Sync::name(links_[i], "link");
  }
}

template <class Sync>
basic_background_worker<Sync>::~basic_background_worker() {
  check_destructible();
  mutex_.lock();
  stop(ShutdownMode::finish_running, std::nullopt);
  mutex_.unlock();
  await_callers();
}

template <class Sync>
void basic_background_worker<Sync>::check_destructible() const {
  check_process("~BackgroundWorker: called in a child of fork(), where the worker has no threads");
  detail::ScopedLock lock(mutex_);
  Sync::check(!on_own_thread(),
              "~BackgroundWorker: called from a job, scan or log sink of this worker; it would "
              "wait for itself");
}

// Waits that were entered before the destructor still use the worker.
template <class Sync>
void basic_background_worker<Sync>::await_callers() {
  detail::ScopedLock lock(mutex_);
  while (state_.read().idle_waiters + state_.read().shutdown_callers != 0) {
    thread_left_.wait(mutex_);
  }
}

// -- Starting -------------------------------------------------------------------------------------

template <class Sync>
StartResult basic_background_worker<Sync>::start() {
  check_process("start: called in a child of fork(), where the worker has no threads");
  auto result = StartResult::started;
  std::uint32_t workers = 0;
  bool scan_missing = false;  // although it was to be started
  {
    detail::ScopedLock lock(mutex_);
    auto& state = state_.write();
    if (state.core.closed()) {
      result = StartResult::shut_down;
    } else if (state.started) {
      result = StartResult::already_running;
    } else {
      if (config_.enabled) {
        start_threads();
      }
      state.started = state.alive_workers != 0 || !config_.enabled;
      result = state.started ? StartResult::started : StartResult::no_threads;
      scan_missing = state.alive_workers != 0 && options_.scan && !state.threads.back().alive;
    }
    workers = state.alive_workers;
  }
  if (result == StartResult::already_running) {
    log_on_caller(LogLevel::warn, "start: the worker runs already");
  } else if (result != StartResult::started) {
    log_on_caller(LogLevel::warn, "start: failed, %s",
                  result == StartResult::shut_down ? "the worker was shut down"
                                                   : "no thread could be created");
  } else if (!config_.enabled) {
    log_on_caller(LogLevel::info, "started without threads, since the configuration is disabled");
  } else {
    log_on_caller(workers == config_.max_concurrent_compactions ? LogLevel::info : LogLevel::warn,
                  "started with %u of %u worker threads for %u stripes", workers,
                  config_.max_concurrent_compactions, stripe_count_);
  }
  if (scan_missing) {
    log_on_caller(LogLevel::warn,
                  "start: no thread could be created for the periodic scan; it will not run");
  }
  return result;
}

template <class Sync>
void basic_background_worker<Sync>::start_threads() {
  auto& state = state_.write();
  const auto workers = config_.max_concurrent_compactions;
  // Captureless, so that `Sync::thread` needs no allocation for what it runs.
  while (state.alive_workers < workers &&
         start_thread(
             state.alive_workers,
             [](void* slot) { static_cast<Slot*>(slot)->self->work(*static_cast<Slot*>(slot)); })) {
    ++state.alive_workers;
  }
  if (options_.scan && state.alive_workers != 0) {
    start_thread(workers, [](void* slot) {
      static_cast<Slot*>(slot)->self->scan(*static_cast<Slot*>(slot));
    });
  }
}

template <class Sync>
bool basic_background_worker<Sync>::start_thread(std::uint32_t index, void (*entry)(void*)) {
  auto& slot = slots_[index];
  slot.self = this;
  slot.index = index;
  if (!slot.thread.start(entry, &slot)) {
    return false;
  }
  state_.write().threads[index].alive = true;
  return true;
}

// The first step of every thread of the worker: from here on calls from it are known as such.
template <class Sync>
void basic_background_worker<Sync>::enter(const Slot& slot) {
  state_.write().threads[slot.index].id = Sync::thread::current_id();
}

// -- Worker threads -------------------------------------------------------------------------------

template <class Sync>
void basic_background_worker<Sync>::work(Slot& slot) {
  mutex_.lock();  // no guard: a job that ends its thread leaves this function without the mutex
  enter(slot);
  for (;;) {
    while (state_.read().core.has_queued()) {
      compact(slot);
    }
    // Not before the queue is empty: what is listed is behind it anyway, and taking many stripes
    // costs what taking one does.
    ControlWord control = admit_listed();
    if (state_.read().core.has_queued()) {
      continue;
    }
    // The core is what says that nothing will be queued any more; shutdown closes it and the list
    // under one hold of the mutex.
    if (state_.read().core.closed()) {
      break;
    }
    // Relaxed: who claims the sleeper hands over a token and nothing else. The exchange fails if a
    // stripe was listed since admit_listed looked, so there is no moment between looking and
    // sleeping in which one could be missed.
    if (!control_.compare_exchange_weak(control.bits, control.with_sleeper_added().bits,
                                        std::memory_order_relaxed, std::memory_order_relaxed)) {
      continue;
    }
    Sync::check(control.sleepers() < config_.max_concurrent_compactions,
                "work: this thread was awake, so not all slept");
    // Between unlocking and sleeping a requester may claim this sleeper; its token is then there
    // before the wait.
    mutex_.unlock();
    sleepers_.wait();
    mutex_.lock();
  }
  leave(slot);
  mutex_.unlock();
}

// Moves the list into the core, oldest first, and returns the control word as it was last seen.
template <class Sync>
ControlWord basic_background_worker<Sync>::admit_listed() {
  // Relaxed: sleepers are added under the mutex only, and a stale list makes the exchange below, or
  // the one that goes to sleep, fail.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  while (!control.list_is_empty()) {
    const auto taken = control.with_list_taken();
    // [T2] acquire; pairs with [L1]. The links. model/worker/no_lost_wake_up.cpp
    if (control_.compare_exchange_weak(control.bits, taken.bits, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      link_taken(control.head());
      return taken;
    }
  }
  return control;
}

// The list is newest first; it is turned round, in place, and linked in the order in which it was
// listed.
template <class Sync>
void basic_background_worker<Sync>::link_taken(std::uint32_t head) {
  std::uint32_t oldest = 0;
  while (head != 0) {
    auto& link = links_[head - 1].write();
    oldest = std::exchange(head, std::exchange(link, oldest));
  }
  auto& core = state_.write().core;
  while (oldest != 0) {
    core.link(oldest - 1);
    oldest = links_[oldest - 1].read();
  }
}

template <class Sync>
void basic_background_worker<Sync>::compact(Slot& slot) {
  auto& core = state_.write().core;
  const auto stripe_id = core.take();
  if (!core.closed()) {
    // [T1] acquire; pairs with [Q1]. What every requester of the episode wrote. From here on a
    // request is for the next compaction, so it is this step that "starts after the request" speaks
    // of. model/worker/no_lost_wake_up.cpp
    const StripeWord before{
        words_[stripe_id].exchange(StripeWord::running_bit, std::memory_order_acquire)};
    Sync::check(before.requests() != 0 && !before.running(),
                "compact: a queued stripe has requests and does not run");
    core.count_coalesced(before.requests() - 1);
  }
  const auto attempt = core.stripe(stripe_id).attempts;
  auto active = stats_.start_compaction();
  const bool wake_another = state_.read().core.has_queued() && claim_sleeper();
  mutex_.unlock();

  if (wake_another) {
    // For what stays in the queue: whoever owes the token for it may be suspended.
    sleepers_.post(1);
  }
  auto outcome = run_job(slot, stripe_id, attempt);

  mutex_.lock();
  active.end();
  finish(stripe_id, std::move(outcome));
}

template <class Sync>
CompactionOutcome basic_background_worker<Sync>::run_job(Slot& slot, std::uint32_t stripe_id,
                                                         std::uint32_t attempt) {
  using Kind = CompactionOutcome::Kind;
  log(LogLevel::debug, "compaction of stripe %u starts", stripe_id);
  Context context(CompactionRequest{stripe_id}, attempt, slot.stop_flag, stats_);
  auto outcome = CompactionOutcome::failed({});
  std::string error;
  if (!contained(slot, stripe_id, error, [&] { outcome = job_(context); })) {
    outcome = CompactionOutcome::failed(std::move(error));
  }
  if (outcome.kind() == Kind::failed || outcome.kind() == Kind::retry) {
    log(LogLevel::warn, "compaction of stripe %u failed: %s", stripe_id, outcome.error().c_str());
  } else {
    log(LogLevel::debug, "compaction of stripe %u ends: %s", stripe_id,
        to_string(outcome.kind()).data());
  }
  return outcome;
}

// Calls code of the user. False, with the text, if it threw. Nothing here synchronizes inside a
// handler, where a fiber of the model checker must not be switched; the one that does is the C
// library's, which the models never meet.
template <class Sync>
template <class Call>
bool basic_background_worker<Sync>::contained(
    [[maybe_unused]] Slot& slot, [[maybe_unused]] std::optional<std::uint32_t> stripe_id,
    std::string& error, const Call& call) {
  bool returned = false;
  try {
    call();
    returned = true;
#if defined(__GLIBCXX__)
  } catch (const abi::__forced_unwind&) {
    // The thread was cancelled, or ended itself: not ours to stop.
    leave_unwound(slot, stripe_id);
    throw;
#endif
  } catch (const std::exception& exception) {
    detail::assign_or_truncate(error, exception.what());
  } catch (...) {
    detail::assign_or_truncate(error, "an exception that is not a std::exception");
  }
  // In the child this thread would go on as a second worker, on the same files.
  check_process("a job or scan returned in a child of fork(), where the worker has no threads");
  return returned;
}

template <class Sync>
void basic_background_worker<Sync>::finish(std::uint32_t stripe_id, CompactionOutcome&& outcome) {
  using Kind = CompactionOutcome::Kind;
  const auto kind = outcome.kind();
  const bool requested = state_.read().core.closed() ? state_.read().core.rerun_owed(stripe_id)
                                                     : release_word(stripe_id, kind);
  if (requested || kind == Kind::more_work) {
    admit_listed();  // the tail of the queue is behind every stripe that was listed before
  }
  auto& state = state_.write();
  state.core.finish(stripe_id, kind, requested);
  if (kind == Kind::done || kind == Kind::more_work) {
    stats_.record_compaction();
  } else if (kind == Kind::failed || kind == Kind::retry) {
    state.core.record_error(outcome.take_error());
  }
  if (state.idle_waiters != 0) {
    episode_ended_.notify_all();  // wait_idle, which looks at the core under the mutex held here
  }
}

// The stripe's word stops saying *running*. True if requests came meanwhile; they stay in the word.
template <class Sync>
bool basic_background_worker<Sync>::release_word(std::uint32_t stripe_id,
                                                 CompactionOutcome::Kind kind) {
  auto& word = words_[stripe_id];
  if (kind != CompactionOutcome::Kind::more_work) {
    // [F1] release; pairs with [Q1]. The list node's last use, for the next call that links.
    // model/worker/no_lost_wake_up.cpp
    return StripeWord{word.fetch_sub(StripeWord::running_bit, std::memory_order_release)}
               .requests() != 0;
  }
  // The worker requests the rest of the work itself, in the same step: the word must not look idle
  // in between. Relaxed: it publishes nothing. The word keeps a request, so nobody links the stripe
  // before a later [F1].
  const StripeWord before{
      word.fetch_add(StripeWord::one_request - StripeWord::running_bit, std::memory_order_relaxed)};
  if (before.requests() != 0) {
    // Others asked as well: theirs is enough. Relaxed: a count, and the word keeps at least one
    // request.
    word.fetch_sub(StripeWord::one_request, std::memory_order_relaxed);
  }
  return before.requests() != 0;
}

template <class Sync>
void basic_background_worker<Sync>::leave(Slot& slot) {
  auto& state = state_.write();
  state.threads[slot.index].alive = false;
  if (slot.index < config_.max_concurrent_compactions) {
    --state.alive_workers;
  }
  if (state.shutdown_callers != 0) {
    thread_left_.notify_all();  // shutdown, which waits under the mutex held here for the last one
  }
}

// The thread is being unwound out of a job or scan. Its compaction has failed; the other threads go
// on. It goes without having looked at the queue, so it wakes another.
template <class Sync>
void basic_background_worker<Sync>::leave_unwound(Slot& slot,
                                                  std::optional<std::uint32_t> stripe_id) {
  mutex_.lock();
  if (stripe_id) {
    finish(*stripe_id, CompactionOutcome::failed("thread ended"));  // a text that needs no memory
  }
  leave(slot);
  const bool wake_another = claim_sleeper();
  mutex_.unlock();
  if (wake_another) {
    sleepers_.post(1);
  }
}

// True if a sleeper was claimed; the caller owes it a token.
template <class Sync>
bool basic_background_worker<Sync>::claim_sleeper() {
  // Relaxed: as for going to sleep.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  while (control.sleepers() != 0 &&
         !control_.compare_exchange_weak(control.bits, control.with_sleeper_claimed().bits,
                                         std::memory_order_relaxed, std::memory_order_relaxed)) {
  }
  return control.sleepers() != 0;
}

template <class Sync>
void basic_background_worker<Sync>::scan(Slot& slot) {
  const auto interval = std::chrono::nanoseconds(std::chrono::seconds(config_.check_interval_secs));
  mutex_.lock();  // no guard: as in work()
  enter(slot);
  while (!state_.read().core.closed()) {
    mutex_.unlock();
    std::string error;
    if (!contained(slot, std::nullopt, error, [&] { options_.scan(*this); })) {
      log(LogLevel::warn, "the periodic scan failed: %s", error.c_str());
    }
    mutex_.lock();
    const Deadline next = Sync::clock::now() + interval;
    while (!state_.read().core.closed() && wait(closed_, next)) {
    }
  }
  leave(slot);
  mutex_.unlock();
}

// -- Waiting and shutting down --------------------------------------------------------------------

template <class Sync>
IdleResult basic_background_worker<Sync>::wait_idle(Limit limit) {
  check_process("wait_idle: called in a child of fork(), where the worker has no threads");
  const auto deadline = deadline_after(limit);
  detail::ScopedLock lock(mutex_);
  if (on_own_thread()) {
    return IdleResult::refused;
  }
  if (state_.read().core.closed()) {
    return IdleResult::shut_down;
  }
  const auto goals = goals_of_all_stripes();
  ++state_.write().idle_waiters;
  auto result = IdleResult::idle;
  for (auto goal = goals.begin(); goal != goals.end() && result == IdleResult::idle; ++goal) {
    result = await_goal(*goal, deadline);
  }
  --state_.write().idle_waiters;
  if (state_.read().core.closed()) {
    // The destructor, which waits under the mutex held here for the last wait.
    thread_left_.notify_all();
  }
  return result;
}

// The stripes with an episode alive at this moment, each with what its count of ended episodes will
// then have reached. A stripe that is claimed and not yet linked has one: it shows in its word.
template <class Sync>
auto basic_background_worker<Sync>::goals_of_all_stripes() const -> std::vector<Goal> {
  std::vector<Goal> goals;
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    // Relaxed: the compaction that left the word idle did so under the mutex held here, which
    // carries what it wrote.
    const StripeWord word{words_[i].load(std::memory_order_relaxed)};
    const auto alive = state_.read().core.alive_episodes(i, word.requests());
    if (alive != 0) {
      goals.push_back(Goal{i, state_.read().core.stripe(i).ended + alive});
    }
  }
  return goals;
}

template <class Sync>
IdleResult basic_background_worker<Sync>::await_goal(Goal goal, const Deadline& deadline) {
  // The counter wraps; at most two episodes of a stripe are alive, so the distance tells.
  const auto reached = [&]() KSTONE_REQUIRES(mutex_) {
    return static_cast<std::int32_t>(state_.read().core.stripe(goal.stripe_id).ended -
                                     goal.ended) >= 0;
  };
  while (!reached()) {
    const bool in_time = wait(episode_ended_, deadline);
    if (state_.read().core.closed()) {
      return IdleResult::shut_down;  // whatever became of the episode: it may have been discarded
    }
    if (!in_time) {
      return reached() ? IdleResult::idle : IdleResult::timed_out;
    }
  }
  return IdleResult::idle;
}

template <class Sync>
ShutdownReport basic_background_worker<Sync>::shutdown(ShutdownMode mode, Limit limit) {
  check_process("shutdown: called in a child of fork(), where the worker has no threads");
  const auto deadline = deadline_after(limit);
  detail::ScopedLock lock(mutex_);
  if (on_own_thread()) {
    ShutdownReport refused;
    refused.refused = true;
    return refused;
  }
  stop(mode, deadline);
  return report();
}

// All of a shutdown but its report, which may lack the memory to be built.
template <class Sync>
void basic_background_worker<Sync>::stop(ShutdownMode mode, const Deadline& deadline) {
  ++state_.write().shutdown_callers;
  const bool closes = !state_.read().core.closed();
  if (closes) {
    close();
  }
  state_.write().core.apply(mode);
  if (state_.read().core.mode() == ShutdownMode::cancel) {
    for (std::uint32_t i = 0; i < config_.max_concurrent_compactions; ++i) {
      // Relaxed: asks, publishes nothing.
      slots_[i].stop_flag.store(true, std::memory_order_relaxed);
    }
  }
  if (closes) {
    wake_threads();
  }
  // Without a limit, joining is all the waiting there is, and spares this thread a wake-up.
  if (!deadline || await_threads(deadline)) {
    join_threads(deadline);
  }
  --state_.write().shutdown_callers;
  // Other callers of shutdown, and the destructor, which wait under the mutex held here.
  thread_left_.notify_all();
}

// The list is closed before the stripe words: in the other order a stripe could be claimed, its
// word then found closed, and nobody would know of it. Who claims a stripe before its word closes
// finds the list closed and leaves it to us.
template <class Sync>
void basic_background_worker<Sync>::close() {
  state_.write().closed_at = Sync::clock::now();
  // [C1] acquire; pairs with [L1]. The links of the list that is taken here.
  // model/worker/shutdown.cpp
  const ControlWord control{
      control_.exchange(ControlWord::closed_and_empty().bits, std::memory_order_acquire)};
  link_taken(control.head());
  auto& core = state_.write().core;
  core.close();
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    // [C2] acquire; pairs with [Q1]. What the requesters of a claimed stripe wrote; the thread that
    // takes it gets it through the mutex. model/worker/shutdown.cpp
    const StripeWord before{words_[i].exchange(StripeWord::closed_bit, std::memory_order_acquire)};
    core.close_stripe(i, before.requests());
  }
  closed_.notify_one();  // the scan
  if (state_.read().idle_waiters != 0) {
    episode_ended_.notify_all();  // wait_idle
  }
}

// A token for every thread, not for every sleeper: one whose claimed token its requester has yet to
// post must not keep the shutdown waiting. Tokens that remain are of no account, since nobody
// sleeps any more. Posted without the mutex, since a thread that is woken may be run at once in
// place of this one, and would have to wait for it.
template <class Sync>
void basic_background_worker<Sync>::wake_threads() {
  const auto threads = state_.read().alive_workers;
  mutex_.unlock();
  sleepers_.post(threads);
  mutex_.lock();
}

template <class Sync>
bool basic_background_worker<Sync>::await_threads(const Deadline& deadline) {
  while (!state_.read().all_threads_left()) {
    if (!wait(thread_left_, deadline) && !state_.read().all_threads_left()) {
      return false;
    }
  }
  return true;
}

template <class Sync>
void basic_background_worker<Sync>::join_threads(const Deadline& deadline) {
  if (!state_.read().joining) {
    state_.write().joining = true;
    for (std::uint32_t i = 0; i <= config_.max_concurrent_compactions; ++i) {
      if (slots_[i].thread.joinable()) {
        mutex_.unlock();
        slots_[i].thread.join();
        mutex_.lock();
        // The system may give it to a thread that is not ours.
        state_.write().threads[i].id.reset();
      }
    }
    state_.write().core.discard_queue();  // never started, or every thread was ended by its job
    state_.write().joined = true;
    state_.write().stopped_at = Sync::clock::now();
    log_end();
  }
  while (!state_.read().joined && wait(thread_left_, deadline)) {
  }
}

template <class Sync>
void basic_background_worker<Sync>::log_end() {
  const auto counters = state_.read().core.counters();
  mutex_.unlock();
  log_on_caller(
      LogLevel::info,
      "shut down; of %llu episodes %llu were done, %llu failed, %llu cancelled, %llu discarded",
      static_cast<unsigned long long>(counters.opened),
      static_cast<unsigned long long>(counters.done),
      static_cast<unsigned long long>(counters.failed),
      static_cast<unsigned long long>(counters.cancelled),
      static_cast<unsigned long long>(counters.discarded));
  mutex_.lock();
}

template <class Sync>
ShutdownReport basic_background_worker<Sync>::report() const {
  const auto& state = state_.read();
  const auto& core = state.core;
  ShutdownReport result;
  result.complete = state.joined;
  result.mode = core.mode();
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    if (core.stripe(i).discarded) {
      result.discarded.push_back(CompactionRequest{i});
    }
    if (core.stripe(i).unfinished) {
      result.unfinished.push_back(CompactionRequest{i});
    }
    if (core.stripe(i).state == SchedulingCore::State::running) {
      result.still_running.push_back(CompactionRequest{i});
    }
  }
  result.duration = state.stopped_at.value_or(Sync::clock::now()) - state.closed_at;
  result.first_error = core.first_error();
  return result;
}

// -- Observation ----------------------------------------------------------------------------------

template <class Sync>
std::size_t basic_background_worker<Sync>::queue_size() const {
  check_process("queue_size: called in a child of fork(), where the worker has no threads");
  detail::ScopedLock lock(mutex_);
  return waiting_stripes();
}

template <class Sync>
std::size_t basic_background_worker<Sync>::waiting_stripes() const {
  // Relaxed: a count; calls that overlap may be missed.
  return state_.read().core.queued() +
         ControlWord{control_.load(std::memory_order_relaxed)}.listed();
}

template <class Sync>
bool basic_background_worker<Sync>::is_running() const {
  check_process("is_running: called in a child of fork(), where the worker has no threads");
  detail::ScopedLock lock(mutex_);
  const auto& state = state_.read();
  return state.started && !state.core.closed() && (state.alive_workers != 0 || !config_.enabled);
}

template <class Sync>
WorkerSnapshot basic_background_worker<Sync>::snapshot() const {
  check_process("snapshot: called in a child of fork(), where the worker has no threads");
  WorkerSnapshot result;
  result.stats = stats_.snapshot();
  detail::ScopedLock lock(mutex_);
  const auto& state = state_.read();
  const auto& core = state.core;
  const auto& counters = core.counters();
  result.queued = counters.queued;
  result.coalesced = counters.coalesced;
  result.rerun_pending = counters.rerun_pending;
  result.episodes_opened = counters.opened;
  result.episodes_done = counters.done;
  result.episodes_failed = counters.failed;
  result.episodes_cancelled = counters.cancelled;
  result.episodes_discarded = counters.discarded;
  result.episodes_alive = core.alive();
  result.compactions_started = counters.started;
  result.outcomes_done = counters.outcomes[0];
  result.outcomes_nothing_to_do = counters.outcomes[1];
  result.outcomes_more_work = counters.outcomes[2];
  result.outcomes_retry = counters.outcomes[3];
  result.outcomes_failed = counters.outcomes[4];
  result.outcomes_stopped = counters.outcomes[5];
  result.running = core.running();
  result.running_max = core.running_max();
  result.worker_threads = state.alive_workers;
  result.waiting_callers = state.idle_waiters + state.shutdown_callers;
  result.first_error = core.first_error();
  result.queue_size = waiting_stripes();
  // Relaxed, here and below: counts of calls; those that overlap may be missed.
  result.rejected_unknown_stripe = rejected_unknown_stripe_.load(std::memory_order_relaxed);
  result.rejected_disabled = rejected_disabled_.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < stripe_count_; ++i) {
    core.add_pending(i, StripeWord{words_[i].load(std::memory_order_relaxed)}.requests(), result);
  }
  return result;
}

// On a thread of the worker, also when it has left and runs destructors of the engine's
// thread_local objects; or in a sink that was called on the thread of a caller. Waiting there would
// wait for itself.
template <class Sync>
bool basic_background_worker<Sync>::on_own_thread() const {
  const auto current = Sync::thread::current_id();
  const auto& state = state_.read();
  const auto is_current = [&](const ThreadState& thread) { return thread.id == current; };
  return std::any_of(state.threads.begin(), state.threads.end(), is_current) ||
         std::find(state.in_sink.begin(), state.in_sink.end(), current) != state.in_sink.end();
}

// As log, on the thread of a caller of the worker, which is known as such while the sink runs.
template <class Sync>
template <class... Arguments>
void basic_background_worker<Sync>::log_on_caller(LogLevel level, const char* format,
                                                  Arguments... arguments) {
  if (!options_.log) {
    return;
  }
  const auto current = Sync::thread::current_id();
  {
    detail::ScopedLock lock(mutex_);
    state_.write().in_sink.push_back(current);
  }
  log(level, format, arguments...);
  detail::ScopedLock lock(mutex_);
  auto& in_sink = state_.write().in_sink;
  in_sink.erase(std::find(in_sink.begin(), in_sink.end(), current));
}

// False once the deadline has passed. May wake spuriously.
template <class Sync>
bool basic_background_worker<Sync>::wait(typename Sync::condition_variable& change,
                                         const Deadline& deadline) {
  if (deadline) {
    return change.wait_until(mutex_, *deadline);
  }
  change.wait(mutex_);
  return true;
}

template <class Sync>
auto basic_background_worker<Sync>::deadline_after(Limit limit) -> Deadline {
  const auto most = limit.nanoseconds();
  if (!most) {
    return std::nullopt;
  }
  const auto now = Sync::clock::now();
  // Beyond what the clock can say is none.
  return *most >= std::chrono::nanoseconds::max() - now ? Deadline() : now + *most;
}

template <class Sync>
template <class... Arguments>
void basic_background_worker<Sync>::log(LogLevel level, const char* format,
                                        Arguments... arguments) const noexcept {
  if (!options_.log) {
    return;
  }
  char text[256];
  if constexpr (sizeof...(Arguments) == 0) {
    std::snprintf(text, sizeof text, "%s", format);
  } else {
    std::snprintf(text, sizeof text, format, arguments...);
  }
  try {
    options_.log(level, text);
  } catch (...) {
    // A sink that fails must not fail the worker, and there is nobody left to tell.
  }
}

}  // namespace kstone

#endif  // KSTONE_BACKGROUND_WORKER_IMPL_H_
