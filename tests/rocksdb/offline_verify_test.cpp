// `kstone-compact db --verify full`: what it compares, and what it says if it could not.

#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <signal.h>

#include <random>
#include <thread>

#include "offline/entry_accounts.h"
#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class OfflineVerify : public OfflineTest {
 protected:
  // Large enough to be interrupted.
  void make_large() const {
    auto large = kind("plain");
    large.fill = [](OwnedDatabase& database) {
      std::mt19937_64 random(1);
      std::string value(4000, '\0');
      for (int round = 0; round < 2; ++round) {
        for (int key = 0; key < 8000; ++key) {
          for (auto& byte : value) {
            byte = static_cast<char>(random());
          }
          expect_ok(database.db().Put({}, std::to_string(key), value));
        }
        database.flush();
      }
    };
    make(large, work());
  }
};

// After an error RocksDB may have done something twice, or have done what it says that it could
// not.
TEST(EntryAccounts, an_error_is_a_doubt_and_is_not_recovered_from) {
  compact::EntryAccounts accounts{CompactionStatsAtomic()};
  compact::FamilyContents before;
  before.entries = 10;
  auto after = before;
  EXPECT_EQ(accounts.wrong("default", before, after), "");
  EXPECT_EQ(accounts.doubt(), "");
  after.entries = 9;
  EXPECT_EQ(accounts.wrong("default", before, after), "its SSTs hold 9 entries, not 10");
  auto error = ::rocksdb::Status::NoSpace("full");
  accounts.OnBackgroundError(::rocksdb::BackgroundErrorReason::kFlush, &error);
  EXPECT_NE(accounts.doubt().find("full"), std::string::npos);
  bool recovers = true;
  accounts.OnErrorRecoveryBegin(::rocksdb::BackgroundErrorReason::kFlush, error, &recovers);
  EXPECT_FALSE(recovers);
}

// A flush makes a value that lay in the WAL the index of a blob.
TEST_F(OfflineVerify, user_timestamps_and_blobs_are_compared) {
  ::rocksdb::Options options;
  options.create_if_missing = true;
  options.enable_blob_files = true;
  options.min_blob_size = 100;
  expect_ok(::rocksdb::Comparator::CreateFromString(
      ::rocksdb::ConfigOptions(), "leveldb.BytewiseComparator.u64ts", &options.comparator));
  fs::create_directories(work());
  ::rocksdb::DB* opened = nullptr;
  expect_ok(::rocksdb::DB::Open(options, db(), &opened));
  {
    const std::unique_ptr<::rocksdb::DB> database(opened);
    for (char version = 1; version <= 3; ++version) {
      for (int key = 0; key < 50; ++key) {
        const auto time = std::string(1, version) + std::string(7, '\0');
        const auto value = std::string(key % 2 == 0 ? 200 : 10, version);
        expect_ok(database->Put({}, std::to_string(key), time, value));
      }
      expect_ok(version == 3 ? ::rocksdb::Status::OK() : database->Flush({}));
    }
    expect_ok(database->Close());
  }
  const auto result = run({"db", db(), "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("150 records are as before"), std::string::npos) << result.out;
}

TEST_F(OfflineVerify, interrupted_while_it_compares_is_no_difference) {
  make_large();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Process process({"db", db(), "--verify", "full"});
    while (!process.ended() &&
           process.out().find("reading every record afterwards") == std::string::npos) {
      std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_FALSE(process.ended());
    kill(process.pid(), signal);
    const auto result = process.wait();
    EXPECT_EQ(result.status, 128 + signal) << result.err;
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(result.out.find("WRONG"), std::string::npos) << result.out;
    EXPECT_NE(result.out.find("not verified: interrupted"), std::string::npos) << result.out;
  }
}

}  // namespace
}  // namespace kstone::rocksdb::test
