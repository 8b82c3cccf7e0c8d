#include "interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "bad_input.h"
#include "temporary_folder.h"

namespace kstone::compact {
namespace {

std::atomic<bool> was_interrupted{false};
std::atomic<int> first_signal{0};
std::atomic<int> steps{0};
std::atomic<Wakeup*> wakeup_of_handler{nullptr};
std::atomic<Wakeup*> stopping{
    nullptr};  // is notified by an interrupt alone, and never read: it stays readable

void end_at_once(int signal) {
  remove_temporary_folder();
  // As if we had no handler, so that whoever waits for us sees what happened.
  std::signal(signal, SIG_DFL);
  sigset_t this_one;
  sigemptyset(&this_one);
  sigaddset(&this_one, signal);
  raise(signal);
  pthread_sigmask(SIG_UNBLOCK, &this_one, nullptr);
}

void on_signal(int signal) {
  const int saved = errno;
  int none = 0;
  // Relaxed: it decides who is first, and publishes nothing.
  if (first_signal.compare_exchange_strong(none, signal, std::memory_order_relaxed)) {
    interrupt();
  } else {
    end_at_once(signal);
  }
  errno = saved;
}

bool is_ignored(int signal) {
  struct sigaction now{};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

// Negative: signals are not handled, as in tests, and poll passes over it.
int stopping_descriptor() {
  const auto* pipe = stopping.load(std::memory_order_relaxed);  // relaxed: stored by this thread
  return pipe == nullptr ? -1 : pipe->descriptor();
}

void notify(const std::atomic<Wakeup*>& who) {
  if (auto* wakeup = who.load(std::memory_order_relaxed)) {  // relaxed: set before the handler was
    wakeup->notify();
  }
}

void on_step(int signal) {
  const int saved = errno;
  steps.fetch_add(signal == SIGUSR1 ? 1 : -1, std::memory_order_relaxed);  // relaxed: a count
  notify(wakeup_of_handler);
  errno = saved;
}

bool wait_until(pollfd wanted, int limit_after_interrupt_ms) {
  for (;;) {
    const bool last = interrupted();
    // Standard output asks for nothing, but says when its reader has gone.
    std::array<pollfd, 3> entries = {wanted, pollfd{stopping_descriptor(), POLLIN, 0},
                                     pollfd{STDOUT_FILENO, 0, 0}};
    const int ready =
        poll(entries.data(), last ? 1 : entries.size(), last ? limit_after_interrupt_ms : -1);
    if (ready > 0 && entries[0].revents != 0) {
      return true;
    }
    if (ready > 0 && entries[2].revents != 0) {
      interrupt();
    }
    if (last && (ready == 0 || errno != EINTR)) {
      return false;
    }
  }
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
  std::array<pollfd, 2> entries = {pollfd{read_end_, POLLIN, 0}, pollfd{STDOUT_FILENO, 0, 0}};
  if (poll(entries.data(), entries.size(), static_cast<int>(limit.count())) > 0 &&
      entries[1].revents != 0) {
    interrupt();
  }
  char discarded[64];
  while (read(read_end_, discarded, sizeof discarded) > 0) {
  }
}

void handle_signals(Wakeup& wakeup) {
  // Relaxed: sigaction below is what lets them be read.
  wakeup_of_handler.store(&wakeup, std::memory_order_relaxed);
  stopping.store(new Wakeup, std::memory_order_relaxed);  // for ever, as `wakeup`
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  if (!is_ignored(SIGHUP)) {
    sigaction(SIGHUP, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void handle_steps() {
  struct sigaction action{};
  action.sa_handler = on_step;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGUSR2, &action, nullptr);
}

int take_steps() noexcept { return steps.exchange(0, std::memory_order_relaxed); }

// Relaxed: whoever waits learns of it through the pipe, and nothing else is read because of it.
bool interrupted() noexcept { return was_interrupted.load(std::memory_order_relaxed); }

int interrupt_status() noexcept {
  // Relaxed: `interrupted` may be all there is.
  const int signal = first_signal.load(std::memory_order_relaxed);
  return signal == 0 ? static_cast<int>(exit_interrupted) : 128 + signal;
}

void interrupt() noexcept {
  was_interrupted.store(true, std::memory_order_relaxed);  // relaxed: as `interrupted`
  notify(stopping);
  notify(wakeup_of_handler);
}

bool wait_until_readable(int descriptor) {
  return wait_until({descriptor, POLLIN, 0}, 0) && !interrupted();
}

bool wait_until_writable(int descriptor) { return wait_until({descriptor, POLLOUT, 0}, 1000); }

}  // namespace kstone::compact
