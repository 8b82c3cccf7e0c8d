// Ctrl-C at random moments of `kstone-compact db`: each time the database opens, its checksums are
// right, and every key is there. And what ends `kstone-compact demo` at whatever moment: it says
// what was done, and leaves nothing in TMPDIR.
//
// KSTONE_INTERRUPTS is how often (3), KSTONE_SEED the seed (random); both are printed.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
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

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// SIGUSR1 is one more compaction at a time, SIGUSR2 one less, from 1 to the number of stripes.
TEST(Interrupt, by_other_signals_changes_how_many_compact) {
  const TemporaryFolder folder;
  const auto summary = (folder.path() / "summary.json").string();
  std::ofstream input(folder.path() / "input");
  for (int i = 0; i < 2000; ++i) {
    input << "key" << i << "\tvalue\n";
  }
  input.close();
  Process process({"demo", "--workers", "1", "--stripes", "16", "--seconds", "600", "--compact-mib",
                   "1000000", "--input", (folder.path() / "input").string(), "--summary", summary});
  const auto await = [&](const std::string& part) {
    while (!contains(process.out(), part)) {
      ASSERT_FALSE(process.ended()) << process.out();
      std::this_thread::yield();
    }
  };
  const std::string limits[] = {" of 1 (", " of 2 (", " of 3 ("};
  await(limits[0]);
  kill(process.pid(), SIGUSR1);
  await(limits[1]);
  kill(process.pid(), SIGUSR1);
  await(limits[2]);
  for (int i = 0; i < 40; ++i) {
    kill(process.pid(), SIGUSR1);  // those that come at once may be one
    std::this_thread::yield();
  }
  kill(process.pid(), SIGINT);
  const auto result = process.wait();
  EXPECT_EQ(result.status, 130) << result.err;
  const auto json = nlohmann::json::parse(read_file(summary));
  EXPECT_EQ(json["workers"], 1);
  EXPECT_GE(json["workers_at_end"], 3);
  EXPECT_LE(json["workers_at_end"], 16);
}

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

  // A moment is a number of bytes written, so that it is as random on a slow machine as on a fast
  // one.
  std::uint64_t while_running = 0;
  std::uint64_t stopped = 0;
  for (std::uint64_t round = 0; round < interrupts; ++round) {
    copy_again();
    const auto moment = std::uniform_int_distribution<std::uint64_t>(0, total * 9 / 10)(random);
    Process process({"db", copy.string()});
    while (!process.ended() &&
           (!contains(process.out(), "' starts") || bytes_written(process.pid()) < moment)) {
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
  std::cout << while_running << " of " << interrupts << " with a compaction running, " << stopped
            << " stopped one\n";
  EXPECT_GE(while_running, interrupts * 8 / 10);
  EXPECT_GE(stopped, 1U);  // one that is about to end may end

  // What was interrupted can be finished.
  EXPECT_EQ(run({"db", copy.string()}).status, 0);
  EXPECT_EQ(check_sample(copy.string(), shape), "");
}

// The demo, its files, and a TMPDIR of its own that must be empty in the end.
class DemoInterrupt : public ::testing::Test {
 protected:
  DemoInterrupt() {
    fs::create_directory(path("tmp"));
    circumstances_.temporary_folder = path("tmp");
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string input(int lines) const {
    std::ofstream file(path("input"));
    for (int i = 0; i < lines; ++i) {
      file << "key " << i << '\t' << std::string(200, 'v') << '\n';
    }
    return path("input");
  }
  void start(const std::string& input,
             const std::vector<std::string>& more = {"--compact-mib", "1000000"}) {
    std::vector<std::string> arguments = {"demo", "--input", input, "--summary",
                                          path("summary.json")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    process_.emplace(arguments, circumstances_);
  }
  void await(const std::string& text) {
    while (!process_->ended() && !contains(process_->out(), text)) {
      std::this_thread::yield();
    }
    ASSERT_FALSE(process_->ended()) << process_->wait().err;
  }
  void send(int signal) { kill(process_->pid(), signal); }
  // So that they are there together, whatever the process does in between.
  void send_at_once(std::initializer_list<int> signals) {
    send(SIGSTOP);
    int status = 0;
    ASSERT_EQ(waitpid(process_->pid(), &status, WUNTRACED), process_->pid());
    ASSERT_TRUE(WIFSTOPPED(status));
    for (const int signal : signals) {
      send(signal);
    }
    send(SIGCONT);
  }
  Result end() {
    const auto result = process_->wait();
    EXPECT_TRUE(fs::is_empty(path("tmp")));
    return result;
  }
  nlohmann::json summary() const { return nlohmann::json::parse(read_file(path("summary.json"))); }

  TemporaryFolder folder_;
  Circumstances circumstances_;
  std::optional<Process> process_;
};

TEST_F(DemoInterrupt, while_writing_still_verifies_every_key) {
  start(input(2000));
  await("writing");
  send(SIGINT);
  const auto result = end();
  EXPECT_EQ(result.status, 130) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(contains(result.out, "interrupted")) << result.out;
  EXPECT_EQ(summary()["interrupted"], true);
  EXPECT_EQ(summary()["keys_verified"], 2000);
  EXPECT_EQ(summary()["keys_wrong"], 0);
}

TEST_F(DemoInterrupt, the_exit_status_names_the_signal) {
  const auto records = input(2000);
  for (const int signal : {SIGTERM, SIGHUP}) {
    start(records);
    await("writing");
    send(signal);
    const auto result = end();
    EXPECT_EQ(result.status, 128 + signal) << result.err;
    EXPECT_EQ(summary()["interrupted"], true);
  }
}

TEST_F(DemoInterrupt, a_hangup_that_nohup_ignores_is_ignored) {
  circumstances_.ignored_signal = SIGHUP;
  start(input(2000));
  await("writing");
  send_at_once({SIGHUP, SIGINT});
  EXPECT_EQ(end().status, 130);
  EXPECT_EQ(summary()["keys_verified"], 2000);
}

// Its writer has not come, or has written half a line: nobody will ever say that it ends.
TEST_F(DemoInterrupt, while_reading_a_pipe_that_never_ends) {
  const auto pipe = path("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string written : {"", "key\tvalue\nke"}) {
    start(pipe);
    int writer = -1;
    while (!process_->ended() && writer < 0) {
      // Succeeds once somebody reads.
      writer = open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    }
    ASSERT_GE(writer, 0);
    kill(process_->pid(), SIGUSR1);  // one more compaction at a time, once there are any
    ASSERT_EQ(write(writer, written.data(), written.size()), static_cast<ssize_t>(written.size()));
    if (written.empty()) {
      send(SIGINT);
    } else {
      send_at_once({SIGTERM});
    }
    const auto result = end();
    close(writer);
    EXPECT_EQ(result.status, written.empty() ? 130 : 143) << result.err;
    EXPECT_EQ(summary()["interrupted"], true);
    EXPECT_EQ(summary()["keys_written"], 0);
    EXPECT_EQ(summary()["verified"], false);
  }
}

TEST_F(DemoInterrupt, while_checking_says_how_much_was_checked) {
  start(input(200'000), {"--seconds", "0"});
  await("reopening");
  send(SIGINT);
  const auto result = end();
  EXPECT_EQ(result.status, 130) << result.err;
  EXPECT_TRUE(contains(result.out, "interrupted before everything was checked")) << result.out;
  EXPECT_EQ(summary()["interrupted"], true);
  EXPECT_EQ(summary()["verified"], false);
  EXPECT_EQ(summary()["keys_written"], 200'000);
  EXPECT_EQ(summary()["keys_checked"], summary()["keys_verified"]);
}

TEST_F(DemoInterrupt, a_second_signal_ends_it_at_once) {
  start(input(2000));
  await("writing");
  send_at_once({SIGINT, SIGTERM});
  const auto result = end();
  // How far it came says nothing: the system may run the second signal's handler on a thread that
  // gets no processor for a while.
  EXPECT_TRUE(result.status == 130 || result.status == 143) << result.status;
  EXPECT_FALSE(fs::exists(path("summary.json")));
}

TEST_F(DemoInterrupt, an_abort_is_one_line) {
  start(input(2000));
  await("writing");
  send(SIGABRT);
  const auto result = end();
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.err, "kstone-compact: aborted: RocksDB or the C++ library cannot go on\n");
}

TEST_F(DemoInterrupt, a_reader_that_goes_away_ends_it) {
  for (const bool json : {false, true}) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    circumstances_.out = ends[1];
    start(input(2000), {"--compact-mib", "1000000", json ? "--json" : "--keep=false"});
    close(ends[1]);
    if (json) {
      while (!process_->ended() && fs::is_empty(path("tmp"))) {
        std::this_thread::yield();
      }
    } else {
      char first = 0;
      ASSERT_EQ(read(ends[0], &first, 1), 1);
    }
    close(ends[0]);
    const auto result = end();
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.err.substr(result.err.rfind("kstone-compact: ")),
              "kstone-compact: standard output: Broken pipe\n");
  }
}

}  // namespace
}  // namespace kstone::rocksdb::test
