// What `shutdown` reports of errors.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "test_support.h"

namespace kstone::test {
namespace {

// A job that fails with the text of its stripe, or is done where there is none.
struct Fails {
  std::vector<std::string> texts;
  BackgroundWorker worker;

  explicit Fails(std::vector<std::string> of_stripes)
      : texts(std::move(of_stripes)),
        worker(
            CompactionConfig().with_max_concurrent(1), {}, static_cast<std::uint32_t>(texts.size()),
            [this](CompactionContext& context) {
              const auto& text = texts[context.stripe_id()];
              return text.empty() ? CompactionOutcome::done() : CompactionOutcome::failed(text);
            },
            without_back_off()) {
    EXPECT_EQ(worker.start(), StartResult::started);
    compact_all();
  }
  void compact_all() {
    for (std::uint32_t i = 0; i < texts.size(); ++i) {
      worker.queue_compaction(i);
      EXPECT_EQ(worker.wait_idle(i).result, IdleResult::idle);
    }
  }
};

TEST(Report, gives_the_error_of_each_stripe_that_is_left_undone) {
  Fails fails({"", "bad block", "disk full", "", "bad block"});
  fails.texts[2].clear();
  fails.texts[4] = "worse block";
  fails.compact_all();
  const auto report = fails.worker.shutdown();
  EXPECT_EQ(report.unfinished, (std::vector{CompactionRequest{1}, CompactionRequest{4}}));
  EXPECT_EQ(report.errors,
            (std::vector{StripeError{1, "bad block"}, StripeError{4, "worse block"}}));
  EXPECT_EQ(report.first_error, "bad block");
}

TEST(Report, has_no_error_of_what_was_stopped_or_removed) {
  Fails fails({"bad block", "bad block"});
  EXPECT_EQ(fails.worker.remove(0), RemoveResult::removed);
  const auto report = fails.worker.shutdown();
  EXPECT_EQ(report.unfinished, std::vector{CompactionRequest{1}});
  EXPECT_EQ(report.errors, (std::vector{StripeError{1, "bad block"}}));
}

TEST(Report, cuts_errors_beyond_one_mebibyte_to_64_bytes) {
  const std::string half(std::size_t{1} << 19, 'x');
  Fails fails({half, half, half, "short", half});
  const auto report = fails.worker.shutdown();
  ASSERT_EQ(report.errors.size(), 5U);
  // The first error of all is kept, and so is the last of its stripe.
  EXPECT_EQ(report.first_error, half);
  EXPECT_EQ(report.errors[0].error, half);
  EXPECT_EQ(report.errors[1].error, half.substr(0, 64));
  EXPECT_EQ(report.errors[2].error, half.substr(0, 64));
  EXPECT_EQ(report.errors[3].error, "short");
  EXPECT_EQ(report.errors[4].error, half.substr(0, 64));
}

TEST(Report, has_room_again_for_errors_of_what_has_been_done_since) {
  const std::string more((std::size_t{1} << 19) + 64, 'x');  // than half of the room
  Fails fails({"first", more, more});
  fails.texts[1].clear();
  fails.compact_all();
  fails.compact_all();
  const auto report = fails.worker.shutdown();
  ASSERT_EQ(report.errors.size(), 2U);
  EXPECT_EQ(report.errors[1].error, more);
}

}  // namespace
}  // namespace kstone::test
