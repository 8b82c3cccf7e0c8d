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

class OfflineWal : public OfflineTest {};

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
