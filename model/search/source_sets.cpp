#include "search/source_sets.h"

#include <algorithm>

namespace kstone::model {

void SourceSets::begin_execution() {
  for (int i = 0; i < max_threads; ++i) {
    clocks_[i] = turns_[i] = Clock{};
    sequence_[i] = 0;
  }
  events_.clear();
  accesses_.clear();
  objects_.clear();
}

// The steps of other threads that conflict with `accesses`, and that nothing orders before `clock`.
int SourceSets::unordered(int thread, const Accesses& accesses, const Clock& clock, bool hand_overs,
                          int (&earlier)[max_races]) {
  int found = 0;
  for (int i = 0; i < accesses.count; ++i) {
    const Accesses::Entry& entry = accesses.entries[i];
    for (int at = record(entry.object).last_access; at >= 0;
         at = accesses_[static_cast<std::size_t>(at)].previous) {
      const AccessRecord& other = accesses_[static_cast<std::size_t>(at)];
      const Event& there = events_[static_cast<std::size_t>(other.event)];
      const bool hand_over = entry.kind == ObjectKind::semaphore && entry.access != other.access;
      if (hand_over == hand_overs && there.thread != thread &&
          clock.of[there.thread] < there.sequence &&
          independence_.conflict(entry, other.access, other.modifies)) {
        if (found == max_races) {
          static_assert(max_races == 512);
          exceeds_limit(
              "a step conflicts with more than 512 others: the scenario is too long for a "
              "reduction "
              "(--bound has no such limit)");
        }
        earlier[found++] = other.event;
      }
    }
  }
  return found;
}

bool SourceSets::newest_write_is_before(runtime::ObjectId object, int thread) {
  for (int at = record(object).last_access; at >= 0;
       at = accesses_[static_cast<std::size_t>(at)].previous) {
    const AccessRecord& access = accesses_[static_cast<std::size_t>(at)];
    if (access.access == runtime::Access::write) {
      const Event& write = events_[static_cast<std::size_t>(access.event)];
      return clocks_[thread].of[write.thread] >= write.sequence;
    }
  }
  return true;
}

// The steps that conflict with `accesses` and that nothing orders before `clock`; joins their
// clocks to it. Two who take a token of a semaphore compete for it, also where the token of the
// later one was posted in between, after the earlier one had gone on: without that post, the order
// could still be the other. (With a mutex it is the same, but there unlocking is no step.) So
// takers are looked at before posts order them.
void SourceSets::find_races(int thread, const Accesses& accesses, Clock& clock) {
  race_count_ = 0;
  for (const bool hand_overs : {false, true}) {
    int earlier[max_races];
    const int found = unordered(thread, accesses, clock, hand_overs, earlier);
    // Latest first: what an earlier pair is already ordered by is then known.
    std::sort(earlier, earlier + found, [](int a, int b) { return a > b; });
    for (int i = 0; i < found; ++i) {
      const Event& there = events_[static_cast<std::size_t>(earlier[i])];
      if (clock.of[there.thread] < there.sequence) {
        if (race_count_ == max_races) {
          exceeds_limit(
              "a step conflicts with more than 512 others, posts among them: the scenario is too "
              "long for source sets");
        }
        races_[race_count_++] = earlier[i];
        clock.join(there.clock);
      }
    }
  }
  later_thread_ = thread;
}

std::span<const SourceSets::Race> SourceSets::step(int thread, const Accesses& accesses, int node) {
  Clock& clock = clocks_[thread];
  find_races(thread, accesses, clock);
  clock.of[thread] = ++sequence_[thread];
  later_clock_ = clock;
  const int event = static_cast<int>(events_.size());
  events_.push_back(Event{thread, sequence_[thread], node, clock});
  for (int i = 0; i < accesses.count; ++i) {
    ObjectRecord& object = record(accesses.entries[i].object);
    accesses_.push_back(AccessRecord{event, object.last_access, accesses.entries[i].access,
                                     accesses.entries[i].kind, accesses.entries[i].modifies});
    object.last_access = static_cast<int>(accesses_.size()) - 1;
  }
  return {races_, static_cast<std::size_t>(race_count_)};
}

std::span<const SourceSets::Race> SourceSets::step_not_made(int thread, const Accesses& accesses) {
  Clock clock = clocks_[thread];
  find_races(thread, accesses, clock);
  later_clock_ = clock;
  return {races_, static_cast<std::size_t>(race_count_)};
}

// Of the steps between the two, those that do not come after the earlier one, and then the later
// one, could also run first: a thread that can begin them must be explored there.
SourceSets::Reversal SourceSets::reversal(Race race) {
  const Event& first = events_[static_cast<std::size_t>(race)];
  ThreadSet seen = 0;
  ThreadSet initials = 0;
  between_.clear();
  const int last = static_cast<int>(events_.size());
  for (int k = race + 1; k <= last; ++k) {
    const bool is_later = k == last;
    if (!is_later &&
        events_[static_cast<std::size_t>(k)].clock.of[first.thread] >= first.sequence) {
      continue;
    }
    const int thread = is_later ? later_thread_ : events_[static_cast<std::size_t>(k)].thread;
    const Clock& clock = is_later ? later_clock_ : events_[static_cast<std::size_t>(k)].clock;
    if ((seen & only(thread)) == 0) {
      seen |= only(thread);
      bool preceded = false;
      for (const int j : between_) {
        const Event& before = events_[static_cast<std::size_t>(j)];
        preceded = preceded || clock.of[before.thread] >= before.sequence;
      }
      if (!preceded) {
        initials |= only(thread);
      }
    }
    if (!is_later) {
      between_.push_back(k);
    }
  }
  return Reversal{first.node, initials, !between_.empty()};
}

}  // namespace kstone::model
