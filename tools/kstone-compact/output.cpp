#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "bad_input.h"
#include "interrupt.h"

namespace kstone::compact {
namespace {

std::string lost_because;  // the first reason; the stream remembers that it failed, but not why

[[noreturn]] void refuse(const char* why) {
  throw BadInput(std::string("standard output: ") + why);
}

}  // namespace

void require_stdout() {
  bool was_open = true;
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // open() takes the lowest number that is free, which is this one.
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF &&
        open("/dev/null", O_RDWR) == descriptor) {
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

void flush_stdout() {
  if (!lost_because.empty()) {
    return;
  }
  errno = 0;
  if (!wait_until_writable(STDOUT_FILENO)) {
    lost_because = "its reader takes nothing";
  } else if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    lost_because = std::strerror(errno == 0 ? EIO : errno);
  }
  if (!lost_because.empty()) {
    // What is printed from now on may neither block nor come back at exit.
    __fpurge(stdout);
    if (const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); nowhere >= 0) {
      dup2(nowhere, STDOUT_FILENO);
      close(nowhere);
    }
    interrupt();
  }
}

void finish_stdout() {
  flush_stdout();
  if (!lost_because.empty()) {
    refuse(lost_because.c_str());
  }
}

}  // namespace kstone::compact
