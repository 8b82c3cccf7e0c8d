#include "enclosure.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
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
  struct stat status {};
  return lstat(place.c_str(), &status) == 0;
}

// A file that is written through this name alone: no link leads out of the folder or to a copy.
bool is_plain(const std::string& place) {
  struct stat status {};
  return lstat(place.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

std::string name_of(const std::string& place) { return fs::path(place).filename().string(); }

// What a crash leaves half written, under a name that RocksDB takes again.
bool is_leftover(const std::string& place) {
  const auto name = name_of(place);
  return name.ends_with(".dbtmp") || name.ends_with(".log") || name.starts_with("MANIFEST-");
}

bool belongs_to_the_owner(const std::string& place) {
  const auto name = name_of(place);
  return name.starts_with("OPTIONS-") || name.starts_with("LOG");
}

}  // namespace

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [in_root, in_path] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return in_root == root.end();
}

Enclosure::Enclosure(std::shared_ptr<::rocksdb::FileSystem> target, std::string folder)
    : FileSystemWrapper(std::move(target)), folder_(std::move(folder)) {}

Enclosure::~Enclosure() {
  if (lock_ != nullptr) {
    target()->UnlockFile(lock_, {}, nullptr).PermitUncheckedError();
  }
}

IOStatus Enclosure::lock() { return target()->LockFile(folder_ + "/LOCK", {}, &lock_, nullptr); }

void Enclosure::work(const std::vector<std::string>& roots, const std::set<std::string>& database) {
  roots_ = roots;
  ours_.insert(database.begin(), database.end());
  working_ = true;
}

std::string Enclosure::refused() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return refused_;
}

IOStatus Enclosure::refuse(const std::string& call, const std::string& path, const std::string& why) {
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
  const auto folder = fs::canonical(name.empty() ? given : fs::absolute(given).parent_path(), error);
  if (error) {
    return refuse(call, path, error.message());
  }
  const auto whole = name.empty() ? folder : folder / name;
  result = whole.string();
  if (std::none_of(roots_.begin(), roots_.end(), [&](const auto& root) { return is_below(whole, root); })) {
    return refuse(call, path, "lies outside of the database's folder");
  }
  return IOStatus::OK();
}

bool Enclosure::is_ours(const std::string& place) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return ours_.contains(place);
}

void Enclosure::make_ours(const std::string& place) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ours_.insert(place);
}

void Enclosure::adopt(const std::string& place, bool folder) {
  struct stat root {};
  if (stat(folder_.c_str(), &root) != 0) {
    return;
  }
  // Who may not give a file away was told so before the work began, and accepted it.
  [[maybe_unused]] const int given = lchown(place.c_str(), root.st_uid, root.st_gid);
  const mode_t mode = root.st_mode & (folder ? 07777U : 0666U);
  chmod(place.c_str(), mode | (folder ? 0U : static_cast<unsigned>(S_IRUSR | S_IWUSR)));
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
  if (exists(where) && !is_ours(where) && !(is_leftover(where) && is_plain(where))) {
    return refuse("create", path, "is there already, and no part of the database");
  }
  if (exists(where) && !is_plain(where)) {
    return refuse("create", path, "is there already, and a link");
  }
  auto status = FileSystemWrapper::NewWritableFile(path, options, result, debug);
  if (status.ok()) {
    make_ours(where);
    adopt(where, false);
  }
  return status;
}

IOStatus Enclosure::ReopenWritableFile(const std::string& path, const FileOptions& options,
                                       WritableFile* result, Debug* debug) {
  std::string where;
  if (auto status = place("reopen", path, where); !status.ok()) {
    return status;
  }
  if (!is_ours(where) || !is_plain(where)) {
    return IOStatus::NotSupported("reopen " + path + ": a link, or no part of the database");
  }
  return FileSystemWrapper::ReopenWritableFile(path, options, result, debug);
}

IOStatus Enclosure::ReuseWritableFile(const std::string& path, const std::string&, const FileOptions&,
                                      WritableFile*, Debug*) {
  return refuse("reuse", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewRandomRWFile(const std::string& path, const FileOptions&,
                                    std::unique_ptr<::rocksdb::FSRandomRWFile>*, Debug*) {
  return refuse("write into", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewMemoryMappedFileBuffer(
    const std::string& path, std::unique_ptr<::rocksdb::MemoryMappedFileBuffer>*) {
  return refuse("map", path, "a file of the database is never written over");
}

IOStatus Enclosure::NewDirectory(const std::string& path, const Options& options,
                                 std::unique_ptr<::rocksdb::FSDirectory>* result, Debug* debug) {
  std::string where;
  auto status = place("open", path, where);
  return status.ok() ? FileSystemWrapper::NewDirectory(path, options, result, debug) : status;
}

IOStatus Enclosure::DeleteFile(const std::string& path, const Options& options, Debug* debug) {
  std::string where;
  if (auto status = place("delete", path, where); !status.ok()) {
    return status;
  }
  if (!is_ours(where)) {
    return IOStatus::OK();  // it stays: RocksDB would only log that it could not be deleted
  }
  return FileSystemWrapper::DeleteFile(path, options, debug);
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
  if (status.ok()) {
    adopt(where, true);
  }
  return status;
}

IOStatus Enclosure::CreateDirIfMissing(const std::string& path, const Options& options, Debug* debug) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? IOStatus::OK() : CreateDir(path, options, debug);
}

IOStatus Enclosure::DeleteDir(const std::string& path, const Options&, Debug*) {
  return refuse("delete", path, "no folder is ever deleted");
}

IOStatus Enclosure::RenameFile(const std::string& from, const std::string& to, const Options& options,
                               Debug* debug) {
  std::string source;
  std::string target;
  if (auto status = place("rename", from, source); !status.ok()) {
    return status;
  }
  if (auto status = place("rename to", to, target); !status.ok()) {
    return status;
  }
  const auto name = name_of(target);
  const bool replaces = name == "CURRENT" || name == "IDENTITY";
  if (!is_ours(source) || belongs_to_the_owner(target) || (exists(target) && !replaces && !is_ours(target))) {
    return refuse("rename " + from + " to", to, "no part of the database");
  }
  auto status = FileSystemWrapper::RenameFile(from, to, options, debug);
  if (status.ok()) {
    make_ours(target);
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
