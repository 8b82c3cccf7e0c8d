// A duration as people read it.
//
// Thread safety: none is needed.

#ifndef KSTONE_DETAIL_DURATION_TEXT_H_
#define KSTONE_DETAIL_DURATION_TEXT_H_

#include "kstone/cxx20.h"

#include <array>
#include <chrono>

#include "kstone/export.h"

namespace kstone::detail {

// Needs no memory.
class DurationText {
 public:
  const char* c_str() const noexcept { return text_.data(); }

 private:
  friend KSTONE_EXPORT DurationText text_of(std::chrono::nanoseconds duration) noexcept;

  std::array<char, 32> text_{};
};

// With three digits that count: "12.3 ms". From two minutes on in minutes, from two hours in hours.
KSTONE_EXPORT DurationText text_of(std::chrono::nanoseconds duration) noexcept;

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_DURATION_TEXT_H_
