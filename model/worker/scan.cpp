// P16 Nothing depends on the timer: the scan's wait may never end, or end at any moment.
// P9  A wait for all waits for the first scan and what it queues, and for no scan that does not
// come.

#include <chrono>

#include "scene.h"

namespace kstone::model {
namespace {

// The only requester is the scan, and somebody shuts down. A drain waits for the first scan, if it
// `waits`.
template <ShutdownMode mode = ShutdownMode::drain, bool waits = mode == ShutdownMode::drain,
          class Sync = RelacySync>
struct ScanAgainstShutdown : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  using Base = Scene<With<Requesters<1>, Workers<1>>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  void before() {
    typename Base::Worker::Options options;
    options.scan = [this](typename Base::Worker&) {
      const auto now = RelacySync::clock::now();
      check(scans == 0 || now >= last + std::chrono::seconds(60),
            "the scan waits for its interval");
      last = now;
      ++scans;
      if (scans == 1) {
        this->request(0);
      }
    };
    this->make(
        [this](typename Base::Context& context) {
          this->note(context);
          return CompactionOutcome::done();
        },
        options);
    this->start();
  }
  void thread(int) { this->check_complete(this->worker->shutdown(mode, limit)); }
  void after() {
    check(!waits || this->was_accepted(0), "what the first scan requests is accepted");
    this->check_served_or_reported(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
    this->cover_if(scans > 1, "scanned again");
    this->cover_if(scans == 0, "closed before the first scan");
    this->cover_if(this->was_accepted(0), "accepted");
    this->cover_if(this->was_served(0), "served");
  }

  Limit limit;                       // none, or one that never passes
  int scans = 0;                     // of one thread, read after its join
  std::chrono::nanoseconds last{0};  // as scans
};

struct ScanAgainstDrainWithinALimit : ScanAgainstShutdown<> {
  ScanAgainstDrainWithinALimit() { limit = Limit(std::chrono::hours(1)); }
};

// Where the worker thread is refused, the scan's is not even tried.
struct NoScanWithoutWorkers : Scene<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  bool scanned = false;  // by the scan's thread, read after its join

  void before() {
    Worker::Options options;
    options.scan = [this](Worker&) { scanned = true; };
    make([](Context&) { return CompactionOutcome::done(); }, options);
  }
  void thread(int) { started = worker->start() == StartResult::started; }
  void after() {
    check_complete(worker->shutdown());
    check(started || !scanned, "no scan runs without a worker thread");
    cover_if(!started, "no threads");
    cover_if(scanned, "scanned");
    worker.reset();
  }

  bool started = false;
};

// A shutdown whose limit passes while the scan runs says so, and the next one waits for its end.
template <class Sync = RelacySync>
struct LimitPassesWhileTheScanRuns : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  using Base = Scene<With<Requesters<1>, Workers<1>>, Sync>;
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 2;

  RelacySync::semaphore began;
  RelacySync::semaphore end;

  void before() {
    typename Base::Worker::Options options;
    options.scan = [this](typename Base::Worker&) {
      began.post(1);
      end.wait();
    };
    this->make([](typename Base::Context&) { return CompactionOutcome::done(); }, options);
    this->start();
  }
  void thread(int) {
    began.wait();
    const auto first = this->worker->shutdown(ShutdownMode::drain, std::chrono::seconds(1));
    check(!first.complete && first.still_running.empty(), "the scan still runs, and no job");
    end.post(1);
    this->check_complete(this->worker->shutdown());
  }
  void after() {
    this->check_quiet(this->worker->snapshot());
    this->worker.reset();
  }
};

// Somebody waits for all before the worker has been started, while another starts it and, unless
// it leaves that to the end, shuts it down. The scan asks for the stripe.
enum class Ends { by_another, afterwards };

template <Ends ends, class Sync = RelacySync>
struct WaitForFirstScan : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  using Base = Scene<With<Requesters<1>, Workers<1>>, Sync>;
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 2;

  void before() {
    typename Base::Worker::Options options;
    options.scan = [this](typename Base::Worker&) { this->request(0); };
    this->make(
        [this](typename Base::Context& context) {
          this->note(context);
          return CompactionOutcome::done();
        },
        options);
  }
  void thread(int index) {
    if (index == 0) {
      result = this->worker->wait_idle();
      served = result == IdleResult::idle && this->compactions[0].read() == 1;
    } else {
      started = this->worker->start() == StartResult::started;
      if (ends == Ends::by_another || !started) {
        this->check_complete(this->worker->shutdown(ShutdownMode::drain));
      }
    }
  }
  void after() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    check(ends == Ends::by_another || !started || result == IdleResult::idle,
          "a wait ends with the scan");
    check(result == IdleResult::idle || result == IdleResult::shut_down,
          "a wait answers idle or shut_down");
    check(result != IdleResult::idle || served || this->compactions[0].read() == 0,
          "idle comes after what the scan has queued");
    this->cover_if(result == IdleResult::shut_down, "interrupted");
    this->cover_if(served, "scanned first");
    this->cover_if(result == IdleResult::idle && !served, "no thread for the scan");
    this->worker.reset();
  }

  IdleResult result{};  // of thread 0
  bool served = false;
  bool started = false;  // of thread 1
};

const Registered suites[] = {
    proved<WaitForFirstScan<Ends::by_another>>({
        .name = "wait_idle_for_the_first_scan_against_drain",
        .property = "P7 P9",
        .sometimes = {"interrupted", "scanned first"},
        .large = Large::with_surprises,
    }),
    proved<WaitForFirstScan<Ends::afterwards>>({
        .name = "wait_idle_for_a_first_scan_that_may_not_come",
        .property = "P9 P14",
        .sometimes = {"scanned first", "no thread for the scan"},
        .refused_threads = 1,
    }),
    refuted<WaitForFirstScan<Ends::afterwards, LosesNotifications>>({
        .name = "wait_idle_that_is_not_told_of_the_first_scan",
        .property = "P9",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on episode_ended",
    }),
    proved<NoScanWithoutWorkers>({
        .name = "start_with_a_scan_and_failing_threads",
        .property = "P14",
        .sometimes = {"no threads", "scanned"},
        .refused_threads = 1,
    }),
    proved<ScanAgainstShutdown<>>({
        .name = "scan_against_drain",
        .property = "P7 P16",
        .always = {"accepted", "served"},
    }),
    proved<ScanAgainstShutdown<ShutdownMode::finish_running>>({
        .name = "scan_against_finish_running",
        .property = "P7 P16",
        .sometimes = {"closed before the first scan", "accepted", "served"},
    }),
    refuted<ScanAgainstShutdown<ShutdownMode::finish_running, true>>({
        .name = "scan_against_a_shutdown_that_does_not_wait",
        .property = "P7",
        .failure = Failure::check_failed,
        .because = "what the first scan requests is accepted",
    }),
    proved<ScanAgainstDrainWithinALimit>({
        .name = "scan_against_drain_within_its_limit",
        .property = "P7 P16",
        .always = {"accepted", "served"},
    }),
    proved<ScanAgainstShutdown<>>({
        .name = "scan_that_repeats_against_drain",
        .property = "P7 P16",
        .sometimes = {"scanned again"},
        .always = {"accepted", "served"},
        .timeouts = 1,
        .large = Large::with_surprises,
    }),
    proved<LimitPassesWhileTheScanRuns<>>({
        .name = "limit_passes_while_the_scan_runs",
        .property = "P7 P16",
        .timeouts = 2,  // of the wait for the scan, and of that for the threads
    }),
    // Limits never pass.
    refuted<LimitPassesWhileTheScanRuns<>>({
        .name = "limit_never_passes_while_the_scan_runs",
        .property = "P7",
        .failure = Failure::deadlock,
        .because = "t0 sleeps on episode_ended",
    }),
    refuted<ScanAgainstShutdown<ShutdownMode::drain, true, LosesNotificationsOfOne>>({
        .name = "scan_against_drain_that_does_not_end_its_sleep",
        .property = "P16",
        .failure = Failure::deadlock,
        .because = "w1 sleeps on closed",
    }),
};

}  // namespace
}  // namespace kstone::model
