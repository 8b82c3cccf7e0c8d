// Shell: claims whose requester is late are taken over, so that a suspended requester costs its
// stripe no longer than until somebody looks.

#ifndef KSTONE_DETAIL_SHELL_ADOPTING_H_
#define KSTONE_DETAIL_SHELL_ADOPTING_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <optional>

#include "kstone/detail/shell/shell.h"

namespace kstone::detail {

// How many episodes of the stripe are alive. If it is claimed, it is taken over: behind what was
// pushed before, so none, if there was no room for all of that. *Requires* a core not closed.
//
// One look at the word decides both: a second one might see a claim that the first did not, and the
// caller would wait for it.
template <class Sync>
std::optional<std::uint32_t> Shell<Sync>::adopt(std::uint32_t stripe_id, std::uint32_t& room) {
  const auto [requests, priority, reasons] = inbox_.requests(stripe_id);
  auto& core = state_.write().core;
  if (core.can_adopt(stripe_id, requests)) {
    // Mostly it is in the inbox already; and what was pushed before keeps its place.
    const bool all = take_inbox_for_others(room);
    if (core.can_adopt(stripe_id, requests)) {
      if (!all) {
        return std::nullopt;
      }
      if (!core.stripe(stripe_id).under_way) {
        inbox_.mark_under_way(stripe_id);
      }
      tick();
      wake(core.adopt(stripe_id, priority));
    }
  }
  return core.alive_episodes(stripe_id, requests);
}

// By whoever takes nothing from the queue. The thread that a push has claimed may have no token
// yet, if its requester is suspended. So what is queued here wakes another. False if there was not
// room for all.
template <class Sync>
bool Shell<Sync>::take_inbox_for_others(std::uint32_t& room) {
  const auto before = room;
  const bool all = take_inbox(room).has_value();
  if (room != before) {
    wake(Effects{.wake = Effects::Wake::one_more});
  }
  return all;
}

template <class Sync>
bool Shell<Sync>::take_inbox_for_others() {
  auto room = stripes_in_a_hold<Sync>;
  return take_inbox_for_others(room);
}

template <class Sync>
void Shell<Sync>::wake(Effects effects) {
  const auto tokens = apply(effects);
  if (tokens != 0) {
    inbox_.wake(tokens);
  }
}

// All of them, for the scan.
template <class Sync>
void Shell<Sync>::adopt_all() {
  for (std::uint32_t stripe_id = 0; !state_.read().core.closed(); mutex_.give_way()) {
    auto room = stripes_in_a_hold<Sync>;
    while (room != 0 && stripe_id != stripe_count_ && adopt(stripe_id, room)) {
      room -= room != 0 ? 1 : 0;
      ++stripe_id;
    }
    if (stripe_id == stripe_count_) {
      return;
    }
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_ADOPTING_H_
