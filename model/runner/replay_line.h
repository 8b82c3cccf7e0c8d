// "name;s1,t0,w0,f0,d2;choices": what one execution needs to come about again.

#ifndef KSTONE_MODEL_RUNNER_REPLAY_LINE_H_
#define KSTONE_MODEL_RUNNER_REPLAY_LINE_H_

#include <optional>
#include <string>

#include "explorer.h"

namespace kstone::model {

struct Replay {
  std::string suite;
  Limits limits;  // those that the line names, and its choices

  // In the limits of a suite.
  void put_into(Limits& others) const;
};

std::string replay_line(const std::string& suite, const Limits& limits, const std::string& choices);
std::optional<Replay> parse_replay_line(const std::string& line);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RUNNER_REPLAY_LINE_H_
