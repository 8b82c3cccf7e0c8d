// The suites that scenario files register, and what each of them has to give.

#include <algorithm>

#include "runner.h"

namespace kstone::model {

std::vector<Suite>& registered_suites() {
  static std::vector<Suite> suites;
  return suites;
}

Registered::Registered(Suite suite) { registered_suites().push_back(std::move(suite)); }

namespace {

std::uint64_t occurred(const Result& result, const std::string& event) {
  for (const Cover& cover : result.covers) {
    if (cover.event == event) {
      return cover.occurred;
    }
  }
  return 0;
}

// Why a suite that must fail is not green; empty if it is.
std::string why_not_refuted(const SuiteOptions& options, const Result& result) {
  const bool fails = result.verdict == Verdict::refuted &&
                     std::find(options.expected.begin(), options.expected.end(), result.failure) !=
                         options.expected.end();
  if (!fails) {
    return std::string("must fail: ") + failure_name(options.expected.front()) + " was expected" +
           (result.verdict == Verdict::unknown ? "; unknown: " + result.reason : "");
  }
  return result.message.find(options.because) != std::string::npos
             ? ""
             : "must fail for another reason: '" + options.because + "' was expected, not '" +
                   result.message + "'";
}

// ... one that must pass.
std::string why_not_proved(const SuiteOptions& options, const Result& result) {
  if (result.verdict != Verdict::proved) {
    return result.verdict == Verdict::unknown ? "unknown: " + result.reason : result.message;
  }
  if (result.executions_complete == 0) {
    return "no execution";
  }
  std::string why;
  const auto add = [&why](const std::string& event, const char* words) {
    why += (why.empty() ? "'" : "; '") + event + words;
  };
  for (const std::string& event : options.sometimes) {
    const std::uint64_t count = occurred(result, event);
    if (count == 0) {
      add(event, "' occurred in no execution");
    } else if (count == result.executions_complete) {
      add(event, "' occurred in every execution");
    }
  }
  for (const std::string& event : options.always) {
    if (occurred(result, event) != result.executions_complete) {
      add(event, "' did not occur in every execution");
    }
  }
  for (const std::string& event : options.never) {
    if (occurred(result, event) != 0) {
      add(event, "' occurred");
    }
  }
  return why;
}

}  // namespace

bool is_green(const Suite& suite, const Result& result, std::string& why) {
  why = suite.options.expected.empty() ? why_not_proved(suite.options, result)
                                       : why_not_refuted(suite.options, result);
  return why.empty();
}

}  // namespace kstone::model
