// Kinds of databases by their write-ahead logs, and by what is in them: see offline_kinds.h.

#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/db_ttl.h>
#include <rocksdb/utilities/transaction_db.h>

#include <fstream>

#include "offline_kind_parts.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;

void add_log_options(std::vector<Kind>& kinds) {
  kinds.push_back(with("wal_tracked", [](Owner& owner, auto&) {
    owner.database.track_and_verify_wals_in_manifest = true;
  }));
  kinds.push_back(with("wal_compressed", [](Owner& owner, auto&) {
    owner.database.wal_compression = ::rocksdb::kZSTD;
  }));
  kinds.push_back(
      with("wal_archived", [](Owner& owner, auto&) { owner.database.WAL_ttl_seconds = 3600; }));
  kinds.push_back(with("stats_persisted",
                       [](Owner& owner, auto&) { owner.database.persist_stats_to_disk = true; }));
  kinds.push_back(
      with("atomic_flush", [](Owner& owner, auto&) { owner.database.atomic_flush = true; }));
}

void add_ttl(std::vector<Kind>& kinds) {
  Kind ttl = with(
      "ttl",
      [](Owner& owner, auto&) {
        owner.open = [](const Owner& self, const std::string& path, const auto& families,
                        Handles* handles, ::rocksdb::DB** db) {
          ::rocksdb::DBWithTTL* opened = nullptr;
          auto status =
              ::rocksdb::DBWithTTL::Open(self.database, path, families, handles, &opened,
                                         std::vector<std::int32_t>(families.size(), 100'000));
          *db = opened;
          return status;
        };
      },
      "--accept-loss compaction-filter:default");
  kinds.push_back(ttl);
  kinds.push_back(altered(ttl, "_accepted", {}, "", {"--accept-loss", "compaction-filter"}));
}

void add_transactions(std::vector<Kind>& kinds) {
  const auto transactions = [](Owner& owner, const fs::path&) {
    owner.open = [](const Owner& self, const std::string& path, const auto& families,
                    Handles* handles, ::rocksdb::DB** db) {
      ::rocksdb::TransactionDB* opened = nullptr;
      auto status =
          ::rocksdb::TransactionDB::Open(self.database, {}, path, families, handles, &opened);
      *db = opened;
      return status;
    };
  };
  const auto transact = [](OwnedDatabase& database, bool commit) {
    database.fill();
    auto& db = static_cast<::rocksdb::TransactionDB&>(database.db());
    for (int each = 0; each < 3; ++each) {
      auto* begun = db.BeginTransaction({});
      check(begun->SetName("transaction-" + std::to_string(each)));
      check(begun->Put("in-transaction-" + std::to_string(each), "value"));
      check(begun->Prepare());
      if (commit) {
        check(begun->Commit());
      }
      delete begun;  // one that is prepared stays in the log, and is recovered
    }
  };
  auto committed = with("transactions", transactions);
  committed.fill = [transact](OwnedDatabase& database) { transact(database, true); };
  kinds.push_back(committed);
  auto prepared =
      with("transactions_prepared", transactions, "transactions that are prepared and not ended");
  prepared.fill = [transact](OwnedDatabase& database) { transact(database, false); };
  kinds.push_back(prepared);
}

void add_records(std::vector<Kind>& kinds) {
  auto ranges = with("range_deletions", [](auto&, auto&) {});
  ranges.fill = [](OwnedDatabase& database) {
    database.fill();
    for (auto* handle : database.handles()) {
      check(database.db().DeleteRange({}, handle, "key-1", "key-3"));
    }
    database.flush();
    check(database.db().DeleteRange({}, database.handles().front(), "key-4", "key-5"));
  };
  kinds.push_back(ranges);
  auto wide = with("wide_columns", [](auto&, auto&) {});
  wide.fill = [](OwnedDatabase& database) {
    database.fill();
    check(database.db().PutEntity({}, database.handles().front(), "entity",
                                  {{"", "default column"}, {"second", "another"}}));
    database.flush();
    check(database.db().PutEntity({}, database.handles().front(), "entity-in-the-log",
                                  {{"only", "one"}}));
  };
  kinds.push_back(wide);
  // As RocksDB 7.8 does it by default: the number of its records is written into the SST.
  auto ingested = with("ingested", [](auto&, auto&) {});
  ingested.fill = [](OwnedDatabase& database) {
    database.fill();
    const auto path = fs::path(database.db().GetName()).parent_path() / "new.sst";
    ::rocksdb::SstFileWriter writer({}, {});
    check(writer.Open(path.string()));
    check(writer.Put("key-2", "ingested"));
    check(writer.Put("key-3", "ingested"));
    check(writer.Finish());
    ::rocksdb::IngestExternalFileOptions options;
    options.write_global_seqno = true;
    check(database.db().IngestExternalFile(database.handles().front(), {path.string()}, options));
    fs::remove(path);
  };
  kinds.push_back(ingested);
  kinds.push_back(with("plain_tables", [](Owner& owner, auto&) {
    owner.database.allow_mmap_reads = true;
    owner.each([](auto& family) {
      ::rocksdb::PlainTableOptions options;
      options.hash_table_ratio = 0;
      family.table_factory.reset(::rocksdb::NewPlainTableFactory(options));
    });
  }));
}

void add_damaged_logs(std::vector<Kind>& kinds) {
  const auto cut_log = [](const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder / "db")) {
      if (entry.path().extension() == ".log" && entry.file_size() > 100) {
        fs::resize_file(entry.path(), entry.file_size() - 5);
      }
    }
  };
  kinds.push_back(altered(with("wal", [](auto&, auto&) {}), "_ends_in_a_record", cut_log, ""));
  const auto damage_log = [](const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder / "db")) {
      if (entry.path().extension() == ".log" && entry.file_size() > 1000) {
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(500);
        file << "damaged";
      }
    }
  };
  kinds.push_back(altered(with("wal", [](auto&, auto&) {}), "_damaged", damage_log,
                          "--accept-loss wal-records"));
  const auto damaged_with = [](std::streamoff at, const std::string& bytes) {
    return [at, bytes](const fs::path& folder) {
      for (const auto& entry : fs::directory_iterator(folder / "db")) {
        if (entry.path().extension() == ".log" && entry.file_size() > 1000) {
          std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
          file.seekp(at);
          file << bytes;
        }
      }
    };
  };
  // The length of the first record, and zeros over the third.
  kinds.push_back(altered(with("wal", [](auto&, auto&) {}), "_with_a_wrong_length",
                          damaged_with(5, "\x7f"), "whole records behind bytes that are none"));
  kinds.push_back(altered(with("wal", [](auto&, auto&) {}), "_with_zeros_within",
                          damaged_with(300, std::string(600, '\0')),
                          "whole records behind bytes that are none"));
  kinds.push_back(altered(
      with("wal",
           [](Owner& owner, auto&) {
             owner.database.wal_recovery_mode = ::rocksdb::WALRecoveryMode::kAbsoluteConsistency;
           }),
      "_ends_in_a_record_and_its_owner_tolerates_none", cut_log, "--accept-loss wal-records"));
}

}  // namespace

void add_logs(std::vector<Kind>& kinds) {
  add_log_options(kinds);
  add_ttl(kinds);
  add_transactions(kinds);
  add_records(kinds);
  add_damaged_logs(kinds);
}

}  // namespace kstone::rocksdb::test
