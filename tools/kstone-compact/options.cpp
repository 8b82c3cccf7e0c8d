#include "options.h"

#include <charconv>
#include <cstdio>
#include <string_view>
#include <type_traits>

#include "escape.h"

namespace kstone::compact {
namespace {

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

template <typename Number>
bool parse(std::string_view text, Number& value) {
  // from_chars takes no blank and no plus, but a minus, "inf", "nan" and leading zeros.
  const bool plain = !text.empty() && is_digit(text[0]) &&
                     !(text.size() > 1 && text[0] == '0' && is_digit(text[1]));
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return plain && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

template <typename Number>
std::string shown(Number value) {
  if constexpr (std::is_integral_v<Number>) {
    return std::to_string(value);
  } else {
    char text[32];
    std::snprintf(text, sizeof text, "%.15g", value);
    return text;
  }
}

template <typename Number>
void add(CLI::App& app, const std::string& name, Number& value, NumberRange<Number> range,
         const char* kind, const std::string& description) {
  const auto limits = shown(range.min) + " to " + shown(range.max);
  const auto take = [&value, range, name, limits, kind](const std::string& text) {
    Number number{};
    if (!parse(text, number) || number < range.min || number > range.max) {
      throw CLI::ValidationError(name, "'" + escaped(text) + "' is not a " + kind + " from " +
                                           limits + ", in decimal, without leading zeros");
    }
    value = number;
  };
  app.add_option_function<std::string>(name, take, description)
      ->type_name("NUMBER (" + limits + ")")
      ->default_str(shown(value));
}

}  // namespace

void add_number(CLI::App& app, const std::string& name, std::uint32_t& value,
                NumberRange<std::uint32_t> range, const std::string& description) {
  add(app, name, value, range, "whole number", description);
}

void add_number(CLI::App& app, const std::string& name, std::uint64_t& value,
                NumberRange<std::uint64_t> range, const std::string& description) {
  add(app, name, value, range, "whole number", description);
}

void add_number(CLI::App& app, const std::string& name, double& value, NumberRange<double> range,
                const std::string& description) {
  add(app, name, value, range, "number", description);
}

CLI::Option* add_path(CLI::App& app, const std::string& name, std::string& value,
                      const std::string& description) {
  return app.add_option(name, value, description)
      ->type_name("PATH")
      ->check(CLI::Validator(
          [](const std::string& path) {
            return path.empty() ? std::string("is empty") : std::string();
          },
          "", "not_empty"));
}

}  // namespace kstone::compact
