#include "sample_database.h"

#include <rocksdb/db.h>

#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace kstone::rocksdb::test {
namespace {

void check(const ::rocksdb::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}

std::string value_of(std::uint32_t family, std::uint32_t key, std::uint32_t generation,
                     std::uint32_t bytes) {
  std::mt19937 random(family * 1'000'003 + key * 101 + generation);
  std::string value(bytes, '\0');
  for (auto& byte : value) {
    byte = static_cast<char>(random());
  }
  return value;
}

// Every fifth key of a generation is deleted in it, another one each time.
bool deletes(std::uint32_t key, std::uint32_t generation) { return (key + generation) % 5 == 0; }

std::string name_of(std::uint32_t family) { return "family-" + std::to_string(family); }

std::string compare(::rocksdb::DB& db, ::rocksdb::ColumnFamilyHandle* handle, std::uint32_t family,
                    const SampleShape& shape) {
  const std::unique_ptr<::rocksdb::Iterator> at(db.NewIterator({}, handle));
  at->SeekToFirst();
  std::map<std::string, std::uint32_t> live;
  for (std::uint32_t key = 0; key < shape.keys; ++key) {
    if (!deletes(key, shape.generations - 1)) {
      live.emplace("key-" + std::to_string(key), key);
    }
  }
  for (const auto& [name, key] : live) {
    if (!at->Valid() || at->key() != name) {
      return name_of(family) + " lacks " + name + ", or holds another key before it";
    }
    if (at->value() != value_of(family, key, shape.generations - 1, shape.value_bytes)) {
      return name_of(family) + " holds another value for " + name;
    }
    at->Next();
  }
  if (at->Valid()) {
    return name_of(family) + " holds " + at->key().ToString() + " too";
  }
  return at->status().ok() ? "" : at->status().ToString();
}

}  // namespace

void make_sample(const std::string& path, const SampleShape& shape) {
  ::rocksdb::Options options;
  options.create_if_missing = true;
  options.disable_auto_compactions = true;
  options.compression = ::rocksdb::kNoCompression;
  ::rocksdb::DB* opened = nullptr;
  check(::rocksdb::DB::Open(options, path, &opened));
  const std::unique_ptr<::rocksdb::DB> db(opened);
  ::rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;  // everything is flushed, and the folder holds nothing but SSTs
  for (std::uint32_t family = 0; family < shape.families; ++family) {
    ::rocksdb::ColumnFamilyHandle* handle = nullptr;
    check(db->CreateColumnFamily(options, name_of(family), &handle));
    for (std::uint32_t generation = 0; generation < shape.generations; ++generation) {
      for (std::uint32_t key = 0; key < shape.keys; ++key) {
        const auto name = "key-" + std::to_string(key);
        check(deletes(key, generation)
                  ? db->Delete(unlogged, handle, name)
                  : db->Put(unlogged, handle, name,
                            value_of(family, key, generation, shape.value_bytes)));
      }
      check(db->Flush({}, handle));
    }
    check(db->DestroyColumnFamilyHandle(handle));
  }
  check(db->Close());
}

std::string check_sample(const std::string& path, const SampleShape& shape) {
  std::vector<std::string> names;
  if (const auto status = ::rocksdb::DB::ListColumnFamilies({}, path, &names); !status.ok()) {
    return status.ToString();
  }
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  for (const auto& name : names) {
    families.emplace_back(name, ::rocksdb::ColumnFamilyOptions());
  }
  std::vector<::rocksdb::ColumnFamilyHandle*> handles;
  ::rocksdb::DB* opened = nullptr;
  if (const auto status = ::rocksdb::DB::OpenForReadOnly({}, path, families, &handles, &opened);
      !status.ok()) {
    return status.ToString();
  }
  const std::unique_ptr<::rocksdb::DB> db(opened);
  std::string wrong = names.size() == shape.families + 1 ? "" : "a column family is missing";
  if (const auto status = db->VerifyChecksum(); !status.ok()) {
    wrong = status.ToString();
  }
  for (std::uint32_t family = 0; family < shape.families && wrong.empty(); ++family) {
    wrong = compare(*db, handles[family + 1], family, shape);
  }
  for (auto* handle : handles) {
    db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  return wrong;
}

}  // namespace kstone::rocksdb::test
