// Options of the command line, taken strictly: what is not plainly a number of the range is
// refused, with the option, the value and the range.
//
// Thread safety: none.

#ifndef KSTONE_COMPACT_OPTIONS_H_
#define KSTONE_COMPACT_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace kstone::compact {

template <typename Number>
struct NumberRange {
  Number min;
  Number max;
};

// Decimal digits alone: no sign, no blank, no 0x10, and no 020, which some read as 16. `value` is
// the default.
void add_number(CLI::App& app, const std::string& name, std::uint32_t& value,
                NumberRange<std::uint32_t> range, const std::string& description);
void add_number(CLI::App& app, const std::string& name, std::uint64_t& value,
                NumberRange<std::uint64_t> range, const std::string& description);
// Digits, and a fraction or a power of ten after them: 0.5 and 1e3, but neither nan nor inf.
void add_number(CLI::App& app, const std::string& name, double& value, NumberRange<double> range,
                const std::string& description);

// A path that is given may not be empty: that is a variable of a script which has no value.
CLI::Option* add_path(CLI::App& app, const std::string& name, std::string& value,
                      const std::string& description);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OPTIONS_H_
