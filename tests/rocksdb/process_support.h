// Runs kstone-compact as a user would, and looks at what it leaves.

#ifndef KSTONE_TESTS_ROCKSDB_PROCESS_SUPPORT_H_
#define KSTONE_TESTS_ROCKSDB_PROCESS_SUPPORT_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "database_support.h"

namespace kstone::rocksdb::test {

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// Name and contents of every file below a folder. Of the lock file only the name: it is empty, and
// a process that closes it gives up the lock it holds.
inline std::map<std::string, std::string> read_folder(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const bool has_contents = entry.is_regular_file() && entry.path().filename() != "LOCK";
    files[entry.path().string()] = has_contents ? read_file(entry.path()) : "";
  }
  return files;
}

struct Result {
  int status = -1;  // 128 + the signal if one ended it
  std::string out;
  std::string err;
};

// Under which circumstances the program runs.
struct Circumstances {
  std::optional<rlim_t> file_size_limit = {};  // every write beyond it fails
  std::optional<uid_t> user = {};              // needs root
  std::optional<rlim_t> memory_limit = {};     // of the address space
  std::optional<int> out = {};                 // a descriptor that standard output goes to
  std::optional<int> ignored_signal = {};      // as nohup ignores SIGHUP
  std::string temporary_folder = {};           // TMPDIR, if there is any
  // Before which of its steps it gets a signal.
  std::optional<std::pair<int, std::uint64_t>> signal_at = {};
  std::optional<std::uint64_t> refused_open = {};  // which opening of an SST to be read fails
  std::optional<rlim_t> open_files_limit = {};
  bool keeps_ssts = false;  // deleting one fails
};

// Where `kstone-compact db` may write: below its folder, and below those that its arguments name.
inline std::vector<std::string> allowed_places(const std::vector<std::string>& arguments) {
  std::vector<std::string> places = {"/dev/null"};
  const auto add = [&](const std::string& path) {
    std::error_code ignored;
    places.push_back(std::filesystem::weakly_canonical(path, ignored).string());
  };
  for (std::size_t at = 1; at < arguments.size(); ++at) {
    const auto& option = arguments[at - 1];
    if (option == "--cf-path") {
      add(arguments[at].substr(arguments[at].find('=') + 1));
    } else if (option == "db" || option == "--wal-dir" || option == "--db-path") {
      add(arguments[at]);
    }
  }
  return places;
}

// The lines of a watch that name another place.
inline std::string outside_of(const std::vector<std::string>& places, const std::string& watched) {
  std::string outside;
  std::istringstream lines(watched);
  for (std::string line; std::getline(lines, line);) {
    const auto path = line.substr(line.find(' ') + 1);
    const auto folder = std::filesystem::path(path).parent_path();
    std::error_code ignored;
    const auto place =
        std::filesystem::weakly_canonical(folder, ignored) / std::filesystem::path(path).filename();
    const bool inside = std::any_of(places.begin(), places.end(), [&](const auto& root) {
      const auto below = place.lexically_relative(root);
      return !below.empty() && *below.begin() != "..";
    });
    outside += inside ? "" : line + "\n";
  }
  return outside;
}

class Process {
 public:
  explicit Process(std::vector<std::string> arguments, const Circumstances& circumstances = {})
      : arguments_(arguments) {
    arguments.insert(arguments.begin(), KSTONE_COMPACT_PROGRAM);
    std::vector<char*> words;
    for (auto& argument : arguments) {
      words.push_back(argument.data());
    }
    words.push_back(nullptr);
    const auto out = (folder_.path() / "out").string();
    const auto err = (folder_.path() / "err").string();
    // What is watched is written by whatever user the program is, or becomes.
    std::filesystem::permissions(folder_.path(), std::filesystem::perms::all);
    for (const auto* name : {"watch", "steps"}) {
      std::ofstream(folder_.path() / name);
      std::filesystem::permissions(folder_.path() / name, std::filesystem::perms(0666));
    }
    pid_ = fork();
    if (pid_ == 0) {
      dup2(circumstances.out.value_or(open(out.c_str(), O_CREAT | O_WRONLY, 0600)), STDOUT_FILENO);
      dup2(open(err.c_str(), O_CREAT | O_WRONLY, 0600), STDERR_FILENO);
      setenv("LD_PRELOAD", KSTONE_WATCH_FILES, 1);
      setenv("KSTONE_WATCH", (folder_.path() / "watch").c_str(), 1);
      setenv("KSTONE_WATCH_STEPS", (folder_.path() / "steps").c_str(), 1);
      if (circumstances.signal_at) {
        const auto& [signal, step] = *circumstances.signal_at;
        setenv("KSTONE_WATCH_SIGNAL", (std::to_string(signal) + " " + std::to_string(step)).c_str(),
               1);
      }
      if (circumstances.refused_open) {
        setenv("KSTONE_WATCH_REFUSE", std::to_string(*circumstances.refused_open).c_str(), 1);
      }
      if (circumstances.keeps_ssts) {
        setenv("KSTONE_WATCH_KEEP", "1", 1);
      }
      if (circumstances.file_size_limit) {
        const rlimit limit{*circumstances.file_size_limit, *circumstances.file_size_limit};
        setrlimit(RLIMIT_FSIZE, &limit);
      }
      if (circumstances.open_files_limit) {
        const rlimit limit{*circumstances.open_files_limit, *circumstances.open_files_limit};
        setrlimit(RLIMIT_NOFILE, &limit);
      }
      if (circumstances.memory_limit) {
        const rlimit limit{*circumstances.memory_limit, *circumstances.memory_limit};
        setrlimit(RLIMIT_AS, &limit);
      }
      if (circumstances.ignored_signal) {
        signal(*circumstances.ignored_signal, SIG_IGN);
      }
      if (!circumstances.temporary_folder.empty()) {
        setenv("TMPDIR", circumstances.temporary_folder.c_str(), 1);
      }
      if (circumstances.user && setuid(*circumstances.user) != 0) {
        _exit(127);
      }
      execv(words[0], words.data());
      _exit(127);
    }
  }
  ~Process() {
    if (pid_ > 0 && !ended()) {
      kill(pid_, SIGKILL);
      wait();
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }

  bool ended() {
    if (!status_) {
      int status = 0;
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        status_ = status;
      }
    }
    return status_.has_value();
  }

  Result wait() {
    int status = 0;
    while (!status_ && waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    status_ = status_.value_or(status);
    if (!arguments_.empty() && arguments_.front() == "db") {
      EXPECT_EQ(outside_of(allowed_places(arguments_), watched()), "");
    }
    return {WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_), out(),
            read_file(folder_.path() / "err")};
  }

  // The calls so far that write, make, rename or delete: one on a line, with its path.
  std::string watched() const { return read_file(folder_.path() / "watch"); }

  // How many steps it took, once it has ended by itself.
  std::uint64_t steps() const {
    return std::strtoull(read_file(folder_.path() / "steps").c_str(), nullptr, 10);
  }

  // What it has printed so far.
  std::string out() const { return read_file(folder_.path() / "out"); }

 private:
  const std::vector<std::string> arguments_;
  TemporaryFolder folder_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

inline Result run(std::vector<std::string> arguments, const Circumstances& circumstances = {}) {
  return Process(std::move(arguments), circumstances).wait();
}

// A number from the environment.
inline std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

inline std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) {
    ++times;
  }
  return times;
}

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_PROCESS_SUPPORT_H_
