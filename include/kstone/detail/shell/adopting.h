// Shell: claims whose requester is late are taken over, so that a suspended requester costs its
// stripe no longer than until somebody looks.

#ifndef KSTONE_DETAIL_SHELL_ADOPTING_H_
#define KSTONE_DETAIL_SHELL_ADOPTING_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

// How many episodes of the stripe are alive. If it is claimed, it is taken over. *Requires* a core
// not closed.
//
// One look at the word decides both: a second one might see a claim that the first did not, and the
// caller would wait for it.
template <class Sync>
std::uint32_t Shell<Sync>::adopt(std::uint32_t stripe_id) {
  const auto requests = inbox_.requests(stripe_id);
  auto& core = state_.write().core;
  if (core.can_adopt(stripe_id, requests)) {
    // Mostly it is in the inbox already; and what was pushed before keeps its place.
    take_inbox_for_others();
    if (core.can_adopt(stripe_id, requests)) {
      if (!core.stripe(stripe_id).under_way) {
        inbox_.mark_under_way(stripe_id);
      }
      wake(core.adopt(stripe_id));
    }
  }
  return core.alive_episodes(stripe_id, requests);
}

// By whoever takes nothing from the queue. The thread that a push has claimed may have no token
// yet, if its requester is suspended; and a thread that finds something in the queue does not look
// into the inbox. So what is queued here wakes another.
template <class Sync>
void Shell<Sync>::take_inbox_for_others() {
  const auto taken = inbox_.take();
  if (taken.oldest) {
    enqueue(taken);
    wake(Effects{.wake = Effects::Wake::one_more});
  }
}

template <class Sync>
void Shell<Sync>::wake(Effects effects) {
  const auto tokens = apply(effects);
  if (tokens != 0) {
    inbox_.wake(tokens);
  }
}

// All of them, for the scan: so many at once that others wait for a few microseconds, and then a
// pause, since the next to have the mutex would mostly be this thread again.
template <class Sync>
void Shell<Sync>::adopt_in_slices() {
  constexpr std::chrono::milliseconds pause(1);
  std::uint32_t stripe_id = 0;
  while (!state_.read().core.closed()) {
    const auto last = stripe_id + std::min(stripes_in_a_hold, stripe_count_ - stripe_id);
    for (; stripe_id != last; ++stripe_id) {
      adopt(stripe_id);
    }
    if (last == stripe_count_) {
      return;
    }
    wait_until<Sync>(closed_, mutex_, Sync::clock::now() + pause);
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_ADOPTING_H_
