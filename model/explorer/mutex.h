// What a wait on a condition variable does with its mutex, and the mutex itself.

#ifndef KSTONE_MODEL_EXPLORER_MUTEX_H_
#define KSTONE_MODEL_EXPLORER_MUTEX_H_

#include "explorer/objects.h"
#include "explorer/trace.h"

namespace kstone::model::explorer {

// Of the running thread. `verb` is what it does with a mutex that it should hold.
void expect_held(const Object& mutex, ObjectId id, const char* verb, Site site);
void give_up(Object& mutex, ObjectId id);
// A step that locks has been chosen. Returns the event that tells of it.
Event& take(Object& mutex, ObjectId id, Site site);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_MUTEX_H_
