// What one execution of a program has to say: every answer, every compaction, and what happened
// before what. All of it is what the program's own threads have read, or happens-before: the same
// in every execution of an equivalence class, so a search with reduction finds every history. (Real
// time is not, and is read from a Ghost: see execution.h.)
//
// Plain bytes, and a text without zeros for model::outcome().

#ifndef KSTONE_PROPTESTS_PROGRAMS_HISTORY_H_
#define KSTONE_PROPTESTS_PROGRAMS_HISTORY_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "kstone/compaction_types.h"

namespace kstone::programs {

// Main, the application threads, the worker threads; numbered as the explorer does.
inline constexpr int thread_limit = 8;
inline constexpr int call_limit = 16;  // of one thread
inline constexpr int compaction_limit = 12;

// A number for each thread.
struct Counts {
  std::uint8_t of[thread_limit];
};

// The numbers that a snapshot gives, and which they are.
enum Number {
  queued,
  coalesced,
  rerun_pending,
  rejected_unknown,
  rejected_shutting_down,
  rejected_removed,
  ended_done,
  ended_failed,
  ended_cancelled,
  ended_removed,
  ended_discarded,
  started,
  outcomes,  // by CompactionOutcome::Kind
  running = outcomes + CompactionOutcome::kind_count,
  running_max,
  waiting,
  max_concurrent,
  held,
  delayed,
  retries,
  quarantined,
  probes,
  removed,
  first_error,
  number_count
};

// Of a shutdown.
struct Report {
  std::uint8_t refused, complete, mode;
  std::uint8_t discarded, quarantined, unfinished, waiting, still_running;  // sets of stripes
  std::uint8_t first_error;

  friend bool operator==(const Report&, const Report&) = default;
};

// What a wait for one stripe answers, in a number.
inline std::uint8_t number_of(const StripeIdle& answer) {
  return static_cast<std::uint8_t>(
      static_cast<unsigned>(answer.result) +
      8U * (answer.last_end ? 1U + static_cast<unsigned>(*answer.last_end) : 0U));
}
inline IdleResult result_of(std::uint8_t answer) { return static_cast<IdleResult>(answer % 8); }
inline std::optional<EpisodeEnd> last_end_of(std::uint8_t answer) {
  return answer < 8 ? std::nullopt : std::optional(static_cast<EpisodeEnd>(answer / 8 - 1));
}

// ... and `cancel`.
inline std::uint8_t number_of(const CancelReport& report) {
  return static_cast<std::uint8_t>(
      static_cast<unsigned>(report.result) + (report.waited ? 4U : 0U) +
      (report.rerun_pending ? 8U : 0U) + (report.running ? 16U : 0U) +
      32U * (report.end ? 1U + static_cast<unsigned>(*report.end) : 0U));
}
inline CancelReport report_of(std::uint8_t answer) {
  return CancelReport{
      .result = static_cast<CancelReport::Result>(answer % 4),
      .waited = (answer & 4U) != 0,
      .rerun_pending = (answer & 8U) != 0,
      .running = (answer & 16U) != 0,
      .end = answer < 32 ? std::nullopt : std::optional(static_cast<EpisodeEnd>(answer / 32 - 1))};
}

struct CallRecord {
  Counts known;        // calls of each thread that ended before this one began: by happens-before,
  Counts earlier;      // ... and in real time, where that is recorded
  Counts compactions;  // of each thread, that ended before this call did: by happens-before
  std::uint8_t answer;
  union {
    std::uint8_t numbers[number_count];  // of a snapshot
    Report report;                       // of a shutdown
  };
};

struct CompactionRecord {
  std::uint8_t stripe, attempt;
  std::uint8_t number;   // of the stripe
  std::uint8_t stopped;  // it saw that it shall stop
  std::uint8_t priority;
  // Calls of each thread that began before this compaction did: by happens-before.
  Counts begun;
};

struct ThreadHistory {
  std::uint8_t call_count, compaction_count;
  CallRecord calls[call_limit];
  CompactionRecord compactions[compaction_limit];
};

struct History {
  ThreadHistory threads[thread_limit];
};

// The error of each failing compaction is a text of its own, and in a history a number: 0 if there
// is none.
inline std::string error_text(std::uint32_t stripe, int number) {
  return "stripe " + std::to_string(stripe) + " number " + std::to_string(number);
}
inline std::uint8_t error_number(const std::string& text) {
  unsigned stripe = 0, number = 0;
  if (text.empty()) {
    return 0;
  }
  return std::sscanf(text.c_str(), "stripe %u number %u", &stripe, &number) == 2
             ? static_cast<std::uint8_t>(stripe * 16 + number)
             : std::uint8_t{200};
}

// `put` takes each byte in turn.
template <class Put>
void encode(const History& history, const Put& put) {
  const auto put_all = [&put](const void* from, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      put(static_cast<char>(static_cast<const unsigned char*>(from)[i] + 1));
    }
  };
  for (const auto& thread : history.threads) {
    put_all(&thread, 2);
    put_all(thread.calls, thread.call_count * sizeof(CallRecord));
    put_all(thread.compactions, thread.compaction_count * sizeof(CompactionRecord));
  }
}

inline History decode(const std::string& text) {
  History history{};
  std::size_t at = 0;
  const auto take_all = [&](void* to, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      static_cast<unsigned char*>(to)[i] = static_cast<unsigned char>(text[at++] - 1);
    }
  };
  for (auto& thread : history.threads) {
    take_all(&thread, 2);
    take_all(thread.calls, thread.call_count * sizeof(CallRecord));
    take_all(thread.compactions, thread.compaction_count * sizeof(CompactionRecord));
  }
  return history;
}

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_HISTORY_H_
