#include "look.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/options_util.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "bad_input.h"
#include "escape.h"
#include "lacking.h"
#include "merge_operators.h"
#include "open_database.h"
#include "options_file.h"
#include "places.h"
#include "wal_contents.h"
#include "wal_tail.h"

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;
using ::rocksdb::Status;
using ::rocksdb::WALRecoveryMode;

constexpr const char* stats_family = "___rocksdb_stats_history___";

// One look at one database. Each step that finds what makes the next one impossible objects and
// ends.
class Looker {
 public:
  Looker(const OfflineOptions& options, Look& look)
      : options_(options), look_(look), plan_(look.plan), accepted_(options.accepted_losses) {}

  void run();

 private:
  bool read_options_file();
  void compare_options_files();
  bool match_families();
  void choose();
  void require_family(const std::string& option, const std::string& name) const;
  void take_paths(const Places& places);
  bool read_wal(const Places& places);
  Status read_only(WALRecoveryMode mode, WalContents& wal, bool families = true);
  std::string damage_of_log();
  void object_to_opening(const Status& status);
  void judge_wal(const Places& places);
  void read_families(const OpenDatabase& database);
  void read_family(const OpenDatabase& database, ::rocksdb::ColumnFamilyHandle* handle,
                   FamilyPlan& family);
  void take_merge_operators();
  void judge_merges(FamilyPlan& family);
  void judge_named_merges(FamilyPlan& family, const ::rocksdb::MergeOperator& merge);
  void judge_left_alone();
  void look_at_space();
  void object(const std::string& what, const std::string& accept = "") {
    plan_.objections.push_back({what, accept, ""});
  }

  void judge_continuity();

  const OfflineOptions& options_;
  Look& look_;
  Plan& plan_;
  const AcceptedLosses accepted_;
  OptionsText text_;
  std::unique_ptr<WalContents> wal_;
  std::uint64_t first_log_ = 0;  // that counts
  bool torn_ = false;            // its newest file ends in the middle of a record
  std::map<std::string, std::shared_ptr<::rocksdb::MergeOperator>> named_;  // by family
  std::map<std::string, std::string> merge_names_;     // by family, in the options file
  std::map<std::string, bool> may_merge_;              // by family
  std::map<std::string, std::uint64_t> last_in_ssts_;  // by family: the highest sequence number
  bool has_links_ = false;                             // an SST is a copy's, too
  std::uint64_t last_sequence_ = 0;                    // of the manifest
  std::map<std::string, bool> uncertain_;  // by family: whether its operator is only a name
};

// The options in the text and as objects; false if there is nothing to go on with.
bool Looker::read_options_file() {
  const auto files = options_files(plan_.path);
  const auto own = files.empty() ? "" : files.back();
  const auto own_text = own.empty() ? "" : read_text(own);
  if (const auto engine = other_engine(plan_.path, own_text); !engine.empty()) {
    object(engine + ", not one of RocksDB");
    return false;
  }
  plan_.options_file = options_.options_file.empty() ? own : options_.options_file;
  if (plan_.options_file.empty()) {
    object("it has no options file, so how its owner opens it is not known", "--options-file FILE");
    return false;
  }
  const auto shown = escaped(fs::path(plan_.options_file).filename().string());
  const auto text = options_.options_file.empty() ? own_text : read_text(plan_.options_file);
  std::string missing;
  try {
    text_ = parse_options(text);
    missing = what_is_missing(text_, text, options_.options_file.empty());
  } catch (const BadInput& error) {
    missing = error.what();
  }
  if (!missing.empty()) {
    object("its options file " + shown + " is damaged or not whole: " + missing,
           "--options-file FILE");
    return false;
  }
  plan_.rocksdb_version = text_.version["rocksdb_version"];
  compare_options_files();

  ::rocksdb::ConfigOptions config;
  config.ignore_unsupported_options = true;
  config.ignore_unknown_options = false;
  config.env = look_.env.get();
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  auto cache = ::rocksdb::NewLRUCache(32 << 20, 2);  // one for all families, however many
  const auto load = [&] {
    return ::rocksdb::LoadOptionsFromFile(config, plan_.options_file, &plan_.options, &families,
                                          &cache);
  };
  auto status = load();
  if (!status.ok() && accepted_.covers("options")) {
    plan_.notes.push_back("its options file has options that this program does not know: " +
                          status.ToString());
    config.ignore_unknown_options = true;
    status = load();
  }
  if (!status.ok() || families.size() != text_.families.size()) {
    object("its options file " + shown + ", written by RocksDB " + escaped(plan_.rocksdb_version) +
               ", is not understood by " + ::rocksdb::GetRocksVersionAsString() + ": " +
               status.ToString(),
           accepted_.covers("options") ? "--options-file FILE"
                                       : "--accept-loss options, or --options-file FILE");
    return false;
  }
  plan_.options.env = look_.env.get();
  for (std::size_t at = 0; at < families.size(); ++at) {
    FamilyPlan family;
    family.name = families[at].name;
    family.options = families[at].options;
    plan_.families.push_back(std::move(family));
  }
  return true;
}

// Two whole options files that contradict each other leave open which one is the owner's: a tool
// that opens a database with options of its own leaves one, too.
void Looker::compare_options_files() {
  auto own = options_files(plan_.path);
  std::error_code ignored;
  const bool is_own = fs::canonical(plan_.options_file, ignored).parent_path() == plan_.path;
  if (!options_.options_file.empty() && is_own) {
    return;  // the user has chosen
  }
  if (!own.empty() && own.back() == plan_.options_file) {
    own.pop_back();
  }
  if (own.empty()) {
    return;
  }
  const auto text = read_text(own.back());
  try {
    const auto other = parse_options(text);
    const auto difference =
        what_is_missing(other, text, true).empty() ? what_differs(other, text_) : "";
    if (!difference.empty()) {
      object("its options file " + escaped(fs::path(own.back()).filename().string()) +
                 " says otherwise: " + difference,
             "--options-file FILE, one of the folder's");
    }
  } catch (const BadInput&) {
    // what is damaged contradicts nothing
  }
}

// The families that the manifest has, in its order, each with its section. False if one has none.
bool Looker::match_families() {
  std::vector<std::string> names;
  ::rocksdb::DBOptions options;
  options.env = look_.env.get();
  if (const auto status = ::rocksdb::DB::ListColumnFamilies(options, plan_.path, &names);
      !status.ok()) {
    throw BadInput(escaped(plan_.path) + ": not a database: " + status.ToString());
  }
  const auto described = std::move(plan_.families);
  plan_.families.clear();
  const std::size_t objections = plan_.objections.size();
  find_lacking_names(text_.database, plan_.options, plan_, accepted_);
  for (const auto& name : names) {
    const auto found = std::find_if(described.begin(), described.end(),
                                    [&](const auto& f) { return f.name == name; });
    if (found == described.end()) {
      object("its options file does not describe column family " + in_quotes(name),
             "--options-file FILE");
      continue;
    }
    plan_.families.push_back(*found);
    const auto& section = text_.families[static_cast<std::size_t>(found - described.begin())];
    find_lacking_names(section, plan_.families.back(), plan_, accepted_);
    merge_names_[name] = object_name(section.options, "merge_operator");
    const auto value = section.options.find("merge_operator");
    plan_.families.back().options.merge_operator =
        value == section.options.end() ? nullptr : described_operator(value->second);
  }
  return plan_.objections.size() == objections;
}

void Looker::require_family(const std::string& option, const std::string& name) const {
  const auto is = [&](const auto& family) {
    return family.name == name || escaped(family.name) == name;
  };
  if (std::none_of(plan_.families.begin(), plan_.families.end(), is)) {
    throw BadInput(option + ": " + escaped(plan_.path) + " has no column family " +
                   in_quotes(name));
  }
}

// Every name on the command line is checked before anything is done.
void Looker::choose() {
  for (const auto& name : options_.families) {
    require_family("--column-family", name);
  }
  for (const auto& name : options_.skip_families) {
    require_family("--skip-family", name);
  }
  for (const auto& name : accepted_.families()) {
    require_family("--accept-loss", name);
  }
  for (const auto& pair : options_.merge_operators) {
    const auto [name, spec] = split_pair("--merge-operator", pair, plan_);
    require_family("--merge-operator", name);
    named_[name] = named_operator(spec);
    for (const auto& [family, written] : merge_names_) {
      if ((family == name || escaped(family) == name) && !written.empty() &&
          !named_[name]->IsInstanceOf(written)) {
        throw BadInput("--merge-operator " + escaped(pair) + ": the options file names " +
                       in_quotes(written));
      }
    }
  }
  const auto has = [](const std::vector<std::string>& names, const std::string& name) {
    return std::any_of(names.begin(), names.end(),
                       [&](const auto& each) { return each == name || each == escaped(name); });
  };
  for (auto& family : plan_.families) {
    family.skipped = has(options_.skip_families, family.name);
    family.chosen = !family.skipped &&
                    (options_.families.empty() || has(options_.families, family.name)) &&
                    family.name != stats_family;
  }
}

void Looker::take_paths(const Places& places) {
  plan_.wal_dir = places.wal_dir;
  plan_.places = places.roots;
  plan_.options.wal_dir = places.wal_dir == plan_.path ? "" : places.wal_dir;
  plan_.options.db_paths = places.db_paths;
  for (auto& family : plan_.families) {
    for (const auto& [name, paths] : places.cf_paths) {
      if (name == family.name || name == escaped(family.name)) {
        family.options.cf_paths = paths;
      }
    }
  }
  for (const auto& [name, paths] : places.cf_paths) {
    require_family("--cf-path", name);
  }
}

Status Looker::read_only(WALRecoveryMode mode, WalContents& wal, bool families) {
  auto options = plan_.options;
  options.wal_filter = &wal;
  options.wal_recovery_mode = mode;
  OpenDatabase database;
  const auto status = database.open_read_only(plan_, options);
  if (status.ok()) {
    database.db().GetIntProperty(::rocksdb::DB::Properties::kMinLogNumberToKeep, &first_log_);
  }
  if (status.ok() && families) {
    read_families(database);
  }
  return status;
}

// Reads the log without applying it. RocksDB's strictest mode is taken if nothing is wrong, the one
// that knows an unfinished record if that is all; the owner's own only if the user accepts what it
// drops.
bool Looker::read_wal(const Places& places) {
  const auto owners_mode = plan_.options.wal_recovery_mode;
  wal_ = std::make_unique<WalContents>();
  if (const auto status = read_only(WALRecoveryMode::kSkipAnyCorruptedRecords, *wal_, false);
      !status.ok()) {
    object_to_opening(status);
    return false;
  }
  std::string damage = damage_of_log();
  wal_ = std::make_unique<WalContents>();
  auto status = read_only(WALRecoveryMode::kAbsoluteConsistency, *wal_);
  plan_.options.wal_recovery_mode = WALRecoveryMode::kAbsoluteConsistency;
  if (!status.ok() && damage.empty() && torn_) {
    wal_ = std::make_unique<WalContents>();
    const auto tolerant = read_only(WALRecoveryMode::kTolerateCorruptedTailRecords, *wal_);
    plan_.options.wal_recovery_mode = WALRecoveryMode::kTolerateCorruptedTailRecords;
    damage =
        tolerant.ok() && owners_mode == WALRecoveryMode::kAbsoluteConsistency
            ? "it ends in the middle of a record, and its owner's recovery mode tolerates nothing"
            : "";
    status = tolerant.ok() ? tolerant : status;
    plan_.notes.push_back(
        "the log ends in the middle of a record, as a crash leaves it; that record is no more");
  }
  if (!status.ok()) {
    const auto strict = status.ToString();
    wal_ = std::make_unique<WalContents>();
    status = read_only(WALRecoveryMode::kSkipAnyCorruptedRecords, *wal_);
    if (!status.ok()) {
      object_to_opening(status);  // it could be read a moment ago
      return false;
    }
    damage = damage.empty() ? strict : damage;
  }
  if (!damage.empty()) {
    const auto what = "its log is damaged, and records would be lost: " + damage;
    plan_.options.wal_recovery_mode = owners_mode;
    if (accepted_.covers("wal-records")) {
      plan_.notes.push_back(what);
    } else {
      object(what, "--accept-loss wal-records, to recover what its owner would");
    }
  }
  judge_wal(places);
  return true;
}

// By the bytes of its files, which recovery does not look at all.
std::string Looker::damage_of_log() {
  auto numbers = logs_in(plan_.wal_dir);
  numbers.erase(numbers.begin(), numbers.lower_bound(first_log_));
  std::string damage;
  bool newer = false;  // there are records in a newer file
  for (auto at = numbers.rbegin(); at != numbers.rend() && damage.empty(); ++at) {
    const auto path = log_path(plan_.wal_dir, *at);
    const auto end = end_of_log(path, *at);
    const auto name = escaped(fs::path(path).filename().string());
    if (end == WalEnd::damaged) {
      damage = name + " has whole records behind bytes that are none";
    } else if (end == WalEnd::no_log) {
      damage = name + " holds bytes, and not one record";
    } else if (end == WalEnd::torn && newer) {
      damage = name + " ends in the middle of a record, and a newer log goes on";
    }
    torn_ = torn_ || end == WalEnd::torn;
    std::error_code ignored;
    newer = newer || fs::file_size(path, ignored) > 0;
  }
  return damage;
}

void Looker::object_to_opening(const Status& status) {
  const auto text = status.ToString();
  const bool missing = text.find("No such file") != std::string::npos || status.IsPathNotFound();
  object(
      "it cannot be opened: " + text,
      missing
          ? "if its SSTs lie in several folders: --db-path PATH for each of the owner's db_paths, "
            "--cf-path FAMILY=PATH for each of its cf_paths"
          : "");
}

void Looker::judge_wal(const Places& places) {
  if (!wal_->error().empty()) {
    object("its log has records that this program does not understand: " + wal_->error(),
           "opening and closing it with its owner's program, with a flush");
  }
  if (wal_->open_transactions() > 0) {
    object("its log has " + std::to_string(wal_->open_transactions()) +
               " transactions that are prepared and not ended",
           "committing or rolling them back with its owner's program");
  }
  if (wal_->has_transactions()) {
    plan_.options.allow_2pc = true;
  }
  // RocksDB leaves a log, if an empty one, wherever its owner has it.
  const bool elsewhere = plan_.wal_dir != plan_.path;
  if ((elsewhere || places.wal_dir_is_gone) &&
      std::none_of(plan_.files.begin(), plan_.files.end(),
                   [](const auto& file) { return file.ends_with(".log"); })) {
    object("there is no log in " + escaped(plan_.wal_dir) + " that is as new as the manifest",
           "--wal-dir PATH");
  }
  const auto in_folder = logs_in(plan_.path);
  if (elsewhere && in_folder.lower_bound(first_log_) != in_folder.end()) {
    object("there are logs in " + escaped(plan_.wal_dir) +
               " and, as new as the manifest, in the folder itself",
           "moving those away that are not the database's");
  }
  std::uint64_t bytes = 0;
  for (const auto& family : plan_.families) {
    bytes += wal_->of(family.name).bytes;
  }
  // What recovery does not apply to an SST it holds in memory.
  constexpr std::uint64_t in_memory_max = 256 << 20;
  plan_.keeps_log = !wal_->has_transactions() && !torn_ && bytes <= in_memory_max &&
                    plan_.options.wal_recovery_mode == WALRecoveryMode::kAbsoluteConsistency;
}

void Looker::read_families(const OpenDatabase& database) {
  plan_.files.clear();
  last_sequence_ = database.db().GetLatestSequenceNumber();
  for (const auto number : logs_in(plan_.wal_dir)) {
    if (number >= first_log_) {
      plan_.files.insert(log_path(plan_.wal_dir, number));
    }
  }
  plan_.current = read_text(plan_.path + "/CURRENT");
  auto manifest = plan_.current;
  while (!manifest.empty() && manifest.back() == '\n') {
    manifest.pop_back();
  }
  plan_.files.insert(
      {plan_.path + "/" + manifest, plan_.path + "/CURRENT", plan_.path + "/IDENTITY"});
  for (std::size_t at = 0; at < plan_.families.size(); ++at) {
    read_family(database, database.handles()[at], plan_.families[at]);
  }
}

void Looker::read_family(const OpenDatabase& database, ::rocksdb::ColumnFamilyHandle* handle,
                         FamilyPlan& family) {
  ::rocksdb::ColumnFamilyMetaData metadata;
  database.db().GetColumnFamilyMetaData(handle, &metadata);
  const auto place = [](const std::string& folder, const std::string& name) {
    std::error_code ignored;
    const auto canonical = fs::canonical(folder, ignored);
    return (canonical / fs::path(name).filename()).string();
  };
  family.level_bytes.clear();
  last_in_ssts_[family.name] = 0;
  family.ssts = 0;
  for (const auto& level : metadata.levels) {
    family.level_bytes.push_back(level.size);
    family.ssts += level.files.size();
    for (const auto& sst : level.files) {
      plan_.files.insert(place(sst.db_path, sst.name));
      std::error_code ignored;
      has_links_ = has_links_ || fs::hard_link_count(place(sst.db_path, sst.name), ignored) > 1;
      last_in_ssts_[family.name] = std::max(last_in_ssts_[family.name], sst.largest_seqno);
    }
  }
  family.blob_bytes = metadata.blob_file_size;
  for (const auto& blob : metadata.blob_files) {
    plan_.files.insert(place(blob.blob_file_path, blob.blob_file_name));
  }
  ::rocksdb::TablePropertiesCollection ssts;
  if (const auto status = database.db().GetPropertiesOfAllTables(handle, &ssts); !status.ok()) {
    family.readable = false;
    family.objections.push_back({"an SST cannot be read: " + status.ToString(), "", ""});
    return;
  }
  family.contents = contents_of(ssts);
  family.growth = growth_of(ssts, family);
  bool counted = true;
  for (const auto& [path, sst] : ssts) {
    bool present = false;
    ::rocksdb::GetMergeOperands(sst->user_collected_properties, &present);
    counted = counted && present;
  }
  may_merge_[family.name] = family.contents.merge_operands > 0 || !counted;
  find_lost_properties(ssts, family, accepted_);
  for (const auto& level : metadata.levels) {
    for (const auto& sst : level.files) {
      const auto& generator = plan_.options.file_checksum_gen_factory;
      const bool has =
          !sst.file_checksum_func_name.empty() && sst.file_checksum_func_name != "Unknown";
      if (has && generator == nullptr && !accepted_.covers("file-checksums", family.name)) {
        family.objections.push_back(
            {"its SSTs have file checksums (" + escaped(sst.file_checksum_func_name) +
                 "), and new ones would have none",
             "--accept-loss file-checksums:" + escaped(family.name), "file-checksums"});
        return;
      }
    }
  }
}

// Gives each family the operator that may merge its values, or one that refuses to.
void Looker::take_merge_operators() {
  for (auto& family : plan_.families) {
    const auto named = std::find_if(named_.begin(), named_.end(), [&](const auto& pair) {
      return pair.first == family.name || pair.first == escaped(family.name);
    });
    auto& merge = family.options.merge_operator;
    if (named != named_.end()) {
      merge = named->second;
    } else if (const auto& name = merge_names_[family.name]; merge == nullptr && !name.empty()) {
      merge = refusing_operator(name);
    } else {
      continue;
    }
    uncertain_[family.name] = named == named_.end();
  }
}

void Looker::judge_merges(FamilyPlan& family) {
  if (!may_merge_[family.name] && wal_->of(family.name).operands.count == 0) {
    return;
  }
  const auto& merge = family.options.merge_operator;
  const auto taken = uncertain_.find(family.name);
  if (merge != nullptr && taken == uncertain_.end()) {
    return;  // the options file describes it in full
  }
  if (merge != nullptr && !taken->second) {
    judge_named_merges(family, *merge);
    return;
  }
  family.readable = false;
  family.objections.push_back(
      {"it holds merge operands, and its merge operator " +
           (merge == nullptr
                ? std::string("is not named in the options file")
                : in_quotes(merge->Name()) +
                      " is not certain: the options file does not describe it in full"),
       "--merge-operator " + escaped(family.name) + "=SPEC, if it is one of RocksDB's", ""});
}

// Reads every value that would be merged, where the operator's values have a known size.
void Looker::judge_named_merges(FamilyPlan& family, const ::rocksdb::MergeOperator& merge) {
  if (!has_known_sizes(merge)) {
    return;
  }
  OperandSizes sizes;
  auto options = plan_.options;
  OpenDatabase database;
  const auto certain = family.options.merge_operator;
  family.options.merge_operator = measuring_operator(sizes);
  auto status = database.open_read_only(plan_, options);
  family.options.merge_operator = certain;
  if (status.ok()) {
    status = database.read_all(family.name, OpenDatabase::Versions::all,
                               [](const auto&) { return true; });
  }
  const auto wrong = status.ok() ? misfit(merge, sizes) : status.ToString();
  if (!wrong.empty()) {
    family.readable = false;
    family.objections.push_back(
        {"the merge operator that was named is not the owner's: " + wrong, "", ""});
  }
}

// A log that the user has named may be another database's, which only the numbers of its records
// tell: what is not in an SST yet is younger than what is, and no number is left out.
void Looker::judge_continuity() {
  std::uint64_t first = UINT64_MAX;
  bool older = false;
  for (const auto& family : plan_.families) {
    const auto sequence = wal_->of(family.name).first_sequence;
    first = std::min(first, sequence);
    older = older || sequence <= last_in_ssts_[family.name];
  }
  if (!options_.wal_dir.empty() && first != UINT64_MAX && (older || first > last_sequence_ + 1)) {
    object("the log in --wal-dir " + escaped(plan_.wal_dir) +
           " does not continue the database: it begins with record " + std::to_string(first) +
           ", and the database is at " + std::to_string(last_sequence_));
  }
}

// A family with an objection is left alone, and its records stay in the log. Where the log cannot
// be kept, there may be none.
void Looker::judge_left_alone() {
  for (auto& family : plan_.families) {
    const auto wal = wal_->of(family.name);
    family.wal_records = wal.records;
    family.wal_bytes = wal.bytes;
    if (family.ssts == 0 && wal.records > 0) {
      // Its SSTs may belong into a path that no options file tells.
      const bool told = !plan_.options.db_paths.empty() || !family.options.cf_paths.empty();
      if (plan_.keeps_log) {
        family.note = family.chosen ? "only in the log, where it stays" : family.note;
        family.chosen = false;
      } else if (!told) {
        object("the log holds all records of column family " + in_quotes(family.name) +
                   ", so where its SSTs belong is not known",
               "--db-path PATH, the folder itself if the owner has no db_paths");
      }
    }
    if (wal.records > 0 && !family.objections.empty() && !plan_.keeps_log) {
      const auto& first = family.objections.front();
      object("the log holds " + std::to_string(wal.records) + " records of column family '" +
                 escaped(family.name) + "', which would be written to an SST: " + first.what,
             first.accept);
    }
  }
}

void Looker::look_at_space() {
  struct statvfs disk{};
  if (statvfs(plan_.path.c_str(), &disk) != 0) {
    return;
  }
  plan_.free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
  // RocksDB reserves space for a manifest when it opens, and a family is never larger than it was.
  std::vector<std::uint64_t> sizes;
  std::uint64_t logged = 0;
  for (const auto& family : plan_.families) {
    logged += family.wal_bytes;
    if (family.compacts()) {
      sizes.push_back(
          static_cast<std::uint64_t>(static_cast<double>(family.bytes()) * family.growth) +
          family.wal_bytes);
    }
  }
  std::sort(sizes.rbegin(), sizes.rend());
  if (!has_links_) {  // else what is deleted here frees nothing
    sizes.resize(std::min<std::size_t>(sizes.size(), options_.workers));
  }
  plan_.needed_bytes = logged + plan_.options.manifest_preallocation_size;
  for (const auto size : sizes) {
    plan_.needed_bytes += size;
  }
  for (const auto& place : plan_.places) {
    if (statvfs(place.c_str(), &disk) == 0) {
      plan_.free_bytes =
          std::min(plan_.free_bytes, static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize);
    }
  }
  const auto mib = [](std::uint64_t bytes) { return std::to_string((bytes >> 20) + 1) + " MiB"; };
  const bool works = std::any_of(plan_.families.begin(), plan_.families.end(),
                                 [](const auto& family) { return family.compacts(); });
  if (works && plan_.free_bytes < plan_.needed_bytes && !options_.ignore_free_space) {
    object("it may need " + mib(plan_.needed_bytes) + " of free space, and " +
               mib(plan_.free_bytes) + " are free (No space left on device)",
           "--ignore-free-space, or fewer --workers");
  }
}

void Looker::run() {
  plan_.path = require_database(options_.path);
  require_unlocked(plan_.path);
  look_.enclosure = std::make_shared<Enclosure>(::rocksdb::FileSystem::Default(), plan_.path,
                                                accepted_.covers("owner"));
  look_.env = ::rocksdb::NewCompositeEnv(look_.enclosure);
  if (!options_.plan && fs::exists(plan_.path + "/LOCK")) {
    require_lock(*look_.enclosure, plan_.path);
  }
  look_at_owner(plan_, accepted_.covers("owner"));
  if (!read_options_file() || !match_families()) {
    return;
  }
  choose();
  const auto places = find_places(options_, text_, plan_);
  take_paths(places);
  if (!plan_.objections.empty() || !read_wal(places)) {
    return;
  }
  take_merge_operators();
  for (auto& family : plan_.families) {
    family.compaction_style = text_of(family.options.compaction_style);
    judge_merges(family);
    if (family.options.compaction_style == ::rocksdb::kCompactionStyleNone &&
        family.options.num_levels < 2) {
      family.objections.push_back(
          {"compaction style none with one level: this program would need another", "", ""});
    }
    if (family.options.compaction_style == ::rocksdb::kCompactionStyleFIFO) {
      family.chosen = false;
      family.note = "FIFO: never merged, and compacting it would delete its oldest records";
    } else if (family.chosen && family.ssts < options_.min_ssts) {
      family.chosen = false;
      family.note = "below " + std::to_string(options_.min_ssts) + " SSTs";
    }
  }
  judge_continuity();
  judge_left_alone();
  look_at_space();
}

}  // namespace

Look look_at(const OfflineOptions& options) {
  Look look;
  Looker(options, look).run();
  return look;
}

}  // namespace kstone::compact
