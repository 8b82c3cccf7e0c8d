// The calls that led to a step, as addresses; places.h makes lines of them.

#ifndef KSTONE_MODEL_EXPLORER_CALLS_H_
#define KSTONE_MODEL_EXPLORER_CALLS_H_

namespace kstone::model::explorer {

// What backtrace() gives, of at most so many calls.
struct Calls {
  static constexpr int most = 40;
  void* addresses[most];
  int count;
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_CALLS_H_
