// A peer whose one worker thread stands in a job for as long as it is wanted, so that what is
// submitted stays queued.
//
// Thread safety: one thread owns it; `peer().submit` may be called from others.

#ifndef KSTONE_BENCH_BUSY_H_
#define KSTONE_BENCH_BUSY_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "latency.h"

namespace kstone::bench {

template <class Peer>
class Busy {
 public:
  // There is one stripe more than `stripes`, whose job it is in which the thread stands.
  explicit Busy(std::uint32_t stripes)
      : stripes_(stripes), peer_(stripes + 1, 1, [this](std::uint32_t stripe) { run(stripe); }) {
    hold();
  }
  ~Busy() {
    drain();  // a second time it has nothing to wait for
    peer_.stop();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

  Peer& peer() { return peer_; }

  // As the peer's, and drain() waits for the job.
  bool submit(std::uint32_t stripe) {
    const bool runs = peer_.submit(stripe);
    submitted_ += runs ? 1 : 0;
    return runs;
  }

  // Returns once the thread stands in its job.
  void hold() {
    gate_.store(false);
    at_gate_.store(false);
    ++submitted_;
    peer_.submit(stripes_);
    at_gate_.wait(false);
  }

  // Lets it do what was submitted, and returns once it has left the last job: how long that took
  // the thread, without its wake-up.
  std::chrono::nanoseconds drain() {
    last_.store(submitted_);
    gate_.store(true);
    gate_.notify_all();
    for (auto done = done_.load(); done != submitted_; done = done_.load()) {
      done_.wait(done);
    }
    return ended_ - begun_;
  }

 private:
  // The thread is the only one that counts. After its count nothing here is used: some peers cannot
  // be joined.
  void run(std::uint32_t stripe) {
    if (stripe == stripes_) {
      at_gate_.store(true);
      at_gate_.notify_one();
      gate_.wait(false);
      begun_ = now();
    }
    const auto done = done_.load(std::memory_order_relaxed) + 1;
    if (done == last_.load()) {
      ended_ = now();
      done_.store(done);
      done_.notify_one();
    } else {
      done_.store(done);
    }
  }

  std::uint32_t stripes_;
  std::atomic<bool> gate_{false};
  std::atomic<bool> at_gate_{false};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> last_{0};
  std::uint64_t submitted_ = 0;
  std::chrono::nanoseconds begun_{0};  // both written by the thread before it counts its last job
  std::chrono::nanoseconds ended_{0};
  Peer peer_;  // last: its thread uses all of the above
};

}  // namespace kstone::bench

#endif  // KSTONE_BENCH_BUSY_H_
