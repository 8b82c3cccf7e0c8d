// P19 A requester that is suspended between its two steps holds its stripe up no longer than until
//     somebody waits for it, or the scan looks: the claim is taken over, and the node that comes
//     late does no harm.
// Covers: I2, I6.

#include "scene.h"

namespace kstone::model {
namespace {

enum class Wait { for_all, for_one };

// The requester of thread 0, if it claims the stripe, is suspended before it pushes it. Another
// asks for the stripe too, which pushes nothing, and waits: what it waits for is done before the
// suspension ends.
template <class Size, Wait wait = Wait::for_all, class Sync = SuspendsBetweenSteps>
struct WaitWhileClaimIsSuspended : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters;
  static constexpr int equal_dynamic_threads = Size::workers;

  RelacySync::atomic<bool> served[Size::requesters];
  SuspendsBetweenSteps::Hold hold;

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      this->note(context);
      for (int requester = 0; requester < Size::requesters; ++requester) {
        if (this->was_served(requester)) {
          served[requester].store(true, std::memory_order_relaxed);
        }
      }
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      this->request(0);
    } else {
      ask_and_wait(index);
      if (index == 1) {
        hold.push.post(1);
      }
    }
  }
  void ask_and_wait(int index) {
    this->request(index);
    const auto id = static_cast<std::uint32_t>(this->stripe_of(index));
    check((wait == Wait::for_all ? this->worker->wait_idle()
                                 : this->worker->wait_idle(id).result) == IdleResult::idle,
          "wait_idle answers idle");
    check(served[index].load(std::memory_order_relaxed),
          "idle comes after a compaction that sees its payload");
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    finish();
  }
  void finish() {
    this->check_accounts();
    this->worker.reset();
  }
};

// ... and asks once more, for a stripe that is idle again while its node is on its way; and again
// when it comes.
template <class Sync = SuspendsBetweenSteps>
struct AsksAgainWhileClaimIsSuspended
    : WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>, Wait::for_all, Sync> {
  void thread(int index) {
    if (index == 0) {
      this->hold.first = RelacySync::thread::current_id();
      this->request(0);
      return;
    }
    this->ask_and_wait(1);
    const bool was_taken_over = this->answers[1] == Submission::coalesced;
    served_again_from = this->worker->snapshot().compactions_started;
    const auto answer = this->worker->queue_compaction(0);
    check(!was_taken_over || answer == Submission::queued,
          "a stripe that is idle again is queued, whatever is under way");
    this->cover_if(was_taken_over, "asked for while its node is under way");
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(this->worker->snapshot().compactions_started > served_again_from,
          "a compaction follows the second request");
    this->hold.push.post(1);
    // Before the late node has been popped, or after: then this call links the stripe.
    this->worker->queue_compaction(0);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }

  std::uint64_t served_again_from = 0;  // of thread 1
};

// ... and closes, by any mode: the suspension ends during the shutdown, or after it.
template <ShutdownMode mode>
struct ShutdownWhileClaimIsSuspended : WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>> {
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      request(0);
      return;
    }
    ask_and_wait(1);
    hold.push.post(1);
    check_complete(worker->shutdown(mode));
  }
  void after() {
    check_served_or_reported(worker->shutdown());
    finish();
  }
};

// Nobody waits; the scan looks once more, and takes the claim over. The suspension comes first.
template <class Sync = ScansWhileClaimIsSuspended>
struct ScanWhileClaimIsSuspended
    : WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>, Wait::for_all, Sync> {
  using Base = WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>, Wait::for_all, Sync>;
  static constexpr int dynamic_threads = 2;
  static constexpr int equal_dynamic_threads = 0;

  RelacySync::semaphore compacted;
  ScansWhileClaimIsSuspended::Look look;

  void before() {
    SuspendsBetweenSteps::hold = &this->hold;
    ScansWhileClaimIsSuspended::look = &look;
    typename Base::Worker::Options options;
    options.scan = [](typename Base::Worker&) {};
    this->make(
        [this](typename Base::Context& context) {
          this->note(context);
          compacted.post(1);
          return CompactionOutcome::done();
        },
        options);
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->hold.first = RelacySync::thread::current_id();
      this->request(0);
    } else {
      this->hold.suspended.wait();
      this->request(1);
      look.now();
      compacted.wait();
      this->hold.push.post(1);
    }
  }
};

const Registered suites[] = {
    proved<WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>>>({
        .name = "wait_idle_while_a_claim_is_suspended_2_1",
        .property = "P2 P4 P9 P19",
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved_without_surprises<WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<2>>>>({
        .name = "wait_idle_while_a_claim_is_suspended_2_2",
        .property = "P2 P4 P9 P19",
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved_without_surprises<WaitWhileClaimIsSuspended<With<Requesters<3>, Workers<1>>>>({
        .name = "wait_idle_while_a_claim_is_suspended_3_1",
        .property = "P2 P4 P9 P19",
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved<WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>, Wait::for_one>>({
        .name = "wait_for_one_while_a_claim_is_suspended_2_1",
        .property = "P2 P4 P9 P19",
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved<AsksAgainWhileClaimIsSuspended<>>({
        .name = "asks_again_while_a_claim_is_suspended_2_1",
        .property = "P2 P19",
        .sometimes = {"coalesced", "asked for while its node is under way"},
        .large = Large::with_surprises,
    }),
    proved<ShutdownWhileClaimIsSuspended<ShutdownMode::drain>>({
        .name = "drain_while_a_claim_is_suspended_2_1",
        .property = "P7 P19",
        .sometimes = {"coalesced"},
    }),
    proved<ShutdownWhileClaimIsSuspended<ShutdownMode::finish_running>>({
        .name = "finish_running_while_a_claim_is_suspended_2_1",
        .property = "P7 P19",
        .sometimes = {"coalesced"},
    }),
    proved<ScanWhileClaimIsSuspended<>>({
        .name = "scan_while_a_claim_is_suspended_2_1",
        .property = "P2 P19",
        .sometimes = {"coalesced"},
        .large = Large::with_surprises,
    }),

    // A request does not see that a node is under way, and pushes the stripe a second time.
    refuted<AsksAgainWhileClaimIsSuspended<OverlooksWhatIsUnderWay>>({
        .name = "asks_again_without_the_mark",
        .property = "P19",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<
        WaitWhileClaimIsSuspended<With<Requesters<2>, Workers<1>>, Wait::for_all, OverlooksClaims>>(
        {
            .name = "wait_idle_that_takes_nothing_over",
            .property = "P19",
            .failure = Failure::check_failed,
            .because = "a compaction that sees its payload",
        }),
    refuted<ScanWhileClaimIsSuspended<NeverScansAgain>>({
        .name = "a_claim_is_suspended_and_nobody_looks",
        .property = "P19",
        .failure = Failure::deadlock,
        .because = "t1 semaphore wait",
    }),
};

}  // namespace
}  // namespace kstone::model
