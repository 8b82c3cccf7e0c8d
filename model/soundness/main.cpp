// The reduction, compared with searches that do not reduce, on small random programs
// (comparison.h). With `--planted`, a rule of the reduction is broken on purpose, and the
// comparison must tell (planted.h).

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "soundness/batches.h"
#include "soundness/generator.h"
#include "soundness/planted.h"

namespace kstone::model::soundness {

namespace {

struct Command {
  std::uint64_t programs = 300;
  std::uint64_t first = 0;
  std::uint64_t planted_programs = 0;  // on each planted fault; 0: no faults are planted
  unsigned jobs = 1;
  bool print = false;
  std::string json;
  std::optional<std::uint64_t> one;
};

[[noreturn]] void usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--programs N] [--first SEED] [--jobs N] [--planted [N]] [--print] "
               "[--one SEED] [--json FILE]\n",
               program);
  std::exit(2);
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

Command parse(int argc, char** argv) {
  Command command;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc && argv[i + 1][0] != '-';
    if (argument == "--programs" && has_value) {
      command.programs = number(argv, i, 1);
    } else if (argument == "--first" && has_value) {
      command.first = number(argv, i, 0);
    } else if (argument == "--jobs" && has_value) {
      command.jobs = static_cast<unsigned>(number(argv, i, 1));
    } else if (argument == "--planted") {
      command.planted_programs = has_value ? number(argv, i, 1) : 3000;
    } else if (argument == "--print") {
      command.print = true;
    } else if (argument == "--json" && has_value) {
      command.json = argv[++i];
    } else if (argument == "--one" && has_value) {
      command.one = number(argv, i, 0);
    } else {
      usage(argv[0]);
    }
  }
  return command;
}

int run_one(std::uint64_t seed) {
  Tally tally;
  std::string complaint;
  const Program program = draw(seed);
  const std::optional<bool> same = compare(program, tally, complaint, PlantedFault::none);
  std::printf("program %" PRIu64 ": %s%s\n%s\n", seed, program.text().c_str(),
              same ? *same ? "equal" : "DIFFERENT" : "too large", complaint.c_str());
  return same.value_or(true) ? 0 : 1;
}

// How many batches were not equal.
int run_batches(const Command& command, Tally& total) {
  int failed = 0;
  constexpr std::uint64_t batch = 50;
  std::vector<Child> running;
  for (std::uint64_t at = 0; at < command.programs || !running.empty();) {
    while (at < command.programs && running.size() < std::max(command.jobs, 1U)) {
      running.push_back(start_batch(command.first + at, std::min(batch, command.programs - at),
                                    PlantedFault::none));
      at += batch;
    }
    std::string complaint;
    if (!finish_batch(running.front(), total, complaint)) {
      ++failed;
      std::printf("RED  %s\n", complaint.c_str());
    }
    running.erase(running.begin());
  }
  return failed;
}

void print(const Tally& total) {
  std::printf("%" PRIu64 " programs, %" PRIu64 " equal; %" PRIu64 " with several outcomes, %" PRIu64
              " refuted, %" PRIu64 " compared with Relacy's full search, %" PRIu64
              " too large and drawn again\n"
              "executions: plain %" PRIu64 ", sleep sets %" PRIu64 " + %" PRIu64
              ", source sets %" PRIu64 " + %" PRIu64 "\n",
              total.programs, total.equal, total.multi_outcome, total.refuted, total.native,
              total.drawn_again, total.plain, total.sleep, total.sleep_redundant, total.source,
              total.source_redundant);
}

void write_json(const std::string& file, const Tally& total, const PlantedTally& planted) {
  std::ofstream out(file);
  out << "{\"soundness\": {\"programs\": " << total.programs
      << ", \"multi_outcome\": " << total.multi_outcome << ", \"refuted\": " << total.refuted
      << ", \"equal\": " << total.equal << ", \"full_search\": " << total.native
      << ", \"planted\": " << planted.planted << ", \"planted_caught\": " << planted.caught
      << ", \"executions_plain\": " << total.plain << ", \"executions_reduced\": " << total.source
      << "}}\n";
}

int run(const Command& command) {
  if (command.one) {
    return run_one(*command.one);
  }
  Tally total;
  const int failed = run_batches(command, total);
  print(total);
  PlantedTally planted;
  if (command.planted_programs > 0) {
    planted = run_planted(command.planted_programs, command.print);
  }
  if (!command.json.empty()) {
    write_json(command.json, total, planted);
  }
  const bool all_equal = total.equal == total.programs && total.programs == command.programs;
  return failed == 0 && all_equal && planted.caught == planted.planted ? 0 : 1;
}

}  // namespace
}  // namespace kstone::model::soundness

int main(int argc, char** argv) {
  using namespace kstone::model::soundness;
  return run(parse(argc, argv));
}
