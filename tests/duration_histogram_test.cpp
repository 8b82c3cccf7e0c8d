// How long something took, how often: the bounds of the buckets, and what is made of them.

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <vector>

#include "kstone/detail/duration_text.h"
#include "kstone/duration_histogram.h"

namespace kstone::test {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr auto buckets = DurationHistogram::bucket_count;

TEST(DurationHistogram, has_four_buckets_for_each_doubling) {
  for (std::size_t i = 0; i < buckets; ++i) {
    const auto exact = std::exp2((static_cast<long double>(i) + 40) / 4);
    EXPECT_EQ(DurationHistogram::bound(i).count(), static_cast<std::int64_t>(std::floor(exact)))
        << i;
  }
  EXPECT_EQ(DurationHistogram::bound(0), nanoseconds(1024));
  EXPECT_EQ(DurationHistogram::bound(buckets - 1), nanoseconds(std::int64_t{1} << 47));
}

TEST(DurationHistogram, a_bound_belongs_to_the_bucket_below_it) {
  for (std::size_t i = 0; i < buckets; ++i) {
    const auto bound = DurationHistogram::bound(i);
    EXPECT_EQ(DurationHistogram::bucket_of(bound), i);
    EXPECT_EQ(DurationHistogram::bucket_of(bound + nanoseconds(1)), std::min(i + 1, buckets - 1));
  }
}

TEST(DurationHistogram, takes_any_duration) {
  EXPECT_EQ(DurationHistogram::bucket_of(nanoseconds(0)), 0U);
  EXPECT_EQ(DurationHistogram::bucket_of(nanoseconds::min()), 0U);
  EXPECT_EQ(DurationHistogram::bucket_of(nanoseconds::max()), buckets - 1);
  DurationHistogram histogram;
  histogram.record(nanoseconds(-5));
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.sum(), nanoseconds(0));
  EXPECT_EQ(histogram.max(), nanoseconds(0));
}

TEST(DurationHistogram, a_quantile_is_no_less_than_the_exact_one_and_at_most_a_fifth_more) {
  DurationHistogram histogram;
  for (int i = 1; i <= 1000; ++i) {
    histogram.record(microseconds(i * 7));
  }
  for (const double q : {0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
    const auto exact = microseconds(static_cast<int>(std::ceil(q * 1000)) * 7);
    EXPECT_GE(histogram.quantile(q), exact) << q;
    EXPECT_LE(histogram.quantile(q).count(), static_cast<double>(nanoseconds(exact).count()) * 1.19)
        << q;
  }
  EXPECT_EQ(histogram.quantile(1), microseconds(7000));
  EXPECT_EQ(histogram.quantile(7), histogram.quantile(1));
  EXPECT_EQ(histogram.quantile(std::numeric_limits<double>::quiet_NaN()), histogram.quantile(1));
  EXPECT_EQ(histogram.quantile(0), histogram.quantile(0.0001));
  EXPECT_EQ(histogram.quantile(-3), histogram.quantile(0));
  EXPECT_EQ(DurationHistogram().quantile(0.5), nanoseconds(0));
}

TEST(DurationHistogram, has_a_sum_of_more_than_fits_in_nanoseconds) {
  DurationHistogram histogram;
  for (int i = 0; i < 100; ++i) {
    histogram.record(nanoseconds::max());
    histogram.record(nanoseconds(400));
  }
  auto twice = histogram;
  twice += histogram;
  const auto most = std::chrono::duration_cast<microseconds>(nanoseconds::max());
  EXPECT_EQ(histogram.sum(), 100 * most + microseconds(100 * (807 + 400) / 1000));
  EXPECT_EQ(twice.sum(), 2 * histogram.sum() + microseconds(1));  // of two times 700 ns
}

TEST(DurationHistogram, that_is_beyond_its_last_bound_says_the_longest) {
  DurationHistogram histogram;
  histogram.record(hours(50));
  EXPECT_EQ(histogram.quantile(0.5), hours(50));
  EXPECT_EQ(histogram.bucket(buckets - 1), 1U);
}

TEST(DurationHistogram, two_add_up_to_that_of_both) {
  DurationHistogram some;
  DurationHistogram others;
  DurationHistogram all;
  for (int i = 1; i < 200; ++i) {
    const auto duration = nanoseconds(i * i * i * 100);
    (i % 3 == 0 ? some : others).record(duration);
    all.record(duration);
  }
  EXPECT_NE(some, all);
  some += others;
  EXPECT_EQ(some, all);
}

TEST(DurationHistogram, is_written_as_people_read_it) {
  const auto written = [](const DurationHistogram& histogram) {
    std::ostringstream out;
    out << histogram;
    return out.str();
  };
  DurationHistogram histogram;
  EXPECT_EQ(written(histogram), "none");
  for (int i = 0; i < 99; ++i) {
    histogram.record(milliseconds(1));
  }
  histogram.record(seconds(3));
  EXPECT_EQ(written(histogram), "100, median 1.05 ms, 99 % 1.05 ms, longest 3 s");
}

TEST(DurationText, has_three_digits_and_the_unit_that_fits) {
  const std::vector<std::pair<nanoseconds, const char*>> expected = {
      {nanoseconds(0), "0 ns"},
      {nanoseconds(-20), "-20 ns"},
      {nanoseconds(999), "999 ns"},
      {nanoseconds(1000), "1 us"},
      {nanoseconds(1234), "1.23 us"},
      {nanoseconds(12'345), "12.3 us"},
      {nanoseconds(123'456), "123 us"},
      {nanoseconds(999'499), "999 us"},
      {nanoseconds(999'500), "1 ms"},
      {milliseconds(250), "250 ms"},
      {seconds(1), "1 s"},
      {milliseconds(99'949), "99.9 s"},
      {milliseconds(99'950), "100 s"},
      {seconds(119), "119 s"},
      {seconds(120), "2 min"},
      {seconds(7199), "120 min"},
      {seconds(7200), "2 h"},
      {hours(1000), "1000 h"},
      {nanoseconds::max(), "2562048 h"},
      {nanoseconds::min(), "-2562048 h"}};
  for (const auto& [duration, text] : expected) {
    EXPECT_STREQ(detail::text_of(duration).c_str(), text) << duration.count();
  }
}

}  // namespace
}  // namespace kstone::test
