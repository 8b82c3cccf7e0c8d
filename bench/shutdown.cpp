// W5: shutdown of a worker whose one thread sleeps.

#include <optional>

#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr int samples = 100;
constexpr std::uint32_t stripes = 256;

template <class Peer, class... Arguments>
void idle_shutdown(benchmark::State& state, int count, Arguments... arguments) {
  report_percentiles(state, count, [&] {
    std::optional<Peer> peer(std::in_place, stripes, 1, [](std::uint32_t) {}, arguments...);
    let_fall_asleep();
    const auto begin = now();
    peer->stop();
    return now() - begin;
  });
}

void wake_and_join(benchmark::State& state) {
  report_percentiles(state, samples, [&] {
    Futex ended;
    std::thread thread([&] { ended.wait(); });
    let_fall_asleep();
    const auto begin = now();
    ended.wake();
    thread.join();
    return now() - begin;
  });
}

template <class Peer>
void add() {
  add_subject(Peer::name, "", [](auto& state) { idle_shutdown<Peer>(state, samples); })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace

void add_shutdown() {
  add_workload("W5", "shutdown, idle, 256 stripes; p50 of 100", "ns");
  add_subject("floor", "a futex wake and a join", wake_and_join)->Iterations(1)->UseManualTime();
  add<Kstone>();
  add<MutexAndSet>();
  add<RocksDbPool>();
  add<OneTbb>();
  add<BoostAsio>();
  add<Moodycamel>();
  add_subject("origin, 60 ms", "its interval is 60 s, here a thousandth of it",
              [](auto& state) { idle_shutdown<Origin>(state, 5, std::chrono::milliseconds(60)); })
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace kstone::bench
