#include "explanation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "explained_delays.h"
#include "explained_holding.h"
#include "explained_key.h"
#include "explained_numbers.h"
#include "explained_state.h"
#include "explained_threads.h"

namespace kstone::programs {
namespace {

using protocol::Kind;

class Explanation {
 public:
  Explanation(const Program& program, const History& history)
      : program_(program), history_(history) {
    worker_from_ = 1 + static_cast<int>(program.threads.size());
    scans_again_ = program.limits().timeouts != 0;
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

  bool exists() {
    State state(static_cast<int>(program_.stripes));
    state.worker.limit = static_cast<std::uint32_t>(program_.workers);
    for (auto& stripe : state.stripes) {
      stripe.word.removed = program_.all_removed;
    }
    return search(state);
  }

 private:
  const Compaction& script_of(int thread, int compaction) const {
    const auto& record = history_.threads[thread].compactions[compaction];
    return program_.compaction(record.stripe, record.number);
  }
  bool is_worker(int thread) const { return thread >= worker_from_; }

  // -- The search ---------------------------------------------------------------------------------

  bool search(const State& state) {
    if (!seen_.insert(key_of(state)).second) {
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
      int choices = 1;
      for (int choice = 0; choice < choices; ++choice) {
        State next = state;
        choice_ = choice;
        choices_ = 1;
        const bool possible = step(next, thread);
        choices = choices_;
        if (possible && search(next)) {
          return true;
        }
      }
    }
    return all_done ? !state.worker.has_ready() && state.worker.running == 0
                    : goes_on_unrecorded(state);
  }

  // Steps of which no history tells by themselves.
  bool goes_on_unrecorded(const State& state) {
    const auto& worker = state.worker;
    if (!free(state)) {
      return false;
    }
    // A thread finds nothing in the list but what is paused, and nodes that are of no use any more;
    // or whoever counts the stripes that wait lets those arrive that come late.
    const bool no_use =
        !worker.has_ready() && worker.looking() != 0 && (worker.arriving == 0 || worker.paused);
    const bool counted =
        program_.counts() && std::any_of(state.stripes.begin(), state.stripes.end(),
                                         [](const auto& each) { return each.word.under_way; });
    if (worker.control.may_take_inbox() && (no_use || counted)) {
      State next = state;
      next.take_inbox();
      if (search(next)) {
        return true;
      }
    }
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      for (const bool stale : {false, true}) {
        const auto goes_on = [&](bool may, const auto& step) {
          State next = state;
          return may && (!stale || state.worker.nodes() != 0) &&
                 (step(next, stripe, stale), search(next));
        };
        if (goes_on(worker.may_expire(state.stripes[stripe]), expire) ||
            goes_on(may_scan(state) && worker.may_adopt(state.stripes[stripe]), adopt)) {
          return true;
        }
      }
    }
    return false;
  }

  // The scan's thread looks for late claims after its calls, and again if a timeout may be chosen.
  bool may_scan(const State& s) const {
    return !program_.scan.empty() && s.worker.started &&
           (scans_again_ ||
            static_cast<std::size_t>(s.at[scan_thread(program_)].call) == program_.scan.size());
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
        call.operation == Operation::request ? request(s, thread, call, *record, done)
        : call.is_wait()                     ? wait(s, thread, call, *record, done)
        : call.holds_back()
            ? free(s) && hold_back(s, caller(s, thread, call, *record), choice_, choices_, done)
        : call.operation == Operation::shutdown
            ? shutdown(s, thread, call, record, done)
            : free(s) && observe(s, thread, call, *record, done);
    if (done) {
      ++at.call;
      at.step = 0;
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

  Caller caller(const State& s, int thread, const Call& call, const CallRecord& record) const {
    const int scan = scan_thread(program_);
    const auto at = static_cast<std::size_t>(s.at[scan].call);
    return Caller{history_,
                  thread,
                  is_worker(thread),
                  call,
                  record,
                  !program_.scan.empty(),
                  at != 0 && at < calls_[scan].size()};
  }
  // The first scan has returned, if there is one; it may never begin.
  bool has_scanned(const State& s) const {
    const auto& scan = calls_[scan_thread(program_)];
    return program_.scan.empty() ||
           (!scan.empty() &&
            static_cast<std::size_t>(s.at[scan_thread(program_)].call) == scan.size());
  }

  bool request(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    const Claim self{thread, s.at[thread].call};
    if (s.at[thread].step > 1) {
      done = raise(s, call.stripe, self);
      return true;
    }
    if (s.at[thread].step == 1) {
      if (auto& stripe = s.stripes[call.stripe]; s.worker.may_push(stripe)) {
        s.worker.push(stripe, call.stripe);
        s.pushed[call.stripe] = self;
      }
      done = true;
      return true;
    }
    bool claims = false;  // else its answer is all there is to do, unless it
    bool raises = false;
    Request request{self, call.stripe, Submission::rejected_unknown_stripe, 0};
    if (call.stripe < program_.stripes) {
      auto& stripe = s.stripes[call.stripe];
      claims = stripe.word.may_claim();
      const auto raising = stripe.raising;
      request.answer = static_cast<Submission>(
          s.worker.request(stripe, {.priority = static_cast<std::uint32_t>(call.priority)}));
      raises = stripe.raising != raising;
      if (accepted(request.answer)) {
        s.claims[call.stripe].push_back(self);
        request.episode = stripe.told_opened();
      }
    }
    s.made.push_back(request);
    done = !claims && !raises;
    s.at[thread].step = raises ? 2 : 1;
    return static_cast<std::uint8_t>(request.answer) == record.answer;
  }

  // On its mark, and if it was not set, on the inbox. True if that is all.
  static bool raise(State& s, std::uint32_t id, const Claim& self) {
    auto& stripe = s.stripes[id];
    if (s.at[self.thread].step++ == 2) {
      const bool marked = stripe.is_raise_marked();
      s.worker.mark_raise(stripe);
      return marked;
    }
    if (s.worker.may_push_raise(stripe)) {
      s.worker.push_raise(stripe, id);
      s.raised[id] = self;
    }
    return true;
  }

  // For all stripes, or for one, whose answer says how the last of its episodes ended.
  bool wait(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    auto& at = s.at[thread];
    const auto result = result_of(record.answer);
    if (call.operation == Operation::wait_stripe && call.stripe >= program_.stripes) {
      done = true;
      return result == IdleResult::unknown_stripe;
    }
    if (!free(s)) {
      return false;
    }
    if (at.step == 0) {
      return begin_wait(s, thread, call, record, done);
    }
    done = true;
    Left left;
    std::optional<unsigned> goal;  // of the last stripe that is waited for
    unsigned quarantined = in_quarantine(s);
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      quarantined |= at.goals[stripe] ? 0 : 1U << stripe;
      if (at.goals[stripe]) {
        goal = *at.goals[stripe];
        if (!protocol::reached(s.stripes[stripe], *goal)) {
          left.add(s, call, stripe);
        }
        at.goals[stripe].reset();
      }
    }
    const unsigned ended = std::exchange(at.ended, 0);
    if (call.operation == Operation::wait_stripe) {
      quarantined = 0;
    }
    if (result == IdleResult::quarantined) {
      return goal && s.stripes[call.stripe].quarantined &&
             !protocol::reached(s.stripes[call.stripe], *goal) &&
             is_told_of_quarantine(s, call, record);
    }
    const bool late = result == IdleResult::timed_out;
    // Goals are read without the mutex, and may miss what the caller does not know of.
    if (result == IdleResult::paused || result == IdleResult::delayed) {
      left.others = false;
      left.held = left.held && result == IdleResult::paused;
    } else if (!late) {
      left = {.others = !all_known_have_ended(s, thread, call, record, quarantined)};
    }
    const auto end = last_end_of(record.answer);
    return (call.limited || !late) && left.answer(s, !late) == static_cast<std::uint32_t>(result) &&
           (end ? goal && ends_so(s, call.stripe, ended + 1, *goal, *end, record)
                : call.operation == Operation::wait_idle || result != IdleResult::idle);
  }

  bool begin_wait(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    auto& at = s.at[thread];
    const auto answer = protocol::first_answer_of_wait(s.worker, is_worker(thread));
    done = answer != protocol::still_waits<std::uint32_t>;
    if (done) {
      return answer == static_cast<std::uint32_t>(result_of(record.answer));
    }
    if (call.operation == Operation::wait_idle && !program_.scan.empty() && call.limited &&
        result_of(record.answer) == IdleResult::timed_out) {
      done = true;  // the first scan has not returned, or another is under way
      return true;
    }
    if (call.operation == Operation::wait_idle && !has_scanned(s)) {
      return false;
    }
    if (!adopt_late(s, thread, call, record)) {
      return false;
    }
    const bool one = call.operation == Operation::wait_stripe;
    if (one && s.stripes[call.stripe].quarantined) {
      done = true;
      return is_told_of_quarantine(s, call, record);
    }
    if (one && result_of(record.answer) == IdleResult::idle &&
        !s.stripes[call.stripe].alive_inside() &&
        all_known_have_ended(s, thread, call, record, 0) &&
        last_end(s, call.stripe) == last_end_of(record.answer)) {
      done = true;  // nothing was alive, as far as the caller knows
      return true;
    }
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      if (call.waits_for(stripe) && !s.stripes[stripe].quarantined) {
        at.goals[stripe] = protocol::goal_of(s.stripes[stripe]);
      }
    }
    if (one) {
      at.ended = ended_in_order(s.stripes[call.stripe]);
    }
    ++at.step;
    return true;
  }

  // A wait takes over each stripe in turn whose claim is late. It may miss one of which its caller
  // does not know, and may miss what others have listed.
  bool adopt_late(State& s, int thread, const Call& call, const CallRecord& record) {
    enum Way { passes, adopts, adopts_without_list, ways };
    const auto known = [&](const Claim& claim) {
      return knows(record, thread, s.at[thread].call, claim);
    };
    for (std::uint32_t id = 0; id < program_.stripes; ++id) {
      if (call.waits_for(id) && s.worker.may_adopt(s.stripes[id])) {
        choices_ = ways * (program_.stripes == 1 ? 1 : ways);
      }
    }
    int rest = choice_;
    for (std::uint32_t id = 0; id < program_.stripes; ++id) {
      const auto way = rest % ways;
      rest /= ways;
      const auto inbox = s.inbox();
      const bool late = call.waits_for(id) && s.worker.may_adopt(s.stripes[id]);
      const bool possible =
          way == passes   ? !late || std::none_of(s.claims[id].begin(), s.claims[id].end(), known)
          : way == adopts ? late
                          : late && !inbox.empty() &&
                                std::none_of(inbox.begin(), inbox.end(),
                                             [&](auto each) { return known(s.pushed[each]); });
      if (!possible) {
        return false;
      }
      if (way != passes) {
        adopt(s, id, way == adopts_without_list);
      }
    }
    return true;
  }

  // What was requested before the wait, by happens-before, has been served, by compactions that
  // happened before the answer, unless its stripe was in quarantine.
  bool all_known_have_ended(const State& s, int thread, const Call& call, const CallRecord& record,
                            unsigned quarantined) const {
    for (std::uint32_t stripe = 0; stripe < program_.stripes; ++stripe) {
      unsigned needed = 0;
      for (const auto& each : s.made) {
        const bool scanned =
            call.operation == Operation::wait_idle && each.claim.thread == scan_thread(program_);
        if (call.waits_for(stripe) && each.stripe == stripe &&
            (scanned || knows(record, thread, s.at[thread].call, each.claim))) {
          needed = std::max(needed, each.episode);
        }
      }
      if (needed == 0 || (quarantined & (1U << stripe)) != 0) {
        continue;
      }
      const auto& finished = s.finished[stripe];
      const auto server = std::find_if(finished.begin(), finished.end(),
                                       [&](const Finished& f) { return f.ended >= needed; });
      if (server == finished.end() || !knows(record, *server)) {
        return false;
      }
    }
    return true;
  }

  bool shutdown(State& s, int thread, const Call& call, const CallRecord* record, bool& done) {
    enum { enters, closes_words, discards, ends };
    auto& step = s.at[thread].step;
    auto& worker = s.worker;
    if (s.holder != nobody && s.holder != thread) {
      return false;
    }
    if (step == enters && is_worker(thread)) {
      done = true;
      return record->report ==
             Report{1, 0, static_cast<std::uint8_t>(ShutdownReport().mode), 0, 0, 0, 0, 0};
    }
    if (step == enters && !worker.closed && awaits_scan(s, call)) {
      return false;
    }
    if (step == enters && !worker.closed) {
      s.holder = thread;
      s.take_inbox();
      worker.close(call.mode);
      step = closes_words;
    } else if (step == enters) {
      worker.strengthen(call.mode);
      discard_if(s, worker.discards());
      step = discards;
    } else if (step == closes_words) {
      const auto open = std::find_if(s.stripes.begin(), s.stripes.end(), [&](const auto& stripe) {
        return worker.may_close_stripe(stripe);
      });
      if (open == s.stripes.end()) {
        s.holder = nobody;
        step = discards;
      } else {
        worker.close_stripe(*open);
        const auto id = static_cast<std::size_t>(open - s.stripes.begin());
        s.owed[id] = std::exchange(s.claims[id], {});
      }
    } else if (step == discards) {
      discard_if(s, worker.alive == 0);
      step = ends;
    } else {
      done = true;
      return ends_as(s, call, record);
    }
    return true;
  }

  // A drain does so until the first scan has returned, whose thread may be missing.
  bool awaits_scan(const State& s, const Call& call) const {
    return call.mode == ShutdownMode::drain && s.worker.started && !call.limited &&
           !program_.refusals && !has_scanned(s);
  }

  static void discard_if(State& s, bool all) {
    if (all) {
      s.discard();
    }
  }

  // With a limit, a shutdown may return before all threads have left.
  bool ends_as(const State& s, const Call& call, const CallRecord* record) const {
    const int scan = scan_thread(program_);
    const bool all_left = !s.worker.has_ready() && s.worker.running == 0 &&
                          s.at[scan].call == static_cast<int>(calls_[scan].size());
    if (record == nullptr) {
      return all_left;
    }
    const auto& report = record->report;
    bool known = true;  // what every compaction wrote
    for (int worker = worker_from_; worker < thread_limit; ++worker) {
      known = known && s.at[worker].compaction <= record->compactions.of[worker];
    }
    const auto expected = protocol::report_of(s, report.complete != 0);
    return (report.complete != 0 ? all_left && known : call.limited) &&
           report == Report{0,
                            report.complete,
                            static_cast<std::uint8_t>(expected.mode),
                            set_of(expected.discarded),
                            set_of(expected.quarantined),
                            set_of(expected.unfinished),
                            set_of(expected.waiting),
                            set_of(expected.still_running),
                            static_cast<std::uint8_t>(s.worker.first_error)};
  }

  bool observe(State& s, int thread, const Call& call, const CallRecord& record, bool& done) {
    done = true;
    switch (call.operation) {
      case Operation::start:
        return start(s, program_, record.answer);
      case Operation::is_running:
        return (record.answer != 0) == protocol::is_running(s.worker);
      case Operation::set_max:
        return set_max(s, program_, call.stripe, record.answer);
      case Operation::retry_now:
        choices_ = s.inbox().empty() ? 1 : 2;
        return retry_now(s, program_, record.answer, choice_ != 0);
      case Operation::release:
        choices_ = s.inbox().empty() ? 1 : 2;
        return release(s, call.stripe, record.answer, choice_ != 0);
      case Operation::queue_size:
        return is_queue_size(s, thread, record, record.answer);
      default:
        return is_snapshot(s, thread, record);
    }
  }

  // A compaction: the thread takes the mutex and the list, takes the stripe's requests, and runs
  // the job; then it gives up the word, and applies the outcome.
  bool compaction_step(State& s, int thread) {
    auto& at = s.at[thread];
    const auto& record = history_.threads[thread].compactions[at.compaction];
    auto& stripe = s.stripes[record.stripe];
    auto& worker = s.worker;
    auto& claims = (worker.closed ? s.owed : s.claims)[record.stripe];
    if (s.holder != nobody && s.holder != thread) {
      return false;
    }
    switch (at.phase++) {
      case 0:
        take_inbox(s, thread, !worker.has_ready());
        s.holder = thread;
        return s.may_take(stripe);
      case 1:
        s.take(stripe);
        s.holder = nobody;
        return stripe.started == record.number && stripe.attempts == record.attempt &&
               stripe.priority == record.priority && sees(record, std::exchange(claims, {}));
      case 2:
        s.holder = thread;
        s.release(stripe, ending_of(program_, kind_of(thread, at.compaction)));
        if (stripe.asked() && claims.empty()) {
          claims.push_back(Claim{thread, -1});  // the thread itself asks for the rest of its work
        }
        // It is its own request that it has to have seen.
        return record.stopped != 0
                   ? worker.stops_jobs() || stripe.asked_to_stop
                   : !(at.cancelled_itself && script_of(thread, at.compaction).look != Look::none);
      default:
        finish(s, thread, record.stripe);
        return true;
    }
  }

  // But of what others listed the thread need not have heard, unless it has nothing else to do.
  void take_inbox(State& s, int thread, bool must) {
    bool own = false;
    for (std::size_t i = 0; i < s.stripes.size(); ++i) {
      own = own || (s.stripes[i].pushed && s.pushed[i].thread == thread) ||
            (s.stripes[i].raise_pushed && s.raised[i].thread == thread);
    }
    const bool may_miss = !must && !own && s.worker.nodes() != 0;
    choices_ = may_miss ? 2 : 1;
    if (choice_ == 0) {
      s.take_inbox();
    }
  }

  // Publication, and no compaction that began before what it serves.
  static bool sees(const CompactionRecord& record, const std::vector<Claim>& claims) {
    return std::all_of(claims.begin(), claims.end(), [&](const Claim& claim) {
      return claim.call < record.begun.of[claim.thread];
    });
  }

  Kind kind_of(int thread, int compaction) const {
    return history_.threads[thread].compactions[compaction].stopped != 0
               ? Kind::stopped
               : ends[script_of(thread, compaction).end].kind;
  }

  void finish(State& s, int thread, std::uint32_t id) {
    auto& at = s.at[thread];
    auto& stripe = s.stripes[id];
    auto& worker = s.worker;
    const auto ending = ending_of(program_, kind_of(thread, at.compaction));
    if (worker.puts_back(stripe, ending)) {
      take_inbox(s, thread, false);  // behind what was listed before
    }
    const auto number = history_.threads[thread].compactions[at.compaction].number;
    const auto error = ending.failed() ? error_number(error_text(id, number)) : std::uint8_t{0};
    const auto before = stripe;
    worker.finish(stripe, ending, error);
    park_surplus(worker);
    const auto end = protocol::end_since(before, stripe).value_or(EpisodeEnd::done);
    s.finished[id].push_back(Finished{ended_in_order(stripe), thread, at.compaction, end});
    at.cancelled_itself = false;
    s.holder = nobody;
    ++at.compaction;
    at.phase = 0;
  }

  const Program& program_;
  const History& history_;
  int worker_from_ = 1;
  bool scans_again_ = false;
  std::vector<Call> calls_[thread_limit];
  // Of a worker thread: those of the compactions up to this one.
  std::vector<int> calls_until_[thread_limit];
  std::unordered_set<std::string> seen_;
  // A step that may go several ways says how many, and goes this one.
  int choice_ = 0, choices_ = 1;
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
