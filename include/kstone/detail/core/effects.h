// What a transition of the scheduling core asks of the shell, which does it in one place:
// `Shell::apply`.
//
// Thread safety: a value.

#ifndef KSTONE_DETAIL_CORE_EFFECTS_H_
#define KSTONE_DETAIL_CORE_EFFECTS_H_

#include "kstone/cxx20.h"

#include <cstdint>

namespace kstone::detail {

struct Effects {
  // Which threads have something to look at, beside those that are awake.
  enum class Wake : std::uint8_t { nobody, one_more, everybody };

  Wake wake = Wake::nobody;
  bool tell_waits = false;       // who waits for compactions or episodes looks again
  bool tell_timekeeper = false;  // something is due before what was
  bool closed = false;           // who waits for anything but the threads' end looks again
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_EFFECTS_H_
