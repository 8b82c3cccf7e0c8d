// The pauses that live. Several may hold one stripe, or all: the last to go lets it run again.
//
// Thread safety: none; the worker's mutex guards it, and the entries.

#ifndef KSTONE_DETAIL_PAUSES_H_
#define KSTONE_DETAIL_PAUSES_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <map>
#include <optional>

namespace kstone::detail {

class Pauses {
 public:
  // Of one stripe, or of all if there is none. A guard owns it.
  struct Entry {
    std::optional<std::uint32_t> stripe_id;
    bool forgotten = false;  // its stripe has been restored since
    bool is_owned = false;   // `pause` has returned
    Entry* next = nullptr;   // of the same stripe
    Entry* previous = nullptr;
  };

  // Throws std::bad_alloc, and nothing has happened.
  void enter(Entry& entry) {
    auto& first = entry.stripe_id ? of_one_[*entry.stripe_id] : of_all_;
    entry.next = first;
    if (first != nullptr) {
      first->previous = &entry;
    }
    first = &entry;
  }
  // `pause` has returned, and the entry stays.
  void own(Entry& entry) {
    entry.is_owned = true;
    ++owned_;
  }
  bool any_is_owned() const noexcept { return owned_ != 0; }
  // True if nobody else holds the same.
  bool leave(const Entry& entry) {
    owned_ -= entry.is_owned ? 1 : 0;
    if (entry.next != nullptr) {
      entry.next->previous = entry.previous;
    }
    if (entry.previous != nullptr) {
      entry.previous->next = entry.next;
    } else if (!entry.forgotten) {
      begin_with(entry.next, entry.stripe_id);
    }
    return !entry.forgotten && entry.next == nullptr && entry.previous == nullptr;
  }
  // Those of the stripe hold nothing any more.
  void forget(std::uint32_t stripe_id) {
    const auto found = of_one_.find(stripe_id);
    if (found == of_one_.end()) {
      return;
    }
    for (Entry* entry = found->second; entry != nullptr; entry = entry->next) {
      entry->forgotten = true;
    }
    of_one_.erase(found);
  }

 private:
  void begin_with(Entry* first, std::optional<std::uint32_t> stripe_id) {
    if (!stripe_id) {
      of_all_ = first;
    } else if (first == nullptr) {
      of_one_.erase(*stripe_id);
    } else {
      of_one_[*stripe_id] = first;
    }
  }

  Entry* of_all_ = nullptr;
  std::map<std::uint32_t, Entry*> of_one_;  // the first, by stripe
  std::uint64_t owned_ = 0;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_PAUSES_H_
