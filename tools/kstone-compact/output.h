// Standard output, which carries the result: what cannot be written there is an error, never
// silence.
//
// Thread safety: one call at a time. `main` calls `require_stdout` before a subcommand and
// `finish_stdout` after it.

#ifndef KSTONE_COMPACT_OUTPUT_H_
#define KSTONE_COMPACT_OUTPUT_H_

namespace kstone::compact {

// Before any work. Throws BadInput if standard output is closed, its reader gone, or its device
// refuses; what only shows when something is written, as a full disk does, is left to
// `finish_stdout`.
//
// A standard stream that is closed becomes /dev/null: the next file to be opened would else take
// its number, and a line of progress would be written into a database.
void require_stdout();

// Sends what was printed so far. If it cannot be written the result has nowhere to go, and that is
// an interrupt.
void flush_stdout();

// At the end. Throws BadInput, "standard output: ...", if something that was printed did not
// arrive.
void finish_stdout();

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OUTPUT_H_
