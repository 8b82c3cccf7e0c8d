// The atomic operations that were executed, by their lines: with which orders, and which of them
// are weakened for the sake of a question (Limits::demotions).

#ifndef KSTONE_MODEL_EXPLORER_CALL_SITES_H_
#define KSTONE_MODEL_EXPLORER_CALL_SITES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "explorer.h"
#include "explorer/objects.h"
#include "search/malloc_containers.h"

namespace kstone::model::explorer {

struct SiteRecord {
  Site site;
  Operation operation;
  std::memory_order order, failure_order;
  std::memory_order effective, effective_failure;
  char name[192];
  const char* object_name;
  std::uint64_t executed;
};

class CallSites {
 public:
  static constexpr std::size_t most_demotions = 64;

  // Whether all of them name an order, and there are not too many.
  static bool are_known(const std::vector<Demotion>& demotions);

  explicit CallSites(const std::vector<Demotion>& demotions);

  // Of an operation that is being carried out.
  const SiteRecord& record(Site site, Operation operation, std::memory_order order,
                           std::memory_order failure_order, const Object& object);

  // Whether each demotion named a call site that was executed.
  bool all_demotions_used() const;
  std::vector<CallSite> list() const;

 private:
  static constexpr std::size_t slots = 4096;
  static constexpr std::size_t most_records = 2048;

  SiteRecord make(Site site, Operation operation, std::memory_order order,
                  std::memory_order failure_order, const Object& object);
  void give_name(SiteRecord& record) const;
  void demote(SiteRecord& record);

  const std::vector<Demotion>& demotions_;
  std::uint64_t used_ = 0;  // a bit for each demotion
  MallocVector<SiteRecord> records_;
  int table_[slots];  // by hash: an index into records_, or -1
};

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_CALL_SITES_H_
