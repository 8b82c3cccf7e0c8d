// What a job is given: its stripe, which attempt it is, and whether it is asked to stop.
//
// Thread safety: a job's own; it lives for the call of the job.

#ifndef KSTONE_COMPACTION_CONTEXT_H_
#define KSTONE_COMPACTION_CONTEXT_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>

#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/production_sync.h"

namespace kstone {

template <class Sync>
class basic_compaction_context {
 public:
  using StatsAtomic = basic_compaction_stats_atomic<Sync>;

  basic_compaction_context(CompactionRequest request, std::uint32_t attempt,
                           const typename Sync::template atomic<bool>& stop_flag,
                           const StatsAtomic& stats)
      : request_(request), attempt_(attempt), stop_flag_(stop_flag), stats_(stats) {}

  CompactionRequest request() const noexcept { return request_; }
  std::uint32_t stripe_id() const noexcept { return request_.stripe_id; }

  // 1 for the first compaction of an episode, one more for each that follows `more_work`.
  std::uint32_t attempt() const noexcept { return attempt_; }

  // True once `shutdown(ShutdownMode::cancel)` asks this compaction to give up; it may then answer
  // `stopped`. Relaxed: it asks for something, and publishes nothing.
  bool stop_requested() const noexcept { return stop_flag_.load(std::memory_order_relaxed); }

  // The flag behind `stop_requested`, for engines that poll an atomic of their caller. Not to be
  // written; RocksDB's `canceled` is a pointer to a non-const one that RocksDB only reads, so a
  // const_cast is in order there.
  const typename Sync::template atomic<bool>& stop_flag() const noexcept { return stop_flag_; }

  // Where the job records what it merged. `total_compactions` and `active_compactions` are the
  // worker's to keep: a job that calls `record_compaction` or `start_compaction` counts twice.
  const StatsAtomic& stats() const noexcept { return stats_; }

 private:
  CompactionRequest request_;
  std::uint32_t attempt_;
  const typename Sync::template atomic<bool>& stop_flag_;
  const StatsAtomic& stats_;
};

using CompactionContext = basic_compaction_context<ProductionSync>;

}  // namespace kstone

#endif  // KSTONE_COMPACTION_CONTEXT_H_
