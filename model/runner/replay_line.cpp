#include "runner/replay_line.h"

#include <regex>
#include <sstream>

namespace kstone::model {

void Replay::put_into(Limits& others) const {
  others.spurious = limits.spurious;
  others.timeouts = limits.timeouts;
  others.weak_cas_failures = limits.weak_cas_failures;
  others.thread_start_failures = limits.thread_start_failures;
  others.stale_depth = limits.stale_depth;
  others.replay = limits.replay;
}

std::string replay_line(const std::string& suite, const Limits& limits,
                        const std::string& choices) {
  std::ostringstream line;
  line << suite << ";s" << limits.spurious << ",t" << limits.timeouts << ",w"
       << limits.weak_cas_failures << ",f" << limits.thread_start_failures << ",d"
       << limits.stale_depth << ";" << (choices.empty() ? "-" : choices);
  return line.str();
}

std::optional<Replay> parse_replay_line(const std::string& line) {
  static const std::regex form(
      R"(([^;]+);s(\d{1,9}),t(\d{1,9}),w(\d{1,9}),f(\d{1,9}),d([0-2]);(-|[0-7a-z]+))");
  std::smatch parts;
  if (!std::regex_match(line, parts, form)) {
    return std::nullopt;
  }
  const auto number = [&parts](std::size_t part) {
    return static_cast<std::uint32_t>(std::stoul(parts[part]));
  };
  Replay replay;
  replay.suite = parts[1];
  replay.limits.spurious = number(2);
  replay.limits.timeouts = number(3);
  replay.limits.weak_cas_failures = number(4);
  replay.limits.thread_start_failures = number(5);
  replay.limits.stale_depth = number(6);
  replay.limits.replay = parts[7];
  return replay;
}

}  // namespace kstone::model
