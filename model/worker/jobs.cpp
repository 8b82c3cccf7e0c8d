// P11 A job may request its own and another stripe.
// P12 A job that fails or throws harms nothing but its own episode.
// P15 Cancelling asks running jobs to stop; a stopped job's episode ends as cancelled.
// P1, P5 More work goes on as the same episode, and requests that race with its return are not
//    lost.
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
  static constexpr int equal_dynamic_threads = Size::workers;

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
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

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
      check(s.episodes_failed == 0 && s.outcomes[CompactionOutcome::Kind::more_work] == 1 &&
                s.first_error.empty(),
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
      check(ran != 1 || unfinished, "a stripe whose last compaction failed is unfinished");
    }
    this->cover_if(unfinished, "unfinished");
    this->cover_if(ran > 1 && s.rerun_pending != 0, "a re-run made it good");
    this->check_accounts();
    this->worker.reset();
  }
};

// The first compaction requests its own stripe and another, while somebody shuts down.
template <ShutdownMode mode, class Sync = RelacySync>
struct JobRequestsAgainstShutdown : JobRequests<With<Requesters<1>, Workers<1>, Stripes<2>>, Sync> {
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
enum class FirstCompaction { succeeds, fails };

template <FirstCompaction first>
struct RequestsAroundAFailure : Scene<With<Requesters<2>, Workers<1>>, ForgetsAfterFailure> {
  static constexpr int threads = 2;

  void before() {
    ForgetsAfterFailure::failed = false;
    make([this](Context& context) {
      if (note(context) == 1 && first == FirstCompaction::fails) {
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
struct ListedDuringMoreWork : Scene<With<Requesters<1>, Workers<1>, Stripes<2>>, Sync> {
  static constexpr int threads = 1;

  void before() {
    this->make(
        [this](
            typename Scene<With<Requesters<1>, Workers<1>, Stripes<2>>, Sync>::Context& context) {
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
struct AttemptsOfEachEpisode : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 1;
  static constexpr std::uint32_t expected[] = {1, 2, 1, 1};

  void before() {
    this->make([this](typename Scene<With<Requesters<1>, Workers<1>>, Sync>::Context& context) {
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
    check(s.episodes_failed == 2 && s.episodes_done == 1 &&
              s.outcomes[CompactionOutcome::Kind::retry] == 1,
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
struct CancelAsksEach : Scene<With<Requesters<2>, Workers<2>, Stripes<2>>, Sync> {
  static constexpr int threads = 1;
  RelacySync::semaphore began, go;
  RelacySync::mutex asked;  // orders the jobs behind the first call: the flag is relaxed

  void before() {
    this->make(
        [this](
            typename Scene<With<Requesters<2>, Workers<2>, Stripes<2>>, Sync>::Context& context) {
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

using enum ShutdownMode;

const Registered suites[] = {
    proved<JobRequests<With<Requesters<1>, Workers<1>, Stripes<2>>>>({
        .name = "job_requests_1_1",
        .property = "P1 P11",
    }),
    proved<JobRequests<With<Requesters<2>, Workers<1>, Stripes<2>>>>({
        .name = "job_requests_2_1",
        .property = "P1 P11",
        .sometimes = {"the other stripe was asked for from outside, too"},
        .large = Large::with_surprises,
    }),
    proved<JobRequests<With<Requesters<1>, Workers<2>, Stripes<2>>>>({
        .name = "job_requests_1_2",
        .property = "P1 P3 P11",
        .large = Large::yes,
    }),

    proved<FirstJob<With<Requesters<1>, Workers<1>>, First::more_work>>({
        .name = "more_work_1_1",
        .property = "P1 P5",
    }),
    proved<FirstJob<With<Requesters<2>, Workers<1>>, First::more_work>>({
        .name = "more_work_2_1",
        .property = "P1 P5",
        .sometimes = {"coalesced", "requested while running",
                      "more work and a request were two compactions"},
    }),
    proved<FirstJob<With<Requesters<1>, Workers<2>>, First::more_work>>({
        .name = "more_work_1_2",
        .property = "P1 P3 P5",
    }),
    proved<FirstJob<With<Requesters<2>, Workers<1>>, First::fails>>({
        .name = "job_fails_2_1",
        .property = "P5 P12",
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<FirstJob<With<Requesters<2>, Workers<1>>, First::throws>>({
        .name = "job_throws_2_1",
        .property = "P5 P12",
        .sometimes = {"coalesced", "requested while running"},
    }),

    proved<FirstJob<With<Requesters<1>, Workers<1>>, First::retries>>({
        .name = "job_retries_1_1",
        .property = "P5 P12",
    }),
    proved<FirstJob<With<Requesters<1>, Workers<1>>, First::throws_a_number>>({
        .name = "job_throws_a_number_1_1",
        .property = "P5 P12",
    }),

    proved<Cancelled<With<Requesters<1>, Workers<1>>>>({
        .name = "job_is_cancelled_1_1",
        .property = "P7 P15",
        .sometimes = {"stopped", "served", "discarded", "rejected"},
    }),

    proved<
        FirstJobAgainstShutdown<With<Requesters<1>, Workers<1>>, First::more_work, finish_running>>(
        {
            .name = "more_work_against_finish_running_1_1",
            .property = "P5 P7",
            .sometimes = {"the rest was done", "unfinished", "rejected"},
        }),
    proved<FirstJobAgainstShutdown<With<Requesters<1>, Workers<1>>, First::more_work, drain>>({
        .name = "more_work_against_drain_1_1",
        .property = "P5 P7",
        .sometimes = {"the rest was done", "unfinished", "rejected"},
    }),
    proved<FirstJobAgainstShutdown<With<Requesters<2>, Workers<1>>, First::more_work, drain>>({
        .name = "more_work_against_drain_2_1",
        .property = "P5 P7",
        .sometimes = {"the rest was done", "unfinished", "a re-run made it good"},
    }),
    proved<FirstJobAgainstShutdown<With<Requesters<2>, Workers<1>>, First::fails, finish_running>>({
        .name = "job_fails_against_finish_running_2_1",
        .property = "P7 P12",
        .sometimes = {"unfinished", "a re-run made it good"},
    }),
    proved<FirstJobAgainstShutdown<With<Requesters<1>, Workers<1>>, First::retries, drain>>({
        .name = "job_retries_against_drain_1_1",
        .property = "P7 P12",
        .sometimes = {"unfinished", "rejected"},
    }),
    proved<JobRequestsAgainstShutdown<finish_running>>({
        .name = "job_requests_against_finish_running_1_1",
        .property = "P7 P11",
        .sometimes = {"closed between its two requests", "what a job requested was discarded",
                      "rejected"},
    }),
    proved<JobRequestsAgainstShutdown<drain>>({
        .name = "job_requests_against_drain_1_1",
        .property = "P7 P11",
        .sometimes = {"closed between its two requests", "rejected"},
    }),
    refuted<FirstJobAgainstShutdown<With<Requesters<1>, Workers<1>>, First::more_work,
                                    finish_running, ForgetsWhatItCloses>>({
        .name = "more_work_against_shutdown_that_forgets",
        .property = "P7",
        .failure = Failure::check_failed,
        .because = "an accepted request is served or reported",
    }),
    refuted<JobRequestsAgainstShutdown<drain, ForgetsWhatItCloses>>({
        .name = "job_requests_against_drain_that_forgets",
        .property = "P7",
        .failure = Failure::check_failed,
        .because = "is served or reported",
    }),

    proved<ListedDuringMoreWork<>>({
        .name = "listed_during_more_work",
        .property = "P11",
    }),
    proved<AttemptsOfEachEpisode<>>({
        .name = "attempts_of_each_episode",
        .property = "P5 P12",
    }),

    refuted<ListedDuringMoreWork<LosesTokensOfRequests>>({
        .name = "listed_during_more_work_without_tokens",
        .property = "P2",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended",
    }),
    proved<RequestsAroundAFailure<FirstCompaction::succeeds>>({
        .name = "success_that_harms_no_request",
        .property = "P5",
        .sometimes = {"requested while running"},
    }),
    refuted<RequestsAroundAFailure<FirstCompaction::fails>>({
        .name = "failure_that_harms_a_request",
        .property = "P12",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended",
    }),
    refuted<AttemptsOfEachEpisode<ForgetsReruns>>({
        .name = "attempts_of_forgotten_episodes",
        .property = "P5",
        .failure = Failure::check_failed,
        .because = "each episode has its end",
    }),
    proved<CancelAsksEach<>>({
        .name = "cancel_asks_each_running_job_2_2",
        .property = "P7 P15",
        .timeouts = 1,
    }),

    refuted<CancelAsksEach<AsksNobody>>({
        .name = "cancel_asks_nobody_2_2",
        .property = "P15",
        .timeouts = 1,
        .failure = Failure::check_failed,
        .because = "each running job is asked to stop",
    }),
    refuted<JobRequests<With<Requesters<1>, Workers<1>, Stripes<2>>, ForgetsReruns>>({
        .name = "job_requests_that_are_forgotten",
        .property = "P11",
        .failure = Failure::check_failed,
        .because = "what jobs request is served",
    }),
    refuted<FirstJob<With<Requesters<2>, Workers<1>>, First::more_work, PublishesNoRequest>>({
        .name = "more_work_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::check_failed,
        .because = "a compaction that sees its payload",
    }),
    refuted<Cancelled<With<Requesters<1>, Workers<1>>, ForgetsWhatItCloses>>({
        .name = "job_is_cancelled_and_forgotten",
        .property = "P7",
        .failure = Failure::check_failed,
        .because = "an accepted request is served or reported",
    }),
};

}  // namespace
}  // namespace kstone::model
