#include "explanation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "../reference.h"

namespace kstone::programs {
namespace {

using proptests::Reference;
using Kind = CompactionOutcome::Kind;

constexpr int nobody = -1;
constexpr int stripe_limit = Program::stripe_limit;

// A request as the word of its stripe knows it: the call, by thread and number.
struct Claim {
  int thread;
  int call;
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
  std::vector<std::pair<std::uint32_t, int>> listed;  // stripes, and who listed them
  bool list_closed = false;
  bool started = false;
  int holder = nobody;  // of the mutex

  unsigned opened[stripe_limit] = {};  // episodes
  std::uint32_t attempts[stripe_limit] = {};
  std::vector<Finished> finished[stripe_limit];
  unsigned compactions_started = 0, running_max = 0;
  unsigned outcomes[6] = {};
  std::uint8_t first_error = 0;

  // Where each thread is.
  struct Position {
    int call = 0, step = 0;
    int compaction = 0, phase = 0;
    std::optional<unsigned> goals[stripe_limit];  // of a wait_idle: episodes that must have ended
  } at[thread_limit];

  unsigned alive(std::uint32_t stripe) const {
    const auto open = core.open.find(stripe);
    const bool queued = std::find(core.queue.begin(), core.queue.end(), stripe) != core.queue.end();
    const bool pending = !words[stripe].closed && !words[stripe].claims.empty() && !queued;
    return (open == core.open.end() ? 0U : static_cast<unsigned>(open->second)) + (pending ? 1 : 0);
  }
  unsigned ended(std::uint32_t stripe) const { return opened[stripe] - alive(stripe); }
};

class Explanation {
 public:
  Explanation(const Program& program, const History& history) : program_(program), history_(history) {
    worker_from_ = 1 + static_cast<int>(program.threads.size());
    for (int thread = 0; thread < thread_limit; ++thread) {
      std::vector<Call>& sequence = calls_[thread];
      if (thread == 0) {
        sequence = program.before;
        sequence.insert(sequence.end(), program.after.begin(), program.after.end());
        static constexpr Call destruction{"~", Operation::shutdown};
        sequence.push_back(destruction);
      } else if (thread < worker_from_) {
        sequence = program.threads[static_cast<std::size_t>(thread) - 1];
      }
      for (int i = 0; thread >= worker_from_ && i < history.threads[thread].compaction_count; ++i) {
        const auto& script = script_of(thread, i);
        sequence.insert(sequence.end(), script.calls.begin(), script.calls.end());
        calls_until_[thread].push_back(static_cast<int>(sequence.size()));
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

  // -- The search ------------------------------------------------------------------------------------------------------

  bool search(const State& state) {
    if (!seen_.insert(key(state)).second) {
      return false;
    }
    bool all_done = true;
    for (int thread = 0; thread < thread_limit; ++thread) {
      const auto& at = state.at[thread];
      if (at.call == static_cast<int>(calls_[thread].size()) && at.compaction == history_.threads[thread].compaction_count) {
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

  // What the future depends on. (Where each thread is gives most of it; the order of what they did, the rest.)
  std::string key(const State& s) const {
    std::string text;
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
      put(s.words[i].running + 2 * s.words[i].closed + 4 * (s.core.discarded.count(stripe) + 2 * s.core.unfinished.count(stripe)) +
          16 * s.core.owed.count(stripe) + 32 * s.core.running.count(stripe));
      put(s.opened[i]);
      put(s.attempts[i]);
      put(s.alive(stripe));
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
    for (const auto& [stripe, thread] : s.listed) {
      put(stripe * 16 + static_cast<std::size_t>(thread));
    }
    put(s.list_closed + 2 * s.started + 4 * s.core.closed + 8 * static_cast<std::size_t>(s.core.mode));
    put(static_cast<std::size_t>(s.holder + 1));
    put(s.running_max);
    put(s.first_error);
    return text;
  }

  // -- Steps: false if it cannot be taken now, or contradicts the history ------------------------------------------------

  bool step(State& s, int thread) {
    if (is_worker(thread)) {
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
    const CallRecord* const record = destruction ? nullptr : &history_.threads[thread].calls[at.call];
    if (at.step == 0 && !follows(s, record)) {
      return false;
    }
    bool done = false;
    const bool possible = call.operation == Operation::request     ? request(s, thread, call, *record, done)
                          : call.operation == Operation::wait_idle ? wait_idle(s, thread, call, *record, done)
                          : call.operation == Operation::shutdown  ? shutdown(s, thread, call, record, done)
                                                                   : free(s) && observe(s, thread, call, *record, done);
    if (done) {
      ++at.call;
      at.step = 0;
    } else {
      ++at.step;
    }
    return possible;
  }

  // Calls that ended before this one began come before it; the destruction comes after everything.
  bool follows(const State& s, const CallRecord* record) const {
    for (int other = 0; other < thread_limit; ++other) {
      const auto& thread = history_.threads[other];
      const int needed = record != nullptr ? std::max(record->known.of[other], record->earlier.of[other]) : thread.call_count;
      if (s.at[other].call < needed && !(other >= worker_from_ && record == nullptr)) {
        return false;
      }
    }
    return true;
  }

  // Whether the caller must have seen it: its own calls, and those that happened before.
  static bool knows(const CallRecord& record, int self, int self_call, const Claim& claim) {
    return claim.thread == self ? claim.call < self_call : claim.call < record.known.of[claim.thread];
  }

  bool request(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    const auto answer = static_cast<Submission>(record.answer);
    if (call.stripe >= program_.stripes) {
      done = true;
      return answer == Submission::rejected_unknown_stripe;
    }
    auto& word = s.words[call.stripe];
    if (s.at[thread].step == 0) {
      const auto expected = word.closed           ? Submission::rejected_shutting_down
                            : !word.claims.empty() ? Submission::coalesced
                            : word.running         ? Submission::rerun_pending
                                                   : Submission::queued;
      if (accepted(expected)) {
        word.claims.push_back(Claim{thread, s.at[thread].call});
        s.opened[call.stripe] += expected == Submission::coalesced ? 0 : 1;
      }
      done = expected != Submission::queued;
      return answer == expected;
    }
    if (!s.list_closed) {
      s.listed.emplace_back(call.stripe, thread);
    }
    done = true;
    return true;
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

  // What was requested before the wait, by happens-before, has been served, by compactions that happened before the answer.
  bool all_known_have_ended(const State& s, int thread, const CallRecord& record) const {
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      const unsigned needed = known_episodes(thread, s.at[thread].call, record, stripe);
      if (needed == 0) {
        continue;
      }
      const auto& finished = s.finished[stripe];
      const auto server = std::find_if(finished.begin(), finished.end(), [&](const Finished& f) { return f.ended >= needed; });
      if (server == finished.end() || server->compaction >= record.compactions.of[server->thread]) {
        return false;
      }
    }
    return true;
  }

  unsigned known_episodes(int thread, int call, const CallRecord& record, std::uint32_t stripe) const {
    unsigned needed = 0;
    for (const auto& [claim, episode] : episodes_[stripe]) {
      if (knows(record, thread, call, claim)) {
        needed = std::max(needed, episode);
      }
    }
    return needed;
  }

  const Program& program_;
  const History& history_;
  int worker_from_ = 1;
  std::vector<Call> calls_[thread_limit];
  std::vector<int> calls_until_[thread_limit];  // of a worker thread: those of the compactions up to this one
  std::unordered_set<std::string> seen_;
  bool stale_ = false, used_stale_ = false;
};

}  // namespace

bool is_explained(const Program& program, const History& history) { return Explanation(program, history).exists(); }

}  // namespace kstone::programs
