// How an execution ends before its end.

#ifndef KSTONE_MODEL_EXPLORER_FAILURES_H_
#define KSTONE_MODEL_EXPLORER_FAILURES_H_

#include <csignal>

#include "explorer.h"
#include "explorer/calls.h"
#include "report/names.h"
#include "runtime.h"
#include "watchdog.h"

namespace kstone::model::explorer {

// What went wrong. The first failure ends the exploration.
struct Ending {
  Failure failure = Failure::none;
  char message[1024] = {};
  Site at;  // the line that failed, where one did
  // No step comes any more: why, and where the thread stands.
  Standstill standstill = Standstill::none;
  Calls standstill_at{};

  void set(Failure kind, const char* text);
};

// Ends the execution and the exploration; leaves the fiber that it runs on for good.
[[noreturn]] void fail(Failure failure, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
// ... of an operation at this line.
[[noreturn]] void fail_at(Site site, Failure failure, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

inline constexpr char departs[] =
    "the execution departs from the recorded choices: the scenario is not deterministic, or the "
    "replay line belongs to another program";

// While it lives, a crash of what is explored is a failure like others, with a history. The handler
// runs on the fiber that crashed, and leaves it for good.
class CrashIsFailure {
 public:
  CrashIsFailure();
  ~CrashIsFailure();
  CrashIsFailure(const CrashIsFailure&) = delete;
  CrashIsFailure& operator=(const CrashIsFailure&) = delete;

 private:
  static constexpr int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
  struct sigaction before_[sizeof signals / sizeof signals[0]];
};

// On the fiber that stands still, which is left for good: what it holds or waits for is never
// looked at again. Where it stands is found out later, when memory may be allocated.
void on_standstill(Standstill kind, void* const* addresses, int count);

}  // namespace kstone::model::explorer

#endif  // KSTONE_MODEL_EXPLORER_FAILURES_H_
