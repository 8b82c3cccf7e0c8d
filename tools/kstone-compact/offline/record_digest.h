// A checksum over every record of a database, as its owner reads them.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_
#define KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_

#include <cstdint>
#include <map>
#include <string>

#include "open_database.h"
#include "plan.h"

namespace kstone::compact {

struct RecordDigest {
  std::uint64_t records = 0;
  std::string checksum;     // XXH3, 128 bits, of keys, timestamps, values and wide columns in order
  std::string newest = {};  // with user timestamps: of the newest version of each record
  std::string error = {};
  // Whether nothing is lost: with user timestamps a compaction may drop versions before a mark that
  // the owner has set.
  bool is_kept_in(const RecordDigest& after) const;
};

// By family, of those that can be read. The database is opened to be read and nothing else, its log
// replayed in memory. Stops early, with what it has, when the process is interrupted. A family of
// which something cannot be read is said so in `error`. Throws BadInput if the database cannot be
// opened.
std::map<std::string, RecordDigest> digest_records(const Plan& plan);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_
