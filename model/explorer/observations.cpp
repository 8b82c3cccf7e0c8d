#include "explorer/observations.h"

#include <algorithm>
#include <cstring>

#include "explorer/exploration.h"

namespace kstone::model {
namespace explorer {

void Observations::begin_execution() {
  covered_ = 0;
  has_outcome_ = false;
  outcome_.clear();
}

void Observations::cover(const char* event) {
  for (int i = 0; i < event_count_; ++i) {
    if (events_[i] == event || std::strcmp(events_[i], event) == 0) {
      covered_ |= std::uint64_t{1} << i;
      return;
    }
  }
  if (event_count_ == max_events) {
    fail(Failure::model_error, "more than %d cover events", max_events);
  }
  events_[event_count_] = event;
  covered_ |= std::uint64_t{1} << event_count_++;
}

void Observations::outcome(const char* text) {
  outcome_ = text;
  has_outcome_ = true;
}

void Observations::count_execution(std::uint32_t preemptions) {
  ++executions_;
  for (int i = 0; i < event_count_; ++i) {
    occurred_[i] += (covered_ >> i) & 1;
  }
  if (has_outcome_) {
    const auto [found, inserted] = outcomes_.emplace(outcome_, preemptions);
    found->second = std::min(found->second, preemptions);
  }
}

void Observations::put_into(Result& result) const {
  for (int i = 0; i < event_count_; ++i) {
    result.covers.push_back(Cover{events_[i], occurred_[i], executions_ - occurred_[i]});
  }
  for (const auto& [text, preemptions] : outcomes_) {
    result.outcomes.emplace_back(text.c_str());
    result.outcome_preemptions.push_back(preemptions);
  }
}

}  // namespace explorer

void outcome(const char* text) { explorer::inside().observations.outcome(text); }

namespace runtime {

void cover(const char* event) { explorer::inside().observations.cover(event); }

}  // namespace runtime
}  // namespace kstone::model
