// A mutex: locking is a step; unlocking belongs to the step before it, since nobody else can touch
// a held mutex.

#include "explorer/mutex.h"

#include "explorer/exploration.h"

namespace kstone::model {
namespace explorer {

void expect_held(const Object& mutex, ObjectId id, const char* verb, Site site) {
  const Threads& threads = exploration().threads;
  if (mutex.owner != threads.current()) {
    char text[64];
    fail_at(site, Failure::lock_misuse, "%s %s %s, which it does not hold (%s:%d)",
            threads.name(threads.current()).text, verb, object_text(id, text), base_name(site.file),
            site.line);
  }
}

void give_up(Object& mutex, ObjectId id) {
  Exploration& e = exploration();
  mutex.owner = -1;
  join(mutex.released);
  e.search.release(id, e.threads.current());
}

Event& take(Object& mutex, ObjectId id, Site site) {
  Exploration& e = exploration();
  e.threads.performs(id, runtime::Access::write);
  mutex.owner = e.threads.current();
  mutex.locked_at = site;
  acquire(mutex.released);
  Event& event = e.trace.log(Operation::lock, id, site);
  // The search learns of the step first: that two locks could have come the other way round.
  e.threads.settle();
  e.search.acquire(id, e.threads.current());
  return event;
}

}  // namespace explorer

namespace runtime {

using namespace explorer;

void mutex_lock(ObjectId id, const void* address, Site site) {
  Exploration& e = inside();
  if (use(id, address, Operation::lock, site).owner == e.threads.current()) {
    char text[64];
    fail_at(site, Failure::lock_misuse, "%s locks %s, which it holds (%s:%d)",
            e.threads.name(e.threads.current()).text, object_text(id, text), base_name(site.file),
            site.line);
  }
  e.threads.announce(make_step(Operation::lock, id, Access::write), site);
  take(use(id, address, Operation::lock, site), id, site);
}

void mutex_unlock(ObjectId id, const void* address, Site site) {
  Exploration& e = inside();
  Object& mutex = use(id, address, Operation::unlock, site);
  expect_held(mutex, id, "unlocks", site);
  e.threads.settle();
  give_up(mutex, id);
  e.trace.log(Operation::unlock, id, site);
}

}  // namespace runtime
}  // namespace kstone::model
