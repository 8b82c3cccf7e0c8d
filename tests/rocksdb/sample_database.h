// A closed database with known contents, for the tests of the program: written with RocksDB alone,
// in several generations that overwrite and delete each other, and never compacted.

#ifndef KSTONE_TESTS_ROCKSDB_SAMPLE_DATABASE_H_
#define KSTONE_TESTS_ROCKSDB_SAMPLE_DATABASE_H_

#include <cstdint>
#include <string>

namespace kstone::rocksdb::test {

struct SampleShape {
  // Besides the default one, which stays empty; named "family-0", "family-1", ...
  std::uint32_t families = 3;
  std::uint32_t generations = 6;    // SSTs in L0 of each
  std::uint32_t keys = 200;         // that each generation writes or deletes
  std::uint32_t value_bytes = 500;  // of incompressible data
};

void make_sample(const std::string& path, const SampleShape& shape);

// Opens the database, verifies all checksums, and compares every key and value. Empty if all is
// well, else what is not.
std::string check_sample(const std::string& path, const SampleShape& shape);

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_SAMPLE_DATABASE_H_
