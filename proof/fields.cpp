// The state of the protocol as constants of the solver.

#include <map>
#include <string>
#include <utility>

#include "system.h"

namespace kstone::proof {

std::vector<Field> fields(Worker& worker) {
  auto& w = worker;
  std::vector<Field> result = {
      {"stripes", &w.stripes.term},
      {"enabled", &w.enabled.term},
      {"newest", &w.control.newest.term},
      {"length", &w.control.length.term},
      {"sleepers", &w.control.sleepers.term},
      {"inbox_closed", &w.control.closed.term},
      {"raises", &w.raises.term},
      {"inbox_from", &w.inbox_from.term},
      {"arriving", &w.arriving.term},
      {"queue_length", &w.queued.term},
      {"tail", &w.tail.term},
      {"paused", &w.paused.term},
      {"closed", &w.closed.term},
      {"words_closed", &w.words_closed.term},
      {"mode", &w.mode.term},
      {"first_error", &w.first_error.term},
      {"started", &w.started.term},
      {"limit", &w.limit.term},
      {"alive", &w.alive.term},
      {"running", &w.running.term},
      {"running_max", &w.running_max.term},
      {"asleep", &w.asleep.term},
      {"parked", &w.parked.term},
      {"owed", &w.owed.term},
      {"tokens", &w.tokens.term},
  };
  // A field that is forgotten here would keep its initial value.
  static_assert(sizeof(Worker) == 25 * sizeof(Number) && sizeof(Number) == sizeof(Condition));
  return result;
}

std::vector<Field> fields(Stripe& stripe, const std::string& prefix) {
  auto& s = stripe;
  std::vector<Field> result = {
      {"requests", &s.word.requests.term},
      {"word_running", &s.word.running.term},
      {"word_closed", &s.word.closed.term},
      {"under_way", &s.word.under_way.term},
      {"removed", &s.word.removed.term},
      {"low", &s.word.low.term},
      {"high", &s.word.high.term},
      {"word_reasons", &s.word.reasons.term},
      {"claimed", &s.claimed.term},
      {"pushed", &s.pushed.term},
      {"looks", &s.looks.term},
      {"raising", &s.raising.term},
      {"raise_claimed", &s.raise_claimed.term},
      {"raise_pushed", &s.raise_pushed.term},
      {"raise_at", &s.raise_at.term},
      {"lane", &s.lane.term},
      {"priority", &s.priority.term},
      {"raised", &s.raised.term},
      {"reasons", &s.reasons.term},
      {"requested_priority", &s.requested_priority.term},
      {"requested_reasons", &s.requested_reasons.term},
      {"queued", &s.queued.term},
      {"held", &s.held.term},
      {"delayed", &s.delayed.term},
      {"quarantined", &s.quarantined.term},
      {"stripe_running", &s.running.term},
      {"pushed_at", &s.pushed_at.term},
      {"queued_at", &s.queued_at.term},
      {"stripe_paused", &s.paused.term},
      {"asked_to_stop", &s.asked_to_stop.term},
      {"rerun_owed", &s.rerun_owed.term},
      {"attempts", &s.attempts.term},
      {"early", &s.early.term},
      {"discarded", &s.discarded.term},
      {"unfinished", &s.unfinished.term},
      {"released", &s.released.term},
      {"requested", &s.requested.term},
      {"rejected", &s.rejected.term},
      {"compactions_started", &s.started.term},
      {"retried", &s.retried.term},
      {"probed", &s.probed.term},
  };
  const auto add = [&result](const std::string& name, auto& numbers) {
    int i = 0;
    for (auto& number : numbers) {
      result.push_back({name + "_" + std::to_string(i++), &number.term});
    }
  };
  add("told", s.told);
  add("learnt", s.learnt);
  add("ends", s.ends);
  add("outcomes", s.outcomes);
  static_assert(sizeof(Stripe) == (41 + 3 + 3 + 5 + kinds) * sizeof(Number));
  for (auto& field : result) {
    field.name = prefix + field.name;
  }
  return result;
}

namespace {

std::map<std::string, z3::expr>& constants_by_name() {
  static std::map<std::string, z3::expr> all;
  return all;
}
z3::expr constant(const std::string& name, const z3::sort& sort) {
  const auto made = context().constant(name.c_str(), sort);
  return constants_by_name().emplace(name, made).first->second;
}

}  // namespace

Number any_number(const std::string& name) { return Number(constant(name, context().int_sort())); }
Condition any_condition(const std::string& name) {
  return Condition(constant(name, context().bool_sort()));
}
std::vector<z3::expr> constants() {
  std::vector<z3::expr> result;
  for (const auto& [name, constant] : constants_by_name()) {
    result.push_back(constant);
  }
  return result;
}

State any_state(std::size_t stripes) {
  State state(static_cast<int>(stripes));
  auto all = fields(state.worker);
  for (std::size_t i = 0; i < stripes; ++i) {
    const std::string prefix{static_cast<char>('a' + i), '.'};
    state.ids.push_back(any_number(prefix + "id"));
    const auto more = fields(state.stripes[i], prefix);
    all.insert(all.end(), more.begin(), more.end());
  }
  for (const auto& field : all) {
    *field.term =
        field.term->is_bool() ? any_condition(field.name).term : any_number(field.name).term;
  }
  return state;
}

z3::expr given(const State& state) {
  const auto& stripes = state.worker.stripes.term;
  const auto count = context().int_val(static_cast<int>(state.stripes.size()));
  z3::expr all = state.stripes.size() < told_apart ? stripes == count : stripes >= count;
  for (std::size_t i = 0; i < state.ids.size(); ++i) {
    all = all && state.ids[i].term >= 0 && state.ids[i].term < stripes;
    for (std::size_t k = 0; k < i; ++k) {
      all = all && state.ids[i].term != state.ids[k].term;
    }
  }
  return all && any_number("threads").term >= 0 && any_number("error").term >= 0 &&
         any_number("to").term > 0;
}

}  // namespace kstone::proof
