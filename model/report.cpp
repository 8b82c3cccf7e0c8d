#include "report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "runner.h"

namespace kstone::model {

namespace {

constexpr std::size_t column_width = 42;

const char* base_name(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

std::string number(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 1000 ? "%" PRIu64 : "0x%" PRIx64, value);
  return text;
}

using Words = std::string (*)(std::uint64_t);

std::map<std::string, Words>& words_of_values() {
  static std::map<std::string, Words> words;
  return words;
}

std::string value_text(const ReportEvent& event, std::uint64_t value) {
  const auto found = words_of_values().find(event.object_name == nullptr ? "" : event.object_name);
  return found == words_of_values().end() ? number(value) : found->second(value);
}

std::string object_name(const ReportEvent& event) {
  char text[64];
  report_object_name(event.kind, event.object_name, event.object, text, sizeof text);
  return text;
}

std::string source(const ReportEvent& event) {
  std::string text;
  if (event.read_from >= 0) {
    text = " from #" + std::to_string(event.read_from);
  }
  return text + (event.stale ? " STALE" : "");
}

std::string woken(std::uint64_t threads, int application_threads) {
  std::string text;
  for (int i = 0; i < 32; ++i) {
    if ((threads >> i & 1) != 0) {
      text += std::string(" ") + report_thread_name(i, application_threads).text;
    }
  }
  return text.empty() ? ": nobody sleeps" : ": wakes" + text;
}

std::string describe(const ReportEvent& event, int application_threads) {
  const std::string name = object_name(event);
  const std::string order = std::string(" ") + report_order_name(event.order);
  const std::string operation = operation_name(event.operation);
  switch (event.operation) {
    case Operation::load:
      return name + " -> " + value_text(event, event.value) + order + source(event);
    case Operation::store:
      return name + " = " + value_text(event, event.value) + order;
    case Operation::exchange:
    case Operation::fetch_add:
    case Operation::fetch_sub:
    case Operation::fetch_or:
    case Operation::fetch_and:
    case Operation::fetch_xor:
      return name + "." + operation + " " + value_text(event, event.value) + " => " + value_text(event, event.value_after) +
             order + source(event);
    case Operation::compare_exchange_weak:
    case Operation::compare_exchange_strong:
      return name + ".CAS " + value_text(event, event.value) +
             (event.failed ? (event.spurious ? " fails spuriously" : " fails") : " => " + value_text(event, event.value_after)) +
             order + source(event);
    case Operation::lock:
      return (event.after_wait ? "wakes, locks " : "lock ") + name;
    case Operation::unlock:
      return "unlock " + name;
    case Operation::wait:
      return "sleeps on " + name;
    case Operation::leave_wait:
      return name + (event.spurious ? ": wakes spuriously" : ": times out");
    case Operation::notify_one:
    case Operation::notify_all:
      return name + "." + operation + woken(event.value, application_threads);
    case Operation::post:
      return name + ".post(" + number(event.value) + ")";
    case Operation::take:
      return name + ".wait takes a token";
    case Operation::start_thread:
      return event.failed ? "a thread is refused"
                          : std::string("starts ") +
                                report_thread_name(static_cast<int>(event.value), application_threads).text;
    case Operation::join:
      return std::string("joins ") + report_thread_name(static_cast<int>(event.value), application_threads).text;
    case Operation::now:
      return "now -> " + number(event.value);
    case Operation::advance_clock:
      return "clock = " + number(event.value);
    default:
      return operation + " " + name;
  }
}

}  // namespace

ValuesInWords::ValuesInWords(const char* name, std::string (*words)(std::uint64_t)) { words_of_values()[name] = words; }

const char* operation_name(Operation operation) {
  static const char* const names[] = {"none",       "start",      "load",          "store",
                                      "exchange",   "fetch_add",  "fetch_sub",     "fetch_or",
                                      "fetch_and",  "fetch_xor",  "compare_exchange_weak",
                                      "compare_exchange_strong",  "lock",          "unlock",
                                      "wait",       "leave_wait", "notify_one",    "notify_all",
                                      "post",       "semaphore wait",              "start_thread",
                                      "join",       "waits for the application threads",
                                      "now",        "advance_clock",               "ghost read",
                                      "ghost write",              "read of",       "write of",
                                      "destruction"};
  static_assert(sizeof names / sizeof names[0] == static_cast<std::size_t>(Operation::destroy) + 1);
  return names[static_cast<std::size_t>(operation)];
}

const char* mode_name(Mode mode) {
  static const char* const names[] = {"source_sets", "sleep_sets", "plain", "bounded", "random", "estimate"};
  return names[static_cast<std::size_t>(mode)];
}

std::optional<Mode> parse_mode(const std::string& text) {
  for (const Mode mode : {Mode::source_sets, Mode::sleep_sets, Mode::plain, Mode::bounded, Mode::random,
                          Mode::estimate}) {
    if (text == mode_name(mode)) {
      return mode;
    }
  }
  return std::nullopt;
}

const char* verdict_name(Verdict verdict) {
  static const char* const names[] = {"proved", "refuted", "unknown"};
  return names[static_cast<std::size_t>(verdict)];
}

const char* failure_name(Failure failure) {
  static const char* const names[] = {"none",        "check failed", "deadlock",      "livelock",    "blocked",
                                      "data race",   "use after free", "double free", "memory leak", "lock misuse",
                                      "thread misuse", "uninitialized", "crash",       "model error"};
  static_assert(sizeof names / sizeof names[0] == static_cast<std::size_t>(Failure::model_error) + 1);
  return names[static_cast<std::size_t>(failure)];
}

ThreadName report_thread_name(int thread, int application_threads) {
  ThreadName name{};
  if (thread == 0) {
    std::snprintf(name.text, sizeof name.text, "main");
  } else if (thread <= application_threads) {
    std::snprintf(name.text, sizeof name.text, "t%d", thread - 1);
  } else {
    std::snprintf(name.text, sizeof name.text, "w%d", thread - application_threads - 1);
  }
  return name;
}

void report_object_name(ObjectKind kind, const char* name, runtime::ObjectId object, char* buffer,
                        std::size_t size) {
  static const char* const kinds[] = {"atomic", "mutex", "condition", "semaphore", "thread",
                                      "cell",   "ghost", "limit",     "clock"};
  if (name != nullptr) {
    std::snprintf(buffer, size, "%s", name);
  } else {
    std::snprintf(buffer, size, "%s%u", kinds[static_cast<std::size_t>(kind)], object);
  }
}

const char* report_order_name(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_consume:
      return "consume";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    default:
      return "seq_cst";
  }
}

std::string report_history(const ReportEvent* events, std::size_t count, int threads, int application_threads,
                           const Result& result) {
  std::set<int> columns;  // threads that did something
  for (std::size_t i = 0; i < count; ++i) {
    columns.insert(events[i].thread);
  }
  std::string text = std::string(failure_name(result.failure)) + ": " + result.message + "\n";
  text += std::to_string(result.preemptions) + " preemptions\n\n";
  std::string line = "    # ";
  for (int thread = 0; thread < threads; ++thread) {
    if (columns.count(thread) != 0) {
      std::string cell = report_thread_name(thread, application_threads).text;
      cell.resize(column_width, ' ');
      line += "| " + cell;
    }
  }
  text += line + "| where\n";
  // A livelock is long and repeats itself: its beginning and its end tell.
  constexpr std::size_t shown_first = 200, shown_last = 50;
  for (std::size_t i = 0; i < count; ++i) {
    if (i == shown_first && count > shown_first + shown_last) {
      i = count - shown_last;
      text += "  ... " + std::to_string(i - shown_first) + " lines are left out\n";
    }
    const ReportEvent& event = events[i];
    char index[32];
    std::snprintf(index, sizeof index, "%5zu ", i);
    line = index;
    for (const int thread : columns) {
      std::string cell = thread == event.thread ? describe(event, application_threads) : "";
      cell.resize(std::max(column_width, cell.size() + 1), ' ');
      line += "| " + cell;
    }
    text += line + "| " + base_name(event.site.file) + ":" + std::to_string(event.site.line) + " " +
            event.site.function + "\n";
  }
  return text;
}

Result merge(const std::vector<Result>& shards) {
  Result merged;
  merged.verdict = shards.empty() ? Verdict::unknown : Verdict::proved;
  std::set<std::string> outcomes;
  for (const Result& shard : shards) {
    merged.executions_complete += shard.executions_complete;
    merged.executions_redundant += shard.executions_redundant;
    merged.longest_execution = std::max(merged.longest_execution, shard.longest_execution);
    merged.stale_reads += shard.stale_reads;
    merged.spurious_wakeups += shard.spurious_wakeups;
    merged.timeouts += shard.timeouts;
    merged.seconds = std::max(merged.seconds, shard.seconds);
    outcomes.insert(shard.outcomes.begin(), shard.outcomes.end());
    for (const Cover& cover : shard.covers) {
      auto found = std::find_if(merged.covers.begin(), merged.covers.end(),
                                [&cover](const Cover& other) { return other.event == cover.event; });
      if (found == merged.covers.end()) {
        merged.covers.push_back(Cover{cover.event, 0, 0});
        found = merged.covers.end() - 1;
      }
      found->occurred += cover.occurred;
    }
    for (const CallSite& site : shard.sites) {
      auto found = std::find_if(merged.sites.begin(), merged.sites.end(),
                                [&site](const CallSite& other) { return other.name == site.name; });
      if (found == merged.sites.end()) {
        merged.sites.push_back(site);
      } else {
        found->executed += site.executed;
      }
    }
    if (shard.verdict == Verdict::refuted && merged.verdict != Verdict::refuted) {
      merged.verdict = Verdict::refuted;
      merged.failure = shard.failure;
      merged.message = shard.message;
      merged.preemptions = shard.preemptions;
      merged.fewest_preemptions = shard.fewest_preemptions;
      merged.replay = shard.replay;
      merged.history = shard.history;
    } else if (shard.verdict == Verdict::unknown && merged.verdict == Verdict::proved) {
      merged.verdict = Verdict::unknown;
      merged.failure = shard.failure;
      merged.reason = shard.reason;
    }
  }
  for (Cover& cover : merged.covers) {
    cover.absent = merged.executions_complete - cover.occurred;
  }
  merged.outcomes.assign(outcomes.begin(), outcomes.end());
  return merged;
}

}  // namespace kstone::model
