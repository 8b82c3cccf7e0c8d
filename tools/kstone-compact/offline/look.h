// Finds out about a database all that matters before a byte of it is written.
//
// Thread safety: one call at a time.

#ifndef KSTONE_COMPACT_OFFLINE_LOOK_H_
#define KSTONE_COMPACT_OFFLINE_LOOK_H_

#include <rocksdb/env.h>

#include <memory>

#include "enclosure.h"
#include "evidence.h"
#include "offline.h"
#include "plan.h"

namespace kstone::compact {

// A database that was looked at, and is locked unless `--plan` was asked for.
struct Look {
  Plan plan;
  Evidence evidence;
  std::shared_ptr<Enclosure> enclosure;
  std::unique_ptr<::rocksdb::Env> env;  // of RocksDB, within the enclosure
};

// Throws BadInput if there is no database at all, or if it is in use. What speaks against
// compacting it stands in the plan.
Look look_at(const OfflineOptions& options);

// Behind the path, where that is so.
inline constexpr const char* another_folder =
    ": another folder has taken its place since it was looked at; nothing was changed. Run it "
    "again";

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_LOOK_H_
