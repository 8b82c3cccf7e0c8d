// What a request may say beside its stripe.
//
// Thread safety: values.

#ifndef KSTONE_REQUEST_OPTIONS_H_
#define KSTONE_REQUEST_OPTIONS_H_

#include "kstone/cxx20.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kstone/export.h"

namespace kstone {

// The lane of the queue in which a stripe waits. A higher lane goes first; that a lower one is not
// passed over for ever, `LaneOptions::patience` says.
enum class Priority : std::uint8_t { low, normal, high };
inline constexpr std::size_t priority_count = 3;

KSTONE_EXPORT std::string_view to_string(Priority priority) noexcept;

struct RequestOptions {
  // Requests that are served by one compaction have the highest of their priorities: one that is
  // higher raises the stripe that waits, which keeps its age.
  Priority priority = Priority::normal;
  // Eight bits that mean what the engine likes, such as why it asks. The compaction is given those
  // of all requests that it serves (`reasons()` of its context).
  std::uint8_t reasons = 0;

  friend bool operator==(const RequestOptions&, const RequestOptions&) = default;
};

// How the lanes share the threads.
struct LaneOptions {
  // How many stripes that entered the queue later may go before the first one of another lane that
  // is open: then that lane is next, and of several the one whose first is the oldest. So a stripe
  // is dispatched, at the latest, as number `(older + 1) * (patience + 1)` of the dispatches at
  // which its lane is open, where `older` is how many stripes were in the queue before it; what is
  // requested later does not change that. A lane keeps its count until it is served, also if its
  // first leaves it in another way. 0: no lane goes before another, all is first in, first out.
  std::uint32_t patience = 16;
  // So many of the threads that there are take stripes of the high lane only, at least one takes
  // any. Below `CompactionConfig::max_concurrent_compactions`; 0: none. While the worker shuts
  // down, all take any.
  std::uint32_t reserved_for_high = 0;
  // So many stripes of the low lane run at the same time at the most; 0: as many as threads.
  std::uint32_t max_low = 0;

  friend bool operator==(const LaneOptions&, const LaneOptions&) = default;
};

}  // namespace kstone

#endif  // KSTONE_REQUEST_OPTIONS_H_
