// W11: what it costs a dispatch that others look at every stripe meanwhile.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "kstone/background_worker.h"
#include "latency.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr std::uint32_t stripes = max_stripe_count;
constexpr int requests = 2000;
constexpr auto pause_between = std::chrono::microseconds(50);

enum class Look { nobody, at_all };

// The longest time from a request to its job.
void observed(benchmark::State& state, Look look) {
  for (auto _ : state) {
    std::chrono::nanoseconds began{0};  // of the last job; published by `begun`
    std::atomic<int> begun{0};
    BackgroundWorker worker(CompactionConfig().with_max_concurrent(1), {}, stripes,
                            [&](CompactionContext&) {
                              began = now();
                              begun.fetch_add(1);
                              begun.notify_one();
                              return CompactionOutcome::done();
                            });
    if (worker.start() != StartResult::started) {
      state.SkipWithError("start: no threads");
      return;
    }
    std::atomic<bool> ended{false};
    std::uint64_t looks = 0;
    std::thread observer([&] {
      while (look == Look::at_all && !ended.load()) {
        benchmark::DoNotOptimize(worker.snapshot());
        benchmark::DoNotOptimize(worker.wait_idle(std::chrono::seconds(0)));
        ++looks;
      }
    });
    std::chrono::nanoseconds longest{0};
    for (int i = 0; i < requests; ++i) {
      const std::chrono::nanoseconds begin = now();
      worker.queue_compaction(static_cast<std::uint32_t>(i) * 8191U % stripes);
      begun.wait(i);  // asleep, so that two processors are enough for the others
      longest = std::max(longest, began - begin);
      std::this_thread::sleep_for(pause_between);
    }
    ended.store(true);
    observer.join();
    constexpr double nanoseconds_in_a_microsecond = 1e3;  // the figure is a number of these
    state.SetIterationTime(static_cast<double>(longest.count()) / nanoseconds_in_a_microsecond *
                           1e-9);
    state.counters["looks"] = static_cast<double>(looks);
  }
}

}  // namespace

void add_observed() {
  add_workload("W11", "the longest of 2,000 dispatches, 16,777,216 stripes", "us");
  add_subject("floor", "nobody looks at the stripes",
              [](auto& state) { observed(state, Look::nobody); })
      ->Iterations(1)
      ->UseManualTime();
  add_subject("kstone", "", [](auto& state) { observed(state, Look::at_all); })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace kstone::bench
