// What waits since it failed, and until when, by the contract: beside the core, which has it in
// another way. Times are those that the worker has read.
//
// Thread safety: a value.

#ifndef KSTONE_TSAN_REPLAY_DELAYS_H_
#define KSTONE_TSAN_REPLAY_DELAYS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "../protocol/protocol.h"
#include "trace.h"

namespace kstone::trace {

class Delays {
 public:
  using Time = std::uint64_t;

  explicit Delays(const Setting& setting) : setting_(setting) {}

  // A compaction of the stripe has ended so.
  void note(std::uint32_t id, protocol::Kind kind, bool lacks_resource) {
    using protocol::Kind;
    auto& of = stripes_[id];
    if (kind == Kind::retry || kind == Kind::failed) {
      of.lacks_resource = lacks_resource;
      of.failures += lacks_resource ? 0 : 1;
    } else if (kind != Kind::stopped) {
      resource_is_back_ |= of.lacks_resource && kind != Kind::nothing_to_do && !lacking_.empty();
      of = {};
    }
  }

  // Whether the stripe will have failed so often that it waits for a probe, if it has once more.
  bool quarantines(std::uint32_t id, bool lacks_resource) {
    return setting_.quarantine_after != 0 && !lacks_resource &&
           stripes_[id].failures + 1 >= setting_.quarantine_after;
  }

  void delay(std::uint32_t id, Time now, bool quarantined) {
    const auto& of = stripes_[id];
    if (of.lacks_resource) {
      resource_is_back_ = false;
      if (lacking_.empty()) {
        resource_due_ = std::max(resource_due_, now + setting_.resource_interval);
      }
      lacking_.push_back(id);
      return;
    }
    if (quarantined) {
      timed_.push_back({now + setting_.probe_interval, id});
      return;
    }
    auto delay = setting_.initial;
    for (auto i = of.failures; i > 1 && delay < setting_.cap; --i) {
      delay *= 2;
    }
    timed_.push_back({now + std::min(delay, setting_.cap), id});
  }
  // Nothing happens if it is not delayed.
  void end(std::uint32_t id) {
    std::erase_if(timed_, [id](const Timed& each) { return each.id == id; });
    std::erase(lacking_, id);
    resource_is_back_ = resource_is_back_ && !lacking_.empty();
  }
  void restore(std::uint32_t id) { stripes_.erase(id); }
  void forget_failures(std::uint32_t id) { stripes_[id].failures = 0; }

  std::optional<Time> next_due() const {
    std::optional<Time> next;
    const auto at = [&next](Time time) { next = next ? std::min(*next, time) : time; };
    for (const auto& each : timed_) {
      at(each.due);
    }
    if (!lacking_.empty()) {
      at(resource_is_back_ ? 0 : resource_due_);
    }
    return next;
  }

  // What is due, in its order; it is not delayed any more.
  std::vector<std::uint32_t> expire(Time now) {
    std::sort(timed_.begin(), timed_.end(), [](const Timed& a, const Timed& b) {
      return a.due < b.due || (a.due == b.due && a.id < b.id);
    });
    std::vector<std::uint32_t> result;
    if (resource_is_back_) {
      result.insert(result.end(), lacking_.begin(), lacking_.end());
    } else if (!lacking_.empty() && resource_due_ <= now) {
      resource_due_ = now + setting_.resource_interval;
      result.push_back(lacking_.front());
    }
    for (const auto& each : timed_) {
      if (each.due <= now) {
        result.push_back(each.id);
      }
    }
    for (const auto id : result) {
      end(id);
    }
    return result;
  }

 private:
  struct Timed {
    Time due;
    std::uint32_t id;
  };
  struct OfStripe {
    unsigned failures = 0;  // in a row
    bool lacks_resource = false;
  };

  Setting setting_;
  std::unordered_map<std::uint32_t, OfStripe> stripes_;
  std::vector<Timed> timed_;
  std::deque<std::uint32_t> lacking_;  // what waits for the resource
  Time resource_due_ = 0;
  bool resource_is_back_ = false;
};

}  // namespace kstone::trace

#endif  // KSTONE_TSAN_REPLAY_DELAYS_H_
