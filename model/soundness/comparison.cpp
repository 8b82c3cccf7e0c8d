#include "soundness/comparison.h"

#include <algorithm>
#include <vector>

#include "soundness/interpreter.h"
#include "soundness/native.h"

namespace kstone::model::soundness {

namespace {

constexpr std::uint64_t plain_budget = 150000;  // a program that needs more is drawn again

std::string outcomes_text(const std::vector<std::string>& outcomes) {
  std::string text = ":";
  for (const std::string& outcome : outcomes) {
    text += " " + outcome;
  }
  return text;
}

std::string describe(const Result& result) {
  std::string text = verdict_name(result.verdict);
  text += result.failure == Failure::none
              ? ""
              : std::string(" (") + failure_name(result.failure) + ": " + result.message + ")";
  return text + ", " + std::to_string(result.executions_complete) + " + " +
         std::to_string(result.executions_redundant) + outcomes_text(result.outcomes);
}

Result sharded(const ScenarioTable& table, Limits limits, unsigned count) {
  std::vector<Result> parts;
  limits.shard_depth = 2;
  for (unsigned i = 0; i < count; ++i) {
    limits.shard = ShardOf{i, count};
    parts.push_back(explore(table, limits));
  }
  return merge(parts);
}

// The searches of one program beside the plain one.
class Comparison {
 public:
  Comparison(const Program& program, const Result& plain, PlantedFault planted)
      : program_(program), plain_(plain), table_(interpreter_table()), limits_(program.limits) {
    limits_.planted = planted;
  }

  // Each: whether it agrees.
  bool reduced();
  bool in_shards();
  bool bounded() const;
  bool random() const;
  bool native() const;

  const Result& sleep() const { return sleep_; }
  const Result& source() const { return source_; }
  const std::string& complaint() const { return complaint_; }

 private:
  Result explore_in(Mode mode) const {
    Limits limits = limits_;
    limits.mode = mode;
    return explore(table_, limits);
  }
  bool is_proved() const { return plain_.verdict == Verdict::proved; }
  bool differs(std::string complaint) const {
    complaint_ = std::move(complaint);
    return false;
  }
  // `count_as`: has equally many complete executions.
  bool agrees(const char* what, const Result& result, const Result* count_as) const;

  const Program& program_;
  const Result& plain_;
  const ScenarioTable table_;
  Limits limits_;
  Result sleep_, source_;
  mutable std::string complaint_;
};

bool Comparison::agrees(const char* what, const Result& result, const Result* count_as) const {
  const bool same = result.verdict == plain_.verdict &&
                    (!is_proved() || result.outcomes == plain_.outcomes) &&
                    (count_as == nullptr || !is_proved() || limits_.weak_cas_failures > 0 ||
                     result.executions_complete == count_as->executions_complete);
  return same || differs(std::string(what) + " gives " + describe(result) + "\n  plain gives " +
                         describe(plain_) +
                         (count_as == nullptr ? "" : "\n  counted as " + describe(*count_as)));
}

bool Comparison::reduced() {
  sleep_ = explore_in(Mode::sleep_sets);
  source_ = explore_in(Mode::source_sets);
  return agrees("sleep sets", sleep_, nullptr) &&
         agrees("source sets", source_, limits_.planted == PlantedFault::none ? &sleep_ : nullptr);
}

bool Comparison::in_shards() {
  for (const unsigned count : {2U, 3U}) {
    Limits limits = limits_;
    limits.mode = Mode::source_sets;
    if (!agrees("source sets, sharded", sharded(table_, limits, count), &source_)) {
      return false;
    }
    limits.mode = Mode::sleep_sets;
    const Result parts = sharded(table_, limits, count);
    if (!agrees("sleep sets, sharded", parts, &sleep_)) {
      return false;
    }
    if (is_proved() && (parts.executions_complete != sleep_.executions_complete ||
                        parts.executions_redundant != sleep_.executions_redundant)) {
      return differs("sleep sets, sharded, give " + describe(parts) + "\n  unsharded " +
                     describe(sleep_));
    }
  }
  return true;
}

bool Comparison::bounded() const {
  Limits limits = limits_;
  limits.mode = Mode::bounded;
  for (const std::uint32_t bound : {0U, 1U, 2U}) {
    limits.preemption_bound = bound;
    const Result result = explore(table_, limits);
    std::vector<std::string> within;
    for (std::size_t i = 0; i < plain_.outcomes.size(); ++i) {
      if (plain_.outcome_preemptions[i] <= bound) {
        within.push_back(plain_.outcomes[i]);
      }
    }
    if (result.verdict != Verdict::proved || result.outcomes != within) {
      return differs("bound " + std::to_string(bound) + " gives " + describe(result) +
                     "\n  plain gives " + describe(plain_));
    }
  }
  return true;
}

bool Comparison::random() const {
  Limits limits = limits_;
  limits.mode = Mode::random;
  limits.max_executions = 50;
  const Result result = explore(table_, limits);
  const bool known = std::includes(plain_.outcomes.begin(), plain_.outcomes.end(),
                                   result.outcomes.begin(), result.outcomes.end());
  return known ||
         differs("random gives " + describe(result) + "\n  plain gives " + describe(plain_));
}

bool Comparison::native() const {
  Limits limits = limits_;
  limits.mode = Mode::source_sets;
  limits.stale_depth = 1;
  const Result shallow = explore(table_, limits);
  const Seen seen = run_native();
  const bool same = seen.verdict == shallow.verdict &&
                    (seen.verdict != Verdict::proved || seen.outcomes == shallow.outcomes);
  return same || differs(std::string("Relacy's full search gives ") + verdict_name(seen.verdict) +
                         outcomes_text(seen.outcomes) + "\n  ours gives " + describe(shallow));
}

}  // namespace

std::optional<bool> compare(const Program& program, Tally& tally, std::string& complaint,
                            PlantedFault planted) {
  program_ = &program;
  Limits limits = program.limits;
  limits.mode = Mode::plain;
  limits.max_executions = plain_budget;
  const Result plain = explore(interpreter_table(), limits);
  if (plain.verdict == Verdict::unknown) {
    if (plain.failure == Failure::none) {
      return std::nullopt;
    }
    complaint = "the plain search: " + plain.reason;
    return false;
  }
  Comparison searches(program, plain, planted);
  const bool is_proved = plain.verdict == Verdict::proved;
  bool equal = searches.reduced();
  if (equal) {
    tally.plain += plain.executions_complete;
    tally.sleep += searches.sleep().executions_complete;
    tally.source += searches.source().executions_complete;
    tally.sleep_redundant += searches.sleep().executions_redundant;
    tally.source_redundant += searches.source().executions_redundant;
  }
  if (planted == PlantedFault::none) {
    equal = equal && searches.in_shards() &&
            (!is_proved || (searches.bounded() && searches.random())) &&
            (!program.native || searches.native());
    tally.native += equal && program.native ? 1 : 0;
    tally.multi_outcome += equal && is_proved && plain.outcomes.size() > 1 ? 1 : 0;
    tally.refuted += equal && !is_proved ? 1 : 0;
  }
  complaint = equal ? complaint : searches.complaint();
  return equal;
}

}  // namespace kstone::model::soundness
