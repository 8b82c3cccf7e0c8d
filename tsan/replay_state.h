// A replay under way: what each thread's log has said so far, and the worker of the protocol, which
// takes in each hold of the mutex the steps that its holder has recorded.

#ifndef KSTONE_TSAN_REPLAY_STATE_H_
#define KSTONE_TSAN_REPLAY_STATE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../protocol/callers.h"
#include "replay_delays.h"
#include "replay_words.h"

namespace kstone::trace {

using protocol::Kind;

// A call, or code of the engine, that a thread is in.
struct Frame {
  // The job, the scan and the sink are the engine's code; the others the worker's calls.
  enum class Kind { call, job, scan, sink } kind = Kind::call;
  Call call = Call::start;
  std::uint64_t argument = 0;

  // Where the call stands; which of these a call takes is its own affair.
  enum class At {
    entry,
    entry_of_destructor,
    has_woken,
    warns,
    waits,
    awaits_scan,
    awaits_compaction,
    looks,
    has_joined,
    logs,
    is_over,
    awaits_callers,
    finished
  } at = At::entry;
  protocol::Stop stop = protocol::Stop::settled;

  std::uint64_t answer = 0;  // that it must give
  std::uint32_t lines = 0;   // that it has yet to log
  bool noted = false;        // as a thread that a sink runs on
  bool joins = false;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> goals = {};  // of stripes
  std::optional<EpisodeEnd> last_end = {};  // of one goal, once it is reached
  std::size_t goal = 0;
  std::uint64_t scans = 0;  // that it waits for
  CancelReport cancelled = {};
  WorkerSnapshot snapshot = {};
  ShutdownReport report = {};
};

struct Thread {
  const Log* log = nullptr;
  std::size_t next = 0;  // event
  std::string name = {};
  enum class Role { caller, worker, scan, timekeeper } role = Role::caller;
  // What the thread does next, when no call of it is under way.
  enum class Phase {
    outside,
    begins,
    runs,
    ran,
    told,  // of the quarantine of its stripe, between two holds
    sleeps,
    woke,
    parked,
    waits,
    scans,
    left
  } phase = Phase::outside;
  std::uint32_t stripe = 0;
  Kind outcome = Kind::done;
  std::string error = {};
  bool unwound = false;         // out of its job
  bool lacks_resource = false;  // as its job said
  std::uint64_t time = 0;       // that it has read last
  bool has_scanned = false;     // and has not looked for late claims yet
  std::uint64_t owed_tokens = 0;
  std::uint32_t owed_lines = 0;
  std::uint32_t in_sink = 0;
  Change waits_for = Change::none;
  std::vector<Frame> frames = {};
};

class Replay {
 public:
  Replay(const Setting& setting, const std::vector<const Log*>& logs);

  Verdict run();

 private:
  using At = Frame::At;
  using Role = Thread::Role;
  using Phase = Thread::Phase;

  // -- replay.cpp: the logs, and what a thread does without the mutex
  // ------------------------------

  void add_thread(const Log& log, std::string name);
  Chain& chain(std::uint32_t object);
  void read_words();
  void read_holds();
  void check_end() const;

  static const Event* peek(Thread& thread);
  static const Event& take(Thread& thread, Act act);
  const Event& transition(Thread& thread, std::uint32_t object,
                          const char* otherwise = "a transition of another word than expected");
  std::uint64_t load(Thread& thread, std::uint32_t object);
  protocol::Stripe<std::uint64_t, bool>& see_word(std::uint32_t id, std::uint64_t bits);
  protocol::Stripe<std::uint64_t, bool>& load_word(Thread& thread, std::uint32_t id);
  ControlWord load_control(Thread& thread);
  const Event* exchange(Thread& thread, ControlWord& control, Step step);

  void until_lock(Thread& thread);
  void outside(Thread& thread, const Event& event);
  bool of_call(Thread& thread, const Event& event);
  bool of_engine(Thread& thread, const Event& event);
  void refuse_at_once(Frame& frame) const;
  void post(Thread& thread);
  void own_step(Thread& thread, const Event& event);
  void request(Thread& thread, Frame& frame);
  const Event& merge(Thread& thread, std::uint32_t id);
  void push(Thread& thread, detail::Node node);

  void hold(Thread& thread, std::uint64_t number);
  void unlock(Thread& thread, Change awaited = Change::none);
  void notify(Thread& thread, Change change, bool all);

  // -- replay_threads.cpp: the worker's threads, and closing, with the mutex
  // -----------------------

  void work(Thread& thread);
  void park(Thread& thread);
  bool admit(Thread& thread);
  void admit_for_others(Thread& thread);
  void wake_another(Thread& thread);
  void push_again(Thread& thread, const Event& taking);
  void arrive(Thread& thread, detail::Node node);
  void arrive_late(Thread& thread, std::uint32_t id);
  void compact(Thread& thread);
  void claim_sleeper(Thread& thread);
  void finish(Thread& thread);
  void note_end(std::uint32_t id, const protocol::Stripe<std::uint64_t, bool>& before);
  void tell_of_end(Thread& thread);
  std::optional<protocol::End> last_end(std::uint32_t id) const;
  void release(Thread& thread);
  void leave(Thread& thread);
  void scan(Thread& thread);
  void keep_time(Thread& thread);
  void expire(Thread& thread);
  std::uint64_t read_clock(Thread& thread);
  std::uint64_t last_time(Thread& thread);
  bool is_earlier(const std::optional<std::uint64_t>& before) const;
  protocol::Ending ending_of(const Thread& thread);
  void close(Thread& thread, ShutdownMode mode);
  void adopt(Thread& thread, std::uint32_t first, std::uint32_t last,
             const std::function<void(std::uint32_t)>& see);
  void take_over(Thread& thread, std::uint32_t id, std::uint64_t priority);
  std::uint64_t see_waiting(Thread& thread);

  // -- replay_calls.cpp: calls, with the mutex, and their answers
  // ----------------------------------

  void call(Thread& thread, Frame& frame);
  void finish_call(Thread& thread, Frame& frame);
  bool on_own_thread(const Thread& thread) const;
  bool logs(Thread& thread, Frame& frame);
  void leave_wait(Thread& thread);
  void snapshot(Thread& thread, Frame& frame);
  void start(Thread& thread, Frame& frame);
  std::uint32_t start_threads(Thread& thread);
  bool start_thread(Thread& thread, Role role);
  bool start_worker(Thread& thread);
  void resize(Thread& thread, Frame& frame);
  void retry_now(Thread& thread, Frame& frame);
  void release_from_quarantine(Thread& thread, Frame& frame);
  void went_on(Thread& thread, std::uint32_t id);
  void wait_idle(Thread& thread, Frame& frame);
  bool begin_wait(Thread& thread, Frame& frame);
  void begin_goals(Thread& thread, Frame& frame);
  void go_on_waiting(Thread& thread, Frame& frame);
  bool await_scan(Thread& thread, Frame& frame);
  std::optional<bool> await(Thread& thread, Frame& frame, At at, bool done);
  void shutdown(Thread& thread, Frame& frame);
  void enter(Thread& thread, Frame& frame);
  void drain(Thread& thread, Frame& frame);
  void stop(Thread& thread, Frame& frame);
  void go_on(Thread& thread, Frame& frame);
  void join_next(Thread& thread, Frame& frame);
  void end_stop(Thread& thread, Frame& frame);
  void await_callers(Thread& thread, Frame& frame);
  const std::string& first_error() const { return errors_[state_.worker.first_error]; }
  void check_answer(const Thread& thread, const Frame& frame, std::uint64_t answer) const;

  // -- replay_holding.cpp: what is given up, or held back, with the mutex
  // -----------------------

  struct Pause {
    std::optional<std::uint32_t> stripe;
    bool forgotten = false;
  };

  void cancel(Thread& thread, Frame& frame);
  void remove(Thread& thread, Frame& frame);
  bool begin_removal(Thread& thread, Frame& frame);
  void restore(Thread& thread, Frame& frame);
  CancelReport withdraw(Thread& thread, std::uint32_t id, protocol::End end);
  const Event* empty_word(Thread& thread, std::uint32_t id, bool removes);
  void mark(Thread& thread, std::uint32_t id, const char* otherwise);
  void await_compaction_of(Frame& frame, std::uint32_t id);
  bool is_over(const Frame& frame) const;
  bool has_scanned(std::uint64_t count) const;
  void pause(Thread& thread, Frame& frame);
  bool begin_pause(Thread& thread, Frame& frame);
  void resume(Thread& thread, Frame& frame);
  bool leave_pause(std::uint32_t number);

  Setting setting_;
  std::unordered_map<std::uint32_t, EpisodeEnd> last_ends_;  // of each stripe's latest episode
  std::vector<std::unique_ptr<Thread>> threads_;
  std::unordered_map<const Log*, Thread*> by_log_;
  std::vector<Thread*> holders_;  // of each hold
  Thread* acting_ = nullptr;
  bool holding_ = false;
  bool in_time_ = true;
  std::uint64_t number_ = 0;

  std::vector<Chain> words_;
  Chain control_;
  ControlSteps steps_;

  // The worker. Its words are, in each step, as the acting thread has recorded them.
  protocol::State<std::uint64_t, bool> state_;
  protocol::Callers<std::uint64_t, bool> callers_;
  Delays delays_;
  std::map<std::uint32_t, Pause> pauses_;
  std::uint64_t scans_begun_ = 0;
  std::uint64_t scans_ended_ = 0;
  bool warned_before_start_ = false;
  std::vector<std::string> errors_ = {""};  // by the protocol's numbers
  bool destroyed_ = false;

  Verdict verdict_;

  // Sums for the end.
  std::uint64_t tokens_ = 0;
  std::uint64_t tokens_at_end_ = 0;
  std::uint64_t wakes_ = 0;
  std::uint32_t threads_started_ = 0;
  std::uint32_t workers_started_ = 0;  // of these
  std::uint32_t thread_ends_ = 0;
  std::uint32_t joins_ = 0;
  std::uint32_t joins_seen_ = 0;
};

}  // namespace kstone::trace

#endif  // KSTONE_TSAN_REPLAY_STATE_H_
