// The listener through which a RocksDB database tells a worker what to compact: each flush is a
// request, and so is each file that is ingested.
//
// It has to be in `DBOptions::listeners` before the database opens, when there are no column family
// handles and no worker yet; `attach` and `detach` say from when until when callbacks reach a
// worker, `add` and `remove` for which families.
//
// Thread safety: every method may be called from any thread at any time; callbacks come on
// RocksDB's threads.

#ifndef KSTONE_ROCKSDB_DATABASE_LISTENER_H_
#define KSTONE_ROCKSDB_DATABASE_LISTENER_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/export.h"

namespace kstone::rocksdb {

// A column family that is not attached although SSTs came to it.
struct UnservedFamily {
  std::string name;
  std::uint64_t events = 0;  // flushes and ingested files
};

// *Requires*
//   - One listener serves one database.
//   - `detach` has returned before the attached worker is destroyed.
// *Guarantees*
//   - A callback waits neither for the worker nor for a compaction: it queues a request, or counts.
//     (It takes the listener's mutex, which nobody holds for longer than that. With `priorities()`
//     it asks RocksDB for the number of L0 files, and `add_family` may hold it up for a moment.)
//   - Once `detach` has returned, no callback touches the worker.
//   - No handle is kept: they may be destroyed at any time. (With `priorities()` the compactor's
//   are
//     used, as `ColumnFamilyCompactor` has it.)
//   - What comes to families that are not attached is counted, so that an engine can log that a
//     family which was created later is not served.
// *What RocksDB tells nobody*
//   SSTs also come with CreateColumnFamilyWithImport (into a new family, which nobody can have
//   attached), with the recovery of the WAL (before anything is attached), and into lower levels
//   with somebody else's CompactFiles. The scan finds them.
class KSTONE_EXPORT DatabaseListener final : public ::rocksdb::EventListener {
 public:
  DatabaseListener() = default;
  ~DatabaseListener() override = default;
  DatabaseListener(const DatabaseListener&) = delete;
  DatabaseListener& operator=(const DatabaseListener&) = delete;

  const char* Name() const override { return "kstone::rocksdb::DatabaseListener"; }

  // From now on a flush of `handles[i]`, or a file ingested into it, requests a compaction of
  // stripe i; those of other column families are counted. What came before this call requested
  // nothing: queue every stripe once, or let the scan find them.
  // RocksDB tells of an ingestion by the family's name alone. Of two handles with one name the
  // younger family's is meant; if a family was dropped and made anew, and only the old one is
  // attached, an ingestion into the new one is taken for the old one's.
  // `priority`, if there is one, says of what priority the request for a stripe is: such as
  // `ColumnFamilyCompactor::priorities()`. It is called in the callback, with the listener's mutex
  // held; if it throws, the priority is normal.
  // *Requires* that nothing is attached; otherwise it aborts with a sentence.
  using PriorityOf = std::function<Priority(std::uint32_t stripe_id)>;
  void attach(BackgroundWorker& worker, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
              PriorityOf priority = {});

  // The same for one family more. It is unserved no longer, and `unserved` forgets it. Does nothing
  // if no worker is attached. `ColumnFamilyCompactor::add_family` calls it.
  void add(const ::rocksdb::ColumnFamilyHandle* handle, std::uint32_t stripe_id);

  // From its return on, callbacks of the family request nothing, and are counted as unserved. Does
  // nothing if the family is not attached. `ColumnFamilyCompactor::remove_family` calls it.
  void remove(const ::rocksdb::ColumnFamilyHandle* handle);

  // Ends what `attach` has begun. Waits for callbacks that are in the middle of a request, which
  // takes no longer than `queue_compaction`, and the look at the priority, if there is one.
  void detach() noexcept;

  // Flushes and ingested files of column families that were not attached while some worker was,
  // since this object was made; and in which of the families that are not attached now: the first
  // `unserved_families_max`, in the order in which they were met. Families that an engine leaves to
  // RocksDB on purpose are among them. O(families).
  std::uint64_t unserved_events() const;
  std::vector<UnservedFamily> unserved() const;
  static constexpr std::uint32_t unserved_families_max = 64;

  // Compactions that merge at this moment, and the most there ever were at once.
  //
  // They are counted between OnSubcompactionBegin and OnSubcompactionCompleted. RocksDB calls these
  // at the start and the end of the loop that reads, merges and writes, on the thread that does it,
  // and it does so for CompactFiles too, for which OnCompactionBegin and OnCompactionCompleted are
  // never called. Work that waits (for a thread, for another compaction, for the database's mutex)
  // lies outside. A database that shuts down does not call OnSubcompactionCompleted any more: the
  // counts mean nothing once it closes.
  std::uint32_t merging() const;
  std::uint32_t merging_max() const;

  void OnFlushCompleted(::rocksdb::DB* db, const ::rocksdb::FlushJobInfo& info) override;
  void OnExternalFileIngested(::rocksdb::DB* db,
                              const ::rocksdb::ExternalFileIngestionInfo& info) override;
  void OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) override;
  void OnSubcompactionCompleted(const ::rocksdb::SubcompactionJobInfo& info) override;

 private:
  struct Family {
    std::string name;
    std::uint32_t stripe_id;
  };
  using Families = std::map<std::uint32_t, Family>;  // by id, which grows: the last is the youngest

  // With the mutex held.
  void on_new_ssts(const std::string& name, const Family* family) noexcept;
  void count_unserved(const std::string& name) noexcept;
  Priority priority_of(std::uint32_t stripe_id) const noexcept;

  mutable std::mutex mutex_;  // of all that follows

  BackgroundWorker* worker_ = nullptr;  // that is attached
  Families families_;
  PriorityOf priority_;
  std::uint64_t unserved_events_ = 0;
  std::vector<UnservedFamily> unserved_;

  // A compaction may be split into subcompactions; it counts as one.
  std::map<int, std::uint32_t> merging_;  // subcompactions by job id
  std::uint32_t merging_max_ = 0;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_DATABASE_LISTENER_H_
