#include "plan.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "escape.h"
#include "progress.h"

namespace kstone::compact {
namespace {

std::uint64_t grown(std::uint64_t bytes, double growth) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * growth);
}

// "what (accepted by ...)"
std::string told(const Objection& objection) {
  return objection.what + (objection.accept.empty() ? "" : " (" + objection.accept + ")");
}

std::string doing(const FamilyPlan& family) {
  if (!family.looked_at) {
    return "not looked at";
  }
  if (family.compacts()) {
    return "compact";
  }
  if (family.chosen) {
    return "refuse";
  }
  return "leave";
}

std::string why_left(const FamilyPlan& family) {
  if (family.skipped) {
    return "--skip-family";
  }
  return family.note.empty() ? "not asked for" : family.note;
}

std::uint64_t sum_of(const Plan& plan, std::uint64_t (FamilyPlan::*bytes)() const) {
  std::uint64_t sum = 0;
  for (const auto& family : plan.families) {
    sum += family.compacts() ? (family.*bytes)() : plan.keeps_log ? 0 : family.wal_bytes;
  }
  return sum;
}

nlohmann::ordered_json json_of(const std::vector<Objection>& objections) {
  auto json = nlohmann::ordered_json::array();
  for (const auto& objection : objections) {
    json.push_back({{"what", escaped(objection.what)}, {"accept", objection.accept}});
  }
  return json;
}

nlohmann::ordered_json json_of(const FamilyPlan& family) {
  nlohmann::ordered_json json;
  json["name"] = escaped(family.name);
  json["would"] = doing(family);
  json["note"] = doing(family) == "leave" ? why_left(family) : "";
  json["objections"] = json_of(family.objections);
  json["accepted"] = json_of(family.accepted);
  if (!family.looked_at) {
    return json;
  }
  json["compaction_style"] = family.compaction_style;
  json["comparator"] = escaped(family.comparator);
  json["ssts"] = family.ssts;
  json["bytes"] = family.bytes();
  json["level_bytes"] = family.level_bytes;
  json["blob_bytes"] = family.blob_bytes;
  json["entries"] = family.contents.entries;
  json["deletions"] = family.contents.deletions;
  json["merge_operands"] = family.contents.merge_operands;
  json["range_deletions"] = family.contents.range_deletions;
  json["wal_records"] = family.wal_records;
  json["wal_bytes"] = family.wal_bytes;
  json["bytes_read_max"] = family.compacts() ? family.bytes_read_max() : 0;
  json["bytes_written_max"] = family.compacts() ? family.bytes_written_max() : 0;
  return json;
}

void print_facts(const FamilyPlan& family) {
  std::printf(": %s in %s", in_mib(family.bytes()).c_str(), counted(family.ssts, "SST").c_str());
  if (!family.compaction_style.empty()) {
    std::printf(", %s", family.compaction_style.c_str());
  }
  if (family.wal_records > 0) {
    std::printf(", %s in the WAL", counted(family.wal_records, "record").c_str());
  }
  if (family.compacts()) {
    std::printf("; reads %s and writes %s at most", in_mib(family.bytes_read_max()).c_str(),
                in_mib(family.bytes_written_max()).c_str());
  } else if (!family.chosen) {
    std::printf("; %s", why_left(family).c_str());
  }
}

void print_family(const FamilyPlan& family) {
  std::printf("  %-8s '%s'", doing(family).c_str(), escaped(family.name).c_str());
  if (family.looked_at) {
    print_facts(family);
  }
  std::printf("\n");
  for (const auto& objection : family.objections) {
    std::printf("           %s\n", printable(told(objection)).c_str());
  }
  for (const auto& objection : family.accepted) {
    std::printf("           accepted: %s\n", printable(objection.what).c_str());
  }
}

}  // namespace

std::uint64_t FamilyPlan::bytes() const {
  return std::accumulate(level_bytes.begin(), level_bytes.end(), blob_bytes);
}

std::uint64_t FamilyPlan::bytes_written_max() const {
  if (options.compaction_style != ::rocksdb::kCompactionStyleLevel &&
      options.compaction_style != ::rocksdb::kCompactionStyleNone) {
    return grown(bytes() + 2 * wal_bytes, growth);
  }
  // Level by level down to the last one that holds something: what comes from above is written
  // again at each.
  std::uint64_t moving = wal_bytes + blob_bytes;
  std::uint64_t written = wal_bytes;
  std::size_t last = level_bytes.size();
  while (last > 0 && level_bytes[last - 1] == 0) {
    --last;
  }
  for (std::size_t level = 0; level < std::max<std::size_t>(last, 1); ++level) {
    moving += level < level_bytes.size() ? level_bytes[level] : 0;
    written += level == 0 && last > 1 ? 0 : moving;
  }
  return grown(written, growth);
}

// Beside the inputs of a step its outputs. If new SSTs are larger, also what earlier steps have
// made larger.
std::uint64_t FamilyPlan::extra_bytes_max() const {
  const auto all = bytes() + wal_bytes;
  return grown(all, growth) + (grown(all, growth) - all);
}

std::uint64_t FamilyPlan::kept_bytes_max() const { return grown(bytes() + wal_bytes, growth); }

std::uint64_t memory_of_log(std::uint64_t records, std::uint64_t bytes) {
  constexpr std::uint64_t overhead_max = 128;
  return bytes + records * overhead_max;
}

// Each byte that is written was read.
std::uint64_t FamilyPlan::bytes_read_max() const { return bytes_written_max(); }

bool Plan::refused() const {
  const auto wants = [](const auto& family) { return family.chosen; };
  const auto works = [](const auto& family) { return family.compacts(); };
  return !objections.empty() || (std::any_of(families.begin(), families.end(), wants) &&
                                 std::none_of(families.begin(), families.end(), works));
}

std::string Plan::verdict() const {
  const auto bad = std::count_if(families.begin(), families.end(), [](const auto& family) {
    return family.chosen && !family.compacts();
  });
  if (refused()) {
    return "refused";
  }
  const bool none = std::none_of(families.begin(), families.end(),
                                 [](const auto& family) { return family.compacts(); });
  return bad > 0 ? "in part" : none ? "nothing to do" : "would be compacted";
}

std::string Plan::refusal() const {
  std::vector<std::string> lines;
  for (const auto& objection : objections) {
    lines.push_back(told(objection));
  }
  for (const auto& family : families) {
    for (const auto& objection : family.objections) {
      if (family.chosen) {
        lines.push_back("column family " + in_quotes(family.name) + ": " + told(objection));
      }
    }
  }
  if (lines.empty()) {
    return "";
  }
  return lines.front() +
         (lines.size() > 1 ? text("; and %zu more, which --plan lists", lines.size() - 1) : "");
}

std::string text_of(::rocksdb::CompactionStyle style) {
  switch (style) {
    case ::rocksdb::kCompactionStyleLevel:
      return "level";
    case ::rocksdb::kCompactionStyleUniversal:
      return "universal";
    case ::rocksdb::kCompactionStyleFIFO:
      return "FIFO";
    case ::rocksdb::kCompactionStyleNone:
      return "none, compacted as level";
  }
  return "unknown";
}

void print_plan(const Plan& plan) {
  std::printf("%s, of %s", escaped(plan.path).c_str(), plan.owner.c_str());
  if (!plan.options_file.empty()) {
    std::printf(", options in %s of RocksDB %s", escaped(plan.options_file).c_str(),
                escaped(plan.rocksdb_version).c_str());
  }
  std::printf("\n");
  for (const auto& place : plan.places) {
    if (place != plan.path) {
      std::printf("  and %s\n", escaped(place).c_str());
    }
  }
  for (const auto& note : plan.notes) {
    std::printf("  note: %s\n", printable(note).c_str());
  }
  for (const auto& family : plan.families) {
    print_family(family);
  }
  for (const auto& objection : plan.objections) {
    std::printf("  refuse   all: %s\n", printable(told(objection)).c_str());
  }
  if (!plan.refused()) {
    std::printf(
        "  in all: reads %s and writes %s at most; takes %s of free space on the way, at most, and "
        "%s are free\n",
        in_mib(sum_of(plan, &FamilyPlan::bytes_read_max)).c_str(),
        in_mib(sum_of(plan, &FamilyPlan::bytes_written_max)).c_str(),
        in_mib(plan.needed_bytes).c_str(), in_mib(plan.free_bytes).c_str());
  }
  std::printf("verdict: %s\n", plan.verdict().c_str());
}

void print_refusal_json(const std::string& path, const std::string& why) {
  nlohmann::ordered_json json;
  json["path"] = escaped(path);
  json["verdict"] = "refused";
  json["objections"] = {{{"what", printable(why)}, {"accept", ""}}};
  std::printf("%s\n", json.dump(2).c_str());
}

void print_plan_json(const Plan& plan) {
  nlohmann::ordered_json json;
  json["path"] = escaped(plan.path);
  json["verdict"] = plan.verdict();
  json["owner"] = plan.owner;
  json["options_file"] = escaped(plan.options_file);
  json["options_of_rocksdb"] = escaped(plan.rocksdb_version);
  json["wal_dir"] = escaped(plan.wal_dir);
  json["places"] = nlohmann::ordered_json::array();
  for (const auto& place : plan.places) {
    json["places"].push_back(escaped(place));
  }
  json["notes"] = nlohmann::ordered_json::array();
  for (const auto& note : plan.notes) {
    json["notes"].push_back(escaped(note));
  }
  json["objections"] = json_of(plan.objections);
  json["bytes_read_max"] = plan.refused() ? 0 : sum_of(plan, &FamilyPlan::bytes_read_max);
  json["bytes_written_max"] = plan.refused() ? 0 : sum_of(plan, &FamilyPlan::bytes_written_max);
  json["bytes_needed_max"] = plan.needed_bytes;
  json["bytes_free"] = plan.free_bytes;
  json["column_families"] = nlohmann::ordered_json::array();
  for (const auto& family : plan.families) {
    json["column_families"].push_back(json_of(family));
  }
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace kstone::compact
