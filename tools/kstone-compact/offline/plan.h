// What would be done with a database that belongs to somebody else, and what speaks against it.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_PLAN_H_
#define KSTONE_COMPACT_OFFLINE_PLAN_H_

#include <rocksdb/options.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "enclosure.h"
#include "offline.h"

namespace kstone::compact {

// Something that speaks against it.
struct Objection {
  std::string what;         // what is wrong or not certain, and what would be lost
  std::string accept = {};  // the option that accepts it, or what else helps; may be empty
  std::string kind = {};    // of --accept-loss; empty if nothing accepts it
};

// What the properties of all SSTs of a family add up to.
struct FamilyContents {
  std::uint64_t entries = 0;  // with deletions, merge operands and range deletions
  std::uint64_t deletions = 0;
  std::uint64_t merge_operands = 0;
  std::uint64_t range_deletions = 0;
};

struct FamilyPlan {
  std::string name;
  ::rocksdb::ColumnFamilyOptions options;
  std::string comparator;
  std::string compaction_style;

  std::vector<std::uint64_t> level_bytes;  // SSTs only
  std::uint64_t blob_bytes = 0;
  std::uint64_t ssts = 0;
  FamilyContents contents;
  double growth = 1;              // at most, where new SSTs are compressed otherwise
  std::uint32_t target_path = 0;  // of its paths that where its last level lies
  std::string target;             // and its folder
  std::string first_place;        // the folder of its first path, where the log is flushed to
  std::uint64_t wal_records = 0;  // not in an SST yet
  std::uint64_t wal_bytes = 0;

  bool looked_at = false;             // its SSTs; what is said of them is true
  bool chosen = false;                // the user wants it compacted
  bool skipped = false;               // --skip-family
  std::string note;                   // why it is not compacted, although nothing is wrong
  std::vector<Objection> objections;  // what keeps it from being compacted
  std::vector<Objection> accepted;    // what the user accepts to lose

  bool readable = true;  // its records can be read as the owner reads them

  std::uint64_t bytes() const;
  bool compacts() const { return chosen && objections.empty(); }
  // Reading and writing at most, and what may be needed beside what is there.
  std::uint64_t bytes_read_max() const;
  std::uint64_t bytes_written_max() const;
  // What its compaction may take beside what is there, if nothing else runs.
  std::uint64_t extra_bytes_max() const;
  // What it takes in the end.
  std::uint64_t kept_bytes_max() const;
};

// What records of the write-ahead log take in memory, at most.
std::uint64_t memory_of_log(std::uint64_t records, std::uint64_t bytes);

struct Plan {
  std::string path;  // canonical
  std::string options_file;
  std::string rocksdb_version;      // of the program that wrote the options file
  std::vector<std::string> places;  // the folder, and those that the user has named; canonical
  ::rocksdb::DBOptions options;
  std::vector<FamilyPlan> families;
  std::string wal_dir;
  bool keeps_log = false;       // records of families that are not compacted stay in the log
  std::set<std::string> files;  // what the database consists of
  std::string current;          // the text of CURRENT
  std::vector<std::string> notes;
  std::vector<Objection> objections;  // what keeps the database from being opened

  std::uint64_t free_bytes = 0;
  std::uint64_t needed_bytes = 0;
  std::string owner;  // user:group of its files

  bool refused() const;
  std::string verdict() const;
  // One line: what speaks against it first, and what accepts that.
  std::string refusal() const;
};

std::string text_of(::rocksdb::CompactionStyle style);

void print_plan(const Plan& plan);
void print_plan_json(const Plan& plan);
// Where there is no plan.
void print_refusal_json(const std::string& path, const std::string& why);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_PLAN_H_
