// How urgent a compaction of a column family is.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <shared_mutex>
#include <string>

#include "kstone/rocksdb/column_family_compactor.h"

namespace kstone::rocksdb {

Priority ColumnFamilyCompactor::priority_of(std::uint32_t stripe_id) const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const bool is_served = stripe_id < stripes_.size() && stripes_[stripe_id];
  return is_served ? priority_of(*stripes_[stripe_id]) : Priority::normal;
}

Priority ColumnFamilyCompactor::priority_of(const Stripe& stripe) const {
  std::string text;
  if (!db_->GetProperty(stripe.handle, ::rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0",
                        &text)) {
    return Priority::normal;  // its family was dropped
  }
  const std::uint64_t files = std::strtoull(text.c_str(), nullptr, 10);
  const std::uint64_t due = stripe.limits.l0_files;
  if (files < due) {
    return Priority::low;
  }
  // Where the two lie side by side, the last file before writers are slowed down.
  const auto half = stripe.slowdown_l0_files > due ? (stripe.slowdown_l0_files - due) / 2 : 0;
  return files >= due + std::max<std::uint64_t>(half, 1) ? Priority::high : Priority::normal;
}

DatabaseListener::PriorityOf ColumnFamilyCompactor::priorities() const {
  return [this](std::uint32_t stripe_id) { return priority_of(stripe_id); };
}

}  // namespace kstone::rocksdb
