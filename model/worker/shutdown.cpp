// P7 Shutdown ends in each mode and loses nothing: a request that races with it is served or
//    reported, never both and never neither; a rejected request has no effect; drain runs what was
//    accepted.
// P8 Shutdown is idempotent and may race with itself: all callers get the same report, and the
//    stronger mode counts: also the one that comes after the limit of a drain has passed.
// P15 Cancelling asks a job that runs already.
// P5 Exactly one end for each episode; the counters agree with the answers.
// P10 Nothing of the worker is used after its destruction.
// Covers: L1/C1, Q1/C2, I4.

#include "scene.h"

namespace kstone::model {
namespace {

// Requesters 0 .. n-1, and `callers` threads that call shutdown; caller c uses mode `first` or,
// from the second on, `later`. With `limited` the callers have a limit, which never passes.
template <class Size, int callers, ShutdownMode first, ShutdownMode later = first,
          class Sync = RelacySync, bool limited = false>
struct RequestAgainstShutdown : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + callers;

  ShutdownReport reports[callers];
  Ghost<int> inside;  // for the event only

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    const int caller = index - Size::requesters;
    if (caller < 0) {
      this->request(index);
    } else {
      if constexpr (callers > 1) {
        this->cover_if(++inside.step_write() > 1, "two shutdowns at once");
      }
      reports[caller] = this->worker->shutdown(caller == 0 ? first : later,
                                               limited ? Limit(std::chrono::hours(1)) : Limit());
      if constexpr (callers > 1) {
        --inside.step_write();
      }
      this->check_complete(reports[caller]);
    }
  }
  void after() {
    // The weakest: changes nothing.
    const auto report = this->worker->shutdown(ShutdownMode::drain);
    for (const auto& each : reports) {
      check(each.discarded == report.discarded && each.unfinished == report.unfinished,
            "all callers get the same report");
    }
    check(report.mode == (first < later && callers > 1 ? later : first),
          "the stronger mode counts");
    check(report.unfinished.empty(), "jobs that are done leave nothing unfinished");
    this->check_served_or_reported(report);
    if (report.mode == ShutdownMode::drain) {
      check(report.discarded.empty(), "drain discards nothing");
      this->check_served();
    }
    this->check_accounts();
    this->worker.reset();
  }
};

// What was listed before a drain runs in that order, the last stripe first, whether a thread or the
// shutdown takes the list.
template <class Size, class Sync = RelacySync>
struct DrainKeepsTheOrder : Scene<Size, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      this->note(context);
      const auto next = context.stripe_id() + 1;
      check(next == Size::stripes || this->compactions[next].read() == 1,
            "the stripe that was listed first runs first");
      return CompactionOutcome::done();
    });
    for (int requester = Size::requesters; requester-- > 0;) {
      this->request(requester);
    }
  }
  void thread(int index) {
    if (index == 0) {
      this->cover_if(this->worker->start() == StartResult::started, "started in time");
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    this->check_accounts();
    this->check_served_or_reported(this->worker->shutdown());
    this->worker.reset();
  }
};

// Nobody calls shutdown: the destructor lets the running job end, and does not ask it to stop.
template <class Size, class Sync = RelacySync>
struct Destroyed : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      check(!context.stop_requested(), "the destructor does not cancel");
      this->note(context);
      ended = true;
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) { this->request(index); }
  void after() {
    this->worker.reset();
    this->cover_if(ended, "the job ran");
    check(!ended || this->was_served(0), "a job that began has ended");
  }

  bool ended = false;  // of the one thread, read after its join
};

// The end of the thread, which the destructor waits for, still asks the worker something.
template <bool joins>
struct DestroyedAsAThreadEnds : Destroyed<Size<1, 1>, AsksAtThreadEnd<joins>> {
  using Base = Destroyed<Size<1, 1>, AsksAtThreadEnd<joins>>;

  typename AsksAtThreadEnd<joins>::Hold hold;

  void before() {
    AsksAtThreadEnd<joins>::hold = &hold;
    this->make();
    hold.worker = this->worker.get();
    this->start();
  }
  void after() {
    this->worker.reset();
    if (!joins) {
      hold.thread.join();
    }
  }
};

struct LosesTokensAndTimesOutAtThreadEnd : TimesOutAtThreadEnd {
  using semaphore = LosesTokens::semaphore;
};

// The limit of a shutdown passes, and before its caller has the mutex again the last thread has
// left: it is complete.
template <class Sync = TimesOutAtThreadEnd>
struct LimitPassesAsTheLastThreadLeaves : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 1;

  TimesOutLate::Hold hold;

  void before() {
    TimesOutLate::hold = &hold;
    this->make();
    this->start();
  }
  void thread(int) {
    const auto report =
        this->worker->shutdown(ShutdownMode::finish_running, std::chrono::seconds(1));
    this->cover_if(hold.times_out, "timed out");
    this->check_complete(report);
  }
  void after() { this->worker.reset(); }
};

// A shutdown whose limit passes while a job runs says so, and how long it has taken; the next one,
// how long it took in all.
template <class Sync = RelacySync>
struct LimitPassesWhileAJobRuns : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 1;

  RelacySync::semaphore began;
  RelacySync::semaphore end;

  void before() {
    this->make([this](typename Scene<Size<1, 1>, Sync>::Context& context) {
      this->note(context);
      began.post(1);
      end.wait();
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int) {
    using std::chrono::seconds;
    this->request(0);
    began.wait();
    advance_clock(seconds(8));  // before it closes: of no account
    const auto first = this->worker->shutdown(ShutdownMode::finish_running, seconds(1));
    check(!first.complete && this->lists(first.still_running, 0) && first.still_running.size() == 1,
          "the job still runs");
    check(first.duration == seconds(1), "the shutdown has taken its limit so far");
    advance_clock(seconds(2));
    end.post(1);
    this->check_complete(this->worker->shutdown());
    advance_clock(seconds(4));  // after the last thread's end: of no account
    check(this->worker->shutdown().duration == seconds(3),
          "a shutdown takes from closing to the last thread's end");
  }
  void after() {
    this->check_served();
    this->check_accounts();
    this->worker.reset();
  }
};

// The limit of a drain passes while stripe 0 runs, its re-run is requested and stripe 1 is queued;
// then somebody shuts down in mode `later`, up to a limit, too. A drain changes nothing; a stronger
// mode discards the re-run and what is queued, and `cancel` asks the running job to stop. Where
// `callers` are two, the drain and the later call come in any order.
template <int callers, ShutdownMode later, class Sync = RelacySync>
struct LimitOfADrainPasses : Scene<Size<3, 1, 2>, Sync> {
  using Base = Scene<Size<3, 1, 2>, Sync>;
  static constexpr int threads = callers;
  static constexpr bool drains = later == ShutdownMode::drain;
  static constexpr bool cancels = later == ShutdownMode::cancel;

  RelacySync::semaphore began, end;
  RelacySync::mutex asked;  // orders the job behind the calls: its flag is relaxed

  void before() {
    this->make([this](typename Base::Context& context) {
      if (this->note(context) > 1 || context.stripe_id() != 0) {
        return CompactionOutcome::done();
      }
      check(!context.stop_requested(), "nobody asks a job to stop before the shutdown");
      began.post(1);
      for (int caller = 0; caller < callers; ++caller) {
        end.wait();
      }
      asked.lock();
      asked.unlock();
      check(context.stop_requested() == cancels, "cancel alone asks the running job to stop");
      return cancels ? CompactionOutcome::stopped() : CompactionOutcome::done();
    });
    this->request(0);
    this->request(1);
    this->start();
    began.wait();
    check(this->request(2) == Submission::rerun_pending, "the stripe runs");
  }
  void thread(int index) {
    if (index == 0) {
      const auto report = at_the_limit(ShutdownMode::drain);
      this->cover_if(report.mode == ShutdownMode::drain, "the drain's limit passed first");
    }
    if (index == callers - 1) {
      check(at_the_limit(later).mode == later, "the later mode counts");
    }
    asked.lock();
    asked.unlock();
    end.post(1);
  }
  ShutdownReport at_the_limit(ShutdownMode mode) {
    auto report = this->worker->shutdown(mode, std::chrono::seconds(1));
    check(!report.complete && this->lists(report.still_running, 0) &&
              report.still_running.size() == 1,
          "the job still runs");
    check_discarded(report);
    check(report.unfinished.empty(), "nothing has ended");
    check(callers > 1 || this->worker->queue_size() == (mode == ShutdownMode::drain ? 1U : 0U),
          "a drain keeps the queue");
    return report;
  }
  void check_discarded(const ShutdownReport& report) {
    if (report.mode == ShutdownMode::drain) {
      check(report.discarded.empty(), "a drain discards nothing, whether or not its limit passes");
    } else {
      check(report.discarded.size() == 2, "a stronger mode discards the re-run and what is queued");
    }
  }
  void after() {
    const auto report = this->worker->shutdown(ShutdownMode::drain);
    this->check_complete(report);
    check(report.mode == later, "no later call weakens the mode");
    check_discarded(report);
    check(report.unfinished.size() == (cancels ? 1U : 0U), "a job that was stopped is unfinished");
    check(this->compactions[0].read() == (drains ? 2 : 1), "the re-run follows a drain only");
    check(this->compactions[1].read() == (drains ? 1 : 0), "what is queued runs in a drain only");
    const auto s = this->worker->snapshot();
    check(s.episodes_discarded == (drains ? 0U : 2U) && s.episodes_cancelled == (cancels ? 1U : 0U),
          "each episode has its end");
    this->check_accounts();
    this->worker.reset();
  }
};

template <class Size, ShutdownMode mode, class Sync = RelacySync>
using OneCaller = RequestAgainstShutdown<Size, 1, mode, mode, Sync>;

constexpr auto drain = ShutdownMode::drain;
constexpr auto finish_running = ShutdownMode::finish_running;
constexpr auto cancel = ShutdownMode::cancel;
const char* const properties = "P5 P7 P10";

const Proved<OneCaller<Size<1, 1>, drain>, Size<1, 1>> drain_1_1({"request_against_drain_1_1",
                                                                  properties,
                                                                  {"served", "rejected"}});
const Proved<OneCaller<Size<1, 1>, finish_running>, Size<1, 1>> finish_1_1(
    {"request_against_finish_running_1_1", properties, {"served", "rejected", "discarded"}});
const Proved<OneCaller<Size<1, 1>, cancel>, Size<1, 1>> cancel_1_1(
    {"request_against_cancel_1_1", properties, {"served", "rejected", "discarded"}});
const Proved<OneCaller<Size<2, 1>, drain>, Size<2, 1>> drain_2_1(
    {"request_against_drain_2_1",
     properties,
     {"served", "rejected", "coalesced", "requested while running"}});
const Proved<OneCaller<Size<2, 1>, finish_running>, Size<2, 1>> finish_2_1(
    {"request_against_finish_running_2_1",
     properties,
     {"served", "rejected", "discarded", "coalesced", "requested while running"}});
const Proved<OneCaller<Size<2, 1, 2>, finish_running>, Size<2, 1, 2>> finish_2_1_stripes(
    {"request_against_finish_running_2_1_two_stripes",
     properties,
     {"served", "rejected", "discarded"},
     {},
     false,
     true});
const Proved<OneCaller<Size<1, 2>, drain>, Size<1, 2>> drain_1_2({"request_against_drain_1_2",
                                                                  properties,
                                                                  {"served", "rejected"}});
const Proved<OneCaller<Size<1, 2>, finish_running>, Size<1, 2>> finish_1_2(
    {"request_against_finish_running_1_2", properties, {"served", "rejected", "discarded"}});

const Proved<RequestAgainstShutdown<Size<1, 1>, 2, finish_running>, Size<1, 1>> two_callers(
    {"request_against_two_shutdowns_1_1",
     "P5 P7 P8 P10",
     {"served", "rejected", "discarded", "two shutdowns at once"}});
const Proved<RequestAgainstShutdown<Size<1, 1>, 2, drain, cancel>, Size<1, 1>> stronger(
    {"request_against_drain_and_cancel_1_1",
     "P5 P7 P8 P10",
     {"served", "rejected", "discarded", "two shutdowns at once"}});

template <class Size, int callers, ShutdownMode first, ShutdownMode later = first,
          class Sync = RelacySync>
using WithinALimit = RequestAgainstShutdown<Size, callers, first, later, Sync, true>;

const Proved<WithinALimit<Size<1, 1>, 1, finish_running>, Size<1, 1>> limited_one(
    {"request_against_shutdown_within_its_limit_1_1", "P7 P8"});
const Proved<WithinALimit<Size<1, 2>, 1, drain>, Size<1, 2>> limited_two_workers(
    {"request_against_drain_within_its_limit_1_2", "P7 P8"});
const Proved<WithinALimit<Size<1, 1>, 2, drain, cancel>, Size<1, 1>> limited_two_callers(
    {"request_against_drain_and_cancel_within_their_limits_1_1",
     "P7 P8",
     {"two shutdowns at once"}});
const Refuted<WithinALimit<Size<1, 1>, 1, drain, drain, LosesNotifications>, Size<1, 1>>
    limited_lost({"request_against_drain_within_a_limit_without_notifications", "P7"},
                 Failure::deadlock, "sleeps on thread_left");

const Proved<DrainKeepsTheOrder<Size<2, 1, 2>>, Size<2, 1, 2>> drain_order({"drain_keeps_the_order",
                                                                            "P7",
                                                                            {"started in time"}});
const Proved<DrainKeepsTheOrder<Size<3, 1, 3>>, Size<3, 1, 3>> drain_order_of_three(
    {"drain_keeps_the_order_of_three", "P7", {"started in time"}});
const Proved<DrainKeepsTheOrder<Size<4, 1>>, Size<4, 1>> drain_of_four_requests(
    {"drain_of_one_stripe_requested_four_times", "P5 P7", {"started in time"}, {"coalesced"}});
const Refuted<DrainKeepsTheOrder<Size<2, 1, 2>, ForgetsWhatItCloses>, Size<2, 1, 2>>
    drain_order_forgets({"drain_that_forgets_keeps_no_account", "P5"}, Failure::check_failed,
                        "the counter of `queued` agrees with the answers");
const Proved<Destroyed<Size<1, 1>>, Size<1, 1>> destroyed({"destroyed_without_shutdown_1_1",
                                                           "P10",
                                                           {"the job ran"}});
const Proved<DestroyedAsAThreadEnds<true>, Size<1, 1>> destroyed_at_the_end(
    {"destroyed_as_a_thread_ends", "P10"});
const Refuted<DestroyedAsAThreadEnds<false>, Size<1, 1>> destroyed_unjoined(
    {"destroyed_as_a_thread_ends_without_join", "P10"}, Failure::use_after_free, "mutex");

const Proved<LimitPassesAsTheLastThreadLeaves<>, Size<1, 1>> limit_at_the_end(
    {"limit_passes_as_the_last_thread_leaves", "P7", {"timed out"}});
const Twice<LimitPassesWhileAJobRuns<>> limit_while_running(
    with_one_timeout<LimitPassesWhileAJobRuns<>, Size<1, 1>>({"limit_passes_while_a_job_runs",
                                                              "P7"}));
template <int callers, ShutdownMode later, class Sync = RelacySync>
SuiteOptions limit_of_a_drain(Claim claim) {
  return with_timeouts<LimitOfADrainPasses<callers, later, Sync>, Size<3, 1, 2>>(std::move(claim),
                                                                                 2);
}
const std::vector<std::string> drain_first = {"the drain's limit passed first"};
const Twice<LimitOfADrainPasses<1, drain>> drain_goes_on(
    limit_of_a_drain<1, drain>({"limit_of_a_drain_passes_and_it_goes_on", "P7 P8"}));
const Twice<LimitOfADrainPasses<1, finish_running>> then_finish(
    limit_of_a_drain<1, finish_running>({"limit_of_a_drain_passes_then_finish_running", "P7 P8"}));
const Twice<LimitOfADrainPasses<1, cancel>> then_cancel(
    limit_of_a_drain<1, cancel>({"limit_of_a_drain_passes_then_cancel", "P7 P8 P15"}));
const Twice<LimitOfADrainPasses<2, finish_running>> against_finish(
    limit_of_a_drain<2, finish_running>({"limit_of_a_drain_passes_against_finish_running", "P7 P8",
                                         drain_first}));
const Twice<LimitOfADrainPasses<2, cancel>> against_cancel(limit_of_a_drain<2, cancel>(
    {"limit_of_a_drain_passes_against_cancel", "P7 P8 P15", drain_first}));
const Registered then_nobody_is_asked = suite<LimitOfADrainPasses<1, cancel, AsksNobody>>(
    expecting(limit_of_a_drain<1, cancel, AsksNobody>(
                  {"limit_of_a_drain_passes_then_nobody_is_asked", "P8 P15"}),
              Failure::check_failed, "cancel alone asks the running job to stop"));
// Limits never pass.
const Refuted<LimitPassesWhileAJobRuns<>, Size<1, 1>> limit_never(
    {"limit_never_passes_while_a_job_runs", "P7"}, Failure::deadlock, "t0 sleeps on thread_left");
const Refuted<LimitPassesAsTheLastThreadLeaves<LosesTokensAndTimesOutAtThreadEnd>, Size<1, 1>>
    limit_lost({"limit_passes_and_no_thread_leaves", "P7"}, Failure::deadlock,
               "w0 semaphore wait sleepers");

const Refuted<OneCaller<Size<1, 1>, drain, ForgetsWhatItCloses>, Size<1, 1>> forgets(
    {"request_against_drain_that_forgets", "P1 P7"}, Failure::check_failed,
    "an accepted request is served or reported");
const Refuted<OneCaller<Size<1, 1>, drain, LosesTokens>, Size<1, 1>> loses_tokens(
    {"request_against_drain_without_tokens", "P7"}, Failure::deadlock,
    "t1 join, w0 semaphore wait sleepers");
const Refuted<
    RequestAgainstShutdown<Size<1, 1>, 2, finish_running, finish_running, LosesNotifications>,
    Size<1, 1>>
    loses_notifications({"request_against_two_shutdowns_without_notifications", "P8"},
                        Failure::deadlock, "t2 sleeps on thread_left");

}  // namespace
}  // namespace kstone::model
