// When a stripe whose compaction failed is tried again: contract section 4.
//
// Thread safety: a value; the worker copies it at construction.

#ifndef KSTONE_BACK_OFF_H_
#define KSTONE_BACK_OFF_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <functional>

namespace kstone {

// After the nth failure in a row a stripe waits for `initial` * 2^(n-1), `cap` at the most, less a
// random part; then it goes to the tail of the queue. It alone waits. Requests merge into what
// waits, and do not hurry it. `done`, `nothing_to_do` and `more_work` start the count anew,
// and so does `restore`; `cancel` does not.
//
// A resource that is gone (`Retry::resource`) is another matter: all stripes that lack it wait
// together, however often they have failed, and one of them tries each `resource_interval`. When
// one that had lacked it has done some work, all go to the queue.
//
// The constructor of the worker refuses what is out of range. All times are at most
// `max_back_off`.
inline constexpr std::chrono::hours max_back_off{24 * 365};

struct BackOff {
  std::chrono::nanoseconds initial = std::chrono::milliseconds(100);  // 0: no back-off
  std::chrono::nanoseconds cap = std::chrono::seconds(60);            // `initial` at the least

  // So much of each wait is left to chance, from 0 to 1, so that stripes that failed together do
  // not come back together.
  double jitter = 0.5;

  // True: `failed` is tried again, too: its episode ends as failed, and one opens that no request
  // has asked for (the snapshot's `retries`). Else the next request tries. (Off until a stripe that
  // fails for good can be told: D72.)
  bool retry_failed = false;

  std::chrono::nanoseconds resource_interval = std::chrono::seconds(1);  // more than 0

  // From 0 to below 1; anything else, and what throws, counts as 0. Called on a thread of the
  // worker with no lock of it held, by several at once; it must not end its thread. None: a
  // generator of the worker's.
  std::function<double()> random = {};

  // The worker is as one that knows no delays: `retry` and `failed` end the episode as failed, and
  // the next request tries. There is no thread for deadlines then.
  static BackOff off() {
    BackOff result;
    result.initial = std::chrono::nanoseconds(0);
    return result;
  }
  bool is_on() const noexcept { return initial.count() > 0; }
};

}  // namespace kstone

#endif  // KSTONE_BACK_OFF_H_
