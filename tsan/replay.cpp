// The rules by which a recorded run is judged; see trace.h.
//
// Words first: for each, all transitions in their order, each beginning where the one before it
// ended, each of a kind that the word has. Then the holds of the mutex, in their order, each by the
// rules of the call or thread that holds it.

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "kstone/atomic_words.h"
#include "kstone/scheduling_core.h"
#include "trace.h"

namespace kstone::trace {
namespace {

using Kind = CompactionOutcome::Kind;

struct Illegal {
  std::string text;
};

[[noreturn]] void illegal(std::string text) { throw Illegal{std::move(text)}; }

void require(bool holds, const char* text) {
  if (!holds) {
    illegal(text);
  }
}

const char* name(Act act) {
  constexpr const char* names[] = {"transition",   "load",         "lock",       "unlock",
                                   "notify",       "post",         "sleep",      "wake",
                                   "thread_start", "thread_begin", "thread_end", "join",
                                   "job_begin",    "job_end",      "scan_begin", "scan_end",
                                   "sink_begin",   "sink_end",     "call_begin", "call_end"};
  return names[static_cast<std::size_t>(act)];
}

std::string show(const Event& event) {
  const auto object = event.object == control_object ? "control" : std::to_string(event.object);
  auto text = std::string(name(event.act)) + " " + object;
  if (event.act == Act::transition || event.act == Act::load) {
    text +=
        " version " + std::to_string(event.version) + ": " + std::to_string(event.before) + " to ";
  } else if (event.version != 0) {
    text += " number " + std::to_string(event.version) + ", ";
  }
  return text + " " + std::to_string(event.after);
}

// -- Words ----------------------------------------------------------------------------------------

// What one transition of the control word does.
enum class Step { list, take_list, add_sleeper, claim_sleeper, close };

Step step_of(ControlWord before, ControlWord after) {
  require(!before.closed(), "the control word changes after it was closed");
  if (after.bits == ControlWord::closed_and_empty().bits) {
    return Step::close;
  }
  if (!after.list_is_empty() && after.bits == before.with_listed(after.head() - 1).bits) {
    return Step::list;
  }
  if (!before.list_is_empty()) {
    if (after.bits == before.with_list_taken().bits) {
      return Step::take_list;
    }
  } else if (after.bits == before.with_sleeper_added().bits) {
    return Step::add_sleeper;
  }
  if (before.sleepers() != 0 && after.bits == before.with_sleeper_claimed().bits) {
    return Step::claim_sleeper;
  }
  illegal("the control word has no such transition");
}

// The transitions of one word in their order; the n-th is version n.
class Chain {
 public:
  void add(const Event& event) {
    require(event.version != 0, "a transition without a number");
    if (event.version > transitions_.size()) {
      transitions_.resize(event.version, nullptr);
    }
    require(transitions_[event.version - 1] == nullptr,
            "two transitions of a word have the same number");
    transitions_[event.version - 1] = &event;
  }

  void check() const {
    std::uint64_t value = 0;
    for (const auto* transition : transitions_) {
      require(transition != nullptr, "a transition of a word is missing");
      require(transition->before == value,
              "a transition does not begin where the one before it ended");
      value = transition->after;
    }
  }

  std::uint64_t value(std::uint64_t version) const {
    require(version <= transitions_.size(), "a load of a value that the word never had");
    return version == 0 ? 0 : transitions_[version - 1]->after;
  }

  // What the thread that holds the mutex sees of a word is not older than what a holder before it
  // has seen.
  void seen_by_holder(std::uint64_t version) {
    require(version >= newest_seen_,
            "a holder of the mutex sees an older value than one before it");
    newest_seen_ = version;
  }

  const std::vector<const Event*>& transitions() const { return transitions_; }

 private:
  std::vector<const Event*> transitions_;
  std::uint64_t newest_seen_ = 0;
};

// -- Threads --------------------------------------------------------------------------------------

struct Frame {
  // The job, the scan and the sink are the engine's code; the others the worker's calls.
  enum class Kind { call, job, scan, sink } kind = Kind::call;
  Call call = Call::start;
  std::uint64_t argument = 0;

  int at = 0;                // where the call stands; finished below
  std::uint64_t answer = 0;  // that it must give
  std::uint32_t lines = 0;   // that it has yet to log
  bool noted = false;        // as a thread that a sink runs on
  bool joins = false;
  // Stripe, episodes that must have ended.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> goals = {};
  std::size_t goal = 0;
  WorkerSnapshot snapshot = {};
  ShutdownReport report = {};
};
constexpr int finished = -1;

struct Thread {
  const Log* log = nullptr;
  std::size_t next = 0;  // event
  std::string name = {};
  enum class Role { caller, worker, scan } role = Role::caller;
  // What the thread does next, when no call of it is under way.
  enum class Phase {
    outside,
    begins,
    runs,
    ran,
    sleeps,
    woke,
    waits,
    scans,
    left
  } phase = Phase::outside;
  std::uint32_t stripe = 0;
  std::uint32_t attempt = 0;
  Kind outcome = Kind::done;
  std::string error = {};
  bool unwound = false;  // out of its job
  std::uint64_t owed_tokens = 0;
  std::uint32_t owed_lines = 0;
  std::uint32_t in_sink = 0;
  Change waits_for = Change::none;
  std::vector<Frame> frames = {};
};

class Replay {
 public:
  Replay(const Setting& setting, const std::vector<const Log*>& logs)
      : setting_(setting), words_(setting.stripes), core_(setting.stripes) {
    for (const auto* log : logs) {
      add_thread(*log, "caller " + std::to_string(threads_.size()));
    }
  }

  Verdict run() {
    Verdict verdict;
    try {
      read_words();
      read_holds();
      for (std::uint64_t number = 1; number <= holders_.size(); ++number) {
        acting_ = holders_[number - 1];
        until_lock(*acting_);
        hold(*acting_, number);
      }
      for (auto& thread : threads_) {
        acting_ = thread.get();
        until_lock(*thread);
        require(ended(*thread), "the log ends in the middle");
      }
      acting_ = nullptr;
      check_end();
    } catch (const Illegal& found) {
      verdict.illegal = found.text;
      if (acting_ != nullptr) {
        const auto& events = acting_->log->events;
        verdict.illegal +=
            "; " + acting_->name + ", event " + std::to_string(acting_->next) +
            (acting_->next < events.size() ? ", " + show(events[acting_->next]) : ", the end");
      }
    }
    verdict.transitions = control_.transitions().size();
    for (const auto& word : words_) {
      verdict.transitions += word.transitions().size();
    }
    for (const auto& thread : threads_) {
      verdict.events += thread->log->events.size();
    }
    verdict.holds = holders_.size();
    return verdict;
  }

 private:
  using Role = Thread::Role;
  using Phase = Thread::Phase;

  // -- Reading ------------------------------------------------------------------------------------

  void add_thread(const Log& log, std::string name) {
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->log = &log;
    threads_.back()->name = name;
    by_log_[&log] = threads_.back().get();
    for (std::size_t i = 0; i < log.children.size(); ++i) {
      add_thread(*log.children[i], name + ", child " + std::to_string(i));
    }
  }

  Chain& chain(std::uint32_t object) {
    if (object == control_object) {
      return control_;
    }
    require(object < words_.size(), "a word that the worker does not have");
    return words_[object];
  }

  void read_words() {
    for (const auto& thread : threads_) {
      acting_ = thread.get();
      for (const auto& event : thread->log->events) {
        if (event.act == Act::transition) {
          chain(event.object).add(event);
        }
        ++acting_->next;
      }
      acting_->next = 0;
    }
    acting_ = nullptr;
    for (const auto& word : words_) {
      word.check();
    }
    control_.check();
    std::size_t taken = 0;
    for (const auto* transition : control_.transitions()) {
      const ControlWord before{transition->before};
      const ControlWord after{transition->after};
      const auto step = step_of(before, after);
      require(after.sleepers() <= setting_.worker_threads, "more threads sleep than there are");
      if (step == Step::list) {
        listed_.push_back(after.head() - 1);
      }
      claims_ +=
          step == Step::claim_sleeper || (step == Step::list && before.sleepers() != 0) ? 1U : 0U;
      sleeps_ += step == Step::add_sleeper ? 1U : 0U;
      steps_.push_back({step, taken, listed_.size()});
      if (step == Step::take_list || step == Step::close) {
        require(listed_.size() - taken == before.listed(),
                "the list is not as long as its word says");
        taken = listed_.size();
      }
    }
  }

  void read_holds() {
    for (const auto& thread : threads_) {
      acting_ = thread.get();
      for (const auto& event : thread->log->events) {
        if (event.act == Act::lock) {
          require(event.version != 0, "a hold without a number");
          if (event.version > holders_.size()) {
            holders_.resize(event.version, nullptr);
          }
          require(holders_[event.version - 1] == nullptr,
                  "two holds of the mutex have the same number");
          holders_[event.version - 1] = thread.get();
        }
        ++acting_->next;
      }
      acting_->next = 0;
    }
    acting_ = nullptr;
    require(std::find(holders_.begin(), holders_.end(), nullptr) == holders_.end(),
            "a hold of the mutex is missing");
  }

  static bool ended(const Thread& thread) {
    return thread.next == thread.log->events.size() && thread.frames.empty();
  }

  static const Event* peek(const Thread& thread) {
    return thread.next < thread.log->events.size() ? &thread.log->events[thread.next] : nullptr;
  }

  static const Event& take(Thread& thread, Act act) {
    const auto* event = peek(thread);
    if (event == nullptr || event->act != act) {
      illegal(std::string("a ") + name(act) + " is due here");
    }
    ++thread.next;
    return *event;
  }

  // -- Outside the mutex --------------------------------------------------------------------------

  void until_lock(Thread& thread) {
    for (const auto* event = peek(thread); event != nullptr && event->act != Act::lock;
         event = peek(thread)) {
      outside(thread, *event);
    }
  }

  void outside(Thread& thread, const Event& event) {
    auto* frame = thread.frames.empty() ? nullptr : &thread.frames.back();
    switch (event.act) {
      case Act::call_begin:
        require(frame == nullptr || frame->kind != Frame::Kind::call,
                "a call begins in the middle of another");
        require(thread.role == Role::caller || frame != nullptr,
                "a thread of the worker calls outside of any job, scan or sink");
        ++thread.next;
        thread.frames.push_back(
            Frame{.call = static_cast<Call>(event.detail), .argument = event.after});
        if (thread.frames.back().call == Call::queue_compaction) {
          request(thread, thread.frames.back());
        }
        return;
      case Act::call_end:
        require(frame != nullptr && frame->kind == Frame::Kind::call && frame->at == finished,
                "the call is not over yet");
        require(static_cast<Call>(event.detail) == frame->call, "another call ends than began");
        check_answer(thread, *frame, event.after);
        ++thread.next;
        thread.frames.pop_back();
        return;
      case Act::sink_begin:
        require(thread.owed_lines == 1, "a log line that nobody owes");
        thread.owed_lines = 0;
        ++thread.next;
        thread.frames.push_back(Frame{.kind = Frame::Kind::sink});
        return;
      case Act::post:
        require(thread.owed_tokens == event.after, "tokens are posted that nobody owes");
        thread.owed_tokens = 0;
        tokens_ += event.after;
        ++thread.next;
        return;
      case Act::join:
        require(frame != nullptr && frame->joins, "a thread is joined by one that must not");
        ++joins_;
        ++thread.next;
        return;
      case Act::sink_end:
        require(frame != nullptr && frame->kind == Frame::Kind::sink,
                "a log line ends that did not begin");
        ++thread.next;
        thread.frames.pop_back();
        return;
      case Act::job_end:
        require(frame != nullptr && frame->kind == Frame::Kind::job,
                "a job ends that did not begin");
        ++thread.next;
        thread.frames.pop_back();
        thread.outcome = static_cast<Kind>(event.after);
        thread.error = thread.log->texts.at(event.before);
        thread.phase = Phase::ran;
        thread.unwound = event.detail != 0;
        thread.owed_lines = setting_.has_sink && !thread.unwound ? 1 : 0;
        return;
      case Act::scan_end:
        require(frame != nullptr && frame->kind == Frame::Kind::scan,
                "a scan ends that did not begin");
        ++thread.next;
        thread.frames.pop_back();
        thread.phase = Phase::waits;
        thread.owed_lines = event.after != 0 && setting_.has_sink ? 1 : 0;
        return;
      default:
        break;
    }
    require(frame == nullptr && thread.role != Role::caller, "nobody does this here");
    require(thread.owed_tokens == 0, "a token was claimed and not posted");
    require(thread.owed_lines == 0, "a log line is missing");
    ++thread.next;
    own_step(thread, event);
  }

  // A thread of the worker, between holds.
  void own_step(Thread& thread, const Event& event) {
    switch (event.act) {
      case Act::thread_begin:
        require(thread.phase == Phase::outside, "a thread begins twice");
        thread.phase = Phase::begins;
        return;
      case Act::thread_end:
        require(thread.phase == Phase::left, "a thread ends that has not left");
        ++thread_ends_;
        return;
      case Act::sleep:
        require(thread.phase == Phase::sleeps, "a thread sleeps that has not said so");
        return;
      case Act::wake:
        require(thread.phase == Phase::sleeps, "a thread wakes that did not sleep");
        thread.phase = Phase::woke;
        ++wakes_;
        return;
      case Act::job_begin:
        require(thread.phase == Phase::runs, "a job runs that the core has not taken");
        require(event.object == thread.stripe,
                "another stripe is compacted than the core has taken");
        require(event.after == thread.attempt,
                "the job is told another attempt than the core counts");
        thread.frames.push_back(Frame{.kind = Frame::Kind::job});
        return;
      case Act::scan_begin:
        require(thread.phase == Phase::scans, "a scan that is not due");
        thread.frames.push_back(Frame{.kind = Frame::Kind::scan});
        return;
      default:
        illegal("a thread of the worker does not do this here");
    }
  }

  // -- Requests -----------------------------------------------------------------------------------

  const Event& transition(Thread& thread, std::uint32_t object) {
    const auto& event = take(thread, Act::transition);
    require(event.object == object, "a transition of another word than expected");
    if (holding_) {
      chain(object).seen_by_holder(event.version);
    }
    return event;
  }

  std::uint64_t load(Thread& thread, std::uint32_t object) {
    const auto& event = take(thread, Act::load);
    require(event.object == object, "a load of another word than expected");
    require(chain(object).value(event.version) == event.after,
            "a load of a value that the word did not have then");
    if (holding_) {
      chain(object).seen_by_holder(event.version);
    }
    return event.after;
  }

  // A compare-exchange of the control word from `control`: what was done, or false and the newer
  // value.
  bool exchange(Thread& thread, ControlWord& control, Step step) {
    const auto* event = peek(thread);
    if (event != nullptr && event->act == Act::load) {
      const auto expected = control.bits;
      control.bits = load(thread, control_object);
      require(control.bits != expected, "a compare-exchange fails though the value is as expected");
      return false;
    }
    const auto& done = transition(thread, control_object);
    require(done.before == control.bits,
            "a compare-exchange takes effect though the value is not as expected");
    require(steps_[done.version - 1].step == step,
            "the control word makes another transition than this thread wants");
    last_step_ = &steps_[done.version - 1];
    return true;
  }

  void request(Thread& thread, Frame& frame) {
    const auto id = static_cast<std::uint32_t>(frame.argument);
    frame.at = finished;
    if (id >= setting_.stripes) {
      frame.answer = static_cast<std::uint64_t>(Submission::rejected_unknown_stripe);
      return;
    }
    if (!setting_.enabled) {
      frame.answer = static_cast<std::uint64_t>(Submission::rejected_disabled);
      return;
    }
    const auto& event = transition(thread, id);
    const StripeWord before{event.before};
    require(event.after == event.before + StripeWord::one_request, "a request that is not counted");
    auto answer = Submission::queued;
    if (before.closed()) {
      answer = Submission::rejected_shutting_down;
    } else if (before.requests() != 0) {
      answer = Submission::coalesced;
    } else if (before.running()) {
      answer = Submission::rerun_pending;
    }
    frame.answer = static_cast<std::uint64_t>(answer);
    if (answer == Submission::queued) {
      list(thread, id);
    }
  }

  void list(Thread& thread, std::uint32_t id) {
    require(peek(thread) != nullptr && peek(thread)->act == Act::load,
            "this call has claimed the stripe and does not list it");
    ControlWord control{load(thread, control_object)};
    do {
      if (control.closed()) {
        return;
      }
    } while (!exchange(thread, control, Step::list));
    require(listed_[last_step_->listed - 1] == id, "another stripe is listed than was requested");
    thread.owed_tokens = control.sleepers() != 0 ? 1 : 0;
  }

  // -- Holds --------------------------------------------------------------------------------------

  void hold(Thread& thread, std::uint64_t number) {
    const auto& lock = take(thread, Act::lock);
    require(lock.version == number, "a hold out of order");
    require(thread.owed_tokens == 0, "a token was claimed and not posted");
    require(thread.owed_lines == 0, "a log line is missing");
    const auto waited_for = static_cast<Change>(lock.object);
    require(waited_for == thread.waits_for,
            "the mutex is taken by a thread that waits, or after a wait by one that did not");
    thread.waits_for = Change::none;
    in_time_ = lock.after != 0;
    holding_ = true;
    number_ = number;
    if (thread.frames.empty()) {
      if (thread.role == Role::worker) {
        work(thread);
      } else if (thread.role == Role::scan) {
        scan(thread);
      } else {
        illegal("the mutex is taken outside of any call");
      }
    } else {
      require(thread.frames.back().kind == Frame::Kind::call,
              "the mutex is taken in the engine's code");
      call(thread, thread.frames.back());
    }
    holding_ = false;
    require(core_.counters().opened == core_.counters().done + core_.counters().failed +
                                           core_.counters().cancelled + core_.counters().discarded +
                                           core_.alive(),
            "episodes are not conserved");
  }

  void unlock(Thread& thread, Change awaited = Change::none) {
    const auto& event = take(thread, Act::unlock);
    require(event.version == number_, "the mutex is released by a thread that does not hold it");
    require(static_cast<Change>(event.object) == awaited, "another wait than expected");
    thread.waits_for = awaited;
  }

  void notify(Thread& thread, Change change, bool all) {
    const auto& event = take(thread, Act::notify);
    require(static_cast<Change>(event.object) == change && (event.after != 0) == all,
            "another notification than expected");
  }

  bool all_threads_left() const { return alive_workers_ == 0 && !scan_alive_; }

  // -- Worker threads -----------------------------------------------------------------------------

  void work(Thread& thread) {
    if (thread.phase == Phase::ran) {
      finish(thread);
      if (thread.unwound) {
        leave(thread);
        return;
      }
    } else {
      require(thread.phase == Phase::begins || thread.phase == Phase::woke,
              "a worker thread takes the mutex out of turn");
    }
    for (;;) {
      if (core_.has_queued()) {
        compact(thread);
        return;
      }
      auto control = admit_listed(thread);
      if (core_.has_queued()) {
        continue;
      }
      if (core_.closed()) {
        leave(thread);
        return;
      }
      if (exchange(thread, control, Step::add_sleeper)) {
        unlock(thread);
        thread.phase = Phase::sleeps;
        return;
      }
    }
  }

  ControlWord admit_listed(Thread& thread) {
    ControlWord control{load(thread, control_object)};
    while (!control.list_is_empty()) {
      if (exchange(thread, control, Step::take_list)) {
        link_taken();
        return control.with_list_taken();
      }
    }
    return control;
  }

  void link_taken() {
    for (auto i = last_step_->taken; i < last_step_->listed; ++i) {
      require(core_.stripe(listed_[i]).state == SchedulingCore::State::idle && !core_.closed(),
              "a stripe is listed that the core has already, or after closing");
      core_.link(listed_[i]);
    }
  }

  void compact(Thread& thread) {
    const auto id = core_.take();
    if (!core_.closed()) {
      const auto& event = transition(thread, id);
      const StripeWord before{event.before};
      require(event.after == StripeWord::running_bit, "a taken stripe is not marked running");
      require(before.requests() != 0 && !before.running() && !before.closed(),
              "a stripe is taken that nobody requested");
      core_.count_coalesced(before.requests() - 1);
    }
    thread.stripe = id;
    thread.attempt = core_.stripe(id).attempts;
    thread.owed_tokens = core_.has_queued() && claim_sleeper(thread) ? 1 : 0;
    unlock(thread);
    thread.phase = Phase::runs;
    thread.owed_lines = setting_.has_sink ? 1 : 0;
    if (thread.owed_tokens != 0) {
      const auto* event = peek(thread);
      require(event != nullptr && event->act == Act::post,
              "a sleeper was claimed and no token posted");
    }
  }

  bool claim_sleeper(Thread& thread) {
    ControlWord control{load(thread, control_object)};
    while (control.sleepers() != 0) {
      if (exchange(thread, control, Step::claim_sleeper)) {
        return true;
      }
    }
    return false;
  }

  void finish(Thread& thread) {
    const auto id = thread.stripe;
    const bool requested = core_.closed() ? core_.rerun_owed(id) : release_word(thread, id);
    if (requested || thread.outcome == Kind::more_work) {
      admit_listed(thread);
    }
    core_.finish(id, thread.outcome, requested);
    if (thread.outcome == Kind::failed || thread.outcome == Kind::retry) {
      core_.record_error(std::string(thread.error));
    }
    if (idle_waiters_ != 0) {
      notify(thread, Change::episode_ended, true);
    }
  }

  bool release_word(Thread& thread, std::uint32_t id) {
    const auto& event = transition(thread, id);
    const StripeWord before{event.before};
    require(before.running() && !before.closed(),
            "a compaction ends in a word that does not run, or is closed");
    if (thread.outcome != Kind::more_work) {
      require(event.after == event.before - StripeWord::running_bit,
              "a compaction ends otherwise than by clearing running");
    } else {
      require(event.after == event.before + StripeWord::one_request - StripeWord::running_bit,
              "a compaction with more work does not request it");
      if (before.requests() != 0) {
        const auto& second = transition(thread, id);
        require(second.after == second.before - StripeWord::one_request &&
                    StripeWord{second.before}.requests() >= 2,
                "the request of more work is not taken back");
      }
    }
    return before.requests() != 0;
  }

  void leave(Thread& thread) {
    if (thread.role == Role::worker) {
      --alive_workers_;
    } else {
      scan_alive_ = false;
    }
    if (shutdown_callers_ != 0) {
      notify(thread, Change::thread_left, true);
    }
    thread.owed_tokens = thread.unwound && claim_sleeper(thread) ? 1 : 0;
    unlock(thread);
    thread.phase = Phase::left;
  }

  void scan(Thread& thread) {
    if (core_.closed()) {
      leave(thread);
    } else if (thread.phase == Phase::begins || (thread.phase == Phase::waits && !in_time_)) {
      unlock(thread);
      thread.phase = Phase::scans;
    } else {
      require(thread.phase == Phase::waits, "the scan's thread takes the mutex out of turn");
      unlock(thread, Change::closed);
    }
  }

  // -- Calls --------------------------------------------------------------------------------------

  void call(Thread& thread, Frame& frame) {
    switch (frame.call) {
      case Call::queue_compaction:
        illegal("a request takes the mutex");
      case Call::queue_size:
        frame.answer = waiting_stripes(thread);
        finish_call(thread, frame);
        return;
      case Call::is_running:
        frame.answer = started_ && !core_.closed() && (alive_workers_ != 0 || !setting_.enabled);
        finish_call(thread, frame);
        return;
      case Call::snapshot:
        snapshot(thread, frame);
        return;
      case Call::start:
        start(thread, frame);
        return;
      case Call::wait_idle:
        wait_idle(thread, frame);
        return;
      case Call::shutdown:
      case Call::destroy:
        shutdown(thread, frame);
        return;
    }
  }

  void finish_call(Thread& thread, Frame& frame) {
    unlock(thread);
    frame.at = finished;
  }

  std::uint64_t waiting_stripes(Thread& thread) {
    return core_.queued() + ControlWord{load(thread, control_object)}.listed();
  }

  bool on_own_thread(const Thread& thread) const {
    return (thread.role != Role::caller && !joined_) || thread.in_sink != 0;
  }

  void snapshot(Thread& thread, Frame& frame) {
    auto& s = frame.snapshot;
    const auto& counters = core_.counters();
    s.queued = counters.queued;
    s.coalesced = counters.coalesced;
    s.rerun_pending = counters.rerun_pending;
    s.episodes_opened = counters.opened;
    s.episodes_done = counters.done;
    s.episodes_failed = counters.failed;
    s.episodes_cancelled = counters.cancelled;
    s.episodes_discarded = counters.discarded;
    s.episodes_alive = core_.alive();
    s.compactions_started = counters.started;
    s.outcomes_done = counters.outcomes[0];
    s.outcomes_nothing_to_do = counters.outcomes[1];
    s.outcomes_more_work = counters.outcomes[2];
    s.outcomes_retry = counters.outcomes[3];
    s.outcomes_failed = counters.outcomes[4];
    s.outcomes_stopped = counters.outcomes[5];
    s.running = core_.running();
    s.running_max = core_.running_max();
    s.worker_threads = alive_workers_;
    s.waiting_callers = idle_waiters_ + shutdown_callers_;
    s.first_error = core_.first_error();
    s.queue_size = waiting_stripes(thread);
    for (std::uint32_t i = 0; i < setting_.stripes; ++i) {
      core_.add_pending(i, StripeWord{load(thread, i)}.requests(), s);
    }
    finish_call(thread, frame);
  }

  // Two holds for each line that is logged on a caller: it is noted before, and forgotten after.
  // True in the last of them.
  bool logs(Thread& thread, Frame& frame) {
    if (!frame.noted) {
      ++thread.in_sink;
      frame.noted = true;
      thread.owed_lines = 1;
      unlock(thread);
      return false;
    }
    --thread.in_sink;
    frame.noted = false;
    unlock(thread);
    return --frame.lines == 0;
  }

  void start(Thread& thread, Frame& frame) {
    if (frame.at == 0) {
      auto result = StartResult::started;
      if (core_.closed()) {
        result = StartResult::shut_down;
      } else if (started_) {
        result = StartResult::already_running;
      } else {
        if (setting_.enabled) {
          start_threads(thread);
        }
        started_ = alive_workers_ != 0 || !setting_.enabled;
        result = started_ ? StartResult::started : StartResult::no_threads;
      }
      frame.answer = static_cast<std::uint64_t>(result);
      const bool scan_missing = result == StartResult::started && alive_workers_ != 0 &&
                                setting_.has_scan && !scan_alive_;
      frame.lines = !setting_.has_sink ? 0 : scan_missing ? 2 : 1;
      unlock(thread);
      frame.at = frame.lines != 0 ? 1 : finished;
    } else if (logs(thread, frame)) {
      frame.at = finished;
    }
  }

  void start_threads(Thread& thread) {
    while (alive_workers_ < setting_.worker_threads && start_thread(thread, Role::worker)) {
      ++alive_workers_;
    }
    if (setting_.has_scan && alive_workers_ != 0) {
      scan_alive_ = start_thread(thread, Role::scan);
    }
  }

  bool start_thread(Thread& thread, Role role) {
    const auto& event = take(thread, Act::thread_start);
    require(event.object < thread.log->children.size(), "a thread without a log");
    if (event.after == 0) {
      return false;
    }
    auto& child = *by_log_.at(thread.log->children[event.object].get());
    child.role = role;
    ++threads_started_;
    return true;
  }

  void wait_idle(Thread& thread, Frame& frame) {
    if (frame.at == 0) {
      if (on_own_thread(thread) || core_.closed()) {
        frame.answer = static_cast<std::uint64_t>(on_own_thread(thread) ? IdleResult::refused
                                                                        : IdleResult::shut_down);
        finish_call(thread, frame);
        return;
      }
      for (std::uint32_t i = 0; i < setting_.stripes; ++i) {
        const auto alive = core_.alive_episodes(i, StripeWord{load(thread, i)}.requests());
        if (alive != 0) {
          frame.goals.emplace_back(i, core_.stripe(i).ended + alive);
        }
      }
      ++idle_waiters_;
      frame.at = 1;
    } else if (core_.closed()) {
      end_wait(thread, frame, IdleResult::shut_down);
      return;
    } else if (!in_time_) {
      if (!reached(frame)) {
        end_wait(thread, frame, IdleResult::timed_out);
        return;
      }
    }
    while (frame.goal < frame.goals.size() && reached(frame)) {
      ++frame.goal;
    }
    if (frame.goal == frame.goals.size()) {
      end_wait(thread, frame, IdleResult::idle);
    } else {
      unlock(thread, Change::episode_ended);
    }
  }

  bool reached(const Frame& frame) const {
    const auto& [id, ended] = frame.goals[frame.goal];
    return static_cast<std::int32_t>(core_.stripe(id).ended - ended) >= 0;
  }

  void end_wait(Thread& thread, Frame& frame, IdleResult result) {
    --idle_waiters_;
    if (core_.closed()) {
      notify(thread, Change::thread_left, true);
    }
    frame.answer = static_cast<std::uint64_t>(result);
    finish_call(thread, frame);
  }

  // -- Shutdown and destructor --------------------------------------------------------------------

  enum At {
    entry = 0,
    entry_of_destructor,
    woke_threads,
    awaits_threads,
    has_joined,
    logs_end,
    logged_end,
    awaits_joined,
    awaits_callers
  };

  void shutdown(Thread& thread, Frame& frame) {
    const bool destroys = frame.call == Call::destroy;
    switch (frame.at) {
      case entry:
        if (destroys) {
          require(!on_own_thread(thread), "the worker is destroyed by itself");
          unlock(thread);
          frame.at = entry_of_destructor;
          return;
        }
        if (on_own_thread(thread)) {
          frame.report.refused = true;
          finish_call(thread, frame);
          return;
        }
        stop(thread, frame);
        return;
      case entry_of_destructor:
        stop(thread, frame);
        return;
      case woke_threads:
        await_end(thread, frame);
        return;
      case awaits_threads:
        if (!in_time_ && !all_threads_left()) {
          end_stop(thread, frame);
        } else {
          await_threads(thread, frame);
        }
        return;
      case has_joined:
        ++joins_seen_;
        require(joins_ == joins_seen_,
                "the mutex is taken before the thread was joined, or after two");
        join_next(thread, frame);
        return;
      case logs_end:
        if (logs(thread, frame)) {
          frame.at = logged_end;
        }
        return;
      case logged_end:
        end_stop(thread, frame);
        return;
      case awaits_joined:
        if (joined_ || !in_time_) {
          end_stop(thread, frame);
        } else {
          unlock(thread, Change::thread_left);
        }
        return;
      case awaits_callers:
        await_callers(thread, frame);
        return;
      default:
        illegal("the mutex is taken once more after the call was over");
    }
  }

  void stop(Thread& thread, Frame& frame) {
    ++shutdown_callers_;
    const bool closes = !core_.closed();
    if (closes) {
      close(thread);
    }
    core_.apply(frame.call == Call::destroy ? ShutdownMode::finish_running
                                            : ShutdownArgument(frame.argument).mode());
    if (closes) {
      unlock(thread);
      thread.owed_tokens = alive_workers_;
      tokens_at_end_ += alive_workers_;
      frame.at = woke_threads;
    } else {
      await_end(thread, frame);
    }
  }

  void await_end(Thread& thread, Frame& frame) {
    if (frame.call != Call::destroy && ShutdownArgument(frame.argument).has_limit()) {
      await_threads(thread, frame);
    } else {
      join_threads(thread, frame);
    }
  }

  void close(Thread& thread) {
    const auto& event = transition(thread, control_object);
    last_step_ = &steps_[event.version - 1];
    require(last_step_->step == Step::close, "shutdown does not close the control word");
    link_taken();
    core_.close();
    for (std::uint32_t i = 0; i < setting_.stripes; ++i) {
      const auto& closing = transition(thread, i);
      require(closing.after == StripeWord::closed_bit, "shutdown does not close a stripe's word");
      core_.close_stripe(i, StripeWord{closing.before}.requests());
    }
    notify(thread, Change::closed, false);
    if (idle_waiters_ != 0) {
      notify(thread, Change::episode_ended, true);
    }
  }

  void await_threads(Thread& thread, Frame& frame) {
    if (!all_threads_left()) {
      unlock(thread, Change::thread_left);
      frame.at = awaits_threads;
    } else {
      join_threads(thread, frame);
    }
  }

  void join_threads(Thread& thread, Frame& frame) {
    if (!joining_) {
      joining_ = true;
      join_next(thread, frame);
    } else if (!joined_) {
      unlock(thread, Change::thread_left);
      frame.at = awaits_joined;
    } else {
      end_stop(thread, frame);
    }
  }

  // One thread after the other, each without the mutex.
  void join_next(Thread& thread, Frame& frame) {
    frame.joins = joins_seen_ < threads_started_;
    if (frame.joins) {
      unlock(thread);
      frame.at = has_joined;
      return;
    }
    core_.discard_queue();
    joined_ = true;
    unlock(thread);
    frame.lines = setting_.has_sink ? 1 : 0;
    frame.at = setting_.has_sink ? logs_end : logged_end;
  }

  void end_stop(Thread& thread, Frame& frame) {
    --shutdown_callers_;
    notify(thread, Change::thread_left, true);
    if (frame.call == Call::destroy) {
      unlock(thread);
      frame.at = awaits_callers;
      return;
    }
    auto& report = frame.report;
    report.complete = joined_;
    report.mode = core_.mode();
    for (std::uint32_t i = 0; i < setting_.stripes; ++i) {
      const auto& stripe = core_.stripe(i);
      const auto add_to = [&](std::vector<CompactionRequest>& list) {
        list.push_back(CompactionRequest{i});
      };
      if (stripe.discarded) {
        add_to(report.discarded);
      }
      if (stripe.unfinished) {
        add_to(report.unfinished);
      }
      if (stripe.state == SchedulingCore::State::running) {
        add_to(report.still_running);
      }
    }
    report.first_error = core_.first_error();
    finish_call(thread, frame);
  }

  void await_callers(Thread& thread, Frame& frame) {
    if (idle_waiters_ + shutdown_callers_ != 0) {
      unlock(thread, Change::thread_left);
    } else {
      finish_call(thread, frame);
      destroyed_ = true;
    }
  }

  // -- Answers ------------------------------------------------------------------------------------

  void check_answer(const Thread& thread, const Frame& frame, std::uint64_t answer) {
    require(thread.owed_tokens == 0, "a token was claimed and not posted");
    require(thread.owed_lines == 0, "a log line is missing");
    if (frame.call == Call::snapshot) {
      check_snapshot(frame.snapshot, thread.log->snapshots.at(answer));
    } else if (frame.call == Call::shutdown) {
      check_report(frame.report, thread.log->reports.at(answer));
    } else if (answer != frame.answer) {
      illegal("the answer is " + std::to_string(answer) + "; the words and the core say " +
              std::to_string(frame.answer));
    }
  }

  static void check_snapshot(const WorkerSnapshot& expected, const WorkerSnapshot& given) {
    using Counter = std::uint64_t WorkerSnapshot::*;
    constexpr std::pair<Counter, const char*> counters[] = {
        {&WorkerSnapshot::queued, "queued"},
        {&WorkerSnapshot::coalesced, "coalesced"},
        {&WorkerSnapshot::rerun_pending, "rerun_pending"},
        {&WorkerSnapshot::rejected_shutting_down, "rejected_shutting_down"},
        {&WorkerSnapshot::episodes_opened, "episodes_opened"},
        {&WorkerSnapshot::episodes_done, "episodes_done"},
        {&WorkerSnapshot::episodes_failed, "episodes_failed"},
        {&WorkerSnapshot::episodes_cancelled, "episodes_cancelled"},
        {&WorkerSnapshot::episodes_discarded, "episodes_discarded"},
        {&WorkerSnapshot::episodes_alive, "episodes_alive"},
        {&WorkerSnapshot::compactions_started, "compactions_started"},
        {&WorkerSnapshot::outcomes_done, "outcomes_done"},
        {&WorkerSnapshot::outcomes_nothing_to_do, "outcomes_nothing_to_do"},
        {&WorkerSnapshot::outcomes_more_work, "outcomes_more_work"},
        {&WorkerSnapshot::outcomes_retry, "outcomes_retry"},
        {&WorkerSnapshot::outcomes_failed, "outcomes_failed"},
        {&WorkerSnapshot::outcomes_stopped, "outcomes_stopped"},
        {&WorkerSnapshot::queue_size, "queue_size"},
    };
    for (const auto& [counter, text] : counters) {
      if (expected.*counter != given.*counter) {
        illegal(std::string("the snapshot says ") + text + " " + std::to_string(given.*counter) +
                "; the words and the core say " + std::to_string(expected.*counter));
      }
    }
    require(expected.running == given.running && expected.running_max == given.running_max &&
                expected.worker_threads == given.worker_threads &&
                expected.waiting_callers == given.waiting_callers &&
                expected.first_error == given.first_error,
            "the snapshot's threads, callers or first error are not those of the core");
  }

  static void check_report(const ShutdownReport& expected, const ShutdownReport& given) {
    require(expected.refused == given.refused, "a shutdown is refused, or not, against the rule");
    if (expected.refused) {
      return;
    }
    require(expected.complete == given.complete,
            "the report is complete, or not, against the rule");
    require(expected.mode == given.mode, "the report's mode is not the core's");
    require(expected.discarded == given.discarded,
            "the report's discarded stripes are not the core's");
    require(expected.unfinished == given.unfinished,
            "the report's unfinished stripes are not the core's");
    require(expected.still_running == given.still_running,
            "the report's running stripes are not the core's");
    require(expected.first_error == given.first_error,
            "the report's first error is not the core's");
    require(given.duration.count() >= 0, "the report's duration is negative");
  }

  void check_end() {
    require(destroyed_ && joined_ && core_.closed(), "the worker was not destroyed");
    require(core_.alive() == 0 && core_.running() == 0 && !core_.has_queued(),
            "an episode is alive after the end");
    require(thread_ends_ == threads_started_, "a thread did not end");
    require(claims_ + tokens_at_end_ == tokens_,
            "sleepers claimed and tokens posted are not as many");
    require(wakes_ == sleeps_ && wakes_ <= tokens_, "a thread woke without a token");
  }

  Setting setting_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unordered_map<const Log*, Thread*> by_log_;
  std::vector<Thread*> holders_;  // of each hold
  Thread* acting_ = nullptr;
  bool holding_ = false;
  bool in_time_ = true;
  std::uint64_t number_ = 0;

  // The words.
  struct Numbered {
    Step step;
    std::size_t taken;  // the list: listed_[taken .. listed)
    std::size_t listed;
  };
  std::vector<Chain> words_;
  Chain control_;
  std::vector<Numbered> steps_;  // of the control word
  const Numbered* last_step_ = nullptr;
  std::vector<std::uint32_t> listed_;  // stripes, in the order in which they were listed

  // What the mutex guards.
  SchedulingCore core_;
  std::uint32_t alive_workers_ = 0;
  bool scan_alive_ = false;
  bool started_ = false;
  bool joining_ = false;
  bool joined_ = false;
  std::uint32_t joins_seen_ = 0;
  bool destroyed_ = false;
  std::uint32_t idle_waiters_ = 0;
  std::uint32_t shutdown_callers_ = 0;

  // Sums for the end.
  std::uint64_t claims_ = 0;
  std::uint64_t tokens_ = 0;
  std::uint64_t tokens_at_end_ = 0;
  std::uint64_t sleeps_ = 0;
  std::uint64_t wakes_ = 0;
  std::uint32_t threads_started_ = 0;
  std::uint32_t thread_ends_ = 0;
  std::uint32_t joins_ = 0;
};

}  // namespace

Verdict replay(const Setting& setting, const std::vector<const Log*>& logs) {
  return Replay(setting, logs).run();
}

}  // namespace kstone::trace
