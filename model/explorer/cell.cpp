// Plain data. No step: a race is found by happens-before, alike in every order of a class.

#include "explorer/exploration.h"

namespace kstone::model::runtime {

using namespace explorer;

void cell_access(ObjectId id, const void* address, bool write, Site site) {
  Exploration& e = inside();
  const Operation operation = write ? Operation::cell_write : Operation::cell_read;
  use(id, address, operation, site);
  e.trace.log(operation, id, site);
}

}  // namespace kstone::model::runtime
