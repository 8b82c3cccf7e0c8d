// Every state that the scheduling core can reach inside the shell, for small numbers of stripes and
// threads: breadth first, each state once, each possible step from each, and after each step
// everything that `core_steps.h` demands.
//
// States are the same if their keys are. A key is exact, not a hash: what it leaves out is
// counters, which are compared with the reference at every step all the same. proptests/README.md
// has the abstraction.

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <deque>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core_differences.h"
#include "core_json.h"
#include "core_steps.h"

namespace kstone::proptests {
namespace {

// What a slice has.
enum With : unsigned {
  nothing = 0,
  histories = 1,    // attempts, the most at once and the first error are part of the state
  takeovers = 2,    // stripes are taken over
  withdrawing = 4,  // ... cancelled, removed and restored
  pauses = 8,       // ... paused and resumed
  all_steps = takeovers | withdrawing | pauses,
  delays = 32,  // ... delayed after failures
  quick = 16    // it is part of the run without --full
};

struct Slice {
  std::string name;
  Size size;
  unsigned with = nothing;

  bool has(With what) const { return (with & what) != 0; }
};

const std::vector<Slice> slices = {
    {"one stripe", {1, 2}, histories | all_steps | delays | quick},
    {"two stripes, nothing held back", {2, 2}, histories | takeovers | quick},
    {"two stripes, without histories", {2, 2}, all_steps | quick},
    {"three stripes, nothing held back, without histories", {3, 3}, takeovers | quick},
    {"three stripes, nothing paused or taken over, without histories", {3, 1}, withdrawing | quick},
    {"three stripes, only paused, without histories", {3, 1}, pauses | quick},
    {"two stripes, delayed and given up, without histories", {2, 1}, withdrawing | delays | quick},
    {"three stripes, nothing held back or taken over", {3, 2}, histories},
    {"two stripes, delayed, held back and taken over, without histories",
     {2, 2},
     all_steps | delays},
    {"two stripes", {2, 2}, histories | all_steps},
    {"three stripes, nothing held back", {3, 1}, histories | takeovers},
    {"three stripes, three threads, nothing held back or taken over", {3, 3}, histories},
    {"four stripes, nothing held back or taken over, without histories", {4, 4}, nothing},
};

const char* abstraction(const Slice& slice) {
  return slice.has(histories)
             ? "two requests in a word stand for more, and two attempts; counters are "
               "not part of the state"
             : "two requests in a word stand for more; counters, attempts, the most at "
               "once and the first error "
               "are not part of the state";
}

struct Key {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  unsigned used = 0;

  void put(std::uint64_t value, unsigned bits) {
    if (value >> bits != 0 || used + bits > 128) {
      throw std::logic_error("a key has not enough bits for this size");
    }
    if (used < 64) {
      low |= value << used;
      if (used + bits > 64) {
        high |= value >> (64 - used);
      }
    } else {
      high |= value << (used - 64);
    }
    used += bits;
  }
  friend bool operator==(const Key& a, const Key& b) {
    return a.low == b.low && a.high == b.high && a.used == b.used;
  }
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t mixed = (key.low ^ (key.high * 0x9E3779B97F4A7C15ULL)) * 0xBF58476D1CE4E5B9ULL;
    return static_cast<std::size_t>(mixed ^ (mixed >> 31));
  }
};

// Of the expected state, with which the core has just been found to agree.
Key key_of(const Shell& shell, const Slice& slice) {
  const auto& worker = shell.worker;
  Key key;
  const auto put_order = [&](const std::vector<std::uint32_t>& ids) {
    key.put(ids.size(), 3);
    for (const auto id : ids) {
      key.put(id, 3);
    }
  };
  key.put(worker.closed ? 1 + shell.next_to_settle : 0, 3);
  key.put(worker.mode, 2);
  key.put(shell.stopped, 1);
  key.put(worker.started ? 1 + worker.alive : 0, 3);
  key.put(worker.paused, 1);
  put_order(shell.queue());
  put_order(shell.inbox());
  for (std::uint32_t id = 0; id < slice.size.stripes; ++id) {
    const auto& stripe = shell.stripes[id];
    key.put(stripe.word.requests, 2);
    key.put(stripe.running, 1);
    key.put(stripe.word.under_way, 1);
    key.put(stripe.rerun_owed, 1);
    key.put(stripe.discarded, 1);
    key.put(stripe.unfinished, 1);
    key.put(stripe.held + 2U * stripe.delayed, 2);
    key.put(slice.has(delays) ? shell.failures[id] : 0, 2);
    key.put(stripe.quarantined, 1);
    key.put(stripe.paused, 1);
    key.put(stripe.asked_to_stop, 1);
    key.put(stripe.word.removed, 1);
    key.put(stripe.word.closed, 1);
    if (slice.has(histories)) {
      key.put(std::min(stripe.attempts, 2U), 2);
    }
  }
  if (slice.has(histories)) {
    key.put(worker.running_max, 3);
    key.put(worker.first_error != 0, 1);
  }
  return key;
}

// Whether the slice has such steps.
bool has(const Slice& slice, Call call) {
  switch (call) {
    case Call::adopt:
      return slice.has(takeovers);
    case Call::cancel:
    case Call::remove:
    case Call::restore:
      return slice.has(withdrawing);
    case Call::pause:
    case Call::resume:
    case Call::pause_all:
    case Call::resume_all:
      return slice.has(pauses);
    case Call::expire:
    case Call::release:
      return slice.has(delays);
    default:
      return true;
  }
}

bool has(const Slice& slice, const Ending& ending) {
  return !ending.is_delayed() || slice.has(delays);
}

// Whatever could come next in some state.
std::vector<Step> steps(const Slice& slice) {
  const auto& size = slice.size;
  constexpr std::uint32_t more = 7;  // any number will do: the core only counts them
  std::vector<Step> result;
  for (int i = 0; i <= static_cast<int>(last_call); ++i) {
    const auto call = static_cast<Call>(i);
    if (!has(slice, call)) {
      continue;
    }
    for (std::uint32_t id = 0; id < (is_of_stripe(call) ? size.stripes : 1); ++id) {
      if (call == Call::finish) {
        for (std::uint32_t ending = 0; ending < std::size(endings); ++ending) {
          if (has(slice, endings[ending])) {
            result.push_back({.call = call, .stripe = id, .ending = ending});
          }
        }
      } else if (call == Call::start) {
        for (std::uint32_t threads = 1; threads <= size.threads; ++threads) {
          result.push_back({.call = call, .count = threads});
        }
      } else if (call == Call::close || call == Call::strengthen) {
        // The strongest mode is to the core what the second is, but for its name.
        for (int mode = 0; mode < (size.stripes == 1 ? 3 : 2); ++mode) {
          result.push_back({.call = call, .mode = static_cast<ShutdownMode>(mode)});
        }
      } else {
        result.push_back({.call = call, .stripe = id});
        if (may_follow_requests(call)) {
          result.push_back({.call = call, .stripe = id, .count = more});
        }
      }
    }
  }
  return result;
}

// Two requests stand for any number of them, which shows where they are counted.
bool within_abstraction(const Shell& shell, const Step& step) {
  constexpr std::uint64_t saturated = 2;
  if (step.call == Call::request) {
    return shell.stripes[step.stripe].word.requests < saturated;
  }
  if (step.count == 0 || step.call == Call::start) {
    return true;
  }
  const auto id = step.call == Call::take     ? shell.queue().front()
                  : step.call == Call::settle ? shell.next_to_settle
                                              : step.stripe;
  return shell.stripes[id].word.requests == saturated;
}

struct Result {
  std::uint64_t states = 0;
  std::uint64_t transitions = 0;
  std::uint64_t final_states = 0;  // closed, and no thread is left
  std::uint32_t depth = 0;
  std::uint64_t calls[static_cast<std::size_t>(last_call) + 1] = {};
  std::uint64_t ended_as[std::size(endings)] = {};
  LateArrivals late{};
  bool complete = false;   // no state is left to be looked at
  std::string difference;  // empty if none was found
  std::vector<Step> path;  // the shortest to it
  double seconds = 0;
};

class Enumeration {
 public:
  Enumeration(const Slice& slice, Fault fault, std::uint64_t states_max)
      : slice_(slice), fault_(fault), states_max_(states_max), steps_(steps(slice)) {}

  Result run() {
    const auto begin = std::chrono::steady_clock::now();
    current_ = this;
    std::signal(SIGABRT, print_current_path);
    std::signal(SIGSEGV, print_current_path);
    add(Shell(slice_.size), System(slice_.size.stripes).core, 0, Step{});
    while (!open_.empty() && result_.difference.empty() && result_.states <= states_max_) {
      const Node node = std::move(open_.front());
      open_.pop_front();
      expand(node);
    }
    std::signal(SIGABRT, SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
    result_.complete = open_.empty() && result_.difference.empty();
    result_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(result_);
  }

 private:
  struct Node {
    Shell shell;
    SchedulingCore core;
    std::uint32_t number;
    std::uint32_t depth;
  };
  struct Origin {
    std::uint32_t from;
    Step step;
  };

  void expand(const Node& node) {
    result_.depth = std::max(result_.depth, node.depth);
    result_.final_states +=
        node.shell.settled() && node.shell.worker.alive == 0 && node.core.alive() == 0;
    bool any = false;
    for (const auto& step : steps_) {
      if (!node.shell.possible(step) || !within_abstraction(node.shell, step)) {
        continue;
      }
      any = true;
      at_ = {node.number, step};
      Shell after = node.shell;
      after.perform(step);
      System system(node.core, slice_.size.stripes, fault_);
      const char* found = perform(system, node.shell, step, after);
      if (found == nullptr) {
        found = difference(node.shell, node.core, after, system.core);
      }
      if (found == nullptr && node.shell.worker.closed &&
          !nearer_to_the_end(node.shell, after, step)) {
        found = "after closing, each take, end and leaving brings the end nearer";
      }
      ++result_.transitions;
      ++result_.calls[static_cast<std::size_t>(step.call)];
      result_.ended_as[step.ending] += step.call == Call::finish;
      count_late(node.shell, after, step, result_.late);
      if (found != nullptr) {
        result_.difference = found;
        result_.path = path();
        return;
      }
      add(std::move(after), std::move(system.core), node.depth + 1, step);
    }
    if (!any) {
      result_.difference = "something can come next";
      result_.path = path();
    }
  }

  // So a shutdown ends, whatever the jobs answer.
  static bool nearer_to_the_end(const Shell& before, const Shell& after, const Step& step) {
    const auto left = [](const Shell& shell) {
      const auto owed = std::count_if(shell.stripes.begin(), shell.stripes.end(),
                                      [](const auto& stripe) { return stripe.rerun_owed; });
      return 2 * (shell.worker.queued + static_cast<std::uint32_t>(owed)) + shell.worker.running +
             shell.worker.alive + 3 * (shell.size.stripes - shell.worker.words_closed);
    };
    const bool moves =
        step.call == Call::take || step.call == Call::finish || step.call == Call::leave;
    return moves ? left(after) < left(before) : left(after) <= left(before);
  }

  void add(Shell&& shell, SchedulingCore&& core, std::uint32_t depth, const Step& step) {
    if (seen_.insert(key_of(shell, slice_)).second) {
      origins_.push_back({at_.from, step});
      open_.push_back(
          {std::move(shell), std::move(core), static_cast<std::uint32_t>(result_.states), depth});
      ++result_.states;
    }
  }

  // From the initial state to the step that is being taken.
  std::vector<Step> path() const {
    std::vector<Step> result = {at_.step};
    for (auto number = at_.from; number != 0; number = origins_[number].from) {
      result.insert(result.begin(), origins_[number].step);
    }
    return result;
  }
  // The core asserts, or runs off its stripes: the process dies of the signal all the same, but
  // says where.
  static void print_current_path(int signal) {
    std::signal(signal, SIG_DFL);
    std::cerr << "The core fails at the last step of:\n";
    for (const auto& step : current_->path()) {
      std::cerr << "  " << to_string(step) << "\n";
    }
  }

  inline static Enumeration* current_ = nullptr;  // for the handler
  const Slice slice_;
  const Fault fault_;
  const std::uint64_t states_max_;
  const std::vector<Step> steps_;
  std::unordered_set<Key, KeyHash> seen_;
  std::vector<Origin> origins_;
  std::deque<Node> open_;
  Origin at_{};
  Result result_;
};

std::string path_text(const Result& result) {
  std::string text;
  int line = 0;
  for (const auto& step : result.path) {
    text += "  " + std::to_string(++line) + ". " + to_string(step) + "\n";
  }
  return text + "  Does not hold: " + result.difference + "\n";
}

// Empty, or why a slice without a difference shows less than it says.
std::string vacuous(const Slice& slice, const Result& result) {
  for (std::size_t call = 0; call <= static_cast<std::size_t>(last_call); ++call) {
    const bool comes = has(slice, static_cast<Call>(call));
    if (comes != (result.calls[call] != 0)) {
      return "call " + std::to_string(call) + (comes ? " never came" : " came");
    }
  }
  for (std::uint32_t ending = 0; ending < std::size(endings); ++ending) {
    if (has(slice, endings[ending]) && result.ended_as[ending] == 0) {
      return std::string("the ending \"") + endings[ending].name + "\" never came";
    }
  }
  if (const char* late = never_came(result.late); slice.has(takeovers) && late != nullptr) {
    return std::string("a late arrival never came: ") + late;
  }
  return result.final_states == 0 ? "no final state was reached" : "";
}

bool enumerate(const Slice& slice, std::uint64_t states_max, json& report) {
  const auto result = Enumeration(slice, Fault::none, states_max).run();
  const auto empty = result.difference.empty() && result.complete ? vacuous(slice, result) : "";
  const bool good = result.complete && empty.empty();
  std::cout << slice.name << " (" << slice.size.stripes << " stripes, " << slice.size.threads
            << " threads): " << result.states << " states, " << result.transitions
            << " transitions, longest shortest path " << result.depth << ", " << std::fixed
            << std::setprecision(1) << result.seconds << " s: "
            << (good                         ? "complete"
                : !result.difference.empty() ? "DIFFERENCE"
                : !empty.empty()             ? empty
                                             : "NOT COMPLETE")
            << std::endl;
  if (!result.difference.empty()) {
    std::cout << path_text(result);
  }
  report["core_states"] = report.value("core_states", std::uint64_t{0}) + result.states;
  report["core_transitions"] =
      report.value("core_transitions", std::uint64_t{0}) + result.transitions;
  report["slices"].push_back(
      {{"name", slice.name},
       {"size", {{"stripes", slice.size.stripes}, {"threads", slice.size.threads}}},
       {"abstraction", abstraction(slice)},
       {"states", result.states},
       {"transitions", result.transitions},
       {"final_states", result.final_states},
       {"adoptions", result.calls[static_cast<std::size_t>(Call::adopt)]},
       {"late_arrivals", result.late},
       {"depth", result.depth},
       {"complete", result.complete},
       {"passed", good},
       {"difference", result.difference},
       {"seconds", result.seconds}});
  return good;
}

// Each planted fault has to be found, in the first slice that is large enough for it.
bool find_planted(json& report) {
  int caught = 0;
  json found = json::array();
  for (int i = 1; i <= static_cast<int>(last_fault); ++i) {
    const auto fault = static_cast<Fault>(i);
    Result result;
    for (const Size size : {Size{1, 1}, Size{2, 2}, Size{3, 2}}) {
      const bool holds_back = fault >= Fault::cancel_lets_wait;
      const bool delayed = fault >= Fault::failure_is_final;
      const Slice slice{"planted", size, delayed ? delays : holds_back ? all_steps : takeovers};
      result = Enumeration(slice, fault, UINT64_MAX).run();
      if (!result.difference.empty()) {
        break;
      }
    }
    const bool caught_it = !result.difference.empty();
    caught += caught_it;
    std::cout << "planted " << to_string(fault) << ": "
              << (caught_it ? "found after " + std::to_string(result.states) + " states\n" +
                                  path_text(result)
                            : "NOT FOUND\n");
    found.push_back({{"fault", to_string(fault)},
                     {"caught", caught_it},
                     {"steps", result.path.size()},
                     {"path", caught_it ? path_text(result) : ""}});
  }
  report["planted"] = static_cast<int>(last_fault);
  report["planted_caught"] = caught;
  report["planted_faults"] = found;
  return caught == static_cast<int>(last_fault);
}

int run(int argc, char** argv) {
  CLI::App app{"Enumerates the states of the scheduling core."};
  bool full = false;
  bool with_histories = false;
  bool no_takeovers = false;
  bool no_withdrawing = false;
  bool no_pauses = false;
  bool no_delays = false;
  bool no_planted = false;
  std::string file;
  Size size;
  std::uint64_t states_max = UINT32_MAX;
  app.add_flag("--full", full, "all slices, not the quick ones only");
  app.add_option("--stripes", size.stripes, "one slice of that size instead")
      ->check(CLI::Range(1, 6));
  app.add_option("--threads", size.threads, "... and that many worker threads")
      ->check(CLI::Range(1, 6));
  app.add_option("--states", states_max,
                 "stop, without a verdict, beyond that many states of a slice")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{UINT32_MAX}));
  app.add_flag("--histories", with_histories,
               "... with attempts, the most at once and the first error as parts of the state");
  app.add_flag("--no-takeovers", no_takeovers, "... without takeovers");
  app.add_flag("--no-withdrawing", no_withdrawing, "... without cancel, remove and restore");
  app.add_flag("--no-pauses", no_pauses, "... without pauses");
  app.add_flag("--no-delays", no_delays, "... without delays");
  app.add_flag("--no-planted", no_planted, "leave out the planted faults");
  app.add_option("--json", file, "merge the results into this file");
  CLI11_PARSE(app, argc, argv);
  if ((size.stripes == 0) != (size.threads == 0)) {
    std::cerr << "--stripes and --threads go together\n";
    return 2;
  }

  bool good = true;
  json report = {{"slices", json::array()}};
  if (size.stripes != 0) {
    const unsigned with = (with_histories ? histories : nothing) |
                          (no_takeovers ? nothing : takeovers) |
                          (no_withdrawing ? nothing : withdrawing) |
                          (no_pauses ? nothing : pauses) | (no_delays ? nothing : delays);
    const Slice slice{"one size", size, with};
    good = enumerate(slice, states_max, report);
  } else {
    for (const auto& slice : slices) {
      if (full || slice.has(quick)) {
        good = enumerate(slice, states_max, report) && good;
      }
    }
  }
  if (!no_planted) {
    good = find_planted(report) && good;
  }
  report["passed"] = good;
  std::cout << report["core_states"] << " states, " << report["core_transitions"]
            << " transitions: " << (good ? "passed" : "FAILED") << "\n";
  return merge_into(file, "enumeration", report) && good ? 0 : 1;
}

}  // namespace
}  // namespace kstone::proptests

int main(int argc, char** argv) { return kstone::proptests::run(argc, argv); }
