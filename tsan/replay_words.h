// The words of a recorded run: all transitions of each, in their order, and what those of the
// control word did.

#ifndef KSTONE_TSAN_REPLAY_WORDS_H_
#define KSTONE_TSAN_REPLAY_WORDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "../protocol/layout.h"
#include "trace.h"

namespace kstone::trace {

using StripeWord = protocol::StripeWord<std::uint64_t, bool>;
using ControlWord = protocol::ControlWord<std::uint64_t, bool>;

struct Illegal {
  std::string text;
};

[[noreturn]] inline void illegal(std::string text) { throw Illegal{std::move(text)}; }

inline void require(bool holds, const char* text) {
  if (!holds) {
    illegal(text);
  }
}

// That the step just taken made of the word what is recorded.
inline void require_made(const StripeWord& word, const Event& event, const char* otherwise) {
  require(protocol::bits_of(word) == event.after, otherwise);
}

// The transitions of one word; the n-th is version n.
class Chain {
 public:
  void begins_with(std::uint64_t value) { first_ = value; }
  void add(const Event& event);
  // Each begins where the one before it ended, and none is missing.
  void check() const;

  std::uint64_t value(std::uint64_t version) const;

  // What the thread that holds the mutex sees of a word is not older than what a holder before it
  // has seen.
  void seen_by_holder(std::uint64_t version);

  const std::vector<const Event*>& transitions() const { return transitions_; }

 private:
  std::vector<const Event*> transitions_;
  std::uint64_t first_ = 0;
  std::uint64_t newest_seen_ = 0;
};

// A step on the control word.
enum class Step { push, take_inbox, add_sleeper, claim_sleeper, close };

// The transitions of the control word, each as the one step of the protocol that makes it.
class ControlSteps {
 public:
  void read(const Chain& control, std::uint32_t worker_threads, std::uint32_t stripes);

  Step step(std::uint64_t version) const { return steps_[version - 1].step; }
  // The node that it pushed, by number.
  std::uint32_t pushed(std::uint64_t version) const {
    return pushed_[steps_[version - 1].pushed - 1];
  }
  // The nodes that it took out of the inbox, oldest first.
  std::vector<std::uint32_t> taken(std::uint64_t version) const;

  std::uint64_t claims() const { return claims_; }
  std::uint64_t sleeps() const { return sleeps_; }

 private:
  struct Numbered {
    Step step;
    std::size_t taken;  // the inbox before a taking: pushed_[taken .. pushed)
    std::size_t pushed;
  };
  std::vector<Numbered> steps_;
  std::vector<std::uint32_t> pushed_;  // nodes, in the order in which they were
  std::uint64_t claims_ = 0;
  std::uint64_t sleeps_ = 0;
};

}  // namespace kstone::trace

#endif  // KSTONE_TSAN_REPLAY_WORDS_H_
