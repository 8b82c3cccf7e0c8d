// A step of a counter-example in words.

#ifndef KSTONE_MODEL_REPORT_WORDS_H_
#define KSTONE_MODEL_REPORT_WORDS_H_

#include <string>
#include <vector>

#include "explorer.h"

namespace kstone::model {

// `threads`: of the counter-example.
std::string step_text(const HistoryStep& step, const std::vector<std::string>& threads);

// Breaks a text at spaces, after a comma if there is one not too far; the lines but the first begin
// with `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width = 120);

}  // namespace kstone::model

#endif  // KSTONE_MODEL_REPORT_WORDS_H_
