// The calls that hold stripes back, and the guards that each thread keeps; and faults that are
// planted into them.

#ifndef KSTONE_PROPTESTS_PROGRAMS_HELD_BACK_H_
#define KSTONE_PROPTESTS_PROGRAMS_HELD_BACK_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "history.h"
#include "program.h"

namespace kstone::programs {

// Each changes one call, and some program must fail on it.
enum class Planted : std::uint8_t {
  none,
  cancel_does_nothing,     // and says that there was nothing
  cancel_gives_up_others,  // another stripe's compaction is asked to stop, too
  cancel_awaits_nothing,   // the compaction that was asked to stop is said to have ended
  cancel_hides_rerun,      // ... has had no request meanwhile
  remove_does_nothing,
  remove_awaits_nothing,  // the compaction that runs is said to have ended
  remove_restores,        // the stripe is accepted again
  restore_does_nothing,
  restore_hides_running,  // what runs is said not to be removed
  is_removed_is_late,     // it knows what it would have said the last time
  pause_holds_nothing,
  pause_awaits_nothing,  // what runs is said not to run
  pause_of_one_holds_all,
  resume_does_nothing,  // before the end
  wait_awaits_nothing,  // what a pause holds is said to have ended
  all_removed_removes_nothing,
  set_max_does_nothing,
  retry_now_does_nothing,
  release_does_nothing,
  wait_tells_of_no_delay,  // what is delayed is said to have ended
  wait_for_stop_sees_nothing,
  on_stop_calls_nobody,
  request_has_no_priority
};
inline constexpr const char* names_of_planted[] = {
    "none",
    "cancel_does_nothing",
    "cancel_gives_up_others",
    "cancel_awaits_nothing",
    "cancel_hides_rerun",
    "remove_does_nothing",
    "remove_awaits_nothing",
    "remove_restores",
    "restore_does_nothing",
    "restore_hides_running",
    "is_removed_is_late",
    "pause_holds_nothing",
    "pause_awaits_nothing",
    "pause_of_one_holds_all",
    "resume_does_nothing",
    "wait_awaits_nothing",
    "all_removed_removes_nothing",
    "set_max_does_nothing",
    "retry_now_does_nothing",
    "release_does_nothing",
    "wait_tells_of_no_delay",
    "wait_for_stop_sees_nothing",
    "on_stop_calls_nobody",
    "request_has_no_priority",
};

inline Planted planted_ = Planted::none;

inline std::optional<Planted> planted_named(const std::string& name) {
  const auto* const at = std::find(std::begin(names_of_planted), std::end(names_of_planted), name);
  return at == std::end(names_of_planted)
             ? std::nullopt
             : std::optional(static_cast<Planted>(at - std::begin(names_of_planted)));
}

inline constexpr int guard_limit = Program::stripe_limit + 1;  // the last is of all stripes

inline int guard_of(const Call& call) {
  const bool all = call.operation == Operation::pause || call.operation == Operation::resume;
  return all ? guard_limit - 1 : static_cast<int>(call.stripe);
}

template <class Worker, class Guard>
struct HeldBack {
  Guard guards[thread_limit][guard_limit];
  std::vector<Guard> kept;  // by a planted fault

  bool holds_any() const {
    const auto holds = [](const Guard& guard) { return guard.holds(); };
    return std::any_of(std::begin(guards), std::end(guards), [&](const auto& of_thread) {
      return std::any_of(std::begin(of_thread), std::end(of_thread), holds);
    });
  }

  std::uint8_t perform(Worker& worker, int thread, const Call& call) {
    const Limit limit = call.limited ? Limit(std::chrono::seconds(1)) : Limit();
    switch (call.operation) {
      case Operation::cancel:
      case Operation::cancel_and_await:
        return number_of(cancel(worker, call, limit));
      case Operation::remove:
        return static_cast<std::uint8_t>(remove(worker, call.stripe, limit));
      case Operation::restore:
        return static_cast<std::uint8_t>(restore(worker, call.stripe));
      case Operation::is_removed:
        return is_removed(worker, call.stripe) ? 1 : 0;
      case Operation::pause:
      case Operation::pause_stripe:
        return static_cast<std::uint8_t>(pause(worker, thread, call, limit));
      default:
        resume(guards[thread][guard_of(call)]);
        return 0;
    }
  }

  CancelReport cancel(Worker& worker, const Call& call, Limit limit) {
    const bool awaits = call.operation == Operation::cancel_and_await;
    if (planted_ == Planted::cancel_does_nothing && call.stripe < worker.stripe_count()) {
      return {};
    }
    if (planted_ == Planted::cancel_gives_up_others) {
      (void)worker.cancel(call.stripe == 0 ? 1 : 0);
    }
    if (planted_ == Planted::cancel_awaits_nothing && awaits) {
      auto report = worker.cancel(call.stripe, Limit(std::chrono::seconds(0)));
      if (report.result == CancelReport::Result::still_running) {
        report.result = CancelReport::Result::ended;
        report.end = EpisodeEnd::cancelled;
      }
      return report;
    }
    auto report = awaits ? worker.cancel(call.stripe, limit) : worker.cancel(call.stripe);
    report.rerun_pending = report.rerun_pending && planted_ != Planted::cancel_hides_rerun;
    return report;
  }

  RemoveResult remove(Worker& worker, std::uint32_t stripe, Limit limit) {
    if (planted_ == Planted::remove_does_nothing) {
      return RemoveResult::removed;
    }
    if (planted_ == Planted::remove_awaits_nothing) {
      const auto result = worker.remove(stripe, Limit(std::chrono::seconds(0)));
      return result == RemoveResult::timed_out ? RemoveResult::removed : result;
    }
    const auto result = worker.remove(stripe, limit);
    if (planted_ == Planted::remove_restores) {
      (void)worker.restore(stripe);
    }
    return result;
  }

  RestoreResult restore(Worker& worker, std::uint32_t stripe) {
    if (planted_ == Planted::restore_does_nothing && worker.is_removed(stripe)) {
      return RestoreResult::restored;
    }
    const auto result = worker.restore(stripe);
    return planted_ == Planted::restore_hides_running && result == RestoreResult::still_running
               ? RestoreResult::not_removed
               : result;
  }

  bool is_removed(Worker& worker, std::uint32_t stripe) {
    const bool now = worker.is_removed(stripe);
    return planted_ == Planted::is_removed_is_late ? std::exchange(was_removed_, now) : now;
  }

  PauseResult pause(Worker& worker, int thread, const Call& call, Limit limit) {
    auto& guard = guards[thread][guard_of(call)];
    const bool at_once = planted_ == Planted::pause_awaits_nothing;
    const Limit most = at_once ? Limit(std::chrono::seconds(0)) : limit;
    const bool all =
        call.operation == Operation::pause ||
        (planted_ == Planted::pause_of_one_holds_all && call.stripe < worker.stripe_count());
    guard = all ? worker.pause_all(most) : worker.pause(call.stripe, most);
    const auto result = guard.result();
    if (planted_ == Planted::pause_holds_nothing) {
      guard.release();
    }
    return at_once && result == PauseResult::still_running ? PauseResult::paused : result;
  }

  void resume(Guard& guard) {
    if (planted_ == Planted::resume_does_nothing && guard.holds()) {
      kept.push_back(std::move(guard));
    } else {
      guard.release();
    }
  }

 private:
  bool was_removed_ = false;
};

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_HELD_BACK_H_
