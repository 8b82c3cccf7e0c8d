// P13 A requester is never held up: with every other thread frozen wherever it is, queue_compaction
//     returns. Nor does a requester that is suspended hold others up.
// Covers: I4, I5.

#include <optional>

#include "scene.h"

namespace kstone::model {
namespace {

// Explored without reduction: the freeze is a choice at each step of the call.
template <class Size>
struct RequestWhileOthersAreFrozen : Scene<Size> {
  static constexpr int threads = Size::requesters;

  void before() {
    this->make();
    this->start();
  }
  void thread(int index) {
    std::optional<FreezeOthers> freeze;
    if (index == 0) {
      freeze.emplace();
    }
    this->request(index);
  }
  void after() {
    this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    this->check_served();
    this->worker.reset();
  }
};

// As above; among those who are frozen, somebody is inside a call that holds the mutex, closes, or
// waits.
enum class Control { shutdown, snapshot, wait_idle };

template <Control control>
struct RequestWhileControlIsFrozen : RequestWhileOthersAreFrozen<With<Requesters<1>, Workers<1>>> {
  static constexpr int threads = 2;

  void thread(int index) {
    if (index == 0) {
      RequestWhileOthersAreFrozen<With<Requesters<1>, Workers<1>>>::thread(index);
    } else if constexpr (control == Control::shutdown) {
      check_complete(worker->shutdown(ShutdownMode::drain));
    } else if constexpr (control == Control::snapshot) {
      check_laws(worker->snapshot());
    } else {
      check(worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    }
  }
};

// The neighbour: a call that does wait for others.
struct SnapshotWhileOthersAreFrozen : RequestWhileOthersAreFrozen<With<Requesters<1>, Workers<1>>> {
  void thread(int) {
    const FreezeOthers freeze;
    this->worker->snapshot();
  }
};

// A requester that is suspended between claiming a sleeper and posting its token costs one thread
// and not more: while it is, and while the compaction of its stripe does not end, another stripe is
// compacted. The suspension is a post that waits, which only the compaction of the other stripe
// ends.
template <class Size, class Sync = SuspendsFirstRequester>
struct OtherStripeWhileRequesterIsSuspended : Scene<Size, Sync> {
  static constexpr int threads = 2;
  static constexpr int equal_dynamic_threads = Size::workers;

  SuspendsFirstRequester::Hold hold;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    this->make([this](typename Scene<Size, Sync>::Context& context) {
      if (context.stripe_id() == 0) {
        hold.job.wait();
      } else {
        hold.job.post(1);
        hold.post.post(1);
      }
      this->note(context);
      return CompactionOutcome::done();
    });
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
    }
    this->request(index);
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// Who waits for the stripe of such a requester wakes another thread for it, if one sleeps.
template <int workers>
struct WaitWhileRequesterIsSuspended
    : Scene<With<Requesters<1>, Workers<workers>>, SuspendsFirstRequester> {
  static constexpr int threads = 2;
  static constexpr int equal_dynamic_threads = workers;

  SuspendsFirstRequester::Hold hold;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      this->request(0);
    } else {
      check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
      hold.post.post(1);
    }
  }
  void after() {
    check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
    this->check_served();
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

// The same with every thread asleep before the first request, which comes before the second.
template <class Sync = SuspendsFirstRequesterInOrder>
struct OtherStripeInOrder
    : OtherStripeWhileRequesterIsSuspended<
          With<Requesters<2>, Workers<SuspendsFirstRequesterInOrder::workers>, Stripes<2>>, Sync> {
  using Base = OtherStripeWhileRequesterIsSuspended<
      With<Requesters<2>, Workers<SuspendsFirstRequesterInOrder::workers>, Stripes<2>>, Sync>;

  SuspendsFirstRequesterInOrder::Order order;

  void before() {
    SuspendsFirstRequesterInOrder::order = &order;
    Base::before();
    order.put_to_sleep();
  }
  void thread(int index) {
    if (index == 1) {
      order.claimed.wait();
    }
    Base::thread(index);
  }
};

// Nobody is woken for what stays in the queue: the second token is that one.
struct LosesTheSecondToken : SuspendsFirstRequesterInOrder {
  struct semaphore : SuspendsFirstRequesterInOrder::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (order->posted == 1) {
        order->posted = 2;
      } else {
        SuspendsFirstRequesterInOrder::semaphore::post(count, file, line, function);
      }
    }
  };
};

// A shutdown does not wait for a requester that is suspended between claiming a sleeper and posting
// its token.
template <class Sync = SuspendsFirstRequester>
struct ShutdownWhileRequesterIsSuspended : Scene<With<Requesters<1>, Workers<1>>, Sync> {
  static constexpr int threads = 2;

  SuspendsFirstRequester::Hold hold;

  void before() {
    SuspendsFirstRequester::hold = &hold;
    this->make();
    this->start();
  }
  void thread(int index) {
    if (index == 0) {
      hold.first = RelacySync::thread::current_id();
      this->request(0);
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
      hold.post.post(1);
    }
  }
  void after() {
    this->check_served();
    this->check_accounts();
    this->worker.reset();
  }
};

// ... on a policy that posts to those who sleep, and so counts on the requester's token for the one
// it has claimed.
struct PostsToSleepersOnly : SuspendsFirstRequester {
  struct semaphore : SuspendsFirstRequester::semaphore {
    void post(std::uint32_t count, KSTONE_MODEL_SITE) {
      if (RelacySync::thread::current_id() == hold->first) {
        SuspendsFirstRequester::semaphore::post(count, file, line, function);
      }
    }
  };
};

const Registered suites[] = {
    proved<RequestWhileOthersAreFrozen<With<Requesters<1>, Workers<1>>>>({
        .name = "request_while_others_are_frozen_1_1",
        .property = "P13",
        .sometimes = {"frozen while it holds a mutex"},
        .mode = Mode::plain,
        .large = Large::with_surprises,
    }),
    proved<RequestWhileOthersAreFrozen<With<Requesters<2>, Workers<1>>>>({
        .name = "request_while_others_are_frozen_2_1",
        .property = "P13",
        .sometimes = {"frozen while it holds a mutex"},
        .within = 2,
        .large = Large::with_surprises,
    }),
    proved<RequestWhileControlIsFrozen<Control::shutdown>>({
        .name = "request_while_shutdown_is_frozen",
        .property = "P13",
        .sometimes = {"rejected", "frozen while it holds a mutex"},
        .within = 2,
    }),
    proved<RequestWhileControlIsFrozen<Control::snapshot>>({
        .name = "request_while_snapshot_is_frozen",
        .property = "P13",
        .sometimes = {"frozen while it holds a mutex"},
        .within = 2,
        .large = Large::with_surprises,
    }),
    proved<RequestWhileControlIsFrozen<Control::wait_idle>>({
        .name = "request_while_wait_idle_is_frozen",
        .property = "P13",
        .sometimes = {"frozen while it holds a mutex"},
        .within = 2,
        .large = Large::with_surprises,
    }),
    refuted<SnapshotWhileOthersAreFrozen>({
        .name = "snapshot_while_others_are_frozen",
        .property = "P13",
        .within = 2,
        .failure = Failure::blocked,
        .because = "t0 lock mutex",
    }),
    proved<ShutdownWhileRequesterIsSuspended<>>({
        .name = "shutdown_while_requester_is_suspended_1_1",
        .property = "P7 P13",
        .sometimes = {"rejected"},
    }),
    refuted<ShutdownWhileRequesterIsSuspended<PostsToSleepersOnly>>({
        .name = "shutdown_counts_on_a_suspended_requester",
        .property = "P7 P13",
        .failure = Failure::deadlock,
        .because = "t1 join, w0 semaphore wait sleepers",
    }),
    proved<WaitWhileRequesterIsSuspended<2>>({
        .name = "wait_idle_while_requester_is_suspended_1_2",
        .property = "P2 P9 P13",
        .large = Large::with_surprises,
    }),
    // The one thread is the suspended requester's (D11).
    refuted<WaitWhileRequesterIsSuspended<1>>({
        .name = "wait_idle_while_requester_is_suspended_1_1",
        .property = "P2 P9 P13",
        .failure = Failure::deadlock,
        .because = "t0 semaphore wait",
    }),
    proved<OtherStripeWhileRequesterIsSuspended<With<Requesters<2>, Workers<3>, Stripes<2>>>>({
        .name = "other_stripe_while_requester_is_suspended_2_3",
        .property = "P2 P13",
        .within = 0,
        .large = Large::yes,
    }),
    proved<OtherStripeInOrder<>>({
        .name = "other_stripe_while_requester_is_suspended_in_order",
        .property = "P2 P13",
        .large = Large::with_surprises,
    }),
    refuted<OtherStripeInOrder<LosesTheSecondToken>>({
        .name = "other_stripe_while_nobody_else_is_woken",
        .property = "P2 P13",
        .failure = Failure::deadlock,
        .because = "t0 semaphore wait",
    }),
    // With two threads, one lost to the suspended requester and one to the compaction that waits
    // are all there are.
    refuted<OtherStripeWhileRequesterIsSuspended<With<Requesters<2>, Workers<2>, Stripes<2>>>>({
        .name = "other_stripe_while_requester_is_suspended_2_2",
        .property = "P2 P13",
        .failure = Failure::deadlock,
        .because = "t0 semaphore wait",
    }),
};

}  // namespace
}  // namespace kstone::model
