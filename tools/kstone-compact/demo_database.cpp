#include "demo_database.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "bad_input.h"
#include "kstone/rocksdb/column_family_compactor.h"
#include "no_log.h"

namespace kstone::compact {
namespace {

// Small buffers and levels, so that tens of megabytes do here what gigabytes do elsewhere: stripes
// of three levels, L0 full again while its last files are being merged, and compactions that write
// several times what a flush wrote.
::rocksdb::ColumnFamilyOptions stripe_options(std::uint32_t stripe_count,
                                              const CompactionConfig& config,
                                              Scheduling scheduling) {
  const std::uint64_t buffer =
      std::clamp<std::uint64_t>((4ULL << 20) / stripe_count, 64ULL << 10, 1ULL << 20);
  ::rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = buffer;
  options.max_write_buffer_number = 4;
  options.target_file_size_base = buffer;
  options.max_bytes_for_level_base = 2 * buffer;
  options.max_bytes_for_level_multiplier = 4;
  options.level0_slowdown_writes_trigger = static_cast<int>(3 * config.sst_threshold);
  options.level0_stop_writes_trigger = static_cast<int>(5 * config.sst_threshold);
  if (scheduling == Scheduling::worker) {
    rocksdb::use_worker_compactions(options, config);
  } else {
    options.level0_file_num_compaction_trigger = static_cast<int>(config.sst_threshold);
    options.max_compaction_bytes = rocksdb::ColumnFamilyCompactor::default_max_step_bytes;
  }
  return options;
}

std::string stripe_name(std::uint32_t stripe) {
  char name[32];
  std::snprintf(name, sizeof name, "stripe-%03u", stripe);
  return name;
}

std::vector<::rocksdb::ColumnFamilyDescriptor> stripes_of(
    std::uint32_t stripe_count, const ::rocksdb::ColumnFamilyOptions& options) {
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  for (std::uint32_t stripe = 0; stripe < stripe_count; ++stripe) {
    families.emplace_back(stripe_name(stripe), options);
  }
  return families;
}

}  // namespace

DemoDatabase::DemoDatabase(const std::string& folder, std::uint32_t stripe_count,
                           const CompactionConfig& config, const DemoDatabaseOptions& given) {
  ::rocksdb::DBOptions options;
  options.env = given.env;
  options.create_if_missing = true;
  options.listeners = given.listeners;
  options.listeners.push_back(listener_);
  options.statistics = statistics_;
  options.info_log = std::make_shared<NoLog>();
  // A flush mostly waits for the disk, so several at a time keep the writers going. Beside a worker
  // RocksDB only flushes.
  options.max_background_flushes = 4;
  options.max_background_compactions = given.scheduling == Scheduling::worker
                                           ? 1
                                           : static_cast<int>(config.max_concurrent_compactions);
  const auto stripes =
      stripes_of(stripe_count, stripe_options(stripe_count, config, given.scheduling));
  Families families;
  families.emplace_back(::rocksdb::kDefaultColumnFamilyName, ::rocksdb::ColumnFamilyOptions());
  const auto is_new = !std::filesystem::exists(std::filesystem::path(folder) / "CURRENT");
  if (!is_new) {
    families.insert(families.end(), stripes.begin(), stripes.end());
  }
  ::rocksdb::DB* db = nullptr;
  require_ok(::rocksdb::DB::Open(options, folder, families, &handles_, &db), folder);
  db_.reset(db);
  if (is_new) {
    create_stripes(stripes);
  }
  stripes_.assign(handles_.begin() + 1, handles_.end());
}

// All in one call: `create_missing_column_families` would write the options file again for each of
// them.
void DemoDatabase::create_stripes(const Families& stripes) {
  std::vector<::rocksdb::ColumnFamilyHandle*> created;
  const auto status = db_->CreateColumnFamilies(stripes, &created);
  handles_.insert(handles_.end(), created.begin(), created.end());
  if (!status.ok()) {
    close_all().PermitUncheckedError();  // a destructor does not run for what was not constructed
    require_ok(status, "creating the stripes");
  }
}

DemoDatabase::~DemoDatabase() { close_all().PermitUncheckedError(); }

::rocksdb::Status DemoDatabase::close_all() {
  if (!db_) {
    return ::rocksdb::Status::OK();
  }
  for (auto* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles_.clear();
  stripes_.clear();
  const auto status = db_->Close();
  db_.reset();
  return status;
}

void DemoDatabase::close() { require_ok(close_all(), "closing the database"); }

void DemoDatabase::flush() {
  require_ok(db_->Flush(::rocksdb::FlushOptions(), stripes_), "flushing");
}

std::uint32_t DemoDatabase::l0_files(std::uint32_t stripe) const {
  std::string count;
  db_->GetProperty(stripes_[stripe], "rocksdb.num-files-at-level0", &count);
  return static_cast<std::uint32_t>(std::strtoul(count.c_str(), nullptr, 10));
}

double DemoDatabase::stall_seconds() const {
  return static_cast<double>(statistics_->getTickerCount(::rocksdb::STALL_MICROS)) * 1e-6;
}

}  // namespace kstone::compact
