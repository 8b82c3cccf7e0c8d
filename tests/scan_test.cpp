// The periodic scan, on a clock that only the test moves: once at the start, then once for each
// interval; nothing else waits for it.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ratio>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "manual_clock_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using Worker = basic_background_worker<ManualClockSync>;
using Clock = ManualClockSync::clock;
using std::chrono::seconds;

struct Scene {
  Journal<std::uint32_t> compacted;
  Journal<int> scans;
  Worker::Options options;

  Scene() {
    options.scan = [this](Worker& worker) {
      scans.add(0);
      worker.queue_compaction(3);
    };
  }
  Worker::Job job() {
    return [this](Worker::Context& context) {
      compacted.add(context.stripe_id());
      return CompactionOutcome::done();
    };
  }
};

TEST(Scan, runs_at_the_start_and_once_for_each_interval) {
  Scene scene;
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  Clock::await_sleepers(1);
  scene.compacted.await(1);
  EXPECT_EQ(scene.scans.events().size(), 1U);

  Clock::advance(seconds(59));
  Clock::await_sleepers(1);
  EXPECT_EQ(scene.scans.events().size(), 1U);

  Clock::advance(seconds(1));
  scene.scans.await(2);
  Clock::await_sleepers(1);
  Clock::advance(seconds(60));
  scene.scans.await(3);
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(Scan, begins_sooner_once_its_interval_is_shorter) {
  Scene scene;
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.scans.await(1);
  Clock::await_sleepers(1);
  Clock::advance(seconds(20));
  worker.set_check_interval(seconds(20));  // which have passed
  scene.scans.await(2);
  Clock::await_sleepers(1);
  Clock::advance(seconds(20));
  scene.scans.await(3);
  EXPECT_EQ(worker.config().check_interval_secs, 60U);  // as it was made
  EXPECT_EQ(worker.snapshot().check_interval, seconds(20));
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(Scan, begins_later_once_its_interval_is_longer) {
  Scene scene;
  scene.options.scan = [&](Worker& worker) {
    worker.set_check_interval(std::chrono::minutes(2));
    scene.scans.add(0);
  };
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  Clock::await_sleepers(1);
  Clock::advance(seconds(119));
  Clock::await_sleepers(1);
  EXPECT_EQ(scene.scans.events().size(), 1U);
  Clock::advance(seconds(1));
  scene.scans.await(2);
}

// The first timed wait ends late by its own deadline, and the interval has changed by then. The
// next one lasts until the worker closes.
struct LateByTheOldInterval : ProductionSync {
  static inline std::function<void()> meanwhile;
  static inline Journal<std::chrono::nanoseconds> deadlines;

  struct condition_variable : ProductionSync::condition_variable {
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) {
      deadlines.add(deadline);
      if (!meanwhile) {
        wait(held);
        return true;
      }
      held.unlock();
      std::exchange(meanwhile, {})();
      held.lock();
      return false;
    }
  };
};

TEST(Scan, does_not_begin_by_an_interval_that_is_longer_by_the_end_of_the_wait) {
  using LateWorker = basic_background_worker<LateByTheOldInterval>;
  Journal<int> scans;
  LateWorker::Options options;
  options.scan = [&](LateWorker&) { scans.add(0); };
  LateWorker worker(
      CompactionConfig().with_check_interval(60), {}, 8,
      [](auto&) { return CompactionOutcome::done(); }, options);
  const auto before = LateByTheOldInterval::deadlines.events().size();
  LateByTheOldInterval::meanwhile = [&] { worker.set_check_interval(seconds(120)); };
  EXPECT_EQ(worker.start(), StartResult::started);
  LateByTheOldInterval::deadlines.await(before + 2);
  const auto deadlines = LateByTheOldInterval::deadlines.events();
  EXPECT_EQ(deadlines[before + 1] - deadlines[before], seconds(60));
  EXPECT_EQ(scans.events().size(), 1U);
  EXPECT_TRUE(worker.shutdown().complete);
}

TEST(Scan, takes_any_interval_within_the_bounds) {
  Scene scene;
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  worker.set_check_interval(seconds(-1));  // a second, as in the configuration
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.scans.await(1);
  Clock::await_sleepers(1);
  Clock::advance(seconds(1));
  scene.scans.await(2);
  worker.set_check_interval(std::chrono::hours::max());
  EXPECT_TRUE(worker.shutdown().complete);
  worker.set_check_interval(seconds(1));  // does nothing
  Worker without({}, {}, 8, scene.job());
  without.set_check_interval(seconds(1));  // nor this
}

// A scan that begins and waits to be let go.
struct HeldScan : Scene {
  Gate begun;
  Gate end;
  Submission answer{};

  HeldScan() {
    options.scan = [this](Worker& worker) {
      begun.open();
      end.pass();
      answer = worker.queue_compaction(3);
      scans.add(0);
    };
  }
};

TEST(Scan, a_drain_waits_for_the_first_and_what_it_finds) {
  HeldScan scene;
  Worker worker(CompactionConfig().with_max_concurrent(1), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.begun.pass();
  std::thread drains([&] {
    const auto report = worker.shutdown(ShutdownMode::drain);
    EXPECT_TRUE(report.complete);
    EXPECT_TRUE(report.discarded.empty());
  });
  while (worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(worker.is_running());  // it has not closed
  EXPECT_EQ(worker.queue_compaction(5), Submission::queued);
  scene.end.open();
  drains.join();
  EXPECT_EQ(scene.answer, Submission::queued);
  EXPECT_EQ(scene.compacted.events(), (std::vector<std::uint32_t>{5, 3}));
}

TEST(Scan, a_drain_waits_for_it_within_its_limit) {
  HeldScan scene;
  Worker worker(CompactionConfig(), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.begun.pass();
  EXPECT_FALSE(worker.shutdown(ShutdownMode::drain, seconds(0)).complete);
  EXPECT_EQ(worker.queue_compaction(5), Submission::rejected_shutting_down);
  scene.end.open();
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(scene.answer, Submission::rejected_shutting_down);
}

TEST(Scan, a_shutdown_in_another_mode_ends_the_drains_wait_for_it) {
  HeldScan scene;
  Worker worker(CompactionConfig(), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.begun.pass();
  std::thread drains([&] { EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete); });
  while (worker.snapshot().waiting_callers == 0) {
    std::this_thread::yield();
  }
  EXPECT_EQ(worker.shutdown(ShutdownMode::cancel, seconds(0)).mode, ShutdownMode::cancel);
  EXPECT_EQ(worker.queue_compaction(5), Submission::rejected_shutting_down);
  scene.end.open();
  drains.join();
  EXPECT_TRUE(scene.compacted.events().empty());
}

TEST(Scan, nothing_waits_for_its_interval) {
  Scene scene;
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  Clock::await_sleepers(1);
  scene.compacted.await(1);
  // The clock stands still from here on.
  EXPECT_EQ(worker.queue_compaction(5), Submission::queued);
  scene.compacted.await(2);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(scene.scans.events().size(), 1U);
}

TEST(Scan, a_clock_that_jumps_makes_it_early_or_late_and_loses_nothing) {
  Scene scene;
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  Clock::await_sleepers(1);
  Clock::advance(-seconds(1000));
  Clock::await_sleepers(1);
  EXPECT_EQ(scene.scans.events().size(), 1U);
  worker.queue_compaction(6);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  Clock::advance(seconds(100'000));
  scene.scans.await(2);
}

TEST(Scan, that_throws_is_logged_and_runs_again) {
  Journal<std::string> warnings;
  Scene scene;
  scene.options.scan = [&](Worker&) {
    scene.scans.add(0);
    throw std::runtime_error("no metadata");
  };
  scene.options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warn) {
      warnings.add(std::string(text));
    }
  };
  Worker worker(CompactionConfig().with_check_interval(60), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  warnings.await(1);
  EXPECT_EQ(warnings.events()[0], "the periodic scan failed: no metadata");
  Clock::await_sleepers(1);
  Clock::advance(seconds(60));
  scene.scans.await(2);
}

TEST(Scan, that_ends_its_thread_harms_nobody) {
  Journal<int> scans;
  Scene scene;
  scene.options.scan = [&](Worker&) {
    scans.add(0);
    pthread_exit(nullptr);
  };
  Worker worker(CompactionConfig().with_max_concurrent(2), {}, 8, scene.job(), scene.options);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  scans.await(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().worker_threads, 2U);
  const auto report = worker.shutdown();
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(report.first_error, "");
  EXPECT_EQ(worker.snapshot().episodes_done, 2U);
  EXPECT_EQ(worker.snapshot().outcomes[CompactionOutcome::Kind::failed], 0U);
}

TEST(Scan, may_not_wait_for_its_own_worker) {
  Journal<IdleResult> answers;
  Scene scene;
  scene.options.scan = [&](Worker& worker) {
    answers.add(worker.wait_idle());
    EXPECT_TRUE(worker.shutdown().refused);
  };
  Worker worker(CompactionConfig(), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  answers.await(1);
  EXPECT_EQ(answers.events()[0], IdleResult::refused);
}

// On this clock too: what comes after the last thread's end is no part of a shutdown.
TEST(Scan, and_shutdown_are_over_before_the_sink_hears_of_the_end) {
  Scene scene;
  scene.options.log = [](LogLevel level, std::string_view text) {
    EXPECT_NE(level, LogLevel::warn) << text;
    if (text.starts_with("shut down;")) {
      Clock::advance(seconds(5));
    }
  };
  Worker worker(CompactionConfig(), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  scene.scans.await(1);
  EXPECT_EQ(worker.shutdown().duration, seconds(0));
}

TEST(Scan, is_not_called_when_the_configuration_is_disabled) {
  Scene scene;
  Worker worker(CompactionConfig::disabled(), {}, 8, scene.job(), scene.options);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.shutdown();
  EXPECT_TRUE(scene.scans.events().empty());
}

template <class Duration>
std::optional<std::int64_t> limit(Duration duration) {
  const auto most = Limit(duration).nanoseconds();
  return most ? std::optional(most->count()) : std::nullopt;
}

TEST(Limit, is_any_duration) {
  using std::chrono::duration;
  using Frames = duration<std::int64_t, std::ratio<1001, 30000>>;
  EXPECT_EQ(limit(std::chrono::nanoseconds(1)), 1);
  EXPECT_EQ(limit(duration<double>(0.3)), 300'000'000);
  EXPECT_EQ(limit(Frames(30000)), 1'001'000'000'000);
  // 211 years, to the millisecond: with duration_cast they would overflow on the way.
  EXPECT_EQ(limit(Frames(200'000'000'000)).value_or(0) / 1'000'000, 6'673'333'333'333);
  EXPECT_EQ(limit(duration<std::int64_t, std::atto>::max()), 9'223'372'037);
  EXPECT_EQ(limit(std::chrono::hours::min()), 0);
  EXPECT_EQ(limit(std::chrono::hours::max()), std::nullopt);
  EXPECT_EQ(limit(duration<std::uint64_t, std::nano>(UINT64_MAX)), std::nullopt);
  EXPECT_EQ(limit(duration<float>(1e30F)), std::nullopt);
}

// 280 years from a clock that says 30 are more than it can say.
TEST(Limit, beyond_the_end_of_the_clock_is_none) {
  const auto years = std::chrono::hours(24) * 365;
  Clock::advance(30 * years);
  Scene scene;
  scene.options.scan = nullptr;
  {
    Worker worker(CompactionConfig(), {}, 4, scene.job(), scene.options);
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.queue_compaction(1);
    EXPECT_EQ(worker.wait_idle(280 * years), IdleResult::idle);
    EXPECT_TRUE(worker.shutdown(ShutdownMode::drain, 280 * years).complete);
  }
  Clock::advance(-30 * years);
  EXPECT_EQ(scene.compacted.events().size(), 1U);
}

}  // namespace
}  // namespace kstone::test

template class kstone::basic_background_worker<kstone::test::ManualClockSync>;
