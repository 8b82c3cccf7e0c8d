// The checker, checked: small programs whose outcomes are known, one row each, one column for each
// kind of search.
//
// Every row is explored by source sets, sleep sets, and the plain search, which must all give the
// set in the column `all`; within preemption bound 0 (`unpreempted`); and with loads that never
// read a superseded store (`fresh`). The columns say what *this* model allows. Where C++ allows
// more, the row's comment says so. `--self-test` flips each cell in turn and demands that the table
// turns red.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "litmus/row.h"

namespace kstone::model::litmus {

namespace {

std::vector<Row> table() {
  std::vector<Row> rows;
  for (const auto part : {memory_orders, modifications, waiting, lifetimes, owners, frozen}) {
    for (const Row& row : part()) {
      rows.push_back(row);
    }
  }
  return rows;
}

std::string outcome_text(const Result& result) {
  if (result.verdict == Verdict::refuted) {
    return std::string("!") + failure_name(result.failure);
  }
  if (result.verdict == Verdict::unknown) {
    return "?" + result.reason;
  }
  std::string text;
  for (const std::string& value : result.outcomes) {
    text += (text.empty() ? "" : " ") + value;
  }
  return text;
}

struct Measured {
  std::vector<std::pair<const char*, std::string>> all;  // one for each mode
  std::string unpreempted, fresh;
  std::string random;  // of some executions: nothing that `all` has not
};

Measured measure(const Row& entry) {
  Measured measured;
  Limits limits = entry.limits;
  for (const Mode mode : {Mode::source_sets, Mode::sleep_sets, Mode::plain}) {
    limits.mode = mode;
    if (entry.reducible || mode == Mode::plain) {
      measured.all.emplace_back(mode_name(mode), outcome_text(explore(entry.table, limits)));
    }
  }
  limits.mode = Mode::bounded;
  limits.preemption_bound = 1000;
  measured.all.emplace_back("bounded 1000", outcome_text(explore(entry.table, limits)));
  limits.preemption_bound = 0;
  measured.unpreempted = outcome_text(explore(entry.table, limits));
  limits.mode = entry.reducible ? Mode::source_sets : Mode::plain;
  limits.stale_depth = 0;
  measured.fresh = outcome_text(explore(entry.table, limits));
  limits = entry.limits;
  limits.mode = Mode::random;
  limits.max_executions = 500;
  Result some = explore(entry.table, limits);
  if (some.verdict == Verdict::unknown && some.failure == Failure::none) {
    some.verdict = Verdict::proved;  // not proved, but its outcomes are wanted
  }
  measured.random = outcome_text(some);
  return measured;
}

// Whether each outcome of `some` is one of `all`. What every search refutes, one at random may
// miss.
bool is_part_of(const std::string& some, const std::string& all) {
  std::istringstream words(some);
  std::istringstream known(all);
  const std::set<std::string> expected{std::istream_iterator<std::string>(known), {}};
  return (!all.empty() && all.front() == '!' && some != all &&
          some.find('!') == std::string::npos) ||
         std::all_of(std::istream_iterator<std::string>(words), {},
                     [&expected](const std::string& word) { return expected.count(word) != 0; });
}

// The number of cells that are not as expected.
int compare(const Row& entry, const Measured& measured, const Columns& expected, bool print) {
  int wrong = 0;
  const auto cell = [&](const char* column, const std::string& seen, const char* wanted) {
    if (seen != wanted) {
      ++wrong;
      if (print) {
        std::printf("RED  %-46s %-14s %s, expected %s\n", entry.name, column, seen.c_str(), wanted);
      }
    }
  };
  for (const auto& [mode, seen] : measured.all) {
    cell(mode, seen, expected.all);
  }
  cell("unpreempted", measured.unpreempted, expected.unpreempted);
  cell("fresh", measured.fresh, expected.fresh);
  if (!is_part_of(measured.random, expected.all)) {
    cell("random", measured.random, expected.all);
  }
  return wrong;
}

int run(bool self_test) {
  int wrong = 0;
  int flipped = 0;
  for (const Row& entry : table()) {
    const Measured measured = measure(entry);
    const int here = compare(entry, measured, entry.expected, true);
    wrong += here;
    if (here == 0) {
      std::printf("ok   %-46s %-24s %-24s %s\n", entry.name, entry.expected.all,
                  entry.expected.unpreempted, entry.expected.fresh);
    }
    if (self_test) {
      for (int column = 0; column < 3; ++column) {
        Columns changed = entry.expected;
        (column == 0 ? changed.all : column == 1 ? changed.unpreempted : changed.fresh) = "flipped";
        if (compare(entry, measured, changed, false) <= here) {
          std::printf("RED  %-46s a flipped cell goes unnoticed\n", entry.name);
          ++wrong;
        }
        ++flipped;
      }
      Measured more = measured;
      more.random = *entry.expected.all == '!' ? "!planted" : more.random + " planted";
      if (compare(entry, more, entry.expected, false) <= here) {
        std::printf("RED  %-46s an outcome that only the random search has goes unnoticed\n",
                    entry.name);
        ++wrong;
      }
      ++flipped;
    }
  }
  std::printf("%zu rows, %d wrong cells%s\n", table().size(), wrong,
              self_test ? (", " + std::to_string(flipped) + " flipped cells tried").c_str() : "");
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace kstone::model::litmus

int main(int argc, char** argv) {
  const bool self_test = argc > 1 && std::strcmp(argv[1], "--self-test") == 0;
  if (argc > 1 && !self_test) {
    std::fprintf(stderr, "usage: %s [--self-test]\n", argv[0]);
    return 2;
  }
  return kstone::model::litmus::run(self_test);
}
