// `kstone-compact demo`: real records, a real database, and the worker under load; then every key
// is checked.
//
// Thread safety: one call at a time.

#ifndef KSTONE_COMPACT_DEMO_H_
#define KSTONE_COMPACT_DEMO_H_

#include <cstdint>
#include <string>

#include "interrupt.h"

namespace kstone::compact {

struct DemoOptions {
  std::string input;   // empty: the system's records
  std::string folder;  // empty: a temporary one
  std::string summary = "summary.json";
  std::uint32_t stripes = 16;
  std::uint32_t workers = 2;
  // Writing ends when the compactions have read and written this much, or after this many seconds.
  std::uint64_t compact_mib = 3072;
  double seconds = 120;
  std::uint64_t seed = 1;
  bool keep = false;
  bool json = false;
};

// The exit status. Throws BadInput.
int run_demo(const DemoOptions& options, Wakeup& wakeup);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_DEMO_H_
