// Results as JSON: what a program reads, and what the processes of one search say to each other.

#ifndef KSTONE_MODEL_RUNNER_RESULTS_H_
#define KSTONE_MODEL_RUNNER_RESULTS_H_

#include <nlohmann/json.hpp>

#include "explorer.h"

namespace kstone::model {

nlohmann::json to_json(const Result& result);
Result result_from(const nlohmann::json& object);

// The step `index` of a counter-example, with the same in words.
nlohmann::json step_json(const Result& result, std::size_t index);

// The steps of a counter-example without the middle of a long one, for who shows them. A livelock
// is long and repeats itself: its beginning and its end tell.
nlohmann::json shown_steps(const nlohmann::json& steps);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_RUNNER_RESULTS_H_
