// The tables of docs/calls.md: what each call answers, by the state of the worker and the stripe.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"
#include "late_sync.h"
#include "test_support.h"

namespace kstone::test {
namespace {

using Worker = basic_background_worker<LateSync>;

constexpr std::uint32_t subject = 0;  // the stripe in question
constexpr std::uint32_t other = 1;    // runs where something has to
constexpr std::uint32_t stripes = 2;
constexpr std::chrono::seconds no_time(0);

// A worker with one thread, brought into a state by what a user could do.
class Scene {
 public:
  Scene(const std::string& of_worker, const std::string& of_stripe) {
    const bool disabled = of_worker == "disabled";
    auto config = disabled ? CompactionConfig::disabled() : CompactionConfig();
    const bool quarantined = of_stripe == "quarantined";
    const bool fails = quarantined || of_stripe == "delayed";
    Worker::Options options;
    options.back_off.initial = options.back_off.cap = std::chrono::hours(1);
    options.back_off.quarantine_after = quarantined ? 1 : 0;
    worker_.emplace(
        config.with_max_concurrent(1), Worker::StatsAtomic(), stripes,
        [this, fails](Worker::Context& context) {
          if (fails && context.stripe_id() == subject) {
            return CompactionOutcome::retry("busy");
          }
          begun_.add(context.stripe_id());
          go_on_.pass();
          return CompactionOutcome::done();
        },
        options);
    id_ = of_stripe == "unknown" ? stripes : subject;
    const bool runs = of_stripe == "running" || of_stripe == "rerun" || of_stripe == "leaving";
    if (of_worker != "new") {
      start();
    }
    if (fails) {
      EXPECT_EQ(worker_->queue_compaction(subject), Submission::queued);
      EXPECT_EQ(worker_->wait_idle(), quarantined ? IdleResult::idle : IdleResult::delayed);
    }
    if (!runs && (of_worker == "closing" || (of_worker != "new" && of_stripe == "queued"))) {
      run(other);
    }
    bring_stripe(of_stripe);
    if (of_worker == "closing") {
      EXPECT_FALSE(worker_->shutdown(ShutdownMode::drain, no_time).complete);
    } else if (of_worker == "stopped") {
      let_go();
      EXPECT_TRUE(worker_->shutdown(ShutdownMode::drain).complete);
    }
  }
  ~Scene() {
    let_go();
    watch_.resume.open();
    if (requester_.joinable()) {
      requester_.join();
    }
  }

  Worker& worker() { return *worker_; }
  std::uint32_t id() const { return id_; }
  void let_go() { go_on_.open(); }

 private:
  void bring_stripe(const std::string& state) {
    if (state == "leaving") {
      run(subject);
      EXPECT_EQ(worker_->remove(subject, no_time), RemoveResult::timed_out);
    } else if (state == "removed") {
      EXPECT_EQ(worker_->remove(subject), RemoveResult::removed);
    } else if (state == "claimed") {
      requester_ = std::thread([this] {
        watch_.late = std::this_thread::get_id();
        EXPECT_EQ(worker_->queue_compaction(subject), Submission::queued);
      });
      watch_.suspended.pass();
    } else if (state == "queued") {
      EXPECT_EQ(worker_->queue_compaction(subject), Submission::queued);
    } else if (state == "running" || state == "rerun") {
      run(subject);
      if (state == "rerun") {
        EXPECT_EQ(worker_->queue_compaction(subject), Submission::rerun_pending);
      }
    } else if (state == "held") {
      guard_ = worker_->pause(subject);
      EXPECT_EQ(worker_->queue_compaction(subject), Submission::queued);
    } else {
      EXPECT_TRUE(state == "idle" || state == "unknown" || state == "delayed" ||
                  state == "quarantined")
          << state;
    }
  }
  void start() { EXPECT_EQ(worker_->start(), StartResult::started); }
  void run(std::uint32_t id) {
    EXPECT_EQ(worker_->queue_compaction(id), Submission::queued);
    begun_.await(1);
  }

  LateSync::Watch watch_;
  Gate go_on_;
  Journal<std::uint32_t> begun_;
  std::optional<Worker> worker_;
  basic_pause_guard<LateSync> guard_;
  std::thread requester_;
  std::uint32_t id_ = subject;
};

std::string text(const CancelReport& report) {
  return std::string(to_string(report.result)) + (report.waited ? ", waited" : "") +
         (report.rerun_pending ? ", rerun_pending" : "") + (report.running ? ", running" : "");
}
std::string text(const ShutdownReport& report) {
  return std::string(report.complete ? "complete" : "incomplete") +
         (report.discarded.empty() ? "" : ", discarded") +
         (report.quarantined.empty() ? "" : ", quarantined") +
         (report.unfinished.empty() ? "" : ", unfinished");
}
std::string text(bool value) { return value ? "yes" : "no"; }
template <class Answer>
std::string text(Answer answer) {
  return std::string(to_string(answer));
}

using Call = std::function<std::string(Scene&)>;

const std::map<std::string, Call>& calls() {
  static const std::map<std::string, Call> all = {
      {"queue_compaction(stripe)",
       [](Scene& s) { return text(s.worker().queue_compaction(s.id())); }},
      {"cancel(stripe)", [](Scene& s) { return text(s.worker().cancel(s.id())); }},
      {"cancel(stripe, limit)", [](Scene& s) { return text(s.worker().cancel(s.id(), no_time)); }},
      {"remove(stripe, limit)", [](Scene& s) { return text(s.worker().remove(s.id(), no_time)); }},
      {"restore(stripe)", [](Scene& s) { return text(s.worker().restore(s.id())); }},
      {"is_removed(stripe)", [](Scene& s) { return text(s.worker().is_removed(s.id())); }},
      {"pause(stripe, limit)",
       [](Scene& s) { return text(s.worker().pause(s.id(), no_time).result()); }},
      {"pause_all(limit)", [](Scene& s) { return text(s.worker().pause_all(no_time).result()); }},
      {"wait_idle(stripe, limit)",
       [](Scene& s) { return text(s.worker().wait_idle(s.id(), no_time).result); }},
      {"wait_idle(limit)", [](Scene& s) { return text(s.worker().wait_idle(no_time)); }},
      {"queue_size()", [](Scene& s) { return std::to_string(s.worker().queue_size()); }},
      {"is_running()", [](Scene& s) { return text(s.worker().is_running()); }},
      {"start()", [](Scene& s) { return text(s.worker().start()); }},
      {"set_max_concurrent(max)", [](Scene& s) { return text(s.worker().set_max_concurrent(1)); }},
      {"retry_now()", [](Scene& s) { return std::to_string(s.worker().retry_now()); }},
      {"release(stripe)", [](Scene& s) { return text(s.worker().release(s.id())); }},
      {"shutdown(drain)",
       [](Scene& s) {
         s.let_go();
         return text(s.worker().shutdown(ShutdownMode::drain));
       }},
  };
  return all;
}

struct Cell {
  std::string of_worker;
  std::string of_stripe;
  std::string answer;
};
struct Table {
  std::string call;
  std::vector<Cell> cells;  // without those that cannot be
};

std::vector<std::string> columns_of(const std::string& line) {
  std::vector<std::string> columns;
  std::stringstream row(line.substr(1));
  for (std::string column; std::getline(row, column, '|');) {
    const auto from = column.find_first_not_of(' ');
    columns.push_back(from == std::string::npos
                          ? ""
                          : column.substr(from, column.find_last_not_of(' ') + 1 - from));
  }
  return columns;
}

std::vector<Table> read_tables() {
  std::vector<Table> tables;
  std::vector<std::string> states;
  std::ifstream page(KSTONE_CALLS_PAGE);
  for (std::string line; std::getline(page, line);) {
    if (line.rfind("### ", 0) == 0) {
      tables.push_back({line.substr(4), {}});
    } else if (line.rfind("| stripe", 0) == 0) {
      states = columns_of(line);
    } else if (line.rfind("| ", 0) == 0) {
      const auto columns = columns_of(line);
      for (std::size_t i = 1; i < columns.size(); ++i) {
        if (columns[i] != "-") {
          tables.back().cells.push_back({states.at(i), columns[0], columns[i]});
        }
      }
    }
  }
  return tables;
}

// What differs from the table, in words.
std::vector<std::string> differences(const Table& table) {
  std::vector<std::string> result;
  const auto& call = calls().at(table.call);
  for (const auto& cell : table.cells) {
    Scene scene(cell.of_worker, cell.of_stripe);
    const auto answer = call(scene);
    if (answer != cell.answer) {
      result.push_back(cell.of_worker + " worker, " + cell.of_stripe + " stripe: " + answer +
                       ", not " + cell.answer);
    }
  }
  return result;
}

class Calls : public testing::TestWithParam<Table> {};

TEST_P(Calls, answer_as_the_page_says) {
  EXPECT_EQ(differences(GetParam()), std::vector<std::string>{});
}

// The check itself: a table with a wrong answer is noticed, wherever it stands.
TEST_P(Calls, that_answer_otherwise_are_noticed) {
  auto table = GetParam();
  table.cells.front().answer += "!";
  table.cells.back().answer += "!";
  EXPECT_EQ(differences(table).size(), 2U);
}

std::string name_of(const testing::TestParamInfo<Table>& table) {
  std::string name;
  for (const char each : table.param.call) {
    name += each == '(' || each == ',' ? "_" : std::string(each != ')' && each != ' ', each);
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Page, Calls, testing::ValuesIn(read_tables()), name_of);

TEST(CallsPage, has_a_table_for_each_call) {
  std::vector<std::string> with_table;
  for (const auto& table : read_tables()) {
    with_table.push_back(table.call);
    EXPECT_GT(table.cells.size(), 20U) << table.call;
  }
  EXPECT_EQ(with_table.size(), calls().size());
}

}  // namespace
}  // namespace kstone::test
