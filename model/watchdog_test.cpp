// The rule by which the watchdog tells standing still from what only looks like it, on looks that
// are made up here, and the sentence that it says. That it sees a real thread is tools_test.py's
// subject.

#include "watchdog.h"

#include <cstdio>
#include <string>
#include <vector>

namespace kstone::model {
namespace {

int wrong = 0;

void expect(bool holds, const char* sentence) {
  if (!holds) {
    ++wrong;
    std::printf("RED  %s\n", sentence);
  }
}

enum class Does { sleeps, computes, waits_for_a_processor, is_stopped };

// The first answer but none to `looks` looks, each `apart` seconds after the one before, at a
// thread that does this.
Standstill seen(Does what, int looks, double apart, int step_every = 0) {
  StandstillDetector detector(1);
  Look look;
  for (int i = 0; i < looks; ++i) {
    look.seconds += apart;
    look.processor_seconds += what == Does::computes ? apart : 0;
    look.asleep = what == Does::sleeps;
    look.progress += step_every != 0 && i % step_every == 0 ? 1 : 0;
    if (const Standstill answer = detector.look(look); answer != Standstill::none) {
      return answer;
    }
  }
  return Standstill::none;
}

void detector() {
  expect(seen(Does::sleeps, 25, 0.05) == Standstill::asleep,
         "a thread that sleeps for longer than the limit stands still");
  expect(seen(Does::sleeps, 15, 0.05) == Standstill::none, "... not before the limit");
  expect(seen(Does::computes, 25, 0.05) == Standstill::busy,
         "a thread that computes for longer stands still");
  expect(seen(Does::computes, 15, 0.05) == Standstill::none, "... not before the limit");
  expect(seen(Does::sleeps, 1000, 0.05, 15) == Standstill::none,
         "a thread that sleeps and steps does not");
  expect(seen(Does::computes, 1000, 0.05, 15) == Standstill::none,
         "a thread that computes and steps does not");
  expect(seen(Does::waits_for_a_processor, 100000, 0.05) == Standstill::none,
         "one that no processor is free for does not");
  expect(seen(Does::is_stopped, 100000, 0.05) == Standstill::none,
         "one that a debugger has stopped does not");
  expect(seen(Does::sleeps, 9, 3600) == Standstill::none,
         "a gap between two looks proves no sleep");
  expect(seen(Does::sleeps, 25, 3600) == Standstill::asleep, "... many do");
}

void sentence() {
  const Place mutex{"___pthread_mutex_lock", "./nptl/pthread_mutex_lock.c", 93};
  const Place guard{"std::lock_guard<std::mutex>::lock_guard(std::mutex&)",
                    "/usr/include/c++/12/bits/std_mutex.h", 229};
  const Place worker{"kstone::ProductionSync::mutex::lock()",
                     "/opt/include/kstone/production_sync.h", 9};
  const Place own{"void example::(anonymous namespace)::Engine<int>::put(int)", "/home/engine.h",
                  44};
  const Place explorer{"kstone::model::explorer::(anonymous namespace)::run_thread(int)",
                       "/kstone/model/explorer/relacy.cpp", 823};
  const auto says = [](Standstill kind, std::vector<Place> places, const char* words) {
    const std::string text = standstill_text(kind, 1, places);
    if (text.find(words) == std::string::npos) {
      ++wrong;
      std::printf("RED  not '%s' in: %s\n", words, text.c_str());
    }
  };
  says(Standstill::asleep, {mutex, guard, own, explorer},
       "sleeps in std::lock_guard<...>::lock_guard, called at engine.h:44 in "
       "example::Engine<...>::put, and no step has come "
       "for 1 s: ");
  says(Standstill::asleep, {mutex, guard, own, explorer}, "use Sync::mutex");
  says(Standstill::asleep, {mutex, worker, own, explorer}, "use the worker on the same Sync");
  says(Standstill::asleep, {mutex, explorer, own},
       "sleeps in pthread_mutex_lock (no line is known");
  says(Standstill::busy, {own, explorer},
       "is busy at engine.h:44 in example::Engine<...>::put, and no step");
  says(Standstill::busy, {own, guard, explorer},
       "to wait, use Sync::atomic, and Sync::condition_variable or Sync::semaphore");
}

}  // namespace
}  // namespace kstone::model

int main() {
  kstone::model::detector();
  kstone::model::sentence();
  return kstone::model::wrong == 0 ? 0 : 1;
}
