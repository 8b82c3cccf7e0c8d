// The requests that stand in the word of a stripe, together.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_WORDS_REQUESTS_H_
#define KSTONE_DETAIL_WORDS_REQUESTS_H_

#include "kstone/cxx20.h"

#include <cstdint>

#include "kstone/request_options.h"

namespace kstone::detail {

struct Requests {
  std::uint64_t count = 0;
  Priority priority = Priority::normal;  // the highest, if there are any
  std::uint8_t reasons = 0;              // of all
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_WORDS_REQUESTS_H_
