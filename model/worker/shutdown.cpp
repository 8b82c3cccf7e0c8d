// P7 Shutdown ends in each mode and loses nothing: a request that races with it is served or
//    reported, never both and never neither; a rejected request has no effect; drain runs what was
//    accepted.
// P8 Shutdown is idempotent and may race with itself: all callers get the same report, and the
//    stronger mode counts: also the one that comes after the limit of a drain has passed.
// P15 Cancelling asks a job that runs already.
// P5 Exactly one end for each episode; the counters agree with the answers.
// P10 Nothing of the worker is used after its destruction.
// Covers: Q1/C2, I4.

#include <algorithm>

#include "scene.h"

namespace kstone::model {
namespace {

// The threads that call shutdown, each by its mode.
template <ShutdownMode... of_each>
struct Callers {
  static constexpr int count = sizeof...(of_each);
  static constexpr ShutdownMode modes[] = {of_each...};
  static constexpr ShutdownMode strongest = std::max({of_each...});
};

// Whether the callers have a limit, which never passes.
enum class Limited { no, yes };

// The requesters are threads 0 .. n-1, the callers come behind them.
template <class Size, class Callers, class Sync = RelacySync, Limited limited = Limited::no>
struct RequestAgainstShutdown : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + Callers::count;
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads =
      Callers::strongest == ShutdownMode::cancel ? 0 : Size::workers;
  static constexpr bool are_several = Callers::count > 1;

  ShutdownReport reports[Callers::count];
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
      if constexpr (are_several) {
        this->cover_if(++inside.step_write() > 1, "two shutdowns at once");
      }
      reports[caller] = this->worker->shutdown(
          Callers::modes[caller], limited == Limited::yes ? Limit(std::chrono::hours(1)) : Limit());
      if constexpr (are_several) {
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
    check(report.mode == Callers::strongest, "the stronger mode counts");
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
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;

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
template <Joining joining>
struct DestroyedAsAThreadEnds
    : Destroyed<With<Requesters<1>, Workers<1>>, AsksAtThreadEnd<joining>> {
  using Base = Destroyed<With<Requesters<1>, Workers<1>>, AsksAtThreadEnd<joining>>;

  typename AsksAtThreadEnd<joining>::Hold hold;

  void before() {
    AsksAtThreadEnd<joining>::hold = &hold;
    this->make();
    hold.worker = this->worker.get();
    this->start();
  }
  void after() {
    this->worker.reset();
    if (joining == Joining::does_not_wait) {
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
struct LimitPassesAsTheLastThreadLeaves : Scene<With<Requesters<1>, Workers<1>>, Sync> {
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
struct LimitPassesWhileAJobRuns : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 1;

  RelacySync::semaphore began;
  RelacySync::semaphore end;

  void before() {
    this->make([this](typename Scene<With<Requesters<1>, Workers<1>>, Sync>::Context& context) {
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
// mode discards the re-run and what is queued, and `cancel` asks the running job to stop. With two
// callers, the drain and the later call come in any order.
enum class By { one_caller, two_callers };

template <By by, ShutdownMode later, class Sync = RelacySync>
struct LimitOfADrainPasses : Scene<With<Requesters<3>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<3>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int callers = by == By::one_caller ? 1 : 2;
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

struct ForgetsInSlices : ForgetsWhatItCloses {
  static constexpr std::uint32_t stripes_in_a_hold = 1;
};

constexpr auto drain = ShutdownMode::drain;
constexpr auto finish_running = ShutdownMode::finish_running;
constexpr auto cancel = ShutdownMode::cancel;
const char* const properties = "P5 P7 P10";

template <class Size, ShutdownMode mode, class Sync = RelacySync>
using OneCaller = RequestAgainstShutdown<Size, Callers<mode>, Sync>;
using TwoStripes = With<Requesters<2>, Workers<1>, Stripes<2>>;
template <class Size, class Callers, class Sync = RelacySync>
using WithinALimit = RequestAgainstShutdown<Size, Callers, Sync, Limited::yes>;
const std::vector<std::string> drain_first = {"the drain's limit passed first"};

const Registered suites[] = {
    proved<OneCaller<With<Requesters<1>, Workers<1>>, drain>>({
        .name = "request_against_drain_1_1",
        .property = properties,
        .sometimes = {"served", "rejected"},
    }),
    proved<OneCaller<With<Requesters<1>, Workers<1>>, finish_running>>({
        .name = "request_against_finish_running_1_1",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded"},
    }),
    proved<OneCaller<With<Requesters<1>, Workers<1>>, cancel>>({
        .name = "request_against_cancel_1_1",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded"},
    }),
    proved<OneCaller<With<Requesters<2>, Workers<1>>, drain>>({
        .name = "request_against_drain_2_1",
        .property = properties,
        .sometimes = {"served", "rejected", "coalesced", "requested while running"},
    }),
    proved<OneCaller<With<Requesters<2>, Workers<1>>, finish_running>>({
        .name = "request_against_finish_running_2_1",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded", "coalesced", "requested while running"},
    }),
    proved<OneCaller<With<Requesters<2>, Workers<1>, Stripes<2>>, finish_running>>({
        .name = "request_against_finish_running_2_1_two_stripes",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded"},
    }),
    proved_without_surprises<OneCaller<With<Requesters<3>, Workers<1>>, finish_running>>({
        .name = "request_against_finish_running_3_1",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded", "coalesced", "requested while running"},
    }),
    proved_without_surprises<OneCaller<With<Requesters<2>, Workers<2>>, finish_running>>({
        .name = "request_against_finish_running_2_2",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded", "coalesced", "requested while running"},
    }),
    proved_without_surprises<OneCaller<With<Requesters<3>, Workers<2>>, drain>>({
        .name = "request_against_drain_3_2",
        .property = properties,
        .sometimes = {"served", "rejected", "coalesced", "requested while running"},
        .large = Large::yes,
    }),
    // Each stripe is closed under a hold of its own, and others come between.
    proved<OneCaller<TwoStripes, drain, OneStripeInAHold>>({
        .name = "request_against_drain_2_1_in_slices",
        .property = properties,
        .sometimes = {"served", "rejected"},
    }),
    proved<OneCaller<TwoStripes, finish_running, OneStripeInAHold>>({
        .name = "request_against_finish_running_2_1_in_slices",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded"},
    }),
    proved<RequestAgainstShutdown<TwoStripes, Callers<drain, cancel>, OneStripeInAHold>>({
        .name = "request_against_drain_and_cancel_2_1_in_slices",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded", "two shutdowns at once"},
        .large = Large::yes,
    }),
    proved<DrainKeepsTheOrder<TwoStripes, OneStripeInAHold>>({
        .name = "drain_keeps_the_order_in_slices",
        .property = "P7",
        .sometimes = {"started in time"},
    }),
    proved<OneCaller<With<Requesters<1>, Workers<2>>, drain>>({
        .name = "request_against_drain_1_2",
        .property = properties,
        .sometimes = {"served", "rejected"},
    }),
    proved<OneCaller<With<Requesters<1>, Workers<2>>, finish_running>>({
        .name = "request_against_finish_running_1_2",
        .property = properties,
        .sometimes = {"served", "rejected", "discarded"},
    }),

    proved<RequestAgainstShutdown<With<Requesters<1>, Workers<1>>,
                                  Callers<finish_running, finish_running>>>({
        .name = "request_against_two_shutdowns_1_1",
        .property = "P5 P7 P8 P10",
        .sometimes = {"served", "rejected", "discarded", "two shutdowns at once"},
    }),
    proved<RequestAgainstShutdown<With<Requesters<1>, Workers<1>>, Callers<drain, cancel>>>({
        .name = "request_against_drain_and_cancel_1_1",
        .property = "P5 P7 P8 P10",
        .sometimes = {"served", "rejected", "discarded", "two shutdowns at once"},
    }),

    proved<WithinALimit<With<Requesters<1>, Workers<1>>, Callers<finish_running>>>({
        .name = "request_against_shutdown_within_its_limit_1_1",
        .property = "P7 P8",
    }),
    proved<WithinALimit<With<Requesters<1>, Workers<2>>, Callers<drain>>>({
        .name = "request_against_drain_within_its_limit_1_2",
        .property = "P7 P8",
    }),
    proved<WithinALimit<With<Requesters<1>, Workers<1>>, Callers<drain, cancel>>>({
        .name = "request_against_drain_and_cancel_within_their_limits_1_1",
        .property = "P7 P8",
        .sometimes = {"two shutdowns at once"},
    }),
    refuted<WithinALimit<With<Requesters<1>, Workers<1>>, Callers<drain>, LosesNotifications>>({
        .name = "request_against_drain_within_a_limit_without_notifications",
        .property = "P7",
        .failure = Failure::deadlock,
        .because = "sleeps on thread_left",
    }),

    proved<DrainKeepsTheOrder<With<Requesters<2>, Workers<1>, Stripes<2>>>>({
        .name = "drain_keeps_the_order",
        .property = "P7",
        .sometimes = {"started in time"},
    }),
    proved<DrainKeepsTheOrder<With<Requesters<3>, Workers<1>, Stripes<3>>>>({
        .name = "drain_keeps_the_order_of_three",
        .property = "P7",
        .sometimes = {"started in time"},
    }),
    proved<DrainKeepsTheOrder<With<Requesters<4>, Workers<1>>>>({
        .name = "drain_of_one_stripe_requested_four_times",
        .property = "P5 P7",
        .sometimes = {"started in time"},
        .always = {"coalesced"},
    }),
    refuted<DrainKeepsTheOrder<With<Requesters<4>, Workers<1>>, ForgetsWhatItCloses>>({
        .name = "drain_that_forgets_keeps_no_account",
        .property = "P5",
        .failure = Failure::check_failed,
        .because = "the counter of `coalesced` agrees with the answers",
    }),
    proved<Destroyed<With<Requesters<1>, Workers<1>>>>({
        .name = "destroyed_without_shutdown_1_1",
        .property = "P10",
        .sometimes = {"the job ran"},
    }),
    proved<DestroyedAsAThreadEnds<Joining::waits>>({
        .name = "destroyed_as_a_thread_ends",
        .property = "P10",
    }),
    refuted<DestroyedAsAThreadEnds<Joining::does_not_wait>>({
        .name = "destroyed_as_a_thread_ends_without_join",
        .property = "P10",
        .failure = Failure::use_after_free,
        .because = "mutex",
    }),

    proved<LimitPassesAsTheLastThreadLeaves<>>({
        .name = "limit_passes_as_the_last_thread_leaves",
        .property = "P7",
        .sometimes = {"timed out"},
    }),
    proved<LimitPassesWhileAJobRuns<>>({
        .name = "limit_passes_while_a_job_runs",
        .property = "P7",
        .timeouts = 1,
    }),
    proved<LimitOfADrainPasses<By::one_caller, drain>>({
        .name = "limit_of_a_drain_passes_and_it_goes_on",
        .property = "P7 P8",
        .timeouts = 2,
    }),
    proved<LimitOfADrainPasses<By::one_caller, finish_running>>({
        .name = "limit_of_a_drain_passes_then_finish_running",
        .property = "P7 P8",
        .timeouts = 2,
    }),
    proved<LimitOfADrainPasses<By::one_caller, cancel>>({
        .name = "limit_of_a_drain_passes_then_cancel",
        .property = "P7 P8 P15",
        .timeouts = 2,
    }),
    proved<LimitOfADrainPasses<By::two_callers, finish_running>>({
        .name = "limit_of_a_drain_passes_against_finish_running",
        .property = "P7 P8",
        .sometimes = drain_first,
        .timeouts = 2,
    }),
    proved<LimitOfADrainPasses<By::two_callers, cancel>>({
        .name = "limit_of_a_drain_passes_against_cancel",
        .property = "P7 P8 P15",
        .sometimes = drain_first,
        .timeouts = 2,
    }),
    refuted<LimitOfADrainPasses<By::one_caller, cancel, AsksNobody>>({
        .name = "limit_of_a_drain_passes_then_nobody_is_asked",
        .property = "P8 P15",
        .timeouts = 2,
        .failure = Failure::check_failed,
        .because = "cancel alone asks the running job to stop",
    }),
    // Limits never pass.
    refuted<LimitPassesWhileAJobRuns<>>({
        .name = "limit_never_passes_while_a_job_runs",
        .property = "P7",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on thread_left",
    }),
    refuted<LimitPassesAsTheLastThreadLeaves<LosesTokensAndTimesOutAtThreadEnd>>({
        .name = "limit_passes_and_no_thread_leaves",
        .property = "P7",
        .failure = Failure::deadlock,
        .because = "w0 semaphore wait sleepers",
    }),

    refuted<OneCaller<With<Requesters<1>, Workers<1>>, drain, ForgetsWhatItCloses>>({
        .name = "request_against_drain_that_forgets",
        .property = "P1 P7",
        .failure = Failure::check_failed,
        .because = "an accepted request is served or reported",
    }),
    refuted<OneCaller<TwoStripes, drain, ForgetsInSlices>>({
        .name = "request_against_drain_in_slices_that_forgets",
        .property = "P1 P7",
        .failure = Failure::check_failed,
        .because = "an accepted request is served or reported",
    }),
    refuted<OneCaller<With<Requesters<1>, Workers<1>>, drain, LosesTokens>>({
        .name = "request_against_drain_without_tokens",
        .property = "P7",
        .failure = Failure::deadlock,
        .because = "t1 join, w0 semaphore wait sleepers",
    }),
    refuted<RequestAgainstShutdown<With<Requesters<1>, Workers<1>>,
                                   Callers<finish_running, finish_running>, LosesNotifications>>({
        .name = "request_against_two_shutdowns_without_notifications",
        .property = "P8",
        .failure = Failure::deadlock,
        .because = "t2 sleeps on thread_left",
    }),
};

}  // namespace
}  // namespace kstone::model
