// What is printed of names that anybody may have given.

#include "escape.h"

#include <gtest/gtest.h>

namespace kstone::compact::test {
namespace {

using namespace std::string_literals;

TEST(Escape, printable_text_stays_as_it_is) {
  for (const auto* text :
       {"", "family-0", "a 'quoted' name", "grün", "名前", "\U0001F600", "\u200D"}) {
    EXPECT_EQ(escaped(text), text);
  }
}

TEST(Escape, control_characters_of_every_length) {
  EXPECT_EQ(escaped("a\nb\t\x1b[2J\x7f"), R"(a\x0Ab\x09\x1B[2J\x7F)");
  EXPECT_EQ(escaped("nul \0 inside"s), R"(nul \x00 inside)");
  EXPECT_EQ(escaped("\u0085"), R"(\xC2\x85)");      // NEL ends a line
  EXPECT_EQ(escaped("\u2028"), R"(\xE2\x80\xA8)");  // so does this
  EXPECT_EQ(escaped("\u202Etxt.exe"), R"(\xE2\x80\xAEtxt.exe)");
}

TEST(Escape, what_is_not_utf8) {
  EXPECT_EQ(escaped("non\xffutf8"), R"(non\xFFutf8)");
  EXPECT_EQ(escaped("\xC3"), R"(\xC3)");  // cut short
  EXPECT_EQ(escaped("\xE2\x82 euro"), R"(\xE2\x82 euro)");
  EXPECT_EQ(escaped("\xA9"), R"(\xA9)");                  // a continuation of nothing
  EXPECT_EQ(escaped("\xC0\xAF"), R"(\xC0\xAF)");          // a slash in two bytes
  EXPECT_EQ(escaped("\xE0\x80\xAF"), R"(\xE0\x80\xAF)");  // in three
  EXPECT_EQ(escaped("\xF0\x80\x80\xAF"), R"(\xF0\x80\x80\xAF)");
  EXPECT_EQ(escaped("\xED\xA0\x80"), R"(\xED\xA0\x80)");          // half of a surrogate pair
  EXPECT_EQ(escaped("\xF4\x90\x80\x80"), R"(\xF4\x90\x80\x80)");  // beyond Unicode
}

TEST(Escape, names_that_differ_look_different) {
  EXPECT_EQ(escaped(R"(\x0A)"), R"(\\x0A)");
  EXPECT_NE(escaped("\n"), escaped(R"(\x0A)"));
}

}  // namespace
}  // namespace kstone::compact::test
