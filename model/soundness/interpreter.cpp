#include "soundness/interpreter.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "scenario.h"
#include "soundness/program.h"

namespace kstone::model::soundness {

namespace {

using Sync = RelacySync;

struct Interpreter {
  static constexpr int threads = most_threads;
  static constexpr int dynamic_threads = 1;

  void before() {}
  void thread(int index) {
    for (const Instruction& instruction : program_->code[index]) {
      if (moment_count[index] < most_reads) {
        moments[index][moment_count[index]++] = Moment::here();
      }
      step(index, instruction);
    }
  }
  void after() {
    for (std::size_t i = 0; i < 2; ++i) {
      values[i] = static_cast<char>('0' + atomics[i].load(std::memory_order_relaxed));
    }
    // Of those that come of exchanging equal threads, the same one each time.
    int order[most_threads] = {0, 1, 2};
    Text least, text;
    put_outcome(order, least);
    while (std::next_permutation(order, order + program_->equal)) {
      put_outcome(order, text);
      if (std::strcmp(text.characters, least.characters) < 0) {
        least = text;
      }
    }
    outcome(least.characters);
  }

  struct Text {
    char characters[2 * most_threads * most_threads * most_reads + 32];
  };
  using Order = const int (&)[most_threads];

  // With the threads in this order.
  void put_outcome(Order order, Text& outcome) const {
    char* const text = outcome.characters;
    std::size_t length = 0;
    for (const int thread : order) {
      for (int i = 0; i < read_count[thread]; ++i) {
        text[length++] = static_cast<char>('0' + reads[thread][i]);
      }
      text[length++] = '|';
    }
    for (const char value : values) {
      text[length++] = value;
    }
    if (!program_->native) {
      length = put_moments(order, text, length);
    }
    text[length] = '\0';
  }

  // What happened before what: for each point, how many of each thread's came before.
  std::size_t put_moments(Order order, char* text, std::size_t length) const {
    for (const int thread : order) {
      for (int i = 0; i < moment_count[thread]; ++i) {
        for (const int other : order) {
          int known = 0;
          while (known < moment_count[other] &&
                 moments[other][known].happened_before(moments[thread][i])) {
            ++known;
          }
          text[length++] = static_cast<char>('0' + known);
        }
      }
    }
    return length;
  }

  void note(int thread, int value) {
    if (read_count[thread] < most_reads) {
      reads[thread][read_count[thread]++] = value;
    }
  }

  void step(int thread, const Instruction& in) {
    if (in.kind <= Kind::cas_weak) {
      step_atomic(thread, in);
    } else if (in.kind <= Kind::notify_all) {
      step_waiting(thread, in);
    } else if (in.kind >= Kind::ghost_read && in.kind <= Kind::ghost_with) {
      step_ghost(thread, in);
    } else {
      step_other(thread, in);
    }
  }

  // Atomics.
  void step_atomic(int thread, const Instruction& in) {
    switch (in.kind) {
      case Kind::load:
        note(thread, atomics[in.object].load(in.order));
        break;
      case Kind::store:
        atomics[in.object].store(in.value, in.order);
        break;
      case Kind::add:
        note(thread, atomics[in.object].fetch_add(in.value, in.order));
        break;
      case Kind::exchange:
        note(thread, atomics[in.object].exchange(in.value, in.order));
        break;
      case Kind::update: {
        // As strong as the failures, or stronger, or weaker.
        static constexpr std::memory_order loads[] = {
            std::memory_order_relaxed, std::memory_order_acquire, std::memory_order_seq_cst};
        int seen = atomics[in.object].load(loads[in.expected]);
        while (!atomics[in.object].compare_exchange_weak(seen, seen + in.value, in.order,
                                                         in.failure)) {
        }
        note(thread, seen);
        break;
      }
      case Kind::cas_strong:
      case Kind::cas_weak: {
        int expected = in.expected;
        const bool done = in.kind == Kind::cas_strong
                              ? atomics[in.object].compare_exchange_strong(expected, in.value,
                                                                           in.order, in.failure)
                              : atomics[in.object].compare_exchange_weak(expected, in.value,
                                                                         in.order, in.failure);
        note(thread, expected);
        note(thread, done ? 1 : 0);
        break;
      }
      default:
        std::abort();  // of another group
    }
  }

  // Mutexes and condition variables.
  void step_waiting(int thread, const Instruction& in) {
    switch (in.kind) {
      case Kind::lock:
        mutexes[in.object].lock();
        break;
      case Kind::unlock:
        mutexes[in.object].unlock();
        break;
      case Kind::wait_while:
        while (flag.read() == 0) {
          conditions[in.object].wait(mutexes[in.expected]);
          note(thread, 7);
        }
        break;
      case Kind::wait_if:
        if (flag.read() == 0) {
          conditions[in.object].wait(mutexes[in.expected]);
          note(thread, flag.read());
        }
        break;
      case Kind::timed_while:
        while (flag.read() == 0) {
          const int deadline = thread < program_->equal ? 1 : 1 + thread;
          const bool woken = conditions[in.object].wait_until(mutexes[in.expected],
                                                              std::chrono::nanoseconds(deadline));
          note(thread, woken ? 8 : 9);
          if (!woken) {
            break;
          }
        }
        break;
      case Kind::set_flag:
        flag.write() = in.value;
        break;
      case Kind::notify_one:
        conditions[in.object].notify_one();
        break;
      case Kind::notify_all:
        conditions[in.object].notify_all();
        break;
      default:
        std::abort();  // of another group
    }
  }

  // Ghost state.
  void step_ghost(int thread, const Instruction& in) {
    switch (in.kind) {
      case Kind::ghost_read:
        note(thread, ghosts[in.object].step_read());
        break;
      case Kind::ghost_add:
        ghosts[in.object].step_add() += in.value;
        break;
      case Kind::ghost_write:
        ghosts[in.object].step_write() = in.value;
        break;
      case Kind::ghost_with:
        ghosts[in.object].with_next_step(Access::write);
        note(thread, atomics[in.object].fetch_add(in.value, std::memory_order_acq_rel));
        note(thread, ghosts[in.object].now(Access::write));
        ghosts[in.object].now(Access::write) = in.value;
        break;
      default:
        std::abort();  // of another group
    }
  }

  // Tokens, plain data, the clock, choices, a thread.
  void step_other(int thread, const Instruction& in) {
    switch (in.kind) {
      case Kind::post:
        tokens.post(1);
        break;
      case Kind::take:
        tokens.wait();
        break;
      case Kind::cell_read:
        note(thread, cells[in.object].read());
        break;
      case Kind::cell_write:
        cells[in.object].write() = in.value;
        break;
      case Kind::now:
        note(thread, static_cast<int>(Sync::clock::now().count()));
        break;
      case Kind::choice:
        note(thread, static_cast<int>(choose(2)));
        break;
      case Kind::start_last:
        note(thread,
             last.start(
                 [](void* self) {
                   static_cast<Interpreter*>(self)->Interpreter::thread(program_->threads - 1);
                 },
                 this)
                 ? 1
                 : 0);
        break;
      case Kind::in_turn:
        in_turn();
        break;
      case Kind::join_last:
        if (last.joinable()) {
          last.join();
        }
        break;
      default:
        std::abort();  // of another group
    }
  }

  Sync::atomic<int> atomics[2];
  Sync::mutex mutexes[2];
  Sync::condition_variable conditions[2];
  Sync::semaphore tokens;
  Sync::cell<int> flag{0};
  Sync::cell<int> cells[3];
  Ghost<int> ghosts[2];
  Sync::thread last;
  char values[2] = {};
  int reads[most_threads][most_reads] = {};
  int read_count[most_threads] = {};
  Moment moments[most_threads][most_reads];
  int moment_count[most_threads] = {};
};

}  // namespace

ScenarioTable interpreter_table() {
  ScenarioTable table = scenario_table<Interpreter>("program");
  table.threads = program_->threads - (program_->last_is_dynamic ? 1 : 0);
  table.dynamic_threads = program_->last_is_dynamic ? 1 : 0;
  table.equal_threads.groups[0] = {0, program_->equal};
  return table;
}

}  // namespace kstone::model::soundness
