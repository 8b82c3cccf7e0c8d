// Jobs (contract section 4): outcomes, with and without a request during the run.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include <stdexcept>
#include <string>
#include "test_support.h"

namespace kstone::test {
namespace {

struct Started {
  std::uint32_t stripe;
  std::uint32_t attempt;
  friend bool operator==(const Started&, const Started&) = default;
};

// Runs stripe 0 with the given outcomes, one for each compaction; in the first, requests stripe 0
// again if asked to.
struct Played {
  std::vector<Started> runs;
  WorkerSnapshot snapshot;
};

Played play(const std::vector<CompactionOutcome>& outcomes, bool request_during_first) {
  Journal<Started> journal;
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 2,
      [&](CompactionContext& context) {
        const auto index = journal.events().size();
        journal.add({context.stripe_id(), context.attempt()});
        if (index == 0 && request_during_first) {
          EXPECT_EQ(self->queue_compaction(0), Submission::rerun_pending);
        }
        return index < outcomes.size() ? outcomes[index] : CompactionOutcome::done();
      },
      without_back_off());
  self = &worker;
  worker.queue_compaction(0);
  EXPECT_EQ(worker.start(), StartResult::started);
  // Requests made by jobs are not before the first wait, but all are before the second.
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  Played played{journal.events(), worker.snapshot()};
  EXPECT_EQ(broken_law(played.snapshot), "");
  EXPECT_EQ(played.snapshot.episodes_alive, 0U);
  return played;
}

TEST(Jobs, done_and_nothing_to_do_end_the_episode) {
  for (const auto& outcome : {CompactionOutcome::done(), CompactionOutcome::nothing_to_do()}) {
    const auto played = play({outcome}, false);
    EXPECT_EQ(played.runs, (std::vector<Started>{{0, 1}}));
    EXPECT_EQ(played.snapshot.episodes_done, 1U);
    EXPECT_EQ(played.snapshot.first_error, "");
  }
  EXPECT_EQ(play({CompactionOutcome::nothing_to_do()}, false)
                .snapshot.outcomes[CompactionOutcome::Kind::nothing_to_do],
            1U);
  EXPECT_EQ(play({CompactionOutcome::done()}, false).snapshot.stats.total_compactions, 1U);
  EXPECT_EQ(play({CompactionOutcome::nothing_to_do()}, false).snapshot.stats.total_compactions, 0U);
}

TEST(Jobs, done_with_a_request_runs_once_more_as_a_new_episode) {
  const auto played = play({CompactionOutcome::done()}, true);
  EXPECT_EQ(played.runs, (std::vector<Started>{{0, 1}, {0, 1}}));
  EXPECT_EQ(played.snapshot.episodes_done, 2U);
  EXPECT_EQ(played.snapshot.rerun_pending, 1U);
}

TEST(Jobs, more_work_goes_on_as_the_same_episode) {
  const auto played = play({CompactionOutcome::more_work(), CompactionOutcome::more_work()}, false);
  EXPECT_EQ(played.runs, (std::vector<Started>{{0, 1}, {0, 2}, {0, 3}}));
  EXPECT_EQ(played.snapshot.episodes_opened, 1U);
  EXPECT_EQ(played.snapshot.episodes_done, 1U);
  EXPECT_EQ(played.snapshot.outcomes[CompactionOutcome::Kind::more_work], 2U);
  EXPECT_EQ(played.snapshot.stats.total_compactions, 3U);
}

TEST(Jobs, more_work_with_a_request_is_one_entry) {
  const auto played = play({CompactionOutcome::more_work()}, true);
  EXPECT_EQ(played.runs, (std::vector<Started>{{0, 1}, {0, 1}}));
  EXPECT_EQ(played.snapshot.episodes_opened, 2U);
  EXPECT_EQ(played.snapshot.episodes_done, 2U);
  EXPECT_EQ(played.snapshot.coalesced, 0U);
}

TEST(Jobs, more_work_goes_to_the_tail) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 3,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            return context.stripe_id() == 0 && context.attempt() < 3
                                       ? CompactionOutcome::more_work()
                                       : CompactionOutcome::done();
                          });
  for (std::uint32_t id = 0; id < 3; ++id) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(compacted.events(), (std::vector<std::uint32_t>{0, 1, 2, 0, 0}));
}

TEST(Jobs, a_request_while_more_work_waits_is_coalesced_and_counted_once) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker* self = nullptr;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 2,
                          [&](CompactionContext& context) {
                            compacted.add(context.stripe_id());
                            if (context.stripe_id() == 1) {  // stripe 0 waits at the tail
                              EXPECT_EQ(self->queue_compaction(0), Submission::coalesced);
                              EXPECT_EQ(self->queue_compaction(0), Submission::coalesced);
                              EXPECT_EQ(self->snapshot().coalesced, 2U);
                            }
                            return context.stripe_id() == 0 && context.attempt() == 1
                                       ? CompactionOutcome::more_work()
                                       : CompactionOutcome::done();
                          });
  self = &worker;
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(compacted.events(), (std::vector<std::uint32_t>{0, 1, 0}));
  EXPECT_EQ(worker.snapshot().coalesced, 2U);
  EXPECT_EQ(broken_law(worker.snapshot()), "");
}

TEST(Jobs, retry_and_failed_end_the_episode_as_failed) {
  for (const auto& outcome :
       {CompactionOutcome::retry("disk full"), CompactionOutcome::failed("disk full")}) {
    const auto alone = play({outcome}, false);
    EXPECT_EQ(alone.runs.size(), 1U);
    EXPECT_EQ(alone.snapshot.episodes_failed, 1U);
    EXPECT_EQ(alone.snapshot.first_error, "disk full");
    EXPECT_EQ(alone.snapshot.stats.total_compactions, 0U);

    const auto requested = play({outcome}, true);
    EXPECT_EQ(requested.runs, (std::vector<Started>{{0, 1}, {0, 1}}));
    EXPECT_EQ(requested.snapshot.episodes_failed, 1U);
    EXPECT_EQ(requested.snapshot.episodes_done, 1U);
  }
}

TEST(Jobs, stopped_ends_the_episode_as_cancelled) {
  const auto alone = play({CompactionOutcome::stopped()}, false);
  EXPECT_EQ(alone.snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(alone.snapshot.episodes_failed, 0U);
  EXPECT_EQ(alone.snapshot.first_error, "") << "being stopped is no error";
  const auto requested = play({CompactionOutcome::stopped()}, true);
  EXPECT_EQ(requested.runs.size(), 2U);
  EXPECT_EQ(requested.snapshot.episodes_cancelled, 1U);
  EXPECT_EQ(requested.snapshot.episodes_done, 1U);
}

TEST(Jobs, the_first_error_is_kept) {
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 3,
      [](CompactionContext& context) {
        return CompactionOutcome::failed("stripe " + std::to_string(context.stripe_id()));
      },
      without_back_off());
  for (const std::uint32_t id : {2U, 0U, 1U}) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().first_error, "stripe 2");
  EXPECT_EQ(worker.snapshot().episodes_failed, 3U);
}

TEST(Jobs, an_error_text_beyond_a_mebibyte_is_cut) {
  const std::string whole(max_error_size, 'w');
  EXPECT_EQ(CompactionOutcome::failed(whole).error(), whole);
  const auto outcome = CompactionOutcome::retry(whole + "x");
  EXPECT_EQ(outcome.kind(), CompactionOutcome::Kind::retry);
  EXPECT_EQ(outcome.error(), std::string(64, 'w'));
  EXPECT_LT(outcome.error().capacity(), 1000U) << "the rest is freed";

  BackgroundWorker worker(
      CompactionConfig(), CompactionStatsAtomic(), 1,
      [&](CompactionContext&) -> CompactionOutcome { throw std::runtime_error(whole + "x"); },
      without_back_off());
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().first_error, std::string(64, 'w'));
  EXPECT_EQ(worker.shutdown().first_error, std::string(64, 'w'));
}

}  // namespace
}  // namespace kstone::test
