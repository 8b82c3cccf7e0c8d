// P6 The laws of the counters hold in every snapshot, also one taken in the middle. P2 Who looks
// loses no request.
// Covers: I4.

#include <string>

#include "scene.h"

namespace kstone::model {
namespace {

template <class Size, class Sync = RelacySync>
struct SnapshotInTheMiddle : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 1;
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
      return;
    }
    const auto s = this->worker->snapshot();
    this->check_laws(s);
    check(s.queue_size + s.running <= Size::stripes, "a stripe is queued or running once");
    this->cover_if(s.episodes_alive != 0, "alive in the snapshot");
    this->cover_if(s.running != 0, "running in the snapshot");
  }
  void after() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_served();
    this->check_accounts();
    this->worker.reset();
  }
};

// Who asks about a stripe moves nothing that is not moved back into order: each request is served.
template <class Size>
struct ExplainedInTheMiddle : SnapshotInTheMiddle<Size> {
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
      return;
    }
    const auto said = this->worker->explain(0);
    const auto says = [&said](const char* words) { return said.find(words) != std::string::npos; };
    check(!says("left undone"), "nothing is given up");
    this->cover_if(says("has not handed it over"), "the request is between its two steps");
    this->cover_if(says("waits in the queue"), "the stripe is in the queue");
    this->cover_if(says("is being compacted"), "the stripe runs");
    this->cover_if(says("nothing to do"), "the stripe is idle");
  }
};

// A caller that takes two looks for one: the second of the law's two sides is newer.
enum class Newer { ends, answers };

template <Newer newer>
struct SnapshotOfTwoMoments : SnapshotInTheMiddle<With<Requesters<1>, Workers<1>>> {
  void thread(int index) {
    if (index == 0) {
      request(0);
      return;
    }
    auto s = worker->snapshot();
    const auto later = worker->snapshot();
    if (newer == Newer::ends) {
      s.episodes_done = later.episodes_done;
    } else {
      s.queued = later.queued;
    }
    check_laws(s);
  }
};

// Explored without reduction, which counts on what a step announces.
struct SnapshotWithoutLock
    : SnapshotInTheMiddle<With<Requesters<2>, Workers<1>>, LooksWithoutLock> {
  using Base = SnapshotInTheMiddle<With<Requesters<2>, Workers<1>>, LooksWithoutLock>;

  void before() {
    LooksWithoutLock::looker = -1;
    Base::before();
  }
  void thread(int index) {
    if (index == 2) {
      LooksWithoutLock::looker = RelacySync::thread::current_id();
    }
    Base::thread(index);
    LooksWithoutLock::looker = index == 2 ? -1 : LooksWithoutLock::looker;
  }
};

// The only compaction that runs requests a stripe that is queued in the core, then its own; each
// snapshot shows the step before and no more.
struct SnapshotFromAJob : Scene<With<Requesters<2>, Workers<1>, Stripes<2>>> {
  static constexpr int threads = 1;

  void before() {
    make([this](Context& context) {
      if (note(context) == 1 && context.stripe_id() == 0) {
        check_counts(0, 0);
        check(worker->queue_compaction(1) == Submission::coalesced, "the other stripe is queued");
        check_counts(1, 0);
        check(worker->queue_compaction(0) == Submission::rerun_pending, "its own stripe runs");
        check_counts(1, 1);
        check(worker->queue_compaction(0) == Submission::coalesced, "its own stripe is requested");
        check_counts(2, 1);
      }
      return CompactionOutcome::done();
    });
    request(0);
    request(1);
    const auto s = worker->snapshot();
    check(s.queued == 2 && s.coalesced == 0 && s.rerun_pending == 0 && s.queue_size == 2,
          "two claimed stripes are queued");
  }
  void thread(int) { start(); }
  void check_counts(std::uint64_t coalesced, std::uint64_t rerun_pending) {
    const auto s = worker->snapshot();
    check_laws(s);
    check(s.queued == 2 && s.coalesced == coalesced && s.rerun_pending == rerun_pending,
          "each answer is counted once");
    check(s.episodes_opened == 2 + rerun_pending && s.episodes_alive == 2 + rerun_pending,
          "all episodes are alive");
    check(s.queue_size == 1 && s.running == 1 && s.compactions_started == 1,
          "one is queued and one runs");
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle again");
    check(compactions[0].read() == 2 && compactions[1].read() == 1, "the re-run follows");
    check_complete(worker->shutdown());
    const auto s = worker->snapshot();
    check(s.queued == 2 && s.coalesced == 2 && s.rerun_pending == 1,
          "the answers are counted once");
    check_quiet(s);
    worker.reset();
  }
};

const Registered suites[] = {
    proved<SnapshotInTheMiddle<With<Requesters<1>, Workers<1>>>>({
        .name = "snapshot_in_the_middle_1_1",
        .property = "P6",
        .sometimes = {"alive in the snapshot", "running in the snapshot"},
    }),
    proved<SnapshotInTheMiddle<With<Requesters<2>, Workers<1>>>>({
        .name = "snapshot_in_the_middle_2_1",
        .property = "P6",
        .sometimes = {"alive in the snapshot", "running in the snapshot", "coalesced"},
    }),
    proved<SnapshotInTheMiddle<With<Requesters<2>, Workers<1>, Stripes<2>>, OneStripeInAHold>>({
        .name = "snapshot_in_the_middle_2_1_in_slices",
        .property = "P6",
        .sometimes = {"alive in the snapshot", "running in the snapshot"},
        .large = Large::with_surprises,
    }),
    proved<ExplainedInTheMiddle<With<Requesters<1>, Workers<1>>>>({
        .name = "explained_in_the_middle_1_1",
        .property = "P2",
        .sometimes = {"the request is between its two steps", "the stripe is in the queue",
                      "the stripe runs", "the stripe is idle"},
    }),
    proved<SnapshotFromAJob>({
        .name = "snapshot_from_a_job",
        .property = "P6",
    }),
    refuted<SnapshotOfTwoMoments<Newer::ends>>({
        .name = "snapshot_with_newer_ends",
        .property = "P6",
        .failure = Failure::check_failed,
        .because = "episodes are conserved",
    }),
    refuted<SnapshotOfTwoMoments<Newer::answers>>({
        .name = "snapshot_with_newer_answers",
        .property = "P6",
        .failure = Failure::check_failed,
        .because = "every episode was opened by one answer",
    }),
    refuted<SnapshotWithoutLock>({
        .name = "snapshot_without_lock",
        .property = "P6",
        .within = 2,
        .failure = Failure::check_failed,
        .because = "the counter of `queued` agrees with the answers",
    }),
};

}  // namespace
}  // namespace kstone::model
