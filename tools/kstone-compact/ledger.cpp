#include "ledger.h"

#include <string_view>

namespace kstone::compact {
namespace {

// FNV-1a: which stripe a key belongs to is the same in every run, which std::hash does not promise.
std::uint64_t hash_of(std::string_view key) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char byte : key) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  }
  return hash;
}

}  // namespace

Ledger::Ledger(const RecordSet& set, std::uint32_t stripe_count)
    : set_(set), stripe_count_(stripe_count), entries_(set.records.size()) {
  for (std::size_t record = 0; record < entries_.size(); ++record) {
    entries_[record].stripe = static_cast<std::uint32_t>(hash_of(key(record)) % stripe_count);
  }
}

std::string Ledger::value(std::size_t record, std::uint32_t version) const {
  const auto& texts = set_.records[record].texts;
  return "Version-Stamp: " + std::to_string(version) + '\n' +
         set_.texts[texts[(version - 1) % texts.size()]];
}

std::optional<std::string> Ledger::current_value(std::size_t record) const {
  if (!present(record)) {
    return std::nullopt;
  }
  return value(record, entries_[record].version);
}

void Ledger::note_put(std::size_t record) {
  ++entries_[record].version;
  entries_[record].present = true;
}

void Ledger::note_delete(std::size_t record) { entries_[record].present = false; }

}  // namespace kstone::compact
