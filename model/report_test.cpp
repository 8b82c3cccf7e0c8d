// Counter-examples as they are drawn for a reader, of results that are made up here.

#include "report.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace kstone::model {
namespace {

int wrong = 0;

void expect(bool holds, const char* sentence, const std::string& text) {
  if (!holds) {
    ++wrong;
    std::printf("RED  %s:\n%s\n", sentence, text.c_str());
  }
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::size_t widest(const std::string& text) {
  std::size_t width = 0;
  for (const std::string& line : lines_of(text)) {
    width = std::max(width, line.size());
  }
  return width;
}

// What stands in the column of this number, less where lines were broken.
std::string column(const std::string& text, std::size_t number) {
  std::string found;
  for (const std::string& line : lines_of(text)) {
    std::vector<std::size_t> bars;
    for (std::size_t at = line.find(" |"); at != std::string::npos; at = line.find(" |", at + 1)) {
      bars.push_back(at + 2);
    }
    if (number < bars.size()) {
      const std::size_t end = number + 1 < bars.size() ? bars[number + 1] - 2 : line.size();
      for (std::size_t i = bars[number]; i < end; ++i) {
        found += line[i] == ' ' ? "" : std::string(1, line[i]);
      }
    }
  }
  return found;
}

HistoryStep step(int thread, const char* text, const char* file, int line, const char* function) {
  HistoryStep result;
  result.thread = thread;
  result.text = text;
  result.file = file;
  result.line = line;
  result.function = function;
  return result;
}

HistoryStep inside(int thread, const char* call, int own_line) {
  HistoryStep result = step(thread, "control.CAS 0 => 1 release",
                            "/opt/include/kstone/background_worker.h", 300, "link");
  result.own_file = own_line == 0 ? "" : "/home/engine.h";
  result.own_line = own_line;
  result.call = call;
  return result;
}

Result sample() {
  Result result;
  result.failure = Failure::data_race;
  result.message = "table: a race";
  result.preemptions = 1;
  result.threads = {"main", "t0", "w0"};
  result.steps = {inside(0, "start", 12),
                  step(1, "engine.flag -> 1 acquire from #1 STALE", "/home/engine.h", 20, "put"),
                  inside(1, "queue_compaction", 30),
                  inside(2, "", 0),
                  inside(1, "queue_compaction", 30),
                  inside(1, "wait_idle", 31),
                  step(2, "read of table", "/home/engine.h", 40, "compact")};
  return result;
}

void own_lines() {
  const std::string text = report_table(sample(), false);
  expect(has(text, "data race: table: a race\n1 preemption. Downwards"),
         "it begins with what failed", text);
  expect(has(text, "    # | main "), "the columns have names", text);
  expect(!has(text, "control.CAS"), "a step inside the worker is left out", text);
  for (const char* const words :
       {"    1 | ", "    6 | ", "engine.h:20 put", "~ start (1)", "~ queue_compaction (2)",
        "~ wait_idle (1)", "~ link (1)", "engine.h:30\n"}) {
    expect(has(text, words), words, text);
  }
  expect(has(text, "t0: thread(0). w0: started by Sync::thread"), "the legend names the threads",
         text);
  expect(has(text, "from #7") && has(text, "STALE: ") && has(text, "~ f (4)"),
         "... and the marks that there are", text);

  const std::string inner = report_table(sample(), true);
  expect(has(inner, "background_worker.h:300 link") && !has(inner, "~"), "--inner shows each step",
         inner);

  Result plain = sample();
  plain.steps = {step(1, "write of table", "/home/engine.h", 20, "put")};
  expect(!has(report_table(plain, false), "STALE") && !has(report_table(plain, false), "~"),
         "what does not occur is not explained", report_table(plain, false));
  plain.steps = {inside(1, "start", 1)};
  expect(has(report_table(plain, false), "control.CAS"),
         "where the worker is all there is, it is shown", report_table(plain, false));
}

void columns() {
  Result result = sample();
  result.threads = {"main", "t0", "t1", "t2", "w0", "w1", "w2", "w3"};
  result.steps.clear();
  const std::string text =
      "engine.some_rather_long_name.compare_exchange_weak 0x123456789 => 0x987654321 acq_rel from "
      "#12345";
  for (int thread = 0; thread < 8; ++thread) {
    result.steps.push_back(
        step(thread, text.c_str(), "/home/a_file_with_a_long_name.h", 1000 + thread, "a_function"));
  }
  const std::string drawn = report_table(result, false);
  expect(widest(drawn) <= 120, "eight threads fit into 120 columns", drawn);
  const auto squeezed = [](std::string words) {
    words.erase(std::remove(words.begin(), words.end(), ' '), words.end());
    return words;
  };
  for (std::size_t thread = 0; thread < 8; ++thread) {
    const std::string wanted = result.threads[thread] + text +
                               " at a_file_with_a_long_name.h:" + std::to_string(1000 + thread) +
                               " a_function";
    expect(column(drawn, thread) == squeezed(wanted),
           "each thread has a column, and nothing is cut off", drawn);
  }
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{4}}) {
    Result fewer = result;
    fewer.threads.resize(count);
    fewer.steps.resize(count);
    const std::string narrow = report_table(fewer, false);
    expect(widest(narrow) <= 120 && has(narrow, "| where\n"),
           "fewer have a column of places beside them", narrow);
  }
}

void deadlock() {
  Result result = sample();
  result.failure = Failure::deadlock;
  result.message = "nobody can step: main join, t0 lock engine.mutex";
  result.standing = {"main waits for the end of w0, at gate.cpp:40 after; holds no mutex",
                     "t0 waits to lock engine.mutex, which w0 holds, at engine.h:44 put; holds "
                     "engine.other (since engine.h:43 "
                     "put), engine.third (since engine.h:42 put)"};
  const std::string text = report_table(result, false);
  expect(has(text,
             "deadlock: nobody can step\n  main waits for the end of w0, at gate.cpp:40 after; "
             "holds no mutex\n  t0 waits"),
         "a deadlock says where each thread stands", text);
  expect(widest(text) <= 120, "... within 120 columns", text);
}

void wrapping() {
  expect(wrapped("one two, three four", 2, 12) == "one two,\n  three four", "after a comma",
         wrapped("one two, three four", 2, 12));
  expect(wrapped("one two three", 0, 8) == "one two\nthree", "at a space",
         wrapped("one two three", 0, 8));
  expect(wrapped("a_long.name_of", 0, 8) == "a_long.\nname_of", "at a mark",
         wrapped("a_long.name_of", 0, 8));
  expect(wrapped("abcdefghij", 0, 4) == "abcd\nefgh\nij", "anywhere", wrapped("abcdefghij", 0, 4));
}

}  // namespace
}  // namespace kstone::model

int main() {
  kstone::model::own_lines();
  kstone::model::columns();
  kstone::model::deadlock();
  kstone::model::wrapping();
  return kstone::model::wrong == 0 ? 0 : 1;
}
