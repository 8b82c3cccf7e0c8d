// What a scenario is made of, besides the worker under test.
//
//   struct RequestWhileFallingAsleep {
//     static constexpr int threads = 2;  // application threads: thread(0), thread(1)
//     static constexpr int dynamic_threads = 1;  // so many Sync::thread::start calls succeed
//     void before();  // runs first, alone but for the threads it starts
//     void thread(int index);
//     void after();  // once every application thread has ended; may block and join
//   };
//
// A fresh object is made for each execution. before() and after() run on a modelled thread of their
// own ("main"): a worker whose threads still run may be shut down and destroyed in after(). Members
// of the scenario that several threads touch are RelacySync types, or `Ghost` state.
//
// Equal threads. A scenario in which threads differ in their index only may say so:
//
//   static constexpr EqualThreads equal_threads = {{{0, 2}, {3, 2}}};  // 0 and 1, and 3 and 4
//   static constexpr int equal_dynamic_threads = 2;  // the first two that Sync::thread starts
//
// Then one execution stands for all that come of it by exchanging them: those in which they make
// one of their steps, the one after in_turn(), in the order of their index. (Of dynamic threads it
// is the first step.) Equal is what nothing tells apart: the same code, on the same objects or each
// on one of its own, and checks that say the same of each. Nobody checks that, but that their turns
// are in one line of the source. in_turn() stands before anything for which one of them could wait
// until another has gone on: a mutex, a token.

#ifndef KSTONE_MODEL_SCENARIO_H_
#define KSTONE_MODEL_SCENARIO_H_

#include <cstdint>
#include <utility>

#include "relacy_sync.h"

namespace kstone::model {

// `count` branches, 0 to count - 1, all of them explored.
inline std::uint32_t choose(std::uint32_t count) { return runtime::choose(count); }

// The next step of this thread comes after that of every equal thread before it. Elsewhere nothing
// happens, and the second time either.
inline void in_turn() { runtime::in_turn(); }

// Notes that an event which a property is about has happened. `event` is a literal.
inline void cover(const char* event) { runtime::cover(event); }

// A failure with the history, as Sync::check.
inline void check(bool holds, const char* sentence, KSTONE_MODEL_SITE) {
  RelacySync::check(holds, sentence, file, line, function);
}

// Moves the modelled clock, as a step that every RelacySync::clock::now() conflicts with.
inline void advance_clock(std::chrono::nanoseconds by, KSTONE_MODEL_SITE) {
  runtime::clock_advance(by.count(), KSTONE_MODEL_HERE);
}

using runtime::Access;

// State that several threads touch for checking only: what a check about *real-time* order across
// threads looks at ("nothing runs after shutdown returned"). A reduction keeps one order of
// independent steps, so each access is announced: as a step of its own (step_*), or with the next
// step of the thread (with_next_step, then now_*). `add` is for updates that commute with each
// other: counting the calls that have ended.
template <class T>
class Ghost {
 public:
  template <class... Arguments>
  explicit Ghost(Arguments&&... arguments)
      : object_(runtime::create(ObjectKind::ghost, this)),
        value_(std::forward<Arguments>(arguments)...) {}
  ~Ghost() { runtime::destroy(object_, this); }
  Ghost(const Ghost&) = delete;
  Ghost& operator=(const Ghost&) = delete;

  const T& step_read(KSTONE_MODEL_SITE) const {
    runtime::ghost_step(object_, this, Access::read, KSTONE_MODEL_HERE);
    return value_;
  }
  T& step_add(KSTONE_MODEL_SITE) {
    runtime::ghost_step(object_, this, Access::add, KSTONE_MODEL_HERE);
    return value_;
  }
  T& step_write(KSTONE_MODEL_SITE) {
    runtime::ghost_step(object_, this, Access::write, KSTONE_MODEL_HERE);
    return value_;
  }

  void with_next_step(Access access) const { runtime::ghost_with_next_step(object_, this, access); }
  T& now(Access access, KSTONE_MODEL_SITE) {
    runtime::ghost_expect(object_, this, access, KSTONE_MODEL_HERE);
    return value_;
  }

  runtime::ObjectId model_object() const { return object_; }

 private:
  runtime::ObjectId object_;
  T value_;
};

// A point in the life of a thread, so that one can ask afterwards what happened before what. It is
// no step: like the races of cells, that is the same in every order of an equivalence class. (What
// came *earlier* is not: that takes a Ghost.)
class Moment {
 public:
  static Moment here() {
    Moment result;
    result.thread_ = runtime::happens_before(result.clock_, threads);
    return result;
  }
  bool happened_before(const Moment& later) const {
    return clock_[thread_] <= later.clock_[thread_];
  }

 private:
  static constexpr int threads = 8;
  int thread_;
  std::uint64_t clock_[threads];
};

// While it lives, this thread may at any of its steps be left alone for good: every other thread
// stays suspended where it is, and a step that would then block is a failure ("blocked"). The
// choice branches at each step, so a call inside is shown never to wait for anybody. Explored
// without a reduction only (Mode::plain, Mode::bounded): a reduction does not visit every state.
// Declares the event "frozen while it holds a mutex", of another thread.
class FreezeOthers {
 public:
  FreezeOthers() { runtime::freeze_begin(); }
  ~FreezeOthers() { runtime::freeze_end(); }
  FreezeOthers(const FreezeOthers&) = delete;
  FreezeOthers& operator=(const FreezeOthers&) = delete;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SCENARIO_H_
