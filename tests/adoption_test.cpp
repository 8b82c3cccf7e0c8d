// Contract 3: a requester that is suspended between its two steps costs its stripe until somebody
// looks; and a stripe's count of requests, which never wraps.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"
#include "kstone/detail/words/stripe_word.h"
#include "late_sync.h"
#include "test_support.h"

namespace kstone::test {

using LateWorker = basic_background_worker<LateSync>;

namespace {

// A worker with one thread, and a requester of stripe 0 that is suspended in its call.
struct Late {
  LateSync::Watch watch;
  Journal<std::uint32_t> compacted;
  LateWorker worker;
  std::thread requester;

  explicit Late(LateWorker::Options options = {})
      : worker(
            CompactionConfig().with_max_concurrent(1), {}, 2,
            [this](LateWorker::Context& context) {
              compacted.add(context.stripe_id());
              return CompactionOutcome::done();
            },
            std::move(options)) {}
  ~Late() { resume(); }

  void start() { EXPECT_EQ(worker.start(), StartResult::started); }
  void suspend() {
    requester = std::thread([this] {
      watch.late = std::this_thread::get_id();
      EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
    });
    watch.suspended.pass();
  }
  void resume() {
    watch.resume.open();
    if (requester.joinable()) {
      requester.join();
    }
  }
};

TEST(Adoption, a_wait_for_all_takes_over_what_a_suspended_requester_has_claimed) {
  Late late;
  late.start();
  late.suspend();
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::coalesced);
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
  late.resume();
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
}

TEST(Adoption, a_wait_for_the_stripe_takes_it_over_and_one_for_another_does_not) {
  Late late;
  late.start();
  late.suspend();
  EXPECT_EQ(late.worker.wait_idle(1).result, IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{}));
  EXPECT_EQ(late.worker.wait_idle(0), (StripeIdle{IdleResult::idle, EpisodeEnd::done}));
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
}

TEST(Adoption, the_scan_takes_over_what_a_suspended_requester_has_claimed) {
  LateWorker::Options options;
  options.scan = [](LateWorker&) {};
  Late late(std::move(options));
  late.suspend();
  late.start();
  late.compacted.await(1);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
}

TEST(Adoption, what_is_taken_over_stands_behind_what_was_pushed_before) {
  Late late;
  late.suspend();
  EXPECT_EQ(late.worker.queue_compaction(1), Submission::queued);
  EXPECT_EQ(late.worker.wait_idle(0, std::chrono::seconds(0)).result, IdleResult::timed_out);
  late.start();
  late.compacted.await(2);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{1, 0}));
}

TEST(Adoption, a_request_that_finds_the_node_under_way_is_queued_and_served) {
  Late late;
  late.start();
  late.suspend();
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::coalesced);
  EXPECT_EQ(late.worker.snapshot().episodes_alive, 1U);
  late.resume();  // the node brings the stripe
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0, 0}));
  EXPECT_EQ(late.worker.snapshot().episodes_done, 2U);
}

TEST(Adoption, a_node_that_comes_late_is_no_stripe_that_waits) {
  Late late;
  late.suspend();
  EXPECT_EQ(late.worker.wait_idle(std::chrono::seconds(0)), IdleResult::timed_out);
  EXPECT_EQ(late.worker.queue_size(), 1U);
  late.resume();
  EXPECT_EQ(late.worker.snapshot().queue_size, 1U);
  EXPECT_EQ(late.worker.queue_size(), 1U);
  late.start();
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
}

TEST(Adoption, a_shutdown_takes_over_what_was_taken_over_before) {
  Late late;
  late.start();
  late.suspend();
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::queued);
  const auto report = late.worker.shutdown(ShutdownMode::drain);
  EXPECT_TRUE(report.complete);
  EXPECT_TRUE(report.discarded.empty());
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0, 0}));
  late.resume();
  EXPECT_EQ(late.worker.queue_size(), 0U);
}

// Near the end of its count a word keeps its answers, its marks and its stripe.
TEST(StripeWord, that_is_full_takes_requests_and_never_wraps) {
  using detail::StripeWord;
  Late late;
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::queued);
  auto& word = *late.watch.words.at(0);
  word.store(StripeWord::full_bit - StripeWord::one_request, std::memory_order_relaxed);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(late.worker.queue_compaction(0), Submission::coalesced);
    EXPECT_EQ(word.load(std::memory_order_relaxed), StripeWord::full_bit);
  }
  EXPECT_EQ(late.worker.queue_size(), 1U);
  late.start();
  EXPECT_EQ(late.worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(late.compacted.events(), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(word.load(std::memory_order_relaxed), 0U);

  late.worker.shutdown();
  word.store(StripeWord::full_bit | StripeWord::closed_bit, std::memory_order_relaxed);
  EXPECT_EQ(late.worker.queue_compaction(0), Submission::rejected_shutting_down);
  EXPECT_EQ(word.load(std::memory_order_relaxed), StripeWord::full_bit | StripeWord::closed_bit);
}

}  // namespace
}  // namespace kstone::test

template class kstone::basic_background_worker<kstone::test::LateSync>;
