// What the write-ahead log of a database holds, read through RocksDB's own recovery.
//
// The filter sees each batch that a recovery would apply. While looking it keeps each of them from
// being applied, so that a log of any size needs no memory.
//
// Thread safety: RocksDB recovers on one thread; read the results when it has.

#ifndef KSTONE_COMPACT_OFFLINE_WAL_CONTENTS_H_
#define KSTONE_COMPACT_OFFLINE_WAL_CONTENTS_H_

#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace kstone::compact {

// The sizes of merge operands and of the values below them.
struct OperandSizes {
  std::uint64_t count = 0;
  std::uint64_t min = UINT64_MAX;
  std::uint64_t max = 0;

  void add(std::uint64_t bytes);
};

struct WalFamily {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t first_sequence = UINT64_MAX;  // at most the number of the first of them
  OperandSizes operands;
};

// Numbers that no record of the log has, between the end of one file and the next.
struct WalHole {
  std::uint64_t before = 0;  // the file that ends; 0: what is in SSTs
  std::uint64_t after = 0;   // the file that goes on
  std::uint64_t numbers = 0;
};

class WalContents final : public ::rocksdb::WalFilter {
 public:
  static const char* kClassName() { return "kstone::compact::WalContents"; }
  const char* Name() const override { return kClassName(); }

  void ColumnFamilyLogNumberMap(const std::map<std::uint32_t, std::uint64_t>& logs,
                                const std::map<std::string, std::uint32_t>& ids) override;
  WalProcessingOption LogRecordFound(unsigned long long log, const std::string& path,
                                     const ::rocksdb::WriteBatch& batch, ::rocksdb::WriteBatch*,
                                     bool*) override;

  // What is not in an SST yet, of the family with this name.
  WalFamily of(const std::string& family) const;
  // Transactions that were prepared and neither committed nor rolled back.
  std::uint64_t open_transactions() const { return open_transactions_.size(); }
  bool has_transactions() const { return has_transactions_; }
  // In the order of the files. Without meaning where there are transactions.
  const std::vector<WalHole>& holes() const { return holes_; }
  std::uint64_t first_log() const {
    return first_log_;
  }  // that has a record, and the record's number
  std::uint64_t first_sequence() const { return first_sequence_; }
  // The first file that does not go on where the one before it ended, but has older records; 0 if
  // there is none. Without meaning where there are transactions.
  std::uint64_t goes_back() const { return goes_back_; }
  // What could not be read of a batch, or empty.
  const std::string& error() const { return error_; }

 private:
  class Reader;

  std::map<std::uint32_t, std::uint64_t> logs_;  // by family: the first log that counts
  std::map<std::string, std::uint32_t> ids_;
  std::map<std::uint32_t, WalFamily> families_;
  std::set<std::string> open_transactions_;
  bool has_transactions_ = false;
  std::vector<WalHole> holes_;
  std::uint64_t first_log_ = 0;
  std::uint64_t first_sequence_ = 0;
  std::uint64_t last_log_ = 0;
  std::uint64_t goes_back_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::string error_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_WAL_CONTENTS_H_
