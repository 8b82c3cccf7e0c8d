#include "explanation.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../reference.h"

namespace kstone::programs {
namespace {

using proptests::Reference;
using Kind = CompactionOutcome::Kind;

constexpr int nobody = -1;
constexpr int stripe_limit = Program::stripe_limit;

// A request: the call, by thread and number; of a worker thread that asks for the rest of its work,
// the number is -1.
struct Claim {
  int thread;
  int call;
};

struct Request {
  Claim claim;
  std::uint32_t stripe;
  Submission answer;
  unsigned episode;  // of its stripe, from 1; 0 if rejected
};

struct Word {
  std::vector<Claim> claims;  // since the stripe was last taken
  bool running = false;
  bool closed = false;
};

// Whose episode ended with which compaction.
struct Finished {
  unsigned ended;  // episodes of the stripe by then
  int thread;
  int compaction;
};

// Everything, between two steps.
struct State {
  Reference core;
  Word words[stripe_limit];
  std::vector<Claim> owed[stripe_limit];  // accepted before closing, and not taken since
  std::vector<Request> listed;
  bool list_closed = false;
  bool started = false;
  int holder = nobody;  // of the mutex

  std::vector<Request> made;
  unsigned opened[stripe_limit] = {};  // episodes
  unsigned taken[stripe_limit] = {};
  std::vector<Finished> finished[stripe_limit];

  // Where each thread is.
  struct Position {
    int call = 0, step = 0;
    int compaction = 0, phase = 0;
    bool requested = false;                       // of the compaction that finishes
    std::optional<unsigned> goals[stripe_limit];  // of a wait_idle: episodes that must have ended
  } at[thread_limit];

  unsigned ended(std::uint32_t stripe) const {
    return static_cast<unsigned>(
        std::count_if(core.ended.begin(), core.ended.end(),
                      [stripe](const auto& each) { return each.first == stripe; }));
  }
  std::uint8_t first_error() const {
    return core.errors.empty() ? std::uint8_t{0} : error_number(core.errors.front());
  }

  // The list becomes part of the queue.
  void admit() {
    for (const auto& each : listed) {
      core.link(each.stripe);
    }
    listed.clear();
  }
};

class Explanation {
 public:
  Explanation(const Program& program, const History& history)
      : program_(program), history_(history) {
    worker_from_ = 1 + static_cast<int>(program.threads.size());
    for (int thread = 0; thread < thread_limit; ++thread) {
      calls_[thread] = calls_of(program, history, thread);
      if (thread == 0) {
        static constexpr Call destruction{"~", Operation::shutdown};
        calls_[thread].push_back(destruction);
      }
      std::size_t until = 0;
      for (int i = 0; i < history.threads[thread].compaction_count; ++i) {
        calls_until_[thread].push_back(
            static_cast<int>(until += script_of(thread, i).calls.size()));
      }
    }
  }

  bool exists() { return search(State()); }

 private:
  const Compaction& script_of(int thread, int compaction) const {
    const auto& record = history_.threads[thread].compactions[compaction];
    return program_.compaction(record.stripe, record.number);
  }
  bool is_worker(int thread) const { return thread >= worker_from_; }

  // -- The search ---------------------------------------------------------------------------------

  bool search(const State& state) {
    if (!seen_.insert(key(state)).second) {
      return false;
    }
    bool all_done = true;
    for (int thread = 0; thread < thread_limit; ++thread) {
      const auto& at = state.at[thread];
      if (at.call == static_cast<int>(calls_[thread].size()) &&
          at.compaction == history_.threads[thread].compaction_count) {
        continue;
      }
      all_done = false;
      for (const bool stale : {false, true}) {
        State next = state;
        stale_ = stale;
        used_stale_ = false;
        if (step(next, thread) && (!stale || used_stale_) && search(next)) {
          return true;
        }
      }
    }
    return all_done && state.core.queue.empty() && state.core.running.empty();
  }

  // What the future depends on. (Where each thread is gives most of it; the order of what they did,
  // the rest.)
  std::string key(const State& s) const {
    std::string text;
    char episodes[thread_limit][call_limit] = {};
    const auto put = [&text](std::size_t value) { text.push_back(static_cast<char>(value)); };
    for (const auto& at : s.at) {
      put(static_cast<std::size_t>(at.call * 8 + at.step));
      put(static_cast<std::size_t>(at.compaction * 8 + at.phase));
      for (const auto& goal : at.goals) {
        put(goal ? *goal + 1 : 0);
      }
    }
    const auto put_claims = [&](const std::vector<Claim>& claims) {
      put(claims.size());
      for (const auto& claim : claims) {
        put(static_cast<std::size_t>(claim.thread * 16 + claim.call));
      }
    };
    for (int i = 0; i < stripe_limit; ++i) {
      const auto stripe = static_cast<std::uint32_t>(i);
      put_claims(s.words[i].claims);
      put_claims(s.owed[i]);
      put(s.words[i].running + 2 * s.words[i].closed +
          4 * (s.core.discarded.count(stripe) + 2 * s.core.unfinished.count(stripe)) +
          16 * s.core.owed.count(stripe) + 32 * s.core.running.count(stripe));
      put(s.opened[i]);
      put(s.core.attempts.count(stripe) != 0 ? s.core.attempts.at(stripe) : 0);
      put(s.ended(stripe));
      put(s.taken[i]);
      put(s.finished[i].size());
      for (const auto& each : s.finished[i]) {
        put(each.ended);
        put(static_cast<std::size_t>(each.thread * 16 + each.compaction));
      }
    }
    put(s.core.queue.size());
    for (const auto stripe : s.core.queue) {
      put(stripe);
    }
    put(s.listed.size());
    for (const auto& each : s.listed) {
      put(each.stripe * 16 + static_cast<std::size_t>(each.claim.thread));
    }
    // The order does not matter, but what each answered is in the history.
    for (const auto& each : s.made) {
      episodes[each.claim.thread][each.claim.call] = static_cast<char>(each.episode + 1);
    }
    text.append(episodes[0], sizeof episodes);
    put(s.list_closed + 2 * s.started + 4 * s.core.closed +
        8 * static_cast<std::size_t>(s.core.mode));
    put(static_cast<std::size_t>(s.holder + 1));
    put(s.core.running_max);
    put(s.first_error());
    return text;
  }

  // -- Steps: false if it cannot be taken now, or contradicts the history -------------------------

  bool step(State& s, int thread) {
    if (history_.threads[thread].compaction_count != 0) {
      const auto& at = s.at[thread];
      const bool running = at.phase == 2;
      if (!running || at.call == calls_until_[thread][static_cast<std::size_t>(at.compaction)]) {
        return compaction_step(s, thread);
      }
    }
    return call_step(s, thread);
  }

  bool free(const State& s) const { return s.holder == nobody; }

  bool call_step(State& s, int thread) {
    auto& at = s.at[thread];
    const auto& call = calls_[thread][static_cast<std::size_t>(at.call)];
    // The destruction is no call of the history.
    const bool destruction = at.call == history_.threads[thread].call_count;
    const CallRecord* const record =
        destruction ? nullptr : &history_.threads[thread].calls[at.call];
    if (at.step == 0 && !follows(s, record)) {
      return false;
    }
    bool done = false;
    const bool possible =
        call.operation == Operation::request     ? request(s, thread, call, *record, done)
        : call.operation == Operation::wait_idle ? wait_idle(s, thread, call, *record, done)
        : call.operation == Operation::shutdown
            ? shutdown(s, thread, call, record, done)
            : free(s) && observe(s, thread, call, *record, done);
    if (done) {
      ++at.call;
      at.step = 0;
    } else {
      ++at.step;
    }
    return possible;
  }

  // Calls that ended before this one began come before it; the destruction comes after everything,
  // but what it overtakes.
  bool follows(const State& s, const CallRecord* record) const {
    for (int other = 0; other < (record != nullptr ? thread_limit : worker_from_); ++other) {
      const bool overtaken = program_.overtakes && other + 1 < worker_from_;
      const int needed = record != nullptr
                             ? std::max(record->known.of[other], record->earlier.of[other])
                         : overtaken ? 0
                                     : history_.threads[other].call_count;
      if (s.at[other].call < needed) {
        return false;
      }
    }
    return true;
  }

  // Whether the caller must have seen it: its own calls, and those that happened before.
  static bool knows(const CallRecord& record, int self, int self_call, const Claim& claim) {
    return claim.thread == self ? claim.call < self_call
                                : claim.call < record.known.of[claim.thread];
  }

  bool request(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    if (s.at[thread].step == 1) {
      if (!s.list_closed) {
        s.listed.push_back(*std::find_if(s.made.rbegin(), s.made.rend(), [&](const Request& each) {
          return each.claim.thread == thread;
        }));
      }
      done = true;
      return true;
    }
    Request request{Claim{thread, s.at[thread].call}, call.stripe,
                    Submission::rejected_unknown_stripe, 0};
    if (call.stripe < program_.stripes) {
      auto& word = s.words[call.stripe];
      request.answer = word.closed            ? Submission::rejected_shutting_down
                       : !word.claims.empty() ? Submission::coalesced
                       : word.running         ? Submission::rerun_pending
                                              : Submission::queued;
      if (accepted(request.answer)) {
        word.claims.push_back(request.claim);
        s.opened[call.stripe] += request.answer == Submission::coalesced ? 0 : 1;
        request.episode = s.opened[call.stripe];
      }
    }
    s.made.push_back(request);
    done = request.answer != Submission::queued;
    return static_cast<std::uint8_t>(request.answer) == record.answer;
  }

  bool wait_idle(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    const auto answer = static_cast<IdleResult>(record.answer);
    auto& at = s.at[thread];
    if (!free(s)) {
      return false;
    }
    if (at.step == 0) {
      if (is_worker(thread) || s.core.closed) {
        done = true;
        return answer == (is_worker(thread) ? IdleResult::refused : IdleResult::shut_down);
      }
      for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
        at.goals[stripe] = s.opened[stripe];
      }
      return true;
    }
    done = true;
    bool reached = true;
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      reached = reached && s.ended(stripe) >= *at.goals[stripe];
      at.goals[stripe].reset();
    }
    switch (answer) {
      case IdleResult::idle:
        return !s.core.closed && all_known_have_ended(s, thread, record);
      case IdleResult::timed_out:
        return call.limited && !s.core.closed && !reached;
      case IdleResult::shut_down:
        return s.core.closed;
      default:
        return false;
    }
  }

  // What was requested before the wait, by happens-before, has been served, by compactions that
  // happened before the answer.
  bool all_known_have_ended(const State& s, int thread, const CallRecord& record) const {
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      unsigned needed = 0;
      for (const auto& each : s.made) {
        if (each.stripe == stripe && knows(record, thread, s.at[thread].call, each.claim)) {
          needed = std::max(needed, each.episode);
        }
      }
      if (needed == 0) {
        continue;
      }
      const auto& finished = s.finished[stripe];
      const auto server = std::find_if(finished.begin(), finished.end(),
                                       [&](const Finished& f) { return f.ended >= needed; });
      if (server == finished.end() || server->compaction >= record.compactions.of[server->thread]) {
        return false;
      }
    }
    return true;
  }

  bool shutdown(State& s, int thread, const Call& call, const CallRecord* record, bool& done) {
    auto& step = s.at[thread].step;
    const int stripes = static_cast<int>(program_.stripes);
    if (s.holder != nobody && s.holder != thread) {
      return false;
    }
    if (step == 0 && is_worker(thread)) {
      done = true;
      return record->report ==
             Report{1, 0, static_cast<std::uint8_t>(ShutdownReport().mode), 0, 0, 0, 0};
    }
    if (step == 0 && !s.core.closed) {
      s.holder = thread;
      s.list_closed = true;
      s.admit();
      s.core.close();
    } else if (step == 0) {
      step = 1 + stripes;
      s.core.apply(call.mode);
    } else if (step <= stripes) {
      const auto stripe = static_cast<std::uint32_t>(step - 1);
      auto& word = s.words[stripe];
      s.core.close_stripe(stripe, word.claims.size());
      word.closed = true;
      s.owed[stripe] = std::exchange(word.claims, {});
    } else if (step == 1 + stripes) {
      s.core.apply(call.mode);
      s.holder = nobody;
    } else if (step == 2 + stripes) {
      if (!s.started) {
        s.core.discard_queue();
      }
    } else {
      done = true;
      return ends_as(s, call, record);
    }
    return true;
  }

  static std::uint8_t set_of(const std::set<std::uint32_t>& stripes) {
    unsigned set = 0;
    for (const auto stripe : stripes) {
      set |= 1U << stripe;
    }
    return static_cast<std::uint8_t>(set);
  }

  // With a limit, a shutdown may return before all threads have left.
  bool ends_as(const State& s, const Call& call, const CallRecord* record) const {
    const int scan = scan_thread(program_);
    const bool all_left = s.core.queue.empty() && s.core.running.empty() &&
                          s.at[scan].call == static_cast<int>(calls_[scan].size());
    if (record == nullptr) {
      return all_left;
    }
    const auto& report = record->report;
    bool known = true;  // what every compaction wrote
    for (int worker = worker_from_; worker < thread_limit; ++worker) {
      known = known && s.at[worker].compaction <= record->compactions.of[worker];
    }
    return (report.complete != 0 ? all_left && known : call.limited) &&
           report == Report{0,
                            report.complete,
                            static_cast<std::uint8_t>(s.core.mode),
                            set_of(s.core.discarded),
                            set_of(s.core.unfinished),
                            set_of(s.core.running),
                            s.first_error()};
  }

  bool observe(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    done = true;
    switch (call.operation) {
      case Operation::start:
        return start(s, static_cast<StartResult>(record.answer));
      case Operation::is_running:
        return (record.answer != 0) == (s.started && !s.core.closed);
      case Operation::queue_size:
        return is_queue_size(s, thread, record, record.answer);
      default:
        return is_snapshot(s, thread, record);
    }
  }

  bool start(State& s, StartResult answer) const {
    if (s.core.closed || s.started) {
      return answer == (s.core.closed ? StartResult::shut_down : StartResult::already_running);
    }
    s.started = answer == StartResult::started;
    return s.started || (answer == StartResult::no_threads && program_.refusals);
  }

  // What the caller does not know of may be missing from what it counts without the mutex:
  // requests, and the list.
  template <class Holds>
  static bool counts(const std::vector<Request>& requests, int thread, int call,
                     const CallRecord& record, std::size_t number, const Holds& holds) {
    std::size_t all = 0, known = 0;
    for (const auto& each : requests) {
      if (holds(each)) {
        ++all;
        known += knows(record, thread, call, each.claim) ? 1 : 0;
      }
    }
    return known <= number && number <= all;
  }

  static bool is_queue_size(const State& s, int thread, const CallRecord& record,
                            std::size_t size) {
    return size >= s.core.queue.size() &&
           counts(s.listed, thread, s.at[thread].call, record, size - s.core.queue.size(),
                  [](const Request&) { return true; });
  }

  static bool is_snapshot(const State& s, int thread, const CallRecord& record) {
    const auto& n = record.numbers;
    const auto answered = [&](Submission answer, std::uint8_t number) {
      return counts(s.made, thread, s.at[thread].call, record, number,
                    [answer](const Request& each) { return each.answer == answer; });
    };
    const auto have_ended = [&](proptests::End how) {
      return std::count_if(s.core.ended.begin(), s.core.ended.end(),
                           [how](const auto& each) { return each.second == how; });
    };
    bool same = answered(Submission::queued, n[queued]) &&
                answered(Submission::coalesced, n[coalesced]) &&
                answered(Submission::rerun_pending, n[rerun_pending]) &&
                answered(Submission::rejected_unknown_stripe, n[rejected_unknown]) &&
                answered(Submission::rejected_shutting_down, n[rejected_shutting_down]) &&
                n[ended_done] == have_ended(proptests::End::done) &&
                n[ended_failed] == have_ended(proptests::End::failed) &&
                n[ended_cancelled] == have_ended(proptests::End::cancelled) &&
                n[ended_discarded] == have_ended(proptests::End::discarded) &&
                n[started] == s.taken[0] + s.taken[1] && n[running] == s.core.running.size() &&
                n[running_max] == s.core.running_max && n[first_error] == s.first_error() &&
                is_queue_size(s, thread, record, n[waiting]);
    for (int kind = 0; kind < 6; ++kind) {
      same = same &&
             n[outcome_done + kind] == std::count(s.core.outcomes.begin(), s.core.outcomes.end(),
                                                  static_cast<Kind>(kind));
    }
    return same;
  }

  // A compaction: the thread takes the mutex and the list, takes the stripe's requests, and runs
  // the job; then it gives up the word, and applies the outcome.
  bool compaction_step(State& s, int thread) {
    auto& at = s.at[thread];
    const auto& record = history_.threads[thread].compactions[at.compaction];
    const auto stripe = std::uint32_t{record.stripe};
    auto& word = s.words[stripe];
    if (s.holder != nobody && s.holder != thread) {
      return false;
    }
    switch (at.phase++) {
      case 0:
        if (s.core.queue.empty()) {
          s.admit();
        }
        s.holder = thread;
        return s.started && !s.core.queue.empty() && s.core.queue.front() == stripe;
      case 1:
        s.core.take();
        word.running = !s.core.closed;
        s.holder = nobody;
        return ++s.taken[stripe] == record.number && s.core.attempts[stripe] == record.attempt &&
               sees(record, std::exchange(s.core.closed ? s.owed[stripe] : word.claims, {}));
      case 2:
        s.holder = thread;
        at.requested = s.core.closed ? s.core.owed.count(stripe) != 0 : !word.claims.empty();
        word.running = false;
        if (!s.core.closed && !at.requested && kind_of(thread, at.compaction) == Kind::more_work) {
          word.claims.push_back(Claim{thread, -1});
        }
        return record.stopped == 0 || (s.core.closed && s.core.mode == ShutdownMode::cancel);
      default:
        finish(s, thread, stripe);
        return true;
    }
  }

  // Publication, and no compaction that began before what it serves.
  static bool sees(const CompactionRecord& record, const std::vector<Claim>& claims) {
    return std::all_of(claims.begin(), claims.end(), [&](const Claim& claim) {
      return claim.call < record.begun.of[claim.thread];
    });
  }

  Kind kind_of(int thread, int compaction) const {
    static constexpr Kind kinds[] = {Kind::done,  Kind::nothing_to_do, Kind::more_work,
                                     Kind::retry, Kind::failed,        Kind::failed};
    return history_.threads[thread].compactions[compaction].stopped != 0
               ? Kind::stopped
               : kinds[static_cast<int>(script_of(thread, compaction).end)];
  }

  void finish(State& s, int thread, std::uint32_t stripe) {
    auto& at = s.at[thread];
    const auto kind = kind_of(thread, at.compaction);
    if (at.requested || kind == Kind::more_work) {
      // Behind what was listed before; but of what others listed it need not have heard.
      used_stale_ = !s.listed.empty() &&
                    std::none_of(s.listed.begin(), s.listed.end(),
                                 [&](const Request& each) { return each.claim.thread == thread; });
      if (!stale_ || !used_stale_) {
        s.admit();
      }
    }
    s.core.finish(stripe, kind, at.requested);
    if (kind == Kind::failed || kind == Kind::retry) {
      s.core.record_error(
          error_text(stripe, history_.threads[thread].compactions[at.compaction].number));
    }
    s.finished[stripe].push_back(Finished{s.ended(stripe), thread, at.compaction});
    s.holder = nobody;
    ++at.compaction;
    at.phase = 0;
  }

  const Program& program_;
  const History& history_;
  int worker_from_ = 1;
  std::vector<Call> calls_[thread_limit];
  // Of a worker thread: those of the compactions up to this one.
  std::vector<int> calls_until_[thread_limit];
  std::unordered_set<std::string> seen_;
  bool stale_ = false, used_stale_ = false;
};

}  // namespace

std::vector<Call> calls_of(const Program& program, const History& history, int thread) {
  std::vector<Call> result;
  const auto add = [&result](const std::vector<Call>& sequence) {
    result.insert(result.end(), sequence.begin(), sequence.end());
  };
  if (thread == 0) {
    add(program.before);
    add(program.after);
  } else if (thread <= static_cast<int>(program.threads.size())) {
    add(program.threads[static_cast<std::size_t>(thread) - 1]);
  }
  if (thread == scan_thread(program) && history.threads[thread].call_count != 0) {
    add(program.scan);
  }
  for (int i = 0; i < history.threads[thread].compaction_count; ++i) {
    const auto& compaction = history.threads[thread].compactions[i];
    add(program.compaction(compaction.stripe, compaction.number).calls);
  }
  return result;
}

bool is_explained(const Program& program, const History& history) {
  return Explanation(program, history).exists();
}

}  // namespace kstone::programs
