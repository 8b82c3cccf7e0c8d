#include "kstone/detail/core/error_texts.h"

#include <new>
#include <utility>

namespace kstone::detail {

void ErrorTexts::record(std::uint32_t stripe, std::string&& text) noexcept {
  forget(stripe);
  if (text.empty()) {
    text = "no text";  // needs no memory
  }
  const auto& kept = first_.empty() ? first_ : text;
  if (first_.empty()) {
    first_ = std::move(text);
    bytes_ = first_.size();
  }
  try {
    auto& last = last_[stripe];
    last.assign(kept, 0, has_room_for(kept) ? kept.size() : cut_to);
    bytes_ += last.size();
  } catch (const std::bad_alloc&) {
    forget(stripe);
  }
}

void ErrorTexts::forget(std::uint32_t stripe) noexcept {
  const auto found = last_.find(stripe);
  if (found != last_.end()) {
    bytes_ -= found->second.size();
    last_.erase(found);
  }
}

const std::string* ErrorTexts::last_of(std::uint32_t stripe) const {
  const auto found = last_.find(stripe);
  return found == last_.end() ? nullptr : &found->second;
}

bool ErrorTexts::has_room_for(const std::string& text) const noexcept {
  return text.size() <= cut_to || bytes_ + text.size() <= room;
}

}  // namespace kstone::detail
