#include "verifier.h"

#include <memory>
#include <string_view>
#include <unordered_map>

namespace kstone::compact {
namespace {

using Handles = std::vector<::rocksdb::ColumnFamilyHandle*>;

void note(Verification& result, const std::string& what) {
  if (result.first_error.empty()) {
    result.first_error = what;
  }
}

void look_up(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger, Verification& result) {
  for (std::size_t record = 0; record < ledger.size(); ++record) {
    const auto expected = ledger.current_value(record);
    const auto& key = ledger.key(record);
    std::string found;
    const auto status = db.Get(::rocksdb::ReadOptions(), handles[ledger.stripe(record)], key, &found);
    if (!status.ok() && !status.IsNotFound()) {
      ++result.wrong;
      note(result, "key '" + key + "': " + status.ToString());
    } else if (expected && status.IsNotFound()) {
      ++result.missing;
      note(result, "key '" + key + "' is missing");
    } else if (!expected && status.ok()) {
      ++result.extra;
      note(result, "key '" + key + "' was deleted and is there");
    } else if (expected && found != *expected) {
      ++result.wrong;
      note(result, "key '" + key + "' has another value than was written last");
    } else {
      ++result.verified;
    }
  }
}

// Counts only what the lookups cannot have counted: keys outside the ledger, or outside their stripe. For keys inside, the
// iteration must agree with the lookups, which is a matter of RocksDB's indexes and filters.
void iterate(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger, Verification& result) {
  std::unordered_map<std::string_view, std::size_t> record_of;
  std::uint64_t expected_live = 0;
  for (std::size_t record = 0; record < ledger.size(); ++record) {
    record_of.emplace(ledger.key(record), record);
    expected_live += ledger.present(record) ? 1 : 0;
  }
  for (std::uint32_t stripe = 0; stripe < ledger.stripe_count(); ++stripe) {
    ::rocksdb::ReadOptions options;
    options.verify_checksums = true;
    const std::unique_ptr<::rocksdb::Iterator> at(db.NewIterator(options, handles[stripe]));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      ++result.live;
      const auto found = record_of.find(at->key().ToStringView());
      if (found == record_of.end() || ledger.stripe(found->second) != stripe) {
        ++result.extra;
        note(result, "key '" + at->key().ToString() + "' was never written to stripe " + std::to_string(stripe));
      } else if (const auto expected = ledger.current_value(found->second);
                 expected && at->value().ToStringView() != *expected) {
        note(result, "key '" + at->key().ToString() + "' has another value in an iteration");
      }
    }
    if (!at->status().ok()) {
      note(result, "stripe " + std::to_string(stripe) + ": " + at->status().ToString());
    }
  }
  if (result.live != expected_live) {
    note(result, "an iteration finds " + std::to_string(result.live) + " keys, not " + std::to_string(expected_live));
  }
}

}  // namespace

Verification verify(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger) {
  Verification result;
  look_up(db, handles, ledger, result);
  iterate(db, handles, ledger, result);
  if (const auto status = db.VerifyChecksum(); !status.ok()) {
    note(result, status.ToString());
  }
  return result;
}

}  // namespace kstone::compact
