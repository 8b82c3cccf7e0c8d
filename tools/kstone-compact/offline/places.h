// Where a database lies, whose it is, and whether it is one of RocksDB at all. Nothing here opens a
// file for writing.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_PLACES_H_
#define KSTONE_COMPACT_OFFLINE_PLACES_H_

#include <rocksdb/options.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "offline.h"
#include "options_file.h"
#include "plan.h"

namespace kstone::compact {

// The canonical path of a folder that holds a file CURRENT, and no FIFO, socket or device in the
// place of a file of a database. Throws BadInput.
std::string require_database(const std::string& path);

// Throws BadInput, with the process, if somebody holds the lock of the database.
void require_unlocked(const std::string& folder);

// What else than RocksDB made the folder, or what it cannot be told from; empty if RocksDB did.
// `options` is the text of its own options file, empty if it has none.
std::string other_engine(const std::string& folder, const std::string& options);

// The BackupEngine's folder, if `place` is one of those in which it keeps the files of its backups;
// else empty. Backups share their files, so one that is compacted takes them from the others.
std::string backups_of(const std::string& place);

// Throws BadInput.
std::string read_text(const std::string& path);

// The database's own options files, the newest last.
std::vector<std::string> options_files(const std::string& folder);

struct Places {
  std::string wal_dir;
  std::vector<::rocksdb::DbPath> db_paths;
  std::map<std::string, std::vector<::rocksdb::DbPath>> cf_paths;
  std::vector<std::string> roots;  // the folder first
  bool wal_dir_is_gone = false;    // the folder's own log is taken in its place
};

// Notes and objections go to the plan, whose `path` is known. Throws BadInput if a named place is
// not there.
Places find_places(const OfflineOptions& options, const OptionsText& text, Plan& plan);

// `FAMILY=VALUE`, where a family's name may hold an equals sign. Throws BadInput, naming the
// option.
std::pair<std::string, std::string> split_pair(const std::string& option, const std::string& text,
                                               const Plan& plan);

// Numbers of the files `NUMBER.log` of a folder.
std::set<std::uint64_t> logs_in(const std::string& folder);
std::string log_path(const std::string& folder, std::uint64_t number);

// "user:group", by name where there is one. Says in the plan if new files could not be given to
// that user.
void look_at_owner(Plan& plan, bool accepted);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_PLACES_H_
