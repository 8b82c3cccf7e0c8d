// What an options file names and this program does not have, or what the SSTs carry and new ones
// would not.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_LACKING_H_
#define KSTONE_COMPACT_OFFLINE_LACKING_H_

#include <rocksdb/options.h>
#include <rocksdb/table_properties.h>

#include <string>
#include <utility>
#include <vector>

#include "options_file.h"
#include "plan.h"

namespace kstone::compact {

// --accept-loss KIND or KIND:FAMILY.
class AcceptedLosses {
 public:
  // Throws BadInput for a kind that is not known.
  explicit AcceptedLosses(const std::vector<std::string>& words);

  bool covers(const std::string& kind) const;
  bool covers(const std::string& kind, const std::string& family) const;
  // The families that were named.
  std::vector<std::string> families() const;

 private:
  std::vector<std::pair<std::string, std::string>> losses_;  // kind; family, or empty for all
};

// Objects to `what`, unless it is accepted.
void object(FamilyPlan& family, const AcceptedLosses& accepted, const std::string& kind,
            const std::string& what);

// By the options file. Objections to opening the database at all go to the plan.
void find_lacking_names(const OptionKeys& database, const ::rocksdb::DBOptions& options, Plan& plan,
                        const AcceptedLosses& accepted);
void find_lacking_names(const FamilySection& section, FamilyPlan& family, Plan& plan,
                        const AcceptedLosses& accepted);

// By the SSTs.
void find_lost_properties(const ::rocksdb::TablePropertiesCollection& ssts, FamilyPlan& family,
                          const AcceptedLosses& accepted);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_LACKING_H_
