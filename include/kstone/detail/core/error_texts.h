// The texts of errors: the first of the worker, and of each stripe that is left with work undone
// its last.
//
// Thread safety: none; the scheduling core owns it.

#ifndef KSTONE_DETAIL_CORE_ERROR_TEXTS_H_
#define KSTONE_DETAIL_CORE_ERROR_TEXTS_H_

#include "kstone/cxx20.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace kstone::detail {

class ErrorTexts {
 public:
  // All texts together have so many bytes; one that finds no room is cut.
  static constexpr std::size_t room = 1U << 20;
  static constexpr std::size_t cut_to = 64;

  // The last error of the stripe, one without a text being given one; also the first of all, if it
  // is. Nothing is kept of the stripe if there is no memory.
  void record(std::uint32_t stripe, std::string&& text) noexcept;
  void forget(std::uint32_t stripe) noexcept;

  const std::string& first() const noexcept { return first_; }
  const std::string* last_of(std::uint32_t stripe) const;
  std::size_t size() const noexcept { return last_.size(); }  // of stripes

 private:
  bool has_room_for(const std::string& text) const noexcept;

  std::string first_;
  std::map<std::uint32_t, std::string> last_;  // by stripe; it never moves what it has
  std::size_t bytes_ = 0;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_CORE_ERROR_TEXTS_H_
