// P26 What has failed so often that it is in quarantine keeps nobody waiting; a probe or a release
//     tries it again, once, and it is lost to nobody who closes.
// Covers: I3.

#include "fails_at_first.h"

namespace kstone::model {
namespace {

// One failure is enough.
template <class Sync = RelacySync, int requesters = 1>
struct InQuarantine : FailsAtFirst<With<Requesters<requesters>, Workers<1>>, Fails::retry, Sync> {
  void before() { this->make_and_start(1); }
  bool is_quarantined() const { return this->worker->brief_snapshot().quarantined == 1; }
  bool releases() {
    const auto result = this->worker->release(0);
    check(result == ReleaseResult::released || result == ReleaseResult::not_quarantined,
          "what is in quarantine is released, and nothing else");
    return result == ReleaseResult::released;
  }
  // Whoever waits sees that what was asked for is done, or in quarantine; released, it is done.
  void after() {
    check(this->worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle,
          "nobody waits for it");
    this->cover_if(is_quarantined(), "in quarantine");
    const bool quarantined = is_quarantined();
    check(quarantined == (this->compactions[0].read() == 1), "until it is tried again");
    check(releases() == quarantined, "a release finds it, or it is done");
    check(this->worker->wait_idle() == IdleResult::idle, "then it is done");
    check(this->compactions[0].read() == 2, "it is tried again once");
    this->check_served();
    this->end();
  }
};

// Somebody releases it, maybe before it is there.
template <class Sync = RelacySync>
struct Release : InQuarantine<Sync> {
  static constexpr int threads = 2;

  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->cover_if(this->releases(), "released");
    }
  }
};

// Its probe's time may come, and a request with it.
struct ProbeAgainstRequest : InQuarantine<RelacySync, 2> {
  static constexpr int threads = 1;

  void before() {
    InQuarantine<RelacySync, 2>::before();
    request(0);
  }
  void thread(int) { request(1); }
  void after() {
    check(worker->wait_idle({}, WhenDelayed::wait) == IdleResult::idle, "nobody waits for it");
    cover_if(is_quarantined() && answers[1] == Submission::coalesced, "requested in quarantine");
    cover_if(!is_quarantined(), "probed");
    static_cast<void>(releases());
    check(worker->wait_idle() == IdleResult::idle, "then it is done");
    check_served();
    end();
  }
};

// Who waits for the stripe while it fails.
template <std::uint32_t quarantine_after>
struct WaitForWhatFails : FailsAtFirst<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;

  void before() {
    make_and_start(quarantine_after);
    request(0);
  }
  void thread(int) {
    const auto answer = worker->wait_idle(0, {}, WhenDelayed::wait);
    check(answer == (StripeIdle{IdleResult::quarantined, EpisodeEnd::failed}) ||
              answer == (StripeIdle{IdleResult::idle, EpisodeEnd::failed}),
          "it is told that it failed");
  }
  void after() {
    check_complete(worker->shutdown());
    check_accounts();
    worker.reset();
  }
};

// The worker closes.
struct QuarantineAgainstDrain : InQuarantine<> {
  static constexpr int threads = 2;

  void thread(int index) {
    if (index == 0) {
      request(0);
    } else {
      check_complete(worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    const auto report = worker->shutdown(ShutdownMode::drain);
    const bool quarantined = lists(report.quarantined, 0);
    check(!quarantined || (lists(report.discarded, 0) && lists(report.unfinished, 0)),
          "what is in quarantine is discarded, and its work is left");
    const int begun = compactions[0].read();
    check(!was_accepted(0) || begun == 2 || lists(report.unfinished, 0),
          "what was accepted is done, or is reported");
    cover_if(quarantined, "discarded in quarantine");
    cover_if(begun == 1 && !quarantined, "failed after closing");
    cover_if(begun == 2, "probed");
    check_accounts();
    worker.reset();
  }
};

// The token for what is released is lost: the second thread posts it.
struct ReleaseWithoutItsToken : Release<LosesTokensOfOne> {
  ReleaseWithoutItsToken() { LosesTokensOfOne::loser = 2; }
};

const Registered suites[] = {
    proved<Release<>>({
        .name = "release_1_1",
        .property = "P2 P26",
        .sometimes = {"released", "in quarantine"},
        .large = Large::with_surprises,
    }),
    proved<ProbeAgainstRequest>({
        .name = "probe_against_request_1_1",
        .property = "P2 P26",
        .sometimes = {"requested in quarantine", "probed"},
        .timeouts = 1,
        .large = Large::yes,
    }),
    proved<WaitForWhatFails<1>>({
        .name = "wait_for_what_fails_1_1",
        .property = "P26",
    }),
    proved<QuarantineAgainstDrain>({
        .name = "quarantine_against_drain_1_1",
        .property = "P7 P26",
        .sometimes = {"discarded in quarantine", "failed after closing", "probed", "rejected"},
        .timeouts = 1,
    }),

    // Without quarantine who waits for what fails waits for a time that does not come.
    refuted<WaitForWhatFails<0>>({
        .name = "wait_for_what_fails_without_quarantine",
        .property = "P26",
        .failure = Failure::deadlock,
        .because = "sleeps on due",
    }),
    refuted<ReleaseWithoutItsToken>({
        .name = "release_without_its_token",
        .property = "P2 P26",
        .failure = Failure::deadlock,
        .because = "semaphore wait sleepers",
    }),
};

}  // namespace
}  // namespace kstone::model
