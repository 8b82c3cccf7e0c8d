// In what two options files of one database contradict each other.
//
// Thread safety: a function of its arguments.

#ifndef KSTONE_COMPACT_OFFLINE_OPTIONS_DIFFERENCE_H_
#define KSTONE_COMPACT_OFFLINE_OPTIONS_DIFFERENCE_H_

#include <string>

#include "options_file.h"

namespace kstone::compact {

// The first key that decides what is written, or how the database is read, and that has another
// value in the other file; empty if there is none. Every key decides that, but for those that are
// known to be about memory, speed or time. What only one of two releases writes is no difference.
std::string what_differs(const OptionsText& one, const OptionsText& other);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_OPTIONS_DIFFERENCE_H_
