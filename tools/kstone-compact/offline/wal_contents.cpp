#include "wal_contents.h"

#include <algorithm>

namespace kstone::compact {

using ::rocksdb::Slice;
using ::rocksdb::Status;

void OperandSizes::add(std::uint64_t bytes) {
  ++count;
  min = std::min(min, bytes);
  max = std::max(max, bytes);
}

class WalContents::Reader final : public ::rocksdb::WriteBatch::Handler {
 public:
  Reader(WalContents& contents, std::uint64_t log) : contents_(contents), log_(log) {}

  Status PutCF(std::uint32_t family, const Slice& key, const Slice& value) override {
    return add(family, key.size() + value.size());
  }
  Status PutEntityCF(std::uint32_t family, const Slice& key, const Slice& entity) override {
    return add(family, key.size() + entity.size());
  }
  Status DeleteCF(std::uint32_t family, const Slice& key) override { return add(family, key.size()); }
  Status SingleDeleteCF(std::uint32_t family, const Slice& key) override {
    return add(family, key.size());
  }
  Status DeleteRangeCF(std::uint32_t family, const Slice& begin, const Slice& end) override {
    return add(family, begin.size() + end.size());
  }
  Status MergeCF(std::uint32_t family, const Slice& key, const Slice& operand) override {
    if (counts(family)) {
      contents_.families_[family].operands.add(operand.size());
    }
    return add(family, key.size() + operand.size());
  }
  Status PutBlobIndexCF(std::uint32_t family, const Slice& key, const Slice& value) override {
    return add(family, key.size() + value.size());
  }
  void LogData(const Slice&) override {}
  Status MarkBeginPrepare(bool) override {
    contents_.has_transactions_ = true;
    return Status::OK();
  }
  Status MarkEndPrepare(const Slice& id) override {
    contents_.open_transactions_.insert(id.ToString());
    return Status::OK();
  }
  Status MarkNoop(bool) override { return Status::OK(); }
  Status MarkRollback(const Slice& id) override { return end(id); }
  Status MarkCommit(const Slice& id) override { return end(id); }
  Status MarkCommitWithTimestamp(const Slice& id, const Slice&) override { return end(id); }

 private:
  // So that a batch of another policy is an error: RocksDB cannot replay it without that policy.
  OptionState WriteAfterCommit() const override { return OptionState::kEnabled; }
  OptionState WriteBeforePrepare() const override { return OptionState::kDisabled; }

  bool counts(std::uint32_t family) const {
    const auto first = contents_.logs_.find(family);
    // Records of a family that was dropped are for nobody.
    return first != contents_.logs_.end() && log_ >= first->second;
  }
  Status add(std::uint32_t family, std::uint64_t bytes) {
    if (counts(family)) {
      ++contents_.families_[family].records;
      contents_.families_[family].bytes += bytes;
    }
    return Status::OK();
  }
  Status end(const Slice& id) {
    contents_.open_transactions_.erase(id.ToString());
    return Status::OK();
  }

  WalContents& contents_;
  std::uint64_t log_;
};

void WalContents::ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& logs,
                                           const std::map<std::string, std::uint32_t>& ids) {
  logs_ = logs;
  ids_ = ids;
}

::rocksdb::WalFilter::WalProcessingOption WalContents::LogRecordFound(
    unsigned long long log, const std::string&, const ::rocksdb::WriteBatch& batch,
    ::rocksdb::WriteBatch*, bool*) {
  Reader reader(*this, log);
  if (const auto status = batch.Iterate(&reader); !status.ok() && error_.empty()) {
    error_ = status.ToString();
  }
  if (!first_sequence_ && batch.Data().size() >= 8) {
    // The first eight bytes of a batch, lowest first, are the number of its first record.
    std::uint64_t sequence = 0;
    for (std::size_t byte = 8; byte-- > 0;) {
      sequence = sequence << 8 | static_cast<unsigned char>(batch.Data()[byte]);
    }
    first_sequence_ = sequence;
  }
  return WalProcessingOption::kIgnoreCurrentRecord;
}

WalFamily WalContents::of(const std::string& family) const {
  const auto id = ids_.find(family);
  const auto found = id == ids_.end() ? families_.end() : families_.find(id->second);
  return found == families_.end() ? WalFamily() : found->second;
}

std::uint64_t WalContents::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [id, family] : families_) {
    sum += family.bytes;
  }
  return sum;
}

std::uint64_t WalContents::records() const {
  std::uint64_t sum = 0;
  for (const auto& [id, family] : families_) {
    sum += family.records;
  }
  return sum;
}

}  // namespace kstone::compact
