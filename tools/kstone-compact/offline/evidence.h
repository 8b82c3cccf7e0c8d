// What was found out about a database: facts, and what speaks against it already. `judge` says what
// follows from them.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_OFFLINE_EVIDENCE_H_
#define KSTONE_COMPACT_OFFLINE_EVIDENCE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "plan.h"
#include "wal_contents.h"

namespace kstone::compact {

struct FamilyEvidence {
  std::vector<Objection> objections;  // by the options file and by the properties of its SSTs

  // Its merge operator.
  std::string merge_name;         // in the options file; empty if it names none
  bool described = false;         // the options file describes it in full
  bool named = false;             // the user has named it
  bool may_merge = false;         // its SSTs hold operands, or do not say that they hold none
  std::set<std::string> mergers;  // the operators with which those SSTs were written
  std::string misfit;             // why its values are not of the operator that was named

  std::string unreadable;           // what could not be read of it, or is damaged
  std::uint64_t last_sequence = 0;  // the highest number of a record in an SST
  // The same, without SSTs of one number: one that was ingested is newer than what is in memory.
  std::uint64_t last_flushed = 0;
  bool wal_is_older = false;  // the WAL has records that are no newer than that
  WalFamily wal;
};

struct Evidence {
  std::vector<Objection> objections;
  std::vector<FamilyEvidence> families;  // in the order of the plan
  bool has_links = false;                // an SST is a copy's, too
  std::uint64_t last_sequence = 0;       // of the manifest
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_EVIDENCE_H_
