// The picker: which level is due, and which SSTs a step merges.

#include "kstone/rocksdb/leveled_picker.h"

#include <gtest/gtest.h>

namespace kstone::rocksdb::test {
namespace {

using Names = std::vector<std::string>;

const ::rocksdb::Comparator& order = *::rocksdb::BytewiseComparator();

SstFile file(const std::string& name, std::uint64_t bytes, const std::string& smallest,
             const std::string& largest) {
  return {name, bytes, smallest, largest};
}

LevelLimits limits() { return {3, 1000, 10, 100'000}; }

std::optional<CompactionStep> pick(const Levels& levels, const LevelLimits& within = limits()) {
  return pick_step(levels, within, order);
}

TEST(LeveledPicker, nothing_is_due_below_the_limits) {
  EXPECT_FALSE(pick({}));
  EXPECT_FALSE(pick({{}, {}, {}}));
  EXPECT_FALSE(pick(
      {{file("b", 5000, "a", "z"), file("a", 5000, "a", "z")}, {file("c", 1000, "a", "z")}, {}}));
}

TEST(LeveledPicker, a_single_level_has_nowhere_to_go) {
  EXPECT_FALSE(pick({{file("c", 1, "a", "z"), file("b", 1, "a", "z"), file("a", 1, "a", "z")}}));
}

TEST(LeveledPicker, the_last_level_is_never_due) {
  EXPECT_FALSE(pick({{}, {}, {file("a", 1'000'000, "a", "z")}}));
}

TEST(LeveledPicker, l0_is_due_at_the_threshold_and_takes_what_it_overlaps) {
  const auto step =
      pick({{file("c", 10, "d", "f"), file("b", 10, "e", "k"), file("a", 10, "c", "d")},
            {file("p", 10, "a", "b"), file("q", 10, "k", "m"), file("r", 10, "n", "z")},
            {}});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->inputs, (Names{"a", "b", "c", "q"}));  // "k" is an end of both
  EXPECT_EQ(step->output_level, 1);
  EXPECT_EQ(step->input_bytes, 40U);
}

TEST(LeveledPicker, l0_takes_the_oldest_files_that_fit) {
  const Levels levels = {
      {file("c", 400, "a", "b"), file("b", 400, "a", "b"), file("a", 400, "a", "b")},
      {file("p", 100, "a", "b")},
      {}};
  auto within = limits();
  within.max_step_bytes = 900;
  EXPECT_EQ(pick(levels, within)->inputs, (Names{"a", "b", "p"}));
  within.max_step_bytes = 899;
  EXPECT_EQ(pick(levels, within)->inputs, (Names{"a", "p"}));
  within.max_step_bytes = 1;  // one file and its overlap, however large
  EXPECT_EQ(pick(levels, within)->inputs, (Names{"a", "p"}));
}

TEST(LeveledPicker, l0_files_share_an_overlap_that_is_larger_than_a_step) {
  const Levels levels = {{file("d", 64, "a", "z"), file("c", 64, "a", "z"), file("b", 64, "a", "z"),
                          file("a", 64, "a", "z")},
                         {file("p", 64, "a", "g"), file("q", 64, "h", "z")},
                         {}};
  auto within = limits();
  within.max_step_bytes = 64;
  EXPECT_EQ(pick(levels, within)->inputs, (Names{"a", "b", "p", "q"}));
}

TEST(LeveledPicker, a_file_that_would_widen_the_range_too_far_ends_the_l0_step) {
  // "b" itself is small, but reaches over all of "q".
  const Levels levels = {{file("c", 1, "a", "b"), file("b", 1, "a", "z"), file("a", 1, "a", "b")},
                         {file("p", 10, "a", "b"), file("q", 900, "m", "z")},
                         {}};
  auto within = limits();
  within.max_step_bytes = 100;
  EXPECT_EQ(pick(levels, within)->inputs, (Names{"a", "p"}));
}

TEST(LeveledPicker, a_full_level_moves_the_file_with_the_least_overlap_for_its_size) {
  const auto step =
      pick({{},
            {file("p", 600, "a", "c"), file("q", 600, "d", "f"), file("r", 600, "g", "i")},
            {file("x", 3000, "a", "b"), file("y", 1000, "e", "h")},
            {}});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->inputs, (Names{"q", "y"}));
  EXPECT_EQ(step->output_level, 2);
}

TEST(LeveledPicker, each_level_may_hold_the_multiple_of_the_one_above) {
  const Levels levels = {{}, {}, {file("x", 10'001, "a", "b")}, {}};
  EXPECT_DOUBLE_EQ(level_score(levels, 2, limits()), 1.0001);
  EXPECT_EQ(pick(levels)->inputs, Names{"x"});
  EXPECT_FALSE(pick({{}, {}, {file("x", 10'000, "a", "b")}, {}}));
}

TEST(LeveledPicker, the_level_that_is_most_due_goes_first) {
  const Names l0 = {"a", "b", "c", "p"};
  Levels levels = {{file("c", 1, "a", "b"), file("b", 1, "a", "b"), file("a", 1, "a", "b")},
                   {file("p", 1001, "a", "b")},
                   {file("x", 10, "a", "b")},
                   {}};
  EXPECT_EQ(pick(levels)->output_level, 2);  // 1.001 against 1
  levels[0].push_back(file("0", 1, "a", "b"));
  EXPECT_EQ(pick(levels)->output_level, 1);  // 1.001 against 1.33
}

TEST(LeveledPicker, a_newer_l0_file_widens_the_range_downwards) {
  const auto step = pick({{file("c", 1, "m", "n"), file("b", 1, "c", "n"), file("a", 1, "m", "n")},
                          {file("p", 1, "a", "c"), file("q", 1, "d", "e")},
                          {}});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->inputs, (Names{"a", "b", "c", "p", "q"}));
}

TEST(LeveledPicker, an_empty_file_is_weighed_as_one_byte) {
  const auto step = pick(
      {{}, {file("p", 0, "a", "b"), file("q", 1001, "m", "n")}, {file("x", 10, "a", "b")}, {}});
  ASSERT_TRUE(step);
  EXPECT_EQ(step->inputs, (Names{"q"}));
}

TEST(LeveledPicker, keys_compare_in_the_order_of_the_column_family) {
  const Levels levels = {{file("c", 1, "z", "y"), file("b", 1, "z", "y"), file("a", 1, "z", "m")},
                         {file("p", 1, "x", "n"), file("q", 1, "l", "a")},
                         {}};
  const auto step = pick_step(levels, limits(), *::rocksdb::ReverseBytewiseComparator());
  ASSERT_TRUE(step);
  EXPECT_EQ(step->inputs, (Names{"a", "b", "c", "p"}));
}

}  // namespace
}  // namespace kstone::rocksdb::test
