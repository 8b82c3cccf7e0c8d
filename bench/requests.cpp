// W1: a request for a stripe that is queued already. W2: for one that is not, while the worker
// threads are busy.

#include "busy.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr std::uint32_t w2_stripes = 256;

// `depth` stripes are queued; each is asked for again, one after the other.
template <class Peer>
void duplicate(benchmark::State& state, std::uint32_t depth) {
  static std::unique_ptr<Busy<Peer>> busy;  // shared by the threads of the benchmark
  if (state.thread_index() == 0) {
    busy = std::make_unique<Busy<Peer>>(depth);
    for (std::uint32_t i = 0; i < depth; ++i) {
      busy->submit(i);
    }
  }
  std::uint32_t stripe = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(busy->peer().submit(stripe));
    stripe = stripe + 1 == depth ? 0 : stripe + 1;
  }
  if (state.thread_index() == 0) {
    busy.reset();
  }
}

// One locked read-modify-write, on words that lie as the worker's do.
void locked_rmw(benchmark::State& state, std::uint32_t depth) {
  static std::unique_ptr<std::atomic<std::uint64_t>[]> words;
  if (state.thread_index() == 0) {
    words.reset(new std::atomic<std::uint64_t>[depth] {});
  }
  std::uint32_t stripe = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(words[stripe].fetch_add(4, std::memory_order_acq_rel));
    stripe = stripe + 1 == depth ? 0 : stripe + 1;
  }
}

template <class Peer>
void fresh(benchmark::State& state) {
  Busy<Peer> busy(w2_stripes);
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < w2_stripes; ++i) {
      benchmark::DoNotOptimize(busy.submit(i));
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(time.count() / w2_stripes);
    busy.drain();
    busy.hold();
  }
}

template <class Peer>
void add_fresh() {
  add_peer<Peer>(fresh<Peer>)->Iterations(300)->UseManualTime();
}

}  // namespace

void add_requests() {
  for (const std::uint32_t depth : {1U, 256U, 4096U, 65536U}) {
    // The origin searches its queue, so that more requests than these would take minutes.
    const auto slow = static_cast<benchmark::IterationCount>(depth > 256 ? 20'000 : 200'000);
    for (const int threads : {1, 2}) {
      add_workload("W1/" + std::to_string(threads) + "/" + std::to_string(depth),
                   "a request for a queued stripe, " + std::to_string(threads) + " threads, " +
                       std::to_string(depth) + " queued",
                   "ns");
      const auto with = [&](benchmark::internal::Benchmark* added,
                            benchmark::IterationCount iterations) {
        added->Iterations(iterations)->Threads(threads)->UseRealTime();
      };
      with(add_subject("floor", "one locked read-modify-write",
                       [=](auto& state) { locked_rmw(state, depth); }),
           2'000'000);
      with(add_peer<Kstone>([=](auto& state) { duplicate<Kstone>(state, depth); }), 2'000'000);
      with(add_peer<MutexAndSet>([=](auto& state) { duplicate<MutexAndSet>(state, depth); }),
           500'000);
      with(add_peer<Origin>([=](auto& state) { duplicate<Origin>(state, depth); }), slow);
    }
  }
  add_workload("W2", "a request for a stripe that is not queued, worker threads busy, 256 stripes",
               "ns");
  add_fresh<Kstone>();
  add_fresh<MutexAndSet>();
  add_fresh<Origin>();
  add_fresh<RocksDbEnv>();
  add_fresh<LevelDbEnv>();
  add_fresh<OneTbb>();
  add_fresh<BoostAsio>();
  add_fresh<Moodycamel>();
}

}  // namespace kstone::bench
