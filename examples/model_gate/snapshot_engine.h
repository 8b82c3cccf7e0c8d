// A small LSM engine whose readers take snapshots: the tables of one moment, read without a lock,
// which live as long as somebody reads them. Versions are replaced under the engine's lock and
// never changed.

#ifndef EXAMPLE_SNAPSHOT_ENGINE_H_
#define EXAMPLE_SNAPSHOT_ENGINE_H_

#include <cstddef>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"

namespace example {

template <class Sync>
class SnapshotEngine {
 public:
  using Records = std::map<int, int>;
  using Tables = std::vector<Records>;  // the oldest first

  class Version {
   public:
    explicit Version(Tables from) : tables_(std::move(from)) { Sync::name(tables_, "version"); }

    std::optional<int> get(int key) const {
      const Tables& tables = tables_.read();
      for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
        if (const auto found = table->find(key); found != table->end()) {
          return found->second;
        }
      }
      return std::nullopt;
    }
    const Tables& tables() const { return tables_.read(); }

   private:
    typename Sync::template cell<Tables> tables_;  // what is freed while others may read it
  };
  using Snapshot = typename Sync::template shared_ptr<const Version>;

  SnapshotEngine()
      : current_(make({})),
        worker_(kstone::CompactionConfig().with_max_concurrent(1), {}, 1,
                [this](auto&) { return compact(); },
                {.back_off = kstone::BackOff::off()}) {  // it never fails
    Sync::name(mutex_, "engine.mutex");
    Sync::name(current_, "engine.current");
  }

  bool open() { return worker_.start() == kstone::StartResult::started; }
  void close() { worker_.shutdown(kstone::ShutdownMode::drain); }

  // A table of one record.
  void put(int key, int value) {
    {
      const Lock lock(mutex_);
      Tables tables = current_->tables();
      tables.push_back({{key, value}});
      current_ = make(std::move(tables));
    }
    worker_.queue_compaction(0);
  }

  Snapshot snapshot() {
    const Lock lock(mutex_);
    return current_;
  }

 private:
  using Lock = std::lock_guard<typename Sync::mutex>;

  static Snapshot make(Tables tables) {
    return Sync::template make_shared<const Version>(std::move(tables));
  }

  // Merges the tables that there are; those that come meanwhile stay behind the merged one.
  kstone::CompactionOutcome compact() {
    const Snapshot inputs = snapshot();
    const Tables& tables = inputs->tables();
    if (tables.size() < 2) {
      return kstone::CompactionOutcome::nothing_to_do();
    }
    Records merged;
    for (const Records& table : tables) {
      for (const auto& [key, value] : table) {
        merged[key] = value;
      }
    }
    const Lock lock(mutex_);
    const Tables& now = current_->tables();
    Tables result{std::move(merged)};
    result.insert(result.end(), now.begin() + static_cast<std::ptrdiff_t>(tables.size()),
                  now.end());
    current_ = make(std::move(result));
    return kstone::CompactionOutcome::done();
  }

  typename Sync::mutex mutex_;
  Snapshot current_;  // guarded by mutex_
  kstone::basic_background_worker<Sync> worker_;
};

}  // namespace example

#endif  // EXAMPLE_SNAPSHOT_ENGINE_H_
