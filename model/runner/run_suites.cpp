// Runs the suites that the command line names, one after the other, and says what came of each.

#include <cinttypes>
#include <cstdio>
#include <fstream>

#include "report/names.h"
#include "report/table.h"
#include "report/words.h"
#include "runner.h"
#include "runner/command_line.h"
#include "runner/results.h"

namespace kstone::model {

using nlohmann::json;

namespace {

// What is known of a suite without running it.
json suite_json(const Suite& suite) {
  return {{"name", suite.options.name},
          {"property", suite.options.property},
          {"must_fail", !suite.options.expected.empty()},
          {"large", suite.options.large},
          {"fallback", suite.options.fallback},
          {"requesters", suite.options.requesters},
          {"workers", suite.options.workers},
          {"threads", suite.table.threads + suite.table.dynamic_threads},
          {"suite_file", suite.site.file},
          {"suite_line", suite.site.line}};
}

// A suite, how it was searched, and what came of it.
struct Run {
  const Suite& suite;
  Limits limits;
  Result result;
  bool green = false;
  std::string why;  // it is not green
};

json run_json(const Run& run, const Command& command) {
  json entry = to_json(run.result);
  entry.update(suite_json(run.suite));
  const Limits& limits = run.limits;
  const bool bounded = limits.mode == Mode::bounded;
  const bool failed = run.result.failure != Failure::none;
  entry["steps"] = shown_steps(entry["steps"]);
  entry["mode"] = mode_name(limits.mode);
  // A search that refutes ends there.
  entry["exhaustive"] = run.result.verdict == Verdict::proved && !bounded;
  entry["bound"] = bounded ? json(limits.preemption_bound) : json(nullptr);
  entry["stale_depth"] = limits.stale_depth;
  entry["spurious"] = limits.spurious;
  entry["timeouts_limit"] = limits.timeouts;
  entry["weak_cas_failures"] = limits.weak_cas_failures;
  entry["thread_start_failures"] = limits.thread_start_failures;
  entry["green"] = run.green;
  entry["why"] = run.why;
  entry["table"] = command.quiet || !failed ? "" : report_table(run.result, command.inner);
  entry["replay"] =
      failed ? replay_line(run.suite.options.name, limits, run.result.replay) : std::string();
  return entry;
}

// The same failure once more, with the lines of the engine that led to each step; else the result
// as it is.
void locate(Run& run) {
  Limits limits = run.limits;
  limits.replay = run.result.replay;
  limits.stacks = true;
  limits.shard = ShardOf{};
  limits.minimize = false;
  const Result again = explore(run.suite.table, limits);
  if (again.failure == run.result.failure && again.replay == run.result.replay) {
    run.result.counterexample() = again.counterexample();
  }
}

Run run_suite(const Suite& suite, const Command& command) {
  Run run{suite, command.limits_of(suite), {}, false, {}};
  run.result = explore_in_processes(suite.table, run.limits, command.jobs_of(suite));
  if (command.shard.count > 1 && run.result.verdict == Verdict::proved) {
    run.result.verdict = Verdict::unknown;
    run.result.reason = "one shard of " + std::to_string(command.shard.count);
  }
  run.green = is_green(suite, run.result, run.why);
  const bool is_read =
      !run.green || command.histories || command.replay || !command.json_file.empty();
  if (is_read && !command.quiet && run.result.verdict == Verdict::refuted &&
      run.result.failure != Failure::crash) {
    locate(run);
    run.green = is_green(suite, run.result, run.why);
  }
  return run;
}

void print(const Run& run, const Command& command) {
  const Result& result = run.result;
  const std::string within =
      run.limits.mode == Mode::bounded && result.verdict == Verdict::proved
          ? " within " + std::to_string(run.limits.preemption_bound) + " preemptions"
          : "";
  std::printf("%s %-58s %s%s%s%s  %" PRIu64 " + %" PRIu64 " executions, %.2f s%s%s\n",
              run.green ? "ok  " : "RED ", run.suite.options.name.c_str(),
              verdict_name(result.verdict), within.c_str(),
              result.failure == Failure::none ? "" : ": ",
              result.failure == Failure::none ? "" : failure_name(result.failure),
              result.executions_complete, result.executions_redundant, result.seconds,
              run.why.empty() ? "" : "\n     ", wrapped(run.why, 5, 115).c_str());
  if (run.limits.mode == Mode::estimate) {
    std::printf("     the plain search: about %.3g executions, standard error %.2g\n",
                result.estimate, result.estimate_error);
  }
  const bool is_shown = command.histories || command.replay || !run.green;
  if (command.quiet) {
  } else if (result.verdict == Verdict::refuted && is_shown) {
    std::printf("%sreplay: --replay '%s'\n", report_table(result, command.inner).c_str(),
                replay_line(run.suite.options.name, run.limits, result.replay).c_str());
  } else if (result.failure == Failure::model_error) {
    std::printf("%s", report_table(result, command.inner).c_str());
  }
  if (command.sites) {
    for (const CallSite& site : result.sites) {
      std::printf("     %-70s %-8s %-8s %s\n", site.name.c_str(), site.order.c_str(),
                  site.failure_order.c_str(), site.object.c_str());
    }
  }
  std::fflush(stdout);
}

void print_listed(const Suite& suite) {
  std::printf("%-58s %-8s %-11s %s:%d\n", suite.options.name.c_str(),
              suite.options.property.c_str(), suite.options.expected.empty() ? "" : "(must fail)",
              base_name(suite.site.file), suite.site.line);
}

bool write(const json& entries, const std::string& file) {
  std::ofstream out(file);
  out << json{{"scenarios", entries}}.dump(2) << "\n";
  out.close();
  if (!out) {
    std::fprintf(stderr, "cannot write %s\n", file.c_str());
  }
  return !out.fail();
}

}  // namespace

int run_suites(int argc, char** argv, Rows rows) {
  const auto parsed = parse_command_line(argc, argv, rows);
  if (const int* const status = std::get_if<int>(&parsed)) {
    return *status;
  }
  const Command& command = std::get<Command>(parsed);
  bool all_green = true;
  json entries = json::array();
  for (const Suite& suite : registered_suites()) {
    if (!command.chooses(suite)) {
      continue;
    }
    if (command.list) {
      print_listed(suite);
      entries.push_back(suite_json(suite));
      continue;
    }
    const Run run = run_suite(suite, command);
    print(run, command);
    entries.push_back(run_json(run, command));
    all_green = all_green && run.green;
  }
  if (entries.empty()) {
    std::fprintf(stderr, "no suite matches\n");
    return 2;
  }
  if (!command.json_file.empty() && !write(entries, command.json_file)) {
    return 2;
  }
  return all_green ? 0 : 1;
}

}  // namespace kstone::model
