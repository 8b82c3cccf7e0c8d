// No hold of the worker's mutex grows with the stripes: at most 1,024 of them are looked at under
// one, whatever for; and what is cut into slices so does what it does at once.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

// What the thread has touched since it last took the worker's mutex: words and links of stripes,
// each once.
struct Hold {
  bool lasts = false;
  std::unordered_set<const void*> words;
  std::unordered_set<const void*> links;

  void touches(std::unordered_set<const void*>& kind, const void* object) {
    if (lasts) {
      kind.insert(object);
    }
  }
};
thread_local Hold hold;

// The production policy, which notes the most stripes that any hold has touched.
template <std::uint32_t in_a_hold>
struct CountsStripes : ProductionSync {
  static constexpr std::uint32_t stripes_in_a_hold = in_a_hold;
  static inline std::atomic<std::size_t> most{0};

  class mutex : public ProductionSync::mutex {
   public:
    void lock() {
      ProductionSync::mutex::lock();
      begin();
    }
    void unlock() {
      end();
      ProductionSync::mutex::unlock();
    }
    void give_way() {
      unlock();
      lock();
    }
    static void begin() { hold.lasts = true; }
    static void end() {
      const auto stripes = std::max(hold.words.size(), hold.links.size());
      for (auto now = most.load(); now < stripes && !most.compare_exchange_weak(now, stripes);) {
      }
      hold = Hold();
    }
  };
  class condition_variable : public ProductionSync::condition_variable {
   public:
    void wait(mutex& held) {
      mutex::end();
      ProductionSync::condition_variable::wait(held);
      mutex::begin();
    }
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) {
      mutex::end();
      const bool in_time = ProductionSync::condition_variable::wait_until(held, deadline);
      mutex::begin();
      return in_time;
    }
  };
  template <class T>
  struct atomic : ProductionSync::atomic<T> {
    using Base = ProductionSync::atomic<T>;
    using Base::Base;
    bool is_of_stripe = false;
    T load(std::memory_order order) const noexcept { return noted().Base::load(order); }
    T exchange(T value, std::memory_order order) noexcept {
      noted();
      return Base::exchange(value, order);
    }
    T fetch_add(T value, std::memory_order order) noexcept {
      noted();
      return Base::fetch_add(value, order);
    }
    T fetch_sub(T value, std::memory_order order) noexcept {
      noted();
      return Base::fetch_sub(value, order);
    }

   private:
    const atomic& noted() const {
      if (is_of_stripe) {
        hold.touches(hold.words, this);
      }
      return *this;
    }
  };
  template <class Object>
  static void name(Object& object, std::string_view name) {
    if constexpr (std::is_same_v<Object, atomic<std::uint64_t>>) {
      object.is_of_stripe = name == "word";
    }
  }
  // Those of 32 bits are the links.
  template <class T>
  class cell : public ProductionSync::cell<T> {
   public:
    using ProductionSync::cell<T>::cell;
    const T& read() const noexcept {
      note();
      return ProductionSync::cell<T>::read();
    }
    T& write() noexcept {
      note();
      return ProductionSync::cell<T>::write();
    }

   private:
    void note() const {
      if constexpr (std::is_same_v<T, std::uint32_t>) {
        hold.touches(hold.links, this);
      }
    }
  };
};

constexpr std::uint32_t many = 5000;

// Everything that looks at many stripes, once each.
template <std::uint32_t in_a_hold>
std::size_t most_in_a_hold() {
  using Sync = CountsStripes<in_a_hold>;
  using Worker = basic_background_worker<Sync>;
  Sync::most = 0;
  std::atomic<std::uint32_t> compactions{0};
  const auto job = [&](typename Worker::Context&) {
    ++compactions;
    return CompactionOutcome::retry("disk full");
  };
  const auto ask_all = [](Worker& worker) {
    for (std::uint32_t i = 0; i < many; ++i) {
      EXPECT_EQ(worker.queue_compaction(i), Submission::queued);
    }
  };
  {
    Worker worker(CompactionConfig().with_max_concurrent(2), {}, many, job,
                  without_back_off<Worker>());
    ask_all(worker);
    EXPECT_EQ(worker.queue_size(), many);
    EXPECT_EQ(worker.wait_idle(std::chrono::seconds(0)), IdleResult::timed_out);
    EXPECT_EQ(worker.wait_idle(many - 1, std::chrono::seconds(0)).result, IdleResult::timed_out);
    EXPECT_TRUE(worker.cancel(many - 2).waited);
    {
      const auto guard = worker.pause(many - 3);
    }
    EXPECT_EQ(worker.snapshot().queued, many);
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    EXPECT_EQ(compactions, many - 1);
    ask_all(worker);
    const auto report = worker.shutdown(ShutdownMode::drain);
    EXPECT_TRUE(report.complete);
    EXPECT_EQ(report.unfinished.size(), many);
    EXPECT_EQ(compactions, 2 * many - 1);
  }
  {
    // Never started: the queue is discarded by who shuts down.
    Worker worker(CompactionConfig(), {}, many, job);
    ask_all(worker);
    EXPECT_EQ(worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0)).discarded.size(), many);
  }
  return Sync::most;
}

TEST(Slices, no_hold_of_the_mutex_looks_at_more_than_1024_stripes) {
  EXPECT_LE(most_in_a_hold<1024>(), 1024U);
  EXPECT_LE(most_in_a_hold<7>(), 7U);
}

TEST(Slices, a_hold_without_a_limit_is_noticed) { EXPECT_GT(most_in_a_hold<many>(), 1024U); }

struct ThreeInAHold : ProductionSync {  // beside one
  static constexpr std::uint32_t stripes_in_a_hold = 4;
};
using Worker = basic_background_worker<ThreeInAHold>;

TEST(Slices, first_in_first_out_also_of_more_than_go_into_one) {
  std::vector<std::uint32_t> order;
  Worker worker(CompactionConfig().with_max_concurrent(1), {}, 10, [&](Worker::Context& context) {
    order.push_back(context.stripe_id());
    return CompactionOutcome::done();
  });
  for (const std::uint32_t stripe : {4, 9, 0, 7, 2, 5, 1, 8, 3, 6}) {
    EXPECT_EQ(worker.queue_compaction(stripe), Submission::queued);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{4, 9, 0, 7, 2, 5, 1, 8, 3, 6}));
}

TEST(Slices, what_is_put_back_comes_before_a_long_list_once) {
  std::vector<std::uint32_t> order;
  Worker* worker = nullptr;
  Worker owner(CompactionConfig().with_max_concurrent(1), {}, 10, [&](Worker::Context& context) {
    if (order.empty()) {
      for (std::uint32_t stripe = 0; stripe < 9; ++stripe) {
        worker->queue_compaction(stripe);
      }
    }
    order.push_back(context.stripe_id());
    return context.stripe_id() == 9 && order.size() < 3 ? CompactionOutcome::more_work()
                                                        : CompactionOutcome::done();
  });
  worker = &owner;
  EXPECT_EQ(owner.queue_compaction(9), Submission::queued);
  EXPECT_EQ(owner.start(), StartResult::started);
  EXPECT_EQ(owner.wait_idle(9).result, IdleResult::idle);
  EXPECT_TRUE(owner.shutdown(ShutdownMode::drain).complete);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{9, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Slices, the_size_of_the_queue_is_exact_behind_a_late_node) {
  Worker worker(CompactionConfig(), {}, 10,
                [](Worker::Context&) { return CompactionOutcome::done(); });
  for (const std::uint32_t stripe : {0, 1, 2, 3, 4}) {
    EXPECT_EQ(worker.queue_compaction(stripe), Submission::queued);
  }
  EXPECT_TRUE(worker.cancel(4).waited);
  EXPECT_EQ(worker.queue_compaction(7), Submission::queued);
  EXPECT_EQ(worker.queue_size(), 5U);
  EXPECT_EQ(worker.snapshot().queue_size, 5U);
}

// Whoever holds the production mutex and gives way is followed by who waits for it, also by one who
// comes back from a condition variable.
TEST(Slices, who_gives_way_is_followed_by_who_waits) {
  ProductionSync::mutex mutex;
  ProductionSync::condition_variable changed;
  std::atomic<bool> had{false};
  bool waits = false;
  bool may_go = false;
  mutex.lock();
  std::thread locks([&] {
    mutex.lock();
    had = true;
    mutex.unlock();
  });
  while (!had) {
    mutex.give_way();
  }
  locks.join();
  had = false;
  std::thread comes_back([&] {
    mutex.lock();
    waits = true;
    while (!may_go) {
      changed.wait(mutex);
    }
    had = true;
    mutex.unlock();
  });
  while (!waits) {
    mutex.give_way();
  }
  may_go = true;
  changed.notify_all();
  while (!had) {
    mutex.give_way();
  }
  mutex.unlock();
  comes_back.join();
}

// Calls something, once, where the calling thread gives way between two slices.
struct GivesWayTo : ProductionSync {
  static constexpr std::uint32_t stripes_in_a_hold = 1;
  static inline thread_local std::function<void()> next;

  class mutex : public ProductionSync::mutex {
   public:
    void give_way() {
      unlock();
      if (next) {
        std::exchange(next, nullptr)();
      }
      lock();
    }
  };
};

using GivingWorker = basic_background_worker<GivesWayTo>;

TEST(Slices, what_is_pushed_later_stays_behind_what_has_not_come_out) {
  std::vector<std::uint32_t> order;
  Gate last;
  GivingWorker* self = nullptr;
  GivingWorker worker(
      CompactionConfig().with_max_concurrent(1), {}, 4, [&](GivingWorker::Context& context) {
        order.push_back(context.stripe_id());
        if (order.size() == 1) {
          EXPECT_EQ(self->queue_compaction(0), Submission::queued);
          EXPECT_EQ(self->queue_compaction(1), Submission::queued);
          // This thread takes the two, which are more than a hold has room for.
          GivesWayTo::next = [&] { EXPECT_EQ(self->queue_compaction(2), Submission::queued); };
        } else if (order.size() == 4) {
          last.open();
        }
        return CompactionOutcome::done();
      });
  self = &worker;
  EXPECT_EQ(worker.queue_compaction(3), Submission::queued);
  EXPECT_EQ(worker.start(), StartResult::started);
  last.pass();  // nobody else takes the inbox meanwhile
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{3, 0, 1, 2}));
}

// Of the thread that waits: how often it gives way, which is at each goal but the first that it
// sees in a row, and how often it sleeps.
struct CountsLooks : ProductionSync {
  static constexpr std::uint32_t stripes_in_a_hold = 1;
  static inline thread_local bool waits = false;
  static inline std::size_t looks = 0;
  static inline std::atomic<std::uint32_t> sleeps{0};

  class mutex : public ProductionSync::mutex {
   public:
    void give_way() {
      looks += waits ? 1 : 0;
      ProductionSync::mutex::give_way();
    }
  };
  class condition_variable : public ProductionSync::condition_variable {
   public:
    void wait(mutex& held) {
      sleeps += waits ? 1 : 0;
      ProductionSync::condition_variable::wait(held);
    }
  };
};

// Stripes that a pause holds are not looked at again at the end of each compaction behind them.
TEST(Slices, a_wait_looks_at_what_is_held_a_few_times_whatever_ends) {
  using CountingWorker = basic_background_worker<CountsLooks>;
  constexpr std::uint32_t held = 100, all = 2 * held;
  CountsLooks::looks = 0;
  CountsLooks::sleeps = 0;
  CountingWorker worker(
      CompactionConfig().with_max_concurrent(1), {}, all, [](CountingWorker::Context& context) {
        // What is held runs at the end at most.
        while (context.stripe_id() >= held && CountsLooks::sleeps <= context.stripe_id() - held) {
          std::this_thread::yield();  // it has seen the end of the one before
        }
        return CompactionOutcome::done();
      });
  std::vector<basic_pause_guard<CountsLooks>> guards;
  for (std::uint32_t i = 0; i < all; ++i) {
    EXPECT_EQ(worker.queue_compaction(i), Submission::queued);
    if (i < held) {
      guards.push_back(worker.pause(i));
    }
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  CountsLooks::waits = true;
  EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
  CountsLooks::waits = false;
  EXPECT_GE(CountsLooks::sleeps, held);
  EXPECT_LE(CountsLooks::looks, 4U * all);
}

// Of a list that one hold has no room for, all may be held. Whoever brings it out looks whether
// others were pushed meanwhile before it sleeps.
TEST(Slices, no_thread_sleeps_over_what_was_pushed_behind_a_long_list) {
  Journal<std::uint32_t> order;
  GivingWorker* self = nullptr;
  GivingWorker worker(CompactionConfig().with_max_concurrent(1), {}, 4,
                      [&](GivingWorker::Context& context) {
                        if (context.stripe_id() == 3) {
                          self->queue_compaction(0);
                          self->queue_compaction(1);
                          GivesWayTo::next = [&] { self->queue_compaction(2); };
                        }
                        order.add(context.stripe_id());
                        return CompactionOutcome::done();
                      });
  self = &worker;
  const auto first = worker.pause(0);
  const auto second = worker.pause(1);
  EXPECT_EQ(worker.queue_compaction(3), Submission::queued);
  EXPECT_EQ(worker.start(), StartResult::started);
  order.await(2);  // nobody else takes the inbox meanwhile
  EXPECT_EQ(order.events(), (std::vector<std::uint32_t>{3, 2}));
}

// What one snapshot has found in a word, a next one may find neither there nor in the core, if it
// is taken up between the two looks.
TEST(Slices, no_counter_of_a_snapshot_goes_back) {
  GivingWorker worker(CompactionConfig(), {}, 3,
                      [](GivingWorker::Context&) { return CompactionOutcome::done(); });
  EXPECT_EQ(worker.queue_compaction(2), Submission::queued);
  EXPECT_EQ(worker.queue_compaction(2), Submission::coalesced);
  const auto before = worker.snapshot();
  EXPECT_EQ(before.queued, 1U);
  EXPECT_EQ(before.coalesced, 1U);
  GivesWayTo::next = [&] { EXPECT_TRUE(worker.cancel(2).waited); };
  const auto meanwhile = worker.snapshot();
  EXPECT_EQ(meanwhile.queued, 1U);
  EXPECT_EQ(meanwhile.coalesced, 1U);
  EXPECT_EQ(meanwhile.episodes_opened, 1U);
  EXPECT_EQ(meanwhile.episodes_alive, 1U);  // its end came after the first look
  const auto after = worker.snapshot();
  EXPECT_EQ(after.episodes_opened, 1U);
  EXPECT_EQ(after.episodes_alive, 0U);
}

TEST(Slices, a_wait_for_all_is_told_of_what_is_withdrawn_before_it_has_looked_at_all) {
  Gate runs;
  Gate end;
  GivingWorker worker(CompactionConfig().with_max_concurrent(1), {}, 2,
                      [&](GivingWorker::Context&) {
                        runs.open();
                        end.pass();
                        return CompactionOutcome::done();
                      });
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  runs.pass();
  EXPECT_EQ(worker.queue_compaction(0), Submission::rerun_pending);
  bool cancelled = false;
  GivesWayTo::next = [&] {
    cancelled = worker.cancel(0).rerun_pending;
    end.open();
  };
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_TRUE(cancelled);
}

TEST(Slices, a_report_that_the_end_overtakes_looks_at_every_stripe) {
  Gate runs;
  Gate end;
  GivingWorker worker(CompactionConfig().with_max_concurrent(1), {}, 3,
                      [&](GivingWorker::Context& context) {
                        runs.open();
                        end.pass();
                        return context.stripe_id() == 2 ? CompactionOutcome::failed("bad block")
                                                        : CompactionOutcome::done();
                      });
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.queue_compaction(1), Submission::queued);
  runs.pass();
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_TRUE(worker.cancel(0).waited);  // unfinished until it has run once more
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.queue_compaction(2), Submission::queued);
  std::thread drains([&] { EXPECT_TRUE(worker.shutdown(ShutdownMode::drain).complete); });
  for (std::uint32_t stripe = 0; stripe < 3; ++stripe) {
    while (worker.queue_compaction(stripe) != Submission::rejected_shutting_down) {
      std::this_thread::yield();
    }
  }
  GivesWayTo::next = [&] {
    end.open();
    drains.join();
  };
  const auto report = worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0));
  EXPECT_FALSE(report.complete);
  EXPECT_EQ(report.unfinished, (std::vector{CompactionRequest{0}, CompactionRequest{2}}));
  EXPECT_EQ(worker.shutdown().unfinished, std::vector{CompactionRequest{2}});
}

// Code of the user, which may take as long as it likes, is called once all is closed.
TEST(Slices, every_request_is_rejected_when_a_stop_callback_runs) {
  std::vector<Submission> answers;
  Gate runs;
  Gate called;  // a job that sees the stop by itself may end before the call
  Worker* self = nullptr;
  Worker worker(CompactionConfig().with_max_concurrent(1), {}, 10, [&](Worker::Context& context) {
    const auto stop = context.on_stop([&] {
      for (std::uint32_t stripe = 0; stripe < 10; ++stripe) {
        answers.push_back(self->queue_compaction(stripe));
      }
      called.open();
    });
    runs.open();
    called.pass();
    return CompactionOutcome::stopped();
  });
  self = &worker;
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.start(), StartResult::started);
  runs.pass();
  EXPECT_TRUE(worker.shutdown(ShutdownMode::cancel).complete);
  EXPECT_EQ(answers, std::vector(10, Submission::rejected_shutting_down));
}

// While one job runs: what it leaves is cut into slices, and every mode does what it says.
class Modes : public testing::TestWithParam<ShutdownMode> {};

TEST_P(Modes, of_a_shutdown_in_slices_are_as_of_one_at_once) {
  const auto mode = GetParam();
  Gate runs;
  Gate end;
  std::vector<int> compactions(10);
  Worker worker(CompactionConfig().with_max_concurrent(1), {}, 10, [&](Worker::Context& context) {
    ++compactions[context.stripe_id()];
    runs.open();
    end.pass();
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.queue_compaction(8), Submission::queued);
  EXPECT_EQ(worker.start(), StartResult::started);
  runs.pass();
  for (std::uint32_t stripe = 0; stripe < 10; ++stripe) {
    EXPECT_EQ(worker.queue_compaction(stripe),
              stripe == 8 ? Submission::rerun_pending : Submission::queued);
  }
  const auto guard = worker.pause(9);
  const auto first = worker.shutdown(mode, std::chrono::seconds(0));
  EXPECT_FALSE(first.complete);
  EXPECT_EQ(first.still_running, std::vector{CompactionRequest{8}});
  EXPECT_EQ(first.waiting.size(), mode == ShutdownMode::drain ? 9U : 0U);  // all but what is paused
  for (std::uint32_t stripe = 0; stripe < 10; ++stripe) {
    EXPECT_EQ(worker.queue_compaction(stripe), Submission::rejected_shutting_down);
  }
  end.open();
  const auto report = worker.shutdown(mode);
  EXPECT_TRUE(report.complete);
  const bool drains = mode == ShutdownMode::drain;
  EXPECT_EQ(report.discarded.size(), drains ? 1U : 10U);  // what is paused, or all
  EXPECT_EQ(compactions[8], drains ? 2 : 1);
  EXPECT_EQ(compactions[0], drains ? 1 : 0);
  EXPECT_EQ(compactions[9], 0);
  const auto s = worker.snapshot();
  EXPECT_EQ(s.episodes_opened, 11U);
  EXPECT_EQ(s.episodes_done + s.episodes_discarded, 11U);
  EXPECT_EQ(s.rejected_shutting_down, 10U);
}

TEST_P(Modes, take_effect_in_slices_when_they_are_stronger) {
  Gate runs;
  Gate end;
  Worker worker(CompactionConfig().with_max_concurrent(1), {}, 10, [&](Worker::Context&) {
    runs.open();
    end.pass();
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.queue_compaction(8), Submission::queued);
  EXPECT_EQ(worker.start(), StartResult::started);
  runs.pass();
  for (std::uint32_t stripe = 0; stripe < 10; ++stripe) {
    worker.queue_compaction(stripe);
  }
  EXPECT_TRUE(worker.shutdown(ShutdownMode::drain, std::chrono::seconds(0)).discarded.empty());
  const auto report = worker.shutdown(GetParam(), std::chrono::seconds(0));
  EXPECT_EQ(report.discarded.size(), GetParam() == ShutdownMode::drain ? 0U : 10U);
  end.open();
  EXPECT_TRUE(worker.shutdown().complete);
}

INSTANTIATE_TEST_SUITE_P(Slices, Modes,
                         testing::Values(ShutdownMode::drain, ShutdownMode::finish_running,
                                         ShutdownMode::cancel));

TEST(Slices, a_question_ends_with_the_first_that_has_not_ended) {
  Worker worker(CompactionConfig(), {}, 10,
                [](Worker::Context&) { return CompactionOutcome::done(); });
  EXPECT_EQ(worker.wait_idle(std::chrono::seconds(0)), IdleResult::idle);
  EXPECT_EQ(worker.queue_compaction(9), Submission::queued);
  EXPECT_EQ(worker.wait_idle(std::chrono::seconds(0)), IdleResult::timed_out);
  EXPECT_EQ(worker.queue_compaction(0), Submission::queued);
  EXPECT_EQ(worker.wait_idle(std::chrono::seconds(0)), IdleResult::timed_out);
}

// A core whose stripes have all failed at 0 s, and so are delayed by 100 ms, or lack a resource.
detail::SchedulingCore failed(std::uint32_t stripes, bool resource) {
  BackOff back_off;
  back_off.jitter = 0;
  detail::SchedulingCore core(stripes, back_off);
  for (std::uint32_t id = 0; id < stripes; ++id) {
    core.enqueue(id);
    core.take();
    core.finish(id, CompactionOutcome::Kind::retry, {},
                {.retries = detail::Retries::all, .resource = resource});
  }
  EXPECT_EQ(core.delayed(), stripes);
  return core;
}

TEST(Slices, no_more_delayed_stripes_are_moved_at_once_than_a_hold_has_room_for) {
  auto core = failed(50, false);
  EXPECT_EQ(core.next_due(), std::chrono::milliseconds(100));
  core.set_time(std::chrono::milliseconds(99));
  core.expire(10);
  EXPECT_EQ(core.delayed(), 50U);
  core.set_time(std::chrono::milliseconds(100));
  core.expire(10);
  EXPECT_EQ(core.delayed(), 40U);
  core.set_time(std::chrono::milliseconds(100));
  core.expire(1000);
  EXPECT_EQ(core.delayed(), 0U);

  core = failed(50, true);
  core.set_time(std::chrono::seconds(1));
  core.expire(10);
  EXPECT_EQ(core.delayed(), 49U);
  EXPECT_EQ(core.next_due(), std::chrono::seconds(2));
  const auto taken = core.take();
  EXPECT_TRUE(core.finish(taken.stripe_id, CompactionOutcome::Kind::done, {}, {}).tell_timekeeper);
  EXPECT_LE(core.next_due(), std::chrono::seconds(0));
  core.set_time(std::chrono::seconds(1));
  core.expire(10);
  EXPECT_EQ(core.delayed(), 39U);
  core.set_time(std::chrono::seconds(1));
  core.expire(1000);
  EXPECT_EQ(core.delayed(), 0U);
  EXPECT_EQ(core.next_due(), std::nullopt);
}

}  // namespace
}  // namespace kstone::test
