// The inbox: where requesters leave their stripes without a lock, and where worker threads sleep.
//
// It owns the stripe words, the control word and the semaphore, and with them every atomic
// operation of the worker that orders anything.
//
// Thread safety: `push` may be called from any thread at any time, `sleep` from threads that do not
// hold the worker's mutex, `wake` from any, mostly without it (D30, D36). All else is called under
// that mutex.
//
// Invariants (of `Shell`, as far as they are kept here):
//   I2  A stripe whose word is wanted (`StripeWord`) is in the inbox, in the core's queue,
//       held, running, or claimed: between the two steps of the `push` that answered `queued`. If
//       it was taken over or given up while claimed or in the inbox, its node is under way, which
//       word and core say.
//   I4  Once the core is closed, so is the inbox, and the word of every stripe that is settled.
//   I5  Each sleeper that is claimed is posted one token, and each sleeper consumes one; there are
//       never more than threads.
//   I6  A stripe has one link. Only the `push` that found its word without requests, not running
//       and not under way writes it, and only the thread that took the inbox touches it until the
//       stripe is idle and not under way again.
//   I7  It has one more, for the node that says that it was raised. Only the `push` that set its
//       mark writes it, and only the thread that took the inbox touches it until it has cleared the
//       mark.

#ifndef KSTONE_DETAIL_SHELL_INBOX_H_
#define KSTONE_DETAIL_SHELL_INBOX_H_

#include "kstone/cxx20.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "kstone/compaction_types.h"
#include "kstone/detail/words/control_word.h"
#include "kstone/detail/words/stripe_word.h"

namespace kstone::detail {

// In bytes; std::hardware_destructive_interference_size varies with -mtune.
inline constexpr std::size_t cache_line = 64;

template <class Sync>
class Inbox {
 public:
  // All stripes open, or all removed.
  explicit Inbox(std::uint32_t stripe_count, bool removed = false);

  // -- Requesters ---------------------------------------------------------------------------------

  // The answer to a request for the stripe, which becomes the inbox's if the answer is `queued`.
  Submission push(std::uint32_t stripe_id) noexcept;
  Submission push(std::uint32_t stripe_id, RequestOptions options) noexcept;

  // -- The holder of the mutex --------------------------------------------------------------------

  // Takes the list, unless stripes of an earlier one have not come out by `next`. A list comes
  // newest first: so many of its links are turned round at most. `turned` says how many were.
  struct Taken {
    ControlWord control;  // as it was last seen
    std::uint32_t turned;
  };
  Taken take(std::uint32_t most);

  // The oldest node that was taken, which comes out; none while there are links to be turned.
  std::optional<Node> next();

  // A node that says that the stripe was raised has come out. The requests of its word after that.
  Requests clear_raised(std::uint32_t stripe_id);

  // All that was taken has come out. (The list may have something again.)
  bool is_taken_out() const;

  // A stripe whose node has not come out of the inbox is taken over: until it has, `push` leaves
  // the stripe to us. *Requires* a word that has requests.
  void mark_under_way(std::uint32_t stripe_id);

  // The node of such a stripe has come out. The requests of the word: those that came after the
  // stripe was taken over and compacted, or not yet, too.
  Requests clear_under_way(std::uint32_t stripe_id);

  // What of the stripe has not begun is given up: takes the requests out of its word, which
  // `becomes` something without, and says how many there were. *Requires* a word that says the same
  // as `becomes` of running and of nodes under way.
  std::uint64_t withdraw(std::uint32_t stripe_id, StripeWord becomes);

  // The compaction of a stripe begins: the requests that it serves. From here on a request is for
  // the next compaction, so it is this step that "starts after the request" speaks of.
  Requests begin(std::uint32_t stripe_id, bool under_way);

  // The compaction has ended, and the stripe's word stops saying *running*. The requests that came
  // meanwhile; they stay in the word.
  Requests end(std::uint32_t stripe_id);

  // As `end`, and the worker requests the rest of the work itself, in the same step, with the lower
  // priority of two: the word must not look idle in between.
  Requests end_with_more_work(std::uint32_t stripe_id, bool low);

  // Counts the calling thread as a sleeper, unless a stripe was pushed since `seen`: then false. So
  // there is no moment between looking and sleeping in which one could be missed. *Requires* that
  // all that was taken has come out, that the list was seen empty, and that the thread calls
  // `sleep` next.
  bool add_sleeper(ControlWord seen);

  // True if a sleeper was claimed; the caller owes it a token.
  bool claim_sleeper();

  // Closes the inbox, unless a stripe was pushed since `seen`: then false. *Requires* that all that
  // was taken has come out, and that the list was seen empty. Then the words have to be closed,
  // each by `close_word`: who claims a stripe before its word closes finds the inbox closed and
  // leaves it to us. In the other order a stripe could be taken over from its word and then come
  // out of the inbox as well.
  bool close(ControlWord seen);

  // The requests that stood in the word. Once closed, the word of a removed stripe stays removed.
  Requests close_word(std::uint32_t stripe_id, bool removed);

  // Stripes in the inbox. A push that overlaps may be missed.
  std::uint32_t size() const;

  // Requests in the stripe's word, or, once it is closed or removed, those rejected since.
  Requests requests(std::uint32_t stripe_id) const;

  // -- Threads without the mutex ------------------------------------------------------------------

  // Waits for a token.
  void sleep() { sleepers_.wait(); }

  // Posts tokens.
  void wake(std::uint32_t count) { sleepers_.post(count); }

 private:
  template <class T>
  using Atomic = typename Sync::template atomic<T>;
  template <class T>
  using Cell = typename Sync::template cell<T>;

  void link(Node node) noexcept;
  void raise(std::uint32_t stripe_id) noexcept;
  Node node_of(std::uint32_t link) const { return Node::of(link - 1, stripe_count_); }
  template <class Raises>
  Submission answer(StripeWord before, Node node, const Raises& raises) noexcept;
  void take_back(std::uint32_t stripe_id) noexcept;

  // What was taken and has not come out. Links are nodes plus one, 0 is the end.
  struct Arrivals {
    std::uint32_t newest = 0;  // of those whose links are not turned round
    std::uint32_t oldest = 0;  // of those whose links are
    std::uint32_t count = 0;   // of stripes
    bool empty() const { return newest == 0 && oldest == 0; }
  };

  const std::uint32_t stripe_count_;
  const std::unique_ptr<Atomic<std::uint64_t>[]> words_;  // StripeWord
  // 1: a node is on its way that says that the stripe was raised, or will be.
  const std::unique_ptr<Atomic<std::uint8_t>[]> raised_;
  // The node that was pushed before each one, plus one. Written by the call that links, read by the
  // thread that took the inbox.
  const std::unique_ptr<Cell<std::uint32_t>[]> links_;

  // Touched by requesters, so on a cache line that holds nothing else of the worker.
  alignas(cache_line) Atomic<std::uint64_t> control_{0};  // ControlWord
  typename Sync::semaphore sleepers_;

  // Guarded by the mutex, and on no line that requesters touch.
  alignas(cache_line) Cell<Arrivals> arrivals_;
};

template <class Sync>
Inbox<Sync>::Inbox(std::uint32_t stripe_count, bool removed)
    : stripe_count_(stripe_count),
      words_(new Atomic<std::uint64_t>[stripe_count] {}),
      raised_(new Atomic<std::uint8_t>[stripe_count] {}),
      links_(new Cell<std::uint32_t>[2 * std::size_t{stripe_count}]) {
  Sync::name(control_, "control");
  Sync::name(sleepers_, "sleepers");
  Sync::name(arrivals_, "arrivals");
  for (std::uint32_t i = 0; i < stripe_count; ++i) {
    Sync::name(words_[i], "word");
    Sync::name(raised_[i], "raised");
    Sync::name(links_[i], "link");
    Sync::name(links_[stripe_count + i], "raise link");
    if (removed) {
      words_[i].store(StripeWord::removed_bit, std::memory_order_relaxed);  // nobody else yet
    }
  }
}

template <class Sync>
auto Inbox<Sync>::take(std::uint32_t most) -> Taken {
  auto& arrivals = arrivals_.write();
  // Relaxed: sleepers are added under the mutex only, and a stale list makes the exchange below, or
  // the one that goes to sleep, fail.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  while (arrivals.empty() && !control.list_is_empty()) {
    const auto taken = control.with_list_taken();
    // [T2] acquire; pairs with [L1]. The links. model/worker/no_lost_wake_up.cpp
    if (control_.compare_exchange_weak(control.bits, taken.bits, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      arrivals = Arrivals{control.head(), 0, control.listed()};
      control = taken;
    }
  }
  std::uint32_t turned = 0;
  for (; arrivals.newest != 0 && turned != most; ++turned) {
    auto& link = links_[node_of(arrivals.newest).link(stripe_count_)].write();
    arrivals.oldest = std::exchange(arrivals.newest, std::exchange(link, arrivals.oldest));
  }
  return Taken{control, turned};
}

template <class Sync>
std::optional<Node> Inbox<Sync>::next() {
  auto& arrivals = arrivals_.write();
  if (arrivals.newest != 0 || arrivals.oldest == 0) {
    return std::nullopt;
  }
  const auto node = node_of(arrivals.oldest);
  arrivals.oldest = links_[node.link(stripe_count_)].read();
  arrivals.count -= node.brings_stripe() ? 1 : 0;
  return node;
}

template <class Sync>
Requests Inbox<Sync>::clear_raised(std::uint32_t stripe_id) {
  // [R2] acq_rel; pairs with [R1]. Acquire: the step on the word of whoever set the mark. Release:
  // the link's last use, for whoever sets it next. model/worker/raising.cpp
  raised_[stripe_id].exchange(0, std::memory_order_acq_rel);
  return StripeWord{words_[stripe_id].load(std::memory_order_relaxed)}.all_wanted();
}

template <class Sync>
bool Inbox<Sync>::is_taken_out() const {
  return arrivals_.read().empty();
}

template <class Sync>
void Inbox<Sync>::mark_under_way(std::uint32_t stripe_id) {
  // Relaxed: it publishes nothing, and what requesters published stays in the word.
  words_[stripe_id].fetch_add(StripeWord::under_way_bit, std::memory_order_relaxed);
}

template <class Sync>
Requests Inbox<Sync>::clear_under_way(std::uint32_t stripe_id) {
  // [U1] release; pairs with [Q1] and [Q2]. The link's last use, for the next call that links.
  // model/worker/adoption.cpp
  const StripeWord before{
      words_[stripe_id].fetch_sub(StripeWord::under_way_bit, std::memory_order_release)};
  Sync::check(before.under_way(), "enqueue: the word says what the core does of nodes under way");
  return before.all_wanted();
}

template <class Sync>
std::uint64_t Inbox<Sync>::withdraw(std::uint32_t stripe_id, StripeWord becomes) {
  // [W1] release; pairs with [Q1] and [Q2]. The link's last use, for the next call that links.
  // model/worker/withdrawing.cpp
  const StripeWord before{words_[stripe_id].exchange(becomes.bits, std::memory_order_release)};
  Sync::check(before.running() == becomes.running() && before.under_way() == becomes.under_way() &&
                  !before.closed(),
              "withdraw: the word says what the core does of the stripe");
  return before.requests();
}

template <class Sync>
Requests Inbox<Sync>::begin(std::uint32_t stripe_id, bool under_way) {
  const auto now = StripeWord::running_bit | (under_way ? StripeWord::under_way_bit : 0);
  // [T1] acquire; pairs with [Q1] and [Q2]. What every requester of the episode wrote.
  // model/worker/inbox.cpp, no_lost_wake_up.cpp
  const StripeWord before{words_[stripe_id].exchange(now, std::memory_order_acquire)};
  Sync::check(before.requests() != 0 && !before.running() && before.under_way() == under_way,
              "compact: a queued stripe has requests and does not run");
  return before.all();
}

template <class Sync>
Requests Inbox<Sync>::end(std::uint32_t stripe_id) {
  // [F1] release; pairs with [Q1] and [Q2]. The link's last use, for the next call that links.
  // model/worker/inbox.cpp, no_lost_wake_up.cpp
  const StripeWord before{
      words_[stripe_id].fetch_sub(StripeWord::running_bit, std::memory_order_release)};
  return before.all_wanted();
}

template <class Sync>
Requests Inbox<Sync>::end_with_more_work(std::uint32_t stripe_id, bool low) {
  // Relaxed: it publishes nothing. The word keeps a request, so nobody links the stripe before a
  // later [F1].
  auto& word = words_[stripe_id];
  const auto own = StripeWord::one_request + (low ? StripeWord::one_low : 0);
  const StripeWord before{word.fetch_add(own - StripeWord::running_bit, std::memory_order_relaxed)};
  if (before.requests() != 0) {
    // Others asked as well: theirs is enough. Relaxed: a count, and the word keeps at least one
    // request.
    word.fetch_sub(own, std::memory_order_relaxed);
  }
  return before.all_wanted();
}

template <class Sync>
bool Inbox<Sync>::add_sleeper(ControlWord seen) {
  Sync::check(is_taken_out() && seen.list_is_empty(), "add_sleeper: nothing is in the inbox");
  // Relaxed: who claims the sleeper hands over a token and nothing else.
  return control_.compare_exchange_weak(seen.bits, seen.with_sleeper_added().bits,
                                        std::memory_order_relaxed, std::memory_order_relaxed);
}

template <class Sync>
bool Inbox<Sync>::claim_sleeper() {
  // Relaxed: as for going to sleep.
  ControlWord control{control_.load(std::memory_order_relaxed)};
  while (control.sleepers() != 0 &&
         !control_.compare_exchange_weak(control.bits, control.with_sleeper_claimed().bits,
                                         std::memory_order_relaxed, std::memory_order_relaxed)) {
  }
  return control.sleepers() != 0;
}

template <class Sync>
bool Inbox<Sync>::close(ControlWord seen) {
  Sync::check(is_taken_out() && seen.list_is_empty(), "close: nothing is in the inbox");
  // Relaxed: the list is empty, so there is nothing to be seen through it.
  return control_.compare_exchange_weak(seen.bits, ControlWord::closed_and_empty().bits,
                                        std::memory_order_relaxed, std::memory_order_relaxed);
}

template <class Sync>
Requests Inbox<Sync>::close_word(std::uint32_t stripe_id, bool removed) {
  const auto closed = StripeWord::closed_bit | (removed ? StripeWord::removed_bit : 0);
  // [C2] acquire; pairs with [Q1] and [Q2]. What the requesters of a claimed stripe wrote; the
  // thread that takes it gets it through the mutex. model/worker/shutdown.cpp
  const StripeWord before{words_[stripe_id].exchange(closed, std::memory_order_acquire)};
  return before.all();
}

template <class Sync>
std::uint32_t Inbox<Sync>::size() const {
  // Relaxed: a count.
  return arrivals_.read().count + ControlWord{control_.load(std::memory_order_relaxed)}.listed();
}

template <class Sync>
Requests Inbox<Sync>::requests(std::uint32_t stripe_id) const {
  // Relaxed: the compaction that left the word idle did so under the mutex held here, which carries
  // what it wrote.
  return StripeWord{words_[stripe_id].load(std::memory_order_relaxed)}.all();
}

}  // namespace kstone::detail

#include "kstone/detail/shell/pushing.h"

#endif  // KSTONE_DETAIL_SHELL_INBOX_H_
