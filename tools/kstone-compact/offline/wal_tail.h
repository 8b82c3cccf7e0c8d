// How the files of a write-ahead log end, by their bytes.
//
// RocksDB's recovery takes much for a harmless end: it stops at zeros, at a length that leads
// beyond the file, at a record that lacks its end, in any file of the log. Behind such a place
// there may be whole records. Here each file is read record by record; behind the last whole one,
// each byte is tried as the beginning of another.
//
// The format: blocks of 32 KiB; each record a checksum (CRC-32C, masked), a length and a type, for
// files that are written over again the number of the log too, then its bytes; no record crosses a
// block.
//
// Thread safety: stateless.

#ifndef KSTONE_COMPACT_OFFLINE_WAL_TAIL_H_
#define KSTONE_COMPACT_OFFLINE_WAL_TAIL_H_

#include <cstdint>
#include <string>

namespace kstone::compact {

enum class WalEnd : std::uint8_t {
  clean,    // with a whole record, or zeros that were reserved
  torn,     // with bytes that are no whole record, as a crash leaves them
  damaged,  // there are whole records behind bytes that are none
  no_log,   // there is no record at all, although there are bytes
};

// Throws BadInput if the file cannot be read.
WalEnd end_of_log(const std::string& path, std::uint64_t number);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_WAL_TAIL_H_
