// P27 A raise reaches the stripe that waits, one layer below the worker: the inbox by itself, with
//     takers in place of the worker's threads. Who takes it after the call has returned knows of
//     the priority.
// P1, P2, P4 No request with options is lost, and each publishes.
// Covers: Q1/T1, Q2/T1, Q2/F1, R1/R2, I7.

#include "kstone/detail/shell/inbox.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "broken_raises.h"
#include "claim.h"
#include "relacy_sync.h"
#include "scenario.h"
#include "scene.h"

namespace kstone::model {
namespace {

constexpr auto low = Priority::low;
constexpr auto normal = Priority::normal;
constexpr auto high = Priority::high;

// A set of requesters, and the reason of one: its bit.
constexpr std::uint8_t bit_of(int requester) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(requester));
}
constexpr bool has(std::uint8_t set, int requester) { return (set & bit_of(requester)) != 0; }

// So many takers, and a requester for each priority, in this order. One at most is normal, and asks
// without options; the others give a reason.
template <int taker_count, Priority... priorities>
struct Asking {
  static constexpr int takers = taker_count;
  static constexpr int requesters = sizeof...(priorities);
  static constexpr Priority asks[] = {priorities...};
};

// Requesters push one request each, to the one stripe. Takers are busy at first: they take the
// stripe that waits after a second look into the inbox.
template <class Asking, class Sync = RelacySync>
struct RaiseAndTake {
  static constexpr int requesters = Asking::requesters;
  static constexpr int threads = requesters + Asking::takers;
  static constexpr int dynamic_threads = 0;
  static constexpr EqualThreads equal_threads = {{{requesters, Asking::takers}}};

  // Guarded by the mutex. Sets of requesters are bits.
  struct State {
    bool waits = false;
    bool running = false;
    Priority lane = low;    // in which it waits
    Priority raised = low;  // ... or will
    std::uint8_t returned = 0;
    std::uint8_t known = 0;  // had returned before the inbox was last found empty
    std::uint8_t served = 0;
    bool over = false;
  };

  detail::Inbox<Sync> inbox{1};
  typename Sync::mutex mutex;
  typename Sync::template cell<State> state;
  typename Sync::template cell<int> written[requesters];  // before the request

  void before() {}
  void thread(int index) {
    in_turn();
    if (index < requesters) {
      request(index);
    } else {
      take();
    }
  }
  void after() {
    check(state.read().served == (1 << requesters) - 1, "every request is served");
    check(inbox.size() == 0 && !state.read().waits, "nothing is left over");
  }

  void request(int index) {
    written[index].write() = 1;
    const auto asks = Asking::asks[index];
    const auto answer =
        asks == normal ? inbox.push(0) : inbox.push(0, RequestOptions{asks, bit_of(index)});
    if (answer == Submission::rerun_pending) {
      cover("requested while running");
    }
    mutex.lock();
    state.write().returned |= bit_of(index);
    mutex.unlock();
  }

  void take() {
    mutex.lock();
    for (bool looked = false; !state.read().over;) {
      const auto control = enqueue();
      if (state.read().waits && !looked) {
        looked = true;
        mutex.unlock();
        mutex.lock();
      } else if (state.read().waits) {
        looked = false;
        serve();
      } else if (inbox.add_sleeper(control)) {
        cover("slept");
        mutex.unlock();
        inbox.sleep();
        mutex.lock();
      }
    }
    mutex.unlock();
  }
  detail::ControlWord enqueue() {
    for (;;) {
      const auto taken = inbox.take(Sync::stripes_in_a_hold);
      while (const auto node = inbox.next()) {
        arrive(*node);
      }
      if (taken.control.list_is_empty()) {
        state.write().known = state.read().returned;
        return taken.control;
      }
    }
  }
  void arrive(detail::Node node) {
    auto& now = state.write();
    if (node.brings_stripe()) {
      check(!now.waits && !now.running, "a stripe comes once");
      const bool plain = node.kind == detail::Node::Kind::stripe;
      wait_in(plain ? normal : inbox.requests(0).priority);
    } else if (const auto requests = inbox.clear_raised(0); requests.count != 0) {
      if (now.waits && requests.priority > now.lane) {
        cover("raised while it waits");
      }
      auto& lane = now.waits ? now.lane : now.raised;
      lane = std::max(lane, requests.priority);
    }
  }
  void wait_in(Priority lane) {
    auto& now = state.write();
    now.waits = true;
    now.lane = std::max(lane, now.raised);
    now.raised = low;
  }
  void serve() {
    state.write().waits = false;
    state.write().running = true;
    check_served(inbox.begin(0, false));
    mutex.unlock();
    mutex.lock();
    const auto again = inbox.end(0);
    if (again.count != 0) {
      enqueue();
      wait_in(again.priority);
    }
    auto& now = state.write();
    now.running = false;
    now.raised = low;
    if (now.served == (1 << requesters) - 1) {
      now.over = true;
      mutex.unlock();
      inbox.wake(Asking::takers);
      mutex.lock();
    }
  }
  // Whom the compaction serves that now begins, its reasons and the count of its requests say.
  void check_served(const detail::Requests& serves) {
    auto& now = state.write();
    auto plain = serves.count - static_cast<std::uint64_t>(std::popcount(serves.reasons));
    auto highest = low;
    for (int i = 0; i < requesters; ++i) {
      const auto asks = Asking::asks[i];
      if (asks == normal ? plain == 0 : !has(serves.reasons, i)) {
        continue;
      }
      plain -= asks == normal ? 1 : 0;
      check(!has(now.served, i), "every request is served once");
      now.served |= bit_of(i);
      highest = std::max(highest, asks);
      check(written[i].read() == 1, "a request publishes what was written before it");
    }
    check(plain == 0, "every request that is served was made");
    check(serves.priority == highest, "the priority is the highest of the requests");
    check(now.lane <= highest, "nothing else has raised the stripe");
    // One that has found the mark set is known once the call has returned that set it.
    check((now.served & ~now.known) != 0 || now.lane == highest,
          "a raise that has returned is known");
  }
};

const Registered suites[] = {
    proved<RaiseAndTake<Asking<1, normal, high>>>({
        .name = "inbox_raises_2_1",
        .property = "P1 P2 P4 P27",
        .sometimes = {"raised while it waits", "requested while running", "slept"},
    }),
    proved_without_surprises<RaiseAndTake<Asking<1, low, normal, high>>>({
        .name = "inbox_raises_3_1",
        .property = "P1 P2 P4 P27",
        .sometimes = {"raised while it waits", "requested while running", "slept"},
        .large = Large::yes,
    }),
    proved_without_surprises<RaiseAndTake<Asking<2, normal, high>>>({
        .name = "inbox_raises_2_2",
        .property = "P1 P2 P4 P27",
        .sometimes = {"raised while it waits", "requested while running", "slept"},
        .large = Large::yes,
    }),

    refuted<RaiseAndTake<Asking<1, low, normal, high>, RaisesWithoutRelease>>({
        .name = "inbox_raises_without_release",
        .property = "P27",
        .failure = Failure::check_failed,
        .because = "a raise that has returned is known",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, RaisesWithoutAcquire>>({
        .name = "inbox_raises_without_acquire",
        .property = "P27",
        .failure = Failure::data_race,
        .because = "raise link",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, ClearsWithoutAcquire>>({
        .name = "inbox_clears_a_mark_without_acquire",
        .property = "P27",
        .failure = Failure::check_failed,
        .because = "a raise that has returned is known",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, ClearsWithoutRelease>>({
        .name = "inbox_clears_a_mark_without_release",
        .property = "P27",
        .failure = Failure::data_race,
        .because = "raise link",
    }),
    refuted<RaiseAndTake<Asking<1, normal, high>, MergesWithoutRelease>>({
        .name = "inbox_merges_without_release",
        .property = "P4",
        .failure = Failure::data_race,
        .because = "cell",
    }),
    refuted<RaiseAndTake<Asking<1, high, low>, MergesWithoutAcquire>>({
        .name = "inbox_merges_without_acquire",
        .property = "P2",
        .failure = Failure::data_race,
        .because = "link",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, RaisesInTwoSteps>>({
        .name = "inbox_raises_in_two_steps",
        .property = "P27",
        .failure = Failure::data_race,
        .because = "raise link",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, RaisesEachTime>>({
        .name = "inbox_raises_each_time",
        .property = "P27",
        .failure = Failure::data_race,
        .because = "raise link",
    }),
    refuted<RaiseAndTake<Asking<1, low, normal, high>, KeepsTheMark>>({
        .name = "inbox_keeps_a_mark",
        .property = "P27",
        .failure = Failure::check_failed,
        .because = "a raise that has returned is known",
    }),
};

}  // namespace
}  // namespace kstone::model
