// The snapshot and the nine counters (contract section 6): the laws hold at any moment.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "manual_clock_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

TEST(Stats, each_record_raises_its_own_counter) {
  const CompactionStatsAtomic stats;
  const auto copy = stats;  // shares the counters
  copy.record_compaction();
  copy.record_ssts_merged(2);
  copy.record_ssts_created(3);
  copy.record_bytes_read(4);
  copy.record_bytes_written(5);
  copy.record_bytes_reclaimed(6);
  copy.record_records_deduplicated(7);
  copy.record_tombstones_removed(8);
  auto guard = copy.start_compaction();
  auto s = stats.snapshot();
  EXPECT_EQ(s.total_compactions, 1U);
  EXPECT_EQ(s.total_ssts_merged, 2U);
  EXPECT_EQ(s.total_ssts_created, 3U);
  EXPECT_EQ(s.total_bytes_read, 4U);
  EXPECT_EQ(s.total_bytes_written, 5U);
  EXPECT_EQ(s.total_bytes_reclaimed, 6U);
  EXPECT_EQ(s.total_records_deduplicated, 7U);
  EXPECT_EQ(s.total_tombstones_removed, 8U);
  EXPECT_EQ(s.active_compactions, 1U);
  {
    const auto moved = std::move(guard);
  }
  EXPECT_EQ(stats.snapshot().active_compactions, 0U);
}

TEST(Stats, a_moved_from_one_still_shows_the_counters) {
  CompactionStatsAtomic stats;
  const auto copy = std::move(stats);
  copy.record_ssts_merged(3);
  EXPECT_EQ(stats.snapshot().total_ssts_merged, 3U);  // NOLINT(bugprone-use-after-move)
}

TEST(Snapshot, counts_what_the_core_has_not_learnt_of_yet) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  worker.queue_compaction(0);
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(snapshot.queued, 2U);
  EXPECT_EQ(snapshot.coalesced, 1U);
  EXPECT_EQ(snapshot.episodes_alive, 2U);
  EXPECT_EQ(snapshot.queue_size, 2U);
  EXPECT_EQ(broken_law(snapshot), "");
}

TEST(Snapshot, a_brief_one_leaves_out_what_the_core_has_not_learnt_of_yet) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  worker.queue_compaction(0);
  worker.queue_compaction(0);
  const auto brief = worker.brief_snapshot();
  EXPECT_EQ(brief.queued, 1U);  // it is moved into the queue
  EXPECT_EQ(brief.coalesced, 0U);
  EXPECT_EQ(brief.queue_size, 1U);
  EXPECT_EQ(brief.pending, 0U);
  EXPECT_EQ(broken_law(brief), "");
  const auto whole = worker.snapshot();
  EXPECT_EQ(whole.queued, 1U);
  EXPECT_EQ(whole.coalesced, 1U);
  const auto later = worker.brief_snapshot();  // no counter goes back
  EXPECT_EQ(later.queued, 1U);
  EXPECT_EQ(later.coalesced, 1U);
  EXPECT_EQ(later.episodes_alive, 1U);
  EXPECT_EQ(broken_law(later), "");
}

TEST(Snapshot, says_what_runs_on_which_thread_and_for_how_long) {
  using Worker = basic_background_worker<ManualClockSync>;
  using Clock = ManualClockSync::clock;
  Gate end;
  Journal<std::uint32_t> started;
  std::atomic<bool> again{true};
  Worker worker(CompactionConfig().with_max_concurrent(2), {}, 8, [&](Worker::Context& context) {
    started.add(context.stripe_id());
    if (context.stripe_id() == 5 && again.exchange(false)) {
      return CompactionOutcome::more_work();
    }
    end.pass();
    return CompactionOutcome::done();
  });
  ASSERT_EQ(worker.start(), StartResult::started);
  EXPECT_TRUE(worker.snapshot().compactions.empty());
  worker.queue_compaction(5);
  started.await(2);  // its second attempt runs
  Clock::advance(std::chrono::seconds(40));
  worker.queue_compaction(3);
  started.await(3);
  Clock::advance(std::chrono::seconds(2));
  auto running = worker.snapshot().compactions;
  EXPECT_EQ(running, worker.brief_snapshot().compactions);
  ASSERT_EQ(running.size(), 2U);
  EXPECT_EQ(running[0].thread + running[1].thread, 1U);
  std::sort(running.begin(), running.end(),
            [](const auto& a, const auto& b) { return a.stripe_id < b.stripe_id; });
  EXPECT_EQ(running[0].stripe_id, 3U);
  EXPECT_EQ(running[0].attempt, 1U);
  EXPECT_EQ(running[0].running_for, std::chrono::seconds(2));
  EXPECT_EQ(running[1].stripe_id, 5U);
  EXPECT_EQ(running[1].attempt, 2U);
  EXPECT_EQ(running[1].running_for, std::chrono::seconds(42));
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(worker.snapshot().compactions.empty());
}

TEST(Snapshot, each_counter_has_a_name_and_is_visited_once) {
  WorkerCounters counters;
  auto* const words = reinterpret_cast<std::uint64_t*>(&counters);
  constexpr std::size_t count = sizeof(WorkerCounters) / sizeof(std::uint64_t);
  for (std::size_t i = 0; i < count; ++i) {
    words[i] = i + 1;
  }
  std::vector<std::uint64_t> values;
  std::set<std::string> names;
  counters.for_each([&](std::string_view name, std::uint64_t value) {
    names.emplace(name);
    values.push_back(value);
  });
  ASSERT_EQ(values.size(), count);
  EXPECT_EQ(names.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(values[i], i + 1);
  }
  EXPECT_TRUE(names.contains("outcomes_more_work"));
}

TEST(Snapshot, the_laws_hold_at_every_moment_of_a_busy_worker) {
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            if (context.attempt() == 1 && context.stripe_id() == 0) {
                              return CompactionOutcome::more_work();
                            }
                            if (context.stripe_id() == 1) {
                              self->queue_compaction(1);
                              return CompactionOutcome::failed("always");
                            }
                            return CompactionOutcome::done();
                          });
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  std::atomic<bool> end{false};
  std::thread requester([&] {
    for (std::uint32_t i = 0; !end; ++i) {
      worker.queue_compaction(i % 4);
    }
  });
  std::vector<std::uint64_t> before;
  for (int i = 0; i < 2'000; ++i) {
    const auto snapshot = i % 2 == 0 ? worker.snapshot() : worker.brief_snapshot();
    EXPECT_EQ(broken_law(snapshot), "");
    EXPECT_EQ(snapshot.compactions.size(), snapshot.running);
    std::vector<std::uint64_t> now;
    snapshot.for_each([&](std::string_view name, std::uint64_t value) {
      EXPECT_TRUE(before.empty() || before[now.size()] <= value) << name << " went back";
      now.push_back(value);
    });
    before = now;
  }
  worker.shutdown();
  EXPECT_EQ(broken_law(worker.snapshot()), "");
  end = true;
  requester.join();
  const auto snapshot = worker.snapshot();
  EXPECT_EQ(broken_law(snapshot), "");
  EXPECT_EQ(snapshot.episodes_alive, 0U);
  EXPECT_EQ(snapshot.queue_size, 0U);
}

}  // namespace
}  // namespace kstone::test
