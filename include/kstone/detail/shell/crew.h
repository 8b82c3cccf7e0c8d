// The crew: the worker's threads, as they see themselves and as the others see them.
//
// Thread safety: see each class.

#ifndef KSTONE_DETAIL_SHELL_CREW_H_
#define KSTONE_DETAIL_SHELL_CREW_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace kstone::detail {

template <class Sync>
class Shell;

// A thread of the worker, as it itself sees it: written before it starts, joined by the one caller
// of shutdown that set `joining`. The scan's is the last.
template <class Sync>
struct Slot {
  Shell<Sync>* self = nullptr;
  std::uint32_t index = 0;
  typename Sync::thread thread;
  typename Sync::template atomic<bool> stop_flag{false};
  bool in_sink = false;  // touched by the thread alone
};

// ... and as the others see it. Guarded by the worker's mutex.
template <class Sync>
class Crew {
 public:
  using Id = typename Sync::thread::id_type;

  explicit Crew(std::uint32_t worker_threads) : threads_(std::size_t{worker_threads} + 1) {}

  void created(std::uint32_t index) {
    threads_[index].alive = true;
    alive_workers_ += is_worker(index);
  }
  // Its first step: from here on calls from it are known as such, also those of destructors at its
  // end. Nobody else is ever given its identity, so it need not be forgotten.
  void entered(std::uint32_t index, Id id) { threads_[index].id = id; }
  void left(std::uint32_t index) {
    threads_[index].alive = false;
    alive_workers_ -= is_worker(index);
  }

  std::uint32_t alive_workers() const noexcept { return alive_workers_; }
  bool scan_alive() const { return threads_.back().alive; }
  bool all_left() const { return alive_workers_ == 0 && !scan_alive(); }
  // The index of the thread that has it.
  std::optional<std::uint32_t> find(Id id) const {
    for (std::uint32_t i = 0; i < threads_.size(); ++i) {
      if (threads_[i].id == id) {
        return i;
      }
    }
    return std::nullopt;
  }

 private:
  struct Thread {
    std::optional<Id> id;
    bool alive = false;
  };

  std::uint32_t is_worker(std::uint32_t index) const { return index + 1 < threads_.size() ? 1 : 0; }

  std::vector<Thread> threads_;  // the worker threads, then the scan's
  std::uint32_t alive_workers_ = 0;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_CREW_H_
