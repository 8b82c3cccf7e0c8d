// P23 A job's stop callback is called by whoever asks it to stop, and by nobody for another job;
// once
//     its end has returned it is not called any more, and no call is under way. A wait for the stop
//     ends with it.
// Covers: the mutexes of `StopState`.

#include <type_traits>

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

// A job's thread, the one that the scene names, never sees that a flag is raised.
struct OverlooksStops : RelacySync {
  static inline int blind = -1;

  template <class T>
  struct atomic : RelacySync::atomic<T> {
    using Base = RelacySync::atomic<T>;
    using Base::Base;
    T load(std::memory_order order, KSTONE_MODEL_SITE) const {
      const T value = Base::load(order, file, line, function);
      const bool overlooks = std::is_same_v<T, bool> && RelacySync::thread::current_id() == blind;
      return overlooks ? T{} : value;
    }
  };
};

// A job registers two callbacks while its stripe is cancelled. One whose end waits for the call is
// called exactly once: by who asks, if it was registered before the stop; else at once, before
// `on_stop` returns. One that the job ends meanwhile is called at most once, and exactly once if
// the stop came before it. The next job of the thread registers one too, which nobody calls.
enum class Ends { once_called, at_once };

template <Ends ends, class Sync = RelacySync>
struct RegistersWhileAsked : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 1;
  static constexpr bool waits = ends == Ends::once_called;

  struct Calls {
    int count = 0;
    int thread = -1;  // of the last
  };
  RelacySync::semaphore runs;
  RelacySync::semaphore called;
  RelacySync::cell<Calls> calls[3];  // of the first job's callbacks, and of the next job's
  int asker = -1;                    // thread 0

  void before() {
    name(called, "called");
    for (auto& each : calls) {
      name(each, "calls");
    }
    this->make([this](typename Base::Context& context) {
      this->note(context);
      return context.stripe_id() == 0 ? compact_first(context) : compact_next(context);
    });
    this->request(0);
    this->request(1);
    this->start();
  }
  void count_call(int callback) {
    auto& now = calls[callback].write();
    ++now.count;
    now.thread = RelacySync::thread::current_id();
    called.post(1);
  }
  CompactionOutcome compact_first(typename Base::Context& context) {
    OverlooksStops::blind = RelacySync::thread::current_id();
    bool late[2];
    runs.post(1);
    {
      late[0] = context.stop_requested();
      const auto first = context.on_stop([this] { count_call(0); });
      late[1] = context.stop_requested();
      const auto second = context.on_stop([this] { count_call(1); });
      for (int i = 0; waits && i < 2; ++i) {
        called.wait();
      }
    }
    for (int i = 0; i < 2; ++i) {
      const auto& call = calls[i].read();
      const bool at_once = call.thread == RelacySync::thread::current_id();
      check(call.count == 1 || (!waits && call.count == 0), "no callback is called twice");
      check(call.count == 0 || at_once || call.thread == asker, "nobody else calls it");
      check(!late[i] || at_once, "what is registered after the stop is called at once");
      this->cover_if(call.count == 0, "ended before its call");
      this->cover_if(at_once, i == 0 ? "both at once" : "at once");
      this->cover_if(call.count == 1 && !at_once, "called by who asks");
    }
    return CompactionOutcome::stopped();
  }
  CompactionOutcome compact_next(typename Base::Context& context) {
    {
      const auto stop = context.on_stop([this] { count_call(2); });
    }
    check(calls[2].read().count == 0, "no callback of another job is called");
    return CompactionOutcome::done();
  }
  void thread(int) {
    asker = RelacySync::thread::current_id();
    runs.wait();
    check(this->worker->cancel(0).running || !waits, "the first job runs until it is stopped");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Two threads cancel the stripes of two jobs of one thread. A callback is called by who asked that
// job to stop, or at once; not by who asked the job before and comes late.
template <class Sync = RelacySync>
struct TwoAskers : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 2;

  RelacySync::cell<int> called_on[2];  // written by callbacks, and by the job after their end
  int asker[2] = {-1, -1};

  void before() {
    for (auto& each : called_on) {
      name(each, "called_on");
    }
    this->make([this](typename Base::Context& context) { return compact(context); });
    this->request(0);
    this->request(1);
    this->start();
  }
  CompactionOutcome compact(typename Base::Context& context) {
    const auto id = context.stripe_id();
    this->note(context);
    {
      const auto stop = context.on_stop(
          [this, id] { called_on[id].write() = 1 + RelacySync::thread::current_id(); });
    }
    const int by = called_on[id].read() - 1;  // -1: not called
    check(by == -1 || by == asker[id] || by == RelacySync::thread::current_id(),
          "a callback is called by who asked its job");
    this->cover_if(by == asker[id] && by != -1, "called by who asks");
    return CompactionOutcome::stopped();
  }
  void thread(int index) {
    asker[index] = RelacySync::thread::current_id();
    this->worker->cancel(static_cast<std::uint32_t>(index));
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_complete(this->worker->shutdown());
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
    proved<RegistersWhileAsked<Ends::once_called>>({
        .name = "stop_callbacks_registered_meanwhile_2_1",
        .property = "P23",
        .sometimes = {"called by who asks", "at once", "both at once"},
    }),
    proved<RegistersWhileAsked<Ends::at_once>>({
        .name = "stop_callbacks_registered_and_ended_2_1",
        .property = "P23",
        .sometimes = {"called by who asks", "at once", "both at once", "ended before its call"},
    }),
    proved<TwoAskers<>>({
        .name = "stop_callbacks_of_two_askers_2_1",
        .property = "P23",
        .sometimes = {"called by who asks"},
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
    refuted<RegistersWhileAsked<Ends::once_called, OverlooksStops>>({
        .name = "stop_callbacks_registered_by_who_overlooks_the_stop",
        .property = "P23",
        .failure = Failure::deadlock,
        .because = "w0 semaphore wait called",
    }),
    refuted<RegistersWhileAsked<Ends::once_called, KeepsFlags>>({
        .name = "stop_callbacks_registered_by_the_next_job",
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
