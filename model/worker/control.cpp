// P6 The laws of the counters hold in every snapshot, also one taken in the middle.
// P13 A requester is never held up: with every other thread frozen wherever it is, queue_compaction
//     returns.
// P14 start may race with requests, with itself and with shutdown; threads that cannot be created
//     are fewer threads.
// P16 Nothing depends on the timer: the scan's wait may never end, or end at any moment.
// P17 Waits from inside a job or a log sink are refused.
// Covers: I4, I5.

#include <optional>

#include "scene.h"

namespace kstone::model {
namespace {

template <class Size, class Sync = RelacySync>
struct SnapshotInTheMiddle : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 1;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
      return;
    }
    const auto s = this->worker->snapshot();
    this->check_laws(s);
    check(s.queue_size + s.running <= Size::stripes, "a stripe is queued or running once");
    this->cover_if(s.episodes_alive != 0, "alive in the snapshot");
    this->cover_if(s.running != 0, "running in the snapshot");
  }
  void after() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_served();
    this->check_accounts();
    this->worker.reset();
  }
};

// A caller that takes two looks for one: the second of the law's two sides is newer.
enum class Newer { ends, answers };

template <Newer newer>
struct SnapshotOfTwoMoments : SnapshotInTheMiddle<Size<1, 1>> {
  void thread(int index) {
    if (index == 0) {
      request(0);
      return;
    }
    auto s = worker->snapshot();
    const auto later = worker->snapshot();
    if (newer == Newer::ends) {
      s.episodes_done = later.episodes_done;
    } else {
      s.queued = later.queued;
    }
    check_laws(s);
  }
};

// Explored without reduction, which counts on what a step announces.
struct SnapshotWithoutLock : SnapshotInTheMiddle<Size<2, 1>, LooksWithoutLock> {
  using Base = SnapshotInTheMiddle<Size<2, 1>, LooksWithoutLock>;

  void before() {
    LooksWithoutLock::looker = -1;
    Base::before();
  }
  void thread(int index) {
    if (index == 2) {
      LooksWithoutLock::looker = RelacySync::thread::current_id();
    }
    Base::thread(index);
    LooksWithoutLock::looker = index == 2 ? -1 : LooksWithoutLock::looker;
  }
};

// Explored without reduction: the freeze is a choice at each step of the call.
template <class Size>
struct RequestWhileOthersAreFrozen : Scene<Size> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    std::optional<FreezeOthers> freeze;
    if (index == 0) {
      freeze.emplace();
    }
    this->request(index);
  }
  void after() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_served();
    this->worker.reset();
  }
};

// As above; among those who are frozen, somebody is inside a call that holds the mutex, closes, or
// waits.
enum class Control { shutdown, snapshot, wait_idle };

template <Control control>
struct RequestWhileControlIsFrozen : RequestWhileOthersAreFrozen<Size<1, 1>> {
  static constexpr int threads = 2;

  void thread(int index) {
    if (index == 0) {
      RequestWhileOthersAreFrozen<Size<1, 1>>::thread(index);
    } else if constexpr (control == Control::shutdown) {
      check_complete(worker->shutdown(ShutdownMode::drain));
    } else if constexpr (control == Control::snapshot) {
      check_laws(worker->snapshot());
    } else {
      check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    }
  }
};

// The neighbour: a call that does wait for others.
struct SnapshotWhileOthersAreFrozen : RequestWhileOthersAreFrozen<Size<1, 1>> {
  void thread(int) {
    const FreezeOthers freeze;
    this->worker->snapshot();
  }
};

// A requester that is suspended between claiming a sleeper and posting its token costs one thread
// and not more: while it is, and while the compaction of its stripe does not end, another stripe is
// compacted. The suspension is a post that waits, which only the compaction of the other stripe
// ends.
template <class Size, class Sync = SuspendsFirstRequester>
struct OtherStripeWhileRequesterIsSuspended : Scene<Size, Sync> {
  static constexpr int threads = 2;

  SuspendsFirstRequester::Hold hold;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      if (context.stripe_id() == 0) {
        hold.job.wait();
      } else {
        hold.job.post(1);
        hold.post.post(1);
      }
      this->note(context);
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
    }
    this->request(index);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The same with every thread asleep before the first request, which comes before the second.
template <class Sync = SuspendsFirstRequesterInOrder>
struct OtherStripeInOrder
    : OtherStripeWhileRequesterIsSuspended<Size<2, SuspendsFirstRequesterInOrder::workers, 2>,
                                           Sync> {
  using Base =
      OtherStripeWhileRequesterIsSuspended<Size<2, SuspendsFirstRequesterInOrder::workers, 2>,
                                           Sync>;

  SuspendsFirstRequesterInOrder::Order order;

  void before() {
    SuspendsFirstRequesterInOrder::order = &order;
    Base::before();
    order.put_to_sleep();
  }
  void thread(int index) {
    if (index == 1) {
      order.claimed.wait();
    }
    Base::thread(index);
  }
};

// Nobody is woken for what stays in the queue: the second token is that one.
struct LosesTheSecondToken : SuspendsFirstRequesterInOrder {
  struct semaphore : SuspendsFirstRequesterInOrder::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (order->posted == 1) {
        order->posted = 2;
      } else {
        SuspendsFirstRequesterInOrder::semaphore::post(count, file, line, function);
      }
    }
  };
};

// A shutdown does not wait for a requester that is suspended between claiming a sleeper and posting
// its token.
template <class Sync = SuspendsFirstRequester>
struct ShutdownWhileRequesterIsSuspended : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  SuspendsFirstRequester::Hold hold;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
      hold.post.post(1);
    }
  }
  void after() {
    this->check_served();
    this->check_accounts();
    this->worker.reset();
  }
};

// ... on a policy that posts to those who sleep, and so counts on the requester's token for the one
// it has claimed.
struct PostsToSleepersOnly : SuspendsFirstRequester {
  struct semaphore : SuspendsFirstRequester::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == hold->first) {
        SuspendsFirstRequester::semaphore::post(count, file, line, function);
      }
    }
  };
};

template <class Size, int starters, bool shuts_down, class Sync = RelacySync>
struct StartRace : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + starters + (shuts_down ? 1 : 0);

  void before() { this->make(); }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else if (index < Size::requesters + starters) {
      results[index - Size::requesters] = this->worker->start();
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    int started = 0;
    for (const auto result : results) {
      started += result == StartResult::started ? 1 : 0;
      this->cover_if(result == StartResult::shut_down, "started too late");
      this->cover_if(result == StartResult::no_threads, "no threads");
    }
    check(started <= 1, "one call starts the worker");
    if (!shuts_down && started == 1) {
      for (const auto result : results) {
        check(result == StartResult::started || result == StartResult::already_running,
              "the others are told so");
      }
    }
    if (!shuts_down && started == 1) {
      check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
      this->check_served();
    }
    const auto report = this->worker->shutdown(ShutdownMode::drain);
    this->check_complete(report);
    this->check_served_or_reported(report);
    check(started == 0 || report.discarded.empty(), "a worker that was started drains");
    this->check_accounts();
    this->worker.reset();
  }

  StartResult results[starters] = {};
};

// The only requester is the scan, and somebody drains.
template <class Sync = RelacySync>
struct ScanAgainstDrain : Scene<Size<1, 1>, Sync> {
  using Base = Scene<Size<1, 1>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  void before() {
    typename Base::Worker::Options options;
    options.scan = [this](typename Base::Worker&) {
      const auto now = RelacySync::clock::now();
      check(scans == 0 || now >= last + std::chrono::seconds(60),
            "the scan waits for its interval");
      last = now;
      ++scans;
      if (scans == 1) {
        this->request(0);
      }
    };
    this->make(
        [this](typename Base::Context& context) {
          this->note(context);
          return CompactionOutcome::done();
        },
        options);
    this->start();
  }
  void thread(int) { this->check_complete(this->worker->shutdown(ShutdownMode::drain, limit)); }
  void after() {
    this->check_served();
    this->check_accounts();
    this->worker.reset();
    this->cover_if(scans > 1, "scanned again");
    this->cover_if(scans == 0, "closed before the first scan");
    this->cover_if(this->was_accepted(0), "accepted");
  }

  Limit limit;                       // none, or one that never passes
  int scans = 0;                     // of one thread, read after its join
  std::chrono::nanoseconds last{0};  // as scans
};

struct ScanAgainstDrainWithinALimit : ScanAgainstDrain<> {
  ScanAgainstDrainWithinALimit() { limit = Limit(std::chrono::hours(1)); }
};

// Where the worker thread is refused, the scan's is not even tried.
struct NoScanWithoutWorkers : Scene<Size<1, 1>> {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  bool scanned = false;  // by the scan's thread, read after its join

  void before() {
    Worker::Options options;
    options.scan = [this](Worker&) { scanned = true; };
    make([](Context&) { return CompactionOutcome::done(); }, options);
  }
  void thread(int) { started = worker->start() == StartResult::started; }
  void after() {
    check_complete(worker->shutdown());
    check(started || !scanned, "no scan runs without a worker thread");
    cover_if(!started, "no threads");
    cover_if(scanned, "scanned");
    worker.reset();
  }

  bool started = false;
};

// A shutdown whose limit passes while the scan runs says so, and the next one waits for its end.
template <class Sync = RelacySync>
struct LimitPassesWhileTheScanRuns : Scene<Size<1, 1>, Sync> {
  using Base = Scene<Size<1, 1>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  RelacySync::semaphore began;
  RelacySync::semaphore end;

  void before() {
    typename Base::Worker::Options options;
    options.scan = [this](typename Base::Worker&) {
      began.post(1);
      end.wait();
    };
    this->make([](typename Base::Context&) { return CompactionOutcome::done(); }, options);
    this->start();
  }
  void thread(int) {
    began.wait();
    const auto first = this->worker->shutdown(ShutdownMode::drain, std::chrono::seconds(1));
    check(!first.complete && first.still_running.empty(), "the scan still runs, and no job");
    end.post(1);
    this->check_complete(this->worker->shutdown());
  }
  void after() {
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// The only compaction that runs requests a stripe that is queued in the core, then its own; each
// snapshot shows the step before and no more.
struct SnapshotFromAJob : Scene<Size<2, 1, 2>> {
  static constexpr int threads = 1;

  void before() {
    make([this](Context& context) {
      if (note(context) == 1 && context.stripe_id() == 0) {
        check_counts(0, 0);
        check(worker->queue_compaction(1) == Submission::coalesced, "the other stripe is queued");
        check_counts(1, 0);
        check(worker->queue_compaction(0) == Submission::rerun_pending, "its own stripe runs");
        check_counts(1, 1);
        check(worker->queue_compaction(0) == Submission::coalesced, "its own stripe is requested");
        check_counts(2, 1);
      }
      return CompactionOutcome::done();
    });
    request(0);
    request(1);
    const auto s = worker->snapshot();
    check(s.queued == 2 && s.coalesced == 0 && s.rerun_pending == 0 && s.queue_size == 2,
          "two claimed stripes are queued");
  }
  void thread(int) { start(); }
  void check_counts(std::uint64_t coalesced, std::uint64_t rerun_pending) {
    const auto s = worker->snapshot();
    check_laws(s);
    check(s.queued == 2 && s.coalesced == coalesced && s.rerun_pending == rerun_pending,
          "each answer is counted once");
    check(s.episodes_opened == 2 + rerun_pending && s.episodes_alive == 2 + rerun_pending,
          "all episodes are alive");
    check(s.queue_size == 1 && s.running == 1 && s.compactions_started == 1,
          "one is queued and one runs");
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle again");
    check(compactions[0].read() == 2 && compactions[1].read() == 1, "the re-run follows");
    check_complete(worker->shutdown());
    const auto s = worker->snapshot();
    check(s.queued == 2 && s.coalesced == 2 && s.rerun_pending == 1,
          "the answers are counted once");
    check_quiet(s);
    worker.reset();
  }
};

template <class Sync = RelacySync>
struct WaitFromInside : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make([this](typename Scene<Size<1, 1>, Sync>::Context& context) {
      this->note(context);
      check(context.stats().snapshot().active_compactions == 1, "a running job is active");
      check(this->worker->wait_idle() == IdleResult::refused,
            "wait_idle is refused from inside a job");
      check(this->worker->shutdown().refused, "shutdown is refused from inside a job");
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown());
    }
  }
  void after() {
    this->check_served_or_reported(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The log sink of a worker whose job fails calls back on the thread that logs: what it may do from
// there, and what it is refused.
template <class Sync = RelacySync>
struct LogSinkCallsBack : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  // Of the one worker thread, read after its join.
  bool retried = false;
  Submission from_sink = Submission::rejected_shutting_down;

  void before() {
    this->make(
        [this](typename Scene<Size<1, 1>, Sync>::Context& context) {
          return this->note(context) == 1 ? CompactionOutcome::failed("broken")
                                          : CompactionOutcome::done();
        },
        {.log = [this](LogLevel level, std::string_view) {
          if (this->worker == nullptr) {
            return;  // its constructor or destructor
          }
          this->check_laws(this->worker->snapshot());
          if (level == LogLevel::warn && !retried) {  // of the failure
            retried = true;
            check(this->worker->wait_idle() == IdleResult::refused,
                  "wait_idle is refused from inside a log sink");
            from_sink = this->worker->queue_compaction(0);
            cover(accepted(from_sink) ? "accepted from the sink" : "rejected from the sink");
          }
        }});
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown());
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    const bool discarded = this->lists(report.discarded, 0);
    check(!this->was_accepted(0) || this->was_served(0) || discarded,
          "an accepted request is served or reported");
    check(!accepted(from_sink) || discarded != (this->compactions[0].read() > 1),
          "what the sink requests is served or reported, not both");
    this->cover_if(this->compactions[0].read() > 1, "served again");
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// What is answered without a look at any word: an unknown stripe, and a worker whose configuration
// is disabled.
struct EarlyAnswers : Scene<Size<1, 1>> {
  static constexpr int threads = 1;

  void before() {
    this->make();
    disabled = std::make_unique<Worker>(CompactionConfig::disabled(), Worker::StatsAtomic(), 1U,
                                        [](Context&) { return CompactionOutcome::done(); });
  }
  void thread(int) {
    check(worker->queue_compaction(1) == Submission::rejected_unknown_stripe,
          "stripe 1 of 1 is unknown");
    check(disabled->start() == StartResult::started, "a disabled worker starts");
    check(disabled->is_running() && disabled->snapshot().worker_threads == 0,
          "it runs without threads");
    check(disabled->queue_compaction(0) == Submission::rejected_disabled,
          "a disabled worker rejects");
  }
  void after() {
    const auto s = worker->snapshot();
    check(s.rejected_unknown_stripe == 1 && s.requests() == 1 && s.queue_size == 0,
          "an unknown stripe has no effect");
    const auto d = disabled->snapshot();
    check(d.rejected_disabled == 1 && d.requests() == 1 && d.queue_size == 0,
          "a rejected request has no effect");
    check(disabled->wait_idle() == IdleResult::idle, "a disabled worker is idle");
    check_complete(disabled->shutdown());
    check(!disabled->is_running() && disabled->start() == StartResult::shut_down,
          "the end is final");
    disabled.reset();
    worker.reset();
  }

  std::unique_ptr<Worker> disabled;
};

template <class Scenario, class Size>
SuiteOptions without_reduction(Claim claim, Mode mode, std::uint32_t bound = 2) {
  auto options = suite_options<Scenario, Size>(std::move(claim), "");
  options.limits.mode = mode;
  options.limits.preemption_bound = bound;
  return options;
}

template <class Scenario, class Size>
SuiteOptions with_failing_threads(Claim claim, std::uint32_t failures) {
  auto options = suite_options<Scenario, Size>(std::move(claim), "");
  options.limits.thread_start_failures = failures;
  return options;
}

const Proved<SnapshotInTheMiddle<Size<1, 1>>, Size<1, 1>> snapshot_1_1(
    {"snapshot_in_the_middle_1_1", "P6", {"alive in the snapshot", "running in the snapshot"}});
const Proved<SnapshotInTheMiddle<Size<2, 1>>, Size<2, 1>> snapshot_2_1(
    {"snapshot_in_the_middle_2_1",
     "P6",
     {"alive in the snapshot", "running in the snapshot", "coalesced"},
     {},
     false,
     true});

const Twice<RequestWhileOthersAreFrozen<Size<1, 1>>> frozen_1_1(
    without_reduction<RequestWhileOthersAreFrozen<Size<1, 1>>, Size<1, 1>>(
        {"request_while_others_are_frozen_1_1", "P13", {"frozen while it holds a mutex"}},
        Mode::plain),
    true);
const Twice<RequestWhileOthersAreFrozen<Size<2, 1>>> frozen_2_1(
    without_reduction<RequestWhileOthersAreFrozen<Size<2, 1>>, Size<2, 1>>(
        {"request_while_others_are_frozen_2_1", "P13", {"frozen while it holds a mutex"}},
        Mode::bounded),
    true);
const Twice<RequestWhileControlIsFrozen<Control::shutdown>> frozen_shutdown(
    without_reduction<RequestWhileControlIsFrozen<Control::shutdown>, Size<1, 1>>(
        {"request_while_shutdown_is_frozen", "P13", {"rejected", "frozen while it holds a mutex"}},
        Mode::bounded));
const Twice<RequestWhileControlIsFrozen<Control::snapshot>> frozen_look(
    without_reduction<RequestWhileControlIsFrozen<Control::snapshot>, Size<1, 1>>(
        {"request_while_snapshot_is_frozen", "P13", {"frozen while it holds a mutex"}},
        Mode::bounded),
    true);
const Twice<RequestWhileControlIsFrozen<Control::wait_idle>> frozen_wait(
    without_reduction<RequestWhileControlIsFrozen<Control::wait_idle>, Size<1, 1>>(
        {"request_while_wait_idle_is_frozen", "P13", {"frozen while it holds a mutex"}},
        Mode::bounded));
const Registered frozen_snapshot = suite<SnapshotWhileOthersAreFrozen>(
    expecting(without_reduction<SnapshotWhileOthersAreFrozen, Size<1, 1>>(
                  {"snapshot_while_others_are_frozen", "P13"}, Mode::bounded),
              Failure::blocked, "t0 lock mutex"));

const Proved<ShutdownWhileRequesterIsSuspended<>, Size<1, 1>> shutdown_while_suspended(
    {"shutdown_while_requester_is_suspended_1_1", "P7 P13", {"rejected"}});
const Refuted<ShutdownWhileRequesterIsSuspended<PostsToSleepersOnly>, Size<1, 1>>
    shutdown_counts_on_requester({"shutdown_counts_on_a_suspended_requester", "P7 P13"},
                                 Failure::deadlock, "t1 join, w0 semaphore wait sleepers");
const Twice<OtherStripeWhileRequesterIsSuspended<Size<2, 3, 2>>> suspended_requester(
    without_reduction<OtherStripeWhileRequesterIsSuspended<Size<2, 3, 2>>, Size<2, 3, 2>>(
        {"other_stripe_while_requester_is_suspended_2_3", "P2 P13", {}, {}, true}, Mode::bounded,
        0));
const Twice<OtherStripeInOrder<>> suspended_requester_in_order(
    without_reduction<OtherStripeInOrder<>, Size<2, 3, 2>>(
        {"other_stripe_while_requester_is_suspended_in_order", "P2 P13"}, Mode::bounded, 0));
const Registered suspended_requester_lost = suite<OtherStripeInOrder<LosesTheSecondToken>>(
    expecting(without_reduction<OtherStripeInOrder<LosesTheSecondToken>, Size<2, 3, 2>>(
                  {"other_stripe_while_nobody_else_is_woken", "P2 P13"}, Mode::bounded, 0),
              Failure::deadlock, "t0 semaphore wait"));
// With two threads, one lost to the suspended requester and one to the compaction that waits are
// all there are.
const Registered suspended_requester_two =
    suite<OtherStripeWhileRequesterIsSuspended<Size<2, 2, 2>>>(expecting(
        without_reduction<OtherStripeWhileRequesterIsSuspended<Size<2, 2, 2>>, Size<2, 2, 2>>(
            {"other_stripe_while_requester_is_suspended_2_2", "P2 P13"}, Mode::bounded, 0),
        Failure::deadlock, "t0 semaphore wait"));

const Proved<StartRace<Size<1, 1>, 1, false>, Size<1, 1>> start_race({"start_against_request_1_1",
                                                                      "P2 P14"});
const Proved<StartRace<Size<1, 1>, 1, true>, Size<1, 1>> start_shutdown_race(
    {"start_against_request_and_shutdown_1_1",
     "P7 P14",
     {"started too late", "served", "discarded", "rejected"}});
const Proved<StartRace<Size<1, 1>, 2, false>, Size<1, 1>> two_starts(
    {"two_starts_against_request_1_1", "P14"});
const Twice<StartRace<Size<1, 2>, 1, false>> failing_threads(
    with_failing_threads<StartRace<Size<1, 2>, 1, false>, Size<1, 2>>(
        {"start_with_failing_threads_1_2", "P14", {"no threads"}}, 2));
const Twice<NoScanWithoutWorkers> failing_scan(
    with_failing_threads<NoScanWithoutWorkers, Size<1, 1>>(
        {"start_with_a_scan_and_failing_threads", "P14", {"no threads", "scanned"}}, 1));

const Proved<ScanAgainstDrain<>, Size<1, 1>> scan({"scan_against_drain",
                                                   "P7 P16",
                                                   {"closed before the first scan", "accepted"}});
const Proved<ScanAgainstDrainWithinALimit, Size<1, 1>> scan_within_limit(
    {"scan_against_drain_within_its_limit",
     "P7 P16",
     {"closed before the first scan", "accepted"}});
const Twice<ScanAgainstDrain<>> scan_repeats(with_one_timeout<ScanAgainstDrain<>, Size<1, 1>>(
    {"scan_that_repeats_against_drain",
     "P7 P16",
     {"scanned again", "closed before the first scan", "accepted"}}));
const Twice<LimitPassesWhileTheScanRuns<>> limit_while_scanning(
    with_one_timeout<LimitPassesWhileTheScanRuns<>, Size<1, 1>>({"limit_passes_while_the_scan_runs",
                                                                 "P7 P16"}));
// Limits never pass.
const Refuted<LimitPassesWhileTheScanRuns<>, Size<1, 1>> limit_while_scanning_never(
    {"limit_never_passes_while_the_scan_runs", "P7"}, Failure::deadlock,
    "t0 sleeps on thread_left");
const Proved<SnapshotFromAJob, Size<2, 1, 2>> snapshot_from_a_job({"snapshot_from_a_job", "P6"});
const Proved<EarlyAnswers, Size<1, 1>> early_answers({"early_answers", "P7"});
const Proved<WaitFromInside<>, Size<1, 1>> wait_from_inside({"wait_from_inside_a_job",
                                                             "P17",
                                                             {"served", "discarded", "rejected"}});
const Proved<LogSinkCallsBack<>, Size<1, 1>> log_sink_calls_back(
    {"log_sink_calls_back",
     "P17",
     {"accepted from the sink", "rejected from the sink", "served again"}});

const Refuted<SnapshotOfTwoMoments<Newer::ends>, Size<1, 1>> snapshot_newer_ends(
    {"snapshot_with_newer_ends", "P6"}, Failure::check_failed, "episodes are conserved");
const Refuted<SnapshotOfTwoMoments<Newer::answers>, Size<1, 1>> snapshot_newer_answers(
    {"snapshot_with_newer_answers", "P6"}, Failure::check_failed,
    "every episode was opened by one answer");
const Registered snapshot_unlocked = suite<SnapshotWithoutLock>(
    expecting(without_reduction<SnapshotWithoutLock, Size<2, 1>>({"snapshot_without_lock", "P6"},
                                                                 Mode::bounded),
              Failure::check_failed, "a stripe is queued or running once"));
const Refuted<StartRace<Size<1, 1>, 1, false, CountsRefusedThreads>, Size<1, 1>> start_refused(
    {"start_with_a_thread_that_does_not_exist", "P14"}, Failure::deadlock,
    "main sleeps on episode_ended");
const Refuted<ScanAgainstDrain<LosesNotificationsOfOne>, Size<1, 1>> scan_lost(
    {"scan_against_drain_that_does_not_end_its_sleep", "P16"}, Failure::deadlock,
    "w1 sleeps on closed");
const Refuted<WaitFromInside<KnowsNoThread>, Size<1, 1>> wait_from_inside_unknown(
    {"wait_from_inside_a_job_that_is_not_known", "P17"}, Failure::check_failed,
    "wait_idle is refused from inside a job");
const Refuted<LogSinkCallsBack<KnowsNoThread>, Size<1, 1>> log_sink_unknown(
    {"log_sink_of_a_thread_that_is_not_known", "P17"}, Failure::check_failed,
    "wait_idle is refused from inside a log sink");

}  // namespace
}  // namespace kstone::model
