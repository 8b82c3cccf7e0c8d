#include "soundness/planted.h"

#include <cinttypes>
#include <cstdio>
#include <string>

#include "soundness/batches.h"

namespace kstone::model::soundness {

namespace {

struct Planted {
  PlantedFault fault;
  const char* name;
};

constexpr Planted planted_faults[] = {
    {PlantedFault::reads_conflict_with_nothing, "reads_conflict_with_nothing"},
    {PlantedFault::ignore_rmw_dependency, "ignore_rmw_dependency"},
    {PlantedFault::ignore_lock_dependency, "ignore_lock_dependency"},
    {PlantedFault::ignore_wait_dependency, "ignore_wait_dependency"},
    {PlantedFault::ignore_semaphore_dependency, "ignore_semaphore_dependency"},
    {PlantedFault::ignore_budget_dependency, "ignore_budget_dependency"},
    {PlantedFault::ignore_clock_dependency, "ignore_clock_dependency"},
    {PlantedFault::ignore_ghost_dependency, "ignore_ghost_dependency"},
    {PlantedFault::sleep_inherits_everything, "sleep_inherits_everything"},
    {PlantedFault::sleep_before_data_choices, "sleep_before_data_choices"},
    {PlantedFault::sleep_includes_current, "sleep_includes_current"},
    {PlantedFault::forget_race, "forget_race"},
    {PlantedFault::forget_wake_up_race, "forget_wake_up_race"},
    {PlantedFault::forget_disabled_step, "forget_disabled_step"},
    {PlantedFault::different_threads_are_equal, "different_threads_are_equal"},
    {PlantedFault::turn_orders_too_much, "turn_orders_too_much"},
    {PlantedFault::read_newest_only, "read_newest_only"},
    {PlantedFault::retry_any_failure, "retry_any_failure"},
    {PlantedFault::forget_announcement, "forget_announcement"},
};

}  // namespace

PlantedTally run_planted(std::uint64_t programs, bool print) {
  PlantedTally tally;
  for (const Planted& planted : planted_faults) {
    bool noticed = false;
    std::string complaint;
    std::uint64_t tried = 0;
    while (!noticed && tried < programs) {
      Tally batch;
      const bool equal = finish_batch(start_batch(tried, 100, planted.fault), batch, complaint);
      noticed = batch.equal < batch.programs;
      if (!equal && !noticed) {
        break;  // the batch died: that is no notice
      }
      tried += noticed ? batch.programs : 100;
    }
    std::printf("%s planted %-30s %s %" PRIu64 " programs\n", noticed ? "ok  " : "RED ",
                planted.name, noticed ? "noticed within" : "not noticed in", tried);
    if (print) {
      std::printf("%s\n", complaint.c_str());
    }
    std::fflush(stdout);
    tally.caught += noticed ? 1 : 0;
    ++tally.planted;
  }
  return tally;
}

}  // namespace kstone::model::soundness
