// What the tests of `kstone-compact db` share.

#ifndef KSTONE_TESTS_ROCKSDB_OFFLINE_SUPPORT_H_
#define KSTONE_TESTS_ROCKSDB_OFFLINE_SUPPORT_H_

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "offline_kinds.h"
#include "process_support.h"

namespace kstone::rocksdb::test {

class OfflineTest : public ::testing::Test {
 protected:
  std::filesystem::path work() const { return folder_.path() / "work"; }
  std::string db() const { return (work() / "db").string(); }
  void make_kind(const std::string& name) { make(kind(name), work()); }
  void write(const std::filesystem::path& path, const std::string& text) const {
    std::ofstream(path, std::ios::binary) << text;
  }

  // An SST of the family's first level.
  static std::string sst_of(OwnedDatabase& database, ::rocksdb::ColumnFamilyHandle* family,
                            std::size_t file = 0) {
    ::rocksdb::ColumnFamilyMetaData metadata;
    database.db().GetColumnFamilyMetaData(family, &metadata);
    const auto& found = metadata.levels[0].files.at(file);
    return found.db_path + found.name;
  }
  static void damage(const std::string& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << "damaged damaged damaged";
  }

  // Refused in one line that says so, with no byte changed.
  void expect_refusal(const std::vector<std::string>& arguments, const std::string& what,
                      const Circumstances& circumstances = {}) const {
    const auto before = read_folder(folder_.path());
    const auto result = run(arguments, circumstances);
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_EQ(count(result.err, "\n"), 1U) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
    const auto after = read_folder(folder_.path());
    for (const auto& [path, text] : after) {
      const auto found = before.find(path);
      EXPECT_TRUE(found != before.end() && found->second == text) << path;
    }
    EXPECT_EQ(after.size(), before.size());
  }
  nlohmann::json plan(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"db", db(), "--plan", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto before = read_folder(folder_.path());
    const auto result = run(arguments);
    EXPECT_TRUE(read_folder(folder_.path()) == before);
    auto found = nlohmann::json::parse(result.out);
    EXPECT_EQ(result.status, found["verdict"] == "would be compacted" ? 0 : 2);
    return found;
  }

  TemporaryFolder folder_;
};

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_OFFLINE_SUPPORT_H_
