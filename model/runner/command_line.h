// What the command line of a model executable says.

#ifndef KSTONE_MODEL_RUNNER_COMMAND_LINE_H_
#define KSTONE_MODEL_RUNNER_COMMAND_LINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "explorer.h"
#include "runner.h"
#include "runner/replay_line.h"

namespace kstone::model {

struct Command {
  // Which suites, and what is done with them.
  std::vector<std::string> patterns;  // all suites if there are none
  bool without_large = false;
  bool list = false;
  std::optional<Replay> replay;
  std::optional<unsigned> jobs;

  // How they are searched: what is not given is the suite's own.
  std::optional<Mode> mode;
  std::optional<std::uint32_t> bound, spurious, timeouts, weak_cas_failures, thread_start_failures;
  std::optional<double> step_seconds;
  std::uint64_t max_executions = 0, seed = 0;
  double max_seconds = 0;
  bool minimize = true;
  bool progress = false;
  bool keep_retries = false;
  bool exchange_equals = false;
  bool in_shard = false;
  ShardOf shard;
  std::vector<Demotion> demotions;

  // What is printed and written.
  bool sites = false;
  bool histories = false;  // of suites that must fail, too
  bool inner = false;      // with the steps inside the worker
  bool quiet = false;      // no counter-example at all: a program reads the JSON
  std::string json_file;

  bool chooses(const Suite& suite) const;
  Limits limits_of(const Suite& suite) const;
  // Processes that share its search: all processors for a large one, unless the command says.
  unsigned jobs_of(const Suite& suite) const;
};

// The command, or the status to exit with, after a sentence on stderr if that is not 0.
std::variant<Command, int> parse_command_line(int argc, char** argv, Rows rows);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RUNNER_COMMAND_LINE_H_
