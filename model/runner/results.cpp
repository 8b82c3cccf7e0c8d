#include "runner/results.h"

#include <string>
#include <utility>

#include "report/names.h"
#include "report/words.h"

namespace kstone::model {

using nlohmann::json;

namespace {

json to_json(const Cover& cover) {
  return {{"event", cover.event}, {"occurred", cover.occurred}, {"absent", cover.absent}};
}

json to_json(const CallSite& site) {
  return {{"site", site.name},
          {"order", site.order},
          {"failure_order", site.failure_order},
          {"object", site.object},
          {"executed", site.executed}};
}

json to_json(const Standing& standing) {
  return {{"lane", standing.thread}, {"text", standing.text}};
}

template <class Entry>
json list(const std::vector<Entry>& entries) {
  json found = json::array();
  for (const Entry& entry : entries) {
    found.push_back(to_json(entry));
  }
  return found;
}

template <class Enumeration>
Enumeration from_name(const std::string& text, const char* (*name)(Enumeration), Enumeration last) {
  for (int i = 0; i < static_cast<int>(last); ++i) {
    if (text == name(static_cast<Enumeration>(i))) {
      return static_cast<Enumeration>(i);
    }
  }
  return last;
}

// The keys that only some operations have.
void put_values(json& object, const HistoryStep& step) {
  const auto put_value = [&](const char* key, std::uint64_t value) {
    object[key] = value;
    if (const std::string words = value_in_words(step.object, value); !words.empty()) {
      object[std::string(key) + "_in_words"] = words;
    }
  };
  const bool is_atomic = !step.order.empty();
  const bool modifies = is_atomic && !step.failed && step.operation != Operation::load &&
                        step.operation != Operation::store;
  if (is_atomic || step.operation == Operation::post || step.operation == Operation::now ||
      step.operation == Operation::advance_clock) {
    put_value("value", step.value);
  }
  if (modifies) {
    put_value("value_after", step.value_after);
  }
  if (is_atomic) {
    object["order"] = step.order;
  }
  if (step.reads_from >= 0) {
    object["reads_from"] = step.reads_from;
  }
  if (!step.others.empty()) {
    object["others"] = step.others;
  }
  for (const auto& [key, holds] : {std::pair{"stale", step.stale},
                                   {"failed", step.failed},
                                   {"spurious", step.spurious},
                                   {"after_wait", step.after_wait}}) {
    if (holds) {
      object[key] = true;
    }
  }
}

HistoryStep step_from(const json& object) {
  HistoryStep step;
  step.thread = object.at("lane");
  step.operation = from_name<Operation>(object.at("operation"), operation_key, Operation::destroy);
  step.object = object.at("object");
  step.value = object.value("value", std::uint64_t{0});
  step.value_after = object.value("value_after", std::uint64_t{0});
  step.order = object.value("order", "");
  step.reads_from = object.value("reads_from", -1);
  step.others = object.value("others", std::vector<int>());
  step.stale = object.value("stale", false);
  step.failed = object.value("failed", false);
  step.spurious = object.value("spurious", false);
  step.after_wait = object.value("after_wait", false);
  step.file = object.value("file", "");
  step.line = object.value("line", 0);
  step.function = object.value("function", "");
  step.own_file = object.value("own_file", "");
  step.own_line = object.value("own_line", 0);
  step.call = object.value("call", "");
  return step;
}

}  // namespace

json step_json(const Result& result, std::size_t index) {
  const HistoryStep& step = result.steps[index];
  json object = {{"index", index},
                 {"lane", step.thread},
                 {"operation", operation_key(step.operation)},
                 {"object", step.object},
                 {"text", step_text(step, result.threads)}};
  put_values(object, step);
  if (step.line != 0) {
    object["file"] = step.file;
    object["line"] = step.line;
    object["function"] = step.function;
  }
  if (step.own_line != 0) {
    object["own_file"] = step.own_file;
    object["own_line"] = step.own_line;
    object["call"] = step.call;
  }
  return object;
}

json shown_steps(const json& steps) {
  constexpr std::size_t shown_first = 200, shown_last = 50;
  if (steps.size() <= shown_first + shown_last) {
    return steps;
  }
  json shown(steps.begin(), steps.begin() + shown_first);
  shown.push_back({{"left_out", steps.size() - shown_first - shown_last}});
  shown.insert(shown.end(), steps.end() - shown_last, steps.end());
  return shown;
}

json to_json(const Result& result) {
  json steps = json::array();
  for (std::size_t i = 0; i < result.steps.size(); ++i) {
    steps.push_back(step_json(result, i));
  }
  return {{"verdict", verdict_name(result.verdict)},
          {"failure", failure_name(result.failure)},
          {"message", result.message},
          {"file", result.file},
          {"line", result.line},
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
          {"lanes", result.threads},
          {"steps", steps},
          {"standing", list(result.standing)},
          {"covers", list(result.covers)},
          {"sites", list(result.sites)},
          {"outcomes", result.outcomes}};
}

Result result_from(const json& object) {
  Result result;
  result.verdict = from_name<Verdict>(object.at("verdict"), verdict_name, Verdict::unknown);
  result.failure = from_name<Failure>(object.at("failure"), failure_name, Failure::model_error);
  result.message = object.at("message");
  result.file = object.at("file");
  result.line = object.at("line");
  result.reason = object.at("reason");
  result.executions_complete = object.at("executions_complete");
  result.executions_redundant = object.at("executions_redundant");
  result.longest_execution = object.at("longest_execution");
  result.preemptions = object.at("preemptions");
  result.fewest_preemptions = object.at("fewest_preemptions");
  result.stale_reads = object.at("stale_reads");
  result.spurious_wakeups = object.at("spurious_wakeups");
  result.timeouts = object.at("timeouts");
  result.estimate = object.at("estimate");
  result.estimate_error = object.at("estimate_error");
  result.seconds = object.at("seconds");
  result.replay = object.at("replay");
  result.threads = object.at("lanes").get<std::vector<std::string>>();
  for (const json& step : object.at("steps")) {
    result.steps.push_back(step_from(step));
  }
  for (const json& standing : object.at("standing")) {
    result.standing.push_back(Standing{standing.at("lane"), standing.at("text")});
  }
  for (const json& cover : object.at("covers")) {
    result.covers.push_back(Cover{cover.at("event"), cover.at("occurred"), cover.at("absent")});
  }
  for (const json& site : object.at("sites")) {
    result.sites.push_back(CallSite{site.at("site"), site.at("order"), site.at("failure_order"),
                                    site.at("object"), site.at("executed")});
  }
  result.outcomes = object.at("outcomes").get<std::vector<std::string>>();
  return result;
}

}  // namespace kstone::model
