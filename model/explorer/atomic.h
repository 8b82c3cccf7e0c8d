// Atomics: stores, loads and read-modify-writes in Relacy's memory model.

#ifndef KSTONE_MODEL_EXPLORER_ATOMIC_H_
#define KSTONE_MODEL_EXPLORER_ATOMIC_H_

#include "explorer/objects.h"

namespace kstone::model::explorer {

// The object is destroyed.
void forget_stores(Object& atomic);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_ATOMIC_H_
