// W7: how costs grow with stripes, queued stripes and threads. Beside each cost stands a floor with
// the same pattern of accesses to as much memory, since beyond a cache everything gets slower.

#include <numeric>
#include <random>

#include "busy.h"
#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr std::uint32_t accesses = 1U << 18;
constexpr std::uint32_t visits = 1U << 22;

// All stripes, each once.
std::vector<std::uint32_t> random_order(std::uint32_t stripes) {
  std::vector<std::uint32_t> order(stripes);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  return order;
}

// As much memory as the worker has for as many stripes, and the steps on it that no design could
// spare.
class Footprint {
 public:
  explicit Footprint(std::uint32_t stripes)
      : words_(new std::atomic<std::uint64_t>[stripes] {}), links_(stripes), nodes_(stripes) {}

  void duplicate(std::uint32_t stripe) {
    benchmark::DoNotOptimize(words_[stripe].fetch_add(4, std::memory_order_acq_rel));
  }

  void fresh(std::uint32_t stripe) {
    words_[stripe].fetch_add(4, std::memory_order_acq_rel);
    auto head = list_.load(std::memory_order_relaxed);
    do {
      links_[stripe] = head;
    } while (!list_.compare_exchange_weak(head, stripe, std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  // The list becomes a queue; each word is changed twice and each node written, with one lock for
  // each.
  void dispatch() {
    const auto head = list_.exchange(none, std::memory_order_acquire);
    for (auto stripe = head; stripe != none; stripe = links_[stripe]) {
      nodes_[stripe].next = links_[stripe];
    }
    for (auto stripe = head; stripe != none; stripe = nodes_[stripe].next) {
      words_[stripe].exchange(2, std::memory_order_acquire);
      mutex_.lock();
      ++nodes_[stripe].attempts;
      mutex_.unlock();
      words_[stripe].fetch_sub(2, std::memory_order_release);
    }
  }

  // What a snapshot of every stripe reads.
  std::uint64_t visit() const {
    std::uint64_t alive = 0;
    for (std::size_t stripe = 0; stripe < nodes_.size(); ++stripe) {
      alive += words_[stripe].load(std::memory_order_relaxed) / 4 + nodes_[stripe].state;
    }
    return alive;
  }

 private:
  static constexpr std::uint32_t none = UINT32_MAX;

  struct Node {
    std::uint32_t next, attempts, ended, state;
  };

  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
  std::vector<std::uint32_t> links_;
  std::vector<Node> nodes_;
  std::atomic<std::uint32_t> list_{none};
  std::mutex mutex_;
};

// On another thread than the one that submits, as the worker's are.
void dispatch_elsewhere(Footprint& footprint) {
  std::thread([&] { footprint.dispatch(); }).join();
}

// Time for each of `count` steps.
template <class Work>
void time_each(benchmark::State& state, std::uint64_t count, const Work& work) {
  const auto begin = now();
  work();
  state.SetIterationTime(std::chrono::duration<double>(now() - begin).count() /
                         static_cast<double>(count));
}

// -- Requests -------------------------------------------------------------------------------------

void duplicate(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Busy<Kstone> busy(stripes);
  for (const auto stripe : order) {
    busy.submit(stripe);
  }
  for (auto _ : state) {
    time_each(state, std::max(accesses, stripes), [&] {
      for (std::uint32_t done = 0; done < accesses; done += stripes) {
        for (const auto stripe : order) {
          benchmark::DoNotOptimize(busy.peer().submit(stripe));
        }
      }
    });
  }
}

void duplicate_floor(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Footprint footprint(stripes);
  for (const auto stripe : order) {
    footprint.fresh(stripe);
  }
  for (auto _ : state) {
    time_each(state, std::max(accesses, stripes), [&] {
      for (std::uint32_t done = 0; done < accesses; done += stripes) {
        for (const auto stripe : order) {
          footprint.duplicate(stripe);
        }
      }
    });
  }
}

// The depth of the queue grows from nothing to `stripes` meanwhile.
void fresh(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Busy<Kstone> busy(stripes);
  for (const auto stripe : order) {  // once without the clock, so that the memory is there
    busy.submit(stripe);
  }
  busy.drain();
  busy.hold();
  for (auto _ : state) {
    time_each(state, stripes, [&] {
      for (const auto stripe : order) {
        benchmark::DoNotOptimize(busy.submit(stripe));
      }
    });
  }
}

void fresh_floor(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Footprint footprint(stripes);
  for (const auto stripe : order) {
    footprint.fresh(stripe);
  }
  dispatch_elsewhere(footprint);
  for (auto _ : state) {
    time_each(state, stripes, [&] {
      for (const auto stripe : order) {
        footprint.fresh(stripe);
      }
    });
  }
}

// -- Jobs -----------------------------------------------------------------------------------------

// Of the worker thread, from the moment when it is let go to the end of the last of `stripes` empty
// jobs.
void dispatch(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Busy<Kstone> busy(stripes);
  // The first without the clock, so that the memory is there.
  for (int round = 0; round < 2; ++round) {
    for (const auto stripe : order) {
      busy.submit(stripe);
    }
    if (round == 0) {
      busy.drain();
      busy.hold();
    }
  }
  for (auto _ : state) {
    state.SetIterationTime(std::chrono::duration<double>(busy.drain()).count() / stripes);
  }
}

void dispatch_floor(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Footprint footprint(stripes);
  for (int round = 0; round < 2; ++round) {
    for (const auto stripe : order) {
      footprint.fresh(stripe);
    }
    if (round == 0) {
      dispatch_elsewhere(footprint);
    }
  }
  for (auto _ : state) {
    std::thread([&] { time_each(state, stripes, [&] { footprint.dispatch(); }); }).join();
  }
}

// -- Calls that visit every stripe, and one that does not -----------------------------------------

void snapshot(benchmark::State& state, std::uint32_t stripes) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), stripes,
                          [](CompactionContext&) { return CompactionOutcome::done(); });
  const auto times = visits / stripes;
  for (auto _ : state) {
    time_each(state, visits, [&] {
      for (std::uint32_t i = 0; i < times; ++i) {
        benchmark::DoNotOptimize(worker.snapshot());
      }
    });
  }
}

void visit_floor(benchmark::State& state, std::uint32_t stripes) {
  const Footprint footprint(stripes);
  const auto times = visits / stripes;
  for (auto _ : state) {
    time_each(state, visits, [&] {
      for (std::uint32_t i = 0; i < times; ++i) {
        benchmark::DoNotOptimize(footprint.visit());
        benchmark::ClobberMemory();
      }
    });
  }
}

void queue_size(benchmark::State& state, std::uint32_t stripes) {
  Busy<Kstone> busy(stripes);
  for (std::uint32_t stripe = 0; stripe < stripes; ++stripe) {
    busy.submit(stripe);
  }
  for (auto _ : state) {
    time_each(state, 100'000, [&] {
      for (int i = 0; i < 100'000; ++i) {
        benchmark::DoNotOptimize(busy.peer().worker().queue_size());
      }
    });
  }
}

void lock_floor(benchmark::State& state, std::uint32_t) {
  std::mutex mutex;
  for (auto _ : state) {
    time_each(state, 100'000, [&] {
      for (int i = 0; i < 100'000; ++i) {
        const std::lock_guard<std::mutex> lock(mutex);
        benchmark::ClobberMemory();
      }
    });
  }
}

using Body = void (*)(benchmark::State&, std::uint32_t);

void add(const char* what, const char* title, Body ours, const char* floor_title, Body floor) {
  for (const std::uint32_t stripes : {1U << 8, 1U << 12, 1U << 16, 1U << 20}) {
    add_workload(std::string("W7/") + what + "/" + std::to_string(stripes),
                 title + std::string(", ") + std::to_string(stripes), "ns");
    const auto with = [&](const char* name, const char* lacks, Body body) {
      add_subject(name, lacks, [=](auto& state) { body(state, stripes); })
          ->Iterations(1)
          ->UseManualTime();
    };
    with("kstone", "", ours);
    with("floor", floor_title, floor);
  }
}

}  // namespace

void add_scale() {
  add("duplicate", "a request for a queued stripe, at random, stripes", duplicate,
      "one locked read-modify-write on each", duplicate_floor);
  add("fresh", "a request for a stripe that is not queued, at random, stripes", fresh,
      "two locked read-modify-writes and a link on each", fresh_floor);
  add("dispatch", "an empty job, the stripes queued at random", dispatch,
      "a list in the same order, four locked read-modify-writes on each", dispatch_floor);
  add("snapshot", "snapshot, for each stripe", snapshot, "two loads and a sum on each",
      visit_floor);
  add("queue_size", "queue_size, stripes queued", queue_size, "a lock and an unlock", lock_floor);
}

}  // namespace kstone::bench
