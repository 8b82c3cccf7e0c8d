#include "unknown_options.h"

#include <rocksdb/convenience.h>
#include <rocksdb/table.h>

#include <map>
#include <memory>

#include "escape.h"

namespace kstone::compact {
namespace {

using Pair = std::unordered_map<std::string, std::string>;

::rocksdb::ConfigOptions config() {
  ::rocksdb::ConfigOptions found;
  found.ignore_unsupported_options = true;
  found.ignore_unknown_options = false;
  return found;
}

// Of releases after this one. With another value than these a compaction by this release would take
// something away that the owner's keeps, or would not find the records at all.
bool changes_records(const std::string& key, const std::string& value) {
  static const std::map<std::string, std::string> harmless = {
      {"allow_ingest_behind", "false"},
      {"cf_allow_ingest_behind", "false"},
      {"compression_manager", "nullptr"},
      {"fail_if_no_udi_on_open", "false"},
      {"format_version", ""},
      {"index_type", ""},
      {"checksum", ""},
      {"compaction_style", ""},
      {"persist_user_defined_timestamps", "true"},
      {"use_udi_as_primary_index", "false"},
      {"user_defined_index_factory", "nullptr"}};
  const auto found = harmless.find(key);
  return found != harmless.end() && found->second != value;
}

bool is_known_in_tables(const std::string& factory, const Pair& pair) {
  std::shared_ptr<::rocksdb::TableFactory> table;
  return !::rocksdb::TableFactory::CreateFromString(config(), factory, &table).ok() ||
         table == nullptr || table->ConfigureFromMap(config(), pair).ok();
}

}  // namespace

std::string UnknownOption::text() const {
  return escaped(key) + "=" + escaped(value) +
         (family.empty() ? "" : " of column family " + in_quotes(family));
}

std::vector<UnknownOption> unknown_options(const OptionsText& text) {
  std::vector<UnknownOption> found;
  const auto look = [&](const OptionKeys& keys, const std::string& family, const auto& is_known) {
    for (const auto& [key, value] : keys) {
      if (!is_known(Pair{{key, value}})) {
        found.push_back({key, value, family, changes_records(key, value)});
      }
    }
  };
  look(text.database, "", [](const Pair& pair) {
    ::rocksdb::DBOptions ignored;
    return ::rocksdb::GetDBOptionsFromMap(config(), {}, pair, &ignored).ok();
  });
  for (const auto& family : text.families) {
    look(family.options, family.name, [](const Pair& pair) {
      ::rocksdb::ColumnFamilyOptions ignored;
      return ::rocksdb::GetColumnFamilyOptionsFromMap(config(), {}, pair, &ignored).ok();
    });
    look(family.table_options, family.name,
         [&](const Pair& pair) { return is_known_in_tables(family.table_factory, pair); });
  }
  return found;
}

std::string list_of(const std::vector<UnknownOption>& options) {
  std::map<std::string, std::string> families;  // by KEY=VALUE
  for (const auto& option : options) {
    auto& names = families[escaped(option.key) + "=" + escaped(option.value)];
    if (!option.family.empty()) {
      names += (names.empty() ? " (" : ", ") + in_quotes(option.family);
    }
  }
  std::string text;
  for (const auto& [option, names] : families) {
    text += (text.empty() ? "" : ", ") + option + names + (names.empty() ? "" : ")");
  }
  return text;
}

}  // namespace kstone::compact
