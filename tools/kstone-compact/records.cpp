#include "records.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "bad_input.h"

extern char** environ;

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;

constexpr const char* apt_helper = "/usr/lib/apt/apt-helper";
constexpr const char* apt_lists = "/var/lib/apt/lists";
constexpr const char* dpkg_folder_default = "/var/lib/dpkg";

// A machine with every package of Debian installed has millions of files; the demo needs no more than this.
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

// What the program writes to its standard output; empty if it cannot be started or fails.
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
  pid_t child = 0;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);

  std::string output;
  char buffer[1 << 16];
  while (error == 0) {
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

// Calls `each` with every stanza: what lies between empty lines.
void for_each_stanza(std::string_view text, const std::function<void(std::string_view)>& each) {
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find("\n\n", start), text.size());
    if (end > start) {
      each(text.substr(start, end - start));
    }
    start = end + 2;
  }
}

std::vector<std::string> sorted_files(const std::string& folder, const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
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
        builder.add_record(std::string(package) + ':' + std::string(field(stanza, "Architecture: ")),
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
  const auto files = sorted_files(dpkg_folder + "/info",
                                  [](const std::string& name) { return name.size() > 5 && name.ends_with(".list"); });
  for (const auto& file : files) {
    // "name.list" or, for a package of several architectures, "name:architecture.list".
    const auto stem = fs::path(file).stem().string();
    const auto stanza = stanza_of.find(stem.substr(0, stem.find(':')));
    std::istringstream lines(read_file(file));
    for (std::string line; stanza != stanza_of.end() && std::getline(lines, line) && builder.size() < records_max;) {
      if (!line.empty()) {
        builder.add_record(line, stanza->second);
      }
    }
  }
  return builder.take();
}

RecordSet read_system_records() {
  auto records = read_package_index(apt_lists);
  if (records.records.empty()) {
    records = read_file_lists(dpkg_folder_default);
  }
  if (records.records.empty()) {
    throw BadInput(std::string("no records: neither package lists in ") + apt_lists + " nor file lists in " +
                   dpkg_folder_default + "; name a file with --input");
  }
  return records;
}

RecordSet read_record_file(const std::string& path) {
  if (fs::is_directory(path)) {
    throw BadInput("--input " + path + ": is a directory");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    throw BadInput("--input " + path + ": " + std::strerror(errno));
  }
  RecordSetBuilder builder(path);
  std::uint64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const auto tab = line.find('\t');
    if (tab == std::string::npos || tab == 0) {
      throw BadInput("--input " + path + ": line " + std::to_string(number) +
                     (tab == 0 ? " has an empty key" : " has no TAB between key and value"));
    }
    const std::string_view view(line);
    builder.add_record(view.substr(0, tab), builder.add_text(view.substr(tab + 1)));
  }
  if (in.bad()) {
    throw BadInput("--input " + path + ": " + std::strerror(errno));
  }
  if (builder.size() == 0) {
    throw BadInput("--input " + path + ": holds no records");
  }
  return builder.take();
}

}  // namespace kstone::compact
