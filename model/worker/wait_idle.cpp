// P9 wait_idle answers `idle` only when every request answered before it has been served, and its
//    writes are visible to the caller; a request that was merged into one which is claimed and not
//    yet linked counts. Shutdown interrupts it.
// P10 The destructor waits for waits that were entered before it.
// Covers: I2.

#include "scene.h"

namespace kstone::model {
namespace {

// Each requester waits for its own request, and looks at once whether it was served: also the one
// that was coalesced into a claimed stripe.
template <class Size, class Sync = RelacySync>
struct EachWaitsForItsOwn : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;

  // Stored once, by the first compaction that saw the payload: `seen` may be written again while
  // the requester looks.
  RelacySync::atomic<bool> served[Size::requesters];

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      bool served_before[Size::requesters];
      for (int requester = 0; requester < Size::requesters; ++requester) {
        served_before[requester] = this->was_served(requester);
      }
      this->note(context);
      for (int requester = 0; requester < Size::requesters; ++requester) {
        if (!served_before[requester] && this->was_served(requester)) {
          served[requester].store(true, std::memory_order_relaxed);
        }
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    this->request(index);
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(served[index].load(std::memory_order_relaxed),
          "idle comes after a compaction that sees its payload");
  }
  void after() {
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Requests, a thread that waits, and a shutdown.
template <class Size, ShutdownMode mode = ShutdownMode::finish_running, class Sync = RelacySync>
struct WaitAgainstShutdown : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 2;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else if (index == Size::requesters) {
      const auto result = this->worker->wait_idle();
      check(result == IdleResult::idle || result == IdleResult::shut_down,
            "wait_idle answers idle or shut_down");
      this->cover_if(result == IdleResult::shut_down, "interrupted");
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::shut_down,
          "wait_idle answers shut_down after the end");
    this->check_served_or_reported(this->worker->shutdown());
    if (mode == ShutdownMode::drain) {
      this->check_served();
    }
    this->check_accounts();
    this->worker.reset();
  }
};

// The worker was never started, so idle would take for ever; the owner destroys the worker once the
// wait was entered.
template <class Sync = RelacySync>
struct WaitAgainstDestructor : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make();
    this->request(0);
  }
  void thread(int index) {
    auto* used = this->worker.get();
    if (index == 0) {
      check(used->wait_idle() == IdleResult::shut_down,
            "wait_idle is interrupted by the destructor");
    } else if (used->snapshot().waiting_callers == 1) {
      cover("destroyed while somebody waits");
      this->worker.reset();
    } else {
      used->shutdown();
    }
  }
  void after() { this->worker.reset(); }
};

// As above, and what the owner overtakes is a shutdown.
template <class Sync = RelacySync>
struct ShutdownAgainstDestructor : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make();
    this->start();
    this->request(0);
  }
  void thread(int index) {
    auto* used = this->worker.get();
    if (index == 0) {
      this->check_complete(used->shutdown());
    } else if (used->snapshot().waiting_callers == 1) {
      cover("destroyed while somebody waits");
      this->worker.reset();
    }
  }
  void after() { this->worker.reset(); }
};

// Two threads wait, and a shutdown wakes both. The worker was never started, so nothing else does.
template <class Sync = RelacySync>
struct TwoWaitsAgainstShutdown : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 3;

  void before() {
    this->make();
    this->request(0);
  }
  void thread(int index) {
    if (index < 2) {
      check(this->worker->wait_idle() == IdleResult::shut_down,
            "wait_idle is interrupted by shutdown");
    } else {
      this->check_complete(this->worker->shutdown());
    }
  }
  void after() { this->worker.reset(); }
};

// Two threads wait for one request, and its end wakes both: nobody calls shutdown before they have
// returned.
template <class Sync = RelacySync>
struct TwoWaitsForOneRequest : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make();
    this->request(0);
    this->start();
  }
  void thread(int) {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
  }
  void after() {
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// A wait and a shutdown are both overtaken by the owner. The worker was never started, so only
// these end the wait.
template <class Sync = RelacySync>
struct WaitAndShutdownAgainstDestructor : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 3;

  void before() {
    this->make();
    this->request(0);
  }
  void thread(int index) {
    auto* used = this->worker.get();
    if (index == 0) {
      check(used->wait_idle() == IdleResult::shut_down, "wait_idle is interrupted");
    } else if (index == 1) {
      this->check_complete(used->shutdown());
    } else if (used->snapshot().waiting_callers == 2) {
      cover("destroyed while both wait");
      this->worker.reset();
    }
  }
  void after() { this->worker.reset(); }
};

// Three shutdowns are overtaken by the owner: a notification for one of those that wait for the
// join may reach the destructor, and the other way round.
template <class Sync = RelacySync>
struct ThreeShutdownsAgainstDestructor : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 4;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    auto* used = this->worker.get();
    if (index < 3) {
      this->check_complete(used->shutdown());
    } else if (used->snapshot().waiting_callers == 3) {
      cover("destroyed while three wait");
      this->worker.reset();
    }
  }
  void after() { this->worker.reset(); }
};

// A wait with a limit may end by it, and says `idle` only if it is.
template <class Size>
struct WaitWithLimit : Scene<Size> {
  static constexpr int threads = 1;

  void before() {
    this->make();
    this->start();
  }
  void thread(int) {
    this->request(0);
    const auto result = this->worker->wait_idle(std::chrono::seconds(1));
    check(result == IdleResult::idle || result == IdleResult::timed_out,
          "wait_idle answers idle or timed_out");
    check(result == IdleResult::timed_out || this->was_served(0),
          "idle means that the request was served");
    this->cover_if(result == IdleResult::timed_out, "timed out");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The wait for the first stripe ends by its limit, since its job does not end before. That the
// second is done, changes nothing.
template <class Sync = RelacySync>
struct FirstOfTwoTimesOut : Scene<Size<2, 1, 2>, Sync> {
  static constexpr int threads = 1;

  RelacySync::semaphore end;

  void before() {
    this->make([this](typename Scene<Size<2, 1, 2>, Sync>::Context& context) {
      if (context.stripe_id() == 0) {
        end.wait();
      }
      this->note(context);
      return CompactionOutcome::done();
    });
    this->request(1);
    this->request(0);
    this->start();
  }
  void thread(int) {
    check(this->worker->wait_idle(std::chrono::seconds(1)) == IdleResult::timed_out,
          "wait_idle answers timed_out");
    const auto s = this->worker->snapshot();
    this->cover_if(s.episodes_done == 1, "the second stripe is done");
    end.post(1);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The limit passes, and before the caller has the mutex again what it waits for has happened: the
// answer says so. If both the stripe's end and a shutdown have happened, shutdown comes first.
template <bool shuts_down, class Sync = TimesOutLate>
struct LimitPassesAtTheEnd : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 2;

  TimesOutLate::Hold hold;

  void before() {
    TimesOutLate::hold = &hold;
    this->make();
    this->request(0);
    if (!shuts_down) {
      this->start();
    }
  }
  void thread(int index) {
    if (index == 0) {
      const auto result = this->worker->wait_idle(std::chrono::seconds(1));
      check(result == (shuts_down ? IdleResult::shut_down : IdleResult::idle),
            "what has happened is answered");
    } else {
      if (shuts_down) {
        this->check_complete(this->worker->shutdown());
      } else {
        check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
      }
      hold.late.post(1);
    }
  }
  void after() {
    this->cover_if(hold.times_out, "timed out");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Not seen to end: cut short, or at random; what stands in is smaller and is searched without a
// bound.
template <class Scenario, class Size>
Registered too_large(Claim claim, Mode mode, std::uint64_t executions, const char* fallback) {
  auto options = suite_options<Scenario, Size>(std::move(claim), "");
  options.limits.mode = mode;
  options.limits.max_executions = executions;
  options.large = true;
  options.fallback = fallback;
  return suite<Scenario>(std::move(options));
}

const Proved<EachWaitsForItsOwn<Size<1, 1>>, Size<1, 1>> one({"each_waits_for_its_own_1_1",
                                                              "P4 P9"});
const Proved<EachWaitsForItsOwn<Size<2, 1>>, Size<2, 1>> two({"each_waits_for_its_own_2_1",
                                                              "P4 P9",
                                                              {"coalesced",
                                                               "requested while running"},
                                                              {},
                                                              false,
                                                              true});
const Proved<WaitAgainstShutdown<Size<1, 1>>, Size<1, 1>> against_shutdown(
    {"wait_idle_against_request_and_shutdown_1_1",
     "P7 P9",
     {"interrupted", "served", "discarded", "rejected"}});
const Proved<WaitAgainstDestructor<>, Size<1, 1>> against_destructor(
    {"wait_idle_against_destructor", "P10", {"destroyed while somebody waits"}});

const Proved<ShutdownAgainstDestructor<>, Size<1, 1>> shutdown_against_destructor(
    {"shutdown_against_destructor", "P10", {"destroyed while somebody waits"}});
const Proved<TwoWaitsAgainstShutdown<>, Size<1, 1>> two_waits_against_shutdown(
    {"two_waits_against_shutdown", "P9"});

const Proved<TwoWaitsForOneRequest<>, Size<1, 1>> two_waits_for_one_request(
    {"two_waits_for_one_request", "P9"});
const Proved<WaitAndShutdownAgainstDestructor<>, Size<1, 1>> both_against_destructor(
    {"wait_idle_and_shutdown_against_destructor", "P10", {"destroyed while both wait"}});
const ProvedCalm<ThreeShutdownsAgainstDestructor<>, Size<1, 1>> three_against_destructor(
    {"three_shutdowns_against_destructor", "P10", {"destroyed while three wait"}}, 1);

const Twice<WaitWithLimit<Size<1, 1>>> with_limit(
    with_one_timeout<WaitWithLimit<Size<1, 1>>, Size<1, 1>>(
        {"wait_idle_with_limit_1_1", "P9", {"timed out"}}));
const Twice<FirstOfTwoTimesOut<>> first_of_two(
    with_one_timeout<FirstOfTwoTimesOut<>, Size<2, 1, 2>>(
        {"first_of_two_stripes_times_out", "P9", {"the second stripe is done"}}));
const Proved<LimitPassesAtTheEnd<false>, Size<1, 1>> limit_at_the_end(
    {"limit_passes_as_the_stripe_ends", "P9", {"timed out"}});
const Proved<LimitPassesAtTheEnd<true>, Size<1, 1>> limit_at_shutdown(
    {"limit_passes_as_shutdown_interrupts", "P9", {"timed out"}});

const Refuted<EachWaitsForItsOwn<Size<2, 1>, PublishesNoRequest>, Size<2, 1>> publishes_nothing(
    {"each_waits_for_its_own_that_publishes_nothing", "P4"}, Failure::check_failed,
    "a compaction that sees its payload");
const Refuted<WaitAgainstShutdown<Size<1, 1>, ShutdownMode::finish_running, LosesNotifications>,
              Size<1, 1>>
    loses_notifications({"wait_idle_against_shutdown_without_notifications", "P9"},
                        Failure::deadlock, "sleeps on episode_ended");
const Refuted<TwoWaitsForOneRequest<NotifiesOne>, Size<1, 1>> two_waits_notify_one(
    {"two_waits_for_one_request_and_one_notified", "P9"}, Failure::deadlock,
    "sleeps on episode_ended");
const Refuted<ThreeShutdownsAgainstDestructor<NotifiesOne>, Size<1, 1>> three_notify_one(
    {"three_shutdowns_against_destructor_and_one_notified", "P10"}, Failure::deadlock,
    "sleeps on thread_left");
const Refuted<WaitAndShutdownAgainstDestructor<LosesNotifications>, Size<1, 1>>
    both_against_destructor_lost({"wait_idle_and_shutdown_against_destructor_without_notifications",
                                  "P10"},
                                 Failure::deadlock, "sleeps on episode_ended");
// Limits never pass.
const Refuted<FirstOfTwoTimesOut<>, Size<2, 1, 2>> first_of_two_never(
    {"first_of_two_stripes_never_times_out", "P9"}, Failure::deadlock,
    "t0 sleeps on episode_ended");
const Refuted<TwoWaitsAgainstShutdown<LosesNotifications>, Size<1, 1>> two_waits_lost(
    {"two_waits_against_shutdown_without_notifications", "P9"}, Failure::deadlock,
    "t0 sleeps on episode_ended, t1 sleeps on episode_ended");
const Refuted<ShutdownAgainstDestructor<LosesNotifications>, Size<1, 1>>
    shutdown_against_destructor_lost({"shutdown_against_destructor_without_notifications", "P10"},
                                     Failure::deadlock, "sleeps on thread_left");
const Refuted<WaitAgainstDestructor<LosesNotifications>, Size<1, 1>> against_destructor_lost(
    {"wait_idle_against_destructor_without_notifications", "P10"}, Failure::deadlock,
    "t0 sleeps on episode_ended");

// The same at the largest sizes that are tried.
template <class Size>
using Drained = WaitAgainstShutdown<Size, ShutdownMode::drain>;
template <class Size>
using Finished = WaitAgainstShutdown<Size>;
const char* const larger_properties = "P1 P4 P5 P7 P9 P10";
const char* const larger_properties_of_two = "P1 P3 P4 P5 P7 P9 P10";  // of two worker threads
const std::vector<std::string> larger_events = {"served", "rejected", "interrupted"};
const ProvedCalm<Drained<Size<2, 1>>, Size<2, 1>> drained_2_1({"everybody_against_drain_2_1",
                                                               larger_properties,
                                                               {"served", "rejected", "interrupted",
                                                                "requested while running"},
                                                               {},
                                                               true},
                                                              1);
const ProvedCalm<Finished<Size<1, 2>>, Size<1, 2>> finished_1_2(
    {"everybody_against_finish_running_1_2",
     larger_properties_of_two,
     {"served", "rejected", "interrupted", "discarded"},
     {},
     true},
    1);
const auto drained_2_2 = too_large<Drained<Size<2, 2>>, Size<2, 2>>(
    {"everybody_against_drain_2_2", larger_properties_of_two, larger_events}, Mode::source_sets,
    10'000'000, "everybody_against_drain_2_1 everybody_against_drain_2_2_bound_1");
const Registered drained_2_2_within_one = suite<Drained<Size<2, 2>>>(within<Drained<Size<2, 2>>,
                                                                            Size<2, 2>>(
    1, {"everybody_against_drain_2_2_bound_1", larger_properties_of_two, larger_events, {}, true}));
const auto finished_3_2 = too_large<Finished<Size<3, 2, 2>>, Size<3, 2, 2>>(
    {"everybody_against_finish_running_3_2_at_random", larger_properties_of_two, larger_events},
    Mode::random, 300'000, "everybody_against_finish_running_1_2 request_then_idle_3_2_bound_0");
const Refuted<WaitAgainstShutdown<Size<1, 1>, ShutdownMode::drain, LosesTokens>, Size<1, 1>>
    loses_tokens_against_drain({"everybody_against_drain_without_tokens", "P7"}, Failure::deadlock,
                               "t2 join, w0 semaphore wait sleepers");

}  // namespace
}  // namespace kstone::model
