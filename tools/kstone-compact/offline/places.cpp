#include "places.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "bad_input.h"
#include "enclosure.h"
#include "escape.h"

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) {
    throw BadInput(folder + ": " + error.message());
  }
  return names;
}

// The number of PREFIX NUMBER SUFFIX.
std::optional<std::uint64_t> number_of(std::string_view name, std::string_view prefix,
                                       std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
      name.size() <= prefix.size() + suffix.size()) {
    return std::nullopt;
  }
  name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  std::uint64_t number = 0;
  const auto end = name.data() + name.size();
  const auto read = std::from_chars(name.data(), end, number);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

bool has_file(const std::string& folder, const std::string& name) {
  std::error_code ignored;
  return fs::exists(fs::path(folder) / name, ignored);
}

bool says_rocksdb(const std::string& log) {
  std::ifstream in(log, std::ios::binary);
  std::string start(4096, '\0');
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  return start.find("RocksDB") != std::string::npos;
}

// Whoever opens such a file may wait for ever.
void require_plain_files(const std::string& folder) {
  for (const auto& name : names_in(folder)) {
    const bool is_of_a_database = name == "CURRENT" || name == "IDENTITY" ||
                                  name.starts_with("LOG") || name.starts_with("MANIFEST-") ||
                                  name.starts_with("OPTIONS-") || name.ends_with(".log") ||
                                  name.ends_with(".sst") || name.ends_with(".blob");
    std::error_code ignored;
    if (is_of_a_database && fs::is_other(fs::path(folder) / name, ignored)) {
      throw BadInput(escaped(folder) + ": its " + escaped(name) +
                     " is not a plain file, and opening it might never end");
    }
  }
}

std::string require_folder(const std::string& option, const std::string& path) {
  std::error_code error;
  const auto place = fs::canonical(path, error);
  if (path.empty() || error || !fs::is_directory(place, error)) {
    throw BadInput(option + " " + escaped(path) + ": " +
                   (error ? error.message() : "not a folder"));
  }
  return place.string();
}

// A folder that somebody named, which must not be another database's, or a backup's.
void refuse_other_database(const std::string& place, Plan& plan) {
  if (const auto backups = backups_of(place); !backups.empty()) {
    plan.objections.push_back({escaped(place) + " holds files of the backups in " +
                                   escaped(backups) + ", which share them",
                               "restoring a backup to a folder of its own"});
  }
  if (place != plan.path && has_file(place, "CURRENT")) {
    plan.objections.push_back({escaped(place) + " holds another database", ""});
  }
}

class WalPlace {
 public:
  WalPlace(const std::string& named, std::string written, Plan& plan, Places& places)
      : named_(named), written_(std::move(written)), plan_(plan), places_(places) {}

  void find() {
    places_.wal_dir = plan_.path;
    if (!named_.empty()) {
      places_.wal_dir = require_folder("--wal-dir", named_);
      refuse_other_database(places_.wal_dir, plan_);
    } else if (written_.empty()) {
      return;
    } else if (!fs::path(written_).is_absolute()) {
      object("is relative to where the owner's program runs", "--wal-dir PATH");
    } else {
      find_absolute();
    }
  }

 private:
  void find_absolute() {
    std::error_code error;
    const auto place = fs::canonical(written_, error);
    if (error) {
      find_gone();
    } else if (is_below(place, plan_.path)) {
      places_.wal_dir = place.string();
      refuse_other_database(places_.wal_dir, plan_);
    } else {
      object("lies outside of the folder, and may belong to another database",
             "--wal-dir " + escaped(written_) + " if this database's WAL is there, --wal-dir " +
                 escaped(plan_.path) + " if it is in the folder itself");
    }
  }
  // The database was moved. Its log moved along with it, or it is not whole.
  void find_gone() {
    if (logs_in(plan_.path).empty()) {
      object("is gone, and there is no WAL in the folder itself", "--wal-dir PATH");
    } else {
      places_.wal_dir_is_gone = true;
      plan_.notes.push_back("wal_dir " + escaped(written_) +
                            " of the options file is gone; the WAL in the folder itself is taken");
    }
  }
  void object(const std::string& why, const std::string& accept) {
    plan_.objections.push_back(
        {"wal_dir " + escaped(written_) + " of the options file " + why, accept});
  }

  const std::string& named_;
  const std::string written_;  // in the options file
  Plan& plan_;
  Places& places_;
};

void add_root(Places& places, const std::string& place) {
  if (std::find(places.roots.begin(), places.roots.end(), place) == places.roots.end()) {
    require_plain_files(place);
    places.roots.push_back(place);
  }
}

::rocksdb::DbPath named_path(const std::string& option, const std::string& path, Plan& plan,
                             Places& places) {
  const auto place = require_folder(option, path);
  refuse_other_database(place, plan);
  add_root(places, place);
  return {place, UINT64_MAX};
}

bool is_own_group(gid_t group) {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
  const auto count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  return group == getegid() || std::find(groups.begin(), groups.end(), group) != groups.end();
}

// By the capability, which root in a container may lack.
bool may_give_files_away() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "CapEff:") {
      unsigned long long capabilities = 0;
      status >> std::hex >> capabilities;
      constexpr int cap_chown = 0;
      return (capabilities >> cap_chown & 1) != 0;
    }
  }
  return geteuid() == 0;
}

template <typename Number, typename Entry>
std::string name_or_number(Number number, Entry* entry, char* Entry::* name) {
  return entry == nullptr ? std::to_string(number) : entry->*name;
}

}  // namespace

std::string require_database(const std::string& path) {
  std::error_code error;
  const auto shown = path.empty() ? "''" : escaped(path);
  const auto status = fs::status(path, error);
  if (path.empty() || status.type() == fs::file_type::not_found) {
    throw BadInput(shown + ": no such path");
  }
  if (error) {
    throw BadInput(shown + ": " + error.message());
  }
  if (!fs::is_directory(status)) {
    throw BadInput(shown + ": not a database: not a folder");
  }
  const bool has_current = fs::exists(fs::path(path) / "CURRENT", error);
  if (error) {
    throw BadInput(shown + ": " + error.message());
  }
  if (!has_current) {
    throw BadInput(shown + ": not a database: it has no file CURRENT");
  }
  const auto place = fs::canonical(path, error);
  if (error) {
    throw BadInput(shown + ": its place in the file system cannot be found: " + error.message());
  }
  require_plain_files(place.string());
  return place.string();
}

void require_unlocked(const std::string& folder) {
  struct stat status{};
  if (lstat((folder + "/LOCK").c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw BadInput(escaped(folder) +
                   ": its LOCK is not a plain file (removing it, if nobody has "
                   "the database open: the next to open it makes another)");
  }
  const int file = open((folder + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;  // who has it open has made it
  }
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool asked = fcntl(file, F_GETLK, &lock) == 0;
  close(file);
  if (asked && lock.l_type != F_UNLCK) {
    throw BadInput(escaped(folder) + ": locked by another process: " + std::to_string(lock.l_pid));
  }
}

std::string other_engine(const std::string& folder, const std::string& options) {
  if (options.find("pebble_version=") != std::string::npos) {
    return "a Pebble database";
  }
  if (has_file(folder, "titandb")) {
    return "a Titan database: its values lie in titandb";
  }
  const auto names = names_in(folder);
  const auto any = [&](const auto& is) { return std::any_of(names.begin(), names.end(), is); };
  if (has_file(folder, "blob_dir")) {
    return "a database of the old stacked BlobDB: its values lie in blob_dir";
  }
  if (any([](const auto& name) {
        return name.starts_with("marker.") || name.ends_with(".pebble");
      })) {
    return "a Pebble database";
  }
  if (any([](const auto& name) { return name.ends_with(".ldb"); })) {
    return "a LevelDB database";
  }
  if (!options.empty() || has_file(folder, "IDENTITY") || says_rocksdb(folder + "/LOG")) {
    return "";
  }
  return has_file(folder, "LOG")
             ? "a LevelDB database"
             : "a LevelDB database, or one of RocksDB that lacks its options file, "
               "IDENTITY and LOG";
}

std::string backups_of(const std::string& place) {
  std::error_code ignored;
  const auto is_root = [&](const fs::path& folder) {
    return fs::is_directory(folder / "meta", ignored) &&
           fs::is_directory(folder / "private", ignored);
  };
  const fs::path path(place);
  const auto name = path.filename().string();
  const auto parent = path.parent_path();
  const auto root = parent.filename() == "private" ? parent.parent_path() : parent;
  const bool is_backup = parent.filename() == "private" && number_of(name + ".", "", ".");
  const bool is_shared =
      name == "shared" || name == "shared_checksum" || name == "private" || name == "meta";
  if ((is_backup || (is_shared && root == parent)) && is_root(root)) {
    return root.string();
  }
  return is_root(path) && (fs::is_directory(path / "shared", ignored) ||
                           fs::is_directory(path / "shared_checksum", ignored))
             ? place
             : "";
}

std::string read_text(const std::string& path) {
  std::error_code error;
  constexpr std::uintmax_t enough = 64 << 20;
  if (fs::exists(path, error) &&
      (!fs::is_regular_file(path, error) || fs::file_size(path, error) > enough)) {
    throw BadInput(escaped(path) + ": cannot be read: not a plain file, or larger than 64 MiB");
  }
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in.is_open() || in.bad()) {
    throw BadInput(escaped(path) + ": cannot be read");
  }
  return text;
}

std::vector<std::string> options_files(const std::string& folder) {
  std::map<std::uint64_t, std::string> files;
  for (const auto& name : names_in(folder)) {
    if (const auto number = number_of(name, "OPTIONS-", "")) {
      files[*number] = folder + "/" + name;
    }
  }
  std::vector<std::string> paths;
  for (const auto& [number, path] : files) {
    paths.push_back(path);
  }
  return paths;
}

Places find_places(const OfflineOptions& options, const OptionsText& text, Plan& plan) {
  Places places;
  places.roots = {plan.path};
  const auto written = text.database.find("wal_dir");
  WalPlace(options.wal_dir, written == text.database.end() ? "" : unescaped(written->second), plan,
           places)
      .find();
  add_root(places, places.wal_dir);
  for (const auto& path : options.db_paths) {
    places.db_paths.push_back(named_path("--db-path", path, plan, places));
  }
  for (const auto& pair : options.cf_paths) {
    const auto [family, path] = split_pair("--cf-path", pair, plan);
    places.cf_paths[family].push_back(named_path("--cf-path", path, plan, places));
  }
  return places;
}

std::pair<std::string, std::string> split_pair(const std::string& option, const std::string& text,
                                               const Plan& plan) {
  std::size_t equals = text.find('=');
  for (const auto& family : plan.families) {
    for (const auto& name : {family.name, escaped(family.name)}) {
      if (text.starts_with(name + "=")) {
        equals = name.size();
      }
    }
  }
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw BadInput(option + " " + escaped(text) + ": expected FAMILY=VALUE");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::set<std::uint64_t> logs_in(const std::string& folder) {
  std::set<std::uint64_t> numbers;
  for (const auto& name : names_in(folder)) {
    if (const auto number = number_of(name, "", ".log")) {
      numbers.insert(*number);
    }
  }
  return numbers;
}

std::string log_path(const std::string& folder, std::uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "/%06llu.log", static_cast<unsigned long long>(number));
  return folder + name;
}

void look_at_owner(Plan& plan, bool accepted) {
  struct stat current{};
  if (stat((plan.path + "/CURRENT").c_str(), &current) != 0) {
    return;
  }
  plan.owner = name_or_number(current.st_uid, getpwuid(current.st_uid), &passwd::pw_name) + ":" +
               name_or_number(current.st_gid, getgrgid(current.st_gid), &group::gr_name);
  const bool own = geteuid() == current.st_uid && is_own_group(current.st_gid);
  if (!own && !may_give_files_away() && !accepted) {
    plan.objections.push_back({"its files belong to " + plan.owner + ", and new ones would not",
                               "running this as that user or root, or --accept-loss owner"});
  }
}

}  // namespace kstone::compact
