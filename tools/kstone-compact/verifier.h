// Compares a database with the ledger of what was written to it.
//
// Thread safety: none needed; the database may not be written to meanwhile.

#ifndef KSTONE_COMPACT_VERIFIER_H_
#define KSTONE_COMPACT_VERIFIER_H_

#include <rocksdb/db.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ledger.h"

namespace kstone::compact {

struct Verification {
  std::uint64_t looked_up = 0;  // keys of the ledger, of which:
  // Keys of the ledger that are as they should be: the value, byte for byte, or absent.
  std::uint64_t verified = 0;
  std::uint64_t wrong = 0;    // present with another value
  std::uint64_t missing = 0;  // written and not there
  // There and never written, deleted, or in a stripe where it does not belong.
  std::uint64_t extra = 0;
  std::uint64_t live = 0;   // keys that an iteration over all stripes found
  bool complete = true;     // false: it was asked to stop before the end
  std::string first_error;  // names the first such key, or what RocksDB could not read

  std::uint64_t keys_wrong() const { return wrong + missing + extra; }
  // Nothing that was looked at is wrong.
  bool passed() const { return keys_wrong() == 0 && first_error.empty(); }
};

// Looks up every key of the ledger, then iterates over every stripe, since lookups cannot find a
// key that nobody expects; last, RocksDB verifies the checksums of all its files. `handles[i]` is
// stripe i.
//
// `stop` is asked before each key and each file, with what was found so far; once it says true the
// verification ends there.
using StopVerifying = std::function<bool(const Verification&)>;
Verification verify(::rocksdb::DB& db, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
                    const Ledger& ledger, const StopVerifying& stop = {});

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_VERIFIER_H_
