#include "report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "escape.h"
#include "progress.h"

namespace kstone::compact {
namespace {

constexpr double mib = 1 << 20;

void print_row(std::size_t width, const std::string& name, OpenDatabase::Size was,
               OpenDatabase::Size is, const std::string& what) {
  std::printf("%-*s  %9.1f MiB %4llu %-4s  ->  %9.1f MiB %4llu %s%s\n", static_cast<int>(width),
              name.c_str(), static_cast<double>(was.bytes) / mib,
              static_cast<unsigned long long>(was.files), was.files == 1 ? "SST" : "SSTs",
              static_cast<double>(is.bytes) / mib, static_cast<unsigned long long>(is.files),
              is.files == 1 ? "SST" : "SSTs",
              what.empty() ? "" : ((is.files == 1 ? "   " : "  ") + what).c_str());
}

}  // namespace

const char* to_string(Fate fate) {
  switch (fate) {
    case Fate::not_asked:
      return "left alone";
    case Fate::refused:
      return "refused";
    case Fate::not_started:
      return "not started";
    case Fate::running:
      return "running";
    case Fate::compacted:
      return "compacted";
    case Fate::nothing:
      return "nothing to rewrite";
    case Fate::stopped:
      return "stopped";
    case Fate::failed:
      return "failed";
  }
  return "?";
}

void OfflineReport::begin(const Plan& plan) {
  path = escaped(plan.path);
  notes = plan.notes;
  for (const auto& family : plan.families) {
    FamilyReport row;
    row.name = escaped(family.name);
    row.before = row.after = {family.bytes(), family.ssts};
    row.note = family.note;
    if (family.compacts()) {
      row.fate = Fate::not_started;
    } else if (family.chosen) {
      const auto& objection = family.objections.front();
      row.fate = Fate::refused;
      row.note = objection.what + (objection.accept.empty() ? "" : " (" + objection.accept + ")");
    }
    families.push_back(row);
  }
}

std::string OfflineReport::failures() const {
  std::string text;
  std::size_t count = 0;
  for (const auto& family : families) {
    if (family.fate != Fate::failed && family.fate != Fate::refused) {
      continue;
    }
    if (++count == 1) {
      text = (family.fate == Fate::failed ? "compacting column family '"
                                          : "refused: column family '") +
             family.name + "': " + family.note;
    }
  }
  return count > 1 ? text + "; and " + std::to_string(count - 1) + " other families, see the table"
                   : text;
}

void OfflineReport::print_table() const {
  std::size_t width = 13;
  for (const auto& family : families) {
    width = std::max(width, family.name.size());
  }
  std::printf("\n%-*s  %21s      %21s\n", static_cast<int>(width), "column family", "before",
              "after");
  OpenDatabase::Size was;
  OpenDatabase::Size is;
  for (const auto& family : families) {
    was = {was.bytes + family.before.bytes, was.files + family.before.files};
    is = {is.bytes + family.after.bytes, is.files + family.after.files};
    print_row(width, family.name, family.before, family.after,
              to_string(family.fate) + (family.note.empty() ? std::string() : ": " + family.note));
  }
  print_row(width, "in all", was, is, interrupted ? "interrupted" : "");
  const auto counters = stats.snapshot();
  std::printf(
      "%.1f MiB read, %.1f MiB written, %llu records deduplicated, %llu tombstones removed, %u "
      "merging at once, "
      "%.1f s\n",
      static_cast<double>(counters.total_bytes_read) / mib,
      static_cast<double>(counters.total_bytes_written) / mib,
      static_cast<unsigned long long>(counters.total_records_deduplicated),
      static_cast<unsigned long long>(counters.total_tombstones_removed), merging_max, seconds);
  if (families_verified > 0 && wrong.empty() && uncertain.empty()) {
    std::printf("the entries of %s are those that were there, written and taken away\n",
                families_verified == 1
                    ? "1 compacted column family"
                    : (std::to_string(families_verified) + " compacted column families").c_str());
  }
  if (verified_in_full && wrong.empty()) {
    std::printf("%s as before\n", records_verified == 1
                                      ? "1 record is"
                                      : (counted(records_verified, "record") + " are").c_str());
  }
  for (const auto& family : not_read) {
    std::printf("column family %s was not read, and not compared\n", family.c_str());
  }
  if (interrupted_while_verifying) {
    std::printf("not verified: interrupted before every record was compared\n");
  }
  for (const auto& what : wrong) {
    std::printf("WRONG: %s\n", what.c_str());
  }
}

void OfflineReport::print_json() const {
  const auto counters = stats.snapshot();
  nlohmann::ordered_json json;
  json["path"] = path;
  json["interrupted"] = interrupted;
  json["max_concurrent_seen"] = merging_max;
  json["bytes_compacted"] = counters.total_bytes_read + counters.total_bytes_written;
  json["total_compactions"] = counters.total_compactions;
  json["total_ssts_merged"] = counters.total_ssts_merged;
  json["total_ssts_created"] = counters.total_ssts_created;
  json["total_bytes_read"] = counters.total_bytes_read;
  json["total_bytes_written"] = counters.total_bytes_written;
  json["total_bytes_reclaimed"] = counters.total_bytes_reclaimed;
  json["total_records_deduplicated"] = counters.total_records_deduplicated;
  json["total_tombstones_removed"] = counters.total_tombstones_removed;
  json["active_compactions"] = counters.active_compactions;
  json["verified"] = families_verified > 0 && wrong.empty() && uncertain.empty();
  json["families_verified"] = families_verified;
  json["verified_in_full"] = verified_in_full;
  json["records_verified"] = records_verified;
  json["families_not_read"] = not_read;
  json["wrong"] = wrong;
  json["uncertain"] = uncertain;
  json["notes"] = notes;
  json["shutdown_ms"] = shutdown_ms;
  json["wall_seconds"] = seconds;
  for (const auto& family : families) {
    json["column_families"].push_back(
        {{"name", family.name},
         {"result", family.fate == Fate::not_asked ? "left_alone" : to_string(family.fate)},
         {"note", escaped(family.note)},
         {"bytes_before", family.before.bytes},
         {"ssts_before", family.before.files},
         {"bytes_after", family.after.bytes},
         {"ssts_after", family.after.files}});
  }
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace kstone::compact
