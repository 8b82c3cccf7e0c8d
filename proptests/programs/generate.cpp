#include "generate.h"

#include <initializer_list>

namespace kstone::programs {
namespace {

// Sizes are ours: RapidCheck's growing size would make the first programs all alike.
template <class T>
rc::Gen<T> below(T limit) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(0, limit));
}
bool chance(int percent) { return *below(100) >= 100 - percent; }  // shrinks to false

// One for each percentage that comes up.
template <class T>
std::vector<T> some(std::initializer_list<int> percentages, const rc::Gen<T>& element) {
  std::vector<T> result;
  for (const int percent : percentages) {
    if (chance(percent)) {
      result.push_back(*element);
    }
  }
  return result;
}

// Each call so often as its weight says, in the order of `calls`; all requests of known stripes for
// those that there are.
rc::Gen<Call> any_call(const std::vector<int>& weights, std::uint32_t stripes,
                       const std::vector<int>& others = {}) {
  RC_ASSERT(weights.size() + others.size() == std::size(calls) || others.empty());
  std::vector<Call> table;
  for (std::size_t i = 0; i < weights.size() + others.size(); ++i) {
    const auto& call = i < Program::stripe_limit ? calls[i % stripes] : calls[i];
    const int weight = i < weights.size() ? weights[i] : others[i - weights.size()];
    table.insert(table.end(), static_cast<std::size_t>(weight), call);
  }
  return rc::gen::map(below(table.size()), [table](std::size_t index) { return table[index]; });
}

// clang-format off
//                          request run size start wait wait(l) wait(0) (1) (0,l)
//                                                           shutdown shutdown(l) snapshot
//                                                                 unknown set_max (2) retry_now
//                                                                                     release
//                              request low (0) (1) high (0) (1)
const std::vector<int> of_thread{24, 8, 2, 2, 2, 6, 2, 3, 1, 2, 4, 4, 4, 1, 1, 1, 2, 1, 3, 3, 2, 1,
                                3, 1, 4, 2};
const std::vector<int> of_job{    6, 6, 1, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1,
                                1, 1, 1, 1};
const std::vector<int> to_start{  8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0,
                                2, 1, 2, 1};
const std::vector<int> at_end{    4, 2, 1, 1, 2,12, 1, 2, 1, 0, 1, 2, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1,
                                1, 0, 1, 1};
const std::vector<int> of_waiter{ 0, 0, 0, 0, 0, 6, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0,
                                0, 0, 0, 0};
// ... and, in programs that hold stripes back:
//                            cancel (1) await (l) remove (1) (l) restore (1) is_removed
//                                                            pause (l) (0) (1) (0,l) resume (0) (1)
const std::vector<int> also_of_thread{ 8, 2, 6, 2, 8, 2, 2, 6, 2, 1, 6, 2, 6, 2, 2,   3, 3, 1};
const std::vector<int> also_of_job{    6, 2, 1, 0, 1, 1, 0, 3, 1, 1, 1, 0, 1, 0, 0,   0, 0, 0};
const std::vector<int> also_before{    1, 0, 0, 0, 2, 1, 0, 1, 0, 0, 3, 0, 3, 1, 0,   0, 0, 0};
const std::vector<int> also_at_end{    2, 1, 1, 0, 2, 1, 0, 3, 1, 1, 1, 0, 1, 0, 0,   1, 1, 1};
// clang-format on

// Of `ends`; twice what makes more of a program.
constexpr int any_end[] = {0, 0, 0, 1, 2, 2, 3, 4, 5};

// The plain one most often: the others make a program larger.
constexpr Look any_look[] = {Look::stop_requested, Look::stop_requested, Look::wait_for_stop,
                             Look::on_stop};

rc::Gen<Compaction> any_compaction(std::uint32_t stripes, bool holds_back) {
  return rc::gen::exec([stripes, holds_back] {
    Compaction compaction;
    compaction.calls =
        some({35}, any_call(of_job, stripes, holds_back ? also_of_job : std::vector<int>()));
    if (chance(holds_back ? 40 : 15)) {
      compaction.look = any_look[*below(std::size(any_look))];
    }
    compaction.end = any_end[*below(std::size(any_end))];
    return compaction;
  });
}

}  // namespace

rc::Gen<Program> any_program() {
  return rc::gen::exec([] {
    Program program;
    program.workers = chance(20) ? 2 : 1;
    program.stripes = chance(program.workers == 2 ? 60 : 25) ? 2 : 1;
    const bool holds_back = chance(40);
    const auto also = [holds_back](const std::vector<int>& weights) {
      return holds_back ? weights : std::vector<int>();
    };
    const auto call = any_call(of_thread, program.stripes, also(also_of_thread));
    program.threads.push_back(some({98, 80, 30}, call));
    program.threads.push_back(some({98, 80, 15}, call));
    if (chance(20)) {
      program.threads.push_back(some({100, 25}, call));
    }
    program.overtakes = chance(8);
    if (program.overtakes) {
      for (std::size_t i = 0; i + 1 < program.threads.size(); ++i) {
        program.threads[i] = {*any_call(of_waiter, program.stripes)};
      }
    }
    if (chance(8)) {
      program.scan = some({90, 30}, any_call(of_job, program.stripes, also(also_of_job)));
    }
    if (chance(25)) {
      program.before = some({80, 30}, any_call(to_start, program.stripes, also(also_before)));
    }
    if (!chance(15)) {
      program.before.push_back(call_named("start"));
    }
    program.after = some({60, 30}, any_call(at_end, program.stripes, also(also_at_end)));
    for (std::uint32_t stripe = 0; stripe < program.stripes; ++stripe) {
      if (chance(55)) {
        program.jobs[stripe] = some({90, 30}, any_compaction(program.stripes, holds_back));
      }
    }
    program.all_removed = holds_back && chance(8);
    program.real_time = chance(20);
    program.surprises = chance(8);
    program.refusals = chance(4);
    program.back_off = chance(25);
    program.quarantine = program.back_off && chance(40);
    if (!chance(15)) {  // else the destructor ends it
      program.after.push_back(call_named("shutdown(finish_running)"));
      program.after.push_back(call_named("snapshot"));
    }
    program.make_finite();
    return program;
  });
}

}  // namespace kstone::programs
