// Bad input to the constructor is refused with a sentence that names the value (contract section
// 7).

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <stdexcept>
#include <string>

#include "test_support.h"

namespace kstone::test {
namespace {

std::string refusal(const CompactionConfig& config, std::uint32_t stripe_count,
                    BackgroundWorker::Job job = do_nothing) {
  try {
    BackgroundWorker worker(config, CompactionStatsAtomic(), stripe_count, std::move(job));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Construction, accepts_the_ends_of_every_range) {
  EXPECT_EQ(refusal(CompactionConfig(), 1), "accepted");
  auto config =
      CompactionConfig().with_sst_threshold(2).with_check_interval(1).with_max_concurrent(1);
  EXPECT_EQ(refusal(config, 1), "accepted");
  config.check_interval_secs = max_check_interval_secs;
  config.max_concurrent_compactions = max_worker_threads;
  EXPECT_EQ(refusal(config, 1), "accepted");
}

TEST(Construction, names_a_stripe_count_out_of_range) {
  EXPECT_EQ(refusal(CompactionConfig(), 0),
            "BackgroundWorker: stripe_count is 0; expected 1 to 16777216");
  EXPECT_EQ(refusal(CompactionConfig(), max_stripe_count + 1),
            "BackgroundWorker: stripe_count is 16777217; expected 1 to 16777216");
}

TEST(Construction, names_a_concurrency_out_of_range) {
  CompactionConfig config;
  config.max_concurrent_compactions = 0;
  EXPECT_EQ(refusal(config, 1),
            "BackgroundWorker: max_concurrent_compactions is 0; expected 1 to 4095");
  config.max_concurrent_compactions = max_worker_threads + 1;
  EXPECT_EQ(refusal(config, 1),
            "BackgroundWorker: max_concurrent_compactions is 4096; expected 1 to 4095");
}

TEST(Construction, names_a_thread_capacity_out_of_range) {
  const auto refusal_of = [](std::uint32_t capacity) -> std::string {
    BackgroundWorker::Options options;
    options.thread_capacity = capacity;
    try {
      BackgroundWorker worker(CompactionConfig().with_max_concurrent(4), {}, 1, do_nothing,
                              options);
    } catch (const std::invalid_argument& refusal) {
      return refusal.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal_of(0), "accepted");  // as many as configured
  EXPECT_EQ(refusal_of(4), "accepted");
  EXPECT_EQ(refusal_of(max_worker_threads), "accepted");
  EXPECT_EQ(refusal_of(3), "BackgroundWorker: thread_capacity is 3; expected 4 to 4095, or 0");
  EXPECT_EQ(refusal_of(max_worker_threads + 1),
            "BackgroundWorker: thread_capacity is 4096; expected 4 to 4095, or 0");
}

TEST(Construction, names_an_interval_out_of_range) {
  EXPECT_EQ(refusal(CompactionConfig().with_check_interval(0), 1),
            "BackgroundWorker: check_interval_secs is 0; expected 1 to 1000000000");
  // What a negative number becomes.
  EXPECT_EQ(
      refusal(CompactionConfig().with_check_interval(static_cast<std::uint64_t>(-1)), 1),
      "BackgroundWorker: check_interval_secs is 18446744073709551615; expected 1 to 1000000000");
}

template <class Duration>
std::uint64_t interval(Duration duration) {
  return CompactionConfig().with_check_interval(duration).check_interval_secs;
}

TEST(Construction, takes_an_interval_in_any_unit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(interval(1s), 1U);
  EXPECT_EQ(interval(5min), 300U);
  EXPECT_EQ(interval(1.5h), 5400U);
  EXPECT_EQ(interval(3000ms), 3U);
  EXPECT_EQ(interval(3001ms), 4U);  // a part of a second is a whole one
  EXPECT_EQ(interval(60'000'000'001ns), 61U);
  EXPECT_EQ(interval(std::chrono::duration<std::int64_t, std::ratio<1001, 30000>>(30000)), 1001U);
}

// As with_max_concurrent does with 0: what is too small or too large becomes the end of the range.
TEST(Construction, clamps_an_interval_in_any_unit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(interval(1ns), 1U);
  EXPECT_EQ(interval(0s), 1U);
  EXPECT_EQ(interval(-1s), 1U);
  EXPECT_EQ(interval(std::chrono::hours::min()), 1U);
  EXPECT_EQ(interval(std::chrono::hours::max()), max_check_interval_secs);
  EXPECT_EQ(interval(std::chrono::seconds(max_check_interval_secs)), max_check_interval_secs);
  EXPECT_EQ(interval(std::chrono::seconds(max_check_interval_secs + 1)), max_check_interval_secs);
  EXPECT_EQ(interval(std::chrono::duration<std::uint64_t>(UINT64_MAX)), max_check_interval_secs);
  EXPECT_EQ(interval(std::chrono::duration<double>(std::numeric_limits<double>::infinity())),
            max_check_interval_secs);
  EXPECT_EQ(interval(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())), 1U);
  EXPECT_EQ(refusal(CompactionConfig().with_check_interval(-1s), 1), "accepted");
}

// Under -Wextra, which these tests are compiled with, neither is told that it leaves the other out.
TEST(Construction, takes_one_option_alone) {
  BackgroundWorker::Options log{.log = [](LogLevel, std::string_view) {}};
  BackgroundWorker::Options scan{.scan = [](BackgroundWorker&) {}};
  EXPECT_TRUE(log.log && !log.scan && scan.scan && !scan.log);
}

TEST(Construction, names_a_threshold_out_of_range) {
  CompactionConfig config;
  config.sst_threshold = 1;
  EXPECT_EQ(refusal(config, 1), "BackgroundWorker: sst_threshold is 1; expected 2 or more");
}

TEST(Construction, names_a_null_job) {
  EXPECT_EQ(refusal(CompactionConfig(), 1, nullptr),
            "BackgroundWorker: job is null; expected a function to call for each compaction");
}

TEST(Construction, destroys_what_was_never_started) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  worker.queue_compaction(1);
}

std::string refused_back_off(const BackOff& back_off) {
  BackgroundWorker::Options options;
  options.back_off = back_off;
  try {
    const BackgroundWorker worker(
        CompactionConfig(), CompactionStatsAtomic(), 1,
        [](CompactionContext&) { return CompactionOutcome::done(); }, options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Construction, refuses_a_back_off_that_is_out_of_range) {
  EXPECT_EQ(refused_back_off({}), "accepted");
  EXPECT_EQ(refused_back_off({.initial = std::chrono::nanoseconds(-1)}),
            "BackgroundWorker: back_off.initial is -1 ns; expected 0, for no back-off, or more");
  EXPECT_EQ(
      refused_back_off({.initial = std::chrono::seconds(2), .cap = std::chrono::seconds(1)}),
      "BackgroundWorker: back_off.cap is 1000000000 ns; expected `initial`, which is 2000000000 "
      "ns, to a year");
  EXPECT_EQ(refused_back_off({.cap = max_back_off + std::chrono::nanoseconds(1)}),
            "BackgroundWorker: back_off.cap is 31536000000000001 ns; expected `initial`, which is "
            "100000000 ns, to a year");
  EXPECT_EQ(refused_back_off({.jitter = 1.5}),
            "BackgroundWorker: back_off.jitter is 1.500000; expected 0 to 1");
  EXPECT_EQ(refused_back_off({.jitter = std::numeric_limits<double>::quiet_NaN()}),
            "BackgroundWorker: back_off.jitter is nan; expected 0 to 1");
  EXPECT_EQ(
      refused_back_off({.resource_interval = std::chrono::nanoseconds(0)}),
      "BackgroundWorker: back_off.resource_interval is 0 ns; expected more than 0, to a year");
  EXPECT_EQ(refused_back_off({.quarantine_after = 32}),
            "BackgroundWorker: back_off.quarantine_after is 32; expected 1 to 31, or 0 for never");
  EXPECT_EQ(refused_back_off({.quarantine_after = max_quarantine_after}), "accepted");
  EXPECT_EQ(refused_back_off({.quarantine_after = 0}), "accepted");
  EXPECT_EQ(refused_back_off({.probe_interval = std::chrono::nanoseconds(0)}),
            "BackgroundWorker: back_off.probe_interval is 0 ns; expected more than 0, to a year");
  auto off = BackOff::off();
  off.cap = std::chrono::nanoseconds(-1);
  EXPECT_EQ(refused_back_off(off), "accepted");  // it means nothing
}

}  // namespace
}  // namespace kstone::test
