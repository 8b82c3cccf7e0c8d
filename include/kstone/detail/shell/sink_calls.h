// Callers of the worker on whose threads its log sink runs, or a stop callback. Each one's entry
// stands on its own stack, so nothing is allocated, however many there are.
//
// Thread safety: none; the worker's mutex guards it, and the entries.

#ifndef KSTONE_DETAIL_SHELL_SINK_CALLS_H_
#define KSTONE_DETAIL_SHELL_SINK_CALLS_H_

#include "kstone/cxx20.h"

namespace kstone::detail {

template <class Sync>
class SinkCalls {
 public:
  using Id = typename Sync::thread::id_type;

  struct Entry {
    Id caller;
    Entry* next = nullptr;
  };

  void enter(Entry& entry) {
    entry.next = first_;
    first_ = &entry;
  }
  void leave(const Entry& entry) {
    Entry** link = &first_;
    while (*link != &entry) {
      link = &(*link)->next;
    }
    *link = entry.next;
  }
  bool has(Id caller) const {
    const Entry* entry = first_;
    while (entry != nullptr && entry->caller != caller) {
      entry = entry->next;
    }
    return entry != nullptr;
  }

 private:
  Entry* first_ = nullptr;
};

}  // namespace kstone::detail

#endif  // KSTONE_DETAIL_SHELL_SINK_CALLS_H_
