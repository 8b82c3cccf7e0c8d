// The demo's database: one column family for each stripe, all of them compacted by the worker. For
// comparison it can leave them to RocksDB.
//
// Thread safety: the database is RocksDB's; opening and closing it is not.

#ifndef KSTONE_COMPACT_DEMO_DATABASE_H_
#define KSTONE_COMPACT_DEMO_DATABASE_H_

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/statistics.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kstone/compaction_config.h"
#include "kstone/rocksdb/database_listener.h"

namespace kstone::compact {

// Who decides what is compacted, and on whose threads.
enum class Scheduling : std::uint8_t {
  worker,  // nobody, until a worker is attached
  // RocksDB: leveled compaction with the same levels and as many threads as the worker has.
  rocksdb,
};

struct DemoDatabaseOptions {
  // It outlives the database; tests have faulty ones.
  ::rocksdb::Env* env = ::rocksdb::Env::Default();
  Scheduling scheduling = Scheduling::worker;
  std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners = {};  // beside its own
};

class DemoDatabase {
 public:
  // Creates the database if it is not there. Throws BadInput if RocksDB refuses.
  DemoDatabase(const std::string& folder, std::uint32_t stripe_count,
               const CompactionConfig& config, const DemoDatabaseOptions& options = {});
  // Closes it, but says nothing if that fails.
  ~DemoDatabase();
  DemoDatabase(const DemoDatabase&) = delete;
  DemoDatabase& operator=(const DemoDatabase&) = delete;

  // Throws BadInput if RocksDB could not write what it still held.
  void close();
  // Writes every memtable to L0, which requests compactions.
  void flush();

  ::rocksdb::DB& db() { return *db_; }
  const std::vector<::rocksdb::ColumnFamilyHandle*>& stripes() const { return stripes_; }
  rocksdb::DatabaseListener& listener() { return *listener_; }

  std::uint32_t l0_files(std::uint32_t stripe) const;
  // How long RocksDB has held up writers, by its own count.
  double stall_seconds() const;
  const ::rocksdb::Statistics& statistics() const { return *statistics_; }

 private:
  using Families = std::vector<::rocksdb::ColumnFamilyDescriptor>;

  void create_stripes(const Families& stripes);
  ::rocksdb::Status close_all();

  std::shared_ptr<rocksdb::DatabaseListener> listener_ =
      std::make_shared<rocksdb::DatabaseListener>();
  std::shared_ptr<::rocksdb::Statistics> statistics_ = ::rocksdb::CreateDBStatistics();
  // The default column family, which stays empty, then the stripes.
  std::vector<::rocksdb::ColumnFamilyHandle*> handles_;
  std::vector<::rocksdb::ColumnFamilyHandle*> stripes_;
  std::unique_ptr<::rocksdb::DB> db_;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_DEMO_DATABASE_H_
