#include "escape.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace kstone::compact {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// Not what iswprint says: that depends on the locale, and the program runs in C.
constexpr std::array unprintable = {
    Range{0x00, 0x1F},     Range{0x7F, 0x9F},     Range{0x061C, 0x061C}, Range{0x200E, 0x200F},
    Range{0x2028, 0x202E}, Range{0x2066, 0x2069}, Range{0xD800, 0xDFFF}, Range{0xFEFF, 0xFEFF},
};

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// How many bytes the sequence that starts `text` must have; 0 if none starts like this.
std::size_t sequence_length(unsigned first) {
  if (first < 0x80) {
    return 1;
  }
  return first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

// The length of the printable character that starts `text`, which is not empty; 0 if none does.
std::size_t printable_length(std::string_view text) {
  constexpr std::array<std::uint32_t, 5> smallest = {
      0, 0, 0x80, 0x800, 0x10000};  // a longer form of less is not UTF-8
  const auto length = sequence_length(byte_at(text, 0));
  if (length == 0 || length > text.size()) {
    return 0;
  }
  std::uint32_t character = length == 1 ? byte_at(text, 0) : byte_at(text, 0) & (0x7FU >> length);
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte_at(text, at) & 0xC0U) != 0x80U) {
      return 0;
    }
    character = character << 6 | (byte_at(text, at) & 0x3FU);
  }
  const bool shown = std::none_of(unprintable.begin(), unprintable.end(), [&](const Range& range) {
    return range.first <= character && character <= range.last;
  });
  return shown && character >= smallest[length] && character <= 0x10FFFF ? length : 0;
}

std::string escaped(std::string_view text, std::string_view backslash) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string result;
  while (!text.empty()) {
    const auto length = printable_length(text);
    if (text.front() == '\\') {
      result += backslash;
    } else if (length > 0) {
      result += text.substr(0, length);
    } else {
      result += {'\\', 'x', digits[byte_at(text, 0) >> 4], digits[byte_at(text, 0) & 15U]};
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

}  // namespace

std::string escaped(std::string_view text) { return escaped(text, "\\\\"); }

std::string printable(std::string_view text) { return escaped(text, "\\"); }

std::string in_quotes(std::string_view text) {
  std::string result(1, '\'');
  result += escaped(text);
  result += '\'';
  return result;
}

}  // namespace kstone::compact
