// What the worker makes of each kind of outcome: the table of contract section 4.
//
// Thread safety: values.

#ifndef KSTONE_DETAIL_CORE_OUTCOME_RULE_H_
#define KSTONE_DETAIL_CORE_OUTCOME_RULE_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/compaction_types.h"

namespace kstone::detail {

struct OutcomeRule {
  // How the episode ends. `goes_on`: it does not, and its stripe is queued again; it ends as done
  // if a request came meanwhile, whose episode does the rest (D3), and is discarded if the worker
  // has closed (D5). `retried`: as failed, but in a worker with back-off it goes on, after a
  // delay, unless a request came.
  enum class Episode : std::uint8_t { done, failed, retried, cancelled, goes_on };

  Episode episode;
  bool did_work;  // the statistics count it

  constexpr bool goes_on() const noexcept { return episode == Episode::goes_on; }
  constexpr bool leaves_work() const noexcept { return episode != Episode::done; }
  constexpr bool is_failure() const noexcept {
    return episode == Episode::failed || episode == Episode::retried;
  }
};

constexpr OutcomeRule rule_of(CompactionOutcome::Kind kind) noexcept {
  using Kind = CompactionOutcome::Kind;
  using Episode = OutcomeRule::Episode;
  switch (kind) {
    case Kind::done:
      return {Episode::done, true};
    case Kind::nothing_to_do:
      return {Episode::done, false};
    case Kind::more_work:
      return {Episode::goes_on, true};
    case Kind::retry:
      return {Episode::retried, false};
    case Kind::failed:
      return {Episode::failed, false};
    case Kind::stopped:
      return {Episode::cancelled, false};
  }
  return {Episode::failed, false};
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_OUTCOME_RULE_H_
