// What an explanation knows between two steps: the worker, and who did what.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_STATE_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_STATE_H_

#include <optional>
#include <vector>

#include "../../protocol/callers.h"
#include "held_back.h"
#include "history.h"
#include "program.h"

namespace kstone::programs {

inline constexpr int nobody = -1;
inline constexpr int stripe_limit = Program::stripe_limit;

// A request: the call, by thread and number; of a worker thread that asks for the rest of its work,
// the number is -1.
struct Claim {
  int thread;
  int call;
};

struct Request {
  Claim claim;
  std::uint32_t stripe;
  Submission answer;
  unsigned episode;  // of its stripe, from 1; 0 if rejected
};

// Whose episode ended with which compaction, or with which call.
struct Finished {
  unsigned ended;  // episodes of the stripe by then, and all before them
  int thread;      // nobody: it was withdrawn before it began
  int compaction;
  EpisodeEnd end;  // of the last episode that it ended, if any
};

// Everything, between two steps: the worker, and who did what.
struct State : protocol::State<std::uint32_t, bool> {
  using protocol::State<std::uint32_t, bool>::State;

  std::vector<Claim> claims[stripe_limit];  // behind the requests in each word
  std::vector<Claim> owed[stripe_limit];    // accepted before closing, and not taken since
  Claim pushed[stripe_limit] = {};          // of each stripe in the inbox
  Claim raised[stripe_limit] = {};          // of each raise in it
  int holder = nobody;                      // of the mutex
  // Guards of each thread that hold a stripe, or all, and are not forgotten: a second one while a
  // thread waits in `pause`.
  int guards[thread_limit][guard_limit] = {};

  std::vector<Request> made;
  std::vector<Finished> finished[stripe_limit];

  // Where each thread is.
  struct Position {
    int call = 0, step = 0;
    int compaction = 0, phase = 0;
    std::optional<unsigned> goals[stripe_limit];  // of a wait_idle
    unsigned ended = 0;  // episodes of its stripe, when a wait for one began
    // Of cancel and remove: the goal that is reached once the compaction has ended that ran.
    std::optional<unsigned> ending;
    bool scanning = false;          // of remove: a scan had begun
    bool cancelled_itself = false;  // the compaction that runs: its job cancelled its stripe
  } at[thread_limit];
};

// Episodes of the stripe that have ended with all that are older.
inline unsigned ended_in_order(const State::Stripe& stripe) {
  return stripe.ended() - stripe.early;
}

// How the last of the stripe's episodes has ended, if any has.
inline std::optional<EpisodeEnd> last_end(const State& s, std::uint32_t stripe) {
  std::optional<EpisodeEnd> result;
  unsigned ended = 0;
  for (const auto& each : s.finished[stripe]) {
    result = each.ended != ended ? each.end : result;
    ended = each.ended;
  }
  return result;
}

// By number, as bits.
inline std::uint8_t set_of(const std::vector<CompactionRequest>& stripes) {
  unsigned set = 0;
  for (const auto& each : stripes) {
    set |= 1U << each.stripe_id;
  }
  return static_cast<std::uint8_t>(set);
}

// One stripe whose claim is late is taken over; without the list if that is not seen. What is
// listed between the two may as well have been listed after.
inline void adopt(State& s, std::uint32_t id, bool stale) {
  auto& stripe = s.stripes[id];
  if (!stale) {
    s.take_inbox();
  }
  if (s.worker.may_adopt(stripe)) {
    s.adopt(stripe);
  }
}

// Whether the caller must have seen it: its own calls, and those that happened before.
inline bool knows(const CallRecord& record, int self, int self_call, const Claim& claim) {
  return claim.thread == self ? claim.call < self_call : claim.call < record.known.of[claim.thread];
}

inline bool knows(const CallRecord& record, const Finished& what) {
  return what.thread == nobody || what.compaction < record.compactions.of[what.thread];
}

// Whether one of these episodes of the stripe ended so, with a compaction that happened before
// the answer: which of them is the last, the caller need not have seen.
inline bool ends_so(const State& s, std::uint32_t stripe, unsigned from, unsigned to,
                    EpisodeEnd end, const CallRecord& record) {
  const auto& finished = s.finished[stripe];
  for (unsigned episode = from; episode <= to; ++episode) {
    const auto server = std::find_if(finished.begin(), finished.end(),
                                     [&](const Finished& f) { return f.ended >= episode; });
    if (server != finished.end() && server->end == end && knows(record, *server)) {
      return true;
    }
  }
  return false;
}

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_STATE_H_
