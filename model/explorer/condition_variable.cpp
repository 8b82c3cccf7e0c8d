// A condition variable. A wait is up to three steps: it gives the mutex up and goes to sleep; where
// nobody has notified it, it leaves on its own, by a limited surprise; it locks the mutex again.

#include "explorer/condition_variable.h"

#include <algorithm>
#include <bit>

#include "explorer/exploration.h"
#include "explorer/mutex.h"

namespace kstone::model {
namespace explorer {

bool can_leave(const Thread& sleeper) {
  const Surprises& surprises = exploration().surprises;
  return surprises.spurious_wake_ups > 0 || (sleeper.timed && surprises.timeouts > 0);
}

namespace {

using runtime::Access;

void go_to_sleep(Object& condition, ObjectId id, ObjectId mutex, bool timed, Site site) {
  Exploration& e = exploration();
  e.threads.performs(id, Access::add);
  e.threads.settle();
  e.trace.log(Operation::wait, id, site);
  condition.waiters |= only(e.threads.current());
  Thread& thread = e.threads.current_thread();
  thread.in_wait = true;
  thread.notified = false;
  thread.timed = timed;
  thread.left_by_timeout = false;
  thread.wait_mutex = mutex;
  give_up(e.objects[mutex], mutex);
}

// Sleeps until its next step has been chosen: leaving on its own, or locking the mutex once
// notified.
void sleep(ObjectId id, Site site) {
  Exploration& e = exploration();
  const Thread& thread = e.threads.current_thread();
  Step leave = make_step(Operation::leave_wait, id, Access::write);
  leave.accesses.add(e.objects.wake_up_limit(), Access::write, ObjectKind::limit);
  if (thread.timed && e.limits.timeouts > 0) {
    leave.accesses.add(e.objects.clock(), Access::write, ObjectKind::clock);
  }
  if (!can_leave(thread) && e.limits.spurious + (thread.timed ? e.limits.timeouts : 0) > 0) {
    // The others have used up the limit.
    e.search.cannot_step(e.threads.current(), leave.accesses);
  }
  e.threads.announce(leave, site);
}

// Whoever could have left in its place may be the one who uses the limit up.
void offer_to_other_sleepers() {
  Exploration& e = exploration();
  for (int i = 0; i < e.threads.count(); ++i) {
    if (i != e.threads.current() && e.threads[i].in_wait && can_leave(e.threads[i]) &&
        e.limits.planted != PlantedFault::ignore_budget_dependency) {
      e.search.offer(i);
    }
  }
}

// Not notified: by a spurious wake-up or a timeout, whichever there may be.
void leave_on_its_own(Object& condition, ObjectId id, std::int64_t deadline, Site site) {
  Exploration& e = exploration();
  Thread& thread = e.threads.current_thread();
  e.threads.performs(id, Access::write);
  offer_to_other_sleepers();
  const bool may_spurious = e.surprises.spurious_wake_ups > 0;
  const bool may_time_out = thread.timed && e.surprises.timeouts > 0;
  thread.left_by_timeout = may_time_out && (!may_spurious || e.search.choose_data(2) == 1);
  if (thread.left_by_timeout) {
    --e.surprises.timeouts;
    e.now = std::max(e.now, deadline);
    e.surprises.saw_timeout = true;
  } else {
    --e.surprises.spurious_wake_ups;
    e.surprises.saw_spurious_wake_up = true;
  }
  condition.waiters &= ~only(e.threads.current());
  thread.in_wait = false;
  Event& event = e.trace.log(Operation::leave_wait, id, site);
  event.spurious = !thread.left_by_timeout;
}

// A notification takes from the sleepers the possibility to wake on their own: what conflicts with
// that, conflicts with it.
bool takes_away() {
  const Limits& limits = exploration().limits;
  return limits.spurious + limits.timeouts > 0 &&
         limits.planted != PlantedFault::forget_disabled_step;
}

// What the notification announced and did not take away, since nobody it wakes had it.
void spare_what_nobody_had(ThreadSet woken) {
  Exploration& e = exploration();
  bool timed = false;
  for (int i = 0; i < e.threads.count(); ++i) {
    timed = timed || ((woken & only(i)) != 0 && e.threads[i].timed);
  }
  if (woken == 0) {  // also if the limit is used up by now: it was not before
    e.threads.spares(e.objects.wake_up_limit());
  }
  if (!timed) {
    e.threads.spares(e.objects.clock());
  }
}

ThreadSet one_of(ThreadSet sleepers) {
  const auto count = static_cast<std::uint32_t>(std::popcount(sleepers));
  for (std::uint32_t skip = exploration().search.choose_data(count); skip > 0; --skip) {
    sleepers &= sleepers - 1;
  }
  return sleepers & ~(sleepers - 1);
}

void wake(int index) {
  Exploration& e = exploration();
  Thread& sleeper = e.threads[index];
  sleeper.in_wait = false;
  sleeper.notified = true;
  sleeper.pending = make_step(Operation::lock, sleeper.wait_mutex, Access::write);
  e.search.changes_next_step(e.threads.current(), index);
}

}  // namespace
}  // namespace explorer

namespace runtime {

using namespace explorer;

bool condition_wait(ObjectId id, const void* address, ObjectId mutex, const void* mutex_address,
                    bool timed, std::int64_t deadline, Site site) {
  Exploration& e = inside();
  use(id, address, Operation::wait, site);
  expect_held(use(mutex, mutex_address, Operation::wait, site), mutex, "waits with", site);
  e.threads.announce(make_step(Operation::wait, id, Access::add), site);
  go_to_sleep(use(id, address, Operation::wait, site), id, mutex, timed, site);
  const Thread& thread = e.threads.current_thread();
  explorer::sleep(id, site);
  if (!thread.notified) {
    leave_on_its_own(use(id, address, Operation::leave_wait, site), id, deadline, site);
    e.threads.announce(make_step(Operation::lock, mutex, Access::write), site);
  }
  Object& again = use(mutex, mutex_address, Operation::lock, site);
  use(id, address, Operation::wait, site);
  take(again, mutex, site).after_wait = true;
  return !thread.left_by_timeout;
}

void condition_notify(ObjectId id, const void* address, bool all, Site site) {
  Exploration& e = inside();
  const Operation operation = all ? Operation::notify_all : Operation::notify_one;
  check_alive(id, address, operation, site);
  Step step = make_step(operation, id, Access::write);
  if (takes_away()) {
    step.accesses.add(e.objects.wake_up_limit(), Access::write, ObjectKind::limit);
    step.accesses.add(e.objects.clock(), Access::write, ObjectKind::clock);
  }
  e.threads.announce(step, site);
  Object& condition = use(id, address, operation, site);
  ThreadSet woken = condition.waiters;
  e.threads.performs(id, woken == 0 ? Access::read : Access::write);
  if (!all && woken != 0) {
    woken = one_of(woken);
  }
  if (takes_away()) {
    spare_what_nobody_had(woken);
  }
  e.threads.settle();
  e.trace.log(operation, id, site).value = woken;
  condition.waiters &= ~woken;
  for (int i = 0; i < e.threads.count(); ++i) {
    if ((woken & only(i)) != 0) {
      wake(i);
    }
  }
}

}  // namespace runtime
}  // namespace kstone::model
