#include "wal_tail.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <span>
#include <vector>

#include "bad_input.h"
#include "escape.h"

namespace kstone::compact {
namespace {

using Bytes = std::span<const unsigned char>;

constexpr std::size_t block_bytes = 32768;
constexpr std::size_t header_bytes = 7;
constexpr std::size_t long_header_bytes = 11;

std::uint32_t crc32c(Bytes bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t byte = 0; byte < made.size(); ++byte) {
      std::uint32_t value = byte;
      for (int bit = 0; bit < 8; ++bit) {
        value = value >> 1 ^ ((value & 1) != 0 ? 0x82F63B78U : 0U);
      }
      made[byte] = value;
    }
    return made;
  }();
  std::uint32_t crc = ~0U;
  for (const auto byte : bytes) {
    crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8;
  }
  return ~crc;
}

std::uint32_t number_of(Bytes bytes) {
  return bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8 |
         static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}

// Types: 1 to 4 a record or its first, middle or last part; 5 to 8 the same with the number of the
// log; 9 to 11 the kind of compression and the sizes of user timestamps.
constexpr unsigned first_part = 2;
constexpr unsigned last_type = 11;

struct Record {
  std::size_t size = 0;
  unsigned type = 0;
  bool is_old = false;  // of the file's earlier life under another number
};

// The whole record that begins the rest of a block, if one does.
std::optional<Record> record_at(Bytes rest, std::uint64_t log) {
  if (rest.size() < header_bytes) {
    return std::nullopt;
  }
  const unsigned type = rest[6];
  const bool has_number = (type >= 5 && type <= 8) || type == last_type;
  const auto header = has_number ? long_header_bytes : header_bytes;
  const std::size_t length = rest[4] | static_cast<std::size_t>(rest[5]) << 8;
  if (type == 0 || type > last_type || rest.size() < header + length) {
    return std::nullopt;
  }
  const auto crc = crc32c(rest.subspan(6, header - 6 + length));
  if ((crc >> 15 | crc << 17) + 0xA282EAD8U != number_of(rest)) {
    return std::nullopt;
  }
  const bool is_old =
      has_number && number_of(rest.subspan(header_bytes)) != static_cast<std::uint32_t>(log);
  return Record{header + length, type, is_old};
}

bool is_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; });
}

class LogReader {
 public:
  explicit LogReader(std::uint64_t number) : number_(number) {}

  // False once the rest of the file does not matter.
  bool read_block(Bytes rest) {
    while (!rest.empty()) {
      const auto record = record_at(rest, number_);
      if (record && record->is_old && !gap_) {
        return false;
      }
      if (record && !record->is_old) {
        records_ = true;
        damaged_ = damaged_ || gap_;
        last_ = record->type;
        rest = rest.subspan(record->size);
      } else if (!gap_ && rest.size() < header_bytes && is_zero(rest)) {
        return true;  // no header fits into the end of a block
      } else {
        gap_ = true;
        bytes_ = bytes_ || rest.front() != 0;
        rest = rest.subspan(1);
      }
    }
    return !damaged_;
  }

  WalEnd end() const {
    // A first or middle part has to be followed by another.
    const bool in_parts = last_ == first_part || last_ == first_part + 1 ||
                          last_ == first_part + 4 || last_ == first_part + 5;
    if (damaged_) {
      return WalEnd::damaged;
    }
    if (bytes_ && !records_) {
      return WalEnd::no_log;
    }
    return bytes_ || in_parts ? WalEnd::torn : WalEnd::clean;
  }

 private:
  const std::uint64_t number_;
  bool records_ = false;  // there was a whole one
  bool gap_ = false;      // there were bytes that are none
  bool bytes_ = false;    // and not all of them zeros, which may have been reserved
  bool damaged_ = false;
  unsigned last_ = 0;  // type
};

}  // namespace

WalEnd end_of_log(const std::string& path, std::uint64_t number) {
  std::ifstream in(path, std::ios::binary);
  std::vector<unsigned char> block(block_bytes);
  LogReader reader(number);
  while (in) {
    in.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
    if (in.gcount() == 0 ||
        !reader.read_block(Bytes(block).first(static_cast<std::size_t>(in.gcount())))) {
      break;
    }
  }
  if (!in.is_open() || in.bad()) {
    throw BadInput(escaped(path) + ": cannot be read");
  }
  return reader.end();
}

}  // namespace kstone::compact
