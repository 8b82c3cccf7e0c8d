// Names and texts: a counter-example in columns, one for each thread.

#ifndef KSTONE_MODEL_REPORT_H_
#define KSTONE_MODEL_REPORT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "explorer.h"
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
std::string report_history(const ReportEvent* events, std::size_t count, int threads, int application_threads,
                           const Result& result);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_REPORT_H_
