#include "interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "bad_input.h"

namespace kstone::compact {
namespace {

std::atomic<bool> was_interrupted{false};
std::atomic<Wakeup*> wakeup_of_handler{nullptr};

void on_signal(int) {
  const int saved = errno;
  // Relaxed: the main thread learns of it through the pipe, and reads nothing else because of it.
  was_interrupted.store(true, std::memory_order_relaxed);
  wakeup_of_handler.load(std::memory_order_relaxed)->notify();  // relaxed: set before the handler was
  errno = saved;
}

}  // namespace

Wakeup::Wakeup() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    throw BadInput(std::string("pipe: ") + std::strerror(errno));
  }
  read_end_ = ends[0];
  write_end_ = ends[1];
}

Wakeup::~Wakeup() {
  close(read_end_);
  close(write_end_);
}

void Wakeup::notify() noexcept {
  // A full pipe refuses the byte, and its reader is about to wake already.
  [[maybe_unused]] const auto written = write(write_end_, "", 1);
}

void Wakeup::wait_for(std::chrono::milliseconds limit) {
  pollfd entry{read_end_, POLLIN, 0};
  poll(&entry, 1, static_cast<int>(limit.count()));
  char discarded[64];
  while (read(read_end_, discarded, sizeof discarded) > 0) {
  }
}

void handle_signals(Wakeup& wakeup) {
  wakeup_of_handler.store(&wakeup, std::memory_order_relaxed);  // relaxed: sigaction below is what lets it be read
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupted() noexcept { return was_interrupted.load(std::memory_order_relaxed); }

}  // namespace kstone::compact
