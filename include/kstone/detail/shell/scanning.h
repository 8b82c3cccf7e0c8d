// Shell: the thread of the periodic scan.

#ifndef KSTONE_DETAIL_SHELL_SCANNING_H_
#define KSTONE_DETAIL_SHELL_SCANNING_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <optional>
#include <string>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
void Shell<Sync>::scan(Slot<Sync>& slot) {
  mutex_.lock();  // no guard: as in work()
  enter(slot);
  while (!state_.read().core.closed()) {
    ++state_.write().scans_begun;
    mutex_.unlock();
    std::string error;
    if (!contained(slot, std::nullopt, error, [&] { calls_.scan(); })) {
      log(slot, LogLevel::warn, "the periodic scan failed: %s", error.c_str());
    }
    mutex_.lock();
    state_.write().scans_ended = state_.read().scans_begun;
    wake(Effects{.tell_waits = true});
    adopt_all();
    await_interval(Sync::clock::now());
  }
  leave(slot);
  mutex_.unlock();
}

// Until the interval has passed since then, or the worker has closed. A wait that ends late does so
// by the deadline that it began with, which may be another by now.
template <class Sync>
void Shell<Sync>::await_interval(std::chrono::nanoseconds since) {
  bool in_time = true;
  while (!state_.read().core.closed() && in_time) {
    const auto interval = state_.read().check_interval;
    in_time = wait_until<Sync>(closed_, mutex_, since + interval) ||
              interval != state_.read().check_interval;
  }
}

template <class Sync>
void Shell<Sync>::set_check_interval(std::chrono::seconds interval) {
  check_process("set_check_interval: called in a child of fork(), where the worker has no threads");
  ScopedLock lock(mutex_);
  if (!state_.read().core.closed()) {
    state_.write().check_interval = interval;
    closed_.notify_one();  // the scan's thread, which waits for the end of the interval before
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_SCANNING_H_
