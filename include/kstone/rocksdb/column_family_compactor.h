// Compacts the column families of an open RocksDB database: the job and the scan that a worker
// needs.
//
// A stripe is a column family. RocksDB flushes, and slows down or stops writers when L0 grows, as
// it always does; what is compacted, when, and how much at a time is the worker's decision.
// Therefore `use_worker_compactions` sets `kCompactionStyleNone` and leaves auto compactions
// *enabled*: with `disable_auto_compactions` RocksDB would also switch off its back-pressure, and
// L0 would grow without bound whenever the worker falls behind.
//
// Thread safety: immutable after construction; job and scan may be called from several threads.

#ifndef KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_
#define KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/export.h"
#include "kstone/rocksdb/leveled_picker.h"

namespace kstone::rocksdb {

// Leaves the compactions of a column family to a worker. L0 is due at `sst_threshold` files; the
// triggers at which RocksDB slows down and stops writers are raised where they would come before
// that. To be called before the database is opened.
//
// What RocksDB does only where it picks compactions itself is then done by nobody:
//   - `ttl`, `periodic_compaction_seconds` and CompactOnDeletionCollector, which the compactor
//     refuses if they are set (a ttl or period of 30 days cannot be told from RocksDB's default),
//   - SSTs that SuggestCompactRange or a collector has marked,
//   - cleaning up the last level once no snapshot needs its old versions; CompactRange does that,
//   - `level_compaction_dynamic_level_bytes`, which RocksDB turns off: levels fill from L1 down.
KSTONE_EXPORT void use_worker_compactions(::rocksdb::ColumnFamilyOptions& options,
                                          const CompactionConfig& config);

// Adds what RocksDB reports of one compaction to the counters that the job keeps. A record is
// *deduplicated* when a newer one of its key hid it (`num_records_replaced`); a deletion marker is
// *removed* when nothing was left for it to hide (`num_expired_deletion_records`). Records dropped
// by range deletions or compaction filters are in neither.
KSTONE_EXPORT void record_job_stats(const CompactionStatsAtomic& stats,
                                    const ::rocksdb::CompactionJobStats& job);

// What a status that is not OK means to the worker.
//   ColumnFamilyDropped   nothing_to_do: nothing is left to compact, and nobody did anything wrong
//   ShutdownInProgress    stopped: the database closes
//   Incomplete            stopped if this was asked for, else retry: manual compactions are paused
//   Aborted               retry: somebody else compacts the same SSTs
//   NoSpace, other IOError, CompactionTooLarge   retry
//   everything else       failed
KSTONE_EXPORT CompactionOutcome outcome_of(const ::rocksdb::Status& status, bool stop_requested);

// *Requires*
//   - The database and the handles outlive the compactor, and the compactor outlives the worker's
//     threads.
//   - The column families were opened with options that `use_worker_compactions` has set.
//   - Nobody else compacts them. Who does it nevertheless (CompactRange, CompactFiles) harms no
//     data; a compaction that finds its SSTs taken tries three other picks and then answers
//     `retry`, or `failed` if they are gone; the next request or scan takes it up.
//   - The worker has the scan. A failed compaction is tried again by the next request or the scan;
//     a database whose writers are stopped makes no flush, and so no request, by itself.
//   - Level targets and SST sizes are not changed by SetOptions while the compactor lives: it read
//     them at construction.
// *Guarantees*
//   - A compaction is one step: one call of CompactFiles, bounded as `pick_step` says. It answers
//     `more_work` while a level is due, so other stripes get their turn. RocksDB cannot cancel a
//     single CompactFiles, so a request to stop takes effect after at most one step, unless RocksDB
//     is told as well (`CancelAllBackgroundWork(db, false)`), which ends it at once. The worker has
//     to be told first, as `DatabaseCloser` does.
//   - PauseBackgroundWork does not hold compactions: they run on the worker's threads.
//   - It runs on the worker's threads: `max_concurrent_compactions` stripes really merge at the
//     same time, however many threads RocksDB has.
//   - Dropping a column family at any time is no error.
// *Lifetime*
//   `DatabaseCloser` does what has to be done at the end, in its order: the writers, the worker,
//   the listener, the handles, the database. Where RocksDB is built with assertions, as in Debian,
//   closing it before its handles are destroyed aborts.
//
//     auto listener = std::make_shared<kstone::rocksdb::DatabaseListener>();
//     options.listeners.push_back(listener);
//     kstone::rocksdb::use_worker_compactions(options, config);
//     rocksdb::DB::Open(options, path, families, &handles, &db);
//     kstone::rocksdb::ColumnFamilyCompactor compactor(db, handles, config);
//     kstone::BackgroundWorker worker(config, {}, compactor.stripe_count(), compactor.job(),
//                                     {.scan = compactor.scan()});
//     listener->attach(worker, handles);
//     if (worker.start() != kstone::StartResult::started) { return error; }
//     ...
//     auto join = [&](kstone::Limit) { return engine.join_writers(); };
//     kstone::rocksdb::DatabaseCloser closer({*db, handles, compactor, worker, *listener, join});
//     if (closer.close(kstone::ShutdownMode::drain).closed) delete db;
class KSTONE_EXPORT ColumnFamilyCompactor {
 public:
  static constexpr std::uint64_t default_max_step_bytes = 64ULL << 20;

  // Stripe i is `handles[i]`. Throws std::invalid_argument, naming the column family, if its
  // options are not as required.
  ColumnFamilyCompactor(::rocksdb::DB* db,
                        const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
                        const CompactionConfig& config,
                        std::uint64_t max_step_bytes = default_max_step_bytes);

  std::uint32_t stripe_count() const noexcept {
    return static_cast<std::uint32_t>(stripes_.size());
  }

  // For the constructor of the worker. They refer to this object.
  BackgroundWorker::Job job() const;
  // Queues each stripe with a level that is due: `sst_threshold` L0 files or more, or more bytes
  // than its target.
  BackgroundWorker::Scan scan() const;

  // The column family as it is now, level by level.
  Levels levels(std::uint32_t stripe_id) const;

  // The stripes that the scan would queue, in ascending order, but for those of dropped column
  // families. If any is due it looks at all SSTs of the database, under RocksDB's mutex.
  std::vector<CompactionRequest> due() const;

  std::string family(std::uint32_t stripe_id) const;

 private:
  struct Stripe {
    ::rocksdb::ColumnFamilyHandle* handle;
    LevelLimits limits;
    std::uint64_t file_bytes;  // of an output SST in L1
    double file_multiplier;    // and how much larger it may be in each level below
  };

  CompactionOutcome compact(CompactionContext& context) const;
  std::set<std::string> live_ssts() const;
  std::optional<CompactionStep> next_step(std::uint32_t stripe_id) const;
  ::rocksdb::Status merge(const Stripe& stripe, const CompactionStep& step,
                          const CompactionStatsAtomic& stats) const;

  ::rocksdb::DB* db_;
  std::vector<Stripe> stripes_;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_
