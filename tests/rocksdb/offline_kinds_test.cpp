// `kstone-compact db` on databases of many owners: see offline_kinds.h.

#include <gtest/gtest.h>

#include <ostream>

#include "offline_kinds.h"
#include "process_support.h"

namespace kstone::rocksdb::test {

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

namespace {

namespace fs = std::filesystem;

class OfflineKinds : public ::testing::TestWithParam<Kind> {
 protected:
  TemporaryFolder folder_;
};

TEST_P(OfflineKinds, is_the_same_afterwards_or_refused_untouched) {
  const auto& kind = GetParam();
  const auto work = folder_.path() / "work";
  make(kind, work);
  const auto files = read_folder(work);
  const auto options = options_file(work / "db");
  const auto options_before = read_file(options);
  auto arguments = arguments_of(kind, work);
  arguments.insert(arguments.end(), {"--verify", "full"});
  const auto result = run(arguments);
  if (!kind.refusal.empty()) {
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_NE(result.err.find(kind.refusal), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_TRUE(read_folder(work) == files);
  } else {
    EXPECT_EQ(result.status, 0) << result.err << result.out;
    EXPECT_NE(result.out.find("records are as before"), std::string::npos) << result.out;
    EXPECT_EQ(options_file(work / "db"), options);
    EXPECT_EQ(read_file(options), options_before);
  }
  // The same database made once more, which nobody but its owner has opened.
  const auto untouched = folder_.path() / "untouched";
  make(kind, untouched);
  EXPECT_TRUE(read(kind, work) == read(kind, untouched));
}

// The table of docs/offline.md, as these tests have it.
TEST(OfflineDocument, has_every_kind_with_what_happens_to_it) {
  std::string table;
  for (const auto& kind : kinds()) {
    std::string arguments;
    for (const auto& argument : kind.arguments) {
      arguments += " `" + argument + "`";
    }
    table += "| `" + kind.name + "` |" + arguments + " | " +
             (kind.refusal.empty() ? "compacted" : "refused: `" + kind.refusal + "`") + " |\n";
  }
  const auto page = read_file(KSTONE_DOCS "/offline.md");
  if (page.find(table) == std::string::npos) {
    FAIL() << "docs/offline.md should have this table:\n" << table;
  }
}

std::string name_of(const ::testing::TestParamInfo<Kind>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(All, OfflineKinds, ::testing::ValuesIn(kinds()), name_of);

}  // namespace
}  // namespace kstone::rocksdb::test
