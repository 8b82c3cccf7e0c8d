// The listener through which a RocksDB database tells a worker what to compact: each flush is a request.
//
// It has to be in `DBOptions::listeners` before the database opens, when there are no column family handles and no worker
// yet; `attach` and `detach` say from when until when callbacks reach a worker.
//
// Thread safety: callbacks come on RocksDB's threads at any time, and the counts may be read from any thread; `attach` and
// `detach` are called by one thread at a time.
//
// Invariants:
//   L1  Only callbacks that found `attached_bit` in `state_` touch `worker_` and `stripes_`.
//   L2  `worker_` and `stripes_` change only while `attached_bit` is clear and no callback that found it set is inside.

#ifndef KSTONE_ROCKSDB_DATABASE_LISTENER_H_
#define KSTONE_ROCKSDB_DATABASE_LISTENER_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/export.h"

namespace kstone::rocksdb {

// *Requires*
//   - One listener serves one database.
//   - `detach` has returned before the attached worker is destroyed.
// *Guarantees*
//   - A callback never waits, neither for the worker nor for a compaction: it queues a request, or counts.
//   - Once `detach` has returned, no callback touches the worker.
class KSTONE_EXPORT DatabaseListener final : public ::rocksdb::EventListener {
 public:
  const char* Name() const override { return "kstone::rocksdb::DatabaseListener"; }

  // From now on a flush of `handles[i]` requests a compaction of stripe i; flushes of other column families request none.
  // A flush before this call requested nothing: queue every stripe once, or let the scan find them.
  // *Requires* that nothing is attached; otherwise it aborts with a sentence.
  void attach(BackgroundWorker& worker, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles);

  // Ends that. Waits for callbacks that are in the middle of a request, which takes no longer than `queue_compaction`.
  void detach() noexcept;

  // Compactions that merge at this moment, and the most there ever were at once.
  //
  // They are counted between OnSubcompactionBegin and OnSubcompactionCompleted. RocksDB calls these at the start and the end
  // of the loop that reads, merges and writes, on the thread that does it, and it does so for CompactFiles too, for which
  // OnCompactionBegin and OnCompactionCompleted are never called. Work that waits (for a thread, for another compaction, for
  // the database's mutex) lies outside. A database that shuts down does not call OnSubcompactionCompleted any more: the
  // counts mean nothing once it closes.
  std::uint32_t merging() const;
  std::uint32_t merging_max() const;

  void OnFlushCompleted(::rocksdb::DB* db, const ::rocksdb::FlushJobInfo& info) override;
  void OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) override;
  void OnSubcompactionCompleted(const ::rocksdb::SubcompactionJobInfo& info) override;

 private:
  static constexpr std::uint64_t attached_bit = 1;
  static constexpr std::uint64_t one_callback = 2;

  // | callbacks inside : 63 | attached : 1 |
  // One word for both: with two, a callback could read "attached" and count itself in only after `detach` has looked.
  std::atomic<std::uint64_t> state_{0};

  // See L2.
  BackgroundWorker* worker_ = nullptr;
  std::unordered_map<std::uint32_t, std::uint32_t> stripes_;  // by the id of the column family

  // A compaction may be split into subcompactions; it counts as one. The mutex is held for a few instructions, a few times
  // per compaction.
  mutable std::mutex mutex_;
  std::map<int, std::uint32_t> merging_;  // subcompactions by job id
  std::uint32_t merging_max_ = 0;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_DATABASE_LISTENER_H_
