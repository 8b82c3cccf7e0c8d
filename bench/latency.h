// What the workloads share that measure single moments.
//
// Thread safety: as documented at each type.

#ifndef KSTONE_BENCH_LATENCY_H_
#define KSTONE_BENCH_LATENCY_H_

#include <benchmark/benchmark.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace kstone::bench {

inline std::chrono::nanoseconds now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// Long enough for a thread that has nothing to do to have fallen asleep. A nap of the benchmark:
// nothing depends on it but what is measured.
inline void let_fall_asleep() { std::this_thread::sleep_for(std::chrono::microseconds(150)); }

// A flag on a bare futex: the floor of every wake-up. Any thread may call any method.
class Futex {
 public:
  void wait() {
    while (word_.load(std::memory_order_acquire) == 0) {
      syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word_), FUTEX_WAIT_PRIVATE, 0, nullptr,
              nullptr, 0);
    }
  }
  void wake() {
    word_.store(1, std::memory_order_release);
    syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word_), FUTEX_WAKE_PRIVATE, 1, nullptr,
            nullptr, 0);
  }
  void reset() { word_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint32_t> word_{0};
};

// Calls `sample`, which gives a duration, `samples` times; the median is the benchmark's time,
// other percentiles its counters.
template <class Sample>
void report_percentiles(benchmark::State& state, int samples, const Sample& sample) {
  for (auto _ : state) {
    std::vector<std::chrono::nanoseconds> times;
    for (int i = 0; i < samples; ++i) {
      times.push_back(sample());
    }
    std::sort(times.begin(), times.end());
    const auto percentile = [&](double share) {
      return static_cast<double>(
          times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))].count());
    };
    state.SetIterationTime(percentile(0.5) * 1e-9);
    state.counters["p50"] = percentile(0.5);
    state.counters["p99"] = percentile(0.99);
    state.counters["max"] = percentile(1);
  }
}

}  // namespace kstone::bench

#endif  // KSTONE_BENCH_LATENCY_H_
