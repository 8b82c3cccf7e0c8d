// P23 A job's stop callback is called by whoever asks it to stop, and by nobody for another job;
// once
//     its end has returned it is not called any more, and no call is under way. A wait for the stop
//     ends with it.
// Covers: the mutexes of `StopState`.

#include "scene.h"

namespace kstone::model {
namespace {

// One worker thread and two stripes, each asked for once. Who cancels the first may find it
// waiting, running or done; the second is another job of the same thread.
enum class Job { ends_its_callback_first, goes_on_too_early };

template <Job job, class Sync = RelacySync>
struct StopCallbacks : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 2;

  RelacySync::cell<int> of_job[2];  // written by callbacks, and by the job after their end
  CancelReport found;               // of thread 1

  void before() {
    for (auto& each : of_job) {
      name(each, "of_job");
    }
    this->make([this](typename Base::Context& context) { return compact(context); });
    this->start();
  }
  CompactionOutcome compact(typename Base::Context& context) {
    const auto id = context.stripe_id();
    this->note(context);
    {
      const auto stop = context.on_stop([this, id] { of_job[id].write() = 1; });
      if (job == Job::goes_on_too_early) {
        of_job[id].read();
      }
    }
    const bool called = of_job[id].read() == 1;
    check(!called || id == 0, "no callback of another job is called");
    this->cover_if(called, "called");
    return called ? CompactionOutcome::stopped() : CompactionOutcome::done();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
      this->request(1);
    } else {
      found = this->worker->cancel(0);
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_complete(this->worker->shutdown());
    check(of_job[0].read() == 0 || found.running, "a callback is called while its job runs");
    this->check_accounts();
    this->worker.reset();
  }
};

// The job sleeps until the stop, which comes while it runs, in one of the ways there are.
enum class Stop { cancels, removes, shuts_down };

template <Stop how, class Sync = RelacySync>
struct WaitForStop : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  using Base = Scene<With<Requesters<1>, Workers<1>>, Sync>;
  static constexpr int threads = 2;
  RelacySync::semaphore runs;

  void before() {
    this->make([this](typename Base::Context& context) {
      this->note(context);
      runs.post(1);
      check(context.wait_for_stop(Limit()), "without a limit it waits for the stop");
      return CompactionOutcome::stopped();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
      return;
    }
    runs.wait();
    if (how == Stop::cancels) {
      check(this->worker->cancel(0, Limit()).end == EpisodeEnd::cancelled, "it was cancelled");
    } else if (how == Stop::removes) {
      check(this->worker->remove(0) == RemoveResult::removed, "remove answers removed");
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::cancel));
    }
  }
  void after() {
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

const Registered suites[] = {
    proved<StopCallbacks<Job::ends_its_callback_first>>({
        .name = "stop_callbacks_2_1",
        .property = "P23",
        .sometimes = {"called"},
    }),
    proved<WaitForStop<Stop::cancels>>({
        .name = "wait_for_stop_cancelled_1_1",
        .property = "P23",
    }),
    proved<WaitForStop<Stop::removes>>({
        .name = "wait_for_stop_removed_1_1",
        .property = "P23",
    }),
    proved<WaitForStop<Stop::shuts_down>>({
        .name = "wait_for_stop_shut_down_1_1",
        .property = "P23",
    }),

    refuted<StopCallbacks<Job::goes_on_too_early>>({
        .name = "stop_callbacks_whose_job_goes_on",
        .property = "P23",
        .failure = Failure::data_race,
        .because = "of_job",
    }),
    refuted<StopCallbacks<Job::ends_its_callback_first, KeepsFlags>>({
        .name = "stop_callbacks_of_the_next_job",
        .property = "P23",
        .failure = Failure::check_failed,
        .because = "no callback of another job is called",
    }),
    refuted<WaitForStop<Stop::cancels, LosesNotifications>>({
        .name = "wait_for_stop_that_is_not_told",
        .property = "P23",
        .failure = Failure::deadlock,
        .because = "t1 sleeps on episode_ended",
    }),
};

}  // namespace
}  // namespace kstone::model
