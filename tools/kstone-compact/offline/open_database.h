// A database that belongs to somebody else, opened within its enclosure, with its owner's options
// as far as they matter to what is written.
//
// Thread safety: the database is RocksDB's; opening and closing it is not.

#ifndef KSTONE_COMPACT_OFFLINE_OPEN_DATABASE_H_
#define KSTONE_COMPACT_OFFLINE_OPEN_DATABASE_H_

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/table_properties.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "enclosure.h"
#include "plan.h"

namespace kstone::compact {

class OpenDatabase {
 public:
  struct Size {
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
  };

  OpenDatabase() = default;
  ~OpenDatabase();
  OpenDatabase(const OpenDatabase&) = delete;
  OpenDatabase& operator=(const OpenDatabase&) = delete;

  // Writes nothing. The log is replayed in memory, as far as a filter in `options` lets it.
  ::rocksdb::Status open_read_only(const Plan& plan, const ::rocksdb::DBOptions& options);
  // For up to `compactions` of the caller's at a time; there are no others.
  ::rocksdb::Status open(const Plan& plan, std::uint32_t compactions,
                         std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners);
  // What RocksDB could not write that it still held.
  ::rocksdb::Status close();

  ::rocksdb::DB& db() const { return *db_; }
  // In the order of the plan.
  const std::vector<::rocksdb::ColumnFamilyHandle*>& handles() const { return handles_; }
  Size size(::rocksdb::ColumnFamilyHandle* handle) const;

  // Returns false to read no further.
  using Visit = std::function<bool(const ::rocksdb::Iterator&)>;
  // Each record of a family as its owner reads it, in order. With user timestamps: the newest
  // version as of `time`, or each one since then, deletions too; an empty one is the end of time,
  // or its beginning.
  enum class Versions : std::uint8_t { newest, all };
  ::rocksdb::Status read_all(const std::string& family, Versions versions, const Visit& visit,
                             const std::string& time = {}) const;
  // The time that the owner has set as the end of a family's history: of what is older, only the
  // newest version of each record is to be kept. Empty if there is none.
  std::string history_mark(const std::string& family) const;
  // Reads every block of each SST of a family, and compares its checksum; stops early when the
  // process is interrupted. RocksDB 7.8 may drop an error that an iterator or a compaction meets.
  using ReadSoFar = std::function<void(std::uint64_t bytes)>;  // since it was called last
  ::rocksdb::Status verify_ssts(const FamilyPlan& family, const ReadSoFar& tell) const;

 private:
  ::rocksdb::ColumnFamilyHandle* handle(const std::string& family) const;  // null: there is none

  std::vector<::rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<::rocksdb::DB> db_;
};

FamilyContents contents_of(const ::rocksdb::TablePropertiesCollection& ssts);
// As SSTs name the kinds of compression that new ones may have by the family's options.
std::set<std::string> compressions_of(const ::rocksdb::ColumnFamilyOptions& options);
// How many times larger new SSTs may be: those of a family that is compressed otherwise than they
// were.
double growth_of(const ::rocksdb::TablePropertiesCollection& ssts, const FamilyPlan& family);

// Throws BadInput.
void require_lock(Enclosure& enclosure, const std::string& folder);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_OPEN_DATABASE_H_
