// Which two steps may not be exchanged. Every reduction rests on this; with a planted fault, one of
// its rules is broken.

#ifndef KSTONE_MODEL_SEARCH_INDEPENDENCE_H_
#define KSTONE_MODEL_SEARCH_INDEPENDENCE_H_

#include "explorer.h"
#include "search/accesses.h"

namespace kstone::model {

class Independence {
 public:
  explicit Independence(PlantedFault planted) : planted_(planted) {}

  bool conflict(const Accesses::Entry& a, runtime::Access b, bool b_modifies) const {
    const bool conflicts = a.access == runtime::Access::write || a.access != b;
    return conflicts && (planted_ == PlantedFault::none || !is_forgotten(a, b, b_modifies));
  }

  bool independent(const Accesses& a, const Accesses& b) const {
    for (int i = 0; i < a.count; ++i) {
      for (int j = 0; j < b.count; ++j) {
        if (a.entries[i].object == b.entries[j].object &&
            conflict(a.entries[i], b.entries[j].access, b.entries[j].modifies)) {
          return false;
        }
      }
    }
    return true;
  }

 private:
  bool is_forgotten(const Accesses::Entry& a, runtime::Access b, bool b_modifies) const {
    switch (planted_) {
      case PlantedFault::reads_conflict_with_nothing:
        return a.kind == ObjectKind::atomic &&
               (a.access == runtime::Access::read || b == runtime::Access::read);
      case PlantedFault::ignore_rmw_dependency:
        return a.kind == ObjectKind::atomic && a.modifies && b_modifies;
      case PlantedFault::ignore_lock_dependency:
        return a.kind == ObjectKind::mutex;
      case PlantedFault::ignore_wait_dependency:
        return a.kind == ObjectKind::condition_variable;
      case PlantedFault::ignore_semaphore_dependency:
        return a.kind == ObjectKind::semaphore;
      case PlantedFault::ignore_budget_dependency:
        return a.kind == ObjectKind::limit;
      case PlantedFault::ignore_clock_dependency:
        return a.kind == ObjectKind::clock;
      case PlantedFault::ignore_ghost_dependency:
        return a.kind == ObjectKind::ghost;
      default:
        return false;
    }
  }

  PlantedFault planted_;
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_INDEPENDENCE_H_
