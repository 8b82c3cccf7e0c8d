#include "demo_database.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "bad_input.h"
#include "kstone/rocksdb/column_family_compactor.h"

namespace kstone::compact {
namespace {

// Small buffers and levels, so that tens of megabytes exercise what gigabytes do otherwise: with 16 stripes a flush writes
// half a megabyte, and a stripe fills three levels.
::rocksdb::ColumnFamilyOptions stripe_options(std::uint32_t stripe_count, const CompactionConfig& config) {
  const std::uint64_t buffer = std::clamp<std::uint64_t>((16ULL << 20) / stripe_count, 64ULL << 10, 1ULL << 20);
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

}  // namespace

DemoDatabase::DemoDatabase(const std::string& folder, std::uint32_t stripe_count, const CompactionConfig& config) {
  ::rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.listeners.push_back(listener_);
  options.statistics = statistics_;
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(::rocksdb::kDefaultColumnFamilyName, ::rocksdb::ColumnFamilyOptions());
  for (std::uint32_t stripe = 0; stripe < stripe_count; ++stripe) {
    families.emplace_back(stripe_name(stripe), stripe_options(stripe_count, config));
  }
  ::rocksdb::DB* db = nullptr;
  require_ok(::rocksdb::DB::Open(options, folder, families, &handles_, &db), folder);
  db_.reset(db);
  stripes_.assign(handles_.begin() + 1, handles_.end());
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
