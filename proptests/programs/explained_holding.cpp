#include "explained_holding.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace kstone::programs {
namespace {

using Result = CancelReport::Result;

class Step {
 public:
  Step(State& state, const Caller& caller, int choice, int& choices, bool& done)
      : s_(state),
        caller_(caller),
        call_(caller.call),
        at_(state.at[caller.thread]),
        choice_(choice),
        choices_(choices),
        done_(done) {}

  bool take() {
    done_ = true;
    switch (call_.operation) {
      case Operation::cancel:
      case Operation::cancel_and_await:
        return cancel();
      case Operation::remove:
        return remove();
      case Operation::restore:
        return answers(restore());
      case Operation::is_removed:
        return answers(call_.stripe < s_.stripes.size() && stripe().word.removed);
      case Operation::pause:
      case Operation::pause_stripe:
        return pause();
      default:
        return resume() && answers(0);
    }
  }

 private:
  State::Stripe& stripe() { return s_.stripes[call_.stripe]; }
  bool unknown() const {
    return call_.operation != Operation::pause && call_.stripe >= s_.stripes.size();
  }
  template <class Answer>
  bool answers(Answer answer) const {
    return caller_.record.answer == static_cast<std::uint8_t>(answer);
  }
  bool known(const Claim& claim) const {
    return knows(caller_.record, caller_.thread, at_.call, claim);
  }
  // What the compactions that have ended wrote: of the stripe, or of all.
  bool knows_compactions(std::optional<std::uint32_t> of) const {
    for (int worker = 0; worker < thread_limit; ++worker) {
      for (int i = caller_.record.compactions.of[worker]; i < s_.at[worker].compaction; ++i) {
        if (!of || caller_.history.threads[worker].compactions[i].stripe == *of) {
          return false;
        }
      }
    }
    return true;
  }

  // Who looks at the list without knowing of anything in it may find it empty.
  bool may_miss_list() const {
    const auto inbox = s_.inbox();
    return std::none_of(inbox.begin(), inbox.end(),
                        [&](auto each) { return known(s_.pushed[each]); });
  }
  // Whoever pauses one stripe, or resumes it, takes the list first. False: it cannot go this way.
  bool takes_list() {
    choices_ = s_.inbox().empty() ? 1 : 2;
    if (choice_ == 0) {
      s_.take_inbox();
      return true;
    }
    return may_miss_list();
  }

  // -- cancel and remove --------------------------------------------------------------------------

  // Whoever finds the stripe claimed takes the list first. It may miss what others have listed, and
  // the claim itself, if it does not know of them. None: it cannot go this way.
  std::optional<CancelReport> withdraw(bool removes) {
    enum Way { takes_list, leaves_list, passes, ways };
    const bool late = stripe().idle() && stripe().asked();
    choices_ = late ? ways : 1;
    const auto& claims = s_.claims[call_.stripe];
    const bool misses_claim = late && std::none_of(claims.begin(), claims.end(),
                                                   [&](const Claim& each) { return known(each); });
    if (choice_ == passes) {
      return misses_claim && !removes ? std::optional(CancelReport()) : std::nullopt;
    }
    if (choice_ == leaves_list &&
        (s_.inbox().empty() || !(may_miss_list() || (removes && misses_claim)))) {
      return std::nullopt;
    }
    if (late && choice_ == takes_list) {
      s_.take_inbox();
    }
    return withdrawn(removes);
  }
  CancelReport withdrawn(bool removes) {
    const auto before = stripe();
    CancelReport found;
    found.waited = before.waits() || (before.idle() && before.asked());
    found.rerun_pending = before.running && (before.asked() || before.rerun_owed);
    found.running = before.running;
    found.result = before.running ? Result::still_running : Result::ended;
    removes ? s_.worker.remove(stripe()) : s_.worker.cancel(stripe());
    (s_.worker.closed ? s_.owed : s_.claims)[call_.stripe].clear();
    const auto end = protocol::end_since(before, stripe());
    if (found.waited && end) {
      s_.finished[call_.stripe].push_back(Finished{ended_in_order(stripe()), nobody, -1, *end});
    }
    if (found.running) {
      at_.ending = ended_in_order(before) + 1;
    }
    return found;
  }
  // The compaction that ran.
  bool has_ended() { return !at_.ending || !(ended_in_order(stripe()) < *at_.ending); }
  std::optional<EpisodeEnd> end_of_compaction() {
    for (const auto& each : s_.finished[call_.stripe]) {
      if (each.ended >= *at_.ending) {
        return each.end;
      }
    }
    return std::nullopt;
  }

  bool cancel() {
    const auto expected = report_of(caller_.record.answer);
    if (unknown()) {
      return expected == CancelReport{.result = Result::unknown_stripe};
    }
    const bool awaits = call_.operation == Operation::cancel_and_await;
    if (awaits && caller_.on_own_thread) {
      return expected == CancelReport{.result = Result::refused};
    }
    if (at_.step == 0) {
      const auto found = withdraw(false);
      if (!found) {
        return false;
      }
      if (caller_.on_own_thread && found->running && runs(call_.stripe)) {
        at_.cancelled_itself = true;
      }
      if (!awaits || !found->running) {
        at_.ending.reset();
        return expected == *found;
      }
      done_ = false;
      ++at_.step;
      return expected.waited == found->waited && expected.running &&
             expected.rerun_pending == found->rerun_pending;
    }
    const bool ended = has_ended();
    const auto end = ended ? end_of_compaction() : std::nullopt;
    at_.ending.reset();
    if (expected.result == Result::still_running) {
      return call_.limited && !ended && !expected.end;
    }
    return ended && expected.result == Result::ended && expected.end == end &&
           knows_compactions(call_.stripe);
  }
  // By the calling thread of the worker.
  bool runs(std::uint32_t id) const {
    return caller_.history.threads[caller_.thread].compactions[at_.compaction].stripe == id;
  }

  bool remove() {
    const auto expected = static_cast<RemoveResult>(caller_.record.answer);
    if (unknown() || caller_.on_own_thread) {
      return expected == (unknown() ? RemoveResult::unknown_stripe : RemoveResult::refused);
    }
    if (at_.step == 0) {
      if (s_.worker.closed && !stripe().word.removed) {
        return expected == RemoveResult::shut_down;
      }
      if (s_.worker.may_remove(stripe())) {
        if (!withdraw(true)) {
          return false;
        }
      } else if (stripe().running) {
        at_.ending = ended_in_order(stripe()) + 1;
      }
      at_.scanning = caller_.scanning;
      done_ = false;
      ++at_.step;
      return true;
    }
    const bool ended = has_ended();
    const bool scanned = !at_.scanning || !caller_.scanning;
    at_.ending.reset();
    at_.scanning = false;
    if (expected == RemoveResult::timed_out) {
      return call_.limited && (!ended || caller_.scans);
    }
    return expected == RemoveResult::removed && ended && scanned && knows_compactions(call_.stripe);
  }

  RestoreResult restore() {
    if (unknown()) {
      return RestoreResult::unknown_stripe;
    }
    if (s_.worker.closed) {
      return RestoreResult::shut_down;
    }
    if (!stripe().word.removed) {
      return RestoreResult::not_removed;
    }
    if (!s_.worker.may_restore(stripe())) {
      return RestoreResult::still_running;
    }
    s_.worker.restore(stripe());
    for (auto& of_thread : s_.guards) {
      of_thread[call_.stripe] = 0;
    }
    return RestoreResult::restored;
  }

  // -- Pauses -------------------------------------------------------------------------------------

  bool of_all() const { return guard_of(call_) == guard_limit - 1; }
  int& guards() { return s_.guards[caller_.thread][guard_of(call_)]; }

  bool pause() {
    const auto expected = static_cast<PauseResult>(caller_.record.answer);
    if (unknown() || caller_.on_own_thread) {
      return expected == (unknown() ? PauseResult::unknown_stripe : PauseResult::refused);
    }
    if (at_.step == 0 && !s_.worker.closed) {
      if (!of_all() && !takes_list()) {
        return false;
      }
      ++guards();
      if (of_all() && s_.worker.may_pause_all()) {
        s_.worker.pause_all();
      } else if (!of_all() && s_.worker.may_pause(stripe())) {
        s_.worker.pause(stripe());
      }
      done_ = false;
      ++at_.step;
      return true;
    }
    // The one before it, if there was one, is released.
    const bool forgotten = at_.step != 0 && guards() == 0;  // the stripe was restored
    guards() = std::min(guards(), 1);
    const bool running = of_all() ? s_.worker.running != 0 : stripe().running;
    if (s_.worker.closed || expected == PauseResult::shut_down) {
      return s_.worker.closed && expected == PauseResult::shut_down;
    }
    if (forgotten || expected == PauseResult::restored) {
      return forgotten && expected == PauseResult::restored;
    }
    if (expected == PauseResult::still_running) {
      return call_.limited && running;
    }
    return expected == PauseResult::paused && !running &&
           knows_compactions(of_all() ? std::nullopt : std::optional(call_.stripe));
  }

  bool resume() {
    if (unknown() || guards() == 0) {
      return true;
    }
    guards() = 0;
    const bool held = std::any_of(std::begin(s_.guards), std::end(s_.guards),
                                  [&](const auto& each) { return each[guard_of(call_)] != 0; });
    if (held || s_.worker.closed) {
      return true;
    }
    if (of_all()) {
      s_.resume_all();
      return true;
    }
    if (!takes_list()) {
      return false;
    }
    s_.resume(stripe());
    return true;
  }

  State& s_;
  const Caller& caller_;
  const Call& call_;
  State::Position& at_;
  int choice_;
  int& choices_;
  bool& done_;
};

}  // namespace

bool hold_back(State& state, const Caller& caller, int choice, int& choices, bool& done) {
  return Step(state, caller, choice, choices, done).take();
}

}  // namespace kstone::programs
