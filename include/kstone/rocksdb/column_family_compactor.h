// Compacts the column families of an open RocksDB database: the job and the scan that a worker
// needs.
//
// A stripe is a column family. RocksDB flushes, and slows down or stops writers when L0 grows, as
// it always does; what is compacted, when, and how much at a time is the worker's decision.
// Therefore `use_worker_compactions` sets `kCompactionStyleNone` and leaves auto compactions
// *enabled*: with `disable_auto_compactions` RocksDB would also switch off its back-pressure, and
// L0 would grow without bound whenever the worker falls behind.
//
// Column families may come and go while the worker runs: `add_family`, `remove_family`.
//
// Thread safety: every method, the job and the scan may be called from any threads at any time, but
// of one family one `add_family` or `remove_family` at a time.

#ifndef KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_
#define KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>

#include <cstdint>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/export.h"
#include "kstone/rocksdb/database_listener.h"
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

enum class AddResult : std::uint8_t {
  added,           // the family has a stripe
  no_free_stripe,  // as many families are served as there are stripes; nothing happened
  shut_down,       // the worker was shut down before; nothing happened
};

KSTONE_EXPORT std::string_view to_string(AddResult result) noexcept;

// *Requires*
//   - The database outlives the compactor, a handle lives until its family is removed or the worker
//     has ended, and the compactor outlives the worker's threads.
//   - The column families were opened with options that `use_worker_compactions` has set.
//   - Nobody else compacts them. Who does it nevertheless (CompactRange, CompactFiles) harms no
//     data; a compaction that finds its SSTs taken picks anew three times and then answers
//     `retry`, or `failed` if they are gone; the next request or scan takes it up. Until they are
//     let go, no other level of the family is tried.
//   - The worker has the scan. A failed compaction is tried again by the next request or the scan;
//     a database whose writers are stopped makes no flush, and so no request, by itself.
//   - Level targets and SST sizes are not changed by SetOptions while the family is served: they
//     were read when it was given to the compactor.
//   - One worker uses the job, and it is that worker which `add_family` and `remove_family` are
//     given. It has `stripe_count()` stripes, and those of the first handles are not removed: so no
//     `Options::all_removed` where there are any.
// *Guarantees*
//   - A compaction is one step: one call of CompactFiles, bounded as `pick_step` says. It answers
//     `more_work` while a level is due, so other stripes get their turn. RocksDB cannot cancel a
//     single CompactFiles, so a request to stop takes effect after at most one step, whose size is
//     `max_step_bytes`. What ends a step at its next record: DropColumnFamily of its family, and
//     `CancelAllBackgroundWork(db, false)` for the whole database and for good. The worker has to
//     be told before that, as `DatabaseCloser` does.
//   - PauseBackgroundWork alone does not hold compactions: they run on the worker's threads.
//     `DatabasePause` does.
//   - It runs on the worker's threads: as many stripes really merge at the same time as the
//     worker allows, however many threads RocksDB has.
//   - Dropping a column family at any time is no error, also without `remove_family`. Its handle
//     may not be destroyed without that.
// *Lifetime*
//   `DatabaseCloser` does what has to be done at the end, in its order: the writers, the worker,
//   the listener, the handles, the database. Where RocksDB is built with assertions, as in Debian,
//   closing it before its handles are destroyed aborts.
//
//     auto listener = std::make_shared<kstone::rocksdb::DatabaseListener>();
//     options.listeners.push_back(listener);
//     kstone::rocksdb::use_worker_compactions(options, config);
//     rocksdb::DB::Open(options, path, families, &handles, &db);
//     kstone::rocksdb::ColumnFamilyCompactor compactor(db, handles, config, {.capacity = 100});
//     kstone::BackgroundWorker worker(config, {}, compactor.stripe_count(), compactor.job(),
//                                     {.scan = compactor.scan()});
//     listener->attach(worker, handles, compactor.priorities());
//     if (worker.start() != kstone::StartResult::started) { return error; }
//     ...
//     db->CreateColumnFamily(options, "born later", &handle);
//     handles.push_back(handle);
//     compactor.add_family(handle, worker, *listener);
//     ...
//     db->DropColumnFamily(handle);
//     if (compactor.remove_family(handle, worker, *listener) == kstone::RemoveResult::removed) {
//       std::erase(handles, handle);
//       db->DestroyColumnFamilyHandle(handle);
//     }
//     ...
//     auto join = [&](kstone::Limit) { return engine.join_writers(); };
//     kstone::rocksdb::DatabaseCloser closer({*db, handles, compactor, worker, *listener, join});
//     if (closer.close(kstone::ShutdownMode::drain).closed) delete db;
class KSTONE_EXPORT ColumnFamilyCompactor {
 public:
  static constexpr std::uint64_t default_max_step_bytes = 64ULL << 20;

  struct Options {
    // How many stripes there are; as many as there are handles, if that is more. Those beyond the
    // handles are free.
    std::uint32_t capacity = 0;
    std::uint64_t max_step_bytes = default_max_step_bytes;  // see `pick_step`
  };

  // Stripe i is `handles[i]`. Throws std::invalid_argument, naming the column family, if its
  // options are not as required.
  ColumnFamilyCompactor(::rocksdb::DB* db,
                        const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
                        const CompactionConfig& config, Options options);
  ColumnFamilyCompactor(::rocksdb::DB* db,
                        const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
                        const CompactionConfig& config,
                        std::uint64_t max_step_bytes = default_max_step_bytes);
  ColumnFamilyCompactor(const ColumnFamilyCompactor&) = delete;
  ColumnFamilyCompactor& operator=(const ColumnFamilyCompactor&) = delete;

  // How many there can be: for the constructor of the worker. A request for a stripe that is free
  // finds nothing to do.
  std::uint32_t stripe_count() const noexcept {
    return static_cast<std::uint32_t>(stripes_.size());
  }

  // For the constructor of the worker. They refer to this object.
  BackgroundWorker::Job job() const;
  // Queues each stripe with a level that is due: `sst_threshold` L0 files or more, or more bytes
  // than its target.
  BackgroundWorker::Scan scan() const;

  // Gives a free stripe to a family that was created or opened later, has the worker accept
  // requests for it (`restore`), attaches it to the listener, and requests a compaction if one is
  // due; so a writer that L0 has stopped goes on. Waits for nobody. A worker whose stripes are all
  // removed at first, and a compactor of no handles, take every family so. Throws
  // std::invalid_argument, naming the family, if its options are not as required, or if it is
  // served already; std::bad_alloc, after which it may be served, and has to be removed.
  [[nodiscard]] AddResult add_family(::rocksdb::ColumnFamilyHandle* handle,
                                     BackgroundWorker& worker, DatabaseListener& listener);

  // The opposite: has the worker `remove` the stripe, within the limit, and answers what it does.
  // After `removed` nobody touches the handle, whether the family was dropped or not: worker, scan,
  // listener and compactor have forgotten it, and it may be destroyed. After any other answer it
  // may not. After `timed_out` the family is compacted no more, and the call is repeated. After
  // `shut_down` the handle is destroyed with the others, at the end. `unknown_stripe`: the family
  // is not served. A merge that runs is waited for, one step at most, unless the family was dropped
  // before: that ends it at its next record.
  //
  // Memory ordering: after `removed`, what its compactions wrote is visible to the caller.
  [[nodiscard]] RemoveResult remove_family(::rocksdb::ColumnFamilyHandle* handle,
                                           BackgroundWorker& worker, DatabaseListener& listener,
                                           Limit limit = {});

  // How many families are served, and the stripe of one; none if it is not served.
  std::uint32_t family_count() const;
  std::optional<std::uint32_t> stripe_of(const ::rocksdb::ColumnFamilyHandle* handle) const;

  // How urgent a compaction of the stripe is. High: L0 has come half the way from `sst_threshold`
  // to where RocksDB slows its writers down (`level0_slowdown_writes_trigger`). Low: L0 is not due,
  // so what there is to do lies below it. Else, and of a free stripe, normal. The scan,
  // `add_family` and the rest of a compaction request so; a flush does if
  // `DatabaseListener::attach` was given `priorities()`, which refers to this object.
  Priority priority_of(std::uint32_t stripe_id) const;
  DatabaseListener::PriorityOf priorities() const;

  // The column family as it is now, level by level; no level if the stripe is free.
  Levels levels(std::uint32_t stripe_id) const;

  // The stripes that the scan would queue, in ascending order, but for those of dropped column
  // families. If any is due it looks at all SSTs of the database, under RocksDB's mutex.
  std::vector<CompactionRequest> due() const;

  // Empty if the stripe is free.
  std::string family(std::uint32_t stripe_id) const;

 private:
  struct Stripe {
    ::rocksdb::ColumnFamilyHandle* handle;
    std::string family;  // known also when the handle is gone
    LevelLimits limits;
    std::uint64_t slowdown_l0_files;  // from when on writers are slowed down
    std::uint64_t file_bytes;         // of an output SST in L1
    double file_multiplier;           // and how much larger it may be in each level below
  };

  Stripe stripe_for(::rocksdb::ColumnFamilyHandle* handle) const;
  CompactionOutcome compact(CompactionContext& context) const;
  std::set<std::string> live_ssts() const;
  Levels levels(const Stripe& stripe) const;
  Priority priority_of(const Stripe& stripe) const;
  std::optional<CompactionStep> next_step(const Stripe& stripe) const;
  std::optional<CompactionStep> next_step(std::uint32_t stripe_id) const;
  ::rocksdb::Status merge(const Stripe& stripe, const CompactionStep& step,
                          const CompactionStatsAtomic& stats) const;

  ::rocksdb::DB* const db_;
  const CompactionConfig config_;
  const std::uint64_t max_step_bytes_;

  // Shared by whoever uses a handle, but for a job: its stripe stays as it is until it has ended,
  // since `remove_family` waits for the job first.
  mutable std::shared_mutex mutex_;
  std::vector<std::optional<Stripe>> stripes_;  // none: free; their number never changes
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_COLUMN_FAMILY_COMPACTOR_H_
