// Progress on a terminal: a few lines, drawn again and again in the same place. Elsewhere: one line
// about once a second.
//
// Thread safety: none.

#ifndef KSTONE_COMPACT_PROGRESS_H_
#define KSTONE_COMPACT_PROGRESS_H_

#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace kstone::compact {

[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...);

// "1 record", "2 records".
std::string counted(std::uint64_t number, const std::string& singular);
// In MiB, or GiB if there are many.
std::string in_mib(std::uint64_t bytes);

class Progress {
 public:
  explicit Progress(std::FILE* out);

  // How long to wait between two calls of `show`.
  std::chrono::milliseconds interval() const {
    return std::chrono::milliseconds(terminal_ ? 200 : 1000);
  }

  // The same where work takes hours.
  std::chrono::milliseconds long_interval() const {
    return std::chrono::milliseconds(terminal_ ? 200 : 10'000);
  }

  // The parts of one moment: lines on a terminal, joined elsewhere.
  void show(const std::vector<std::string>& parts);
  // A line that stays.
  void say(const std::string& line);

 private:
  void flush();
  void erase();

  std::FILE* out_;
  bool terminal_;
  std::size_t drawn_ = 0;
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_PROGRESS_H_
