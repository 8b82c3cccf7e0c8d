#include "options_file.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/version.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <sstream>

#include "bad_input.h"
#include "no_log.h"

namespace kstone::compact {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

struct Title {
  std::string kind;      // Version, DBOptions, CFOptions, TableOptions/BlockBasedTable
  std::string argument;  // a family's name
};

std::optional<Title> title_of(std::string_view line) {
  if (line.size() < 2 || line.front() != '[' || line.back() != ']') {
    return std::nullopt;
  }
  line = line.substr(1, line.size() - 2);
  const auto open = line.find('"');
  const auto close = line.rfind('"');
  if (open == std::string_view::npos || close == open) {
    return Title{std::string(trimmed(line)), ""};
  }
  return Title{std::string(trimmed(line.substr(0, open))),
               unescaped(line.substr(open + 1, close - open - 1))};
}

constexpr std::string_view table_section = "TableOptions/";

OptionKeys* open_section(OptionsText& options, const Title& title) {
  if (title.kind == "Version") {
    return &options.version;
  }
  if (title.kind == "DBOptions") {
    return &options.database;
  }
  if (title.kind == "CFOptions") {
    options.families.push_back({title.argument, {}, "", {}});
    return &options.families.back().options;
  }
  if (title.kind.starts_with(table_section) && !options.families.empty() &&
      options.families.back().name == title.argument) {
    options.families.back().table_factory = title.kind.substr(table_section.size());
    return &options.families.back().table_options;
  }
  return nullptr;
}

std::string lacks(const std::string& section, const OptionKeys& keys, const OptionKeys& required) {
  for (const auto& [key, value] : required) {
    if (!keys.contains(key)) {
      return "section " + section + " lacks " + key;
    }
  }
  return "";
}

OptionKeys keys_of(std::initializer_list<const char*> names) {
  OptionKeys keys;
  for (const auto* name : names) {
    keys[name];
  }
  return keys;
}

// What every release since options files exist (4.3) has written.
OptionsText keys_of_any_release() {
  OptionsText keys;
  keys.database =
      keys_of({"create_if_missing", "max_open_files", "paranoid_checks", "wal_recovery_mode"});
  keys.families.push_back(
      {"",
       keys_of({"comparator", "compaction_filter", "compaction_filter_factory", "compaction_style",
                "compression", "max_bytes_for_level_base", "merge_operator", "num_levels",
                "prefix_extractor", "table_factory", "target_file_size_base", "write_buffer_size"}),
       "BlockBasedTable",
       keys_of({"block_size", "checksum", "filter_policy", "format_version", "index_type",
                "whole_key_filtering"})});
  return keys;
}

// What this release writes: it is asked to, for a database in memory.
OptionsText keys_of_this_release() {
  const std::unique_ptr<::rocksdb::Env> memory(::rocksdb::NewMemEnv(::rocksdb::Env::Default()));
  ::rocksdb::Options options;
  options.create_if_missing = true;
  options.env = memory.get();
  options.info_log = std::make_shared<NoLog>();
  ::rocksdb::DB* opened = nullptr;
  require_ok(::rocksdb::DB::Open(options, "/keys", &opened), "a database in memory");
  std::unique_ptr<::rocksdb::DB> database(opened);
  require_ok(database->Close(), "a database in memory");
  database.reset();
  std::vector<std::string> names;
  require_ok(memory->GetChildren("/keys", &names), "a database in memory");
  const auto name = std::find_if(names.begin(), names.end(),
                                 [](const auto& file) { return file.starts_with("OPTIONS-"); });
  std::string text;
  require_ok(name == names.end()
                 ? ::rocksdb::Status::NotFound("OPTIONS")
                 : ::rocksdb::ReadFileToString(memory.get(), "/keys/" + *name, &text),
             "a database in memory");
  return parse_options(text);
}

std::string missing_key(const OptionsText& options, bool written_by_rocksdb) {
  const auto version = options.version.find("rocksdb_version");
  // What a user has written by hand has what the user wants to have in it.
  const bool same_release =
      written_by_rocksdb && version->second == std::to_string(ROCKSDB_MAJOR) + "." +
                                                   std::to_string(ROCKSDB_MINOR) + "." +
                                                   std::to_string(ROCKSDB_PATCH);
  const auto required = same_release ? keys_of_this_release() : keys_of_any_release();
  const auto& family = required.families.front();
  auto missing = lacks("DBOptions", options.database, required.database);
  for (const auto& has : options.families) {
    const auto label = "CFOptions \"" + has.name + "\"";
    // All families were written by one program, so what one has, each has.
    for (const auto* keys : {&family.options, &options.families.front().options}) {
      missing = missing.empty() ? lacks(label, has.options, *keys) : missing;
    }
    if (missing.empty() && has.table_factory.empty()) {
      missing = "there are no TableOptions for column family '" + has.name + "'";
    }
    if (missing.empty() && has.table_factory == family.table_factory) {
      missing = lacks("TableOptions \"" + has.name + "\"", has.table_options, family.table_options);
    }
  }
  return missing;
}

}  // namespace

// RocksDB escapes a backslash, '#', ':' and the ends of lines.
std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      result += text[at];
      continue;
    }
    const char next = text[++at];
    result += next == 'n' ? '\n' : next == 'r' ? '\r' : next;
  }
  return result;
}

OptionsText parse_options(const std::string& text) {
  OptionsText options;
  OptionKeys* section = nullptr;
  std::istringstream lines(text);
  int number = 0;
  for (std::string whole; std::getline(lines, whole);) {
    ++number;
    const auto line = trimmed(whole);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto equals = line.find('=');
    if (const auto title = title_of(line)) {
      section = open_section(options, *title);
      if (section == nullptr) {
        throw BadInput("line " + std::to_string(number) + " begins an unknown section");
      }
    } else if (equals == std::string_view::npos || section == nullptr) {
      throw BadInput("line " + std::to_string(number) + " is neither a section nor NAME=VALUE");
    } else {
      (*section)[std::string(trimmed(line.substr(0, equals)))] = trimmed(line.substr(equals + 1));
    }
  }
  return options;
}

std::string what_is_missing(const OptionsText& options, const std::string& text,
                            bool written_by_rocksdb) {
  if (!options.version.contains("rocksdb_version")) {
    return "it does not say rocksdb_version";
  }
  // RocksDB ends each section, and so the file, with a line of two spaces. A value that was cut in
  // its middle would look like another value.
  if (written_by_rocksdb && !text.ends_with("\n  \n")) {
    return "it is cut short: its last section has no end";
  }
  if (options.families.empty()) {
    return "it names no column family";
  }
  return missing_key(options, written_by_rocksdb);
}

std::string object_name(const OptionKeys& options, const std::string& key) {
  const auto found = options.find(key);
  if (found == options.end()) {
    return "";
  }
  std::string_view value = found->second;
  if (value.starts_with('{')) {
    const auto id = value.find("id=");
    if (id == std::string_view::npos) {
      return std::string(value);
    }
    value = value.substr(id + 3);
    value = value.substr(0, value.find_first_of(";}"));
  }
  const auto name = trimmed(value);
  return name.empty() || name == "nullptr" ? "" : unescaped(name);
}

}  // namespace kstone::compact
