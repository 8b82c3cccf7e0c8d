#include "entry_accounts.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "kstone/rocksdb/column_family_compactor.h"

namespace kstone::compact {
namespace {

std::int64_t signed_of(std::uint64_t count) { return static_cast<std::int64_t>(count); }

// Nothing if the properties of one of them could not be read.
std::optional<std::int64_t> entries_of(const std::vector<std::string>& files,
                                       const ::rocksdb::CompactionJobInfo& info) {
  std::int64_t sum = 0;
  for (const auto& file : files) {
    const auto found = info.table_properties.find(file);
    if (found == info.table_properties.end()) {
      return std::nullopt;
    }
    sum += signed_of(found->second->num_entries);
  }
  return sum;
}

// To another level: it was not merged, and keeps its name.
bool only_moved(const ::rocksdb::CompactionJobInfo& info) {
  return std::is_permutation(info.input_files.begin(), info.input_files.end(),
                             info.output_files.begin(), info.output_files.end());
}

}  // namespace

EntryAccounts::EntryAccounts(CompactionStatsAtomic stats) : stats_(std::move(stats)) {}

void EntryAccounts::OnTableFileCreated(const ::rocksdb::TableFileCreationInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!info.status.ok()) {
    note_error(info.status.ToString());
    return;
  }
  if (info.reason == ::rocksdb::TableFileCreationReason::kCompaction) {
    return;
  }
  changes_[info.cf_name] += signed_of(info.table_properties.num_entries);
}

void EntryAccounts::OnCompactionCompleted(::rocksdb::DB*,
                                          const ::rocksdb::CompactionJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!info.status.ok()) {
    note_error(info.status.ToString());
    return;
  }
  if (only_moved(info)) {
    return;
  }
  rocksdb::record_job_stats(stats_, info.stats);
  merged_.insert(info.cf_name);
  const auto written = entries_of(info.output_files, info);
  const auto read = entries_of(info.input_files, info);
  if (!written || !read) {
    note_error("the properties of an SST could not be read");
    return;
  }
  changes_[info.cf_name] += *written - *read;
}

void EntryAccounts::OnBackgroundError(::rocksdb::BackgroundErrorReason, ::rocksdb::Status* status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  note_error(status->ToString());
}

void EntryAccounts::OnErrorRecoveryBegin(::rocksdb::BackgroundErrorReason, ::rocksdb::Status,
                                         bool* recover_by_itself) {
  *recover_by_itself = false;
}

void EntryAccounts::note_error(const std::string& why) {
  if (doubt_.empty()) {
    doubt_ = why;
  }
}

std::string EntryAccounts::doubt() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return doubt_;
}

bool EntryAccounts::has_merged(const std::string& family) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return merged_.contains(family);
}

std::string EntryAccounts::wrong(const std::string& family, const FamilyContents& before,
                                 const FamilyContents& after) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto change = changes_.find(family);
  const auto expected = signed_of(before.entries) + (change == changes_.end() ? 0 : change->second);
  return signed_of(after.entries) == expected ? ""
                                              : "its SSTs hold " + std::to_string(after.entries) +
                                                    " entries, not " + std::to_string(expected);
}

}  // namespace kstone::compact
