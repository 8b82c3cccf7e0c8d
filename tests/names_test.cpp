// What users print: the name of each enumerator is its spelling, and a worker says what it was made
// with.

#include <gtest/gtest.h>

#include "test_support.h"

namespace kstone::test {
namespace {

TEST(Names, of_answers) {
  EXPECT_EQ(to_string(Submission::queued), "queued");
  EXPECT_EQ(to_string(Submission::coalesced), "coalesced");
  EXPECT_EQ(to_string(Submission::rerun_pending), "rerun_pending");
  EXPECT_EQ(to_string(Submission::rejected_unknown_stripe), "rejected_unknown_stripe");
  EXPECT_EQ(to_string(Submission::rejected_disabled), "rejected_disabled");
  EXPECT_EQ(to_string(Submission::rejected_shutting_down), "rejected_shutting_down");
}

TEST(Names, of_outcomes) {
  using Kind = CompactionOutcome::Kind;
  EXPECT_EQ(to_string(Kind::done), "done");
  EXPECT_EQ(to_string(Kind::nothing_to_do), "nothing_to_do");
  EXPECT_EQ(to_string(Kind::more_work), "more_work");
  EXPECT_EQ(to_string(Kind::retry), "retry");
  EXPECT_EQ(to_string(Kind::failed), "failed");
  EXPECT_EQ(to_string(Kind::stopped), "stopped");
}

TEST(Names, of_results_of_start) {
  EXPECT_EQ(to_string(StartResult::started), "started");
  EXPECT_EQ(to_string(StartResult::already_running), "already_running");
  EXPECT_EQ(to_string(StartResult::shut_down), "shut_down");
  EXPECT_EQ(to_string(StartResult::no_threads), "no_threads");
}

TEST(Names, of_results_of_set_max_concurrent) {
  EXPECT_EQ(to_string(ResizeResult::resized), "resized");
  EXPECT_EQ(to_string(ResizeResult::fewer_threads), "fewer_threads");
  EXPECT_EQ(to_string(ResizeResult::out_of_range), "out_of_range");
  EXPECT_EQ(to_string(ResizeResult::shut_down), "shut_down");
}

TEST(Names, of_results_of_wait_idle) {
  EXPECT_EQ(to_string(IdleResult::idle), "idle");
  EXPECT_EQ(to_string(IdleResult::timed_out), "timed_out");
  EXPECT_EQ(to_string(IdleResult::shut_down), "shut_down");
  EXPECT_EQ(to_string(IdleResult::refused), "refused");
}

TEST(Names, of_modes_and_levels) {
  EXPECT_EQ(to_string(ShutdownMode::drain), "drain");
  EXPECT_EQ(to_string(ShutdownMode::finish_running), "finish_running");
  EXPECT_EQ(to_string(ShutdownMode::cancel), "cancel");
  EXPECT_EQ(to_string(LogLevel::debug), "debug");
  EXPECT_EQ(to_string(LogLevel::info), "info");
  EXPECT_EQ(to_string(LogLevel::warn), "warn");
  EXPECT_EQ(to_string(LogLevel::error), "error");
}

TEST(Names, a_worker_says_what_it_was_made_with) {
  const BackgroundWorker worker(CompactionConfig().with_sst_threshold(7), CompactionStatsAtomic(),
                                5, do_nothing);
  EXPECT_EQ(worker.stripe_count(), 5U);
  EXPECT_EQ(worker.config().sst_threshold, 7U);
}

}  // namespace
}  // namespace kstone::test
