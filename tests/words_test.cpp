// The two word layouts: fields do not touch each other, also at their limits; and what requests
// with options make of a stripe's word.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "kstone/detail/words/control_word.h"
#include "kstone/detail/words/stripe_word.h"

namespace kstone::detail {
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

constexpr Priority all_priorities[] = {Priority::low, Priority::normal, Priority::high};

StripeWord asked(StripeWord word, Priority priority, std::uint8_t reasons = 0) {
  return word.with({priority, reasons});
}

TEST(StripeWord, with_a_request_without_options_is_one_more) {
  for (const auto bits : {std::uint64_t{0}, StripeWord::running_bit, StripeWord::closed_bit,
                          StripeWord::removed_bit, 7 * StripeWord::one_request}) {
    EXPECT_EQ(StripeWord{bits}.with({}).bits, bits + StripeWord::one_request);
  }
}

TEST(StripeWord, has_the_highest_priority_of_its_requests) {
  for (const auto first : all_priorities) {
    EXPECT_EQ(asked({}, first).priority(), first);
    for (const auto second : all_priorities) {
      const auto word = asked(asked({}, first), second);
      EXPECT_EQ(word.priority(), std::max(first, second));
      EXPECT_EQ(word.requests(), 2U);
      for (const auto third : all_priorities) {
        EXPECT_EQ(asked(word, third).priority(), std::max({first, second, third}));
      }
    }
  }
  EXPECT_EQ(StripeWord{}.all_wanted().count, 0U);
}

TEST(StripeWord, has_the_reasons_of_all_its_requests) {
  auto word = StripeWord{StripeWord::running_bit | StripeWord::under_way_bit};
  word = asked(word, Priority::low, 0x81);
  word = asked(word, Priority::high, 0x42);
  word = asked(word, Priority::normal, 0);
  EXPECT_EQ(word.reasons(), 0xC3);
  EXPECT_EQ(word.requests(), 3U);
  EXPECT_EQ(word.low(), 1U);
  EXPECT_EQ(word.priority(), Priority::high);
  EXPECT_TRUE(word.running());
  EXPECT_TRUE(word.under_way());
  EXPECT_FALSE(word.rejects());
  EXPECT_EQ(asked(word, Priority::low, 0xFF).reasons(), 0xFF);
  EXPECT_EQ(asked(word, Priority::low, 0xFF).low(), 2U);
}

TEST(StripeWord, counts_no_more_of_low_priority_than_fit_beside_one_of_the_worker) {
  StripeWord word;
  for (int i = 0; i < 65'534; ++i) {
    word = asked(word, Priority::low);
  }
  EXPECT_EQ(word.requests(), 65'534U);
  EXPECT_EQ(word.low(), 65'534U);
  const auto more = asked(word, Priority::low, 3);
  EXPECT_EQ(more.requests(), 65'534U);
  EXPECT_EQ(more.low(), 65'534U);
  EXPECT_EQ(more.reasons(), 3);
  EXPECT_EQ(more.priority(), Priority::low);
  const StripeWord with_own{more.bits + StripeWord::one_request + StripeWord::one_low};
  EXPECT_EQ(with_own.requests(), 65'535U);
  EXPECT_EQ(with_own.low(), 65'535U);
  EXPECT_EQ(with_own.priority(), Priority::low);
  EXPECT_EQ(asked(with_own, Priority::low).bits, with_own.bits);
  EXPECT_EQ(asked(more, Priority::normal).priority(), Priority::normal);
  EXPECT_EQ(asked(more, Priority::normal).requests(), 65'535U);
  EXPECT_EQ(asked(more, Priority::high).priority(), Priority::high);
}

TEST(StripeWord, that_is_full_takes_what_is_asked_and_counts_nothing) {
  for (const auto above : {0U, 1'000'000U}) {
    const StripeWord full{StripeWord::full_bit + above * StripeWord::one_request};
    for (const auto priority : all_priorities) {
      const auto word = asked(full, priority, 9);
      EXPECT_EQ(word.requests(), full.requests());
      EXPECT_EQ(word.low(), 0U);
      EXPECT_EQ(word.reasons(), 9);
      EXPECT_EQ(word.priority(), priority == Priority::high ? priority : Priority::normal);
    }
  }
  const StripeWord last{StripeWord::full_bit - StripeWord::one_request};
  EXPECT_FALSE(last.full());
  EXPECT_TRUE(asked(last, Priority::high, 1).full());
}

TEST(StripeWord, that_rejects_counts_and_takes_nothing_of_what_is_asked) {
  for (const auto bit : {StripeWord::closed_bit, StripeWord::removed_bit}) {
    for (const auto priority : all_priorities) {
      EXPECT_EQ(asked({bit}, priority, 0xFF).bits, bit + StripeWord::one_request);
      EXPECT_EQ(asked({bit}, priority, 0xFF).all_wanted().count, 0U);
      EXPECT_EQ(asked({bit | StripeWord::full_bit}, priority, 0xFF).bits,
                bit | StripeWord::full_bit);
    }
  }
}

TEST(Node, has_a_number_for_each_kind_of_the_most_stripes) {
  std::uint32_t number = 0;
  for (const auto kind :
       {Node::Kind::stripe, Node::Kind::stripe_with_options, Node::Kind::raised}) {
    for (const std::uint32_t id : {0U, 1U, max_stripe_count - 1}) {
      const Node node{id, kind};
      EXPECT_EQ(node.number(max_stripe_count), number + id);
      const auto same = Node::of(number + id, max_stripe_count);
      EXPECT_EQ(same.stripe_id, id);
      EXPECT_EQ(same.kind, kind);
      const auto word = ControlWord{}.with_sleeper_added().with_sleeper_added().with_listed(
          node.number(max_stripe_count), node.brings_stripe());
      EXPECT_EQ(word.head(), number + id + 1);
      EXPECT_EQ(word.listed(), kind == Node::Kind::raised ? 0U : 1U);
      EXPECT_EQ(word.sleepers(), 1U);
      EXPECT_FALSE(word.closed());
    }
    number += max_stripe_count;
  }
}

TEST(Node, of_a_raise_has_a_link_of_its_own) {
  for (const std::uint32_t id : {0U, max_stripe_count - 1}) {
    EXPECT_EQ((Node{id, Node::Kind::stripe}.link(max_stripe_count)), id);
    EXPECT_EQ((Node{id, Node::Kind::stripe_with_options}.link(max_stripe_count)), id);
    EXPECT_EQ((Node{id, Node::Kind::raised}.link(max_stripe_count)), max_stripe_count + id);
  }
}

TEST(ControlWord, holds_every_stripe_listed_while_every_thread_sleeps) {
  ControlWord word;
  for (std::uint32_t i = 0; i < max_worker_threads; ++i) {
    word = word.with_sleeper_added();
  }
  EXPECT_EQ(word.sleepers(), max_worker_threads);
  EXPECT_TRUE(word.list_is_empty());
  EXPECT_FALSE(word.closed());

  word = word.with_listed(max_stripe_count - 1, true);
  EXPECT_EQ(word.head(), max_stripe_count);
  EXPECT_EQ(word.listed(), 1U);
  EXPECT_EQ(word.sleepers(), max_worker_threads - 1);

  ControlWord full;
  for (std::uint32_t i = 0; i < max_stripe_count; ++i) {
    full = full.with_listed(i, true);
  }
  EXPECT_EQ(full.listed(), max_stripe_count);
  EXPECT_EQ(full.head(), max_stripe_count);
  EXPECT_EQ(full.sleepers(), 0U);
  EXPECT_FALSE(full.closed());
  EXPECT_EQ(full.with_list_taken().bits, 0U);
}

TEST(ControlWord, taking_the_list_keeps_the_sleepers) {
  const auto word = ControlWord{}.with_sleeper_added().with_sleeper_added().with_listed(7, true);
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
}  // namespace kstone::detail
