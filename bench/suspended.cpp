// W8: how long a requester may be held up while a thread that holds every lock of the worker is
// suspended.

#include <sys/resource.h>

#include "kstone/background_worker_impl.h"
#include "latency.h"
#include "peers.h"
#include "workloads.h"

namespace kstone::bench {
namespace {

using std::chrono::milliseconds;

constexpr auto suspended_for = milliseconds(10);
constexpr auto pause_between = milliseconds(2);
constexpr auto run_time = milliseconds(600);
constexpr std::uint32_t stripes = 256;

// A mutex whose next owner can be made to stop, with the mutex, for a while.
class SuspendingMutex {
 public:
  void lock() {
    native_.lock();
    if (suspend_next.load(std::memory_order_relaxed) && suspend_next.exchange(false)) {
      std::this_thread::sleep_for(suspended_for);
    }
  }
  void unlock() { native_.unlock(); }
  void give_way() {
    unlock();
    lock();
  }

  static inline std::atomic<bool> suspend_next{false};

 private:
  std::mutex native_;
};

struct SuspendingSync : ProductionSync {
  using mutex = SuspendingMutex;
  class condition_variable {
   public:
    void wait(mutex& held) { native_.wait(held); }
    bool wait_until(mutex& held, std::chrono::nanoseconds deadline) {
      return native_.wait_until(held, std::chrono::steady_clock::time_point(deadline)) ==
             std::cv_status::no_timeout;
    }
    void notify_one() { native_.notify_one(); }
    void notify_all() { native_.notify_all(); }

   private:
    std::condition_variable_any native_;
  };
};

using SuspendedKstone = BasicKstone<SuspendingSync>;
using SuspendedMutexAndSet = BasicMutexAndSet<SuspendingMutex, std::condition_variable_any>;

std::size_t take_the_lock(SuspendedKstone& peer) { return peer.worker().queue_size(); }
std::size_t take_the_lock(SuspendedMutexAndSet& peer) { return peer.size(); }

// Times that this thread gave up the processor of its own will: it waited for something.
long waits() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

struct Calls {
  std::uint64_t all = 0;
  std::uint64_t held_up = 0;  // longer than a millisecond, and it waited meanwhile
  // Longer than a millisecond, and it did not: the system ran something else.
  std::uint64_t preempted = 0;
  std::chrono::nanoseconds longest{0};
};

template <class Call>
Calls time_calls(const Call& call) {
  Calls calls;
  const auto end = now() + run_time;
  for (auto begin = now(); begin < end;) {
    // Each time: a short wait of an earlier call says nothing of this one.
    const auto waits_before = waits();
    begin = now();
    call();
    const auto returned = now();
    ++calls.all;
    calls.longest = std::max(calls.longest, returned - begin);
    if (returned - begin > milliseconds(1)) {
      ++(waits() != waits_before ? calls.held_up : calls.preempted);
    }
  }
  return calls;
}

void report(benchmark::State& state, const Calls& calls) {
  constexpr double per = 1e7;
  state.SetIterationTime(static_cast<double>(calls.held_up) / static_cast<double>(calls.all) * per *
                         1e-9);
  state.counters["calls"] = static_cast<double>(calls.all);
  state.counters["preempted"] = static_cast<double>(calls.preempted);
  state.counters["longest_us"] = static_cast<double>(calls.longest.count()) / 1e3;
}

template <class Peer>
void suspended(benchmark::State& state) {
  for (auto _ : state) {
    Peer peer(stripes, 2, [](std::uint32_t) {});
    std::atomic<bool> ended{false};
    std::thread owner([&] {
      while (!ended.load()) {
        SuspendingMutex::suspend_next.store(true);
        take_the_lock(peer);  // if a worker thread came first, that one is suspended
        std::this_thread::sleep_for(pause_between);
      }
    });
    std::uint32_t stripe = 0;
    report(state, time_calls([&] {
             peer.submit(stripe);
             stripe = (stripe + 1) % stripes;
           }));
    ended.store(true);
    owner.join();
    SuspendingMutex::suspend_next.store(false);
    peer.stop();
  }
}

void nothing_to_wait_for(benchmark::State& state) {
  std::atomic<std::uint64_t> word{0};
  for (auto _ : state) {
    report(state, time_calls([&] { word.fetch_add(1); }));
  }
}

}  // namespace

void add_suspended() {
  add_workload("W8",
               "requests held up for more than 1 ms, of ten million, while a thread is suspended "
               "with every lock",
               "calls");
  add_subject("floor", "one locked read-modify-write", nothing_to_wait_for)
      ->Iterations(1)
      ->UseManualTime();
  add_subject("kstone", "", suspended<SuspendedKstone>)->Iterations(1)->UseManualTime();
  add_subject("mutex+set", MutexAndSet::lacks, suspended<SuspendedMutexAndSet>)
      ->Iterations(1)
      ->UseManualTime();
}

}  // namespace kstone::bench
