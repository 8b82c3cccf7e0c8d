// `kstone-compact db` on databases with damage, and what it compares before and after.

#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>

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
  std::string make_several_ssts_in_a_level(int keys = 2000) {
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
      for (int key = 0; key < keys; ++key) {
        expect_ok(database->Put({}, padded(key), std::string(100, static_cast<char>('a' + round))));
      }
      expect_ok(database->Flush({}));
    }
    expect_ok(database->CompactRange({}, nullptr, nullptr));
    for (int key = 0; key < keys; key += 10) {
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
  // Every key's value, by whoever opens it with RocksDB's own defaults; or the error.
  Contents contents_of_default() const {
    ::rocksdb::DB* opened = nullptr;
    ::rocksdb::Options options;
    options.num_levels = 3;
    Contents found;
    if (const auto status = ::rocksdb::DB::OpenForReadOnly(options, db(), &opened); !status.ok()) {
      return {{"error", status.ToString()}};
    }
    const std::unique_ptr<::rocksdb::DB> database(opened);
    const std::unique_ptr<::rocksdb::Iterator> at(database->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      found[at->key().ToString()] = at->value().ToString();
    }
    expect_ok(at->status());
    return found;
  }
};

// SSTs say nothing of the values that lie in blob files.
TEST_F(OfflineDamage, blob_file_that_cannot_be_read_is_refused) {
  const std::map<std::string, std::function<void(const fs::path&)>> damages = {
      {"overwritten",
       [](const fs::path& blob) {
         std::fstream file(blob, std::ios::in | std::ios::out | std::ios::binary);
         file.seekp(static_cast<std::streamoff>(fs::file_size(blob) / 2));
         file << std::string(64, '!');
       }},
      {"cut", [](const fs::path& blob) { fs::resize_file(blob, fs::file_size(blob) / 2); }},
      {"gone", [](const fs::path& blob) { fs::remove(blob); }},
  };
  for (const auto& [name, damage] : damages) {
    fs::remove_all(db());
    make_kind("blobs");
    fs::path blob;
    for (const auto& entry : fs::directory_iterator(db())) {
      if (entry.path().extension() == ".blob") {
        blob = std::max(blob, entry.path());  // the newest has the values that count
      }
    }
    ASSERT_FALSE(blob.empty());
    damage(blob);
    const auto result = run({"db", db(), "--json"});
    EXPECT_EQ(result.status, 2) << name << result.out;
    EXPECT_NE(result.err.find("a blob file cannot be read"), std::string::npos)
        << name << result.err;
  }
}

// Plain tables are read record by record, and one with a prefix cannot seek in the order of all.
TEST_F(OfflineDamage, many_versions_of_a_record_in_plain_tables_are_none) {
  ::rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = ::rocksdb::kNoCompression;
  options.allow_mmap_reads = true;
  options.table_factory.reset(::rocksdb::NewPlainTableFactory());
  options.prefix_extractor.reset(::rocksdb::NewFixedPrefixTransform(3));
  options.level0_file_num_compaction_trigger = 100;
  fs::create_directories(work());
  ::rocksdb::DB* opened = nullptr;
  expect_ok(::rocksdb::DB::Open(options, db(), &opened));
  const std::unique_ptr<::rocksdb::DB> database(opened);
  for (int version = 0; version < 20; ++version) {
    expect_ok(database->Put({}, "key-1", std::to_string(version)));
    expect_ok(database->Put({}, "key-2", std::to_string(version)));
    expect_ok(database->Flush({}));
  }
  expect_ok(database->Close());
  for (const std::string verify : {"properties", "full"}) {
    const auto result = run({"db", db(), "--verify", verify});
    EXPECT_EQ(result.status, 0) << verify << ": " << result.err << result.out;
  }
}

// What such a list allows, the mode of a new file would not.
TEST_F(OfflineDamage, access_control_list_is_refused) {
  make_kind("plain");
  // Version 2: the user, one other user, the group, the mask, others.
  const unsigned char list[] = {2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  6,
                                0, 1, 0,   0,   0,   4,   0,  0, 0,   255, 255, 255, 255, 16, 0,
                                6, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};
  if (setxattr((db() + "/CURRENT").c_str(), "system.posix_acl_access", list, sizeof list, 0) != 0) {
    GTEST_SKIP() << "no access control lists here: " << std::strerror(errno);
  }
  expect_refusal({"db", db()}, "CURRENT has an access control list");
}

// Opening one would never end.
TEST_F(OfflineDamage, fifo_in_place_of_a_file_is_refused) {
  for (const std::string ending : {"CURRENT", ".sst", "IDENTITY", "MANIFEST-"}) {
    fs::remove_all(db());
    make_kind("plain");
    fs::path file;
    for (const auto& entry : fs::directory_iterator(db())) {
      const auto name = entry.path().filename().string();
      file = name.ends_with(ending) || (ending.ends_with('-') && name.starts_with(ending))
                 ? entry.path()
                 : file;
    }
    ASSERT_FALSE(file.empty()) << ending;
    fs::remove(file);
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
    const auto result = run({"db", db(), "--plan"});
    EXPECT_EQ(result.status, 2);
    EXPECT_NE(result.err.find(file.filename().string() + " is not a plain file"), std::string::npos)
        << result.err;
  }
}

// RocksDB 7.8 goes on without the records of an SST that it cannot open in the middle of a level.
TEST_F(OfflineDamage, sst_that_cannot_be_opened_at_some_moment_loses_no_record) {
  make_several_ssts_in_a_level();
  const auto before = contents_of_default();
  ASSERT_EQ(before.size(), 2000U);
  const auto copy = folder_.path() / "copy";
  fs::copy(work(), copy, fs::copy_options::recursive);
  for (const std::string verify : {"properties", "full"}) {
    std::uint64_t refused = 0;
    for (std::uint64_t open = 1; open < 100; open += 9) {
      SCOPED_TRACE(verify + ", at opening " + std::to_string(open));
      fs::remove_all(work());
      fs::copy(copy, work(), fs::copy_options::recursive);
      Circumstances circumstances;
      circumstances.refused_open = open;
      const auto result = run({"db", db(), "--verify", verify}, circumstances);
      refused += result.status == 0 ? 0 : 1;
      EXPECT_EQ(result.status == 0, result.err.empty()) << result.err;
      EXPECT_TRUE(contents_of_default() == before);
    }
    EXPECT_GT(refused, 2U);
  }
}

TEST_F(OfflineDamage, comparison_with_few_open_files_skips_no_sst) {
  make_several_ssts_in_a_level(6000);
  for (rlim_t limit = 18; limit <= 26; limit += 2) {
    Circumstances circumstances;
    circumstances.open_files_limit = limit;
    const auto result = run({"db", db(), "--verify", "full"}, circumstances);
    EXPECT_EQ(result.status, 2) << limit << result.out;
    EXPECT_EQ(count(result.out, "records are as before"),
              count(result.out, "6000 records are as before"))
        << limit << result.out;
  }
  EXPECT_EQ(contents_of_default().size(), 6000U);
}

TEST_F(OfflineDamage, sst_that_cannot_be_deleted_is_told) {
  make_several_ssts_in_a_level();
  Circumstances circumstances;
  circumstances.keeps_ssts = true;
  const auto result = run({"db", db(), "--json"}, circumstances);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("a file that is no longer needed could not be deleted"),
            std::string::npos)
      << result.out;
}

// What RocksDB opens along with the database is one or two SSTs of the first family.
TEST_F(OfflineDamage, of_a_footer_costs_one_family) {
  make_kind("plain");
  std::string victim;
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    victim = sst_of(database, database.handles()[1]);
  }
  damage(victim, static_cast<std::streamoff>(fs::file_size(victim)) - 23);
  const auto result = run({"db", db(), "--json"});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("column family 'other'"), std::string::npos) << result.err;
  const auto families = json::parse(result.out)["column_families"];
  EXPECT_EQ(families[0]["result"], "compacted");
  EXPECT_EQ(families[1]["result"], "refused");
}

TEST_F(OfflineDamage, beside_a_fifo_family_costs_one_family) {
  auto mixed = kind("many_families");
  mixed.owner = [](const fs::path& folder) {
    auto owner = kind("many_families").owner(folder);
    owner.families["fifo"] = kind("fifo").owner(folder).families["default"];
    return owner;
  };
  make(mixed, work());
  std::string victim;
  {
    OwnedDatabase database(mixed.owner(work()), db());
    for (std::size_t at = 0; at < database.handles().size(); ++at) {
      if (database.handles()[at]->GetName() == "other") {
        victim = sst_of(database, database.handles()[at]);
      }
    }
  }
  damage(victim, static_cast<std::streamoff>(fs::file_size(victim)) - 23);
  const auto result = run({"db", db(), "--json", "--skip-family", "other"});
  EXPECT_EQ(result.status, 0) << result.err;
  for (const auto& family : json::parse(result.out)["column_families"]) {
    if (family["name"] == "family-7") {
      EXPECT_EQ(family["result"], "compacted");
    }
  }
}

TEST_F(OfflineDamage, sst_that_is_gone_names_what_helps) {
  make_kind("plain");
  std::string victim;
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    victim = sst_of(database, database.handles()[1]);
  }
  fs::remove(victim);
  expect_refusal({"db", db()}, "if a file is lost: restoring it");
}

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
