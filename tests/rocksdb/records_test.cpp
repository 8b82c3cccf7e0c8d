// Where the demo's records come from.

#include "records.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bad_input.h"
#include "database_support.h"

namespace kstone::compact::test {
namespace {

using rocksdb::test::TemporaryFolder;

std::string write(const std::filesystem::path& path, const std::string& contents) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << contents;
  return path.string();
}

std::string complaint_about(const std::string& path) {
  try {
    read_record_file(path);
    return "accepted";
  } catch (const BadInput& error) {
    return error.what();
  }
}

TEST(Records, a_file_of_key_tab_value_lines) {
  const TemporaryFolder folder;
  const auto set =
      read_record_file(write(folder.path() / "in", "a\tone\nb\ttwo\twith a tab\na\tthree\nc\t\n"));
  ASSERT_EQ(set.records.size(), 3U);
  EXPECT_EQ(set.records[0].key, "a");
  EXPECT_EQ(set.records[0].texts, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(set.texts[1], "two\twith a tab");
  EXPECT_EQ(set.texts[3], "");
}

TEST(Records, a_bad_file_is_named_with_its_line) {
  const TemporaryFolder folder;
  const auto in = folder.path() / "in";
  EXPECT_NE(complaint_about(write(in, "a\t1\nno tab here\n")).find("line 2 has no TAB"),
            std::string::npos);
  EXPECT_NE(complaint_about(write(in, "\tvalue\n")).find("line 1 has an empty key"),
            std::string::npos);
  EXPECT_NE(complaint_about(write(in, "")).find("holds no records"), std::string::npos);
  EXPECT_NE(complaint_about(folder.path().string()).find("is a directory"), std::string::npos);
  EXPECT_NE(complaint_about(in.string() + ".none").find("No such file"), std::string::npos);
}

TEST(Records, file_lists_of_dpkg) {
  const TemporaryFolder folder;
  write(folder.path() / "status", "Package: one\nVersion: 1\n\nPackage: two\nVersion: 2\n");
  write(folder.path() / "info/one.list", "/usr\n/usr/one\n");
  write(folder.path() / "info/two:amd64.list", "/usr\n/usr/two\n");
  write(folder.path() / "info/unknown.list", "/usr/unknown\n");
  const auto set = read_file_lists(folder.path().string());
  ASSERT_EQ(set.records.size(), 3U);
  EXPECT_EQ(set.records[0].key, "/usr");
  EXPECT_EQ(set.records[0].texts.size(), 2U);  // both packages own it: an update
  EXPECT_EQ(set.records[2].key, "/usr/two");
  EXPECT_EQ(set.texts[set.records[2].texts[0]], "Package: two\nVersion: 2\n");
}

TEST(Records, the_package_index_of_apt) {
  if (!std::filesystem::exists("/usr/lib/apt/apt-helper")) {
    GTEST_SKIP() << "apt-helper is not installed";
  }
  const TemporaryFolder folder;
  write(folder.path() / "main_binary-amd64_Packages",
        "Package: one\nArchitecture: amd64\nVersion: 1\n\n"
        "Package: two\nArchitecture: all\nVersion: 2\n\n");
  write(folder.path() / "security_binary-amd64_Packages",
        "Package: one\nArchitecture: amd64\nVersion: 1.1\n");
  write(folder.path() / "main_InRelease", "Package: not this\n");
  const auto set = read_package_index(folder.path().string());
  ASSERT_EQ(set.records.size(), 2U);
  EXPECT_EQ(set.records[0].key, "one:amd64");
  ASSERT_EQ(set.records[0].texts.size(), 2U);
  EXPECT_EQ(set.texts[set.records[0].texts[1]],
            "Package: one\nArchitecture: amd64\nVersion: 1.1\n");
  EXPECT_EQ(set.records[1].key, "two:all");
}

TEST(Records, none_where_there_are_none) {
  const TemporaryFolder folder;
  EXPECT_TRUE(read_package_index(folder.path().string()).records.empty());
  EXPECT_TRUE(read_file_lists((folder.path() / "none").string()).records.empty());
}

}  // namespace
}  // namespace kstone::compact::test
