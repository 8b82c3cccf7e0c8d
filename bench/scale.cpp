// W7: how costs grow with stripes, queued stripes and threads. Beside each cost stands a floor with the same pattern of accesses
// to as much memory, since beyond a cache everything gets slower.

#include <numeric>
#include <random>

#include "busy.h"
#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr std::uint32_t accesses = 1U << 18;

// `accesses` stripes: all of them as often as it takes, each time in the same random order.
std::vector<std::uint32_t> random_order(std::uint32_t stripes) {
  std::vector<std::uint32_t> order(stripes);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  return order;
}

using Words = std::unique_ptr<std::atomic<std::uint64_t>[]>;

Words words(std::uint32_t stripes) { return Words(new std::atomic<std::uint64_t>[stripes]{}); }

// Time for each of `count` steps.
template <class Work>
void time_each(benchmark::State& state, std::uint64_t count, const Work& work) {
  const auto begin = now();
  work();
  state.SetIterationTime(std::chrono::duration<double>(now() - begin).count() / static_cast<double>(count));
}

// -- Requests ---------------------------------------------------------------------------------------------------------

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
  const auto all = words(stripes);
  for (auto _ : state) {
    time_each(state, std::max(accesses, stripes), [&] {
      for (std::uint32_t done = 0; done < accesses; done += stripes) {
        for (const auto stripe : order) {
          benchmark::DoNotOptimize(all[stripe].fetch_add(4, std::memory_order_acq_rel));
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
  const auto all = words(stripes);
  std::vector<std::uint32_t> links(stripes);
  std::atomic<std::uint64_t> list{0};
  std::thread([&] {  // as the worker's thread has
    for (const auto stripe : order) {
      all[stripe].exchange(0, std::memory_order_acquire);
      links[stripe] = stripe;
    }
  }).join();
  for (auto _ : state) {
    time_each(state, stripes, [&] {
      for (const auto stripe : order) {
        all[stripe].fetch_add(4, std::memory_order_acq_rel);
        auto head = list.load(std::memory_order_relaxed);
        do {
          links[stripe] = static_cast<std::uint32_t>(head);
        } while (!list.compare_exchange_weak(head, stripe, std::memory_order_release, std::memory_order_relaxed));
      }
    });
  }
}

// -- Jobs -------------------------------------------------------------------------------------------------------------

// From the moment when the worker thread is let go to the end of the last of `stripes` empty jobs.
void dispatch(benchmark::State& state, std::uint32_t stripes) {
  const auto order = random_order(stripes);
  Busy<Kstone> busy(stripes);
  for (int round = 0; round < 2; ++round) {  // the first without the clock, so that the memory is there
    for (const auto stripe : order) {
      busy.submit(stripe);
    }
    if (round == 0) {
      busy.drain();
      busy.hold();
    }
  }
  for (auto _ : state) {
    time_each(state, stripes, [&] { busy.drain(); });
  }
}

// A list of as many nodes, in the same order: each word is changed twice and each node written, with one lock for each, by a
// thread that is let go in the same way.
void dispatch_floor(benchmark::State& state, std::uint32_t stripes) {
  struct Node {
    std::uint32_t next, attempts, ended, state;
  };
  const auto order = random_order(stripes);
  const auto all = words(stripes);
  std::vector<std::uint32_t> links(stripes);
  std::vector<Node> nodes(stripes);
  std::mutex mutex;
  std::atomic<bool> gate{false};
  std::atomic<bool> done{false};
  std::thread worker([&] {
    gate.wait(false);
    for (auto stripe = order[0]; stripe != UINT32_MAX; stripe = links[stripe]) {  // the list becomes the queue
      nodes[stripe].next = links[stripe];
    }
    for (auto stripe = order[0]; stripe != UINT32_MAX; stripe = nodes[stripe].next) {
      all[stripe].exchange(2, std::memory_order_acquire);
      mutex.lock();
      ++nodes[stripe].attempts;
      mutex.unlock();
      all[stripe].fetch_sub(2, std::memory_order_release);
    }
    done.store(true);
    done.notify_one();
  });
  for (std::uint32_t i = 0; i < stripes; ++i) {
    all[order[i]].fetch_add(4, std::memory_order_acq_rel);
    links[order[i]] = i + 1 < stripes ? order[i + 1] : UINT32_MAX;
  }
  for (auto _ : state) {
    time_each(state, stripes, [&] {
      gate.store(true);
      gate.notify_one();
      done.wait(false);
    });
  }
  worker.join();
}

// -- Calls that visit every stripe, and one that does not ----------------------------------------------------------------

void snapshot(benchmark::State& state, std::uint32_t stripes) {
  BackgroundWorker worker(CompactionConfig(), CompactionStatsAtomic(), stripes,
                          [](CompactionContext&) { return CompactionOutcome::done(); });
  for (auto _ : state) {
    time_each(state, 10 * std::uint64_t{stripes}, [&] {
      for (int i = 0; i < 10; ++i) {
        benchmark::DoNotOptimize(worker.snapshot());
      }
    });
  }
}

void visit_floor(benchmark::State& state, std::uint32_t stripes) {
  struct Node {
    std::uint32_t next, attempts, ended, state;
  };
  const auto all = words(stripes);
  const std::vector<Node> nodes(stripes);
  for (auto _ : state) {
    time_each(state, 10 * std::uint64_t{stripes}, [&] {
      for (int i = 0; i < 10; ++i) {
        for (std::uint32_t stripe = 0; stripe < stripes; ++stripe) {
          benchmark::DoNotOptimize(all[stripe].load(std::memory_order_relaxed));
          benchmark::DoNotOptimize(nodes[stripe].state);
        }
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
    add_workload(std::string("W7/") + what + "/" + std::to_string(stripes), title + std::string(", ") + std::to_string(stripes), "ns");
    const auto with = [&](const char* name, const char* lacks, Body body) {
      add_subject(name, lacks, [=](auto& state) { body(state, stripes); })->Iterations(1)->UseManualTime();
    };
    with("kstone", "", ours);
    with("floor", floor_title, floor);
  }
}

}  // namespace

void add_scale() {
  add("duplicate", "a request for a queued stripe, at random, stripes", duplicate, "one locked read-modify-write on each", duplicate_floor);
  add("fresh", "a request for a stripe that is not queued, at random, stripes", fresh,
      "two locked read-modify-writes and a link on each", fresh_floor);
  add("dispatch", "an empty job, the stripes queued at random", dispatch,
      "a list in the same order, four locked read-modify-writes on each", dispatch_floor);
  add("snapshot", "snapshot, for each stripe", snapshot, "two loads on each", visit_floor);
  add("queue_size", "queue_size, stripes queued", queue_size, "a lock and an unlock", lock_floor);
}

}  // namespace kstone::bench
