// One search over several processes, each of which takes a shard of it.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "runner.h"
#include "runner/results.h"

namespace kstone::model {

namespace {

// The share of one of `jobs` processes.
Limits share(const Limits& limits, unsigned index, unsigned jobs) {
  Limits part = limits;
  part.shard = ShardOf{index, jobs};
  part.seed += index;  // at random, nothing is shared
  part.max_executions =
      limits.max_executions / jobs + (index < limits.max_executions % jobs ? 1 : 0);
  return part;
}

struct Child {
  pid_t pid;
  int read_end;
};

// Explores, writes the result and ends.
[[noreturn]] void run_child(const ScenarioTable& table, const Limits& part, int write_end) {
  const std::string text = to_json(explore(table, part)).dump();
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = write(write_end, text.data() + sent, text.size() - sent);
    if (count <= 0) {
      _exit(1);
    }
    sent += static_cast<std::size_t>(count);
  }
  _exit(0);
}

std::string read_all(int end) {
  std::string text;
  char buffer[65536];
  for (ssize_t count = 0; (count = read(end, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

}  // namespace

Result explore_in_processes(const ScenarioTable& table, const Limits& limits, unsigned jobs) {
  if (jobs <= 1) {
    return explore(table, limits);
  }
  std::fflush(nullptr);
  std::vector<Child> children;
  for (unsigned i = 0; i < jobs; ++i) {
    int ends[2];
    if (pipe(ends) != 0) {
      break;
    }
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      run_child(table, share(limits, i, jobs), ends[1]);
    }
    close(ends[1]);
    children.push_back(Child{child, ends[0]});
  }
  std::vector<Result> results;
  for (const Child& child : children) {
    const std::string text = read_all(child.read_end);
    close(child.read_end);
    int status = 0;
    waitpid(child.pid, &status, 0);
    const auto parsed = nlohmann::json::parse(text, nullptr, false);
    if (status == 0 && !parsed.is_discarded()) {
      results.push_back(result_from(parsed));
    }
  }
  Result merged = merge(results);
  if (results.size() != jobs && merged.verdict != Verdict::refuted) {
    merged.verdict = Verdict::unknown;
    merged.reason = "a shard is missing";
  }
  return merged;
}

}  // namespace kstone::model
