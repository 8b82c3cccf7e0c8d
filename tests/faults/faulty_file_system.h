// A file system whose SSTs cannot be written while a fault is switched on: what a full or a
// read-only disk does to flushes and compactions. Logs and manifests are spared, so the database
// stays open and what it had accepted is kept.
//
// Thread safety: any thread may switch; files are RocksDB's.

#ifndef KSTONE_TESTS_FAULTS_FAULTY_FILE_SYSTEM_H_
#define KSTONE_TESTS_FAULTS_FAULTY_FILE_SYSTEM_H_

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace kstone::rocksdb::test {

class FaultyFileSystem final : public ::rocksdb::FileSystemWrapper {
 public:
  enum class Fault { none, full, read_only };

  FaultyFileSystem() : FileSystemWrapper(::rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FaultyFileSystem"; }

  // Relaxed: a switch, which publishes nothing.
  void set(Fault fault) { fault_.store(fault, std::memory_order_relaxed); }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

  ::rocksdb::IOStatus NewWritableFile(const std::string& name,
                                      const ::rocksdb::FileOptions& options,
                                      std::unique_ptr<::rocksdb::FSWritableFile>* result,
                                      ::rocksdb::IODebugContext* context) override {
    if (!name.ends_with(".sst")) {
      return FileSystemWrapper::NewWritableFile(name, options, result, context);
    }
    if (auto status = check(Fault::read_only); !status.ok()) {
      return status;
    }
    auto status = FileSystemWrapper::NewWritableFile(name, options, result, context);
    if (status.ok()) {
      *result = std::make_unique<File>(*this, std::move(*result));
    }
    return status;
  }

 private:
  class File final : public ::rocksdb::FSWritableFileOwnerWrapper {
   public:
    File(FaultyFileSystem& owner, std::unique_ptr<::rocksdb::FSWritableFile>&& file)
        : FSWritableFileOwnerWrapper(std::move(file)), owner_(owner) {}

    ::rocksdb::IOStatus Append(const ::rocksdb::Slice& data, const ::rocksdb::IOOptions& options,
                               ::rocksdb::IODebugContext* context) override {
      auto status = owner_.check(Fault::full);
      return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, context) : status;
    }
    ::rocksdb::IOStatus Append(const ::rocksdb::Slice& data, const ::rocksdb::IOOptions& options,
                               const ::rocksdb::DataVerificationInfo& verification,
                               ::rocksdb::IODebugContext* context) override {
      auto status = owner_.check(Fault::full);
      return status.ok() ? FSWritableFileOwnerWrapper::Append(data, options, verification, context)
                         : status;
    }

   private:
    FaultyFileSystem& owner_;
  };

  ::rocksdb::IOStatus check(Fault fault) {
    if (fault_.load(std::memory_order_relaxed) != fault) {
      return ::rocksdb::IOStatus::OK();
    }
    refused_.fetch_add(1, std::memory_order_relaxed);
    return fault == Fault::full ? ::rocksdb::IOStatus::NoSpace("No space left on device")
                                : ::rocksdb::IOStatus::IOError("Read-only file system");
  }

  std::atomic<Fault> fault_{Fault::none};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_FAULTS_FAULTY_FILE_SYSTEM_H_
