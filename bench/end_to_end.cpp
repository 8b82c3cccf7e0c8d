// W3: from request to the end of an empty job. W7: the same with more threads than processors.

#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

constexpr std::uint32_t stripes = 256;

struct alignas(64) Count {
  std::atomic<std::uint64_t> value{0};
};

// The jobs that have run, each counted at its stripe.
class Done {
 public:
  Run job() {
    return [this](std::uint32_t stripe) {
      counts_[stripe].value.fetch_add(1, std::memory_order_release);
    };
  }
  std::uint64_t of(std::uint32_t stripe) const {
    return counts_[stripe].value.load(std::memory_order_acquire);
  }
  std::uint64_t of_all() const {
    std::uint64_t sum = 0;
    for (std::uint32_t stripe = 0; stripe < stripes; ++stripe) {
      sum += of(stripe);
    }
    return sum;
  }

 private:
  std::vector<Count> counts_ = std::vector<Count>(stripes);
};

// `requester(first stripe, stripes)` runs on each requester's thread, on stripes of its own. Time
// runs from the first request to the end of the last of `jobs`.
template <class Requester>
void time_jobs(benchmark::State& state, unsigned requesters, std::uint64_t jobs, const Done& done,
               const Requester& requester) {
  for (auto _ : state) {
    const auto share = stripes / requesters;
    std::atomic<unsigned> next{0};
    const auto begin = now();
    Threads threads(requesters, [&] { requester(share * next.fetch_add(1), share); });
    threads.join();
    while (done.of_all() != jobs) {
      std::this_thread::yield();
    }
    state.SetIterationTime(std::chrono::duration<double>(now() - begin).count() /
                           static_cast<double>(jobs));
  }
}

// Each requester goes round its stripes as fast as it can, until it has caused its share of the
// jobs.
template <class Peer>
void flood(benchmark::State& state, unsigned requesters, unsigned workers) {
  constexpr std::uint64_t jobs = 192'000;
  Done done;
  Peer peer(stripes, workers, done.job());
  time_jobs(state, requesters, jobs / requesters * requesters, done,
            [&](std::uint32_t first, std::uint32_t count) {
              std::uint32_t i = 0;
              for (std::uint64_t caused = 0; caused < jobs / requesters; i = (i + 1) % count) {
                caused += peer.submit(first + i) ? 1 : 0;
              }
            });
  peer.stop();
}

// Each requester asks for a stripe again when that one's last job has ended, so that every subject
// is asked for the same jobs, and none has more than `stripes` of them at a time.
template <class Peer>
void paced(benchmark::State& state, unsigned requesters, unsigned workers) {
  constexpr std::uint64_t rounds = 200;
  Done done;
  Peer peer(stripes, workers, done.job());
  time_jobs(state, requesters, rounds * stripes, done,
            [&](std::uint32_t first, std::uint32_t count) {
              for (std::uint64_t round = 0; round < rounds; ++round) {
                for (std::uint32_t stripe = first; stripe < first + count; ++stripe) {
                  while (done.of(stripe) != round) {
                    std::this_thread::yield();
                  }
                  peer.submit(stripe);
                }
              }
            });
  peer.stop();
}

using Body = void (*)(benchmark::State&, unsigned, unsigned);

template <class Peer>
void add(Body body, unsigned requesters, unsigned workers) {
  add_peer<Peer>([=](auto& state) { body(state, requesters, workers); })
      ->Iterations(1)
      ->UseManualTime();
}

std::string pair_name(unsigned threads) {
  return std::to_string(threads) + "+" + std::to_string(threads);
}

}  // namespace

void add_end_to_end() {
  for (const unsigned threads : {1U, 2U}) {
    add_workload("W3/" + pair_name(threads),
                 "from request to the end of an empty job, 256 stripes, requesters as fast as they "
                 "can + workers",
                 "ns for each job");
    add<Kstone>(flood<Kstone>, threads, threads);
    add<MutexAndSet>(flood<MutexAndSet>, threads, threads);
    if (threads == 1) {
      add<Origin>(flood<Origin>, threads, threads);
      add<LevelDbEnv>(flood<LevelDbEnv>, threads, threads);
    }
    add<RocksDbEnv>(flood<RocksDbEnv>, threads, threads);
    add<OneTbb>(flood<OneTbb>, threads, threads);
    add<BoostAsio>(flood<BoostAsio>, threads, threads);
    add<Moodycamel>(flood<Moodycamel>, threads, threads);
  }
  for (const unsigned threads : {1U, 2U}) {
    add_workload("W3/" + pair_name(threads) + " paced",
                 "as W3, but a stripe is asked for again only when its last job has ended; "
                 "requesters + workers",
                 "ns for each job");
    add<Kstone>(paced<Kstone>, threads, threads);
    add<MutexAndSet>(paced<MutexAndSet>, threads, threads);
    add<RocksDbEnv>(paced<RocksDbEnv>, threads, threads);
    add<OneTbb>(paced<OneTbb>, threads, threads);
    add<BoostAsio>(paced<BoostAsio>, threads, threads);
    add<Moodycamel>(paced<Moodycamel>, threads, threads);
  }
  for (const unsigned threads : {4U, 8U, 16U}) {
    add_workload("W7/threads/" + pair_name(threads),
                 "as W3, more threads than processors; requesters + workers", "ns for each job");
    add<Kstone>(flood<Kstone>, threads, threads);
    add<MutexAndSet>(flood<MutexAndSet>, threads, threads);
    add<Moodycamel>(flood<Moodycamel>, threads, threads);
  }
}

}  // namespace kstone::bench
