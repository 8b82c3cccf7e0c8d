#include "explorer/failures.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "explorer/exploration.h"
#include "explorer/relacy.h"

namespace kstone::model {
namespace explorer {

void Ending::set(Failure kind, const char* text) {
  failure = kind;
  std::snprintf(message, sizeof message, "%s", text);
}

namespace {

void note_failure(Site site, Failure failure, const char* format, va_list arguments) {
  Exploration& e = exploration();
  e.ending.failure = failure;
  e.ending.at = site;
  // There, nothing is safe but to leave.
  if (failure != Failure::crash && e.ending.standstill == Standstill::none) {
    e.trace.note_failure();
  }
  std::vsnprintf(e.ending.message, sizeof e.ending.message, format, arguments);
}

}  // namespace

void fail(Failure failure, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note_failure(Site{}, failure, format, arguments);
  va_end(arguments);
  leave_execution();
}

void fail_at(Site site, Failure failure, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  note_failure(site, failure, format, arguments);
  va_end(arguments);
  leave_execution();
}

namespace {

bool runs_unharmed() { return inside_execution() && exploration().ending.failure == Failure::none; }

void on_signal(int signal) {
  if (!runs_unharmed()) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  fail(Failure::crash, "%s", strsignal(signal));
}

}  // namespace

CrashIsFailure::CrashIsFailure() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_NODEFER;  // it does not return, and the next execution may crash, too
  for (std::size_t i = 0; i < std::size(signals); ++i) {
    sigaction(signals[i], &action, &before_[i]);
  }
}

CrashIsFailure::~CrashIsFailure() {
  for (std::size_t i = 0; i < std::size(signals); ++i) {
    sigaction(signals[i], &before_[i], nullptr);
  }
}

void on_standstill(Standstill kind, void* const* addresses, int count) {
  if (!runs_unharmed()) {
    return;
  }
  Ending& ending = exploration().ending;
  ending.standstill = kind;
  ending.standstill_at.count = std::min(count, Calls::most);
  std::copy_n(addresses, ending.standstill_at.count, ending.standstill_at.addresses);
  fail(Failure::model_error, "no step");
}

}  // namespace explorer

void exceeds_limit(const char* sentence) { explorer::fail(Failure::model_error, "%s", sentence); }

namespace runtime {

void fail_check(const char* sentence, Site site) {
  explorer::inside();
  explorer::fail_at(site, Failure::check_failed, "%s (%s:%d)", sentence, base_name(site.file),
                    site.line);
}

void fail_thread(const char* sentence, Site site) {
  explorer::inside();
  explorer::fail_at(site, Failure::thread_misuse, "%s (%s:%d)", sentence, base_name(site.file),
                    site.line);
}

}  // namespace runtime
}  // namespace kstone::model
