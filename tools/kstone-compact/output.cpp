#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "bad_input.h"

namespace kstone::compact {
namespace {

[[noreturn]] void refuse(const char* why) {
  throw BadInput(std::string("standard output: ") + why);
}

}  // namespace

void require_stdout() {
  bool was_open = true;
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // open() takes the lowest number that is free, which is this one.
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) == descriptor) {
      was_open = was_open && descriptor != STDOUT_FILENO;
    }
  }
  if (!was_open) {
    refuse("is closed");
  }
  if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY) {
    refuse("is not open for writing");
  }
  // Nothing is written, but /dev/full refuses even that.
  if (write(STDOUT_FILENO, "", 0) < 0) {
    refuse(std::strerror(errno));
  }
  pollfd entry{STDOUT_FILENO, 0, 0};
  if (poll(&entry, 1, 0) > 0 && (entry.revents & POLLERR) != 0) {
    refuse("nobody reads it any more");
  }
}

void finish_stdout() {
  // An error that an earlier flush met is remembered by the stream, its reason is not.
  const bool failed_before = std::ferror(stdout) != 0;
  if (std::fflush(stdout) != 0) {
    refuse(std::strerror(errno));
  }
  if (failed_before) {
    refuse("cannot be written");
  }
}

}  // namespace kstone::compact
