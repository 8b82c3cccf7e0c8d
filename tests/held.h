// A worker whose jobs run until the test lets them go.

#ifndef KSTONE_TESTS_HELD_H_
#define KSTONE_TESTS_HELD_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "kstone/background_worker.h"
#include "test_support.h"

namespace kstone::test {

// A worker with one thread whose jobs announce that they run and wait to be let go, or asked to
// stop.
struct Held {
  Journal<std::uint32_t> started;
  Gate end;
  Gate end_of_stripe_0;  // lets stripe 0 go alone, where `separately` is set
  std::atomic<bool> separately{false};
  std::atomic<bool> obey_stop{false};
  std::vector<CompactionOutcome> outcomes;  // by stripe; `done` where absent
  BackgroundWorker worker;

  explicit Held(std::uint32_t threads = 1)
      : worker(CompactionConfig().with_max_concurrent(threads), CompactionStatsAtomic(), 8,
               [this](CompactionContext& context) {
                 started.add(context.stripe_id());
                 if (obey_stop) {
                   while (!context.stop_requested()) {
                     std::this_thread::yield();
                   }
                   return CompactionOutcome::stopped();
                 }
                 if (context.stripe_id() == 0 && separately) {
                   end_of_stripe_0.pass();
                 } else {
                   end.pass();
                 }
                 return context.stripe_id() < outcomes.size() ? outcomes[context.stripe_id()]
                                                              : CompactionOutcome::done();
               }) {}
};

}  // namespace kstone::test

#endif  // KSTONE_TESTS_HELD_H_
