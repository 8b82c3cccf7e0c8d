// The scheduling core: which stripes are queued, which run, what happens when a job ends and when
// the worker closes.
//
// It is sequential and pure: no thread, no clock, no atomic; the time is an argument. The shell
// calls it under its mutex; tests call it directly and enumerate its states.
//
// Thread safety: none; the shell guards it.
//
// Invariants, true between calls:
//   C1  A stripe is in the queue exactly once if its state is `queued`, and else not at all.
//   C2  running() is the number of stripes whose state is `running`.
//   C3  episodes opened = done + failed + cancelled + discarded + alive, where alive counts the
//       queued stripes, the running ones, and the re-runs owed.
//   C4  A re-run is owed only by a running stripe of a closed core in mode `drain`.
//   C5  Once closing is over, which `apply` ends, no stripe goes from `idle` to `queued`, and in
//       modes other than `drain` none is `queued`.

#ifndef KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_
#define KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kstone/compaction_types.h"
#include "kstone/detail/core/effects.h"
#include "kstone/detail/core/lane.h"
#include "kstone/detail/core/stripe.h"
#include "kstone/export.h"

namespace kstone::detail {

class KSTONE_EXPORT SchedulingCore {
 public:
  using State = Stripe::State;
  using Time = std::chrono::nanoseconds;  // since some fixed point

  struct Taken {
    std::uint32_t stripe_id;
    std::uint32_t attempt;
    Effects effects;
  };

  explicit SchedulingCore(std::uint32_t stripe_count) : stripes_(stripe_count) {}

  // An accepted stripe arrives at the tail of the queue and an episode opens. *Requires* state
  // `idle` and a core not closed.
  void enqueue(std::uint32_t stripe);

  // A stripe is taken over whose node has not arrived: from here on it is *under way*. As
  // `enqueue`; wakes a thread, since whoever owes one may be suspended.
  Effects adopt(std::uint32_t stripe);

  // The node of a stripe that was under way has arrived. It is of use only if nobody else brought
  // the stripe: if it is idle, and `requested`. *Requires* a core not closed.
  void arrive_late(std::uint32_t stripe, bool requested);

  // The head of the queue, which runs from now on. *Requires* a queue that is not empty. What stays
  // in the queue wakes one more thread: whoever owes a token for it may be suspended.
  Taken take();

  // The running compaction of `stripe` has ended; `requested` says that a request came meanwhile.
  // Applies the table of contract section 4: afterwards the stripe is `idle`, or `queued` at the
  // tail.
  //
  // A stripe with more work whose re-run was requested ends its episode as `done`: every request of
  // it has been served, and the new episode does the rest.
  Effects finish(std::uint32_t stripe, CompactionOutcome::Kind kind, bool requested);

  // Requests that merged into an episode that is already counted.
  void count_coalesced(std::uint64_t requests) { counters_.coalesced += requests; }

  // Keeps the text of the first failure only; one without a text is given one.
  void record_error(std::string&& error);

  // Whether the stripe is idle although a request waits in its word: its node is on its way.
  bool can_adopt(std::uint32_t stripe, std::uint64_t requests) const {
    return requests != 0 && stripes_[stripe].state == State::idle;
  }

  // Closing takes three steps. `close`: no stripe is enqueued from here on. Then `close_stripe` for
  // each: `requests` calls stood in its word. Idle means that a requester has claimed it and will
  // find the inbox closed, so the claim is taken over; running means that a re-run is owed. Then
  // `apply` the mode, which discards what that mode does not run.
  Effects close(Time now);
  void close_stripe(std::uint32_t stripe, std::uint64_t requests);

  // Moves a closed core to `mode`, or leaves it as it is if its mode is stronger already.
  void apply(ShutdownMode mode);

  // The last thread has left: what is still queued will not run. *Requires* a closed core.
  void stop(Time now);

  // The re-run that the running `stripe` owes, if any: the value for `finish` in a closed core.
  bool rerun_owed(std::uint32_t stripe) const { return stripes_[stripe].rerun_owed; }

  bool closed() const noexcept { return closed_at_.has_value(); }
  bool stopped() const noexcept { return stopped_at_.has_value(); }
  ShutdownMode mode() const noexcept { return mode_; }
  bool has_queued() const noexcept { return !lane_.empty(); }
  std::uint32_t queued() const noexcept { return lane_.size(); }
  // Stripes that are under way.
  std::uint32_t under_way() const noexcept { return under_way_; }
  std::uint32_t running() const noexcept { return running_; }
  std::uint32_t running_max() const noexcept { return running_max_; }
  std::uint64_t alive() const noexcept { return alive_; }
  const std::string& first_error() const noexcept { return first_error_; }
  const WorkerCounters& counters() const noexcept { return counters_; }
  const Stripe& stripe(std::uint32_t id) const { return stripes_[id]; }

  // Episodes of `stripe` that have not ended, when its word holds `requests` calls that the core
  // has not learnt of.
  std::uint32_t alive_episodes(std::uint32_t stripe, std::uint64_t requests) const;

  // Episodes of all stripes that are open in the words but not yet in the core, and the answers
  // behind them, are added by the caller of this: `requests` calls stand in the word of `stripe`.
  void add_pending(std::uint32_t stripe, std::uint64_t requests, WorkerSnapshot& snapshot) const;

  // What became of everything. *Requires* a closed core.
  ShutdownReport report(Time now) const;

  // What it knows of the worker, without what stands in the words.
  void fill(WorkerSnapshot& snapshot) const;

 private:
  void open_episode() {
    ++counters_.episodes_opened;
    ++alive_;
  }
  void end_episode(Stripe& stripe, EpisodeEnd end);
  void admit(std::uint32_t id);
  void append(std::uint32_t id);
  void discard_queue();

  std::vector<Stripe> stripes_;
  Lane lane_;
  std::uint32_t under_way_ = 0;
  std::uint32_t running_ = 0;
  std::uint32_t running_max_ = 0;
  std::uint64_t alive_ = 0;
  // Requests as far as the core has learnt of them; it never learns of unknown stripes.
  WorkerCounters counters_;
  std::optional<Time> closed_at_;
  std::optional<Time> stopped_at_;
  ShutdownMode mode_ = ShutdownMode::drain;  // the weakest, until one is applied
  std::string first_error_;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_SCHEDULING_CORE_H_
