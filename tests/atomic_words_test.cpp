// The two word layouts: fields do not touch each other, also at their limits.

#include "kstone/atomic_words.h"

#include <gtest/gtest.h>

namespace kstone {
namespace {

TEST(StripeWord, fields_do_not_touch_each_other) {
  const StripeWord word{StripeWord::running_bit + 5 * StripeWord::one_request};
  EXPECT_TRUE(word.running());
  EXPECT_FALSE(word.closed());
  EXPECT_EQ(word.requests(), 5U);
  const StripeWord closed{StripeWord::closed_bit + StripeWord::one_request};
  EXPECT_TRUE(closed.closed());
  EXPECT_FALSE(closed.running());
  EXPECT_EQ(closed.requests(), 1U);
}

TEST(ControlWord, holds_every_stripe_listed_while_every_thread_sleeps) {
  ControlWord word;
  for (std::uint32_t i = 0; i < max_worker_threads; ++i) {
    word = word.with_sleeper_added();
  }
  EXPECT_EQ(word.sleepers(), max_worker_threads);
  EXPECT_TRUE(word.list_is_empty());
  EXPECT_FALSE(word.closed());

  word = word.with_listed(max_stripe_count - 1);
  EXPECT_EQ(word.head(), max_stripe_count);
  EXPECT_EQ(word.listed(), 1U);
  EXPECT_EQ(word.sleepers(), max_worker_threads - 1);

  ControlWord full;
  for (std::uint32_t i = 0; i < max_stripe_count; ++i) {
    full = full.with_listed(i);
  }
  EXPECT_EQ(full.listed(), max_stripe_count);
  EXPECT_EQ(full.head(), max_stripe_count);
  EXPECT_EQ(full.sleepers(), 0U);
  EXPECT_FALSE(full.closed());
  EXPECT_EQ(full.with_list_taken().bits, 0U);
}

TEST(ControlWord, taking_the_list_keeps_the_sleepers) {
  const auto word = ControlWord{}.with_sleeper_added().with_sleeper_added().with_listed(7);
  EXPECT_EQ(word.with_list_taken().sleepers(), 1U);
  EXPECT_TRUE(word.with_list_taken().list_is_empty());
  EXPECT_EQ(word.with_list_taken().listed(), 0U);
}

TEST(ControlWord, claiming_a_sleeper_where_there_is_none_changes_nothing) {
  EXPECT_EQ(ControlWord{}.with_sleeper_claimed().bits, 0U);
  EXPECT_EQ(ControlWord{}.with_sleeper_added().with_sleeper_claimed().bits, 0U);
}

TEST(ControlWord, closed_is_empty_and_nobody_sleeps) {
  const auto word = ControlWord::closed_and_empty();
  EXPECT_TRUE(word.closed());
  EXPECT_TRUE(word.list_is_empty());
  EXPECT_EQ(word.sleepers(), 0U);
}

}  // namespace
}  // namespace kstone
