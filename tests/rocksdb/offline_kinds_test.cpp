// `kstone-compact db` on databases of many owners: see offline_kinds.h.

#include <gtest/gtest.h>

#include <ostream>

#include "offline_kinds.h"
#include "process_support.h"

namespace kstone::rocksdb::test {

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

namespace {

namespace fs = std::filesystem;

std::pair<Contents, std::string> contents_or_error(const Kind& kind, const fs::path& folder) {
  try {
    return {read(kind, folder), ""};
  } catch (const std::exception& error) {
    const std::string what = error.what();
    return {{}, what.substr(0, what.find(':'))};  // what follows names a path
  }
}

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
    const bool compacted = result.out.find("compacted") != std::string::npos;
    EXPECT_EQ(result.out.find("records are as before") != std::string::npos, compacted)
        << result.out;
    EXPECT_EQ(options_file(work / "db"), options);
    EXPECT_EQ(read_file(options), options_before);
  }
  // The same database made once more, which nobody but its owner has opened; if its owner still
  // can.
  const auto untouched = folder_.path() / "untouched";
  make(kind, untouched);
  const auto expected = contents_or_error(kind, untouched);
  EXPECT_EQ(contents_or_error(kind, work).second, expected.second);
  EXPECT_TRUE(contents_or_error(kind, work).first == expected.first);
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
             (kind.name == "fifo"    ? "left alone"
              : kind.refusal.empty() ? "compacted"
                                     : "refused: `" + kind.refusal + "`") +
             " |\n";
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
