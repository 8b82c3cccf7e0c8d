// Holds a RocksDB database still whose compactions belong to a worker, so that its files can be
// copied: no SST is made, and none is replaced.
//
// Thread safety: a pause is its owner's; pauses of one database may be made and ended by any
// threads.

#ifndef KSTONE_ROCKSDB_DATABASE_PAUSE_H_
#define KSTONE_ROCKSDB_DATABASE_PAUSE_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>

#include "kstone/background_worker.h"
#include "kstone/export.h"

namespace kstone::rocksdb {

// *Requires*
//   - Database and worker outlive it, and it ends before `DatabaseCloser::close` or anything else
//     that closes the database: a flush at the end would wait for its end.
//   - The thread that holds it calls nothing meanwhile that flushes: `Flush` and the creation of a
//     `Checkpoint` would wait for its end, and so does an ingestion into keys that are in memory.
//   - Nobody calls IngestExternalFile, CompactFiles or DeleteFilesInRange meanwhile: RocksDB does
//     these on the thread of their caller, which no pause holds.
// *Guarantees*
//   - While it is in effect no compaction of the worker runs, no flush, and no compaction of
//     RocksDB's own: the set of live SSTs stays what it is. Requests are accepted, and wait.
//   - Its end continues both, RocksDB first. What was requested is compacted then, in its order,
//     without another request.
//   - There may be several at a time: the last to end lets both go on.
//   - Writers go on into the memtables and the WAL until `max_write_buffer_number` memtables of a
//     family are full, or the memory of a `write_buffer_manager`; then `Put` waits for the end. A
//     writer that L0 has stopped waits as long. So it is for minutes, not for hours.
//
//     expect(db->Flush(flush_options, handles));  // before: what is in memory is in no SST
//     {
//       const kstone::rocksdb::DatabasePause pause(*db, worker, std::chrono::seconds(30));
//       if (!pause.status().ok()) return pause.status();
//       copy_files(path);
//     }
class KSTONE_EXPORT DatabasePause {
 public:
  // Pauses the worker, waits within the limit for the compactions that run, and then pauses
  // RocksDB, which waits for what it runs itself. That second wait has no limit: it lasts until no
  // flush runs, which may be long where writers fill memtables faster than they are flushed. Throws
  // std::bad_alloc; then it holds nothing.
  //
  // Memory ordering: if it is in effect, what the compactions wrote is visible to the caller.
  [[nodiscard]] DatabasePause(::rocksdb::DB& db, BackgroundWorker& worker, Limit limit = {});
  ~DatabasePause();
  DatabasePause(const DatabasePause&) = delete;
  DatabasePause& operator=(const DatabasePause&) = delete;

  // OK: in effect until its end. Else it holds nothing, and has left all as it was:
  //   TimedOut            a compaction outlasted the limit
  //   ShutdownInProgress  the worker was shut down before or meanwhile
  //   InvalidArgument     made by a job, scan or log sink of the worker, where it would wait for
  //                       itself
  //   all else            the answer of PauseBackgroundWork
  const ::rocksdb::Status& status() const noexcept { return status_; }

 private:
  ::rocksdb::DB& db_;
  PauseGuard worker_;
  ::rocksdb::Status status_;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_DATABASE_PAUSE_H_
