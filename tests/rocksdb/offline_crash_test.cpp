// kill -9 and Ctrl-C of `kstone-compact db` before any of its steps on databases of many owners:
// each opens afterwards, with every record, whether the owner comes next or this program again.
//
// KSTONE_INTERRUPTS is how often of each (6), KSTONE_SEED the seed (random); both are printed.

#include <gtest/gtest.h>
#include <signal.h>

#include <iostream>
#include <random>

#include "offline_kinds.h"
#include "process_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;

std::vector<const Kind*> compacted_kinds() {
  std::vector<const Kind*> found;
  for (const auto& each : kinds()) {
    if (each.refusal.empty() && each.name != "fifo") {  // which is left as it is
      found.push_back(&each);
    }
  }
  return found;
}

std::uint64_t steps_of(const Kind& kind, const fs::path& folder) {
  make(kind, folder);
  Process process(arguments_of(kind, folder));
  const auto result = process.wait();
  EXPECT_EQ(result.status, 0) << kind.name << ": " << result.err;
  return process.steps();
}

class OfflineCrash : public ::testing::TestWithParam<int> {};

TEST_P(OfflineCrash, before_any_step_loses_nothing) {
  const int signal = GetParam();
  const auto rounds = setting("KSTONE_INTERRUPTS", 6);
  const auto seed = setting("KSTONE_SEED", std::random_device()());
  std::cout << "seed " << seed << ", " << rounds << " rounds\n";
  std::mt19937_64 random(seed);
  const auto candidates = compacted_kinds();
  std::uint64_t ended_by_it = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const TemporaryFolder folder;
    const auto& kind = *candidates[random() % candidates.size()];
    const auto steps = steps_of(kind, folder.path() / "whole");
    ASSERT_GT(steps, 10U) << kind.name;
    const auto step = 1 + random() % steps;
    SCOPED_TRACE(kind.name + ", before step " + std::to_string(step) + " of " +
                 std::to_string(steps));

    const auto work = folder.path() / "work";
    make(kind, work);
    Circumstances circumstances;
    circumstances.signal_at = {signal, step};
    const auto result = run(arguments_of(kind, work), circumstances);
    ended_by_it += result.status == 128 + signal ? 1 : 0;
    EXPECT_TRUE(result.status == 128 + signal || result.status == 0) << result.status << result.err;
    if (round % 2 == 0) {
      const auto again = run(arguments_of(kind, work));
      EXPECT_EQ(again.status, 0) << again.err;
    }
    const auto untouched = folder.path() / "untouched";
    make(kind, untouched);
    EXPECT_TRUE(read(kind, work) == read(kind, untouched));
  }
  std::cout << ended_by_it << " of " << rounds << " were ended by it\n";
  EXPECT_GE(ended_by_it, signal == SIGKILL ? rounds * 3 / 4 : 1U);
}

// RocksDB moves a WAL that is of no use any more into the archive; one that a killed run left is no
// part of the database, and stays.
TEST(OfflineCrash, kill_before_each_later_step_leaves_archived_logs_to_a_second_run) {
  const auto& archived = kind("wal_archived");
  const TemporaryFolder folder;
  const auto steps = steps_of(archived, folder.path() / "whole");
  for (auto step = steps / 2; step <= steps; ++step) {
    SCOPED_TRACE(step);
    const auto work = folder.path() / std::to_string(step);
    make(archived, work);
    Circumstances circumstances;
    circumstances.signal_at = {SIGKILL, step};
    run(arguments_of(archived, work), circumstances);
    const auto again = run(arguments_of(archived, work));
    EXPECT_EQ(again.status, 0) << again.err;
  }
}

std::string name_of(const ::testing::TestParamInfo<int>& info) {
  return info.param == SIGKILL ? "kill" : "interrupt";
}

INSTANTIATE_TEST_SUITE_P(Signals, OfflineCrash, ::testing::Values(SIGKILL, SIGINT), name_of);

}  // namespace
}  // namespace kstone::rocksdb::test
