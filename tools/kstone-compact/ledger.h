// What the database must hold: for each record whether it is there, and in which version. Values
// are not kept but made again from record and version, so the ledger stays small beside the data.
//
// Thread safety: none; the thread that writes owns it, and after it the one that verifies.

#ifndef KSTONE_COMPACT_LEDGER_H_
#define KSTONE_COMPACT_LEDGER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "records.h"

namespace kstone::compact {

class Ledger {
 public:
  Ledger(const RecordSet& set, std::uint32_t stripe_count);

  std::size_t size() const { return set_.records.size(); }
  std::uint32_t stripe_count() const { return stripe_count_; }

  const std::string& key(std::size_t record) const { return set_.records[record].key; }
  std::uint32_t stripe(std::size_t record) const { return entries_[record].stripe; }
  bool present(std::size_t record) const { return entries_[record].present; }
  bool was_written(std::size_t record) const { return entries_[record].version > 0; }
  // How often the source itself writes this key.
  std::size_t source_writes(std::size_t record) const { return set_.records[record].texts.size(); }

  // The value to write next, and what is there now, if anything.
  std::string next_value(std::size_t record) const {
    return value(record, entries_[record].version + 1);
  }
  std::optional<std::string> current_value(std::size_t record) const;

  // After the database has accepted the write.
  void note_put(std::size_t record);
  void note_delete(std::size_t record);

 private:
  struct Entry {
    std::uint32_t stripe = 0;
    std::uint32_t version = 0;  // of the newest value ever written; a deletion does not lower it
    bool present = false;
  };

  std::string value(std::size_t record, std::uint32_t version) const;

  const RecordSet& set_;
  std::uint32_t stripe_count_;
  std::vector<Entry> entries_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_LEDGER_H_
