#include "report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

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

std::string last_component(const std::string& function) {
  return function.substr(function.rfind(':') + 1);
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
      return name + "." + operation + " " + value_text(event, event.value) + " => " +
             value_text(event, event.value_after) + order + source(event);
    case Operation::compare_exchange_weak:
    case Operation::compare_exchange_strong:
      return name + ".CAS " + value_text(event, event.value) +
             (event.failed ? (event.spurious ? " fails spuriously" : " fails")
                           : " => " + value_text(event, event.value_after)) +
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
      return event.failed
                 ? "a thread is refused"
                 : std::string("starts ") +
                       report_thread_name(static_cast<int>(event.value), application_threads).text;
    case Operation::join:
      return std::string("joins ") +
             report_thread_name(static_cast<int>(event.value), application_threads).text;
    case Operation::now:
      return "now -> " + number(event.value);
    case Operation::advance_clock:
      return "clock = " + number(event.value);
    default:
      return operation + " " + name;
  }
}

}  // namespace

ValuesInWords::ValuesInWords(const char* name, std::string (*words)(std::uint64_t)) {
  words_of_values()[name] = words;
}

const char* operation_name(Operation operation) {
  static const char* const names[] = {"none",
                                      "start",
                                      "load",
                                      "store",
                                      "exchange",
                                      "fetch_add",
                                      "fetch_sub",
                                      "fetch_or",
                                      "fetch_and",
                                      "fetch_xor",
                                      "compare_exchange_weak",
                                      "compare_exchange_strong",
                                      "lock",
                                      "unlock",
                                      "wait",
                                      "leave_wait",
                                      "notify_one",
                                      "notify_all",
                                      "post",
                                      "semaphore wait",
                                      "start_thread",
                                      "join",
                                      "waits for the application threads",
                                      "now",
                                      "advance_clock",
                                      "ghost read",
                                      "ghost write",
                                      "read of",
                                      "write of",
                                      "destruction"};
  static_assert(sizeof names / sizeof names[0] == static_cast<std::size_t>(Operation::destroy) + 1);
  return names[static_cast<std::size_t>(operation)];
}

const char* mode_name(Mode mode) {
  static const char* const names[] = {"source_sets", "sleep_sets", "plain",
                                      "bounded",     "random",     "estimate"};
  return names[static_cast<std::size_t>(mode)];
}

std::optional<Mode> parse_mode(const std::string& text) {
  for (const Mode mode : {Mode::source_sets, Mode::sleep_sets, Mode::plain, Mode::bounded,
                          Mode::random, Mode::estimate}) {
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
  static const char* const names[] = {
      "none",          "check failed",   "deadlock",    "livelock",    "blocked",
      "data race",     "use after free", "double free", "memory leak", "lock misuse",
      "thread misuse", "uninitialized",  "crash",       "model error"};
  static_assert(sizeof names / sizeof names[0] ==
                static_cast<std::size_t>(Failure::model_error) + 1);
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

std::string report_history(const ReportEvent* events, std::size_t count, int threads,
                           int application_threads, const Result& result) {
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

std::vector<HistoryStep> report_steps(
    const ReportEvent* events, std::size_t count, int application_threads,
    const std::function<const std::vector<Place>&(const ReportEvent&)>& calls_of) {
  std::vector<HistoryStep> steps;
  for (std::size_t i = 0; i < count; ++i) {
    const ReportEvent& event = events[i];
    HistoryStep step;
    step.thread = event.thread;
    step.text = describe(event, application_threads);
    step.file = event.site.file;
    step.line = event.site.line;
    step.function = event.site.function;
    const std::vector<Place>& calls = calls_of(event);
    if (const Place* const own = own_place(calls); own != nullptr) {
      step.own_file = own->file;
      step.own_line = own->line;
      for (const Place* call = calls.data(); call != own; ++call) {
        if (is_worker(call->file) && !call->function.empty()) {
          step.call = last_component(short_name(call->function));
        }
      }
    }
    steps.push_back(step);
  }
  return steps;
}

std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t room = width - (result.empty() ? 0 : indent);
    std::size_t end = text.size();
    if (end - at > room) {
      const std::size_t comma = text.rfind(", ", at + room - 1);
      const std::size_t space = text.rfind(' ', at + room);
      const std::size_t mark = text.find_last_of("._:/", at + room - 1);  // of a long name
      end = comma != std::string::npos && comma > at + room / 2 ? comma + 1
            : space != std::string::npos && space > at          ? space
            : mark != std::string::npos && mark > at            ? mark + 1
                                                                : at + room;
    }
    result += (result.empty() ? "" : "\n" + std::string(indent, ' ')) + text.substr(at, end - at);
    at = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  return result;
}

namespace {

// One row of the table: a step, or what lies between two of them.
struct Row {
  std::string number;
  std::vector<std::string> cells;  // one for each thread
  std::string where;
};

bool is_inner(const HistoryStep& step) { return is_worker(step.file); }

std::string where_text(const HistoryStep& step) {
  const std::string place =
      step.line == 0 ? "" : file_name(step.file) + ":" + std::to_string(step.line) + " ";
  return step.line == 0 ? "" : place + last_component(step.function);
}

// The steps of one thread inside the worker, one after the other, as a row: which call they belong
// to, from which line.
Row inside_row(Row row, const HistoryStep& first, std::size_t count) {
  const std::string call = first.call.empty() ? first.function : first.call;
  row.cells[static_cast<std::size_t>(first.thread)] =
      "~ " + call + " (" + std::to_string(count) + ")";
  row.where =
      first.own_line == 0 ? "" : file_name(first.own_file) + ":" + std::to_string(first.own_line);
  return row;
}

std::vector<Row> rows_of(const Result& result, bool inner) {
  std::vector<Row> rows;
  const Row empty{"", std::vector<std::string>(result.threads.size()), ""};
  for (std::size_t i = 0; i < result.steps.size();) {
    const HistoryStep& step = result.steps[i];
    if (inner || !is_inner(step)) {
      Row row = empty;
      row.number = std::to_string(i);
      row.cells[static_cast<std::size_t>(step.thread)] = step.text;
      row.where = where_text(step);
      rows.push_back(row);
      ++i;
      continue;
    }
    // A run of them: a row for each call, whatever their order among the threads.
    std::vector<std::pair<const HistoryStep*, std::size_t>> calls;
    for (; i < result.steps.size() && is_inner(result.steps[i]); ++i) {
      const HistoryStep& each = result.steps[i];
      auto found = std::find_if(calls.rbegin(), calls.rend(), [&each](const auto& call) {
        return call.first->thread == each.thread;
      });
      const bool same = found != calls.rend() && found->first->own_file == each.own_file &&
                        found->first->own_line == each.own_line;
      if (same) {
        ++found->second;
      } else {
        calls.emplace_back(&each, 1);
      }
    }
    for (const auto& [first, count] : calls) {
      rows.push_back(inside_row(empty, *first, count));
    }
  }
  return rows;
}

// As many columns of text as the widest cell of each thread wants, or an equal share of what the
// others leave.
std::vector<std::size_t> widths_of(const Result& result, const std::vector<Row>& rows,
                                   std::size_t room) {
  std::vector<std::size_t> wanted;
  for (std::size_t thread = 0; thread < result.threads.size(); ++thread) {
    wanted.push_back(result.threads[thread].size());
    for (const Row& row : rows) {
      wanted.back() = std::max(wanted.back(), row.cells[thread].size());
    }
  }
  std::vector<std::size_t> widths(wanted.size(), 0);
  std::size_t open = wanted.size();
  for (bool again = true; again && open > 0;) {
    again = false;
    const std::size_t share = room / open;
    for (std::size_t thread = 0; thread < wanted.size(); ++thread) {
      if (widths[thread] == 0 && wanted[thread] <= share) {
        widths[thread] = wanted[thread];
        room -= wanted[thread];
        --open;
        again = true;
      }
    }
  }
  for (std::size_t& width : widths) {
    width = width == 0 ? room / open : width;
  }
  return widths;
}

std::vector<std::string> lines_of(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream stream(wrapped(text, 0, width));
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::string draw(const Row& row, const std::vector<std::size_t>& widths, std::size_t where) {
  std::vector<std::vector<std::string>> cells;
  std::size_t height = 1;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    cells.push_back(lines_of(row.cells[i], widths[i]));
    height = std::max(height, cells.back().size());
  }
  cells.push_back(lines_of(row.where, std::max<std::size_t>(where, 1)));
  height = std::max(height, cells.back().size());
  std::string text;
  for (std::size_t line = 0; line < height; ++line) {
    std::string drawn = line == 0 ? row.number : "";
    drawn.insert(0, 5 - std::min<std::size_t>(5, drawn.size()), ' ');
    for (std::size_t i = 0; i < cells.size() - (where == 0 ? 1 : 0); ++i) {
      std::string cell = line < cells[i].size() ? cells[i][line] : "";
      cell.resize(i < widths.size() ? widths[i] : cell.size(), ' ');
      drawn += " | " + cell;
    }
    text += drawn.substr(0, drawn.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

// "t0, t1" of the threads whose names begin so; empty if there are none.
std::string names_of(const Result& result, char kind) {
  std::string names;
  for (const std::string& thread : result.threads) {
    names += thread[0] != kind ? "" : (names.empty() ? "" : ", ") + thread;
  }
  return names;
}

std::string legend(const Result& result, const std::vector<Row>& rows) {
  std::string who = "main: before() and after().";
  for (const std::string& thread : result.threads) {
    who += thread[0] == 't' ? " " + thread + ": thread(" + thread.substr(1) + ")." : "";
  }
  if (const std::string started = names_of(result, 'w'); !started.empty()) {
    who += " " + started + ": started by Sync::thread, as the worker's are.";
  }
  std::string marks;
  const auto explain = [&rows, &marks](const char* part, const char* text) {
    const auto has = [part](const std::string& cell) {
      return cell.find(part) != std::string::npos;
    };
    if (std::any_of(rows.begin(), rows.end(), [&has](const Row& row) {
          return std::any_of(row.cells.begin(), row.cells.end(), has);
        })) {
      marks += (marks.empty() ? "" : " ") + std::string(text);
    }
  };
  explain(" from #", "from #7: row 7 wrote the value.");
  explain(" STALE", "STALE: a newer value was there.");
  explain("~ ", "~ f (4): 4 steps inside the worker, in f; --inner shows them.");
  return wrapped(who, 2) + "\n" + wrapped(marks, 2) + (marks.empty() ? "" : "\n");
}

}  // namespace

std::string report_table(const Result& result, bool inner, std::size_t width) {
  // What stands of each thread below says more than the list in the message.
  const std::string message = result.standing.empty()
                                  ? result.message
                                  : result.message.substr(0, result.message.find(": "));
  std::string text =
      wrapped(std::string(failure_name(result.failure)) + ": " + message, 4, width) + "\n";
  for (const std::string& thread : result.standing) {
    text += "  " + wrapped(thread, 6, width - 2) + "\n";
  }
  if (result.steps.empty()) {
    return text;
  }
  std::vector<Row> rows =
      rows_of(result, inner || std::all_of(result.steps.begin(), result.steps.end(), is_inner));
  text += std::to_string(result.preemptions) +
          (result.preemptions == 1 ? " preemption" : " preemptions") + ". Downwards is time.\n" +
          legend(result, rows) + "\n";
  // A livelock is long and repeats itself: its beginning and its end tell.
  constexpr std::size_t shown_first = 200, shown_last = 50;
  std::size_t left_out = 0;
  if (rows.size() > shown_first + shown_last) {
    left_out = rows.size() - shown_first - shown_last;
    rows.erase(rows.begin() + shown_first, rows.end() - shown_last);
  }
  std::size_t where = 5;
  for (const Row& row : rows) {
    where = std::min<std::size_t>(std::max(where, row.where.size()), 34);
  }
  const std::size_t threads = result.threads.size();
  constexpr std::size_t narrowest = 14;
  if (width < 5 + 3 * (threads + 1) + where + narrowest * threads) {
    // Too many threads for a column of places: each stands below its step.
    where = 0;
    for (Row& row : rows) {
      for (std::string& cell : row.cells) {
        cell += cell.empty() || row.where.empty() ? "" : " at " + row.where;
      }
    }
  }
  const std::vector<std::size_t> widths =
      widths_of(result, rows, width - 5 - 3 * threads - (where == 0 ? 0 : where + 3));
  text += draw(Row{"#", result.threads, where == 0 ? "" : "where"}, widths, where);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == shown_first && left_out > 0) {
      text += "  ... " + std::to_string(left_out) + " rows are left out\n";
    }
    text += draw(rows[i], widths, where);
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
      auto found =
          std::find_if(merged.covers.begin(), merged.covers.end(),
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
      merged.threads = shard.threads;
      merged.steps = shard.steps;
      merged.standing = shard.standing;
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
