// kstone_bench_instructions: requests and nothing else, for callgrind to count. `requests plain`:
// as an engine has them with nothing switched on; `requests logged`: with a log sink. The
// difference of two counts is what one request costs.

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kstone/background_worker.h"

int main(int argc, char** argv) {
  if (argc != 3 || (std::strcmp(argv[1], "plain") != 0 && std::strcmp(argv[1], "logged") != 0) ||
      std::atoi(argv[2]) < 1) {
    std::fprintf(stderr, "usage: kstone_bench_instructions plain|logged REQUESTS\n");
    return 2;
  }
  kstone::BackgroundWorker::Options options;
  if (std::strcmp(argv[1], "logged") == 0) {
    options.log = [](kstone::LogLevel, std::string_view) {};
  }
  kstone::BackgroundWorker worker(
      kstone::CompactionConfig(), {}, 1,
      [](kstone::CompactionContext&) { return kstone::CompactionOutcome::done(); }, options);
  const int requests = std::atoi(argv[2]);
  for (int i = 0; i < requests; ++i) {
    worker.queue_compaction(0);
  }
}
