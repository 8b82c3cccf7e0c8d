// `kstone-compact db PATH`: compacts a database that nobody has open.
//
// Thread safety: one call at a time.

#ifndef KSTONE_COMPACT_OFFLINE_OFFLINE_H_
#define KSTONE_COMPACT_OFFLINE_OFFLINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "interrupt.h"

namespace kstone::compact {

enum class VerifyMode : std::uint8_t {
  properties,  // the number of entries, by the properties of the SSTs
  full,        // every record before and after, by checksum
};

struct OfflineOptions {
  std::string path;
  std::vector<std::string> families;       // empty: all
  std::vector<std::string> skip_families;  // these not, and they are no failure
  std::uint32_t min_ssts = 0;              // only column families with at least this many SSTs
  std::uint32_t workers = 2;
  VerifyMode verify = VerifyMode::properties;
  bool rewrites_last_level = true;  // also where nothing came to it from above
  bool plan = false;                // look and tell, change nothing
  bool json = false;

  // What the user answers for.
  std::string options_file;                  // in place of the database's own
  std::string wal_dir;                       // where the write-ahead log is
  std::vector<std::string> db_paths;         // as the owner's DBOptions::db_paths, in its order
  std::vector<std::string> cf_paths;         // FAMILY=PATH, in the order of the owner's cf_paths
  std::vector<std::string> merge_operators;  // FAMILY=SPEC
  std::vector<std::string> accepted_losses;  // KIND or KIND:FAMILY
  bool ignore_free_space = false;
};

// The exit status. Throws BadInput.
int run_offline(const OfflineOptions& options, Wakeup& wakeup);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_OFFLINE_H_
