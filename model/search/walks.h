// Executions at random: by priorities with a few changes (PCT), for a first look at what is too
// large, and as uniform walks, whose weights estimate the size of the search tree (Knuth 1975).

#ifndef KSTONE_MODEL_SEARCH_WALKS_H_
#define KSTONE_MODEL_SEARCH_WALKS_H_

#include <cstdint>

#include "explorer.h"
#include "search/accesses.h"

namespace kstone::model {

class Walks {
 public:
  Walks(const Limits& limits, int threads);

  void begin_execution();
  // Mode::random. `last` made the step before, the `step`th of the execution; -1 if none.
  int by_priority(ThreadSet enabled, int last, std::uint64_t step);
  // Mode::estimate.
  int uniform(ThreadSet enabled);
  std::uint32_t data(std::uint32_t count);
  void end_execution(std::uint64_t steps);

  // The mean of the weights of `walks` walks, and its standard error.
  double estimate(std::uint64_t walks) const;
  double estimate_error(std::uint64_t walks) const;

 private:
  static constexpr std::uint32_t most_changes = 16;

  std::uint64_t next_random();

  const bool has_priorities_;
  const int threads_;
  const std::uint32_t changes_;
  std::uint64_t state_;
  std::uint64_t longest_ = 16;
  int priority_[max_threads] = {};
  std::uint64_t change_at_[most_changes] = {};
  double weight_ = 1;  // the product of the numbers of choices on the walk
  double weights_ = 0, squared_weights_ = 0;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_WALKS_H_
