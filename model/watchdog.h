// Notices that what is explored does not come to its next step: a real lock, or a loop that waits
// for a real atomic.
//
// The modelled threads are fibers of one real thread, so whoever would free such a lock never runs.
// A watching thread looks at the explored one. What counts is its own time, not the clock's:
// processor time that it used, and time in which it slept in the kernel. A machine under load and a
// debugger that stops the program make neither.
//
// Thread safety: watch() and unwatch() on the thread that explores.

#ifndef KSTONE_MODEL_WATCHDOG_H_
#define KSTONE_MODEL_WATCHDOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "places.h"

namespace kstone::model {

enum class Standstill { none, asleep, busy };

// One look at the explored thread.
struct Look {
  std::uint64_t progress = 0;    // changes with each step
  double seconds = 0;            // of a clock that does not go back
  double processor_seconds = 0;  // that the thread has used
  bool asleep = false;           // in the kernel, neither ready to run nor stopped
};

// Says once that no step has come for `limit` seconds of the explored thread's own time.
class StandstillDetector {
 public:
  // Of two looks further apart the thread may have done anything in between; so the gap counts as
  // this share of the limit.
  static constexpr double longest_gap = 0.1;

  explicit StandstillDetector(double limit) : limit_(limit) {}
  Standstill look(const Look& now);

 private:
  double limit_;
  bool any_ = false;
  Look last_;
  double busy_since_ = 0;  // processor time at the last step
  double asleep_ = 0;      // since then
};

// What stands still and what to use in place of it, of these places: "in pthread_mutex_lock, called
// at engine.h:44 put: ...".
std::string standstill_text(Standstill kind, double limit, const std::vector<Place>& places);

namespace watchdog {

constexpr int max_addresses = 48;

// Calls `on_standstill` on the explored thread, where it stands, if it makes no progress for
// `limit` seconds; it is not to return. If unwatch() does not come then, the process ends with a
// message and status 1.
void watch(double limit, void (*on_standstill)(Standstill, void* const* addresses, int count));
void unwatch();
void progress();

}  // namespace watchdog

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WATCHDOG_H_
