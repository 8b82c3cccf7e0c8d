// Shell: what requesters call. It touches nothing that the mutex guards.

#ifndef KSTONE_DETAIL_SHELL_REQUESTING_H_
#define KSTONE_DETAIL_SHELL_REQUESTING_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>
#include <optional>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

template <class Sync>
Submission Shell<Sync>::queue_compaction(std::uint32_t stripe_id) noexcept {
  const auto refused = refusal_of(stripe_id);
  return refused ? *refused : inbox_.push(stripe_id);
}

template <class Sync>
Submission Shell<Sync>::queue_compaction(std::uint32_t stripe_id, RequestOptions options) noexcept {
  if (options == RequestOptions()) {
    return queue_compaction(stripe_id);
  }
  const auto refused = refusal_of(stripe_id);
  return refused ? *refused : inbox_.push(stripe_id, options);
}

// Of what no word is asked about.
template <class Sync>
inline std::optional<Submission> Shell<Sync>::refusal_of(std::uint32_t stripe_id) noexcept {
  check_process("queue_compaction: called in a child of fork(), where the worker has no threads");
  if (stripe_id >= stripe_count_) [[unlikely]] {
    // Relaxed: a count that only the snapshot shows.
    rejected_unknown_stripe_.fetch_add(1, std::memory_order_relaxed);
    return Submission::rejected_unknown_stripe;
  }
  if (!config_.enabled) [[unlikely]] {
    rejected_disabled_.fetch_add(1, std::memory_order_relaxed);  // relaxed: as above
    return Submission::rejected_disabled;
  }
  return std::nullopt;
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_REQUESTING_H_
