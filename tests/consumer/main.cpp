#include <atomic>
#include <cstdio>

#include "kstone/background_worker.h"

int main() {
  std::atomic<int> compacted{0};
  kstone::BackgroundWorker worker(kstone::CompactionConfig().with_max_concurrent(2), kstone::CompactionStatsAtomic(), 16,
                                  [&](kstone::CompactionContext& context) {
                                    compacted += static_cast<int>(context.stripe_id());
                                    return kstone::CompactionOutcome::done();
                                  });
  if (worker.start() != kstone::StartResult::started) {
    return 1;
  }
  worker.queue_compaction(7);
  const auto report = worker.shutdown(kstone::ShutdownMode::drain);
  std::printf("compacted %d, complete %d\n", compacted.load(), report.complete);
  return compacted == 7 && report.complete ? 0 : 1;
}
