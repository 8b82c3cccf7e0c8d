// A row of the table: a small program, and what each kind of search must give. What the programs
// share.

#ifndef KSTONE_MODEL_LITMUS_ROW_H_
#define KSTONE_MODEL_LITMUS_ROW_H_

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "explorer.h"
#include "scenario.h"

namespace kstone::model::litmus {

struct Columns {
  const char* all;          // outcomes, or "!" and a failure
  const char* unpreempted;  // preemption bound 0
  const char* fresh;        // stale_depth = 0
};

struct Row {
  const char* name;
  ScenarioTable table;
  Limits limits;
  Columns expected;
  bool reducible = true;  // else only the plain search sees all of it
};

template <class Scenario>
Row row(const char* name, Columns expected, Limits limits = {}) {
  return Row{name, scenario_table<Scenario>(name), limits, expected};
}

// The table, by subject.
std::vector<Row> memory_orders();
std::vector<Row> modifications();
std::vector<Row> waiting();
std::vector<Row> lifetimes();
std::vector<Row> owners();
std::vector<Row> frozen();

using Sync = RelacySync;
inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;
inline constexpr auto seq_cst = std::memory_order_seq_cst;

// What the threads have read, as digits.
inline void report(std::initializer_list<int> values) {
  char text[16] = {};
  std::size_t length = 0;
  for (const int value : values) {
    text[length++] = static_cast<char>('0' + value);
  }
  outcome(text);
}

template <int count>
struct Base {
  static constexpr int threads = count;
  static constexpr int dynamic_threads = 0;
  void before() {}
  Sync::atomic<int> x, y;
  int r[4] = {};  // each written by one thread, read in after()
};

}  // namespace kstone::model::litmus

#endif  // KSTONE_MODEL_LITMUS_ROW_H_
