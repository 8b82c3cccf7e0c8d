#include "progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "output.h"

namespace kstone::compact {
namespace {

bool is_terminal(std::FILE* out) {
  const char* kind = std::getenv("TERM");
  return isatty(fileno(out)) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

// A line that wraps would take two rows, and erasing would leave one behind.
std::size_t columns(std::FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string text(const char* format, ...) {
  char buffer[1024];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

std::string counted(std::uint64_t number, const std::string& singular) {
  return std::to_string(number) + " " + singular + (number == 1 ? "" : "s");
}

std::string in_mib(std::uint64_t bytes) {
  constexpr double mib = 1 << 20;
  constexpr double gib = 1 << 30;
  const auto size = static_cast<double>(bytes);
  return bytes < 10ULL << 30 ? text("%.1f MiB", size / mib) : text("%.1f GiB", size / gib);
}

Progress::Progress(std::FILE* out) : out_(out), terminal_(is_terminal(out)) {}

void Progress::show(const std::vector<std::string>& parts) {
  if (!terminal_) {
    std::string line;
    for (const auto& part : parts) {
      line += (line.empty() ? "" : "  ") + part;
    }
    say(line);
    return;
  }
  erase();
  for (const auto& part : parts) {
    std::fprintf(out_, "%s\n", part.substr(0, columns(out_) - 1).c_str());
  }
  drawn_ = parts.size();
  flush();
}

void Progress::say(const std::string& line) {
  erase();
  std::fprintf(out_, "%s\n", line.c_str());
  flush();
}

void Progress::flush() {
  if (out_ == stdout) {
    flush_stdout();
  } else {
    std::fflush(out_);
  }
}

void Progress::erase() {
  if (drawn_ > 0) {
    std::fprintf(out_, "\033[%zuA\033[J", drawn_);
    drawn_ = 0;
  }
}

}  // namespace kstone::compact
