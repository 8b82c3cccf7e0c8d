// What the scheduling core should do, small enough to be believed at sight: a queue of ids, sets of
// ids, and lists of what happened, which are counted when somebody asks. No links, no flags.

#ifndef KSTONE_PROPTESTS_REFERENCE_H_
#define KSTONE_PROPTESTS_REFERENCE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kstone/compaction_types.h"

namespace kstone::proptests {

enum class End { done, failed, cancelled, discarded };

struct Reference {
  using Kind = CompactionOutcome::Kind;

  std::vector<std::uint32_t> queue;  // oldest first
  std::set<std::uint32_t> running;
  std::set<std::uint32_t> owed;  // running, and to be run once more by a drain
  std::map<std::uint32_t, int> open;
  std::map<std::uint32_t, std::uint32_t> attempts;
  std::vector<Submission> opened;                    // episodes, by the answer that opened them
  std::vector<std::pair<std::uint32_t, End>> ended;  // episodes, by stripe and end
  std::vector<Kind> outcomes;                        // compactions that ended
  std::vector<std::string> errors;
  std::uint64_t coalesced = 0;
  std::size_t running_max = 0;
  std::set<std::uint32_t> discarded;
  std::set<std::uint32_t> unfinished;
  bool closed = false;
  ShutdownMode mode = ShutdownMode::drain;

  bool idle(std::uint32_t id) const {
    return running.count(id) == 0 && std::find(queue.begin(), queue.end(), id) == queue.end();
  }
  void begin(std::uint32_t id, Submission answer) {
    ++open[id];
    opened.push_back(answer);
  }
  void end(std::uint32_t id, End how) {
    --open[id];
    ended.emplace_back(id, how);
  }

  void link(std::uint32_t id) {
    begin(id, Submission::queued);
    attempts[id] = 0;
    queue.push_back(id);
  }
  std::uint32_t take() {
    const auto id = queue.front();
    queue.erase(queue.begin());
    running.insert(id);
    running_max = std::max(running_max, running.size());
    ++attempts[id];
    return id;
  }
  void finish(std::uint32_t id, Kind kind, bool requested) {
    running.erase(id);
    outcomes.push_back(kind);
    if (requested && owed.erase(id) == 0) {
      begin(id, Submission::rerun_pending);
    }
    const bool goes_on = kind == Kind::more_work && !requested && !closed;
    const bool cut_short = kind == Kind::more_work && !requested && closed;
    if (cut_short) {
      end(id, End::discarded);
    } else if (kind == Kind::retry || kind == Kind::failed) {
      end(id, End::failed);
    } else if (kind == Kind::stopped) {
      end(id, End::cancelled);
    } else if (!goes_on) {
      end(id, End::done);
    }
    unfinished.erase(id);
    if (closed && kind != Kind::done && kind != Kind::nothing_to_do) {
      unfinished.insert(id);
    }
    if (requested) {
      attempts[id] = 0;
    }
    if (requested || goes_on) {
      queue.push_back(id);
    }
  }
  void record_error(const std::string& text) { errors.push_back(text.empty() ? "no text" : text); }
  void close() { closed = true; }
  void close_stripe(std::uint32_t id, std::uint64_t requests) {
    coalesced += requests == 0 ? 0 : requests - 1;
    if (requests != 0 && running.count(id) != 0) {
      begin(id, Submission::rerun_pending);
      owed.insert(id);
    } else if (requests != 0 && idle(id)) {
      link(id);
    }
  }
  void apply(ShutdownMode stronger) {
    mode = std::max(mode, stronger);
    if (mode != ShutdownMode::drain) {
      discard_queue();
      for (const auto id : owed) {
        end(id, End::discarded);
        discarded.insert(id);
      }
      owed.clear();
    }
  }
  void discard_queue() {
    for (const auto id : queue) {
      end(id, End::discarded);
      discarded.insert(id);
    }
    queue.clear();
  }
};

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_REFERENCE_H_
