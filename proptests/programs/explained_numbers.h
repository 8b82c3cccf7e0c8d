// What `queue_size` and `snapshot` say.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_NUMBERS_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_NUMBERS_H_

#include <cstddef>

#include "explained_state.h"

namespace kstone::programs {

bool is_queue_size(const State& s, int thread, const CallRecord& record, std::size_t size);

bool is_snapshot(const State& s, int thread, const CallRecord& record);

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXPLAINED_NUMBERS_H_
