// `kstone-compact db` on databases with damage, and what it compares before and after.

#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>

#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string padded(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "key-%06d", number);
  return text;
}

class OfflineDamage : public OfflineTest {
 protected:
  // The path of an SST of the last level that is neither its first nor its last.
  std::string make_several_ssts_in_a_level() {
    ::rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = ::rocksdb::kNoCompression;
    options.target_file_size_base = 32 << 10;
    options.num_levels = 3;
    options.level0_file_num_compaction_trigger = 100;
    fs::create_directories(work());
    ::rocksdb::DB* opened = nullptr;
    expect_ok(::rocksdb::DB::Open(options, db(), &opened));
    const std::unique_ptr<::rocksdb::DB> database(opened);
    for (int round = 0; round < 2; ++round) {
      for (int key = 0; key < 2000; ++key) {
        expect_ok(database->Put({}, padded(key), std::string(100, static_cast<char>('a' + round))));
      }
      expect_ok(database->Flush({}));
    }
    expect_ok(database->CompactRange({}, nullptr, nullptr));
    for (int key = 0; key < 2000; key += 10) {
      expect_ok(database->Put({}, padded(key), "newer"));
    }
    expect_ok(database->Flush({}));
    ::rocksdb::ColumnFamilyMetaData metadata;
    database->GetColumnFamilyMetaData(&metadata);
    std::string found;
    for (const auto& level : metadata.levels) {
      if (level.level > 0 && level.files.size() > 3) {
        found = db() + level.files[2].name;
      }
    }
    expect_ok(database->Close());
    return found;
  }
  static void damage(const std::string& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << "damaged damaged damaged";
  }
};

TEST_F(OfflineDamage, in_a_later_sst_of_a_level_is_refused_untouched) {
  const auto sst = make_several_ssts_in_a_level();
  ASSERT_FALSE(sst.empty());
  damage(sst, 100);
  expect_refusal({"db", db()}, "an SST cannot be read: Corruption");
  expect_refusal({"db", db(), "--verify", "full"}, "its records cannot be read: Corruption");
}

TEST_F(OfflineDamage, in_the_last_block_is_refused_untouched) {
  const auto sst = make_several_ssts_in_a_level();
  ASSERT_FALSE(sst.empty());
  damage(sst, 30'000);
  expect_refusal({"db", db()}, "an SST cannot be read: Corruption");
  expect_refusal({"db", db(), "--verify", "full"}, "its records cannot be read: Corruption");
}

// With records in a WAL that cannot be kept: opening the database would write them to an SST.
TEST_F(OfflineDamage, of_every_family_leaves_the_log_as_it_was) {
  make_kind("wal_ends_in_a_record");
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().extension() == ".sst") {
      damage(entry.path(), 1000);
    }
  }
  expect_refusal({"db", db()}, "refused: the WAL holds");
  expect_refusal({"db", db(), "--verify", "full"}, "refused: the WAL holds");
}

TEST_F(OfflineDamage, of_one_family_leaves_its_records_in_no_new_sst) {
  make_kind("wal_ends_in_a_record");
  std::string victim;
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().extension() == ".sst" && entry.path() > victim) {
      victim = entry.path();
    }
  }
  damage(victim, 1000);
  expect_refusal({"db", db()}, "which would be written to an SST: an SST cannot be read");
  expect_refusal({"db", db(), "--verify", "full"}, "which would be written to an SST");
}

TEST_F(OfflineDamage, verified_is_what_was_compared) {
  make_kind("plain");
  const auto nothing = json::parse(run({"db", db(), "--json", "--min-ssts", "1000"}).out);
  EXPECT_EQ(nothing["verified"], false);
  EXPECT_EQ(nothing["families_verified"], 0);
  const auto one = json::parse(run({"db", db(), "--json", "--column-family", "other"}).out);
  EXPECT_EQ(one["verified"], true);
  EXPECT_EQ(one["families_verified"], 1);
}

// A compaction takes timestamps and numbers away from what is older than the owner's mark.
TEST_F(OfflineDamage, history_before_the_owners_mark_is_none) {
  ::rocksdb::Options options;
  options.create_if_missing = true;
  options.level0_file_num_compaction_trigger = 100;
  expect_ok(::rocksdb::Comparator::CreateFromString(
      ::rocksdb::ConfigOptions(), "leveldb.BytewiseComparator.u64ts", &options.comparator));
  const auto time = [](char number) { return std::string(1, number) + std::string(7, '\0'); };
  fs::create_directories(work());
  ::rocksdb::DB* opened = nullptr;
  expect_ok(::rocksdb::DB::Open(options, db(), &opened));
  {
    const std::unique_ptr<::rocksdb::DB> database(opened);
    for (char version = 1; version <= 6; ++version) {
      for (int key = 0; key < 50; ++key) {
        const auto value = std::string(1, static_cast<char>('a' + version));
        expect_ok(key % 7 == version ? database->Delete({}, padded(key), time(version))
                                     : database->Put({}, padded(key), time(version), value));
      }
      expect_ok(database->Flush({}));
    }
    expect_ok(database->IncreaseFullHistoryTsLow(database->DefaultColumnFamily(), time(4)));
    expect_ok(database->Close());
  }
  const auto result = run({"db", db(), "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  // Three versions since the mark, and what was there as of it.
  EXPECT_NE(result.out.find("193 records are as before"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace kstone::rocksdb::test
