#include "search/search.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace kstone::model {

using runtime::ObjectId;

namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int lowest(ThreadSet set) { return std::countr_zero(set); }

int pick(ThreadSet candidates, int current) {
  return current >= 0 && (candidates & only(current)) != 0 ? current : lowest(candidates);
}

}  // namespace

Search::Search(const Limits& limits, int threads)
    : limits_(limits),
      threads_(threads),
      independence_(limits.planted),
      source_sets_(independence_),
      shards_(limits),
      walks_(limits, threads),
      started_(seconds_now()) {}

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
  steps_ = 0;
  trail_.clear();
  replay_position_ = limits_.replay == "-" ? 1 : 0;  // a counter-example without a choice
  taken_ = Accesses{};
  source_sets_.begin_execution();
  shards_.begin_execution();
  walks_.begin_execution();
}

// --- choices ---

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
         independence_.independent(parent.explored[thread], taken_))) {
      inherited |= only(thread);
    }
  }
  return inherited;
}

ThreadSet Search::within_bound(ThreadSet enabled, const ThreadView* views, int current) const {
  if (limits_.mode != Mode::bounded || current < 0 || (enabled & only(current)) == 0 ||
      views[current].waiting || preemptions_ < limits_.preemption_bound) {
    return enabled;
  }
  return only(current);
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

int Search::replayed(ThreadSet enabled, int current) {
  if (std::popcount(enabled) <= 1 || replay_position_ >= limits_.replay.size()) {
    return pick(enabled, current);
  }
  const int chosen = limits_.replay[replay_position_++] - '0';
  if (chosen < 0 || chosen >= threads_ || (enabled & only(chosen)) == 0) {
    diverged_ = true;
    return -1;
  }
  return chosen;
}

// To the end of an execution that is not explored: each in its turn, so that a loop that waits for
// another thread ends.
int Search::round_robin(ThreadSet enabled) {
  thread_node_ = -1;
  int chosen = -1;
  for (int i = 1; i <= threads_ && chosen < 0; ++i) {
    const int candidate = (std::max(last_thread_, 0) + i) % threads_;
    chosen = (enabled & only(candidate)) != 0 ? candidate : -1;
  }
  return chosen;
}

// As in the execution before.
int Search::repeated(ThreadSet enabled) {
  const Node& node = stack_[depth_];
  if (node.is_data || node.enabled != enabled) {
    diverged_ = true;
    return -1;
  }
  shards_.passes(node.branches);
  thread_node_ = static_cast<int>(depth_++);
  return node.chosen;
}

int Search::at_new_node(ThreadSet enabled, ThreadSet left, const ThreadView* views, int current) {
  Node node;
  node.enabled = enabled & ~left;
  node.allowed = within_bound(enabled, views, current) & ~left;
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
    return round_robin(enabled);
  }
  if (!shards_.enters(node.branches, stack_.size())) {
    skipping_ = true;
    return round_robin(enabled);
  }
  node.chosen = pick(candidates, current);
  node.backtrack = limits_.mode == Mode::source_sets && !shards_.is_above_roots()
                       ? only(node.chosen)
                       : node.allowed;
  shards_.passes(node.branches);
  thread_node_ = static_cast<int>(depth_++);
  stack_.push_back(node);
  return node.chosen;
}

int Search::choose_thread(ThreadSet enabled, ThreadSet left, const ThreadView* views) {
  // Of the visible steps: the first step of a thread preempts nobody.
  const int current = last_thread_;
  int chosen = -1;
  if (!limits_.replay.empty()) {
    chosen = replayed(enabled, current);
  } else if (limits_.mode == Mode::random) {
    chosen = walks_.by_priority(enabled, last_thread_, steps_);
  } else if (limits_.mode == Mode::estimate) {
    chosen = walks_.uniform(enabled);
  } else if (draining_ || skipping_) {
    chosen = round_robin(enabled);
  } else if (depth_ < stack_.size()) {
    chosen = repeated(enabled & ~left);
  } else {
    chosen = at_new_node(enabled, left, views, current);
  }
  if (chosen >= 0) {
    note_choice(enabled, views, current, chosen);
  }
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
    chosen = walks_.data(count);
  } else if (draining_ || skipping_) {
    chosen = 0;
  } else if (depth_ < stack_.size()) {
    const Node& node = stack_[depth_];
    if (!node.is_data || node.count != count) {
      diverged_ = true;
    } else {
      chosen = node.index;
      shards_.passes(true);
      ++depth_;
    }
  } else if (!shards_.enters(true, stack_.size())) {
    skipping_ = true;
  } else {
    Node node;
    node.is_data = true;
    node.branches = true;
    node.count = count;
    shards_.passes(true);
    stack_.push_back(node);
    ++depth_;
  }
  trail_.push_back(static_cast<char>('a' + chosen));
  return chosen;
}

std::uint32_t Search::choose_write(runtime::ObjectId object, int thread, std::uint32_t count) {
  const bool asks = !tracks_order() || (limits_.planted != PlantedFault::read_newest_only &&
                                        source_sets_.newest_write_is_before(object, thread));
  if (asks) {
    return choose_data(count);
  }
  if (count > 1) {
    trail_.push_back('a');
  }
  return 0;
}

// --- races ---

bool Search::tracks_order() const {
  return reduced() && !draining_ && !skipping_ && limits_.replay.empty();
}

bool Search::tracks_races() const { return limits_.mode == Mode::source_sets && tracks_order(); }

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
  if (!tracks_order()) {
    return;
  }
  const auto races = source_sets_.step(thread, accesses, thread_node_);
  if (!tracks_races() || thread_node_ < fresh_from_) {
    return;  // the same step as in the execution before: its races are known
  }
  for (const SourceSets::Race race : races) {
    if (limits_.planted != PlantedFault::forget_race || ++races_ % 2 == 1) {
      reverse(race, thread);
    }
  }
}

void Search::cannot_step(int thread, const Accesses& accesses) {
  if (tracks_races()) {
    for (const SourceSets::Race race : source_sets_.step_not_made(thread, accesses)) {
      reverse(race, thread);
    }
  }
}

// Asks for a thread, at the node before the race's earlier step, that can begin the other order.
void Search::reverse(SourceSets::Race race, int later_thread) {
  const SourceSets::Reversal wanted = source_sets_.reversal(race);
  Node& node = stack_[static_cast<std::size_t>(wanted.node)];
  if ((wanted.initials & (node.backtrack | node.sleep)) != 0) {
    return;
  }
  const ThreadSet possible = wanted.initials & node.enabled;
  if (possible != 0) {
    node.backtrack |= only((possible & only(later_thread)) != 0 ? later_thread : lowest(possible));
  } else if (wanted.others) {
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

bool Search::end_execution() {
  const bool mine = !skipping_ && shards_.counts();
  counted_ = mine && !draining_;
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
  walks_.end_execution(steps_);
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
    shards_.leaves(stack_.size());
  }
  return false;
}

}  // namespace kstone::model
