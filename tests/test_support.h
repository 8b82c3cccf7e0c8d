// Helpers of the contract tests. Nothing here sleeps: tests wait for events.

#ifndef KSTONE_TESTS_TEST_SUPPORT_H_
#define KSTONE_TESTS_TEST_SUPPORT_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"

namespace kstone::test {

// What failed is tried again by the next request alone.
template <class Worker = BackgroundWorker>
typename Worker::Options without_back_off() {
  typename Worker::Options options;
  options.back_off = BackOff::off();
  return options;
}

// A door that stays open once opened.
class Gate {
 public:
  void open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    opened_.wait(lock, [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

// What happened, in order, and a wait for how much of it.
template <class Event>
class Journal {
 public:
  void add(Event event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(std::move(event));
    added_.notify_all();
  }
  // Blocks until there are `count` events; the test's TIMEOUT is the limit.
  void await(std::size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    added_.wait(lock, [&] { return events_.size() >= count; });
  }
  std::vector<Event> events() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable added_;
  std::vector<Event> events_;
};

// The production policy, whose sleepers are seen: each entry into the sleep, each token, and a
// thread whose next token is held back. One `watch` at a time.
struct WatchedSync : ProductionSync {
  struct Watch {
    Watch() { watch = this; }
    Journal<int> sleeps;
    std::atomic<std::uint32_t> tokens{0};
    std::atomic<std::thread::id> held;  // the thread whose tokens wait
    Gate holding;
    Gate resume;
  };
  static inline Watch* watch = nullptr;

  struct semaphore : ProductionSync::semaphore {
    void wait() noexcept {
      watch->sleeps.add(0);
      ProductionSync::semaphore::wait();
    }
    void post(std::uint32_t count) noexcept {
      if (watch->held.load() == std::this_thread::get_id()) {
        watch->holding.open();
        watch->resume.pass();
      }
      watch->tokens += count;
      ProductionSync::semaphore::post(count);
    }
  };
};

inline CompactionOutcome do_nothing(CompactionContext&) { return CompactionOutcome::done(); }

inline std::vector<std::uint32_t> ids(const std::vector<CompactionRequest>& requests) {
  std::vector<std::uint32_t> result;
  for (const auto& request : requests) {
    result.push_back(request.stripe_id);
  }
  return result;
}

// Of a line of the log.
inline std::string without_durations(std::string_view text) {
  static const std::regex duration(" after [0-9.]+ (ns|us|ms|s|min|h)( in the queue)?");
  return std::regex_replace(std::string(text), duration, "");
}

// The two laws of WorkerSnapshot; empty if they hold.
inline std::string broken_law(const WorkerSnapshot& s) {
  const auto ended = s.episodes_done + s.episodes_failed + s.episodes_cancelled +
                     s.episodes_removed + s.episodes_discarded;
  if (s.episodes_opened != ended + s.episodes_alive) {
    return "opened " + std::to_string(s.episodes_opened) + " != ended " + std::to_string(ended) +
           " + alive " + std::to_string(s.episodes_alive);
  }
  if (s.episodes_opened != s.queued + s.rerun_pending + s.retries + s.probes) {
    return "opened " + std::to_string(s.episodes_opened) + " != queued " +
           std::to_string(s.queued) + " + rerun_pending " + std::to_string(s.rerun_pending) +
           " + retries " + std::to_string(s.retries) + " + probes " + std::to_string(s.probes);
  }
  return {};
}

}  // namespace kstone::test

#endif  // KSTONE_TESTS_TEST_SUPPORT_H_
