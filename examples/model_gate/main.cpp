// The engine as a program uses it: on real threads.

#include <cstdio>

#include "engine.h"

int main() {
  example::Engine<kstone::ProductionSync> engine;
  if (!engine.open()) {
    return 1;
  }
  for (int i = 0; i < 1'000; ++i) {
    engine.put(i % 100, i);
    if (i % 50 == 49) {
      engine.flush();
    }
  }
  if (!engine.wait_idle()) {
    return 1;
  }
  const int value = engine.get(7).value_or(-1);
  std::printf("tables: %zu, value of key 7: %d\n", engine.tables(), value);
  engine.close();
  return value == 907 ? 0 : 1;
}
