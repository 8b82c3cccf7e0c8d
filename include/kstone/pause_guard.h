// What `pause` and `pause_all` give: while it lives, what it holds does not run.
//
// Thread safety: a guard is its owner's; guards of one worker may be released by any threads.

#ifndef KSTONE_PAUSE_GUARD_H_
#define KSTONE_PAUSE_GUARD_H_

#include "kstone/cxx20.h"

#include <memory>
#include <utility>

#include "kstone/compaction_types.h"
#include "kstone/detail/pauses.h"

namespace kstone {
namespace detail {
template <class Sync>
class Shell;
}

// *Requires* that it does not outlive the worker, and is not released in a child of `fork`.
template <class Sync>
class [[nodiscard]] basic_pause_guard {
 public:
  // Holds nothing; its result is `shut_down`.
  basic_pause_guard() noexcept = default;
  basic_pause_guard(basic_pause_guard&& other) noexcept { swap(other); }
  basic_pause_guard& operator=(basic_pause_guard&& other) noexcept {
    basic_pause_guard moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~basic_pause_guard() { release(); }

  // As of the moment at which `pause` returned.
  PauseResult result() const noexcept { return result_; }

  // Nothing ran of what it holds when `pause` returned. To be asked before anything is done that no
  // compaction may overlap.
  bool paused() const noexcept { return result_ == PauseResult::paused; }

  // Whether it holds something at this moment: after `paused` and `still_running`, until it is
  // released, its stripe is restored, or the worker is shut down. Takes the worker's mutex.
  bool holds() const noexcept;

  // Ends this pause; later calls do nothing. If it was the last of what it holds, that is queued
  // again, one stripe at the tail of the queue, all where they were. Never waits for a job; takes
  // the worker's mutex. O(guards that live).
  void release() noexcept;

 private:
  friend class detail::Shell<Sync>;

  void swap(basic_pause_guard& other) noexcept {
    std::swap(shell_, other.shell_);
    std::swap(entry_, other.entry_);
    std::swap(result_, other.result_);
  }

  detail::Shell<Sync>* shell_ = nullptr;
  std::unique_ptr<detail::Pauses::Entry> entry_;
  PauseResult result_ = PauseResult::shut_down;
};

}  // namespace kstone

#endif  // KSTONE_PAUSE_GUARD_H_
