#include "soundness/generator.h"

#include <algorithm>
#include <random>

namespace kstone::model::soundness {

namespace {

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  Program program() {
    Program result;
    result.threads = chance(45) ? 3 : 2;
    result.native = chance(15);
    if (!result.native) {
      result.limits.spurious = chance(40) ? 1 : 0;
      result.limits.timeouts = chance(45) ? 1 : 0;
      result.limits.weak_cas_failures = chance(40) ? 1 : 0;
      result.limits.retries_forget = retries_forget_ = chance(50);
    }
    left_ = result.threads == 2 ? 8 + below(5) : 7 + below(4);
    const int theme = result.native ? 0 : below(5);
    if (theme == 1 || theme == 2) {
      waiting(result);
    } else if (theme == 3) {
      handover(result);
    }
    while (left_ > 0) {
      snippet(result, below(result.threads));
    }
    if (!result.native && chance(20)) {
      start_last(result);
    } else if (!result.native && chance(35)) {
      make_equal(result);
    }
    return result;
  }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<std::uint64_t>(limit)); }
  bool chance(int percent) { return below(100) < percent; }

  void emit(Program& program, int thread, Instruction instruction, int cost = 1) {
    std::vector<Instruction>& code = program.code[thread];
    code.push_back(instruction);
    left_ -= cost;
  }

  Instruction atomic(bool native) {
    using enum std::memory_order;
    Instruction result{Kind::load, below(2), 1 + below(2), 0, seq_cst, relaxed};
    static constexpr std::memory_order loads[] = {relaxed, acquire, seq_cst};
    static constexpr std::memory_order stores[] = {relaxed, release, seq_cst};
    static constexpr std::memory_order both[] = {relaxed, acquire, release, acq_rel, seq_cst};
    switch (below(native ? 5 : 6)) {
      case 0:
        result.order = loads[below(3)];
        break;
      case 1:
        result.kind = Kind::store;
        result.order = stores[below(3)];
        break;
      case 2:
        result.kind = Kind::add;
        result.order = both[below(5)];
        break;
      case 3:
        result.kind = chance(50) ? Kind::exchange : Kind::load;
        result.order = result.kind == Kind::load ? loads[below(3)] : both[below(5)];
        break;
      default:
        result.kind = native || chance(50) ? Kind::cas_strong
                      : retries_forget_    ? Kind::update
                                           : Kind::cas_weak;
        result.order = both[below(5)];
        result.expected = below(3);
        result.failure =
            result.order == acquire || result.order == acq_rel || result.order == seq_cst
                ? (chance(50) ? acquire : relaxed)
                : relaxed;
    }
    return result;
  }

  // The last thread is started by the first, somewhere, and joined at its end.
  void start_last(Program& program) {
    program.last_is_dynamic = true;
    program.limits.thread_start_failures = chance(30) ? 1 : 0;
    // Not inside a critical section: who joins there and waits for its lock would end every
    // program.
    std::vector<Instruction>& code = program.code[0];
    std::size_t at =
        code.empty() ? 0 : static_cast<std::size_t>(below(static_cast<int>(code.size())));
    int held = 0;
    for (std::size_t i = 0; i < at; ++i) {
      held += code[i].kind == Kind::lock ? 1 : code[i].kind == Kind::unlock ? -1 : 0;
    }
    code.insert(code.begin() + static_cast<std::ptrdiff_t>(held == 0 ? at : 0),
                Instruction{Kind::start_last});
    code.push_back(Instruction{Kind::join_last});
    if (chance(50)) {
      code.push_back(atomic(false));
    }
  }

  // Two or three threads that run what the first does, and are put in order by one of its steps.
  void make_equal(Program& program) {
    program.equal = program.threads == 3 && chance(60) ? 2 : program.threads;
    std::vector<Instruction>& code = program.code[0];
    const auto blocks = std::find_if(code.begin(), code.end(), [](const Instruction& each) {
      return each.kind == Kind::lock || each.kind == Kind::take;
    });
    const int at = below(static_cast<int>(blocks - code.begin()) + 1);
    code.insert(code.begin() + at, Instruction{Kind::in_turn});
    for (int thread = 1; thread < program.equal; ++thread) {
      program.code[thread] = code;
    }
  }

  void snippet(Program& program, int thread) {
    const int what = below(program.native ? 10 : 20);
    if (what < 9) {
      emit(program, thread, atomic(program.native));
    } else if (what == 9) {
      // Plain data, mostly behind a flag or a lock; now and then bare.
      if (!chance(35)) {
        return;
      }
      emit(program, thread, {chance(50) ? Kind::cell_read : Kind::cell_write, 0, 1 + below(2)}, 0);
    } else if (what < 14) {
      const int mutex = below(2);
      emit(program, thread, {Kind::lock, mutex});
      if (chance(70)) {
        emit(program, thread,
             {chance(50) ? Kind::cell_read : Kind::cell_write, 1 + mutex, 1 + below(3)}, 0);
      }
      if (chance(40)) {
        emit(program, thread, atomic(false));
      }
      if (chance(10) && left_ > 1) {
        const int other = 1 - mutex;
        emit(program, thread, {Kind::lock, other});
        emit(program, thread, {Kind::unlock, other}, 0);
      }
      emit(program, thread, {Kind::unlock, mutex}, 0);
    } else if (what < 16) {
      const Kind kinds[] = {Kind::ghost_read, Kind::ghost_add, Kind::ghost_write, Kind::ghost_with};
      emit(program, thread, {kinds[below(4)], below(2), 1 + below(3)});
    } else if (what == 16) {
      emit(program, thread, {Kind::now});
    } else if (what == 17) {
      emit(program, thread, {chance(50) ? Kind::notify_one : Kind::notify_all, 0});
    } else if (what == 18) {
      emit(program, thread, {Kind::post, 0});
    } else {
      emit(program, thread, chance(50) ? atomic(false) : Instruction{Kind::choice});
    }
  }

  // One or two sleepers, and somebody who wakes them; seldom somebody who forgets to.
  void waiting(Program& program) {
    const int waker = program.threads - 1;
    const int sleepers = program.threads == 3 && chance(60) ? 2 : 1;
    const bool apart = sleepers == 2 && chance(60);  // each on a condition variable of its own
    for (int thread = 0; thread < sleepers; ++thread) {
      if (chance(30)) {
        emit(program, thread, atomic(false));
      }
      emit(program, thread, {Kind::lock, 0});
      const int way = below(3);
      emit(program, thread,
           {way == 0   ? Kind::wait_while
            : way == 1 ? Kind::wait_if
                       : Kind::timed_while,
            apart ? thread : 0},
           1);
      if (chance(50)) {
        emit(program, thread, {Kind::cell_read, 1}, 0);
      }
      emit(program, thread, {Kind::unlock, 0}, 0);
      if (chance(30)) {
        emit(program, thread, chance(50) ? Instruction{Kind::now} : atomic(false));
      }
    }
    if (chance(50)) {
      emit(program, waker, chance(60) ? Instruction{Kind::now} : atomic(false));
    }
    const bool outside = chance(30);
    emit(program, waker, {Kind::lock, 0});
    emit(program, waker, {Kind::set_flag, 0, 1}, 0);
    if (!outside) {
      notify(program, waker, sleepers, apart);
    }
    emit(program, waker, {Kind::unlock, 0}, 0);
    if (outside) {
      notify(program, waker, sleepers, apart);
    }
  }

  void notify(Program& program, int waker, int sleepers, bool apart) {
    if (sleepers == 1) {
      emit(program, waker, {chance(60) ? Kind::notify_one : Kind::notify_all, 0});
    } else if (apart || chance(40)) {
      emit(program, waker, {Kind::notify_one, 0});
      if (chance(80)) {
        emit(program, waker, {Kind::notify_one, apart ? 1 : 0});
      }
    } else {
      emit(program, waker, {chance(90) ? Kind::notify_all : Kind::notify_one, 0});
    }
  }

  void handover(Program& program) {
    const int takes = 1 + below(2);
    for (int i = 0; i < takes; ++i) {
      emit(program, i % (program.threads - 1), {Kind::take, 0});
    }
    for (int i = 0; i < takes - (chance(15) ? 1 : 0); ++i) {
      emit(program, program.threads - 1, {Kind::post, 0});
      if (chance(40)) {
        emit(program, program.threads - 1, atomic(false));
      }
    }
  }

  std::mt19937_64 random_;
  int left_ = 0;
  bool retries_forget_ = false;  // then no program looks at a weak exchange that failed
};

// t0 ends only if it wakes spuriously, and nobody may but once: if t1 does instead, nobody ever
// wakes t0. Chance does not draw such a program; it needs the rule that leaving a wait takes that
// possibility from the others.
Program one_spurious_wake_up_for_two() {
  Program program;
  program.threads = 3;
  program.limits.spurious = 1;
  program.code[0] = {{Kind::lock, 1}, {Kind::wait_if, 0, 0, 1}, {Kind::unlock, 1}, {Kind::post}};
  program.code[1] = {{Kind::lock}, {Kind::post}, {Kind::wait_if, 1}, {Kind::unlock}};
  program.code[2] = {
      {Kind::take}, {Kind::take}, {Kind::lock}, {Kind::notify_one, 1}, {Kind::unlock}};
  return program;
}

}  // namespace

Program draw(std::uint64_t seed) {
  return seed == 0 ? one_spurious_wake_up_for_two()
                   : Generator(seed * 0x9e3779b97f4a7c15ULL + 12345).program();
}

}  // namespace kstone::model::soundness
