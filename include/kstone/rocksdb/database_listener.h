// The listener through which a RocksDB database tells a worker what to compact: each flush is a
// request, and so is each file that is ingested.
//
// It has to be in `DBOptions::listeners` before the database opens, when there are no column family
// handles and no worker yet; `attach` and `detach` say from when until when callbacks reach a
// worker.
//
// Thread safety: callbacks come on RocksDB's threads at any time, and the counts may be read from
// any thread; `attach` and `detach` are called by one thread at a time.
//
// Invariants:
//   L1  Only callbacks that found `attached_bit` in `state_` touch `worker_` and the maps of
//       stripes.
//   L2  Those change only while `attached_bit` is clear and no callback that found it set is
//       inside.
//   L3  The list of unserved families grows only, at its head, and has each family once.

#ifndef KSTONE_ROCKSDB_DATABASE_LISTENER_H_
#define KSTONE_ROCKSDB_DATABASE_LISTENER_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
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
//   - A callback never waits, neither for the worker nor for a compaction: it queues a request, or
//     counts.
//   - Once `detach` has returned, no callback touches the worker.
//   - What comes to families that are not attached is counted, so that an engine can log that a
//     family which was created later is not served.
// *What RocksDB tells nobody*
//   SSTs also come with CreateColumnFamilyWithImport (into a new family, which nobody can have
//   attached), with the recovery of the WAL (before anything is attached), and into lower levels
//   with somebody else's CompactFiles. The scan finds them.
class KSTONE_EXPORT DatabaseListener final : public ::rocksdb::EventListener {
 public:
  DatabaseListener() = default;
  ~DatabaseListener() override;
  DatabaseListener(const DatabaseListener&) = delete;
  DatabaseListener& operator=(const DatabaseListener&) = delete;

  const char* Name() const override { return "kstone::rocksdb::DatabaseListener"; }

  // From now on a flush of `handles[i]`, or a file ingested into it, requests a compaction of
  // stripe i; those of other column families are counted. What came before this call requested
  // nothing: queue every stripe once, or let the scan find them.
  // RocksDB tells of an ingestion by the family's name alone. Of two handles with one name the
  // younger family's is meant; if a family was dropped and made anew, and only the old one is
  // attached, an ingestion into the new one is taken for the old one's.
  // *Requires* that nothing is attached; otherwise it aborts with a sentence.
  void attach(BackgroundWorker& worker, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles);

  // Ends that. Waits for callbacks that are in the middle of a request, which takes no longer than
  // `queue_compaction`.
  void detach() noexcept;

  // Flushes and ingested files of column families that were not attached while some worker was,
  // since this object was made; and of which families: the first `unserved_families_max`, in the
  // order in which they were met. Families that an engine leaves to RocksDB on purpose are among
  // them. The families may be a moment behind the sum. O(families), takes no lock.
  std::uint64_t unserved_events() const noexcept;
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
  static constexpr std::uint64_t attached_bit = 1;
  static constexpr std::uint64_t one_callback = 2;

  // A family that was met and is not attached. Only `events` changes once it is in the list.
  struct Unserved {
    std::string name;
    std::uint32_t position = 1;  // of so many
    const Unserved* older = nullptr;
    mutable std::atomic<std::uint64_t> events{1};
  };

  // Calls `find` for the stripe, if a worker is attached, and requests it or counts.
  template <class Find>
  void on_new_ssts(const std::string& family, const Find& find);
  void count_unserved(const std::string& family) noexcept;
  static bool count_in(const Unserved* head, const Unserved* end,
                       const std::string& family) noexcept;

  // | callbacks inside : 63 | attached : 1 | One word for both: with two, a callback could read
  // "attached" and count itself in only after `detach` has looked.
  std::atomic<std::uint64_t> state_{0};

  // See L2.
  BackgroundWorker* worker_ = nullptr;
  std::unordered_map<std::uint32_t, std::uint32_t> stripes_;  // by the id of the column family
  std::unordered_map<std::string, std::uint32_t> stripes_by_name_;

  // A list and not a map under the mutex: a callback must not wait for a reader.
  std::atomic<std::uint64_t> unserved_events_{0};
  std::atomic<const Unserved*> unserved_{nullptr};  // the youngest

  // A compaction may be split into subcompactions; it counts as one. The mutex is held for a few
  // instructions, a few times per compaction.
  mutable std::mutex mutex_;
  std::map<int, std::uint32_t> merging_;  // subcompactions by job id
  std::uint32_t merging_max_ = 0;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_DATABASE_LISTENER_H_
