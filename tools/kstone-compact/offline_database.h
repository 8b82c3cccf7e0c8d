// A database that belongs to somebody else, opened for nothing but compacting it.
//
// What its owner left is respected: it is opened with the options it was last opened with, the options file on disk stays
// as it is, its log is not touched, and a folder that is no database, or one that is in use, is not written to at all.
//
// Thread safety: the database is RocksDB's; opening and closing it is not.

#ifndef KSTONE_COMPACT_OFFLINE_DATABASE_H_
#define KSTONE_COMPACT_OFFLINE_DATABASE_H_

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kstone::compact {

class OfflineDatabase {
 public:
  struct Size {
    std::uint64_t bytes = 0;
    std::uint64_t files = 0;
  };

  // Automatic compactions are off; up to `compactions` of the caller's run at a time. Throws BadInput.
  OfflineDatabase(const std::string& path, std::uint32_t compactions,
                  std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners);
  ~OfflineDatabase();
  OfflineDatabase(const OfflineDatabase&) = delete;
  OfflineDatabase& operator=(const OfflineDatabase&) = delete;

  // Throws BadInput if RocksDB could not write what it still held.
  void close();

  ::rocksdb::DB& db() { return *db_; }
  const std::vector<::rocksdb::ColumnFamilyHandle*>& handles() const { return handles_; }
  Size size(::rocksdb::ColumnFamilyHandle* handle) const;

 private:
  ::rocksdb::Status close_all();

  std::unique_ptr<::rocksdb::Env> env_;
  std::vector<::rocksdb::ColumnFamilyHandle*> handles_;
  std::unique_ptr<::rocksdb::DB> db_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_DATABASE_H_
