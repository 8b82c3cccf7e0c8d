// The engine under the model checker: a writer, one who closes, and the worker's thread, in every interleaving.

#include "engine.h"
#include "kstone/model/gate.h"

using namespace kstone::model;

namespace {

using Engine = example::Engine<RelacySync>;

template <class Engine>
struct WriteWhileClosing {
  static constexpr int threads = 2;
  static constexpr int dynamic_threads = 1;  // the worker's
  std::unique_ptr<Engine> engine = std::make_unique<Engine>();

  void before() { check(engine->open(), "the engine opens"); }
  void thread(int index) {
    if (index == 1) {
      engine->close();
      return;
    }
    for (int value = 1; value <= 2 && engine->put(7, value); ++value) {
      engine->flush();
      const auto read = engine->get(7);
      check(!read || *read == value, "what was written is read");
      cover(read ? "read" : "closed");
    }
  }
  void after() { engine.reset(); }
};

// The planted fault: tables are freed, under the lock, while a compaction may read them without it.
struct FreesTablesFirst : Engine {
  void close() {
    refuse_writes();
    free_tables();
    stop_worker();
  }
};

const auto passes = suite<WriteWhileClosing<Engine>>({.name = "write_while_closing", .sometimes = {"read", "closed"}});
const auto fails = suite<WriteWhileClosing<FreesTablesFirst>>(
    {.name = "close_frees_tables_first", .expected = {Failure::use_after_free}});

}  // namespace

int main(int argc, char** argv) { return run_suites(argc, argv); }
