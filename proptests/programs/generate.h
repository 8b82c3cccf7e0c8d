// Draws programs. What is drawn shrinks: fewer threads, fewer calls, simpler ones (program.h has
// them in that order).

#ifndef KSTONE_PROPTESTS_PROGRAMS_GENERATE_H_
#define KSTONE_PROPTESTS_PROGRAMS_GENERATE_H_

#include <rapidcheck.h>

#include "program.h"

namespace kstone::programs {

rc::Gen<Program> any_program();

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_GENERATE_H_
