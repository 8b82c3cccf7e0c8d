// What the scheduling core knows of one stripe.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_CORE_STRIPE_H_
#define KSTONE_DETAIL_CORE_STRIPE_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>

#include "kstone/compaction_types.h"
#include "kstone/request_options.h"

namespace kstone::detail {

inline constexpr std::uint32_t no_stripe = UINT32_MAX;

// A time on the borders of four bytes.
class PackedTime {
 public:
  void set(std::chrono::nanoseconds time) {
    low_ = static_cast<std::uint32_t>(time.count());
    high_ = static_cast<std::uint32_t>(time.count() >> 32);
  }
  std::chrono::nanoseconds get() const {
    return std::chrono::nanoseconds(static_cast<std::int64_t>((std::uint64_t{high_} << 32) | low_));
  }

 private:
  std::uint32_t low_ = 0;
  std::uint32_t high_ = 0;
};

struct Stripe {
  // Held: as queued, but kept out of the queue by a pause. Delayed: by a failure, for a while.
  enum class State : std::uint8_t { idle, queued, held, delayed, running };
  static constexpr std::uint16_t most_failures = 31;  // that are counted

  std::uint32_t next = no_stripe;      // in its lane
  std::uint32_t previous = no_stripe;  // of no account at the lane's head
  PackedTime time;                     // queued: since when; delayed: until when, if `has_due`
  std::uint32_t attempts = 0;          // compactions of the episode that runs or ran last
  // Episodes that have ended; wraps. One that ends before an older one, which runs, is not counted.
  std::uint32_t ended = 0;
  // Of what it is given next: those that no word has any more, since the worker has taken them.
  std::uint8_t reasons = 0;
  std::uint8_t rerun_reasons = 0;  // of the re-run that is owed
  Priority rerun_priority : 2 = Priority::normal;
  Priority raised : 2 = Priority::low;       // idle or running: at least so, when it will wait
  Priority lane : 2 = Priority::normal;      // in which it waits, or ran
  Priority priority : 2 = Priority::normal;  // running: of what it serves
  State state = State::idle;
  EpisodeEnd last_end : 4 = EpisodeEnd::done;  // of the episode that ended last, if any has
  bool has_ended : 1 = false;
  // It has failed so often that a probe tries it: that waits, or runs; or the worker has closed.
  bool quarantined : 1 = false;
  bool rerun_owed : 1 = false;
  bool under_way : 1 = false;  // taken over, or given up, before its node came out of the inbox
  bool removed : 1 = false;
  bool paused : 1 = false;
  bool asked_to_stop : 1 = false;  // running, and cancelled or removed meanwhile
  bool discarded : 1 = false;      // for the report
  bool unfinished : 1 = false;     // for the report
  bool settled : 1 = false;        // its word is closed, and the core has what stood in it
  bool has_due : 1 = false;        // delayed, with a time of its own
  // The last compaction that said anything of it lacked a resource; delayed, it waits for that.
  bool lacks_resource : 1 = false;
  std::uint16_t failures : 5 = 0;  // in a row, up to `most_failures`

  bool waits() const noexcept {
    return state == State::queued || state == State::held || state == State::delayed;
  }
};

static_assert(sizeof(Stripe) == 32, "docs/performance.md says what a stripe costs");

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_STRIPE_H_
