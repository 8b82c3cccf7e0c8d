// Containers that grow while a simulation runs. Relacy owns operator new then, so they take memory
// from malloc.

#ifndef KSTONE_MODEL_SEARCH_MALLOC_CONTAINERS_H_
#define KSTONE_MODEL_SEARCH_MALLOC_CONTAINERS_H_

#include <cstddef>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace kstone::model {

template <class T>
struct MallocAllocator {
  using value_type = T;
  MallocAllocator() = default;
  template <class U>
  MallocAllocator(const MallocAllocator<U>&) {}
  T* allocate(std::size_t count) {
    void* const memory = std::malloc(count * sizeof(T));
    if (memory == nullptr) {
      std::abort();
    }
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t) { std::free(memory); }
  template <class U>
  bool operator==(const MallocAllocator<U>&) const {
    return true;
  }
};

template <class T>
using MallocVector = std::vector<T, MallocAllocator<T>>;
using MallocString = std::basic_string<char, std::char_traits<char>, MallocAllocator<char>>;
template <class Key, class Value>
using MallocMap = std::map<Key, Value, std::less<>, MallocAllocator<std::pair<const Key, Value>>>;

}  // namespace kstone::model

#endif  // KSTONE_MODEL_SEARCH_MALLOC_CONTAINERS_H_
