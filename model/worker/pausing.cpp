// P22 After `pause` has answered `paused`, nothing of what it holds runs while the guard lives;
// once
//     the last guard is released, it does. Closing discards what is held. A wait without a limit
//     does not wait for it.
// Covers: I2, I3.

#include "scene.h"

namespace kstone::model {
namespace {

enum class Holds { one, all };
enum class Waits { for_running, for_nothing };

// A thread pauses, writes what jobs write, and lets go, while others request.
template <class Size, Holds holds, Waits waits = Waits::for_running, class Sync = RelacySync>
struct PauseAndLetGo : Scene<Size, Sync> {
  using Base = Scene<Size, Sync>;
  static constexpr int threads = Size::requesters + 1;
  static constexpr EqualThreads equal_threads = Base::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

  RelacySync::cell<int> engine[Size::stripes];

  void before() {
    for (auto& each : engine) {
      name(each, "engine");
    }
    this->make([this](typename Base::Context& context) {
      this->note(context);
      engine[context.stripe_id()].write() = 1;
      return CompactionOutcome::done();
    });
    this->start();
  }
  Limit limit() const {
    return waits == Waits::for_running ? Limit() : Limit(std::chrono::nanoseconds(0));
  }
  auto pause() {
    return holds == Holds::one ? this->worker->pause(0, limit()) : this->worker->pause_all(limit());
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
      return;
    }
    LosesTokensOfOne::loser = RelacySync::thread::current_id();
    const auto guard = pause();
    check(waits == Waits::for_nothing || guard.result() == PauseResult::paused,
          "pause answers paused");
    for (int id = 0; id < (holds == Holds::one ? 1 : Size::stripes); ++id) {
      engine[id].write() = 0;
    }
    this->cover_if(this->worker->snapshot().held != 0, "held");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_accounts();
    this->worker.reset();
  }
};

// A shutdown while a guard lives.
template <Holds holds, ShutdownMode mode>
struct PauseAgainstShutdown : Scene<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 3;
  RelacySync::cell<int> engine;
  PauseResult result{};  // of thread 1

  void before() {
    name(engine, "engine");
    make([this](Context& context) {
      note(context);
      engine.write() = 1;
      return CompactionOutcome::done();
    });
    start();
  }
  void thread(int index) {
    if (index == 0) {
      request(0);
    } else if (index == 1) {
      const auto guard = holds == Holds::one ? worker->pause(0) : worker->pause_all();
      result = guard.result();
      if (result == PauseResult::paused) {
        engine.write() = 0;
      }
    } else {
      check_complete(worker->shutdown(mode));
    }
  }
  void after() {
    check(result == PauseResult::paused || result == PauseResult::shut_down,
          "pause answers paused or shut_down");
    cover_if(result == PauseResult::shut_down, "shut down");
    check_served_or_reported(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// A wait that another thread pauses: it is told, or has what it waited for.
template <Holds holds, class Sync = RelacySync>
struct WaitAgainstPause : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 2;
  RelacySync::semaphore waited;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
      const auto result =
          holds == Holds::one ? this->worker->wait_idle(0).result : this->worker->wait_idle();
      check(result == IdleResult::paused || result == IdleResult::idle,
            "a wait answers idle or paused");
      check(result != IdleResult::idle || this->was_served(0), "idle comes after a compaction");
      this->cover_if(result == IdleResult::paused, "paused");
      waited.post(1);
    } else {
      const auto guard = holds == Holds::one ? this->worker->pause(0) : this->worker->pause_all();
      check(guard.result() == PauseResult::paused, "pause answers paused");
      waited.wait();
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

using OneAndOne = With<Requesters<1>, Workers<1>>;
using TwoAndOne = With<Requesters<2>, Workers<1>>;
using TwoStripes = With<Requesters<2>, Workers<1>, Stripes<2>>;
using TwoStripesAndThreads = With<Requesters<2>, Workers<2>, Stripes<2>>;

const Registered suites[] = {
    proved<PauseAndLetGo<OneAndOne, Holds::one>>({
        .name = "pause_one_1_1",
        .property = "P2 P22",
        .sometimes = {"held"},
    }),
    proved<PauseAndLetGo<TwoAndOne, Holds::one>>({
        .name = "pause_one_2_1",
        .property = "P2 P22",
        .sometimes = {"held", "coalesced"},
        .large = Large::with_surprises,
    }),
    proved<PauseAndLetGo<TwoStripes, Holds::all>>({
        .name = "pause_all_2_1",
        .property = "P2 P22",
        .sometimes = {"held"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<PauseAndLetGo<TwoStripesAndThreads, Holds::all>>({
        .name = "pause_all_2_2",
        .property = "P2 P22",
        .sometimes = {"held"},
        .large = Large::yes,
    }),
    proved<PauseAgainstShutdown<Holds::one, ShutdownMode::drain>>({
        .name = "pause_one_against_drain_1_1",
        .property = "P7 P22",
        .sometimes = {"discarded", "served", "rejected", "shut down"},
    }),
    proved<PauseAgainstShutdown<Holds::all, ShutdownMode::drain>>({
        .name = "pause_all_against_drain_1_1",
        .property = "P7 P22",
        .sometimes = {"discarded", "served", "rejected", "shut down"},
    }),
    proved<WaitAgainstPause<Holds::one>>({
        .name = "wait_for_one_against_pause_1_1",
        .property = "P9 P22",
        .sometimes = {"paused"},
    }),
    proved<WaitAgainstPause<Holds::all>>({
        .name = "wait_idle_against_pause_1_1",
        .property = "P9 P22",
        .sometimes = {"paused"},
    }),

    refuted<PauseAndLetGo<OneAndOne, Holds::one, Waits::for_nothing>>({
        .name = "pause_that_does_not_wait",
        .property = "P22",
        .timeouts = 1,
        .failure = Failure::data_race,
        .because = "engine",
    }),
    refuted<PauseAndLetGo<OneAndOne, Holds::one, Waits::for_running, LosesTokensOfOne>>({
        .name = "pause_whose_end_wakes_nobody",
        .property = "P22",
        .failure = Failure::deadlock,
        .because = "main sleeps on episode_ended",
    }),
    refuted<WaitAgainstPause<Holds::one, LosesNotifications>>({
        .name = "wait_that_is_not_told_of_a_pause",
        .property = "P22",
        .failure = Failure::deadlock,
        .because = "sleeps on episode_ended",
    }),
};

}  // namespace
}  // namespace kstone::model
