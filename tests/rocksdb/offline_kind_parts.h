// What the files that declare kinds of databases share.

#ifndef KSTONE_TESTS_ROCKSDB_OFFLINE_KIND_PARTS_H_
#define KSTONE_TESTS_ROCKSDB_OFFLINE_KIND_PARTS_H_

#include <rocksdb/compaction_filter.h>
#include <rocksdb/status.h>
#include <rocksdb/table.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "offline_kinds.h"

namespace kstone::rocksdb::test {

// Throws what is not OK.
void check(const ::rocksdb::Status& status);

// Shorthands for what most kinds are: an owner with something set.
using Set = std::function<void(Owner&, const std::filesystem::path&)>;
Kind with(const std::string& name, const Set& set, const std::string& refusal = "",
          std::vector<std::string> arguments = {});
Kind each(const std::string& name, const std::function<void(::rocksdb::ColumnFamilyOptions&)>& set,
          const std::string& refusal = "", std::vector<std::string> arguments = {});
Kind altered(Kind kind, const std::string& suffix,
             const std::function<void(const std::filesystem::path&)>& alter,
             const std::string& refusal, std::vector<std::string> arguments = {});
void set_table(Owner& owner, const std::function<void(::rocksdb::BlockBasedTableOptions&)>& set);

class KeepsAll final : public ::rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "acme.KeepsAll"; }
};

// offline_kind_names.cpp: filters, comparators and others that an options file names.
void add_names(std::vector<Kind>& kinds);
// offline_kind_logs.cpp: write-ahead logs, and what is only in them.
void add_logs(std::vector<Kind>& kinds);

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_OFFLINE_KIND_PARTS_H_
