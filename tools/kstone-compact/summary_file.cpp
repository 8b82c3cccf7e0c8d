#include "summary_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "bad_input.h"
#include "escape.h"
#include "interrupt.h"

namespace kstone::compact {
namespace {

// As much as a summary needs, so that a full disk shows.
constexpr std::size_t trial_bytes = 8192;

}  // namespace

SummaryFile::SummaryFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) {
    const auto written = ::write(descriptor_, std::string(trial_bytes, ' ').data(), trial_bytes);
    const int error = written < 0                                   ? errno
                      : written < static_cast<ssize_t>(trial_bytes) ? ENOSPC
                                                                    : 0;
    close(descriptor_);
    descriptor_ = -1;
    unlink(path.c_str());
    if (error != 0) {
      refuse(std::strerror(error));
    }
    return;
  }
  if (errno != EEXIST) {
    refuse(std::strerror(errno));
  }
  // It may be a pipe: not to be waited for here, and kept open, since its reader takes a close for
  // the end.
  descriptor_ = open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (descriptor_ < 0) {
    refuse(errno == ENXIO ? "a pipe or socket that nobody reads" : std::strerror(errno));
  }
  // Nothing is written, but /dev/full refuses even that.
  if (::write(descriptor_, "", 0) < 0) {
    refuse(std::strerror(errno));
  }
}

SummaryFile::~SummaryFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

void SummaryFile::write(std::string_view text) {
  const bool is_new = descriptor_ < 0;
  if (is_new) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      refuse(std::strerror(errno));
    }
  }
  struct stat what{};
  const bool is_file = fstat(descriptor_, &what) == 0 && S_ISREG(what.st_mode);
  try {
    if (is_file && ftruncate(descriptor_, 0) != 0) {
      refuse(std::strerror(errno));
    }
    write_all(text);
  } catch (const BadInput&) {
    if (is_new) {
      unlink(path_.c_str());
    } else if (is_file) {
      [[maybe_unused]] const int error = ftruncate(descriptor_, 0);
    }
    throw;
  }
}

void SummaryFile::write_all(std::string_view text) {
  while (!text.empty()) {
    if (!wait_until_writable(descriptor_)) {
      refuse("its reader takes nothing");
    }
    const auto count = ::write(descriptor_, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno != EAGAIN && errno != EINTR) {
      refuse(std::strerror(errno));
    }
  }
  // Some file systems tell only now.
  if (const int descriptor = std::exchange(descriptor_, -1); close(descriptor) != 0) {
    refuse(std::strerror(errno));
  }
}

void SummaryFile::refuse(const std::string& why) const {
  throw BadInput("--summary " + escaped(path_) + ": cannot be written: " + why);
}

}  // namespace kstone::compact
