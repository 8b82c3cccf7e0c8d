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
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

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

// The same with a wait for the one stripe that it asked for, which says how that ended.
template <class Size, class Sync = RelacySync>
struct EachWaitsForItsStripe : EachWaitsForItsOwn<Size, Sync> {
  void thread(int index) {
    this->request(index);
    const auto answer = this->worker->wait_idle(static_cast<std::uint32_t>(this->stripe_of(index)));
    check(answer.result == IdleResult::idle, "wait_idle answers idle");
    check(answer.last_end == EpisodeEnd::done, "what ended was done");
    check(this->served[index].load(std::memory_order_relaxed),
          "idle comes after a compaction that sees its payload");
  }
};

// Requests, a thread that waits, and a shutdown.
template <class Size, ShutdownMode mode = ShutdownMode::finish_running, class Sync = RelacySync>
struct WaitAgainstShutdown : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 2;
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = mode == ShutdownMode::cancel ? 0 : Size::workers;

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
struct WaitAgainstDestructor : Scene<With<Requesters<1>, Workers<1>>, Sync> {
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
template <class Sync = RelacySync, class Size = With<Requesters<1>, Workers<1>>>
struct ShutdownAgainstDestructor : Scene<Size, Sync> {
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
struct TwoWaitsAgainstShutdown : Scene<With<Requesters<1>, Workers<1>>, Sync> {
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
struct TwoWaitsForOneRequest : Scene<With<Requesters<1>, Workers<1>>, Sync> {
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
struct WaitAndShutdownAgainstDestructor : Scene<With<Requesters<1>, Workers<1>>, Sync> {
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
struct ThreeShutdownsAgainstDestructor : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 4;
  static constexpr EqualThreads equal_threads = {{{0, 3}}};

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    auto* used = this->worker.get();
    if (index < 3) {
      in_turn();
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
struct FirstOfTwoTimesOut : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  static constexpr int threads = 1;

  RelacySync::semaphore end;

  void before() {
    this->make(
        [this](
            typename Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>::Context& context) {
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
enum class Happens { the_end, a_shutdown };

template <Happens what, class Sync = TimesOutLate>
struct LimitPassesAtTheEnd : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 2;
  static constexpr bool shuts_down = what == Happens::a_shutdown;

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

// The same at the largest sizes that are tried.
template <class Size, class Sync = RelacySync>
using Drained = WaitAgainstShutdown<Size, ShutdownMode::drain, Sync>;
template <class Size>
using Finished = WaitAgainstShutdown<Size>;
const char* const larger_properties = "P1 P4 P5 P7 P9 P10";
const char* const larger_properties_of_two = "P1 P3 P4 P5 P7 P9 P10";  // of two worker threads
const std::vector<std::string> larger_events = {"served", "rejected", "interrupted"};

const Registered suites[] = {
    proved<EachWaitsForItsOwn<With<Requesters<1>, Workers<1>>>>({
        .name = "each_waits_for_its_own_1_1",
        .property = "P4 P9",
    }),
    proved<EachWaitsForItsOwn<With<Requesters<2>, Workers<1>>>>({
        .name = "each_waits_for_its_own_2_1",
        .property = "P4 P9",
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<EachWaitsForItsStripe<With<Requesters<1>, Workers<1>>>>({
        .name = "each_waits_for_its_stripe_1_1",
        .property = "P4 P9",
    }),
    proved<EachWaitsForItsStripe<With<Requesters<2>, Workers<1>>>>({
        .name = "each_waits_for_its_stripe_2_1",
        .property = "P4 P9",
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<EachWaitsForItsStripe<With<Requesters<2>, Workers<1>, Stripes<2>>>>({
        .name = "each_waits_for_its_stripe_2_1_two_stripes",
        .property = "P4 P9",
        .large = Large::with_surprises,
    }),
    proved_without_surprises<EachWaitsForItsStripe<With<Requesters<2>, Workers<2>>>>({
        .name = "each_waits_for_its_stripe_2_2",
        .property = "P3 P4 P9",
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved<WaitAgainstShutdown<With<Requesters<1>, Workers<1>>>>({
        .name = "wait_idle_against_request_and_shutdown_1_1",
        .property = "P7 P9",
        .sometimes = {"interrupted", "served", "discarded", "rejected"},
    }),
    proved<WaitAgainstDestructor<>>({
        .name = "wait_idle_against_destructor",
        .property = "P10",
        .sometimes = {"destroyed while somebody waits"},
    }),

    proved<ShutdownAgainstDestructor<>>({
        .name = "shutdown_against_destructor",
        .property = "P10",
        .sometimes = {"destroyed while somebody waits"},
    }),
    proved<
        ShutdownAgainstDestructor<OneStripeInAHold, With<Requesters<1>, Workers<1>, Stripes<2>>>>({
        .name = "shutdown_against_destructor_in_slices",
        .property = "P8 P10",
        .sometimes = {"destroyed while somebody waits"},
        .large = Large::with_surprises,
    }),
    proved<TwoWaitsAgainstShutdown<>>({
        .name = "two_waits_against_shutdown",
        .property = "P9",
    }),

    proved<TwoWaitsForOneRequest<>>({
        .name = "two_waits_for_one_request",
        .property = "P9",
    }),
    proved<WaitAndShutdownAgainstDestructor<>>({
        .name = "wait_idle_and_shutdown_against_destructor",
        .property = "P10",
        .sometimes = {"destroyed while both wait"},
    }),
    proved<ThreeShutdownsAgainstDestructor<>>({
        .name = "three_shutdowns_against_destructor",
        .property = "P10",
        .sometimes = {"destroyed while three wait"},
        .large = Large::with_surprises,
    }),

    proved<WaitWithLimit<With<Requesters<1>, Workers<1>>>>({
        .name = "wait_idle_with_limit_1_1",
        .property = "P9",
        .sometimes = {"timed out"},
        .timeouts = 1,
    }),
    proved<FirstOfTwoTimesOut<>>({
        .name = "first_of_two_stripes_times_out",
        .property = "P9",
        .sometimes = {"the second stripe is done"},
        .timeouts = 1,
    }),
    proved<LimitPassesAtTheEnd<Happens::the_end>>({
        .name = "limit_passes_as_the_stripe_ends",
        .property = "P9",
        .sometimes = {"timed out"},
    }),
    proved<LimitPassesAtTheEnd<Happens::a_shutdown>>({
        .name = "limit_passes_as_shutdown_interrupts",
        .property = "P9",
        .sometimes = {"timed out"},
    }),

    refuted<EachWaitsForItsOwn<With<Requesters<2>, Workers<1>>, PublishesNoRequest>>({
        .name = "each_waits_for_its_own_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::check_failed,
        .because = "a compaction that sees its payload",
    }),
    refuted<EachWaitsForItsStripe<With<Requesters<2>, Workers<1>>, PublishesNoRequest>>({
        .name = "each_waits_for_its_stripe_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::check_failed,
        .because = "a compaction that sees its payload",
    }),
    refuted<EachWaitsForItsStripe<With<Requesters<2>, Workers<1>, Stripes<2>>, NotifiesOne>>({
        .name = "each_waits_for_its_stripe_and_one_is_notified",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
    refuted<WaitAgainstShutdown<With<Requesters<1>, Workers<1>>, ShutdownMode::finish_running,
                                LosesNotifications>>({
        .name = "wait_idle_against_shutdown_without_notifications",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
    refuted<TwoWaitsForOneRequest<NotifiesOne>>({
        .name = "two_waits_for_one_request_and_one_notified",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
    refuted<ThreeShutdownsAgainstDestructor<NotifiesOne>>({
        .name = "three_shutdowns_against_destructor_and_one_notified",
        .property = "P10",
        .failure = Failure::deadlock,
        .because = "sleeps on thread_left",
    }),
    refuted<WaitAndShutdownAgainstDestructor<LosesNotifications>>({
        .name = "wait_idle_and_shutdown_against_destructor_without_notifications",
        .property = "P10",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
    // Limits never pass.
    refuted<FirstOfTwoTimesOut<>>({
        .name = "first_of_two_stripes_never_times_out",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on episode_ended",
    }),
    refuted<TwoWaitsAgainstShutdown<LosesNotifications>>({
        .name = "two_waits_against_shutdown_without_notifications",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on episode_ended, t1 sleeps on episode_ended",
    }),
    refuted<ShutdownAgainstDestructor<LosesNotifications>>({
        .name = "shutdown_against_destructor_without_notifications",
        .property = "P10",
        .failure = Failure::deadlock,
        .because = "sleeps on thread_left",
    }),
    refuted<WaitAgainstDestructor<LosesNotifications>>({
        .name = "wait_idle_against_destructor_without_notifications",
        .property = "P10",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on episode_ended",
    }),
    proved<Drained<With<Requesters<2>, Workers<1>>>>({
        .name = "everybody_against_drain_2_1",
        .property = larger_properties,
        .sometimes = {"served", "rejected", "interrupted", "requested while running"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<
        Drained<With<Requesters<2>, Workers<1>, Stripes<2>>, OneStripeInAHold>>({
        .name = "everybody_against_drain_2_1_in_slices",
        .property = larger_properties,
        .sometimes = larger_events,
        .large = Large::yes,
    }),
    proved<EachWaitsForItsOwn<With<Requesters<2>, Workers<1>, Stripes<2>>, OneStripeInAHold>>({
        .name = "each_waits_for_its_own_2_1_in_slices",
        .property = "P4 P9",
        .large = Large::yes,
    }),
    proved<Finished<With<Requesters<1>, Workers<2>>>>({
        .name = "everybody_against_finish_running_1_2",
        .property = larger_properties_of_two,
        .sometimes = {"served", "rejected", "interrupted", "discarded"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<Drained<With<Requesters<2>, Workers<2>>>>({
        .name = "everybody_against_drain_2_2",
        .property = larger_properties_of_two,
        .sometimes = larger_events,
        .large = Large::yes,
    }),
    proved_without_surprises<Finished<With<Requesters<2>, Workers<2>>>>({
        .name = "everybody_against_finish_running_2_2",
        .property = larger_properties_of_two,
        .sometimes = larger_events,
        .large = Large::yes,
    }),
    proved_without_surprises<Drained<With<Requesters<3>, Workers<1>>>>({
        .name = "everybody_against_drain_3_1",
        .property = larger_properties,
        .sometimes = larger_events,
        .large = Large::yes,
    }),
    proved_without_surprises<Finished<With<Requesters<3>, Workers<2>, Stripes<2>>>>({
        .name = "everybody_against_finish_running_3_2_at_random",
        .property = larger_properties_of_two,
        .sometimes = larger_events,
        .mode = Mode::random,
        .large = Large::yes,
        .max_executions = 300'000,
        .fallback = "everybody_against_finish_running_2_2 request_then_idle_3_2",
    }),
    refuted<WaitAgainstShutdown<With<Requesters<1>, Workers<1>>, ShutdownMode::drain, LosesTokens>>(
        {
            .name = "everybody_against_drain_without_tokens",
            .property = "P7",
            .failure = Failure::deadlock,
            .because = "t2 join, w0 semaphore wait sleepers",
        }),
};

}  // namespace
}  // namespace kstone::model
