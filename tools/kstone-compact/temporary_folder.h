// The demo's temporary folder, which goes whatever ends the process: the end of `main`, an abort, a
// second signal. Only SIGKILL leaves it behind.
//
// Thread safety: `remove_temporary_folder` from anywhere, also from a signal handler; the others
// from the main thread.

#ifndef KSTONE_COMPACT_TEMPORARY_FOLDER_H_
#define KSTONE_COMPACT_TEMPORARY_FOLDER_H_

#include <string>

namespace kstone::compact {

// Makes a new folder in TMPDIR, which `remove_temporary_folder` removes. One at a time. Throws
// BadInput.
std::string make_temporary_folder();

// Removes it and all that is in it, though others may still be writing there; does nothing if there
// is none.
void remove_temporary_folder() noexcept;

// It is to stay.
void keep_temporary_folder() noexcept;

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_TEMPORARY_FOLDER_H_
