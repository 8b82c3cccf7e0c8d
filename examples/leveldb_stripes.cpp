// Another engine in under 60 lines: LevelDB, where a stripe is a database. Writers ask for a
// compaction every thousand writes. The worker asks two databases at a time to compact; LevelDB
// merges on one thread of its own for the process.

#include <leveldb/db.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "kstone/background_worker.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: leveldb_stripes FOLDER\n";
    return 2;
  }
  constexpr std::uint32_t stripes = 4;
  std::vector<std::unique_ptr<leveldb::DB>> databases;
  for (std::uint32_t i = 0; i < stripes; ++i) {
    leveldb::Options options;
    options.create_if_missing = true;
    leveldb::DB* database = nullptr;
    std::filesystem::create_directories(argv[1]);
    const auto status =
        leveldb::DB::Open(options, std::string(argv[1]) + "/" + std::to_string(i), &database);
    if (!status.ok()) {
      std::cerr << "leveldb_stripes: " << status.ToString() << "\n";
      return 2;
    }
    databases.emplace_back(database);
  }

  // The job decides what to compact when it starts, and touches its own stripe only.
  auto compact = [&](kstone::CompactionContext& context) {
    databases[context.stripe_id()]->CompactRange(nullptr, nullptr);
    return kstone::CompactionOutcome::done();
  };
  kstone::BackgroundWorker worker(kstone::CompactionConfig().with_max_concurrent(2), {}, stripes,
                                  compact);
  if (worker.start() != kstone::StartResult::started) {
    std::cerr << "leveldb_stripes: no thread could be created\n";
    return 1;
  }

  const std::string value(100, 'v');
  for (int i = 1; i <= 40'000; ++i) {
    const auto stripe = static_cast<std::uint32_t>(i) % stripes;
    databases[stripe]->Put(leveldb::WriteOptions(), "key" + std::to_string(i % 5'000), value);
    if (i % 1'000 < static_cast<int>(stripes)) {
      worker.queue_compaction(stripe);  // no lock, no wait; a duplicate costs one atomic operation
    }
  }

  const auto report = worker.shutdown(kstone::ShutdownMode::drain);  // before the databases close
  const auto counts = worker.snapshot();
  std::cout << counts.requests() << " requests, " << counts.stats.total_compactions
            << " compactions, " << report.unfinished.size() + report.discarded.size()
            << " stripes not done\n";
  return report.complete && report.unfinished.empty() && report.discarded.empty() ? 0 : 1;
}
