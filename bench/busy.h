// A peer whose one worker thread stands in a job for as long as it is wanted, so that what is submitted stays queued.
//
// Thread safety: one thread owns it; `peer().submit` may be called from others.

#ifndef KSTONE_BENCH_BUSY_H_
#define KSTONE_BENCH_BUSY_H_

#include <atomic>
#include <cstdint>

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
    drain();
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
    peer_.submit(stripes_);
    at_gate_.wait(false);
  }

  // Lets it do what was submitted, and returns once it has.
  void drain() {
    last_.store(submitted_);
    gate_.store(true);
    gate_.notify_all();
    for (auto done = done_.load(); done != submitted_; done = done_.load()) {
      done_.wait(done);
    }
  }

 private:
  void run(std::uint32_t stripe) {
    if (stripe == stripes_) {
      at_gate_.store(true);
      at_gate_.notify_one();
      gate_.wait(false);
    } else if (done_.fetch_add(1) + 1 == last_.load()) {
      done_.notify_one();
    }
  }

  std::uint32_t stripes_;
  std::atomic<bool> gate_{false};
  std::atomic<bool> at_gate_{false};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<std::uint64_t> last_{0};
  std::uint64_t submitted_ = 0;
  Peer peer_;  // last: its thread uses all of the above
};

}  // namespace kstone::bench

#endif  // KSTONE_BENCH_BUSY_H_
