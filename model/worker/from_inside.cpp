// P17 Waits from inside a job or a log sink are refused.
// P7  What is answered without a look at any word.

#include <memory>
#include <string_view>

#include "scene.h"

namespace kstone::model {
namespace {

template <class Sync = RelacySync>
struct WaitFromInside : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->make([this](typename Scene<With<Requesters<1>, Workers<1>>, Sync>::Context& context) {
      this->note(context);
      check(context.stats().snapshot().active_compactions == 1, "a running job is active");
      check(this->worker->wait_idle() == IdleResult::refused,
            "wait_idle is refused from inside a job");
      check(this->worker->shutdown().refused, "shutdown is refused from inside a job");
      check(this->worker->cancel(0, Limit()).result == CancelReport::Result::refused &&
                this->worker->remove(0) == RemoveResult::refused &&
                this->worker->pause_all().result() == PauseResult::refused,
            "so are the other calls that wait");
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown());
    }
  }
  void after() {
    this->check_served_or_reported(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The log sink of a worker whose job fails calls back on the thread that logs: what it may do from
// there, and what it is refused.
template <class Sync = RelacySync>
struct LogSinkCallsBack : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 2;

  // Of the one worker thread, read after its join.
  bool retried = false;
  Submission from_sink = Submission::rejected_shutting_down;

  void before() {
    this->make(
        [this](typename Scene<With<Requesters<1>, Workers<1>>, Sync>::Context& context) {
          return this->note(context) == 1 ? CompactionOutcome::failed("broken")
                                          : CompactionOutcome::done();
        },
        {.log = [this](LogLevel level, std::string_view) {
          if (this->worker == nullptr) {
            return;  // its constructor or destructor
          }
          this->check_laws(this->worker->snapshot());
          if (level == LogLevel::warn && !retried) {  // of the failure
            retried = true;
            check(this->worker->wait_idle() == IdleResult::refused,
                  "wait_idle is refused from inside a log sink");
            from_sink = this->worker->queue_compaction(0);
            cover(accepted(from_sink) ? "accepted from the sink" : "rejected from the sink");
          }
        }});
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown());
    }
  }
  void after() {
    const auto report = this->worker->shutdown();
    const bool discarded = this->lists(report.discarded, 0);
    check(!this->was_accepted(0) || this->was_served(0) || discarded,
          "an accepted request is served or reported");
    check(!accepted(from_sink) || discarded != (this->compactions[0].read() > 1),
          "what the sink requests is served or reported, not both");
    this->cover_if(this->compactions[0].read() > 1, "served again");
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// What is answered without a look at any word: an unknown stripe, and a worker whose configuration
// is disabled.
struct EarlyAnswers : Scene<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;

  void before() {
    this->make();
    disabled = std::make_unique<Worker>(CompactionConfig::disabled(), Worker::StatsAtomic(), 1U,
                                        [](Context&) { return CompactionOutcome::done(); });
  }
  void thread(int) {
    check(worker->queue_compaction(1) == Submission::rejected_unknown_stripe,
          "stripe 1 of 1 is unknown");
    check(disabled->start() == StartResult::started, "a disabled worker starts");
    check(disabled->is_running() && disabled->snapshot().worker_threads == 0,
          "it runs without threads");
    check(disabled->queue_compaction(0) == Submission::rejected_disabled,
          "a disabled worker rejects");
  }
  void after() {
    const auto s = worker->snapshot();
    check(s.rejected_unknown_stripe == 1 && s.requests() == 1 && s.queue_size == 0,
          "an unknown stripe has no effect");
    const auto d = disabled->snapshot();
    check(d.rejected_disabled == 1 && d.requests() == 1 && d.queue_size == 0,
          "a rejected request has no effect");
    check(disabled->wait_idle() == IdleResult::idle, "a disabled worker is idle");
    check(disabled->shutdown(static_cast<ShutdownMode>(3)).refused && disabled->is_running(),
          "a mode that there is not is refused");
    check_complete(disabled->shutdown());
    check(!disabled->is_running() && disabled->start() == StartResult::shut_down,
          "the end is final");
    disabled.reset();
    worker.reset();
  }

  std::unique_ptr<Worker> disabled;
};

const Registered suites[] = {
    proved<EarlyAnswers>({
        .name = "early_answers",
        .property = "P7",
    }),
    proved<WaitFromInside<>>({
        .name = "wait_from_inside_a_job",
        .property = "P17",
        .sometimes = {"served", "discarded", "rejected"},
    }),
    proved<LogSinkCallsBack<>>({
        .name = "log_sink_calls_back",
        .property = "P17",
        .sometimes = {"accepted from the sink", "rejected from the sink", "served again"},
    }),
    refuted<WaitFromInside<KnowsNoThread>>({
        .name = "wait_from_inside_a_job_that_is_not_known",
        .property = "P17",
        .failure = Failure::check_failed,
        .because = "wait_idle is refused from inside a job",
    }),
    refuted<LogSinkCallsBack<KnowsNoThread>>({
        .name = "log_sink_of_a_thread_that_is_not_known",
        .property = "P17",
        .failure = Failure::check_failed,
        .because = "wait_idle is refused from inside a log sink",
    }),
};

}  // namespace
}  // namespace kstone::model
