#include <atomic>
#include <cstdio>
#include <string_view>

#include "kstone/background_worker.h"
#include "kstone/version.h"

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#if defined(PACKAGE_VERSION)
static_assert(std::string_view(PACKAGE_VERSION) == KSTONE_VERSION_STRING,
              "the package and the header have one version");
#endif
static_assert(KSTONE_VERSION / 10000 == KSTONE_VERSION_MAJOR &&
              KSTONE_VERSION / 100 % 100 == KSTONE_VERSION_MINOR &&
              KSTONE_VERSION % 100 == KSTONE_VERSION_PATCH);

namespace {

// A child notices that it is one: by code that is inlined here, which has to look at the library's
// count of forks, also where this program hides its symbols.
bool child_notices() {
#if defined(__linux__)
  kstone::ProductionSync::process process;
  process.bind();
  const auto child = fork();
  if (child == 0) {
    _exit(process.is_current() ? 1 : 0);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
#else
  return true;
#endif
}

}  // namespace

int main() {
  std::atomic<int> compacted{0};
  kstone::BackgroundWorker worker(kstone::CompactionConfig().with_max_concurrent(2),
                                  kstone::CompactionStatsAtomic(), 16,
                                  [&](kstone::CompactionContext& context) {
                                    compacted += static_cast<int>(context.stripe_id());
                                    return kstone::CompactionOutcome::done();
                                  });
  if (worker.start() != kstone::StartResult::started) {
    return 1;
  }
  worker.queue_compaction(7);
  const auto report = worker.shutdown(kstone::ShutdownMode::drain);
  const bool noticed = child_notices();
  std::printf("compacted %d, complete %d, fork noticed %d, %s\n", compacted.load(), report.complete,
              noticed, to_string(report.mode).data());
  return compacted == 7 && report.complete && noticed ? 0 : 1;
}
