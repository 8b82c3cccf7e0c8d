// What the worker shows of itself: ages, explanations, and texts for people and programs.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>

#include "back_off_scene.h"
#include "kstone/json.h"
#include "test_support.h"

namespace kstone::test::back_off {
namespace {

using std::chrono::minutes;

// One thread, whose jobs last until the gate opens, or fail.
struct Watched : Scene {
  Gate gate;
  bool fails = false;

  Watched() : Scene([](Worker::Context&) { return CompactionOutcome::done(); }) {
    outcome = [this](Worker::Context& context) {
      if (fails) {
        return CompactionOutcome::retry("disk on fire");
      }
      gate.pass();
      return context.stop_requested() ? CompactionOutcome::stopped() : CompactionOutcome::done();
    };
  }
  std::string explain(std::uint32_t stripe_id) const { return worker->explain(stripe_id); }
  // The stripe runs.
  void run(std::uint32_t stripe_id) {
    const auto before = started.events().size();
    worker->queue_compaction(stripe_id);
    started.await(before + 1);
  }
};

TEST(Ages, count_from_when_the_worker_learns_of_a_stripe) {
  Watched scene;
  auto& worker = scene.start();
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(0));
  scene.run(0);
  worker.queue_compaction(1);
  Clock::advance(seconds(1));
  EXPECT_EQ(worker.brief_snapshot().oldest_waiting, seconds(0));  // it was in the inbox
  Clock::advance(seconds(3));
  worker.queue_compaction(2);
  EXPECT_EQ(worker.wait_idle(2, seconds(0)).result, IdleResult::timed_out);
  Clock::advance(seconds(4));
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(7));
  EXPECT_EQ(worker.brief_snapshot().oldest_waiting, seconds(7));
  EXPECT_EQ(worker.snapshot().waited.max(), seconds(0));
  EXPECT_EQ(worker.snapshot().ran.count(), 0U);
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  const auto after = worker.snapshot();
  EXPECT_EQ(after.oldest_waiting, seconds(0));
  EXPECT_EQ(after.waited.count(), 3U);
  EXPECT_EQ(after.waited.sum(), seconds(7 + 4));
  EXPECT_EQ(after.waited.max(), seconds(7));
  EXPECT_EQ(after.ran.count(), 3U);
  EXPECT_EQ(after.ran.sum(), seconds(8));
}

TEST(Ages, stand_still_while_all_are_paused) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(0);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(0));
  Clock::advance(seconds(1));
  {
    const auto guard = worker.pause_all(seconds(0));
    const auto twice = worker.pause_all(seconds(0));
    Clock::advance(seconds(10));
    EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(1));
    worker.queue_compaction(2);
    EXPECT_EQ(worker.queue_size(), 2U);
  }
  Clock::advance(seconds(2));
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(3));
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().waited.max(), seconds(3));
}

TEST(Ages, begin_when_a_sink_that_stood_still_lets_its_thread_go) {
  Watched scene;
  scene.options.back_off.quarantine_after = 1;
  scene.options.log = [](LogLevel, std::string_view text) {
    if (text.find("in a row") != std::string_view::npos) {
      Clock::advance(seconds(2));
    }
  };
  scene.fails = true;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.started.await(1);
  scene.fails = false;
  scene.run(1);
  EXPECT_EQ(worker.snapshot().compactions.at(0).running_for, seconds(0));
  scene.gate.open();
}

TEST(Ages, count_anew_when_a_pause_ends) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(0);
  worker.queue_compaction(1);
  {
    const auto guard = worker.pause(1);
    Clock::advance(seconds(5));
    EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(0));
  }
  Clock::advance(seconds(2));
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(2));
  scene.gate.open();
}

TEST(Ages, leave_out_a_delay) {
  Watched scene;
  scene.fails = true;
  auto& worker = scene.start();
  worker.queue_compaction(0);
  scene.await(1);
  scene.fails = false;
  scene.pass(seconds(60));
  scene.started.await(2);
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().waited.sum(), seconds(0));
}

TEST(Ages, are_not_below_zero_if_the_clock_goes_back) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(0);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(1, seconds(0)).result, IdleResult::timed_out);
  Clock::advance(seconds(-5));
  EXPECT_EQ(worker.snapshot().oldest_waiting, seconds(0));
  EXPECT_EQ(worker.snapshot().compactions.at(0).running_for, seconds(0));
  EXPECT_EQ(scene.explain(0), "stripe 0 is being compacted on thread 0 for 0 ns, attempt 1.");
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().waited.max(), seconds(0));
  EXPECT_EQ(worker.snapshot().ran.max(), seconds(0));
  Clock::advance(seconds(5));
}

TEST(Explanation, of_what_runs) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(5);
  Clock::advance(milliseconds(1200));
  EXPECT_EQ(scene.explain(5), "stripe 5 is being compacted on thread 0 for 1.2 s, attempt 1.");
  worker.queue_compaction(5);
  EXPECT_EQ(scene.explain(5),
            "stripe 5 is being compacted on thread 0 for 1.2 s, attempt 1; "
            "requested once more meanwhile.");
  worker.cancel(5);
  EXPECT_EQ(scene.explain(5),
            "stripe 5 is being compacted on thread 0 for 1.2 s, attempt 1, and "
            "was asked to stop.");
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.explain(5),
            "stripe 5 is left undone until it is requested; its last request ended as cancelled.");
}

TEST(Explanation, of_what_waits) {
  Watched scene;
  auto& worker = scene.start();
  EXPECT_EQ(scene.explain(5), "stripe 5 has nothing to do; no request of it was accepted.");
  scene.run(0);
  worker.queue_compaction(1);
  worker.queue_compaction(2);
  EXPECT_EQ(scene.explain(2),
            "stripe 2 waits in the queue for 0 ns, with 1 stripe before it: 1 of "
            "1 compaction run.");
  Clock::advance(seconds(3));
  EXPECT_EQ(scene.explain(1),
            "stripe 1 waits in the queue for 3 s, with 0 stripes before it: 1 of "
            "1 compaction run.");
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(scene.explain(1), "stripe 1 has nothing to do; its last request ended as done.");
}

TEST(Explanation, of_a_worker_that_does_nothing) {
  Worker fresh(CompactionConfig(), {}, 10,
               [](Worker::Context&) { return CompactionOutcome::done(); });
  fresh.queue_compaction(3);
  EXPECT_EQ(fresh.explain(3),
            "stripe 3 waits in the queue for 0 ns: the worker has not been started.");
  EXPECT_EQ(fresh.explain(10), "There is no stripe 10: they are 0 to 9.");
  fresh.shutdown();
  EXPECT_EQ(fresh.explain(3),
            "stripe 3 will not be compacted: the worker was shut down; its last "
            "request ended as discarded.");
  Worker disabled(CompactionConfig::disabled(), {}, 10,
                  [](Worker::Context&) { return CompactionOutcome::done(); });
  EXPECT_EQ(
      disabled.explain(3),
      "stripe 3 will not be compacted: the worker is disabled; no request of it was accepted.");
}

TEST(Explanation, of_what_is_held_back) {
  Watched scene;
  auto& worker = scene.start();
  {
    const auto guard = worker.pause(1);
    worker.queue_compaction(1);
    EXPECT_EQ(scene.explain(1), "stripe 1 is held: somebody has paused it.");
  }
  scene.started.await(1);
  {
    const auto guard = worker.pause_all(seconds(0));
    worker.queue_compaction(2);
    EXPECT_EQ(scene.explain(2), "stripe 2 waits in the queue for 0 ns: all stripes are paused.");
  }
  EXPECT_EQ(worker.remove(3), RemoveResult::removed);
  EXPECT_EQ(scene.explain(3), "stripe 3 is removed, until it is restored.");
  scene.gate.open();
}

TEST(Explanation, of_what_has_failed) {
  Watched scene;
  scene.options.back_off.quarantine_after = 2;
  scene.fails = true;
  auto& worker = scene.start();
  worker.queue_compaction(4);
  scene.await(1);
  EXPECT_EQ(scene.explain(4),
            "stripe 4 is tried again in 100 ms, after 1 failure in a row, the last: disk on fire.");
  scene.pass(milliseconds(100));
  scene.await(2);
  EXPECT_EQ(scene.explain(4),
            "stripe 4 is in quarantine, and a probe tries it in 10 min, after 2 "
            "failures in a row, the last: disk on fire.");
  scene.fails = false;
  scene.pass(minutes(10));
  scene.started.await(3);
  EXPECT_EQ(scene.explain(4),
            "stripe 4 is being compacted on thread 0 for 0 ns, attempt 1, as a probe.");
  scene.gate.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
}

TEST(Explanation, of_what_lacks_a_resource) {
  Scene scene(lacks_room);
  auto& worker = scene.start();
  worker.queue_compaction(4);
  scene.await(1);
  EXPECT_EQ(worker.explain(4),
            "stripe 4 waits for a resource that its last compaction lacked; one "
            "stripe of those is tried in 1 s: disk full.");
}

TEST(Explanation, of_what_a_shutdown_asks_to_stop) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(0);
  EXPECT_FALSE(worker.shutdown(ShutdownMode::cancel, seconds(0)).complete);
  EXPECT_EQ(scene.explain(0),
            "stripe 0 is being compacted on thread 0 for 0 ns, attempt 1, and "
            "was asked to stop.");
  EXPECT_EQ(scene.explain(1),
            "stripe 1 will not be compacted: the worker is being shut down; no "
            "request of it was accepted.");
  scene.gate.open();
}

TEST(Explanation, of_a_delay_that_a_pause_outlasts) {
  Watched scene;
  scene.fails = true;
  auto& worker = scene.start();
  worker.queue_compaction(4);
  scene.await(1);
  {
    const auto guard = worker.pause(4);
    EXPECT_EQ(scene.explain(4),
              "stripe 4 is tried again in 100 ms, but somebody has paused it, "
              "after 1 failure in a row, the last: disk on fire.");
  }
  const auto guard = worker.pause_all();
  EXPECT_EQ(scene.explain(4),
            "stripe 4 is tried again in 100 ms, but all stripes are paused, "
            "after 1 failure in a row, the last: disk on fire.");
}

// What takes a suspended requester, a lost thread, or thousands of stripes to bring about.
TEST(Explanation, has_a_sentence_for_each_hindrance) {
  using Facts = detail::StripeFacts;
  Facts facts;
  facts.stripe_id = 3;
  facts.worker_threads = facts.max_concurrent = 2;
  facts.place = Facts::Place::missing;
  EXPECT_EQ(sentence_of(facts),
            "stripe 3 was requested by a call that has not handed it over yet, "
            "and whose thread may be suspended.");
  facts.place = Facts::Place::inbox;
  EXPECT_EQ(sentence_of(facts), "stripe 3 was requested, and waits to be taken into the queue.");
  facts.place = Facts::Place::queued;
  facts.before = 1000;
  facts.all_before = false;
  facts.running_now = 1;
  EXPECT_EQ(sentence_of(facts),
            "stripe 3 waits in the queue for 0 ns, with more than 1000 stripes "
            "before it: 1 of 2 compactions run, so a thread is about to take "
            "one.");
  facts.max_concurrent = 5;
  facts.running_now = 2;
  facts.before = 0;
  facts.all_before = true;
  EXPECT_EQ(sentence_of(facts),
            "stripe 3 waits in the queue for 0 ns, with 0 stripes before it: 2 "
            "of 2 compactions run, since threads are missing.");
  facts.worker_threads = 0;
  EXPECT_EQ(sentence_of(facts),
            "stripe 3 waits in the queue for 0 ns: the worker has no thread left.");
  facts.place = Facts::Place::delayed;
  facts.failures = 31;
  facts.all_failures = false;
  facts.due_in = seconds(0);
  EXPECT_EQ(sentence_of(facts),
            "stripe 3 is tried again at once, but the worker has no thread "
            "left, after 31 or more failures in a row.");
  facts = {};
  facts.unfinished = true;
  facts.last_end = EpisodeEnd::failed;
  facts.error = std::string(Facts::most_of_error, 'x');
  EXPECT_EQ(sentence_of(facts),
            "stripe 0 is left undone until it is requested; its last request "
            "ended as failed: " +
                facts.error + "....");
}

TEST(Text, is_not_changed_by_what_a_stream_is_set_to) {
  ShutdownReport report;
  report.discarded = {{10}, {255}};
  std::ostringstream out;
  out << std::hex << std::showbase << report;
  EXPECT_EQ(out.str(),
            "shutdown (finish_running): not complete after 0 ns\n"
            "discarded: 2 stripes (10, 255)");
}

TEST(Text, of_a_snapshot) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(5);
  worker.queue_compaction(1);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(1, seconds(0)).result, IdleResult::timed_out);
  Clock::advance(seconds(2));
  std::ostringstream out;
  out << worker.snapshot();
  EXPECT_EQ(
      out.str(),
      "threads: 1, of which 1 may compact at a time and 1 do (at most 1 did)\n"
      "running: stripe 5 on thread 0 for 2 s, attempt 1\n"
      "waiting: 1, the first in the queue for 2 s; 0 in the high lane, 0 in the low one, 0 held, "
      "0 delayed\n"
      "stripes: 0 in quarantine, 0 removed\n"
      "requests: 3; 2 queued, 1 coalesced, 0 rerun_pending\n"
      "episodes: 2; 0 done, 0 failed, 0 cancelled, 0 removed, 0 discarded, 2 alive; 0 were "
      "retries, 0 probes\n"
      "compactions: 1 started\n"
      "waited: 1, median 0 ns, 99 % 0 ns, longest 0 ns\n"
      "ran: none");
  scene.gate.open();
}

TEST(Text, of_a_report) {
  const auto written = [](const ShutdownReport& report) {
    std::ostringstream out;
    out << report;
    return out.str();
  };
  ShutdownReport report;
  report.complete = true;
  report.duration = milliseconds(15);
  EXPECT_EQ(written(report), "shutdown (finish_running): complete after 15 ms");
  for (std::uint32_t id = 0; id < 12; ++id) {
    report.discarded.push_back({id});
  }
  report.complete = false;
  report.unfinished = {{7}};
  report.errors = {{7, "disk full"}};
  report.still_running = {{8}, {9}};
  report.first_error = "disk full";
  EXPECT_EQ(written(report),
            "shutdown (finish_running): not complete after 15 ms\n"
            "discarded: 12 stripes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more)\n"
            "unfinished: 1 stripe (7)\n"
            "  stripe 7: disk full\n"
            "still running: 2 stripes (8, 9)\n"
            "first error: disk full");
  report.refused = true;
  EXPECT_EQ(written(report), "shutdown: refused");
}

TEST(Json, of_a_snapshot_has_each_member) {
  Watched scene;
  auto& worker = scene.start();
  scene.run(5);
  worker.queue_compaction(1);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(1, seconds(0)).result, IdleResult::timed_out);
  Clock::advance(seconds(2));
  const nlohmann::json json = worker.snapshot();
  EXPECT_EQ(json["queued"], 2);
  EXPECT_EQ(json["coalesced"], 1);
  EXPECT_EQ(json["outcomes_done"], 0);
  EXPECT_EQ(json["oldest_waiting_ns"], 2'000'000'000);
  EXPECT_EQ(json["check_interval_ns"], 60'000'000'000);
  EXPECT_EQ(json["compactions"],
            nlohmann::json::parse(
                R"([{"stripe_id":5,"thread":0,"attempt":1,"running_for_ns":2000000000}])"));
  EXPECT_EQ(json["waited"],
            nlohmann::json::parse(
                R"({"count":1,"sum_us":0,"max_ns":0,"buckets":[{"up_to_ns":1024,"count":1}]})"));
  EXPECT_EQ(json["stats"]["active_compactions"], 1);
  // What is added to the snapshot is to be added here: 16 counters, 6 outcomes, 21 others.
  EXPECT_EQ(json.size(), 45U);
  scene.gate.open();
}

TEST(Json, of_a_histogram_has_no_bound_for_what_is_beyond_the_last) {
  DurationHistogram histogram;
  histogram.record(std::chrono::hours(50));
  EXPECT_EQ(nlohmann::json(histogram)["buckets"],
            nlohmann::json::parse(R"([{"up_to_ns":null,"count":1}])"));
}

TEST(Json, of_a_report_has_each_member_and_is_valid_whatever_an_error_says) {
  ShutdownReport report;
  report.mode = ShutdownMode::drain;
  report.discarded = {{3}, {4}};
  report.errors = {{3, "a \"bad\" byte: \xff"}};
  report.duration = nanoseconds(7);
  const nlohmann::json json = report;
  EXPECT_EQ(json["mode"], "drain");
  EXPECT_EQ(json["discarded"], nlohmann::json::parse("[3,4]"));
  EXPECT_EQ(json["duration_ns"], 7);
  EXPECT_EQ(json["errors"][0]["error"], "a \"bad\" byte: \xEF\xBF\xBD");
  EXPECT_EQ(json.size(), 11U);
  EXPECT_EQ(nlohmann::json::parse(json.dump()), json);
}

}  // namespace
}  // namespace kstone::test::back_off
