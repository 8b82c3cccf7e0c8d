#include "program.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <sstream>
#include <utility>

namespace kstone::programs {
namespace {

bool has(const std::vector<Call>& sequence, Operation operation) {
  return std::any_of(sequence.begin(), sequence.end(),
                     [&](const Call& call) { return call.operation == operation; });
}

// Whether the thread surely starts the worker, or shuts it down, without having waited before.
bool ends_waits(const std::vector<Call>& sequence) {
  for (const auto& call : sequence) {
    if (call.waits()) {
      return false;
    }
    if (call.operation == Operation::start || call.operation == Operation::shutdown) {
      return true;
    }
  }
  return false;
}

// A call that ends each pause of the thread that goes on, in the order in which they began; and no
// other.
std::vector<Call> missing_resumes(std::vector<Call>& sequence) {
  std::vector<Call> open;
  std::erase_if(sequence, [&](const Call& call) {
    const auto ends = [&](const Call& pause) { return call.ends(pause); };
    if (call.pauses()) {
      open.push_back(call);
    }
    return call.resumes() && std::erase_if(open, ends) == 0;
  });
  std::vector<Call> result;
  for (const auto& pause : open) {
    const auto* const resume = std::find_if(std::begin(calls), std::end(calls),
                                            [&](const Call& call) { return call.ends(pause); });
    if (std::none_of(result.begin(), result.end(),
                     [&](const Call& call) { return call.ends(pause); })) {
      result.push_back(*resume);
    }
  }
  return result;
}

void leave_out_waits(std::vector<Call>& sequence) {
  std::erase_if(sequence, [](const Call& call) { return call.waits(); });
}

}  // namespace

const Call& call_named(const std::string& name) {
  return *std::find_if(std::begin(calls), std::end(calls),
                       [&](const Call& call) { return name == call.name; });
}

const Compaction& Program::compaction(std::uint32_t stripe, int number) const {
  static const Compaction done;
  const auto& job = jobs[stripe];
  return static_cast<std::size_t>(number) <= job.size() ? job[static_cast<std::size_t>(number) - 1]
                                                        : done;
}

std::string Program::text() const {
  std::ostringstream out;
  out << "workers " << workers << " stripes " << stripes << (real_time ? " real_time" : "")
      << (surprises ? " surprises" : "") << (refusals ? " refusals" : "")
      << (overtakes ? " overtakes" : "") << (all_removed ? " all_removed" : "")
      << (back_off ? " back_off" : "") << (quarantine ? " quarantine" : "");
  const auto put = [&](const std::string& title, const std::vector<Call>& sequence) {
    if (!sequence.empty()) {
      out << " " << title << ":";
    }
    for (const auto& call : sequence) {
      out << " " << call.name;
    }
  };
  put("before", before);
  for (std::size_t i = 0; i < threads.size(); ++i) {
    put("t" + std::to_string(i), threads[i]);
  }
  put("after", after);
  put("scan", scan);
  for (std::uint32_t stripe = 0; stripe < stripe_limit; ++stripe) {
    if (!jobs[stripe].empty()) {
      out << " job" << stripe << ":";
    }
    for (const auto& compaction : jobs[stripe]) {
      for (const auto& call : compaction.calls) {
        out << " " << call.name;
      }
      const std::string_view look = names_of_looks[static_cast<int>(compaction.look)];
      out << (look.empty() ? "" : " ") << look << " " << ends[compaction.end].name;
    }
  }
  return out.str();
}

std::optional<Program> Program::parse(const std::string& text) {
  std::istringstream in(text);
  Program program;
  std::vector<Call>* sequence = nullptr;
  std::vector<Compaction>* job = nullptr;
  Compaction next;
  for (std::string word; in >> word;) {
    const auto* const end = std::find_if(std::begin(ends), std::end(ends),
                                         [&](const End& each) { return word == each.name; });
    const auto* const call = std::find_if(std::begin(calls), std::end(calls),
                                          [&](const Call& c) { return word == c.name; });
    const auto* const look = std::find(std::begin(names_of_looks), std::end(names_of_looks), word);
    if (word.back() == ':') {
      job = nullptr;
      if (word == "before:") {
        sequence = &program.before;
      } else if (word == "after:") {
        sequence = &program.after;
      } else if (word == "scan:") {
        sequence = &program.scan;
      } else if (word[0] == 't') {
        sequence = &program.threads.emplace_back();
      } else if (word == "job0:" || word == "job1:") {
        job = &program.jobs[word == "job1:" ? 1 : 0];
        sequence = &next.calls;
      } else {
        return std::nullopt;
      }
    } else if (call != std::end(calls) && sequence != nullptr) {
      sequence->push_back(*call);
    } else if (job != nullptr && look != std::end(names_of_looks)) {
      next.look = static_cast<Look>(look - std::begin(names_of_looks));
    } else if (job != nullptr && end != std::end(ends)) {
      next.end = static_cast<int>(end - std::begin(ends));
      job->push_back(std::exchange(next, {}));
    } else if (word == "workers") {
      in >> program.workers;
    } else if (word == "stripes") {
      in >> program.stripes;
    } else if (word == "real_time") {
      program.real_time = true;
    } else if (word == "surprises") {
      program.surprises = true;
    } else if (word == "refusals") {
      program.refusals = true;
    } else if (word == "overtakes") {
      program.overtakes = true;
    } else if (word == "all_removed") {
      program.all_removed = true;
    } else if (word == "back_off") {
      program.back_off = true;
    } else if (word == "quarantine") {
      program.back_off = program.quarantine = true;
    } else {
      return std::nullopt;
    }
  }
  const bool sizes = in.eof() && (program.workers == 1 || program.workers == 2) &&
                     (program.stripes == 1 || program.stripes == 2) &&
                     program.threads.size() <= most_threads;
  return sizes ? std::optional(program) : std::nullopt;
}

model::Limits Program::limits() const {
  model::Limits limits;
  limits.spurious = surprises ? 1 : 0;
  limits.weak_cas_failures = surprises ? 1 : 0;
  limits.thread_start_failures = refusals ? 1 : 0;
  const auto add = [&](const std::vector<Call>& sequence) {
    limits.timeouts += static_cast<std::uint32_t>(std::count_if(
        sequence.begin(), sequence.end(), [](const Call& call) { return call.limited; }));
  };
  add(before);
  add(after);
  for (const auto& thread : threads) {
    add(thread);
  }
  limits.timeouts += waits_for_stop() + (back_off ? failures() : 0);  // one for each delay
  return limits;
}

std::uint32_t Program::failures() const {
  std::ptrdiff_t count = 0;
  for (const auto& of_stripe : jobs) {
    count += std::count_if(of_stripe.begin(), of_stripe.end(), [](const Compaction& each) {
      return ends[each.end].kind == CompactionOutcome::Kind::retry ||
             ends[each.end].kind == CompactionOutcome::Kind::failed;
    });
  }
  return static_cast<std::uint32_t>(count);
}

std::uint32_t Program::waits_for_stop() const {
  std::ptrdiff_t count = 0;
  for (const auto& of_stripe : jobs) {
    count += std::count_if(of_stripe.begin(), of_stripe.end(),
                           [](const Compaction& each) { return each.look == Look::wait_for_stop; });
  }
  return static_cast<std::uint32_t>(count);
}

std::size_t Program::calls_of_threads() const {
  std::size_t count = 0;
  for (const auto& thread : threads) {
    count += thread.size();
  }
  return count;
}

bool Program::counts() const {
  const auto count = [](const std::vector<Call>& calls) {
    return std::any_of(calls.begin(), calls.end(), [](const Call& call) {
      return call.operation == Operation::queue_size || call.operation == Operation::snapshot;
    });
  };
  bool result = count(before) || count(after) || count(scan) ||
                std::any_of(threads.begin(), threads.end(), count);
  for (const auto& of_stripe : jobs) {
    result = result || std::any_of(of_stripe.begin(), of_stripe.end(),
                                   [&](const Compaction& each) { return count(each.calls); });
  }
  return result;
}

int Program::kinds_of_holding_back() const {
  std::set<Operation> kinds;
  std::set<Look> looks;
  const auto add = [&kinds](const std::vector<Call>& sequence) {
    for (const auto& call : sequence) {
      if (call.holds_back() && !call.resumes()) {
        kinds.insert(call.pauses()                                   ? Operation::pause
                     : call.operation == Operation::cancel_and_await ? Operation::cancel
                                                                     : call.operation);
      }
    }
  };
  add(before);
  add(after);
  add(scan);
  std::for_each(threads.begin(), threads.end(), add);
  for (const auto& of_stripe : jobs) {
    for (const auto& compaction : of_stripe) {
      add(compaction.calls);
      if (compaction.look > Look::stop_requested) {
        looks.insert(compaction.look);
      }
    }
  }
  return static_cast<int>(kinds.size() + looks.size());
}

bool Program::non_trivial() const {
  bool control = false;
  int requesters[stripe_limit] = {};
  for (const auto& thread : threads) {
    bool requests[stripe_limit] = {};
    for (const auto& call : thread) {
      control = control || call.controls();
      if (call.operation == Operation::request && call.stripe < stripes) {
        requests[call.stripe] = true;
      }
    }
    for (std::uint32_t stripe = 0; stripe < stripe_limit; ++stripe) {
      requesters[stripe] += requests[stripe] ? 1 : 0;
    }
  }
  return threads.size() >= 2 && calls_of_threads() >= 4 && control &&
         std::max(requesters[0], requesters[1]) >= 2;
}

// In the thread that began them.
void Program::make_pauses_end() {
  for (auto& thread : threads) {
    const auto missing = missing_resumes(thread);
    thread.insert(thread.end(), missing.begin(), missing.end());
  }
  std::erase_if(before, [](const Call& call) { return call.resumes(); });
  auto both = before;
  both.insert(both.end(), after.begin(), after.end());
  const auto missing = missing_resumes(both);
  after.assign(both.begin() + static_cast<std::ptrdiff_t>(before.size()), both.end());
  after.insert(after.end(), missing.begin(), missing.end());
}

void Program::make_finite() {
  if (refusals) {
    scan.clear();  // the thread's number would not tell whose it is
  }
  const auto pauses = [](const std::vector<Call>& sequence) {
    return std::any_of(sequence.begin(), sequence.end(),
                       [](const Call& call) { return call.pauses(); });
  };
  if (pauses(before) || pauses(after) || std::any_of(threads.begin(), threads.end(), pauses) ||
      waits_for_stop() != 0) {
    // It could use up the timeout that a wait for what is paused needs, or one for a stop.
    scan.clear();
  }
  if (overtakes) {
    after.clear();
    std::erase_if(before, [](const Call& call) { return call.pauses() || call.resumes(); });
    for (std::size_t i = 0; i + 1 < threads.size(); ++i) {
      const auto wait = std::find_if(threads[i].begin(), threads[i].end(),
                                     [](const Call& call) { return call.can_be_overtaken(); });
      threads[i] = wait == threads[i].end() ? std::vector<Call>() : std::vector<Call>{*wait};
    }
  }
  make_pauses_end();
  std::erase_if(threads, [](const auto& thread) { return thread.empty(); });
  // A job's calls are in the script of one compaction each, and the scripts end: no compaction goes
  // on for ever.
  const bool started = has(before, Operation::start) && !refusals;
  const bool waits_end = started || std::any_of(threads.begin(), threads.end(), ends_waits);
  if (!ends_waits(before)) {
    leave_out_waits(before);
  }
  for (auto& thread : threads) {
    if (refusals || !waits_end) {
      leave_out_waits(thread);
    }
  }
  if (refusals) {  // nobody may be there to serve
    leave_out_waits(before);
    leave_out_waits(after);
  } else if (!started && !ends_waits(after) &&
             std::any_of(after.begin(), after.end(),
                         [](const Call& call) { return call.waits(); })) {
    after.insert(after.begin(), call_named("start"));
  }
}

}  // namespace kstone::programs
