// One round of the stress program: a worker, every call that it has on real threads, shutdown at a
// random moment, and what must hold at the end.

#ifndef KSTONE_TSAN_STRESS_ROUND_H_
#define KSTONE_TSAN_STRESS_ROUND_H_

#include <cxxabi.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"
#include "late_sync.h"
#include "recording_sync.h"
#include "stress_calls.h"
#include "stress_engine.h"
#include "stress_totals.h"
#include "trace.h"

namespace kstone::stress {

// -- One round ------------------------------------------------------------------------------------

constexpr int requesters = 3;

// What a caller writes before a request and the compaction reads: one plain cell for each caller
// and stripe, written once, so that a request which publishes nothing is a race. A compaction reads
// the cell if it is certain to be later than the request: its number is at least two above the
// number of compactions that had begun when the call had returned. These numbers are relaxed, so it
// is the request alone that publishes.
struct Written {
  int value = 0;
  // The number of the first such compaction; 0 while there is none.
  std::atomic<int> visible_from{0};
};

template <class Sync>
class Round {
 public:
  using Worker = kstone::basic_background_worker<Sync>;
  using Context = typename Worker::Context;

  Round(Random& random, bool recorded, bool threads_stay)
      : salt_(static_cast<unsigned>(random())),
        stripes_(1 + static_cast<std::uint32_t>(random() % 12)),
        written_(requesters * std::size_t{stripes_}),
        begun_(stripes_),
        engine_(stripes_, [this](std::uint32_t id) { return queue(id); }) {
    setting_.stripes = stripes_;
    setting_.worker_threads = 1 + static_cast<std::uint32_t>(random() % 4);
    setting_.thread_capacity = setting_.worker_threads + static_cast<std::uint32_t>(random() % 3);
    setting_.enabled = random() % 16 != 0;
    setting_.has_scan = random() % 2 != 0;
    setting_.has_sink = random() % 2 != 0;
    setting_.all_removed = random() % 4 == 0;
    if (random() % 2 != 0) {
      set_back_off(setting_, random);
    }
    jobs_end_threads_ = random() % 8 == 0 && !threads_stay;
    lateness_ = 1U << (random() % 6);
    if (recorded) {
      main_log_.emplace();
      kstone::trace::current = &*main_log_;
    }
  }
  ~Round() { kstone::trace::current = nullptr; }

  void run(Random& random) {
    typename Worker::Options options;
    if (setting_.has_scan) {
      options.scan = [this](Worker&) { scan(); };
    }
    if (setting_.has_sink) {
      options.log = [this](kstone::LogLevel, std::string_view) { sink(); };
    }
    options.all_removed = setting_.all_removed;
    options.thread_capacity = setting_.thread_capacity;
    options.back_off = back_off_of(setting_);
    auto config = kstone::CompactionConfig().with_max_concurrent(setting_.worker_threads);
    config.enabled = setting_.enabled;
    typename Worker::StatsAtomic stats;
    worker_.emplace(
        config, stats, stripes_, [this](Context& context) { return job(context); }, options);
    calls_.emplace(Calls<Sync>{*worker_});
    engine_.uses(*calls_, setting_.all_removed, random);

    started_first_ = random() % 2 == 0;
    if (started_first_) {
      start();
    }
    const auto requests = random() % 4 == 0 ? 2000 : 20 + random() % 400;
    for (int i = 0; i < requesters; ++i) {
      add_caller(random, [this, i, requests](Random& own) { request(own, i, requests); });
    }
    add_caller(random, [this](Random& own) { meet_late_ones(own); });
    add_caller(random, [this, requests](Random& own) { control(own, own() % (requests / 4)); });
    add_caller(random,
               [this, requests](Random& own) { end(own, own() % (requests * requesters)); });
    for (auto& caller : callers_) {
      caller.join();
    }
    callers_.clear();
    if (random() % 4 == 0) {
      check_end(calls_->shutdown(ShutdownMode::drain), stats);
    }
    destroy(random);
    check_counts(stats);
  }

  const kstone::trace::Setting& setting() const { return setting_; }
  std::vector<Log*> logs() {
    std::vector<Log*> all{&*main_log_};
    for (auto& log : logs_) {
      all.push_back(&log);
    }
    return all;
  }
  void add_to(Totals& totals) const {
    ++totals.rounds;
    for (const auto& count : answers_) {
      totals.requests += count.load(std::memory_order_relaxed);
    }
    totals.compactions += ran_.load(std::memory_order_relaxed);
    totals.publications_checked += checked_.load(std::memory_order_relaxed);
  }

 private:
  template <class Body>
  void add_caller(Random& random, Body body) {
    Log* log = main_log_ ? &logs_.emplace_back() : nullptr;
    if (log != nullptr && random() % 8 == 0) {
      // The threads that this caller starts, if it is the one that does.
      log->refused_starts = random();
    }
    callers_.emplace_back([log, body, seed = random()] {
      kstone::trace::current = log;
      Random own(static_cast<Random::result_type>(seed));
      body(own);
      kstone::trace::current = nullptr;
    });
  }

  Submission queue(std::uint32_t id, kstone::RequestOptions options = {}) {
    const auto answer = calls_->queue_compaction(id, options);
    answers_[static_cast<std::size_t>(answer)].fetch_add(1, std::memory_order_relaxed);
    return answer;
  }

  void request(Random& own, int requester, std::size_t requests) {
    // A busy machine makes each yield a long one.
    const auto pause = own() % 2 == 0 ? 0 : 8 + own() % 56;
    std::uint32_t id = 0;
    auto& late = late_[requester];
    const std::function<void()> is_late = [&] {
      late.store(id + 1, std::memory_order_relaxed);
      while (late.load(std::memory_order_relaxed) != 0) {
        std::this_thread::yield();
      }
    };
    for (std::size_t i = 0; i < requests; ++i) {
      progress_.fetch_add(1, std::memory_order_relaxed);
      if (pause != 0 && own() % pause == 0) {
        std::this_thread::yield();
      }
      id = static_cast<std::uint32_t>(own() % stripes_);
      auto& cell = written_[static_cast<std::size_t>(requester) * stripes_ + id];
      const bool first = cell.visible_from.load(std::memory_order_relaxed) == 0;
      if (cell.value == 0) {
        cell.value = 1;
      }
      before_push = own() % lateness_ == 0 || (i == 0 && !started_first_) ? &is_late : nullptr;
      const bool accepted = kstone::accepted(queue(id, any_options(own)));
      before_push = nullptr;
      if (first && accepted) {
        cell.visible_from.store(begun_[id].fetch_add(0, std::memory_order_relaxed) + 2,
                                std::memory_order_relaxed);
      }
      if (own() % 64 == 0) {
        any_call(own);
      }
    }
    requesters_left_.fetch_sub(1, std::memory_order_relaxed);
  }

  // As long as there are requesters: those that are late, each until some calls have met it.
  void meet_late_ones(Random& own) {
    bool start_is_due = !started_first_;
    while (requesters_left_.load(std::memory_order_relaxed) != 0) {
      bool none = true;
      for (auto& late : late_) {
        if (const auto id = late.load(std::memory_order_relaxed); id != 0) {
          none = false;
          if (std::exchange(start_is_due, false)) {
            start_under_late_ones();
          } else {
            meet(own, id - 1);
          }
          if (own() % 2 == 0) {
            late.store(0, std::memory_order_relaxed);
          }
        }
      }
      if (none) {
        std::this_thread::yield();
      }
    }
  }

  // So that the scan's thread finds them: it looks once in a round. There may be none.
  void start_under_late_ones() {
    start();
    while (setting_.has_scan && !scanned_.load(std::memory_order_relaxed) && calls_->is_running()) {
      std::this_thread::yield();
    }
  }

  // No call here waits for the late one, which waits for this thread.
  void meet(Random& own, std::uint32_t id) {
    switch (own() % 14) {
      case 0:
        calls_->wait_idle(std::chrono::seconds(0));
        return;
      case 1:
      case 2:
        calls_->wait_idle(id, std::chrono::seconds(0));
        return;
      case 3:
      case 4:
        calls_->wait_idle(id, std::chrono::microseconds(own() % 1000));
        queue(id);  // behind a compaction, unless none runs
        return;
      case 5:
        start();
        return;
      case 6:
        queue(id);
        return;
      case 7:
      case 8:
        engine_.cancel(own, id, std::nullopt);
        return;
      case 9:
        engine_.cancel(own, id, Limit());
        return;
      case 10:
      case 11:
        engine_.come_and_go(own, id, std::chrono::seconds(0));
        return;
      case 12:
        engine_.hold_back(own, id, std::chrono::seconds(0));
        return;
      default:
        check_snapshot();
    }
  }

  void control(Random& own, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      any_call(own);
    }
    start();
    for (std::size_t i = 0; i < count; ++i) {
      any_call(own);
    }
  }

  // Whatever the others wait for ends here, so the wait for their progress is bounded.
  void end(Random& own, std::size_t progress) {
    const auto latest = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    while (progress_.load(std::memory_order_relaxed) < progress &&
           std::chrono::steady_clock::now() < latest) {
      std::this_thread::yield();
    }
    if (own() % 2 == 0 && start() != StartResult::no_threads && !jobs_end_threads_ &&
        !fault_is_planted) {
      const auto result = calls_->wait_idle();  // and if it never ends, a wake-up was lost
      note_wait(result);
    }
    if (own() % 2 == 0) {
      calls_->shutdown(static_cast<ShutdownMode>(own() % 3),
                       std::chrono::microseconds(own() % 100));
    }
    check_report(calls_->shutdown(static_cast<ShutdownMode>(own() % 3)));
  }

  void note_wait(IdleResult result) {
    met.waits_paused.fetch_add(result == IdleResult::paused, std::memory_order_relaxed);
    met.waits_delayed.fetch_add(result == IdleResult::delayed, std::memory_order_relaxed);
  }

  StartResult start() {
    const auto result = calls_->start();
    if (!main_log_ && result == StartResult::no_threads) {
      fail("no thread could be created");
    }
    return result;
  }

  void release(std::uint32_t id) {
    const bool released = calls_->release(id) == kstone::ReleaseResult::released;
    met.released.fetch_add(released, std::memory_order_relaxed);
  }

  // To anything that there can be, or to what there cannot; or what the scan waits for, which is
  // longer than a round.
  void resize(unsigned choice) {
    if (choice % 8 == 0) {
      calls_->set_check_interval(std::chrono::hours(1 + choice % 3));
      return;
    }
    choice /= 8;
    const auto result = calls_->set_max_concurrent(choice % (setting_.thread_capacity + 2));
    met.resizes.fetch_add(result == ResizeResult::resized, std::memory_order_relaxed);
  }

  void any_call(Random& own) {
    if (own() % 5 == 0) {
      hold_back_call(own);
      return;
    }
    if (own() % 8 == 0) {
      resize(static_cast<unsigned>(own()));
      return;
    }
    switch (own() % 16) {
      case 0:
        note_wait(calls_->wait_idle(std::chrono::microseconds(own() % 1000)));
        return;
      case 1:
        note_wait(calls_->wait_idle(std::chrono::seconds(0)));
        return;
      case 10:
        met.retried_now.fetch_add(calls_->retry_now(), std::memory_order_relaxed);
        return;
      case 12:
      case 13:
        for (int i = 0; i < 8; ++i) {
          release(static_cast<std::uint32_t>(own() % (stripes_ + 1)));
        }
        return;
      case 11:
        calls_->wait_out(std::chrono::microseconds(own() % 1000));
        return;
      case 2:
        calls_->is_running();
        return;
      case 3:
        queue(stripes_ + static_cast<std::uint32_t>(own() % 3));
        return;
      case 4:
        if (own() % 16 == 0) {
          calls_->wait_idle();  // the start or the shutdown of another ends it
        }
        return;
      case 5:
        if (own() % 64 == 0) {
          calls_->shutdown(static_cast<ShutdownMode>(own() % 3),
                           std::chrono::microseconds(own() % 50));
        }
        return;
      case 6:
        if (own() % 16 == 0) {
          start();
        }
        return;
      case 7:
      case 8:
        check_snapshot();
        return;
      case 9:
        calls_->wait_idle(static_cast<std::uint32_t>(own() % stripes_),
                          std::chrono::microseconds(own() % 1000));
        return;
      default:
        calls_->queue_size();
        return;
    }
  }

  // With a limit of nothing, of a moment, or none.
  Limit any_limit(Random& own) {
    const auto choice = own() % 3;
    return choice == 0   ? Limit(std::chrono::seconds(0))
           : choice == 1 ? Limit(std::chrono::microseconds(own() % 1000))
                         : Limit();
  }

  void hold_back_call(Random& own) {
    const auto id = static_cast<std::uint32_t>(own() % stripes_);
    switch (own() % 8) {
      case 0:
      case 1:
        engine_.cancel(own, id, std::nullopt);
        return;
      case 2:
        engine_.cancel(own, id, any_limit(own));
        return;
      case 3:
      case 4:
        engine_.come_and_go(own, id, any_limit(own));
        return;
      case 5:
      case 6:
        engine_.hold_back(own, id, any_limit(own));
        return;
      default:
        engine_.hold_back(own, std::nullopt, any_limit(own));
    }
  }

  // ... and what would wait is refused.
  void hold_back_from_inside(unsigned choice) {
    const auto id = choice % stripes_;
    switch (choice / 16 % 5) {
      case 0:
        if (calls_->remove(id) != RemoveResult::refused) {
          fail("a removal by the worker itself was not refused");
        }
        return;
      case 1: {
        const auto pause = calls_->pause(id, Limit());
        if (pause.result() != PauseResult::refused) {
          fail("a pause by the worker itself was not refused");
        }
        return;
      }
      case 2:
        if (calls_->cancel(id, Limit()).result != CancelReport::Result::refused) {
          fail("a cancel that waits for the worker itself was not refused");
        }
        return;
      case 3:
        calls_->is_removed(id);
        return;
      default:
        calls_->cancel(id);
    }
  }

  // On a thread of the worker: what would wait is refused.
  void call_from_inside(unsigned choice) {
    switch (choice % 10) {
      case 8:
        resize(choice / 16);
        return;
      case 9:
        calls_->retry_now();
        release(choice / 16 % stripes_);
        return;
      case 0:
        if (calls_->wait_idle() != IdleResult::refused) {
          fail("a wait of the worker for itself was not refused");
        }
        return;
      case 1:
        if (!calls_->shutdown(ShutdownMode::cancel).refused) {
          fail("a shutdown of the worker by itself was not refused");
        }
        return;
      case 2:
        check_snapshot();
        return;
      case 3:
        calls_->queue_size();
        calls_->is_running();
        return;
      case 4:
      case 5:
        hold_back_from_inside(choice);
        return;
      default:
        queue(choice % (stripes_ + 1));
        return;
    }
  }

  void scan() {
    kstone::trace::add({Act::scan_begin});
    scanned_.store(true, std::memory_order_relaxed);
    for (unsigned i = 0; i < salt_ % 6; ++i) {
      call_from_inside(salt_ + i);
    }
    engine_.scan();
    calls_->start();
    const bool throws = salt_ % 3 == 0;
    kstone::trace::add({Act::scan_end, 0, 0, 0, 0, throws});
    if (throws) {
      throw 1;
    }
  }

  void sink() {
    kstone::trace::add({Act::sink_begin});
    const auto line = lines_.fetch_add(1, std::memory_order_relaxed);
    if (line % 4 == 0) {
      call_from_inside(salt_ + line / 4);
    }
    kstone::trace::add({Act::sink_end});
    if (line % 16 == 0) {
      throw 1;
    }
  }

  CompactionOutcome job(Context& context) {
    const auto id = context.stripe_id();
    kstone::trace::add({Act::job_begin, static_cast<std::uint8_t>(context.priority()), id, 0,
                        context.reasons(), context.attempt()});
    try {
      auto outcome = compact(context);
      record_outcome(id, outcome.kind(), outcome.error(), false, outcome.lacks_resource());
      return outcome;
    } catch (const abi::__forced_unwind&) {
      record_outcome(id, CompactionOutcome::Kind::failed, "thread ended", true);
      throw;
    } catch (const std::exception& exception) {
      record_outcome(id, CompactionOutcome::Kind::failed, exception.what());
      throw;
    } catch (...) {
      record_outcome(id, CompactionOutcome::Kind::failed,
                     "an exception that is not a std::exception");
      throw;
    }
  }

  CompactionOutcome compact(Context& context) {
    const auto id = context.stripe_id();
    ran_.fetch_add(1, std::memory_order_relaxed);
    if (!engine_.begins(id)) {
      return CompactionOutcome::done();
    }
    const int number = 1 + begun_[id].fetch_add(1, std::memory_order_relaxed);
    for (int requester = 0; requester < requesters; ++requester) {
      const auto& cell = written_[static_cast<std::size_t>(requester) * stripes_ + id];
      const int from = cell.visible_from.load(std::memory_order_relaxed);
      if (from != 0 && number >= from) {
        checked_.fetch_add(1, std::memory_order_relaxed);
        if (cell.value == 0) {
          fail("a compaction did not see what its requester wrote");
        }
      }
    }
    const auto choice = salt_ + id * 31 + static_cast<unsigned>(number) * 7 + context.attempt();
    if (choice % 8 == 0) {
      std::this_thread::yield();
    }
    if (jobs_end_threads_ && choice % 32 == 31) {
      pthread_exit(nullptr);
    }
    switch (choice % 16) {
      case 0:
      case 1:
        return context.attempt() < 3 ? CompactionOutcome::more_work() : CompactionOutcome::done();
      case 2:
        throw id;
      case 3:
        throw std::runtime_error("stripe " + std::to_string(id));
      case 4:
      case 5:
        call_from_inside(choice / 16);
        return CompactionOutcome::nothing_to_do();
      case 6:
        calls_->start();
        return CompactionOutcome::failed("failed");
      case 7:
        return context.stop_requested() ? CompactionOutcome::stopped()
               : choice / 16 % 2 == 0   ? CompactionOutcome::retry("later")
                                        : CompactionOutcome::retry("gone", Retry::resource);
      case 8:
      case 9:
        return compact_in_parts(context, choice / 16 % 16);
      default:
        return CompactionOutcome::done();
    }
  }

  // Looks now and then whether it is asked to stop.
  CompactionOutcome compact_in_parts(Context& context, unsigned parts) {
    for (unsigned i = 0; i < parts; ++i) {
      if (context.stop_requested()) {
        count(met.stopped);
        return CompactionOutcome::stopped();
      }
      engine_.touches(context.stripe_id());
      std::this_thread::yield();
    }
    return parts % 2 == 0 || context.attempt() >= 3 ? CompactionOutcome::done()
                                                    : CompactionOutcome::more_work();
  }

  void destroy(Random& random) {
    std::optional<std::thread> waiter;
    if (random() % 4 == 0) {  // a wait that was entered before the destructor
      add_caller(random, [this](Random&) {
        calls_->wait_idle();
        waited_.store(true, std::memory_order_relaxed);
      });
      while (!waited_.load(std::memory_order_relaxed) && calls_->snapshot().waiting_callers == 0) {
        std::this_thread::yield();
      }
    }
    begins(Call::destroy);
    worker_.reset();
    ends(Call::destroy, 0);
    for (auto& caller : callers_) {
      caller.join();
    }
  }

  void check_snapshot() {
    const auto s = calls_->snapshot();
    if (s.episodes_opened != s.episodes_done + s.episodes_failed + s.episodes_cancelled +
                                 s.episodes_removed + s.episodes_discarded + s.episodes_alive ||
        s.episodes_opened != s.queued + s.rerun_pending + s.retries + s.probes) {
      fail("episodes are not conserved");
    }
  }

  void check_report(const kstone::ShutdownReport& report) {
    if (!report.complete || !report.still_running.empty()) {
      fail("a shutdown without a limit is not complete");
    }
  }

  void check_end(const kstone::ShutdownReport& report, const typename Worker::StatsAtomic& stats) {
    check_report(report);
    const auto s = calls_->snapshot();
    check_snapshot();
    if (s.episodes_alive != 0 || s.compactions_started != ran_ || s.running != 0 ||
        s.queue_size != 0 || s.worker_threads != 0) {
      fail("after shutdown something is left");
    }
    const std::uint64_t counted[] = {s.queued,
                                     s.coalesced,
                                     s.rerun_pending,
                                     s.rejected_unknown_stripe,
                                     s.rejected_disabled,
                                     s.rejected_shutting_down,
                                     s.rejected_removed};
    for (std::size_t i = 0; i < std::size(counted); ++i) {
      if (counted[i] != answers_[i].load(std::memory_order_relaxed)) {
        fail(std::string(to_string(static_cast<Submission>(i))) + " is counted " +
             std::to_string(counted[i]) + " times and was answered " +
             std::to_string(answers_[i].load()));
      }
    }
    if (stats.snapshot().total_compactions != s.outcomes[CompactionOutcome::Kind::done] +
                                                  s.outcomes[CompactionOutcome::Kind::more_work]) {
      fail("total_compactions is not the number of compactions that did something");
    }
  }

  void check_counts(const typename Worker::StatsAtomic& stats) {
    if (engine_.compactions() != ran_ || stats.snapshot().active_compactions != 0) {
      fail("two compactions of a stripe overlapped, or one is active for ever");
    }
  }

  const unsigned salt_;
  const std::uint32_t stripes_;
  bool jobs_end_threads_ = false;
  bool started_first_ = false;  // before any request
  std::uint32_t lateness_ = 0;  // of so many requests one is late, if it pushes
  kstone::trace::Setting setting_;
  std::vector<Written> written_;
  std::vector<std::atomic<int>> begun_;
  Engine<Sync> engine_;
  std::atomic<std::uint64_t> ran_{0};
  std::atomic<std::uint64_t> checked_{0};
  std::atomic<std::uint64_t> answers_[7] = {};
  std::atomic<std::uint64_t> progress_{0};  // requests
  std::atomic<int> requesters_left_{requesters};
  // The stripe, plus one, whose push each requester puts off until this is 0 again.
  std::atomic<std::uint32_t> late_[requesters] = {};
  std::atomic<unsigned> lines_{0};
  std::atomic<bool> waited_{false};
  std::atomic<bool> scanned_{false};
  std::optional<Log> main_log_;
  std::deque<Log> logs_;
  std::optional<Worker> worker_;
  std::optional<Calls<Sync>> calls_;
  std::vector<std::thread> callers_;
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_ROUND_H_
