#include "search.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

namespace kstone::model {

using runtime::Access;
using runtime::ObjectId;

namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int lowest(ThreadSet set) { return std::countr_zero(set); }

}  // namespace

void Accesses::add(ObjectId object, Access access, ObjectKind kind, bool modifies) {
  for (int i = 0; i < count; ++i) {
    if (entries[i].object == object) {
      if (entries[i].access != access) {
        entries[i].access = Access::write;
      }
      entries[i].modifies = entries[i].modifies || modifies;
      return;
    }
  }
  if (count == capacity) {
    static_assert(capacity == 6);
    exceeds_limit("a step touches more than 6 objects: with_next_step() was called for too many");
  }
  entries[count++] = Entry{object, access, kind, modifies};
}

bool Accesses::covers(ObjectId object, Access access) const {
  for (int i = 0; i < count; ++i) {
    if (entries[i].object == object) {
      return entries[i].access == Access::write || entries[i].access == access;
    }
  }
  return false;
}

void Search::Clock::join(const Clock& other) {
  for (int i = 0; i < max_threads; ++i) {
    of[i] = std::max(of[i], other.of[i]);
  }
}

Search::Search(const Limits& limits, int threads)
    : limits_(limits), threads_(threads), started_(seconds_now()) {
  random_state_ = limits.seed * 0x9e3779b97f4a7c15ULL + 1;
}

std::uint64_t Search::next_random() {  // splitmix64
  std::uint64_t z = (random_state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

void Search::begin_execution() {
  depth_ = 0;
  fresh_from_ = static_cast<int>(stack_.size()) - 1;
  while (fresh_from_ > 0 && stack_[static_cast<std::size_t>(fresh_from_)].is_data) {
    --fresh_from_;
  }
  thread_node_ = -1;
  draining_ = false;
  skipping_ = false;
  last_thread_ = -1;
  preemptions_ = 0;
  branches_above_ = 0;
  steps_ = 0;
  trail_.clear();
  weight_ = 1;
  replay_position_ = limits_.replay == "-" ? 1 : 0;  // a counter-example without a choice
  taken_ = Accesses{};
  for (int i = 0; i < max_threads; ++i) {
    thread_clocks_[i] = Clock{};
    sequence_[i] = 0;
  }
  events_.clear();
  accesses_.clear();
  objects_.clear();
  if (limits_.mode == Mode::random) {
    for (int i = 0; i < threads_; ++i) {
      priority_[i] = 1000 + i;
    }
    for (int i = threads_ - 1; i > 0; --i) {
      std::swap(priority_[i], priority_[next_random() % static_cast<std::uint64_t>(i + 1)]);
    }
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(limits_.priority_changes, 16); ++i) {
      change_at_[i] = next_random() % longest_;
    }
  }
}

// --- independence ---

bool Search::conflict(Access a, ObjectKind kind, bool a_modifies, Access b, bool b_modifies) const {
  switch (limits_.planted) {
    case PlantedFault::reads_conflict_with_nothing:
      if (kind == ObjectKind::atomic && (a == Access::read || b == Access::read)) {
        return false;
      }
      break;
    case PlantedFault::ignore_rmw_dependency:
      if (kind == ObjectKind::atomic && a_modifies && b_modifies) {
        return false;
      }
      break;
    case PlantedFault::ignore_lock_dependency:
      if (kind == ObjectKind::mutex) {
        return false;
      }
      break;
    case PlantedFault::ignore_wait_dependency:
      if (kind == ObjectKind::condition_variable) {
        return false;
      }
      break;
    case PlantedFault::ignore_semaphore_dependency:
      if (kind == ObjectKind::semaphore) {
        return false;
      }
      break;
    case PlantedFault::ignore_budget_dependency:
      if (kind == ObjectKind::limit) {
        return false;
      }
      break;
    case PlantedFault::ignore_clock_dependency:
      if (kind == ObjectKind::clock) {
        return false;
      }
      break;
    case PlantedFault::ignore_ghost_dependency:
      if (kind == ObjectKind::ghost) {
        return false;
      }
      break;
    default:
      break;
  }
  return a == Access::write || a != b;
}

bool Search::independent(const Accesses& a, const Accesses& b) const {
  for (int i = 0; i < a.count; ++i) {
    for (int j = 0; j < b.count; ++j) {
      if (a.entries[i].object == b.entries[j].object &&
          conflict(a.entries[i].access, a.entries[i].kind, a.entries[i].modifies,
                   b.entries[j].access, b.entries[j].modifies)) {
        return false;
      }
    }
  }
  return true;
}

// What a sleeper would touch is what it did touch when its step was explored: steps independent of
// it do not change that. (What it announces now may be more, and, after a notification, something
// else.)
ThreadSet Search::inherited_sleep() const {
  if (!reduced() || thread_node_ < 0) {
    return 0;
  }
  const Node& parent = stack_[static_cast<std::size_t>(thread_node_)];
  ThreadSet asleep = parent.sleep | parent.done;
  if (limits_.planted != PlantedFault::sleep_includes_current) {
    asleep &= ~only(parent.chosen);
  } else {
    asleep |= parent.done != 0 ? only(parent.chosen) : 0;
  }
  ThreadSet inherited = 0;
  for (int thread = 0; thread < threads_; ++thread) {
    if ((asleep & only(thread)) != 0 &&
        (limits_.planted == PlantedFault::sleep_inherits_everything || thread == parent.chosen ||
         independent(parent.explored[thread], taken_))) {
      inherited |= only(thread);
    }
  }
  return inherited;
}

// --- choices ---

ThreadSet Search::within_bound(ThreadSet enabled, const ThreadView* views, int current) const {
  if (limits_.mode != Mode::bounded || current < 0 || (enabled & only(current)) == 0 ||
      views[current].waiting || preemptions_ < limits_.preemption_bound) {
    return enabled;
  }
  return only(current);
}

int Search::pick(ThreadSet candidates, int current) const {
  return current >= 0 && (candidates & only(current)) != 0 ? current : lowest(candidates);
}

int Search::choose_random(ThreadSet enabled) {
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(limits_.priority_changes, 16); ++i) {
    if (change_at_[i] == steps_ && last_thread_ >= 0) {
      priority_[last_thread_] = static_cast<int>(i);
    }
  }
  int best = lowest(enabled);
  for (int thread = 0; thread < threads_; ++thread) {
    if ((enabled & only(thread)) != 0 && priority_[thread] > priority_[best]) {
      best = thread;
    }
  }
  return best;
}

void Search::note_choice(ThreadSet enabled, const ThreadView* views, int current, int chosen) {
  if (std::popcount(enabled) > 1) {
    trail_.push_back(static_cast<char>('0' + chosen));
  }
  if (current >= 0 && current != chosen && (enabled & only(current)) != 0 &&
      !views[current].waiting) {
    ++preemptions_;
  }
  last_thread_ = chosen;
  ++steps_;
}

// Whether the node about to be made belongs to this process. Above the roots every process makes
// the same nodes.
bool Search::enters_shard(bool branches) {
  if (limits_.shard.count <= 1 || owned_root_ >= 0 || !branches ||
      branches_above_ < limits_.shard_depth) {
    return true;
  }
  if (shard_roots_++ % limits_.shard.count != limits_.shard.index) {
    return false;
  }
  owned_root_ = static_cast<std::ptrdiff_t>(stack_.size());
  return true;
}

int Search::choose_thread(ThreadSet enabled, const ThreadView* views) {
  // Of the visible steps: the first step of a thread preempts nobody.
  const int current = last_thread_;
  int chosen = -1;
  if (!limits_.replay.empty()) {
    chosen = pick(enabled, current);
    if (std::popcount(enabled) > 1 && replay_position_ < limits_.replay.size()) {
      chosen = limits_.replay[replay_position_++] - '0';
      if (chosen < 0 || chosen >= threads_ || (enabled & only(chosen)) == 0) {
        diverged_ = true;
        return -1;
      }
    }
  } else if (limits_.mode == Mode::random) {
    chosen = choose_random(enabled);
  } else if (limits_.mode == Mode::estimate) {
    ThreadSet left = enabled;
    for (auto skip = next_random() % static_cast<std::uint64_t>(std::popcount(enabled)); skip != 0;
         --skip) {
      left &= left - 1;
    }
    chosen = lowest(left);
    weight_ *= std::popcount(enabled);
  } else if (draining_ || skipping_) {
    thread_node_ = -1;
    // In turn, so that a loop that waits for another ends.
    for (int i = 1; i <= threads_ && chosen < 0; ++i) {
      const int candidate = (std::max(last_thread_, 0) + i) % threads_;
      chosen = (enabled & only(candidate)) != 0 ? candidate : -1;
    }
  } else if (depth_ < stack_.size()) {
    const Node& node = stack_[depth_];
    if (node.is_data || node.enabled != enabled) {
      diverged_ = true;
      return -1;
    }
    branches_above_ += node.branches ? 1 : 0;
    thread_node_ = static_cast<int>(depth_++);
    chosen = node.chosen;
  } else {
    Node node;
    node.enabled = enabled;
    node.allowed = within_bound(enabled, views, current);
    node.sleep = inherited_sleep();
    for (int thread = 0; node.sleep >> thread != 0; ++thread) {
      if ((node.sleep & only(thread)) != 0) {
        node.explored[thread] = stack_[static_cast<std::size_t>(thread_node_)].explored[thread];
      }
    }
    const ThreadSet candidates = node.allowed & ~node.sleep;
    node.branches = std::popcount(candidates) > 1;
    if (candidates == 0) {
      draining_ = true;
      return choose_thread(enabled, views);
    }
    if (!enters_shard(node.branches)) {
      skipping_ = true;
      return choose_thread(enabled, views);
    }
    node.chosen = chosen = pick(candidates, current);
    const bool above_shards = limits_.shard.count > 1 && branches_above_ < limits_.shard_depth;
    node.backtrack =
        limits_.mode == Mode::source_sets && !above_shards ? only(chosen) : node.allowed;
    branches_above_ += node.branches ? 1 : 0;
    thread_node_ = static_cast<int>(depth_++);
    stack_.push_back(node);
  }
  note_choice(enabled, views, current, chosen);
  return chosen;
}

std::uint32_t Search::choose_data(std::uint32_t count) {
  if (count <= 1) {
    return 0;
  }
  std::uint32_t chosen = 0;
  if (!limits_.replay.empty()) {
    if (replay_position_ < limits_.replay.size()) {
      chosen = static_cast<std::uint32_t>(limits_.replay[replay_position_++] - 'a');
      if (chosen >= count) {
        diverged_ = true;
        chosen = 0;
      }
    }
  } else if (limits_.mode == Mode::random || limits_.mode == Mode::estimate) {
    chosen = static_cast<std::uint32_t>(next_random() % count);
    weight_ *= count;
  } else if (draining_ || skipping_) {
    chosen = 0;
  } else if (depth_ < stack_.size()) {
    const Node& node = stack_[depth_];
    if (!node.is_data || node.count != count) {
      diverged_ = true;
    } else {
      chosen = node.index;
      branches_above_ += 1;
      ++depth_;
    }
  } else if (!enters_shard(true)) {
    skipping_ = true;
  } else {
    Node node;
    node.is_data = true;
    node.branches = true;
    node.count = count;
    branches_above_ += 1;
    stack_.push_back(node);
    ++depth_;
  }
  trail_.push_back(static_cast<char>('a' + chosen));
  return chosen;
}

// --- source sets ---

Search::ObjectRecord& Search::record(ObjectId object) {
  if (objects_.size() <= object) {
    objects_.resize(object + 1);
  }
  return objects_[object];
}

void Search::order_after(int later, int earlier) {
  thread_clocks_[later].join(thread_clocks_[earlier]);
}

void Search::release(ObjectId object, int thread) {
  record(object).released.join(thread_clocks_[thread]);
}

void Search::acquire(ObjectId object, int thread) {
  thread_clocks_[thread].join(record(object).released);
}

bool Search::tracks_races() const {
  return limits_.mode == Mode::source_sets && !draining_ && !skipping_ && limits_.replay.empty();
}

// The steps that conflict with `accesses` and that nothing orders before `clock`; joins their
// clocks to it. Two who take a token of a semaphore compete for it, also where the token of the
// later one was posted in between, after the earlier one had gone on: without that post, the order
// could still be the other. (With a mutex it is the same, but there unlocking is no step.) So
// takers are looked at before posts order them.
int Search::find_races(int thread, const Accesses& accesses, Clock& clock,
                       int (&races)[max_races]) {
  int count = 0;
  for (const bool hand_overs : {false, true}) {
    int earlier[max_races];
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
            conflict(entry.access, entry.kind, entry.modifies, other.access, other.modifies)) {
          if (found == max_races) {
            static_assert(max_races == 512);
            exceeds_limit(
                "a step conflicts with more than 512 others: the scenario is too long for source "
                "sets "
                "(--mode sleep_sets and --bound have no such limit)");
          }
          earlier[found++] = other.event;
        }
      }
    }
    // Latest first: what an earlier pair is already ordered by is then known.
    std::sort(earlier, earlier + found, [](int a, int b) { return a > b; });
    for (int i = 0; i < found; ++i) {
      const Event& there = events_[static_cast<std::size_t>(earlier[i])];
      if (clock.of[there.thread] < there.sequence) {
        if (count == max_races) {
          exceeds_limit(
              "a step conflicts with more than 512 others, posts among them: the scenario is too "
              "long for source sets");
        }
        races[count++] = earlier[i];
        clock.join(there.clock);
      }
    }
  }
  return count;
}

void Search::step_done(int thread, const Accesses& accesses) {
  taken_ = accesses;
  if (reduced() && thread_node_ >= 0) {
    // Also where the step's own choice was the root of another process's shard: the first choice
    // touches the most.
    Accesses& explored = stack_[static_cast<std::size_t>(thread_node_)].explored[thread];
    for (int i = 0; i < accesses.count; ++i) {  // of all its data choices together
      const Accesses::Entry& entry = accesses.entries[i];
      explored.add(entry.object, entry.access, entry.kind, entry.modifies);
    }
  }
  if (!tracks_races()) {
    return;
  }
  int races[max_races];
  Clock& clock = thread_clocks_[thread];
  const int race_count = find_races(thread, accesses, clock, races);
  clock.of[thread] = ++sequence_[thread];
  const int event = static_cast<int>(events_.size());
  events_.push_back(Event{thread, sequence_[thread], thread_node_, clock});
  for (int i = 0; i < accesses.count; ++i) {
    ObjectRecord& object = record(accesses.entries[i].object);
    accesses_.push_back(AccessRecord{event, object.last_access, accesses.entries[i].access,
                                     accesses.entries[i].kind, accesses.entries[i].modifies});
    object.last_access = static_cast<int>(accesses_.size()) - 1;
  }
  if (thread_node_ < fresh_from_) {
    return;  // the same step as in the execution before: its races are known
  }
  for (int i = 0; i < race_count; ++i) {
    if (limits_.planted != PlantedFault::forget_race || ++races_ % 2 == 1) {
      race(races[i], thread, clock);
    }
  }
}

void Search::cannot_step(int thread, const Accesses& accesses) {
  if (tracks_races()) {
    int races[max_races];
    Clock clock = thread_clocks_[thread];
    const int race_count = find_races(thread, accesses, clock, races);
    for (int i = 0; i < race_count; ++i) {
      race(races[i], thread, clock);
    }
  }
}

// The step `earlier` conflicts with one of `later_thread` that comes now, and nothing orders them.
// Of the steps between, those that do not come after `earlier`, and then the later one, could also
// run first: a thread that can begin them must be explored there.
void Search::race(int earlier, int later_thread, const Clock& later_clock) {
  const Event& first = events_[static_cast<std::size_t>(earlier)];
  ThreadSet seen = 0;
  ThreadSet initials = 0;
  between_.clear();
  const int last = static_cast<int>(events_.size());
  for (int k = earlier + 1; k <= last; ++k) {
    const bool is_later = k == last;
    if (!is_later &&
        events_[static_cast<std::size_t>(k)].clock.of[first.thread] >= first.sequence) {
      continue;
    }
    const int thread = is_later ? later_thread : events_[static_cast<std::size_t>(k)].thread;
    const Clock& clock = is_later ? later_clock : events_[static_cast<std::size_t>(k)].clock;
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
  add_backtrack(stack_[static_cast<std::size_t>(first.node)], initials, later_thread,
                !between_.empty());
}

void Search::add_backtrack(Node& node, ThreadSet initials, int preferred, bool others) {
  if ((initials & (node.backtrack | node.sleep)) != 0) {
    return;
  }
  const ThreadSet possible = initials & node.enabled;
  if (possible != 0) {
    node.backtrack |= only((possible & only(preferred)) != 0 ? preferred : lowest(possible));
  } else if (others) {
    node.backtrack |= node.enabled;  // cautious: no beginning of the reversed order is enabled here
  }
}

void Search::changes_next_step(int thread, int other) {
  if (limits_.planted != PlantedFault::forget_wake_up_race) {
    offer(other);
  }
  order_after(other, thread);
}

void Search::offer(int other) {
  if (tracks_races()) {
    Node& node = stack_[static_cast<std::size_t>(thread_node_)];
    if ((node.enabled & only(other)) != 0) {
      node.backtrack |= only(other);
    }
  }
}

// --- from one execution to the next ---

bool Search::counted() const { return counted_; }

bool Search::end_execution(bool complete) {
  longest_ = std::max(longest_, steps_);
  bool mine = !skipping_;
  if (mine && limits_.shard.count > 1 && owned_root_ < 0) {
    mine = shard_roots_++ % limits_.shard.count == limits_.shard.index;  // it ended above the roots
  }
  counted_ = mine && !draining_ && complete;
  complete_ += counted_ ? 1 : 0;
  redundant_ += mine && draining_ ? 1 : 0;
  const std::uint64_t total = complete_ + redundant_;
  if (!limits_.replay.empty()) {
    diverged_ = diverged_ || choices_left();
    return false;
  }
  if (depth_ < stack_.size()) {
    diverged_ = true;  // it ended before the choices that it was to repeat
  }
  if (diverged_) {
    return false;
  }
  weights_ += weight_;
  squared_weights_ += weight_ * weight_;
  const bool late =
      limits_.max_seconds > 0 && total % 256 == 0 && seconds_now() - started_ > limits_.max_seconds;
  if (limits_.mode == Mode::random || limits_.mode == Mode::estimate) {
    return !late && total < std::max<std::uint64_t>(limits_.max_executions, 1);
  }
  if (!advance()) {
    return false;
  }
  if (late || (limits_.max_executions != 0 && total >= limits_.max_executions)) {
    out_of_budget_ = true;
    return false;
  }
  return true;
}

double Search::estimate() const {
  return weights_ / static_cast<double>(std::max<std::uint64_t>(complete_, 1));
}

double Search::estimate_error() const {
  const auto walks = static_cast<double>(std::max<std::uint64_t>(complete_, 2));
  const double mean = estimate();
  return std::sqrt(std::max(0.0, squared_weights_ / walks - mean * mean) / (walks - 1));
}

bool Search::advance() {
  while (!stack_.empty()) {
    Node& node = stack_.back();
    if (node.is_data) {
      if (node.index + 1 < node.count &&
          limits_.planted != PlantedFault::sleep_before_data_choices) {
        ++node.index;
        return true;
      }
    } else {
      node.done |= only(node.chosen);
      ThreadSet left = node.allowed & node.backtrack & ~node.done;
      left &= reduced() ? ~node.sleep : ~ThreadSet{0};
      if (left != 0) {
        node.chosen = lowest(left);
        return true;
      }
    }
    stack_.pop_back();
    if (static_cast<std::ptrdiff_t>(stack_.size()) <= owned_root_) {
      owned_root_ = -1;
    }
  }
  return false;
}

}  // namespace kstone::model
