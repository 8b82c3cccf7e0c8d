// The small programs that are explored in several ways: what their instructions are.

#ifndef KSTONE_MODEL_SOUNDNESS_PROGRAM_H_
#define KSTONE_MODEL_SOUNDNESS_PROGRAM_H_

#include <atomic>
#include <string>
#include <vector>

#include "explorer.h"

namespace kstone::model::soundness {

inline constexpr int most_threads = 3;
inline constexpr int most_reads = 12;

enum class Kind {
  load,
  store,
  add,
  exchange,
  update,  // adds in a loop around a weak compare-exchange
  cas_strong,
  cas_weak,
  lock,
  unlock,
  wait_while,   // while (!flag) wait
  wait_if,      // if (!flag) wait
  timed_while,  // while (!flag && wait_until)
  set_flag,
  notify_one,
  notify_all,
  post,
  take,
  cell_read,
  cell_write,
  ghost_read,
  ghost_add,
  ghost_write,
  ghost_with,  // announced with the read-modify-write that follows it
  now,
  choice,
  start_last,  // the last thread is started by another one
  join_last,
  in_turn,  // of equal threads
};

struct Instruction {
  Kind kind;
  int object = 0;
  int value = 0;
  int expected = 0;  // of a compare-exchange; of a wait, the mutex
  std::memory_order order = std::memory_order_seq_cst;
  std::memory_order failure = std::memory_order_relaxed;
};

struct Program {
  std::vector<Instruction> code[most_threads];
  int threads = 2;
  bool last_is_dynamic = false;
  int equal = 0;  // so many of the first threads run the same
  Limits limits;
  bool native = false;  // atomics and plain data only: Relacy's full search sees everything

  std::string text() const;
};

// The one that is being explored: scenarios have no arguments.
inline const Program* program_ = nullptr;

}  // namespace kstone::model::soundness

#endif  // KSTONE_MODEL_SOUNDNESS_PROGRAM_H_
