// When a thread that sleeps on a condition variable may wake without a notification.

#ifndef KSTONE_MODEL_EXPLORER_CONDITION_VARIABLE_H_
#define KSTONE_MODEL_EXPLORER_CONDITION_VARIABLE_H_

#include "explorer/threads.h"

namespace kstone::model::explorer {

bool can_leave(const Thread& sleeper);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_CONDITION_VARIABLE_H_
