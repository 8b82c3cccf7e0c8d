// Scenarios that the checker must refuse with a sentence, never with a crash or without a word. tools_test.py runs them.

#include <string>

#include "runner.h"
#include "scenario.h"

namespace kstone::model {
namespace {

struct ManyConflicts {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 0;
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int index) {
    for (int stores = index == 0 ? 600 : 1; stores > 0; --stores) {
      value.store(index, std::memory_order_relaxed);
    }
  }
  void after() {}
};

struct ManyObjects {
  static constexpr int threads = 1;
  static constexpr int dynamic_threads = 0;
  Ghost<int> ghosts[7];
  RelacySync::atomic<int> value{0};

  void before() {}
  void thread(int) {
    for (auto& each : ghosts) {
      each.with_next_step(Access::add);
    }
    value.store(1, std::memory_order_relaxed);
  }
  void after() {}
};

const Registered many_conflicts = suite<ManyConflicts>({.name = "many_conflicts"});
const Registered many_objects = suite<ManyObjects>({.name = "many_objects"});

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) {
  using namespace kstone::model;
  if (argc > 1 && std::string(argv[1]) == "--twice") {
    suite<ManyObjects>({.name = "many_objects"});
    return run_suites(1, argv);
  }
  return run_suites(argc, argv);
}
