// Ctrl-C at random moments of `kstone-compact db`: each time the database opens, its checksums are right, and every key is
// there.
//
// KSTONE_INTERRUPTS is how often (3), KSTONE_SEED the seed (random); both are printed.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "process_support.h"
#include "sample_database.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;

// The bytes that the process has written so far, by the kernel's count.
std::uint64_t bytes_written(pid_t pid) {
  std::istringstream lines(read_file("/proc/" + std::to_string(pid) + "/io"));
  for (std::string name, value; lines >> name >> value;) {
    if (name == "wchar:") {
      return std::stoull(value);
    }
  }
  return 0;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Interrupt, at_random_moments_leaves_a_database_with_every_key) {
  const auto interrupts = setting("KSTONE_INTERRUPTS", 3);
  const auto seed = setting("KSTONE_SEED", std::random_device()());
  std::cout << "seed " << seed << ", " << interrupts << " interrupts\n";
  std::mt19937_64 random(seed);

  const SampleShape shape{4, 6, 12'000, 400};
  const TemporaryFolder folder;
  const auto original = folder.path() / "original";
  const auto copy = folder.path() / "copy";
  make_sample(original.string(), shape);
  const auto copy_again = [&] {
    fs::remove_all(copy);
    fs::copy(original, copy, fs::copy_options::recursive);
  };

  copy_again();
  const auto whole = run({"db", copy.string(), "--json"});
  ASSERT_EQ(whole.status, 0) << whole.err;
  ASSERT_EQ(check_sample(copy.string(), shape), "");
  const auto total = nlohmann::json::parse(whole.out)["total_bytes_written"].get<std::uint64_t>();

  // A moment is a number of bytes written, so that it is as random on a slow machine as on a fast one.
  std::uint64_t while_running = 0;
  std::uint64_t stopped = 0;
  for (std::uint64_t round = 0; round < interrupts; ++round) {
    copy_again();
    const auto moment = std::uniform_int_distribution<std::uint64_t>(0, total * 9 / 10)(random);
    Process process({"db", copy.string()});
    while (!process.ended() && (!contains(process.out(), "' starts") || bytes_written(process.pid()) < moment)) {
      std::this_thread::yield();
    }
    const auto log = process.out();
    kill(process.pid(), SIGINT);
    const auto result = process.wait();
    if (count(log, "' starts") > count(log, "' ends")) {
      ++while_running;
      EXPECT_EQ(result.status, 130);
      EXPECT_TRUE(contains(result.out, "interrupted")) << result.out;
    }
    stopped += contains(result.out, "ends: stopped") ? 1 : 0;
    EXPECT_EQ(count(result.out, "' starts"), count(result.out, "' ends")) << result.out;
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(check_sample(copy.string(), shape), "") << "interrupted after " << moment << " bytes";
  }
  std::cout << while_running << " of " << interrupts << " with a compaction running, " << stopped << " stopped one\n";
  EXPECT_GE(while_running, interrupts * 8 / 10);
  EXPECT_GE(stopped, 1U);  // one that is about to end may end

  // What was interrupted can be finished.
  EXPECT_EQ(run({"db", copy.string()}).status, 0);
  EXPECT_EQ(check_sample(copy.string(), shape), "");
}

TEST(Interrupt, stops_the_demo_early_and_still_verifies_every_key) {
  const TemporaryFolder folder;
  std::ofstream input(folder.path() / "input");
  for (int i = 0; i < 2000; ++i) {
    input << "key " << i << '\t' << std::string(200, 'v') << '\n';
  }
  input.close();
  Process process({"demo", "--input", (folder.path() / "input").string(), "--summary",
                   (folder.path() / "summary.json").string(), "--compact-mib", "1000000"});
  while (!process.ended() && !contains(process.out(), "writing")) {
    std::this_thread::yield();
  }
  kill(process.pid(), SIGINT);
  const auto result = process.wait();
  EXPECT_EQ(result.status, 130) << result.err;
  const auto summary = nlohmann::json::parse(read_file(folder.path() / "summary.json"));
  EXPECT_EQ(summary["interrupted"], true);
  EXPECT_EQ(summary["keys_verified"], 2000);
  EXPECT_EQ(summary["keys_wrong"], 0);
}

}  // namespace
}  // namespace kstone::rocksdb::test
