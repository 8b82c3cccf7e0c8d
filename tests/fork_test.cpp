// The worker and fork(): the parent goes on, a child that uses the parent's worker is told.

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

// A child that does not touch the worker; the parent's goes on.
TEST(Fork, leaves_the_parents_worker_as_it_was) {
  Gate end;
  Journal<std::uint32_t> started;
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(2), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            started.add(context.stripe_id());
                            end.pass();
                            return CompactionOutcome::done();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  started.await(1);
  for (int i = 0; i < 20; ++i) {
    const auto child = fork();
    if (child == 0) {
      _exit(7);
    }
    worker.queue_compaction(static_cast<std::uint32_t>(1 + i % 3));
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
  end.open();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(broken_law(worker.snapshot()), "");
}

// Calls what it is told to by whoever takes the mutex next.
struct ForkingSync : ProductionSync {
  class KSTONE_CAPABILITY("mutex") mutex : public ProductionSync::mutex {
   public:
    void lock() KSTONE_ACQUIRE() {
      ProductionSync::mutex::lock();
      if (const auto call = std::exchange(when_locked, nullptr)) {
        call();
      }
    }
  };
  static inline std::function<void()> when_locked;
};

using Worker = basic_background_worker<ForkingSync>;

struct Call {
  const char* name;
  void (*call)(Worker&);
};

class ForkedChild : public testing::TestWithParam<Call> {};

// What the child writes to the pipe, if `SIGABRT` ended it.
std::string last_words_of(pid_t child, const int (&pipe_ends)[2]) {
  close(pipe_ends[1]);
  std::string words;
  char buffer[256];
  for (ssize_t size; (size = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
    words.append(buffer, static_cast<std::size_t>(size));
  }
  close(pipe_ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "no abort, but: " + words;
}

std::string last_words_of_child(const std::function<void()>& use) {
  int pipe_ends[2];
  EXPECT_EQ(pipe(pipe_ends), 0);
  const auto child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    alarm(20);  // a child that hangs is ended by another signal
    use();
    _exit(0);
  }
  return last_words_of(child, pipe_ends);
}

std::string sentence(const char* name) {
  return "kstone: " + std::string(name) +
         ": called in a child of fork(), where the worker has no threads\n";
}

// Contract section 7: it is told by an abort with a sentence that names the call. The parent's
// worker goes on.
TEST_P(ForkedChild, that_uses_the_worker_is_told) {
  std::optional<Worker> worker(std::in_place, CompactionConfig(), Worker::StatsAtomic(), 4U,
                               [](Worker::Context&) { return CompactionOutcome::done(); });
  EXPECT_EQ(worker->start(), StartResult::started);
  EXPECT_EQ(last_words_of_child([&] { GetParam().call(*worker); }), sentence(GetParam().name));
  worker->queue_compaction(1);
  EXPECT_EQ(worker->wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker->snapshot().episodes_done, 1U);
}

// ... also where a thread of the parent held the mutex at that moment: nobody is left to release
// it.
TEST_P(ForkedChild, that_was_made_while_the_mutex_was_held_is_told_all_the_same) {
  Worker worker(CompactionConfig(), {}, 4,
                [](Worker::Context&) { return CompactionOutcome::done(); });
  EXPECT_EQ(worker.start(), StartResult::started);
  std::string words;
  ForkingSync::when_locked = [&] { words = last_words_of_child([&] { GetParam().call(worker); }); };
  worker.queue_size();
  EXPECT_EQ(words, sentence(GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(
    Fork, ForkedChild,
    testing::Values(
        Call{"queue_compaction", [](Worker& worker) { worker.queue_compaction(1); }},
        Call{"queue_compaction", [](Worker& worker) { worker.queue_compaction(99); }},
        Call{"start", [](Worker& worker) { static_cast<void>(worker.start()); }},
        Call{"set_max_concurrent",
             [](Worker& worker) { static_cast<void>(worker.set_max_concurrent(1)); }},
        Call{"set_check_interval",
             [](Worker& worker) { worker.set_check_interval(std::chrono::seconds(1)); }},
        Call{"wait_idle", [](Worker& worker) { static_cast<void>(worker.wait_idle()); }},
        Call{"wait_idle", [](Worker& worker) { static_cast<void>(worker.wait_idle(1)); }},
        Call{"shutdown", [](Worker& worker) { worker.shutdown(); }},
        Call{"queue_size", [](Worker& worker) { worker.queue_size(); }},
        Call{"is_running", [](Worker& worker) { worker.is_running(); }},
        Call{"cancel", [](Worker& worker) { worker.cancel(1); }},
        Call{"cancel", [](Worker& worker) { static_cast<void>(worker.cancel(1, Limit())); }},
        Call{"remove", [](Worker& worker) { static_cast<void>(worker.remove(1)); }},
        Call{"restore", [](Worker& worker) { static_cast<void>(worker.restore(1)); }},
        Call{"is_removed", [](Worker& worker) { worker.is_removed(1); }},
        Call{"pause", [](Worker& worker) { static_cast<void>(worker.pause_all()); }},
        Call{"pause", [](Worker& worker) { static_cast<void>(worker.pause(1)); }},
        Call{"snapshot", [](Worker& worker) { worker.snapshot(); }},
        Call{"snapshot", [](Worker& worker) { worker.brief_snapshot(); }},
        Call{"~BackgroundWorker", [](Worker& worker) { worker.~Worker(); }}),
    [](const auto& parameter) {
      const std::string name = parameter.param.name;
      return (name[0] == '~' ? std::string("destructor") : name) + std::to_string(parameter.index);
    });

// Forks inside code of the user, which both processes return from: none in the child; in the parent
// what the child says then.
std::optional<std::string> fork_from_here() {
  int pipe_ends[2];
  EXPECT_EQ(pipe(pipe_ends), 0);
  const auto child = fork();
  if (child == 0) {
    dup2(pipe_ends[1], STDERR_FILENO);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    alarm(20);
    return std::nullopt;
  }
  return last_words_of(child, pipe_ends);
}

// A job that forks; what its child says that leaves the job so. The parent goes on.
std::string last_words_of_forked_job(const std::function<void()>& leave) {
  std::string words;
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, [&](CompactionContext&) {
    if (const auto said = fork_from_here()) {
      words = *said;
    } else {
      leave();
    }
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_done, 1U);
  return words;
}

// The child must not go on as a second worker on the same files.
TEST(Fork, ends_a_child_that_returns_from_a_job) {
  EXPECT_EQ(
      last_words_of_forked_job([] {}),
      "kstone: a job or scan returned in a child of fork(), where the worker has no threads\n");
}

TEST(Fork, ends_a_child_that_ends_its_thread_in_a_job) {
  EXPECT_EQ(last_words_of_forked_job([] { pthread_exit(nullptr); }),
            "kstone: a job or scan ended its thread in a child of fork(), where the worker has "
            "none\n");
}

// Nor when it returns from the sink: on the worker's thread it would go on to the job.
// What a child says that its log sink makes, and leaves in one of two ways.
enum class Leaves { by_returning, by_an_exception };
std::string words_of_a_child_of_the_sink(Leaves how) {
  std::string words;
  bool in_child = false;
  BackgroundWorker::Options options;
  options.log = [&](LogLevel, std::string_view text) {
    if (without_durations(text) == "compaction of stripe 1 starts") {
      const auto said = fork_from_here();
      words = said.value_or("");
      in_child = !said;
      if (in_child && how == Leaves::by_an_exception) {
        throw std::runtime_error("in the child");
      }
    }
  };
  BackgroundWorker worker(
      CompactionConfig(), CompactionStatsAtomic(), 4,
      [&](CompactionContext&) {
        if (in_child) {
          _exit(7);
        }
        return CompactionOutcome::done();
      },
      options);
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_done, 1U);
  return words;
}

TEST(Fork, ends_a_child_that_returns_from_the_log_sink) {
  const std::string sentence =
      "kstone: a log sink returned in a child of fork(), where the worker has no threads\n";
  EXPECT_EQ(words_of_a_child_of_the_sink(Leaves::by_returning), sentence);
  EXPECT_EQ(words_of_a_child_of_the_sink(Leaves::by_an_exception), sentence);
}

// ... from a stop callback, which is on the thread of who cancels.
TEST(Fork, ends_a_child_that_returns_from_a_stop_callback) {
  std::string words;
  bool in_child = false;
  Gate running;
  Gate called;
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4,
                          [&](CompactionContext& context) {
                            const auto stop = context.on_stop([&] {
                              const auto said = fork_from_here();
                              words = said.value_or("");
                              in_child = !said;
                              called.open();
                            });
                            running.open();
                            called.pass();
                            return CompactionOutcome::stopped();
                          });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(1);
  running.pass();
  EXPECT_TRUE(worker.cancel(1).running);
  if (in_child) {
    _exit(7);
  }
  EXPECT_EQ(
      words,
      "kstone: a stop callback returned in a child of fork(), where the worker has no threads\n");
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_cancelled, 1U);
}

// The parent's pause is not the child's to end.
TEST(Fork, ends_a_child_that_releases_a_pause) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(worker.start(), StartResult::started);
  auto guard = worker.pause(1);
  EXPECT_EQ(last_words_of_child([&] { guard.release(); }), sentence("~PauseGuard"));
  worker.queue_compaction(1);
  EXPECT_EQ(worker.wait_idle(), IdleResult::paused);
  guard.release();
  EXPECT_EQ(worker.wait_idle(), IdleResult::idle);
  EXPECT_EQ(worker.snapshot().episodes_done, 1U);
}

// One that was never started belongs to nobody yet: each process starts its own.
TEST(Fork, leaves_a_worker_that_was_never_started_to_both) {
  BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                          do_nothing);
  worker.queue_compaction(1);
  const auto runs = [&] {
    worker.queue_compaction(2);
    return worker.start() == StartResult::started && worker.wait_idle() == IdleResult::idle &&
           worker.shutdown().complete && worker.snapshot().episodes_done == 2;
  };
  const auto child = fork();
  if (child == 0) {
    alarm(20);
    _exit(runs() ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  EXPECT_TRUE(runs());
}

// Nor does one without threads, since its configuration is disabled, or it was shut down.
TEST(Fork, leaves_a_worker_without_threads_to_both) {
  BackgroundWorker disabled(CompactionConfig::disabled(), CompactionStatsAtomic(), 4, do_nothing);
  EXPECT_EQ(disabled.start(), StartResult::started);
  std::optional<BackgroundWorker> ended(std::in_place, CompactionConfig(), CompactionStatsAtomic(),
                                        4U, do_nothing);
  EXPECT_EQ(ended->start(), StartResult::started);
  EXPECT_TRUE(ended->shutdown().complete);
  const auto answers = [&] {
    const bool all = disabled.queue_compaction(1) == Submission::rejected_disabled &&
                     ended->queue_compaction(1) == Submission::rejected_shutting_down &&
                     ended->shutdown().complete && ended->start() == StartResult::shut_down;
    ended.reset();
    return all;
  };
  const auto child = fork();
  if (child == 0) {
    alarm(20);
    _exit(answers() ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  EXPECT_TRUE(answers());
}

// A worker that the child makes is its own.
TEST(Fork, leaves_the_child_free_to_make_a_worker) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), 4, do_nothing);
  const auto child = fork();
  if (child == 0) {
    alarm(20);
    BackgroundWorker own(CompactionConfig().with_max_concurrent(1), CompactionStatsAtomic(), 4,
                         do_nothing);
    const bool started = own.start() == StartResult::started;
    own.queue_compaction(1);
    const bool idle = own.wait_idle() == IdleResult::idle;
    _exit(started && idle && own.shutdown().complete && own.snapshot().episodes_done == 1 ? 7 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
}  // namespace
}  // namespace kstone::test
