#include "lacking.h"

#include <rocksdb/comparator.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/flush_block_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_partitioner.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "bad_input.h"
#include "escape.h"
#include "open_database.h"

namespace kstone::compact {
namespace {

constexpr std::array<const char*, 11> kinds = {
    "block-policy", "compaction-filter", "compression", "file-checksums",   "filters",   "options",
    "owner",        "partitioner",       "placement",   "prefix-extractor", "properties"};
constexpr const char* wal_kind = "wal-records";

bool is_kind(const std::string& word) {
  return word == wal_kind || std::find(kinds.begin(), kinds.end(), word) != kinds.end();
}

// The name that a release which did not write a filter's parameters left; its policy reads filters
// and builds none.
bool builds_filters(const ::rocksdb::BlockBasedTableOptions* table) {
  return table != nullptr && table->filter_policy != nullptr &&
         std::string_view(table->filter_policy->Name()) != "rocksdb.BuiltinBloomFilter";
}

const ::rocksdb::BlockBasedTableOptions* block_based(const FamilyPlan& family) {
  return family.options.table_factory == nullptr
             ? nullptr
             : family.options.table_factory->GetOptions<::rocksdb::BlockBasedTableOptions>();
}

std::string not_here(const std::string& what, const std::string& name) {
  return what + " " + in_quotes(name) + " is not in this program";
}

void find_lacking_table_names(const FamilySection& section, FamilyPlan& family,
                              const AcceptedLosses& accepted) {
  const auto* table = block_based(family);
  const auto filter = object_name(section.table_options, "filter_policy");
  if (!filter.empty() && !builds_filters(table)) {
    object(family, accepted, "filters",
           (table != nullptr && table->filter_policy != nullptr
                ? "filter policy " + in_quotes(filter) +
                      " has no parameters, so filters cannot be built"
                : not_here("filter policy", filter)) +
               "; new SSTs would have no filters");
  }
  const auto policy = object_name(section.table_options, "flush_block_policy_factory");
  if (!policy.empty() && table != nullptr &&
      (table->flush_block_policy_factory == nullptr ||
       policy != table->flush_block_policy_factory->Name())) {
    object(family, accepted, "block-policy",
           not_here("flush block policy", policy) + "; new SSTs would have other blocks");
  }
}

// As releases up to 7.1 and later ones call RocksDB's own policies in an SST.
bool is_builtin_filter(const std::string& name) {
  return name == "rocksdb.BuiltinBloomFilter" || name == "bloomfilter" || name == "ribbonfilter";
}

// Names that SSTs carry, sorted, with a few at most.
std::string some(const std::set<std::string>& names) {
  std::string text;
  std::size_t shown = 0;
  for (const auto& name : names) {
    if (++shown > 3) {
      return text + " and others";
    }
    text += (text.empty() ? "" : ", ") + escaped(name);
  }
  return text;
}

// By its name in the options file already.
bool is_told(const FamilyPlan& family, const std::string& kind) {
  const auto is = [&](const Objection& objection) { return objection.kind == kind; };
  return std::any_of(family.objections.begin(), family.objections.end(), is) ||
         std::any_of(family.accepted.begin(), family.accepted.end(), is);
}

bool is_named(const std::string& name) {
  return !name.empty() && name != "nullptr" && name != "[]";
}

// As one release or another writes it into SSTs.
bool names_extractor(const std::set<std::string>& names,
                     const ::rocksdb::SliceTransform* extractor) {
  return extractor != nullptr &&
         std::all_of(names.begin(), names.end(), [&](const std::string& name) {
           return name == extractor->AsString() || name == extractor->GetId() ||
                  name == extractor->Name();
         });
}

}  // namespace

AcceptedLosses::AcceptedLosses(const std::vector<std::string>& words) {
  for (const auto& word : words) {
    const auto colon = word.find(':');
    const auto kind = word.substr(0, colon);
    if (!is_kind(kind)) {
      std::string known = wal_kind;
      for (const auto* each : kinds) {
        known += std::string(", ") + each;
      }
      throw BadInput("--accept-loss " + escaped(word) + ": expected one of " + known +
                     ", each with :FAMILY or for all");
    }
    if (colon + 1 == word.size()) {
      throw BadInput("--accept-loss " + escaped(word) + ": expected the name of a column family");
    }
    losses_.emplace_back(kind, colon == std::string::npos ? "" : word.substr(colon + 1));
  }
}

bool AcceptedLosses::covers(const std::string& kind) const { return covers(kind, ""); }

bool AcceptedLosses::covers(const std::string& kind, const std::string& family) const {
  return std::any_of(losses_.begin(), losses_.end(), [&](const auto& loss) {
    return loss.first == kind && (loss.second.empty() || loss.second == family ||
                                  (!family.empty() && loss.second == escaped(family)));
  });
}

std::vector<std::string> AcceptedLosses::families() const {
  std::vector<std::string> names;
  for (const auto& [kind, family] : losses_) {
    if (!family.empty()) {
      names.push_back(family);
    }
  }
  return names;
}

void object(FamilyPlan& family, const AcceptedLosses& accepted, const std::string& kind,
            const std::string& what) {
  const Objection objection{what, "--accept-loss " + kind + ":" + escaped(family.name), kind};
  (accepted.covers(kind, family.name) ? family.accepted : family.objections).push_back(objection);
}

void find_lacking_names(const OptionKeys& database, const ::rocksdb::DBOptions& options, Plan& plan,
                        const AcceptedLosses& accepted) {
  const auto checksums = object_name(database, "file_checksum_gen_factory");
  if (!checksums.empty() && options.file_checksum_gen_factory == nullptr) {
    const auto what =
        not_here("checksum generator", checksums) + "; new SSTs would have no file checksums";
    if (accepted.covers("file-checksums")) {
      plan.notes.push_back(what);
    } else {
      plan.objections.push_back({what, "--accept-loss file-checksums"});
    }
  }
  for (const auto* key : {"env", "file_system", "wal_filter"}) {
    const auto name = object_name(database, key);
    if (!name.empty() && name != "DefaultEnv" && name != "PosixEnv" && name != "PosixFileSystem" &&
        name != "DefaultFileSystem") {
      plan.objections.push_back({not_here(key, name), ""});
    }
  }
}

void find_lacking_names(const FamilySection& section, FamilyPlan& family, Plan& plan,
                        const AcceptedLosses& accepted) {
  const auto label = "column family " + in_quotes(family.name) + ": ";
  const auto& options = family.options;
  family.comparator = object_name(section.options, "comparator");
  if (options.comparator == nullptr || family.comparator != options.comparator->Name()) {
    plan.objections.push_back(
        {label + not_here("comparator", family.comparator) + ", so its records cannot be ordered",
         ""});
  }
  const auto table = object_name(section.options, "table_factory");
  if (options.table_factory == nullptr || table != options.table_factory->Name()) {
    plan.objections.push_back({label + not_here("table format", table), ""});
  }
  const auto extractor = object_name(section.options, "prefix_extractor");
  if (!extractor.empty() && options.prefix_extractor == nullptr) {
    object(family, accepted, "prefix-extractor",
           not_here("prefix extractor", extractor) +
               "; new SSTs would have no prefixes in their filters");
  }
  for (const auto* key : {"compaction_filter", "compaction_filter_factory"}) {
    // Also one of a name that RocksDB has: it removes records, and may be another one of that name.
    if (const auto filter = object_name(section.options, key); !filter.empty()) {
      object(family, accepted, "compaction-filter",
             "compaction filter '" + escaped(filter) +
                 "' is not applied by this program; what it would remove stays, and moves down");
    }
  }
  const auto partitioner = object_name(section.options, "sst_partitioner_factory");
  if (!partitioner.empty() && options.sst_partitioner_factory == nullptr) {
    object(family, accepted, "partitioner",
           not_here("SST partitioner", partitioner) + "; new SSTs would be cut elsewhere");
  }
  find_lacking_table_names(section, family, accepted);
}

void find_lost_properties(const ::rocksdb::TablePropertiesCollection& ssts, FamilyPlan& family,
                          const AcceptedLosses& accepted) {
  bool has_filters = false;
  std::set<std::string> filters;
  std::set<std::string> extractors;
  std::set<std::string> collected;
  const auto compressions = compressions_of(family.options);
  std::set<std::string> compressed;  // otherwise than new ones would be
  std::size_t otherwise = 0;
  for (const auto& [path, sst] : ssts) {
    has_filters = has_filters || sst->filter_size > 0;
    if (sst->filter_size > 0 && is_named(sst->filter_policy_name)) {
      filters.insert(sst->filter_policy_name);
    }
    if (is_named(sst->prefix_extractor_name)) {
      extractors.insert(sst->prefix_extractor_name);
    }
    if (is_named(sst->compression_name) && !compressions.contains(sst->compression_name)) {
      ++otherwise;
      compressed.insert(sst->compression_name);
    }
    if (is_named(sst->property_collectors_names)) {
      collected.insert(sst->property_collectors_names);
    }
    for (const auto& [key, value] : sst->user_collected_properties) {
      if (!key.starts_with("rocksdb.") && !key.starts_with("plain_table_")) {
        collected.insert(key);
      }
    }
  }
  const bool builtin = std::all_of(filters.begin(), filters.end(), is_builtin_filter);
  if (has_filters && !is_told(family, "filters") &&
      (!builds_filters(block_based(family)) || !builtin)) {
    object(
        family, accepted, "filters",
        "its SSTs have filters" + (filters.empty() ? std::string() : " (" + some(filters) + ")") +
            ", and new ones would have " + (builtin ? "none by its options" : "those of RocksDB"));
  }
  if (!extractors.empty() && !is_told(family, "prefix-extractor") &&
      !names_extractor(extractors, family.options.prefix_extractor.get())) {
    object(family, accepted, "prefix-extractor",
           "its SSTs were written with the prefix extractor " + some(extractors) +
               ", and new ones would be with " +
               (family.options.prefix_extractor == nullptr
                    ? "none"
                    : in_quotes(family.options.prefix_extractor->AsString())));
  }
  if (otherwise * 2 > ssts.size()) {
    object(family, accepted, "compression",
           "most of its SSTs are not compressed as the options file says: they have " +
               some(compressed) + ", new ones would have " + some(compressions));
  }
  if (!collected.empty()) {
    object(family, accepted, "properties",
           "its SSTs have properties that the owner's program collects (" + some(collected) +
               "), and new ones would not");
  }
}

}  // namespace kstone::compact
