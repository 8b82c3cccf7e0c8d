// P25 What failed is tried again once its time has come, by itself and once; it is lost to nobody
//     who gives it up, holds it back or closes, and costs no other stripe anything.
// Covers: I3.

#include "fails_at_first.h"

namespace kstone::model {
namespace {

// Requests, some of which come while the stripe is delayed. Each stripe is delayed once.
template <class Size, Fails fails = Fails::retry, class Sync = RelacySync>
struct RequestThenRetry : FailsAtFirst<Size, fails, Sync> {
  static constexpr int threads = Size::requesters;
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;

  void before() { this->make_and_start(); }
  void thread(int index) { this->request(index); }
  void after() {
    // Twice: who waited when it failed has seen the end of what was asked for.
    for (int i = 0; i < (fails == Fails::failed ? 2 : 1); ++i) {
      check(this->worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle,
            "who waits for what is delayed sees its end");
    }
    this->check_served();
    for (auto& each : this->compactions) {
      check(each.read() >= 2, "what failed is tried again");
    }
    this->end();
  }
};

// No time passes: it is retry_now that ends the delay, or the stripe waits for ever.
template <class Sync = RelacySync>
struct RetryNow : FailsAtFirst<With<Requesters<1>, Workers<1>>, Fails::failed, Sync> {
  static constexpr int threads = 2;

  void before() { this->make_and_start(); }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->cover_if(this->worker->retry_now() != 0, "retried meanwhile");
    }
  }
  void after() {
    static_cast<void>(this->worker->wait_idle());  // until it has failed, at the least
    const auto answer = this->worker->wait_idle();
    check(answer == IdleResult::delayed || answer == IdleResult::idle,
          "who does not wait for what is delayed is told of it");
    this->cover_if(answer == IdleResult::delayed, "delayed");
    check((answer == IdleResult::delayed) == (this->worker->retry_now() == 1),
          "what is delayed is retried at once");
    check(this->worker->wait_idle() == IdleResult::idle, "then it is done");
    this->check_served();
    this->end();
  }
};

// A stripe may be delayed while somebody does something with it.
struct MayBeDelayed : FailsAtFirst<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;

  void before() {
    make_and_start();
    request(0);
  }
  void await_end() {
    check(worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle, "who waits sees its end");
  }
};

// It is given up.
struct CancelAgainstRetry : MayBeDelayed {
  void thread(int) {
    const auto report = worker->cancel(0);
    cover_if(report.waited && worker->brief_snapshot().compactions_started == 1,
             "cancelled between two compactions");
  }
  void after() {
    await_end();
    end();
  }
};

// ... or held back.
struct PauseAgainstRetry : MayBeDelayed {
  void thread(int) {
    const auto guard = worker->pause(0);
    check(guard.result() == PauseResult::paused, "the stripe is paused");
    const int begun = compactions[0].read();
    const auto s = worker->brief_snapshot();
    cover_if(s.delayed != 0, "delayed and paused");
    cover_if(s.held != 0 && begun != 0, "held when its time had come");
    check(compactions[0].read() == begun, "nothing runs while the guard lives");
  }
  void after() {
    await_end();
    check_served();
    end();
  }
};

// The worker closes while a stripe may be delayed.
template <ShutdownMode mode, class Sync = RelacySync>
struct RetryAgainstShutdown : FailsAtFirst<With<Requesters<1>, Workers<1>>, Fails::retry, Sync> {
  static constexpr int threads = 2;

  void before() { this->make_and_start(); }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = this->worker->shutdown(mode);
    this->check_complete(report);
    const int begun = this->compactions[0].read();
    const bool discarded = this->lists(report.discarded, 0);
    const bool unfinished = this->lists(report.unfinished, 0);
    check(!this->was_accepted(0) || begun == 2 || discarded || unfinished,
          "what was accepted is done, or is reported");
    check(begun != 2 || (!discarded && !unfinished), "what is done is not reported");
    this->cover_if(begun == 1 && discarded, "discarded while delayed");
    this->cover_if(begun == 1 && !discarded, "failed after closing");
    this->cover_if(begun == 2, "tried again");
    this->check_accounts();
    this->worker.reset();
  }
};

// Two stripes lack a resource, and the time of one of them comes: its success brings the other
// back. (Unless it comes so early that the other has not run: then nothing is lacking any more.)
template <class Sync = RelacySync>
struct ResourceIsBack : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  int failed = 0;  // of the one worker thread
  bool is_back = false;

  void before() {
    this->make(
        [this](typename Base::Context& context) {
          is_back = this->note(context) != 1 || is_back;
          failed += is_back ? 0 : 1;
          return is_back ? CompactionOutcome::done()
                         : CompactionOutcome::retry("no room", Retry::resource);
        },
        {}, with_back_off());
    this->start();
  }
  void thread(int) {
    this->request(0);
    this->request(1);
  }
  void after() {
    check(this->worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle,
          "all come back that lacked the resource");
    this->check_served();
    this->cover_if(failed == 2, "both lacked it");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The system may refuse one thread, the timekeeper's too. Then what fails is tried again by the
// next request alone.
struct MayLackTimekeeper : FailsAtFirst<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;

  StartResult started{};

  void before() {
    make([this](Context& context) { return compact(context); }, {}, with_back_off());
    started = worker->start();
  }
  void thread(int) { request(0); }
  void after() {
    if (started == StartResult::started) {
      check(worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle, "it ends, or is done");
      const auto end = worker->wait_idle(0).last_end;
      cover_if(end == EpisodeEnd::failed, "nobody tries again");
      cover_if(end == EpisodeEnd::done, "done");
      check((end == EpisodeEnd::done) == (compactions[0].read() == 2), "done at the second time");
    }
    cover_if(started == StartResult::no_threads, "no thread at all");
    check_complete(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// The token for what is due is lost: the timekeeper posts it, the last of the threads.
template <class Size>
struct RetryWithoutItsToken : RequestThenRetry<Size, Fails::retry, LosesTokensOfOne> {
  RetryWithoutItsToken() { LosesTokensOfOne::loser = 1 + Size::requesters + Size::workers; }
};

const Registered suites[] = {
    proved<RequestThenRetry<With<Requesters<1>, Workers<1>>>>({
        .name = "request_then_retry_1_1",
        .property = "P2 P25",
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<RequestThenRetry<With<Requesters<1>, Workers<1>>, Fails::failed>>({
        .name = "request_then_failed_1_1",
        .property = "P2 P4 P25",
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<RequestThenRetry<With<Requesters<2>, Workers<1>>>>({
        .name = "request_then_retry_2_1",
        .property = "P2 P3 P25",
        .sometimes = {"coalesced", "requested while running"},
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved_without_surprises<RequestThenRetry<With<Requesters<2>, Workers<1>>, Fails::failed>>({
        .name = "request_then_failed_2_1",
        .property = "P2 P3 P4 P25",
        .sometimes = {"coalesced", "requested while running"},
        .timeouts = 1,
        .large = Large::yes,
    }),
    proved_without_surprises<RequestThenRetry<With<Requesters<1>, Workers<2>>>>({
        .name = "request_then_retry_1_2",
        .property = "P2 P25",
        .timeouts = 1,
        .large = Large::yes,
    }),
    proved<RetryNow<>>({
        .name = "retry_now_1_1",
        .property = "P25",
        .sometimes = {"retried meanwhile", "delayed"},
        .large = Large::with_surprises,
    }),
    proved<CancelAgainstRetry>({
        .name = "cancel_against_retry_1_1",
        .property = "P19 P25",
        .sometimes = {"cancelled between two compactions"},
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<PauseAgainstRetry>({
        .name = "pause_against_retry_1_1",
        .property = "P22 P25",
        .sometimes = {"delayed and paused", "held when its time had come"},
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<RetryAgainstShutdown<ShutdownMode::drain>>({
        .name = "retry_against_drain_1_1",
        .property = "P7 P25",
        .sometimes = {"discarded while delayed", "failed after closing", "tried again", "rejected"},
        .timeouts = 1,
    }),
    proved<RetryAgainstShutdown<ShutdownMode::finish_running>>({
        .name = "retry_against_finish_running_1_1",
        .property = "P7 P25",
        .sometimes = {"discarded while delayed", "failed after closing", "tried again", "rejected"},
        .timeouts = 1,
    }),
    proved<ResourceIsBack<>>({
        .name = "resource_is_back_1_1_two_stripes",
        .property = "P25",
        .sometimes = {"both lacked it"},
        .timeouts = 1,
        .large = Large::yes,
    }),
    proved<MayLackTimekeeper>({
        .name = "retry_with_failing_threads_1_1",
        .property = "P14 P25",
        .sometimes = {"nobody tries again", "done", "no thread at all"},
        .timeouts = 1,
        .refused_threads = 1,
        .large = Large::with_surprises,
    }),

    // No delay ends by itself.
    refuted<RequestThenRetry<With<Requesters<1>, Workers<1>>>>({
        .name = "retry_without_time",
        .property = "P25",
        .failure = Failure::deadlock,
        .because = "sleeps on due",
    }),
    // Nobody tells the timekeeper of what is due, nor of the end.
    refuted<
        RequestThenRetry<With<Requesters<1>, Workers<1>>, Fails::retry, LosesNotificationsOfOne>>({
        .name = "retry_without_notifications",
        .property = "P25",
        .timeouts = 1,
        .failure = Failure::deadlock,
        .because = "sleeps on due",
    }),
    refuted<RetryWithoutItsToken<With<Requesters<1>, Workers<1>>>>({
        .name = "retry_without_its_token",
        .property = "P2 P25",
        .timeouts = 1,
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended, w0 semaphore wait sleepers, w1 sleeps on due",
    }),
    refuted<ResourceIsBack<LosesNotificationsOfOne>>({
        .name = "resource_is_back_without_notifications",
        .property = "P25",
        .timeouts = 1,
        .failure = Failure::deadlock,
        .because = "sleeps on due",
    }),
};

}  // namespace
}  // namespace kstone::model
