#include <algorithm>
#include <filesystem>
#include <system_error>

#include "escape.h"
#include "looker.h"
#include "progress.h"
#include "wal_tail.h"

namespace kstone::compact {

namespace fs = std::filesystem;
using ::rocksdb::Status;
using ::rocksdb::WALRecoveryMode;

Status Looker::read_only(WALRecoveryMode mode, WalContents& wal, bool families) {
  auto options = plan_.options;
  options.wal_filter = &wal;
  options.wal_recovery_mode = mode;
  OpenDatabase database;
  const auto status = database.open_read_only(plan_, options);
  if (status.ok()) {
    database.db().GetIntProperty(::rocksdb::DB::Properties::kMinLogNumberToKeep, &first_log_);
  }
  if (status.ok() && families) {
    read_families(database);
  }
  return status;
}

// Reads the log without applying it. RocksDB's strictest mode is taken if nothing is wrong, the one
// that knows an unfinished record if that is all; the owner's own only if the user accepts what it
// drops.
bool Looker::read_wal(const Places& places) {
  const auto owners_mode = plan_.options.wal_recovery_mode;
  wal_ = std::make_unique<WalContents>();
  if (const auto status = read_only(WALRecoveryMode::kSkipAnyCorruptedRecords, *wal_, false);
      !status.ok()) {
    object_to_opening(status);
    return false;
  }
  std::string damage = damage_of_log();
  wal_ = std::make_unique<WalContents>();
  auto status = read_only(WALRecoveryMode::kAbsoluteConsistency, *wal_);
  plan_.options.wal_recovery_mode = WALRecoveryMode::kAbsoluteConsistency;
  if (!status.ok() && damage.empty() && torn_) {
    wal_ = std::make_unique<WalContents>();
    const auto tolerant = read_only(WALRecoveryMode::kTolerateCorruptedTailRecords, *wal_);
    plan_.options.wal_recovery_mode = WALRecoveryMode::kTolerateCorruptedTailRecords;
    damage =
        tolerant.ok() && owners_mode == WALRecoveryMode::kAbsoluteConsistency
            ? "it ends in the middle of a record, and its owner's recovery mode tolerates nothing"
            : "";
    status = tolerant.ok() ? tolerant : status;
    plan_.notes.push_back(
        "the WAL ends in the middle of a record, as a crash leaves it; that record is no more");
  }
  if (status.ToString().find("unknown record type") != std::string::npos) {
    object("its WAL has records of a newer release of RocksDB: " + status.ToString(),
           "opening and closing it with its owner's program, with a flush");
    return false;
  }
  if (!status.ok()) {
    const auto strict = status.ToString();
    wal_ = std::make_unique<WalContents>();
    status = read_only(WALRecoveryMode::kSkipAnyCorruptedRecords, *wal_);
    if (!status.ok()) {
      object_to_opening(status);  // it could be read a moment ago
      return false;
    }
    damage = damage.empty() ? strict : damage;
  }
  if (!damage.empty()) {
    const auto what = "its WAL is damaged, and records would be lost: " + damage;
    plan_.options.wal_recovery_mode = owners_mode;
    if (accepted_.covers("wal-records")) {
      plan_.notes.push_back(what);
    } else {
      object(what, "--accept-loss wal-records, to recover what its owner would");
    }
  }
  note_wal(places);
  return true;
}

// By the bytes of its files, which recovery does not look at all.
std::string Looker::damage_of_log() {
  auto numbers = logs_in(plan_.wal_dir);
  numbers.erase(numbers.begin(), numbers.lower_bound(first_log_));
  std::string damage;
  bool newer = false;  // there are records in a newer file
  for (auto at = numbers.rbegin(); at != numbers.rend() && damage.empty(); ++at) {
    const auto path = log_path(plan_.wal_dir, *at);
    const auto end = end_of_log(path, *at);
    const auto name = escaped(fs::path(path).filename().string());
    if (end == WalEnd::damaged) {
      damage = name + " has whole records behind bytes that are none";
    } else if (end == WalEnd::no_log) {
      damage = name + " holds bytes, and not one record";
    } else if (end == WalEnd::torn && newer) {
      damage = name + " ends in the middle of a record, and a newer WAL goes on";
    }
    torn_ = torn_ || end == WalEnd::torn;
    std::error_code ignored;
    newer = newer || fs::file_size(path, ignored) > 0;
  }
  return damage;
}

void Looker::object_to_opening(const Status& status) {
  const auto text = status.ToString();
  const bool missing = text.find("No such file") != std::string::npos || status.IsPathNotFound();
  object(
      "it cannot be opened: " + text,
      missing
          ? "if its SSTs lie in several folders: --db-path PATH for each of the owner's db_paths, "
            "--cf-path FAMILY=PATH for each of its cf_paths; if a file is lost: restoring it, "
            "since "
            "RocksDB opens no database without it"
      : status.IsCorruption() ? "restoring the file from a backup; RocksDB opens no database "
                                "without it"
                              : "");
}

// A file of the WAL that is gone, or cut short between two records, leaves no other trace.
void Looker::note_holes() {
  auto holes = wal_->holes();
  const auto expected = evidence_.last_sequence + 1;
  if (wal_->first_log() != 0 && wal_->first_sequence() > expected) {
    holes.insert(holes.begin(), {0, wal_->first_log(), wal_->first_sequence() - expected});
  }
  const auto name = [](std::uint64_t number) { return log_path("", number).substr(1); };
  if (wal_->has_transactions()) {
    plan_.notes.push_back(
        "its WAL has transactions, so whether a file of it is missing cannot be told");
    return;
  }
  if (const auto log = wal_->goes_back(); log != 0) {
    object(
        "its WAL goes back in " + escaped(name(log)) +
            ": it has records which are no newer than those before them, so one file is an old "
            "copy or another database's, or a TransactionDB wrote it that writes before it commits "
            "(WRITE_PREPARED, WRITE_UNPREPARED), which this program would replay in a wrong order",
        "restoring the file that belongs there, or opening and closing the database with its "
        "owner's program, with a flush");
  }
  if (!numbers_tell()) {
    return;
  }
  for (const auto& hole : holes) {
    plan_.notes.push_back(
        counted(hole.numbers, "record") + (hole.numbers == 1 ? " is" : " are") +
        " not in the WAL between " + (hole.before == 0 ? "the SSTs" : name(hole.before)) + " and " +
        name(hole.after) + ": written without it, or a WAL file, or the end of one, is gone");
  }
}

// Where RocksDB keeps what it no longer needs of the WAL, if its owner wants that.
void Looker::look_at_archive() {
  if (plan_.options.WAL_ttl_seconds == 0 && plan_.options.WAL_size_limit_MB == 0) {
    return;
  }
  std::error_code ignored;
  const auto archive = fs::path(plan_.wal_dir) / "archive";
  if (!fs::is_symlink(archive, ignored)) {
    return;
  }
  const auto place = fs::weakly_canonical(archive, ignored);
  if (std::none_of(plan_.places.begin(), plan_.places.end(),
                   [&](const auto& root) { return is_below(place, root); })) {
    object("the archive of its WAL is a link to " + escaped(place.string()) +
               ", outside of the folder",
           "a folder in place of the link, or mounting the other one there");
  }
}

// How it ends, by its bytes.
void Looker::look_at_manifest() {
  auto name = plan_.current;
  while (!name.empty() && name.back() == '\n') {
    name.pop_back();
  }
  const auto end = end_of_log(plan_.path + "/" + name, 0);
  if (end == WalEnd::torn) {
    plan_.notes.push_back(escaped(name) +
                          " ends in the middle of a record, as a crash leaves it; that is no more");
  } else if (end == WalEnd::damaged) {
    object("its " + escaped(name) + " is damaged: it has whole records behind bytes that are none",
           "restoring a backup");
  }
}

void Looker::note_wal(const Places& places) {
  if (!wal_->error().empty()) {
    object("its WAL has records that this program does not understand: " + wal_->error(),
           "opening and closing it with its owner's program, with a flush");
  }
  if (wal_->open_transactions() > 0) {
    object("its WAL has " + std::to_string(wal_->open_transactions()) +
               " transactions that are prepared and not ended",
           "committing or rolling them back with its owner's program");
  }
  // With it, RocksDB writes the whole WAL to SSTs as it opens. A TransactionDB always sets it, also
  // if none of its transactions was ever prepared.
  plan_.options.allow_2pc = wal_->has_transactions();
  note_holes();
  look_at_manifest();
  look_at_archive();
  // RocksDB leaves a log, if an empty one, wherever its owner has it.
  const bool elsewhere = plan_.wal_dir != plan_.path;
  if ((elsewhere || places.wal_dir_is_gone) &&
      std::none_of(plan_.files.begin(), plan_.files.end(),
                   [](const auto& file) { return file.ends_with(".log"); })) {
    object("there is no WAL in " + escaped(plan_.wal_dir) + " that is as new as the manifest",
           "--wal-dir PATH");
  }
  const auto in_folder = logs_in(plan_.path);
  if (elsewhere && in_folder.lower_bound(first_log_) != in_folder.end()) {
    object("there are WAL files in " + escaped(plan_.wal_dir) +
               " and, as new as the manifest, in the folder itself",
           "moving those away that are not the database's");
  }
  std::uint64_t bytes = 0;
  for (const auto& family : plan_.families) {
    const auto wal = wal_->of(family.name);
    bytes += memory_of_log(wal.records, wal.bytes);
  }
  // What recovery does not apply to an SST it holds in memory.
  constexpr std::uint64_t in_memory_max = 256 << 20;
  plan_.keeps_log = !wal_->has_transactions() && !torn_ && bytes <= in_memory_max &&
                    plan_.options.wal_recovery_mode == WALRecoveryMode::kAbsoluteConsistency;
}

}  // namespace kstone::compact
