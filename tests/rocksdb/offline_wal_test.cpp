// `kstone-compact db` and the write-ahead log: what stays in it, and what is missing from it.

#include <rocksdb/utilities/transaction_db.h>

#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Its options file says allow_2pc=true, whatever its owner writes.
Kind of_transactions(Kind kind) {
  const auto make_owner = kind.owner;
  kind.owner = [make_owner](const fs::path& folder) {
    auto owner = make_owner(folder);
    owner.open = [](const Owner& self, const std::string& path, const auto& families,
                    Handles* handles, ::rocksdb::DB** db) {
      ::rocksdb::TransactionDB* opened = nullptr;
      auto status =
          ::rocksdb::TransactionDB::Open(self.database, {}, path, families, handles, &opened);
      *db = opened;
      return status;
    };
    return owner;
  };
  return kind;
}

class OfflineWal : public OfflineTest {
 protected:
  // Three files, of which the second family keeps the first.
  std::vector<fs::path> make_three_logs() {
    auto owned = kind("plain");
    owned.fill = [](OwnedDatabase& database) {
      auto* const first = database.handles().front();
      auto* const second = database.handles().back();
      for (int log = 0; log < 3; ++log) {
        for (int key = 0; key < 20; ++key) {
          const auto name = std::to_string(log) + "-" + std::to_string(key);
          expect_ok(database.db().Put({}, second, name, std::string(100, 'a')));
        }
        expect_ok(database.db().Put({}, first, "key", "value"));
        if (log < 2) {
          expect_ok(database.db().Flush({}, first));
        }
      }
    };
    make(owned, work());
    std::vector<fs::path> logs;
    for (const auto& entry : fs::directory_iterator(db())) {
      if (entry.path().extension() == ".log") {
        logs.push_back(entry.path());
      }
    }
    std::sort(logs.begin(), logs.end());
    return logs;
  }
  std::string notes() const { return plan()["notes"].dump(); }
};

TEST_F(OfflineWal, file_that_is_gone_is_told) {
  const auto logs = make_three_logs();
  ASSERT_EQ(logs.size(), 3U);
  EXPECT_EQ(notes(), "[]");
  fs::remove(logs[1]);
  EXPECT_NE(notes().find("21 records are not in the WAL between " + logs[0].filename().string() +
                         " and " + logs[2].filename().string()),
            std::string::npos)
      << notes();
  EXPECT_NE(run({"db", db()}).out.find("21 records are not in the WAL"), std::string::npos);
}

// As a restore of the wrong file leaves it. RocksDB would open it.
TEST_F(OfflineWal, old_copy_in_the_place_of_a_newer_file_is_refused) {
  const auto logs = make_three_logs();
  ASSERT_EQ(logs.size(), 3U);
  fs::copy_file(logs[0], logs[2], fs::copy_options::overwrite_existing);
  expect_refusal({"db", db()}, "its WAL goes back in " + logs[2].filename().string());
}

// Such a log counts batches, and a plain replay of it counts keys: an older value could hide a
// newer one, for good.
TEST_F(OfflineWal, of_another_write_policy_is_refused) {
  auto owned = kind("plain");
  const auto make_owner = owned.owner;
  owned.owner = [make_owner](const fs::path& folder) {
    auto owner = make_owner(folder);
    owner.database.two_write_queues = true;
    owner.database.avoid_flush_during_shutdown = true;
    owner.open = [](const Owner& self, const std::string& path, const auto& families,
                    Handles* handles, ::rocksdb::DB** db) {
      ::rocksdb::TransactionDBOptions options;
      options.write_policy = ::rocksdb::WRITE_PREPARED;
      ::rocksdb::TransactionDB* opened = nullptr;
      auto status =
          ::rocksdb::TransactionDB::Open(self.database, options, path, families, handles, &opened);
      *db = opened;
      return status;
    };
    return owner;
  };
  owned.fill = [](OwnedDatabase& database) {
    database.fill();
    database.flush();
    ::rocksdb::WriteBatch first;
    for (const auto* key : {"a", "b", "c", "the same"}) {
      expect_ok(first.Put(key, "older"));
    }
    expect_ok(database.db().Write({}, &first));
    ::rocksdb::WriteBatch second;
    expect_ok(second.Put("the same", "newer"));
    expect_ok(database.db().Write({}, &second));
  };
  make(owned, work());
  expect_refusal({"db", db()}, "WRITE_PREPARED");
}

// Its file is kept for it alone; without its owner's options RocksDB would pass it over.
TEST_F(OfflineWal, transaction_that_is_prepared_is_found_without_its_owners_options) {
  auto owned = kind("transactions_prepared");
  const auto prepare = owned.fill;
  owned.fill = [prepare](OwnedDatabase& database) {
    prepare(database);
    database.flush();  // of the file with the transactions nothing else is needed
    expect_ok(database.db().Put({}, "newer", "value"));
  };
  make(owned, work());
  fs::path options;
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().filename().string().starts_with("OPTIONS-")) {
      options = std::max(options, entry.path());
    }
  }
  std::ifstream in(options);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto at = text.find("allow_2pc=true");
  ASSERT_NE(at, std::string::npos);
  const auto plain = folder_.path() / "plain-options";
  write(plain, text.replace(at, 14, "allow_2pc=false"));
  for (const auto& own : std::vector<fs::path>(fs::directory_iterator(db()), {})) {
    if (own.filename().string().starts_with("OPTIONS-")) {
      fs::remove(own);
    }
  }
  expect_refusal({"db", db(), "--options-file", plain.string()},
                 "transactions that are prepared and not ended");
}

TEST_F(OfflineWal, records_that_an_sst_holds_already_are_refused) {
  const auto old = folder_.path() / "old.log";
  auto owned = kind("plain");
  owned.fill = [&](OwnedDatabase& database) {
    const auto write = [&](const char* value) {
      for (int key = 0; key < 20; ++key) {
        expect_ok(database.db().Put({}, "key-" + std::to_string(key), value));
      }
    };
    write("old");
    for (const auto& entry : fs::directory_iterator(db())) {
      if (entry.path().extension() == ".log") {
        fs::copy_file(entry.path(), old);
      }
    }
    write("newer");
    database.flush();
    write("newest");
  };
  make(owned, work());
  EXPECT_EQ(plan()["verdict"], "would be compacted");
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().extension() == ".log") {
      fs::copy_file(old, entry.path(), fs::copy_options::overwrite_existing);
    }
  }
  expect_refusal({"db", db()}, "a WAL file is an old copy");
}

TEST_F(OfflineWal, file_that_is_cut_between_two_records_is_told) {
  const auto logs = make_three_logs();
  ASSERT_EQ(logs.size(), 3U);
  fs::resize_file(logs[1], 0);
  EXPECT_NE(notes().find("21 records are not in the WAL"), std::string::npos) << notes();
}

TEST_F(OfflineWal, records_that_lack_before_its_first_are_told) {
  auto owned = kind("plain");
  owned.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    owner.database.avoid_flush_during_shutdown = true;
    return owner;
  };
  owned.fill = [](OwnedDatabase& database) {
    database.fill();
    database.flush();
    ::rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    expect_ok(database.db().Put(unlogged, "one", "value"));
    expect_ok(database.db().Put({}, "two", "value"));
  };
  make(owned, work());
  EXPECT_NE(notes().find("1 record is not in the WAL between the SSTs and"), std::string::npos)
      << notes();
}

TEST_F(OfflineWal, manifest_that_ends_in_a_record_is_told) {
  make_kind("plain");
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().filename().string().starts_with("MANIFEST")) {
      std::ofstream(entry.path(), std::ios::binary | std::ios::app) << "torn";
    }
  }
  EXPECT_NE(notes().find("ends in the middle of a record"), std::string::npos) << notes();
  EXPECT_EQ(run({"db", db(), "--verify", "full"}).status, 0);
}

TEST_F(OfflineWal, archive_that_is_a_link_to_elsewhere_is_refused) {
  make_kind("wal_archived");
  fs::remove_all(db() + "/archive");
  fs::create_directory(folder_.path() / "elsewhere");
  fs::create_directory_symlink(folder_.path() / "elsewhere", db() + "/archive");
  expect_refusal({"db", db()}, "the archive of its WAL is a link to");
}

TEST_F(OfflineWal, of_transactions_keeps_a_family_that_has_no_sst_where_its_owner_finds_it) {
  const auto owned = of_transactions(kind("cf_paths_of_a_family_in_the_log"));
  make(owned, work());
  const auto before = read(owned, folder_.path() / "work");
  fs::remove_all(work());
  make(owned, work());
  const auto result = run({"db", db(), "--json", "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  const auto families = json::parse(result.out)["column_families"];
  EXPECT_EQ(families[0]["result"], "compacted");
  EXPECT_EQ(families[1]["ssts_after"], 0);
  EXPECT_EQ(plan()["column_families"][1]["wal_records"], 1);
  EXPECT_TRUE(read(owned, work()) == before);
}

TEST_F(OfflineWal, of_transactions_keeps_the_records_of_a_family_that_is_skipped) {
  const auto owned = of_transactions(kind("plain"));
  make(owned, work());
  EXPECT_EQ(run({"db", db(), "--skip-family", "other", "--verify", "full"}).status, 0);
  const auto families = plan()["column_families"];
  EXPECT_EQ(families[0]["ssts"], 1);
  EXPECT_EQ(families[1]["ssts"], 4);
  EXPECT_EQ(families[1]["wal_records"], 60);
}

}  // namespace
}  // namespace kstone::rocksdb::test
