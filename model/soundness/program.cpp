#include "soundness/program.h"

#include "report/names.h"

namespace kstone::model::soundness {

std::string Program::text() const {
  static const char* const names[] = {
      "load",       "store",      "add",        "exchange",    "update",     "cas_strong",
      "cas_weak",   "lock",       "unlock",     "wait_while",  "wait_if",    "timed_while",
      "set_flag",   "notify_one", "notify_all", "post",        "take",       "cell_read",
      "cell_write", "ghost_read", "ghost_add",  "ghost_write", "ghost_with", "now",
      "choice",     "start_last", "join_last",  "in_turn"};
  std::string text = "spurious " + std::to_string(limits.spurious) + ", timeouts " +
                     std::to_string(limits.timeouts) + ", weak " +
                     std::to_string(limits.weak_cas_failures) +
                     (limits.retries_forget ? ", retries forget" : "") +
                     (equal > 0 ? ", equal threads " + std::to_string(equal) : "") + "\n";
  for (int thread = 0; thread < threads; ++thread) {
    text += "  thread " + std::to_string(thread) + ":";
    for (const Instruction& instruction : code[thread]) {
      text += std::string(" ") + names[static_cast<int>(instruction.kind)] + "(" +
              std::to_string(instruction.object) + "," + std::to_string(instruction.value);
      if (instruction.kind <= Kind::cas_weak) {
        text += std::string(",") + report_order_name(instruction.order);
      }
      text += ")";
    }
    text += "\n";
  }
  return text;
}

}  // namespace kstone::model::soundness
