// Records that were tampered with, which the replay must reject: transitions that are missing, or
// there twice, or in another order; and forgeries whose words are without a fault, so that only the
// protocol can tell.

#ifndef KSTONE_TSAN_STRESS_TAMPER_H_
#define KSTONE_TSAN_STRESS_TAMPER_H_

#include <algorithm>
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
    return unmark(any(random, &marks), "a stripe that is taken over without a mark");
  }
  // A claim is given up, and its word never says so.
  std::optional<std::string> unmark_withdrawal(Random& random) {
    return unmark(any(random,
                      [this](const trace::Event& event) {
                        return marks(event) && is_before_withdrawal(event);
                      }),
                  "a claim that is given up without a mark");
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
    log->add({Act::call_begin, call, 0, 0, 0, trace::RequestArgument(id, {}).all});
    log->add({Act::transition, 0, id, from, mark, mark + request});
    log->add({Act::call_end, call, 0, 0, 0, static_cast<std::uint64_t>(Submission::queued)});
    return "a late arrival that is lost";
  }

  // A removal whose word accepts requests until the stripe is restored.
  std::optional<std::string> accept_removed(Random& random) {
    const auto removing = any(random, [](const trace::Event& event) {
      return !word(event.before).removed() && word(event.after).removed();
    });
    if (!removing) {
      return std::nullopt;
    }
    const auto [id, from] = *removing;
    auto restoring = words_[id].upper_bound(from);
    while (word(restoring->second->after).removed() && !word(restoring->second->after).closed()) {
      ++restoring;
    }
    const auto to = restoring->first;
    rewrite(id, [=](trace::Event& event) {
      const auto version = event.version;
      event.before &= version > from && version <= to ? ~removed : ~0ULL;
      event.after &= version >= from && version < to ? ~removed : ~0ULL;
      return true;
    });
    return "a removed stripe whose word accepts requests";
  }

  // A cancel that leaves the requests where they are, so that the stripe stays queued, until its
  // word is closed or the stripe removed. Nobody has asked for it in between.
  std::optional<std::string> keep_requests(Random& random) {
    const auto emptying = any(random, [this](const trace::Event& event) {
      return word(event.before).wanted() && event.after == event.before % request &&
             end_of_kept(event).has_value();
    });
    if (!emptying) {
      return std::nullopt;
    }
    const auto [id, from] = *emptying;
    const auto& event = *words_[id][from];
    const auto to = *end_of_kept(event);
    const auto kept = event.before - event.after;
    rewrite(id, [=](trace::Event& each) {
      const auto version = each.version;
      const bool changes = each.act == trace::Act::transition;
      each.before += changes && version > from && version <= to ? kept : 0;
      each.after += version >= from && version < to ? kept : 0;
      each.version -= version >= from ? 1U : 0U;
      return !(changes && version == from);
    });
    return "a cancel that leaves the stripe queued";
  }

  // A pause of one stripe becomes one of another, which is taken before the pause has ended.
  std::optional<std::string> pause_another(Random& random) {
    const auto holds = read_holds();
    std::vector<std::pair<const Holds::Pause*, std::uint32_t>> all;
    for (const auto& pause : holds.pauses) {
      for (const auto& [id, takes] : holds.takes) {
        const auto is_under_it = [&](const std::vector<std::uint64_t>& numbers) {
          const auto first = std::upper_bound(numbers.begin(), numbers.end(), pause.from);
          return first != numbers.end() && *first < pause.to;
        };
        const auto restores = holds.restores.find(id);
        if (is_under_it(takes) &&
            (restores == holds.restores.end() || !is_under_it(restores->second))) {
          all.emplace_back(&pause, id);
        }
      }
    }
    if (all.empty()) {
      return std::nullopt;
    }
    const auto [pause, id] = all[random() % all.size()];
    auto& event = (*pause->events)[pause->call];
    event.after =
        trace::PauseArgument(trace::PauseArgument(event.after).number(), id).number_and_stripe;
    return "a pause whose stripe is taken";
  }

  // A call that found, or did, something else than it says.
  std::optional<std::string> lie(Random& random) {
    std::vector<trace::Event*> all;
    for (auto& [log, unchanged] : before_) {
      for (auto& event : log->events) {
        if (event.act == trace::Act::call_end && lie_of(event, random)) {
          all.push_back(&event);
        }
      }
    }
    if (all.empty()) {
      return std::nullopt;
    }
    auto& event = *all[random() % all.size()];
    event.after = *lie_of(event, random);
    return "a false answer of call " + std::to_string(event.detail);
  }

 private:
  using Events = std::vector<trace::Event>;
  static constexpr auto mark = detail::StripeWord::under_way_bit;
  static constexpr auto request = detail::StripeWord::one_request;
  static constexpr auto removed = detail::StripeWord::removed_bit;

  // Pauses of one stripe that held it, and takes and restores of each, by the holds of the mutex.
  struct Holds {
    struct Pause {
      Events* events;
      std::size_t call;
      std::uint64_t from;
      std::uint64_t to;
    };
    std::vector<Pause> pauses;
    std::map<std::uint32_t, std::vector<std::uint64_t>> takes;
    std::map<std::uint32_t, std::vector<std::uint64_t>> restores;
  };

  static bool marks(const trace::Event& event) {
    return !word(event.before).under_way() && word(event.after).under_way();
  }
  static bool takes(const trace::Event& event) {
    return !word(event.before).running() && word(event.after).running();
  }
  static bool restores(const trace::Event& event) {
    return word(event.before).removed() && !word(event.after).removed();
  }

  using Marking = std::optional<std::pair<std::uint32_t, std::uint64_t>>;

  std::optional<std::string> unmark(const Marking& marking, const char* what) {
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
    return what;
  }

  // ... which follows it in the log: the transition that takes the requests out.
  bool is_before_withdrawal(const trace::Event& marking) const {
    const auto& versions = words_.at(marking.object);
    for (auto next = versions.upper_bound(marking.version); next != versions.end(); ++next) {
      const auto& event = *next->second;
      if (event.after != event.before + request) {
        return &event == &marking + 1 && word(event.after).requests() == 0 &&
               !word(event.after).running() && !word(event.after).closed();
      }
    }
    return false;
  }

  // The version that ends what a cancel has left, if nobody asks for the stripe before that.
  std::optional<std::uint64_t> end_of_kept(const trace::Event& emptying) const {
    const auto& versions = words_.at(emptying.object);
    for (auto next = versions.upper_bound(emptying.version); next != versions.end(); ++next) {
      const auto& event = *next->second;
      if (event.after >= event.before + request) {
        return std::nullopt;
      }
      if (word(event.after).rejects()) {
        return next->first;
      }
    }
    return std::nullopt;
  }

  Holds read_holds() {
    Holds result;
    std::map<std::uint32_t, Holds::Pause> open;
    std::map<std::uint32_t, std::uint64_t> ends;
    for (auto& [log, unchanged] : before_) {
      read_holds(log->events, result, open, ends);
    }
    for (auto& [number, pause] : open) {
      if (const auto end = ends.find(number); end != ends.end()) {
        pause.to = end->second;
        result.pauses.push_back(pause);
      }
    }
    for (auto* each : {&result.takes, &result.restores}) {
      for (auto& [id, numbers] : *each) {
        std::sort(numbers.begin(), numbers.end());
      }
    }
    return result;
  }
  void read_holds(Events& events, Holds& result, std::map<std::uint32_t, Holds::Pause>& open,
                  std::map<std::uint32_t, std::uint64_t>& ends) const {
    std::uint64_t hold = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const auto& event = events[i];
      if (event.act == trace::Act::lock) {
        hold = event.version;
      } else if (event.act == trace::Act::call_begin && i + 2 < events.size()) {
        // The hold, if it takes the mutex; with a limit it looks at the clock before.
        const auto next = events[i + (events[i + 1].act == trace::Act::clock ? 2U : 1U)].version;
        if (event.detail == static_cast<std::uint8_t>(trace::Call::resume)) {
          ends[static_cast<std::uint32_t>(event.after)] = next;
        } else if (event.detail == static_cast<std::uint8_t>(trace::Call::pause) &&
                   trace::PauseArgument(event.after).stripe()) {
          open.emplace(trace::PauseArgument(event.after).number(),
                       Holds::Pause{&events, i, next, next});
        }
      } else if (event.act == trace::Act::transition && event.object != trace::control_object) {
        if (takes(event)) {
          result.takes[event.object].push_back(hold);
        } else if (restores(event)) {
          result.restores[event.object].push_back(hold);
        }
      }
    }
  }

  // What the call answers instead; none, if the answer is not one of these.
  static std::optional<std::uint64_t> lie_of(const trace::Event& event, Random& random) {
    using trace::Call;
    constexpr auto number = [](Submission answer) { return static_cast<std::uint64_t>(answer); };
    switch (static_cast<Call>(event.detail)) {
      case Call::cancel:
      case Call::cancel_within:
        return event.after ^ (std::uint64_t{8} << (random() % 3));
      case Call::remove:
      case Call::restore:
      case Call::is_removed:
      case Call::pause:
      case Call::set_max_concurrent:
        return event.after ^ 1;
      case Call::queue_compaction:
        return event.after == number(Submission::rejected_removed)
                   ? std::optional(number(Submission::coalesced))
                   : std::nullopt;
      default:
        return std::nullopt;
    }
  }

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
