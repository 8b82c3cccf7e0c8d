#include "temporary_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "bad_input.h"
#include "escape.h"

namespace kstone::compact {
namespace {

// What a signal handler reads: no string, and complete before the flag is set.
std::array<char, PATH_MAX> folder{};
std::atomic<bool> has_folder{false};

// Nothing here allocates or takes a lock: a handler may have interrupted whoever holds it.
void remove_below(int directory);

void remove_entry(int directory, const char* name) {
  if (unlinkat(directory, name, 0) == 0 || errno != EISDIR) {
    return;
  }
  const int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (below >= 0) {
    remove_below(below);
    close(below);
  }
  unlinkat(directory, name, AT_REMOVEDIR);
}

void remove_below(int directory) {
  alignas(dirent64) char buffer[2048];  // of the kernel's entries; readdir would allocate
  for (;;) {
    const auto count = getdents64(directory, buffer, sizeof buffer);
    if (count <= 0) {
      return;
    }
    for (ssize_t at = 0; at < count;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      if (std::string_view(entry->d_name) != "." && std::string_view(entry->d_name) != "..") {
        remove_entry(directory, entry->d_name);
      }
    }
  }
}

}  // namespace

std::string make_temporary_folder() {
  std::error_code error;
  const auto parent = std::filesystem::temp_directory_path(error);
  if (error) {
    throw BadInput("TMPDIR: " + escaped(parent.string()) + ": " + error.message());
  }
  const auto pattern = (parent / "kstone-demo-XXXXXX").string();
  if (pattern.size() >= folder.size()) {
    throw BadInput("TMPDIR: " + escaped(parent.string()) + ": " + std::strerror(ENAMETOOLONG));
  }
  pattern.copy(folder.data(), pattern.size());
  // A signal between making the folder and noting it would leave it behind.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const bool made = mkdtemp(folder.data()) != nullptr;
  const int why = errno;
  // For a handler of this thread, which runs after it, or of one that is started later.
  has_folder.store(made);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!made) {
    throw BadInput("cannot make a temporary folder " + escaped(pattern) + ": " +
                   std::strerror(why));
  }
  return folder.data();
}

void remove_temporary_folder() noexcept {
  // RocksDB's threads may be creating files. Once the folder itself is gone they cannot.
  constexpr int rounds_max = 1000;
  for (int round = 0; has_folder.load() && round < rounds_max; ++round) {
    const int directory = open(folder.data(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0) {
      remove_below(directory);
      close(directory);
    }
    if (rmdir(folder.data()) == 0 || errno == ENOENT) {
      has_folder.store(false);
    }
  }
}

void keep_temporary_folder() noexcept { has_folder.store(false); }

}  // namespace kstone::compact
