// The log sink: which lines, on no lock, contained, never from queue_compaction.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "test_support.h"

namespace kstone::test {
namespace {

struct Line {
  LogLevel level;
  std::string text;
  friend auto operator<=>(const Line&, const Line&) = default;
};

void PrintTo(const Line& line, std::ostream* out) {
  *out << static_cast<int>(line.level) << " " << line.text;
}

TEST(Log, tells_starts_ends_and_failures) {
  Journal<Line> lines;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view text) {
    lines.add({level, without_durations(text)});
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [](CompactionContext& context) {
        return context.stripe_id() == 1 ? CompactionOutcome::failed("disk on fire")
                                        : CompactionOutcome::done();
      },
      options);
  worker.queue_compaction(0);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();

  const auto logged = lines.events();
  const auto has = [&](LogLevel level, const std::string& text) {
    return std::count_if(logged.begin(), logged.end(), [&](const Line& line) {
      return line.level == level && line.text == text;
    });
  };
  EXPECT_EQ(has(LogLevel::info, "started with 1 of 1 worker threads for 4 stripes"), 1);
  EXPECT_EQ(has(LogLevel::debug, "compaction of stripe 0 starts"), 1);
  EXPECT_EQ(has(LogLevel::debug, "compaction of stripe 0 ends: done"), 1);
  EXPECT_EQ(has(LogLevel::warn, "compaction of stripe 1 failed: disk on fire"), 1);
  EXPECT_EQ(
      has(LogLevel::info,
          "shut down; of 2 episodes 1 were done, 1 failed, 0 cancelled, 0 removed, 0 discarded"),
      1);
}

TEST(Log, makes_no_line_below_the_least_level) {
  const auto lines_from = [](LogLevel least) {
    Journal<Line> lines;
    auto options = without_back_off();
    options.log = [&](LogLevel level, std::string_view text) {
      lines.add({level, without_durations(text)});
    };
    options.least_log_level = least;
    BackgroundWorker worker(
        CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
        [](CompactionContext& context) {
          return context.stripe_id() == 1 ? CompactionOutcome::failed("disk on fire")
                                          : CompactionOutcome::done();
        },
        options);
    worker.queue_compaction(0);
    worker.queue_compaction(1);
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.start(), StartResult::already_running);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    worker.shutdown();
    EXPECT_EQ(worker.start(), StartResult::shut_down);
    return lines.events();
  };
  const std::vector<Line> error = {{LogLevel::error, "start: failed, the worker was shut down"}};
  std::vector<Line> warnings = {{LogLevel::warn, "start: the worker runs already"},
                                {LogLevel::warn, "compaction of stripe 1 failed: disk on fire"},
                                error[0]};
  std::sort(warnings.begin(), warnings.end());
  auto from_warn = lines_from(LogLevel::warn);
  std::sort(from_warn.begin(), from_warn.end());  // two threads log
  EXPECT_EQ(from_warn, warnings);
  EXPECT_EQ(lines_from(LogLevel::error), error);
  EXPECT_EQ(lines_from(LogLevel::info).size(), 5U);   // and two of the worker's life
  EXPECT_EQ(lines_from(LogLevel::debug).size(), 8U);  // and three of compactions
}

TEST(Log, each_outcome_has_its_level_and_text) {
  Journal<Line> lines;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view text) {
    lines.add({level, without_durations(text)});
  };
  const std::vector<CompactionOutcome> outcomes = {
      CompactionOutcome::done(),           CompactionOutcome::nothing_to_do(),
      CompactionOutcome::more_work(),      CompactionOutcome::retry("disk full"),
      CompactionOutcome::failed("rotten"), CompactionOutcome::stopped()};
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 6,
      [&](CompactionContext& context) {
        return context.attempt() == 1 ? outcomes[context.stripe_id()] : CompactionOutcome::done();
      },
      options);
  for (std::uint32_t id = 0; id < 6; ++id) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();
  auto logged = lines.events();
  std::sort(logged.begin(), logged.end());
  std::vector<Line> expected = {
      {LogLevel::info, "started with 1 of 1 worker threads for 6 stripes"},
      {LogLevel::debug, "compaction of stripe 0 starts"},
      {LogLevel::debug, "compaction of stripe 0 ends: done"},
      {LogLevel::debug, "compaction of stripe 1 starts"},
      {LogLevel::debug, "compaction of stripe 1 ends: nothing_to_do"},
      {LogLevel::debug, "compaction of stripe 2 starts"},
      {LogLevel::debug, "compaction of stripe 2 ends: more_work"},
      {LogLevel::debug, "compaction of stripe 2 starts"},
      {LogLevel::debug, "compaction of stripe 2 ends: done"},
      {LogLevel::debug, "compaction of stripe 3 starts"},
      {LogLevel::warn, "compaction of stripe 3 failed: disk full"},
      {LogLevel::debug, "compaction of stripe 4 starts"},
      {LogLevel::warn, "compaction of stripe 4 failed: rotten"},
      {LogLevel::debug, "compaction of stripe 5 starts"},
      {LogLevel::debug, "compaction of stripe 5 ends: stopped"},
      {LogLevel::info,
       "shut down; of 6 episodes 3 were done, 2 failed, 1 cancelled, 0 removed, 0 discarded"}};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(logged, expected);
}

TEST(Log, a_wait_before_the_start_is_a_warning_once) {
  const Line warning{LogLevel::warn, "wait_idle: the worker has not been started"};
  const auto lines_of = [](const auto& calls) {
    Journal<Line> lines;
    auto options = without_back_off();
    options.log = [&](LogLevel level, std::string_view text) {
      lines.add({level, without_durations(text)});
    };
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                            do_nothing, options);
    calls(worker);
    return lines.events();
  };
  EXPECT_EQ(lines_of([](BackgroundWorker& worker) {
              worker.queue_compaction(0);
              const Limit none = std::chrono::seconds(0);
              EXPECT_EQ(worker.wait_idle(none), IdleResult::timed_out);
              EXPECT_EQ(worker.wait_idle(none), IdleResult::timed_out);
              EXPECT_EQ(worker.wait_idle(0, none).result, IdleResult::timed_out);
              EXPECT_EQ(worker.snapshot().waiting_callers, 0U);
            }),
            std::vector<Line>{warning});
  EXPECT_EQ(lines_of([](BackgroundWorker& worker) {
              EXPECT_EQ(worker.wait_idle(1).result, IdleResult::idle);
            }),
            std::vector<Line>{warning});
  const auto not_warned = lines_of([](BackgroundWorker& worker) {
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
    worker.shutdown();
    EXPECT_EQ(worker.wait_idle(), IdleResult::shut_down);
  });
  EXPECT_EQ(std::count(not_warned.begin(), not_warned.end(), warning), 0);
  EXPECT_EQ(not_warned.size(), 2U);  // of the start and of the end
  const auto closed = lines_of([](BackgroundWorker& worker) {
    worker.shutdown();
    EXPECT_EQ(worker.wait_idle(), IdleResult::shut_down);
  });
  EXPECT_EQ(std::count(closed.begin(), closed.end(), warning), 0);
}

TEST(Log, each_answer_of_start_has_its_line) {
  Journal<Line> lines;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view text) {
    lines.add({level, without_durations(text)});
  };
  {
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 4,
                            do_nothing, options);
    EXPECT_EQ(worker.start(), StartResult::started);
    EXPECT_EQ(worker.start(), StartResult::already_running);
    worker.shutdown();
    EXPECT_EQ(worker.start(), StartResult::shut_down);
  }
  {
    BackgroundWorker worker(CompactionConfig::disabled(), CompactionStatsAtomic(), 4, do_nothing,
                            options);
    EXPECT_EQ(worker.start(), StartResult::started);
  }
  const std::string end =
      "shut down; of 0 episodes 0 were done, 0 failed, 0 cancelled, 0 removed, 0 discarded";
  EXPECT_EQ(lines.events(),
            (std::vector<Line>{
                {LogLevel::info, "started with 2 of 2 worker threads for 4 stripes"},
                {LogLevel::warn, "start: the worker runs already"},
                {LogLevel::info, end},
                {LogLevel::error, "start: failed, the worker was shut down"},
                {LogLevel::info, "started without threads, since the configuration is disabled"},
                {LogLevel::info, end},
            }));
}

// Before any wait completes: the line of the job is there once its episode has ended.
TEST(Log, a_thread_that_its_job_or_the_scan_ends_is_an_error) {
  Journal<Line> errors;
  auto options = without_back_off();
  options.scan = [](BackgroundWorker&) { pthread_exit(nullptr); };
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::error) {
      errors.add({level, std::string(text)});
    }
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [](CompactionContext&) -> CompactionOutcome { pthread_exit(nullptr); }, options);
  EXPECT_EQ(worker.start(), StartResult::started);
  errors.await(1);
  worker.queue_compaction(3);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(
      errors.events(),
      (std::vector<Line>{
          {LogLevel::error, "the periodic scan ended its thread; it will not run again"},
          {LogLevel::error, "compaction of stripe 3 ended its thread, which is gone for good"},
      }));
}

TEST(Log, the_end_is_told_once_also_from_the_destructor) {
  Journal<Line> lines;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view text) {
    lines.add({level, without_durations(text)});
  };
  {
    BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing, options);
    EXPECT_EQ(worker.start(), StartResult::started);
    worker.shutdown();
    worker.shutdown();
  }
  int ends = 0;
  for (const auto& line : lines.events()) {
    ends += line.text.rfind("shut down;", 0) == 0 ? 1 : 0;
  }
  EXPECT_EQ(ends, 1);
}

TEST(Log, a_sink_on_a_callers_thread_is_refused_too) {
  BackgroundWorker* self = nullptr;
  std::vector<bool> refused;
  auto options = without_back_off();
  options.log = [&](LogLevel, std::string_view) {
    refused.push_back(self->shutdown().refused && self->wait_idle() == IdleResult::refused);
  };
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing, options);
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_TRUE(worker.is_running());
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(refused, (std::vector<bool>{true, true}));  // the lines of start and of the end
  EXPECT_TRUE(worker.shutdown().complete);
}

// The others are told of the end before the sink is. They sleep when the thread has left and not
// ended, so that nothing else wakes them.
TEST(Log, a_sink_that_blocks_holds_up_no_other_caller_of_shutdown) {
  Gate in_sink;
  Gate sink_may_return;
  auto options = without_back_off();
  options.log = [&](LogLevel, std::string_view text) {
    if (text.rfind("shut down;", 0) == 0) {
      in_sink.open();
      sink_may_return.pass();
    }
  };
  struct EndsLater {
    Gate* has_left = nullptr;
    Gate* may_end = nullptr;
    ~EndsLater() {
      has_left->open();
      may_end->pass();
    }
  };
  Gate has_left;
  Gate may_end;
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [&](CompactionContext&) {
        thread_local EndsLater at_end;
        at_end.has_left = &has_left;
        at_end.may_end = &may_end;
        return CompactionOutcome::done();
      },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  Journal<bool> complete;
  std::vector<std::thread> callers;
  const auto shut_down = [&] { complete.add(worker.shutdown().complete); };
  callers.emplace_back(shut_down);
  has_left.pass();
  callers.emplace_back(shut_down);
  callers.emplace_back(shut_down);
  while (worker.snapshot().waiting_callers != 3) {
    std::this_thread::yield();
  }
  may_end.open();
  in_sink.pass();
  complete.await(2);
  EXPECT_TRUE(worker.shutdown().complete);
  EXPECT_EQ(worker.snapshot().waiting_callers, 1U);
  sink_may_return.open();
  for (auto& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(complete.events(), (std::vector<bool>{true, true, true}));
}

// On the threads of callers and on the worker's own; what a job causes is told.
TEST(Log, a_sink_that_calls_start_is_not_called_for_that) {
  Journal<std::string> lines;
  BackgroundWorker* self = nullptr;
  auto options = without_back_off();
  options.log = [&](LogLevel, std::string_view text) {
    lines.add(without_durations(text));
    static_cast<void>(self->start());
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 1,
      [&](CompactionContext&) {
        EXPECT_EQ(self->start(), StartResult::already_running);
        return CompactionOutcome::done();
      },
      options);
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  EXPECT_EQ(worker.start(), StartResult::already_running);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  worker.shutdown();
  EXPECT_EQ(
      lines.events(),
      (std::vector<std::string>{
          "started with 1 of 1 worker threads for 1 stripes", "start: the worker runs already",
          "compaction of stripe 0 starts", "start: the worker runs already",
          "compaction of stripe 0 ends: done",
          "shut down; of 1 episodes 1 were done, 0 failed, 0 cancelled, 0 removed, 0 discarded"}));
}

TEST(LogDeathTest, destruction_from_a_sink_aborts_with_a_sentence) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        std::unique_ptr<BackgroundWorker> worker;
        auto options = without_back_off();
        options.log = [&](LogLevel, std::string_view text) {
          if (text.rfind("shut down;", 0) == 0) {
            worker.reset();
          }
        };
        worker = std::make_unique<BackgroundWorker>(CompactionConfig(), CompactionStatsAtomic(), 1,
                                                    do_nothing, options);
        EXPECT_EQ(worker->start(), StartResult::started);
        worker->shutdown();
      },
      "kstone: ~BackgroundWorker: called from a job");
}

TEST(Log, a_sink_that_throws_is_contained_and_one_that_requests_is_served) {
  Journal<std::uint32_t> compacted;
  BackgroundWorker* self = nullptr;
  auto options = without_back_off();
  options.log = [&](LogLevel, std::string_view text) {
    if (without_durations(text) == "compaction of stripe 0 ends: done") {
      self->queue_compaction(2);
      EXPECT_EQ(self->wait_idle(), IdleResult::refused);
    }
    throw std::runtime_error("log full");
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [&](CompactionContext& context) {
        compacted.add(context.stripe_id());
        return CompactionOutcome::done();
      },
      options);
  self = &worker;
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  compacted.await(2);
  EXPECT_EQ(compacted.events()[1], 2U);
}

TEST(Log, is_never_called_from_queue_compaction) {
  const auto caller = std::this_thread::get_id();
  std::atomic<int> from_caller{0};
  auto options = without_back_off();
  options.log = [&](LogLevel, std::string_view) {
    from_caller += std::this_thread::get_id() == caller ? 1 : 0;
  };
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing, options);
  EXPECT_EQ(worker.start(), StartResult::started);
  const int before = from_caller;
  EXPECT_EQ(before, 1);  // start's own line: the count can rise
  for (std::uint32_t id = 0; id < 5; ++id) {
    worker.queue_compaction(id);
  }
  EXPECT_EQ(from_caller, before);
}

TEST(Log, a_long_text_is_cut) {
  Journal<Line> lines;
  auto options = without_back_off();
  options.log = [&](LogLevel level, std::string_view text) {
    lines.add({level, without_durations(text)});
  };
  BackgroundWorker worker(
      CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
      [](CompactionContext&) { return CompactionOutcome::failed(std::string(10'000, 'x')); },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().first_error.size(), 10'000U);
  for (const auto& line : lines.events()) {
    EXPECT_LT(line.text.size(), 256U);
  }
}

}  // namespace
}  // namespace kstone::test
