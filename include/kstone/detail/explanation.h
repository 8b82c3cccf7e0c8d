// Why a stripe is being compacted just now, or is not: what is known of it at one moment, and the
// sentence that says so.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_EXPLANATION_H_
#define KSTONE_DETAIL_EXPLANATION_H_

#include "kstone/cxx20.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "kstone/compaction_types.h"
#include "kstone/export.h"
#include "kstone/request_options.h"

namespace kstone::detail {

struct StripeFacts {
  enum class Worker : std::uint8_t { disabled, not_started, running, closing, stopped };
  // Missing: its requester has not left it in the inbox yet, and may be suspended.
  enum class Place : std::uint8_t { idle, missing, inbox, queued, held, delayed, running };

  std::uint32_t stripe_id = 0;
  Worker worker = Worker::running;
  Place place = Place::idle;
  bool removed = false;
  bool requested = false;      // running: once more, meanwhile
  bool asked_to_stop = false;  // running
  bool paused = false;
  bool all_paused = false;
  bool lacks_resource = false;  // delayed: until it is there again
  bool quarantined = false;
  std::uint32_t failures = 0;  // in a row
  bool all_failures = true;    // ... or there were more
  bool unfinished = false;     // its last compaction left work undone, or its last request did
  std::optional<EpisodeEnd> last_end;
  static constexpr std::size_t most_of_error = 256;
  std::string error;  // of its last compaction, cut

  std::uint32_t thread = 0;                        // running
  std::uint32_t attempt = 0;                       // running
  std::chrono::nanoseconds time{0};                // running or queued: for how long
  std::optional<std::chrono::nanoseconds> due_in;  // delayed
  std::uint32_t before = 0;                        // queued: stripes that are before it
  bool all_before = true;                          // ... or there are more
  Priority lane = Priority::normal;                // queued
  bool lane_is_open = true;                        // ... and more stripes of it may run
  std::uint32_t running_now = 0;
  std::uint32_t max_concurrent = 0;
  std::uint32_t worker_threads = 0;
};

KSTONE_EXPORT std::string sentence_of(const StripeFacts& facts);

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_EXPLANATION_H_
