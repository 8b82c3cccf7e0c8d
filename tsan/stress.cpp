// Real threads, every call the worker has, shutdown at a random moment, for a bounded number of
// rounds; each round makes a worker and destroys it. Built with a sanitizer.
//
//   kstone_tsan_stress [--rounds N] [--seconds N] [--seed N] [--recorded [--tamper N]]
//   [--threads-stay] [--fault NAME]
//
// It ends after so many rounds, or so many seconds. --recorded runs the worker on RecordingSync and
// replays each round; --tamper also changes N transitions of each record, every one of which the
// replay must reject. --threads-stay lets no job end its thread: UBSan takes the catch clause of a
// forced unwinding, which has no object, for a null reference. --fault plants one of the faults
// of stress_faults.h: one that a sanitizer must report, or a policy that the replay must find
// out.
//
// The last line says what was done. The exit status is 0 if all was well, 1 if not, 2 for wrong
// arguments.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "stress_faults.h"
#include "stress_round.h"
#include "trace.h"

namespace {

using namespace kstone::stress;

// -- Records --------------------------------------------------------------------------------------

kstone::trace::Verdict replay(const kstone::trace::Setting& setting,
                              const std::vector<Log*>& logs) {
  return kstone::trace::replay(setting, {logs.begin(), logs.end()});
}

// Drops, doubles or swaps a transition; the replay must reject the record. Afterwards it is as
// before.
void tamper(const kstone::trace::Setting& setting, const std::vector<Log*>& logs, Random& random,
            Totals& totals) {
  std::vector<Log*> all = logs;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto& child : all[i]->children) {
      all.push_back(child.get());
    }
  }
  std::vector<std::pair<std::vector<kstone::trace::Event>*, std::size_t>> transitions;
  std::map<std::pair<std::uint32_t, std::uint64_t>, kstone::trace::Event*> by_version;
  for (auto* log : all) {
    for (std::size_t i = 0; i < log->events.size(); ++i) {
      if (auto& event = log->events[i]; event.act == Act::transition) {
        transitions.emplace_back(&log->events, i);
        by_version[{event.object, event.version}] = &event;
      }
    }
  }
  const auto [events, index] = transitions[random() % transitions.size()];
  const auto at = events->begin() + static_cast<std::ptrdiff_t>(index);
  const auto event = *at;
  std::string what;
  std::string found;
  const auto check = [&] { found = replay(setting, logs).illegal; };
  switch (random() % 3) {
    case 0:
      what = "a dropped transition";
      events->erase(at);
      check();
      events->insert(events->begin() + static_cast<std::ptrdiff_t>(index), event);
      break;
    case 1:
      what = "a doubled transition";
      events->insert(at, event);
      check();
      events->erase(events->begin() + static_cast<std::ptrdiff_t>(index));
      break;
    default: {
      what = "two swapped transitions";
      const auto other = by_version.find({event.object, event.version + 1});
      if (other == by_version.end()) {
        return;
      }
      const auto swap = [&] { std::swap(at->version, other->second->version); };
      swap();
      check();
      swap();
    }
  }
  ++totals.tampered;
  if (found.empty()) {
    fail("the replay does not notice " + what);
  }
}

struct Arguments {
  std::uint64_t rounds = 0;
  std::uint64_t seconds = 0;
  std::uint64_t seed = std::random_device()();
  std::uint64_t tamper = 0;
  bool recorded = false;
  bool threads_stay = false;
  std::string fault = "none";
};

template <class Sync>
int rounds(const Arguments& arguments) {
  constexpr bool can_record = std::is_base_of_v<kstone::trace::RecordingSync, Sync>;
  Random random(static_cast<Random::result_type>(arguments.seed));
  Totals totals;
  const auto begin = std::chrono::steady_clock::now();
  const auto in_time = [&] {
    return arguments.rounds != 0
               ? totals.rounds < arguments.rounds
               : std::chrono::steady_clock::now() - begin < std::chrono::seconds(arguments.seconds);
  };
  while (in_time() && totals.illegal == 0) {
    Round<Sync> round(random, can_record, arguments.threads_stay);
    round.run(random);
    round.add_to(totals);
    if constexpr (can_record) {
      const auto verdict = replay(round.setting(), round.logs());
      totals.transitions_replayed += verdict.transitions;
      totals.events_replayed += verdict.events;
      totals.holds_replayed += verdict.holds;
      if (!verdict.illegal.empty()) {
        ++totals.illegal;
        std::printf("ILLEGAL in round %llu: %s\n", static_cast<unsigned long long>(totals.rounds),
                    verdict.illegal.c_str());
      }
      for (std::uint64_t i = 0; i < arguments.tamper && totals.illegal == 0; ++i) {
        tamper(round.setting(), round.logs(), random, totals);
      }
    }
  }
  const auto show = [](const char* name, std::uint64_t value) {
    std::printf(" %s=%llu", name, static_cast<unsigned long long>(value));
  };
  std::printf("done:");
  show("rounds", totals.rounds);
  show("requests", totals.requests);
  show("compactions", totals.compactions);
  show("publications_checked", totals.publications_checked);
  show("transitions_replayed", totals.transitions_replayed);
  show("events_replayed", totals.events_replayed);
  show("holds_replayed", totals.holds_replayed);
  show("tampered_and_noticed", totals.tampered);
  show("transitions_illegal", totals.illegal);
  std::printf("\n");
  if (totals.publications_checked == 0 && totals.illegal == 0) {
    fail("publication was never looked at");
  }
  return totals.illegal == 0 ? 0 : 1;
}

const std::map<std::string, std::function<int(const Arguments&)>> faults = {
    {"mutex_without_order", rounds<MutexWithoutOrder>},
    {"request_without_publication", rounds<RequestWithoutPublication>},
    {"forgets_what_it_closes", rounds<Lying<ForgetsWhatItCloses>>},
    {"loses_claims", rounds<Lying<LosesClaims>>},
    {"wakes_without_token", rounds<WakesWithoutToken>},
    {"times_out_early", rounds<TimesOutEarly>},
    {"counts_in_freed_memory", rounds<CountsInFreedMemory>},
    {"counts_too_far", rounds<CountsTooFar>},
};

[[noreturn]] void usage() {
  std::fprintf(
      stderr,
      "usage: kstone_tsan_stress [--rounds N] [--seconds N] [--seed N] [--recorded [--tamper N]]\n"
      "                          [--threads-stay] [--fault NAME]\n"
      "faults:");
  for (const auto& [name, run] : faults) {
    std::fprintf(stderr, " %s", name.c_str());
  }
  std::fprintf(stderr, "\n");
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  const std::map<std::string, std::uint64_t*> numbers = {{"--rounds", &arguments.rounds},
                                                         {"--seconds", &arguments.seconds},
                                                         {"--seed", &arguments.seed},
                                                         {"--tamper", &arguments.tamper}};
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--recorded" || option == "--threads-stay") {
      (option == "--recorded" ? arguments.recorded : arguments.threads_stay) = true;
      continue;
    }
    if (++i == argc) {
      usage();
    }
    if (option == "--fault") {
      arguments.fault = argv[i];
      continue;
    }
    const auto number = numbers.find(option);
    char* end = nullptr;
    const auto value = std::strtoull(argv[i], &end, 10);
    if (number == numbers.end() || *end != '\0' || end == argv[i]) {
      usage();
    }
    *number->second = value;
  }
  if ((arguments.rounds == 0 && arguments.seconds == 0) ||
      (arguments.fault != "none" && !faults.contains(arguments.fault))) {
    usage();
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = parse(argc, argv);
  std::printf("stress: --seed %llu\n", static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  fault_is_planted = arguments.fault != "none";
  if (fault_is_planted) {
    return faults.at(arguments.fault)(arguments);
  }
  return arguments.recorded ? rounds<kstone::trace::RecordingSync>(arguments)
                            : rounds<kstone::ProductionSync>(arguments);
}
