#include "judge.h"

#include <rocksdb/merge_operator.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <map>
#include <vector>

#include "escape.h"
#include "progress.h"

namespace kstone::compact {
namespace {

constexpr const char* stats_family = "___rocksdb_stats_history___";

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::any_of(names.begin(), names.end(),
                     [&](const auto& each) { return each == name || each == escaped(name); });
}

// The first operator that SSTs with operands name and that is not this one, or empty.
std::string other_merger(const FamilyEvidence& evidence, const ::rocksdb::MergeOperator& merge) {
  for (const auto& name : evidence.mergers) {
    if (name != merge.Name()) {
      return name == "nullptr" ? "none" : in_quotes(name);
    }
  }
  return "";
}

class Judge {
 public:
  Judge(const OfflineOptions& options, const Evidence& evidence, Plan& plan)
      : options_(options), evidence_(evidence), plan_(plan) {}

  void run() {
    plan_.objections = evidence_.objections;
    for (std::size_t at = 0; at < plan_.families.size(); ++at) {
      judge_family(evidence_.families[at], plan_.families[at]);
    }
    judge_continuity();
    for (std::size_t at = 0; at < plan_.families.size(); ++at) {
      judge_log(evidence_.families[at].wal, plan_.families[at]);
    }
    judge_space();
  }

 private:
  void object(const std::string& what, const std::string& accept = "") {
    plan_.objections.push_back({what, accept, ""});
  }
  void choose(FamilyPlan& family) const;
  void judge_family(const FamilyEvidence& evidence, FamilyPlan& family) const;
  static void judge_merges(const FamilyEvidence& evidence, FamilyPlan& family);
  void judge_continuity();
  void judge_log(const WalFamily& wal, FamilyPlan& family);
  struct Space {
    std::uint64_t needed = 0;
    std::uint64_t largest = 0;  // of what is needed one after the other
    std::uint64_t free = UINT64_MAX;
  };
  std::map<dev_t, Space> spaces() const;
  void judge_space();

  const OfflineOptions& options_;
  const Evidence& evidence_;
  Plan& plan_;
};

void Judge::choose(FamilyPlan& family) const {
  family.note.clear();
  family.skipped = has(options_.skip_families, family.name);
  family.chosen = !family.skipped &&
                  (options_.families.empty() || has(options_.families, family.name)) &&
                  family.name != stats_family;
}

void Judge::judge_family(const FamilyEvidence& evidence, FamilyPlan& family) const {
  choose(family);
  family.objections = evidence.objections;
  family.wal_records = evidence.wal.records;
  family.wal_bytes = evidence.wal.bytes;
  family.readable = evidence.unreadable.empty();
  family.compaction_style = text_of(family.options.compaction_style);
  if (!family.readable) {
    family.objections.push_back({evidence.unreadable, "", ""});
  }
  if (evidence.wal_is_older) {
    family.readable = false;
    family.objections.push_back(
        {"the WAL begins with record " + std::to_string(evidence.wal.first_sequence) +
             " of it, and its SSTs reach to " + std::to_string(evidence.last_flushed) +
             ": a WAL file is an old copy, or another database's",
         "a flush by its owner's program, if SSTs were ingested and compacted", ""});
  }
  judge_merges(evidence, family);
  if (family.options.compaction_style == ::rocksdb::kCompactionStyleNone &&
      family.options.num_levels < 2) {
    family.objections.push_back(
        {"compaction style none with one level: this program would need another", "", ""});
  }
  if (family.options.compaction_style == ::rocksdb::kCompactionStyleFIFO) {
    const std::string why = "never merged, and compacting it would delete its oldest records";
    if (family.chosen && !options_.families.empty()) {
      family.objections.push_back({"its compaction style is FIFO: " + why, "", ""});
    } else {
      family.chosen = false;
      family.note = why;
    }
  } else if (family.chosen && family.ssts < options_.min_ssts) {
    family.chosen = false;
    family.note = "below " + std::to_string(options_.min_ssts) + " SSTs";
  } else if (family.chosen && family.ssts == 0 && family.wal_records == 0) {
    family.chosen = false;
    family.note = "empty";
  }
}

void Judge::judge_merges(const FamilyEvidence& evidence, FamilyPlan& family) {
  if (!evidence.may_merge && evidence.wal.operands.count == 0) {
    return;
  }
  const auto& merge = family.options.merge_operator;
  const auto object = [&](const std::string& what, const std::string& accept) {
    family.readable = false;
    family.objections.push_back({what, accept, ""});
  };
  const auto name_it =
      "--merge-operator " + escaped(family.name) + "=SPEC, if it is one of RocksDB's";
  if (merge == nullptr) {
    object("it holds merge operands, and its merge operator is not named in the options file",
           name_it);
  } else if (!evidence.named && !evidence.described) {
    object("it holds merge operands, and its merge operator " + in_quotes(merge->Name()) +
               " is not certain: the options file does not describe it in full",
           name_it);
  } else if (const auto other = other_merger(evidence, *merge); !other.empty()) {
    object("its SSTs were merged by " + other + ", and the operator that would merge them now is " +
               in_quotes(merge->Name()),
           evidence.named ? "naming the right one"
                          : "--options-file FILE, one that names the owner's");
  } else if (!evidence.misfit.empty()) {
    object("the merge operator that was named is not the owner's: " + evidence.misfit, "");
  }
}

// A log that the user has named may be another database's, which only the numbers of its records
// tell: what is not in an SST yet is younger than what is, and no number is left out.
void Judge::judge_continuity() {
  std::uint64_t first = UINT64_MAX;
  bool older = false;
  for (const auto& family : evidence_.families) {
    first = std::min(first, family.wal.first_sequence);
    older = older || family.wal.first_sequence <= family.last_sequence;
  }
  if (!options_.wal_dir.empty() && first != UINT64_MAX &&
      (older || first > evidence_.last_sequence + 1)) {
    object("the WAL in --wal-dir " + escaped(plan_.wal_dir) +
           " does not continue the database: it begins with record " + std::to_string(first) +
           ", and the database is at " + std::to_string(evidence_.last_sequence));
  }
}

// A family with an objection is left alone, and its records stay in the log. Where the log cannot
// be kept, there may be none.
void Judge::judge_log(const WalFamily& wal, FamilyPlan& family) {
  if (family.ssts == 0 && wal.records > 0) {
    // Its SSTs may belong into a path that no options file tells.
    const bool told = !plan_.options.db_paths.empty() || !family.options.cf_paths.empty();
    if (plan_.keeps_log) {
      family.note = family.chosen ? "only in the WAL, where it stays" : family.note;
      family.chosen = false;
    } else if (!told) {
      object(
          "the WAL holds all records of column family " + in_quotes(family.name) +
              ", so where its SSTs belong is not known",
          "--cf-path " + escaped(family.name) +
              "=PATH if the owner has cf_paths for it, else --db-path PATH, the folder itself if "
              "the owner has no db_paths");
    }
  }
  if (wal.records > 0 && !family.objections.empty() && !plan_.keeps_log) {
    const auto& first = family.objections.front();
    object("the WAL holds " + counted(wal.records, "record") + " of column family '" +
               escaped(family.name) + "', which would be written to an SST: " + first.what,
           first.accept);
  }
}

// By device. RocksDB keeps an SST that is no longer needed while an older compaction runs: with
// several at a time all that any of them writes may be there at once. One alone takes the place of
// its inputs step by step, unless they are a copy's, too. RocksDB also reserves space for a
// manifest when it opens.
std::map<dev_t, Judge::Space> Judge::spaces() const {
  std::map<dev_t, Space> found;
  const auto at = [&](const std::string& place) -> Space& {
    struct stat status{};
    const auto device = stat(place.c_str(), &status) == 0 ? status.st_dev : 0;
    auto& space = found[device];
    struct statvfs disk{};
    if (statvfs(place.c_str(), &disk) == 0) {
      space.free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    }
    return space;
  };
  at(plan_.path).needed += plan_.options.manifest_preallocation_size;
  at(plan_.wal_dir.empty() ? plan_.path : plan_.wal_dir);
  std::size_t compacted = 0;
  for (const auto& family : plan_.families) {
    at(family.first_place.empty() ? plan_.path : family.first_place).needed += family.wal_bytes;
    compacted += family.compacts() ? 1 : 0;
  }
  const bool several = options_.workers > 1 && compacted > 1;
  for (const auto& family : plan_.families) {
    if (!family.compacts()) {
      continue;
    }
    auto& space = at(family.target.empty() ? plan_.path : family.target);
    space.needed += several               ? family.bytes_written_max()
                    : evidence_.has_links ? family.kept_bytes_max()
                                          : 0;
    if (!several) {
      space.largest = std::max(space.largest, family.extra_bytes_max());
    }
  }
  return found;
}

void Judge::judge_space() {
  plan_.needed_bytes = 0;
  plan_.free_bytes = UINT64_MAX;
  const bool works = std::any_of(plan_.families.begin(), plan_.families.end(),
                                 [](const auto& family) { return family.compacts(); });
  for (const auto& [device, space] : spaces()) {
    const auto needed = space.needed + space.largest;
    plan_.needed_bytes += needed;
    plan_.free_bytes = std::min(plan_.free_bytes, space.free);
    if (works && space.free < needed && !options_.ignore_free_space) {
      object("it may take " + in_mib(needed) + " of free space on the way, and only " +
                 in_mib(space.free) + " are free",
             options_.workers > 1 ? "--ignore-free-space, or --workers 1" : "--ignore-free-space");
    }
  }
}

}  // namespace

void judge(const OfflineOptions& options, const Evidence& evidence, Plan& plan) {
  Judge(options, evidence, plan).run();
}

}  // namespace kstone::compact
