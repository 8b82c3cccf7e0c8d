#include "write_sequence.h"

#include <algorithm>

namespace kstone::compact {
namespace {

void count(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) {
  counter.fetch_add(amount, std::memory_order_relaxed);
}

}  // namespace

WriteSequence::WriteSequence(Ledger& ledger, std::uint64_t seed) : ledger_(ledger), random_(seed) {}

::rocksdb::Status WriteSequence::next(DemoDatabase& database) {
  if (!loaded()) {
    if (skip_to_source_write()) {
      auto status = put(database, record_);
      if (status.ok()) {
        ++record_;
        written_in_round_ = true;
      }
      return status;
    }
    rank();
    counts_.loaded.store(true, std::memory_order_relaxed);
  }
  const auto stripe = stripe_ranks_.front()(random_);
  return update(database, stripes_[stripe][record_ranks_[stripe](random_)]);
}

// To the next record that the source writes once more, if there is one.
bool WriteSequence::skip_to_source_write() {
  for (;;) {
    for (; record_ < ledger_.size(); ++record_) {
      if (round_ < ledger_.source_writes(record_)) {
        return true;
      }
    }
    if (!written_in_round_) {
      return false;
    }
    ++round_;
    record_ = 0;
    written_in_round_ = false;
  }
}

// The records of each stripe that has any, all in random order.
void WriteSequence::rank() {
  stripes_.resize(ledger_.stripe_count());
  for (std::size_t record = 0; record < ledger_.size(); ++record) {
    stripes_[ledger_.stripe(record)].push_back(record);
  }
  std::erase_if(stripes_, [](const auto& records) { return records.empty(); });
  for (auto& records : stripes_) {
    std::shuffle(records.begin(), records.end(), random_);
  }
  std::shuffle(stripes_.begin(), stripes_.end(), random_);
  stripe_ranks_.emplace_back(stripes_.size(), 0.99);
  for (const auto& records : stripes_) {
    record_ranks_.emplace_back(records.size(), 0.8);
  }
}

::rocksdb::Status WriteSequence::update(DemoDatabase& database, std::size_t record) {
  if (ledger_.present(record)) {
    return random_() % 8 == 0 ? remove(database, record) : put(database, record);
  }
  auto status = put(database, record);
  if (status.ok()) {
    count(counts_.reinserts);
  }
  return status;
}

::rocksdb::Status WriteSequence::put(DemoDatabase& database, std::size_t record) {
  const auto& key = ledger_.key(record);
  const auto value = ledger_.next_value(record);
  auto status = database.db().Put({}, database.stripes()[ledger_.stripe(record)], key, value);
  if (status.ok()) {
    ledger_.note_put(record);
    count(counts_.puts);
    count(counts_.bytes, key.size() + value.size());
  }
  return status;
}

::rocksdb::Status WriteSequence::remove(DemoDatabase& database, std::size_t record) {
  const auto& key = ledger_.key(record);
  auto status = database.db().Delete({}, database.stripes()[ledger_.stripe(record)], key);
  if (status.ok()) {
    ledger_.note_delete(record);
    count(counts_.deletes);
    count(counts_.bytes, key.size());
  }
  return status;
}

}  // namespace kstone::compact
