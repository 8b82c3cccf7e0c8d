// Links the adapter: each of its headers, and a class whose table of virtual functions is exported.

#include <cstdio>
#include <memory>

#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_listener.h"
#include "kstone/rocksdb/leveled_picker.h"

int main() {
  const auto config = kstone::CompactionConfig().with_sst_threshold(3);
  rocksdb::Options options;
  kstone::rocksdb::use_worker_compactions(options, config);
  options.listeners.push_back(std::make_shared<kstone::rocksdb::DatabaseListener>());
  const auto outcome = kstone::rocksdb::outcome_of(rocksdb::Status::Aborted(), false);
  const kstone::rocksdb::Levels levels(2);
  const bool due = kstone::rocksdb::level_score(levels, 0, {}) > 0;
  std::printf("style %d, outcome %s\n", options.compaction_style, to_string(outcome.kind()).data());
  return options.compaction_style == rocksdb::kCompactionStyleNone && !due &&
                 outcome.kind() == kstone::CompactionOutcome::Kind::retry
             ? 0
             : 1;
}
