#include "options_difference.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace kstone::compact {
namespace {

// Of column families and of tables. They change nothing of what a compaction of everything writes.
bool is_harmless(std::string_view key) {
  static const std::set<std::string_view> names = {"arena_block_size",
                                                   "blob_cache",
                                                   "blob_compaction_readahead_size",
                                                   "block_cache",
                                                   "block_cache_compressed",
                                                   "bloom_locality",
                                                   "check_flush_compaction_key_order",
                                                   "compaction_options_fifo",
                                                   "compaction_options_universal",
                                                   "compaction_pri",
                                                   "detect_filter_construct_corruption",
                                                   "disable_auto_compactions",
                                                   "experimental_mempurge_threshold",
                                                   "force_consistency_checks",
                                                   "hard_pending_compaction_bytes_limit",
                                                   "hash_index_allow_collision",
                                                   "ignore_max_compaction_bytes_for_input",
                                                   "initial_auto_readahead_size",
                                                   "inplace_update_num_locks",
                                                   "inplace_update_support",
                                                   "max_auto_readahead_size",
                                                   "max_bytes_for_level_base",
                                                   "max_bytes_for_level_multiplier",
                                                   "max_bytes_for_level_multiplier_additional",
                                                   "max_compaction_bytes",
                                                   "max_sequential_skip_in_iterations",
                                                   "max_successive_merges",
                                                   "max_write_buffer_number",
                                                   "max_write_buffer_number_to_maintain",
                                                   "max_write_buffer_size_to_maintain",
                                                   "min_write_buffer_number_to_merge",
                                                   "no_block_cache",
                                                   "num_file_reads_for_auto_readahead",
                                                   "paranoid_file_checks",
                                                   "periodic_compaction_seconds",
                                                   "prepopulate_blob_cache",
                                                   "prepopulate_block_cache",
                                                   "read_amp_bytes_per_bit",
                                                   "report_bg_io_stats",
                                                   "reserve_table_builder_memory",
                                                   "reserve_table_reader_memory",
                                                   "sample_for_compression",
                                                   "skip_table_builder_flush",
                                                   "soft_pending_compaction_bytes_limit",
                                                   "ttl",
                                                   "verify_compression",
                                                   "write_buffer_size"};
  constexpr std::string_view prefixes[] = {"level0_", "memtable", "cache_index_and_filter_blocks",
                                           "pin_", "metadata_cache_options"};
  return names.contains(key) || std::any_of(std::begin(prefixes), std::end(prefixes),
                                            [&](auto prefix) { return key.starts_with(prefix); });
}

// Of the database's section these alone decide.
bool decides(std::string_view key) {
  static const std::set<std::string_view> names = {
      "allow_ingest_behind", "file_checksum_gen_factory", "wal_dir", "wal_recovery_mode"};
  return names.contains(key);
}

bool has_parameters(std::string_view value) {
  return value.starts_with('{') && value.find(';') != value.rfind(';');
}

// {name=value;...}
OptionKeys parts_of(std::string_view value) {
  OptionKeys parts;
  value = value.substr(1, value.size() - 2);
  while (!value.empty()) {
    const auto part = value.substr(0, value.find(';'));
    value = value.substr(std::min(value.size(), part.size() + 1));
    const auto equals = part.find('=');
    if (equals != std::string_view::npos) {
      parts[std::string(part.substr(0, equals))] = part.substr(equals + 1);
    }
  }
  return parts;
}

// A release may write a value in another form than the one before it: an object by its name alone,
// a structure with fewer fields.
bool same(const std::string& key, const OptionKeys& one, const OptionKeys& other,
          bool same_release) {
  const auto& first = one.at(key);
  const auto& second = other.at(key);
  if (first == second) {
    return true;
  }
  if (has_parameters(first) && has_parameters(second)) {
    const auto parts = parts_of(first);
    const auto others = parts_of(second);
    return !same_release && key != "merge_operator" &&
           std::all_of(parts.begin(), parts.end(), [&](const auto& part) {
             const auto found = others.find(part.first);
             return found == others.end() || found->second == part.second;
           });
  }
  const auto nameless = [](const std::string& value) {
    return value == "rocksdb.BuiltinBloomFilter";
  };
  if (key == "filter_policy" && (nameless(first) || nameless(second))) {
    return first != "nullptr" && second != "nullptr";
  }
  const auto name = object_name(one, key);
  return (first.starts_with('{') || second.starts_with('{')) && name == object_name(other, key);
}

std::string difference(const OptionKeys& one, const OptionKeys& other, bool same_release,
                       bool (*matters)(std::string_view key)) {
  for (const auto& [key, value] : one) {
    if (other.contains(key) && matters(key) && !same(key, one, other, same_release)) {
      return key + "=" + value + ", and not " + other.at(key);
    }
  }
  return "";
}

}  // namespace

std::string what_differs(const OptionsText& one, const OptionsText& other) {
  const auto release = [](const OptionsText& text) {
    const auto found = text.version.find("rocksdb_version");
    return found == text.version.end() ? "" : found->second;
  };
  const bool same_release = release(one) == release(other);
  if (const auto found = difference(one.database, other.database, same_release, decides);
      !found.empty()) {
    return found;
  }
  const auto matters = [](std::string_view key) { return !is_harmless(key); };
  for (const auto& family : one.families) {
    const auto found = std::find_if(other.families.begin(), other.families.end(),
                                    [&](const auto& each) { return each.name == family.name; });
    if (found == other.families.end()) {
      continue;
    }
    for (const auto& [own, others] : {std::pair(&family.options, &found->options),
                                      std::pair(&family.table_options, &found->table_options)}) {
      if (const auto text = difference(*own, *others, same_release, matters); !text.empty()) {
        return text + " for column family '" + family.name + "'";
      }
    }
  }
  return "";
}

}  // namespace kstone::compact
