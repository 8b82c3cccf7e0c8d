// A small LSM engine in memory, with a lock of its own, whose compactions are kstone's to schedule.
// It is a template over the types by which threads meet, as the worker is: the program uses
// kstone::ProductionSync, the gate the modelled ones.

#ifndef EXAMPLE_ENGINE_H_
#define EXAMPLE_ENGINE_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"

namespace example {

using Records = std::map<int, int>;

template <class Sync>
class Engine {
 public:
  Engine()
      : worker_(kstone::CompactionConfig().with_max_concurrent(1), {}, 1,
                [this](auto&) { return compact(); },
                {.back_off = kstone::BackOff::off()}) {  // it never fails
    Sync::name(mutex_, "engine.mutex");
    Sync::name(state_, "engine.state");
  }

  [[nodiscard]] bool open() { return worker_.start() == kstone::StartResult::started; }

  // False once the engine closes.
  bool put(int key, int value) {
    const Lock lock(mutex_);
    if (!state_.read().open) {
      return false;
    }
    state_.write().memtable[key] = value;
    return true;
  }

  // The memtable becomes a table.
  void flush() {
    {
      const Lock lock(mutex_);
      auto& state = state_.write();
      if (!state.open || state.memtable.empty()) {
        return;
      }
      state.tables.push_back(std::make_unique<Table>(std::exchange(state.memtable, {})));
    }
    worker_.queue_compaction(0);
  }

  // The newest value; none once the engine is closed.
  std::optional<int> get(int key) {
    const Lock lock(mutex_);
    const auto& state = state_.read();
    if (const auto found = state.memtable.find(key); found != state.memtable.end()) {
      return found->second;
    }
    for (auto table = state.tables.rbegin(); table != state.tables.rend(); ++table) {
      const Records& records = (*table)->records.read();
      if (const auto found = records.find(key); found != records.end()) {
        return found->second;
      }
    }
    return std::nullopt;
  }

  std::size_t tables() {
    const Lock lock(mutex_);
    return state_.read().tables.size();
  }

  [[nodiscard]] bool wait_idle() { return worker_.wait_idle() == kstone::IdleResult::idle; }

  // The worker ends before the tables that its compactions read.
  void close() {
    refuse_writes();
    stop_worker();
    free_tables();
  }

 protected:
  void refuse_writes() {
    const Lock lock(mutex_);
    state_.write().open = false;
  }
  void stop_worker() { worker_.shutdown(kstone::ShutdownMode::drain); }
  void free_tables() {
    const Lock lock(mutex_);
    state_.write().memtable.clear();
    state_.write().tables.clear();
  }

 private:
  using Lock = std::lock_guard<typename Sync::mutex>;

  struct Table {
    explicit Table(Records from) : records(std::move(from)) { Sync::name(records, "table"); }
    typename Sync::template cell<Records> records;
  };
  struct State {
    bool open = true;
    Records memtable;
    std::vector<std::unique_ptr<Table>> tables;  // the oldest first
  };

  // Merges the tables that there are. It reads them without the lock, so writers go on meanwhile.
  kstone::CompactionOutcome compact() {
    std::vector<Table*> inputs;
    {
      const Lock lock(mutex_);
      for (const auto& table : state_.read().tables) {
        inputs.push_back(table.get());
      }
    }
    if (inputs.size() < 2) {
      return kstone::CompactionOutcome::nothing_to_do();
    }
    Records merged;
    for (const Table* table : inputs) {
      for (const auto& [key, value] : table->records.read()) {
        merged[key] = value;
      }
    }
    const Lock lock(mutex_);
    auto& tables = state_.write().tables;
    tables.erase(tables.begin() + 1, tables.begin() + static_cast<std::ptrdiff_t>(inputs.size()));
    tables.front() = std::make_unique<Table>(std::move(merged));
    return kstone::CompactionOutcome::done();
  }

  typename Sync::mutex mutex_;
  typename Sync::template cell<State> state_;  // guarded by mutex_
  kstone::basic_background_worker<Sync> worker_;
};

}  // namespace example

#endif  // EXAMPLE_ENGINE_H_
