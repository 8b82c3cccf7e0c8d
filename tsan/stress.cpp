// Real threads, every call the worker has, shutdown at a random moment, for a bounded number of rounds.
//
//   kstone_tsan_stress ROUNDS [mutex_without_order | request_without_publication]
//
// The second argument plants a race, which ThreadSanitizer must report. The seed is printed; KSTONE_SEED sets it.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"

namespace {

using kstone::CompactionOutcome;
using kstone::ShutdownMode;
using kstone::Submission;

[[noreturn]] void fail(const std::string& sentence) {
  std::fprintf(stderr, "stress: %s\n", sentence.c_str());
  std::exit(1);
}

// A mutex that excludes others but orders nothing: what it guards is a race, though it never goes wrong on this machine.
struct MutexWithoutOrder : kstone::ProductionSync {
  class mutex {
   public:
    void lock() {
      while (taken_.exchange(true, std::memory_order_relaxed)) {
        std::this_thread::yield();
      }
    }
    void unlock() { taken_.store(false, std::memory_order_relaxed); }

   private:
    std::atomic<bool> taken_{false};
  };
  class condition_variable {
   public:
    void wait(mutex& held) {
      held.unlock();
      std::this_thread::yield();
      held.lock();
    }
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) {
      wait(held);
      return clock::now() < deadline;
    }
    void notify_one() {}
    void notify_all() {}
  };
};

// A request whose step is relaxed.
struct RequestWithoutPublication : kstone::ProductionSync {
  template <class T>
  struct atomic : std::atomic<T> {
    using std::atomic<T>::atomic;
    T fetch_add(T amount, std::memory_order) { return std::atomic<T>::fetch_add(amount, std::memory_order_relaxed); }
  };
};

// What a caller writes before a request and the compaction reads: one plain cell for each caller and stripe, written once, so
// that a request which publishes nothing is a race. A compaction reads the cell if it is certain to be later than the
// request: its number is at least two above the number of compactions that had begun when the call had returned. These
// numbers are relaxed, so it is the request alone that publishes.
constexpr std::uint32_t stripes = 12;
constexpr int requesters = 3;
struct Written {
  int value = 0;
  std::atomic<int> visible_from{0};  // the number of the first such compaction; 0 while there is none
};

// The number of times that a compaction looked at what a caller wrote.
template <class Sync>
std::uint64_t round(std::mt19937& random) {
  using Worker = kstone::basic_background_worker<Sync>;
  std::vector<Written> written(requesters * stripes);
  std::vector<int> last(stripes, 0);  // written by each compaction of a stripe: two at once would race
  std::vector<std::atomic<int>> begun(stripes);
  std::atomic<std::uint64_t> ran{0};
  std::atomic<std::uint64_t> checked{0};
  Worker* self = nullptr;
  typename Worker::Options options;
  options.scan = [](Worker& worker) { worker.queue_compaction(0); };
  options.log = [](kstone::LogLevel, std::string_view) {};
  const std::uint32_t threads = 1 + static_cast<std::uint32_t>(random() % 3);
  const unsigned salt = static_cast<unsigned>(random());
  auto job = [&](typename Worker::Context& context) -> CompactionOutcome {
    const auto id = context.stripe_id();
    ++ran;
    ++last[id];
    const int number = 1 + begun[id].fetch_add(1, std::memory_order_relaxed);
    for (int requester = 0; requester < requesters; ++requester) {
      const auto& cell = written[static_cast<std::size_t>(requester) * stripes + id];
      const int from = cell.visible_from.load(std::memory_order_relaxed);
      if (from != 0 && number >= from) {
        ++checked;
        if (cell.value == 0) {
          fail("a compaction did not see what its requester wrote");
        }
      }
    }
    switch ((salt + id * 31 + context.attempt()) % 8) {
      case 0:
        return context.attempt() < 3 ? CompactionOutcome::more_work() : CompactionOutcome::done();
      case 1:
        throw id;
      case 2:
        self->queue_compaction((id + 1) % stripes);
        return CompactionOutcome::nothing_to_do();
      case 3:
        return context.stop_requested() ? CompactionOutcome::stopped() : CompactionOutcome::retry("later");
      default:
        return CompactionOutcome::done();
    }
  };
  Worker worker(kstone::CompactionConfig().with_max_concurrent(threads), {}, stripes, job, options);
  self = &worker;

  std::vector<std::thread> callers;
  for (int requester = 0; requester < requesters; ++requester) {
    callers.emplace_back([&, requester, seed = random()] {
      std::mt19937 own(static_cast<std::mt19937::result_type>(seed));
      for (int i = 0; i < 40; ++i) {
        const auto id = static_cast<std::uint32_t>(own() % stripes);
        auto& cell = written[static_cast<std::size_t>(requester) * stripes + id];
        const bool first = cell.value == 0;
        if (first) {
          cell.value = 1;
        }
        const bool accepted = kstone::accepted(worker.queue_compaction(id));
        if (first && accepted) {
          cell.visible_from.store(begun[id].fetch_add(0, std::memory_order_relaxed) + 2, std::memory_order_relaxed);
        }
      }
    });
  }
  const auto observe = [&] {
    const auto s = worker.snapshot();
    if (s.episodes_opened !=
        s.episodes_done + s.episodes_failed + s.episodes_cancelled + s.episodes_discarded + s.episodes_alive) {
      fail("episodes are not conserved");
    }
    (void)worker.queue_size();
    (void)worker.is_running();
  };
  callers.emplace_back([&, limit = std::chrono::milliseconds(random() % 3)] {
    worker.start();
    worker.start();
    observe();
    worker.wait_idle(limit);
  });
  callers.emplace_back([&, pause = random() % 2000, mode = static_cast<ShutdownMode>(random() % 3)] {
    for (unsigned i = 0; i < pause; ++i) {
      std::this_thread::yield();
    }
    observe();
    worker.shutdown(mode, std::chrono::microseconds(50));
  });
  callers.emplace_back([&, mode = static_cast<ShutdownMode>(random() % 3)] {
    worker.wait_idle();
    worker.shutdown(mode);
  });
  for (auto& caller : callers) {
    caller.join();
  }
  const auto report = worker.shutdown();
  const auto s = worker.snapshot();
  observe();
  if (!report.complete || s.episodes_alive != 0 || s.compactions_started != ran) {
    fail("after shutdown something is left");
  }
  return checked;
}

template <class Sync>
void rounds(long count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uint64_t checked = 0;
  for (long i = 0; i < count; ++i) {
    checked += round<Sync>(random);
  }
  std::printf("done; publication looked at %llu times\n", static_cast<unsigned long long>(checked));
  if (checked == 0) {
    fail("publication was never looked at");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long count = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
  const std::string fault = argc > 2 ? argv[2] : "none";
  if (count <= 0) {
    std::fprintf(stderr, "usage: kstone_tsan_stress ROUNDS [mutex_without_order | request_without_publication]\n");
    return 2;
  }
  const char* given = std::getenv("KSTONE_SEED");
  const auto seed = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : std::random_device()();
  std::printf("%ld rounds, KSTONE_SEED=%u, fault %s\n", count, seed, fault.c_str());
  std::fflush(stdout);
  if (fault == "none") {
    rounds<kstone::ProductionSync>(count, seed);
  } else if (fault == "mutex_without_order") {
    rounds<MutexWithoutOrder>(count, seed);
  } else if (fault == "request_without_publication") {
    rounds<RequestWithoutPublication>(count, seed);
  } else {
    std::fprintf(stderr, "stress: no such fault: %s\n", fault.c_str());
    return 2;
  }
}
