// The share of one process in a search: subtrees in turn. Above their roots, which lie below so
// many branching choices, every process makes the same nodes, and expands every thread.

#ifndef KSTONE_MODEL_SEARCH_SHARDS_H_
#define KSTONE_MODEL_SEARCH_SHARDS_H_

#include <cstddef>
#include <cstdint>

#include "explorer.h"

namespace kstone::model {

class Shards {
 public:
  explicit Shards(const Limits& limits) : part_(limits.shard), depth_(limits.shard_depth) {}

  void begin_execution() { branches_above_ = 0; }
  // The execution goes through a node.
  void passes(bool branches) { branches_above_ += branches ? 1 : 0; }

  // Whether the node about to be made, with so many nodes above it, belongs to this process.
  bool enters(bool branches, std::size_t nodes_above) {
    if (part_.count <= 1 || owned_root_ >= 0 || !branches || branches_above_ < depth_) {
      return true;
    }
    if (next_root_is_others()) {
      return false;
    }
    owned_root_ = static_cast<std::ptrdiff_t>(nodes_above);
    return true;
  }
  bool is_above_roots() const { return part_.count > 1 && branches_above_ < depth_; }

  // Whether an execution that has ended is this process's to count.
  bool counts() {
    return part_.count <= 1 || owned_root_ >= 0 || !next_root_is_others();  // ended above the roots
  }
  // The search has gone back to so many nodes.
  void leaves(std::size_t nodes) {
    if (static_cast<std::ptrdiff_t>(nodes) <= owned_root_) {
      owned_root_ = -1;
    }
  }

 private:
  bool next_root_is_others() { return roots_++ % part_.count != part_.index; }

  const ShardOf part_;
  const std::uint32_t depth_;
  std::uint32_t branches_above_ = 0;
  std::uint64_t roots_ = 0;
  // The node that is the root of the subtree being explored; -1 if above one.
  std::ptrdiff_t owned_root_ = -1;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_SHARDS_H_
