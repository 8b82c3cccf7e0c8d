// The worker's calls as the stress program makes them: recorded, if the thread records.
//
// Thread safety: as the worker.

#ifndef KSTONE_TSAN_STRESS_CALLS_H_
#define KSTONE_TSAN_STRESS_CALLS_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "kstone/background_worker.h"
#include "trace.h"

namespace kstone::stress {

using kstone::CancelReport;
using kstone::CompactionOutcome;
using kstone::EpisodeEnd;
using kstone::IdleResult;
using kstone::Limit;
using kstone::PauseResult;
using kstone::RemoveResult;
using kstone::ResizeResult;
using kstone::RestoreResult;
using kstone::ShutdownMode;
using kstone::StartResult;
using kstone::Submission;
using kstone::trace::Act;
using kstone::trace::Call;
using kstone::trace::Log;
using kstone::trace::PauseArgument;
using kstone::trace::ShutdownArgument;
using kstone::trace::StripeArgument;
using Random = std::mt19937;

// With a planted fault it is the sanitizer or the replay that has to find it.
inline bool fault_is_planted = false;

inline void fail(const std::string& sentence) {
  if (!fault_is_planted) {
    std::fflush(stdout);
    std::fprintf(stderr, "stress: %s\n", sentence.c_str());
    std::_Exit(1);
  }
}

inline void begins(Call call, std::uint64_t argument = 0) {
  kstone::trace::add({Act::call_begin, static_cast<std::uint8_t>(call), 0, 0, 0, argument});
}

template <class Answer>
Answer ends(Call call, Answer answer) {
  kstone::trace::add({Act::call_end, static_cast<std::uint8_t>(call), 0, 0, 0,
                      static_cast<std::uint64_t>(answer)});
  return answer;
}

// An answer too large for an event: it stands in the log.
template <class Answer>
Answer ends(Call call, std::deque<Answer> Log::* answers, Answer answer) {
  if (auto* log = kstone::trace::current) {
    (log->*answers).push_back(answer);
    ends(call, (log->*answers).size() - 1);
  }
  return answer;
}

// Most have none, as in most engines.
inline kstone::RequestOptions any_options(Random& own) {
  const auto drawn = own() % 16;
  return {.priority = static_cast<kstone::Priority>(drawn < 3 ? drawn : 1),
          .reasons = static_cast<std::uint8_t>(drawn == 3 ? own() % 256 : 0)};
}

// Of all workers, so that no two have the same number.
inline std::atomic<std::uint32_t> pauses_made{0};

// A pause that lives.
template <class Sync>
class Pause {
 public:
  Pause(kstone::basic_pause_guard<Sync>&& guard, std::uint32_t number)
      : guard_(std::move(guard)), number_(number) {}
  ~Pause() {
    if (holds()) {
      begins(Call::resume, number_);
      guard_.release();
      ends(Call::resume, 0);
    }
  }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

  PauseResult result() const { return guard_.result(); }
  // By its result: to ask the guard takes the mutex, and is no call that is recorded.
  bool holds() const {
    return result() == PauseResult::paused || result() == PauseResult::still_running;
  }

 private:
  kstone::basic_pause_guard<Sync> guard_;
  const std::uint32_t number_;
};

template <class Sync>
struct Calls {
  using Worker = kstone::basic_background_worker<Sync>;

  Worker& worker;

  Submission queue_compaction(std::uint32_t id) {
    begins(Call::queue_compaction, kstone::trace::RequestArgument(id, {}).all);
    return ends(Call::queue_compaction, worker.queue_compaction(id));
  }
  Submission queue_compaction(std::uint32_t id, kstone::RequestOptions options) {
    begins(Call::queue_compaction, kstone::trace::RequestArgument(id, options).all);
    return ends(Call::queue_compaction, worker.queue_compaction(id, options));
  }
  std::size_t queue_size() {
    begins(Call::queue_size);
    return ends(Call::queue_size, worker.queue_size());
  }
  bool is_running() {
    begins(Call::is_running);
    return ends(Call::is_running, worker.is_running());
  }
  IdleResult wait_idle(Limit limit = {}) {
    begins(Call::wait_idle, limit.nanoseconds().has_value());
    return ends(Call::wait_idle, worker.wait_idle(limit));
  }
  // For what is delayed, too.
  IdleResult wait_out(Limit limit) {
    begins(Call::wait_idle, limit.nanoseconds().has_value() + 2U);
    return ends(Call::wait_idle, worker.wait_idle(limit, kstone::WhenDelayed::wait));
  }
  std::uint32_t retry_now() {
    begins(Call::retry_now);
    return ends(Call::retry_now, worker.retry_now());
  }
  kstone::ReleaseResult release(std::uint32_t id) {
    if (kstone::trace::current == nullptr) {
      worker.quarantined();  // in holds of its own, of which a record would have to tell
    }
    begins(Call::release, id);
    return ends(Call::release, worker.release(id));
  }
  kstone::StripeIdle wait_idle(std::uint32_t id, Limit limit = {}) {
    begins(Call::wait_stripe, argument(id, limit));
    const auto answer = worker.wait_idle(id, limit);
    ends(Call::wait_stripe, kstone::trace::number_of(answer));
    return answer;
  }
  CancelReport cancel(std::uint32_t id) {
    begins(Call::cancel, id);
    return ends_cancel(Call::cancel, worker.cancel(id));
  }
  CancelReport cancel(std::uint32_t id, Limit limit) {
    begins(Call::cancel_within, argument(id, limit));
    return ends_cancel(Call::cancel_within, worker.cancel(id, limit));
  }
  RemoveResult remove(std::uint32_t id, Limit limit = {}) {
    begins(Call::remove, argument(id, limit));
    return ends(Call::remove, worker.remove(id, limit));
  }
  RestoreResult restore(std::uint32_t id) {
    begins(Call::restore, id);
    return ends(Call::restore, worker.restore(id));
  }
  bool is_removed(std::uint32_t id) {
    begins(Call::is_removed, id);
    return ends(Call::is_removed, worker.is_removed(id));
  }
  // Of one stripe, or of all.
  Pause<Sync> pause(std::optional<std::uint32_t> id, Limit limit) {
    const auto number = pauses_made.fetch_add(1, std::memory_order_relaxed);
    begins(Call::pause, PauseArgument(number, id).number_and_stripe);
    auto guard = id ? worker.pause(held_instead_of(*id), limit) : worker.pause_all(limit);
    ends(Call::pause, guard.result());
    return Pause<Sync>(std::move(guard), number);
  }
  kstone::ShutdownReport shutdown(ShutdownMode mode, Limit limit = {}) {
    begins(Call::shutdown, ShutdownArgument(mode, limit.nanoseconds().has_value()).mode_and_limit);
    return ends(Call::shutdown, &Log::reports, worker.shutdown(mode, limit));
  }
  StartResult start() {
    begins(Call::start);
    return ends(Call::start, worker.start());
  }
  ResizeResult set_max_concurrent(std::uint32_t max) {
    begins(Call::set_max_concurrent, max);
    return ends(Call::set_max_concurrent, worker.set_max_concurrent(allowed_instead_of(max)));
  }
  void set_check_interval(std::chrono::hours interval) {
    begins(Call::set_check_interval);
    worker.set_check_interval(interval);
    ends(Call::set_check_interval, 0);
  }
  kstone::WorkerSnapshot snapshot() {
    begins(Call::snapshot);
    return ends(Call::snapshot, &Log::snapshots, worker.snapshot());
  }

 private:
  static std::uint64_t argument(std::uint32_t id, Limit limit) {
    return StripeArgument(id, limit.nanoseconds().has_value()).stripe_and_limit;
  }
  static CancelReport ends_cancel(Call call, const CancelReport& report) {
    ends(call, kstone::trace::number_of(report));
    return report;
  }
  // Itself, unless that is the fault that is planted.
  static std::uint32_t allowed_instead_of(std::uint32_t max) {
    if constexpr (requires { Sync::allows_one_more; }) {
      return max + 1;
    }
    return max;
  }
  std::uint32_t held_instead_of(std::uint32_t id) const {
    if constexpr (requires { Sync::pauses_another; }) {
      return (id + 1) % worker.stripe_count();
    }
    return id;
  }
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_CALLS_H_
