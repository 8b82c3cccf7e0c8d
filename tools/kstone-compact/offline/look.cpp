#include "look.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/options_util.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "bad_input.h"
#include "escape.h"
#include "identity.h"
#include "judge.h"
#include "looker.h"
#include "merge_operators.h"
#include "options_difference.h"
#include "options_file.h"
#include "unknown_options.h"

namespace kstone::compact {

namespace fs = std::filesystem;
using ::rocksdb::Status;

namespace {

std::string read_given(const std::string& options_file) {
  try {
    return read_text(options_file);
  } catch (const BadInput& error) {
    throw BadInput(std::string("--options-file ") + error.what());
  }
}

}  // namespace

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
  const auto text = options_.options_file.empty() ? own_text : read_given(options_.options_file);
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
  if (!status.ok() && !accept_unknown_options(shown, status)) {
    return false;
  }
  if (!status.ok()) {
    config.ignore_unknown_options = true;
    status = load();
  }
  if (!status.ok() || families.size() != text_.families.size()) {
    object("its options file " + shown + ", written by RocksDB " + escaped(plan_.rocksdb_version) +
               ", is not understood by " + ::rocksdb::GetRocksVersionAsString() + ": " +
               status.ToString(),
           "--options-file FILE");
    return false;
  }
  plan_.options.env = look_.env.get();
  for (std::size_t at = 0; at < families.size(); ++at) {
    FamilyPlan family;
    family.name = families[at].name;
    family.options = families[at].options;
    described_.push_back(std::move(family));
  }
  return true;
}

// Each of them is told, with its value, whether it is accepted or not.
bool Looker::accept_unknown_options(const std::string& file, const Status& status) {
  const auto unknown = unknown_options(text_);
  const auto by = ", written by RocksDB " + escaped(plan_.rocksdb_version) + ", ";
  const auto here = ::rocksdb::GetRocksVersionAsString();
  for (const auto& option : unknown) {
    if (option.changes_records) {
      object("its options file " + file + by + "has " + option.text() +
             ", which decides what records are, and which " + here + " does not know");
      return false;
    }
  }
  const auto what = "its options file " + file + by + "has options that " + here +
                    " does not know: " + (unknown.empty() ? status.ToString() : list_of(unknown));
  if (accepted_.covers("options")) {
    plan_.notes.push_back(what);
    return true;
  }
  object(what, "--accept-loss options, or --options-file FILE");
  return false;
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
      const auto name = [](const std::string& file) {
        return escaped(fs::path(file).filename().string());
      };
      object("its options file " + name(own.back()) + " says otherwise: " + difference + ", as " +
                 (is_own ? name(plan_.options_file) + ", the newer one, has it"
                         : "the one that was given has it"),
             "--options-file FILE, one of the folder's: " + escaped(own.back()) +
                 (is_own ? " or " + escaped(plan_.options_file) : ""));
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
    const auto text = status.ToString();
    const bool forbidden = text.find("Permission denied") != std::string::npos;
    throw BadInput(escaped(plan_.path) + (forbidden ? ": cannot be read: " : ": not a database: ") +
                   text);
  }
  const std::size_t objections = plan_.objections.size();
  find_lacking_names(text_.database, plan_.options, plan_, accepted_);
  for (const auto& name : names) {
    const auto found = std::find_if(described_.begin(), described_.end(),
                                    [&](const auto& f) { return f.name == name; });
    if (found == described_.end()) {
      object("its options file does not describe column family " + in_quotes(name),
             "--options-file FILE");
      continue;
    }
    plan_.families.push_back(*found);
    const auto& section = text_.families[static_cast<std::size_t>(found - described_.begin())];
    find_lacking_names(section, plan_.families.back(), plan_, accepted_);
    const auto value = section.options.find("merge_operator");
    auto& merge = plan_.families.back().options.merge_operator;
    merge = value == section.options.end() ? nullptr : described_operator(value->second);
    FamilyEvidence evidence;
    evidence.merge_name = object_name(section.options, "merge_operator");
    evidence.described = merge != nullptr;
    evidence_.families.push_back(std::move(evidence));
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
void Looker::check_names() {
  for (const auto& name : options_.families) {
    require_family("--column-family", name);
    const auto& skipped = options_.skip_families;
    if (std::find(skipped.begin(), skipped.end(), name) != skipped.end()) {
      throw BadInput("--column-family " + escaped(name) + ": --skip-family names it, too");
    }
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
    for (std::size_t at = 0; at < plan_.families.size(); ++at) {
      const auto& family = plan_.families[at].name;
      const auto& written = evidence_.families[at].merge_name;
      if ((family == name || escaped(family) == name) && !written.empty() &&
          !named_[name]->IsInstanceOf(written)) {
        throw BadInput("--merge-operator " + escaped(pair) + ": the options file names " +
                       in_quotes(written));
      }
    }
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

void Looker::read_families(const OpenDatabase& database) {
  plan_.files.clear();
  evidence_.last_sequence = database.db().GetLatestSequenceNumber();
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
    read_family(database, at);
  }
}

void Looker::read_family(const OpenDatabase& database, std::size_t at) {
  auto& family = plan_.families[at];
  auto& evidence = evidence_.families[at];
  ::rocksdb::ColumnFamilyMetaData metadata;
  database.db().GetColumnFamilyMetaData(database.handles()[at], &metadata);
  const auto place = [](const std::string& folder, const std::string& name) {
    std::error_code ignored;
    const auto canonical = fs::canonical(folder, ignored);
    return (canonical / fs::path(name).filename()).string();
  };
  family.looked_at = true;
  family.level_bytes.clear();
  evidence.last_sequence = 0;
  evidence.last_flushed = 0;
  family.ssts = 0;
  for (const auto& level : metadata.levels) {
    family.level_bytes.push_back(level.size);
    family.ssts += level.files.size();
    for (const auto& sst : level.files) {
      plan_.files.insert(place(sst.db_path, sst.name));
      std::error_code ignored;
      evidence_.has_links =
          evidence_.has_links || fs::hard_link_count(place(sst.db_path, sst.name), ignored) > 1;
      evidence.last_sequence = std::max(evidence.last_sequence, sst.largest_seqno);
      if (sst.smallest_seqno != sst.largest_seqno) {
        evidence.last_flushed = std::max(evidence.last_flushed, sst.largest_seqno);
      }
    }
  }
  family.blob_bytes = metadata.blob_file_size;
  for (const auto& blob : metadata.blob_files) {
    plan_.files.insert(place(blob.blob_file_path, blob.blob_file_name));
  }
  note_places(metadata, family);
  read_properties(database, at, metadata);
}

// A compaction of everything goes to one path. That is where the last level lies, whose place the
// owner's sizes have decided.
void Looker::note_places(const ::rocksdb::ColumnFamilyMetaData& metadata, FamilyPlan& family) {
  const auto& own = family.options.cf_paths;
  const auto& paths = own.empty() ? plan_.options.db_paths : own;
  family.first_place = paths.empty() ? plan_.path : paths.front().path;
  family.target_path = 0;
  family.target = family.first_place;
  std::map<std::string, std::uint64_t> bytes;  // of the last level that holds something
  for (const auto& level : metadata.levels) {
    bytes = level.files.empty() ? bytes : std::map<std::string, std::uint64_t>();
    for (const auto& sst : level.files) {
      bytes[sst.db_path] += sst.size;
    }
  }
  std::uint64_t most = 0;
  for (std::size_t path = 0; path < paths.size(); ++path) {
    const auto found = bytes.find(paths[path].path);
    if (found != bytes.end() && found->second > most) {
      most = found->second;
      family.target_path = static_cast<std::uint32_t>(path);
      family.target = paths[path].path;
    }
  }
  if (bytes.size() > 1) {
    compact::object(family, accepted_, "placement",
                    "its last level lies in " + std::to_string(bytes.size()) +
                        " of its paths, and all of it would go to " + escaped(family.target));
  }
}

void Looker::read_properties(const OpenDatabase& database, std::size_t at,
                             const ::rocksdb::ColumnFamilyMetaData& metadata) {
  auto& family = plan_.families[at];
  auto& evidence = evidence_.families[at];
  ::rocksdb::TablePropertiesCollection ssts;
  if (const auto status = database.db().GetPropertiesOfAllTables(database.handles()[at], &ssts);
      !status.ok()) {
    evidence.unreadable = "an SST cannot be read: " + status.ToString();
    return;
  }
  family.contents = contents_of(ssts);
  family.growth = growth_of(ssts, family);
  note_mergers(ssts, evidence);
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
  for (std::size_t at = 0; at < plan_.families.size(); ++at) {
    const auto& family = plan_.families[at].name;
    auto& evidence = evidence_.families[at];
    const auto named = std::find_if(named_.begin(), named_.end(), [&](const auto& pair) {
      return pair.first == family || pair.first == escaped(family);
    });
    auto& merge = plan_.families[at].options.merge_operator;
    if (named != named_.end()) {
      merge = named->second;
      evidence.named = true;
    } else if (merge == nullptr && !evidence.merge_name.empty()) {
      merge = refusing_operator(evidence.merge_name);
    }
  }
}

// Reads every value that would be merged, where a named operator's values have a known size.
void Looker::measure_named_merges() {
  std::map<std::size_t, OperandSizes> sizes;  // by place in the plan
  auto measured = plan_;
  for (std::size_t at = 0; at < plan_.families.size(); ++at) {
    const auto& evidence = evidence_.families[at];
    const bool merges = evidence.may_merge || evidence.wal.operands.count > 0;
    auto& merge = measured.families[at].options.merge_operator;
    if (evidence.named && merges && has_known_sizes(*merge)) {
      merge = measuring_operator(sizes[at]);
    }
  }
  if (sizes.empty()) {
    return;
  }
  OpenDatabase database;
  const auto opened = database.open_read_only(measured, measured.options);
  for (const auto& [at, found] : sizes) {
    const auto& family = plan_.families[at];
    auto status = opened;
    if (status.ok()) {
      status = database.read_all(family.name, OpenDatabase::Versions::all,
                                 [](const auto&) { return true; });
    }
    evidence_.families[at].misfit =
        status.ok() ? misfit(*family.options.merge_operator, found) : status.ToString();
  }
}

void Looker::gather() {
  look_at_owner(plan_, accepted_.covers("owner"));
  if (const auto backups = backups_of(plan_.path); !backups.empty()) {
    object("it is one of the backups in " + escaped(backups) + ", which share their files",
           "restoring it to a folder of its own, and compacting that");
    return;
  }
  if (!read_options_file() || !match_families()) {
    return;
  }
  check_names();
  const auto places = find_places(options_, text_, plan_);
  take_paths(places);
  for (const auto& place : plan_.places) {
    if (const auto danger = danger_to_root(place); !danger.empty()) {
      object(danger, "running this as the owner of the folder, or chown and chmod go-w");
    }
  }
  if (!plan_.objections.empty() || !read_wal(places)) {
    return;
  }
  look_at_access_lists();
  for (std::size_t at = 0; at < plan_.families.size(); ++at) {
    auto& evidence = evidence_.families[at];
    evidence.wal = wal_->of(plan_.families[at].name);
    evidence.wal_is_older = numbers_tell() && evidence.wal.first_sequence <= evidence.last_flushed;
  }
  take_merge_operators();
  measure_named_merges();
  for (const auto& place : plan_.places) {
    if (const auto why = not_writable(place); !why.empty()) {
      object(why);
    }
  }
  if (const auto why = not_lockable(plan_.path); !why.empty()) {
    object(why);
  }
}

// New files have the modes of those that they replace, and not their lists; and what a list allows,
// the mode of its file does not say. Default lists give new files what the old ones may not have.
void Looker::look_at_access_lists() {
  const auto object_to = [&](const auto& paths, const char* list, const std::string& what) {
    const auto found = std::find_if(paths.begin(), paths.end(), [list](const std::string& path) {
      return getxattr(path.c_str(), list, nullptr, 0) > 0;
    });
    if (found != paths.end()) {
      object(escaped(*found) + what,
             "removing the lists before (setfacl -R -b), and setting them again afterwards");
    }
  };
  object_to(plan_.files, "system.posix_acl_access",
            " has an access control list, which new files would not have");
  object_to(plan_.places, "system.posix_acl_default",
            " has a default access control list, which new files would have, whatever the old ones "
            "have");
}

void Looker::run() {
  plan_.path = require_database(options_.path);
  become_owner(plan_.path);
  require_unlocked(plan_.path);
  look_.enclosure = std::make_shared<Enclosure>(::rocksdb::FileSystem::Default(), plan_.path,
                                                accepted_.covers("owner"));
  look_.env = ::rocksdb::NewCompositeEnv(look_.enclosure);
  if (!options_.plan && fs::exists(plan_.path + "/LOCK")) {
    require_lock(*look_.enclosure, plan_.path);
  }
  gather();
  evidence_.objections = plan_.objections;
  for (std::size_t at = 0; at < plan_.families.size(); ++at) {
    evidence_.families[at].objections = plan_.families[at].objections;
  }
  judge(options_, evidence_, plan_);
  if (!look_.enclosure->know(plan_.places, plan_.files)) {
    throw BadInput(escaped(plan_.path) + another_folder);
  }
}

Look look_at(const OfflineOptions& options) {
  Look look;
  Looker(options, look).run();
  return look;
}

}  // namespace kstone::compact
