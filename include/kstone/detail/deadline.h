// When a limit has passed.
//
// Thread safety: values.

#ifndef KSTONE_DETAIL_DEADLINE_H_
#define KSTONE_DETAIL_DEADLINE_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <optional>

#include "kstone/compaction_types.h"
#include "kstone/detail/thread_annotations.h"

namespace kstone::detail {

using Deadline = std::optional<std::chrono::nanoseconds>;  // of the clock of `Sync`; none: never

template <class Sync>
Deadline deadline_after(Limit limit) {
  const auto most = limit.nanoseconds();
  if (!most) {
    return std::nullopt;
  }
  const auto now = Sync::clock::now();
  // Beyond what the clock can say is none.
  return *most >= std::chrono::nanoseconds::max() - now ? Deadline() : now + *most;
}

// One of a limit of zero has at once.
template <class Sync>
bool has_passed(const Deadline& deadline) {
  return deadline && *deadline <= Sync::clock::now();
}

// False once the deadline has passed. May wake spuriously.
template <class Sync>
bool wait_until(typename Sync::condition_variable& change, typename Sync::mutex& held,
                const Deadline& deadline) KSTONE_REQUIRES(held) {
  if (deadline) {
    return change.wait_until(held, *deadline);
  }
  change.wait(held);
  return true;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_DEADLINE_H_
