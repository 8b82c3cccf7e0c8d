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

namespace {

// The first eight bytes of a batch, lowest first, are the number of its first record.
std::uint64_t sequence_of(const ::rocksdb::WriteBatch& batch) {
  std::uint64_t sequence = 0;
  for (std::size_t byte = 8; byte-- > 0;) {
    sequence = sequence << 8 | static_cast<unsigned char>(batch.Data()[byte]);
  }
  return sequence;
}

}  // namespace

class WalContents::Reader final : public ::rocksdb::WriteBatch::Handler {
 public:
  Reader(WalContents& contents, std::uint64_t log, std::uint64_t sequence)
      : contents_(contents), log_(log), sequence_(sequence) {}

  Status PutCF(std::uint32_t family, const Slice& key, const Slice& value) override {
    return add(family, key.size() + value.size());
  }
  Status PutEntityCF(std::uint32_t family, const Slice& key, const Slice& entity) override {
    return add(family, key.size() + entity.size());
  }
  Status DeleteCF(std::uint32_t family, const Slice& key) override {
    return add(family, key.size());
  }
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
    // A transaction counts where it is committed, which may be in a later file than its records.
    return first != contents_.logs_.end() && (log_ >= first->second || contents_.has_transactions_);
  }
  Status add(std::uint32_t family, std::uint64_t bytes) {
    if (counts(family)) {
      auto& found = contents_.families_[family];
      ++found.records;
      found.bytes += bytes;
      found.first_sequence = std::min(found.first_sequence, sequence_);
    }
    return Status::OK();
  }
  Status end(const Slice& id) {
    contents_.has_transactions_ = true;
    contents_.open_transactions_.erase(id.ToString());
    return Status::OK();
  }

  WalContents& contents_;
  std::uint64_t log_;
  std::uint64_t sequence_;
};

void WalContents::ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& logs,
                                           const std::map<std::string, std::uint32_t>& ids) {
  logs_ = logs;
  ids_ = ids;
}

::rocksdb::WalFilter::WalProcessingOption WalContents::LogRecordFound(
    unsigned long long log, const std::string&, const ::rocksdb::WriteBatch& batch,
    ::rocksdb::WriteBatch*, bool*) {
  const auto sequence = sequence_of(batch);
  if (last_log_ == 0) {
    first_log_ = log;
    first_sequence_ = sequence;
  } else if (last_log_ != log && sequence > next_sequence_) {
    holes_.push_back({last_log_, log, sequence - next_sequence_});
  }
  if (last_log_ != 0 && sequence < next_sequence_ && goes_back_ == 0) {
    goes_back_ = log;
  }
  last_log_ = log;
  next_sequence_ = sequence + batch.Count();
  Reader reader(*this, log, sequence);
  if (const auto status = batch.Iterate(&reader); !status.ok() && error_.empty()) {
    error_ = status.ToString();
  }
  return WalProcessingOption::kIgnoreCurrentRecord;
}

WalFamily WalContents::of(const std::string& family) const {
  const auto id = ids_.find(family);
  const auto found = id == ids_.end() ? families_.end() : families_.find(id->second);
  return found == families_.end() ? WalFamily() : found->second;
}

}  // namespace kstone::compact
