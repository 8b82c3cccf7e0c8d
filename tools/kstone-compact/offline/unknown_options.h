// Options that this release of RocksDB does not know.
//
// Thread safety: a function of its arguments.

#ifndef KSTONE_COMPACT_OFFLINE_UNKNOWN_OPTIONS_H_
#define KSTONE_COMPACT_OFFLINE_UNKNOWN_OPTIONS_H_

#include <string>
#include <vector>

#include "options_file.h"

namespace kstone::compact {

struct UnknownOption {
  std::string key;
  std::string value;
  std::string family = {};       // empty: of the database
  bool changes_records = false;  // how records are to be read, or what may be taken from them

  std::string text() const;  // "KEY=VALUE of column family 'NAME'"
};

// Those keys, and values of known keys, that this release cannot read.
std::vector<UnknownOption> unknown_options(const OptionsText& text);

// "KEY=VALUE, ..." of each, with the families that have the same in one.
std::string list_of(const std::vector<UnknownOption>& options);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_UNKNOWN_OPTIONS_H_
