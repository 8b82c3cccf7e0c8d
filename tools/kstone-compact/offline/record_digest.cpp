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

void add_record(Hash& hash, const ::rocksdb::Iterator& at, bool has_timestamps) {
  hash.add(at.key());
  hash.add(at.value());
  if (has_timestamps) {
    return;  // the key ends with the timestamp; columns are not to be had there
  }
  for (const auto& column : at.columns()) {
    hash.add(column.name());
    hash.add(column.value());
  }
}

}  // namespace

std::map<std::string, RecordDigest> digest_records(const Plan& plan) {
  OpenDatabase database;
  require_ok(database.open_read_only(plan, plan.options), escaped(plan.path) + ": reading every record");
  std::map<std::string, RecordDigest> digests;
  for (const auto& family : plan.families) {
    if (!family.readable || interrupted()) {
      continue;
    }
    Hash hash;
    RecordDigest digest;
    const bool has_timestamps = family.options.comparator->timestamp_size() > 0;
    const auto status = database.read_all(family.name, [&](const ::rocksdb::Iterator& at) {
      add_record(hash, at, has_timestamps);
      ++digest.records;
      return !interrupted();
    });
    require_ok(status, escaped(plan.path) + ": reading column family " + in_quotes(family.name));
    digest.checksum = hash.text();
    digests[family.name] = digest;
  }
  return digests;
}

}  // namespace kstone::compact
