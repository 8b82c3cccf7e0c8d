// Bytes of unknown origin, made fit to be printed: names of files and of column families, keys, and
// what others say of them.
//
// Thread safety: stateless.

#ifndef KSTONE_COMPACT_ESCAPE_H_
#define KSTONE_COMPACT_ESCAPE_H_

#include <string>
#include <string_view>

namespace kstone::compact {

// Printable UTF-8 as it is, a backslash as \\, and every other byte as \xNN: what is not UTF-8,
// control characters, and what ends lines or turns the direction of writing. So a name stays on its
// line, moves no cursor, is valid in JSON, and two names that differ look different.
std::string escaped(std::string_view text);
// The same between single quotes.
std::string in_quotes(std::string_view text);

// The same for a sentence in which names are escaped already: a backslash stays one.
std::string printable(std::string_view text);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_ESCAPE_H_
