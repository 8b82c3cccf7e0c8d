#include "runner/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <regex>
#include <set>
#include <thread>

namespace kstone::model {

namespace {

// A trailing * matches any ending.
bool matches(const std::string& pattern, const std::string& name) {
  return !pattern.empty() && pattern.back() == '*'
             ? name.compare(0, pattern.size() - 1, pattern, 0, pattern.size() - 1) == 0
             : name == pattern;
}

// Options whose text has a form of its own.
struct Texts {
  std::string replay, mode, shard;
  std::vector<std::string> demotions;
  bool no_minimize = false;
};

void add_what(CLI::App& app, Command& command, Texts& texts) {
  app.add_option("suites", command.patterns,
                 "suites to run; all of them by default. A trailing * matches any ending");
  app.add_flag("--list", command.list, "list the suites");
  app.add_flag("--without-large", command.without_large,
               "leave out the suites that take longer than the quick tests may");
  app.add_flag("--sites", command.sites,
               "list the atomic operations that were executed, with their orders");
  app.add_flag("--history", command.histories,
               "print the counter-examples of suites that must fail, too");
  app.add_flag("--inner", command.inner, "print counter-examples with each step inside the worker");
  app.add_flag(
      "--quiet", command.quiet,
      "print no counter-examples; those in the file of --json name no lines of callers then");
  app.add_flag("--no-minimize", texts.no_minimize,
               "do not search for a counter-example with fewer preemptions");
  app.add_flag("--progress", command.progress, "a line on stderr every ten seconds");
  app.add_option("--replay", texts.replay, "the execution of a replay line, with its history");
}

void add_how(CLI::App& app, Command& command, Texts& texts) {
  app.add_option("--mode", texts.mode, "source_sets, sleep_sets, plain, bounded, random, estimate");
  app.add_option("--bound", command.bound, "preemptions; implies --mode bounded")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--max-executions", command.max_executions,
                 "budget; a search that it cuts short is unknown");
  app.add_option("--max-seconds", command.max_seconds, "likewise, for each suite");
  app.add_option(
         "--step-seconds", command.step_seconds,
         "processor time or sleep of one thread between two steps: more is an error; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", command.seed, "of --mode random and estimate");
  app.add_option("--spurious", command.spurious, "spurious wake-ups in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--timeouts", command.timeouts, "timeouts in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--weak-cas-failures", command.weak_cas_failures,
                 "spurious failures of weak compare-exchanges in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--thread-start-failures", command.thread_start_failures,
                 "refused thread creations in one execution")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--keep-retries", command.keep_retries,
               "explore each failed retry, also in suites that leave it to a later look");
  app.add_flag("--exchange-equals", command.exchange_equals,
               "explore also what comes of exchanging threads that a suite declares to be equal");
  app.add_option("--jobs", command.jobs,
                 "processes that share each search; by default as many as there are processors for "
                 "a large suite, and one for the others")
      ->check(CLI::Range(1U, 64U));
  app.add_option("--shard", texts.shard,
                 "i/n: only this part of each search (unknown unless it refutes)");
  app.add_option("--demote", texts.demotions,
                 "SITE=ORDER or SITE/failure=ORDER: weaken one call site");
  app.add_option("--json", command.json_file, "write the results to this file");
}

std::optional<ShardOf> parse_shard(const std::string& text) {
  static const std::regex form(R"((\d{1,6})/(\d{1,6}))");
  std::smatch parts;
  if (!std::regex_match(text, parts, form)) {
    return std::nullopt;
  }
  const ShardOf shard{static_cast<unsigned>(std::stoul(parts[1])),
                      static_cast<unsigned>(std::stoul(parts[2]))};
  return shard.index < shard.count ? std::optional(shard) : std::nullopt;
}

std::optional<Demotion> parse_demotion(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return std::nullopt;
  }
  Demotion demotion{text.substr(0, equals), text.substr(equals + 1)};
  if (const std::size_t slash = demotion.site.rfind("/failure"); slash != std::string::npos) {
    demotion.site.resize(slash);
    demotion.failure_order = true;
  }
  return demotion;
}

// Whether the texts have their forms; else a sentence says which has not.
bool understand(const CLI::App& app, const Texts& texts, Command& command) {
  if (app.count("--replay") != 0) {
    command.replay = parse_replay_line(texts.replay);
    if (!command.replay) {
      std::fprintf(stderr,
                   "not a replay line: '%s'; expected was SUITE;s0,t0,w0,f0,d2;CHOICES with "
                   "numbers, of which d is at most 2, and choices of the digits 0 to 7 and "
                   "letters, or -\n",
                   texts.replay.c_str());
      return false;
    }
  }
  command.mode = parse_mode(texts.mode);
  if (!texts.mode.empty() && !command.mode) {
    std::fprintf(stderr, "no such mode: '%s'; --help lists them\n", texts.mode.c_str());
    return false;
  }
  if (command.mode == Mode::estimate && command.jobs.value_or(1) > 1) {
    std::fprintf(stderr,
                 "--mode estimate with --jobs %u: one process walks; expected was --jobs 1\n",
                 *command.jobs);
    return false;
  }
  command.in_shard = app.count("--shard") != 0;
  if (command.in_shard) {
    const std::optional<ShardOf> shard = parse_shard(texts.shard);
    if (!shard) {
      std::fprintf(stderr, "not a shard: '%s'; expected was i/n with i below n, as in 0/2\n",
                   texts.shard.c_str());
      return false;
    }
    command.shard = *shard;
  }
  for (const std::string& text : texts.demotions) {
    const std::optional<Demotion> demotion = parse_demotion(text);
    if (!demotion) {
      std::fprintf(stderr, "not a demotion: '%s'; expected was SITE=ORDER\n", text.c_str());
      return false;
    }
    command.demotions.push_back(*demotion);
  }
  return true;
}

// Whether each suite has a name of its own, and each pattern a suite; else a sentence says which
// has not.
bool fits_the_suites(const Command& command) {
  std::set<std::string> names;
  for (const Suite& suite : registered_suites()) {
    if (!names.insert(suite.options.name).second) {
      std::fprintf(stderr, "two suites are called '%s'; expected was a name for each\n",
                   suite.options.name.c_str());
      return false;
    }
  }
  for (const std::string& pattern : command.patterns) {
    if (std::none_of(names.begin(), names.end(),
                     [&pattern](const std::string& name) { return matches(pattern, name); })) {
      std::fprintf(stderr, "no suite matches %s\n", pattern.c_str());
      return false;
    }
  }
  return true;
}

}  // namespace

bool Command::chooses(const Suite& suite) const {
  const std::string& name = suite.options.name;
  const bool named = replay ? name == replay->suite
                            : patterns.empty() || std::any_of(patterns.begin(), patterns.end(),
                                                              [&name](const std::string& pattern) {
                                                                return matches(pattern, name);
                                                              });
  return named && !(without_large && suite.options.large);
}

Limits Command::limits_of(const Suite& suite) const {
  Limits limits = suite.options.limits;
  if (replay) {
    replay->put_into(limits);
  }
  if (bound) {
    limits.mode = Mode::bounded;
    limits.preemption_bound = *bound;
  }
  limits.mode = mode.value_or(limits.mode);
  limits.max_executions = max_executions != 0 ? max_executions : limits.max_executions;
  limits.max_seconds = max_seconds > 0 ? max_seconds : limits.max_seconds;
  limits.step_seconds = step_seconds.value_or(limits.step_seconds);
  limits.seed = seed != 0 ? seed : limits.seed;
  limits.spurious = spurious.value_or(limits.spurious);
  limits.timeouts = timeouts.value_or(limits.timeouts);
  limits.weak_cas_failures = weak_cas_failures.value_or(limits.weak_cas_failures);
  limits.thread_start_failures = thread_start_failures.value_or(limits.thread_start_failures);
  limits.retries_forget = limits.retries_forget && !keep_retries;
  limits.exchanges_equals = exchange_equals;
  limits.shard = shard;
  limits.minimize = minimize;
  limits.progress = progress;
  limits.demotions = demotions;
  return limits;
}

unsigned Command::jobs_of(const Suite& suite) const {
  if (replay || in_shard || mode == Mode::estimate) {
    return 1;
  }
  const unsigned by_default =
      suite.options.large ? std::clamp(std::thread::hardware_concurrency(), 1U, 64U) : 1;
  return jobs.value_or(by_default);
}

std::variant<Command, int> parse_command_line(int argc, char** argv, Rows rows) {
  CLI::App app{"Explores the registered scenarios; see model/README.md."};
  Command command;
  command.inner = rows == Rows::all;
  Texts texts;
  add_what(app, command, texts);
  add_how(app, command, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  command.minimize = !texts.no_minimize;
  if (!understand(app, texts, command) || !fits_the_suites(command)) {
    return 2;
  }
  return command;
}

}  // namespace kstone::model
