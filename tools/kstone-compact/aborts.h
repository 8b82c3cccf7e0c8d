// RocksDB and the C++ runtime abort where they cannot go on. The user reads one line, not a core
// dump.
//
// Part of the program alone: a test that links the other parts wants to die of an abort.
//
// Thread safety: none; `main` calls it first.

#ifndef KSTONE_COMPACT_ABORTS_H_
#define KSTONE_COMPACT_ABORTS_H_

namespace kstone::compact {

// From now on an abort, a failed assertion (Debian's RocksDB has them) and std::terminate (no
// memory, or no thread, where nobody catches it) are one line on stderr and exit status 2.
void handle_aborts();

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_ABORTS_H_
