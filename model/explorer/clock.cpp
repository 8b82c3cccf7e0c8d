// The clock. It stands still but for timeouts and for scenes that move it.

#include "explorer/exploration.h"

namespace kstone::model::runtime {

using namespace explorer;

std::int64_t clock_now(Site site) {
  Exploration& e = inside();
  const ObjectId clock = e.objects.clock();
  e.threads.announce(make_step(Operation::now, clock, Access::read), site);
  e.threads.performs(clock, Access::read);
  e.trace.log(Operation::now, clock, site).value = static_cast<std::uint64_t>(e.now);
  return e.now;
}

void clock_advance(std::int64_t nanoseconds, Site site) {
  Exploration& e = inside();
  const ObjectId clock = e.objects.clock();
  e.threads.announce(make_step(Operation::advance_clock, clock, Access::write), site);
  e.threads.performs(clock, Access::write);
  e.now += nanoseconds;
  e.trace.log(Operation::advance_clock, clock, site).value = static_cast<std::uint64_t>(e.now);
}

}  // namespace kstone::model::runtime
