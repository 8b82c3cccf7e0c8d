// The verifier of the demo finds what it is there to find.

#include "verifier.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "database_support.h"
#include "ledger.h"

namespace kstone::compact::test {
namespace {

using rocksdb::test::Database;
using rocksdb::test::expect_ok;

constexpr std::uint32_t stripes = 3;

RecordSet records() {
  RecordSet set;
  set.texts = {"one", "two"};
  for (int i = 0; i < 60; ++i) {
    set.records.push_back({"key " + std::to_string(i), {0, 1}});
  }
  return set;
}

// As the demo does: every record is written, some are updated, some deleted, some of those written
// again; half of it is compacted away.
class Verifier : public ::testing::Test {
 protected:
  Verifier() {
    for (std::size_t record = 0; record < ledger_.size(); ++record) {
      put(record);
    }
    for (std::uint32_t stripe = 0; stripe < stripes; ++stripe) {
      database_.flush(stripe);
    }
    for (std::size_t record = 0; record < ledger_.size(); record += 2) {
      put(record);
    }
    for (std::size_t record = 0; record < ledger_.size(); record += 3) {
      remove(record);
    }
    for (std::size_t record = 0; record < ledger_.size(); record += 9) {
      put(record);
    }
  }

  ::rocksdb::ColumnFamilyHandle* handle(std::size_t record) {
    return database_.handles[ledger_.stripe(record)];
  }
  void put(std::size_t record) {
    expect_ok(
        database_.db->Put({}, handle(record), ledger_.key(record), ledger_.next_value(record)));
    ledger_.note_put(record);
  }
  void remove(std::size_t record) {
    expect_ok(database_.db->Delete({}, handle(record), ledger_.key(record)));
    ledger_.note_delete(record);
  }
  Verification verification() { return verify(*database_.db, database_.handles, ledger_); }

  const RecordSet records_ = records();
  Ledger ledger_{records_, stripes};
  Database database_{stripes};
};

TEST_F(Verifier, passes_what_was_written) {
  const auto result = verification();
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.looked_up, 60U);
  EXPECT_TRUE(result.passed()) << result.first_error;
  EXPECT_EQ(result.verified, 60U);
  EXPECT_EQ(result.live, 47U);  // 20 deleted, 7 of them written again
  EXPECT_EQ(result.keys_wrong(), 0U);
}

TEST_F(Verifier, finds_a_wrong_value) {
  expect_ok(database_.db->Put({}, handle(7), ledger_.key(7), "planted"));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.wrong, 1U);
  EXPECT_EQ(result.keys_wrong(), 1U);
  EXPECT_EQ(result.verified, 59U);
  EXPECT_NE(result.first_error.find("'key 7'"), std::string::npos) << result.first_error;
}

TEST_F(Verifier, finds_a_value_of_an_older_version) {
  auto old = *ledger_.current_value(10);
  put(10);
  expect_ok(database_.db->Put({}, handle(10), ledger_.key(10), old));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.wrong, 1U);
}

TEST_F(Verifier, finds_a_missing_key) {
  expect_ok(database_.db->Delete({}, handle(8), ledger_.key(8)));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.missing, 1U);
  EXPECT_EQ(result.keys_wrong(), 1U);
  EXPECT_NE(result.first_error.find("'key 8' is missing"), std::string::npos) << result.first_error;
}

TEST_F(Verifier, finds_a_key_that_nobody_wrote) {
  expect_ok(database_.db->Put({}, database_.handles[1], "stranger", "planted"));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.extra, 1U);
  EXPECT_EQ(result.keys_wrong(), 1U);
  EXPECT_EQ(result.verified, 60U);
  EXPECT_NE(result.first_error.find("'stranger'"), std::string::npos) << result.first_error;
}

TEST_F(Verifier, finds_a_key_that_was_deleted) {
  ASSERT_FALSE(ledger_.present(3));
  expect_ok(database_.db->Put({}, handle(3), ledger_.key(3), "risen"));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.extra, 1U);
}

TEST_F(Verifier, finds_a_key_in_the_wrong_stripe) {
  const auto other = (ledger_.stripe(7) + 1) % stripes;
  expect_ok(
      database_.db->Put({}, database_.handles[other], ledger_.key(7), *ledger_.current_value(7)));
  const auto result = verification();
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.extra, 1U);
}

// No key is in the block of properties, which was read when the file was opened.
TEST_F(Verifier, finds_a_damage_that_no_key_lies_in) {
  std::vector<::rocksdb::LiveFileMetaData> files;
  database_.db->GetLiveFilesMetaData(&files);
  ASSERT_FALSE(files.empty());
  std::fstream file(files[0].db_path + files[0].name,
                    std::ios::in | std::ios::out | std::ios::binary);
  const std::string contents(std::istreambuf_iterator<char>(file), {});
  const auto at = contents.find("leveldb.BytewiseComparator");
  ASSERT_NE(at, std::string::npos);
  file.seekp(static_cast<std::streamoff>(at));
  file.put('L');
  file.close();
  const auto result = verification();
  EXPECT_EQ(result.verified, 60U);
  EXPECT_FALSE(result.passed());
  EXPECT_NE(result.first_error.find("file " + files[0].name.substr(1) + ": Corruption"),
            std::string::npos)
      << result.first_error;
}

TEST_F(Verifier, ends_where_it_is_asked_to_and_says_so) {
  const auto result = verify(*database_.db, database_.handles, ledger_,
                             [](const Verification& so_far) { return so_far.looked_up == 25; });
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.looked_up, 25U);
  EXPECT_EQ(result.verified, 25U);
  EXPECT_EQ(result.live, 0U);
  EXPECT_TRUE(result.passed()) << result.first_error;
}

TEST_F(Verifier, may_end_in_the_iteration_and_still_tells_what_the_lookups_found) {
  expect_ok(database_.db->Put({}, handle(7), ledger_.key(7), "planted"));
  const auto result = verify(*database_.db, database_.handles, ledger_,
                             [](const Verification& so_far) { return so_far.live == 5; });
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.looked_up, 60U);
  EXPECT_EQ(result.live, 5U);
  EXPECT_EQ(result.wrong, 1U);
  EXPECT_FALSE(result.passed());
}

}  // namespace
}  // namespace kstone::compact::test
