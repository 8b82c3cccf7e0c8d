// Ranks with a Zipfian distribution, which the standard library does not have: rank 0 is drawn most
// often, rank r about (r + 1)^-skew as often. Gray et al., "Quickly generating billion-record
// synthetic databases", 1994.
//
// Thread safety: none.

#ifndef KSTONE_COMPACT_ZIPF_H_
#define KSTONE_COMPACT_ZIPF_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace kstone::compact {

class ZipfRanks {
 public:
  // *Requires* count > 0 and 0 < skew < 1.
  ZipfRanks(std::size_t count, double skew) : count_(count), skew_(skew) {
    for (std::size_t rank = 1; rank <= count; ++rank) {
      zeta_ += std::pow(1.0 / static_cast<double>(rank), skew);
    }
    const double zeta_of_two = 1.0 + std::pow(0.5, skew);
    alpha_ = 1.0 / (1.0 - skew);
    eta_ = (1.0 - std::pow(2.0 / static_cast<double>(count), 1.0 - skew)) /
           (1.0 - zeta_of_two / zeta_);
  }

  template <class Random>
  std::size_t operator()(Random& random) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random);
    const double uz = u * zeta_;
    if (uz < 1.0) {
      return 0;
    }
    if (uz < 1.0 + std::pow(0.5, skew_)) {
      return std::min<std::size_t>(1, count_ - 1);
    }
    const double rank = static_cast<double>(count_) * std::pow(eta_ * u - eta_ + 1.0, alpha_);
    return std::min(static_cast<std::size_t>(rank), count_ - 1);
  }

 private:
  std::size_t count_;
  double skew_;
  double zeta_ = 0;
  double alpha_ = 0;
  double eta_ = 0;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_ZIPF_H_
