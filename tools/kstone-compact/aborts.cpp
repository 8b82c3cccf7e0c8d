#include "aborts.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <initializer_list>
#include <new>
#include <string_view>

#include "bad_input.h"
#include "temporary_folder.h"

namespace kstone::compact {
namespace {

// One write, so that it stays one line beside what other threads print.
void say(std::initializer_list<std::string_view> parts) {
  char line[1024];
  std::size_t length = 0;
  for (const auto part : parts) {
    length += part.copy(line + length, sizeof line - 1 - length);
  }
  line[length++] = '\n';
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line, length);
}

// Whoever comes first says why; a second thread that fails meanwhile waits for the end.
[[noreturn]] void end(std::initializer_list<std::string_view> why) {
  static std::atomic_flag ending = ATOMIC_FLAG_INIT;
  // Relaxed: nothing is read because of it.
  while (ending.test_and_set(std::memory_order_relaxed)) {
    pause();
  }
  say(why);
  remove_temporary_folder();
  _exit(exit_bad_input);
}

void on_abort(int) { end({"kstone-compact: aborted: RocksDB or the C++ library cannot go on"}); }

void on_terminate() {
  try {
    if (const auto error = std::current_exception()) {
      std::rethrow_exception(error);
    }
  } catch (const std::bad_alloc&) {
    end({"kstone-compact: out of memory"});
  } catch (const std::exception& error) {
    end({"kstone-compact: ended by an error that RocksDB does not handle: ", error.what()});
  } catch (...) {
  }
  // Such as a std::thread that is destroyed while it runs, since the next one could not be started.
  end(
      {"kstone-compact: RocksDB or the C++ library cannot go on; most likely there is no memory, "
       "or no further thread"});
}

}  // namespace

void handle_aborts() {
  std::set_terminate(on_terminate);
  struct sigaction action{};
  action.sa_handler = on_abort;
  sigaction(SIGABRT, &action, nullptr);
}

}  // namespace kstone::compact

#if defined(__GLIBC__)
// glibc prints the sentence of an assertion and aborts, which would be two lines with ours. This
// takes its place in the libraries, too.
extern "C" [[noreturn]] void __assert_fail(const char* assertion, const char* file, unsigned,
                                           const char* function) noexcept {
  kstone::compact::end(
      {"kstone-compact: an assertion failed: ", assertion, ", in ", function, ", ", file});
}
#endif
