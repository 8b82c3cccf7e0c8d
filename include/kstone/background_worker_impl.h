// The definitions of basic_background_worker<Sync>.
//
// Included by whoever instantiates the template for a `Sync`: `src/` for production, `model/` for
// exploration, tests with a clock of their own. Users of `BackgroundWorker` need it not.

#ifndef KSTONE_BACKGROUND_WORKER_IMPL_H_
#define KSTONE_BACKGROUND_WORKER_IMPL_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "kstone/background_worker.h"
#include "kstone/detail/shell/adopting.h"
#include "kstone/detail/shell/closing.h"
#include "kstone/detail/shell/observers.h"
#include "kstone/detail/shell/pausing.h"
#include "kstone/detail/shell/requesting.h"
#include "kstone/detail/shell/resizing.h"
#include "kstone/detail/shell/scanning.h"
#include "kstone/detail/shell/shell.h"
#include "kstone/detail/shell/starting.h"
#include "kstone/detail/shell/timekeeper.h"
#include "kstone/detail/shell/waiting.h"
#include "kstone/detail/shell/withdrawing.h"
#include "kstone/detail/shell/working.h"

namespace kstone {

template <class Sync>
basic_background_worker<Sync>::basic_background_worker(CompactionConfig config, StatsAtomic stats,
                                                       std::uint32_t stripe_count, Job job,
                                                       Options options)
    : shell_(new detail::Shell<Sync>(
          config, std::move(stats), stripe_count, options.thread_capacity, options.all_removed,
          {.job = std::move(job),
           .scan = options.scan ? [this, scan = std::move(options.scan)] { scan(*this); }
                                : std::function<void()>(),
           .log = std::move(options.log),
           .least_level = options.least_log_level,
           .keep_signal_mask = options.keep_signal_mask,
           .back_off = std::move(options.back_off),
           .watchdog_limit = options.watchdog_limit,
           .lanes = options.lanes})) {}

template <class Sync>
basic_background_worker<Sync>::~basic_background_worker() {
  shell_->prepare_destruction();
}

template <class Sync>
StartResult basic_background_worker<Sync>::start() {
  return shell_->start();
}

template <class Sync>
inline ResizeResult basic_background_worker<Sync>::set_max_concurrent(std::uint32_t max) {
  return shell_->set_max_concurrent(max);
}

template <class Sync>
inline void basic_background_worker<Sync>::set_check_interval_secs(std::uint64_t seconds) {
  shell_->set_check_interval(std::chrono::seconds(seconds));
}

template <class Sync>
Submission basic_background_worker<Sync>::queue_compaction(std::uint32_t stripe_id) noexcept {
  return shell_->queue_compaction(stripe_id);
}

template <class Sync>
inline Submission basic_background_worker<Sync>::queue_compaction(std::uint32_t stripe_id,
                                                                  RequestOptions options) noexcept {
  return shell_->queue_compaction(stripe_id, options);
}

template <class Sync>
std::size_t basic_background_worker<Sync>::queue_size() const {
  return shell_->queue_size();
}

template <class Sync>
bool basic_background_worker<Sync>::is_running() const {
  return shell_->is_running();
}

template <class Sync>
IdleResult basic_background_worker<Sync>::wait_idle(Limit limit, WhenDelayed when_delayed) {
  return shell_->wait_idle(limit, when_delayed);
}

// inline: else g++ 12 warns that nobody calls it, where the policy is local to a file.
template <class Sync>
inline StripeIdle basic_background_worker<Sync>::wait_idle(std::uint32_t stripe_id, Limit limit,
                                                           WhenDelayed when_delayed) {
  return shell_->wait_idle(stripe_id, limit, when_delayed);
}

template <class Sync>
inline CancelReport basic_background_worker<Sync>::cancel(std::uint32_t stripe_id) {
  return shell_->cancel(stripe_id);
}

template <class Sync>
inline CancelReport basic_background_worker<Sync>::cancel(std::uint32_t stripe_id, Limit limit) {
  return shell_->cancel(stripe_id, limit);
}

template <class Sync>
inline RemoveResult basic_background_worker<Sync>::remove(std::uint32_t stripe_id, Limit limit) {
  return shell_->remove(stripe_id, limit);
}

template <class Sync>
inline RestoreResult basic_background_worker<Sync>::restore(std::uint32_t stripe_id) {
  return shell_->restore(stripe_id);
}

template <class Sync>
inline bool basic_background_worker<Sync>::is_removed(std::uint32_t stripe_id) const {
  return shell_->is_removed(stripe_id);
}

template <class Sync>
inline std::uint32_t basic_background_worker<Sync>::retry_now() {
  return shell_->retry_now();
}

template <class Sync>
inline ReleaseResult basic_background_worker<Sync>::release(std::uint32_t stripe_id) {
  return shell_->release(stripe_id);
}

template <class Sync>
inline std::vector<StripeError> basic_background_worker<Sync>::quarantined() const {
  return shell_->quarantined();
}

template <class Sync>
inline basic_pause_guard<Sync> basic_background_worker<Sync>::pause_all(Limit limit) {
  return shell_->pause(std::nullopt, limit);
}

template <class Sync>
inline basic_pause_guard<Sync> basic_background_worker<Sync>::pause(std::uint32_t stripe_id,
                                                                    Limit limit) {
  return shell_->pause(stripe_id, limit);
}

template <class Sync>
bool basic_pause_guard<Sync>::holds() const noexcept {
  return entry_ != nullptr && shell_->holds(*entry_);
}

template <class Sync>
void basic_pause_guard<Sync>::release() noexcept {
  if (entry_ != nullptr) {
    shell_->resume(*entry_);
    entry_.reset();
  }
}

template <class Sync>
ShutdownReport basic_background_worker<Sync>::shutdown(ShutdownMode mode, Limit limit) {
  return shell_->shutdown(mode, limit);
}

template <class Sync>
WorkerSnapshot basic_background_worker<Sync>::snapshot() const {
  return shell_->snapshot(false);
}

template <class Sync>
inline WorkerSnapshot basic_background_worker<Sync>::brief_snapshot() const {
  return shell_->snapshot(true);
}

template <class Sync>
inline std::string basic_background_worker<Sync>::explain(std::uint32_t stripe_id) const {
  return shell_->explain(stripe_id);
}

template <class Sync>
inline std::uint32_t basic_background_worker<Sync>::stripe_count() const noexcept {
  return shell_->stripe_count();
}

template <class Sync>
inline const CompactionConfig& basic_background_worker<Sync>::config() const noexcept {
  return shell_->config();
}

}  // namespace kstone

#endif  // KSTONE_BACKGROUND_WORKER_IMPL_H_
