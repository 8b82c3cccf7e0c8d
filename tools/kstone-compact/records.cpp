#include "records.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "bad_input.h"
#include "escape.h"
#include "interrupt.h"

extern char** environ;

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;

constexpr const char* apt_helper = "/usr/lib/apt/apt-helper";
constexpr const char* apt_lists = "/var/lib/apt/lists";
constexpr const char* dpkg_folder_default = "/var/lib/dpkg";

// A machine with every package of Debian installed has millions of files; the demo needs no more
// than this.
constexpr std::size_t records_max = 100'000;

class RecordSetBuilder {
 public:
  explicit RecordSetBuilder(std::string source) { set_.source = std::move(source); }

  std::uint32_t add_text(std::string_view text) {
    set_.texts.emplace_back(text);
    return static_cast<std::uint32_t>(set_.texts.size() - 1);
  }
  void add_record(std::string_view key, std::uint32_t text) {
    const auto [found, added] = by_key_.try_emplace(std::string(key), set_.records.size());
    if (added) {
      set_.records.push_back({std::string(key), {}});
    }
    set_.records[found->second].texts.push_back(text);
  }
  std::size_t size() const { return set_.records.size(); }
  RecordSet take() { return std::move(set_); }

 private:
  RecordSet set_;
  std::unordered_map<std::string, std::size_t> by_key_;
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

// What the program writes to its standard output; empty if it cannot be started, fails, or is
// interrupted.
std::string output_of(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const auto& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));  // posix_spawn does not change them
  }
  arguments.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return {};
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // What we ignore a child would ignore, too.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);

  std::string output;
  char buffer[1 << 16];
  while (error == 0 && wait_until_readable(ends[0])) {
    const auto count = read(ends[0], buffer, sizeof buffer);
    if (count > 0) {
      output.append(buffer, static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      break;
    }
  }
  close(ends[0]);
  if (error != 0) {
    return {};
  }
  if (interrupted()) {
    kill(child, SIGTERM);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? output : std::string();
}

std::string_view field(std::string_view stanza, std::string_view name) {
  for (std::size_t line = 0; line < stanza.size();) {
    const auto end = std::min(stanza.find('\n', line), stanza.size());
    if (stanza.substr(line, name.size()) == name) {
      return stanza.substr(line + name.size(), end - line - name.size());
    }
    line = end + 1;
  }
  return {};
}

// Calls `each` with every stanza, what lies between empty lines, until there is an interrupt.
void for_each_stanza(std::string_view text, const std::function<void(std::string_view)>& each) {
  for (std::size_t start = 0; start < text.size() && !interrupted();) {
    const auto end = std::min(text.find("\n\n", start), text.size());
    if (end > start) {
      each(text.substr(start, end - start));
    }
    start = end + 2;
  }
}

std::vector<std::string> sorted_files(const std::string& folder,
                                      const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (wanted(entry->path().filename().string())) {
      files.push_back(entry->path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

RecordSet read_package_index(const std::string& lists_folder) {
  // apt keeps the lists in whatever compression it was told to; its own helper reads them all.
  const auto files = sorted_files(lists_folder, [](const std::string& name) {
    const auto at = name.rfind("_Packages");
    return at != std::string::npos && (at + 9 == name.size() || name[at + 9] == '.');
  });
  RecordSetBuilder builder("Debian's package index, " + lists_folder);
  for (const auto& file : files) {
    for_each_stanza(output_of({apt_helper, "cat-file", file}), [&](std::string_view stanza) {
      const auto package = field(stanza, "Package: ");
      if (!package.empty() && builder.size() < records_max) {
        builder.add_record(
            std::string(package) + ':' + std::string(field(stanza, "Architecture: ")),
            builder.add_text(stanza));
      }
    });
  }
  return builder.take();
}

RecordSet read_file_lists(const std::string& dpkg_folder) {
  RecordSetBuilder builder("the file lists of dpkg, " + dpkg_folder);
  std::unordered_map<std::string, std::uint32_t> stanza_of;
  for_each_stanza(read_file(fs::path(dpkg_folder) / "status"), [&](std::string_view stanza) {
    stanza_of.emplace(field(stanza, "Package: "), builder.add_text(stanza));
  });
  const auto files = sorted_files(dpkg_folder + "/info", [](const std::string& name) {
    return name.size() > 5 && name.ends_with(".list");
  });
  for (const auto& file : files) {
    if (interrupted()) {
      break;
    }
    // "name.list" or, for a package of several architectures, "name:architecture.list".
    const auto stem = fs::path(file).stem().string();
    const auto stanza = stanza_of.find(stem.substr(0, stem.find(':')));
    std::istringstream lines(read_file(file));
    for (std::string line;
         stanza != stanza_of.end() && std::getline(lines, line) && builder.size() < records_max;) {
      if (!line.empty()) {
        builder.add_record(line, stanza->second);
      }
    }
  }
  return builder.take();
}

RecordSet read_system_records() {
  auto records = read_package_index(apt_lists);
  if (records.records.empty() && !interrupted()) {
    records = read_file_lists(dpkg_folder_default);
  }
  if (records.records.empty() && !interrupted()) {
    throw BadInput(std::string("no records: neither package lists in ") + apt_lists +
                   " nor file lists in " + dpkg_folder_default + "; name a file with --input");
  }
  return records;
}

namespace {

// A file, or a pipe that never ends: it is waited for, and an interrupt ends that.
class Input {
 public:
  explicit Input(const std::string& given) : name_("--input " + escaped(given)) {
    const std::string path = given == "-" ? "/dev/stdin" : given;
    // Nonblocking: the open of a pipe that nobody writes to would wait for its writer.
    descriptor_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (descriptor_ < 0) {
      refuse(std::strerror(errno));
    }
    struct stat what{};
    if (fstat(descriptor_, &what) == 0 && S_ISDIR(what.st_mode)) {
      refuse("is a directory");
    }
  }
  ~Input() { close(descriptor_); }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // The next line, without what ends it; nothing at the end or after an interrupt.
  std::optional<std::string_view> line() {
    for (;;) {
      const auto end = text_.find('\n', searched_);
      if (end != std::string::npos) {
        return take(end, end + 1);
      }
      searched_ = text_.size();
      if (text_.size() - start_ > line_bytes_max) {
        refuse("line " + std::to_string(number_ + 1) + " is longer than 64 MiB");
      }
      if (!more()) {
        return start_ == text_.size() || interrupted()
                   ? std::nullopt
                   : std::optional(take(text_.size(), text_.size()));
      }
    }
  }

  [[noreturn]] void refuse(const std::string& why) const { throw BadInput(name_ + ": " + why); }
  [[noreturn]] void refuse_line(const std::string& why) const {
    refuse("line " + std::to_string(number_) + why);
  }

 private:
  static constexpr std::size_t line_bytes_max = 64 << 20;

  std::string_view take(std::size_t end, std::size_t next) {
    const auto line = std::string_view(text_).substr(start_, end - start_);
    ++number_;
    start_ = searched_ = next;
    return line;
  }

  bool more() {
    constexpr std::size_t chunk = 1 << 16;
    text_.erase(0, start_);
    searched_ -= start_;
    start_ = 0;
    while (wait_until_readable(descriptor_)) {
      const auto size = text_.size();
      text_.resize(size + chunk);
      const auto count = read(descriptor_, text_.data() + size, chunk);
      const int error = errno;
      text_.resize(size + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
      if (count >= 0) {
        return count > 0;
      }
      if (error != EAGAIN && error != EINTR) {
        refuse(std::strerror(error));
      }
    }
    return false;
  }

  const std::string name_;
  int descriptor_ = -1;
  std::string text_;  // what was read and not yet taken, from start_ on
  std::size_t start_ = 0;
  std::size_t searched_ = 0;  // no line ends before
  std::uint64_t number_ = 0;  // of the line that was taken last
};

}  // namespace

RecordSet read_record_file(const std::string& path) {
  Input in(path);
  RecordSetBuilder builder(escaped(path));
  while (const auto line = in.line()) {
    const auto tab = line->find('\t');
    if (tab == std::string::npos || tab == 0) {
      in.refuse_line(tab == 0 ? " has an empty key" : " has no TAB between key and value");
    }
    builder.add_record(line->substr(0, tab), builder.add_text(line->substr(tab + 1)));
  }
  if (builder.size() == 0 && !interrupted()) {
    in.refuse("holds no records");
  }
  return builder.take();
}

}  // namespace kstone::compact
