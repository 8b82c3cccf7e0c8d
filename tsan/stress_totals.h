// What the rounds of the stress program have come to, and what a job leaves in its record.
//
// Thread safety: values; `record_outcome` writes the log of the thread that calls it.

#ifndef KSTONE_TSAN_STRESS_TOTALS_H_
#define KSTONE_TSAN_STRESS_TOTALS_H_

#include <cstdint>
#include <map>
#include <string>

#include "stress_calls.h"
#include "trace.h"

namespace kstone::stress {

inline void record_outcome(std::uint32_t stripe, CompactionOutcome::Kind kind,
                           const std::string& text, bool unwound = false,
                           bool lacks_resource = false) {
  if (auto* log = kstone::trace::current) {
    log->texts.push_back(text);
    const auto detail = static_cast<std::uint8_t>(unwound ? 1 : lacks_resource ? 2 : 0);
    log->add(
        {Act::job_end, detail, stripe, 0, log->texts.size() - 1, static_cast<std::uint64_t>(kind)});
  }
}

struct Totals {
  std::uint64_t rounds = 0;
  std::uint64_t requests = 0;
  std::uint64_t compactions = 0;
  std::uint64_t publications_checked = 0;
  std::uint64_t transitions_replayed = 0;
  std::uint64_t events_replayed = 0;
  std::uint64_t holds_replayed = 0;
  std::uint64_t adoptions = 0;
  std::uint64_t adoptions_by_scan = 0;
  std::uint64_t claims_withdrawn = 0;
  std::uint64_t claims_removed_late = 0;
  std::uint64_t parked = 0;
  std::uint64_t expired = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t late_arrivals = 0;
  std::uint64_t late_arrivals_queued = 0;
  std::uint64_t tampered = 0;
  std::map<std::string, std::uint64_t> noticed = {};  // of these, by how
  std::uint64_t illegal = 0;
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_TOTALS_H_
