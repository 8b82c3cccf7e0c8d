#include "kstone/rocksdb/database_listener.h"

#include <algorithm>
#include <thread>

namespace kstone::rocksdb {

void DatabaseListener::attach(BackgroundWorker& worker, const std::vector<::rocksdb::ColumnFamilyHandle*>& handles) {
  // Relaxed: only this thread attaches and detaches.
  ProductionSync::check((state_.load(std::memory_order_relaxed) & attached_bit) == 0,
                        "DatabaseListener::attach: a worker is attached already; call detach first");
  worker_ = &worker;
  stripes_.clear();
  for (std::uint32_t stripe = 0; stripe < handles.size(); ++stripe) {
    stripes_.emplace(handles[stripe]->GetID(), stripe);
  }
  // [A1] release; pairs with [A2]. Publishes worker_ and stripes_ to the callbacks.
  state_.fetch_or(attached_bit, std::memory_order_release);
}

void DatabaseListener::detach() noexcept {
  // [A3] acquire; pairs with [A4]. What callbacks read of worker_ and stripes_, they have read
  // before the caller goes on to destroy the worker or to attach another.
  auto state = state_.fetch_and(~attached_bit, std::memory_order_acquire) & ~attached_bit;
  while (state != 0) {
    // Somebody is inside queue_compaction, which waits for nobody. Callbacks that came too late also count for a moment.
    std::this_thread::yield();
    // [A5] acquire; pairs with [A4].
    state = state_.load(std::memory_order_acquire);
  }
}

void DatabaseListener::OnFlushCompleted(::rocksdb::DB*, const ::rocksdb::FlushJobInfo& info) {
  // [A2] acquire; pairs with [A1].
  if ((state_.fetch_add(one_callback, std::memory_order_acquire) & attached_bit) != 0) {
    if (const auto found = stripes_.find(info.cf_id); found != stripes_.end()) {
      worker_->queue_compaction(found->second);
    }
  }
  // [A4] release; pairs with [A3] and [A5].
  state_.fetch_sub(one_callback, std::memory_order_release);
}

void DatabaseListener::OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++merging_[info.job_id];
  merging_max_ = std::max(merging_max_, static_cast<std::uint32_t>(merging_.size()));
}

void DatabaseListener::OnSubcompactionCompleted(const ::rocksdb::SubcompactionJobInfo& info) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (const auto found = merging_.find(info.job_id); found != merging_.end() && --found->second == 0) {
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
