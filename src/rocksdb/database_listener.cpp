#include "kstone/rocksdb/database_listener.h"

#include <algorithm>
#include <memory>
#include <new>
#include <thread>

namespace kstone::rocksdb {
namespace {

template <class Map, class Key>
const std::uint32_t* stripe_in(const Map& stripes, const Key& key) {
  const auto found = stripes.find(key);
  return found == stripes.end() ? nullptr : &found->second;
}

}  // namespace

DatabaseListener::~DatabaseListener() {
  // Relaxed: RocksDB calls a listener no more when it destroys it.
  for (const auto* family = unserved_.load(std::memory_order_relaxed); family != nullptr;) {
    const std::unique_ptr<const Unserved> gone(family);
    family = gone->older;
  }
}

void DatabaseListener::attach(BackgroundWorker& worker,
                              const std::vector<::rocksdb::ColumnFamilyHandle*>& handles) {
  // Relaxed: only this thread attaches and detaches.
  ProductionSync::check(
      (state_.load(std::memory_order_relaxed) & attached_bit) == 0,
      "DatabaseListener::attach: a worker is attached already; call detach first");
  worker_ = &worker;
  stripes_.clear();
  stripes_by_name_.clear();
  for (std::uint32_t stripe = 0; stripe < handles.size(); ++stripe) {
    stripes_.emplace(handles[stripe]->GetID(), stripe);
    // The ids of families grow, so the larger one of a name is the one that may still live.
    const auto [same, is_new] = stripes_by_name_.emplace(handles[stripe]->GetName(), stripe);
    if (!is_new && handles[same->second]->GetID() < handles[stripe]->GetID()) {
      same->second = stripe;
    }
  }
  // [A1] release; pairs with [A2]. Publishes worker_ and the maps to the callbacks.
  state_.fetch_or(attached_bit, std::memory_order_release);
}

void DatabaseListener::detach() noexcept {
  // [A3] acquire; pairs with [A4]. What callbacks read of worker_ and the maps, they have read
  // before the caller goes on to destroy the worker or to attach another.
  auto state = state_.fetch_and(~attached_bit, std::memory_order_acquire) & ~attached_bit;
  while (state != 0) {
    // Somebody is inside queue_compaction, which waits for nobody. Callbacks that came too late
    // also count for a moment.
    std::this_thread::yield();
    // [A5] acquire; pairs with [A4].
    state = state_.load(std::memory_order_acquire);
  }
}

template <class Find>
void DatabaseListener::on_new_ssts(const std::string& family, const Find& find) {
  // [A2] acquire; pairs with [A1].
  if ((state_.fetch_add(one_callback, std::memory_order_acquire) & attached_bit) != 0) {
    if (const std::uint32_t* stripe = find()) {
      worker_->queue_compaction(*stripe);
    } else {
      count_unserved(family);
    }
  }
  // [A4] release; pairs with [A3] and [A5].
  state_.fetch_sub(one_callback, std::memory_order_release);
}

void DatabaseListener::OnFlushCompleted(::rocksdb::DB*, const ::rocksdb::FlushJobInfo& info) {
  on_new_ssts(info.cf_name, [&] { return stripe_in(stripes_, info.cf_id); });
}

void DatabaseListener::OnExternalFileIngested(::rocksdb::DB*,
                                              const ::rocksdb::ExternalFileIngestionInfo& info) {
  on_new_ssts(info.cf_name, [&] { return stripe_in(stripes_by_name_, info.cf_name); });
}

bool DatabaseListener::count_in(const Unserved* head, const Unserved* end,
                                const std::string& family) noexcept {
  for (; head != end; head = head->older) {
    if (head->name == family) {
      head->events.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count that is shown
      return true;
    }
  }
  return false;
}

void DatabaseListener::count_unserved(const std::string& family) noexcept {
  unserved_events_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count that is shown
  const Unserved* looked_at = nullptr;
  std::unique_ptr<Unserved> added;
  for (;;) {
    // [A6] acquire; pairs with [A7]. The names from the head on are read.
    const auto* head = unserved_.load(std::memory_order_acquire);
    if (count_in(head, looked_at, family) ||
        (head != nullptr && head->position >= unserved_families_max)) {
      return;
    }
    if (!added) {
      try {
        added = std::make_unique<Unserved>();
        added->name = family;
      } catch (const std::bad_alloc&) {
        return;  // it is in the sum, and the next event may find memory for the name
      }
    }
    added->position = head == nullptr ? 1 : head->position + 1;
    added->older = looked_at = head;
    // [A7] release; pairs with [A6] and [A8]. Publishes the entry.
    if (unserved_.compare_exchange_weak(head, added.get(), std::memory_order_release,
                                        std::memory_order_relaxed)) {
      added.release();  // the list's
      return;
    }
  }
}

std::uint64_t DatabaseListener::unserved_events() const noexcept {
  return unserved_events_.load(std::memory_order_relaxed);  // relaxed: a count that is shown
}

std::vector<UnservedFamily> DatabaseListener::unserved() const {
  std::vector<UnservedFamily> families;
  // [A8] acquire; pairs with [A7].
  for (const auto* family = unserved_.load(std::memory_order_acquire); family != nullptr;
       family = family->older) {
    // Relaxed: a count that is shown.
    families.push_back({family->name, family->events.load(std::memory_order_relaxed)});
  }
  std::reverse(families.begin(), families.end());
  return families;
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
