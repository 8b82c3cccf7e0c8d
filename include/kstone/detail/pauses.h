// The pauses that live. Several may hold one stripe, or all: the last to go lets it run again.
//
// Thread safety: none; the worker's mutex guards it, and the entries.

#ifndef KSTONE_DETAIL_PAUSES_H_
#define KSTONE_DETAIL_PAUSES_H_

#include "kstone/cxx20.h"

#include <cstdint>
#include <optional>

namespace kstone::detail {

class Pauses {
 public:
  // Of one stripe, or of all if there is none. A guard owns it.
  struct Entry {
    std::optional<std::uint32_t> stripe_id;
    bool forgotten = false;  // its stripe has been restored since
    bool is_owned = false;   // `pause` has returned
    Entry* next = nullptr;
  };

  void enter(Entry& entry) {
    entry.next = first_;
    first_ = &entry;
  }
  bool any_is_owned() const noexcept {
    const Entry* entry = first_;
    while (entry != nullptr && !entry->is_owned) {
      entry = entry->next;
    }
    return entry != nullptr;
  }
  // True if nobody else holds the same.
  bool leave(const Entry& entry) {
    Entry** link = &first_;
    while (*link != &entry) {
      link = &(*link)->next;
    }
    *link = entry.next;
    return !entry.forgotten && !holds(entry.stripe_id);
  }
  void forget(std::uint32_t stripe_id) {
    for (Entry* entry = first_; entry != nullptr; entry = entry->next) {
      entry->forgotten = entry->forgotten || entry->stripe_id == stripe_id;
    }
  }

 private:
  bool holds(std::optional<std::uint32_t> stripe_id) const {
    const Entry* entry = first_;
    while (entry != nullptr && (entry->forgotten || entry->stripe_id != stripe_id)) {
      entry = entry->next;
    }
    return entry != nullptr;
  }

  Entry* first_ = nullptr;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_PAUSES_H_
