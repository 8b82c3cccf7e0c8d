// P27 A raise reaches the stripe that waits, and a compaction is told the highest priority of the
//     requests that it serves, and the reasons of all. (The inbox by itself: raising_inbox.cpp.)
// P1, P2, P4, P7, P19, P20, P21 of requests with options: none is lost, each publishes, and what is
// given up lifts nothing later.
// Covers: Q2/T1, Q2/F1, Q2/C2, R1/R2, I7.

#include <algorithm>
#include <cstdint>

#include "broken_raises.h"
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

// Requester r asks for priority `asks[r]`, and gives its reason; a job checks what it is told of
// those that it serves. One may ask without options, and so for normal priority without a reason.
template <class Size, class Sync = RelacySync>
struct Raising : Scene<Size, Sync> {
  using Base = Scene<Size, Sync>;
  using Context = typename Base::Context;
  static constexpr int threads = Size::requesters;
  static constexpr int equal_dynamic_threads = Size::workers;

  // Written before there are threads.
  Priority asks[Size::requesters] = {};
  int plain = -1;
  // By compactions of the requester's stripe: how many were given its reason.
  RelacySync::cell<int> given[Size::requesters];

  void ask_for(std::initializer_list<Priority> priorities) {
    std::copy(priorities.begin(), priorities.end(), asks);
  }
  Submission ask(int requester) {
    return this->request(requester, requester == plain
                                        ? RequestOptions()
                                        : RequestOptions{asks[requester], bit_of(requester)});
  }

  // What an earlier compaction left to do.
  struct Rest {
    Priority priority = low;
    std::uint8_t reasons = 0;
  };
  int note_served(Context& context, Rest rest = {}) {
    const int number = this->note(context);
    auto highest = rest.priority;
    for (int i = 0; i < Size::requesters; ++i) {
      if (has(context.reasons(), i)) {
        check(this->was_served(i), "a compaction sees what those wrote whose reasons it is given");
        given[i].write() += has(rest.reasons, i) ? 0 : 1;
        highest = std::max(highest, asks[i]);
      }
    }
    const bool may_be_plain = plain >= 0 && this->was_served(plain);
    check(may_be_plain || context.reasons() != 0, "a compaction serves a request");
    check((context.reasons() & rest.reasons) == rest.reasons, "the rest keeps its reasons");
    check(context.priority() == highest ||
              (may_be_plain && context.priority() == std::max(highest, normal)),
          "a compaction is told the highest priority of the requests that it serves");
    return number;
  }
  void make_it(typename Base::Worker::Options options = {}) {
    this->make(
        [this](Context& context) {
          note_served(context);
          return CompactionOutcome::done();
        },
        std::move(options));
  }

  // `withdrawn`: some were given up.
  void check_given(bool withdrawn = false) {
    for (int i = 0; i < Size::requesters; ++i) {
      if (i != plain && this->was_accepted(i)) {
        check(given[i].read() == 1 || (withdrawn && given[i].read() == 0),
              "one compaction is given the reason of an accepted request");
      }
    }
  }
  void end_when_idle() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    check_given();
    finish();
  }
  void finish() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_accounts();
    this->worker.reset();
  }
};

// A stripe that is idle, waits or runs is raised, while the worker's threads take it.
enum class First { has_options, is_plain };

template <First first, class Sync, int worker_count, Priority... priorities>
struct RaiseAgainstTakeOn : Raising<Size<sizeof...(priorities), worker_count>, Sync> {
  void before() {
    this->ask_for({priorities...});
    this->plain = first == First::is_plain ? 0 : -1;
    this->make_it();
    this->start();
  }
  void thread(int index) { this->ask(index); }
  void after() { this->end_when_idle(); }
};
template <First first, int workers, Priority... priorities>
using RaiseAgainstTake = RaiseAgainstTakeOn<first, RelacySync, workers, priorities...>;

// Of two stripes that wait the second is raised by two, before there is a thread and while somebody
// moves what is in the inbox into the queue. It goes first.
template <class Sync = RelacySync>
struct RaisedStripeGoesFirst : Raising<With<Requesters<6>, Workers<1>, Stripes<2>>, Sync> {
  static constexpr int threads = 3;

  RelacySync::cell<int> first{-1};

  void before() {
    this->ask_for({normal, low, normal, normal, normal, high});
    this->make([this](typename RaisedStripeGoesFirst::Context& context) {
      this->note_served(context);
      first.write() = first.read() < 0 ? static_cast<int>(context.stripe_id()) : first.read();
      return CompactionOutcome::done();
    });
    this->ask(0);
    this->ask(1);
  }
  void thread(int index) {
    if (index == 2) {
      check(this->worker->snapshot().queue_size == 2, "both wait");  // takes what is in the inbox
    } else {
      check(this->ask(index == 0 ? 3 : 5) == Submission::coalesced, "the stripe waits");
    }
  }
  void after() {
    this->start();
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(first.read() == 1, "a stripe that was raised goes before those of lower lanes");
    this->end_when_idle();
  }
};

// A stripe that was asked for is raised and given up at the same time. What is asked for after that
// is of lower priority, and nothing lifts it.
enum class Withdraws { cancels, removes };

template <Withdraws how, Priority again>
struct RaiseAgainstWithdrawal : Raising<With<Requesters<4>, Workers<1>>> {
  static constexpr int threads = 2;

  void before() {
    ask_for({normal, high, normal, again});
    make_it();
    start();
    ask(0);
  }
  void thread(int index) {
    if (index == 0) {
      ask(1);
    } else if (how == Withdraws::cancels) {
      cover_if(worker->cancel(0).waited, "withdrawn");
      ask(3);
    } else {
      check(worker->remove(0) == RemoveResult::removed, "without a limit it is removed");
      check(ask(2) == Submission::rejected_removed, "a removed stripe rejects");
      check(worker->restore(0) == RestoreResult::restored, "nothing runs");
      ask(3);
    }
  }
  void after() {
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(was_served(3), "what is asked for after the withdrawal is served");
    check_given(true);
    check(given[3].read() == 1, "one compaction is given the reason of an accepted request");
    finish();
  }
};

// The first compaction leaves work. The next one keeps its priority and reasons, and has those of
// what was requested meanwhile.
template <Priority... priorities>
struct RaiseAgainstMoreWork : Raising<Size<sizeof...(priorities), 1>> {
  using Base = Raising<Size<sizeof...(priorities), 1>>;
  static constexpr int threads = sizeof...(priorities) - 1;

  RelacySync::cell<typename Base::Rest> rest;

  void before() {
    this->ask_for({priorities...});
    this->make([this](typename Base::Context& context) {
      const int number = this->note_served(context, rest.read());
      rest.write() = {};
      if (number != 1) {
        return CompactionOutcome::done();
      }
      rest.write() = {context.priority(), context.reasons()};
      return CompactionOutcome::more_work();
    });
    this->start();
    this->ask(0);
  }
  void thread(int index) { this->ask(index + 1); }
  void after() { this->end_when_idle(); }
};

// What was accepted before it closes is served, with its priority and its reason.
template <class Sync = RelacySync>
struct RaiseAgainstDrain : Raising<With<Requesters<2>, Workers<1>>, Sync> {
  static constexpr int threads = 2;

  void before() {
    this->ask_for({low, high});
    this->make_it();
    this->start();
    this->ask(0);
  }
  void thread(int index) {
    if (index == 0) {
      this->ask(1);
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    this->check_served();
    this->check_given();
    this->finish();
  }
};

// The stripe that goes next is raised by what stands in its word when that closes: behind another,
// which waits in the high lane for longer. It was to go first since the first of its own lane had
// been passed over, and was cancelled.
template <class Sync = OneStripeInAHold>
struct DrainRaisesWhatGoesNext : Raising<With<Requesters<8>, Workers<1>, Stripes<4>>, Sync> {
  using Base = Raising<With<Requesters<8>, Workers<1>, Stripes<4>>, Sync>;
  static constexpr int threads = 2;

  RelacySync::semaphore began;
  RelacySync::semaphore goes_on;

  void before() {
    this->ask_for({normal, high, high, normal, low, low, low, high});
    typename Base::Worker::Options options;
    options.lanes.patience = 1;
    this->make(
        [this](typename Base::Context& context) {
          this->note_served(context);
          if (context.stripe_id() == 1) {
            began.post(1);
            goes_on.wait();
          }
          return CompactionOutcome::done();
        },
        std::move(options));
    this->ask(0);
    this->ask(1);
    this->start();
    began.wait();
    this->ask(2);
    this->ask(3);
    for (int look = 0; look < 3; ++look) {  // each with room for one, and the links of two
      check(this->worker->snapshot().queue_size == 3, "three wait");
    }
    check(this->worker->cancel(0).waited, "what waits is withdrawn");
    goes_on.post(1);
  }
  void thread(int index) {
    if (index == 0) {
      this->ask(7);
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    this->check_given(true);
    this->finish();
  }
};

// A stripe whose requester is suspended between its two steps is raised, and taken over by a wait.
struct RaiseOfSuspendedClaim : Raising<With<Requesters<2>, Workers<1>>, SuspendsBetweenSteps> {
  SuspendsBetweenSteps::Hold hold;

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    ask_for({normal, high});
    plain = 0;
    make_it();
    start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      ask(0);
      return;
    }
    hold.suspended.wait();
    check(ask(1) == Submission::coalesced, "the stripe is claimed");
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(given[1].read() == 1, "idle comes after a compaction that is given its reason");
    hold.push.post(1);
  }
  void after() { end_when_idle(); }
};

// The one that raises first is suspended before it pushes, and another raises the stripe higher,
// and waits.
struct SuspendedRaise : Raising<With<Requesters<3>, Workers<1>>, SuspendsBetweenSteps> {
  static constexpr int threads = 2;

  SuspendsBetweenSteps::Hold hold;

  void before() {
    SuspendsBetweenSteps::hold = &hold;
    ask_for({low, normal, high});
    make_it();
    start();
    ask(0);
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      ask(1);
      return;
    }
    ask(2);
    check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    check(given[2].read() == 1, "idle comes after a compaction that is given its reason");
    cover_if(hold.first == -1, "suspended");
    hold.push.post(1);
  }
  void after() { end_when_idle(); }
};

// One of two threads is reserved for the high lane and sleeps; the other one's job ends only once
// the stripe that waits has been compacted. A raise to the high lane wakes the one that sleeps.
template <class Sync = RelacySync>
struct RaiseWakesReservedThread : Raising<With<Requesters<4>, Workers<2>, Stripes<2>>, Sync> {
  using Base = Raising<With<Requesters<4>, Workers<2>, Stripes<2>>, Sync>;
  static constexpr int threads = 1;

  RelacySync::semaphore began;
  RelacySync::semaphore other;
  RelacySync::semaphore served;

  void before() {
    this->ask_for({normal, low, normal, high});
    typename Base::Worker::Options options;
    options.lanes.reserved_for_high = 1;
    this->make(
        [this](typename Base::Context& context) {
          this->note_served(context);
          if (context.stripe_id() == 0) {
            began.post(1);
            other.wait();
          } else if (this->compactions[1].read() == 1) {
            other.post(1);
            served.post(1);
          }
          return CompactionOutcome::done();
        },
        std::move(options));
    this->start();
    this->ask(0);
    began.wait();
    this->ask(1);
  }
  void thread(int) { this->ask(3); }
  void after() {
    served.wait();  // although nobody looks
    this->end_when_idle();
  }
};

const char* const properties = "P1 P2 P4 P5 P27";

const Registered suites[] = {
    proved<RaiseAgainstTake<First::is_plain, 1, normal, high>>({
        .name = "raise_against_take_2_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved_without_surprises<RaiseAgainstTake<First::has_options, 1, low, normal, high>>({
        .name = "raise_against_take_3_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved_without_surprises<RaiseAgainstTake<First::is_plain, 2, normal, high>>({
        .name = "raise_against_take_2_2",
        .property = "P1 P2 P3 P4 P5 P27",
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved<RaisedStripeGoesFirst<>>({
        .name = "raised_stripe_goes_first_3_1",
        .property = "P27",
        .sometimes = {},
    }),
    proved<RaiseAgainstWithdrawal<Withdraws::cancels, normal>>({
        .name = "raise_against_cancel_2_1",
        .property = "P20 P27",
        .sometimes = {"withdrawn", "coalesced"},
        .large = Large::with_surprises,
    }),
    proved_without_surprises<RaiseAgainstWithdrawal<Withdraws::cancels, low>>({
        .name = "raise_against_cancel_then_low_2_1",
        .property = "P20 P27",
        .sometimes = {"withdrawn", "coalesced"},
    }),
    proved_without_surprises<RaiseAgainstWithdrawal<Withdraws::removes, low>>({
        .name = "raise_against_remove_2_1",
        .property = "P21 P27",
        .sometimes = {"coalesced"},
    }),
    proved<RaiseAgainstMoreWork<normal, high>>({
        .name = "raise_against_more_work_1_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
    }),
    proved_without_surprises<RaiseAgainstMoreWork<low, normal, high>>({
        .name = "raise_against_more_work_2_1",
        .property = properties,
        .sometimes = {"coalesced", "requested while running"},
        .large = Large::yes,
    }),
    proved<RaiseAgainstDrain<>>({
        .name = "raised_stripe_against_drain_1_1",
        .property = "P7 P27",
        .sometimes = {"coalesced", "requested while running", "rejected"},
    }),
    proved_without_surprises<RaiseAgainstDrain<OneStripeInAHold>>({
        .name = "raised_stripe_against_drain_in_slices_1_1",
        .property = "P7 P27",
        .sometimes = {"coalesced", "requested while running", "rejected"},
    }),
    proved_without_surprises<DrainRaisesWhatGoesNext<>>({
        .name = "drain_raises_what_goes_next_1_1",
        .property = "P5 P7 P27",
        .sometimes = {"coalesced", "rejected"},
    }),
    proved<RaiseOfSuspendedClaim>({
        .name = "raise_of_a_suspended_claim_2_1",
        .property = "P19 P27",
    }),
    proved_without_surprises<SuspendedRaise>({
        .name = "suspended_raise_2_1",
        .property = "P19 P27",
        .sometimes = {"suspended", "coalesced"},
    }),
    proved<RaiseWakesReservedThread<>>({
        .name = "raise_wakes_a_reserved_thread_1_2",
        .property = "P2 P27",
        .large = Large::with_surprises,
    }),

    refuted<RaisedStripeGoesFirst<RaisesWithoutRelease>>({
        .name = "raised_stripe_without_release",
        .property = "P27",
        .failure = Failure::check_failed,
        .because = "goes before those of lower lanes",
    }),
    refuted<RaiseAgainstTakeOn<First::is_plain, MergesWithoutRelease, 1, normal, high>>({
        .name = "raise_that_publishes_nothing",
        .property = "P4",
        .failure = Failure::check_failed,
        .because = "a compaction sees what those wrote",
    }),
    refuted<RaiseWakesReservedThread<RaisesWakeNobody>>({
        .name = "raise_that_wakes_nobody",
        .property = "P2 P27",
        .failure = Failure::deadlock,
        .because = "main semaphore wait",
    }),
};

}  // namespace
}  // namespace kstone::model
