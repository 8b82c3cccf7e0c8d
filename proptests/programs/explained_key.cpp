#include "explained_key.h"

#include <cstddef>
#include <string>
#include <vector>

namespace kstone::programs {
namespace {

// Of the stripe: its nodes in the inbox, and what was asked for it by priority.
void put_places(std::string& text, const State& s, std::size_t i) {
  const auto put = [&text](std::size_t value) { text.push_back(static_cast<char>(value)); };
  const auto& stripe = s.stripes[i];
  const auto from = s.worker.inbox_from;
  put(stripe.pushed ? 1 + stripe.pushed_at - from : 0);
  put(stripe.pushed ? static_cast<std::size_t>(s.pushed[i].thread) : 0);
  put(stripe.raise_pushed ? 1 + stripe.raise_at - from : 0);
  put(stripe.raise_pushed ? static_cast<std::size_t>(s.raised[i].thread) : 0);
  put(stripe.word.low + 16U * stripe.word.high + 32U * stripe.raise_claimed +
      64U * ((stripe.claimed || stripe.pushed) && stripe.looks));
  put(stripe.lane + 4 * stripe.priority + 16 * stripe.raised + 64 * stripe.requested_priority);
  put(stripe.raising);
}

}  // namespace

// What the future depends on. (Where each thread is gives most of it; the order of what they did,
// the rest.)
std::string key_of(const State& s) {
  std::string text;
  char episodes[thread_limit][call_limit] = {};
  const auto put = [&text](std::size_t value) { text.push_back(static_cast<char>(value)); };
  for (const auto& at : s.at) {
    put(static_cast<std::size_t>(at.call * 8 + at.step));
    put(static_cast<std::size_t>(at.compaction * 8 + at.phase));
    for (const auto& goal : at.goals) {
      put(goal ? *goal + 1 : 0);
    }
    put(at.ended);
    put(at.ending ? *at.ending + 1 : 0);
    put(at.scanning + 2U * at.cancelled_itself);
  }
  for (const auto& of_thread : s.guards) {
    for (const int guards : of_thread) {
      put(static_cast<std::size_t>(guards));
    }
  }
  const auto put_claims = [&](const std::vector<Claim>& claims) {
    put(claims.size());
    for (const auto& claim : claims) {
      put(static_cast<std::size_t>(claim.thread * 16 + claim.call));
    }
  };
  const auto& worker = s.worker;
  for (std::size_t i = 0; i < s.stripes.size(); ++i) {
    const auto& stripe = s.stripes[i];
    put_claims(s.claims[i]);
    put_claims(s.owed[i]);
    put(stripe.word.running + 2U * stripe.word.closed + 4U * stripe.discarded +
        8U * stripe.unfinished + 16U * stripe.rerun_owed + 32U * stripe.running +
        64U * stripe.word.under_way);
    put(stripe.held + 2U * stripe.paused + 4U * stripe.asked_to_stop + 8U * stripe.word.removed +
        16U * stripe.quarantined);
    put(stripe.early);
    put(stripe.told_opened());
    put(stripe.attempts);
    put(stripe.ended());
    put(stripe.started);
    put(s.finished[i].size());
    for (const auto& each : s.finished[i]) {
      put(each.ended);
      put(static_cast<std::size_t>((each.thread + 1) * 16 + each.compaction + 1));
      put(static_cast<std::size_t>(each.end));
    }
  }
  put(worker.limit);
  put(worker.queued);
  for (const auto stripe : s.queue()) {
    put(stripe);
  }
  for (const auto passed : s.passed) {
    put(passed);
  }
  put(worker.nodes());
  for (std::size_t i = 0; i < s.stripes.size(); ++i) {
    put_places(text, s, i);
  }
  // The order does not matter, but what each answered is in the history.
  for (const auto& each : s.made) {
    episodes[each.claim.thread][each.claim.call] = static_cast<char>(each.episode + 1);
  }
  text.append(episodes[0], sizeof episodes);
  put(worker.paused + 2U * worker.started + 4U * worker.closed + 8U * worker.mode);
  put(static_cast<std::size_t>(s.holder + 1));
  put(worker.running_max);
  put(worker.first_error);
  return text;
}

}  // namespace kstone::programs
