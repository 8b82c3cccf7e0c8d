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

// Small buffers and levels, so that tens of megabytes do here what gigabytes do elsewhere: stripes of three levels, L0 full
// again while its last files are being merged, and compactions that write several times what a flush wrote.
::rocksdb::ColumnFamilyOptions stripe_options(std::uint32_t stripe_count, const CompactionConfig& config) {
  const std::uint64_t buffer = std::clamp<std::uint64_t>((4ULL << 20) / stripe_count, 64ULL << 10, 1ULL << 20);
  ::rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = buffer;
  options.max_write_buffer_number = 4;
  options.target_file_size_base = buffer;
  options.max_bytes_for_level_base = 2 * buffer;
  options.max_bytes_for_level_multiplier = 4;
  options.level0_slowdown_writes_trigger = static_cast<int>(3 * config.sst_threshold);
  options.level0_stop_writes_trigger = static_cast<int>(5 * config.sst_threshold);
  rocksdb::use_worker_compactions(options, config);
  return options;
}

std::string stripe_name(std::uint32_t stripe) {
  char name[32];
  std::snprintf(name, sizeof name, "stripe-%03u", stripe);
  return name;
}

void add_stripes(std::vector<::rocksdb::ColumnFamilyDescriptor>& families, std::uint32_t stripe_count,
                 const CompactionConfig& config) {
  for (std::uint32_t stripe = 0; stripe < stripe_count; ++stripe) {
    families.emplace_back(stripe_name(stripe), stripe_options(stripe_count, config));
  }
}

}  // namespace

DemoDatabase::DemoDatabase(const std::string& folder, std::uint32_t stripe_count, const CompactionConfig& config,
                           ::rocksdb::Env* env) {
  ::rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.listeners.push_back(listener_);
  options.statistics = statistics_;
  options.info_log = std::make_shared<NoLog>();
  // RocksDB only flushes here. A flush mostly waits for the disk, so several at a time keep the writers going.
  options.max_background_flushes = 4;
  options.max_background_compactions = 1;
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(::rocksdb::kDefaultColumnFamilyName, ::rocksdb::ColumnFamilyOptions());
  const auto is_new = !std::filesystem::exists(std::filesystem::path(folder) / "CURRENT");
  if (!is_new) {
    add_stripes(families, stripe_count, config);
  }
  ::rocksdb::DB* db = nullptr;
  require_ok(::rocksdb::DB::Open(options, folder, families, &handles_, &db), folder);
  db_.reset(db);
  if (is_new) {
    create_stripes(stripe_count, config);
  }
  stripes_.assign(handles_.begin() + 1, handles_.end());
}

// All in one call: `create_missing_column_families` would write the options file again for each of them.
void DemoDatabase::create_stripes(std::uint32_t stripe_count, const CompactionConfig& config) {
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  add_stripes(families, stripe_count, config);
  std::vector<::rocksdb::ColumnFamilyHandle*> created;
  const auto status = db_->CreateColumnFamilies(families, &created);
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

void DemoDatabase::flush() { require_ok(db_->Flush(::rocksdb::FlushOptions(), stripes_), "flushing"); }

std::uint32_t DemoDatabase::l0_files(std::uint32_t stripe) const {
  std::string count;
  db_->GetProperty(stripes_[stripe], "rocksdb.num-files-at-level0", &count);
  return static_cast<std::uint32_t>(std::strtoul(count.c_str(), nullptr, 10));
}

double DemoDatabase::stall_seconds() const {
  return static_cast<double>(statistics_->getTickerCount(::rocksdb::STALL_MICROS)) * 1e-6;
}

}  // namespace kstone::compact
