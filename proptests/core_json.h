// The results of a program, merged into a file that other programs write their share to.

#ifndef KSTONE_PROPTESTS_CORE_JSON_H_
#define KSTONE_PROPTESTS_CORE_JSON_H_

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

namespace kstone::proptests {

using nlohmann::json;

// Puts what `program` found under its name, and the totals of all programs on top. What the file
// has besides stays; one that is no JSON is replaced. True unless it cannot be written.
inline bool merge_into(const std::string& file, const std::string& program, const json& share) {
  if (file.empty()) {
    return true;
  }
  json all = json::object();
  if (std::ifstream before(file); before) {
    all = json::parse(before, nullptr, false);
  }
  if (!all.is_object()) {
    all = json::object();
  }
  all["programs"][program] = share;
  bool passed = true;
  int planted = 0;
  int planted_caught = 0;
  for (const auto& [name, of_program] : all["programs"].items()) {
    for (const auto* key :
         {"core_states", "core_transitions", "slices", "sequences", "sequence_steps"}) {
      if (of_program.contains(key)) {
        all[key] = of_program[key];
      }
    }
    passed = passed && of_program.value("passed", false);
    planted += of_program.value("planted", 0);
    planted_caught += of_program.value("planted_caught", 0);
  }
  all["passed"] = passed;
  all["planted"] = planted;
  all["planted_caught"] = planted_caught;
  std::ofstream out(file);
  out << all.dump(2) << "\n";
  out.flush();
  if (!out) {
    std::cerr << "cannot write " << file << "\n";
  }
  return static_cast<bool>(out);
}

}  // namespace kstone::proptests

#endif  // KSTONE_PROPTESTS_CORE_JSON_H_
