// P11 A job may request its own and another stripe.
// P12 A job that fails or throws harms nothing but its own episode.
// P15 Cancelling asks running jobs to stop; a stopped job's episode ends as cancelled.
// P1, P5 More work goes on as the same episode, and requests that race with its return are not
// lost.
// P7 A shutdown that races with what a job leaves undone, or requests, loses nothing.
// Covers: F1/Q1, I1, I6.

#include <stdexcept>

#include "scene.h"

namespace kstone::model {
namespace {

// The first compaction of stripe 0 requests stripe 0 again and stripe 1, while requesters do the
// same from outside.
template <class Size, class Sync = RelacySync>
struct JobRequests : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      const int number = this->note(context);
      if (context.stripe_id() == 0 && number == 1) {
        own = this->worker->queue_compaction(0);
        other = this->worker->queue_compaction(1);
      } else if (context.stripe_id() == 0 && number == 2 && Size::requesters == 1 &&
                 Size::workers == 1) {
        check(!accepted(other) || this->compactions[1].read() >= 1,
              "a re-run waits behind what was listed before the job ended");
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) { this->request(index); }
  void after() {
    // What jobs request is not before the first wait, but before the second.
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle again");
    this->check_served();
    check(own == Submission::rerun_pending || own == Submission::coalesced, "its own stripe runs");
    check(accepted(other), "the other stripe is accepted");
    this->cover_if(other != Submission::queued, "the other stripe was asked for from outside, too");
    check(this->compactions[0].read() >= 2 && this->compactions[1].read() >= 1,
          "what jobs request is served");
    this->check_complete(this->worker->shutdown());
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }

  Submission own = Submission::rejected_disabled;
  Submission other = Submission::rejected_disabled;
};

// The first compaction answers `outcome` or throws; the following ones are done.
enum class First { more_work, retries, fails, throws, throws_a_number };

template <class Size, First first, class Sync = RelacySync>
struct FirstJob : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      if (this->note(context) > 1) {
        return CompactionOutcome::done();
      }
      switch (first) {
        case First::more_work:
          return CompactionOutcome::more_work();
        case First::retries:
          return CompactionOutcome::retry("broken");
        case First::fails:
          return CompactionOutcome::failed("broken");
        case First::throws:
          throw std::runtime_error("broken");
        case First::throws_a_number:
          throw 7;
      }
      return CompactionOutcome::nothing_to_do();
    });
    this->start();
  }
  void thread(int index) { this->request(index); }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    const auto s = this->worker->snapshot();
    if constexpr (first == First::more_work) {
      check(this->compactions[0].read() >= 2, "more work is done");
      check(s.episodes_failed == 0 && s.outcomes_more_work == 1 && s.first_error.empty(),
            "more work is no failure");
      this->cover_if(this->compactions[0].read() > 2,
                     "more work and a request were two compactions");
    } else {
      const char* const text =
          first == First::throws_a_number ? "an exception that is not a std::exception" : "broken";
      check(s.episodes_failed == 1 && s.first_error == text, "the failure is one episode's");
      check(s.worker_threads == Size::workers, "no thread is lost");
    }
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// What the first compaction of the one stripe leaves undone, while somebody shuts down: before
// closing its episode goes on or has failed, and after closing the stripe is unfinished, unless a
// re-run makes it good.
template <class Size, First first, ShutdownMode mode, class Sync = RelacySync>
struct FirstJobAgainstShutdown : FirstJob<Size, first, Sync> {
  static constexpr int threads = Size::requesters + 1;
  static constexpr bool drains = mode == ShutdownMode::drain;

  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    const auto s = this->worker->snapshot();
    const int ran = this->compactions[0].read();
    const bool unfinished = this->lists(report.unfinished, 0);
    const bool discarded = this->lists(report.discarded, 0);
    for (int requester = 0; requester < Size::requesters; ++requester) {
      check(!this->was_accepted(requester) || this->was_served(requester) || discarded,
            "an accepted request is served or reported");
    }
    check(!drains || !discarded, "drain discards nothing");
    check(!unfinished || ran == 1, "what the last compaction finished is not unfinished");
    if constexpr (first == First::more_work) {
      // Goes on at once: nothing else is queued.
      check(ran != 1 || unfinished, "the rest of the work is done or reported");
      check(s.episodes_failed == 0 && report.first_error.empty(), "more work is no failure");
      this->cover_if(ran == 2 && s.rerun_pending == 0, "the rest was done");
    } else {
      check(s.episodes_failed == (ran > 0 ? 1U : 0U), "the failure is one episode's");
      check(report.first_error == (ran > 0 ? "broken" : ""), "the report says what was wrong");
      this->cover_if(ran == 1 && !unfinished, "failed in time");
    }
    this->cover_if(unfinished, "unfinished");
    this->cover_if(ran > 1 && s.rerun_pending != 0, "a re-run made it good");
    this->check_accounts();
    this->worker.reset();
  }
};

// The first compaction requests its own stripe and another, while somebody shuts down.
template <ShutdownMode mode, class Sync = RelacySync>
struct JobRequestsAgainstShutdown : JobRequests<Size<1, 1, 2>, Sync> {
  static constexpr int threads = 2;

  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    check(!this->was_accepted(0) || this->was_served(0) || this->lists(report.discarded, 0),
          "an accepted request is served or reported");
    // One more compaction of its own stripe than the requester's, one of the other.
    check_one(report, 0, this->own, 1);
    check_one(report, 1, this->other, 0);
    this->cover_if(accepted(this->own) && !accepted(this->other),
                   "closed between its two requests");
    this->cover_if(this->lists(report.discarded, 1), "what a job requested was discarded");
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }

 private:
  void check_one(const ShutdownReport& report, int stripe, Submission answer, int before) {
    const int ran = this->compactions[stripe].read();
    if (accepted(answer)) {
      check((ran > before) != this->lists(report.discarded, stripe),
            "what a job requests is served or reported, not both");
      check(mode != ShutdownMode::drain || ran > before, "drain runs what a job requested");
    } else {
      check(ran <= before, "what a job requests in vain has no effect");
    }
  }
};

// On a policy whose fault waits for a failure: with the first job failing a request is lost, and
// with jobs that succeed none.
template <bool fails>
struct RequestsAroundAFailure : Scene<Size<2, 1>, ForgetsAfterFailure> {
  static constexpr int threads = 2;

  void before() {
    ForgetsAfterFailure::failed = false;
    make([this](Context& context) {
      if (note(context) == 1 && fails) {
        ForgetsAfterFailure::failed = true;
        return CompactionOutcome::failed("broken");
      }
      return CompactionOutcome::done();
    });
    start();
  }
  void thread(int index) { request(index); }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check_served();
    check_complete(worker->shutdown());
    worker.reset();
  }
};

// A stripe that is listed during a compaction comes before the rest of that compaction's work.
template <class Sync = RelacySync>
struct ListedDuringMoreWork : Scene<Size<1, 1, 2>, Sync> {
  static constexpr int threads = 1;

  void before() {
    this->make([this](typename Scene<Size<1, 1, 2>, Sync>::Context& context) {
      const int number = this->note(context);
      if (context.stripe_id() == 0 && number == 1) {
        check(this->worker->queue_compaction(1) == Submission::queued,
              "the other stripe is listed");
        return CompactionOutcome::more_work();
      }
      check(context.stripe_id() == 1 || this->compactions[1].read() == 1,
            "the rest waits behind what was listed");
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int) { this->request(0); }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->compactions[0].read() == 2 && this->compactions[1].read() == 1, "both are done");
    this->check_complete(this->worker->shutdown());
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// Attempts are counted within an episode and start again with the next: after more work and a
// request, after a failure.
template <class Sync = RelacySync>
struct AttemptsOfEachEpisode : Scene<Size<1, 1>, Sync> {
  static constexpr int threads = 1;
  static constexpr std::uint32_t expected[] = {1, 2, 1, 1};

  void before() {
    this->make([this](typename Scene<Size<1, 1>, Sync>::Context& context) {
      const int number = this->note(context);
      check(number <= 4 && context.attempt() == expected[number - 1],
            "attempts start again with each episode");
      if (number == 2) {
        check(this->worker->queue_compaction(0) == Submission::rerun_pending,
              "its own stripe runs");
      }
      switch (number) {
        case 1:
          return CompactionOutcome::more_work();
        case 2:
          return CompactionOutcome::failed("broken");
        case 3:
          return CompactionOutcome::retry("broken");
        default:
          return CompactionOutcome::done();
      }
    });
    this->start();
  }
  void thread(int) {
    for (int round = 0; round < 2; ++round) {
      this->request(0);
      for (int wait = 0; wait < 2; ++wait) {  // what the job requests is before the second
        check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
      }
    }
  }
  void after() {
    const auto s = this->worker->snapshot();
    check(s.episodes_failed == 2 && s.episodes_done == 1 && s.outcomes_retry == 1,
          "each episode has its end");
    check(this->compactions[0].read() == 4, "two requests, more work and a re-run");
    this->check_complete(this->worker->shutdown());
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// A compaction that looks whether it shall stop, while somebody cancels.
template <class Size, class Sync = RelacySync>
struct Cancelled : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 1;

  void before() {
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      this->note(context);
      if (context.stop_requested()) {
        stopped = true;
        cover("stopped");
        return CompactionOutcome::stopped();
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::cancel));
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    const auto s = this->worker->snapshot();
    check(s.episodes_cancelled == (stopped ? 1U : 0U), "a stopped job's episode ends as cancelled");
    check(this->lists(report.unfinished, 0) == stopped, "a stopped job is listed as unfinished");
    check(s.episodes_failed == 0, "cancelled is no failure");
    this->check_served_or_reported(report);
    this->check_accounts();
    this->worker.reset();
  }

  bool stopped = false;  // written by one job, read after the join
};

// Two compactions run, and cancelling asks both.
template <class Sync = RelacySync>
struct CancelAsksEach : Scene<Size<2, 2, 2>, Sync> {
  static constexpr int threads = 1;
  RelacySync::semaphore began, go;
  RelacySync::mutex asked;  // orders the jobs behind the first call: the flag is relaxed

  void before() {
    this->make([this](typename Scene<Size<2, 2, 2>, Sync>::Context& context) {
      this->note(context);
      began.post(1);
      go.wait();
      asked.lock();
      asked.unlock();
      check(context.stop_requested(), "each running job is asked to stop");
      return CompactionOutcome::stopped();
    });
    this->request(0);
    this->request(1);
    this->start();
  }
  void thread(int) {
    began.wait();
    began.wait();
    const auto report = this->worker->shutdown(ShutdownMode::cancel, std::chrono::seconds(1));
    check(!report.complete && report.still_running.size() == 2, "both run at the limit");
    asked.lock();
    asked.unlock();
    go.post(2);
  }
  void after() {
    const auto report = this->worker->shutdown();
    this->check_complete(report);
    check(report.unfinished.size() == 2 && this->worker->snapshot().episodes_cancelled == 2,
          "both were cancelled");
    this->check_accounts();
    this->worker.reset();
  }
};

const Proved<JobRequests<Size<1, 1, 2>>, Size<1, 1, 2>> job_requests_1_1({"job_requests_1_1",
                                                                          "P1 P11"});
const ProvedCalm<JobRequests<Size<2, 1, 2>>, Size<2, 1, 2>> job_requests_2_1(
    {"job_requests_2_1", "P1 P11", {"the other stripe was asked for from outside, too"}});
const ProvedCalm<JobRequests<Size<1, 2, 2>>, Size<1, 2, 2>> job_requests_1_2(
    {"job_requests_1_2", "P1 P3 P11", {}, {}, true}, 1);

const Proved<FirstJob<Size<1, 1>, First::more_work>, Size<1, 1>> more_work_1_1({"more_work_1_1",
                                                                                "P1 P5"});
const Proved<FirstJob<Size<2, 1>, First::more_work>, Size<2, 1>> more_work_2_1(
    {"more_work_2_1",
     "P1 P5",
     {"coalesced", "requested while running", "more work and a request were two compactions"}});
const Proved<FirstJob<Size<1, 2>, First::more_work>, Size<1, 2>> more_work_1_2(
    {"more_work_1_2", "P1 P3 P5", {}, {}, false, true});
const Proved<FirstJob<Size<2, 1>, First::fails>, Size<2, 1>> failed_2_1(
    {"job_fails_2_1", "P5 P12", {"coalesced", "requested while running"}});
const Proved<FirstJob<Size<2, 1>, First::throws>, Size<2, 1>> throws_2_1(
    {"job_throws_2_1", "P5 P12", {"coalesced", "requested while running"}});

const Proved<FirstJob<Size<1, 1>, First::retries>, Size<1, 1>> retries_1_1({"job_retries_1_1",
                                                                            "P5 P12"});
const Proved<FirstJob<Size<1, 1>, First::throws_a_number>, Size<1, 1>> throws_number_1_1(
    {"job_throws_a_number_1_1", "P5 P12"});

const Proved<Cancelled<Size<1, 1>>, Size<1, 1>> cancelled_1_1(
    {"job_is_cancelled_1_1", "P7 P15", {"stopped", "served", "discarded", "rejected"}});

using enum ShutdownMode;

const Proved<FirstJobAgainstShutdown<Size<1, 1>, First::more_work, finish_running>, Size<1, 1>>
    more_work_against_finish_running({"more_work_against_finish_running_1_1",
                                      "P5 P7",
                                      {"the rest was done", "unfinished", "rejected"}});
const Proved<FirstJobAgainstShutdown<Size<1, 1>, First::more_work, drain>, Size<1, 1>>
    more_work_against_drain({"more_work_against_drain_1_1",
                             "P5 P7",
                             {"the rest was done", "unfinished", "rejected"}});
const Proved<FirstJobAgainstShutdown<Size<2, 1>, First::more_work, drain>, Size<2, 1>>
    more_work_against_drain_2({"more_work_against_drain_2_1",
                               "P5 P7",
                               {"the rest was done", "unfinished", "a re-run made it good"}});
const Proved<FirstJobAgainstShutdown<Size<2, 1>, First::fails, finish_running>, Size<2, 1>>
    failed_against_finish_running({"job_fails_against_finish_running_2_1",
                                   "P7 P12",
                                   {"failed in time", "unfinished", "a re-run made it good"}});
const Proved<FirstJobAgainstShutdown<Size<1, 1>, First::retries, drain>, Size<1, 1>>
    retries_against_drain({"job_retries_against_drain_1_1",
                           "P7 P12",
                           {"failed in time", "unfinished"}});
const Proved<JobRequestsAgainstShutdown<finish_running>, Size<1, 1, 2>>
    job_requests_against_finish_running({"job_requests_against_finish_running_1_1",
                                         "P7 P11",
                                         {"closed between its two requests",
                                          "what a job requested was discarded", "rejected"}});
const Proved<JobRequestsAgainstShutdown<drain>, Size<1, 1, 2>> job_requests_against_drain(
    {"job_requests_against_drain_1_1", "P7 P11", {"closed between its two requests", "rejected"}});
const Refuted<
    FirstJobAgainstShutdown<Size<1, 1>, First::more_work, finish_running, ForgetsWhatItCloses>,
    Size<1, 1>>
    more_work_against_forgetful({"more_work_against_shutdown_that_forgets", "P7"},
                                Failure::check_failed, "an accepted request is served or reported");
const Refuted<JobRequestsAgainstShutdown<drain, ForgetsWhatItCloses>, Size<1, 1, 2>>
    job_requests_against_forgetful({"job_requests_against_drain_that_forgets", "P7"},
                                   Failure::check_failed, "is served or reported");

const Proved<ListedDuringMoreWork<>, Size<1, 1, 2>> listed_during_more_work(
    {"listed_during_more_work", "P11"});
const Proved<AttemptsOfEachEpisode<>, Size<1, 1>> attempts(
    {"attempts_of_each_episode", "P5 P12", {}, {}, false, true});

const Refuted<ListedDuringMoreWork<LosesTokensOfRequests>, Size<1, 1, 2>>
    listed_during_more_work_lost({"listed_during_more_work_without_tokens", "P2"},
                                 Failure::deadlock, "main sleeps on episode_ended");
const Proved<RequestsAroundAFailure<false>, Size<2, 1>> success_harms_nobody(
    {"success_that_harms_no_request", "P5", {"requested while running"}});
const Refuted<RequestsAroundAFailure<true>, Size<2, 1>> failure_harms_a_request(
    {"failure_that_harms_a_request", "P12"}, Failure::deadlock, "main sleeps on episode_ended");
const Refuted<AttemptsOfEachEpisode<ForgetsReruns>, Size<1, 1>> attempts_forgotten(
    {"attempts_of_forgotten_episodes", "P5"}, Failure::check_failed, "each episode has its end");
const Twice<CancelAsksEach<>> cancel_asks_each(with_one_timeout<CancelAsksEach<>, Size<2, 2, 2>>(
    {"cancel_asks_each_running_job_2_2", "P7 P15"}));

const Registered cancel_asks_nobody = suite<CancelAsksEach<AsksNobody>>(expecting(
    with_one_timeout<CancelAsksEach<AsksNobody>, Size<2, 2, 2>>({"cancel_asks_nobody_2_2", "P15"}),
    Failure::check_failed, "each running job is asked to stop"));
const Refuted<JobRequests<Size<1, 1, 2>, ForgetsReruns>, Size<1, 1, 2>> job_requests_forgotten(
    {"job_requests_that_are_forgotten", "P11"}, Failure::check_failed,
    "what jobs request is served");
const Refuted<FirstJob<Size<2, 1>, First::more_work, PublishesNoRequest>, Size<2, 1>>
    more_work_unordered({"more_work_that_publishes_nothing", "P4"}, Failure::check_failed,
                        "a compaction that sees its payload");
const Refuted<Cancelled<Size<1, 1>, ForgetsWhatItCloses>, Size<1, 1>> cancelled_forgets(
    {"job_is_cancelled_and_forgotten", "P7"}, Failure::check_failed,
    "an accepted request is served or reported");

}  // namespace
}  // namespace kstone::model
