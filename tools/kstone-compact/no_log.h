// A log that RocksDB writes to and nobody keeps.
//
// The database's own LOG is a file on the same disk. Where RocksDB is built with assertions, as in
// Debian, it aborts when a full disk refuses a line of it; and opening another's database would
// move its LOG aside.
//
// Thread safety: stateless.

#ifndef KSTONE_COMPACT_NO_LOG_H_
#define KSTONE_COMPACT_NO_LOG_H_

#include <rocksdb/env.h>

namespace kstone::compact {

class NoLog final : public ::rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_NO_LOG_H_
