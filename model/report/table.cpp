#include "report/table.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "places.h"
#include "report/words.h"

namespace kstone::model {

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
  return step.line == 0 ? "" : place + step.function.substr(step.function.rfind(':') + 1);
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
      row.cells[static_cast<std::size_t>(step.thread)] = step_text(step, result.threads);
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
  for (const Standing& each : result.standing) {
    const std::string& name = result.threads[static_cast<std::size_t>(each.thread)];
    text += "  " + wrapped(name + " " + each.text, 6, width - 2) + "\n";
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

}  // namespace kstone::model
