// What a job is given: its stripe, which attempt it is, and whether it is asked to stop.
//
// Thread safety: a job's own; it lives for the call of the job.

#ifndef KSTONE_COMPACTION_CONTEXT_H_
#define KSTONE_COMPACTION_CONTEXT_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <utility>

#include "kstone/compaction_stats.h"
#include "kstone/compaction_types.h"
#include "kstone/detail/stop_state.h"
#include "kstone/production_sync.h"
#include "kstone/request_options.h"

namespace kstone {

template <class Sync, class Callback>
class basic_stop_callback;

namespace detail {

// Whether the compaction of a thread should make room.
struct YieldQuestion {
  bool (*ask)(void* shell, std::uint32_t index) = nullptr;
  void* shell = nullptr;
  std::uint32_t index = 0;
};

// What a job is told of the requests that it serves.
struct Dispatch {
  Priority priority = Priority::normal;
  std::uint8_t reasons = 0;
  YieldQuestion question = {};
};

}  // namespace detail

template <class Sync>
class basic_compaction_context {
 public:
  using StatsAtomic = basic_compaction_stats_atomic<Sync>;

  basic_compaction_context(CompactionRequest request, std::uint32_t attempt,
                           detail::StopState<Sync>& stop, const StatsAtomic& stats,
                           const detail::Dispatch& dispatch = {})
      : request_(request), attempt_(attempt), stop_(stop), stats_(stats), dispatch_(dispatch) {}
  ~basic_compaction_context() {
    Sync::check(!had_callbacks_ || stop_.has_no_callback(),
                "on_stop: a callback outlives the job that made it");
  }
  basic_compaction_context(const basic_compaction_context&) = delete;
  basic_compaction_context& operator=(const basic_compaction_context&) = delete;

  CompactionRequest request() const noexcept { return request_; }
  std::uint32_t stripe_id() const noexcept { return request_.stripe_id; }

  // 1 for the first compaction of an episode, one more for each after `more_work` or a `retry`.
  std::uint32_t attempt() const noexcept { return attempt_; }

  // The highest priority of the requests that this compaction serves, and the reasons of all.
  Priority priority() const noexcept { return dispatch_.priority; }
  std::uint8_t reasons() const noexcept { return dispatch_.reasons; }

  // True if a stripe of a higher priority waits and no thread is free for it: then this compaction
  // had better end with `more_work`, which puts its stripe behind that one (or behind one that has
  // waited too long for its lane). It is said to so many compactions as stripes wait so: one that
  // was told so counts until it ends, asks again, or the stripe has found another thread. Not once
  // the worker has closed, which would discard the rest. It takes the worker's mutex, and may have
  // to move into the queue what others have requested: for between two units of work, not for each
  // key.
  bool should_yield() const {
    const auto& question = dispatch_.question;
    return question.ask != nullptr && question.ask(question.shell, question.index);
  }

  // True once this compaction is asked to give up, by `cancel` or `remove` of its stripe or by
  // `shutdown(ShutdownMode::cancel)`; it may then answer `stopped`. Relaxed: it asks for something,
  // and publishes nothing.
  bool stop_requested() const noexcept { return stop_.requested(); }

  // A sleep that such a stop ends: true then, false if the limit passed first. Without a limit it
  // waits for the stop. A shutdown that does not cancel ends no sleep, and waits for it.
  bool wait_for_stop(Limit limit) { return stop_.wait(limit); }

  // Has `callback` called when this compaction is asked to stop, as std::stop_callback does, for as
  // long as what is returned lives: on the thread that asks (who calls `cancel`, `remove` or
  // `shutdown`, whose limits do not bound it), with no lock of the worker held; at once, on this
  // thread, if the stop came before. Calls that could wait for a job are refused in it; what it
  // throws is swallowed; it must not end its thread. The end of what is returned waits for a call
  // under way, unless it is that call which ends it. It must not outlive the job. Of several, the
  // last is called first. A job that sees the stop in another way may end it before the call; then
  // it is not called at all. Registered and ended on the thread that runs the job, not on its
  // helpers, from which calls that wait would not be known as the job's.
  //
  //     const auto stop = context.on_stop([&] { engine.abort(id); });
  template <class Callback>
  [[nodiscard]] basic_stop_callback<Sync, Callback> on_stop(Callback callback) {
    return basic_stop_callback<Sync, Callback>(*this, std::move(callback));
  }

  // The flag behind `stop_requested`, for engines that poll an atomic of their caller. Not to be
  // written; RocksDB's `canceled` is a pointer to a non-const one that RocksDB only reads, so a
  // const_cast is in order there.
  const typename Sync::template atomic<bool>& stop_flag() const noexcept { return stop_.flag(); }

  // Where the job records what it merged. `total_compactions` and `active_compactions` are the
  // worker's to keep: a job that calls `record_compaction` or `start_compaction` counts twice.
  const StatsAtomic& stats() const noexcept { return stats_; }

 private:
  template <class, class>
  friend class basic_stop_callback;

  CompactionRequest request_;
  std::uint32_t attempt_;
  detail::StopState<Sync>& stop_;
  const StatsAtomic& stats_;
  detail::Dispatch dispatch_;
  bool had_callbacks_ = false;  // the job's own; callbacks may end on other threads
};

// What `on_stop` returns.
template <class Sync, class Callback>
class [[nodiscard]] basic_stop_callback {
 public:
  ~basic_stop_callback() { stop_.leave(entry_); }
  basic_stop_callback(const basic_stop_callback&) = delete;
  basic_stop_callback& operator=(const basic_stop_callback&) = delete;

 private:
  friend class basic_compaction_context<Sync>;

  basic_stop_callback(basic_compaction_context<Sync>& context, Callback callback)
      : stop_(context.stop_), callback_(std::move(callback)) {
    entry_.call = [](void* self) { static_cast<basic_stop_callback*>(self)->callback_(); };
    entry_.argument = this;
    context.had_callbacks_ = true;
    stop_.enter(entry_);
  }

  detail::StopState<Sync>& stop_;
  Callback callback_;
  typename detail::StopState<Sync>::Callback entry_;
};

using CompactionContext = basic_compaction_context<ProductionSync>;

}  // namespace kstone

#endif  // KSTONE_COMPACTION_CONTEXT_H_
