#include "answers.h"

#include <algorithm>
#include <sstream>

#include "explanation.h"
#include "observed_sync.h"
#include "report/names.h"

namespace kstone::programs {
namespace {

std::string set_in_words(const char* name, unsigned set) {
  return set == 0 ? "" : std::string(" ") + name + (set == 1 ? " 0" : set == 2 ? " 1" : " 0 1");
}

std::string cancel_in_words(const CancelReport& report) {
  return std::string(to_string(report.result)) + (report.waited ? ", waited" : "") +
         (report.running ? ", running" : "") + (report.rerun_pending ? ", rerun_pending" : "") +
         (report.end ? ", " + std::string(to_string(*report.end)) : "");
}

std::string answer_in_words(const Call& call, const CallRecord& record) {
  switch (call.operation) {
    case Operation::request:
      return std::string(to_string(static_cast<Submission>(record.answer)));
    case Operation::wait_idle:
      return std::string(to_string(static_cast<IdleResult>(record.answer)));
    case Operation::wait_stripe: {
      const auto end = last_end_of(record.answer);
      return std::string(to_string(result_of(record.answer))) +
             (end ? ", " + std::string(to_string(*end)) : "");
    }
    case Operation::start:
      return std::string(to_string(static_cast<StartResult>(record.answer)));
    case Operation::set_max:
      return std::string(to_string(static_cast<ResizeResult>(record.answer)));
    case Operation::is_running:
      return record.answer != 0 ? "running" : "not running";
    case Operation::queue_size:
    case Operation::retry_now:
      return std::to_string(record.answer);
    case Operation::cancel:
    case Operation::cancel_and_await:
      return cancel_in_words(report_of(record.answer));
    case Operation::remove:
      return std::string(to_string(static_cast<RemoveResult>(record.answer)));
    case Operation::restore:
      return std::string(to_string(static_cast<RestoreResult>(record.answer)));
    case Operation::release:
      return std::string(to_string(static_cast<ReleaseResult>(record.answer)));
    case Operation::is_removed:
      return record.answer != 0 ? "removed" : "not removed";
    case Operation::pause:
    case Operation::pause_stripe:
      return std::string(to_string(static_cast<PauseResult>(record.answer)));
    case Operation::resume:
    case Operation::resume_stripe:
      return "resumed";
    case Operation::shutdown: {
      const auto& r = record.report;
      return r.refused != 0 ? "refused"
                            : std::string(r.complete != 0 ? "complete" : "incomplete") + " " +
                                  std::string(to_string(static_cast<ShutdownMode>(r.mode))) +
                                  set_in_words("discarded", r.discarded) +
                                  set_in_words("quarantined", r.quarantined) +
                                  set_in_words("unfinished", r.unfinished) +
                                  set_in_words("waiting", r.waiting) +
                                  set_in_words("running", r.still_running) +
                                  (r.first_error != 0 ? " error" : "");
    }
    case Operation::snapshot:
      break;
  }
  std::string numbers;
  for (const auto number : record.numbers) {
    numbers += (numbers.empty() ? "" : " ") + std::to_string(number);
  }
  return numbers;
}

void collect(const Call& call, const CallRecord& record, const std::string& where,
             std::set<std::string>& seen) {
  if (call.operation == Operation::shutdown) {
    const auto& r = record.report;
    seen.insert(where + "shutdown: " +
                (r.refused != 0    ? "refused"
                 : r.complete != 0 ? "complete"
                                   : "incomplete"));
    for (const auto& [name, set] :
         {std::pair("discarded", r.discarded), std::pair("quarantined", r.quarantined),
          std::pair("unfinished", r.unfinished), std::pair("waiting", r.waiting),
          std::pair("still_running", r.still_running), std::pair("first_error", r.first_error)}) {
      if (set != 0) {
        seen.insert(std::string("shutdown: ") + name);
      }
    }
  } else if (call.operation == Operation::wait_stripe) {
    seen.insert(where + "wait_idle(stripe): " + answer_in_words(call, record));
  } else if (call.operation == Operation::queue_size || call.operation == Operation::retry_now) {
    seen.insert(std::string(call.name) + (record.answer != 0 ? ": more" : ": 0"));
  } else if (call.operation != Operation::snapshot) {
    const std::string name = call.name;
    seen.insert(where + name.substr(0, name.find('(')) + ": " + answer_in_words(call, record));
  }
}

}  // namespace

std::vector<model::Standing> answered(const Program& program, const History& history,
                                      const std::vector<std::string>& lanes) {
  std::vector<model::Standing> result;
  for (int thread = 0; thread < thread_limit; ++thread) {
    const auto& records = history.threads[thread];
    const std::string name =
        model::report_thread_name(thread, static_cast<int>(program.threads.size())).text;
    const auto lane = std::find(lanes.begin(), lanes.end(), name);
    if (lane == lanes.end() || (records.call_count == 0 && records.compaction_count == 0)) {
      continue;
    }
    std::ostringstream out;
    out << (thread == scan_thread(program) ? "scans:" : "answers:");
    const auto calls = calls_of(program, history, thread);
    for (int i = 0; i < records.compaction_count; ++i) {
      const auto& each = records.compactions[i];
      out << " [compacts stripe " << int{each.stripe} << ", attempt " << int{each.attempt}
          << (each.stopped != 0 ? ", stopped]" : "]");
    }
    for (int i = 0; i < records.call_count; ++i) {
      out << " " << calls[static_cast<std::size_t>(i)].name << " -> "
          << answer_in_words(calls[static_cast<std::size_t>(i)], records.calls[i]) << ";";
    }
    result.push_back(model::Standing{static_cast<int>(lane - lanes.begin()), out.str()});
  }
  return result;
}

namespace {

constexpr const char* answers[] = {
    "request: queued",
    "request: coalesced",
    "request: rerun_pending",
    "request: rejected_unknown_stripe",
    "request: rejected_shutting_down",
    "job: request: queued",
    "job: request: coalesced",
    "job: request: rerun_pending",
    "job: request: rejected_shutting_down",
    "wait_idle: idle",
    "wait_idle: timed_out",
    "wait_idle: delayed",
    "wait_idle: shut_down",
    "job: wait_idle: refused",
    "wait_idle(stripe): idle",
    "wait_idle(stripe): idle, done",
    "wait_idle(stripe): idle, failed",
    "wait_idle(stripe): timed_out",
    "wait_idle(stripe): delayed",
    "wait_idle(stripe): quarantined, failed",
    "wait_idle(stripe): shut_down",
    "wait_idle(stripe): unknown_stripe",
    "job: wait_idle(stripe): refused",
    "scan: request: queued",
    "start: started",
    "start: already_running",
    "start: shut_down",
    "start: no_threads",
    "set_max: resized",
    "set_max: out_of_range",
    "set_max: shut_down",
    "job: set_max: resized",
    "job: set_max: out_of_range",
    "is_running: running",
    "is_running: not running",
    "queue_size: 0",
    "queue_size: more",
    "retry_now: 0",
    "retry_now: more",
    "release: released",
    "release: not_quarantined",
    "release: shut_down",
    "job: release: not_quarantined",
    "shutdown: quarantined",
    "shutdown: complete",
    "shutdown: incomplete",
    "job: shutdown: refused",
    "shutdown: discarded",
    "shutdown: unfinished",
    "shutdown: waiting",
    "shutdown: still_running",
    "shutdown: first_error",
    "compaction: stop? yes",
    "compaction: stop? no",
    "compaction: stop?(limit) yes",
    "compaction: stop?(limit) no",
    "compaction: on_stop? yes",
    "compaction: on_stop? no",
    "compaction: second attempt",
    "two compactions at once",
};

// Of the calls that hold back, and because of them.
constexpr const char* answers_of_holding_back[] = {
    "request: rejected_removed",
    "job: request: rejected_removed",
    "wait_idle: paused",
    "wait_idle(stripe): paused",
    "wait_idle(stripe): idle, cancelled",
    "wait_idle(stripe): idle, removed",
    "cancel: ended",
    "cancel: ended, waited",
    "cancel: still_running, running",
    "cancel: still_running, running, rerun_pending",
    "cancel: ended, running, done",
    "cancel: ended, running, cancelled",
    "cancel: ended, running, rerun_pending, done",
    "cancel: unknown_stripe",
    "job: cancel: refused",
    "job: cancel: still_running, running",
    "remove: removed",
    "remove: timed_out",
    "remove: shut_down",
    "remove: unknown_stripe",
    "job: remove: refused",
    "restore: restored",
    "restore: not_removed",
    "restore: still_running",
    "restore: shut_down",
    "restore: unknown_stripe",
    "job: restore: not_removed",
    "job: restore: still_running",
    "is_removed: removed",
    "is_removed: not removed",
    "pause: paused",
    "pause: still_running",
    "pause: shut_down",
    "pause: unknown_stripe",
    "job: pause: refused",
};

}  // namespace

const std::set<std::string>& all_answers() {
  static const std::set<std::string> all = [] {
    std::set<std::string> result(std::begin(answers), std::end(answers));
    result.insert(std::begin(answers_of_holding_back), std::end(answers_of_holding_back));
    result.insert(std::begin(names_of_met), std::end(names_of_met));
    return result;
  }();
  return all;
}

void add_answers(const Program& program, const History& history, std::set<std::string>& seen) {
  for (int thread = 0; thread < thread_limit; ++thread) {
    const auto& records = history.threads[thread];
    const auto calls = calls_of(program, history, thread);
    const std::string where = thread <= static_cast<int>(program.threads.size()) ? ""
                              : thread == scan_thread(program)                   ? "scan: "
                                                                                 : "job: ";
    for (int i = 0; i < records.call_count; ++i) {
      collect(calls[static_cast<std::size_t>(i)], records.calls[i], where, seen);
      if (calls[static_cast<std::size_t>(i)].operation == Operation::snapshot &&
          records.calls[i].numbers[running_max] > 1) {
        seen.insert("two compactions at once");
      }
    }
    for (int i = 0; i < records.compaction_count; ++i) {
      const auto& each = records.compactions[i];
      const auto look = program.compaction(each.stripe, each.number).look;
      if (look != Look::none) {
        seen.insert("compaction: " + std::string(names_of_looks[static_cast<int>(look)]) +
                    (each.stopped != 0 ? " yes" : " no"));
      }
      if (each.attempt > 1) {
        seen.insert("compaction: second attempt");
      }
    }
  }
}

}  // namespace kstone::programs
