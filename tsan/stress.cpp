// Real threads, every call the worker has, shutdown at a random moment, for a bounded number of
// rounds; each round makes a worker and destroys it. Built with a sanitizer.
//
//   kstone_tsan_stress [--rounds N] [--seconds N] [--seed N] [--recorded [--tamper N]]
//   [--threads-stay] [--fault NAME]
//
// It ends after so many rounds, or so many seconds. --recorded runs the worker on RecordingSync and
// replays each round; --tamper also changes each record in N ways, one at a time, every one of
// which the replay must reject. --threads-stay lets no job end its thread: UBSan takes the catch
// clause of a forced unwinding, which has no object, for a null reference. --fault plants one of
// the faults of stress_faults.h: one that a sanitizer must report, or a policy that the replay must
// find out.
//
// The last line says what was done. The exit status is 0 if all was well, 1 if not, 2 for wrong
// arguments.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "stress_faults.h"
#include "stress_round.h"
#include "stress_tamper.h"
#include "trace.h"

namespace {

using namespace kstone::stress;

constexpr std::uint64_t enough_rounds = 20;
constexpr std::uint64_t enough_rounds_for_the_rare = 1000;

// -- Records --------------------------------------------------------------------------------------

kstone::trace::Verdict replay(const kstone::trace::Setting& setting,
                              const std::vector<Log*>& logs) {
  return kstone::trace::replay(setting, {logs.begin(), logs.end()});
}

struct Way {
  const char* name;
  std::optional<std::string> (TamperedRecord::*change)(Random&);
};
constexpr std::array ways = {Way{"drops", &TamperedRecord::drop},
                             Way{"repetitions", &TamperedRecord::repeat},
                             Way{"swaps", &TamperedRecord::swap},
                             Way{"unmarked_adoptions", &TamperedRecord::unmark},
                             Way{"lost_arrivals", &TamperedRecord::lose_arrival},
                             Way{"unmarked_withdrawals", &TamperedRecord::unmark_withdrawal},
                             Way{"accepting_removals", &TamperedRecord::accept_removed},
                             Way{"cancels_that_keep", &TamperedRecord::keep_requests},
                             Way{"takes_under_a_pause", &TamperedRecord::pause_another},
                             Way{"false_answers", &TamperedRecord::lie}};

// Tampers with the record in one way, of those that it allows the one that was taken least; the
// replay must reject it.
void tamper(const kstone::trace::Setting& setting, const std::vector<Log*>& logs, Random& random,
            Totals& totals) {
  TamperedRecord record(setting, logs);
  auto order = ways;
  std::shuffle(order.begin(), order.end(), random);
  std::stable_sort(order.begin(), order.end(), [&](const Way& a, const Way& b) {
    return totals.noticed[a.name] < totals.noticed[b.name];
  });
  for (const auto& way : order) {
    if (const auto what = (record.*way.change)(random)) {
      ++totals.tampered;
      ++totals.noticed[way.name];
      if (record.verdict().empty()) {
        fail("the replay does not notice " + *what);
      }
      return;
    }
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

void show(const Totals& totals) {
  const auto show = [](const char* name, std::uint64_t value) {
    std::printf(" %s=%llu", name, static_cast<unsigned long long>(value));
  };
  std::printf("done:");
  show("rounds", totals.rounds);
  show("requests", totals.requests);
  show("compactions", totals.compactions);
  show("publications_checked", totals.publications_checked);
  show("adoptions", totals.adoptions);
  show("adoptions_by_scan", totals.adoptions_by_scan);
  show("late_arrivals", totals.late_arrivals);
  show("late_arrivals_queued", totals.late_arrivals_queued);
  const auto show_met = [&](const char* name, const std::atomic<std::uint64_t>& value) {
    show(name, value.load(std::memory_order_relaxed));
  };
  show_met("cancels", met.cancels);
  show_met("cancelled_waiting", met.cancelled_waiting);
  show_met("cancelled_reruns", met.cancelled_reruns);
  show_met("cancelled_running", met.cancelled_running);
  show_met("stopped", met.stopped);
  show_met("removals", met.removals);
  show_met("removals_late", met.removals_late);
  show_met("restores", met.restores);
  show_met("pauses", met.pauses);
  show_met("pauses_of_all", met.pauses_of_all);
  show_met("pauses_late", met.pauses_late);
  show_met("waits_paused", met.waits_paused);
  show_met("resizes", met.resizes);
  show_met("retried_now", met.retried_now);
  show_met("waits_delayed", met.waits_delayed);
  show_met("released", met.released);
  show("expired", totals.expired);
  show("quarantined", totals.quarantined);
  show("parked", totals.parked);
  show("claims_withdrawn", totals.claims_withdrawn);
  show("claims_removed_late", totals.claims_removed_late);
  show("transitions_replayed", totals.transitions_replayed);
  show("events_replayed", totals.events_replayed);
  show("holds_replayed", totals.holds_replayed);
  show("tampered_and_noticed", totals.tampered);
  for (const auto& [name, count] : totals.noticed) {
    show((name + "_noticed").c_str(), count);
  }
  show("transitions_illegal", totals.illegal);
  std::printf("\n");
}

// ... of what is given up, or held back.
void check_reached_of_held(const Totals& totals, bool recorded) {
  const auto require = [](bool reached, const char* sentence) {
    if (!reached) {
      fail(sentence);
    }
  };
  require(met.cancelled_waiting != 0, "no stripe that waited was ever cancelled");
  require(met.cancelled_reruns != 0, "no re-run was ever cancelled");
  require(met.cancelled_running != 0, "no compaction was ever cancelled");
  require(met.stopped != 0, "no compaction ever stopped when it was asked to");
  require(met.removals != 0, "no stripe was ever removed");
  require(met.restores != 0, "no stripe was ever restored");
  require(met.pauses != 0, "no stripe was ever paused");
  require(met.pauses_of_all != 0, "the worker was never paused");
  require(met.pauses_late != 0, "no pause ever met a compaction");
  require(met.waits_paused != 0, "no wait ever met a pause");
  require(met.resizes != 0, "the worker was never resized");
  if (totals.rounds >= 5 * enough_rounds) {
    require(met.retried_now != 0, "no delay was ever ended by a call");
    require(!recorded || totals.expired != 0, "no delay ever passed");
    require(met.released != 0, "no stripe was ever released");
    require(!recorded || totals.quarantined != 0, "no stripe was ever in quarantine");
  }
  require(!recorded || totals.parked != 0, "no thread was ever one too many");
  require(!recorded || totals.claims_withdrawn != 0, "no claim was ever given up");
  if (totals.rounds >= enough_rounds_for_the_rare) {
    require(met.removals_late != 0, "no removal ever timed out");
    require(met.waits_delayed != 0, "no wait ever met a delay");
    require(!recorded || totals.claims_removed_late != 0, "no removal was ever met by a claim");
  }
}

// A run that did not reach what it is for is red. One of a few rounds may by chance.
void check_reached(const Totals& totals, bool tampered, bool recorded) {
  if (totals.illegal != 0) {
    return;
  }
  const auto require = [](bool reached, const char* sentence) {
    if (!reached) {
      fail(sentence);
    }
  };
  require(totals.publications_checked != 0, "publication was never looked at");
  if (totals.rounds < enough_rounds) {
    return;
  }
  require(totals.adoptions != 0, "no stripe was ever taken over");
  require(totals.late_arrivals != 0, "no requester was ever late");
  check_reached_of_held(totals, recorded);
  if (recorded) {
    require(totals.adoptions_by_scan != 0 || totals.rounds < 5 * enough_rounds,
            "the scan never took a stripe over");
    require(totals.late_arrivals_queued != 0, "no late arrival ever brought its stripe");
  }
  for (const auto& way : ways) {
    const auto noticed = totals.noticed.find(way.name);
    require(!tampered || (noticed != totals.noticed.end() && noticed->second != 0),
            "one way to forge was never taken");
  }
}

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
      totals.adoptions += verdict.adoptions;
      totals.adoptions_by_scan += verdict.adoptions_by_scan;
      totals.claims_withdrawn += verdict.claims_withdrawn;
      totals.claims_removed_late += verdict.claims_removed_late;
      totals.parked += verdict.parked;
      totals.expired += verdict.expired;
      totals.quarantined += verdict.quarantined;
      totals.late_arrivals += verdict.late_arrivals;
      totals.late_arrivals_queued += verdict.late_arrivals_queued;
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
  if constexpr (!can_record) {
    totals.adoptions = marks.load(std::memory_order_relaxed);
    totals.late_arrivals = late_arrivals.load(std::memory_order_relaxed);
  }
  show(totals);
  check_reached(totals, arguments.tamper != 0, can_record);
  return totals.illegal == 0 ? 0 : 1;
}

const std::map<std::string, std::function<int(const Arguments&)>> faults = {
    {"mutex_without_order", rounds<MutexWithoutOrder>},
    {"request_without_publication", rounds<RequestWithoutPublication>},
    {"late_arrival_without_release", rounds<LateArrivalWithoutRelease>},
    {"withdrawal_without_release", rounds<WithdrawalWithoutRelease>},
    {"frees_too_early", rounds<FreesTooEarly>},
    {"pauses_another", rounds<PausesAnother>},
    {"allows_one_more", rounds<AllowsOneMore>},
    {"hurries", rounds<Hurries>},
    {"forgets_what_it_cancels", rounds<Lying<ForgetsWhatItCancels>>},
    {"accepts_what_is_removed", rounds<Lying<AcceptsWhatIsRemoved>>},
    {"forgets_what_it_closes", rounds<Lying<ForgetsWhatItCloses>>},
    {"loses_claims", rounds<Lying<LosesClaims>>},
    {"loses_late_arrivals", rounds<Lying<LosesLateArrivals>>},
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
  return arguments.recorded ? rounds<Late<kstone::trace::RecordingSync>>(arguments)
                            : rounds<Late<kstone::ProductionSync>>(arguments);
}
