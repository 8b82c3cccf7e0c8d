// Records that were tampered with, which the replay must reject: transitions that are missing, or
// there twice, or in another order; and forgeries whose words are without a fault, so that only the
// protocol can tell.

#ifndef KSTONE_TSAN_STRESS_TAMPER_H_
#define KSTONE_TSAN_STRESS_TAMPER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"
#include "kstone/detail/words/stripe_word.h"
#include "trace.h"

namespace kstone::stress {

// The logs of one life, to be changed; afterwards they are as before.
class TamperedRecord {
 public:
  using Random = std::mt19937;

  TamperedRecord(const trace::Setting& setting, const std::vector<trace::Log*>& logs)
      : setting_(setting), callers_(logs) {
    for (auto* log : logs) {
      add(*log);
    }
  }
  ~TamperedRecord() {
    for (auto& [log, events] : before_) {
      log->events.swap(events);
    }
  }
  TamperedRecord(const TamperedRecord&) = delete;
  TamperedRecord& operator=(const TamperedRecord&) = delete;

  // What is wrong now; empty if nothing is found.
  std::string verdict() const {
    return trace::replay(setting_, {callers_.begin(), callers_.end()}).illegal;
  }

  // Each changes the record and says how; nothing if the record has none to be changed so.

  std::optional<std::string> drop(Random& random) {
    const auto [events, index] = any_transition(random);
    events->erase(at(*events, index));
    return "a dropped transition";
  }
  std::optional<std::string> repeat(Random& random) {
    const auto [events, index] = any_transition(random);
    const auto event = (*events)[index];
    events->insert(at(*events, index), event);
    return "a doubled transition";
  }
  std::optional<std::string> swap(Random& random) {
    const auto [events, index] = any_transition(random);
    auto& event = (*events)[index];
    const auto other = words_[event.object].find(event.version + 1);
    if (other == words_[event.object].end()) {
      return std::nullopt;
    }
    std::swap(event.version, other->second->version);
    return "two swapped transitions";
  }

  // A stripe is taken over and its word never says so, nor that its node has arrived.
  std::optional<std::string> unmark(Random& random) {
    const auto marking = any(random, [](const trace::Event& event) {
      return !word(event.before).under_way() && word(event.after).under_way();
    });
    if (!marking) {
      return std::nullopt;
    }
    const auto [id, from] = *marking;
    auto clearing = words_[id].upper_bound(from);
    while (word(clearing->second->after).under_way()) {
      ++clearing;
    }
    const auto to = clearing->first;
    const bool closes = word(clearing->second->after).closed();
    rewrite(id, [=](trace::Event& event) {
      const auto version = event.version;
      const bool changes = event.act == trace::Act::transition;
      if (changes && version > from && version <= to) {
        event.before &= ~mark;
      }
      if (version >= from && version < to) {
        event.after &= ~mark;
      }
      event.version -= (version >= from ? 1U : 0U) + (version >= to && !closes ? 1U : 0U);
      return !(changes && (version == from || (version == to && !closes)));
    });
    return "a stripe that is taken over without a mark";
  }

  // A node arrives late, and the stripe, which somebody has requested since, is not queued: the
  // request is made up.
  std::optional<std::string> lose_arrival(Random& random) {
    const auto clearing = any(
        random, [](const trace::Event& event) { return event.before == mark && event.after == 0; });
    if (!clearing) {
      return std::nullopt;
    }
    const auto [id, from] = *clearing;
    auto taking = words_[id].upper_bound(from);
    while (!word(taking->second->after).running() && !word(taking->second->after).closed()) {
      ++taking;
    }
    const auto to = taking->first;
    rewrite(id, [=](trace::Event& event) {
      const auto version = event.version;
      const bool changes = event.act == trace::Act::transition;
      event.before += changes && version >= from && version <= to ? request : 0;
      event.after += version >= from && version < to ? request : 0;
      event.version += version >= from ? 1U : 0U;
      return true;
    });
    using trace::Act;
    const auto call = static_cast<std::uint8_t>(trace::Call::queue_compaction);
    auto* log = callers_.back();
    log->add({Act::call_begin, call, 0, 0, 0, id});
    log->add({Act::transition, 0, id, from, mark, mark + request});
    log->add({Act::call_end, call, 0, 0, 0, static_cast<std::uint64_t>(Submission::queued)});
    return "a late arrival that is lost";
  }

 private:
  using Events = std::vector<trace::Event>;
  static constexpr auto mark = detail::StripeWord::under_way_bit;
  static constexpr auto request = detail::StripeWord::one_request;

  static detail::StripeWord word(std::uint64_t bits) { return detail::StripeWord{bits}; }
  static Events::iterator at(Events& events, std::size_t index) {
    return events.begin() + static_cast<std::ptrdiff_t>(index);
  }

  void add(trace::Log& log) {
    before_.emplace_back(&log, log.events);
    for (std::size_t i = 0; i < log.events.size(); ++i) {
      if (auto& event = log.events[i]; event.act == trace::Act::transition) {
        transitions_.emplace_back(&log.events, i);
        words_[event.object][event.version] = &event;
      }
    }
    for (const auto& child : log.children) {
      add(*child);
    }
  }

  std::pair<Events*, std::size_t> any_transition(Random& random) const {
    return transitions_[random() % transitions_.size()];
  }

  // A stripe, and the version that such a transition of its word made.
  template <class Condition>
  std::optional<std::pair<std::uint32_t, std::uint64_t>> any(Random& random,
                                                             const Condition& condition) const {
    std::vector<std::pair<std::uint32_t, std::uint64_t>> all;
    for (const auto& [id, versions] : words_) {
      for (const auto& [version, event] : versions) {
        if (id != trace::control_object && condition(*event)) {
          all.emplace_back(id, version);
        }
      }
    }
    return all.empty() ? std::nullopt : std::optional(all[random() % all.size()]);
  }

  // Every event that speaks of the stripe's word; those stay for which the answer is true.
  template <class Change>
  void rewrite(std::uint32_t id, const Change& change) {
    for (auto& [log, unchanged] : before_) {
      Events events;
      for (auto event : log->events) {
        const bool of_word =
            (event.act == trace::Act::transition || event.act == trace::Act::load) &&
            event.object == id;
        if (!of_word || change(event)) {
          events.push_back(event);
        }
      }
      log->events.swap(events);
    }
  }

  const trace::Setting& setting_;
  std::vector<trace::Log*> callers_;
  std::vector<std::pair<trace::Log*, Events>> before_;
  std::vector<std::pair<Events*, std::size_t>> transitions_;
  std::map<std::uint32_t, std::map<std::uint64_t, trace::Event*>> words_;
};

}  // namespace kstone::stress

#endif  // KSTONE_TSAN_STRESS_TAMPER_H_
