// P2 No lost wake-up: an accepted request is compacted although nobody calls shutdown.
// P1, P3, P4 No lost request, one at a time, publication: a compaction that follows sees what each
// requester wrote.
// P18 No thread is woken for nothing.
// Covers: Q1/T1, Q1/F1, L1/T2, I1, I2, I3, I5, I6.
//
// The wait comes before any shutdown, since shutdown wakes everybody and would hide a lost wake-up.

#include "scene.h"

namespace kstone::model {
namespace {

template <class Size, class Sync = RelacySync>
struct RequestThenIdle : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) { this->request(index); }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    const auto report = this->worker->shutdown();
    this->check_complete(report);
    check(report.first_error.empty(), "nothing failed");
    this->check_accounts();
    this->worker.reset();
  }
};

// Requests that were all made before there is a thread.
template <class Size>
struct RequestBeforeStart : RequestThenIdle<Size> {
  void before() { this->make(); }
  void after() {
    check(this->worker->start() == StartResult::started, "start answers started");
    RequestThenIdle<Size>::after();
  }
};

// A request wakes one thread, if one sleeps, and whoever compacts its stripe wakes no other:
// nothing else is queued.
template <class Size, class Sync = CountsTokens>
struct WakesOneThread : RequestThenIdle<Size, Sync> {
  void before() {
    CountsTokens::posted = 0;
    RequestThenIdle<Size, Sync>::before();
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(CountsTokens::posted <= 1, "no thread is woken for nothing");
    this->cover_if(CountsTokens::posted == 1, "woke a thread");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->worker.reset();
  }
};

// The second of two stripes is asked for while the first is compacted, or after: no compaction
// leaves anything in the queue, so none wakes anybody. The one token is the second request's; the
// first is from before there was a thread.
struct WakesForWhatIsQueued : Scene<Size<2, 2, 2>, CountsTokens> {
  static constexpr int threads = 1;

  RelacySync::semaphore began;

  void before() {
    CountsTokens::posted = 0;
    make([this](Context& context) {
      note(context);
      began.post(context.stripe_id() == 0 ? 1 : 0);
      return CompactionOutcome::done();
    });
    request(0);
    start();
  }
  void thread(int) {
    began.wait();
    request(1);
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(CountsTokens::posted <= 1, "who compacts wakes nobody for nothing");
    cover_if(CountsTokens::posted == 1, "woke a thread");
    check_served();
    check_complete(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// Two workers that know nothing of each other compact the same stripe.
struct TwoWorkers : RequestThenIdle<Size<2, 1>> {
  static constexpr int dynamic_threads = 2;
  using Base = RequestThenIdle<Size<2, 1>>;

  void before() {
    Base::before();
    first = std::move(worker);
    Base::before();
  }
  void thread(int index) { index == 0 ? first->queue_compaction(0) : worker->queue_compaction(0); }
  void after() {
    check_complete(first->shutdown());
    check_complete(worker->shutdown());
    first.reset();
    worker.reset();
  }

  std::unique_ptr<Worker> first;
};

// Each requester calls twice.
template <class Size>
struct RequestTwiceThenIdle : RequestThenIdle<Size> {
  void thread(int index) {
    this->worker->queue_compaction(static_cast<std::uint32_t>(this->stripe_of(index)));
    this->request(index);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

const char* const properties = "P1 P2 P4 P5";
const char* const properties_of_two = "P1 P2 P3 P4 P5";  // of two worker threads

const Proved<RequestThenIdle<Size<1, 1>>, Size<1, 1>> one_one({"request_then_idle_1_1",
                                                               properties});
const Proved<RequestThenIdle<Size<2, 1>>, Size<2, 1>> two_one(
    {"request_then_idle_2_1", properties, {"coalesced", "requested while running"}});
const Proved<RequestThenIdle<Size<2, 1, 2>>, Size<2, 1, 2>> two_one_stripes(
    {"request_then_idle_2_1_two_stripes", properties, {}, {}, false, true});
const Proved<RequestThenIdle<Size<1, 2>>, Size<1, 2>> one_two({"request_then_idle_1_2",
                                                               properties_of_two});
const ProvedCalm<RequestThenIdle<Size<3, 1>>, Size<3, 1>> three_one(
    {"request_then_idle_3_1", properties, {"coalesced", "requested while running"}, {}, true}, 1);
const ProvedCalm<RequestThenIdle<Size<2, 2>>, Size<2, 2>> two_two({"request_then_idle_2_2",
                                                                   properties_of_two,
                                                                   {"coalesced",
                                                                    "requested while running"},
                                                                   {},
                                                                   true},
                                                                  1);
// A search within a bound is without reduction, so each preemption more makes it fifty times
// larger.
const Registered four_one = suite<RequestThenIdle<Size<4, 1>>>(
    within<RequestThenIdle<Size<4, 1>>, Size<4, 1>>(1, {"request_then_idle_4_1_bound_1",
                                                        properties,
                                                        {"coalesced", "requested while running"},
                                                        {},
                                                        true}));
const Registered three_two =
    suite<RequestThenIdle<Size<3, 2>>>(within<RequestThenIdle<Size<3, 2>>, Size<3, 2>>(
        0, {"request_then_idle_3_2_bound_0", properties_of_two, {"coalesced"}}));
const Proved<RequestBeforeStart<Size<2, 1>>, Size<2, 1>> before_start(
    {"request_before_start_2_1", properties, {}, {"coalesced"}});
const Proved<RequestBeforeStart<Size<3, 1, 3>>, Size<3, 1, 3>> before_start_three_stripes(
    {"request_before_start_3_1_three_stripes", properties});
const Proved<RequestBeforeStart<Size<4, 1>>, Size<4, 1>> before_start_four(
    {"request_before_start_4_1", properties, {}, {"coalesced"}});
const Proved<RequestTwiceThenIdle<Size<1, 1>>, Size<1, 1>> twice_one({"request_twice_then_idle_1_1",
                                                                      properties});
const ProvedCalm<RequestTwiceThenIdle<Size<2, 1>>, Size<2, 1>> twice_two(
    {"request_twice_then_idle_2_1",
     properties,
     {"coalesced", "requested while running"},
     {},
     true});

const Proved<WakesOneThread<Size<1, 2>>, Size<1, 2>> wakes_one(
    {"request_wakes_one_thread_1_2", "P18", {"woke a thread"}, {}, false, true});
const Refuted<WakesOneThread<Size<1, 2>, WakesTwo>, Size<1, 2>> wakes_two(
    {"request_wakes_two_threads_1_2", "P18"}, Failure::check_failed,
    "no thread is woken for nothing");
const ProvedCalm<WakesForWhatIsQueued, Size<2, 2, 2>> wakes_for_queued(
    {"compaction_wakes_for_what_is_queued_2_2", "P18", {"woke a thread"}});

const Refuted<RequestThenIdle<Size<1, 1>, LosesTokensOfRequests>, Size<1, 1>> loses_tokens(
    {"request_then_idle_without_tokens", "P1 P2"}, Failure::deadlock,
    "main sleeps on episode_ended, w0 semaphore wait sleepers");
const Refuted<RequestThenIdle<Size<1, 1>, LosesNotifications>, Size<1, 1>> loses_notifications(
    {"request_then_idle_without_notifications", "P9"}, Failure::deadlock,
    "main sleeps on episode_ended");
const Refuted<RequestThenIdle<Size<2, 1>, ForgetsReruns>, Size<2, 1>> forgets_reruns(
    {"request_then_idle_that_forgets", "P5"}, Failure::check_failed,
    "a compaction that sees its payload");
const Refuted<RequestThenIdle<Size<2, 1>, PublishesNoRequest>, Size<2, 1>> publishes_nothing(
    {"request_then_idle_that_publishes_nothing", "P4"}, Failure::check_failed,
    "a compaction that sees its payload");
const Refuted<TwoWorkers, Size<2, 2>> two_workers({"two_workers_for_one_stripe", "P3"},
                                                  Failure::data_race, "compactions: write of");

}  // namespace
}  // namespace kstone::model
