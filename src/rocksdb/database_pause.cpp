#include "kstone/rocksdb/database_pause.h"

namespace kstone::rocksdb {
namespace {

::rocksdb::Status status_of(PauseResult result) {
  switch (result) {
    case PauseResult::paused:
      return ::rocksdb::Status::OK();
    case PauseResult::still_running:
      return ::rocksdb::Status::TimedOut("a compaction of the worker still runs");
    case PauseResult::shut_down:
      return ::rocksdb::Status::ShutdownInProgress("the worker was shut down");
    case PauseResult::restored:  // of one stripe only
    case PauseResult::refused:
    case PauseResult::unknown_stripe:
      break;
  }
  return ::rocksdb::Status::InvalidArgument("paused on a thread of the worker");
}

}  // namespace

// The worker first: RocksDB waits for a CompactFiles that runs, but lets the next one begin.
DatabasePause::DatabasePause(::rocksdb::DB& db, BackgroundWorker& worker, Limit limit)
    : db_(db), worker_(worker.pause_all(limit)), status_(status_of(worker_.result())) {
  if (status_.ok()) {
    status_ = db_.PauseBackgroundWork();
  }
  if (!status_.ok()) {
    worker_.release();
  }
}

DatabasePause::~DatabasePause() {
  if (status_.ok()) {
    db_.ContinueBackgroundWork().PermitUncheckedError();
  }
}

}  // namespace kstone::rocksdb
