#include "kstone/rocksdb/database_listener.h"

#include <algorithm>
#include <new>
#include <utility>

namespace kstone::rocksdb {

void DatabaseListener::attach(BackgroundWorker& worker,
                              const std::vector<::rocksdb::ColumnFamilyHandle*>& handles,
                              PriorityOf priority) {
  Families families;
  for (std::uint32_t stripe = 0; stripe < handles.size(); ++stripe) {
    families.emplace(handles[stripe]->GetID(), Family{handles[stripe]->GetName(), stripe});
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  ProductionSync::check(
      worker_ == nullptr,
      "DatabaseListener::attach: a worker is attached already; call detach first");
  worker_ = &worker;
  families_ = std::move(families);
  priority_ = std::move(priority);
}

void DatabaseListener::add(const ::rocksdb::ColumnFamilyHandle* handle, std::uint32_t stripe_id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (worker_ != nullptr) {
    families_[handle->GetID()] = {handle->GetName(), stripe_id};
    std::erase_if(unserved_, [&](const auto& family) { return family.name == handle->GetName(); });
  }
}

void DatabaseListener::remove(const ::rocksdb::ColumnFamilyHandle* handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  families_.erase(handle->GetID());
}

void DatabaseListener::detach() noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  worker_ = nullptr;
}

void DatabaseListener::on_new_ssts(const std::string& name, const Family* family) noexcept {
  if (worker_ == nullptr) {
    return;
  }
  if (family != nullptr) {
    worker_->queue_compaction(family->stripe_id, {.priority = priority_of(family->stripe_id)});
  } else {
    count_unserved(name);
  }
}

Priority DatabaseListener::priority_of(std::uint32_t stripe_id) const noexcept {
  try {
    return priority_ ? priority_(stripe_id) : Priority::normal;
  } catch (...) {
    return Priority::normal;
  }
}

void DatabaseListener::OnFlushCompleted(::rocksdb::DB*, const ::rocksdb::FlushJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = families_.find(info.cf_id);
  on_new_ssts(info.cf_name, found == families_.end() ? nullptr : &found->second);
}

void DatabaseListener::OnExternalFileIngested(::rocksdb::DB*,
                                              const ::rocksdb::ExternalFileIngestionInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(families_.rbegin(), families_.rend(), [&](const auto& family) {
    return family.second.name == info.cf_name;
  });
  on_new_ssts(info.cf_name, found == families_.rend() ? nullptr : &found->second);
}

void DatabaseListener::count_unserved(const std::string& name) noexcept {
  ++unserved_events_;
  const auto found = std::find_if(unserved_.begin(), unserved_.end(),
                                  [&](const auto& family) { return family.name == name; });
  if (found != unserved_.end()) {
    ++found->events;
  } else if (unserved_.size() < unserved_families_max) {
    try {
      unserved_.push_back({name, 1});
    } catch (const std::bad_alloc&) {
      // It is in the sum, and the next event may find memory for the name.
    }
  }
}

std::uint64_t DatabaseListener::unserved_events() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return unserved_events_;
}

std::vector<UnservedFamily> DatabaseListener::unserved() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return unserved_;
}

void DatabaseListener::OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++merging_[info.job_id];
  merging_max_ = std::max(merging_max_, static_cast<std::uint32_t>(merging_.size()));
}

void DatabaseListener::OnSubcompactionCompleted(const ::rocksdb::SubcompactionJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = merging_.find(info.job_id);
      found != merging_.end() && --found->second == 0) {
    merging_.erase(found);
  }
}

std::uint32_t DatabaseListener::merging() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<std::uint32_t>(merging_.size());
}

std::uint32_t DatabaseListener::merging_max() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return merging_max_;
}

}  // namespace kstone::rocksdb
