#include "kstone/rocksdb/leveled_picker.h"

#include <cmath>
#include <utility>

namespace kstone::rocksdb {
namespace {

struct KeyRange {
  std::string smallest;
  std::string largest;
};

KeyRange range_of(const SstFile& file) { return {file.smallest_key, file.largest_key}; }

KeyRange widened(KeyRange range, const SstFile& file, const ::rocksdb::Comparator& order) {
  if (order.Compare(file.smallest_key, range.smallest) < 0) {
    range.smallest = file.smallest_key;
  }
  if (order.Compare(file.largest_key, range.largest) > 0) {
    range.largest = file.largest_key;
  }
  return range;
}

bool overlaps(const SstFile& file, const KeyRange& range, const ::rocksdb::Comparator& order) {
  return order.Compare(file.largest_key, range.smallest) >= 0 &&
         order.Compare(file.smallest_key, range.largest) <= 0;
}

std::uint64_t overlap_bytes(const std::vector<SstFile>& files, const KeyRange& range,
                            const ::rocksdb::Comparator& order) {
  std::uint64_t bytes = 0;
  for (const auto& file : files) {
    bytes += overlaps(file, range, order) ? file.bytes : 0;
  }
  return bytes;
}

void add(CompactionStep& step, const SstFile& file) {
  step.inputs.push_back(file.name);
  step.input_bytes += file.bytes;
}

void add_overlap(CompactionStep& step, const std::vector<SstFile>& files, const KeyRange& range,
                 const ::rocksdb::Comparator& order) {
  for (const auto& file : files) {
    if (overlaps(file, range, order)) {
      add(step, file);
    }
  }
}

CompactionStep step_from_l0(const Levels& levels, const LevelLimits& limits,
                            const ::rocksdb::Comparator& order) {
  const auto& l0 = levels[0];
  CompactionStep step;
  step.output_level = 1;
  add(step, l0.back());
  auto range = range_of(l0.back());
  auto overlap = overlap_bytes(levels[1], range, order);
  for (auto file = l0.rbegin() + 1; file != l0.rend(); ++file) {
    auto wider = widened(range, *file, order);
    const auto wider_overlap = overlap_bytes(levels[1], wider, order);
    const bool fits = step.input_bytes + file->bytes + wider_overlap <= limits.max_step_bytes;
    // What is rewritten of L1 anyway is shared by as many bytes of L0: else each flush would
    // rewrite it for itself alone.
    const bool shares = wider_overlap == overlap && step.input_bytes < overlap;
    if (!fits && !shares) {
      break;
    }
    add(step, *file);
    range = std::move(wider);
    overlap = wider_overlap;
  }
  add_overlap(step, levels[1], range, order);
  return step;
}

CompactionStep step_from(const Levels& levels, std::size_t level,
                         const ::rocksdb::Comparator& order) {
  const auto& below = levels[level + 1];
  const SstFile* best = nullptr;
  double best_ratio = 0;
  for (const auto& file : levels[level]) {
    const double ratio = static_cast<double>(overlap_bytes(below, range_of(file), order)) /
                         static_cast<double>(file.bytes == 0 ? 1 : file.bytes);
    if (best == nullptr || ratio < best_ratio) {
      best = &file;
      best_ratio = ratio;
    }
  }
  CompactionStep step;
  step.output_level = static_cast<int>(level) + 1;
  add(step, *best);
  add_overlap(step, below, range_of(*best), order);
  return step;
}

}  // namespace

double level_score(const Levels& levels, std::size_t level, const LevelLimits& limits) {
  if (level + 1 >= levels.size()) {
    return 0;
  }
  if (level == 0) {
    return static_cast<double>(levels[0].size()) / static_cast<double>(limits.l0_files);
  }
  std::uint64_t bytes = 0;
  for (const auto& file : levels[level]) {
    bytes += file.bytes;
  }
  const double target = static_cast<double>(limits.l1_bytes) *
                        std::pow(limits.multiplier, static_cast<double>(level - 1));
  return static_cast<double>(bytes) / target;
}

std::optional<CompactionStep> pick_step(const Levels& levels, const LevelLimits& limits,
                                        const ::rocksdb::Comparator& order) {
  std::optional<std::size_t> due;
  double due_score = 0;
  for (std::size_t level = 0; level < levels.size(); ++level) {
    const double score = level_score(levels, level, limits);
    if ((level == 0 ? score >= 1 : score > 1) && score > due_score) {
      due = level;
      due_score = score;
    }
  }
  if (!due) {
    return std::nullopt;
  }
  return *due == 0 ? step_from_l0(levels, limits, order) : step_from(levels, *due, order);
}

}  // namespace kstone::rocksdb
