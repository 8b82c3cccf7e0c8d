#include "record_digest.h"

#include <rocksdb/wide_columns.h>
#include <xxhash.h>

#include <memory>

#include "bad_input.h"
#include "escape.h"
#include "interrupt.h"

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

void add_record(Hash& hash, const ::rocksdb::Iterator& at) {
  hash.add(at.key());
  hash.add(at.value());
  for (const auto& column : at.columns()) {
    hash.add(column.name());
    hash.add(column.value());
  }
}

::rocksdb::Status digest_family(const OpenDatabase& database, const std::string& family,
                                OpenDatabase::Versions versions, RecordDigest& digest) {
  Hash hash;
  const auto status = database.read_all(family, versions, [&](const ::rocksdb::Iterator& at) {
    add_record(hash, at);
    ++digest.records;
    return !interrupted();
  });
  digest.checksum = hash.text();
  return status;
}

}  // namespace

bool RecordDigest::is_kept_in(const RecordDigest& after) const {
  const bool same = records == after.records && checksum == after.checksum;
  const bool history_went = !newest.empty() && newest == after.newest && after.records < records;
  return after.error.empty() && (same || history_went);
}

std::map<std::string, RecordDigest> digest_records(const Plan& plan) {
  OpenDatabase database;
  require_ok(database.open_read_only(plan, plan.options),
             escaped(plan.path) + ": reading every record");
  std::map<std::string, RecordDigest> digests;
  for (const auto& family : plan.families) {
    if (!family.readable || interrupted()) {
      continue;
    }
    const bool has_timestamps = family.options.comparator->timestamp_size() > 0;
    RecordDigest digest;
    auto status = digest_family(database, family.name, OpenDatabase::Versions::all, digest);
    if (status.ok() && has_timestamps) {
      RecordDigest newest;
      status = digest_family(database, family.name, OpenDatabase::Versions::newest, newest);
      digest.newest = newest.checksum;
    }
    digest.error = status.ok() ? "" : status.ToString();
    digests[family.name] = digest;
  }
  return digests;
}

}  // namespace kstone::compact
