// How long something took, how often.
//
// Thread safety: a plain value.

#ifndef KSTONE_DURATION_HISTOGRAM_H_
#define KSTONE_DURATION_HISTOGRAM_H_

#include "kstone/cxx20.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>

#include "kstone/export.h"

namespace kstone {

// Counts in buckets, four for each doubling: bucket b ends at 2^((b+40)/4) nanoseconds, inclusive,
// which is where the next begins. So a quantile is at most 19 % too large. In nanoseconds these are
// the bounds of an exponential histogram of OpenTelemetry with scale 2, and of a native one of
// Prometheus with schema 2; bucket 0, with all that took 1,024 ns or less, is their zero bucket.
// The last one has also what took longer than its bound, 39 hours. A duration below zero, of a
// clock that went back, counts as zero.
//
// It allocates nothing, and is 1.2 KiB large.
class KSTONE_EXPORT DurationHistogram {
 public:
  static constexpr std::size_t bucket_count = 149;

  void record(std::chrono::nanoseconds duration) noexcept;
  DurationHistogram& operator+=(const DurationHistogram& other) noexcept;

  std::uint64_t count() const noexcept;
  // Of all that was recorded, less what is below a microsecond. (In nanoseconds, a day of 100,000
  // stripes that wait would be more than fits.)
  std::chrono::microseconds sum() const noexcept;
  std::chrono::nanoseconds max() const noexcept { return max_; }  // zero if nothing was
  // At least as long as the share `q` of all that was recorded, from 0 to 1: the bound of a bucket,
  // or `max()`, if that is less. Zero if nothing was recorded. A `q` beyond its range is the next
  // in it, one that is no number is 1.
  std::chrono::nanoseconds quantile(double q) const noexcept;

  // *Requires* a bucket below `bucket_count`, here and below.
  std::uint64_t bucket(std::size_t index) const { return buckets_[index]; }
  static std::chrono::nanoseconds bound(std::size_t index) noexcept;
  static std::size_t bucket_of(std::chrono::nanoseconds duration) noexcept;

  friend bool operator==(const DurationHistogram&, const DurationHistogram&) = default;

 private:
  std::array<std::uint64_t, bucket_count> buckets_{};
  std::chrono::microseconds sum_{0};
  std::chrono::nanoseconds rest_{0};  // of the sum, less than a microsecond
  std::chrono::nanoseconds max_{0};
};

// How many, the median, the 99th percentile and the longest: "12, median 3.2 ms, 99 % 41 ms,
// longest 39.8 ms"; or "none".
KSTONE_EXPORT std::ostream& operator<<(std::ostream& out, const DurationHistogram& histogram);

}  // namespace kstone

#endif  // KSTONE_DURATION_HISTOGRAM_H_
