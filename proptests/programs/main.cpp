// Draws programs, explores each, and asks the reference to explain every history. README.md says
// what that means.

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "answers.h"
#include "execution.h"
#include "explanation.h"
#include "generate.h"
#include "report/table.h"
#include "runner/results.h"

namespace rc {
template <>
struct Arbitrary<kstone::programs::Program> {
  static Gen<kstone::programs::Program> arbitrary() { return kstone::programs::any_program(); }
};
}  // namespace rc

namespace kstone::programs {

void showValue(const Program& program, std::ostream& out) { out << program.text(); }

namespace {

using nlohmann::json;

struct Options {
  std::uint64_t programs = 200;
  std::uint64_t seed = 1;
  std::uint64_t budget = 50000;
  unsigned jobs = 1;
  unsigned seconds = 120;  // for one program: more is taken for a worker that does not end
  std::string sync = "RelacySync";
  bool must_fail = false;
  bool no_shrink = false;
  bool all_answers = false;
  bool meets_all = false;
};

// -- One program ----------------------------------------------------------------------------------

// What became of a program: complete, cut short by the budget, or failed.
json judge(const Program& program, const Policy& policy, model::Limits limits) {
  program_ = &program;
  forbidden_ = nullptr;
  const auto table = policy.table(program);
  std::set<std::string> answers;
  model::Result result = model::explore(table, limits);
  for (std::size_t i = 0; i < std::size(met_); ++i) {
    if (met_[i]) {
      answers.insert(names_of_met[i]);
    }
  }
  const auto executions = result.executions_complete + result.executions_redundant;
  const auto histories = result.outcomes.size();
  const bool complete = result.verdict == model::Verdict::proved;
  if (result.failure == model::Failure::none) {
    const auto outcomes = std::move(result.outcomes);
    for (const auto& text : outcomes) {
      const auto history = decode(text);
      add_answers(program, history, answers);
      if (!is_explained(program, history)) {
        forbidden_ = &text;
        result = model::explore(table, limits);  // for its interleaving
        result.standing = answered(program, history, result.threads);
        break;
      }
    }
  }
  result.outcomes.clear();  // there may be many, and no text
  json found = model::to_json(result);
  found.update({{"complete", complete},
                {"failed", result.failure != model::Failure::none},
                {"executions", executions},
                {"histories", histories},
                {"answers", answers}});
  return found;
}

// In a process of its own: what Relacy loses goes with it, and a worker that crashes or never ends
// is a failure like others.
json judge_apart(const Program& program, const Policy& policy, const model::Limits& limits,
                 unsigned seconds) {
  int ends[2];
  std::fflush(nullptr);
  if (pipe(ends) != 0) {
    throw std::runtime_error("no pipe");
  }
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    alarm(seconds);
    // What it throws ends this process: somebody outside would catch it, and go on as another.
    const std::string text = [&]() noexcept {
      return judge(program, policy, limits).dump(-1, ' ', false, json::error_handler_t::replace);
    }();
    for (std::size_t sent = 0; sent < text.size();) {
      const auto count = write(ends[1], text.data() + sent, text.size() - sent);
      if (count <= 0) {
        _exit(1);
      }
      sent += static_cast<std::size_t>(count);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[65536];
  for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  json result = json::parse(text, nullptr, false);
  if (status != 0 || result.is_discarded()) {
    const bool hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    result = {{"complete", false},
              {"failed", true},
              {"failure", hung ? "hang" : "crash"},
              {"message", hung ? "no end within the time limit"
                               : "the process ended with status " + std::to_string(status)},
              {"executions", 0},
              {"histories", 0},
              {"answers", json::array()},
              {"replay", ""}};
  }
  return result;
}

// -- Many programs --------------------------------------------------------------------------------

json nothing_yet() {
  return {{"programs", 0},
          {"programs_complete", 0},
          {"programs_nontrivial", 0},
          {"programs_holding_back", 0},
          {"programs_real_time", 0},
          {"executions", 0},
          {"histories", 0},
          {"histogram", json::object()},
          {"answers", json::object()},
          {"failed", json::array()}};
}

void add_row(json& row, int programs, int complete) {
  if (row.is_null()) {
    row = {{"programs", 0}, {"complete", 0}};
  }
  row = {{"programs", row["programs"].get<int>() + programs},
         {"complete", row["complete"].get<int>() + complete}};
}

void add(json& total, const Program& program, const json& result) {
  const auto count = [&](const char* key, std::uint64_t more) {
    total[key] = total[key].get<std::uint64_t>() + more;
  };
  const bool complete = result["complete"];
  count("programs", 1);
  count("programs_complete", complete);
  count("programs_nontrivial", complete && program.non_trivial());
  count("programs_holding_back", complete && program.kinds_of_holding_back() >= 2);
  count("programs_real_time", complete && program.real_time);
  count("executions", result["executions"]);
  count("histories", result["histories"]);
  for (const std::string answer : result["answers"]) {
    // Programs in which it occurred.
    total["answers"][answer] = total["answers"].value(answer, 0) + 1;
  }
  const auto size = std::to_string(program.threads.size()) + " threads " +
                    std::to_string(program.calls_of_threads()) + " calls";
  add_row(total["histogram"][size], 1, complete);
}

model::Limits limits_of(const Program& program, const Options& options) {
  auto limits = program.limits();
  limits.max_executions = options.budget;
  limits.step_seconds = 0;  // --seconds is the limit here
  return limits;
}

// A process that ended badly has no counter-example.
bool has_steps(const json& result) { return result.contains("steps"); }

void print_failure(const Program& program, const json& result) {
  std::printf(
      "RED  %s\n     %s: %s\n%sreplay: --program '%s' --replay '%s'%s\n", program.text().c_str(),
      result["failure"].get<std::string>().c_str(), result["message"].get<std::string>().c_str(),
      has_steps(result) ? model::report_table(model::result_from(result), true).c_str() : "",
      program.text().c_str(), result["replay"].get<std::string>().c_str(),
      result.value("replayed", true) ? "" : " (which does not fail)");
  std::fflush(stdout);
}

// What the results keep of a failure: its counter-example as model/README.md has it.
json failure_json(const Program& program, const json& result) {
  json entry = {{"program", program.text()}};
  for (const auto* const key :
       {"failure", "message", "file", "line", "lanes", "standing", "preemptions", "replay"}) {
    if (result.contains(key)) {
      entry[key] = result[key];
    }
  }
  if (has_steps(result)) {
    entry["steps"] = model::shown_steps(result["steps"]);
  }
  return entry;
}

// Whether the replay line, read as a user would give it, leads to the same failure.
bool replays(const Program& program, const Policy& policy, model::Limits limits,
             const Options& options, const json& failure) {
  limits.replay = failure["replay"];
  const auto parsed = Program::parse(program.text());
  return !limits.replay.empty() && parsed &&
         judge_apart(*parsed, policy, limits, options.seconds)["message"] == failure["message"];
}

// The share of one process: programs until the first that fails, which is shrunk.
json run_share(const Options& options, const Policy& policy, std::uint64_t programs,
               std::uint64_t seed) {
  json total = nothing_yet();
  Program smallest;
  json failure;
  rc::detail::TestParams params;
  params.seed = seed;
  params.maxSuccess = static_cast<int>(programs);
  params.disableShrinking = options.no_shrink;
  rc::detail::TestMetadata metadata;
  metadata.id = "programs";
  const auto outcome = rc::detail::checkTestable(
      [&](const Program& program) {
        const auto result =
            judge_apart(program, policy, limits_of(program, options), options.seconds);
        if (failure.is_null()) {
          add(total, program, result);
        }
        if (result["failed"]) {
          // RapidCheck goes on only from what fails, so the last is the smallest.
          smallest = program;
          failure = result;
          RC_FAIL(result["message"].get<std::string>());
        }
      },
      metadata, params);
  if (!failure.is_null()) {
    auto limits = limits_of(smallest, options);
    limits.minimize = !options.no_shrink;
    limits.minimize_executions = options.budget;
    auto shown = judge_apart(smallest, policy, limits, options.seconds);
    if (!shown["failed"]) {
      shown = failure;
    }
    shown["replayed"] = replays(smallest, policy, limits, options, shown);
    print_failure(smallest, shown);
    json entry = failure_json(smallest, shown);
    entry["replayed"] = shown["replayed"];
    entry["programs_until"] = total["programs"];
    total["failed"].push_back(entry);
  } else if (!outcome.is<rc::detail::SuccessResult>()) {
    std::ostringstream text;
    rc::detail::printResultMessage(outcome, text);
    total["failed"].push_back(
        {{"program", ""}, {"failure", "no program"}, {"message", text.str()}});
  }
  return total;
}

json merge(const std::vector<json>& shares) {
  json total = nothing_yet();
  for (const auto& share : shares) {
    for (const auto& [key, value] : share.items()) {
      if (key == "failed") {
        total[key].insert(total[key].end(), value.begin(), value.end());
      } else if (key == "histogram") {
        for (const auto& [size, row] : value.items()) {
          add_row(total[key][size], row["programs"], row["complete"]);
        }
      } else if (key == "answers") {
        for (const auto& [answer, programs] : value.items()) {
          total[key][answer] = total[key].value(answer, 0) + programs.get<int>();
        }
      } else {
        total[key] = total[key].get<std::uint64_t>() + value.get<std::uint64_t>();
      }
    }
  }
  return total;
}

json run_all(const Options& options, const Policy& policy) {
  std::vector<pid_t> children;
  std::vector<std::FILE*> files;
  for (unsigned i = 0; i < options.jobs; ++i) {
    std::FILE* const file = std::tmpfile();
    std::fflush(nullptr);
    const auto share =
        options.programs / options.jobs + (i < options.programs % options.jobs ? 1 : 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto text = run_share(options, policy, share, options.seed * 1000 + i).dump();
      const bool written =
          std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
      std::fflush(nullptr);
      _exit(written ? 0 : 1);
    }
    children.push_back(child);
    files.push_back(file);
  }
  std::vector<json> shares;
  for (std::size_t i = 0; i < children.size(); ++i) {
    int status = 0;
    waitpid(children[i], &status, 0);
    std::rewind(files[i]);
    json share = json::parse(files[i], nullptr, false);
    std::fclose(files[i]);
    if (status != 0 || share.is_discarded()) {
      share = nothing_yet();
      share["failed"].push_back({{"program", ""},
                                 {"failure", "crash"},
                                 {"message", "a share of the programs is missing"}});
    }
    shares.push_back(share);
  }
  return merge(shares);
}

// In how many programs each step of observed_sync.h occurred; true if each did in one.
bool print_met(const json& answers) {
  bool all = true;
  for (const char* const name : names_of_met) {
    const auto programs = answers.is_object()
                              ? answers.value(name, 0)
                              : static_cast<int>(std::count(answers.begin(), answers.end(), name));
    std::printf("%s: %d programs\n", name, programs);
    all = all && programs != 0;
  }
  return all;
}

// Whether the program fails by the policy or the planted fault, and on the worker as it is does
// not.
bool fails(const Options& options, const Policy& policy, const Program& program,
           const model::Limits& limits) {
  const auto& all = Policy::all();
  const auto as_it_is = std::find_if(
      all.begin(), all.end(), [](const Policy& each) { return each.name == Options().sync; });
  const auto planted = std::exchange(planted_, Planted::none);
  const auto right = judge_apart(program, *as_it_is, limits, options.seconds);
  planted_ = planted;
  const auto wrong = judge_apart(program, policy, limits, options.seconds);
  if (wrong["failed"]) {
    print_failure(program, wrong);
  }
  std::printf("as it is: %s\n", right["complete"] ? "complete" : "FAILED, OR NOT COMPLETE");
  return right["complete"] && wrong["failed"];
}

int run_one(const Options& options, const Policy& policy, const std::string& text,
            const std::string& replay) {
  const auto program = Program::parse(text);
  if (!program) {
    std::fprintf(stderr, "not a program: %s\n", text.c_str());
    return 2;
  }
  auto limits = limits_of(*program, options);
  limits.minimize = true;
  limits.minimize_executions = options.budget;
  limits.replay = replay;
  if (options.must_fail) {
    return fails(options, policy, *program, limits) ? 0 : 1;
  }
  const auto result = judge_apart(*program, policy, limits, options.seconds);
  if (result["failed"]) {
    print_failure(*program, result);
  } else {
    std::printf("%s: %" PRIu64 " executions, %" PRIu64 " histories\n",
                result["complete"] ? "complete" : "not complete",
                result["executions"].get<std::uint64_t>(),
                result["histories"].get<std::uint64_t>());
  }
  const bool met = !replay.empty() || print_met(result["answers"]) || !options.meets_all;
  return result["failed"] || (replay.empty() && !result["complete"]) || !met ? 1 : 0;
}

int run(int argc, char** argv) {
  Options options;
  std::string json_file, text, replay, planted = "none";
  CLI::App app{"Generated concurrent programs; see proptests/programs/README.md."};
  app.add_option("--programs", options.programs, "how many");
  app.add_option("--seed", options.seed, "of what is drawn");
  app.add_option("--budget", options.budget,
                 "executions of one program; one that needs more is not complete");
  app.add_option("--jobs", options.jobs, "processes");
  app.add_option("--seconds", options.seconds, "for one program");
  app.add_option("--json", json_file, "write the results to this file");
  app.add_option("--sync", options.sync, "a policy of model/worker/broken_sync.h");
  app.add_option("--planted", planted, "a fault of held_back.h");
  app.add_flag("--must-fail", options.must_fail,
               "green if some program fails, and its replay line fails alike");
  app.add_flag("--no-shrink", options.no_shrink, "the first program that fails, as it was drawn");
  app.add_flag("--all-answers", options.all_answers, "red if some answer never occurred");
  app.add_flag("--meets-all", options.meets_all,
               "red if some step of observed_sync.h was never met");
  app.add_option("--program", text, "one program, as the text of another run gives it");
  app.add_option("--replay", replay, "one execution of it");
  CLI11_PARSE(app, argc, argv);
  const auto fault = planted_named(planted);
  if (!fault) {
    std::fprintf(stderr, "no such fault\n");
    return 2;
  }
  planted_ = *fault;
  const auto& policies = Policy::all();
  const auto policy = std::find_if(policies.begin(), policies.end(),
                                   [&](const Policy& each) { return options.sync == each.name; });
  if (policy == policies.end() || options.jobs == 0 || options.programs < options.jobs) {
    std::fprintf(stderr, "no such policy, or fewer programs than processes\n");
    return 2;
  }
  if (!text.empty()) {
    return run_one(options, *policy, text, replay);
  }
  json total = run_all(options, *policy);
  if (options.all_answers && total["failed"].empty()) {
    for (const auto& answer : all_answers()) {
      if (!total["answers"].contains(answer)) {
        std::printf("RED  no program saw `%s`\n", answer.c_str());
        total["failed"].push_back({{"program", ""}, {"failure", "never"}, {"message", answer}});
      }
    }
  }
  const bool failed = !total["failed"].empty();
  std::printf(
      "%s: seed %" PRIu64
      ", %s programs, %s complete, %s of them not trivial, %s that hold stripes back in two "
      "ways; %s executions, %s histories\n",
      failed ? "failed" : "all explained", options.seed, total["programs"].dump().c_str(),
      total["programs_complete"].dump().c_str(), total["programs_nontrivial"].dump().c_str(),
      total["programs_holding_back"].dump().c_str(), total["executions"].dump().c_str(),
      total["histories"].dump().c_str());
  const bool met = print_met(total["answers"]) || !options.meets_all;
  if (!json_file.empty()) {
    std::ofstream(json_file) << total.dump(1) << "\n";
  }
  const bool shown = std::all_of(total["failed"].begin(), total["failed"].end(),
                                 [](const json& each) { return each.value("replayed", false); });
  return options.must_fail ? (failed && shown ? 0 : 1) : (failed || !met ? 1 : 0);
}

}  // namespace
}  // namespace kstone::programs

int main(int argc, char** argv) { return kstone::programs::run(argc, argv); }
