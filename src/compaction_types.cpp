#include "kstone/compaction_types.h"
#include "kstone/request_options.h"

namespace kstone {

std::string_view to_string(Priority priority) noexcept {
  switch (priority) {
    case Priority::low:
      return "low";
    case Priority::normal:
      return "normal";
    case Priority::high:
      return "high";
  }
  return "unknown";
}

std::string_view to_string(Submission answer) noexcept {
  switch (answer) {
    case Submission::queued:
      return "queued";
    case Submission::coalesced:
      return "coalesced";
    case Submission::rerun_pending:
      return "rerun_pending";
    case Submission::rejected_unknown_stripe:
      return "rejected_unknown_stripe";
    case Submission::rejected_disabled:
      return "rejected_disabled";
    case Submission::rejected_shutting_down:
      return "rejected_shutting_down";
    case Submission::rejected_removed:
      return "rejected_removed";
  }
  return "unknown";
}

// On the thread of the job. Into a string of its own, so that the memory of the rest is free.
void CompactionOutcome::cut_error() noexcept {
  try {
    error_ = std::string(error_, 0, 64);
  } catch (...) {
    error_ = std::string("out of memory");  // short enough to need none
  }
}

std::string_view to_string(CompactionOutcome::Kind kind) noexcept {
  switch (kind) {
    case CompactionOutcome::Kind::done:
      return "done";
    case CompactionOutcome::Kind::nothing_to_do:
      return "nothing_to_do";
    case CompactionOutcome::Kind::more_work:
      return "more_work";
    case CompactionOutcome::Kind::retry:
      return "retry";
    case CompactionOutcome::Kind::failed:
      return "failed";
    case CompactionOutcome::Kind::stopped:
      return "stopped";
  }
  return "unknown";
}

std::string_view to_string(StartResult result) noexcept {
  switch (result) {
    case StartResult::started:
      return "started";
    case StartResult::already_running:
      return "already_running";
    case StartResult::shut_down:
      return "shut_down";
    case StartResult::no_threads:
      return "no_threads";
  }
  return "unknown";
}

std::string_view to_string(ResizeResult result) noexcept {
  switch (result) {
    case ResizeResult::resized:
      return "resized";
    case ResizeResult::fewer_threads:
      return "fewer_threads";
    case ResizeResult::out_of_range:
      return "out_of_range";
    case ResizeResult::shut_down:
      return "shut_down";
  }
  return "unknown";
}

std::string_view to_string(IdleResult result) noexcept {
  switch (result) {
    case IdleResult::idle:
      return "idle";
    case IdleResult::timed_out:
      return "timed_out";
    case IdleResult::shut_down:
      return "shut_down";
    case IdleResult::refused:
      return "refused";
    case IdleResult::unknown_stripe:
      return "unknown_stripe";
    case IdleResult::paused:
      return "paused";
    case IdleResult::delayed:
      return "delayed";
    case IdleResult::quarantined:
      return "quarantined";
  }
  return "unknown";
}

std::string_view to_string(EpisodeEnd end) noexcept {
  switch (end) {
    case EpisodeEnd::done:
      return "done";
    case EpisodeEnd::failed:
      return "failed";
    case EpisodeEnd::cancelled:
      return "cancelled";
    case EpisodeEnd::removed:
      return "removed";
    case EpisodeEnd::discarded:
      return "discarded";
  }
  return "unknown";
}

std::string_view to_string(CancelReport::Result result) noexcept {
  switch (result) {
    case CancelReport::Result::ended:
      return "ended";
    case CancelReport::Result::still_running:
      return "still_running";
    case CancelReport::Result::refused:
      return "refused";
    case CancelReport::Result::unknown_stripe:
      return "unknown_stripe";
  }
  return "unknown";
}

std::string_view to_string(RemoveResult result) noexcept {
  switch (result) {
    case RemoveResult::removed:
      return "removed";
    case RemoveResult::timed_out:
      return "timed_out";
    case RemoveResult::shut_down:
      return "shut_down";
    case RemoveResult::refused:
      return "refused";
    case RemoveResult::unknown_stripe:
      return "unknown_stripe";
  }
  return "unknown";
}

std::string_view to_string(ReleaseResult result) noexcept {
  switch (result) {
    case ReleaseResult::released:
      return "released";
    case ReleaseResult::not_quarantined:
      return "not_quarantined";
    case ReleaseResult::shut_down:
      return "shut_down";
    case ReleaseResult::unknown_stripe:
      return "unknown_stripe";
  }
  return "unknown";
}

std::string_view to_string(RestoreResult result) noexcept {
  switch (result) {
    case RestoreResult::restored:
      return "restored";
    case RestoreResult::not_removed:
      return "not_removed";
    case RestoreResult::still_running:
      return "still_running";
    case RestoreResult::shut_down:
      return "shut_down";
    case RestoreResult::unknown_stripe:
      return "unknown_stripe";
  }
  return "unknown";
}

std::string_view to_string(PauseResult result) noexcept {
  switch (result) {
    case PauseResult::paused:
      return "paused";
    case PauseResult::still_running:
      return "still_running";
    case PauseResult::shut_down:
      return "shut_down";
    case PauseResult::restored:
      return "restored";
    case PauseResult::refused:
      return "refused";
    case PauseResult::unknown_stripe:
      return "unknown_stripe";
  }
  return "unknown";
}

std::string_view to_string(ShutdownMode mode) noexcept {
  switch (mode) {
    case ShutdownMode::drain:
      return "drain";
    case ShutdownMode::finish_running:
      return "finish_running";
    case ShutdownMode::cancel:
      return "cancel";
  }
  return "unknown";
}

std::string_view to_string(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "unknown";
}

}  // namespace kstone
