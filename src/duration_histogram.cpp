#include "kstone/duration_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace kstone {
namespace {

constexpr std::size_t per_doubling = 4;
constexpr std::size_t first_bound = 40;  // 2^(40/4) ns

// 2^(63 + k/4), rounded down: of whole numbers the same are above it.
constexpr std::uint64_t quarters[per_doubling] = {std::uint64_t{1} << 63, 10968499650544839023U,
                                                  13043817825332782212U, 15511800964685064948U};

void add(std::chrono::nanoseconds duration, std::chrono::microseconds& sum,
         std::chrono::nanoseconds& rest) {
  rest += duration % std::chrono::microseconds(1);
  sum += std::chrono::duration_cast<std::chrono::microseconds>(duration) +
         std::chrono::duration_cast<std::chrono::microseconds>(rest);
  rest %= std::chrono::microseconds(1);
}

}  // namespace

std::chrono::microseconds DurationHistogram::sum() const noexcept { return sum_; }

std::chrono::nanoseconds DurationHistogram::bound(std::size_t index) noexcept {
  const auto exponent = (index + first_bound) / per_doubling;
  const auto quarter = quarters[(index + first_bound) % per_doubling];
  return std::chrono::nanoseconds(static_cast<std::int64_t>(quarter >> (63 - exponent)));
}

std::size_t DurationHistogram::bucket_of(std::chrono::nanoseconds duration) noexcept {
  if (duration <= bound(0)) {
    return 0;
  }
  const auto value = static_cast<std::uint64_t>(duration.count());
  const auto exponent = static_cast<std::size_t>(std::bit_width(value)) - 1;
  const auto mantissa = value << (63 - exponent);
  // The first bound at or above it.
  const auto above = static_cast<std::size_t>(
      std::count_if(std::begin(quarters), std::end(quarters),
                    [mantissa](std::uint64_t quarter) { return mantissa > quarter; }));
  return std::min(per_doubling * exponent + above - first_bound, bucket_count - 1);
}

void DurationHistogram::record(std::chrono::nanoseconds duration) noexcept {
  duration = std::max(duration, std::chrono::nanoseconds(0));
  ++buckets_[bucket_of(duration)];
  add(duration, sum_, rest_);
  max_ = std::max(max_, duration);
}

DurationHistogram& DurationHistogram::operator+=(const DurationHistogram& other) noexcept {
  for (std::size_t i = 0; i < bucket_count; ++i) {
    buckets_[i] += other.buckets_[i];
  }
  sum_ += other.sum_;
  add(other.rest_, sum_, rest_);
  max_ = std::max(max_, other.max_);
  return *this;
}

std::uint64_t DurationHistogram::count() const noexcept {
  return std::accumulate(buckets_.begin(), buckets_.end(), std::uint64_t{0});
}

std::chrono::nanoseconds DurationHistogram::quantile(double q) const noexcept {
  const auto all = count();
  const double share = q >= 0 ? std::min(q, 1.0) : q < 0 ? 0 : 1;
  // Of so many, at least one: the last of them.
  const auto wanted = std::max(std::ceil(share * static_cast<double>(all)), 1.0);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i + 1 < bucket_count; ++i) {
    seen += buckets_[i];
    if (static_cast<double>(seen) >= wanted) {
      return std::min(bound(i), max_);
    }
  }
  return max_;
}

}  // namespace kstone
