// The nine counters of compaction work, shared between the worker, its jobs and whoever displays
// them.
//
// Thread safety: every member of `CompactionStatsAtomic` may be called from any thread.
// `CompactionStats` is a value.

#ifndef KSTONE_COMPACTION_STATS_H_
#define KSTONE_COMPACTION_STATS_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "kstone/production_sync.h"

namespace kstone {

// A snapshot. Each counter is exact at some moment of the call; together they are not one moment.
struct CompactionStats {
  std::uint64_t total_compactions = 0;    // compactions that ended `done` or `more_work`
  std::uint64_t total_ssts_merged = 0;    // input SSTs
  std::uint64_t total_ssts_created = 0;   // output SSTs
  std::uint64_t total_bytes_read = 0;     // bytes
  std::uint64_t total_bytes_written = 0;  // bytes
  // Bytes by which the outputs are smaller than the inputs.
  std::uint64_t total_bytes_reclaimed = 0;
  // Records dropped because a newer one has the same key.
  std::uint64_t total_records_deduplicated = 0;
  std::uint64_t total_tombstones_removed = 0;  // deletion markers dropped
  std::uint64_t active_compactions = 0;        // jobs running now
};

// Copies share the same counters. The worker keeps `total_compactions` and `active_compactions`;
// the job records the others, since only it knows what it merged.
template <class Sync>
class basic_compaction_stats_atomic {
  struct Counters;

 public:
  // Lowers `active_compactions` when it goes, or when `end` is called. *Requires* that some copy of
  // the stats it comes from lives as long: keeping them alive by itself would cost two more locked
  // operations for each compaction.
  class CompactionGuard {
   public:
    CompactionGuard(CompactionGuard&& other) noexcept
        : counters_(std::exchange(other.counters_, nullptr)) {}
    CompactionGuard& operator=(CompactionGuard&&) = delete;
    ~CompactionGuard() { end(); }

    void end() noexcept {
      if (counters_ != nullptr) {
        counters_->active_compactions.fetch_sub(1, std::memory_order_relaxed);
        counters_ = nullptr;
      }
    }

   private:
    friend class basic_compaction_stats_atomic;
    explicit CompactionGuard(Counters* counters) : counters_(counters) {}

    Counters* counters_;
  };

  basic_compaction_stats_atomic() : counters_(std::make_shared<Counters>()) {}
  // Copies only: a moved-from one would have no counters to show.
  basic_compaction_stats_atomic(const basic_compaction_stats_atomic&) = default;
  basic_compaction_stats_atomic& operator=(const basic_compaction_stats_atomic&) = default;

  // Raises `active_compactions` until the guard is destroyed.
  [[nodiscard]] CompactionGuard start_compaction() const {
    counters_->active_compactions.fetch_add(1, std::memory_order_relaxed);
    return CompactionGuard(counters_.get());
  }

  // Relaxed throughout: counters are summed and shown; nothing else is read because of what they
  // say.
  void record_compaction() const noexcept { add(counters_->total_compactions, 1); }
  void record_ssts_merged(std::uint64_t count) const noexcept {
    add(counters_->total_ssts_merged, count);
  }
  void record_ssts_created(std::uint64_t count) const noexcept {
    add(counters_->total_ssts_created, count);
  }
  void record_bytes_read(std::uint64_t bytes) const noexcept {
    add(counters_->total_bytes_read, bytes);
  }
  void record_bytes_written(std::uint64_t bytes) const noexcept {
    add(counters_->total_bytes_written, bytes);
  }
  void record_bytes_reclaimed(std::uint64_t bytes) const noexcept {
    add(counters_->total_bytes_reclaimed, bytes);
  }
  void record_records_deduplicated(std::uint64_t count) const noexcept {
    add(counters_->total_records_deduplicated, count);
  }
  void record_tombstones_removed(std::uint64_t count) const noexcept {
    add(counters_->total_tombstones_removed, count);
  }

  CompactionStats snapshot() const noexcept {
    const auto read = [](const Counter& counter) {
      return counter.load(std::memory_order_relaxed);
    };
    CompactionStats stats;
    stats.total_compactions = read(counters_->total_compactions);
    stats.total_ssts_merged = read(counters_->total_ssts_merged);
    stats.total_ssts_created = read(counters_->total_ssts_created);
    stats.total_bytes_read = read(counters_->total_bytes_read);
    stats.total_bytes_written = read(counters_->total_bytes_written);
    stats.total_bytes_reclaimed = read(counters_->total_bytes_reclaimed);
    stats.total_records_deduplicated = read(counters_->total_records_deduplicated);
    stats.total_tombstones_removed = read(counters_->total_tombstones_removed);
    stats.active_compactions = read(counters_->active_compactions);
    return stats;
  }

 private:
  using Counter = typename Sync::template atomic<std::uint64_t>;

  struct Counters {
    Counter total_compactions{0};
    Counter total_ssts_merged{0};
    Counter total_ssts_created{0};
    Counter total_bytes_read{0};
    Counter total_bytes_written{0};
    Counter total_bytes_reclaimed{0};
    Counter total_records_deduplicated{0};
    Counter total_tombstones_removed{0};
    Counter active_compactions{0};
  };

  static void add(Counter& counter, std::uint64_t amount) noexcept {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }

  std::shared_ptr<Counters> counters_;
};

using CompactionStatsAtomic = basic_compaction_stats_atomic<ProductionSync>;

}  // namespace kstone

#endif  // KSTONE_COMPACTION_STATS_H_
