// Closes a RocksDB database whose compactions belong to a worker: the order of the end, in which no
// writer waits for ever, nothing is used after it is gone, and what was left undone is named.
//
// Thread safety: `close` is called by one thread at a time.

#ifndef KSTONE_ROCKSDB_DATABASE_CLOSER_H_
#define KSTONE_ROCKSDB_DATABASE_CLOSER_H_

#include "kstone/cxx20.h"

#include <rocksdb/db.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/export.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_listener.h"

namespace kstone::rocksdb {

// What is to be closed.
struct ClosingDatabase {
  // It stays the engine's, which deletes it once it is closed.
  ::rocksdb::DB& db;
  // All of the engine's that are open when `close` is called, in any order: also those that were
  // added later, or removed and not destroyed. Each leaves the vector as it is destroyed. Empty
  // where the engine only has the default family, by RocksDB's own handle.
  std::vector<::rocksdb::ColumnFamilyHandle*>& handles;
  const ColumnFamilyCompactor& compactor;
  BackgroundWorker& worker;
  DatabaseListener& listener;

  // Returns true once no thread is inside a call that writes, false if the limit passes before.
  // Not called again after true.
  // None: there is no such thread any more. It may just join the writers, since those that are
  // stalled are freed meanwhile; then it keeps no limit, and nor does `close`.
  std::function<bool(Limit)> await_writers = nullptr;

  // True: no writer ever sets `WriteOptions::disableWAL`. Then nothing has to be flushed at the
  // end, and where that is to be quick, no stalled writer has to wait for a compaction.
  bool every_write_is_logged = false;
};

// A stripe that was accepted and not compacted, or that is due all the same.
struct UndoneStripe {
  std::uint32_t stripe_id = 0;
  std::string family;
};

// A call of RocksDB that failed.
struct CloseError {
  std::string call;  // "Flush of column family 'users'"
  ::rocksdb::Status status;

  std::string text() const { return call + ": " + status.ToString(); }
};

struct CloseReport {
  // The handles are destroyed and the database is closed: the engine deletes it, and destroys the
  // worker, the compactor and the listener, in any order. False: the engine leaves all of them
  // alone and calls `close` again. Nothing was destroyed then, unless RocksDB itself refused to
  // close; then `handles` is empty.
  bool closed = false;

  // No writer is inside the database any more.
  bool writers_ended = false;

  // What the worker says. Empty if the worker was not asked to end yet.
  ShutdownReport shutdown;

  // In ascending order, each once: the stripes that `shutdown` lists, and those with a level that
  // is due now, whether somebody requested them or not. So a compaction that RocksDB broke off is
  // here, whoever told it to. So is a stripe that waited while its family was dropped.
  std::vector<UndoneStripe> undone;

  // Of this call.
  std::vector<CloseError> errors;
};

// *Requires*
//   - The engine has told its writers to begin no write, ingestion, flush or change of options
//     any more. Those that have begun may still be inside, also stalled: `await_writers` is for
//     them.
//   - Nobody holds an iterator, a snapshot or a pinned value of the database. Snapshots are asked
//     for: as long as there is one, nothing is destroyed, and `errors` names "Close".
//   - No `DatabasePause`, nor PauseBackgroundWork, is in effect: flushes would wait for its end. A
//     pause of the worker alone has ended: what it holds is discarded.
//   - Nobody creates, adds, removes or destroys a column family meanwhile.
//   - `close` is not called from a job, the scan or the log sink of the worker. From there it
//     closes nothing, and `shutdown.refused` is true.
//   - Everything that `ClosingDatabase` refers to outlives the closer.
// *Guarantees*
//   - Nothing is destroyed while a writer is inside, while a compaction or a scan runs, or after a
//     flush at the end has failed.
//   - Once it is closed no thread of the worker lives, and no callback touches it.
//   - Every stripe that was not done is in the report.
// *Lifetime*
//   The closer may be destroyed at any time. If it has not closed, the engine still has the duty to
//   end the worker, to destroy the handles, and to close the database, in this order; another
//   closer of the same objects may do so. (Where only the default family is served, by RocksDB's
//   own handle, with `cancel`; by another handle, only the closer that has destroyed it.)
//
//     engine.refuse_writes();
//     kstone::rocksdb::DatabaseCloser closer(
//         {.db = *db, .handles = handles, .compactor = compactor, .worker = worker,
//          .listener = *listener, .await_writers = [&](kstone::Limit) { return engine.join(); }});
//     auto report = closer.close(kstone::ShutdownMode::drain, std::chrono::seconds(30));
//     if (!report.closed) report = closer.close(kstone::ShutdownMode::cancel);
//     for (const auto& stripe : report.undone) log("not compacted: " + stripe.family);
//     for (const auto& error : report.errors) log(error.text());
//     if (report.closed) delete db;
class KSTONE_EXPORT DatabaseCloser {
 public:
  explicit DatabaseCloser(ClosingDatabase database);

  // In this order: writers, memtables, worker, listener, handles, database.
  //
  //   1. It waits for the writers, while the worker goes on with all that is due: a compaction is
  //      what lets a stalled writer go on, and its write then succeeds. Where the worker cannot
  //      do that, because nobody serves the family, say, this step lasts until the limit passes.
  //   2. Memtables are flushed, unless `every_write_is_logged` or the database's
  //      `avoid_flush_during_shutdown` is set. RocksDB's own flush at its end waits until it would
  //      stall no writer: with L0 near a trigger and no worker any more that is for ever.
  //   3. The worker is shut down. With `drain` each stripe that is due, requested or not, gets one
  //      more compaction at most. With `finish_running` the compactions that run come to their end.
  //      With `cancel` RocksDB breaks them off (CancelAllBackgroundWork), at their next record.
  //   4. The listener is detached, the handles are destroyed, the database is closed.
  //
  // With `cancel`, if `every_write_is_logged` and the database has no limit for the memory of all
  // memtables (`db_write_buffer_size`, `write_buffer_manager`), RocksDB is told before step 1. It
  // sends stalled writers back at once, with `ShutdownInProgress`: their writes are not done.
  //
  // The limit is for the writers, as far as `await_writers` keeps it, and for the worker; not for
  // the flush, nor for RocksDB's own closing. If it passes, or if a flush fails, nothing is
  // destroyed, what was begun goes on, and `close` may be called again: with the same mode, to wait
  // on, or with a stronger one. After a flush that failed the engine mends the cause (a full disk),
  // calls `Resume`, and then `close`. Or it gives up what is in memory only:
  // SetDBOptions({{"avoid_flush_during_shutdown", "true"}}).
  //
  // Called after it has closed, it does nothing, and returns the same report. It throws what
  // `await_writers` throws, and std::bad_alloc; then, too, it may be called again.
  CloseReport close(ShutdownMode mode = ShutdownMode::finish_running, Limit limit = {});

 private:
  class Deadline;

  bool handles_are_destroyed() const;
  bool stop(ShutdownMode mode, const Deadline& deadline);
  bool await_writers(const Deadline& deadline);
  void queue_what_is_due();
  bool frees_writers_at_once() const;
  bool break_off();
  bool flush_memtables();
  std::vector<::rocksdb::ColumnFamilyHandle*> handles_and_default() const;
  void note_undone();
  bool has_snapshots();
  void destroy_handles();

  ClosingDatabase database_;
  bool broken_off_ = false;  // CancelAllBackgroundWork was called
  bool stopped_ = false;     // steps 1 to 3 are done
  CloseReport report_;
};

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_DATABASE_CLOSER_H_
