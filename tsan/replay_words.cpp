#include "replay_words.h"

#include <algorithm>
#include <utility>

namespace kstone::trace {

void Chain::add(const Event& event) {
  require(event.version != 0, "a transition without a number");
  if (event.version > transitions_.size()) {
    transitions_.resize(event.version, nullptr);
  }
  require(transitions_[event.version - 1] == nullptr,
          "two transitions of a word have the same number");
  transitions_[event.version - 1] = &event;
}

void Chain::check() const {
  std::uint64_t value = first_;
  for (const auto* transition : transitions_) {
    require(transition != nullptr, "a transition of a word is missing");
    require(transition->before == value,
            "a transition does not begin where the one before it ended");
    value = transition->after;
  }
}

std::uint64_t Chain::value(std::uint64_t version) const {
  require(version <= transitions_.size(), "a load of a value that the word never had");
  return version == 0 ? first_ : transitions_[version - 1]->after;
}

void Chain::seen_by_holder(std::uint64_t version) {
  require(version >= newest_seen_, "a holder of the mutex sees an older value than one before it");
  newest_seen_ = version;
}

namespace {

// `word` after the step; false if it is not possible.
bool make(Step step, ControlWord& word, std::uint64_t node, bool brings_stripe) {
  switch (step) {
    case Step::push:
      return word.may_push() && (word.push(node, brings_stripe), true);
    case Step::take_inbox:
      return word.may_take_inbox() && (word.take_inbox(), true);
    case Step::add_sleeper:
      return word.may_add_sleeper() && (word.add_sleeper(), true);
    case Step::claim_sleeper:
      return word.may_claim_sleeper() && (word.claim_sleeper(), true);
    case Step::close:
      return word.may_close() && (word.close(), true);
  }
  return false;
}

Step step_of(const Event& transition, std::uint32_t stripes) {
  const auto before = protocol::control_word_of(transition.before);
  require(!before.closed, "the control word changes after it was closed");
  const auto newest = protocol::control_word_of(transition.after).newest;
  // A push comes last: to claim a sleeper over a raise looks like pushing that raise a second time,
  // and to take raises alone like pushing nothing.
  for (const auto step :
       {Step::claim_sleeper, Step::take_inbox, Step::add_sleeper, Step::close, Step::push}) {
    auto word = before;
    const bool brings_stripe =
        newest != 0 &&
        detail::Node::of(static_cast<std::uint32_t>(newest - 1), stripes).brings_stripe();
    if (make(step, word, newest - 1, brings_stripe) &&
        protocol::bits_of(word) == transition.after) {
      return step;
    }
  }
  illegal("the control word has no such transition");
}

}  // namespace

void ControlSteps::read(const Chain& control, std::uint32_t worker_threads, std::uint32_t stripes) {
  std::size_t taken = 0;
  for (const auto* transition : control.transitions()) {
    const auto before = protocol::control_word_of(transition->before);
    const auto after = protocol::control_word_of(transition->after);
    const auto step = step_of(*transition, stripes);
    require(after.sleepers <= worker_threads, "more threads sleep than there are");
    if (step == Step::push) {
      pushed_.push_back(static_cast<std::uint32_t>(after.newest - 1));
    }
    claims_ += step == Step::claim_sleeper || (step == Step::push && before.wakes()) ? 1U : 0U;
    sleeps_ += step == Step::add_sleeper ? 1U : 0U;
    steps_.push_back({step, taken, pushed_.size()});
    if (step == Step::take_inbox) {
      const auto bring_stripes =
          std::count_if(pushed_.begin() + static_cast<std::ptrdiff_t>(taken), pushed_.end(),
                        [stripes](std::uint32_t node) {
                          return detail::Node::of(node, stripes).brings_stripe();
                        });
      require(static_cast<std::uint64_t>(bring_stripes) == before.length,
              "the inbox is not as long as its word says");
      taken = pushed_.size();
    }
  }
}

std::vector<std::uint32_t> ControlSteps::taken(std::uint64_t version) const {
  const auto& step = steps_[version - 1];
  return {pushed_.begin() + static_cast<std::ptrdiff_t>(step.taken),
          pushed_.begin() + static_cast<std::ptrdiff_t>(step.pushed)};
}

}  // namespace kstone::trace
