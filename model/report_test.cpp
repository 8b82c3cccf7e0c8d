// Counter-examples as they are drawn for a reader, of results that are made up here.

#include "report/table.h"
#include "report/words.h"

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

HistoryStep step(int thread, Operation operation, const char* object, const char* file, int line,
                 const char* function) {
  HistoryStep result;
  result.thread = thread;
  result.operation = operation;
  result.object = object;
  result.file = file;
  result.line = line;
  result.function = function;
  return result;
}

HistoryStep modification(HistoryStep step, std::uint64_t before, std::uint64_t after,
                         const char* order) {
  step.value = before;
  step.value_after = after;
  step.order = order;
  return step;
}

HistoryStep inside(int thread, const char* call, int own_line) {
  HistoryStep result = modification(step(thread, Operation::compare_exchange_weak, "control",
                                         "/opt/include/kstone/background_worker.h", 300, "link"),
                                    0, 1, "release");
  result.own_file = own_line == 0 ? "" : "/home/engine.h";
  result.own_line = own_line;
  result.call = call;
  return result;
}

HistoryStep stale_load() {
  HistoryStep load = step(1, Operation::load, "engine.flag", "/home/engine.h", 20, "put");
  load.value = 1;
  load.order = "acquire";
  load.reads_from = 1;
  load.stale = true;
  return load;
}

Result sample() {
  Result result;
  result.failure = Failure::data_race;
  result.message = "table: a race";
  result.preemptions = 1;
  result.threads = {"main", "t0", "w0"};
  result.steps = {inside(0, "start", 12),
                  stale_load(),
                  inside(1, "queue_compaction", 30),
                  inside(2, "", 0),
                  inside(1, "queue_compaction", 30),
                  inside(1, "wait_idle", 31),
                  step(2, Operation::cell_read, "table", "/home/engine.h", 40, "compact")};
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
  plain.steps = {step(1, Operation::cell_write, "table", "/home/engine.h", 20, "put")};
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
      "engine.some_rather_long_name.fetch_add 0x123456789 => 0x987654321 acq_rel from #12345";
  for (int thread = 0; thread < 8; ++thread) {
    HistoryStep add =
        modification(step(thread, Operation::fetch_add, "engine.some_rather_long_name",
                          "/home/a_file_with_a_long_name.h", 1000 + thread, "a_function"),
                     0x123456789, 0x987654321, "acq_rel");
    add.reads_from = 12345;
    result.steps.push_back(add);
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
  result.standing = {{0, "waits for the end of w0, at gate.cpp:40 after; holds no mutex"},
                     {1,
                      "waits to lock engine.mutex, which w0 holds, at engine.h:44 put; holds "
                      "engine.other (since engine.h:43 put), engine.third (since engine.h:42 "
                      "put)"}};
  const std::string text = report_table(result, false);
  expect(has(text,
             "deadlock: nobody can step\n  main waits for the end of w0, at gate.cpp:40 after; "
             "holds no mutex\n  t0 waits"),
         "a deadlock says where each thread stands", text);
  expect(widest(text) <= 120, "... within 120 columns", text);
}

void words() {
  const std::vector<std::string> threads{"main", "t0", "w0"};
  HistoryStep each = step(1, Operation::notify_all, "ready", "", 0, "");
  expect(step_text(each, threads) == "ready.notify_all: nobody sleeps", "nobody is woken",
         step_text(each, threads));
  each.others = {0, 2};
  expect(step_text(each, threads) == "ready.notify_all: wakes main w0", "who is woken",
         step_text(each, threads));
  each.operation = Operation::start_thread;
  each.others = {2};
  expect(step_text(each, threads) == "starts w0", "who is started", step_text(each, threads));
  each.failed = true;
  expect(step_text(each, threads) == "a thread is refused", "or refused", step_text(each, threads));
  each = modification(step(1, Operation::compare_exchange_strong, "word", "", 0, ""), 3, 4000,
                      "relaxed");
  expect(step_text(each, threads) == "word.CAS 3 => 0xfa0 relaxed", "an exchange",
         step_text(each, threads));
  each.failed = true;
  expect(step_text(each, threads) == "word.CAS 3 fails relaxed", "one that fails",
         step_text(each, threads));
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
  kstone::model::words();
  kstone::model::wrapping();
  return kstone::model::wrong == 0 ? 0 : 1;
}
