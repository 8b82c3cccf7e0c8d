// What the future of an explanation depends on, as a text.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_KEY_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_KEY_H_

#include <string>

#include "explained_state.h"

namespace kstone::programs {

std::string key_of(const State& state);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_KEY_H_
