// The reduction, compared with searches that do not reduce, on small random programs.
//
// For each program: the plain search gives the set of reachable outcomes (what every thread has
// read, and what happened before what) and the verdict. Then, with the same limits,
//   source sets and sleep sets          give the same outcomes and verdict, and equally many
//                                       complete executions, one for each equivalence class (but
//                                       for programs with spurious failures of a weak
//                                       compare-exchange: a sleeper stands for all its choices
//                                       together);
//   either, sharded over 2 and 3        likewise, merged; sleep sets also as many redundant
//                                       executions;
//   preemption bound 0, 1 and 2         gives the outcomes that the plain search reached with so
//                                       few preemptions;
//   random                              gives none that the plain search did not reach;
//   Relacy's own full search, on an     gives the same outcomes and verdict as ours with loads that
//   independent translation into rl::   look one store back: programs of atomics and plain data,
//                                       where its fairness rule and its missing spurious wake-ups
//                                       leave nothing out.
// A refuted program ends each search at its first failure: there the verdict is compared.
//
// With `--planted`, a rule of the reduction is broken on purpose, and the outcomes or the verdict
// of some program must tell (there the counts are not looked at).

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "explorer.h"
#include "relacy_headers.h"
#include "scenario.h"
#include "search/malloc_containers.h"

namespace kstone::model {
namespace {

using Sync = RelacySync;

constexpr int most_threads = 3;
constexpr int most_reads = 12;
constexpr std::uint64_t plain_budget = 150000;  // a program that needs more is drawn again

enum class Kind {
  load,
  store,
  add,
  exchange,
  cas_strong,
  cas_weak,
  lock,
  unlock,
  wait_while,   // while (!flag) wait
  wait_if,      // if (!flag) wait
  timed_while,  // while (!flag && wait_until)
  set_flag,
  notify_one,
  notify_all,
  post,
  take,
  cell_read,
  cell_write,
  ghost_read,
  ghost_add,
  ghost_write,
  ghost_with,  // announced with the read-modify-write that follows it
  now,
  choice,
  start_last,  // the last thread is started by another one
  join_last,
};

struct Instruction {
  Kind kind;
  int object = 0;
  int value = 0;
  int expected = 0;  // of a compare-exchange; of a wait, the mutex
  std::memory_order order = std::memory_order_seq_cst;
  std::memory_order failure = std::memory_order_relaxed;
};

struct Program {
  std::vector<Instruction> code[most_threads];
  int threads = 2;
  bool last_is_dynamic = false;
  Limits limits;
  bool native = false;  // atomics and plain data only: Relacy's full search sees everything

  std::string text() const;
};

const Program* program_ = nullptr;

const char* order_name(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    default:
      return "seq_cst";
  }
}

std::string Program::text() const {
  static const char* const names[] = {
      "load",       "store",      "add",         "exchange",   "cas_strong",  "cas_weak",
      "lock",       "unlock",     "wait_while",  "wait_if",    "timed_while", "set_flag",
      "notify_one", "notify_all", "post",        "take",       "cell_read",   "cell_write",
      "ghost_read", "ghost_add",  "ghost_write", "ghost_with", "now",         "choice",
      "start_last", "join_last"};
  std::string text = "spurious " + std::to_string(limits.spurious) + ", timeouts " +
                     std::to_string(limits.timeouts) + ", weak " +
                     std::to_string(limits.weak_cas_failures) + "\n";
  for (int thread = 0; thread < threads; ++thread) {
    text += "  thread " + std::to_string(thread) + ":";
    for (const Instruction& instruction : code[thread]) {
      text += std::string(" ") + names[static_cast<int>(instruction.kind)] + "(" +
              std::to_string(instruction.object) + "," + std::to_string(instruction.value);
      if (instruction.kind <= Kind::cas_weak) {
        text += std::string(",") + order_name(instruction.order);
      }
      text += ")";
    }
    text += "\n";
  }
  return text;
}

// --- the generator ---

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
      result.last_is_dynamic = true;
      result.limits.thread_start_failures = chance(30) ? 1 : 0;
      // Not inside a critical section: who joins there and waits for its lock would end every
      // program.
      std::vector<Instruction>& code = result.code[0];
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
        result.kind = native || chance(50) ? Kind::cas_strong : Kind::cas_weak;
        result.order = both[below(5)];
        result.expected = below(3);
        result.failure =
            result.order == acquire || result.order == acq_rel || result.order == seq_cst
                ? (chance(50) ? acquire : relaxed)
                : relaxed;
    }
    return result;
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
};

// --- the program on our types ---

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
    char text[2 * most_threads * most_threads * most_reads + 32];
    std::size_t length = 0;
    for (int thread = 0; thread < most_threads; ++thread) {
      for (int i = 0; i < read_count[thread]; ++i) {
        text[length++] = static_cast<char>('0' + reads[thread][i]);
      }
      text[length++] = '|';
    }
    for (const Sync::atomic<int>& variable : atomics) {
      text[length++] = static_cast<char>('0' + variable.load(std::memory_order_relaxed));
    }
    if (!program_->native) {
      length = put_moments(text, length);
    }
    text[length] = '\0';
    outcome(text);
  }

  // What happened before what: for each point, how many of each thread's came before.
  std::size_t put_moments(char* text, std::size_t length) const {
    for (int thread = 0; thread < most_threads; ++thread) {
      for (int i = 0; i < moment_count[thread]; ++i) {
        for (int other = 0; other < most_threads; ++other) {
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
          const bool woken = conditions[in.object].wait_until(mutexes[in.expected],
                                                              std::chrono::nanoseconds(1 + thread));
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
      case Kind::join_last:
        if (last.joinable()) {
          last.join();
        }
        break;
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
  int reads[most_threads][most_reads] = {};
  int read_count[most_threads] = {};
  Moment moments[most_threads][most_reads];
  int moment_count[most_threads] = {};
};

// --- the program on Relacy's own types, under its own full search ---

using NativeOutcomes = std::set<MallocString, std::less<>, MallocAllocator<MallocString>>;
NativeOutcomes* native_outcomes_ = nullptr;

template <int count>
struct Native : rl::test_suite<Native<count>, count> {
  rl::atomic<int> atomics[2];
  rl::var<int> cell;
  int reads[most_threads][most_reads];
  int read_count[most_threads];

  void before() {
    const rl::debug_info here;
    for (rl::atomic<int>& variable : atomics) {
      variable.store(0, rl::mo_relaxed, here);
    }
    cell(here).store(0);
    std::memset(read_count, 0, sizeof read_count);
  }
  void note(unsigned thread, int value) {
    if (read_count[thread] < most_reads) {
      reads[thread][read_count[thread]++] = value;
    }
  }
  void thread(unsigned index) {
    const rl::debug_info here;
    for (const Instruction& in : program_->code[index]) {
      rl::atomic<int>& variable = atomics[in.object];
      switch (in.kind) {
        case Kind::load:
          note(index, variable.load(native_order(in.order), here));
          break;
        case Kind::store:
          variable.store(in.value, native_order(in.order), here);
          break;
        case Kind::add:
          note(index, variable.fetch_add(in.value, native_order(in.order), here));
          break;
        case Kind::exchange:
          note(index, variable.exchange(in.value, native_order(in.order), here));
          break;
        case Kind::cas_strong: {
          int expected = in.expected;
          const bool done =
              variable.compare_exchange(rl::bool_t<false>(), expected, in.value,
                                        native_order(in.order), native_order(in.failure), here);
          note(index, expected);
          note(index, done ? 1 : 0);
          break;
        }
        case Kind::cell_read:
          note(index, cell(here).load());
          break;
        case Kind::cell_write:
          cell(here).store(in.value);
          break;
        default:
          std::abort();
      }
    }
  }
  void after() {
    MallocString text;
    for (int thread = 0; thread < most_threads; ++thread) {
      for (int i = 0; thread < count && i < read_count[thread]; ++i) {
        text.push_back(static_cast<char>('0' + reads[thread][i]));
      }
      text.push_back('|');
    }
    for (rl::atomic<int>& variable : atomics) {
      text.push_back(static_cast<char>('0' + variable.load(rl::mo_relaxed, rl::debug_info())));
    }
    native_outcomes_->insert(text);
  }
};

struct Seen {
  Verdict verdict;
  std::vector<std::string> outcomes;
};

template <int count>
Seen run_native() {
  NativeOutcomes outcomes;
  native_outcomes_ = &outcomes;
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = rl::sched_full;
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  rl::ostringstream state;
  const rl::test_result_e result =
      rl::run_test<Native<count>, rl::full_search_scheduler<count>>(params, state, false);
  Seen seen{result == rl::test_result_success ? Verdict::proved : Verdict::refuted, {}};
  for (const MallocString& text : outcomes) {
    seen.outcomes.emplace_back(text.c_str());
  }
  return seen;
}

// --- the comparison ---

struct Tally {
  std::uint64_t programs = 0, equal = 0, multi_outcome = 0, refuted = 0, native = 0,
                drawn_again = 0;
  std::uint64_t plain = 0, sleep = 0, source = 0, sleep_redundant = 0, source_redundant = 0;
};

ScenarioTable interpreter_table() {
  ScenarioTable table = scenario_table<Interpreter>("program");
  table.threads = program_->threads - (program_->last_is_dynamic ? 1 : 0);
  table.dynamic_threads = program_->last_is_dynamic ? 1 : 0;
  return table;
}

std::string describe(const Result& result) {
  std::string text = verdict_name(result.verdict);
  text += result.failure == Failure::none
              ? ""
              : std::string(" (") + failure_name(result.failure) + ": " + result.message + ")";
  text += ", " + std::to_string(result.executions_complete) + " + " +
          std::to_string(result.executions_redundant) + ":";
  for (const std::string& outcome : result.outcomes) {
    text += " " + outcome;
  }
  return text;
}

Result sharded(const ScenarioTable& table, Limits limits, unsigned count) {
  std::vector<Result> parts;
  limits.shard_depth = 2;
  for (unsigned i = 0; i < count; ++i) {
    limits.shard = ShardOf{i, count};
    parts.push_back(explore(table, limits));
  }
  return merge(parts);
}

// Whether every search agrees; says which does not. Draws no conclusion (and returns nothing) for a
// large program.
std::optional<bool> compare(const Program& program, Tally& tally, std::string& complaint,
                            PlantedFault planted) {
  program_ = &program;
  const ScenarioTable table = interpreter_table();
  Limits limits = program.limits;
  limits.mode = Mode::plain;
  limits.max_executions = plain_budget;
  limits.planted = PlantedFault::none;
  const Result plain = explore(table, limits);
  if (plain.verdict == Verdict::unknown) {
    if (plain.failure != Failure::none) {
      complaint = "the plain search: " + plain.reason;
      return false;
    }
    return std::nullopt;
  }
  limits.max_executions = 0;
  limits.planted = planted;
  const auto agrees = [&](const char* what, const Result& result, const Result* count_as) {
    const bool same =
        result.verdict == plain.verdict &&
        (plain.verdict == Verdict::refuted || result.outcomes == plain.outcomes) &&
        (count_as == nullptr || plain.verdict == Verdict::refuted || limits.weak_cas_failures > 0 ||
         result.executions_complete == count_as->executions_complete);
    if (!same) {
      complaint =
          std::string(what) + " gives " + describe(result) + "\n  plain gives " + describe(plain);
      if (count_as != nullptr) {
        complaint += "\n  counted as " + describe(*count_as);
      }
    }
    return same;
  };
  limits.mode = Mode::sleep_sets;
  const Result sleep = explore(table, limits);
  limits.mode = Mode::source_sets;
  const Result source = explore(table, limits);
  if (!agrees("sleep sets", sleep, nullptr) ||
      !agrees("source sets", source, planted == PlantedFault::none ? &sleep : nullptr)) {
    return false;
  }
  tally.plain += plain.executions_complete;
  tally.sleep += sleep.executions_complete;
  tally.source += source.executions_complete;
  tally.sleep_redundant += sleep.executions_redundant;
  tally.source_redundant += source.executions_redundant;
  if (planted != PlantedFault::none) {
    return true;
  }
  for (const unsigned count : {2U, 3U}) {
    limits.mode = Mode::source_sets;
    if (!agrees("source sets, sharded", sharded(table, limits, count), &source)) {
      return false;
    }
    limits.mode = Mode::sleep_sets;
    const Result parts = sharded(table, limits, count);
    if (!agrees("sleep sets, sharded", parts, &sleep)) {
      return false;
    }
    if (plain.verdict == Verdict::proved &&
        (parts.executions_complete != sleep.executions_complete ||
         parts.executions_redundant != sleep.executions_redundant)) {
      complaint =
          "sleep sets, sharded, give " + describe(parts) + "\n  unsharded " + describe(sleep);
      return false;
    }
  }
  if (plain.verdict == Verdict::proved) {
    for (const std::uint32_t bound : {0U, 1U, 2U}) {
      limits.mode = Mode::bounded;
      limits.preemption_bound = bound;
      const Result bounded = explore(table, limits);
      std::vector<std::string> within;
      for (std::size_t i = 0; i < plain.outcomes.size(); ++i) {
        if (plain.outcome_preemptions[i] <= bound) {
          within.push_back(plain.outcomes[i]);
        }
      }
      if (bounded.verdict != Verdict::proved || bounded.outcomes != within) {
        complaint = "bound " + std::to_string(bound) + " gives " + describe(bounded) +
                    "\n  plain gives " + describe(plain);
        return false;
      }
    }
    limits.mode = Mode::random;
    limits.max_executions = 50;
    const Result random = explore(table, limits);
    limits.max_executions = 0;
    if (!std::includes(plain.outcomes.begin(), plain.outcomes.end(), random.outcomes.begin(),
                       random.outcomes.end())) {
      complaint = "random gives " + describe(random) + "\n  plain gives " + describe(plain);
      return false;
    }
  }
  if (program.native) {
    limits.mode = Mode::source_sets;
    limits.stale_depth = 1;
    const Result shallow = explore(table, limits);
    const Seen seen = program.threads == 2 ? run_native<2>() : run_native<3>();
    if (seen.verdict != shallow.verdict ||
        (seen.verdict == Verdict::proved && seen.outcomes != shallow.outcomes)) {
      complaint = std::string("Relacy's full search gives ") + verdict_name(seen.verdict) + ":";
      for (const std::string& outcome : seen.outcomes) {
        complaint += " " + outcome;
      }
      complaint += "\n  ours gives " + describe(shallow);
      return false;
    }
    ++tally.native;
  }
  tally.multi_outcome += plain.verdict == Verdict::proved && plain.outcomes.size() > 1 ? 1 : 0;
  tally.refuted += plain.verdict == Verdict::refuted ? 1 : 0;
  return true;
}

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

// Program 0 is written by hand, the others are random.
Program draw(std::uint64_t seed) {
  return seed == 0 ? one_spurious_wake_up_for_two()
                   : Generator(seed * 0x9e3779b97f4a7c15ULL + 12345).program();
}

// `count` programs from the seeds first, first + 1, ...; stops at the first that disagrees.
bool compare_batch(std::uint64_t first, std::uint64_t count, Tally& tally, PlantedFault planted,
                   std::string& complaint) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::optional<bool> same;
    for (std::uint64_t attempt = 0; !same; ++attempt) {
      const Program program = draw(seed + (attempt << 40));
      same = compare(program, tally, complaint, planted);
      tally.drawn_again += same ? 0 : 1;
      if (same == false) {
        complaint = "program " + std::to_string(seed + (attempt << 40)) + ": " + program.text() +
                    "  " + complaint;
      }
    }
    ++tally.programs;
    tally.equal += *same ? 1 : 0;
    if (!*same) {
      return false;
    }
  }
  return true;
}

// In a process of its own: what Relacy loses for each search goes with it.
struct Child {
  pid_t pid = -1;
  int read_end = -1;
};

Child start_batch(std::uint64_t first, std::uint64_t count, PlantedFault planted) {
  int ends[2];
  if (pipe(ends) != 0) {
    return {};
  }
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    Tally tally;
    std::string complaint;
    compare_batch(first, count, tally, planted, complaint);
    complaint.resize(std::min<std::size_t>(complaint.size(), 6000));
    bool sent = write(ends[1], &tally, sizeof tally) == static_cast<ssize_t>(sizeof tally);
    sent = sent && write(ends[1], complaint.data(), complaint.size()) ==
                       static_cast<ssize_t>(complaint.size());
    _exit(sent ? 0 : 1);
  }
  close(ends[1]);
  return Child{pid, ends[0]};
}

bool finish_batch(const Child& child, Tally& total, std::string& complaint) {
  std::string text;
  char buffer[8192];
  for (ssize_t count = 0; (count = read(child.read_end, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  close(child.read_end);
  int status = 0;
  waitpid(child.pid, &status, 0);
  if (status != 0 || text.size() < sizeof(Tally)) {
    complaint = "a batch ended without a result";
    return false;
  }
  Tally tally;
  std::memcpy(&tally, text.data(), sizeof tally);
  complaint = text.substr(sizeof tally);
  const auto* const from = reinterpret_cast<const std::uint64_t*>(&tally);
  auto* const to = reinterpret_cast<std::uint64_t*>(&total);
  for (std::size_t i = 0; i < sizeof tally / sizeof(std::uint64_t); ++i) {
    to[i] += from[i];
  }
  return tally.equal == tally.programs;
}

struct Planted {
  PlantedFault fault;
  const char* name;
};

constexpr Planted planted_faults[] = {
    {PlantedFault::reads_conflict_with_nothing, "reads_conflict_with_nothing"},
    {PlantedFault::ignore_rmw_dependency, "ignore_rmw_dependency"},
    {PlantedFault::ignore_lock_dependency, "ignore_lock_dependency"},
    {PlantedFault::ignore_wait_dependency, "ignore_wait_dependency"},
    {PlantedFault::ignore_semaphore_dependency, "ignore_semaphore_dependency"},
    {PlantedFault::ignore_budget_dependency, "ignore_budget_dependency"},
    {PlantedFault::ignore_clock_dependency, "ignore_clock_dependency"},
    {PlantedFault::ignore_ghost_dependency, "ignore_ghost_dependency"},
    {PlantedFault::sleep_inherits_everything, "sleep_inherits_everything"},
    {PlantedFault::sleep_before_data_choices, "sleep_before_data_choices"},
    {PlantedFault::sleep_includes_current, "sleep_includes_current"},
    {PlantedFault::forget_race, "forget_race"},
    {PlantedFault::forget_wake_up_race, "forget_wake_up_race"},
    {PlantedFault::forget_disabled_step, "forget_disabled_step"},
    {PlantedFault::forget_announcement, "forget_announcement"},
};

int run_planted(std::uint64_t programs, int& caught, bool print) {
  int missed = 0;
  caught = 0;
  for (const Planted& planted : planted_faults) {
    bool noticed = false;
    std::string complaint;
    std::uint64_t tried = 0;
    while (!noticed && tried < programs) {
      Tally tally;
      const bool equal = finish_batch(start_batch(tried, 100, planted.fault), tally, complaint);
      noticed = tally.equal < tally.programs;
      if (!equal && !noticed) {
        break;  // the batch died: that is no notice
      }
      tried += noticed ? tally.programs : 100;
    }
    std::printf("%s planted %-30s %s %" PRIu64 " programs\n", noticed ? "ok  " : "RED ",
                planted.name, noticed ? "noticed within" : "not noticed in", tried);
    if (print) {
      std::printf("%s\n", complaint.c_str());
    }
    std::fflush(stdout);
    (noticed ? caught : missed) += 1;
  }
  return missed;
}

int usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--programs N] [--first SEED] [--jobs N] [--planted [N]] [--print] "
               "[--one SEED] [--json FILE]\n",
               program);
  return 2;
}

// The value of the option argv[i].
std::uint64_t number(char** argv, int& i, std::uint64_t least) {
  const char* const option = argv[i];
  const char* const text = argv[++i];
  const char* const end = text + std::strlen(text);
  std::uint64_t value = 0;
  const auto [last, error] = std::from_chars(text, end, value);
  if (error != std::errc() || last != end || value < least) {
    std::fprintf(stderr, "%s '%s'; expected was a number from %" PRIu64 " on\n", option, text,
                 least);
    std::exit(2);
  }
  return value;
}

int run(int argc, char** argv) {
  std::uint64_t programs = 300;
  std::uint64_t first = 0;
  std::uint64_t planted_programs = 0;
  unsigned jobs = 1;
  bool print = false;
  const char* json = nullptr;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc && argv[i + 1][0] != '-';
    if (argument == "--programs" && has_value) {
      programs = number(argv, i, 1);
    } else if (argument == "--first" && has_value) {
      first = number(argv, i, 0);
    } else if (argument == "--jobs" && has_value) {
      jobs = static_cast<unsigned>(number(argv, i, 1));
    } else if (argument == "--planted") {
      planted_programs = has_value ? number(argv, i, 1) : 3000;
    } else if (argument == "--print") {
      print = true;
    } else if (argument == "--json" && has_value) {
      json = argv[++i];
    } else if (argument == "--one" && has_value) {
      const std::uint64_t seed = number(argv, i, 0);
      Tally tally;
      std::string complaint;
      const Program program = draw(seed);
      const std::optional<bool> same = compare(program, tally, complaint, PlantedFault::none);
      std::printf("program %" PRIu64 ": %s%s\n%s\n", seed, program.text().c_str(),
                  same ? *same ? "equal" : "DIFFERENT" : "too large", complaint.c_str());
      return same.value_or(true) ? 0 : 1;
    } else {
      return usage(argv[0]);
    }
  }

  Tally total;
  int failed = 0;
  constexpr std::uint64_t batch = 50;
  std::vector<Child> running;
  for (std::uint64_t at = 0; at < programs || !running.empty();) {
    while (at < programs && running.size() < std::max(jobs, 1U)) {
      running.push_back(
          start_batch(first + at, std::min(batch, programs - at), PlantedFault::none));
      at += batch;
    }
    std::string complaint;
    if (!finish_batch(running.front(), total, complaint)) {
      ++failed;
      std::printf("RED  %s\n", complaint.c_str());
    }
    running.erase(running.begin());
  }
  std::printf("%" PRIu64 " programs, %" PRIu64 " equal; %" PRIu64 " with several outcomes, %" PRIu64
              " refuted, %" PRIu64 " compared with Relacy's full search, %" PRIu64
              " too large and drawn again\n"
              "executions: plain %" PRIu64 ", sleep sets %" PRIu64 " + %" PRIu64
              ", source sets %" PRIu64 " + %" PRIu64 "\n",
              total.programs, total.equal, total.multi_outcome, total.refuted, total.native,
              total.drawn_again, total.plain, total.sleep, total.sleep_redundant, total.source,
              total.source_redundant);
  int caught = 0;
  const int planted_count = static_cast<int>(std::size(planted_faults));
  if (planted_programs > 0) {
    failed += run_planted(planted_programs, caught, print);
  }
  if (json != nullptr) {
    std::ofstream out(json);
    out << "{\"soundness\": {\"programs\": " << total.programs
        << ", \"multi_outcome\": " << total.multi_outcome << ", \"refuted\": " << total.refuted
        << ", \"equal\": " << total.equal << ", \"full_search\": " << total.native
        << ", \"planted\": " << (planted_programs > 0 ? planted_count : 0)
        << ", \"planted_caught\": " << caught << ", \"executions_plain\": " << total.plain
        << ", \"executions_reduced\": " << total.source << "}}\n";
  }
  return failed == 0 && total.equal == total.programs && total.programs == programs ? 0 : 1;
}

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) { return kstone::model::run(argc, argv); }
