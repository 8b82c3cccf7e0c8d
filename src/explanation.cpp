#include "kstone/detail/explanation.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "kstone/detail/duration_text.h"

namespace kstone::detail {
namespace {

using Place = StripeFacts::Place;
using Worker = StripeFacts::Worker;

std::string text(std::chrono::nanoseconds duration) { return text_of(duration).c_str(); }

std::string count_of(std::uint32_t count, const char* one, const char* many) {
  return std::to_string(count) + ' ' + (count == 1 ? one : many);
}

// What keeps the whole worker from compacting anything; nothing, if nothing does.
std::string hindrance_of(const StripeFacts& facts) {
  switch (facts.worker) {
    case Worker::disabled:
      return "the worker is disabled";
    case Worker::not_started:
      return "the worker has not been started";
    case Worker::stopped:
      return "the worker was shut down";
    case Worker::running:
    case Worker::closing:  // which may drain
      break;
  }
  if (facts.all_paused) {
    return "all stripes are paused";
  }
  return facts.worker_threads == 0 ? "the worker has no thread left" : "";
}

std::string behind(const char* separator, const std::string& text) {
  return text.empty() ? text : separator + text;
}

std::string error_of(const StripeFacts& facts) {
  const bool cut = facts.error.size() == StripeFacts::most_of_error;
  return behind(": ", cut ? facts.error + "..." : facts.error);
}

std::string running(const StripeFacts& facts) {
  return "is being compacted on thread " + std::to_string(facts.thread) + " for " +
         text(facts.time) + ", attempt " + std::to_string(facts.attempt) +
         (facts.quarantined ? ", as a probe" : "") +
         (facts.asked_to_stop ? ", and was asked to stop" : "") +
         (facts.requested ? "; requested once more meanwhile" : "");
}

std::string queued(const StripeFacts& facts) {
  const bool normal = facts.lane == Priority::normal;
  const auto lane = normal ? "queue" : std::string(to_string(facts.lane)) + " lane";
  const auto result = "waits in the " + lane + " for " + text(facts.time);
  if (const auto hindrance = hindrance_of(facts); !hindrance.empty()) {
    return result + ": " + hindrance;
  }
  const auto most = std::min(facts.max_concurrent, facts.worker_threads);
  const auto compactions =
      std::to_string(facts.running_now) + " of " + count_of(most, "compaction", "compactions");
  return result + ", with " + (facts.all_before ? "" : "more than ") +
         count_of(facts.before, "stripe", "stripes") + " before it: " + compactions + " run" +
         (most < facts.max_concurrent ? ", since threads are missing" : "") +
         (facts.running_now >= most ? ""
          : facts.lane_is_open      ? ", so a thread is about to take one"
                                    : ", and no more of its lane may");
}

std::string delayed(const StripeFacts& facts) {
  const bool is_due = !facts.due_in || facts.due_in->count() <= 0;
  const auto when = is_due ? " at once" : " in " + text(*facts.due_in);
  const auto but =
      behind(", but ", facts.paused && facts.worker == Worker::running ? "somebody has paused it"
                                                                       : hindrance_of(facts));
  if (facts.lacks_resource) {
    return "waits for a resource that its last compaction lacked; one stripe of those is tried" +
           when + but + error_of(facts);
  }
  const auto failures = std::to_string(facts.failures) + (facts.all_failures ? "" : " or more") +
                        (facts.failures == 1 && facts.all_failures ? " failure" : " failures") +
                        " in a row";
  return (facts.quarantined ? "is in quarantine, and a probe tries it" : "is tried again") + when +
         but + ", after " + failures + behind(", the last", error_of(facts));
}

std::string idle(const StripeFacts& facts) {
  std::string result = "has nothing to do";
  if (facts.worker == Worker::closing) {
    result = "will not be compacted: the worker is being shut down";
  } else if (facts.worker == Worker::disabled || facts.worker == Worker::stopped) {
    result = "will not be compacted: " + hindrance_of(facts);
  } else if (facts.removed) {
    return "is removed, until it is restored";
  } else if (facts.unfinished) {
    result = "is left undone until it is requested";
  }
  if (!facts.last_end) {
    return result + "; no request of it was accepted";
  }
  return result + "; its last request ended as " + std::string(to_string(*facts.last_end)) +
         (*facts.last_end == EpisodeEnd::failed ? error_of(facts) : "");
}

std::string at_place(const StripeFacts& facts) {
  switch (facts.place) {
    case Place::idle:
      return idle(facts);
    case Place::missing:
      return "was requested by a call that has not handed it over yet, and whose thread may be "
             "suspended";
    case Place::inbox:
      return "was requested, and waits to be taken into the queue" +
             behind(": ", hindrance_of(facts));
    case Place::queued:
      return queued(facts);
    case Place::held:
      return "is held: somebody has paused it";
    case Place::delayed:
      return delayed(facts);
    case Place::running:
      return running(facts);
  }
  return "";
}

}  // namespace

std::string sentence_of(const StripeFacts& facts) {
  return "stripe " + std::to_string(facts.stripe_id) + ' ' + at_place(facts) + '.';
}

}  // namespace kstone::detail
