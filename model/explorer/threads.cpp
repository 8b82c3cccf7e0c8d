#include "explorer/threads.h"

#include <cstdio>
#include <cstring>

#include "explorer/condition_variable.h"
#include "explorer/exploration.h"
#include "explorer/relacy.h"
#include "watchdog.h"

namespace kstone::model::explorer {

using runtime::Access;

Threads::Threads(const ScenarioTable& scenario, PlantedFault planted)
    : application_(scenario.threads),
      count_(1 + scenario.threads + scenario.dynamic_threads),
      relacy_(std::max(count_, 2)),
      all_are_equal_(planted == PlantedFault::different_threads_are_equal) {
  std::fill(std::begin(group_), std::end(group_), -1);
  for (int group = 0; group < EqualThreads::most_groups; ++group) {
    const EqualThreads::Group& equal = scenario.equal_threads.groups[group];
    std::fill_n(group_ + 1 + equal.first, equal.count, group);
  }
  std::fill_n(group_ + 1 + application_, scenario.equal_dynamic_threads, EqualThreads::most_groups);
  if (all_are_equal_) {
    std::fill_n(group_ + 1, application_, 0);
  }
}

void Threads::begin_execution() {
  for (Thread& thread : threads_) {
    thread = Thread{};
    thread.pending.operation = Operation::start;
    thread.next_in_turn = all_are_equal_;
  }
  threads_[0].started = true;
  for (int i = count_; i < max_threads; ++i) {
    threads_[i].finished = i >= relacy_;
  }
  std::fill(std::begin(turn_at_), std::end(turn_at_), Site{});
  next_dynamic_ = application_ + 1;
  current_ = 0;
  stepped_ = frozen_ = -1;
  steps_ = 0;
  stores_ = 0;
}

bool Threads::application_has_ended() const {
  for (int i = 1; i <= application_; ++i) {
    if (!threads_[i].finished) {
      return false;
    }
  }
  return true;
}

bool Threads::enabled(int index) const {
  const Objects& objects = exploration().objects;
  const Thread& thread = threads_[index];
  if (thread.finished || (frozen_ >= 0 && frozen_ != index)) {
    return false;
  }
  switch (thread.pending.operation) {
    case Operation::start:
      return thread.started || threads_[0].finished;
    case Operation::lock:
      return objects[thread.pending.object].owner < 0;
    case Operation::leave_wait:
      return can_leave(thread);
    case Operation::take:
      return objects[thread.pending.object].tokens > 0;
    case Operation::join:
      return threads_[thread.pending.target].finished;
    case Operation::join_application:
      return application_has_ended();
    default:
      return true;
  }
}

// By its turn: an equal thread comes first. The two differ by nothing, so where this one can step,
// the other could have been it.
bool Threads::is_held_back(int index) const {
  return threads_[index].in_turn && group_[index] >= 0 && group_[index - 1] == group_[index] &&
         !threads_[index - 1].had_turn;
}

// What equal threads do in their turns is the same call, in the same line.
void Threads::expect_equal_turns(int index) {
  if (group_[index] < 0 || all_are_equal_) {
    return;
  }
  const Site& here = threads_[index].pending_at;
  Site& there = turn_at_[group_[index]];
  if (there.line == 0) {
    there = here;
  } else if (there.line != here.line || std::strcmp(there.file, here.file) != 0) {
    fail_at(here, Failure::model_error,
            "%s is said to be equal to others, and its turn is at %s:%d; theirs was at %s:%d",
            name(index).text, base_name(here.file), here.line, base_name(there.file), there.line);
  }
}

// Nobody can step but those who wait for others. Who has to come first must be among them: else the
// order of turns has ended an execution that goes on with these threads exchanged.
void Threads::expect_turns_to_come(ThreadSet ready) const {
  for (int i = 1; i < count_; ++i) {
    if ((ready & only(i)) != 0 && is_held_back(i) && (ready & only(i - 1)) == 0) {
      fail(Failure::model_error,
           "%s waits for the turn of %s, which cannot step: in_turn() may only stand where no "
           "thread waits for an equal one",
           name(i).text, name(i - 1).text);
    }
  }
}

void Threads::fail_stuck() const {
  char text[768];
  int length = 0;
  for (int i = 0; i < count_; ++i) {
    if (!is_alive(i)) {
      continue;
    }
    char object[64] = "";
    const Step& step = threads_[i].pending;
    const bool has_object = step.operation == Operation::lock ||
                            step.operation == Operation::leave_wait ||
                            step.operation == Operation::take;
    length += std::snprintf(
        text + length, sizeof text - static_cast<std::size_t>(length), "%s%s %s%s%s",
        length > 0 ? ", " : "", name(i).text,
        step.operation == Operation::leave_wait ? "sleeps on" : operation_name(step.operation),
        has_object ? " " : "", has_object ? object_text(step.object, object) : "");
    length = std::min<int>(length, static_cast<int>(sizeof text) - 1);
  }
  fail(frozen_ >= 0 ? Failure::blocked : Failure::deadlock, "nobody can step: %s", text);
}

void Threads::settle() {
  if (stepped_ >= 0) {
    Thread& thread = threads_[stepped_];
    exploration().search.step_done(stepped_, thread.touched);
    if (thread.makes_turn) {
      thread.makes_turn = false;
      thread.had_turn = true;
      exploration().search.end_turn(group_[stepped_], stepped_);
    }
    stepped_ = -1;
  }
}

int Threads::schedule() {
  Exploration& e = exploration();
  if (current_ >= 0 && !threads_[current_].finished && !threads_[current_].announced) {
    fail(Failure::model_error, "a scheduling point of Relacy without an announcement");
  }
  watchdog::progress();
  settle();
  if (++steps_ > e.limits.max_steps) {
    fail(Failure::livelock, "more than %u steps", e.limits.max_steps);
  }
  ThreadSet ready = 0;
  ThreadSet left = 0;
  const bool in_turns = e.search.takes_turns();
  int silent = -1;
  ThreadView views[max_threads];
  for (int i = 0; i < relacy_; ++i) {
    const Step& step = threads_[i].pending;
    views[i].accesses = step.accesses;
    if (!enabled(i)) {
      continue;
    }
    views[i].waiting = step.operation == Operation::leave_wait;
    ready |= only(i);
    left |= threads_[i].retries || (in_turns && is_held_back(i)) ? only(i) : 0;
    if (step.accesses.count == 0 && (silent < 0 || i == current_)) {
      silent = i;
    }
  }
  if (ready == 0) {
    fail_stuck();
  }
  // The others go as far as they can without those.
  if (ready == left) {
    if (in_turns) {
      expect_turns_to_come(ready);
    }
    e.search.discard();
    for (Thread& thread : threads_) {
      thread.retries = false;
    }
    left = 0;
  }
  // A step that touches nothing is independent of every other: no order of it matters.
  int chosen = silent;
  if (silent < 0) {
    chosen = e.search.choose_thread(ready, left, views);
    if (chosen < 0) {
      fail(Failure::model_error, departs);
    }
    stepped_ = chosen;
  }
  Thread& thread = threads_[chosen];
  thread.touched = thread.pending.accesses;
  if (thread.in_turn) {
    thread.in_turn = false;
    thread.makes_turn = true;
    expect_equal_turns(chosen);
    e.search.begin_turn(group_[chosen], chosen);
  }
  thread.announced = false;
  current_ = chosen;
  return chosen;
}

// A point of its own: the others may be anywhere, also where they keep the step that comes next
// from running.
void Threads::may_freeze_others(Site site) {
  Exploration& e = exploration();
  Thread& thread = current_thread();
  thread.may_freeze = false;
  announce(make_step(Operation::ghost_read, e.objects.thread_table(), Access::read), site);
  thread.may_freeze = true;
  if (e.search.choose_data(2) == 0) {
    return;
  }
  frozen_ = current_;
  for (ObjectId id = 0; id < e.objects.count(); ++id) {
    const Object& object = e.objects[id];
    if (object.kind == ObjectKind::mutex && object.owner >= 0 && object.owner != current_) {
      e.observations.cover("frozen while it holds a mutex");
    }
  }
}

// A weak compare-exchange has failed, and now the thread looks at the same object again.
void Threads::notice_retry(Thread& thread, const Step& step) {
  const bool looks =
      step.operation == Operation::load || step.operation == Operation::compare_exchange_weak;
  const auto object = static_cast<int>(step.object);
  thread.retries = exploration().search.leaves_retries() && thread.failed_at >= 0 && looks &&
                   thread.failed_at == object;
  thread.failed_at = -1;
  if (!looks || thread.looked_at != object) {
    thread.looked_at = -1;
  }
}

void Threads::announce(const Step& step, Site site) {
  Exploration& e = exploration();
  Thread& thread = current_thread();
  if (thread.may_freeze && frozen_ < 0) {
    may_freeze_others(site);
  }
  notice_retry(thread, step);
  thread.pending = step;
  thread.pending_at = site;
  thread.pending_calls = e.trace.record_calls();
  for (int i = 0; i < thread.extra.count; ++i) {
    const Accesses::Entry& entry = thread.extra.entries[i];
    thread.pending.accesses.add(entry.object, entry.access, entry.kind, entry.modifies);
  }
  thread.extra.count = 0;
  if (e.limits.planted == PlantedFault::forget_announcement && step.operation == Operation::store &&
      ++stores_ % 3 == 0) {
    thread.pending.accesses.count = 0;
  }
  thread.announced = true;
  if (thread.next_in_turn && thread.pending.accesses.count > 0) {
    thread.in_turn = true;
    thread.next_in_turn = false;
  }
  switch_thread();
}

Step make_step(Operation operation, ObjectId object, Access access, bool modifies) {
  Step step;
  step.operation = operation;
  step.object = object;
  step.accesses.add(object, access, exploration().objects[object].kind, modifies);
  return step;
}

void Threads::performs(ObjectId object, Access access) {
  Thread& thread = current_thread();
  if (!thread.pending.accesses.covers(object, access)) {
    char name[64];
    fail(Failure::model_error, "a step touches %s without having announced it",
         object_text(object, name));
  }
  for (int i = 0; i < thread.touched.count; ++i) {
    Accesses::Entry& entry = thread.touched.entries[i];
    if (entry.object == object && entry.access == Access::write) {
      entry.access = access;
    }
  }
}

void Threads::spares(ObjectId object) {
  Accesses& touched = current_thread().touched;
  for (int i = 0; i < touched.count; ++i) {
    if (touched.entries[i].object == object) {
      touched.entries[i] = touched.entries[--touched.count];
      return;
    }
  }
}

}  // namespace kstone::model::explorer
