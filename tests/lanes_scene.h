// A worker whose jobs write down what they are told, and run until the test lets their stripe go.

#ifndef KSTONE_TESTS_LANES_SCENE_H_
#define KSTONE_TESTS_LANES_SCENE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {

using Ids = std::vector<std::uint32_t>;

inline constexpr RequestOptions low{Priority::low};
inline constexpr RequestOptions high{Priority::high};

// What the job of a compaction was told.
struct Served {
  std::uint32_t stripe_id;
  Priority priority;
  std::uint8_t reasons = 0;
  std::uint32_t attempt = 1;

  friend bool operator==(const Served&, const Served&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Served& served) {
  return out << served.stripe_id << ' ' << to_string(served.priority) << " for "
             << int{served.reasons} << ", attempt " << served.attempt;
}

template <class Context>
Served served_by(const Context& context) {
  return {context.stripe_id(), context.priority(), context.reasons(), context.attempt()};
}

template <class Sync = ProductionSync>
struct Jobs {
  using Worker = basic_background_worker<Sync>;
  static constexpr std::uint32_t stripes = 10;

  typename Worker::Options options;
  std::function<CompactionOutcome(typename Worker::Context&)> outcome = [](auto&) {
    return CompactionOutcome::done();
  };
  Gate go_on[stripes];
  Journal<Served> served;
  std::unique_ptr<Worker> worker;

  ~Jobs() { let_all_go(); }

  Worker& start(std::uint32_t threads = 1) {
    worker = std::make_unique<Worker>(
        CompactionConfig().with_max_concurrent(threads), typename Worker::StatsAtomic(), stripes,
        [this](typename Worker::Context& context) {
          served.add(served_by(context));
          go_on[context.stripe_id()].pass();
          return outcome(context);
        },
        options);
    EXPECT_EQ(worker->start(), StartResult::started);
    return *worker;
  }
  // The stripe runs, until it is let go.
  void run(std::uint32_t id, RequestOptions request = {}) {
    const auto before = served.events().size();
    EXPECT_EQ(worker->queue_compaction(id, request), Submission::queued);
    served.await(before + 1);
    EXPECT_EQ(served.events().back().stripe_id, id);
  }
  void request(std::uint32_t id, RequestOptions request = {}) {
    EXPECT_EQ(worker->queue_compaction(id, request), Submission::queued);
  }
  void request_again(std::uint32_t id, RequestOptions request = {}) {
    EXPECT_EQ(worker->queue_compaction(id, request), Submission::coalesced);
  }
  // What was requested goes from the inbox to the lanes.
  void take_up() const { worker->snapshot(); }

  void let_all_go() {
    for (auto& each : go_on) {
      each.open();
    }
  }
  // All that waits is compacted. What was served behind the first, which the test began with.
  std::vector<Served> rest() {
    let_all_go();
    EXPECT_EQ(worker->wait_idle(), IdleResult::idle);
    return behind_the_first();
  }
  std::vector<Served> behind_the_first() const {
    const auto events = served.events();
    return {events.begin() + 1, events.end()};
  }
  Ids order() {
    Ids result;
    for (const auto& each : rest()) {
      result.push_back(each.stripe_id);
    }
    return result;
  }
};

}  // namespace kstone::test

#endif  // KSTONE_TESTS_LANES_SCENE_H_
