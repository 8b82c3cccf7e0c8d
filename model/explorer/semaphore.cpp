// A semaphore: tokens, and no memory ordering at all. Two posts commute.

#include "explorer/exploration.h"

namespace kstone::model::runtime {

using namespace explorer;

void semaphore_post(ObjectId id, const void* address, std::uint32_t count, Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::post, site);
  e.threads.announce(make_step(Operation::post, id, Access::add), site);
  Object& semaphore = use(id, address, Operation::post, site);
  e.threads.performs(id, Access::add);
  semaphore.tokens += count;
  e.trace.log(Operation::post, id, site).value = count;
}

void semaphore_wait(ObjectId id, const void* address, Site site) {
  Exploration& e = inside();
  check_alive(id, address, Operation::take, site);
  e.threads.announce(make_step(Operation::take, id, Access::write), site);
  Object& semaphore = use(id, address, Operation::take, site);
  e.threads.performs(id, Access::write);
  semaphore.tokens -= 1;
  e.trace.log(Operation::take, id, site);
}

}  // namespace kstone::model::runtime
