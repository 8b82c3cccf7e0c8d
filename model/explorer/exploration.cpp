#include "explorer/exploration.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "explorer/relacy.h"

namespace kstone::model::explorer {

namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Progress::Progress() : started_(seconds_now()), told_(started_) {}

double Progress::seconds() const { return seconds_now() - started_; }

void Progress::tell(const Search& search) {
  if ((search.executions_complete() & 0xfff) != 0) {
    return;
  }
  const double now = seconds_now();
  if (now - told_ > 10) {
    told_ = now;
    std::fprintf(stderr, "  %.0f s: %" PRIu64 " executions, %" PRIu64 " redundant\n",
                 now - started_, search.executions_complete(), search.executions_redundant());
  }
}

Exploration::Exploration(const ScenarioTable& scenario_table, const Limits& asked)
    : scenario(scenario_table),
      limits(asked),
      instance(::operator new(scenario.size, std::align_val_t(scenario.alignment))),
      threads(scenario, asked.planted),
      search(limits, threads.of_relacy()),
      trace(limits),
      sites(limits.demotions) {
  running_ = this;
}

Exploration::~Exploration() {
  running_ = nullptr;
  ::operator delete(instance, std::align_val_t(scenario.alignment));
}

void Exploration::begin_execution() {
  threads.begin_execution();
  objects.begin_execution();
  surprises.begin_execution(limits);
  trace.begin_execution();
  observations.begin_execution();
  now = 0;
  search.begin_execution();
}

bool Exploration::end_execution() {
  const bool more = search.end_execution();
  if (search.diverged()) {
    ending.set(Failure::model_error, departs);
    return false;
  }
  if (search.counted()) {
    observations.count_execution(search.preemptions());
    surprises.count_execution();
    longest_steps = std::max<std::uint64_t>(longest_steps, threads.steps());
  }
  if (limits.progress) {
    progress.tell(search);
  }
  return more;
}

Exploration& inside() {
  if (!inside_execution()) {
    std::fprintf(stderr, "kstone model: a modelled operation outside an execution\n");
    std::abort();
  }
  return exploration();
}

}  // namespace kstone::model::explorer
