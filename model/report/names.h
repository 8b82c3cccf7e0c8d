// Names of what histories and messages speak of.

#ifndef KSTONE_MODEL_REPORT_NAMES_H_
#define KSTONE_MODEL_REPORT_NAMES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime.h"

namespace kstone::model {

struct ThreadName {
  char text[16];
};

// main, t0, t1, ... of the application, w0, w1, ... started by Sync::thread.
ThreadName report_thread_name(int thread, int application_threads);
void report_object_name(ObjectKind kind, const char* name, runtime::ObjectId object, char* buffer,
                        std::size_t size);
const char* report_order_name(std::memory_order order);

// The value of an atomic of this name in words (ValuesInWords), if it has such; else empty.
std::string value_in_words(const std::string& object, std::uint64_t value);

const char* base_name(const char* path);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_REPORT_NAMES_H_
