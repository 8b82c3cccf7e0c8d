#include "enclosure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;
using ::rocksdb::IOStatus;

// RocksDB closes what it has locked; the lock itself stays with the enclosure.
struct LockOfAnother final : ::rocksdb::FileLock {};

bool exists(const std::string& place) {
  struct stat status{};
  return lstat(place.c_str(), &status) == 0;
}

// A file that is written through this name alone: no link leads out of the folder or to a copy.
bool is_plain(const std::string& place) {
  struct stat status{};
  return lstat(place.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

std::string name_of(const std::string& place) { return fs::path(place).filename().string(); }

// What a crash leaves half written, under a name that RocksDB takes again.
bool is_leftover(const std::string& place) {
  const auto name = name_of(place);
  return name.ends_with(".dbtmp") || name.ends_with(".log") || name.starts_with("MANIFEST-");
}

// As files of the same kind are named. CURRENT is made under another name.
std::string kind_of(const std::string& place) {
  const auto name = name_of(place);
  const auto ending = fs::path(name).extension().string();
  return name.starts_with("MANIFEST-") ? "MANIFEST"
         : ending == ".dbtmp"          ? "CURRENT"
         : ending.empty()              ? name
                                       : ending;
}

bool belongs_to_the_owner(const std::string& place) {
  const auto name = name_of(place);
  return name.starts_with("OPTIONS-") || name.starts_with("LOG");
}

// Of a file or folder itself, never of what a link leads to.
class Descriptor {
 public:
  Descriptor(const std::string& place, int flags)
      : number_(open(place.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags)) {}
  ~Descriptor() {
    if (number_ >= 0) {
      close(number_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }

 private:
  const int number_;
};

}  // namespace

class Enclosure::WatchedReader final : public ::rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  WatchedReader(const Enclosure& enclosure, std::string path,
                std::unique_ptr<::rocksdb::FSRandomAccessFile>&& file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)),
        enclosure_(enclosure),
        path_(std::move(path)) {}

  IOStatus Read(std::uint64_t offset, std::size_t size, const Options& options,
                ::rocksdb::Slice* result, char* scratch, Debug* debug) const override {
    return enclosure_.note_read(
        path_, FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch, debug));
  }
  IOStatus MultiRead(::rocksdb::FSReadRequest* requests, std::size_t count, const Options& options,
                     Debug* debug) override {
    auto status = FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, debug);
    for (std::size_t at = 0; at < count; ++at) {
      enclosure_.note_read(path_, requests[at].status).PermitUncheckedError();
    }
    return enclosure_.note_read(path_, std::move(status));
  }

 private:
  const Enclosure& enclosure_;
  const std::string path_;
};

class Enclosure::WatchedWriter final : public ::rocksdb::FSWritableFileOwnerWrapper {
 public:
  WatchedWriter(const Enclosure& enclosure, WritableFile&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), enclosure_(enclosure) {}

  IOStatus Append(const ::rocksdb::Slice& data, const Options& options, Debug* debug) override {
    auto status = enclosure_.may_write();
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, debug) : status;
  }
  IOStatus Append(const ::rocksdb::Slice& data, const Options& options,
                  const ::rocksdb::DataVerificationInfo& info, Debug* debug) override {
    auto status = enclosure_.may_write();
    return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, info, debug) : status;
  }

 private:
  const Enclosure& enclosure_;
};

void Enclosure::watch_reads(bool stops_writes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  unreadable_.clear();
  stops_writes_ = stops_writes;
}

std::string Enclosure::unreadable() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return unreadable_;
}

std::string Enclosure::undeleted() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return undeleted_;
}

IOStatus Enclosure::note_read(const std::string& path, IOStatus status) const {
  if (!status.ok() && (path.ends_with(".sst") || path.ends_with(".blob"))) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (unreadable_.empty()) {
      unreadable_ = status.ToString();
    }
  }
  return status;
}

IOStatus Enclosure::may_write() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stops_writes_ && !unreadable_.empty()
             ? IOStatus::IOError("nothing is written once an SST cannot be read", unreadable_)
             : IOStatus::OK();
}

IOStatus Enclosure::NewRandomAccessFile(const std::string& path, const FileOptions& options,
                                        std::unique_ptr<::rocksdb::FSRandomAccessFile>* result,
                                        Debug* debug) {
  auto status =
      note_read(path, FileSystemWrapper::NewRandomAccessFile(path, options, result, debug));
  if (status.ok()) {
    *result = std::make_unique<WatchedReader>(*this, path, std::move(*result));
  }
  return status;
}

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [in_root, in_path] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return in_root == root.end();
}

Enclosure::Enclosure(std::shared_ptr<::rocksdb::FileSystem> target, std::string folder,
                     bool any_owner)
    : FileSystemWrapper(std::move(target)),
      folder_(std::move(folder)),
      looked_at_(identity_of(folder_)),
      any_owner_(any_owner) {}

Enclosure::~Enclosure() {
  if (lock_ != nullptr) {
    target()->UnlockFile(lock_, {}, nullptr).PermitUncheckedError();
  }
}

IOStatus Enclosure::lock() {
  const auto file = folder_ + "/LOCK";
  const bool is_new = !exists(file);
  if (!is_new && !is_plain(file)) {
    return IOStatus::NotSupported(file +
                                  ": not a plain file, or one with several names (removing "
                                  "it, if nobody has the database open: the next to open "
                                  "it makes another)");
  }
  if (is_new) {
    // Who closes a file that it has locked gives up the lock. So it is made and given away first.
    const int made = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (made < 0) {
      return IOStatus::IOError(file, std::strerror(errno));
    }
    close(made);
    if (auto status = adopt(file, false); !status.ok()) {
      return status;
    }
  }
  return target()->LockFile(file, {}, &lock_, nullptr);
}

Enclosure::Identity Enclosure::identity_of(const std::string& place) {
  struct stat status{};
  return lstat(place.c_str(), &status) == 0 ? Identity{status.st_dev, status.st_ino} : Identity{};
}

bool Enclosure::know(const std::vector<std::string>& roots, const std::set<std::string>& database) {
  for (const auto& root : roots) {
    roots_[root] = identity_of(root);
  }
  struct stat current{};
  const bool known = stat((folder_ + "/CURRENT").c_str(), &current) == 0;
  for (const auto& file : database) {
    struct stat status{};
    if (lstat(file.c_str(), &status) != 0) {
      continue;
    }
    database_[file] = Identity{status.st_dev, status.st_ino};
    // Those of a link are its target's.
    if (stat(file.c_str(), &status) == 0) {
      const bool same_group = known && status.st_gid == current.st_gid;
      const auto mode = status.st_mode & (same_group ? 0666U : 0606U);
      const auto [at, is_first] = modes_.try_emplace(kind_of(file), mode);
      at->second &= mode;
    }
  }
  return identity_of(folder_) == looked_at_;
}

bool Enclosure::work() {
  working_ = std::all_of(roots_.begin(), roots_.end(),
                         [](const auto& root) { return identity_of(root.first) == root.second; });
  return working_;
}

// Of what replaces a file of the same kind; the first of a kind may be read by those alone who can
// read all others.
mode_t Enclosure::mode_of_new(const std::string& place) const {
  struct stat root{};
  struct stat current{};
  if (stat(folder_.c_str(), &root) != 0 || stat((folder_ + "/CURRENT").c_str(), &current) != 0) {
    return 0;
  }
  mode_t mode = current.st_mode;
  if (const auto found = modes_.find(kind_of(place)); found != modes_.end()) {
    mode = found->second;
  } else {
    for (const auto& [kind, of_kind] : modes_) {
      mode &= of_kind;
    }
  }
  return mode & root.st_mode & 0666U;
}

std::string Enclosure::refused() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return refused_;
}

IOStatus Enclosure::refuse(const std::string& call, const std::string& path,
                           const std::string& why) {
  const auto text = call + " " + path + ": " + why;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (working_ && refused_.empty()) {
    refused_ = text;
  }
  return IOStatus::NotSupported(text);
}

IOStatus Enclosure::place(const std::string& call, const std::string& path, std::string& result) {
  if (!working_) {
    return refuse(call, path, "only looking");
  }
  std::error_code error;
  const fs::path given(path);
  const auto name = given.filename();
  const auto folder =
      fs::canonical(name.empty() ? given : fs::absolute(given).parent_path(), error);
  if (error) {
    return refuse(call, path, error.message());
  }
  const auto whole = name.empty() ? folder : folder / name;
  result = whole.string();
  for (const auto& [root, identity] : roots_) {
    if (is_below(whole, root)) {
      return identity_of(root) == identity
                 ? IOStatus::OK()
                 : refuse(call, path, "another folder has taken the place of " + root);
    }
  }
  return refuse(call, path, "lies outside of the database's folder");
}

bool Enclosure::is_made(const std::string& place) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return made_.contains(place);
}

bool Enclosure::is_replaceable(const std::string& place) const {
  const auto found = database_.find(place);
  return (found != database_.end() && identity_of(place) == found->second) || is_made(place);
}

IOStatus Enclosure::adopt(const std::string& place, bool folder) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    made_.insert(place);
  }
  struct stat root{};
  struct stat current{};
  if (stat(folder_.c_str(), &root) != 0 || stat((folder_ + "/CURRENT").c_str(), &current) != 0) {
    return IOStatus::IOError(folder_, std::strerror(errno));
  }
  const mode_t mode = folder ? root.st_mode & 07777U : mode_of_new(place);
  const Descriptor file(place, folder ? O_DIRECTORY : O_NONBLOCK);
  struct stat made{};
  const bool open = file.number() >= 0 && fstat(file.number(), &made) == 0 &&
                    (folder || (S_ISREG(made.st_mode) && made.st_nlink == 1));
  const bool given = open && ((made.st_uid == current.st_uid && made.st_gid == current.st_gid) ||
                              fchown(file.number(), current.st_uid, current.st_gid) == 0);
  if ((open && (given || any_owner_)) &&
      fchmod(file.number(), mode | static_cast<unsigned>(S_IRUSR | S_IWUSR)) == 0) {
    return IOStatus::OK();
  }
  const std::string why = std::strerror(errno);
  folder ? rmdir(place.c_str()) : unlink(place.c_str());
  return IOStatus::IOError("give " + place + " to its owner", why);
}

IOStatus Enclosure::NewWritableFile(const std::string& path, const FileOptions& options,
                                    WritableFile* result, Debug* debug) {
  std::string where;
  if (auto status = place("create", path, where); !status.ok()) {
    return status;
  }
  if (belongs_to_the_owner(where)) {
    // RocksDB writes a new options file at each open, and ours would tell the owner's programs to
    // leave automatic compactions off. That it could not is a line in a log that nobody keeps.
    return IOStatus::NotSupported("options files and logs belong to the database's owner");
  }
  const bool leftover = is_leftover(where) && is_plain(where) && !database_.contains(where);
  if (exists(where) && !is_made(where) && !leftover) {
    return refuse("create", path, "is there already");
  }
  auto status = FileSystemWrapper::NewWritableFile(path, options, result, debug);
  if (status.ok()) {
    status = adopt(where, false);
  }
  if (!status.ok()) {
    result->reset();
    return status;
  }
  *result = std::make_unique<WatchedWriter>(*this, std::move(*result));
  return status;
}

IOStatus Enclosure::ReopenWritableFile(const std::string& path, const FileOptions& options,
                                       WritableFile* result, Debug* debug) {
  std::string where;
  if (auto status = place("reopen", path, where); !status.ok()) {
    return status;
  }
  if (!is_replaceable(where) || !is_plain(where)) {
    return IOStatus::NotSupported("reopen " + path + ": a link, or no part of the database");
  }
  return FileSystemWrapper::ReopenWritableFile(path, options, result, debug);
}

IOStatus Enclosure::ReuseWritableFile(const std::string& path, const std::string&,
                                      const FileOptions&, WritableFile*, Debug*) {
  return refuse("reuse", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewRandomRWFile(const std::string& path, const FileOptions&,
                                    std::unique_ptr<::rocksdb::FSRandomRWFile>*, Debug*) {
  return refuse("write into", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewMemoryMappedFileBuffer(const std::string& path,
                                              std::unique_ptr<::rocksdb::MemoryMappedFileBuffer>*) {
  return refuse("map", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewDirectory(const std::string& path, const Options& options,
                                 std::unique_ptr<::rocksdb::FSDirectory>* result, Debug* debug) {
  std::string where;
  auto status = place("open", path, where);
  return status.ok() ? FileSystemWrapper::NewDirectory(path, options, result, debug) : status;
}

bool Enclosure::is_manifest_in_use(const fs::path& file) const {
  const auto name = file.filename().string();
  if (!name.starts_with("MANIFEST-")) {
    return false;
  }
  std::ifstream current(folder_ + "/CURRENT", std::ios::binary);
  std::string in_use;
  std::getline(current, in_use);
  return name == in_use;
}

IOStatus Enclosure::DeleteFile(const std::string& path, const Options& options, Debug* debug) {
  std::string where;
  if (auto status = place("delete", path, where); !status.ok()) {
    return status;
  }
  // It stays: RocksDB would only log that it could not be deleted. Where a disk is full,
  // RocksDB 7.8 may want to delete the manifest that is in use.
  if (!is_replaceable(where) || is_manifest_in_use(where)) {
    return IOStatus::OK();
  }
  auto status = FileSystemWrapper::DeleteFile(path, options, debug);
  if (!status.ok() && exists(where)) {
    const std::lock_guard<std::mutex> lock(mutex_);
    undeleted_ = undeleted_.empty() ? status.ToString() : undeleted_;
  }
  return status;
}

IOStatus Enclosure::Truncate(const std::string& path, std::size_t, const Options&, Debug*) {
  return refuse("truncate", path, "a file of the database is never written over");
}

IOStatus Enclosure::CreateDir(const std::string& path, const Options& options, Debug* debug) {
  std::string where;
  if (auto status = place("create", path, where); !status.ok()) {
    return status;
  }
  auto status = FileSystemWrapper::CreateDir(path, options, debug);
  return status.ok() ? adopt(where, true) : status;
}

IOStatus Enclosure::CreateDirIfMissing(const std::string& path, const Options& options,
                                       Debug* debug) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? IOStatus::OK() : CreateDir(path, options, debug);
}

IOStatus Enclosure::DeleteDir(const std::string& path, const Options&, Debug*) {
  return refuse("delete", path, "no folder is ever deleted");
}

IOStatus Enclosure::RenameFile(const std::string& from, const std::string& to,
                               const Options& options, Debug* debug) {
  std::string source;
  std::string target;
  if (auto status = place("rename", from, source); !status.ok()) {
    return status;
  }
  if (auto status = place("rename to", to, target); !status.ok()) {
    return status;
  }
  if (!is_replaceable(source) &&
      std::filesystem::path(target).parent_path().filename() == "archive") {
    // A WAL that an earlier run left when it was killed: it stays, as in DeleteFile. RocksDB would
    // move it only once it is of no use.
    return IOStatus::OK();
  }
  const auto name = name_of(target);
  const bool replaces = name == "CURRENT" || name == "IDENTITY";
  if (!is_replaceable(source) || belongs_to_the_owner(target) ||
      (exists(target) && !replaces && !is_made(target))) {
    return refuse("rename " + from + " to", to, "no part of the database");
  }
  auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (status.ok()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    made_.insert(target);
  }
  return status;
}

IOStatus Enclosure::LinkFile(const std::string&, const std::string& to, const Options&, Debug*) {
  return refuse("link", to, "no link is ever made");
}

IOStatus Enclosure::LockFile(const std::string& path, const Options&, ::rocksdb::FileLock** lock,
                             Debug*) {
  std::string where;
  if (auto status = place("lock", path, where); !status.ok()) {
    return status;
  }
  if (lock_ == nullptr || where != folder_ + "/LOCK") {
    return refuse("lock", path, "not the lock of the database");
  }
  *lock = new LockOfAnother;
  return IOStatus::OK();
}

IOStatus Enclosure::UnlockFile(::rocksdb::FileLock* lock, const Options&, Debug*) {
  delete static_cast<LockOfAnother*>(lock);
  return IOStatus::OK();
}

IOStatus Enclosure::NewLogger(const std::string& path, const Options&,
                              std::shared_ptr<::rocksdb::Logger>*, Debug*) {
  return refuse("log to", path, "the owner's logs stay as they are");
}

}  // namespace kstone::compact
