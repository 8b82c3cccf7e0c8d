// What scenarios use for checking alone: ghost state, choices, and freezing the others.

#include "explorer/exploration.h"

namespace kstone::model::runtime {

using namespace explorer;

void ghost_step(ObjectId id, const void* address, Access access, Site site) {
  Exploration& e = inside();
  const Operation operation =
      access == Access::read ? Operation::ghost_read : Operation::ghost_write;
  check_alive(id, address, operation, site);
  e.threads.announce(make_step(operation, id, access), site);
  e.threads.performs(id, access);
  e.trace.log(operation, id, site);
}

void ghost_with_next_step(ObjectId id, const void* address, Access access) {
  Exploration& e = inside();
  use(id, address, Operation::ghost_write, Site{});
  e.threads.current_thread().extra.add(id, access, ObjectKind::ghost);
}

void ghost_expect(ObjectId id, const void* address, Access access, Site site) {
  Exploration& e = inside();
  use(id, address, access == Access::read ? Operation::ghost_read : Operation::ghost_write, site);
  e.threads.performs(id, access);
}

void in_turn() {
  Exploration& e = inside();
  e.threads.takes_turn(e.threads.current());
}

std::uint32_t choose(std::uint32_t count) { return inside().search.choose_data(count); }

void freeze_begin() {
  Exploration& e = inside();
  const Mode mode = e.limits.mode;
  if ((mode == Mode::source_sets || mode == Mode::sleep_sets) && e.limits.replay.empty()) {
    fail(Failure::model_error,
         "FreezeOthers wants a search without reduction: --mode plain or bounded");
  }
  e.threads.current_thread().may_freeze = true;
}

void freeze_end() {
  Exploration& e = inside();
  e.threads.current_thread().may_freeze = false;
  if (e.threads.frozen() == e.threads.current()) {
    e.threads.set_frozen(-1);
  }
}

}  // namespace kstone::model::runtime
