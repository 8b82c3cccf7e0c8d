#include "offline_database.h"

#include <rocksdb/convenience.h>
#include <rocksdb/file_system.h>
#include <rocksdb/utilities/options_util.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "bad_input.h"
#include "no_log.h"

namespace kstone::compact {
namespace {

namespace fs = std::filesystem;

// Refuses to create an options file. RocksDB writes a new one at each open, and ours would tell the owner's programs to
// leave automatic compactions off; that it could not be written is a line in a log that we do not keep.
class KeepOptionsFile final : public ::rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  const char* Name() const override { return "KeepOptionsFile"; }

  ::rocksdb::IOStatus NewWritableFile(const std::string& path, const ::rocksdb::FileOptions& options,
                                      std::unique_ptr<::rocksdb::FSWritableFile>* result,
                                      ::rocksdb::IODebugContext* debug) override {
    if (fs::path(path).filename().string().starts_with("OPTIONS-")) {
      return ::rocksdb::IOStatus::NotSupported("the options file belongs to the database's owner");
    }
    return FileSystemWrapper::NewWritableFile(path, options, result, debug);
  }
};

void require_database(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    throw BadInput(path + ": no such path");
  }
  if (error) {
    throw BadInput(path + ": " + error.message());
  }
  if (!fs::is_directory(status)) {
    throw BadInput(path + ": not a database: not a folder");
  }
  const bool has_current = fs::exists(fs::path(path) / "CURRENT", error);
  if (error) {
    throw BadInput(path + ": " + error.message());
  }
  if (!has_current) {
    throw BadInput(path + ": not a database: it has no file CURRENT");
  }
}

// Opening takes the lock too, but only after it has begun to tidy up.
void require_unlocked(const std::string& path) {
  auto* env = ::rocksdb::Env::Default();
  ::rocksdb::FileLock* lock = nullptr;
  if (const auto status = env->LockFile(path + "/LOCK", &lock); !status.ok()) {
    const auto text = status.ToString();
    const bool in_use = text.find("temporarily unavailable") != std::string::npos ||
                        text.find("already held") != std::string::npos || text.find("lock hold") != std::string::npos;
    throw BadInput(path + (in_use ? ": locked by another process: " : ": cannot be locked: ") + text);
  }
  env->UnlockFile(lock);
}

// The column families that the database has, each with the options it was last opened with, or RocksDB's where those are
// not known.
std::vector<::rocksdb::ColumnFamilyDescriptor> read_options(const std::string& path, ::rocksdb::DBOptions& options) {
  std::vector<std::string> names;
  require_ok(::rocksdb::DB::ListColumnFamilies(options, path, &names), path + ": not a database");

  ::rocksdb::ConfigOptions config;
  config.ignore_unknown_options = true;
  config.ignore_unsupported_options = true;
  std::vector<::rocksdb::ColumnFamilyDescriptor> known;
  const auto status = ::rocksdb::LoadLatestOptions(config, path, &options, &known);
  if (!status.ok() && !status.IsNotFound()) {
    require_ok(status, path + ": its options file");
  }
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  for (const auto& name : names) {
    const auto found = std::find_if(known.begin(), known.end(), [&](const auto& family) { return family.name == name; });
    families.emplace_back(name, found == known.end() ? ::rocksdb::ColumnFamilyOptions() : found->options);
  }
  return families;
}

}  // namespace

OfflineDatabase::OfflineDatabase(const std::string& path, std::uint32_t compactions,
                                 std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners)
    : env_(::rocksdb::NewCompositeEnv(std::make_shared<KeepOptionsFile>(::rocksdb::FileSystem::Default()))) {
  require_database(path);
  require_unlocked(path);
  ::rocksdb::DBOptions options;
  auto families = read_options(path, options);
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.error_if_exists = false;
  options.fail_if_options_file_error = false;
  options.env = env_.get();
  options.info_log = std::make_shared<NoLog>();
  options.listeners = std::move(listeners);
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // CompactRange runs on RocksDB's LOW threads while its caller waits; opening makes the pool this large.
  options.max_background_compactions = static_cast<int>(compactions);
  options.max_background_flushes = 1;
  options.max_subcompactions = 1;
  for (auto& family : families) {
    family.options.disable_auto_compactions = true;
    // The style of a database whose compactions belong to a worker; with it CompactRange answers OK and does nothing.
    if (family.options.compaction_style == ::rocksdb::kCompactionStyleNone) {
      family.options.compaction_style = ::rocksdb::kCompactionStyleLevel;
    }
  }
  ::rocksdb::DB* db = nullptr;
  require_ok(::rocksdb::DB::Open(options, path, families, &handles_, &db), path);
  db_.reset(db);
}

OfflineDatabase::~OfflineDatabase() { close_all().PermitUncheckedError(); }

::rocksdb::Status OfflineDatabase::close_all() {
  if (!db_) {
    return ::rocksdb::Status::OK();
  }
  for (auto* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles_.clear();
  const auto status = db_->Close();
  db_.reset();
  return status;
}

void OfflineDatabase::close() { require_ok(close_all(), "closing the database"); }

OfflineDatabase::Size OfflineDatabase::size(::rocksdb::ColumnFamilyHandle* handle) const {
  ::rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(handle, &metadata);
  return {metadata.size + metadata.blob_file_size, metadata.file_count};
}

}  // namespace kstone::compact
