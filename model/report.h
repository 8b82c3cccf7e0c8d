// Names and texts: a counter-example in columns, one for each thread.

#ifndef KSTONE_MODEL_REPORT_H_
#define KSTONE_MODEL_REPORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "explorer.h"
#include "places.h"
#include "runtime.h"

namespace kstone::model {

// One line of a history.
struct ReportEvent {
  int thread;
  Operation operation;
  runtime::ObjectId object;
  ObjectKind kind;
  const char* object_name;
  Site site;
  std::memory_order order;
  std::uint64_t value;        // read, written, posted, woken
  std::uint64_t value_after;  // of a read-modify-write
  int calls;                  // which recorded stack; -1 none (Limits::stacks)
  int read_from;              // the line that wrote what was read; -1 none, -2 the construction
  bool stale;                 // a newer store existed
  bool failed;                // compare-exchange, thread creation
  bool spurious;
  bool after_wait;
};

struct ThreadName {
  char text[16];
};

ThreadName report_thread_name(int thread, int application_threads);
void report_object_name(ObjectKind kind, const char* name, runtime::ObjectId object, char* buffer,
                        std::size_t size);
const char* report_order_name(std::memory_order order);
std::string report_history(const ReportEvent* events, std::size_t count, int threads,
                           int application_threads, const Result& result);
// The steps of the same, for report_table. `calls_of` gives the calls that led to an event, the
// innermost first.
std::vector<HistoryStep> report_steps(
    const ReportEvent* events, std::size_t count, int application_threads,
    const std::function<const std::vector<Place>&(const ReportEvent&)>& calls_of);

// A counter-example for a reader, at most `width` columns wide: what failed, a legend, a column for
// each thread, and of a deadlock where each stands. Without `inner` the steps inside the worker are
// summed up.
std::string report_table(const Result& result, bool inner, std::size_t width = 120);

// Breaks a text at spaces, after a comma if there is one not too far; the lines but the first begin
// with `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width = 120);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_REPORT_H_
