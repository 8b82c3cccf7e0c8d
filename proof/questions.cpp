#include "questions.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <stdexcept>

namespace kstone::proof {
namespace {

constexpr unsigned milliseconds = 20000;  // for one question; it takes a few

z3::expr literal_of(std::size_t number) {
  return context().bool_const(("known_" + std::to_string(number)).c_str());
}

}  // namespace

Asked::Asked(const Question& question) : known_(question.known), solver_(context()) {
  z3::params params(context());
  params.set("timeout", milliseconds);
  solver_.set(params);
  solver_.add(question.given);
  for (std::size_t i = 0; i < known_.size(); ++i) {
    literals_.push_back(literal_of(i));
    solver_.add(z3::implies(literals_[i], known_[i].holds));
  }
}

bool Asked::possible() { return follows(context().bool_val(false)) == Answer::refuted; }

Answer Asked::follows(const z3::expr& claim, const std::set<std::string>& left_out) {
  const z3::expr not_so = context().bool_const("not_so");
  if (asked_) {
    solver_.pop();
  }
  solver_.push();
  asked_ = true;
  solver_.add(z3::implies(not_so, !claim));
  z3::expr_vector assumptions(context());
  for (std::size_t i = 0; i < known_.size(); ++i) {
    if (left_out.count(known_[i].sentence) == 0) {
      assumptions.push_back(literals_[i]);
    }
  }
  assumptions.push_back(not_so);
  switch (solver_.check(assumptions)) {
    case z3::unsat:
      return Answer::follows;
    case z3::sat:
      return Answer::refuted;
    default:
      return Answer::unknown;
  }
}

std::set<std::string> Asked::used() {
  std::set<std::string> result;
  for (const auto& literal : solver_.unsat_core()) {
    for (std::size_t i = 0; i < known_.size(); ++i) {
      if (z3::eq(literal, literals_[i])) {
        result.insert(known_[i].sentence);
      }
    }
  }
  return result;
}

std::string Asked::first_false(const Claims& claims) {
  const auto model = solver_.get_model();
  for (const auto& claim : claims) {
    if (model.eval(claim.holds, true).is_false()) {
      return claim.sentence;
    }
  }
  return {};
}

Script::Script(const Question& question) {
  text_ = "(set-info :source |" + question.name + "|)\n(set-logic QF_LIA)\n";
  for (const auto& constant : constants()) {
    text_ +=
        "(declare-const " + constant.to_string() + (constant.is_bool() ? " Bool)\n" : " Int)\n");
  }
  text_ += "(assert " + question.given.to_string() + ")\n";
  for (const auto& each : question.known) {
    text_ += "; known: " + each.sentence + "\n(assert " + each.holds.to_string() + ")\n";
  }
}

void Script::expect_possible() {
  text_ += "(check-sat)\n";
  expected_ += " sat";
}

void Script::expect(const z3::expr& claim, const std::string& name, bool follows) {
  text_ += "; does it follow? " + name + "\n(push 1)\n(assert (not " + claim.to_string() +
           "))\n(check-sat)\n(pop 1)\n";
  expected_ += follows ? " unsat" : " sat";
}

void Script::write(const std::filesystem::path& path) const {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path);
  file << "; expected:" << expected_ << '\n' << text_;
  if (!file.flush()) {
    throw std::runtime_error("cannot be written: " + path.string());
  }
}

std::string file_name(const std::string& name) {
  std::string result = name;
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return result;
}

}  // namespace kstone::proof
