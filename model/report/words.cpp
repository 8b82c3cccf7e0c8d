#include "report/words.h"

#include <cinttypes>
#include <cstdio>

#include "report/names.h"

namespace kstone::model {

namespace {

std::string number(std::uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 1000 ? "%" PRIu64 : "0x%" PRIx64, value);
  return text;
}

std::string value_text(const HistoryStep& step, std::uint64_t value) {
  const std::string words = value_in_words(step.object, value);
  return words.empty() ? number(value) : words;
}

// " acq_rel from #7 STALE".
std::string how(const HistoryStep& step) {
  return " " + step.order +
         (step.reads_from < 0 ? "" : " from #" + std::to_string(step.reads_from)) +
         (step.stale ? " STALE" : "");
}

std::string names_of(const std::vector<int>& others, const std::vector<std::string>& threads) {
  std::string names;
  for (const int other : others) {
    names += " " + threads[static_cast<std::size_t>(other)];
  }
  return names;
}

}  // namespace

std::string step_text(const HistoryStep& step, const std::vector<std::string>& threads) {
  const std::string operation = operation_name(step.operation);
  const std::string others = names_of(step.others, threads);
  switch (step.operation) {
    case Operation::load:
      return step.object + " -> " + value_text(step, step.value) + how(step);
    case Operation::store:
      return step.object + " = " + value_text(step, step.value) + how(step);
    case Operation::exchange:
    case Operation::fetch_add:
    case Operation::fetch_sub:
    case Operation::fetch_or:
    case Operation::fetch_and:
    case Operation::fetch_xor:
      return step.object + "." + operation + " " + value_text(step, step.value) + " => " +
             value_text(step, step.value_after) + how(step);
    case Operation::compare_exchange_weak:
    case Operation::compare_exchange_strong:
      return step.object + ".CAS " + value_text(step, step.value) +
             (step.failed ? (step.spurious ? " fails spuriously" : " fails")
                          : " => " + value_text(step, step.value_after)) +
             how(step);
    case Operation::lock:
      return (step.after_wait ? "wakes, locks " : "lock ") + step.object;
    case Operation::unlock:
      return "unlock " + step.object;
    case Operation::wait:
      return "sleeps on " + step.object;
    case Operation::leave_wait:
      return step.object + (step.spurious ? ": wakes spuriously" : ": times out");
    case Operation::notify_one:
    case Operation::notify_all:
      return step.object + "." + operation +
             (others.empty() ? ": nobody sleeps" : ": wakes" + others);
    case Operation::post:
      return step.object + ".post(" + number(step.value) + ")";
    case Operation::take:
      return step.object + ".wait takes a token";
    case Operation::start_thread:
      return step.failed ? "a thread is refused" : "starts" + others;
    case Operation::join:
      return "joins" + others;
    case Operation::now:
      return "now -> " + number(step.value);
    case Operation::advance_clock:
      return "clock = " + number(step.value);
    default:
      return operation + " " + step.object;
  }
}

std::string wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::string result;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t room = width - (result.empty() ? 0 : indent);
    std::size_t end = text.size();
    if (end - at > room) {
      const std::size_t comma = text.rfind(", ", at + room - 1);
      const std::size_t space = text.rfind(' ', at + room);
      const std::size_t mark = text.find_last_of("._:/", at + room - 1);  // of a long name
      end = comma != std::string::npos && comma > at + room / 2 ? comma + 1
            : space != std::string::npos && space > at          ? space
            : mark != std::string::npos && mark > at            ? mark + 1
                                                                : at + room;
    }
    result += (result.empty() ? "" : "\n" + std::string(indent, ' ')) + text.substr(at, end - at);
    at = end < text.size() && text[end] == ' ' ? end + 1 : end;
  }
  return result;
}

}  // namespace kstone::model
