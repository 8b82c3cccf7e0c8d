// What the worker shows of itself, for people.

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "kstone/compaction_types.h"
#include "kstone/detail/duration_text.h"
#include "kstone/duration_histogram.h"
#include "kstone/worker_snapshot.h"

namespace kstone {
namespace detail {

DurationText text_of(std::chrono::nanoseconds duration) noexcept {
  struct Unit {
    double nanoseconds;
    double up_to;  // in it; what would be rounded up to that is one of the next
    const char* name;
  };
  constexpr std::array<Unit, 6> units{{{1, 999.5, "ns"},
                                       {1e3, 999.5, "us"},
                                       {1e6, 999.5, "ms"},
                                       {1e9, 120, "s"},
                                       {60e9, 120, "min"},
                                       {3600e9, 0, "h"}}};
  const auto exact = static_cast<double>(duration.count());
  const auto* const unit = std::find_if(units.begin(), units.end() - 1, [exact](const Unit& each) {
    return std::abs(exact) < each.up_to * each.nanoseconds;
  });
  // Not by a format with a point, which is what the locale says.
  const double value = std::abs(exact / unit->nanoseconds);
  const std::int64_t parts = value < 9.995 ? 100 : value < 99.95 ? 10 : 1;  // of one
  const std::int64_t rounded = std::llround(value * static_cast<double>(parts));
  const std::int64_t hundredths = rounded % parts * (100 / parts);
  std::array<char, 4> fraction{};
  if (hundredths != 0) {
    fraction[0] = '.';
    fraction[1] = static_cast<char>('0' + hundredths / 10);
    fraction[2] = static_cast<char>(hundredths % 10 != 0 ? '0' + hundredths % 10 : 0);
  }
  DurationText result;
  std::snprintf(result.text_.data(), result.text_.size(), "%s%" PRId64 "%s %s",
                exact < 0 ? "-" : "", rounded / parts, fraction.data(), unit->name);
  return result;
}

}  // namespace detail

namespace {

using std::to_string;

std::string text(std::chrono::nanoseconds duration) { return detail::text_of(duration).c_str(); }

constexpr std::size_t most_listed = 10;

template <class Each>
std::string list(const std::string& name, const std::vector<Each>& all) {
  if (all.empty()) {
    return "";
  }
  auto result =
      '\n' + name + ": " + to_string(all.size()) + (all.size() == 1 ? " stripe (" : " stripes (");
  for (std::size_t i = 0; i < std::min(all.size(), most_listed); ++i) {
    result += (i == 0 ? "" : ", ") + to_string(all[i].stripe_id);
  }
  if (all.size() > most_listed) {
    result += ", and " + to_string(all.size() - most_listed) + " more";
  }
  return result + ')';
}

std::string list_of_errors(const std::vector<StripeError>& errors) {
  std::string result;
  for (std::size_t i = 0; i < std::min(errors.size(), most_listed); ++i) {
    result += "\n  stripe " + to_string(errors[i].stripe_id) + ": " + errors[i].error;
  }
  if (errors.size() > most_listed) {
    result += "\n  and " + to_string(errors.size() - most_listed) + " more errors";
  }
  return result;
}

std::string text(const DurationHistogram& histogram) {
  if (histogram.count() == 0) {
    return "none";
  }
  return to_string(histogram.count()) + ", median " + text(histogram.quantile(0.5)) + ", 99 % " +
         text(histogram.quantile(0.99)) + ", longest " + text(histogram.max());
}

std::string text(const RunningCompaction& running) {
  return "stripe " + to_string(running.stripe_id) + " on thread " + to_string(running.thread) +
         " for " + text(running.running_for) + ", attempt " + to_string(running.attempt);
}

std::string text(const WorkerSnapshot& of) {
  auto result = "threads: " + to_string(of.worker_threads) + ", of which " +
                to_string(of.max_concurrent) + " may compact at a time and " +
                to_string(of.running) + " do (at most " + to_string(of.running_max) + " did)";
  for (const auto& each : of.compactions) {
    result += "\nrunning: " + text(each);
  }
  result += "\nwaiting: " + to_string(of.queue_size) + ", the first in the queue for " +
            text(of.oldest_waiting) + "; " + to_string(of.in_high_lane) + " in the high lane, " +
            to_string(of.in_low_lane) + " in the low one, " + to_string(of.held) + " held, " +
            to_string(of.delayed) + " delayed\nstripes: " + to_string(of.quarantined) +
            " in quarantine, " + to_string(of.removed) +
            " removed\nrequests: " + to_string(of.requests()) + "; " + to_string(of.queued) +
            " queued, " + to_string(of.coalesced) + " coalesced, " + to_string(of.rerun_pending) +
            " rerun_pending\nepisodes: " + to_string(of.episodes_opened) + "; " +
            to_string(of.episodes_done) + " done, " + to_string(of.episodes_failed) + " failed, " +
            to_string(of.episodes_cancelled) + " cancelled, " + to_string(of.episodes_removed) +
            " removed, " + to_string(of.episodes_discarded) + " discarded, " +
            to_string(of.episodes_alive) + " alive; " + to_string(of.retries) + " were retries, " +
            to_string(of.probes) + " probes\ncompactions: " + to_string(of.compactions_started) +
            " started";
  for (std::size_t kind = 0; kind < CompactionOutcome::kind_count; ++kind) {
    const auto each = static_cast<CompactionOutcome::Kind>(kind);
    if (of.outcomes[each] != 0) {
      result += ", " + to_string(of.outcomes[each]) + ' ' + std::string(to_string(each));
    }
  }
  result += "\nwaited: " + text(of.waited) + "\nran: " + text(of.ran);
  return of.first_error.empty() ? result : result + "\nfirst error: " + of.first_error;
}

std::string text(const ShutdownReport& report) {
  if (report.refused) {
    return "shutdown: refused";
  }
  auto result = "shutdown (" + std::string(to_string(report.mode)) +
                "): " + (report.complete ? "complete after " : "not complete after ") +
                text(report.duration) + list("discarded", report.discarded) +
                list("quarantined", report.quarantined) + list("unfinished", report.unfinished) +
                list_of_errors(report.errors) + list("waiting", report.waiting) +
                list("still running", report.still_running);
  return report.first_error.empty() ? result : result + "\nfirst error: " + report.first_error;
}

}  // namespace

// As one text: what the stream is set to for numbers is for other numbers.
std::ostream& operator<<(std::ostream& out, const DurationHistogram& histogram) {
  return out << text(histogram);
}
std::ostream& operator<<(std::ostream& out, const RunningCompaction& running) {
  return out << text(running);
}
std::ostream& operator<<(std::ostream& out, const WorkerSnapshot& snapshot) {
  return out << text(snapshot);
}
std::ostream& operator<<(std::ostream& out, const ShutdownReport& report) {
  return out << text(report);
}

}  // namespace kstone
