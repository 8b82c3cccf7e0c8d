// When a stripe whose compaction failed is tried again: contract section 4.
//
// Thread safety: a value; the worker copies it at construction.

#ifndef KSTONE_BACK_OFF_H_
#define KSTONE_BACK_OFF_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>
#include <functional>

namespace kstone {

// After the nth failure in a row a stripe waits for `initial` * 2^(n-1), `cap` at the most and from
// the 31st on, less a random part; then it goes to the tail of the queue. It alone waits. Requests
// merge into what waits, and do not hurry it. `done`, `nothing_to_do` and `more_work` start the
// count anew, and so do `restore` and `release`; `cancel` does not.
//
// After `quarantine_after` failures in a row, of which the worker would try the last again by
// itself, the stripe is in quarantine: the episode ends as failed, whatever the job said, and one
// is opened for a probe (the snapshot's `probes`), which is a try each `probe_interval`, less a
// random part. While that waits and runs, requests merge into it, nobody waits for the stripe
// (`wait_idle`), and it is listed (`BackgroundWorker::quarantined`). A probe that answers `done`,
// `nothing_to_do` or `more_work` ends the quarantine, and so does `BackgroundWorker::release`. One
// that is cancelled, answers `stopped`, lacks a resource or ends its thread does, too, but the
// stripe has failed as often as before: one more failure puts it back.
//
// A resource that is gone (`Retry::resource`) is another matter: all stripes that lack it wait
// together, however often they have failed, and one of them tries each `resource_interval`. When
// one that had lacked it has done some work, all go to the queue. While it waits for that none of
// them is in quarantine.
//
// The constructor of the worker refuses what is out of range, unless there is no back-off. All
// times are at most `max_back_off`.
inline constexpr std::chrono::hours max_back_off{24 * 365};
inline constexpr std::uint32_t max_quarantine_after = 31;  // failures in a row that are counted

struct BackOff {
  std::chrono::nanoseconds initial = std::chrono::milliseconds(100);  // 0: no back-off
  std::chrono::nanoseconds cap = std::chrono::seconds(60);            // `initial` at the least

  // So much of each wait is left to chance, from 0 to 1, so that stripes that failed together do
  // not come back together.
  double jitter = 0.5;

  // True: `failed` is tried again, too: its episode ends as failed, and one opens that no request
  // has asked for (the snapshot's `retries`). Else the next request tries: at once, or after the
  // delay, if it came during the compaction; and what fails so is never in quarantine.
  bool retry_failed = true;

  std::chrono::nanoseconds resource_interval = std::chrono::seconds(1);  // more than 0

  std::uint32_t quarantine_after = 16;  // 0: never; `max_quarantine_after` at the most
  std::chrono::nanoseconds probe_interval = std::chrono::minutes(10);  // more than 0

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
