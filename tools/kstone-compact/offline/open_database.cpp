#include "open_database.h"

#include <rocksdb/convenience.h>
#include <rocksdb/memtablerep.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "bad_input.h"
#include "escape.h"
#include "interrupt.h"
#include "no_log.h"

namespace kstone::compact {
namespace {

// SSTs that RocksDB keeps open, the fewest that it accepts. Each is read from its beginning to its
// end, so it is of no use to keep more. And a quarter of ten fewer, up to 16, is what it opens
// along with the database, where one that is damaged makes it give up all.
constexpr int open_files_max = 20;

// Of the owner's options those remain that matter to what is written, or to how the database is
// read. What tells RocksDB to be lenient with damage, to work by itself, or to log, is ours.
::rocksdb::DBOptions safe(::rocksdb::DBOptions options) {
  options.create_if_missing = false;
  options.create_missing_column_families = false;
  options.error_if_exists = false;
  options.paranoid_checks = true;
  options.best_efforts_recovery = false;
  options.max_bgerror_resume_count = 0;
  options.skip_checking_sst_file_sizes_on_db_open = false;
  options.fail_if_options_file_error = false;
  options.info_log = std::make_shared<NoLog>();
  options.db_log_dir.clear();
  options.listeners.clear();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.persist_stats_to_disk = false;
  // Else a compaction could not say how many records it reads.
  options.skip_stats_update_on_db_open = false;
  options.max_open_files = open_files_max;
  options.max_file_opening_threads = 1;
  // Nobody writes, and a log is never written over: it may be a hard link of a backup's.
  options.recycle_log_file_num = 0;
  options.avoid_flush_during_recovery = false;
  options.avoid_unnecessary_blocking_io = false;
  options.allow_fallocate = false;  // else a log reserves as much as a memtable may hold
  options.enable_pipelined_write = false;
  options.unordered_write = false;
  options.two_write_queues = false;
  options.atomic_flush = false;
  options.db_write_buffer_size = 0;
  options.allow_mmap_reads = false;
  options.allow_mmap_writes = false;
  options.use_direct_reads = false;
  options.use_direct_io_for_flush_and_compaction = false;
  return options;
}

::rocksdb::ColumnFamilyOptions safe(::rocksdb::ColumnFamilyOptions options) {
  options.disable_auto_compactions = true;
  options.compaction_filter = nullptr;
  options.compaction_filter_factory = nullptr;
  options.memtable_factory = std::make_shared<::rocksdb::SkipListFactory>();
  options.inplace_update_support = false;
  options.max_successive_merges = 0;
  // Nobody reads what is in memory by its prefix. RocksDB takes this part of a write buffer for
  // each family as it opens, whatever is written.
  options.memtable_prefix_bloom_size_ratio = 0;
  options.memtable_whole_key_filtering = false;
  options.memtable_huge_page_size = 0;
  options.memtable_insert_with_hint_prefix_extractor = nullptr;
  options.arena_block_size = 0;  // RocksDB's choice: a part of the write buffer
  options.max_write_buffer_number_to_maintain = 0;
  options.max_write_buffer_size_to_maintain = 0;
  options.write_buffer_size = std::min<std::size_t>(options.write_buffer_size, 256 << 20);
  // Else an iterator over many versions of a key seeks, which a plain table with a prefix refuses.
  options.max_sequential_skip_in_iterations = UINT64_MAX;
  options.force_consistency_checks = true;
  options.paranoid_file_checks = true;  // each new SST is read again, and compared
  // Of a FIFO family nothing is to expire, and without that it asks for no SST to be open.
  if (options.compaction_style == ::rocksdb::kCompactionStyleFIFO) {
    options.ttl = 0;
    options.periodic_compaction_seconds = 0;
  }
  // The style of a database whose compactions belong to a worker; with it CompactRange answers OK
  // and does nothing.
  if (options.compaction_style == ::rocksdb::kCompactionStyleNone) {
    options.compaction_style = ::rocksdb::kCompactionStyleLevel;
  }
  return options;
}

std::vector<::rocksdb::ColumnFamilyDescriptor> descriptors(const Plan& plan) {
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  for (const auto& family : plan.families) {
    families.emplace_back(family.name, safe(family.options));
  }
  return families;
}

// RocksDB takes an SST of a path that it was not told for one of the last path, or aborts. So all
// paths that there can be are told, and those that nobody named are nowhere.
void fill_up(std::vector<::rocksdb::DbPath>& paths, const std::string& folder) {
  constexpr std::size_t paths_max = 4;
  if (paths.empty()) {
    paths.emplace_back(folder, UINT64_MAX);
  }
  while (paths.size() < paths_max) {
    paths.emplace_back(folder + "/path-that-was-not-named-" + std::to_string(paths.size() + 1),
                       UINT64_MAX);
  }
}

}  // namespace

::rocksdb::Status OpenDatabase::open_read_only(const Plan& plan,
                                               const ::rocksdb::DBOptions& given) {
  auto options = safe(given);
  // Logs that the manifest tracks are checked, whatever the owner's choice; there are none
  // otherwise.
  options.track_and_verify_wals_in_manifest = true;
  // Else files that are kept for prepared transactions alone would be passed over.
  options.allow_2pc = true;
  fill_up(options.db_paths, plan.path);
  auto families = descriptors(plan);
  for (auto& family : families) {
    if (!family.options.cf_paths.empty()) {
      fill_up(family.options.cf_paths, plan.path);
    }
  }
  ::rocksdb::DB* db = nullptr;
  auto status = ::rocksdb::DB::OpenForReadOnly(options, plan.path, families, &handles_, &db);
  db_.reset(db);
  return status;
}

::rocksdb::Status OpenDatabase::open(
    const Plan& plan, std::uint32_t compactions,
    std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners) {
  auto options = safe(plan.options);
  options.listeners = std::move(listeners);
  // CompactRange runs on RocksDB's LOW threads while its caller waits; opening makes the pool this
  // large.
  options.max_background_compactions = static_cast<int>(compactions);
  options.max_background_flushes = 1;
  options.max_subcompactions = 1;
  auto families = descriptors(plan);
  if (plan.keeps_log) {
    options.avoid_flush_during_recovery = true;
    options.avoid_flush_during_shutdown = true;
    // One that is full would have all of them written.
    for (std::size_t at = 0; at < families.size(); ++at) {
      const auto log = memory_of_log(plan.families[at].wal_records, plan.families[at].wal_bytes);
      families[at].options.write_buffer_size = 2 * log + (64 << 20);
    }
  }
  ::rocksdb::DB* db = nullptr;
  auto status = ::rocksdb::DB::Open(options, plan.path, families, &handles_, &db);
  db_.reset(db);
  return status;
}

OpenDatabase::~OpenDatabase() { close().PermitUncheckedError(); }

::rocksdb::Status OpenDatabase::close() {
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

OpenDatabase::Size OpenDatabase::size(::rocksdb::ColumnFamilyHandle* handle) const {
  ::rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(handle, &metadata);
  return {metadata.size + metadata.blob_file_size, metadata.file_count};
}

::rocksdb::ColumnFamilyHandle* OpenDatabase::handle(const std::string& family) const {
  const auto found = std::find_if(handles_.begin(), handles_.end(),
                                  [&](const auto* each) { return each->GetName() == family; });
  return found == handles_.end() ? nullptr : *found;
}

::rocksdb::Status OpenDatabase::read_all(const std::string& family, Versions versions,
                                         const Visit& visit, const std::string& time) const {
  auto* const found = handle(family);
  if (found == nullptr) {
    return ::rocksdb::Status::NotFound(family);
  }
  ::rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  options.total_order_seek = true;
  options.readahead_size = 2 << 20;
  const auto size = found->GetComparator()->timestamp_size();
  const std::string latest(size, '\xff');
  const std::string earliest(size, '\0');
  const bool all = versions == Versions::all;
  const ::rocksdb::Slice until(all || time.empty() ? latest : time);
  const ::rocksdb::Slice since(time.empty() ? earliest : time);
  if (size > 0) {
    options.timestamp = &until;
    options.iter_start_ts = all ? &since : nullptr;
  }
  const std::unique_ptr<::rocksdb::Iterator> at(db_->NewIterator(options, found));
  for (at->SeekToFirst(); at->Valid() && visit(*at); at->Next()) {
  }
  return at->status();
}

// RocksDB's own call for it aborts if there is none, where it is built with assertions. A read as
// of the beginning of time is refused if there is one, and told.
std::string OpenDatabase::history_mark(const std::string& family) const {
  auto* const found = handle(family);
  const auto size = found == nullptr ? 0 : found->GetComparator()->timestamp_size();
  if (size == 0) {
    return "";
  }
  const std::string earliest(size, '\0');
  const ::rocksdb::Slice time(earliest);
  ::rocksdb::ReadOptions options;
  options.timestamp = &time;
  std::string ignored;
  const auto text = db_->Get(options, found, "", &ignored).ToString();
  constexpr std::string_view before = "full_history_ts_low: ";
  const auto at = text.find(before);
  std::string mark;
  if (at == std::string::npos ||
      !::rocksdb::Slice(text.substr(at + before.size(), 2 * size)).DecodeHex(&mark)) {
    return "";
  }
  return mark;
}

::rocksdb::Status OpenDatabase::verify_ssts(const FamilyPlan& family, const ReadSoFar& tell) const {
  auto* const found = handle(family.name);
  if (found == nullptr) {
    return ::rocksdb::Status::NotFound(family.name);
  }
  ::rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(found, &metadata);
  const ::rocksdb::Options options(db_->GetDBOptions(), safe(family.options));
  ::rocksdb::ReadOptions read;
  read.readahead_size = 2 << 20;
  for (const auto& level : metadata.levels) {
    for (const auto& sst : level.files) {
      if (interrupted()) {
        return ::rocksdb::Status::OK();
      }
      // An SST that was ingested is told its records' number by the manifest.
      const auto status = ::rocksdb::VerifySstFileChecksum(
          options, ::rocksdb::EnvOptions(options), read, sst.db_path + sst.name, sst.largest_seqno);
      if (!status.ok() && !status.IsNotSupported()) {
        return status;  // a plain table has no checksums
      }
      tell(sst.size);
    }
  }
  return ::rocksdb::Status::OK();
}

FamilyContents contents_of(const ::rocksdb::TablePropertiesCollection& ssts) {
  FamilyContents sum;
  for (const auto& [path, sst] : ssts) {
    sum.entries += sst->num_entries;
    sum.deletions += sst->num_deletions;
    sum.merge_operands += sst->num_merge_operands;
    sum.range_deletions += sst->num_range_deletions;
  }
  return sum;
}

std::set<std::string> compressions_of(const ::rocksdb::ColumnFamilyOptions& options) {
  using namespace ::rocksdb;
  static const std::map<CompressionType, std::string> names = {{kNoCompression, "NoCompression"},
                                                               {kSnappyCompression, "Snappy"},
                                                               {kZlibCompression, "Zlib"},
                                                               {kBZip2Compression, "BZip2"},
                                                               {kLZ4Compression, "LZ4"},
                                                               {kLZ4HCCompression, "LZ4HC"},
                                                               {kZSTD, "ZSTD"}};
  std::set<CompressionType> types(options.compression_per_level.begin(),
                                  options.compression_per_level.end());
  if (types.empty()) {
    types.insert(options.compression);
  }
  if (options.bottommost_compression != kDisableCompressionOption) {
    types.insert(options.bottommost_compression);
  }
  std::set<std::string> found;
  for (const auto type : types) {
    const auto name = names.find(type);
    found.insert(name == names.end() ? "another" : name->second);
  }
  return found;
}

double growth_of(const ::rocksdb::TablePropertiesCollection& ssts, const FamilyPlan& family) {
  const auto names = compressions_of(family.options);
  bool same = names.size() == 1;
  std::uint64_t raw = 0;
  for (const auto& [path, sst] : ssts) {
    same = same && sst->compression_name == *names.begin();
    raw += sst->raw_key_size + sst->raw_value_size + sst->index_size + sst->filter_size;
  }
  const auto bytes = family.bytes();
  return same || raw <= bytes || bytes == 0 ? 1
                                            : static_cast<double>(raw) / static_cast<double>(bytes);
}

void require_lock(Enclosure& enclosure, const std::string& folder) {
  if (const auto status = enclosure.lock(); !status.ok()) {
    const auto text = status.ToString();
    const bool in_use = text.find("temporarily unavailable") != std::string::npos ||
                        text.find("already held") != std::string::npos ||
                        text.find("lock hold") != std::string::npos;
    throw BadInput(escaped(folder) +
                   (in_use ? ": locked by another process: " : ": cannot be locked: ") + text);
  }
}

}  // namespace kstone::compact
