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
  std::string checksum;  // XXH3, 128 bits, of keys, timestamps, values and wide columns in order
  bool operator==(const RecordDigest&) const = default;
};

// By family, of those that can be read. The database is opened to be read and nothing else, its log
// replayed in memory. Stops early, with what it has, when the process is interrupted.
// Throws BadInput if something cannot be read.
std::map<std::string, RecordDigest> digest_records(const Plan& plan);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_RECORD_DIGEST_H_
