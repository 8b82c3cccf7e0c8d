// The engine under the model checker: a writer, one who reads or closes, and the worker's thread,
// in every interleaving.

#include "kstone/model/gate.h"
#include "engine.h"

using namespace kstone::model;

namespace {

using Engine = example::Engine<RelacySync>;

template <class Engine, int writes, int others>
struct Scenario {
  static constexpr int threads = 1 + others;
  static constexpr int dynamic_threads = 1;  // the worker's
  std::unique_ptr<Engine> engine = std::make_unique<Engine>();
  bool closes = false;

  void before() { check(engine->open(), "the engine opens"); }
  void thread(int index) {
    for (int value = 1; index == 0 && value <= writes && engine->put(7, value); ++value) {
      engine->flush();
    }
    if (index == 1) {
      closes = choose(2) == 0;
      closes ? engine->close() : read();
    }
  }
  void read() {
    const int first = engine->get(7).value_or(0);
    check(first <= engine->get(7).value_or(0), "what was read stays");
    cover(first != 0 ? "read" : "not written yet");
  }
  void after() {
    check(closes || (engine->wait_idle() && engine->tables() == 1), "tables are merged");
    check(engine->get(7).value_or(0) == (closes ? 0 : writes),
          "the newest value is read, and none after the end");
    engine.reset();
  }
};

// The planted fault: tables are freed, under the lock, while a compaction may read them without it.
struct FreesTablesFirst : Engine {
  void close() {
    refuse_writes();
    free_tables();
    stop_worker();
  }
};

const auto closing = suite<Scenario<Engine, 2, 1>>(
    {.name = "write_while_closing", .sometimes = {"read", "not written yet"}});
const auto merging = suite<Scenario<Engine, 3, 0>>({.name = "write_three_times"});
const auto fails = suite<Scenario<FreesTablesFirst, 2, 1>>(
    {.name = "close_frees_tables_first", .expected = {Failure::use_after_free}});

}  // namespace

int main(int argc, char** argv) { return run_suites(argc, argv); }
