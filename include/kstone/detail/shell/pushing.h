// Inbox: what requesters do, without the mutex.

#ifndef KSTONE_DETAIL_SHELL_PUSHING_H_
#define KSTONE_DETAIL_SHELL_PUSHING_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstdint>

#include "kstone/detail/shell/inbox.h"

namespace kstone::detail {

template <class Sync>
Submission Inbox<Sync>::push(std::uint32_t stripe_id) noexcept {
  // [Q1] acq_rel. Release: pairs with [T1] and [C2], publishes the caller's writes to the
  // compaction, also when coalesced. Acquire: pairs with [F1], [U1] and [W1], so that the link's
  // last use lies before its next. model/worker/no_lost_wake_up.cpp
  const StripeWord before{
      words_[stripe_id].fetch_add(StripeWord::one_request, std::memory_order_acq_rel)};
  if (before.full()) [[unlikely]] {
    take_back(stripe_id);
  }
  return answer(before, {stripe_id, Node::Kind::stripe}, [before] { return before.is_low(); });
}

// One that may raise the stripe.
template <class Sync>
Submission Inbox<Sync>::push(std::uint32_t stripe_id, RequestOptions options) noexcept {
  auto& word = words_[stripe_id];
  // Relaxed: a stale value makes the compare-exchange fail, which brings the newest.
  StripeWord before{word.load(std::memory_order_relaxed)};
  StripeWord after;
  do {
    after = before.with(options);
    // [Q2] acq_rel; pairs with [T1], [C2], [F1], [U1] and [W1], for the same reasons.
    // model/worker/raising.cpp
  } while (!word.compare_exchange_weak(before.bits, after.bits, std::memory_order_acq_rel,
                                       std::memory_order_relaxed));
  return answer(before, {stripe_id, Node::Kind::stripe_with_options},
                [=] { return after.priority() > before.priority(); });
}

// The answer depends on `before` alone, whatever comes later. A rejected call leaves its count in
// the word, where it means nothing but one more rejection.
template <class Sync>
template <class Raises>
inline Submission Inbox<Sync>::answer(StripeWord before, Node node, const Raises& raises) noexcept {
  if (before.rejects()) [[unlikely]] {
    return before.closed() ? Submission::rejected_shutting_down : Submission::rejected_removed;
  }
  if (before.requests() != 0) {
    if (raises() && !before.running()) [[unlikely]] {  // the end of a compaction reads the word
      raise(node.stripe_id);
    }
    return Submission::coalesced;
  }
  if (before.running()) {
    return Submission::rerun_pending;
  }
  if (!before.under_way()) {
    link(node);
  }
  return Submission::queued;
}

// The stripe waits, or is on its way to the queue: whoever takes the inbox is told to look at its
// word again. Not twice.
template <class Sync>
void Inbox<Sync>::raise(std::uint32_t stripe_id) noexcept {
  // [R1] acq_rel; pairs with [R2]. Release: the step on the word, before. Acquire: the link's last
  // use lies before its next. model/worker/raising.cpp
  if (raised_[stripe_id].exchange(1, std::memory_order_acq_rel) == 0) {
    link({stripe_id, Node::Kind::raised});
  }
}

// In a full word one call more or less is of no account, but it must not wrap. Unless somebody has
// emptied it meanwhile.
template <class Sync>
void Inbox<Sync>::take_back(std::uint32_t stripe_id) noexcept {
  auto& word = words_[stripe_id];
  StripeWord seen{word.load(std::memory_order_relaxed)};
  // Relaxed: it publishes nothing, and the word keeps requests.
  while (seen.full() &&
         !word.compare_exchange_weak(seen.bits, seen.bits - StripeWord::one_request,
                                     std::memory_order_relaxed, std::memory_order_relaxed)) {
  }
}

template <class Sync>
void Inbox<Sync>::link(Node node) noexcept {
  const auto number = node.number(stripe_count_);
  // Relaxed: a stale value makes the compare-exchange fail, which brings the newest.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  do {
    if (control.closed()) [[unlikely]] {
      return;  // shutdown has seen the claim in the stripe's word, or will, and takes it over
    }
    links_[node.link(stripe_count_)].write() = control.head();
    // [L1] release; pairs with [T2]. Publishes the link below this node.
    // model/worker/no_lost_wake_up.cpp
  } while (!control_.compare_exchange_weak(control.bits,
                                           control.with_listed(number, node.brings_stripe()).bits,
                                           std::memory_order_release, std::memory_order_relaxed));
  if (control.sleepers() != 0) {
    sleepers_.post(1);  // the sleeper that the exchange above claimed
  }
}

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_PUSHING_H_
