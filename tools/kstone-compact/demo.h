// `kstone-compact demo`: real records, a real database, and the worker under load; then every key is checked.
//
// Thread safety: one call at a time.

#ifndef KSTONE_COMPACT_DEMO_H_
#define KSTONE_COMPACT_DEMO_H_

#include <cstdint>
#include <string>

#include "interrupt.h"

namespace kstone::compact {

struct DemoOptions {
  std::string input;          // empty: the system's records
  std::string folder;         // empty: a temporary one
  std::string summary = "summary.json";
  std::uint32_t stripes = 16;
  std::uint32_t workers = 2;
  std::uint64_t compact_mib = 512;  // keep writing until the compactions have read and written this much
  double seconds = 0;               // or, if not 0, for this long, counted from the end of the loading
  std::uint64_t seed = 1;
  bool keep = false;
  bool json = false;
};

// The exit status. Throws BadInput.
int run_demo(const DemoOptions& options, Wakeup& wakeup);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_DEMO_H_
