// `kstone-compact db --verify full`: what it compares, and what it says if it could not.

#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <signal.h>

#include <random>
#include <thread>

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
