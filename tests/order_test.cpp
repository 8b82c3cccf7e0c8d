// The queue keeps its promise: a stripe is dispatched at the latest as number
// `(older + 1) * (patience + 1)` of the dispatches at which its lane was open (`LaneOptions`).

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kstone/detail/core/lanes.h"

namespace kstone::detail {
namespace {

constexpr std::array<Priority, priority_count> lanes = {Priority::low, Priority::normal,
                                                        Priority::high};
// By priority. The high lane is always open, and the normal one if the low one is.
constexpr std::array<Lanes::Open, 3> sets_of_open_lanes = {
    {{false, false, true}, {false, true, true}, {true, true, true}}};

std::size_t index_of(Priority lane) { return static_cast<std::size_t>(lane); }

// A queue, and what is promised to the stripes in it.
template <class Queue>
struct Situation {
  struct Promise {
    std::uint32_t older = 0;  // were there when it entered
    std::uint32_t left = 0;   // dispatches, of which the last is its own
  };

  Queue queue;
  std::uint32_t patience;
  std::vector<Stripe> stripes;
  std::vector<Promise> promises;
  std::string fault;        // the first
  std::vector<bool> tight;  // by `older`: one was dispatched as the last number that is promised

  Situation(std::uint32_t count, std::uint32_t lane_patience)
      : queue(lane_patience),
        patience(lane_patience),
        stripes(count),
        promises(count),
        tight(count) {}

  bool waits(std::uint32_t id) const { return stripes[id].state == Stripe::State::queued; }
  // Oldest first.
  std::vector<std::uint32_t> waiting() const {
    std::vector<std::uint32_t> result;
    for (std::uint32_t id = 0; id < stripes.size(); ++id) {
      if (waits(id)) {
        result.push_back(id);
      }
    }
    std::ranges::sort(result, {}, [&](auto id) { return stripes[id].time.get(); });
    return result;
  }
  void push(std::uint32_t id, Priority lane) {
    promises[id].older = queue.size();
    promises[id].left = (queue.size() + 1) * (patience + 1);
    stripes[id].state = Stripe::State::queued;
    stripes[id].lane = lane;
    queue.push_back(stripes, id, Lanes::Time(0));
  }
  void remove(std::uint32_t id) {
    queue.remove(stripes, id);
    stripes[id].state = Stripe::State::idle;
  }
  // One whose place may lie deep is promised what one is that comes then.
  void raise(std::uint32_t id, Priority to, std::uint32_t most) {
    const auto was = stripes[id].time.get();
    if (queue.raise(stripes, id, to, most) > most) {
      fault = "a raise passes too many";
    }
    const auto is = stripes[id].time.get();
    if (is < was && most < stripes.size()) {
      fault = "a raise makes older";
    }
    if (is > was && most < stripes.size()) {
      promises[id].older = 0;
      for (std::uint32_t other = 0; other < stripes.size(); ++other) {
        promises[id].older += other != id && waits(other) && stripes[other].time.get() <= is;
      }
      promises[id].left = (promises[id].older + 1) * (patience + 1);
    }
  }
  void dispatch(const Lanes::Open& open) {
    const auto lane = queue.next(stripes, open);
    if (!lane) {
      return;
    }
    const auto id = queue.pop(stripes, *lane, open);
    for (std::uint32_t each = 0; each < stripes.size(); ++each) {
      if (waits(each) && open[index_of(stripes[each].lane)] && --promises[each].left == 0) {
        if (each != id) {
          fault = "a stripe was passed over too often, that " +
                  std::to_string(promises[each].older) + " older ones were before";
        } else if (promises[each].older < tight.size()) {
          tight[promises[each].older] = true;
        }
      }
    }
    stripes[id].state = Stripe::State::idle;
  }
  // Each lane is sorted by age, and has what is in it.
  void check_lanes() {
    const auto sorted = waiting();
    const auto oldest = queue.oldest(stripes);
    if (oldest.has_value() == sorted.empty() ||
        (oldest && stripes[*oldest].time.get() != stripes[sorted[0]].time.get())) {
      fault = "the oldest is another";
    }
    for (const auto lane : lanes) {
      std::uint32_t size = 0;
      for (auto id = queue.front(lane); id != no_stripe; id = stripes[id].next, ++size) {
        const auto next = stripes[id].next;
        if (stripes[id].lane != lane || !waits(id) ||
            (next != no_stripe && stripes[next].time.get() < stripes[id].time.get())) {
          fault = "a lane is not sorted";
        }
      }
      if (size != queue.size(lane) || queue.passed_over(lane) > patience) {
        fault = "a lane counts wrong";
      }
    }
  }
};

// All that can become of a few stripes, whatever they are called and however old they are.
template <class Queue>
class Search {
 public:
  static constexpr std::uint32_t stripes = 3;

  explicit Search(std::uint32_t patience) : tight_(stripes) {
    add(Situation<Queue>(stripes, patience));
    while (!left_.empty() && fault_.empty()) {
      const auto from = std::move(left_.back());
      left_.pop_back();
      for (std::uint32_t id = 0; id < stripes; ++id) {
        move(from, id);
      }
      for (const auto& open : sets_of_open_lanes) {
        step(from, [&](auto& to) { to.dispatch(open); });
      }
    }
  }
  std::size_t states() const { return known_.size(); }
  const std::string& fault() const { return fault_; }
  const std::vector<bool>& tight() const { return tight_; }

 private:
  void move(const Situation<Queue>& from, std::uint32_t id) {
    for (const auto lane : lanes) {
      if (!from.waits(id)) {
        step(from, [&](auto& to) { to.push(id, lane); });
      } else if (lane > from.stripes[id].lane) {
        step(from, [&](auto& to) { to.raise(id, lane, stripes); });
      }
    }
    if (from.waits(id)) {
      step(from, [&](auto& to) { to.remove(id); });
    }
  }
  template <class Change>
  void step(const Situation<Queue>& from, const Change& change) {
    auto to = from;
    change(to);
    add(std::move(to));
  }
  void add(Situation<Queue> situation) {
    situation.check_lanes();
    fault_ = fault_.empty() ? situation.fault : fault_;
    for (std::uint32_t older = 0; older < stripes; ++older) {
      tight_[older] = tight_[older] || situation.tight[older];
    }
    if (known_.insert(key_of(situation)).second) {
      left_.push_back(std::move(situation));
    }
  }
  static std::uint64_t key_of(const Situation<Queue>& situation) {
    std::uint64_t key = 1;
    for (const auto id : situation.waiting()) {
      const auto& promise = situation.promises[id];
      key = (key << 8) | (index_of(situation.stripes[id].lane) << 6) | (promise.older << 4) |
            promise.left;
    }
    for (const auto lane : lanes) {
      key = (key << 2) | situation.queue.passed_over(lane);
    }
    return key;
  }

  std::vector<Situation<Queue>> left_;
  std::unordered_set<std::uint64_t> known_;
  std::string fault_;
  std::vector<bool> tight_;
};

TEST(Order, a_stripe_that_may_run_is_dispatched_in_time_whatever_else_happens) {
  for (std::uint32_t patience = 0; patience <= 2; ++patience) {
    const Search<Lanes> search(patience);
    EXPECT_EQ(search.fault(), "") << patience;
    EXPECT_GT(search.states(), 100U);
    RecordProperty("states_" + std::to_string(patience), std::to_string(search.states()));
  }
}

// Two older ones, and a third that passes over: that takes more stripes than three.
TEST(Order, some_stripe_is_dispatched_no_earlier_than_that) {
  for (std::uint32_t patience = 1; patience <= 2; ++patience) {
    const Search<Lanes> search(patience);
    EXPECT_TRUE(search.tight()[0]) << patience;
    EXPECT_TRUE(search.tight()[1]) << patience;
  }
  EXPECT_EQ(Search<Lanes>(0).tight(), std::vector<bool>(3, true));
}

struct HighestFirst : Lanes {
  using Lanes::Lanes;
  std::optional<Priority> next(const std::vector<Stripe>&, const Open& open) const {
    for (const auto lane : {Priority::high, Priority::normal, Priority::low}) {
      if (open[index_of(lane)] && size(lane) != 0) {
        return lane;
      }
    }
    return std::nullopt;
  }
};

TEST(Order, lanes_that_do_not_age_are_noticed) {
  for (std::uint32_t patience = 0; patience <= 2; ++patience) {
    EXPECT_NE(Search<HighestFirst>(patience).fault().find("too often"), std::string::npos);
  }
}

struct RaiseToTheTail : Lanes {
  using Lanes::Lanes;
  std::uint32_t raise(std::vector<Stripe>& stripes, std::uint32_t id, Priority to, std::uint32_t) {
    remove(stripes, id);
    stripes[id].lane = to;
    push_back(stripes, id, Time(0));
    return 0;
  }
};

TEST(Order, a_raise_that_makes_younger_is_noticed) {
  for (std::uint32_t patience = 0; patience <= 2; ++patience) {
    EXPECT_NE(Search<RaiseToTheTail>(patience).fault().find("too often"), std::string::npos);
  }
}

// Anything that can happen, many times; how often each does depends on the seed.
template <class Queue>
Situation<Queue> drawn(std::uint32_t seed, std::uint32_t patience, std::uint32_t most) {
  constexpr std::uint32_t stripes = 20;
  std::mt19937 source(seed);
  const auto below = [&source](std::uint32_t end) {
    return static_cast<std::uint32_t>(source() % end);
  };
  const auto dispatches = 3 + seed % 6;  // of ten; the fewer, the more wait
  const auto others = 2 + seed % 3;      // one of so many is not high when it comes
  const auto raises = 1 + seed % 8;      // one of so many that can
  Situation<Queue> situation(stripes, patience);
  for (int step = 0; step < 20'000 && situation.fault.empty(); ++step) {
    const auto id = below(stripes);
    const auto lane = lanes[below(priority_count)];
    if (below(10) < dispatches) {
      situation.dispatch(sets_of_open_lanes[below(3)]);
    } else if (!situation.waits(id)) {
      situation.push(id, below(others) == 0 ? lane : Priority::high);
    } else if (lane > situation.stripes[id].lane && below(raises) == 0) {
      situation.raise(id, lane, most);
    } else if (below(50) == 0) {
      situation.remove(id);
    }
    situation.check_lanes();
  }
  return situation;
}

constexpr std::array<std::uint32_t, 5> patiences = {0, 1, 2, 5, 16};

TEST(Order, holds_for_many_stripes_over_a_long_time) {
  for (const auto patience : patiences) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed) {
      const auto situation = drawn<Lanes>(seed, patience, 20);
      EXPECT_EQ(situation.fault, "") << "patience " << patience << ", seed " << seed;
    }
  }
}

// So the promise is the best: those of the low lane, while the high one never lacks a younger one.
TEST(Order, is_kept_at_the_last_moment_where_the_high_lane_is_always_filled) {
  constexpr std::uint32_t stripes = 7;
  for (const auto patience : patiences) {
    Situation<Lanes> situation(stripes, patience);
    for (std::uint32_t id = 0; id < stripes - 1; ++id) {
      situation.push(id, Priority::low);
    }
    for (std::uint32_t number = 1; number <= (stripes - 1) * (patience + 1); ++number) {
      if (!situation.waits(stripes - 1)) {
        situation.push(stripes - 1, Priority::high);
      }
      situation.dispatch({true, true, true});
      for (std::uint32_t older = 0; older < stripes - 1; ++older) {
        EXPECT_EQ(situation.waits(older), number < (older + 1) * (patience + 1));
      }
    }
    EXPECT_EQ(situation.fault, "");
  }
}

TEST(Order, holds_where_raises_find_no_place) {
  for (const auto patience : patiences) {
    for (const auto most : {0U, 1U, 2U, 5U}) {
      for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        const auto situation = drawn<Lanes>(seed, patience, most);
        EXPECT_EQ(situation.fault, "") << "patience " << patience << ", most " << most;
      }
    }
  }
}

TEST(Order, of_many_stripes_notices_a_wrong_rule) {
  EXPECT_NE(drawn<HighestFirst>(1, 2, 20).fault, "");
  EXPECT_NE(drawn<RaiseToTheTail>(1, 2, 20).fault, "");
}

// Stripes 0 to 9 of the high lane, but one.
Situation<Lanes> ten_with_a_normal_one(std::uint32_t normal) {
  Situation<Lanes> result(10, 16);
  for (std::uint32_t id = 0; id < 10; ++id) {
    result.push(id, id == normal ? Priority::normal : Priority::high);
  }
  return result;
}

std::vector<std::uint32_t> dispatched(Situation<Lanes>& situation) {
  std::vector<std::uint32_t> result;
  while (const auto lane = situation.queue.next(situation.stripes, {true, true, true})) {
    result.push_back(situation.queue.pop(situation.stripes, *lane, {true, true, true}));
  }
  return result;
}

TEST(Order, a_raised_stripe_finds_its_place_from_both_ends) {
  for (const auto normal : {0U, 2U, 4U, 5U, 7U, 9U}) {
    auto situation = ten_with_a_normal_one(normal);
    const auto age = situation.stripes[normal].time.get();
    const auto passed = situation.queue.raise(situation.stripes, normal, Priority::high, 10);
    EXPECT_EQ(passed, std::min(normal, 9 - normal));
    EXPECT_EQ(situation.stripes[normal].time.get(), age);
    situation.check_lanes();
    EXPECT_EQ(situation.fault, "");
    EXPECT_EQ(dispatched(situation), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  }
}

TEST(Order, a_raised_stripe_whose_place_lies_deeper_goes_behind_some_that_are_younger) {
  auto situation = ten_with_a_normal_one(5);
  EXPECT_EQ(situation.queue.raise(situation.stripes, 5, Priority::high, 2), 2U);
  EXPECT_EQ(situation.stripes[5].time.get(), situation.stripes[7].time.get());
  situation.check_lanes();
  EXPECT_EQ(situation.fault, "");
  EXPECT_EQ(dispatched(situation), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 6, 5, 7, 8, 9}));
}

TEST(Order, a_raise_that_may_pass_none_goes_before_the_last_unless_it_is_the_youngest) {
  auto middle = ten_with_a_normal_one(5);
  EXPECT_EQ(middle.queue.raise(middle.stripes, 5, Priority::high, 0), 0U);
  EXPECT_EQ(middle.stripes[5].time.get(), middle.stripes[9].time.get());
  EXPECT_EQ(dispatched(middle), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 6, 7, 8, 5, 9}));
  auto last = ten_with_a_normal_one(9);
  EXPECT_EQ(last.queue.raise(last.stripes, 9, Priority::high, 0), 0U);
  EXPECT_EQ(dispatched(last), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Order, of_several_lanes_that_were_passed_over_the_one_with_the_oldest_goes) {
  Situation<Lanes> situation(6, 2);
  situation.push(0, Priority::low);
  situation.push(1, Priority::normal);
  for (std::uint32_t id = 2; id < 6; ++id) {
    situation.push(id, Priority::high);
  }
  EXPECT_EQ(dispatched(situation), (std::vector<std::uint32_t>{2, 3, 0, 1, 4, 5}));
}

// The low lane, whose turn it is, is full; so the younger of its two is raised, and then the other.
TEST(Order, a_stripe_is_not_passed_over_more_often_since_it_was_raised_before_an_older_one) {
  Situation<Lanes> situation(3, 1);
  situation.push(0, Priority::low);
  situation.push(1, Priority::low);
  situation.push(2, Priority::normal);
  situation.dispatch({true, true, true});
  situation.raise(1, Priority::normal, 3);
  situation.push(2, Priority::high);
  situation.dispatch({false, true, true});
  situation.raise(0, Priority::normal, 3);
  situation.push(2, Priority::high);
  situation.dispatch({false, true, true});
  situation.dispatch({false, true, true});
  EXPECT_EQ(situation.fault, "");
  EXPECT_FALSE(situation.waits(1));
}

TEST(Order, a_stripe_keeps_how_often_it_was_passed_over_when_it_is_raised) {
  Situation<Lanes> situation(5, 2);
  situation.push(0, Priority::low);
  for (std::uint32_t id = 1; id < 5; ++id) {
    situation.push(id, Priority::high);
  }
  situation.dispatch({true, true, true});
  situation.dispatch({true, true, true});
  situation.queue.raise(situation.stripes, 0, Priority::normal, 10);
  EXPECT_EQ(situation.queue.passed_over(Priority::normal), 2U);
  EXPECT_EQ(dispatched(situation), (std::vector<std::uint32_t>{0, 3, 4}));
}

}  // namespace
}  // namespace kstone::detail
