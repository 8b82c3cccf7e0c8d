// The standard's guards of a modelled mutex: as the standard's own, but that they know the line
// that makes them.
//
// The default arguments which say where a mutex is locked would otherwise name a line of the
// standard's header, and every guarded section of an engine the same. A program may specialize
// these templates for a type of its own. try_to_lock, deadlines and guards of several mutexes are
// not there: the modelled mutex only locks and unlocks.

#ifndef KSTONE_MODEL_RELACY_LOCKS_H_
#define KSTONE_MODEL_RELACY_LOCKS_H_

#include <mutex>
#include <utility>

#include "relacy_sync.h"

namespace std {

template <>
class lock_guard<kstone::model::RelacySync::mutex> {
 public:
  using mutex_type = kstone::model::RelacySync::mutex;

  explicit lock_guard(mutex_type& mutex, KSTONE_MODEL_SITE)
      : mutex_(mutex), site_(KSTONE_MODEL_HERE) {
    mutex_.lock(file, line, function);
  }
  lock_guard(mutex_type& mutex, adopt_lock_t, KSTONE_MODEL_SITE)
      : mutex_(mutex), site_(KSTONE_MODEL_HERE) {}
  ~lock_guard() { mutex_.unlock(site_.file, site_.line, site_.function); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;

 private:
  mutex_type& mutex_;
  kstone::model::Site site_;
};

template <>
class scoped_lock<kstone::model::RelacySync::mutex> {
 public:
  using mutex_type = kstone::model::RelacySync::mutex;

  explicit scoped_lock(mutex_type& mutex, KSTONE_MODEL_SITE)
      : guard_(mutex, file, line, function) {}
  scoped_lock(adopt_lock_t adopt, mutex_type& mutex, KSTONE_MODEL_SITE)
      : guard_(mutex, adopt, file, line, function) {}
  scoped_lock(const scoped_lock&) = delete;
  scoped_lock& operator=(const scoped_lock&) = delete;

 private:
  lock_guard<mutex_type> guard_;
};

template <>
class unique_lock<kstone::model::RelacySync::mutex> {
 public:
  using mutex_type = kstone::model::RelacySync::mutex;

  unique_lock() noexcept = default;
  explicit unique_lock(mutex_type& mutex, KSTONE_MODEL_SITE)
      : mutex_(&mutex), site_(KSTONE_MODEL_HERE) {
    lock(file, line, function);
  }
  unique_lock(mutex_type& mutex, defer_lock_t, KSTONE_MODEL_SITE) noexcept
      : mutex_(&mutex), site_(KSTONE_MODEL_HERE) {}
  unique_lock(mutex_type& mutex, adopt_lock_t, KSTONE_MODEL_SITE) noexcept
      : mutex_(&mutex), owns_(true), site_(KSTONE_MODEL_HERE) {}
  unique_lock(unique_lock&& other) noexcept
      : mutex_(std::exchange(other.mutex_, nullptr)),
        owns_(std::exchange(other.owns_, false)),
        site_(other.site_) {}
  unique_lock& operator=(unique_lock&& other) noexcept {
    unique_lock(std::move(other)).swap(*this);
    return *this;
  }
  ~unique_lock() {
    if (owns_) {
      mutex_->unlock(site_.file, site_.line, site_.function);
    }
  }

  void lock(KSTONE_MODEL_SITE) {
    require(mutex_ != nullptr && !owns_, "a unique_lock locks without a mutex, or a second time",
            KSTONE_MODEL_HERE);
    mutex_->lock(file, line, function);
    owns_ = true;
  }
  void unlock(KSTONE_MODEL_SITE) {
    require(owns_, "a unique_lock unlocks what it does not own", KSTONE_MODEL_HERE);
    owns_ = false;
    mutex_->unlock(file, line, function);
  }
  void swap(unique_lock& other) noexcept {
    std::swap(mutex_, other.mutex_);
    std::swap(owns_, other.owns_);
    std::swap(site_, other.site_);
  }
  mutex_type* release() noexcept {
    owns_ = false;
    return std::exchange(mutex_, nullptr);
  }
  bool owns_lock() const noexcept { return owns_; }
  explicit operator bool() const noexcept { return owns_; }
  mutex_type* mutex() const noexcept { return mutex_; }

 private:
  // std::system_error in the standard's: no engine means to.
  static void require(bool holds, const char* sentence, kstone::model::Site at) {
    kstone::model::RelacySync::check(holds, sentence, at.file, at.line, at.function);
  }

  mutex_type* mutex_ = nullptr;
  bool owns_ = false;
  kstone::model::Site site_;
};

}  // namespace std

#endif  // KSTONE_MODEL_RELACY_LOCKS_H_
