#include "runner.h"

#include "report.h"

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

namespace kstone::model {

using nlohmann::json;

namespace {

json to_json(const Result& result) {
  json covers = json::array();
  for (const Cover& cover : result.covers) {
    covers.push_back(
        {{"event", cover.event}, {"occurred", cover.occurred}, {"absent", cover.absent}});
  }
  json sites = json::array();
  for (const CallSite& site : result.sites) {
    sites.push_back({{"site", site.name},
                     {"order", site.order},
                     {"failure_order", site.failure_order},
                     {"object", site.object},
                     {"executed", site.executed}});
  }
  return {{"verdict", verdict_name(result.verdict)},
          {"failure", failure_name(result.failure)},
          {"message", result.message},
          {"reason", result.reason},
          {"executions_complete", result.executions_complete},
          {"executions_redundant", result.executions_redundant},
          {"longest_execution", result.longest_execution},
          {"preemptions", result.preemptions},
          {"fewest_preemptions", result.fewest_preemptions},
          {"stale_reads", result.stale_reads},
          {"spurious_wakeups", result.spurious_wakeups},
          {"timeouts", result.timeouts},
          {"estimate", result.estimate},
          {"estimate_error", result.estimate_error},
          {"seconds", result.seconds},
          {"replay", result.replay},
          {"history", result.history},
          {"standing", result.standing},
          {"covers", covers},
          {"sites", sites},
          {"outcomes", result.outcomes}};
}

template <class Enumeration>
Enumeration from_name(const std::string& text, const char* (*name)(Enumeration), int count) {
  for (int i = 0; i < count; ++i) {
    if (text == name(static_cast<Enumeration>(i))) {
      return static_cast<Enumeration>(i);
    }
  }
  return static_cast<Enumeration>(count - 1);
}

Result from_json(const json& text) {
  Result result;
  result.verdict = from_name<Verdict>(text.at("verdict"), verdict_name, 3);
  result.failure = from_name<Failure>(text.at("failure"), failure_name,
                                      static_cast<int>(Failure::model_error) + 1);
  result.message = text.at("message");
  result.reason = text.at("reason");
  result.executions_complete = text.at("executions_complete");
  result.executions_redundant = text.at("executions_redundant");
  result.longest_execution = text.at("longest_execution");
  result.preemptions = text.at("preemptions");
  result.fewest_preemptions = text.at("fewest_preemptions");
  result.stale_reads = text.at("stale_reads");
  result.spurious_wakeups = text.at("spurious_wakeups");
  result.timeouts = text.at("timeouts");
  result.estimate = text.at("estimate");
  result.estimate_error = text.at("estimate_error");
  result.seconds = text.at("seconds");
  result.replay = text.at("replay");
  result.history = text.at("history");
  result.standing = text.at("standing").get<std::vector<std::string>>();
  for (const json& cover : text.at("covers")) {
    result.covers.push_back(Cover{cover.at("event"), cover.at("occurred"), cover.at("absent")});
  }
  for (const json& site : text.at("sites")) {
    result.sites.push_back(CallSite{site.at("site"), site.at("order"), site.at("failure_order"),
                                    site.at("object"), site.at("executed")});
  }
  result.outcomes = text.at("outcomes").get<std::vector<std::string>>();
  return result;
}

std::uint64_t occurred(const Result& result, const std::string& event) {
  for (const Cover& cover : result.covers) {
    if (cover.event == event) {
      return cover.occurred;
    }
  }
  return 0;
}

json report(const Suite& suite, const Limits& limits, const Result& result, bool green,
            const std::string& why) {
  json entry = to_json(result);
  const bool bounded = limits.mode == Mode::bounded;
  entry["name"] = suite.options.name;
  entry["property"] = suite.options.property;
  entry["requesters"] = suite.options.requesters;
  entry["workers"] = suite.options.workers;
  entry["threads"] = suite.table.threads + suite.table.dynamic_threads;
  entry["mode"] = mode_name(limits.mode);
  // A search that refutes ends there.
  entry["exhaustive"] = result.verdict == Verdict::proved && !bounded;
  entry["bound"] = bounded ? json(limits.preemption_bound) : json(nullptr);
  entry["stale_depth"] = limits.stale_depth;
  entry["spurious"] = limits.spurious;
  entry["timeouts_limit"] = limits.timeouts;
  entry["weak_cas_failures"] = limits.weak_cas_failures;
  entry["thread_start_failures"] = limits.thread_start_failures;
  entry["must_fail"] = !suite.options.expected.empty();
  entry["green"] = green;
  entry["why"] = why;
  entry["fallback"] = suite.options.fallback;
  return entry;
}

// "name;s1,t0,w0,f0;choices": what one execution needs to come about again.
std::string replay_line(const std::string& name, const Limits& limits, const std::string& choices) {
  std::ostringstream line;
  line << name << ";s" << limits.spurious << ",t" << limits.timeouts << ",w"
       << limits.weak_cas_failures << ",f" << limits.thread_start_failures << ",d"
       << limits.stale_depth << ";" << (choices.empty() ? "-" : choices);
  return line.str();
}

bool parse_replay_line(const std::string& line, std::string& name, Limits& limits) {
  static const std::regex form(
      R"(([^;]+);s(\d{1,9}),t(\d{1,9}),w(\d{1,9}),f(\d{1,9}),d([0-2]);(-|[0-7a-z]+))");
  std::smatch parts;
  if (!std::regex_match(line, parts, form)) {
    return false;
  }
  const auto number = [&parts](std::size_t part) {
    return static_cast<std::uint32_t>(std::stoul(parts[part]));
  };
  name = parts[1];
  limits.spurious = number(2);
  limits.timeouts = number(3);
  limits.weak_cas_failures = number(4);
  limits.thread_start_failures = number(5);
  limits.stale_depth = number(6);
  limits.replay = parts[7];
  return true;
}

bool parse_shard(const std::string& text, ShardOf& shard) {
  static const std::regex form(R"((\d{1,6})/(\d{1,6}))");
  std::smatch parts;
  if (!std::regex_match(text, parts, form)) {
    return false;
  }
  shard = ShardOf{static_cast<unsigned>(std::stoul(parts[1])),
                  static_cast<unsigned>(std::stoul(parts[2]))};
  return shard.index < shard.count;
}

// The name that two suites have; empty if there is none.
std::string name_of_two(const std::vector<Suite>& suites) {
  std::set<std::string> names;
  for (const Suite& suite : suites) {
    if (!names.insert(suite.options.name).second) {
      return suite.options.name;
    }
  }
  return {};
}

// A trailing * matches any ending.
bool matches(const std::string& pattern, const std::string& name) {
  return !pattern.empty() && pattern.back() == '*'
             ? name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0
             : name == pattern;
}

// How results are printed.
struct Shown {
  bool histories = false;  // of suites that must fail, too
  bool inner = false;      // with the steps inside the worker
  bool none = false;       // no history at all: a program reads the JSON
};

// The same failure once more, with the lines of the engine that led to each step; else the result
// as it is.
void locate(const ScenarioTable& table, Limits limits, Result& result) {
  limits.replay = result.replay;
  limits.stacks = true;
  limits.shard = ShardOf{};
  limits.minimize = false;
  const Result again = explore(table, limits);
  if (again.failure != result.failure || again.replay != result.replay) {
    return;
  }
  result.message = again.message;
  result.history = again.history;
  result.threads = again.threads;
  result.steps = again.steps;
  result.standing = again.standing;
}

void print(const Suite& suite, const Limits& limits, const Result& result, bool green,
           const std::string& why, Shown shown) {
  const std::string within =
      limits.mode == Mode::bounded && result.verdict == Verdict::proved
          ? " within " + std::to_string(limits.preemption_bound) + " preemptions"
          : "";
  std::printf("%s %-58s %s%s%s%s  %" PRIu64 " + %" PRIu64 " executions, %.2f s%s%s\n",
              green ? "ok  " : "RED ", suite.options.name.c_str(), verdict_name(result.verdict),
              within.c_str(), result.failure == Failure::none ? "" : ": ",
              result.failure == Failure::none ? "" : failure_name(result.failure),
              result.executions_complete, result.executions_redundant, result.seconds,
              why.empty() ? "" : "\n     ", wrapped(why, 5, 115).c_str());
  if (limits.mode == Mode::estimate) {
    std::printf("     the plain search: about %.3g executions, standard error %.2g\n",
                result.estimate, result.estimate_error);
  }
  if (shown.none) {
  } else if (result.verdict == Verdict::refuted && (shown.histories || !green)) {
    std::printf("%sreplay: --replay '%s'\n", report_table(result, shown.inner).c_str(),
                replay_line(suite.options.name, limits, result.replay).c_str());
  } else if (result.failure == Failure::model_error) {
    std::printf("%s", report_table(result, shown.inner).c_str());
  }
  std::fflush(stdout);
}

}  // namespace

std::vector<Suite>& registered_suites() {
  static std::vector<Suite> suites;
  return suites;
}

Registered::Registered(Suite suite) { registered_suites().push_back(std::move(suite)); }

bool is_green(const Suite& suite, const Result& result, std::string& why) {
  const SuiteOptions& options = suite.options;
  why.clear();
  if (!options.expected.empty()) {
    if (result.verdict != Verdict::refuted ||
        std::find(options.expected.begin(), options.expected.end(), result.failure) ==
            options.expected.end()) {
      why = std::string("must fail: ") + failure_name(options.expected.front()) + " was expected";
      why += result.verdict == Verdict::unknown ? "; unknown: " + result.reason : "";
    } else if (result.message.find(options.because) == std::string::npos) {
      why = "must fail for another reason: '" + options.because + "' was expected, not '" +
            result.message + "'";
    }
    return why.empty();
  }
  if (result.verdict != Verdict::proved) {
    why = result.verdict == Verdict::unknown ? "unknown: " + result.reason : result.message;
    return false;
  }
  for (const std::string& event : options.sometimes) {
    const std::uint64_t count = occurred(result, event);
    if (count == 0 || count == result.executions_complete) {
      why += (why.empty() ? "" : "; ") + std::string("'") + event + "' occurred in " +
             (count == 0 ? "no execution" : "every execution");
    }
  }
  for (const std::string& event : options.always) {
    if (occurred(result, event) != result.executions_complete) {
      why += (why.empty() ? "" : "; ") + std::string("'") + event +
             "' did not occur in every execution";
    }
  }
  for (const std::string& event : options.never) {
    if (occurred(result, event) != 0) {
      why += (why.empty() ? "" : "; ") + std::string("'") + event + "' occurred";
    }
  }
  if (result.executions_complete == 0) {
    why = "no execution";
  }
  return why.empty();
}

Result explore_in_processes(const ScenarioTable& table, const Limits& limits, unsigned jobs) {
  if (jobs <= 1) {
    return explore(table, limits);
  }
  std::fflush(nullptr);
  std::vector<pid_t> children;
  std::vector<int> pipes;
  for (unsigned i = 0; i < jobs; ++i) {
    int ends[2];
    if (pipe(ends) != 0) {
      break;
    }
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      Limits part = limits;
      part.shard = ShardOf{i, jobs};
      part.seed += i;  // at random, nothing is shared
      part.max_executions =
          limits.max_executions / jobs + (i < limits.max_executions % jobs ? 1 : 0);
      const std::string text = to_json(explore(table, part)).dump();
      for (std::size_t sent = 0; sent < text.size();) {
        const ssize_t count = write(ends[1], text.data() + sent, text.size() - sent);
        if (count <= 0) {
          _exit(1);
        }
        sent += static_cast<std::size_t>(count);
      }
      _exit(0);
    }
    close(ends[1]);
    children.push_back(child);
    pipes.push_back(ends[0]);
  }
  std::vector<Result> results;
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    std::string text;
    char buffer[65536];
    for (ssize_t count = 0; (count = read(pipes[i], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(count));
    }
    close(pipes[i]);
    int status = 0;
    waitpid(children[i], &status, 0);
    const json parsed = json::parse(text, nullptr, false);
    if (status == 0 && !parsed.is_discarded()) {
      results.push_back(from_json(parsed));
    }
  }
  const bool all = results.size() == jobs;
  Result merged = merge(results);
  if (!all && merged.verdict != Verdict::refuted) {
    merged.verdict = Verdict::unknown;
    merged.reason = "a shard is missing";
  }
  return merged;
}

int run_suites(int argc, char** argv, Rows rows) {
  CLI::App app{"Explores the registered scenarios; see model/README.md."};
  bool without_large = false;
  Shown shown;
  shown.inner = rows == Rows::all;
  bool list = false, sites = false, history = false, no_minimize = false, progress = false;
  std::vector<std::string> names, demotions;
  std::string replay, mode, json_file, shard;
  std::uint64_t max_executions = 0, seed = 0;
  double max_seconds = 0, step_seconds = -1;
  int bound = -1, spurious = -1, timeouts = -1, weak = -1, refused = -1;
  unsigned jobs = 1;
  app.add_option("suites", names,
                 "suites to run; all of them by default. A trailing * matches any ending");
  app.add_flag("--list", list, "list the suites");
  app.add_flag("--without-large", without_large,
               "leave out the suites that take longer than the quick tests may");
  app.add_flag("--sites", sites,
               "list the atomic operations that were executed, with their orders");
  app.add_flag("--history", history, "print the counter-examples of suites that must fail, too");
  app.add_flag("--inner", shown.inner, "print counter-examples with each step inside the worker");
  app.add_flag(
      "--quiet", shown.none,
      "print no counter-examples; those in the file of --json name no lines of callers then");
  app.add_flag("--no-minimize", no_minimize,
               "do not search for a counter-example with fewer preemptions");
  app.add_flag("--progress", progress, "a line on stderr every ten seconds");
  app.add_option("--replay", replay, "the execution of a replay line, with its history");
  app.add_option("--mode", mode, "source_sets, sleep_sets, plain, bounded, random, estimate");
  app.add_option("--bound", bound, "preemptions; implies --mode bounded")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-executions", max_executions,
                 "budget; a search that it cuts short is unknown");
  app.add_option("--max-seconds", max_seconds, "likewise, for each suite");
  app.add_option(
         "--step-seconds", step_seconds,
         "processor time or sleep of one thread between two steps: more is an error; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", seed, "of --mode random and estimate");
  app.add_option("--spurious", spurious, "spurious wake-ups in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--timeouts", timeouts, "timeouts in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--weak-cas-failures", weak,
                 "spurious failures of weak compare-exchanges in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--thread-start-failures", refused, "refused thread creations in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--jobs", jobs, "processes that share each search")->check(CLI::Range(1U, 64U));
  app.add_option("--shard", shard,
                 "i/n: only this part of each search (unknown unless it refutes)");
  app.add_option("--demote", demotions, "SITE=ORDER or SITE/failure=ORDER: weaken one call site");
  app.add_option("--json", json_file, "write the results to this file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  Limits overrides;
  std::string replay_name;
  if (app.count("--replay") != 0 && !parse_replay_line(replay, replay_name, overrides)) {
    std::fprintf(stderr,
                 "not a replay line: '%s'; expected was SUITE;s0,t0,w0,f0,d2;CHOICES with numbers, "
                 "of which d is at most 2, and "
                 "choices of the digits 0 to 7 and letters, or -\n",
                 replay.c_str());
    return 2;
  }
  const std::optional<Mode> chosen_mode = parse_mode(mode);
  if (!mode.empty() && !chosen_mode) {
    std::fprintf(stderr, "no such mode: '%s'; --help lists them\n", mode.c_str());
    return 2;
  }
  if (chosen_mode == Mode::estimate && jobs > 1) {
    std::fprintf(
        stderr, "--mode estimate with --jobs %u: one process walks; expected was --jobs 1\n", jobs);
    return 2;
  }
  ShardOf part;
  if (app.count("--shard") != 0 && !parse_shard(shard, part)) {
    std::fprintf(stderr, "not a shard: '%s'; expected was i/n with i below n, as in 0/2\n",
                 shard.c_str());
    return 2;
  }
  if (const std::string twice = name_of_two(registered_suites()); !twice.empty()) {
    std::fprintf(stderr, "two suites are called '%s'; expected was a name for each\n",
                 twice.c_str());
    return 2;
  }
  std::vector<Demotion> weaker;
  for (const std::string& text : demotions) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      std::fprintf(stderr, "not a demotion: '%s'; expected was SITE=ORDER\n", text.c_str());
      return 2;
    }
    Demotion demotion{text.substr(0, equals), text.substr(equals + 1)};
    if (const std::size_t slash = demotion.site.rfind("/failure"); slash != std::string::npos) {
      demotion.site.resize(slash);
      demotion.failure_order = true;
    }
    weaker.push_back(demotion);
  }

  const auto chosen = [&names](const std::string& name) {
    return names.empty() ||
           std::any_of(names.begin(), names.end(),
                       [&name](const std::string& pattern) { return matches(pattern, name); });
  };
  for (const std::string& pattern : names) {
    const auto& known = registered_suites();
    if (std::none_of(known.begin(), known.end(), [&pattern](const Suite& suite) {
          return matches(pattern, suite.options.name);
        })) {
      std::fprintf(stderr, "no suite matches %s\n", pattern.c_str());
      return 2;
    }
  }
  bool all_green = true;
  std::size_t ran = 0;
  json scenarios = json::array();
  for (const Suite& suite : registered_suites()) {
    if (!replay_name.empty() ? suite.options.name != replay_name : !chosen(suite.options.name)) {
      continue;
    }
    if (without_large && suite.options.large) {
      continue;
    }
    ++ran;
    if (list) {
      std::printf("%-58s %s%s\n", suite.options.name.c_str(), suite.options.property.c_str(),
                  suite.options.expected.empty() ? "" : " (must fail)");
      continue;
    }
    Limits limits = suite.options.limits;
    if (!replay_name.empty()) {
      limits.spurious = overrides.spurious;
      limits.timeouts = overrides.timeouts;
      limits.weak_cas_failures = overrides.weak_cas_failures;
      limits.thread_start_failures = overrides.thread_start_failures;
      limits.stale_depth = overrides.stale_depth;
      limits.replay = overrides.replay;
    }
    if (bound >= 0) {
      limits.mode = Mode::bounded;
      limits.preemption_bound = static_cast<std::uint32_t>(bound);
    }
    limits.mode = chosen_mode.value_or(limits.mode);
    limits.max_executions = max_executions != 0 ? max_executions : limits.max_executions;
    limits.max_seconds = max_seconds > 0 ? max_seconds : limits.max_seconds;
    limits.step_seconds = step_seconds >= 0 ? step_seconds : limits.step_seconds;
    limits.seed = seed != 0 ? seed : limits.seed;
    limits.spurious = spurious >= 0 ? static_cast<std::uint32_t>(spurious) : limits.spurious;
    limits.timeouts = timeouts >= 0 ? static_cast<std::uint32_t>(timeouts) : limits.timeouts;
    limits.weak_cas_failures =
        weak >= 0 ? static_cast<std::uint32_t>(weak) : limits.weak_cas_failures;
    limits.thread_start_failures =
        refused >= 0 ? static_cast<std::uint32_t>(refused) : limits.thread_start_failures;
    limits.shard = part;
    limits.minimize = !no_minimize;
    limits.progress = progress;
    limits.demotions = weaker;

    Result result =
        explore_in_processes(suite.table, limits, replay_name.empty() && shard.empty() ? jobs : 1);
    if (part.count > 1 && result.verdict == Verdict::proved) {
      result.verdict = Verdict::unknown;
      result.reason = "one shard of " + std::to_string(part.count);
    }
    shown.histories = history || !replay_name.empty();
    std::string why;
    bool green = is_green(suite, result, why);
    const bool is_read = !green || shown.histories || !json_file.empty();
    if (is_read && !shown.none && result.verdict == Verdict::refuted &&
        result.failure != Failure::crash) {
      locate(suite.table, limits, result);
      green = is_green(suite, result, why);
    }
    all_green = all_green && green;
    print(suite, limits, result, green, why, shown);
    if (sites) {
      for (const CallSite& site : result.sites) {
        std::printf("     %-70s %-8s %-8s %s\n", site.name.c_str(), site.order.c_str(),
                    site.failure_order.c_str(), site.object.c_str());
      }
    }
    scenarios.push_back(report(suite, limits, result, green, why));
    scenarios.back()["table"] =
        shown.none || result.failure == Failure::none ? "" : report_table(result, shown.inner);
    scenarios.back()["replay"] = result.failure == Failure::none
                                     ? ""
                                     : replay_line(suite.options.name, limits, result.replay);
  }
  if (ran == 0) {
    std::fprintf(stderr, "no suite matches\n");
    return 2;
  }
  if (!json_file.empty()) {
    std::ofstream out(json_file);
    out << json{{"scenarios", scenarios}}.dump(2) << "\n";
    out.close();
    if (!out) {
      std::fprintf(stderr, "cannot write %s\n", json_file.c_str());
      return 2;
    }
  }
  return all_green ? 0 : 1;
}

}  // namespace kstone::model
