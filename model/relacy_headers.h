// The one place that includes Relacy. Our own and the standard headers come first, and its macros
// go again after it: it redefines `new`, `delete`, `malloc`, `free`, `assert` and the memory
// orders.

#ifndef KSTONE_MODEL_RELACY_HEADERS_H_
#define KSTONE_MODEL_RELACY_HEADERS_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <sstream>
#include <stack>
#include <string>
#include <utility>
#include <vector>

#include "explorer.h"
#include "runtime.h"

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdollar-in-identifier-extension"
#endif
#include <relacy/relacy.hpp>

#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef VAR
#undef VAR_T
#undef TLS_T
#undef $
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

namespace kstone::model {

// For what is written on Relacy's own types, as another opinion.
inline rl::memory_order native_order(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RELACY_HEADERS_H_
