// A counter-example for a reader: columns, one for each thread.

#ifndef KSTONE_MODEL_REPORT_TABLE_H_
#define KSTONE_MODEL_REPORT_TABLE_H_

#include <string>

#include "explorer.h"

namespace kstone::model {

// At most `width` columns wide: what failed, a legend, the steps, and of a deadlock where each
// thread stands. Without `inner` the steps inside the worker are summed up.
std::string report_table(const Result& result, bool inner, std::size_t width = 120);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_REPORT_TABLE_H_
