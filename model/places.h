// From addresses in the machine code to lines of the source: what addr2line of binutils says, which
// g++ and clang++ need themselves. Where it is missing, or what is explored was compiled without
// -g, there are functions or nothing.

#ifndef KSTONE_MODEL_PLACES_H_
#define KSTONE_MODEL_PLACES_H_

#include <string>
#include <vector>

namespace kstone::model {

struct Place {
  std::string function;  // empty where nothing tells
  std::string file;
  int line = 0;  // 0 where nothing tells; then `file` is empty
};

// Of each return address of this process the calls that stand there, the innermost first: several
// where some are inlined.
std::vector<std::vector<Place>> places_of(const std::vector<void*>& addresses);

// Whose a place is. What is neither is the engine's, or the scenario's.
bool is_system(const std::string& file);  // the compiler's, the standard library's, the kernel's
bool is_worker(const std::string& file);  // a header of the library
// Whoever calls the scenario: beyond it nothing is the engine's.
bool is_explorer(const Place& place);
bool is_modelled(const std::string& file);  // the modelled types and the explorer behind them

// The innermost call in a file of the engine, the innermost first in `calls`; null without one. A
// destructor that is called by something else there says less than that.
const Place* own_place(const std::vector<Place>& calls);

std::string file_name(const std::string& path);  // without folders
// Without parameters, template arguments, result and leading underscores: "Engine<...>::put".
std::string short_name(std::string function);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_PLACES_H_
