// W4: from the request to the begin of the job, the worker thread asleep; the requester sleeps as
// well until the job runs.

#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr int samples = 400;

template <class Peer, class... Arguments>
void wake_up(benchmark::State& state, int count, Arguments... arguments) {
  Futex ran;
  std::atomic<std::chrono::nanoseconds> begun{};
  Peer peer(
      1, 1,
      [&](std::uint32_t) {
        begun.store(now(), std::memory_order_relaxed);
        ran.wake();
      },
      arguments...);
  report_percentiles(state, count, [&] {
    let_fall_asleep();
    ran.reset();
    const auto requested = now();
    peer.submit(0);
    ran.wait();
    return begun.load(std::memory_order_relaxed) - requested;
  });
  let_fall_asleep();  // the last job has left its stripe by then
  peer.stop();
}

// Two threads and two futexes, nothing else.
void bare_futex(benchmark::State& state) {
  Futex requested;
  Futex ran;
  std::atomic<bool> ended{false};
  std::atomic<std::chrono::nanoseconds> begun{};
  std::thread worker([&] {
    for (;;) {
      requested.wait();
      begun.store(now(), std::memory_order_relaxed);
      requested.reset();
      if (ended.load()) {
        return;
      }
      ran.wake();
    }
  });
  report_percentiles(state, samples, [&] {
    let_fall_asleep();
    ran.reset();
    const auto begin = now();
    requested.wake();
    ran.wait();
    return begun.load(std::memory_order_relaxed) - begin;
  });
  ended.store(true);
  requested.wake();
  worker.join();
}

template <class Peer>
void add() {
  add_peer<Peer>([](auto& state) { wake_up<Peer>(state, samples); })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace

void add_wake_up() {
  add_workload("W4", "from request to job, the worker thread asleep; p50 of 400", "ns");
  add_subject("floor", "a bare futex", bare_futex)->Iterations(1)->UseManualTime();
  add<Kstone>();
  add<MutexAndSet>();
  add<RocksDbEnv>();
  add<LevelDbEnv>();
  add<OneTbb>();
  add<BoostAsio>();
  add<Moodycamel>();
  add_subject("origin, 60 ms", "its interval is 60 s, here a thousandth of it",
              [](auto& state) { wake_up<Origin>(state, 5, std::chrono::milliseconds(60)); })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace kstone::bench
