// P20 `cancel` ends what has not begun, and nothing of it is compacted; a request that comes after
//     it is served. It asks the compaction to stop that runs, and no other.
// P21 After `remove` nothing of the worker touches the stripe: what its job uses may be freed. Once
//     restored, it is served as ever.
// Covers: W1/Q1, I2, I6.

#include "scene.h"

namespace kstone::model {
namespace {

enum class Withdraws { cancels, removes };

// One requester and a thread that withdraws the stripe and asks for it itself. `seen` of requester
// `last` is that of the withdrawing thread.
template <class Size, class Sync = RelacySync>
struct Withdrawal : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;
  static constexpr int equal_dynamic_threads = Size::workers;
  static constexpr int last = Size::requesters - 1;

  void before() {
    this->make();
    this->start();
  }
  // Of a stripe that is claimed, for certain.
  void withdraw_claim(Withdraws how) {
    if (how == Withdraws::cancels) {
      check(this->worker->cancel(0).waited, "what is claimed is withdrawn");
    } else {
      check(this->worker->remove(0) == RemoveResult::removed, "nothing runs");
      check(this->worker->restore(0) == RestoreResult::restored, "nothing runs");
    }
  }
  // What was accepted is served, or its episode has ended as `withdrawn` many did.
  void check_withdrawn(std::uint64_t withdrawn) {
    for (int requester = 0; requester < last; ++requester) {
      check(!this->was_accepted(requester) || this->was_served(requester) || withdrawn != 0,
            "an accepted request is served, or what it merged into was withdrawn");
    }
    check(!this->was_accepted(last) || this->was_served(last),
          "what is asked for after the withdrawal is served");
    this->cover_if(withdrawn != 0, "withdrawn");
  }
  void finish() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_accounts();
    this->worker.reset();
  }
};

enum class Then { asks, leaves_it_to_others };

template <class Size, Then then = Then::asks, class Sync = RelacySync>
struct CancelAndAskAgain : Withdrawal<Size, Sync> {
  using Base = Withdrawal<Size, Sync>;

  void thread(int index) {
    if (index != Base::last) {
      this->request(index);
      return;
    }
    found = this->worker->cancel(0);
    check((found.result == CancelReport::Result::still_running) == found.running,
          "cancel says whether something runs");
    check(!(found.waited && found.running), "a stripe that waits does not run");
    if (then == Then::leaves_it_to_others) {
      return;
    }
    this->request(index);
    this->cover_if(this->answers[index] == Submission::queued && found.waited,
                   "cancelled and queued again");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    const auto s = this->worker->snapshot();
    const std::uint64_t withdrawn = (found.waited ? 1 : 0) + (found.rerun_pending ? 1 : 0);
    check(s.episodes_cancelled == withdrawn, "cancel says what it withdrew");
    this->check_withdrawn(withdrawn);
    this->cover_if(found.rerun_pending, "a re-run was withdrawn");
    this->cover_if(found.running, "asked to stop");
    this->finish();
  }

  CancelReport found;  // of the last thread
};

// The requester is suspended before it pushes the stripe; what it claimed is withdrawn. Asked for
// again, the stripe is served before the suspension ends.
template <Withdraws how, class Sync = SuspendsBetweenSteps>
struct WithdrawSuspendedClaim : Withdrawal<With<Requesters<2>, Workers<1>>, Sync> {
  void before() {
    SuspendsBetweenSteps::hold = &hold;
    this->make();
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
    this->withdraw_claim(how);
    check(this->worker->wait_idle(0).result == IdleResult::idle, "nothing is waited for");
    check(this->request(1) == Submission::queued, "a stripe that is idle again is queued");
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->worker->snapshot().compactions_started == 1, "it is compacted once");
    hold.push.post(1);
    // Before the late node has been popped, or after: then this call links the stripe.
    this->worker->queue_compaction(0);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->was_served(1), "what is asked for after the withdrawal is served");
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }

  SuspendsBetweenSteps::Hold hold;
};

// ... and another asks for it, and that is given up as well. The suspension ends between the two
// withdrawals, or after both: what is asked for last is served although nobody looks.
enum class Resumes { between, after_both };

template <Withdraws how, Resumes resumes, class Sync = SuspendsBetweenSteps>
struct WithdrawSuspendedClaimTwice : Withdrawal<With<Requesters<3>, Workers<1>>, Sync> {
  using Base = Withdrawal<With<Requesters<3>, Workers<1>>, Sync>;
  RelacySync::semaphore withdrawn;
  RelacySync::semaphore served;
  SuspendsBetweenSteps::Hold hold;
  CancelReport again;  // of the last thread

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    this->make([this](typename Base::Context& context) {
      this->note(context);
      if (this->was_served(Base::last)) {
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
    } else if (index != Base::last) {
      withdrawn.wait();
      this->request(index);
    } else {
      hold.suspended.wait();
      // As above.
      check(this->worker->queue_compaction(0) == Submission::coalesced, "the stripe is claimed");
      this->withdraw_claim(how);
      withdrawn.post(1);
      if (resumes == Resumes::between) {
        hold.push.post(1);
      }
      again = this->worker->cancel(0);
      if (resumes == Resumes::after_both) {
        check(!again.running, "nobody has brought the stripe");
        hold.push.post(1);
      }
      this->request(index);
    }
  }
  void after() {
    served.wait();  // although nobody looks
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->was_served(1) || again.waited || again.rerun_pending,
          "an accepted request is served, or what it merged into was withdrawn");
    const auto s = this->worker->snapshot();
    check(s.episodes_cancelled + s.episodes_removed ==
              1U + (again.waited ? 1U : 0U) + (again.rerun_pending ? 1U : 0U),
          "cancel says what it withdrew");
    this->cover_if(again.waited, "withdrawn");
    this->cover_if(again.waited && this->answers[1] == Submission::queued, "withdrawn twice");
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// A compaction of a stripe whose node is under way is cancelled and answers `more_work`, while the
// node comes and the stripe is asked for: also between the two halves of the compaction's end.
template <class Sync = SuspendsBetweenSteps>
struct CancelMoreWorkOfSuspendedClaim : Withdrawal<With<Requesters<2>, Workers<1>>, Sync> {
  using Base = Withdrawal<With<Requesters<2>, Workers<1>>, Sync>;
  RelacySync::semaphore runs;
  RelacySync::semaphore served;
  SuspendsBetweenSteps::Hold hold;

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    this->make([this](typename Base::Context& context) {
      const bool first = this->note(context) == 1;
      if (first) {
        runs.post(1);
      }
      if (this->was_served(1)) {
        served.post(1);
      }
      return first ? CompactionOutcome::more_work() : CompactionOutcome::done();
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
    check(this->worker->queue_compaction(0) == Submission::coalesced, "the stripe is claimed");
    // Takes the claim over.
    check(this->worker->wait_idle(0, Limit(std::chrono::nanoseconds(0))).result !=
              IdleResult::refused,
          "a wait is not refused");
    runs.wait();
    const auto found = this->worker->cancel(0);
    this->cover_if(found.running, "asked to stop");
    hold.push.post(1);
    this->request(1);
  }
  void after() {
    served.wait();  // although nobody looks
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->was_served(1), "what is asked for after the withdrawal is served");
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// Two stripes and one worker thread: who cancels the first, which runs, is about to, or has run,
// does not stop the second.
template <class Sync = RelacySync>
struct CancelStopsNoOther : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<1>, Stripes<2>>, Sync>;
  static constexpr int threads = 2;

  bool was_stopped[2] = {};  // by the worker's one thread
  CancelReport found;        // of thread 1

  void before() {
    this->make([this](typename Base::Context& context) {
      this->note(context);
      const bool stop = context.stop_requested();
      was_stopped[context.stripe_id()] = stop;
      return stop ? CompactionOutcome::stopped() : CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
      this->request(1);
    } else {
      found = this->worker->cancel(0, Limit());
      check(found.result == CancelReport::Result::ended, "without a limit it waits for the end");
      check(found.end.has_value() == found.running, "it says how the running compaction ended");
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(!was_stopped[1], "no other compaction is asked to stop");
    check(!was_stopped[0] || found.running, "a compaction is asked to stop while it runs");
    check(!found.running || (found.end == EpisodeEnd::cancelled) == was_stopped[0],
          "what is stopped ends as cancelled, and what is done as done");
    this->cover_if(was_stopped[0], "stopped");
    this->cover_if(found.running && !was_stopped[0], "done in spite of it");
    this->cover_if(found.waited, "withdrawn");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Who is about to sleep says so.
template <class Sync>
struct TellsWhoSleeps : Sync {
  static inline RelacySync::semaphore* asleep = nullptr;
  struct semaphore : Sync::semaphore {
    void wait(KSTONE_MODEL_SITE) {
      asleep->post(1, file, line, function);
      Sync::semaphore::wait(file, line, function);
    }
  };
};

// A compaction that ends by nothing else is cancelled by one thread or two. One of them asks for
// the stripe again, which the other worker thread may then compact, and cancels that. Both worker
// threads sleep before the first request.
template <int callers, class Sync = TellsWhoSleeps<RelacySync>>
struct CancelEachCompaction : Scene<With<Requesters<2>, Workers<2>>, Sync> {
  using Base = Scene<With<Requesters<2>, Workers<2>>, Sync>;
  static constexpr int threads = callers;
  static constexpr int equal_dynamic_threads = 2;

  RelacySync::semaphore asleep;
  RelacySync::semaphore runs;
  RelacySync::atomic<bool> cancels_again{false};  // thread 0
  RelacySync::atomic<bool> has_cancelled{false};  // thread 1
  int worker_thread = -1;                         // of the job

  void before() {
    this->make([this](typename Base::Context& context) { return compact(context); });
    Sync::asleep = &asleep;
    this->start();
    asleep.wait();
    asleep.wait();
    this->request(1);
  }
  CompactionOutcome compact(typename Base::Context& context) {
    const bool first = this->note(context) == 1;
    const auto self = RelacySync::thread::current_id();
    const bool late = has_cancelled.load(std::memory_order_relaxed);
    if (first) {
      runs.post(callers);
    }
    check(context.wait_for_stop(Limit()), "without a limit it waits for the stop");
    check(first || !late || cancels_again.load(std::memory_order_relaxed),
          "nobody asks it to stop whose call had returned");
    this->cover_if(!first && worker_thread != self, "compacted by the other thread");
    worker_thread = self;
    return CompactionOutcome::stopped();
  }
  CancelReport cancel() {
    const auto found = this->worker->cancel(0, Limit());
    check(found.running == (found.end == EpisodeEnd::cancelled),
          "what it finds running ends as cancelled");
    return found;
  }
  void thread(int index) {
    runs.wait();
    const auto found = cancel();
    if (index == 1) {
      has_cancelled.store(true, std::memory_order_relaxed);
      this->cover_if(found.running, "cancelled by both");
      return;
    }
    this->request(0);
    cancels_again.store(true, std::memory_order_relaxed);
    this->cover_if(cancel().running, "cancelled again");
  }
  void after() {
    const auto s = this->worker->snapshot();
    check(s.episodes_alive == 0, "nothing is alive after the last cancel");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The engine frees what the job uses once the stripe is removed, makes it anew, restores the stripe
// and asks for it; `Frees::at_once` does not wait for the answer.
enum class Frees { when_removed, at_once };

template <class Size, Frees frees = Frees::when_removed, class Sync = RelacySync>
struct RemoveAndRestore : Withdrawal<Size, Sync> {
  using Base = Withdrawal<Size, Sync>;

  RelacySync::cell<int> engine;  // written by jobs, and by whoever removes the stripe

  void before() {
    name(engine, "engine");
    this->make([this](typename Base::Context& context) {
      this->note(context);
      engine.write() = 1;
      return context.stop_requested() ? CompactionOutcome::stopped() : CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index != Base::last) {
      this->request(index);
      this->cover_if(this->answers[index] == Submission::rejected_removed, "removed");
      return;
    }
    const auto result = frees == Frees::at_once
                            ? this->worker->remove(0, Limit(std::chrono::nanoseconds(0)))
                            : this->worker->remove(0);
    check(frees == Frees::at_once || result == RemoveResult::removed, "remove answers removed");
    engine.write() = 0;
    check(this->worker->is_removed(0), "it is removed");
    check(this->worker->restore(0) == RestoreResult::restored, "restore answers restored");
    check(this->request(index) != Submission::rejected_removed, "a restored stripe accepts");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    const auto s = this->worker->snapshot();
    this->check_withdrawn(s.episodes_removed);
    this->finish();
  }
};

// ... while the worker shuts down.
template <ShutdownMode mode>
struct RemoveAgainstShutdown : Withdrawal<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 3;
  RelacySync::cell<int> engine;
  RemoveResult result{};  // of thread 1

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
      result = worker->remove(0);
      if (result == RemoveResult::removed) {
        engine.write() = 0;
      }
    } else {
      check_complete(worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = worker->shutdown();
    const auto s = worker->snapshot();
    check(result == RemoveResult::removed || result == RemoveResult::shut_down,
          "remove comes before or after the shutdown");
    check(
        !was_accepted(0) || was_served(0) || s.episodes_removed == 1 || lists(report.discarded, 0),
        "an accepted request is served, withdrawn, or reported");
    check(result == RemoveResult::removed || s.episodes_removed == 0, "remove says what it did");
    cover_if(s.episodes_removed == 1, "withdrawn");
    cover_if(result == RemoveResult::shut_down, "shut down before");
    check_accounts();
    worker.reset();
  }
};

// Cancelled while the worker shuts down.
template <ShutdownMode mode, class Size = With<Requesters<1>, Workers<1>>, class Sync = RelacySync>
struct CancelAgainstShutdown : Withdrawal<Size, Sync> {
  static constexpr int threads = 3;
  static constexpr std::uint32_t last = Size::stripes - 1;  // is closed last
  CancelReport found;                                       // of thread 1

  void thread(int index) {
    if (index == 0) {
      this->request(last);
    } else if (index == 1) {
      found = this->worker->cancel(last, Limit());
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    const auto s = this->worker->snapshot();
    check(s.episodes_cancelled == (found.waited || found.rerun_pending ? 1 : 0),
          "cancel says what it withdrew");
    check(!this->was_accepted(last) || this->was_served(last) || s.episodes_cancelled == 1 ||
              this->lists(report.discarded, last),
          "an accepted request is served, withdrawn, or reported");
    this->cover_if(s.episodes_cancelled == 1, "withdrawn");
    this->check_accounts();
    this->worker.reset();
  }
};

// The scan looks at what it finds not removed, and no longer once `remove` has returned.
template <bool asks>
struct RemoveAgainstScan : Scene<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;
  static constexpr int equal_dynamic_threads = 0;
  RelacySync::cell<int> engine;

  void before() {
    name(engine, "engine");
    Worker::Options options;
    options.scan = [this](Worker& scanned) {
      if (!asks || !scanned.is_removed(0)) {
        engine.write() = 1;
      } else {
        cover("the scan asks");
      }
    };
    make([](Context&) { return CompactionOutcome::done(); }, options);
    start();
  }
  void thread(int) {
    check(worker->remove(0) == RemoveResult::removed, "remove answers removed");
    engine.write() = 0;
  }
  void after() {
    check_complete(worker->shutdown());
    worker.reset();
  }
};

using TwoAndOne = With<Requesters<2>, Workers<1>>;
using TwoAndTwo = With<Requesters<2>, Workers<2>>;
using ThreeAndOne = With<Requesters<3>, Workers<1>>;

const Registered suites[] = {
    proved<CancelAndAskAgain<TwoAndOne>>({
        .name = "cancel_and_ask_again_2_1",
        .property = "P2 P20",
        .sometimes = {"withdrawn", "asked to stop", "cancelled and queued again"},
    }),
    proved_without_surprises<CancelAndAskAgain<TwoAndTwo>>({
        .name = "cancel_and_ask_again_2_2",
        .property = "P2 P20",
        .sometimes = {"withdrawn", "asked to stop", "cancelled and queued again"},
        .large = Large::yes,
    }),
    proved<CancelAndAskAgain<ThreeAndOne, Then::leaves_it_to_others>>({
        .name = "cancel_while_two_ask_3_1",
        .property = "P2 P20",
        .sometimes = {"withdrawn", "a re-run was withdrawn", "asked to stop", "coalesced"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<CancelAndAskAgain<ThreeAndOne>>({
        .name = "cancel_and_ask_again_3_1",
        .property = "P2 P20",
        .sometimes = {"withdrawn", "a re-run was withdrawn", "asked to stop", "coalesced"},
        .large = Large::yes,
    }),
    proved<WithdrawSuspendedClaim<Withdraws::cancels>>({
        .name = "cancel_a_suspended_claim_2_1",
        .property = "P19 P20",
    }),
    proved<WithdrawSuspendedClaim<Withdraws::removes>>({
        .name = "remove_and_restore_a_suspended_claim_2_1",
        .property = "P19 P21",
    }),
    proved<WithdrawSuspendedClaimTwice<Withdraws::cancels, Resumes::after_both>>({
        .name = "cancel_a_suspended_claim_twice_3_1",
        .property = "P2 P19 P20",
        .sometimes = {"withdrawn twice"},
    }),
    proved<WithdrawSuspendedClaimTwice<Withdraws::cancels, Resumes::between>>({
        .name = "cancel_twice_around_a_late_node_3_1",
        .property = "P2 P19 P20",
        .sometimes = {"withdrawn twice"},
    }),
    proved<WithdrawSuspendedClaimTwice<Withdraws::removes, Resumes::after_both>>({
        .name = "remove_and_cancel_a_suspended_claim_3_1",
        .property = "P2 P19 P20 P21",
        .sometimes = {"withdrawn twice"},
    }),
    proved<CancelMoreWorkOfSuspendedClaim<>>({
        .name = "cancel_more_work_of_a_suspended_claim_2_1",
        .property = "P2 P20",
        .sometimes = {"asked to stop"},
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<CancelStopsNoOther<>>({
        .name = "cancel_stops_no_other_2_1",
        .property = "P15 P20",
        .sometimes = {"stopped", "done in spite of it", "withdrawn"},
    }),
    proved<CancelStopsNoOther<OneStripeInAHold>>({
        .name = "cancel_stops_no_other_2_1_in_slices",
        .property = "P15 P20",
        .sometimes = {"stopped", "done in spite of it", "withdrawn"},
        .large = Large::with_surprises,
    }),
    proved<CancelEachCompaction<1>>({
        .name = "cancel_each_compaction_2_2",
        .property = "P3 P15 P20",
        .sometimes = {"compacted by the other thread", "cancelled again"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<CancelEachCompaction<2>>({
        .name = "two_cancel_each_compaction_2_2",
        .property = "P3 P15 P20",
        .sometimes = {"compacted by the other thread", "cancelled again", "cancelled by both"},
        .large = Large::yes,
    }),
    proved<RemoveAndRestore<TwoAndOne>>({
        .name = "remove_and_restore_2_1",
        .property = "P2 P21",
        .sometimes = {"withdrawn", "removed"},
    }),
    proved_without_surprises<RemoveAndRestore<TwoAndTwo>>({
        .name = "remove_and_restore_2_2",
        .property = "P2 P21",
        .sometimes = {"withdrawn", "removed"},
        .large = Large::yes,
    }),
    proved<CancelAgainstShutdown<ShutdownMode::drain>>({
        .name = "cancel_against_drain_1_1",
        .property = "P7 P20",
        .sometimes = {"withdrawn", "rejected"},
    }),
    proved<CancelAgainstShutdown<ShutdownMode::drain, With<Requesters<2>, Workers<1>, Stripes<2>>,
                                 OneStripeInAHold>>({
        .name = "cancel_against_drain_1_1_in_slices",
        .property = "P20 P7",
        .sometimes = {"withdrawn"},
    }),
    proved<CancelAgainstShutdown<ShutdownMode::finish_running>>({
        .name = "cancel_against_finish_running_1_1",
        .property = "P7 P20",
        .sometimes = {"withdrawn", "rejected"},
    }),
    proved<RemoveAgainstShutdown<ShutdownMode::drain>>({
        .name = "remove_against_drain_1_1",
        .property = "P7 P21",
        .sometimes = {"withdrawn", "rejected", "shut down before"},
    }),
    proved<RemoveAgainstShutdown<ShutdownMode::cancel>>({
        .name = "remove_against_cancelling_1_1",
        .property = "P7 P21",
        .sometimes = {"withdrawn", "rejected", "shut down before"},
    }),
    proved<RemoveAgainstScan<true>>({
        .name = "remove_against_scan_0_1",
        .property = "P21",
        .sometimes = {"the scan asks"},
    }),

    // A request does not see that a node is under way, and pushes the stripe a second time.
    refuted<WithdrawSuspendedClaim<Withdraws::cancels, OverlooksWhatIsUnderWay>>({
        .name = "cancel_a_suspended_claim_without_the_mark",
        .property = "P20",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<WithdrawSuspendedClaimTwice<Withdraws::cancels, Resumes::after_both,
                                        OverlooksWhatIsUnderWay>>({
        .name = "cancel_a_suspended_claim_twice_without_the_mark",
        .property = "P20",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<WithdrawSuspendedClaim<Withdraws::removes, OverlooksWhatIsUnderWay>>({
        .name = "remove_a_suspended_claim_without_the_mark",
        .property = "P21",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<CancelStopsNoOther<KeepsFlags>>({
        .name = "cancel_that_stops_the_next_too",
        .property = "P20",
        .failure = Failure::check_failed,
        .because = "no other compaction is asked to stop",
    }),
    refuted<CancelEachCompaction<2, TellsWhoSleeps<KeepsFlags>>>({
        .name = "two_cancel_each_compaction_and_the_next_too",
        .property = "P20",
        .failure = Failure::check_failed,
        .because = "nobody asks it to stop whose call had returned",
    }),
    refuted<RemoveAndRestore<TwoAndOne, Frees::at_once>>({
        .name = "remove_that_frees_at_once",
        .property = "P21",
        .timeouts = 1,
        .failure = Failure::data_race,
        .because = "engine",
    }),
    refuted<RemoveAndRestore<TwoAndOne, Frees::when_removed, OverlooksRemovals>>({
        .name = "remove_that_requests_overlook",
        .property = "P21",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<RemoveAgainstScan<false>>({
        .name = "remove_against_a_scan_that_does_not_ask",
        .property = "P21",
        .failure = Failure::data_race,
        .because = "engine",
    }),
};

}  // namespace
}  // namespace kstone::model
