// Databases of many owners: each kind as its owner makes it, reads it, and finds it afterwards.
//
// For each of them `kstone-compact db` has two right answers: content, options and the owner's
// reopening are the same afterwards; or it was refused, and not a byte has changed.

#ifndef KSTONE_TESTS_ROCKSDB_OFFLINE_KINDS_H_
#define KSTONE_TESTS_ROCKSDB_OFFLINE_KINDS_H_

#include <rocksdb/db.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kstone::rocksdb::test {

using Contents = std::map<std::string, std::string>;  // "family/key": value
using Handles = std::vector<::rocksdb::ColumnFamilyHandle*>;

// How an owner's program opens its database.
struct Owner {
  ::rocksdb::DBOptions database;
  std::map<std::string, ::rocksdb::ColumnFamilyOptions> families;
  // DB::Open, if empty.
  std::function<::rocksdb::Status(const Owner&, const std::string& path,
                                  const std::vector<::rocksdb::ColumnFamilyDescriptor>& families,
                                  Handles* handles, ::rocksdb::DB** db)>
      open;

  Owner();
  // Sets the same on all families.
  void each(const std::function<void(::rocksdb::ColumnFamilyOptions&)>& set);
};

// An open database of an owner, closed in the end.
class OwnedDatabase {
 public:
  OwnedDatabase(const Owner& owner, const std::string& path);
  ~OwnedDatabase();
  OwnedDatabase(const OwnedDatabase&) = delete;
  OwnedDatabase& operator=(const OwnedDatabase&) = delete;

  ::rocksdb::DB& db() { return *db_; }
  const Handles& handles() const { return handles_; }
  Contents contents();
  // Writes, overwrites and deletes in all families, in several generations with a flush after each;
  // a last one is left in the log.
  void fill();
  void flush();

 private:
  const bool has_columns_;  // the iterators of databases within databases abort when asked
  Handles handles_;
  std::unique_ptr<::rocksdb::DB> db_;
};

struct Kind {
  std::string name;
  // Below a folder of its own; `{}` in arguments is that folder, and the database is `{}/db`.
  std::function<Owner(const std::filesystem::path& folder)> owner;
  std::function<void(OwnedDatabase& database)> fill = [](OwnedDatabase& database) {
    database.fill();
  };
  // After it was closed.
  std::function<void(const std::filesystem::path& folder)> alter = {};
  std::vector<std::string> arguments = {};
  std::string refusal = {};  // a part of it; empty: it is compacted
};

const std::vector<Kind>& kinds();
const Kind& kind(const std::string& name);

// Makes the database of a kind in `folder`/db.
void make(const Kind& kind, const std::filesystem::path& folder);
// As its owner opens and reads it.
Contents read(const Kind& kind, const std::filesystem::path& folder);
std::vector<std::string> arguments_of(const Kind& kind, const std::filesystem::path& folder);

// The newest options file of a database.
std::filesystem::path options_file(const std::filesystem::path& database);
// Replaces a text in it, which has to be there.
void edit_options(const std::filesystem::path& database, const std::string& from,
                  const std::string& to);

}  // namespace kstone::rocksdb::test

#endif  // KSTONE_TESTS_ROCKSDB_OFFLINE_KINDS_H_
