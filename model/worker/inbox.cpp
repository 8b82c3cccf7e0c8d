// P2 No lost wake-up, one layer below the worker: the inbox by itself, with takers in place of the
//    worker's threads, which take stripes and do nothing with them.
// P1 No lost request: each one that was accepted is counted once, by a taker or at closing.
//
// Covers: Q1/T1, Q1/F1, L1/T2, C2, and every relaxed operation of the inbox.
//
// What is left out of the worker (its core, jobs, waits and the end of its threads) buys sizes that
// the whole worker is too large for.

#include "kstone/detail/shell/inbox.h"

#include <cstdint>
#include <vector>

#include "broken_sync.h"
#include "claim.h"
#include "held_sync.h"
#include "relacy_sync.h"
#include "scenario.h"
#include "scene.h"

namespace kstone::model {
namespace {

enum class Ends { when_all_are_served, by_closing };

// Requesters push one request each, to the stripes in turn; takers serve them. Either the takers
// end once all are served, or one more thread closes at any moment. Under one hold of the mutex so
// many stripes come out of the inbox at most.
template <int requester_count, int taker_count, int stripe_count, Ends ends,
          class Sync = RelacySync>
struct PushAndTake {
  static constexpr auto in_a_hold = Sync::stripes_in_a_hold;
  static constexpr bool closes = ends == Ends::by_closing;
  static constexpr int threads = requester_count + taker_count + (closes ? 1 : 0);
  static constexpr int dynamic_threads = 0;
  static constexpr EqualThreads equal_threads = {
      {{0, stripe_count == 1 ? requester_count : 1}, {requester_count, taker_count}}};

  // Guarded by the mutex.
  struct State {
    std::vector<std::uint32_t> queue;
    bool running[stripe_count] = {};
    std::uint64_t counted[stripe_count] = {};  // requests, by who took or closed the word
    bool over = false;
  };

  detail::Inbox<Sync> inbox{stripe_count};
  typename Sync::mutex mutex;
  typename Sync::template cell<State> state;
  typename Sync::template cell<int> written[requester_count];  // before the request
  Submission answers[requester_count] = {};

  void before() {}
  void thread(int index) {
    in_turn();
    if (index < requester_count) {
      written[index].write() = 1;
      answers[index] = inbox.push(stripe_of(index));
    } else if (index < requester_count + taker_count) {
      take();
    } else {
      close();
    }
  }
  void after() {
    const State& now = state.read();
    std::uint64_t accepted_by[stripe_count] = {};
    for (int i = 0; i < requester_count; ++i) {
      accepted_by[stripe_of(i)] += accepted(answers[i]);
      if (!accepted(answers[i])) {
        cover("rejected");
      }
    }
    for (int i = 0; i < stripe_count; ++i) {
      check(now.counted[i] == accepted_by[i], "every accepted request is counted, and once");
    }
    check(inbox.size() == 0 && now.queue.empty(), "nothing is left over");
  }

  static std::uint32_t stripe_of(int requester) {
    return static_cast<std::uint32_t>(requester % stripe_count);
  }
  static std::uint64_t requesters_of(std::uint32_t stripe) {
    return (requester_count + stripe_count - 1 - stripe) / stripe_count;
  }

  void take() {
    mutex.lock();
    for (;;) {
      if (state.read().queue.empty()) {
        const auto control = enqueue();
        if (state.read().queue.empty()) {
          if (!inbox.is_taken_out() || !control.list_is_empty()) {
            give_way();
            continue;
          }
          if (state.read().over) {
            break;
          }
          if (inbox.add_sleeper(control)) {
            cover("slept");
            mutex.unlock();
            inbox.sleep();
            mutex.lock();
          }
          continue;
        }
      }
      serve();
    }
    mutex.unlock();
  }
  detail::ControlWord enqueue() {
    const auto taken = inbox.take(in_a_hold);
    for (std::uint32_t out = 0; out != in_a_hold; ++out) {
      const auto node = inbox.next();
      if (!node) {
        break;
      }
      state.write().queue.push_back(node->stripe_id);
    }
    if (!inbox.is_taken_out()) {
      cover("in slices");
    }
    return taken.control;
  }
  void give_way() {
    mutex.unlock();
    mutex.lock();
  }
  void serve() {
    auto& now = state.write();
    const auto stripe = now.queue.front();
    now.queue.erase(now.queue.begin());
    const bool open = !closes || !now.over;
    if (open) {
      count(stripe, inbox.begin(stripe, false).count);
      now.running[stripe] = true;
    }
    const bool wake_another = !now.queue.empty() && inbox.claim_sleeper();
    mutex.unlock();
    if (wake_another) {
      inbox.wake(1);
    }
    mutex.lock();
    finish(stripe, open);
  }
  void finish(std::uint32_t stripe, bool was_open) {
    auto& now = state.write();
    now.running[stripe] = false;
    if (closes ? now.over : !was_open) {
      return;
    }
    if (inbox.end(stripe).count != 0) {
      cover("requested while running");
      enqueue();
      state.write().queue.push_back(stripe);
    }
    std::uint64_t all = 0;
    for (const auto counted : now.counted) {
      all += counted;
    }
    if (!closes && all == requester_count) {
      now.over = true;
      mutex.unlock();
      inbox.wake(taker_count);
      mutex.lock();
    }
  }
  // Who has counted all requests of a stripe sees what all of its requesters wrote.
  void count(std::uint32_t stripe, std::uint64_t requests) {
    auto& counted = state.write().counted[stripe];
    counted += requests;
    for (int i = 0; i < requester_count && counted == requesters_of(stripe); ++i) {
      if (stripe_of(i) == stripe) {
        check(written[i].read() == 1, "a request publishes what was written before it");
      }
    }
  }
  void close() {
    mutex.lock();
    for (bool closed = false; !closed;) {
      const auto control = enqueue();
      if (!inbox.is_taken_out() || !control.list_is_empty()) {
        give_way();
      } else {
        closed = inbox.close(control);
      }
    }
    state.write().over = true;
    for (std::uint32_t i = 0; i < stripe_count; ++i) {
      if (const auto requests = inbox.close_word(i, false).count; requests != 0) {
        cover("closed with requests");
        count(i, requests);
      }
    }
    mutex.unlock();
    inbox.wake(taker_count);
  }
};

template <int requesters, int takers, int stripes, class Sync = RelacySync>
using Serves = PushAndTake<requesters, takers, stripes, Ends::when_all_are_served, Sync>;
template <int requesters, int takers, int stripes, class Sync = RelacySync>
using Closes = PushAndTake<requesters, takers, stripes, Ends::by_closing, Sync>;

const Registered suites[] = {
    proved<Serves<1, 1, 1>>({
        .name = "inbox_serves_1_1",
        .property = "P2",
        .sometimes = {"slept"},
    }),
    proved<Serves<2, 1, 1>>({
        .name = "inbox_serves_2_1",
        .property = "P2",
        .sometimes = {"slept", "requested while running"},
    }),
    proved_without_surprises<Serves<2, 2, 2>>({
        .name = "inbox_serves_2_2_two_stripes",
        .property = "P2",
        .sometimes = {"slept"},
    }),
    proved_without_surprises<Serves<3, 2, 1>>({
        .name = "inbox_serves_3_2",
        .property = "P2",
        .sometimes = {"slept"},
    }),
    proved_without_surprises<Serves<3, 2, 3>>({
        .name = "inbox_serves_3_2_three_stripes",
        .property = "P2",
        .sometimes = {"slept"},
        .large = Large::yes,
    }),
    proved_without_surprises<Closes<3, 2, 1>>({
        .name = "inbox_closes_3_2",
        .property = "P1",
        .sometimes = {"slept", "rejected", "closed with requests"},
    }),
    proved<Closes<1, 1, 1>>({
        .name = "inbox_closes_1_1",
        .property = "P1",
        .sometimes = {"slept", "rejected", "closed with requests"},
    }),
    proved<Closes<2, 1, 1>>({
        .name = "inbox_closes_2_1",
        .property = "P1",
        .sometimes = {"slept", "rejected", "closed with requests"},
    }),

    proved_without_surprises<Serves<2, 1, 2, OneStripeInAHold>>({
        .name = "inbox_serves_2_1_two_stripes_in_slices",
        .property = "P2",
        .sometimes = {"slept", "in slices"},
    }),
    proved_without_surprises<Closes<2, 1, 2, OneStripeInAHold>>({
        .name = "inbox_closes_2_1_two_stripes_in_slices",
        .property = "P1",
        .sometimes = {"slept", "rejected", "in slices"},
    }),
    proved_without_surprises<Serves<3, 2, 3, OneStripeInAHold>>({
        .name = "inbox_serves_3_2_three_stripes_in_slices",
        .property = "P2",
        .sometimes = {"slept", "in slices"},
        .large = Large::yes,
    }),

    refuted<Serves<1, 1, 1, LosesTokens>>({
        .name = "inbox_without_tokens",
        .property = "P2",
        .failure = Failure::deadlock,
        .because = "semaphore wait sleepers",
    }),
    refuted<Closes<1, 1, 1, ForgetsWhatItCloses>>({
        .name = "inbox_that_forgets_what_it_closes",
        .property = "P1",
        .failure = Failure::check_failed,
        .because = "is counted",
    }),
    refuted<Serves<2, 1, 1, PublishesNoRequest>>({
        .name = "inbox_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::data_race,
        .because = "cell",
    }),
};

}  // namespace
}  // namespace kstone::model
