// The demo's writes, one after another, as ledger and seed decide: first every record as often as
// the source names it, then a skewed mix of updates, deletions and re-inserts without end.
//
// Thread safety: one thread writes; the counts may be read from any.

#ifndef KSTONE_COMPACT_WRITE_SEQUENCE_H_
#define KSTONE_COMPACT_WRITE_SEQUENCE_H_

#include <atomic>
#include <cstdint>
#include <random>
#include <vector>

#include "demo_database.h"
#include "ledger.h"
#include "zipf.h"

namespace kstone::compact {

// What was written so far. Relaxed wherever it is touched: it is shown, and nothing else is read
// because of what it says.
struct WriteCounts {
  std::atomic<std::uint64_t> puts{0};
  std::atomic<std::uint64_t> deletes{0};
  std::atomic<std::uint64_t> reinserts{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> loaded{false};
};

class WriteSequence {
 public:
  // The ledger holds nothing yet, outlives this, and is kept by it.
  WriteSequence(Ledger& ledger, std::uint64_t seed);

  // Makes the next write. It may go to another `DemoDatabase` than the last one: to the same files,
  // opened again. What the database refuses is not noted.
  ::rocksdb::Status next(DemoDatabase& database);

  // Every record is there; what follows are updates.
  bool loaded() const { return counts_.loaded.load(std::memory_order_relaxed); }
  const WriteCounts& counts() const { return counts_; }

 private:
  bool skip_to_source_write();
  void rank();
  ::rocksdb::Status update(DemoDatabase& database, std::size_t record);
  ::rocksdb::Status put(DemoDatabase& database, std::size_t record);
  ::rocksdb::Status remove(DemoDatabase& database, std::size_t record);

  Ledger& ledger_;
  std::mt19937_64 random_;
  WriteCounts counts_;

  // Of the load: how often each record before `record_` was written.
  std::size_t round_ = 0;
  std::size_t record_ = 0;
  bool written_in_round_ = false;

  // Of the updates. Skewed twice, as tables of one database are: some stripes are written far more
  // than others, and in each of them some keys. The hot stripes are flushed again while they are
  // queued or compacted, which is what requests merge for.
  std::vector<std::vector<std::size_t>> stripes_;  // their records, hot ones first
  std::vector<ZipfRanks> stripe_ranks_;            // one, once everything is loaded
  std::vector<ZipfRanks> record_ranks_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_WRITE_SEQUENCE_H_
