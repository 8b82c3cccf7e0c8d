#include "search/walks.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kstone::model {

Walks::Walks(const Limits& limits, int threads)
    : has_priorities_(limits.mode == Mode::random),
      threads_(threads),
      changes_(std::min(limits.priority_changes, most_changes)),
      state_(limits.seed * 0x9e3779b97f4a7c15ULL + 1) {}

std::uint64_t Walks::next_random() {  // splitmix64
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

void Walks::begin_execution() {
  weight_ = 1;
  if (!has_priorities_) {
    return;
  }
  for (int i = 0; i < threads_; ++i) {
    priority_[i] = 1000 + i;
  }
  for (int i = threads_ - 1; i > 0; --i) {
    std::swap(priority_[i], priority_[next_random() % static_cast<std::uint64_t>(i + 1)]);
  }
  for (std::uint32_t i = 0; i < changes_; ++i) {
    change_at_[i] = next_random() % longest_;
  }
}

int Walks::by_priority(ThreadSet enabled, int last, std::uint64_t step) {
  for (std::uint32_t i = 0; i < changes_; ++i) {
    if (change_at_[i] == step && last >= 0) {
      priority_[last] = static_cast<int>(i);
    }
  }
  int best = std::countr_zero(enabled);
  for (int thread = 0; thread < threads_; ++thread) {
    if ((enabled & only(thread)) != 0 && priority_[thread] > priority_[best]) {
      best = thread;
    }
  }
  return best;
}

int Walks::uniform(ThreadSet enabled) {
  const int choices = std::popcount(enabled);
  ThreadSet left = enabled;
  for (auto skip = next_random() % static_cast<std::uint64_t>(choices); skip != 0; --skip) {
    left &= left - 1;
  }
  weight_ *= choices;
  return std::countr_zero(left);
}

std::uint32_t Walks::data(std::uint32_t count) {
  weight_ *= count;
  return static_cast<std::uint32_t>(next_random() % count);
}

void Walks::end_execution(std::uint64_t steps) {
  longest_ = std::max(longest_, steps);
  weights_ += weight_;
  squared_weights_ += weight_ * weight_;
}

double Walks::estimate(std::uint64_t walks) const {
  return weights_ / static_cast<double>(std::max<std::uint64_t>(walks, 1));
}

double Walks::estimate_error(std::uint64_t walks) const {
  const auto count = static_cast<double>(std::max<std::uint64_t>(walks, 2));
  const double mean = estimate(walks);
  return std::sqrt(std::max(0.0, squared_weights_ / count - mean * mean) / (count - 1));
}

}  // namespace kstone::model
