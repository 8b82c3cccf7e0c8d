#include "explained_numbers.h"

#include <algorithm>
#include <vector>

namespace kstone::programs {
namespace {

// What the caller does not know of may be missing from what it counts without the mutex:
// requests, and the list.
template <class Holds>
bool counts(const std::vector<Request>& requests, int thread, int call, const CallRecord& record,
            std::size_t number, const Holds& holds) {
  std::size_t all = 0, known = 0;
  for (const auto& each : requests) {
    if (holds(each)) {
      ++all;
      known += knows(record, thread, call, each.claim) ? 1 : 0;
    }
  }
  return known <= number && number <= all;
}

bool is_held_back(const State& s, const std::uint8_t* numbers) {
  unsigned held_stripes = 0, removed_stripes = 0;
  for (const auto& stripe : s.stripes) {
    held_stripes += protocol::is_held(s.worker, stripe);
    removed_stripes += stripe.word.removed;
  }
  return numbers[held] == held_stripes && numbers[removed] == removed_stripes;
}

}  // namespace

bool is_queue_size(const State& s, int thread, const CallRecord& record, std::size_t size) {
  std::vector<Request> listed;
  for (const auto stripe : s.inbox()) {
    listed.push_back(Request{s.pushed[stripe], stripe, Submission::queued, 0});
  }
  const auto queued = static_cast<std::size_t>(std::count_if(
      s.stripes.begin(), s.stripes.end(), [](const auto& stripe) { return stripe.waits(); }));
  return size >= queued && counts(listed, thread, s.at[thread].call, record, size - queued,
                                  [](const Request&) { return true; });
}

bool is_snapshot(const State& s, int thread, const CallRecord& record) {
  const auto& n = record.numbers;
  const auto answered = [&](Submission answer, std::uint8_t number) {
    return counts(s.made, thread, s.at[thread].call, record, number,
                  [answer](const Request& each) { return each.answer == answer; });
  };
  const auto exact = protocol::snapshot_of(s);
  for (int kind = 0; kind < static_cast<int>(CompactionOutcome::kind_count); ++kind) {
    if (n[outcomes + kind] != exact.outcomes[static_cast<protocol::Kind>(kind)]) {
      return false;
    }
  }
  return answered(Submission::queued, n[queued]) && answered(Submission::coalesced, n[coalesced]) &&
         answered(Submission::rerun_pending, n[rerun_pending]) &&
         answered(Submission::rejected_unknown_stripe, n[rejected_unknown]) &&
         answered(Submission::rejected_shutting_down, n[rejected_shutting_down]) &&
         answered(Submission::rejected_removed, n[rejected_removed]) && is_held_back(s, n) &&
         n[ended_done] == exact.episodes_done && n[ended_failed] == exact.episodes_failed &&
         n[ended_cancelled] == exact.episodes_cancelled &&
         n[ended_removed] == exact.episodes_removed &&
         n[ended_discarded] == exact.episodes_discarded &&
         n[started] == exact.compactions_started && n[running] == exact.running &&
         n[running_max] == exact.running_max && n[max_concurrent] == exact.max_concurrent &&
         n[delayed] == exact.delayed && n[retries] == exact.retries &&
         n[quarantined] == exact.quarantined && n[probes] == exact.probes &&
         n[first_error] == s.worker.first_error && is_queue_size(s, thread, record, n[waiting]);
}

}  // namespace kstone::programs
