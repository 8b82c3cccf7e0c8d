#include "kstone/rocksdb/column_family_compactor.h"

#include <rocksdb/table_properties.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kstone::rocksdb {
namespace {

// Somebody else's compaction or an ingestion can change the SSTs between reading the metadata and
// CompactFiles. Each time it does, there is a newer state to pick from; a stripe for which this
// never ends is given back to the worker.
constexpr int replans_max = 3;

bool is_stale_pick(const ::rocksdb::Status& status) {
  return status.IsAborted() || status.IsInvalidArgument();
}

[[noreturn]] void refuse(const std::string& family, const std::string& why) {
  throw std::invalid_argument("ColumnFamilyCompactor: column family '" + family + "' " + why);
}

// What RocksDB does only where it compacts by itself. Defaults ask for nothing.
void require_nothing_of_rocksdb(const std::string& family, const ::rocksdb::Options& options) {
  constexpr std::uint64_t unset = UINT64_MAX - 1;
  constexpr std::uint64_t default_ttl = 30ULL * 24 * 60 * 60;  // what opening makes of `unset`
  const auto ignored = [&](const std::string& option) {
    refuse(family, "has " + option +
                       ", which RocksDB does not serve where compactions are a worker's; see "
                       "use_worker_compactions");
  };
  if (options.ttl != 0 && options.ttl != unset && options.ttl != default_ttl) {
    ignored("ttl " + std::to_string(options.ttl));
  }
  if (options.periodic_compaction_seconds != 0 && options.periodic_compaction_seconds != unset &&
      options.periodic_compaction_seconds != default_ttl) {
    ignored("periodic_compaction_seconds " + std::to_string(options.periodic_compaction_seconds));
  }
  for (const auto& factory : options.table_properties_collector_factories) {
    if (factory != nullptr && std::string_view(factory->Name()) == "CompactOnDeletionCollector") {
      ignored("a CompactOnDeletionCollector");
    }
  }
}

void require_options(const std::string& family, const ::rocksdb::Options& options,
                     const CompactionConfig& config) {
  if (options.compaction_style != ::rocksdb::kCompactionStyleNone) {
    refuse(family, "needs compaction_style kCompactionStyleNone, see use_worker_compactions");
  }
  if (options.disable_auto_compactions) {
    refuse(family, "has disable_auto_compactions set, with which RocksDB never holds up a writer");
  }
  if (options.num_levels < 2) {
    refuse(family, "has num_levels " + std::to_string(options.num_levels) +
                       ", and L0 needs a level below it");
  }
  if (options.level0_stop_writes_trigger < static_cast<std::int64_t>(config.sst_threshold)) {
    refuse(family, "has level0_stop_writes_trigger " +
                       std::to_string(options.level0_stop_writes_trigger) +
                       ": its writers would stop before sst_threshold " +
                       std::to_string(config.sst_threshold) + " makes L0 due");
  }
  require_nothing_of_rocksdb(family, options);
  if (options.cf_paths.size() > 1) {
    refuse(family, "has " + std::to_string(options.cf_paths.size()) +
                       " cf_paths; CompactFiles can write to one only");
  }
}

}  // namespace

void use_worker_compactions(::rocksdb::ColumnFamilyOptions& options,
                            const CompactionConfig& config) {
  const auto threshold = static_cast<int>(std::min<std::uint32_t>(config.sst_threshold, 1U << 30));
  options.compaction_style = ::rocksdb::kCompactionStyleNone;
  options.disable_auto_compactions = false;
  options.level0_file_num_compaction_trigger = threshold;
  options.level0_slowdown_writes_trigger =
      std::max(options.level0_slowdown_writes_trigger, threshold + 1);
  options.level0_stop_writes_trigger =
      std::max(options.level0_stop_writes_trigger, options.level0_slowdown_writes_trigger + 1);
}

void record_job_stats(const CompactionStatsAtomic& stats,
                      const ::rocksdb::CompactionJobStats& job) {
  const auto read = job.total_input_bytes + job.total_blob_bytes_read;
  const auto written = job.total_output_bytes + job.total_output_bytes_blob;
  stats.record_ssts_merged(job.num_input_files);
  stats.record_ssts_created(job.num_output_files);
  stats.record_bytes_read(read);
  stats.record_bytes_written(written);
  stats.record_bytes_reclaimed(read > written ? read - written : 0);
  stats.record_records_deduplicated(job.num_records_replaced);
  stats.record_tombstones_removed(job.num_expired_deletion_records);
}

// Full, or mounted read-only: then no other stripe can write either.
bool lacks_the_disk(const ::rocksdb::Status& status) {
  if (status.IsNoSpace() || status.subcode() == ::rocksdb::Status::kSpaceLimit) {
    return true;
  }
  // RocksDB has no code for it, but the system's text.
  static const std::string read_only = std::generic_category().message(EROFS);
  return status.IsIOError() && status.ToString().find(read_only) != std::string::npos;
}

CompactionOutcome outcome_of(const ::rocksdb::Status& status, bool stop_requested) {
  if (status.IsColumnFamilyDropped()) {
    return CompactionOutcome::nothing_to_do();
  }
  if (status.IsShutdownInProgress() || (status.IsIncomplete() && stop_requested)) {
    return CompactionOutcome::stopped();
  }
  if (lacks_the_disk(status)) {
    return CompactionOutcome::retry(status.ToString(), Retry::resource);
  }
  if (status.IsIncomplete() || status.IsAborted() || status.IsIOError() ||
      status.IsCompactionTooLarge()) {
    return CompactionOutcome::retry(status.ToString());
  }
  return CompactionOutcome::failed(status.ToString());
}

std::string_view to_string(AddResult result) noexcept {
  switch (result) {
    case AddResult::added:
      return "added";
    case AddResult::no_free_stripe:
      return "no_free_stripe";
    case AddResult::shut_down:
      return "shut_down";
  }
  return "unknown";
}

ColumnFamilyCompactor::ColumnFamilyCompactor(
    ::rocksdb::DB* db, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
    const CompactionConfig& config, Options options)
    : db_(db), config_(config), max_step_bytes_(options.max_step_bytes) {
  for (auto* handle : handles) {
    stripes_.emplace_back(stripe_for(handle));
  }
  stripes_.resize(std::max<std::size_t>(stripes_.size(), options.capacity));
}

ColumnFamilyCompactor::ColumnFamilyCompactor(
    ::rocksdb::DB* db, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
    const CompactionConfig& config, std::uint64_t max_step_bytes)
    : ColumnFamilyCompactor(db, handles, config, Options{.max_step_bytes = max_step_bytes}) {}

ColumnFamilyCompactor::Stripe ColumnFamilyCompactor::stripe_for(
    ::rocksdb::ColumnFamilyHandle* handle) const {
  const auto options = db_->GetOptions(handle);
  require_options(handle->GetName(), options, config_);
  return {handle,
          handle->GetName(),
          {config_.sst_threshold, options.max_bytes_for_level_base,
           options.max_bytes_for_level_multiplier, max_step_bytes_},
          static_cast<std::uint64_t>(std::max(options.level0_slowdown_writes_trigger, 0)),
          options.target_file_size_base,
          static_cast<double>(options.target_file_size_multiplier)};
}

AddResult ColumnFamilyCompactor::add_family(::rocksdb::ColumnFamilyHandle* handle,
                                            BackgroundWorker& worker, DatabaseListener& listener) {
  const auto added = stripe_for(handle);
  if (stripe_of(handle)) {
    refuse(handle->GetName(), "is served already");
  }
  std::uint32_t stripe_id = 0;
  {
    const std::lock_guard<std::shared_mutex> lock(mutex_);
    const auto free =
        std::find_if(stripes_.begin(), stripes_.end(), [](const auto& stripe) { return !stripe; });
    if (free == stripes_.end()) {
      return AddResult::no_free_stripe;
    }
    stripe_id = static_cast<std::uint32_t>(free - stripes_.begin());
    switch (worker.restore(stripe_id)) {
      case RestoreResult::restored:
      case RestoreResult::not_removed:
        break;
      case RestoreResult::shut_down:
        return AddResult::shut_down;
      case RestoreResult::still_running:  // of a family that nobody has removed by this class
        return AddResult::no_free_stripe;
      case RestoreResult::unknown_stripe:
        refuse(handle->GetName(), "has stripe " + std::to_string(stripe_id) + ", and the worker " +
                                      std::to_string(worker.stripe_count()) +
                                      " stripes; expected a worker with stripe_count()");
    }
    *free = added;
  }
  listener.add(handle, stripe_id);
  // After that: an SST whose callback came too early is seen here.
  if (next_step(stripe_id)) {
    worker.queue_compaction(stripe_id, {.priority = priority_of(stripe_id)});
  }
  return AddResult::added;
}

RemoveResult ColumnFamilyCompactor::remove_family(::rocksdb::ColumnFamilyHandle* handle,
                                                  BackgroundWorker& worker,
                                                  DatabaseListener& listener, Limit limit) {
  const auto stripe_id = stripe_of(handle);
  if (!stripe_id) {
    return RemoveResult::unknown_stripe;
  }
  const auto result = worker.remove(*stripe_id, limit);
  if (result == RemoveResult::removed) {
    listener.remove(handle);  // before the stripe can be given to another family
    const std::lock_guard<std::shared_mutex> lock(mutex_);
    stripes_[*stripe_id].reset();
  }
  return result;
}

std::uint32_t ColumnFamilyCompactor::family_count() const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  return static_cast<std::uint32_t>(
      std::count_if(stripes_.begin(), stripes_.end(), [](const auto& stripe) { return !!stripe; }));
}

std::optional<std::uint32_t> ColumnFamilyCompactor::stripe_of(
    const ::rocksdb::ColumnFamilyHandle* handle) const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  for (std::uint32_t stripe = 0; stripe < stripe_count(); ++stripe) {
    if (stripes_[stripe] && stripes_[stripe]->handle->GetID() == handle->GetID()) {
      return stripe;
    }
  }
  return std::nullopt;
}

BackgroundWorker::Job ColumnFamilyCompactor::job() const {
  return [this](CompactionContext& context) { return compact(context); };
}

BackgroundWorker::Scan ColumnFamilyCompactor::scan() const {
  return [this](BackgroundWorker& worker) {
    for (std::uint32_t stripe = 0; stripe < stripe_count(); ++stripe) {
      if (!worker.is_removed(stripe) && next_step(stripe)) {
        worker.queue_compaction(stripe, {.priority = priority_of(stripe)});
      }
    }
  };
}

Levels ColumnFamilyCompactor::levels(std::uint32_t stripe_id) const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto& stripe = stripes_[stripe_id];
  return stripe ? levels(*stripe) : Levels();
}

Levels ColumnFamilyCompactor::levels(const Stripe& stripe) const {
  ::rocksdb::ColumnFamilyMetaData metadata;
  db_->GetColumnFamilyMetaData(stripe.handle, &metadata);
  Levels result;
  for (const auto& level : metadata.levels) {
    auto& files = result.emplace_back();
    for (const auto& file : level.files) {
      files.push_back({file.name, file.size, file.smallestkey, file.largestkey});
    }
  }
  return result;
}

std::vector<CompactionRequest> ColumnFamilyCompactor::due() const {
  std::vector<CompactionRequest> result;
  std::set<std::string> live;
  for (std::uint32_t stripe = 0; stripe < stripe_count(); ++stripe) {
    const auto step = next_step(stripe);
    if (!step) {
      continue;
    }
    if (live.empty()) {
      live = live_ssts();
    }
    // A handle does not say that its family was dropped. Its SSTs have unique names, and are no
    // longer among those of the database.
    if (live.count(step->inputs.front()) != 0) {
      result.push_back({stripe});
    }
  }
  return result;
}

std::set<std::string> ColumnFamilyCompactor::live_ssts() const {
  std::vector<::rocksdb::LiveFileMetaData> files;
  db_->GetLiveFilesMetaData(&files);
  std::set<std::string> names;
  for (auto& file : files) {
    names.insert(std::move(file.name));
  }
  return names;
}

std::string ColumnFamilyCompactor::family(std::uint32_t stripe_id) const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto& stripe = stripes_[stripe_id];
  return stripe ? stripe->family : std::string();
}

std::optional<CompactionStep> ColumnFamilyCompactor::next_step(std::uint32_t stripe_id) const {
  const std::shared_lock<std::shared_mutex> lock(mutex_);
  const auto& stripe = stripes_[stripe_id];
  return stripe ? next_step(*stripe) : std::nullopt;
}

std::optional<CompactionStep> ColumnFamilyCompactor::next_step(const Stripe& stripe) const {
  return pick_step(levels(stripe), stripe.limits, *stripe.handle->GetComparator());
}

::rocksdb::Status ColumnFamilyCompactor::merge(const Stripe& stripe, const CompactionStep& step,
                                               const CompactionStatsAtomic& stats) const {
  ::rocksdb::CompactionOptions options;
  // "Disable" means that the column family's own compression applies; the default would be snappy
  // for everybody.
  options.compression = ::rocksdb::kDisableCompressionOption;
  options.output_file_size_limit =
      static_cast<std::uint64_t>(static_cast<double>(stripe.file_bytes) *
                                 std::pow(stripe.file_multiplier, step.output_level - 1));
  // One compaction is one thread's work; what runs at a time is the worker's decision.
  options.max_subcompactions = 1;
  ::rocksdb::CompactionJobInfo info;
  auto status =
      db_->CompactFiles(options, stripe.handle, step.inputs, step.output_level, -1, nullptr, &info);
  if (status.ok()) {
    record_job_stats(stats, info.stats);
  }
  return status;
}

CompactionOutcome ColumnFamilyCompactor::compact(CompactionContext& context) const {
  const Stripe* stripe = nullptr;
  {
    const std::shared_lock<std::shared_mutex> lock(mutex_);
    const auto& found = stripes_[context.stripe_id()];
    if (!found) {
      return CompactionOutcome::nothing_to_do();
    }
    stripe = &*found;
  }
  for (int replans = 0;; ++replans) {
    if (context.stop_requested()) {
      return CompactionOutcome::stopped();
    }
    const auto step = next_step(*stripe);
    if (!step) {
      return CompactionOutcome::nothing_to_do();
    }
    const auto status = merge(*stripe, *step, context.stats());
    if (status.ok()) {
      return next_step(*stripe) ? CompactionOutcome::more_work(priority_of(*stripe))
                                : CompactionOutcome::done();
    }
    if (!is_stale_pick(status) || replans == replans_max) {
      return outcome_of(status, context.stop_requested());
    }
  }
}

}  // namespace kstone::rocksdb
