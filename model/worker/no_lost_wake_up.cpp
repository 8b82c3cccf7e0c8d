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
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

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
struct WakesForWhatIsQueued : Scene<With<Requesters<2>, Workers<2>, Stripes<2>>, CountsTokens> {
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

// For scenes in which somebody calls twice: the answers are not all kept.
template <class Scene>
void end_when_idle(Scene& scene) {
  check(scene.worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
  scene.check_served();
  scene.check_complete(scene.worker->shutdown());
  scene.check_quiet(scene.worker->snapshot());
  scene.worker.reset();
}

// Two jobs that wait for each other, after a compaction of each stripe has ended: no thread stays
// asleep while a stripe waits.
template <class Sync = RelacySync>
struct JobsMeet : Scene<With<Requesters<2>, Workers<2>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<2>, Stripes<2>>, Sync>;
  static constexpr int threads = 1;
  static constexpr int equal_dynamic_threads = 2;

  RelacySync::cell<bool> meets{false};
  RelacySync::semaphore began[2];

  void before() {
    this->make([this](typename Base::Context& context) {
      this->note(context);
      if (meets.read()) {
        began[context.stripe_id()].post(1);
        began[1 - context.stripe_id()].wait();
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int) {
    this->request(0);
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    meets.write() = true;
    this->request(0);
    this->request(1);
  }
  void after() { end_when_idle(*this); }
};

// Two workers that know nothing of each other compact the same stripe.
struct TwoWorkers : RequestThenIdle<With<Requesters<2>, Workers<1>>> {
  static constexpr int workers = 2;  // one of each
  static constexpr int dynamic_threads = 2;
  static constexpr EqualThreads equal_threads = {};
  static constexpr int equal_dynamic_threads = 0;
  using Base = RequestThenIdle<With<Requesters<2>, Workers<1>>>;

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
    in_turn();
    this->worker->queue_compaction(static_cast<std::uint32_t>(this->stripe_of(index)));
    this->request(index);
  }
  void after() { end_when_idle(*this); }
};

const char* const properties = "P1 P2 P4 P5";
const char* const properties_of_two = "P1 P2 P3 P4 P5";  // of two worker threads

const Registered suites[] = {
    proved<RequestThenIdle<With<Requesters<1>, Workers<1>>>>({
        .name = "request_then_idle_1_1",
        .property = properties,
    }),
    proved<RequestThenIdle<With<Requesters<2>, Workers<1>>>>({
        .name = "request_then_idle_2_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<RequestThenIdle<With<Requesters<2>, Workers<1>, Stripes<2>>>>({
        .name = "request_then_idle_2_1_two_stripes",
        .property = properties,
    }),
    proved<RequestThenIdle<With<Requesters<1>, Workers<2>>>>({
        .name = "request_then_idle_1_2",
        .property = properties_of_two,
    }),
    proved<RequestThenIdle<With<Requesters<3>, Workers<1>>>>({
        .name = "request_then_idle_3_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<RequestThenIdle<With<Requesters<2>, Workers<2>>>>({
        .name = "request_then_idle_2_2",
        .property = properties_of_two,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::with_surprises,
    }),
    proved<RequestThenIdle<With<Requesters<4>, Workers<1>>>>({
        .name = "request_then_idle_4_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<RequestThenIdle<With<Requesters<5>, Workers<1>>>>({
        .name = "request_then_idle_5_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved_without_surprises<RequestThenIdle<With<Requesters<3>, Workers<2>>>>({
        .name = "request_then_idle_3_2",
        .property = properties_of_two,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved_without_surprises<RequestThenIdle<With<Requesters<2>, Workers<3>>>>({
        .name = "request_then_idle_2_3",
        .property = properties_of_two,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved_without_surprises<RequestTwiceThenIdle<With<Requesters<2>, Workers<2>>>>({
        .name = "request_twice_then_idle_2_2",
        .property = properties_of_two,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved<RequestBeforeStart<With<Requesters<2>, Workers<1>>>>({
        .name = "request_before_start_2_1",
        .property = properties,
        .always = {"coalesced"},
    }),
    proved<RequestBeforeStart<With<Requesters<3>, Workers<1>, Stripes<3>>>>({
        .name = "request_before_start_3_1_three_stripes",
        .property = properties,
    }),
    proved<RequestBeforeStart<With<Requesters<4>, Workers<1>>>>({
        .name = "request_before_start_4_1",
        .property = properties,
        .always = {"coalesced"},
    }),
    proved<RequestTwiceThenIdle<With<Requesters<1>, Workers<1>>>>({
        .name = "request_twice_then_idle_1_1",
        .property = properties,
    }),
    proved<RequestTwiceThenIdle<With<Requesters<2>, Workers<1>>>>({
        .name = "request_twice_then_idle_2_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<JobsMeet<>>({
        .name = "jobs_meet_2_2",
        .property = properties_of_two,
        .large = Large::yes,
    }),

    proved<WakesOneThread<With<Requesters<1>, Workers<2>>>>({
        .name = "request_wakes_one_thread_1_2",
        .property = "P18",
        .sometimes = {"woke a thread"},
    }),
    refuted<WakesOneThread<With<Requesters<1>, Workers<2>>, WakesTwo>>({
        .name = "request_wakes_two_threads_1_2",
        .property = "P18",
        .failure = Failure::check_failed,
        .because = "no thread is woken for nothing",
    }),
    proved<WakesForWhatIsQueued>({
        .name = "compaction_wakes_for_what_is_queued_2_2",
        .property = "P18",
        .sometimes = {"woke a thread"},
        .large = Large::with_surprises,
    }),

    refuted<RequestThenIdle<With<Requesters<1>, Workers<1>>, LosesTokensOfRequests>>({
        .name = "request_then_idle_without_tokens",
        .property = "P1 P2",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended, w0 semaphore wait sleepers",
    }),
    refuted<JobsMeet<LosesTokensOfRequests>>({
        .name = "jobs_meet_without_tokens",
        .property = "P1 P2",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
    refuted<RequestThenIdle<With<Requesters<1>, Workers<1>>, LosesNotifications>>({
        .name = "request_then_idle_without_notifications",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended",
    }),
    refuted<RequestThenIdle<With<Requesters<2>, Workers<1>>, ForgetsReruns>>({
        .name = "request_then_idle_that_forgets",
        .property = "P5",
        .failure = Failure::check_failed,
        .because = "a compaction that sees its payload",
    }),
    refuted<RequestThenIdle<With<Requesters<2>, Workers<1>>, PublishesNoRequest>>({
        .name = "request_then_idle_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::check_failed,
        .because = "a compaction that sees its payload",
    }),
    refuted<TwoWorkers>({
        .name = "two_workers_for_one_stripe",
        .property = "P3",
        .failure = Failure::data_race,
        .because = "compactions: write of",
    }),
};

}  // namespace
}  // namespace kstone::model
