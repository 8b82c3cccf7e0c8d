// What `kstone-compact db` says: of what it did not look at, of what was not done, and in JSON.

#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class OfflineWords : public OfflineTest {
 protected:
  void expect_in(const std::string& text, const std::string& part) const {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
};

TEST_F(OfflineWords, refused_plan_invents_nothing) {
  make_kind("wal_dir_outside");
  const auto text = run({"db", db(), "--plan"}).out;
  expect_in(text, "not looked at 'default'\n");
  EXPECT_EQ(text.find("SSTs"), std::string::npos) << text;
  const auto found = plan()["column_families"][0];
  EXPECT_EQ(found["would"], "not looked at");
  EXPECT_FALSE(found.contains("ssts"));
}

TEST_F(OfflineWords, family_that_was_asked_for_and_is_fifo_is_refused) {
  auto mixed = kind("plain");
  mixed.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    owner.families["other"] = kind("fifo").owner(folder).families["other"];
    return owner;
  };
  make(mixed, work());
  expect_refusal({"db", db(), "--column-family", "other"}, "its compaction style is FIFO");
  const auto all = run({"db", db(), "--json", "--verify", "full"});
  EXPECT_EQ(all.status, 0) << all.err;
  const auto report = json::parse(all.out);
  EXPECT_EQ(report["column_families"][1]["result"], "left_alone");
  EXPECT_EQ(run({"db", db(), "--column-family", "default"}).status, 0);
}

TEST_F(OfflineWords, family_that_is_asked_for_and_skipped_is_refused) {
  make_kind("plain");
  expect_refusal({"db", db(), "--column-family", "other", "--skip-family", "other"},
                 "--column-family other: --skip-family names it, too");
}

TEST_F(OfflineWords, numbers_are_plain_decimals) {
  make_kind("plain");
  for (const auto* option : {"--workers", "--min-ssts"}) {
    for (const auto* value : {"010", "0x10", "", "1.5", "-1", " 1", "99999999999"}) {
      expect_refusal({"db", db(), option, value}, std::string(option) + ": '" + value + "' is not");
    }
  }
}

TEST_F(OfflineWords, options_that_are_wrong_are_told_in_its_own_words) {
  make_kind("plain");
  expect_refusal({"db", db(), "--verify", "some"}, "'some' is neither properties nor full");
  expect_refusal({"db", db(), "--bottommost", "x"}, "'x' is neither rewrite nor keep");
  expect_refusal({"db", db(), "--workers", "1", "--workers", "2"}, "--workers: is given more");
  expect_refusal({"db", ""}, "'': no such path");
  expect_refusal({"db", db(), "--options-file", "/none"}, "--options-file /none: cannot be read");
  const auto help = run({"db", "--help"}).out;
  EXPECT_EQ(help.find("TEXT:{"), std::string::npos) << help;
}

TEST_F(OfflineWords, report_says_what_was_compared) {
  make_kind("plain");
  expect_in(run({"db", db()}).out, "the entries of 2 compacted column families are those");
  expect_in(run({"db", db(), "--skip-family", "other"}).out, "the entries of 1 compacted column");
}

TEST_F(OfflineWords, reading_says_how_much_it_read) {
  make_kind("plain");
  const auto out = run({"db", db(), "--verify", "full"}).out;
  for (const std::string when : {"before", "afterwards"}) {
    const auto at = out.find("reading every record " + when);
    ASSERT_NE(at, std::string::npos) << out;
    expect_in(out.substr(out.find('\n', at) + 1), "s  read 0.");
  }
}

TEST_F(OfflineWords, report_names_what_a_full_comparison_left_alone) {
  make_kind("plain");
  std::string victim;
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    victim = sst_of(database, database.handles().back(), 1);
  }
  damage(victim, 3000);
  const auto result = run({"db", db(), "--verify", "full", "--skip-family", "other"});
  EXPECT_EQ(result.status, 0) << result.err;
  expect_in(result.out, "column family 'other' was not read, and not compared");
  const auto report =
      json::parse(run({"db", db(), "--verify", "full", "--skip-family", "other", "--json"}).out);
  EXPECT_EQ(report["families_not_read"], json::array({"'other'"}));
}

TEST_F(OfflineWords, lines_end_without_a_blank_and_count_one_as_one) {
  make_kind("plain");
  const auto out = run({"db", db()}).out + run({"db", db(), "--plan"}).out;
  EXPECT_EQ(out.find(" \n"), std::string::npos) << out;
  EXPECT_EQ(out.find(" 1 SSTs"), std::string::npos) << out;
}

TEST_F(OfflineWords, refusal_is_json_where_that_is_asked_for) {
  make_kind("compaction_filter");
  const auto refused = run({"db", db(), "--json"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(json::parse(refused.out)["verdict"], "refused");
  const auto none = run({"db", "/none", "--json"});
  EXPECT_EQ(none.status, 2);
  const auto found = json::parse(none.out);
  EXPECT_EQ(found["verdict"], "refused");
  EXPECT_EQ(found["objections"][0]["what"], "/none: no such path");
}

TEST_F(OfflineWords, options_files_that_contradict_are_both_named) {
  make_kind("universal_with_one_level");
  const auto own = options_file(db());
  auto other = read_file(own);
  const auto at = other.find("num_levels=1");
  write(db() + "/OPTIONS-999999", other.replace(at, 12, "num_levels=7"));
  const auto refusal = run({"db", db()}).err;
  expect_in(refusal, "its options file " + own.filename().string() +
                         " says otherwise: num_levels=1, and not 7 for column family");
  expect_in(refusal, "as OPTIONS-999999, the newer one, has it");
  expect_in(refusal, own.string() + " or " + db() + "/OPTIONS-999999");
}

}  // namespace
}  // namespace kstone::rocksdb::test
