// What `kstone-compact db` did, family by family.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_REPORT_H_
#define KSTONE_COMPACT_OFFLINE_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "kstone/compaction_stats.h"
#include "open_database.h"
#include "plan.h"

namespace kstone::compact {

enum class Fate : std::uint8_t {
  not_asked,
  refused,
  not_started,
  running,
  compacted,
  nothing,  // there was nothing to rewrite
  stopped,
  failed
};

const char* to_string(Fate fate);

struct FamilyReport {
  std::string name;
  OpenDatabase::Size before;
  OpenDatabase::Size after;
  Fate fate = Fate::not_asked;
  std::string note;
};

struct OfflineReport {
  std::string path;
  std::vector<FamilyReport> families;  // in the order of the plan
  std::vector<std::string> notes;
  CompactionStatsAtomic stats;
  std::uint32_t merging_max = 0;
  double shutdown_ms = 0;
  double seconds = 0;
  bool interrupted = false;
  bool verified_in_full = false;
  bool interrupted_while_verifying = false;  // before every record was compared
  std::uint64_t records_verified = 0;
  std::vector<std::string> not_read;    // families that a full comparison left alone, quoted
  std::uint64_t families_verified = 0;  // that were compacted, and whose entries were compared
  std::vector<std::string> wrong;       // what the verification found
  std::string uncertain;                // why the entries of a family cannot be compared
  std::string close_error;              // what RocksDB could not write in the end

  void begin(const Plan& plan);
  // One line that names each family that was to be compacted and could not; empty if there is none.
  std::string failures() const;
  void print(bool json) const { json ? print_json() : print_table(); }
  void print_table() const;
  void print_json() const;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_REPORT_H_
