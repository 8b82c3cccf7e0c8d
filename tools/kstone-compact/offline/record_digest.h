// A checksum over every record of a database, as its owner reads them.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_
#define KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_

#include <cstdint>
#include <map>
#include <string>

#include "enclosure.h"
#include "open_database.h"
#include "plan.h"

namespace kstone::compact {

struct RecordDigest {
  std::uint64_t records = 0;
  std::string checksum;    // XXH3, 128 bits, of keys, timestamps, values and wide columns in order
  std::string error = {};  // what could not be read, or is damaged
  bool whole = true;       // nobody has interrupted it

  bool is_kept_in(const RecordDigest& after) const;
  // "N records with checksum C", or the error.
  std::string text() const;
};

// With user timestamps, and a mark that the owner has set as the end of history, that is: each
// version since the mark, and the newest version of each record as of the mark. RocksDB keeps no
// more than that.

// By family, of those that can be read; each of their SSTs is verified first, block by block. The
// database is opened to be read and nothing else, its log replayed in memory. Stops early, with
// what it has, when the process is interrupted. A family of which something cannot be read is said
// so in `error`. Throws BadInput if the database cannot be opened.
std::map<std::string, RecordDigest> digest_records(const Plan& plan, Enclosure& enclosure,
                                                   const OpenDatabase::ReadSoFar& tell);

// Only the SSTs of the families that are to be compacted, and every record of those with values in
// blob files or in plain tables: what is damaged, by family, as a sentence.
std::map<std::string, std::string> damaged_families(const Plan& plan,
                                                    const OpenDatabase::ReadSoFar& tell);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_
