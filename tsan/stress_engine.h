// The engine of a round, as far as its stripes come and go and are held back: what it has of a
// stripe exists from before `restore` until `remove` has answered `removed`, and what it counts of
// compactions is looked at by whoever holds them back. All of it is plain memory, so that a
// compaction that should not be is a race, or one on memory that was given back, besides being
// counted.
//
// Thread safety: any thread.

#ifndef KSTONE_TSAN_STRESS_ENGINE_H_
#define KSTONE_TSAN_STRESS_ENGINE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "late_sync.h"
#include "stress_calls.h"

namespace kstone::stress {

// Shorter than a round, or longer.
template <class Random>
void set_back_off(trace::Setting& setting, Random& random) {
  const auto any_time = [&random] {
    return 1 + random() % (random() % 2 == 0 ? 100'000 : 1'000'000'000);
  };
  setting.initial = any_time();
  setting.cap = setting.initial * (1 + random() % 8);
  setting.resource_interval = 1 + random() % 500'000;
  setting.retries_failed = random() % 2 != 0;
  setting.quarantine_after = static_cast<std::uint32_t>(random() % 3);
  setting.probe_interval = any_time();
}
inline BackOff back_off_of(const trace::Setting& setting) {
  BackOff result = BackOff::off();
  if (setting.initial != 0) {
    result.initial = std::chrono::nanoseconds(setting.initial);
    result.cap = std::chrono::nanoseconds(setting.cap);
    result.jitter = 0;
    result.retry_failed = setting.retries_failed;
    result.quarantine_after = setting.quarantine_after;
    result.probe_interval = std::chrono::nanoseconds(setting.probe_interval);
    result.resource_interval = std::chrono::nanoseconds(setting.resource_interval);
  }
  return result;
}

// What was met, of all rounds.
struct Met {
  std::atomic<std::uint64_t> cancels{0};
  std::atomic<std::uint64_t> cancelled_waiting{0};
  std::atomic<std::uint64_t> cancelled_reruns{0};
  std::atomic<std::uint64_t> cancelled_running{0};
  std::atomic<std::uint64_t> stopped{0};
  std::atomic<std::uint64_t> removals{0};
  std::atomic<std::uint64_t> removals_late{0};
  std::atomic<std::uint64_t> restores{0};
  std::atomic<std::uint64_t> pauses{0};
  std::atomic<std::uint64_t> pauses_of_all{0};
  std::atomic<std::uint64_t> pauses_late{0};
  std::atomic<std::uint64_t> waits_paused{0};
  std::atomic<std::uint64_t> resizes{0};
  std::atomic<std::uint64_t> retried_now{0};
  std::atomic<std::uint64_t> released{0};
  std::atomic<std::uint64_t> waits_delayed{0};
};
inline Met met;
inline void count(std::atomic<std::uint64_t>& what) {
  what.fetch_add(1, std::memory_order_relaxed);
}

template <class Sync>
class Engine {
 public:
  Engine(std::uint32_t stripes, std::function<Submission(std::uint32_t)> queue)
      : queue_(std::move(queue)),
        sites_(stripes),
        compactions_(stripes, 0),
        notes_(stripes, 0),
        notes_seen_(stripes, 0) {}

  // Before the worker starts; it was made with all stripes removed, or with none.
  void uses(Calls<Sync>& calls, bool all_removed, Random& random) {
    calls_ = &calls;
    for (std::uint32_t id = 0; id < sites_.size(); ++id) {
      sites_[id].is_removed = sites_[id].is_left = all_removed;
      if (!all_removed) {
        sites_[id].data = std::make_unique<Data>(Data{id});
      } else if (random() % 8 != 0) {
        come_and_go(random, id, Limit());
      }
    }
  }

  // -- On threads of the worker -------------------------------------------------------------------

  // A compaction begins. False if it must not.
  bool begins(std::uint32_t id) {
    ++compactions_[id];  // two at once would race
    notes_seen_[id] = notes_[id] + note_of_all_;
    return touches(id);
  }
  bool touches(std::uint32_t id) {
    auto* data = sites_[id].data.get();
    if (data == nullptr) {
      fail("a compaction runs of a stripe that is removed");
      return false;
    }
    ++data->touched;
    return true;
  }

  void scan() {
    for (std::uint32_t id = 0; id < sites_.size(); ++id) {
      if (calls_->is_removed(id)) {
        continue;
      }
      const auto* data = sites_[id].data.get();
      if (data == nullptr || data->stripe != id) {
        fail("a stripe that is not removed is gone for the scan");
      }
    }
  }

  // -- Callers ------------------------------------------------------------------------------------

  void cancel(Random& own, std::uint32_t id, std::optional<Limit> limit) {
    const auto report = limit ? calls_->cancel(id, *limit) : calls_->cancel(id);
    using Result = CancelReport::Result;
    const bool endless = limit && !limit->nanoseconds();
    const bool known = report.result == Result::ended || report.result == Result::still_running;
    if (!known || (report.result == Result::still_running && (!report.running || endless))) {
      fail("a cancel says " + std::string(to_string(report.result)));
    }
    if (!limit && report.running != (report.result == Result::still_running)) {
      fail("a cancel that does not wait has waited");
    }
    if ((report.waited && (report.running || report.rerun_pending)) ||
        (report.rerun_pending && !report.running)) {
      fail("a cancel says that a stripe waited and ran");
    }
    if (report.end.has_value() != (limit && report.running && report.result == Result::ended) ||
        (report.end &&
         (*report.end == EpisodeEnd::failed || *report.end == EpisodeEnd::discarded))) {
      fail("a cancel has waited, and says that the episode ended otherwise than it can");
    }
    count(met.cancels);
    met.cancelled_waiting.fetch_add(report.waited, std::memory_order_relaxed);
    met.cancelled_reruns.fetch_add(report.rerun_pending, std::memory_order_relaxed);
    met.cancelled_running.fetch_add(report.running, std::memory_order_relaxed);
    if (own() % 16 == 0) {
      calls_->wait_idle(id, std::chrono::seconds(0));
    }
  }

  // Removes the stripe, or restores it; mostly both. Not if another caller is at it.
  void come_and_go(Random& own, std::uint32_t id, Limit limit) {
    auto& site = sites_[id];
    if (site.is_taken.exchange(true, std::memory_order_acquire)) {
      return;
    }
    if (!site.is_removed || (!site.is_left && own() % 2 == 0)) {
      if (!site.is_removed && own() % 8 == 0) {
        restore_in_vain(id);
      }
      if (own() % 2 == 0) {
        queue_(id);
        cancel(own, id, std::nullopt);
      }
      take_out(own, id, limit);
      if (own() % 4 != 0) {
        bring_back(id);
      }
    } else {
      bring_back(id);
    }
    site.is_taken.store(false, std::memory_order_release);
  }

  // Holds the stripe back for a while, or all of them, makes requests meanwhile, and waits. The
  // stripe is not restored by others in that time, which would end the pause.
  void hold_back(Random& own, std::optional<std::uint32_t> id, Limit limit) {
    auto& is_taken = id ? sites_[*id].is_taken : is_all_taken_;
    if (is_taken.exchange(true, std::memory_order_acquire)) {
      return;
    }
    {
      const auto pause = calls_->pause(id, limit);
      check(pause);
      const bool paused = pause.result() == PauseResult::paused;
      const auto before = paused ? compactions_of(id) : std::vector<int>();
      requests_while_held(own, id ? *id : static_cast<std::uint32_t>(own() % sites_.size()));
      if (paused) {
        if (compactions_of(id) != before) {
          fail("a compaction begins that a pause holds");
        }
        ++(id ? notes_[*id] : note_of_all_);
        count(id ? met.pauses : met.pauses_of_all);
      } else if (pause.result() == PauseResult::still_running) {
        if (!limit.nanoseconds()) {
          fail("a pause without a limit says that something runs");
        }
        count(met.pauses_late);
      }
    }
    is_taken.store(false, std::memory_order_release);
  }

  // -- Once the worker is gone --------------------------------------------------------------------

  std::uint64_t compactions() const {
    std::uint64_t sum = 0;
    for (const int each : compactions_) {
      sum += static_cast<std::uint64_t>(each);
    }
    return sum;
  }

 private:
  struct Data {
    std::uint32_t stripe;
    std::uint64_t touched = 0;  // by compactions
  };
  struct Site {
    std::atomic<bool> is_taken{false};  // by one caller, who alone changes the rest
    bool is_removed = false;
    bool is_left = false;  // `remove` has said `removed`
    std::unique_ptr<Data> data;
  };

  void take_out(Random& own, std::uint32_t id, Limit limit) {
    auto& site = sites_[id];
    yields_before_exchange = own() % 2 == 0 ? own() % 8 : 0;
    const auto result = calls_->remove(id, limit);
    yields_before_exchange = 0;
    if (result == RemoveResult::removed) {
      site.data.reset();
      site.is_removed = site.is_left = true;
      count(met.removals);
      check_gone(own, id);
    } else if (result == RemoveResult::timed_out && limit.nanoseconds()) {
      site.is_removed = true;
      count(met.removals_late);
      if constexpr (requires { Sync::frees_too_early; }) {
        site.data.reset();
      }
    } else if (result != RemoveResult::shut_down) {
      fail("a removal says " + std::string(to_string(result)));
    }
  }

  void bring_back(std::uint32_t id) {
    auto& site = sites_[id];
    if (!site.is_removed) {
      return;  // the worker is shut down
    }
    if (site.data == nullptr) {
      site.data = std::make_unique<Data>(Data{id});
    }
    const auto result = calls_->restore(id);
    if (result == RestoreResult::restored) {
      site.is_removed = site.is_left = false;
      count(met.restores);
    } else if (result != RestoreResult::shut_down &&
               (result != RestoreResult::still_running || site.is_left)) {
      fail("a restore says " + std::string(to_string(result)));
    }
  }

  void restore_in_vain(std::uint32_t id) {
    const auto result = calls_->restore(id);
    if (result != RestoreResult::not_removed && result != RestoreResult::shut_down) {
      fail("a stripe is restored that was not removed");
    }
  }

  void check_gone(Random& own, std::uint32_t id) {
    const auto answer = queue_(id);
    if (answer != Submission::rejected_removed && answer != Submission::rejected_disabled &&
        answer != Submission::rejected_shutting_down) {
      fail("a request of a removed stripe is " + std::string(to_string(answer)));
    }
    if (own() % 4 == 0 && !calls_->is_removed(id)) {
      fail("a removed stripe is said not to be");
    }
    if (own() % 4 == 0 && calls_->cancel(id) != CancelReport()) {
      fail("a cancel finds something of a removed stripe");
    }
    if (own() % 4 == 0) {
      const auto result = calls_->wait_idle(id).result;
      if (result != IdleResult::idle && result != IdleResult::shut_down) {
        fail("a wait for a removed stripe says " + std::string(to_string(result)));
      }
    }
  }

  void check(const Pause<Sync>& pause) {
    if (!pause.holds() && pause.result() != PauseResult::shut_down &&
        pause.result() != PauseResult::restored) {
      fail("a pause says " + std::string(to_string(pause.result())));
    }
  }

  void requests_while_held(Random& own, std::uint32_t id) {
    for (auto i = own() % 4; i != 0; --i) {
      queue_(id);
      std::this_thread::yield();
    }
    if (own() % 2 == 0) {
      // Ends at once, or with the compaction that runs: what waits is held.
      const auto result = calls_->wait_idle(id).result;
      met.waits_paused.fetch_add(result == IdleResult::paused, std::memory_order_relaxed);
      if (result != IdleResult::paused && result != IdleResult::idle &&
          result != IdleResult::delayed && result != IdleResult::quarantined &&
          result != IdleResult::shut_down) {
        fail("a wait under a pause says " + std::string(to_string(result)));
      }
    }
  }

  // Of what is held.
  std::vector<int> compactions_of(std::optional<std::uint32_t> id) const {
    return id ? std::vector<int>{compactions_[*id]} : compactions_;
  }

  const std::function<Submission(std::uint32_t)> queue_;
  Calls<Sync>* calls_ = nullptr;
  std::vector<Site> sites_;
  std::vector<int> compactions_;  // of each stripe
  // Written by whoever holds a stripe back, or all, and read by the next compactions.
  std::vector<int> notes_;
  int note_of_all_ = 0;
  std::atomic<bool> is_all_taken_{false};
  std::vector<int> notes_seen_;
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_ENGINE_H_
