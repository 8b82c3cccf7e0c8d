// The options file of a RocksDB database as text: its sections, its keys, and whether it is all
// there.
//
// RocksDB's own reader gives objects and forgets what it did not understand. What a program must
// not touch depends on just that: the names as the owner's program wrote them.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_OPTIONS_FILE_H_
#define KSTONE_COMPACT_OFFLINE_OPTIONS_FILE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kstone::compact {

// Values are as they stand in the file, escapes included.
using OptionKeys = std::map<std::string, std::string>;

struct FamilySection {
  std::string name;
  OptionKeys options;
  std::string table_factory;  // of the section's title; empty if there is no such section
  OptionKeys table_options;
};

struct OptionsText {
  OptionKeys version;
  OptionKeys database;
  std::vector<FamilySection> families;
};

// Throws BadInput, naming the line, for what is no options file.
OptionsText parse_options(const std::string& text);

// What is missing for the file to be whole, or empty. `written_by_rocksdb` is false for a file that
// a user has written by hand: that one need not end as RocksDB ends its own.
std::string what_is_missing(const OptionsText& options, const std::string& text,
                            bool written_by_rocksdb);

// A value as it was before it was written.
std::string unescaped(std::string_view text);

// `Name` of a value that is `Name` or `{id=Name;...}`; empty for `nullptr` and for no value.
std::string object_name(const OptionKeys& options, const std::string& key);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_OPTIONS_FILE_H_
