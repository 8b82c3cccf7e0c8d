// A small RocksDB database for the tests of the adapter. Nothing here sleeps: tests wait for
// events.

#ifndef KSTONE_TESTS_ROCKSDB_DATABASE_SUPPORT_H_
#define KSTONE_TESTS_ROCKSDB_DATABASE_SUPPORT_H_

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/statistics.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kstone/rocksdb/column_family_compactor.h"
#include "kstone/rocksdb/database_listener.h"

namespace kstone::rocksdb::test {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    auto pattern = (std::filesystem::temp_directory_path() / "kstone-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("mkdtemp " + pattern);
    }
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Calls back when RocksDB begins to merge, on the thread that is about to; the call may block.
class MergeHook final : public ::rocksdb::EventListener {
 public:
  explicit MergeHook(std::function<void(const ::rocksdb::SubcompactionJobInfo&)> call)
      : call_(std::move(call)) {}
  void OnSubcompactionBegin(const ::rocksdb::SubcompactionJobInfo& info) override { call_(info); }

 private:
  std::function<void(const ::rocksdb::SubcompactionJobInfo&)> call_;
};

inline void expect_ok(const ::rocksdb::Status& status) {
  EXPECT_TRUE(status.ok()) << status.ToString();
}

// Column families "0", "1", ...; everything that was put is remembered, and `expect_contents`
// compares.
class Database {
 public:
  using Tweak = std::function<void(::rocksdb::ColumnFamilyOptions&)>;

  static CompactionConfig config() {
    return CompactionConfig().with_sst_threshold(4).with_max_concurrent(2);
  }

  explicit Database(std::uint32_t families, const Tweak& tweak = {},
                    std::vector<std::shared_ptr<::rocksdb::EventListener>> listeners = {},
                    const std::function<void(::rocksdb::DBOptions&)>& tweak_database = {}) {
    family_options_.compression = ::rocksdb::kNoCompression;
    family_options_.num_levels = 4;
    use_worker_compactions(family_options_, config());
    if (tweak) {
      tweak(family_options_);
    }
    options_.create_if_missing = true;
    options_.listeners = std::move(listeners);
    options_.listeners.push_back(listener);
    options_.statistics = statistics;
    if (tweak_database) {
      tweak_database(options_);
    }
    ::rocksdb::DB* opened = nullptr;
    check(::rocksdb::DB::Open({options_, family_options_}, folder_.path().string(), &opened));
    db.reset(opened);
    for (std::uint32_t id = 0; id < families; ++id) {
      add_family(std::to_string(id));
    }
  }
  ~Database() {
    for (auto* handle : handles) {
      db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    db->Close().PermitUncheckedError();
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  void add_family(const std::string& name) {
    ::rocksdb::ColumnFamilyHandle* handle = nullptr;
    check(db->CreateColumnFamily(family_options_, name, &handle));
    handles.push_back(handle);
    names_.push_back(name);
    contents_.emplace_back();
  }

  // After it was closed.
  void reopen() {
    db.reset();
    std::vector<::rocksdb::ColumnFamilyDescriptor> families{{"default", family_options_}};
    for (const auto& name : names_) {
      families.emplace_back(name, family_options_);
    }
    ::rocksdb::DB* opened = nullptr;
    check(::rocksdb::DB::Open(options_, folder_.path().string(), families, &handles, &opened));
    db.reset(opened);
    check(db->DestroyColumnFamilyHandle(handles.front()));
    handles.erase(handles.begin());
  }

  void put(std::uint32_t family, const std::string& key, const std::string& value,
           const ::rocksdb::WriteOptions& options = {}) {
    check(db->Put(options, handles[family], key, value));
    contents_[family][key] = value;
  }
  void remove(std::uint32_t family, const std::string& key) {
    check(db->Delete({}, handles[family], key));
    contents_[family].erase(key);
  }
  void flush(std::uint32_t family) {
    ::rocksdb::FlushOptions options;
    options.allow_write_stall = true;
    check(db->Flush(options, handles[family]));
  }
  // Adds one SST to L0: a hundred keys, every other one shared by all SSTs.
  void add_l0_file(std::uint32_t family) {
    ++generation_;
    for (int i = 0; i < 100; ++i) {
      const auto key =
          i % 2 == 0 ? std::to_string(i) : std::to_string(i) + "." + std::to_string(generation_);
      put(family, key,
          std::string(1000, static_cast<char>('a' + generation_ % 26)) +
              std::to_string(generation_));
    }
    flush(family);
  }

  // The same, of two keys, by ingestion.
  void ingest(std::uint32_t family) {
    ++generation_;
    const auto path = (folder_.path() / ("ingested" + std::to_string(generation_))).string();
    const ::rocksdb::Options options(options_, family_options_);
    ::rocksdb::SstFileWriter writer({}, options, handles[family]);
    check(writer.Open(path));
    for (const std::string key : {"ingested 1", "ingested 2"}) {
      const auto value = std::to_string(generation_);
      check(writer.Put(key, value));
      contents_[family][key] = value;
    }
    check(writer.Finish());
    ::rocksdb::IngestExternalFileOptions how;
    how.move_files = true;
    check(db->IngestExternalFile(handles[family], {path}, how));
  }

  std::size_t files(std::uint32_t family, std::size_t level) const {
    ::rocksdb::ColumnFamilyMetaData metadata;
    db->GetColumnFamilyMetaData(handles[family], &metadata);
    return metadata.levels[level].files.size();
  }
  std::size_t files(std::uint32_t family) const { return metadata(family).file_count; }
  std::uint64_t bytes(std::uint32_t family) const { return metadata(family).size; }
  std::uint64_t ticker(::rocksdb::Tickers which) const { return statistics->getTickerCount(which); }

  void expect_contents() const {
    for (std::size_t family = 0; family < handles.size(); ++family) {
      std::map<std::string, std::string> found;
      const std::unique_ptr<::rocksdb::Iterator> at(db->NewIterator({}, handles[family]));
      for (at->SeekToFirst(); at->Valid(); at->Next()) {
        found.emplace(at->key().ToString(), at->value().ToString());
      }
      expect_ok(at->status());
      EXPECT_EQ(found.size(), contents_[family].size());
      EXPECT_TRUE(found == contents_[family]) << "column family " << family;
    }
    expect_ok(db->VerifyChecksum());
  }

 private:
  static void check(const ::rocksdb::Status& status) {
    if (!status.ok()) {
      throw std::runtime_error(status.ToString());
    }
  }
  ::rocksdb::ColumnFamilyMetaData metadata(std::uint32_t family) const {
    ::rocksdb::ColumnFamilyMetaData result;
    db->GetColumnFamilyMetaData(handles[family], &result);
    return result;
  }

  TemporaryFolder folder_;
  int generation_ = 0;
  ::rocksdb::DBOptions options_;
  ::rocksdb::ColumnFamilyOptions family_options_;
  std::vector<std::string> names_;
  std::vector<std::map<std::string, std::string>> contents_;

 public:
  const std::shared_ptr<DatabaseListener> listener = std::make_shared<DatabaseListener>();
  const std::shared_ptr<::rocksdb::Statistics> statistics = ::rocksdb::CreateDBStatistics();
  std::vector<::rocksdb::ColumnFamilyHandle*> handles;
  std::unique_ptr<::rocksdb::DB> db;
};

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_DATABASE_SUPPORT_H_
