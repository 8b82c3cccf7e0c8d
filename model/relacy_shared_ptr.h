// std::shared_ptr and std::weak_ptr whose counts the explorer sees; RelacySync::shared_ptr names
// them.
//
// The standard says little about memory orders: the last owner destroys the object after everything
// that the others did through theirs, and copying orders nothing. So an owner is added relaxed and
// given up with acq_rel; libstdc++ adds with acq_rel, on which no engine may count. The pointer
// itself is plain data, as in the standard: copying one that another thread assigns, without a
// lock, is a data race.
//
// Invariants:
// I1. owners_ is the number of SharedPtr that share the object; it never leaves zero.
// I2. observers_ is the number of WeakPtr, and one more while the object lives.
//
// Not there: arrays, allocators, construction of a SharedPtr from a WeakPtr (lock() says whether
// there was one), enable_shared_from_this, owner_before and hashes (addresses would steer the
// scenario), and atomics of a SharedPtr.

#ifndef KSTONE_MODEL_RELACY_SHARED_PTR_H_
#define KSTONE_MODEL_RELACY_SHARED_PTR_H_

#include <compare>
#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "relacy_sync.h"

namespace kstone::model {
namespace sharing {

// The counts of one shared object, and how it is destroyed.
class SharedBlock {
 public:
  SharedBlock() {
    runtime::name(owners_.model_object(), "use_count");
    runtime::name(observers_.model_object(), "weak_count");
  }
  SharedBlock(const SharedBlock&) = delete;
  SharedBlock& operator=(const SharedBlock&) = delete;

  // Relaxed: who adds an owner has one, or a reference to one, so the object lives.
  void add_owner(Site at) {
    owners_.fetch_add(1, std::memory_order_relaxed, at.file, at.line, at.function);
  }

  // acq_rel; each owner's with the last one's, which destroys what the others have used.
  void remove_owner(Site at) {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel, at.file, at.line, at.function) == 1) {
      destroy_object();
      remove_observer(at);
    }
  }

  // False once the object has been destroyed. Relaxed: the standard does not say that this orders
  // anything.
  bool add_owner_if_any(Site at) {
    for (long seen = 1; seen != 0;) {
      if (owners_.compare_exchange_strong(seen, seen + 1, std::memory_order_relaxed,
                                          std::memory_order_relaxed, at.file, at.line,
                                          at.function)) {
        return true;
      }
    }
    return false;
  }

  // May be old by the time it is returned, and orders nothing.
  long owners(Site at) const {
    return owners_.load(std::memory_order_relaxed, at.file, at.line, at.function);
  }

  void add_observer(Site at) {
    observers_.fetch_add(1, std::memory_order_relaxed, at.file, at.line, at.function);
  }

  // acq_rel; each observer's with the last one's, which frees the counts.
  void remove_observer(Site at) {
    if (observers_.fetch_sub(1, std::memory_order_acq_rel, at.file, at.line, at.function) == 1) {
      delete this;
    }
  }

 protected:
  virtual ~SharedBlock() = default;

 private:
  virtual void destroy_object() = 0;

  RelacySync::atomic<long> owners_{1};
  RelacySync::atomic<long> observers_{1};
};

template <class T, class Deleter>
class PointerBlock final : public SharedBlock {
 public:
  PointerBlock(T* object, Deleter deleter) : object_(object), deleter_(std::move(deleter)) {}

 private:
  void destroy_object() override { deleter_(object_); }

  T* object_;
  Deleter deleter_;
};

// What make_shared makes: one allocation.
template <class T>
class InPlaceBlock final : public SharedBlock {
 public:
  template <class... Arguments>
  explicit InPlaceBlock(Arguments&&... arguments) {
    ::new (static_cast<void*>(memory_)) T(std::forward<Arguments>(arguments)...);
  }
  T* object() { return std::launder(reinterpret_cast<T*>(memory_)); }

 private:
  void destroy_object() override { object()->~T(); }

  alignas(T) std::byte memory_[sizeof(T)];
};

// Which object, and the counts that are shared with others: both null, or neither but for an
// aliasing pointer.
template <class T>
struct Shared {
  T* object = nullptr;
  SharedBlock* block = nullptr;
};

// A pointer as the modelled plain variable that it is.
template <class T>
class PointerVariable {
 public:
  // In the body: gcc warns of a constant object that is handed out before any of it is initialized.
  PointerVariable(Shared<T> value, const char* kind) : value_(value) {
    object_ = runtime::create(ObjectKind::cell, this);
    runtime::name(object_, kind);
  }
  PointerVariable(const PointerVariable&) = delete;
  PointerVariable& operator=(const PointerVariable&) = delete;

  const Shared<T>& read(Site at) const {
    runtime::cell_access(object_, this, false, at);
    return value_;
  }
  Shared<T> exchange(Shared<T> value, Site at) {
    runtime::cell_access(object_, this, true, at);
    return std::exchange(value_, value);
  }
  // What it held, when it is destroyed.
  Shared<T> end() {
    runtime::destroy(object_, this);
    return value_;
  }

  runtime::ObjectId model_object() const { return object_; }

 private:
  runtime::ObjectId object_ = 0;
  Shared<T> value_;
};

}  // namespace sharing

template <class T>
class WeakPtr;

template <class T>
class SharedPtr {
  static_assert(!std::is_array_v<T>, "the model's shared_ptr has no arrays: share a std::vector");

 public:
  using element_type = T;
  using weak_type = WeakPtr<T>;

  SharedPtr() noexcept : SharedPtr(sharing::Shared<T>{}) {}
  SharedPtr(std::nullptr_t) noexcept : SharedPtr() {}  // implicit, as std::shared_ptr
  template <class U>
    requires std::convertible_to<U*, T*>
  explicit SharedPtr(U* object) : SharedPtr(object, std::default_delete<U>()) {}
  template <class U, class Deleter>
    requires std::convertible_to<U*, T*>
  SharedPtr(U* object, Deleter deleter)
      : SharedPtr(sharing::Shared<T>{
            object, new sharing::PointerBlock<U, Deleter>(object, std::move(deleter))}) {}
  template <class U, class Deleter>
    requires std::convertible_to<U*, T*>
  SharedPtr(std::unique_ptr<U, Deleter>&& other) : SharedPtr() {
    if (other != nullptr) {
      U* const object = other.get();
      SharedPtr(object, other.get_deleter()).swap(*this);
      other.release();
    }
  }

  SharedPtr(const SharedPtr& other, KSTONE_MODEL_SITE) noexcept
      : SharedPtr(other.shared(KSTONE_MODEL_HERE)) {}
  template <class U>
    requires std::convertible_to<U*, T*>
  SharedPtr(const SharedPtr<U>& other, KSTONE_MODEL_SITE) noexcept
      : SharedPtr(convert(other.shared(KSTONE_MODEL_HERE))) {}
  // Shares what `owner` owns, and points to a part of it.
  template <class U>
  SharedPtr(const SharedPtr<U>& owner, T* object, KSTONE_MODEL_SITE) noexcept
      : SharedPtr(sharing::Shared<T>{object, owner.shared(KSTONE_MODEL_HERE).block}) {}
  SharedPtr(SharedPtr&& other, KSTONE_MODEL_SITE) noexcept
      : SharedPtr(other.taken(KSTONE_MODEL_HERE)) {}
  template <class U>
    requires std::convertible_to<U*, T*>
  SharedPtr(SharedPtr<U>&& other, KSTONE_MODEL_SITE) noexcept
      : SharedPtr(convert(other.taken(KSTONE_MODEL_HERE))) {}

  ~SharedPtr() { release(variable_.end(), Site{}); }

  SharedPtr& operator=(const SharedPtr& other) noexcept { return assign(other.shared(Site{})); }
  template <class U>
    requires std::convertible_to<U*, T*>
  SharedPtr& operator=(const SharedPtr<U>& other) noexcept {
    return assign(convert(other.shared(Site{})));
  }
  SharedPtr& operator=(SharedPtr&& other) noexcept { return assign(other.taken(Site{})); }
  template <class U>
    requires std::convertible_to<U*, T*>
  SharedPtr& operator=(SharedPtr<U>&& other) noexcept {
    return assign(convert(other.taken(Site{})));
  }

  void reset(KSTONE_MODEL_SITE) noexcept {
    release(variable_.exchange({}, KSTONE_MODEL_HERE), KSTONE_MODEL_HERE);
  }
  template <class U>
    requires std::convertible_to<U*, T*>
  void reset(U* object) {
    SharedPtr(object).swap(*this);
  }
  template <class U, class Deleter>
    requires std::convertible_to<U*, T*>
  void reset(U* object, Deleter deleter) {
    SharedPtr(object, std::move(deleter)).swap(*this);
  }
  void swap(SharedPtr& other, KSTONE_MODEL_SITE) noexcept {
    const sharing::Shared<T> ours = variable_.read(KSTONE_MODEL_HERE);
    variable_.exchange(other.variable_.exchange(ours, KSTONE_MODEL_HERE), KSTONE_MODEL_HERE);
  }

  T* get(KSTONE_MODEL_SITE) const noexcept { return variable_.read(KSTONE_MODEL_HERE).object; }
  T& operator*() const noexcept { return *present(); }
  T* operator->() const noexcept { return present(); }
  explicit operator bool() const noexcept { return get("", 0, "") != nullptr; }

  // As std::shared_ptr's: a relaxed load, which may be old and orders nothing. "1" does not say
  // that what other owners did through theirs has been seen.
  long use_count(KSTONE_MODEL_SITE) const noexcept {
    const sharing::SharedBlock* const block = variable_.read(KSTONE_MODEL_HERE).block;
    return block == nullptr ? 0 : block->owners(KSTONE_MODEL_HERE);
  }

  runtime::ObjectId model_object() const { return variable_.model_object(); }

  friend void swap(SharedPtr& one, SharedPtr& other) noexcept { one.swap(other, "", 0, ""); }

 private:
  template <class U>
  friend class SharedPtr;
  template <class U>
  friend class WeakPtr;
  template <class U, class... Arguments>
  friend SharedPtr<U> make_shared_modelled(Arguments&&... arguments);

  explicit SharedPtr(sharing::Shared<T> value) noexcept : variable_(value, "shared_ptr") {}

  template <class U>
  static sharing::Shared<T> convert(sharing::Shared<U> value) {
    return {value.object, value.block};
  }
  static void release(sharing::Shared<T> value, Site at) {
    if (value.block != nullptr) {
      value.block->remove_owner(at);
    }
  }
  // One more owner.
  sharing::Shared<T> shared(Site at) const {
    const sharing::Shared<T> value = variable_.read(at);
    if (value.block != nullptr) {
      value.block->add_owner(at);
    }
    return value;
  }
  sharing::Shared<T> taken(Site at) { return variable_.exchange({}, at); }
  // The old object ends after the new one is in place, and when the variable is no longer touched.
  SharedPtr& assign(sharing::Shared<T> value) {
    release(variable_.exchange(value, Site{}), Site{});
    return *this;
  }
  T* present() const {
    T* const object = get("", 0, "");
    RelacySync::check(object != nullptr, "an empty shared_ptr is dereferenced", "", 0, "");
    return object;
  }

  sharing::PointerVariable<T> variable_;
};

template <class T>
class WeakPtr {
 public:
  using element_type = T;

  WeakPtr() noexcept : WeakPtr(sharing::Shared<T>{}) {}
  template <class U>
    requires std::convertible_to<U*, T*>
  WeakPtr(const SharedPtr<U>& owner, KSTONE_MODEL_SITE) noexcept
      : WeakPtr(observed(owner.variable_.read(KSTONE_MODEL_HERE), KSTONE_MODEL_HERE)) {}
  WeakPtr(const WeakPtr& other, KSTONE_MODEL_SITE) noexcept
      : WeakPtr(observed(other.variable_.read(KSTONE_MODEL_HERE), KSTONE_MODEL_HERE)) {}
  WeakPtr(WeakPtr&& other, KSTONE_MODEL_SITE) noexcept
      : WeakPtr(other.variable_.exchange({}, KSTONE_MODEL_HERE)) {}

  ~WeakPtr() { release(variable_.end(), Site{}); }

  WeakPtr& operator=(const WeakPtr& other) noexcept {
    return assign(observed(other.variable_.read(Site{}), Site{}));
  }
  WeakPtr& operator=(WeakPtr&& other) noexcept {
    return assign(other.variable_.exchange({}, Site{}));
  }
  template <class U>
    requires std::convertible_to<U*, T*>
  WeakPtr& operator=(const SharedPtr<U>& owner) noexcept {
    return assign(observed(owner.variable_.read(Site{}), Site{}));
  }

  void reset(KSTONE_MODEL_SITE) noexcept {
    release(variable_.exchange({}, KSTONE_MODEL_HERE), KSTONE_MODEL_HERE);
  }

  // Empty once the object has been destroyed, or if there never was one.
  SharedPtr<T> lock(KSTONE_MODEL_SITE) const noexcept {
    const sharing::Shared<T> value = variable_.read(KSTONE_MODEL_HERE);
    return SharedPtr<T>(value.block != nullptr && value.block->add_owner_if_any(KSTONE_MODEL_HERE)
                            ? value
                            : sharing::Shared<T>{});
  }
  long use_count(KSTONE_MODEL_SITE) const noexcept {
    const sharing::SharedBlock* const block = variable_.read(KSTONE_MODEL_HERE).block;
    return block == nullptr ? 0 : block->owners(KSTONE_MODEL_HERE);
  }
  bool expired(KSTONE_MODEL_SITE) const noexcept { return use_count(file, line, function) == 0; }

  runtime::ObjectId model_object() const { return variable_.model_object(); }

 private:
  explicit WeakPtr(sharing::Shared<T> value) noexcept : variable_(value, "weak_ptr") {}

  template <class U>
  static sharing::Shared<T> observed(sharing::Shared<U> value, Site at) {
    if (value.block != nullptr) {
      value.block->add_observer(at);
    }
    return {value.object, value.block};
  }
  static void release(sharing::Shared<T> value, Site at) {
    if (value.block != nullptr) {
      value.block->remove_observer(at);
    }
  }
  WeakPtr& assign(sharing::Shared<T> value) {
    release(variable_.exchange(value, Site{}), Site{});
    return *this;
  }

  sharing::PointerVariable<T> variable_;
};

template <class T, class U>
bool operator==(const SharedPtr<T>& one, const SharedPtr<U>& other) noexcept {
  return one.get("", 0, "") == other.get("", 0, "");
}
template <class T>
bool operator==(const SharedPtr<T>& one, std::nullptr_t) noexcept {
  return one.get("", 0, "") == nullptr;
}
template <class T, class U>
std::strong_ordering operator<=>(const SharedPtr<T>& one, const SharedPtr<U>& other) noexcept {
  return std::compare_three_way()(one.get("", 0, ""), other.get("", 0, ""));
}

template <class T, class U>
SharedPtr<T> static_pointer_cast(const SharedPtr<U>& from, KSTONE_MODEL_SITE) noexcept {
  return SharedPtr<T>(from, static_cast<T*>(from.get(file, line, function)), file, line, function);
}
template <class T, class U>
SharedPtr<T> const_pointer_cast(const SharedPtr<U>& from, KSTONE_MODEL_SITE) noexcept {
  return SharedPtr<T>(from, const_cast<T*>(from.get(file, line, function)), file, line, function);
}
template <class T, class U>
SharedPtr<T> dynamic_pointer_cast(const SharedPtr<U>& from, KSTONE_MODEL_SITE) noexcept {
  T* const object = dynamic_cast<T*>(from.get(file, line, function));
  return object == nullptr ? SharedPtr<T>() : SharedPtr<T>(from, object, file, line, function);
}

template <class T, class... Arguments>
SharedPtr<T> make_shared_modelled(Arguments&&... arguments) {
  auto* const block =
      new sharing::InPlaceBlock<std::remove_cv_t<T>>(std::forward<Arguments>(arguments)...);
  return SharedPtr<T>(sharing::Shared<T>{block->object(), block});
}

template <class T, class... Arguments>
SharedPtr<T> RelacySync::make_shared(Arguments&&... arguments) {
  return make_shared_modelled<T>(std::forward<Arguments>(arguments)...);
}

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RELACY_SHARED_PTR_H_
