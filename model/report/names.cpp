#include "report/names.h"

#include <cstdio>
#include <cstring>
#include <map>

#include "explorer.h"
#include "runner.h"

namespace kstone::model {

const char* operation_name(Operation operation) {
  static const char* const names[] = {"none",
                                      "start",
                                      "load",
                                      "store",
                                      "exchange",
                                      "fetch_add",
                                      "fetch_sub",
                                      "fetch_or",
                                      "fetch_and",
                                      "fetch_xor",
                                      "compare_exchange_weak",
                                      "compare_exchange_strong",
                                      "lock",
                                      "unlock",
                                      "wait",
                                      "leave_wait",
                                      "notify_one",
                                      "notify_all",
                                      "post",
                                      "semaphore wait",
                                      "start_thread",
                                      "join",
                                      "waits for the application threads",
                                      "now",
                                      "advance_clock",
                                      "ghost read",
                                      "ghost write",
                                      "read of",
                                      "write of",
                                      "destruction"};
  static_assert(sizeof names / sizeof names[0] == static_cast<std::size_t>(Operation::destroy) + 1);
  return names[static_cast<std::size_t>(operation)];
}

const char* operation_key(Operation operation) {
  switch (operation) {
    case Operation::take:
      return "take";
    case Operation::join_application:
      return "join_application";
    case Operation::ghost_read:
      return "ghost_read";
    case Operation::ghost_write:
      return "ghost_write";
    case Operation::cell_read:
      return "cell_read";
    case Operation::cell_write:
      return "cell_write";
    case Operation::destroy:
      return "destroy";
    default:
      return operation_name(operation);
  }
}

const char* mode_name(Mode mode) {
  static const char* const names[] = {"source_sets", "sleep_sets", "plain",
                                      "bounded",     "random",     "estimate"};
  return names[static_cast<std::size_t>(mode)];
}

std::optional<Mode> parse_mode(const std::string& text) {
  for (const Mode mode : {Mode::source_sets, Mode::sleep_sets, Mode::plain, Mode::bounded,
                          Mode::random, Mode::estimate}) {
    if (text == mode_name(mode)) {
      return mode;
    }
  }
  return std::nullopt;
}

const char* verdict_name(Verdict verdict) {
  static const char* const names[] = {"proved", "refuted", "unknown"};
  return names[static_cast<std::size_t>(verdict)];
}

const char* failure_name(Failure failure) {
  static const char* const names[] = {
      "none",          "check failed",   "deadlock",    "livelock",    "blocked",
      "data race",     "use after free", "double free", "memory leak", "lock misuse",
      "thread misuse", "uninitialized",  "crash",       "model error"};
  static_assert(sizeof names / sizeof names[0] ==
                static_cast<std::size_t>(Failure::model_error) + 1);
  return names[static_cast<std::size_t>(failure)];
}

ThreadName report_thread_name(int thread, int application_threads) {
  ThreadName name{};
  if (thread == 0) {
    std::snprintf(name.text, sizeof name.text, "main");
  } else if (thread <= application_threads) {
    std::snprintf(name.text, sizeof name.text, "t%d", thread - 1);
  } else {
    std::snprintf(name.text, sizeof name.text, "w%d", thread - application_threads - 1);
  }
  return name;
}

void report_object_name(ObjectKind kind, const char* name, runtime::ObjectId object, char* buffer,
                        std::size_t size) {
  static const char* const kinds[] = {"atomic", "mutex", "condition", "semaphore", "thread",
                                      "cell",   "ghost", "limit",     "clock"};
  if (name != nullptr) {
    std::snprintf(buffer, size, "%s", name);
  } else {
    std::snprintf(buffer, size, "%s%u", kinds[static_cast<std::size_t>(kind)], object);
  }
}

const char* report_order_name(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_consume:
      return "consume";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    default:
      return "seq_cst";
  }
}

namespace {

using Words = std::string (*)(std::uint64_t);

std::map<std::string, Words>& words_of_values() {
  static std::map<std::string, Words> words;
  return words;
}

}  // namespace

ValuesInWords::ValuesInWords(const char* name, std::string (*words)(std::uint64_t)) {
  words_of_values()[name] = words;
}

std::string value_in_words(const std::string& object, std::uint64_t value) {
  const auto found = words_of_values().find(object);
  return found == words_of_values().end() ? "" : found->second(value);
}

const char* base_name(const char* path) {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

}  // namespace kstone::model
