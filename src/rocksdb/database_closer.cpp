#include "kstone/rocksdb/database_closer.h"

#include <rocksdb/convenience.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

namespace kstone::rocksdb {

class DatabaseCloser::Deadline {
 public:
  explicit Deadline(Limit limit) {
    if (limit.nanoseconds()) {
      end_ = Clock::now() + *limit.nanoseconds();
    }
  }

  Limit remaining() const { return end_ ? Limit(*end_ - Clock::now()) : Limit(); }

 private:
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> end_;
};

DatabaseCloser::DatabaseCloser(ClosingDatabase database) : database_(std::move(database)) {}

CloseReport DatabaseCloser::close(ShutdownMode mode, Limit limit) {
  if (report_.closed) {
    return report_;
  }
  report_.errors.clear();
  stopped_ = stopped_ || handles_are_destroyed();
  if (!stopped_) {
    const bool stopped = stop(mode, Deadline(limit));
    note_undone();
    if (!stopped) {
      return report_;
    }
    stopped_ = true;
  }
  if (!handles_are_destroyed() && has_snapshots()) {
    return report_;
  }
  database_.listener.detach();
  destroy_handles();
  const auto status = database_.db.Close();
  // "Aborted" is what RocksDB answers while it still waits for its user to release something.
  report_.closed = !status.IsAborted();
  if (!status.ok()) {
    report_.errors.push_back({"Close", status});
  }
  return report_;
}

// By another closer, once all that comes before was done. The handle of the default family says
// nothing: an engine may never have had one.
bool DatabaseCloser::handles_are_destroyed() const {
  const auto& compactor = database_.compactor;
  bool others = false;
  for (std::uint32_t stripe = 0; stripe < compactor.stripe_count(); ++stripe) {
    const auto family = compactor.family(stripe);
    others = others || (!family.empty() && family != ::rocksdb::kDefaultColumnFamilyName);
  }
  return database_.handles.empty() && others;
}

bool DatabaseCloser::stop(ShutdownMode mode, const Deadline& deadline) {
  if (mode == ShutdownMode::cancel && frees_writers_at_once() && !break_off()) {
    return false;
  }
  if (!await_writers(deadline) || !flush_memtables()) {
    return false;
  }
  if (mode == ShutdownMode::drain) {
    queue_what_is_due();  // also what the last flushes added, whose callbacks may be late
  }
  if (mode == ShutdownMode::cancel && !break_off()) {
    return false;
  }
  report_.shutdown = database_.worker.shutdown(mode, deadline.remaining());
  return report_.shutdown.complete;
}

bool DatabaseCloser::await_writers(const Deadline& deadline) {
  if (!report_.writers_ended && database_.await_writers) {
    queue_what_is_due();  // a stripe whose compaction failed may have no request
    report_.writers_ended = database_.await_writers(deadline.remaining());
  } else {
    report_.writers_ended = true;
  }
  return report_.writers_ended;
}

void DatabaseCloser::queue_what_is_due() {
  for (const auto& request : database_.compactor.due()) {
    const auto priority = database_.compactor.priority_of(request.stripe_id);
    // Rejected once the worker has closed.
    database_.worker.queue_compaction(request.stripe_id, {.priority = priority});
  }
  // What has failed goes on now, or not at all.
  database_.worker.retry_now();
  for (const auto& each : database_.worker.quarantined()) {
    static_cast<void>(database_.worker.release(each.stripe_id));
  }
}

// Where memtables have to be flushed at the end, RocksDB does so before it frees anybody, and would
// wait for the stalled writer itself. Writers that wait for memory wait for a flush, and RocksDB
// begins none after it was told.
bool DatabaseCloser::frees_writers_at_once() const {
  // An open database always has a manager, if only one without a limit.
  const auto manager = database_.db.GetDBOptions().write_buffer_manager;
  return database_.every_write_is_logged && !manager->enabled();
}

// The worker first: what ends from here on because RocksDB was told, ends after the worker has
// closed, and is in its report.
bool DatabaseCloser::break_off() {
  report_.shutdown = database_.worker.shutdown(ShutdownMode::cancel, std::chrono::nanoseconds(0));
  if (report_.shutdown.refused) {
    return false;
  }
  ::rocksdb::CancelAllBackgroundWork(&database_.db, false);
  broken_off_ = true;
  return true;
}

bool DatabaseCloser::flush_memtables() {
  auto& db = database_.db;
  const auto db_options = db.GetDBOptions();
  if (database_.every_write_is_logged || broken_off_ || db_options.avoid_flush_during_shutdown) {
    return true;
  }
  ::rocksdb::FlushOptions options;
  options.allow_write_stall = true;  // no writer is left, and maybe nobody who would end a stall
  const auto flush = [&](const std::string& call, const auto& what) {
    const auto status = db.Flush(options, what);
    if (!status.ok() && !status.IsColumnFamilyDropped()) {
      report_.errors.push_back({call, status});
    }
  };
  const auto handles = handles_and_default();
  if (db_options.atomic_flush) {
    flush("Flush of all column families", handles);
  } else {
    for (auto* handle : handles) {
      flush("Flush of column family '" + handle->GetName() + "'", handle);
    }
  }
  return report_.errors.empty();
}

// The default family exists also where the engine has no handle of its own for it.
std::vector<::rocksdb::ColumnFamilyHandle*> DatabaseCloser::handles_and_default() const {
  auto handles = database_.handles;
  const auto is_default = [](const auto* handle) { return handle->GetID() == 0; };
  if (std::none_of(handles.begin(), handles.end(), is_default)) {
    handles.push_back(database_.db.DefaultColumnFamily());
  }
  return handles;
}

void DatabaseCloser::note_undone() {
  std::set<std::uint32_t> stripes;
  const auto& shutdown = report_.shutdown;
  const auto due = database_.compactor.due();
  for (const auto* list : {&due, &shutdown.discarded, &shutdown.unfinished, &shutdown.waiting,
                           &shutdown.still_running}) {
    for (const auto& request : *list) {
      stripes.insert(request.stripe_id);
    }
  }
  report_.undone.clear();
  for (const auto stripe : stripes) {
    report_.undone.push_back({stripe, database_.compactor.family(stripe)});
  }
}

// RocksDB does not close with one, and says so after the handles are gone.
bool DatabaseCloser::has_snapshots() {
  std::uint64_t snapshots = 0;
  database_.db.GetIntProperty(::rocksdb::DB::Properties::kNumSnapshots, &snapshots);
  if (snapshots > 0) {
    report_.errors.push_back(
        {"Close", ::rocksdb::Status::Aborted(std::to_string(snapshots) + " unreleased snapshots")});
  }
  return snapshots > 0;
}

void DatabaseCloser::destroy_handles() {
  auto& handles = database_.handles;
  while (!handles.empty()) {
    auto* handle = handles.back();
    handles.pop_back();
    if (handle == database_.db.DefaultColumnFamily()) {
      continue;  // RocksDB's own
    }
    if (const auto status = database_.db.DestroyColumnFamilyHandle(handle); !status.ok()) {
      report_.errors.push_back({"DestroyColumnFamilyHandle", status});
    }
  }
}

}  // namespace kstone::rocksdb
