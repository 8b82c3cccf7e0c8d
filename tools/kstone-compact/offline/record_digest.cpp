#include "record_digest.h"

#include <rocksdb/wide_columns.h>
#include <xxhash.h>

#include <memory>

#include "bad_input.h"
#include "escape.h"
#include "interrupt.h"
#include "progress.h"
#include "wal_contents.h"

namespace kstone::compact {
namespace {

class Hash {
 public:
  Hash() { XXH3_128bits_reset(state_.get()); }

  // With its length, so that no two sequences of parts look the same.
  void add(const ::rocksdb::Slice& part) {
    const std::uint64_t length = part.size();
    XXH3_128bits_update(state_.get(), &length, sizeof length);
    XXH3_128bits_update(state_.get(), part.data(), part.size());
  }
  std::string text() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    std::string result;
    for (const auto byte : canonical.digest) {
      constexpr char digits[] = "0123456789abcdef";
      result += digits[byte >> 4];
      result += digits[byte & 15];
    }
    return result;
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_{XXH3_createState()};
};

void add_value(Hash& hash, const ::rocksdb::Iterator& at) {
  hash.add(at.value());
  for (const auto& column : at.columns()) {
    hash.add(column.name());
    hash.add(column.value());
  }
}

// The key of a version, without its number, which a compaction may take away, and what it is.
class Version {
 public:
  explicit Version(const ::rocksdb::Slice& key)
      : key_(key.data(), key.size() - footer_bytes),
        kind_(static_cast<unsigned char>(key[key.size() - footer_bytes])) {}

  const ::rocksdb::Slice& key() const { return key_; }  // with its timestamp
  bool is_deletion() const {
    constexpr unsigned deletion = 0x0;
    constexpr unsigned single_deletion = 0x7;
    constexpr unsigned deletion_with_timestamp = 0x14;
    return kind_ == deletion || kind_ == single_deletion || kind_ == deletion_with_timestamp;
  }

 private:
  static constexpr std::size_t footer_bytes = 8;
  ::rocksdb::Slice key_;
  unsigned kind_;
};

class FamilyReader {
 public:
  FamilyReader(const OpenDatabase& database, const FamilyPlan& family,
               const OpenDatabase::ReadSoFar& tell)
      : database_(database), family_(family), tell_(tell) {}

  RecordDigest read() {
    auto status = database_.verify_ssts(family_, tell_);
    if (status.ok()) {
      status = family_.options.comparator->timestamp_size() == 0 ? read_newest("") : read_history();
    }
    return {records_, hash_.text(), status.ok() ? "" : status.ToString(), !interrupted()};
  }

 private:
  ::rocksdb::Status read_newest(const std::string& time) {
    return database_.read_all(
        family_.name, OpenDatabase::Versions::newest,
        [&](const ::rocksdb::Iterator& at) {
          hash_.add(at.key());
          add_value(hash_, at);
          return go_on(at);
        },
        time);
  }
  ::rocksdb::Status read_history() {
    const auto mark = database_.history_mark(family_.name);
    std::string last;
    const auto status = database_.read_all(
        family_.name, OpenDatabase::Versions::all,
        [&](const ::rocksdb::Iterator& at) {
          const Version version(at.key());
          if (records_ > 0 && version.key() == last) {
            return !interrupted();  // written over at the same time
          }
          last = version.key().ToString();
          hash_.add(version.key());
          hash_.add(version.is_deletion() ? "deleted" : "");
          if (!version.is_deletion()) {
            add_value(hash_, at);
          }
          return go_on(at);
        },
        mark);
    return status.ok() && !mark.empty() ? read_newest(mark) : status;
  }

  bool go_on(const ::rocksdb::Iterator& at) {
    constexpr std::uint64_t step = 1 << 20;
    ++records_;
    bytes_ += at.key().size() + at.value().size();
    if (bytes_ >= step) {
      tell_(bytes_);
      bytes_ = 0;
    }
    return !interrupted();
  }

  const OpenDatabase& database_;
  const FamilyPlan& family_;
  const OpenDatabase::ReadSoFar& tell_;
  std::uint64_t bytes_ = 0;  // that were not told yet
  Hash hash_;
  std::uint64_t records_ = 0;
};

}  // namespace

bool RecordDigest::is_kept_in(const RecordDigest& after) const {
  return error.empty() && after.error.empty() && records == after.records &&
         checksum == after.checksum;
}

std::string RecordDigest::text() const {
  return error.empty() ? counted(records, "record") + " with checksum " + checksum
                       : "its records cannot be read: " + error;
}

std::map<std::string, RecordDigest> digest_records(const Plan& plan, Enclosure& enclosure,
                                                   const OpenDatabase::ReadSoFar& tell) {
  OpenDatabase database;
  require_ok(database.open_read_only(plan, plan.options),
             escaped(plan.path) + ": reading every record");
  std::map<std::string, RecordDigest> digests;
  for (const auto& family : plan.families) {
    if (family.readable && !interrupted()) {
      enclosure.watch_reads(false);
      auto& digest = digests[family.name] = FamilyReader(database, family, tell).read();
      digest.error = digest.error.empty() ? enclosure.unreadable() : digest.error;
    }
  }
  return digests;
}

std::map<std::string, std::string> damaged_families(const Plan& plan,
                                                    const OpenDatabase::ReadSoFar& tell) {
  WalContents ignored;  // which keeps the log from being replayed
  auto options = plan.options;
  options.wal_filter = &ignored;
  OpenDatabase database;
  require_ok(database.open_read_only(plan, options), escaped(plan.path) + ": reading every SST");
  std::map<std::string, std::string> damaged;
  for (const auto& family : plan.families) {
    if (!family.compacts() || interrupted()) {
      continue;
    }
    // Of a plain table nothing has a checksum, and of a blob file SSTs say nothing: only a record
    // that is read tells.
    const bool is_plain = family.options.table_factory->IsInstanceOf("PlainTable");
    std::string error;
    if (family.blob_bytes != 0 || is_plain) {
      error = FamilyReader(database, family, tell).read().error;
    } else if (const auto status = database.verify_ssts(family, tell); !status.ok()) {
      error = status.ToString();
    }
    if (!error.empty()) {
      damaged[family.name] = (family.blob_bytes != 0 ? "an SST or a blob file cannot be read: "
                                                     : "an SST cannot be read: ") +
                             error;
    }
  }
  return damaged;
}

}  // namespace kstone::compact
