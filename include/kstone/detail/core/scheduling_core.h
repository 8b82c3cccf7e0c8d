// The scheduling core: which stripes are queued, which run, what happens when a job ends and when
// the worker closes.
//
// It is sequential and pure: no thread, no clock, no atomic; the time is an argument. The shell
// calls it under its mutex; tests call it directly and enumerate its states.
//
// Thread safety: none; the shell guards it.
//
// Invariants, true between calls:
//   C1  A stripe is in the queue exactly once if its state is `queued`, and else not at all; it is
//       `held` instead while it is paused, and `delayed` until its time has come, paused or not.
//   C2  running() is the number of stripes whose state is `running`.
//   C3  episodes opened = done + failed + cancelled + removed + discarded + alive, where alive
//       counts the queued, held and delayed stripes, the running ones, and the re-runs owed.
//   C4  A re-run is owed only by a running stripe of a closed core.
//   C5  A stripe that is settled does not go from `idle` to `queued`, and is neither paused nor
//       held. Once the core is settled, only mode `drain` leaves stripes queued or re-runs owed.
//       Nothing that is settled is delayed.
//   C6  Of a removed stripe nothing waits or is owed, and what runs is asked to stop.

#ifndef KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_
#define KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_

#include "kstone/cxx20.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kstone/back_off.h"
#include "kstone/compaction_types.h"
#include "kstone/detail/core/delays.h"
#include "kstone/detail/core/effects.h"
#include "kstone/detail/core/error_texts.h"
#include "kstone/detail/core/lane.h"
#include "kstone/detail/core/lanes.h"
#include "kstone/detail/core/stripe.h"
#include "kstone/detail/explanation.h"
#include "kstone/detail/words/requests.h"
#include "kstone/export.h"
#include "kstone/request_options.h"
#include "kstone/worker_snapshot.h"

namespace kstone::detail {

// Which failures are tried again, after a delay: none; those that say so; all.
enum class Retries : std::uint8_t { none, those_that_say_so, all };

// What becomes of a failure.
struct Failure {
  Retries retries = Retries::none;
  bool resource = false;  // what it lacked is gone for others, too
  double share = 0;       // of the part of the delay that is left to chance
};

class KSTONE_EXPORT SchedulingCore {
 public:
  using State = Stripe::State;
  using Time = Delays::Time;

  struct Taken {
    std::uint32_t stripe_id;
    std::uint32_t attempt;
    Time waited;  // in the queue
    Effects effects;
  };

  explicit SchedulingCore(std::uint32_t stripe_count, const BackOff& back_off = BackOff::off(),
                          const LaneOptions& lanes = {})
      : stripes_(stripe_count),
        lanes_(lanes.patience),
        reserved_for_high_(lanes.reserved_for_high),
        max_low_(lanes.max_low),
        initial_(back_off.initial),
        cap_(back_off.cap),
        jitter_(back_off.jitter),
        resource_interval_(back_off.resource_interval),
        quarantine_after_(back_off.quarantine_after),
        probe_interval_(back_off.probe_interval) {}

  // The time of what follows. It may stand still, or go back.
  void set_time(Time now) noexcept { now_ = now; }
  Time time() const noexcept { return now_; }

  // From the beginning, each until it is restored.
  void remove_all();

  // So many threads there are: of these it keeps as many as are reserved for the high lane, but not
  // the last. (That no more compact at once is not the core's to see to.)
  Effects set_limit(std::uint32_t limit);

  // An accepted stripe arrives at the tail of its lane and an episode opens. *Requires* state
  // `idle` and a core not closed.
  void enqueue(std::uint32_t stripe, Priority priority = Priority::normal);

  // A stripe is taken over whose node has not arrived: from here on it is *under way*. As
  // `enqueue`; wakes a thread, since whoever owes one may be suspended.
  Effects adopt(std::uint32_t stripe, Priority priority = Priority::normal);

  // The node of a stripe that was under way has arrived. It is of use only if nobody else brought
  // the stripe: if it is idle, and there are requests in its word. *Requires* a core not closed.
  void arrive_late(std::uint32_t stripe, const Requests& requests);

  // The word of a stripe, which has requests, says that their priority is so high. If the stripe
  // waits in a lower lane, it is raised, past so many others at most; how many it passed. If it
  // does not wait yet, it will do so in no lower one.
  std::uint32_t raise(std::uint32_t stripe, Priority priority, std::uint32_t most);

  // What of the stripe has not begun ends at once as `end`, cancelled or removed: `requests` calls
  // stood in its word, which accepts none of them any more. If it is idle, it is claimed, and its
  // node *under way* from here on. What runs is asked to stop: unless it is done all the same, its
  // episode ends so too.
  struct Withdrawn {
    bool waited = false;         // an episode that had not begun
    bool rerun_pending = false;  // ... behind one that runs
    bool running = false;
    Effects effects;
  };
  Withdrawn cancel(std::uint32_t stripe, std::uint64_t requests);
  Withdrawn remove(std::uint32_t stripe, std::uint64_t requests);

  // *Requires* a removed stripe that does not run, and a core not closed; `rejected` calls stood in
  // its word.
  void restore(std::uint32_t stripe, std::uint64_t rejected);

  // A stripe that is paused is held where it would be queued. Resumed, it is queued at the tail. Of
  // all stripes: nothing is moved, and nothing can be taken. Closing ends every pause. *Requires* a
  // core not closed.
  Effects pause(std::uint32_t stripe);
  Effects resume(std::uint32_t stripe);
  Effects pause_all();
  Effects resume_all();

  // The next of the queue, which runs from now on. *Requires* `can_take`, and of a closed core that
  // it is settled. What stays in the queue wakes one more thread: whoever owes a token for it may
  // be suspended.
  Taken take();
  // ... which the calls that stood in its word were for, one at least.
  void serve(std::uint32_t stripe, const Requests& requests);

  // What is left of the work of the stripe, which runs, has another priority.
  void set_rest(std::uint32_t stripe, Priority priority) { stripes_[stripe].priority = priority; }

  // The running compaction of `stripe` has ended; `requested`: there were calls meanwhile.
  // *Requires* of a closed core that the stripe is settled.
  // Applies the table of contract section 4: afterwards the stripe is `idle`, `queued` at the tail,
  // or `delayed`, as `failure` says.
  //
  // A stripe with more work whose re-run was requested ends its episode as `done`: every request of
  // it has been served, and the new episode does the rest.
  Effects finish(std::uint32_t stripe, CompactionOutcome::Kind kind, const Requests& requested,
                 const Failure& failure = {});

  // Delayed stripes that are due go to the tail of the queue, so many at the most. *Requires* a
  // core not closed.
  Effects expire(std::uint32_t most);
  // The stripe is due at once, if it is delayed, or in quarantine. *Requires* a core not closed.
  Effects retry(std::uint32_t stripe);
  // Its failures are forgotten, and its quarantine is over: what waits for a probe is due at once.
  // *Requires* a core not closed.
  Effects release(std::uint32_t stripe);
  // When `expire` has something to do next.
  std::optional<Time> next_due() const;

  // Of a compaction of the stripe that has just failed. Kept are the text of the worker's first
  // failure, and of the stripe's last until the next compaction.
  void record_error(std::uint32_t stripe, std::string&& error);

  // Whether the stripe is idle although a request waits in its word: its node is on its way.
  bool can_adopt(std::uint32_t stripe, std::uint64_t requests) const {
    return requests != 0 && stripes_[stripe].state == State::idle && !stripes_[stripe].removed;
  }

  // Closing has a first step, and one for each stripe. `close`: no stripe is enqueued from here on,
  // and in another mode than `drain` none is taken. `settle`: its word accepts no request any more;
  // `requests` calls stood in it until it closed, if this is the first time. Idle means that a
  // requester has claimed it and will find the inbox closed, so the claim is taken over; running
  // means that a re-run is owed. What a pause holds is discarded in every mode, and the rest in
  // another than `drain`. Until all are settled, whoever touches a stripe settles it first.
  Effects close(ShutdownMode mode);
  void settle(std::uint32_t stripe, const Requests& requests);
  bool settled() const noexcept { return next_to_settle_ == stripes_.size(); }
  std::uint32_t next_to_settle() const noexcept { return next_to_settle_; }

  // Moves a closed core to `mode`, or leaves it as it is if its mode is stronger already. After
  // `drain` every stripe has to be settled again.
  void strengthen(ShutdownMode mode);

  // The last thread has left, or there never was one: what is still queued will not run. At most so
  // many stripes; true if that were all. *Requires* a closed core.
  bool discard_queue(std::uint32_t most);
  // *Requires* that nothing is queued, and nothing runs.
  void stop();

  // The re-run that the running `stripe` owes, if any: the value for `finish` in a closed core.
  Requests rerun_owed(std::uint32_t stripe) const;

  bool closed() const noexcept { return closed_at_.has_value(); }
  bool stopped() const noexcept { return stopped_at_.has_value(); }
  ShutdownMode mode() const noexcept { return mode_; }
  bool can_take() const { return !paused_ && !discards() && lanes_.next(stripes_, open_lanes()); }
  // *Requires* `can_take`.
  std::uint32_t next_to_take() const { return lanes_.front(*lanes_.next(stripes_, open_lanes())); }
  // Stripes in the lanes above that of `stripe`, which runs, that no thread may take, or is free
  // to.
  std::uint32_t waiting_above(std::uint32_t stripe) const;
  // Stripes that wait, held and delayed ones too.
  std::uint32_t waiting() const noexcept {
    return lanes_.size() + held_ + delayed() + probes_.size();
  }
  // ... but not for a probe.
  std::uint32_t delayed() const noexcept { return delays_.size() + without_resource_.size(); }
  bool is_delayed(std::uint32_t stripe) const {
    return stripes_[stripe].state == State::delayed && !stripes_[stripe].quarantined;
  }
  bool waits_for_probe(std::uint32_t stripe) const {
    return stripes_[stripe].state == State::delayed && stripes_[stripe].quarantined;
  }
  // How long the stripe that entered the queue first has been there, without the time for which all
  // were paused; zero if none is. Held and delayed stripes are not in the queue.
  Time oldest_waiting() const;
  // What there is to say of why the stripe is compacted now, or is not; of the queue it counts so
  // many at most.
  void explain(std::uint32_t stripe, std::uint32_t most, StripeFacts& facts) const;
  std::uint32_t quarantined() const noexcept { return quarantined_; }
  bool is_quarantined(std::uint32_t stripe) const { return stripes_[stripe].quarantined; }
  const std::string* last_error(std::uint32_t stripe) const { return errors_.last_of(stripe); }
  // Whether a pause keeps the stripe from running.
  bool is_held(std::uint32_t stripe) const {
    const auto state = stripes_[stripe].state;
    return state == State::held || (state == State::queued && paused_);
  }
  // Whether a compaction of the stripe that answers so leaves it queued, or delayed, by itself.
  bool goes_on(std::uint32_t stripe, CompactionOutcome::Kind kind,
               const Failure& failure = {}) const;
  // Stripes that are under way.
  std::uint32_t under_way() const noexcept { return under_way_; }
  std::uint32_t running() const noexcept { return running_; }
  std::uint32_t running_max() const noexcept { return running_max_; }
  std::uint64_t alive() const noexcept { return alive_; }
  const std::string& first_error() const noexcept { return errors_.first(); }
  const WorkerCounters& counters() const noexcept { return counters_; }
  const Stripe& stripe(std::uint32_t id) const { return stripes_[id]; }

  // Episodes of `stripe` that have not ended, when its word holds `requests` calls that the core
  // has not learnt of.
  std::uint32_t alive_episodes(std::uint32_t stripe, std::uint64_t requests) const;

  // Episodes of all stripes that are open in the words but not yet in the core, and the answers
  // behind them, are added by the caller of this: `requests` calls stand in the word of `stripe`.
  void add_pending(std::uint32_t stripe, std::uint64_t requests, WorkerSnapshot& snapshot) const;

  // What became of the worker, and, one by one, of the stripes: `report_on` adds what the report
  // has to say of one, in ascending order; false once there is nothing left to add. What has failed
  // since the report was begun has no room for its error. *Requires* a closed core.
  ShutdownReport report() const;
  bool report_on(std::uint32_t stripe, ShutdownReport& report) const;

  // What it knows of the worker, without what stands in the words.
  void fill(WorkerSnapshot& snapshot) const;

 private:
  void open_episode() {
    ++counters_.episodes_opened;
    ++alive_;
  }
  // A thread, unless it would find nothing to take.
  Effects wake_to_take() const {
    return {.wake = can_take() ? Effects::Wake::one_more : Effects::Wake::nobody};
  }
  // How the running episode ends when its compaction answers so; none: it goes on, queued again.
  std::optional<EpisodeEnd> end_of(const Stripe& stripe, CompactionOutcome::Kind kind,
                                   bool requested, bool same) const;
  void count_end(Stripe& stripe, EpisodeEnd end);
  void end_episode(Stripe& stripe, EpisodeEnd end);
  void end_waiting(std::uint32_t id, EpisodeEnd end);
  bool delays_after(const Stripe& stripe, CompactionOutcome::Kind kind,
                    const Failure& failure) const;
  void note_outcome(Stripe& stripe, CompactionOutcome::Kind kind, const Failure& failure);
  void delay(std::uint32_t id, const Failure& failure, bool quarantines);
  Time delay_of(const Stripe& stripe) const;
  Time less_a_share(Time delay, double share) const;
  bool is_broken(const Stripe& stripe) const;
  Time due_of(const Stripe& stripe) const;
  void set_quarantined(Stripe& stripe, bool quarantined);
  void end_delay(std::uint32_t id);
  bool discards() const noexcept { return closed() && mode_ != ShutdownMode::drain; }
  void close_stripe(std::uint32_t id, const Requests& requests);
  void discard(std::uint32_t id);
  void set_unfinished(std::uint32_t id, bool unfinished);
  void admit(std::uint32_t id, Priority priority);
  void append(std::uint32_t id);
  void count_before(std::uint32_t id, std::uint32_t most, StripeFacts& facts) const;
  Lanes::Open open_lanes() const;
  void count_running(Priority lane, bool begins);
  void mark_under_way(Stripe& stripe);
  Withdrawn withdraw(std::uint32_t id, std::uint64_t requests, EpisodeEnd end);

  // By a clock that stands still while all are paused.
  Time time_in_queue() const { return (paused_ ? paused_at_ : now_) - paused_for_; }
  Time queued_for(const Stripe& stripe) const {
    return std::max(time_in_queue() - stripe.time.get(), Time::zero());
  }

  std::vector<Stripe> stripes_;
  Lanes lanes_;
  std::uint32_t reserved_for_high_;
  std::uint32_t max_low_;
  std::uint32_t limit_ = UINT32_MAX;
  Time now_{0};

  // What a delay is made of.
  Time initial_;
  Time cap_;
  double jitter_;
  Time resource_interval_;
  std::uint32_t quarantine_after_;
  Time probe_interval_;
  Delays delays_;
  Delays probes_;                  // of stripes in quarantine
  Lane without_resource_;          // delayed until it is there again
  Time resource_due_{0};           // when the next of them tries
  bool resource_is_back_ = false;  // all of them go to the queue

  bool paused_ = false;  // all of them
  Time paused_at_{0};
  Time paused_for_{0};  // before that
  std::uint32_t held_ = 0;
  std::uint32_t quarantined_ = 0;
  std::uint32_t removed_ = 0;
  std::uint32_t discarded_ = 0;
  std::uint32_t unfinished_ = 0;
  std::uint32_t next_to_settle_ = 0;
  std::uint32_t under_way_ = 0;
  std::uint32_t running_ = 0;
  std::uint32_t running_low_ = 0;   // of them
  std::uint32_t running_high_ = 0;  // of them
  std::uint32_t running_max_ = 0;
  std::uint64_t alive_ = 0;
  // Requests as far as the core has learnt of them; it never learns of unknown stripes.
  WorkerCounters counters_;
  std::optional<Time> closed_at_;
  std::optional<Time> stopped_at_;
  ShutdownMode mode_ = ShutdownMode::drain;  // the weakest, until one is applied
  ErrorTexts errors_;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_
