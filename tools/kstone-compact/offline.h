// `kstone-compact db PATH`: compacts a database that nobody has open.
//
// Thread safety: one call at a time.

#ifndef KSTONE_COMPACT_OFFLINE_H_
#define KSTONE_COMPACT_OFFLINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "interrupt.h"

namespace kstone::compact {

struct OfflineOptions {
  std::string path;
  std::vector<std::string> families;  // empty: all
  std::uint32_t min_ssts = 0;         // only column families with at least this many SSTs
  std::uint32_t workers = 2;
  bool json = false;
};

// The exit status. Throws BadInput.
int run_offline(const OfflineOptions& options, Wakeup& wakeup);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_H_
