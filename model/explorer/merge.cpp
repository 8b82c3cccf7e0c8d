// The results of the shards of one search, as one.

#include <algorithm>
#include <set>

#include "explorer.h"

namespace kstone::model {

namespace {

void add(std::vector<Cover>& covers, const Cover& more) {
  auto found = std::find_if(covers.begin(), covers.end(),
                            [&more](const Cover& other) { return other.event == more.event; });
  if (found == covers.end()) {
    covers.push_back(Cover{more.event, 0, 0});
    found = covers.end() - 1;
  }
  found->occurred += more.occurred;
}

void add(std::vector<CallSite>& sites, const CallSite& more) {
  const auto found = std::find_if(sites.begin(), sites.end(), [&more](const CallSite& other) {
    return other.name == more.name;
  });
  if (found == sites.end()) {
    sites.push_back(more);
  } else {
    found->executed += more.executed;
  }
}

// One that refutes is enough; else one that does not know.
void put_verdict(Result& merged, const Result& shard) {
  if (shard.verdict == Verdict::refuted && merged.verdict != Verdict::refuted) {
    merged.verdict = Verdict::refuted;
    merged.failure = shard.failure;
    merged.counterexample() = shard.counterexample();
    merged.fewest_preemptions = shard.fewest_preemptions;
  } else if (shard.verdict == Verdict::unknown && merged.verdict == Verdict::proved) {
    merged.verdict = Verdict::unknown;
    merged.failure = shard.failure;
    merged.reason = shard.reason;
  }
}

}  // namespace

Result merge(const std::vector<Result>& shards) {
  Result merged;
  merged.verdict = shards.empty() ? Verdict::unknown : Verdict::proved;
  std::set<std::string> outcomes;
  for (const Result& shard : shards) {
    merged.executions_complete += shard.executions_complete;
    merged.executions_redundant += shard.executions_redundant;
    merged.longest_execution = std::max(merged.longest_execution, shard.longest_execution);
    merged.stale_reads += shard.stale_reads;
    merged.spurious_wakeups += shard.spurious_wakeups;
    merged.timeouts += shard.timeouts;
    merged.seconds = std::max(merged.seconds, shard.seconds);
    outcomes.insert(shard.outcomes.begin(), shard.outcomes.end());
    for (const Cover& cover : shard.covers) {
      add(merged.covers, cover);
    }
    for (const CallSite& site : shard.sites) {
      add(merged.sites, site);
    }
    put_verdict(merged, shard);
  }
  for (Cover& cover : merged.covers) {
    cover.absent = merged.executions_complete - cover.occurred;
  }
  merged.outcomes.assign(outcomes.begin(), outcomes.end());
  return merged;
}

}  // namespace kstone::model
