// What follows from the evidence: which families are compacted, and what speaks against the others
// or against opening the database at all. Nothing else decides that.
//
// Thread safety: a function of its arguments.

#ifndef KSTONE_COMPACT_OFFLINE_JUDGE_H_
#define KSTONE_COMPACT_OFFLINE_JUDGE_H_

#include "evidence.h"
#include "offline.h"
#include "plan.h"

namespace kstone::compact {

// Writes objections, notes and choices into the plan, all of them anew: it may be called again once
// more is known.
void judge(const OfflineOptions& options, const Evidence& evidence, Plan& plan);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_JUDGE_H_
