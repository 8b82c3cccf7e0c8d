#include "kstone/background_worker.h"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "kstone/background_worker_impl.h"

namespace kstone {
namespace detail {
namespace {

std::string text(std::chrono::nanoseconds value) { return std::to_string(value.count()) + " ns"; }
template <class Number>
std::string text(Number value) {
  return std::to_string(value);
}

template <class Value>
void require(bool holds, const char* name, Value value, const std::string& expected) {
  if (!holds) {
    throw std::invalid_argument("BackgroundWorker: " + std::string(name) + " is " + text(value) +
                                "; expected " + expected);
  }
}

std::string range(std::uint64_t least, std::uint64_t most) {
  return std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace

void validate(const CompactionConfig& config, std::uint32_t stripe_count,
              std::uint32_t thread_capacity, const BackOff& back_off,
              std::chrono::nanoseconds watchdog_limit, const LaneOptions& lanes, bool has_job) {
  require(stripe_count >= 1 && stripe_count <= max_stripe_count, "stripe_count", stripe_count,
          range(1, max_stripe_count));
  require(config.max_concurrent_compactions >= 1 &&
              config.max_concurrent_compactions <= max_worker_threads,
          "max_concurrent_compactions", config.max_concurrent_compactions,
          range(1, max_worker_threads));
  require(thread_capacity == 0 || (thread_capacity >= config.max_concurrent_compactions &&
                                   thread_capacity <= max_worker_threads),
          "thread_capacity", thread_capacity,
          range(config.max_concurrent_compactions, max_worker_threads) + ", or 0");
  require(config.check_interval_secs >= 1 && config.check_interval_secs <= max_check_interval_secs,
          "check_interval_secs", config.check_interval_secs, range(1, max_check_interval_secs));
  require(config.sst_threshold >= 2, "sst_threshold", config.sst_threshold, "2 or more");
  require(back_off.initial >= std::chrono::nanoseconds(0), "back_off.initial", back_off.initial,
          "0, for no back-off, or more");
  if (back_off.is_on()) {
    require(back_off.cap >= back_off.initial && back_off.cap <= max_back_off, "back_off.cap",
            back_off.cap, "`initial`, which is " + text(back_off.initial) + ", to a year");
    require(back_off.resource_interval > std::chrono::nanoseconds(0) &&
                back_off.resource_interval <= max_back_off,
            "back_off.resource_interval", back_off.resource_interval, "more than 0, to a year");
    require(back_off.quarantine_after <= max_quarantine_after, "back_off.quarantine_after",
            back_off.quarantine_after, range(1, max_quarantine_after) + ", or 0 for never");
    require(back_off.probe_interval > std::chrono::nanoseconds(0) &&
                back_off.probe_interval <= max_back_off,
            "back_off.probe_interval", back_off.probe_interval, "more than 0, to a year");
    require(back_off.jitter >= 0 && back_off.jitter <= 1, "back_off.jitter", back_off.jitter,
            "0 to 1");
  }
  require(watchdog_limit >= std::chrono::nanoseconds(0) && watchdog_limit <= max_watchdog_limit,
          "watchdog_limit", watchdog_limit, "0, for none, to a year");
  require(lanes.reserved_for_high < config.max_concurrent_compactions, "lanes.reserved_for_high",
          lanes.reserved_for_high, range(0, config.max_concurrent_compactions - 1));
  if (!has_job) {
    throw std::invalid_argument(
        "BackgroundWorker: job is null; expected a function to call for each compaction");
  }
}

void assign_or_truncate(std::string& target, const char* text) noexcept {
  try {
    target = text != nullptr ? text : "no text";
  } catch (...) {
    target.assign("out of memory", 13);  // short enough to need none
  }
}

void call_contained(void (*call)(void*), void* argument) noexcept {
  try {
    const CancellationOff off;  // unless the call allows it, for itself
    call(argument);
  } catch (...) {
    // What it was called for goes on.
  }
}

}  // namespace detail

template class basic_background_worker<ProductionSync>;
template class basic_pause_guard<ProductionSync>;

}  // namespace kstone
