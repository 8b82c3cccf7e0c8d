// P24 A limit that was lowered holds for what begins from then on, and one that was raised lets
//     more begin at once; no request is lost by a thread that waits apart.
// Covers: I3.

#include "scene.h"

namespace kstone::model {
namespace {

enum class Limit { stays, is_lowered };

// Before there is a request the limit is lowered to one. Threads that sleep already notice when
// they are woken, and leave what woke them to the one that is up.
template <class Size, Limit limit = Limit::is_lowered, class Sync = RelacySync>
struct RequestAfterLowering : Scene<Size, Sync> {
  using Base = Scene<Size, Sync>;
  static constexpr int threads = Size::requesters;
  static constexpr EqualThreads equal_threads = Base::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

  RelacySync::atomic<int> running{0};

  void before() {
    this->make([this](typename Base::Context& context) {
      check(running.fetch_add(1, std::memory_order_relaxed) == 0, "one runs, and no other");
      this->note(context);
      running.fetch_sub(1, std::memory_order_relaxed);
      return CompactionOutcome::done();
    });
    this->start();
    if (limit == Limit::is_lowered) {
      check(this->worker->set_max_concurrent(1) == ResizeResult::resized, "the limit is lowered");
    }
  }
  void thread(int index) { this->request(index); }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->cover_if(this->worker->snapshot().parked_threads != 0, "a thread waits apart");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Requests, one who lowers the limit, and one who raises it again, if there is one.
enum class Resizing { lowers, lowers_and_raises };

template <class Size, Resizing resizing = Resizing::lowers, class Sync = RelacySync>
struct RequestAgainstResizing : Scene<Size, Sync> {
  static constexpr bool raises = resizing == Resizing::lowers_and_raises;
  static constexpr int threads = Size::requesters + (raises ? 2 : 1);
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else {
      const auto to = index == Size::requesters ? 1U : std::uint32_t{Size::workers};
      check(this->worker->set_max_concurrent(to) == ResizeResult::resized, "it is resized");
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    const auto s = this->worker->snapshot();
    check(s.worker_threads == Size::workers, "no thread is lost, and none is created");
    this->cover_if(s.parked_threads != 0, "a thread waits apart");
    this->cover_if(s.max_concurrent != 1, "raised last");
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_accounts();
    this->worker.reset();
  }
};

// Two jobs that wait for each other: both run at once although the limit was one before. The thread
// for the second waits apart, or is created.
enum class Second { waits_apart, is_created };

template <Second second, class Sync = RelacySync>
struct JobsMeetAfterRaising : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;
  static constexpr bool waits_apart = second == Second::waits_apart;
  static constexpr int equal_dynamic_threads = waits_apart ? 2 : 0;

  RelacySync::semaphore began[2];

  void before() {
    typename Base::Worker::Options options;
    options.thread_capacity = 2;
    this->make(
        [this](typename Base::Context& context) {
          this->note(context);
          began[context.stripe_id()].post(1);
          began[1 - context.stripe_id()].wait();
          return CompactionOutcome::done();
        },
        options);
    if (waits_apart) {
      resize(2);
    }
    this->start();
    if (waits_apart) {
      resize(1);
    }
  }
  void resize(std::uint32_t to) {
    check(this->worker->set_max_concurrent(to) == ResizeResult::resized, "it is resized");
  }
  void thread(int) {
    this->request(0);
    this->request(1);
    this->cover_if(this->worker->snapshot().parked_threads != 0, "a thread waits apart");
    LosesNotificationsOfThread::loser = RelacySync::thread::current_id();
    resize(2);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    check(this->worker->snapshot().worker_threads == 2, "there are as many threads as the limit");
    this->check_complete(this->worker->shutdown());
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// One runs, and does not end before the limit is raised again and another stripe has been
// compacted: what the second request woke was one too many then, and waits apart.
struct RaiseBesideLongJob : Scene<With<Requesters<2>, Workers<3>, Stripes<2>>> {
  static constexpr int threads = 1;
  static constexpr int equal_dynamic_threads = workers;

  RelacySync::semaphore began;
  RelacySync::semaphore other;

  void before() {
    make([this](Context& context) {
      if (context.stripe_id() == 0) {
        began.post(1);
        other.wait();
      }
      note(context);
      other.post(context.stripe_id() == 1 ? 1 : 0);
      return CompactionOutcome::done();
    });
    start();
    check(worker->set_max_concurrent(1) == ResizeResult::resized, "the limit is lowered");
  }
  void thread(int) {
    request(0);
    began.wait();
    request(1);
    cover_if(worker->snapshot().parked_threads != 0, "a thread waits apart");
    check(worker->set_max_concurrent(2) == ResizeResult::resized, "the limit is raised");
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check_served();
    check_complete(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// All sleep, and the limit is lowered. A requester that is suspended before it has posted its token
// holds one sleeper, which is not up: so the one that the next requester wakes is not one too many,
// and compacts both stripes. Only that ends the suspension.
struct TokenIsLateAfterLowering
    : Scene<With<Requesters<2>, Workers<SuspendsFirstRequesterInOrder::workers>, Stripes<2>>,
            SuspendsFirstRequesterInOrder> {
  static constexpr int threads = 2;
  static constexpr int equal_dynamic_threads = workers;

  SuspendsFirstRequester::Hold hold;
  SuspendsFirstRequesterInOrder::Order order;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    SuspendsFirstRequesterInOrder::order = &order;
    make([this](Context& context) {
      note(context);
      hold.post.post(context.stripe_id() == 1 ? 1 : 0);
      return CompactionOutcome::done();
    });
    start();
    order.put_to_sleep();
    check(worker->set_max_concurrent(1) == ResizeResult::resized, "the limit is lowered");
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
    } else {
      order.claimed.wait();
    }
    request(index);
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check_served();
    cover_if(worker->snapshot().parked_threads != 0, "a thread waits apart");
    check_complete(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// A shutdown closes before the limit is raised, or joins the thread that this creates.
template <ShutdownMode mode>
struct RaiseAgainstShutdown : Scene<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 3;
  static constexpr int dynamic_threads = 2;

  void before() {
    Worker::Options options;
    options.thread_capacity = 2;
    make(
        [this](Context& context) {
          note(context);
          return CompactionOutcome::done();
        },
        options);
    cover_if(worker->start() == StartResult::no_threads, "no thread at all");
  }
  void thread(int index) {
    if (index == 0) {
      request(0);
    } else if (index == 1) {
      const auto result = worker->set_max_concurrent(2);
      check(result == ResizeResult::resized || result == ResizeResult::shut_down ||
                result == ResizeResult::fewer_threads,
            "it is resized, or has closed");
      cover_if(result == ResizeResult::shut_down, "raised too late");
      cover_if(result == ResizeResult::resized, "raised");
      cover_if(result == ResizeResult::fewer_threads, "no thread for it");
    } else {
      check_complete(worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = worker->shutdown(mode);
    check_complete(report);
    check_served_or_reported(report);
    check_accounts();
    worker.reset();
  }
};

const Registered suites[] = {
    proved<RequestAfterLowering<With<Requesters<1>, Workers<2>>>>({
        .name = "request_after_lowering_1_2",
        .property = "P2 P24",
        .sometimes = {"a thread waits apart"},
    }),
    proved<RequestAfterLowering<With<Requesters<2>, Workers<2>, Stripes<2>>>>({
        .name = "request_after_lowering_2_2_two_stripes",
        .property = "P2 P3 P24",
        .sometimes = {"a thread waits apart"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<RequestAfterLowering<With<Requesters<1>, Workers<3>>>>({
        .name = "request_after_lowering_1_3",
        .property = "P2 P24",
        .sometimes = {"a thread waits apart"},
        .large = Large::yes,
    }),
    proved<RequestAgainstResizing<With<Requesters<1>, Workers<2>>>>({
        .name = "request_against_lowering_1_2",
        .property = "P2 P4 P24",
        .sometimes = {"a thread waits apart"},
    }),
    proved_without_surprises<RequestAgainstResizing<With<Requesters<2>, Workers<2>>>>({
        .name = "request_against_lowering_2_2",
        .property = "P2 P4 P24",
        .sometimes = {"a thread waits apart", "coalesced"},
        .large = Large::yes,
    }),
    proved<RequestAgainstResizing<With<Requesters<1>, Workers<2>>, Resizing::lowers_and_raises>>({
        .name = "request_against_lowering_and_raising_1_2",
        .property = "P2 P4 P24",
        .sometimes = {"a thread waits apart", "raised last"},
        .large = Large::with_surprises,
    }),
    proved<JobsMeetAfterRaising<Second::waits_apart>>({
        .name = "jobs_meet_after_raising_with_a_thread_apart",
        .property = "P2 P24",
        .sometimes = {"a thread waits apart"},
        .large = Large::with_surprises,
    }),
    proved<JobsMeetAfterRaising<Second::is_created>>({
        .name = "jobs_meet_after_raising_with_a_new_thread",
        .property = "P2 P24",
    }),
    proved_without_surprises<RaiseBesideLongJob>({
        .name = "raise_beside_a_long_job_2_3",
        .property = "P2 P24",
        .sometimes = {"a thread waits apart"},
        .large = Large::yes,
    }),
    proved_without_surprises<TokenIsLateAfterLowering>({
        .name = "token_is_late_after_lowering_2_3",
        .property = "P13 P24",
        .sometimes = {"a thread waits apart"},
    }),
    proved<RaiseAgainstShutdown<ShutdownMode::drain>>({
        .name = "raise_against_drain_1_1",
        .property = "P7 P24",
        .sometimes = {"raised too late", "raised", "served", "rejected"},
    }),
    proved<RaiseAgainstShutdown<ShutdownMode::finish_running>>({
        .name = "raise_with_failing_threads_against_finish_running_1_1",
        .property = "P7 P14 P24",
        .sometimes = {"raised too late", "raised", "no thread for it", "no thread at all"},
        .refused_threads = 1,
    }),

    // What begins before the limit is lowered runs beside others, so the check can fail.
    refuted<RequestAfterLowering<With<Requesters<2>, Workers<2>, Stripes<2>>, Limit::stays>>({
        .name = "request_without_lowering",
        .property = "P24",
        .failure = Failure::check_failed,
        .because = "one runs, and no other",
    }),
    refuted<RequestAfterLowering<With<Requesters<1>, Workers<2>>, Limit::is_lowered,
                                 LosesSingleTokens>>({
        .name = "request_after_lowering_without_tokens",
        .property = "P2 P24",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended",
    }),
    // Who leaves tells nobody that waits apart.
    refuted<RequestAfterLowering<With<Requesters<1>, Workers<2>>, Limit::is_lowered,
                                 LosesNotificationsOfOne>>({
        .name = "request_after_lowering_without_notifications",
        .property = "P7 P24",
        .failure = Failure::deadlock,
        .because = "sleeps on unparked",
    }),
    refuted<JobsMeetAfterRaising<Second::waits_apart, LosesNotificationsOfThread>>({
        .name = "jobs_meet_after_raising_that_tells_nobody",
        .property = "P24",
        .failure = Failure::deadlock,
        .because = "sleeps on unparked",
    }),
};

}  // namespace
}  // namespace kstone::model
