// Which SSTs a column family should merge next: leveled compaction, one bounded step at a time.
//
// RocksDB has no picker for `kCompactionStyleNone`, which is the style whose compactions belong to
// somebody else, so the adapter brings its own. It is a pure function of the levels: no database,
// no clock, no memory of earlier steps.
//
// Thread safety: pure functions and values.

#ifndef KSTONE_ROCKSDB_LEVELED_PICKER_H_
#define KSTONE_ROCKSDB_LEVELED_PICKER_H_

#include "kstone/cxx20.h"

#include <rocksdb/comparator.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kstone/export.h"

namespace kstone::rocksdb {

struct SstFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string smallest_key;
  std::string largest_key;
};

// In the order of RocksDB's metadata: level 0 newest first, the other levels by key and free of
// overlap.
using Levels = std::vector<std::vector<SstFile>>;

struct LevelLimits {
  std::uint32_t l0_files = 10;            // L0 is due with this many SSTs
  std::uint64_t l1_bytes = 256ULL << 20;  // L1 is due when it holds more
  // Each further level may hold this many times the one above.
  double multiplier = 10;
  std::uint64_t max_step_bytes = 64ULL << 20;
};

// What one call of CompactFiles merges.
struct CompactionStep {
  std::vector<std::string> inputs;
  int output_level = 0;
  std::uint64_t input_bytes = 0;
};

// How due a level is: files of L0, bytes of the others, each divided by its limit. 0 for the last
// level, which has none below it to merge into. L0 is due from 1 on, the others above 1.
KSTONE_EXPORT double level_score(const Levels& levels, std::size_t level,
                                 const LevelLimits& limits);

// The step for the level that is most due, or none if no level is.
//
// From L0 the oldest SSTs go first: a newer one below an older one would hide the wrong value. As
// many are taken as fit into `max_step_bytes` together with what they overlap in L1, and at least
// one; beyond that, as many as share the same overlap, until they are as large as it is. From
// another level it is the SST with the least overlap below for its size, since that writes the
// fewest bytes for each byte moved. So a step is at most `max_step_bytes`, or one SST with its
// overlap, or, from L0, twice the overlap and one SST.
KSTONE_EXPORT std::optional<CompactionStep> pick_step(const Levels& levels,
                                                      const LevelLimits& limits,
                                                      const ::rocksdb::Comparator& order);

}  // namespace kstone::rocksdb

#endif  // KSTONE_ROCKSDB_LEVELED_PICKER_H_
