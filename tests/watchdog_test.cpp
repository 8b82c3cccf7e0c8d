// The watchdog (contract section 6): what runs too long is named, once.

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "back_off_scene.h"
#include "test_support.h"

namespace kstone::test::back_off {
namespace {

// Jobs last until the gate opens; the watchdog waits a minute.
struct Watched : Scene {
  Gate gate;
  Journal<std::string> named;

  Watched()
      : Scene([this](Worker::Context&) {
          gate.pass();
          return CompactionOutcome::done();
        }) {
    options.watchdog_limit = seconds(60);
    options.least_log_level = LogLevel::warn;
    options.log = [this](LogLevel, std::string_view text) { named.add(std::string(text)); };
  }
  void await_overdue(std::uint64_t count) const {
    while (worker->brief_snapshot().overdue != count) {
      std::this_thread::yield();
    }
  }
};

TEST(Watchdog, names_what_runs_too_long_once) {
  Watched scene;
  auto& worker = scene.start(2);
  scene.pass(seconds(45));  // it looks at 60 s, whatever runs
  worker.queue_compaction(5);
  scene.started.await(1);
  scene.pass(seconds(30));
  worker.queue_compaction(6);
  scene.started.await(2);
  scene.pass(seconds(29));
  EXPECT_EQ(worker.snapshot().overdue, 0U);
  scene.pass(seconds(1));
  scene.named.await(1);
  EXPECT_EQ(worker.snapshot().overdue, 1U);
  scene.pass(seconds(30));
  scene.named.await(2);
  scene.pass(seconds(600));
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().overdue, 2U);
  worker.shutdown();
  const auto lines = scene.named.events();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].rfind("compaction of stripe 5 has been running for 60 s on thread ", 0), 0U);
  EXPECT_EQ(lines[1].rfind("compaction of stripe 6 has been running for 60 s on thread ", 0), 0U);
}

TEST(Watchdog, counts_without_a_sink_and_without_back_off) {
  Watched scene;
  scene.options.log = {};
  scene.options.back_off = BackOff::off();
  auto& worker = scene.start();
  worker.queue_compaction(5);
  scene.started.await(1);
  scene.pass(seconds(60));
  scene.await_overdue(1);
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.queue_compaction(5);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().overdue, 1U);
}

TEST(Watchdog, looks_while_stripes_are_delayed_and_lets_them_go_on_in_time) {
  Watched scene;
  scene.outcome = [&](Worker::Context& context) {
    if (context.stripe_id() == 0 && context.attempt() == 1) {
      return CompactionOutcome::retry("busy");
    }
    if (context.stripe_id() == 1) {
      scene.gate.pass();
    }
    return CompactionOutcome::done();
  };
  scene.options.back_off.initial = scene.options.back_off.cap = seconds(90);
  auto& worker = scene.start(2);
  worker.queue_compaction(1);
  scene.started.await(1);
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(seconds(60));
  scene.await_overdue(1);
  scene.pass(seconds(30));
  scene.started.await(3);
  EXPECT_EQ(scene.started.events().back(), (Started{0, 2, seconds(90)}));
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(Watchdog, lets_its_sink_cancel_what_it_names) {
  Watched scene;
  scene.outcome = [](Worker::Context& context) {
    EXPECT_TRUE(context.wait_for_stop({}));
    return CompactionOutcome::stopped();
  };
  scene.options.log = [&](LogLevel, std::string_view text) {
    if (text.find("has been running") != std::string_view::npos) {
      EXPECT_TRUE(scene.worker->cancel(5).running);
      EXPECT_EQ(scene.worker->wait_idle(), IdleResult::refused);
    }
  };
  auto& worker = scene.start();
  worker.queue_compaction(5);
  scene.started.await(1);
  scene.pass(seconds(60));
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_cancelled, 1U);
}

TEST(Watchdog, has_a_limit_within_a_range) {
  const auto made = [](nanoseconds limit) {
    Worker::Options options;
    options.watchdog_limit = limit;
    const Worker worker(
        CompactionConfig(), {}, 1, [](Worker::Context&) { return CompactionOutcome::done(); },
        options);
  };
  EXPECT_NO_THROW(made(nanoseconds(1)));
  EXPECT_NO_THROW(made(max_watchdog_limit));
  for (const auto limit : {nanoseconds(-1), max_watchdog_limit + nanoseconds(1)}) {
    try {
      made(limit);
      FAIL();
    } catch (const std::invalid_argument& refused) {
      EXPECT_EQ(std::string(refused.what()), "BackgroundWorker: watchdog_limit is " +
                                                 std::to_string(limit.count()) +
                                                 " ns; expected 0, for none, to a year");
    }
  }
}

}  // namespace
}  // namespace kstone::test::back_off
