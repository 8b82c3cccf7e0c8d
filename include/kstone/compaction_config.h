// What an engine author can set: the `CompactionConfig` of the origin (contract section 2).
//
// Thread safety: a value; the worker copies it at construction.

#ifndef KSTONE_COMPACTION_CONFIG_H_
#define KSTONE_COMPACTION_CONFIG_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace kstone {

// The limits that `BackgroundWorker`'s constructor checks. They come from the widths of the fields
// in `ControlWord`, which holds a stripe plus one and a number of stripes, and from what an
// interval in nanoseconds can hold (D17).
inline constexpr std::uint32_t max_stripe_count = 1U << 24;
inline constexpr std::uint32_t max_worker_threads = 4095;
inline constexpr std::uint64_t max_check_interval_secs = 1'000'000'000;
inline constexpr std::chrono::nanoseconds max_watchdog_limit = std::chrono::hours(24 * 365);

struct CompactionConfig {
  // False: `queue_compaction` answers `rejected_disabled` and `start` creates no thread.
  bool enabled = true;

  // A stripe with this many SSTs or more is queued by an engine adapter's scan. At least 2: one SST
  // has nothing to merge with.
  std::uint32_t sst_threshold = 10;

  // Seconds between two calls of the scan, 1 to `max_check_interval_secs`. Only the scan waits for
  // it: a request starts at once.
  std::uint64_t check_interval_secs = 60;

  // How many stripes are compacted at the same time: the number of worker threads, 1 to
  // `max_worker_threads`. (`BackgroundWorker::set_max_concurrent` changes it.)
  std::uint32_t max_concurrent_compactions = 4;

  static CompactionConfig disabled() {
    CompactionConfig config;
    config.enabled = false;
    return config;
  }

  // The origin's setters. As there, a value below the least sensible one is raised to it (2 and 1);
  // set the field itself to have the constructor refuse it.
  [[nodiscard]] CompactionConfig with_sst_threshold(std::uint32_t threshold) const {
    auto config = *this;
    config.sst_threshold = std::max(threshold, 2U);
    return config;
  }
  [[nodiscard]] CompactionConfig with_check_interval(std::uint64_t seconds) const {
    auto config = *this;
    config.check_interval_secs = seconds;
    return config;
  }
  // Any duration. A part of a second counts as a whole one. Less than a second, zero and negative
  // ones too, is raised to one second, more than `max_check_interval_secs` lowered to that.
  template <class Rep, class Period>
  [[nodiscard]] CompactionConfig with_check_interval(
      std::chrono::duration<Rep, Period> interval) const {
    // Floating point, since the largest durations do not fit into other units. What is not a number
    // compares as false, and becomes one second.
    const double seconds = std::min(std::chrono::duration<double>(interval).count(),
                                    static_cast<double>(max_check_interval_secs));
    std::uint64_t whole = seconds > 1 ? static_cast<std::uint64_t>(seconds) : 1;
    if (static_cast<double>(whole) < seconds) {
      ++whole;
    }
    return with_check_interval(whole);
  }
  [[nodiscard]] CompactionConfig with_max_concurrent(std::uint32_t max) const {
    auto config = *this;
    config.max_concurrent_compactions = std::max(max, 1U);
    return config;
  }
};

}  // namespace kstone

#endif  // KSTONE_COMPACTION_CONFIG_H_
