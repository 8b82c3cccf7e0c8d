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

// Tokens that one thread posts, which the scene names, do not arrive.
struct Loser {
  static inline int thread = -1;
};
template <class Sync>
struct LosesTokensOfTheEnd : Sync {
  struct semaphore : Sync::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() != Loser::thread) {
        Sync::semaphore::post(count, file, line, function);
      }
    }
  };
};

// A claimed stripe is paused and taken over, so that it is held while its node is under way, and
// its requester is suspended still. The pause ends; the suspension before, meanwhile or once the
// stripe was compacted and asked for again.
enum class Resumes { before_the_end, once_compacted };

template <Holds holds, Resumes resumes, class Sync = SuspendsBetweenSteps>
struct PauseSuspendedClaim : Scene<With<Requesters<2>, Workers<1>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>>, Sync>;
  static constexpr int threads = 2;

  RelacySync::cell<int> engine;
  RelacySync::semaphore compacted;
  RelacySync::semaphore served;
  SuspendsBetweenSteps::Hold hold;

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    name(engine, "engine");
    name(compacted, "compacted");
    this->make([this](typename Base::Context& context) {
      this->note(context);
      engine.write() = 1;
      compacted.post(1);
      if (this->was_served(1)) {
        served.post(1);
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      this->request(0);
      return;
    }
    hold.suspended.wait();
    // A token orders nothing; a request that merges does.
    check(this->worker->queue_compaction(0) == Submission::coalesced, "the stripe is claimed");
    pause_and_let_go();
    if (resumes == Resumes::once_compacted) {
      compacted.wait();  // although its requester has not pushed it
      this->request(1);
      hold.push.post(1);
      return;
    }
    this->request(1);
    this->cover_if(this->answers[1] == Submission::rerun_pending, "asked for while it runs");
  }
  void pause_and_let_go() {
    Loser::thread = RelacySync::thread::current_id();
    const auto guard = holds == Holds::one ? this->worker->pause(0) : this->worker->pause_all();
    check(guard.result() == PauseResult::paused, "pause answers paused");
    engine.write() = 0;
    // Takes the claim over.
    check(this->worker->wait_idle(0).result == IdleResult::paused, "wait_idle answers paused");
    const auto s = this->worker->snapshot();
    check(s.held == 1 && s.running == 0 && s.compactions_started == 0, "the stripe is held");
    if (resumes == Resumes::before_the_end) {
      hold.push.post(1);
    }
  }
  void after() {
    served.wait();  // although nobody looks
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// As its base, and who waits for the suspension sees what came before: a token orders nothing.
struct ShowsTheSuspension : SuspendsFirstRequesterInOrder {
  static inline RelacySync::mutex* seen = nullptr;

  static void show(KSTONE_MODEL_SITE) {
    seen->lock(file, line, function);
    seen->unlock(file, line, function);
  }
  struct semaphore : SuspendsFirstRequesterInOrder::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == hold->first) {
        show(file, line, function);
      }
      SuspendsFirstRequesterInOrder::semaphore::post(count, file, line, function);
    }
  };
};

// While the first stripe is paused, a requester pushes the second and is suspended before it has
// posted the token of the thread that it claimed. The end of the pause takes the second stripe out
// of the inbox, so it wakes another thread.
template <class Sync = ShowsTheSuspension>
struct PauseEndsBesideSuspendedRequester
    : Scene<With<Requesters<2>, Workers<SuspendsFirstRequesterInOrder::workers>, Stripes<2>>,
            Sync> {
  using Base =
      Scene<With<Requesters<2>, Workers<SuspendsFirstRequesterInOrder::workers>, Stripes<2>>, Sync>;
  static constexpr int threads = 2;
  static constexpr int equal_dynamic_threads = SuspendsFirstRequesterInOrder::workers;

  RelacySync::semaphore paused;
  RelacySync::semaphore compacted;
  SuspendsFirstRequester::Hold hold;
  SuspendsFirstRequesterInOrder::Order order;
  RelacySync::mutex seen_suspended;

  void before() {
    ShowsTheSuspension::seen = &seen_suspended;
    SuspendsFirstRequester::hold = &hold;
    SuspendsFirstRequesterInOrder::order = &order;
    name(compacted, "compacted");
    this->make([this](typename Base::Context& context) {
      this->note(context);
      compacted.post(1);
      return CompactionOutcome::done();
    });
    this->start();
    order.put_to_sleep();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      paused.wait();
      this->request(1);
      return;
    }
    Loser::thread = RelacySync::thread::current_id();
    {
      const auto guard = this->worker->pause(0);
      check(guard.result() == PauseResult::paused, "pause answers paused");
      paused.post(1);
      order.claimed.wait();
      ShowsTheSuspension::show();
    }
    compacted.wait();
    hold.post.post(1);
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
template <Holds holds, ShutdownMode mode, class Size = With<Requesters<1>, Workers<1>>,
          class Sync = RelacySync>
struct PauseAgainstShutdown : Scene<Size, Sync> {
  using Base = Scene<Size, Sync>;
  static constexpr int requesters = Size::requesters;
  static constexpr int threads = requesters + 2;
  RelacySync::cell<int> engine;
  PauseResult result{};  // of thread 1

  void before() {
    name(engine, "engine");
    this->make([this](typename Base::Context& context) {
      this->note(context);
      engine.write() = 1;
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index < requesters) {
      this->request(index);
    } else if (index == requesters) {
      const auto guard = holds == Holds::one ? this->worker->pause(0) : this->worker->pause_all();
      result = guard.result();
      if (result == PauseResult::paused) {
        engine.write() = 0;
      }
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    check(result == PauseResult::paused || result == PauseResult::shut_down,
          "pause answers paused or shut_down");
    this->cover_if(result == PauseResult::shut_down, "shut down");
    this->check_served_or_reported(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
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

// One stripe is held and another runs while a thread waits for both; then the pause ends. The wait
// answers only what is so: what is no longer held is waited for.
enum class Expects { what_is_so, all_served };

template <Expects expects = Expects::what_is_so, class Sync = RelacySync>
struct WaitOverAPausesEnd : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  static constexpr int threads = 2;
  basic_pause_guard<Sync> guard;

  void before() {
    this->make();
    guard = this->worker->pause(0);
    this->request(0);
    this->request(1);
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      guard.release();
      return;
    }
    const auto result = this->worker->wait_idle();
    check(this->was_served(1), "the rest is waited for");
    check((expects == Expects::what_is_so && result == IdleResult::paused) || this->was_served(0),
          "idle comes after all compactions");
    this->cover_if(result == IdleResult::paused, "paused");
    this->cover_if(result == IdleResult::idle, "idle");
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
    proved<PauseSuspendedClaim<Holds::one, Resumes::before_the_end>>({
        .name = "pause_one_of_a_suspended_claim_2_1",
        .property = "P2 P19 P22",
        .sometimes = {"asked for while it runs"},
    }),
    proved<PauseSuspendedClaim<Holds::one, Resumes::once_compacted>>({
        .name = "pause_one_and_let_a_suspended_claim_go_2_1",
        .property = "P2 P19 P22",
    }),
    proved<PauseSuspendedClaim<Holds::all, Resumes::before_the_end>>({
        .name = "pause_all_and_a_suspended_claim_2_1",
        .property = "P2 P19 P22",
        .sometimes = {"asked for while it runs"},
    }),
    proved<PauseSuspendedClaim<Holds::all, Resumes::once_compacted>>({
        .name = "pause_all_and_let_a_suspended_claim_go_2_1",
        .property = "P2 P19 P22",
    }),
    proved<PauseEndsBesideSuspendedRequester<>>({
        .name = "pause_ends_beside_a_suspended_requester_2_3",
        .property = "P2 P13 P22",
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
    proved<PauseAndLetGo<TwoStripes, Holds::one, Waits::for_running, OneStripeInAHold>>({
        .name = "pause_one_2_1_in_slices",
        .property = "P22",
        .sometimes = {"held"},
        .large = Large::yes,
    }),
    proved<PauseAgainstShutdown<Holds::all, ShutdownMode::drain, TwoStripes, OneStripeInAHold>>({
        .name = "pause_all_against_drain_2_1_in_slices",
        .property = "P22 P7",
        .sometimes = {"served", "discarded"},
        .large = Large::with_surprises,
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
    proved<WaitOverAPausesEnd<>>({
        .name = "wait_idle_over_a_pauses_end_2_1",
        .property = "P9 P22",
        .sometimes = {"idle", "paused"},
    }),
    proved<WaitOverAPausesEnd<Expects::what_is_so, OneStripeInAHold>>({
        .name = "wait_idle_over_a_pauses_end_2_1_in_slices",
        .property = "P9 P22",
        .sometimes = {"idle", "paused"},
    }),

    refuted<WaitOverAPausesEnd<Expects::all_served>>({
        .name = "wait_idle_that_waits_for_what_is_held",
        .property = "P22",
        .failure = Failure::check_failed,
        .because = "idle comes after all compactions",
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
    refuted<PauseSuspendedClaim<Holds::one, Resumes::once_compacted,
                                LosesTokensOfTheEnd<SuspendsBetweenSteps>>>({
        .name = "pause_of_a_suspended_claim_whose_end_wakes_nobody",
        .property = "P22",
        .failure = Failure::deadlock,
        .because = "t1 semaphore wait compacted",
    }),
    refuted<PauseSuspendedClaim<Holds::one, Resumes::once_compacted, OverlooksWhatIsUnderWay>>({
        .name = "pause_of_a_suspended_claim_without_the_mark",
        .property = "P19 P22",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<PauseEndsBesideSuspendedRequester<LosesTokensOfTheEnd<ShowsTheSuspension>>>({
        .name = "pause_ends_beside_a_suspended_requester_and_wakes_nobody",
        .property = "P13 P22",
        .failure = Failure::deadlock,
        .because = "t1 semaphore wait compacted",
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
