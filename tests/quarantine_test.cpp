// What has failed so often that only a probe tries it again: contract section 4.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "back_off_scene.h"

namespace kstone::test {
namespace {

using namespace back_off;
using std::chrono::minutes;

// Three failures in a row are many.
struct ThreeAreMany : Scene {
  explicit ThreeAreMany(std::function<CompactionOutcome(Worker::Context&)> outcome_of)
      : Scene(std::move(outcome_of)) {
    options.back_off.quarantine_after = 3;
  }
};

// ... and the first probe does not end before it is let go.
struct ProbeStands : ThreeAreMany {
  Gate end_of_probe;
  std::atomic<int> tries{0};

  ProbeStands()
      : ThreeAreMany([this](Worker::Context& context) {
          if (++tries == 4) {
            end_of_probe.pass();
          }
          return retries(context);
        }) {}
  ~ProbeStands() { worker.reset(); }  // before what its job uses
};

// The stripe has failed three times since.
void put_in_quarantine(const Scene& scene, std::uint64_t compactions_before) {
  scene.await(compactions_before + 1);
  scene.pass(milliseconds(100));
  scene.await(compactions_before + 2);
  scene.pass(milliseconds(200));
  scene.await(compactions_before + 3);
}

TEST(Quarantine, after_so_many_failures_in_a_row_only_a_probe_tries_again) {
  for (const bool retry : {true, false}) {
    ThreeAreMany scene(retry ? retries : fails);
    auto& worker = scene.start();
    worker.queue_compaction(7);
    put_in_quarantine(scene, 0);
    auto snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.quarantined, 1U);
    EXPECT_EQ(snapshot.delayed, 0U);
    EXPECT_EQ(snapshot.queue_size, 1U);
    EXPECT_EQ(snapshot.episodes_alive, 1U);
    EXPECT_EQ(snapshot.episodes_failed, retry ? 1U : 3U);
    EXPECT_EQ(snapshot.retries, retry ? 0U : 2U);
    EXPECT_EQ(snapshot.probes, 1U);
    EXPECT_EQ(broken_law(snapshot), "");
    scene.pass(minutes(10) - milliseconds(1));
    EXPECT_EQ(scene.started.events().size(), 3U);
    scene.pass(milliseconds(1));
    scene.await(4);
    EXPECT_EQ(scene.started.events().back(), (Started{7, 1, minutes(10) + milliseconds(300)}));
    scene.pass(minutes(10));
    scene.await(5);
    snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.quarantined, 1U);
    EXPECT_EQ(snapshot.probes, 3U);
    EXPECT_EQ(broken_law(snapshot), "");
  }
}

TEST(Quarantine, is_over_once_a_probe_does_not_fail) {
  int compactions = 0;
  ThreeAreMany scene([&](Worker::Context&) {
    return ++compactions == 4 ? CompactionOutcome::more_work() : CompactionOutcome::retry("busy");
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.await(5);  // the fourth leaves more work, which the fifth fails at
  EXPECT_EQ(worker.snapshot().delayed, 1U);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  scene.pass(milliseconds(100));
  scene.await(6);
}

TEST(Quarantine, requests_merge_into_what_waits_for_the_probe) {
  bool broken = true;
  ThreeAreMany scene([&](Worker::Context& context) {
    return broken ? retries(context) : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  EXPECT_EQ(worker.queue_compaction(0), Submission::coalesced);
  broken = false;
  scene.pass(minutes(10));
  scene.await(4);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_done, 1U);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
}

TEST(Quarantine, nobody_waits_for_it) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  for (const auto when : {WhenDelayed::answer, WhenDelayed::wait}) {
    EXPECT_EQ(worker.wait_idle({}, when), IdleResult::idle);
    EXPECT_EQ(worker.wait_idle(seconds(0), when), IdleResult::idle);
    EXPECT_EQ(worker.wait_idle(0, {}, when),
              (StripeIdle{IdleResult::quarantined, EpisodeEnd::failed}));
  }
  worker.queue_compaction(1);
  scene.await(4);
  EXPECT_EQ(worker.wait_idle(), IdleResult::delayed);
  EXPECT_EQ(worker.wait_idle(seconds(0), WhenDelayed::wait), IdleResult::timed_out);
}

TEST(Quarantine, ends_waits_for_what_was_requested_meanwhile) {
  Gate go_on;
  ThreeAreMany scene([&](Worker::Context& context) {
    if (context.attempt() == 3) {
      go_on.pass();
    }
    return retries(context);
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(milliseconds(100));
  scene.await(2);
  scene.pass(milliseconds(200));
  scene.started.await(3);
  EXPECT_EQ(worker.queue_compaction(0), Submission::rerun_pending);
  IdleResult answer{};
  StripeIdle of_stripe;
  std::thread waiter([&] { answer = worker.wait_idle({}, WhenDelayed::wait); });
  std::thread other([&] { of_stripe = worker.wait_idle(0, {}, WhenDelayed::wait); });
  scene.await_callers(2);
  go_on.open();
  waiter.join();
  other.join();
  EXPECT_EQ(answer, IdleResult::idle);
  EXPECT_EQ(of_stripe, (StripeIdle{IdleResult::quarantined, EpisodeEnd::failed}));
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.quarantined, 1U);
  EXPECT_EQ(snapshot.probes, 0U);  // the request opened what waits
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(Quarantine, a_wait_does_not_wait_for_a_try_that_begins_meanwhile) {
  Gate end_of_0, end_of_1;
  int tries = 0;
  ThreeAreMany scene([&](Worker::Context& context) {
    if (context.stripe_id() == 1) {
      end_of_1.pass();
    } else if (++tries == 4) {
      end_of_0.pass();
    }
    return context.stripe_id() == 1 ? CompactionOutcome::done() : CompactionOutcome::retry("busy");
  });
  auto& worker = scene.start(2);
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  worker.queue_compaction(1);
  IdleResult answer{};
  std::thread waiter([&] { answer = worker.wait_idle(); });
  scene.await_callers(1);
  EXPECT_EQ(worker.release(0), ReleaseResult::released);
  scene.started.await(5);
  end_of_1.open();
  waiter.join();
  EXPECT_EQ(answer, IdleResult::idle);
  end_of_0.open();
}

TEST(Quarantine, is_ended_by_a_release) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  EXPECT_EQ(worker.release(100), ReleaseResult::unknown_stripe);
  EXPECT_EQ(worker.release(0), ReleaseResult::not_quarantined);
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  EXPECT_EQ(worker.release(0), ReleaseResult::released);
  scene.await(4);
  EXPECT_EQ(worker.snapshot().delayed, 1U);  // it has failed once, since
  scene.pass(milliseconds(100));
  scene.await(5);
  EXPECT_EQ(scene.times(), (std::vector<std::int64_t>{0, 100, 300, 300, 400}));
  worker.shutdown();
  EXPECT_EQ(worker.release(0), ReleaseResult::shut_down);
}

TEST(Quarantine, what_is_released_goes_behind_what_was_requested_before) {
  Gate end;
  ThreeAreMany scene([&](Worker::Context& context) {
    if (context.stripe_id() == 1) {
      end.pass();
    }
    return context.stripe_id() == 0 ? retries(context) : CompactionOutcome::done();
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  worker.queue_compaction(1);
  scene.started.await(4);
  worker.queue_compaction(2);
  EXPECT_EQ(worker.release(0), ReleaseResult::released);
  end.open();
  scene.await(6);
  EXPECT_EQ(scene.started.events()[4].stripe_id, 2U);
  EXPECT_EQ(scene.started.events()[5].stripe_id, 0U);
}

TEST(Quarantine, a_release_forgets_the_failures_of_what_is_in_none) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.pass(milliseconds(100));
  scene.await(2);
  EXPECT_EQ(worker.release(0), ReleaseResult::not_quarantined);  // it waits as before
  scene.pass(milliseconds(199));
  EXPECT_EQ(scene.started.events().size(), 2U);
  scene.pass(milliseconds(1));
  scene.await(3);
  scene.pass(milliseconds(100));
  scene.await(4);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
}

// Its compaction may run just now, or wait.
TEST(Quarantine, lasts_while_a_probe_waits_or_runs) {
  ProbeStands scene;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  const auto expect_quarantined = [&] {
    EXPECT_EQ(worker.snapshot().quarantined, 1U);
    EXPECT_EQ(worker.quarantined().size(), 1U);
    EXPECT_EQ(worker.wait_idle({}, WhenDelayed::wait), IdleResult::idle);
    EXPECT_EQ(worker.wait_idle(seconds(0)), IdleResult::idle);
    EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::quarantined, EpisodeEnd::failed}));
  };
  {
    const auto guard = worker.pause(0);
    scene.pass(minutes(10));
    while (worker.snapshot().held == 0) {
      std::this_thread::yield();
    }
    expect_quarantined();
  }
  scene.started.await(4);
  expect_quarantined();
  scene.end_of_probe.open();
  scene.await(4);
  expect_quarantined();
}

TEST(Quarantine, a_release_while_a_probe_runs_makes_its_failure_the_first) {
  ProbeStands scene;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.started.await(4);
  EXPECT_EQ(worker.release(0), ReleaseResult::released);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.wait_idle(seconds(0)), IdleResult::timed_out);
  scene.end_of_probe.open();
  scene.await(4);
  EXPECT_EQ(worker.snapshot().delayed, 1U);
  scene.pass(milliseconds(100));
  scene.await(5);
}

TEST(Quarantine, is_over_once_a_probe_stops_by_itself) {
  int tries = 0;
  ThreeAreMany scene([&](Worker::Context& context) {
    return ++tries == 4 ? CompactionOutcome::stopped() : retries(context);
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.await(4);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::cancelled}));
  worker.queue_compaction(0);  // and has failed as often as before
  scene.await(5);
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
}

TEST(Quarantine, of_what_fails_again_while_the_worker_drains_is_reported) {
  ProbeStands scene;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.started.await(4);
  EXPECT_FALSE(worker.shutdown(ShutdownMode::drain, seconds(0)).complete);
  scene.end_of_probe.open();
  const auto report = worker.shutdown();
  EXPECT_TRUE(report.discarded.empty());
  EXPECT_EQ(ids(report.quarantined), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{0}));
}

TEST(Quarantine, each_wait_for_a_probe_is_less_a_part_left_to_chance) {
  ThreeAreMany scene(retries);
  scene.options.back_off.jitter = 0.5;
  scene.options.back_off.random = [] { return 0.5; };
  scene.options.back_off.quarantine_after = 1;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
  scene.pass(minutes(7));
  EXPECT_EQ(scene.started.events().size(), 1U);
  scene.pass(seconds(30));
  scene.await(2);
}

TEST(Quarantine, a_pause_holds_what_is_released) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  {
    const auto guard = worker.pause(0);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    EXPECT_EQ(worker.release(0), ReleaseResult::released);
    EXPECT_EQ(worker.snapshot().held, 1U);
    EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
  }
  scene.await(4);
}

TEST(Quarantine, is_not_ended_by_retry_now) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  worker.queue_compaction(1);
  scene.await(4);
  EXPECT_EQ(worker.retry_now(), 1U);
  scene.await(5);
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
  EXPECT_EQ(scene.started.events().back().stripe_id, 1U);
}

TEST(Quarantine, after_a_cancel_the_next_request_tries_once) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  const auto report = worker.cancel(0);
  EXPECT_TRUE(report.waited);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  scene.await(4);
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
}

TEST(Quarantine, a_stripe_that_is_removed_and_restored_starts_afresh) {
  ThreeAreMany scene(retries);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  EXPECT_EQ(worker.remove(0), RemoveResult::removed);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.restore(0), RestoreResult::restored);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  scene.await(4);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.snapshot().delayed, 1U);
}

TEST(Quarantine, is_listed_with_the_last_error) {
  int compactions = 0;
  ThreeAreMany scene([&](Worker::Context& context) {
    return context.stripe_id() == 50
               ? retries(context)
               : CompactionOutcome::failed("bad block " + std::to_string(++compactions));
  });
  auto& worker = scene.start();
  EXPECT_TRUE(worker.quarantined().empty());
  worker.queue_compaction(9);
  put_in_quarantine(scene, 0);
  worker.queue_compaction(2);
  put_in_quarantine(scene, 3);
  worker.queue_compaction(50);
  scene.await(7);
  EXPECT_EQ(worker.quarantined(),
            (std::vector<StripeError>{{2, "bad block 6"}, {9, "bad block 3"}}));
  EXPECT_EQ(worker.release(2), ReleaseResult::released);
  EXPECT_EQ(worker.quarantined(), (std::vector<StripeError>{{9, "bad block 3"}}));
}

TEST(Quarantine, a_shutdown_discards_it_in_every_mode_and_reports_it) {
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    ThreeAreMany scene(fails);
    auto& worker = scene.start();
    worker.queue_compaction(5);
    put_in_quarantine(scene, 0);
    worker.queue_compaction(6);
    scene.await(4);
    const auto report = worker.shutdown(mode);
    EXPECT_EQ(ids(report.discarded), (std::vector<std::uint32_t>{5, 6}));
    EXPECT_EQ(ids(report.quarantined), (std::vector<std::uint32_t>{5}));
    EXPECT_EQ(ids(report.unfinished), (std::vector<std::uint32_t>{5, 6}));
    EXPECT_EQ(report.errors, (std::vector<StripeError>{{5, "bad block"}, {6, "bad block"}}));
    const auto snapshot = worker.snapshot();
    EXPECT_EQ(snapshot.quarantined, 1U);
    EXPECT_EQ(snapshot.queue_size, 0U);
    EXPECT_EQ(broken_law(snapshot), "");
    EXPECT_EQ(worker.quarantined(), (std::vector<StripeError>{{5, "bad block"}}));
  }
}

TEST(Quarantine, is_not_for_what_lacks_a_resource) {
  ThreeAreMany scene(lacks_room);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  for (std::uint64_t ended = 2; ended < 20; ++ended) {
    scene.pass(seconds(1));
    scene.await(ended);
  }
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.snapshot().delayed, 1U);
}

TEST(Quarantine, a_stripe_in_it_that_lacks_a_resource_waits_for_that) {
  int compactions = 0;
  ThreeAreMany scene([&](Worker::Context& context) {
    return ++compactions == 4 ? lacks_room(context) : retries(context);
  });
  auto& worker = scene.start();
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.await(4);
  EXPECT_EQ(worker.snapshot().delayed, 1U);
  EXPECT_EQ(worker.wait_idle(), IdleResult::delayed);
  scene.pass(seconds(1));
  scene.await(5);
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
}

TEST(Quarantine, zero_is_never) {
  ThreeAreMany scene(retries);
  scene.options.back_off.quarantine_after = 0;
  scene.options.back_off.cap = milliseconds(100);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  for (std::uint64_t ended = 2; ended < 50; ++ended) {
    scene.pass(milliseconds(100));
    scene.await(ended);
  }
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.snapshot().episodes_failed, 0U);
}

TEST(Quarantine, begins_where_it_is_said_to_by_default) {
  Scene scene(retries);
  EXPECT_EQ(scene.options.back_off.quarantine_after, 16U);
  EXPECT_EQ(scene.options.back_off.probe_interval, minutes(10));
  EXPECT_TRUE(BackOff().retry_failed);
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  for (std::uint64_t ended = 2; ended <= 16; ++ended) {
    EXPECT_EQ(worker.snapshot().quarantined, 0U);
    scene.pass(seconds(60));
    scene.await(ended);
  }
  EXPECT_EQ(worker.snapshot().quarantined, 1U);
}

TEST(Quarantine, is_not_for_what_only_requests_try_again) {
  BackgroundWorker* self = nullptr;
  auto options = BackgroundWorker::Options();
  options.back_off.retry_failed = false;
  options.back_off.quarantine_after = 1;
  options.back_off.initial = options.back_off.cap = std::chrono::nanoseconds(1);
  std::atomic<int> tries{0};
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), {}, 1,
      [&](CompactionContext&) {
        if (++tries % 2 == 0) {
          self->queue_compaction(0);  // then what was requested is delayed
        }
        return CompactionOutcome::failed("bad block");
      },
      options);
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
    while (worker.snapshot().episodes_alive != 0) {
      std::this_thread::yield();
    }
  }
  EXPECT_GT(tries.load(), 5);
  EXPECT_EQ(worker.snapshot().quarantined, 0U);
  EXPECT_EQ(worker.snapshot().probes, 0U);
}

TEST(Quarantine, is_told_in_the_log) {
  std::mutex mutex;
  std::vector<std::string> lines;
  ThreeAreMany scene(retries);
  scene.options.log = [&](LogLevel level, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    lines.push_back(std::string(to_string(level)) + ": " + without_durations(text));
  };
  scene.options.least_log_level = LogLevel::warn;
  auto& worker = scene.start();
  worker.queue_compaction(4);
  put_in_quarantine(scene, 0);
  scene.pass(minutes(10));
  scene.await(4);  // which is not told once more
  worker.shutdown();
  const std::string failed = "warn: compaction of stripe 4 failed: busy";
  EXPECT_EQ(lines, (std::vector<std::string>{
                       failed, failed, failed,
                       "warn: stripe 4 has failed 3 times in a row: only a probe tries it again, "
                       "until it is released",
                       failed}));
}

TEST(Quarantine, a_sink_that_stands_still_holds_up_no_other_thread) {
  Gate go_on;
  ThreeAreMany scene([&](Worker::Context& context) {
    return context.stripe_id() == 0 ? retries(context) : CompactionOutcome::done();
  });
  scene.options.log = [&](LogLevel, std::string_view text) {
    if (text.find("in a row") != std::string_view::npos) {
      go_on.pass();
    }
  };
  auto& worker = scene.start(2);
  worker.queue_compaction(0);
  put_in_quarantine(scene, 0);
  for (std::uint32_t i = 1; i < 20; ++i) {
    worker.queue_compaction(i);
  }
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  go_on.open();
}

}  // namespace
}  // namespace kstone::test
