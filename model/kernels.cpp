// The kernels as suites: they measure the explorer.

#include "kernels.h"
#include "runner.h"
#include "scenario.h"

namespace kstone::model {
namespace {

struct Types : RelacySync {
  static void cover(const char* event) { model::cover(event); }
};

template <int requesters, int workers, int stripes>
using Locked = LockedKernel<Types, requesters, workers, stripes>;
template <int requesters, int workers, int stripes, bool posts = true>
using OneWord = OneWordKernel<Types, requesters, workers, stripes, posts>;

// A loop that waits for another thread without a step of its own ends as a livelock, and not when
// memory does.
struct LoopWithoutStep {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 0;
  void before() {}
  void thread(int) {
    while (!closed.read()) {
    }
  }
  void after() {}
  RelacySync::cell<bool> closed{false};
};

// Of a kernel: its threads are its requesters, those that it starts its workers.
template <class Scenario>
SuiteOptions measured(const char* name, std::vector<std::string> sometimes) {
  SuiteOptions options;
  options.name = name;
  options.property = "kernel";
  options.requesters = Scenario::threads;
  options.workers = Scenario::dynamic_threads;
  options.sometimes = std::move(sometimes);
  options.limits.retries_forget = true;
  return options;
}

SuiteOptions must_fail(const char* name, Failure failure) {
  SuiteOptions options;
  options.name = name;
  options.property = "kernel";
  options.expected = {failure};
  return options;
}

template <class Scenario>
Registered suite_of(const char* name, std::vector<std::string> sometimes, KSTONE_MODEL_SITE) {
  return suite<Scenario>(measured<Scenario>(name, std::move(sometimes)), file, line, function);
}

const Registered suites[] = {
    suite_of<Locked<1, 1, 1>>("locked_1_1", {"slept"}),
    suite_of<Locked<2, 1, 1>>("locked_2_1", {"slept", "coalesced", "again"}),
    suite_of<Locked<2, 1, 2>>("locked_2_1_two_stripes", {"slept"}),
    suite_of<Locked<1, 2, 1>>("locked_1_2", {"slept"}),
    suite_of<Locked<3, 1, 1>>("locked_3_1", {"slept", "coalesced", "again"}),
    suite_of<Locked<2, 2, 1>>("locked_2_2", {"slept", "coalesced", "again"}),
    suite_of<OneWord<1, 1, 1>>("one_word_1_1", {"slept"}),
    suite_of<OneWord<2, 1, 1>>("one_word_2_1", {"slept", "coalesced", "again"}),
    suite_of<OneWord<2, 1, 2>>("one_word_2_1_two_stripes", {"slept"}),
    suite_of<OneWord<1, 2, 1>>("one_word_1_2", {"slept"}),
    suite_of<OneWord<3, 1, 1>>("one_word_3_1", {"slept", "coalesced", "again"}),
    suite_of<OneWord<2, 2, 1>>("one_word_2_2", {"slept", "coalesced", "again"}),
    suite<LoopWithoutStep>(must_fail("loop_without_step", Failure::livelock)),
    suite<OneWord<2, 1, 1, false>>(must_fail("one_word_2_1_without_post", Failure::deadlock)),
};

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) { return kstone::model::run_suites(argc, argv); }
