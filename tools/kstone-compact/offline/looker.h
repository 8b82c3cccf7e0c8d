// One look at one database: gathers the evidence, and has it judged. Each step that finds what
// makes the next one impossible objects and ends. Its parts are look.cpp and look_at_wal.cpp.
//
// Thread safety: none.

#ifndef KSTONE_COMPACT_OFFLINE_LOOKER_H_
#define KSTONE_COMPACT_OFFLINE_LOOKER_H_

#include <map>
#include <memory>
#include <string>

#include "lacking.h"
#include "look.h"
#include "open_database.h"
#include "options_file.h"
#include "places.h"
#include "wal_contents.h"

namespace kstone::compact {

class Looker {
 public:
  Looker(const OfflineOptions& options, Look& look)
      : options_(options),
        look_(look),
        plan_(look.plan),
        evidence_(look.evidence),
        accepted_(options.accepted_losses) {}

  void run();

 private:
  void gather();
  bool read_options_file();
  bool accept_unknown_options(const std::string& file, const ::rocksdb::Status& status);
  void compare_options_files();
  bool match_families();
  void check_names();
  void require_family(const std::string& option, const std::string& name) const;
  void take_paths(const Places& places);
  void read_families(const OpenDatabase& database);
  void read_family(const OpenDatabase& database, std::size_t at);
  void note_places(const ::rocksdb::ColumnFamilyMetaData& metadata, FamilyPlan& family);
  void read_properties(const OpenDatabase& database, std::size_t at,
                       const ::rocksdb::ColumnFamilyMetaData& metadata);
  void take_merge_operators();
  void measure_named_merges();
  void object(const std::string& what, const std::string& accept = "") {
    plan_.objections.push_back({what, accept, ""});
  }

  void look_at_access_lists();

  // look_at_wal.cpp
  bool read_wal(const Places& places);
  ::rocksdb::Status read_only(::rocksdb::WALRecoveryMode mode, WalContents& wal,
                              bool families = true);
  std::string damage_of_log();
  void object_to_opening(const ::rocksdb::Status& status);
  void note_wal(const Places& places);
  // Whether the numbers of records grow from one to the next, as far as RocksDB writes them.
  bool numbers_tell() const { return !wal_->has_transactions() && !plan_.options.two_write_queues; }
  void note_holes();
  void look_at_archive();
  void look_at_manifest();

  const OfflineOptions& options_;
  Look& look_;
  Plan& plan_;
  Evidence& evidence_;
  const AcceptedLosses accepted_;
  OptionsText text_;
  std::vector<FamilyPlan> described_;  // in the options file
  std::unique_ptr<WalContents> wal_;
  std::uint64_t first_log_ = 0;  // that counts
  bool torn_ = false;            // its newest file ends in the middle of a record
  std::map<std::string, std::shared_ptr<::rocksdb::MergeOperator>> named_;  // as the user wrote it
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_LOOKER_H_
