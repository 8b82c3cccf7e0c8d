// Contract 5: cancel, remove and restore one stripe; pause one, or all.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using Stripes = std::vector<std::uint32_t>;
constexpr std::chrono::seconds no_time(0);

// A worker whose compactions wait at a gate, or until they are asked to stop.
struct Engine {
  Gate gate;
  Journal<std::uint32_t> begun;
  Journal<std::uint32_t> ended;
  CompactionOutcome outcome = CompactionOutcome::done();  // of compactions that the gate let pass
  bool heeds_stop = false;
  std::optional<BackgroundWorker> worker;

  explicit Engine(std::uint32_t threads = 1, BackgroundWorker::Options options = {}) {
    worker.emplace(
        CompactionConfig().with_max_concurrent(threads), CompactionStatsAtomic(), 4,
        [this](CompactionContext& context) { return compact(context); }, std::move(options));
  }
  ~Engine() { gate.open(); }

  CompactionOutcome compact(CompactionContext& context) {
    begun.add(context.stripe_id());
    while (heeds_stop && !context.stop_requested()) {
      std::this_thread::yield();
    }
    if (!heeds_stop) {
      gate.pass();
    }
    ended.add(context.stripe_id());
    return heeds_stop ? CompactionOutcome::stopped() : outcome;
  }
  void start() { ASSERT_EQ(worker->start(), StartResult::started); }
  // Stripe `id` runs from here on.
  void run(std::uint32_t id) {
    const auto before = begun.events().size();
    ASSERT_EQ(worker->queue_compaction(id), Submission::queued);
    begun.await(before + 1);
  }
  void expect_lawful() const { EXPECT_EQ(broken_law(worker->snapshot()), ""); }
};

TEST(Cancel, what_is_queued_ends_as_cancelled_and_is_not_compacted) {
  Engine engine;
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::coalesced);
  const auto report = engine.worker->cancel(1);
  EXPECT_EQ(report.result, CancelReport::Result::ended);
  EXPECT_TRUE(report.waited);
  EXPECT_FALSE(report.rerun_pending || report.running);
  EXPECT_EQ(engine.worker->queue_size(), 1U);
  engine.expect_lawful();
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(engine.begun.events(), Stripes{0});
  const auto snapshot = engine.worker->snapshot();
  EXPECT_EQ(snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(snapshot.coalesced, 1U);
  EXPECT_EQ(engine.worker->wait_idle(1), (StripeIdle{IdleResult::idle, EpisodeEnd::cancelled}));
}

TEST(Cancel, the_stripe_accepts_requests_as_ever) {
  Engine engine;
  engine.gate.open();
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_TRUE(engine.worker->cancel(1).waited);
  EXPECT_EQ(engine.worker->cancel(1), CancelReport());
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(1), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(engine.begun.events(), Stripes{1});
}

TEST(Cancel, out_of_the_middle_of_the_queue_leaves_the_order_of_the_others) {
  Engine engine;
  for (const std::uint32_t id : {0, 1, 2, 3}) {
    EXPECT_EQ(engine.worker->queue_compaction(id), Submission::queued);
  }
  EXPECT_TRUE(engine.worker->cancel(1).waited);
  EXPECT_TRUE(engine.worker->cancel(3).waited);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(engine.begun.events(), (Stripes{0, 2, 1}));
}

TEST(Cancel, a_running_compaction_is_asked_to_stop_and_waited_for_within_the_limit) {
  Engine engine;
  engine.heeds_stop = true;
  engine.start();
  engine.run(2);
  const auto report = engine.worker->cancel(2, Limit());
  EXPECT_EQ(report.result, CancelReport::Result::ended);
  EXPECT_TRUE(report.running);
  EXPECT_FALSE(report.waited || report.rerun_pending);
  EXPECT_EQ(report.end, EpisodeEnd::cancelled);
  EXPECT_EQ(engine.ended.events(), Stripes{2});
}

TEST(Cancel, the_next_compaction_of_the_thread_is_not_asked_to_stop) {
  Engine engine;
  engine.start();
  engine.run(2);
  EXPECT_EQ(engine.worker->cancel(2).result, CancelReport::Result::still_running);
  EXPECT_EQ(engine.worker->cancel(2, no_time).result, CancelReport::Result::still_running);
  engine.gate.open();
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  engine.heeds_stop = true;
  engine.run(3);  // would end by itself if its flag were set
  EXPECT_EQ(engine.ended.events(), Stripes{2});
  EXPECT_EQ(engine.worker->cancel(3, Limit()).end, EpisodeEnd::cancelled);
}

TEST(Cancel, a_re_run_is_withdrawn_and_nobody_waits_for_it) {
  Engine engine;
  engine.start();
  engine.run(0);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::coalesced);
  const auto report = engine.worker->cancel(0);
  EXPECT_TRUE(report.running && report.rerun_pending && !report.waited);
  EXPECT_EQ(report.result, CancelReport::Result::still_running);
  engine.expect_lawful();
  EXPECT_EQ(engine.worker->wait_idle(0, no_time).result, IdleResult::timed_out);
  engine.gate.open();
  // Done in spite of it.
  EXPECT_EQ(engine.worker->wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(engine.begun.events(), Stripes{0});
  const auto snapshot = engine.worker->snapshot();
  EXPECT_EQ(snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(snapshot.episodes_done, 1U);
}

TEST(Cancel, a_wait_does_not_take_the_end_of_the_re_run_for_that_of_the_running_compaction) {
  Engine engine;
  engine.start();
  engine.run(0);
  Gate waits;
  StripeIdle one;
  std::thread waiter([&] {
    waits.open();
    one = engine.worker->wait_idle(0);
  });
  waits.pass();
  while (engine.worker->snapshot().waiting_callers != 1) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
    EXPECT_TRUE(engine.worker->cancel(0).rerun_pending);
  }
  EXPECT_EQ(engine.worker->snapshot().waiting_callers, 1U);
  engine.outcome = CompactionOutcome::failed("no");
  engine.gate.open();
  waiter.join();
  EXPECT_EQ(one, (StripeIdle{IdleResult::idle, EpisodeEnd::cancelled}));
}

struct OutcomeAfterCancel {
  CompactionOutcome outcome;
  EpisodeEnd end;
};

TEST(Cancel, only_a_compaction_that_is_done_ends_so) {
  const std::vector<OutcomeAfterCancel> cases = {
      {CompactionOutcome::done(), EpisodeEnd::done},
      {CompactionOutcome::nothing_to_do(), EpisodeEnd::done},
      {CompactionOutcome::more_work(), EpisodeEnd::cancelled},
      {CompactionOutcome::retry("again"), EpisodeEnd::cancelled},
      {CompactionOutcome::failed("no"), EpisodeEnd::cancelled},
      {CompactionOutcome::stopped(), EpisodeEnd::cancelled},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(std::string(to_string(each.outcome.kind())));
    Engine engine;
    engine.outcome = each.outcome;
    engine.start();
    engine.run(0);
    EXPECT_TRUE(engine.worker->cancel(0).running);
    engine.gate.open();
    EXPECT_EQ(engine.worker->wait_idle(0), (StripeIdle{IdleResult::idle, each.end}));
    EXPECT_EQ(engine.begun.events(), Stripes{0});  // more_work is not queued again
    engine.expect_lawful();
    EXPECT_EQ(engine.worker->shutdown().unfinished.size(), each.end == EpisodeEnd::done ? 0U : 1U);
  }
}

TEST(Cancel, a_request_after_it_is_served_behind_the_running_compaction) {
  Engine engine;
  engine.outcome = CompactionOutcome::more_work();
  engine.start();
  engine.run(0);
  EXPECT_TRUE(engine.worker->cancel(0).running);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
  engine.gate.open();
  engine.begun.await(2);
  EXPECT_EQ(engine.worker->snapshot().episodes_cancelled, 1U);
}

TEST(Cancel, an_unknown_stripe_and_a_wait_from_a_job_are_refused) {
  Engine engine;
  EXPECT_EQ(engine.worker->cancel(4).result, CancelReport::Result::unknown_stripe);
  EXPECT_EQ(engine.worker->cancel(4, no_time).result, CancelReport::Result::unknown_stripe);
  CancelReport waits;
  CancelReport asks;
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(CompactionConfig(), {}, 1, [&](CompactionContext& context) {
    waits = self->cancel(0, no_time);
    asks = self->cancel(0);
    return context.stop_requested() ? CompactionOutcome::stopped() : CompactionOutcome::done();
  });
  self = &worker;
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.wait_idle(0).last_end, EpisodeEnd::cancelled);
  EXPECT_EQ(waits.result, CancelReport::Result::refused);
  EXPECT_EQ(asks.result, CancelReport::Result::still_running);
}

TEST(Cancel, during_a_drain_gives_up_what_waits_for_it) {
  Engine engine;
  engine.start();
  engine.run(0);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_FALSE(engine.worker->shutdown(ShutdownMode::drain, no_time).complete);
  EXPECT_TRUE(engine.worker->cancel(1).waited);
  EXPECT_TRUE(engine.worker->cancel(0).rerun_pending);
  engine.gate.open();
  const auto report = engine.worker->shutdown(ShutdownMode::drain);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(ids(report.discarded), Stripes{});
  EXPECT_EQ(ids(report.unfinished), (Stripes{0, 1}));
  EXPECT_EQ(engine.begun.events(), Stripes{0});
  engine.expect_lawful();
  EXPECT_EQ(engine.worker->cancel(0), CancelReport());
}

TEST(Remove, what_waits_ends_as_removed_and_requests_are_rejected_until_it_is_restored) {
  Engine engine;
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(engine.worker->queue_compaction(2), Submission::queued);
  EXPECT_EQ(engine.worker->restore(1), RestoreResult::not_removed);
  EXPECT_EQ(engine.worker->remove(1), RemoveResult::removed);
  EXPECT_TRUE(engine.worker->is_removed(1));
  EXPECT_FALSE(engine.worker->is_removed(2));
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::rejected_removed);
  EXPECT_EQ(engine.worker->remove(1), RemoveResult::removed);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::rejected_removed);
  auto snapshot = engine.worker->snapshot();
  EXPECT_EQ(snapshot.rejected_removed, 2U);
  EXPECT_EQ(snapshot.episodes_removed, 1U);
  EXPECT_EQ(snapshot.removed, 1U);
  engine.expect_lawful();
  EXPECT_EQ(engine.worker->wait_idle(1), (StripeIdle{IdleResult::idle, EpisodeEnd::removed}));

  EXPECT_EQ(engine.worker->restore(1), RestoreResult::restored);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(engine.begun.events(), (Stripes{2, 1}));
  snapshot = engine.worker->snapshot();
  EXPECT_EQ(snapshot.rejected_removed, 2U);
  EXPECT_EQ(snapshot.removed, 0U);
}

TEST(Remove, waits_for_the_running_compaction_which_is_asked_to_stop) {
  Engine engine;
  engine.start();
  engine.run(1);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::rerun_pending);
  EXPECT_EQ(engine.worker->remove(1, no_time), RemoveResult::timed_out);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::rejected_removed);
  EXPECT_EQ(engine.worker->restore(1), RestoreResult::still_running);
  EXPECT_EQ(engine.worker->remove(1, no_time), RemoveResult::timed_out);
  engine.outcome = CompactionOutcome::more_work();
  engine.gate.open();
  EXPECT_EQ(engine.worker->remove(1), RemoveResult::removed);
  EXPECT_EQ(engine.ended.events(), Stripes{1});
  const auto snapshot = engine.worker->snapshot();
  EXPECT_EQ(snapshot.episodes_removed, 2U);
  EXPECT_EQ(snapshot.queue_size, 0U);
  engine.expect_lawful();
  const auto report = engine.worker->shutdown();
  EXPECT_EQ(ids(report.unfinished), Stripes{});
  EXPECT_EQ(ids(report.discarded), Stripes{});
}

TEST(Remove, waits_for_a_scan_that_began_before_it) {
  Gate scanning;
  Gate resume;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker&) {
    scanning.open();
    resume.pass();
  };
  Engine engine(1, std::move(options));
  engine.start();
  scanning.pass();
  EXPECT_EQ(engine.worker->remove(0, no_time), RemoveResult::timed_out);
  resume.open();
  EXPECT_EQ(engine.worker->remove(0), RemoveResult::removed);
}

TEST(Remove, stripes_come_and_go_in_a_worker_that_is_made_without_any) {
  BackgroundWorker::Options options;
  options.all_removed = true;
  Engine engine(1, std::move(options));
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->snapshot().removed, 4U);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(engine.worker->queue_compaction(3), Submission::rejected_removed);
    EXPECT_EQ(engine.worker->restore(3), RestoreResult::restored);
    EXPECT_EQ(engine.worker->queue_compaction(3), Submission::queued);
    EXPECT_EQ(engine.worker->wait_idle(3).last_end, EpisodeEnd::done);
    EXPECT_EQ(engine.worker->remove(3), RemoveResult::removed);
  }
  EXPECT_EQ(engine.begun.events(), (Stripes{3, 3, 3}));
}

TEST(Remove, answers_for_unknown_stripes_after_closing_and_from_jobs) {
  Engine engine;
  EXPECT_EQ(engine.worker->remove(4), RemoveResult::unknown_stripe);
  EXPECT_EQ(engine.worker->restore(4), RestoreResult::unknown_stripe);
  EXPECT_FALSE(engine.worker->is_removed(4));
  EXPECT_EQ(engine.worker->remove(0), RemoveResult::removed);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rejected_removed);
  engine.worker->shutdown();
  EXPECT_EQ(engine.worker->remove(1), RemoveResult::shut_down);
  EXPECT_EQ(engine.worker->restore(0), RestoreResult::shut_down);
  EXPECT_TRUE(engine.worker->is_removed(0));
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rejected_shutting_down);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::rejected_shutting_down);
  EXPECT_EQ(engine.worker->snapshot().rejected_removed, 1U);
  EXPECT_EQ(engine.worker->snapshot().rejected_shutting_down, 2U);

  BackgroundWorker* self = nullptr;
  RemoveResult from_job{};
  PauseResult pause_from_job{};
  BackgroundWorker worker(CompactionConfig(), {}, 2, [&](CompactionContext&) {
    from_job = self->remove(1, no_time);
    pause_from_job = self->pause(1, no_time).result();
    return CompactionOutcome::done();
  });
  self = &worker;
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(from_job, RemoveResult::refused);
  EXPECT_EQ(pause_from_job, PauseResult::refused);
  EXPECT_FALSE(worker.is_removed(1));
}

TEST(Pause, of_all_holds_what_is_queued_and_lets_it_go_in_its_order) {
  Engine engine(2);
  engine.gate.open();
  engine.start();
  auto guard = engine.worker->pause_all();
  EXPECT_EQ(guard.result(), PauseResult::paused);
  EXPECT_TRUE(guard.holds());
  for (const std::uint32_t id : {2, 0, 1}) {
    EXPECT_EQ(engine.worker->queue_compaction(id), Submission::queued);
  }
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::coalesced);
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::paused);
  EXPECT_EQ(engine.worker->wait_idle(0).result, IdleResult::paused);
  EXPECT_EQ(engine.worker->wait_idle(3).result, IdleResult::idle);
  EXPECT_EQ(engine.worker->wait_idle(no_time), IdleResult::timed_out);
  EXPECT_EQ(engine.begun.events(), Stripes{});
  EXPECT_EQ(engine.worker->queue_size(), 3U);
  EXPECT_EQ(engine.worker->snapshot().held, 3U);
  engine.expect_lawful();
  guard.release();
  EXPECT_FALSE(guard.holds());
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(engine.begun.events().size(), 3U);
}

TEST(Pause, of_one_holds_it_and_no_other_and_queues_it_at_the_tail) {
  Engine engine;
  for (const std::uint32_t id : {0, 1, 2}) {
    EXPECT_EQ(engine.worker->queue_compaction(id), Submission::queued);
  }
  auto guard = engine.worker->pause(0);
  EXPECT_EQ(guard.result(), PauseResult::paused);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::coalesced);
  EXPECT_EQ(engine.worker->queue_size(), 3U);
  EXPECT_EQ(engine.worker->wait_idle(0).result, IdleResult::paused);
  guard.release();
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(engine.begun.events(), (Stripes{1, 2, 0}));
}

TEST(Pause, of_one_ends_behind_all_that_was_pushed_before_wherever_the_stripe_waited) {
  for (const bool in_queue : {false, true}) {
    Engine engine;
    engine.start();
    engine.run(0);
    for (const std::uint32_t id : {1, 2}) {
      EXPECT_EQ(engine.worker->queue_compaction(id), Submission::queued);
    }
    if (in_queue) {
      EXPECT_TRUE(engine.worker->cancel(2).waited);  // takes the inbox
      EXPECT_EQ(engine.worker->queue_compaction(2), Submission::queued);
    }
    auto guard = engine.worker->pause(1);
    EXPECT_EQ(engine.worker->snapshot().held, 1U);
    EXPECT_EQ(engine.worker->queue_compaction(3), Submission::queued);
    guard.release();
    engine.gate.open();
    EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);
    EXPECT_EQ(engine.begun.events(), (Stripes{0, 2, 3, 1}));
  }
}

TEST(Pause, waits_for_what_runs_within_its_limit_and_holds_the_re_run) {
  Engine engine;
  engine.start();
  engine.run(0);
  EXPECT_EQ(engine.worker->pause(1).result(), PauseResult::paused);
  auto one = engine.worker->pause(0, no_time);
  auto all = engine.worker->pause_all(no_time);
  EXPECT_EQ(one.result(), PauseResult::still_running);
  EXPECT_EQ(all.result(), PauseResult::still_running);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
  engine.gate.open();
  EXPECT_EQ(engine.worker->pause_all().result(), PauseResult::paused);
  EXPECT_EQ(engine.worker->wait_idle(0).result, IdleResult::paused);
  all.release();
  EXPECT_EQ(engine.worker->wait_idle(0).result, IdleResult::paused);
  one.release();
  EXPECT_EQ(engine.worker->wait_idle(0).result, IdleResult::idle);
  EXPECT_EQ(engine.begun.events(), (Stripes{0, 0}));
}

TEST(Pause, the_last_of_several_guards_lets_go) {
  Engine engine;
  engine.gate.open();
  engine.start();
  auto first = engine.worker->pause(1);
  auto second = engine.worker->pause(1);
  PauseGuard moved = std::move(first);
  EXPECT_FALSE(first.holds());  // NOLINT(bugprone-use-after-move): what it is after a move
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  second = PauseGuard();
  EXPECT_EQ(engine.worker->wait_idle(1).result, IdleResult::paused);
  moved.release();
  moved.release();
  EXPECT_EQ(engine.worker->wait_idle(1).result, IdleResult::idle);
}

TEST(Pause, a_wait_without_a_limit_learns_of_a_pause_that_comes_later) {
  Engine engine;
  engine.start();
  engine.run(0);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  IdleResult one{};
  IdleResult all{};
  std::thread waits_for_one([&] { one = engine.worker->wait_idle(1).result; });
  std::thread waits_for_all([&] { all = engine.worker->wait_idle(); });
  while (engine.worker->snapshot().waiting_callers != 2) {
    std::this_thread::yield();
  }
  const auto guard = engine.worker->pause(1);
  waits_for_one.join();
  EXPECT_EQ(one, IdleResult::paused);
  engine.gate.open();
  waits_for_all.join();
  EXPECT_EQ(all, IdleResult::paused);
}

TEST(Pause, closing_discards_what_is_held_in_every_mode_and_nothing_of_it_runs) {
  for (const auto mode :
       {ShutdownMode::drain, ShutdownMode::finish_running, ShutdownMode::cancel}) {
    Engine engine;
    engine.start();
    engine.run(0);
    auto all = engine.worker->pause_all(no_time);
    auto one = engine.worker->pause(2);
    EXPECT_EQ(engine.worker->queue_compaction(0), Submission::rerun_pending);
    EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
    EXPECT_EQ(engine.worker->queue_compaction(2), Submission::queued);
    EXPECT_FALSE(engine.worker->shutdown(mode, no_time).complete);
    all.release();
    one.release();
    engine.gate.open();
    const auto report = engine.worker->shutdown(mode);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(ids(report.discarded), (Stripes{0, 1, 2}));
    EXPECT_EQ(engine.begun.events(), Stripes{0});
    engine.expect_lawful();
    EXPECT_EQ(engine.worker->pause_all().result(), PauseResult::shut_down);
  }
}

TEST(Pause, of_one_lets_a_drain_compact_the_others) {
  Engine engine;
  engine.gate.open();
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  const auto guard = engine.worker->pause(0);
  engine.start();
  const auto report = engine.worker->shutdown(ShutdownMode::drain);
  EXPECT_EQ(ids(report.discarded), Stripes{0});
  EXPECT_EQ(engine.begun.events(), Stripes{1});
}

TEST(Pause, what_is_held_can_be_cancelled_and_removed) {
  Engine engine;
  engine.gate.open();
  engine.start();
  auto all = engine.worker->pause_all();
  auto one = engine.worker->pause(1);
  EXPECT_EQ(engine.worker->queue_compaction(0), Submission::queued);
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_TRUE(engine.worker->cancel(0).waited);
  EXPECT_EQ(engine.worker->remove(1), RemoveResult::removed);
  EXPECT_EQ(engine.worker->snapshot().held, 0U);
  EXPECT_EQ(engine.worker->wait_idle(), IdleResult::idle);

  // Restored, it starts afresh: the old pause holds it no longer, nor does its end change a new
  // one.
  EXPECT_EQ(engine.worker->restore(1), RestoreResult::restored);
  auto anew = engine.worker->pause(1);
  one.release();
  all.release();
  EXPECT_EQ(engine.worker->queue_compaction(1), Submission::queued);
  EXPECT_EQ(engine.worker->wait_idle(1).result, IdleResult::paused);
  anew.release();
  EXPECT_EQ(engine.worker->wait_idle(1).last_end, EpisodeEnd::done);
}

TEST(Pause, of_an_unknown_stripe_holds_nothing) {
  Engine engine;
  const auto guard = engine.worker->pause(4);
  EXPECT_EQ(guard.result(), PauseResult::unknown_stripe);
  EXPECT_FALSE(guard.holds());
  EXPECT_FALSE(PauseGuard().holds());
}

TEST(Pause, a_wait_for_all_waits_for_what_is_not_held_whichever_comes_first) {
  for (const std::uint32_t held : {0U, 2U}) {
    Engine engine;
    engine.start();
    engine.run(1);
    const auto guard = engine.worker->pause(held);
    EXPECT_EQ(engine.worker->queue_compaction(held), Submission::queued);
    IdleResult result{};
    std::thread waiter([&] {
      result = engine.worker->wait_idle();
      EXPECT_EQ(engine.ended.events(), Stripes{1});
    });
    while (engine.worker->snapshot().waiting_callers != 1) {
      std::this_thread::yield();
    }
    engine.gate.open();
    waiter.join();
    EXPECT_EQ(result, IdleResult::paused);
  }
}

TEST(Pause, of_a_stripe_that_is_restored_meanwhile_says_so) {
  Engine engine;
  engine.heeds_stop = true;
  engine.start();
  engine.run(0);
  PauseResult result{};
  bool holds = true;
  std::thread pauses([&] {
    const auto guard = engine.worker->pause(0);
    result = guard.result();
    holds = guard.holds();
  });
  while (engine.worker->snapshot().waiting_callers != 1) {
    std::this_thread::yield();
  }
  // The pause may be given with the compaction's end, before the stripe is restored; then it holds
  // until that.
  EXPECT_EQ(engine.worker->remove(0), RemoveResult::removed);
  EXPECT_EQ(engine.worker->restore(0), RestoreResult::restored);
  pauses.join();
  EXPECT_TRUE(!holds || result == PauseResult::paused);
  EXPECT_TRUE(result == PauseResult::paused || result == PauseResult::restored);
}

TEST(Pause, that_still_waits_does_not_keep_the_destructor_from_waiting_for_it) {
  Engine engine;
  engine.start();
  engine.run(0);
  PauseResult result{};
  std::thread pauses([&] {
    result = engine.worker->pause_all().result();
    engine.gate.open();  // not before: the job's end would end the pause as well
  });
  while (engine.worker->snapshot().waiting_callers != 1) {
    std::this_thread::yield();
  }
  engine.worker.reset();
  pauses.join();
  EXPECT_EQ(result, PauseResult::shut_down);
}

TEST(Remove, asked_again_after_closing_waits_as_before) {
  Engine engine;
  engine.start();
  engine.run(0);
  EXPECT_EQ(engine.worker->remove(0, no_time), RemoveResult::timed_out);
  EXPECT_FALSE(engine.worker->shutdown(ShutdownMode::drain, no_time).complete);
  EXPECT_EQ(engine.worker->remove(0, no_time), RemoveResult::timed_out);
  engine.gate.open();
  EXPECT_EQ(engine.worker->remove(0), RemoveResult::removed);
  EXPECT_TRUE(engine.worker->shutdown().complete);
  EXPECT_EQ(engine.worker->remove(0), RemoveResult::removed);
}

TEST(PauseDeathTest, a_guard_that_outlives_its_worker_is_said) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Engine engine;
        const auto guard = engine.worker->pause_all();
        engine.worker.reset();
      },
      "~BackgroundWorker: a pause guard outlives the worker");
}

TEST(WaitIdle, waits_for_the_first_scan_and_what_it_queues) {
  Gate resume;
  BackgroundWorker::Options options;
  options.scan = [&](BackgroundWorker& worker) {
    resume.pass();
    worker.queue_compaction(3);
  };
  Engine engine(1, std::move(options));
  engine.gate.open();
  engine.start();
  EXPECT_EQ(engine.worker->wait_idle(no_time), IdleResult::timed_out);
  IdleResult result{};
  std::thread waiter([&] { result = engine.worker->wait_idle(); });
  while (engine.worker->snapshot().waiting_callers != 1) {
    std::this_thread::yield();
  }
  resume.open();
  waiter.join();
  EXPECT_EQ(result, IdleResult::idle);
  EXPECT_EQ(engine.ended.events(), Stripes{3});
}

}  // namespace
}  // namespace kstone::test
