#include "verifier.h"

#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>

#include <memory>
#include <string_view>
#include <unordered_map>

#include "escape.h"

namespace kstone::compact {
namespace {

using Handles = std::vector<::rocksdb::ColumnFamilyHandle*>;

void note(Verification& result, const std::string& what) {
  if (result.first_error.empty()) {
    result.first_error = what;
  }
}

// True, and noted, once the verification is to end early.
bool ends_early(Verification& result, const StopVerifying& stop) {
  if (result.complete && stop && stop(result)) {
    result.complete = false;
  }
  return !result.complete;
}

void look_up(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger, Verification& result,
             const StopVerifying& stop) {
  for (std::size_t record = 0; record < ledger.size() && !ends_early(result, stop); ++record) {
    const auto expected = ledger.current_value(record);
    const auto& key = ledger.key(record);
    std::string found;
    const auto status =
        db.Get(::rocksdb::ReadOptions(), handles[ledger.stripe(record)], key, &found);
    ++result.looked_up;
    if (!status.ok() && !status.IsNotFound()) {
      ++result.wrong;
      note(result, "key '" + escaped(key) + "': " + status.ToString());
    } else if (expected && status.IsNotFound()) {
      ++result.missing;
      note(result, "key '" + escaped(key) + "' is missing");
    } else if (!expected && status.ok()) {
      ++result.extra;
      note(result, "key '" + escaped(key) + "' was deleted and is there");
    } else if (expected && found != *expected) {
      ++result.wrong;
      note(result, "key '" + escaped(key) + "' has another value than was written last");
    } else {
      ++result.verified;
    }
  }
}

// Counts only what the lookups cannot have counted: keys outside the ledger, or outside their
// stripe. For keys inside, the iteration must agree with the lookups, which is a matter of
// RocksDB's indexes and filters.
void iterate(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger, Verification& result,
             const StopVerifying& stop) {
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
    for (at->SeekToFirst(); at->Valid() && !ends_early(result, stop); at->Next()) {
      ++result.live;
      const auto found = record_of.find(at->key().ToStringView());
      if (found == record_of.end() || ledger.stripe(found->second) != stripe) {
        ++result.extra;
        note(result, "key '" + escaped(at->key().ToStringView()) +
                         "' was never written to stripe " + std::to_string(stripe));
      } else if (const auto expected = ledger.current_value(found->second);
                 expected && at->value().ToStringView() != *expected) {
        note(result,
             "key '" + escaped(at->key().ToStringView()) + "' has another value in an iteration");
      }
    }
    if (!at->status().ok()) {
      note(result, "stripe " + std::to_string(stripe) + ": " + at->status().ToString());
    }
  }
  if (result.complete && result.live != expected_live) {
    note(result, "an iteration finds " + std::to_string(result.live) + " keys, not " +
                     std::to_string(expected_live));
  }
}

// As `DB::VerifyChecksum`, which cannot be stopped between two files.
void verify_checksums(::rocksdb::DB& db, Verification& result, const StopVerifying& stop) {
  const struct KeepFiles {
    explicit KeepFiles(::rocksdb::DB& of) : db(of) {
      db.DisableFileDeletions().PermitUncheckedError();
    }
    ~KeepFiles() { db.EnableFileDeletions(/*force=*/false).PermitUncheckedError(); }
    KeepFiles(const KeepFiles&) = delete;
    KeepFiles& operator=(const KeepFiles&) = delete;
    ::rocksdb::DB& db;
  } keep(db);
  std::vector<::rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  const auto options = db.GetOptions();
  for (const auto& file : files) {
    if (ends_early(result, stop)) {
      return;
    }
    ::rocksdb::SstFileReader reader(options);
    auto status = reader.Open(file.db_path + file.name);
    if (status.ok()) {
      status = reader.VerifyChecksum();
    }
    if (!status.ok()) {
      note(result, "file " + file.name.substr(1) + ": " + status.ToString());
    }
  }
}

}  // namespace

Verification verify(::rocksdb::DB& db, const Handles& handles, const Ledger& ledger,
                    const StopVerifying& stop) {
  Verification result;
  look_up(db, handles, ledger, result, stop);
  iterate(db, handles, ledger, result, stop);
  verify_checksums(db, result, stop);
  return result;
}

}  // namespace kstone::compact
