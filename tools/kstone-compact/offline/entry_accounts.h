// Follows the entries of each column family through flushes and compactions: what is there in the
// end has to be what was there before, plus what flushes wrote, plus what compactions wrote, less
// what they read. So an SST that appears, vanishes or stays without a reason is found, and a family
// that somebody else changed.
//
// Thread safety: RocksDB calls from its threads; `wrong` after them.

#ifndef KSTONE_COMPACT_OFFLINE_ENTRY_ACCOUNTS_H_
#define KSTONE_COMPACT_OFFLINE_ENTRY_ACCOUNTS_H_

#include <rocksdb/listener.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "kstone/compaction_stats.h"
#include "plan.h"

namespace kstone::compact {

class EntryAccounts final : public ::rocksdb::EventListener {
 public:
  explicit EntryAccounts(CompactionStatsAtomic stats);
  const char* Name() const override { return "kstone::compact::EntryAccounts"; }

  void OnTableFileCreated(const ::rocksdb::TableFileCreationInfo& info) override;
  void OnCompactionCompleted(::rocksdb::DB* db, const ::rocksdb::CompactionJobInfo& info) override;
  void OnBackgroundError(::rocksdb::BackgroundErrorReason reason,
                         ::rocksdb::Status* status) override;
  // RocksDB 7.8 may wait for its own recovery from a full disk for ever as the database is closed.
  void OnErrorRecoveryBegin(::rocksdb::BackgroundErrorReason reason, ::rocksdb::Status status,
                            bool* recover_by_itself) override;

  // Whether a compaction has rewritten an SST of the family.
  bool has_merged(const std::string& family) const;
  // Why what does not add up may be right nevertheless, or empty: after an error RocksDB may have
  // done something twice, or have done what it says that it could not.
  std::string doubt() const;
  // What does not add up for the family, or empty.
  std::string wrong(const std::string& family, const FamilyContents& before,
                    const FamilyContents& after) const;

 private:
  const CompactionStatsAtomic stats_;
  mutable std::mutex mutex_;
  void note_error(const std::string& why);

  std::map<std::string, std::int64_t> changes_;  // in entries, by family
  std::set<std::string> merged_;                 // families
  std::string doubt_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_ENTRY_ACCOUNTS_H_
