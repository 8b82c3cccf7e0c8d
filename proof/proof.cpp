#include "proof.h"

#include <fnmatch.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "breaks.h"

namespace kstone::proof {
namespace {

// With fewer, the step is not there.
bool applies(const Step& step, std::size_t stripes) {
  return stripes > step.actor || (!step.needs_stripe && !step.from);
}

// Broken steps are looked at with so many stripes: that is a whole state, and not a part of one.
constexpr std::size_t stripes_of_a_break = 2;

std::string sized(const std::string& name, std::size_t stripes) {
  const char* const sizes[] = {"no stripe", "one stripe", "two stripes", "three stripes or more"};
  return name + ", " + sizes[stripes];
}

}  // namespace

Proof::Proof(Options options) : options_(std::move(options)) {}

bool Proof::run() {
  for (std::size_t stripes = 0; stripes <= told_apart; ++stripes) {
    beginning(stripes);
    for (const auto& step : steps()) {
      if (applies(step, stripes)) {
        consecution(step, stripes);
      }
    }
    follow(stripes);
  }
  if (!options_.quick) {
    for (const auto& step : steps()) {
      break_step(step);
    }
    argue();
  }
  judge();
  return problems_.empty();
}

Row& Proof::row_of(const std::string& sentence, bool is_property) {
  const auto same = [&](const Row& row) { return row.sentence == sentence; };
  const auto found = std::find_if(rows_.begin(), rows_.end(), same);
  if (found != rows_.end()) {
    return *found;
  }
  Row row;
  row.sentence = sentence;
  row.is_property = is_property;
  rows_.push_back(std::move(row));
  return rows_.back();
}

void Proof::beginning(std::size_t stripes) {
  State state(static_cast<int>(stripes));
  state.worker.enabled = any_condition("enabled");
  if (stripes == told_apart) {
    state.worker.stripes = any_number("stripes");
  }
  for (std::size_t i = 0; i < stripes; ++i) {
    state.ids.push_back(any_number(std::string{static_cast<char>('a' + i)} + ".id"));
  }
  ask({"the beginning", given(state), {}, of_the_beginning(state)}, false, stripes);
}

void Proof::consecution(const Step& step, std::size_t stripes) {
  const State before = any_state(stripes);
  State after = before;
  step.perform(after);
  ask({step.name, given(before) && possible(before, step), known_of(before, step.from),
       behind(step, before, after)},
      false, stripes);
}

void Proof::follow(std::size_t stripes) {
  const State state = any_state(stripes);
  auto known = known_of(state, {});
  for (const auto& choice : chosen(state)) {
    for (auto& each : known) {
      each.holds = each.sentence == choice.sentence ? each.holds && choice.holds : each.holds;
    }
  }
  ask({"the properties", given(state), known, properties(state, possible)}, true, stripes);
}

void Proof::ask(const Question& question, bool is_property, std::size_t stripes) {
  const auto name = sized(question.name, stripes);
  Asked asked(question);
  Script script(question);
  const std::set<std::string> left_out = {options_.without};
  if (!asked.possible()) {
    problems_.push_back(name + ": never possible, so nothing is shown of it");
    return;
  }
  script.expect_possible();
  for (const auto& claim : question.claims) {
    auto& row = row_of(claim.sentence, is_property);
    const auto in_known = [&](const Claim& each) { return each.sentence == claim.sentence; };
    row.is_known =
        row.is_known || std::any_of(question.known.begin(), question.known.end(), in_known);
    script.expect(claim.holds, claim.sentence, true);
    if (claim.sentence == options_.without) {
      continue;
    }
    const auto answer = asked.follows(claim.holds, left_out);
    if (answer == Answer::follows) {
      ++proven_;
      ++row.proven;
      if (!options_.quick && stripes == told_apart) {
        rest(asked, question, claim, row);
      }
    } else {
      row.failures.push_back(name + (answer == Answer::unknown ? ": no answer" : ""));
    }
  }
  if (!options_.scripts.empty()) {
    script.write(options_.scripts + "/" + file_name(name) + ".smt2");
  }
}

void Proof::rest(Asked& asked, const Question& question, const Claim& claim, Row& row) {
  for (const auto& used : asked.used()) {
    if (used == claim.sentence || row.rests_on.count(used) != 0) {
      continue;
    }
    if (asked.follows(claim.holds, {used}) != Answer::follows) {
      row.rests_on.insert(used);
      row_of(used, false).serves.insert(question.name + ": " + claim.sentence);
    }
  }
}

void Proof::break_step(const Step& step) {
  const State before = any_state(stripes_of_a_break);
  State whole = before;
  step.perform(whole);
  const auto guard = possible(before, step);
  const Question question{"broken " + step.name, given(before), known_of(before, step.from), {}};
  Asked asked(question);
  Script script(question);
  for (const auto& broken : breaks_of(step, before)) {
    Broken result{broken.name, {}, false, {}};
    Claims claims;
    if (broken.never) {
      if (step.from) {
        claims = {{"a compaction that has begun to end goes on to its end",
                   context().bool_val(step.to.has_value() || step.name == "finish unwound")}};
      } else {
        claims = properties(before, [&](const State& state, const Step& each) {
          return each.name == step.name ? context().bool_val(false) : possible(state, each);
        });
      }
    } else {
      for (const auto& claim : behind(step, before, broken.after)) {
        claims.push_back({claim.sentence, z3::implies(broken.possible, claim.holds)});
      }
    }
    z3::expr all = context().bool_val(true);
    for (const auto& claim : claims) {
      all = all && claim.holds;
    }
    const auto answer = asked.follows(all);
    if (answer == Answer::refuted) {
      result.refuted_by = asked.first_false(claims);
    } else if (!broken.never) {
      result.same = asked.follows(same(broken, guard, whole)) == Answer::follows;
    }
    if (answer != Answer::unknown) {
      script.expect(all, broken.name, answer == Answer::follows);
    }
    breaks_.push_back(result);
  }
  if (!options_.scripts.empty()) {
    script.write(options_.scripts + "/" + file_name(question.name) + ".smt2");
  }
}

// The file has an argument at the beginning of a line, and below it, indented, patterns of the
// breaks that it is for.
void Proof::argue() {
  std::ifstream file(options_.argued);
  std::string line, argument;
  std::vector<bool> matched;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    if (line[0] != ' ') {
      argument = line;
      continue;
    }
    const auto pattern = line.substr(line.find_first_not_of(' '));
    bool serves = false;
    for (auto& broken : breaks_) {
      if (fnmatch(pattern.c_str(), broken.name.c_str(), FNM_NOESCAPE) == 0 &&
          broken.refuted_by.empty() && !broken.same) {
        broken.argument = argument;
        serves = true;
      }
    }
    if (!serves) {
      problems_.push_back("argued, and nothing survived that it is for: " + pattern);
    }
  }
}

void Proof::judge() {
  for (const auto& row : rows_) {
    for (const auto& failure : row.failures) {
      problems_.push_back("not proven: " + row.sentence + ": " + failure);
    }
    if (!options_.quick && row.is_known && row.serves.empty()) {
      problems_.push_back("not needed: " + row.sentence);
    }
  }
  for (const auto& broken : breaks_) {
    if (broken.refuted_by.empty() && !broken.same && broken.argument.empty()) {
      problems_.push_back("survived: " + broken.name);
    }
  }
}

}  // namespace kstone::proof
