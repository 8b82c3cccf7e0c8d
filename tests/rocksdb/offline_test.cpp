// `kstone-compact db`: what it tells before it works, what it refuses, and what it leaves alone.

#include <gtest/gtest.h>
#include <leveldb/db.h>
#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <rocksdb/utilities/backup_engine.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <random>

#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Offline : public OfflineTest {};

// The watch itself.

TEST_F(Offline, watch_sees_what_a_program_writes_elsewhere) {
  write(folder_.path() / "input", "key\tvalue\n");
  Process process({"demo", "--input", (folder_.path() / "input").string(), "--dir", db(),
                   "--seconds", "0", "--summary", (folder_.path() / "summary.json").string()});
  EXPECT_EQ(process.wait().status, 0);
  const auto outside = outside_of(allowed_places({"db", db()}), process.watched());
  EXPECT_NE(outside.find("summary.json"), std::string::npos) << outside;
  EXPECT_EQ(outside.find(db() + "/"), std::string::npos) << outside;
}

// --plan

TEST_F(Offline, plan_tells_what_would_be_done_and_writes_nothing) {
  make_kind("plain");
  const auto found = plan({"--column-family", "other"});
  EXPECT_EQ(found["verdict"], "would be compacted");
  EXPECT_GT(found["bytes_needed_max"], 0);
  EXPECT_GT(found["bytes_free"], found["bytes_needed_max"]);
  ASSERT_EQ(found["column_families"].size(), 2U);
  const auto& left = found["column_families"][0];
  EXPECT_EQ(left["would"], "leave");
  EXPECT_EQ(left["note"], "not asked for");
  const auto& other = found["column_families"][1];
  EXPECT_EQ(other["would"], "compact");
  EXPECT_EQ(other["ssts"], 4);
  EXPECT_EQ(other["entries"], 240);
  EXPECT_EQ(other["deletions"], 48);
  EXPECT_EQ(other["wal_records"], 60);
  EXPECT_EQ(other["compaction_style"], "level");
  const auto result = run({"db", db(), "--plan"});
  EXPECT_NE(result.out.find("verdict: would be compacted"), std::string::npos) << result.out;
}

TEST_F(Offline, plan_bounds_what_is_read_and_written) {
  for (const auto* name : {"plain", "universal", "blobs", "dynamic_levels"}) {
    fs::remove_all(work());
    make_kind(name);
    const auto found = plan();
    const auto report = json::parse(run({"db", db(), "--json"}).out);
    EXPECT_LE(report["total_bytes_written"], found["bytes_written_max"]) << name;
    EXPECT_LE(report["total_bytes_read"], found["bytes_read_max"]) << name;
  }
}

TEST_F(Offline, plan_lists_every_objection_with_what_accepts_it) {
  make_kind("compaction_filter");
  const auto found = plan();
  EXPECT_EQ(found["verdict"], "refused");
  for (const auto& family : found["column_families"]) {
    EXPECT_EQ(family["would"], "refuse");
    ASSERT_EQ(family["objections"].size(), 1U);
    EXPECT_EQ(family["objections"][0]["accept"],
              "--accept-loss compaction-filter:" + family["name"].get<std::string>());
  }
  EXPECT_EQ(plan({"--accept-loss", "compaction-filter"})["verdict"], "would be compacted");
}

TEST_F(Offline, plan_needs_no_write_permission_and_tells_of_it) {
  make_kind("plain");
  for (const auto& entry : fs::directory_iterator(db())) {
    fs::permissions(entry.path(), fs::perms(0444));
  }
  for (const auto& folder : {folder_.path(), work(), fs::path(db())}) {
    fs::permissions(folder, fs::perms(0555));
  }
  Circumstances circumstances;
  if (geteuid() == 0) {
    circumstances.user = 65534;
    if (run({"--help"}, circumstances).status == 127) {
      GTEST_SKIP() << "another user may not run the program";
    }
  }
  const auto result = run({"db", db(), "--plan", "--accept-loss", "owner"}, circumstances);
  EXPECT_EQ(result.status, 2) << result.err << result.out;
  EXPECT_NE(result.out.find("no file can be made in " + db()), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("its LOCK cannot be locked"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("compact  'default'"), std::string::npos) << result.out;
  for (const auto& folder : {folder_.path(), work(), fs::path(db())}) {
    fs::permissions(folder, fs::perms::owner_all);
  }
}

// The options file.

TEST_F(Offline, options_file_cut_short_anywhere_is_refused) {
  make_kind("plain");
  const auto file = options_file(db());
  const auto whole = read_file(file);
  std::mt19937 random(20261126);
  for (int round = 0; round < 12; ++round) {
    const auto size = std::uniform_int_distribution<std::size_t>(0, whole.size() - 3)(random);
    write(file, whole.substr(0, size));
    expect_refusal({"db", db()}, "--options-file FILE");
  }
  write(file, whole);
  EXPECT_EQ(run({"db", db()}).status, 0);
}

TEST_F(Offline, options_file_without_a_key_of_a_section_is_refused) {
  make_kind("plain");
  const auto file = options_file(db());
  const auto whole = read_file(file);
  for (const auto* key : {"num_levels", "comparator", "checksum", "wal_recovery_mode",
                          "max_bytes_for_level_multiplier"}) {
    auto text = whole;
    const auto at = text.rfind(std::string("  ") + key + "=");
    ASSERT_NE(at, std::string::npos) << key;
    write(file, text.erase(at, text.find('\n', at) + 1 - at));
    expect_refusal({"db", db()}, std::string("lacks ") + key);
  }
}

TEST_F(Offline, options_file_that_knows_not_every_family_is_refused) {
  make_kind("plain");
  const auto file = options_file(db());
  auto text = read_file(file);
  write(file, text.erase(text.find("[CFOptions \"other\"]")) + "\n  \n");
  expect_refusal({"db", db()}, "does not describe column family 'other'");
}

TEST_F(Offline, options_file_of_the_user_takes_the_place_of_a_missing_one) {
  make_kind("universal_with_one_level");
  const auto file = options_file(db());
  fs::rename(file, folder_.path() / "options");
  while (!options_file(db()).empty()) {
    fs::remove(options_file(db()));  // RocksDB keeps the last two
  }
  expect_refusal({"db", db()}, "--options-file FILE");
  const auto result = run({"db", db(), "--options-file", (folder_.path() / "options").string()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(read(kind("universal_with_one_level"), work()).size(), 96U);
}

TEST_F(Offline, options_file_that_is_not_there_is_named) {
  make_kind("plain");
  expect_refusal({"db", db(), "--options-file", "/none"}, "/none: cannot be read");
}

// Other engines.

TEST_F(Offline, leveldb_is_refused) {
  leveldb::Options options;
  options.create_if_missing = true;
  fs::create_directories(work());
  for (const bool filled : {false, true}) {
    leveldb::DB* opened = nullptr;
    ASSERT_TRUE(leveldb::DB::Open(options, db(), &opened).ok());
    const std::unique_ptr<leveldb::DB> database(opened);
    if (filled) {
      ASSERT_TRUE(database->Put({}, "key", "value").ok());
      database->CompactRange(nullptr, nullptr);
    }
  }
  expect_refusal({"db", db()}, "a LevelDB database, not one of RocksDB");
  fs::remove(db() + "/LOG");
  fs::remove(db() + "/LOG.old");
  expect_refusal({"db", db()}, "a LevelDB database");
}

TEST_F(Offline, other_engines_that_use_rocksdbs_file_names_are_refused) {
  make_kind("plain");
  fs::create_directory(db() + "/titandb");
  expect_refusal({"db", db()}, "a Titan database");
  fs::remove(db() + "/titandb");
  fs::create_directory(db() + "/blob_dir");
  expect_refusal({"db", db()}, "stacked BlobDB");
  fs::remove(db() + "/blob_dir");
  write(options_file(db()),
        "[Version]\n  pebble_version=0.1\n\n[Options]\n  comparer=leveldb.BytewiseComparator\n");
  expect_refusal({"db", db()}, "a Pebble database");
}

// What lies in the folder and around it.

TEST_F(Offline, files_that_are_no_part_of_the_database_stay) {
  make_kind("plain");
  const std::vector<std::string> strangers = {
      "000999.sst",    "000001.log",   "MANIFEST-000001", "000998.blob",      "notes.txt",
      "LOG.old.12345", "000997.dbtmp", "OPTIONS-000001",  "000001.log.trash", "000996.sst.trash"};
  for (const auto& name : strangers) {
    write(db() + "/" + name, "of somebody");
  }
  const auto result = run({"db", db(), "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  for (const auto& name : strangers) {
    EXPECT_EQ(read_file(db() + "/" + name), "of somebody") << name;
  }
}

TEST_F(Offline, checkpoint_is_compacted_and_its_original_stays) {
  make_kind("plain");
  const auto copy = (folder_.path() / "checkpoint").string();
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    ::rocksdb::Checkpoint* checkpoint = nullptr;
    ASSERT_TRUE(::rocksdb::Checkpoint::Create(&database.db(), &checkpoint).ok());
    ASSERT_TRUE(checkpoint->CreateCheckpoint(copy, UINT64_MAX).ok());
    delete checkpoint;
  }
  const auto before = read_folder(work());
  const auto result = run({"db", copy, "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(read_folder(work()) == before);
}

TEST_F(Offline, links_in_the_folder_are_not_followed_to_write) {
  make_kind("wal_dir_inside");
  fs::rename(db() + "/wal", folder_.path() / "elsewhere");
  fs::create_directory_symlink(folder_.path() / "elsewhere", db() + "/wal");
  expect_refusal({"db", db()}, "lies outside of the folder");
  // Named, it is one of the database's places.
  const auto place = (folder_.path() / "elsewhere").string();
  EXPECT_EQ(run({"db", db(), "--wal-dir", place, "--verify", "full"}).status, 0);
}

TEST_F(Offline, folder_named_by_a_link_or_relatively_is_the_folder) {
  make_kind("plain");
  fs::create_directory_symlink(db(), folder_.path() / "link");
  EXPECT_EQ(run({"db", (folder_.path() / "link").string(), "--verify", "full"}).status, 0);
  EXPECT_TRUE(read(kind("plain"), work()).size() > 0);
}

TEST_F(Offline, log_of_another_database_is_no_log_of_this_one) {
  make_kind("plain");
  make(kind("plain"), folder_.path() / "another");
  expect_refusal({"db", db(), "--wal-dir", (folder_.path() / "another" / "db").string()},
                 "holds another database");
  expect_refusal({"db", db(), "--wal-dir", "/none"}, "--wal-dir /none");
  expect_refusal({"db", db(), "--db-path", (folder_.path() / "another" / "db").string()},
                 "holds another database");
}

TEST_F(Offline, log_that_does_not_continue_the_database_is_refused) {
  make_kind("wal_dir_outside");
  auto longer = kind("wal_dir_outside");
  longer.fill = [](OwnedDatabase& database) {
    database.fill();
    database.fill();
  };
  make(longer, folder_.path() / "longer");
  const auto foreign = [&](const fs::path& from) {
    const auto place = folder_.path() / "foreign";
    fs::remove_all(place);
    fs::create_directory(place);
    for (const auto& entry : fs::directory_iterator(from)) {
      if (entry.path().extension() == ".log" && fs::file_size(entry.path()) > 0) {
        fs::copy(entry.path(), place / "000900.log", fs::copy_options::overwrite_existing);
      }
    }
    return place.string();
  };
  expect_refusal({"db", db(), "--wal-dir", foreign(folder_.path() / "longer" / "wal")},
                 "does not continue");
  fs::create_directory(folder_.path() / "empty");
  expect_refusal({"db", db(), "--wal-dir", (folder_.path() / "empty").string()},
                 "there is no WAL in");
  EXPECT_EQ(run({"db", db(), "--wal-dir", foreign(work() / "wal"), "--verify", "full"}).status, 0);
}

TEST_F(Offline, new_files_belong_to_the_owner_of_the_folder) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0711), 0);
  ASSERT_EQ(chmod(db().c_str(), 0750), 0);
  for (const auto& entry : fs::directory_iterator(db())) {
    ASSERT_EQ(chown(entry.path().c_str(), 65534, 65533), 0);
  }
  ASSERT_EQ(chown(db().c_str(), 65534, 65533), 0);
  const auto before = read_folder(work());
  EXPECT_EQ(run({"db", db()}).status, 0);
  int made = 0;
  for (const auto& entry : fs::directory_iterator(db())) {
    struct stat status{};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534U) << entry.path();
    EXPECT_EQ(status.st_gid, 65533U) << entry.path();
    if (!before.contains(entry.path().string())) {
      ++made;
      EXPECT_EQ(status.st_mode & 07777U, 0640U) << entry.path();
    }
  }
  EXPECT_GT(made, 2);
}

TEST_F(Offline, folder_of_another_user_is_refused) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  fs::permissions(folder_.path(), fs::perms::all);
  fs::permissions(work(), fs::perms::all);
  fs::permissions(db(), fs::perms::all);
  for (const auto& entry : fs::directory_iterator(db())) {
    fs::permissions(entry.path(), fs::perms::all);
  }
  Circumstances circumstances;
  circumstances.user = 65534;
  if (run({"--help"}, circumstances).status == 127) {
    GTEST_SKIP() << "another user may not run the program";
  }
  expect_refusal({"db", db()}, "--accept-loss owner", circumstances);
}

// One bad family costs one family.

TEST_F(Offline, family_with_a_damaged_sst_costs_itself_alone) {
  make_kind("many_families");
  std::string victim;
  {
    const auto owner = kind("many_families").owner(work());
    OwnedDatabase database(owner, db());
    for (auto* handle : database.handles()) {
      if (handle->GetName() == "family-7") {
        victim = sst_of(database, handle, 1);
      }
    }
  }
  damage(victim, 3000);
  const auto result = run({"db", db(), "--json", "--workers", "3"});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("family-7"), std::string::npos) << result.err;
  for (const auto& family : json::parse(result.out)["column_families"]) {
    const bool bad = family["name"] == "family-7";
    EXPECT_EQ(family["result"], bad ? "refused" : "compacted") << family;
    EXPECT_EQ(family["ssts_after"].get<int>() > 1, bad) << family;
  }
}

TEST_F(Offline, family_that_is_refused_costs_itself_alone) {
  auto mixed = kind("plain");
  mixed.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    owner.families["other"].merge_operator =
        kind("merge_of_the_owner").owner(folder).families["other"].merge_operator;
    return owner;
  };
  mixed.fill = [](OwnedDatabase& database) {
    database.fill();
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(database.db().Merge({}, database.handles().back(), "key", "x").ok());
      database.flush();
    }
    for (auto* handle : database.handles()) {  // and in the log, of either family
      ASSERT_TRUE(database.db().Put({}, handle, "logged", "value").ok());
    }
    ASSERT_TRUE(database.db().Merge({}, database.handles().back(), "logged", "x").ok());
  };
  make(mixed, work());
  const auto before = read(mixed, work());
  const auto result = run({"db", db(), "--json"});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("refused: column family 'other'"), std::string::npos) << result.err;
  const auto families = json::parse(result.out)["column_families"];
  EXPECT_EQ(families[0]["result"], "compacted");
  EXPECT_EQ(families[1]["result"], "refused");
  EXPECT_EQ(families[1]["ssts_after"], families[1]["ssts_before"]);
  EXPECT_TRUE(read(mixed, work()) == before);
  // Who says so beforehand gets no error.
  EXPECT_EQ(run({"db", db(), "--skip-family", "other"}).status, 0);
}

TEST_F(Offline, family_that_cannot_be_read_costs_itself_alone_in_a_full_comparison) {
  make_kind("plain");
  std::string victim;
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    victim = sst_of(database, database.handles().back(), 1);
  }
  damage(victim, 3000);
  const auto result = run({"db", db(), "--json", "--verify", "full"});
  EXPECT_EQ(result.status, 2) << result.err;
  const auto families = json::parse(result.out)["column_families"];
  EXPECT_EQ(families[0]["result"], "compacted");
  EXPECT_EQ(families[1]["result"], "refused");
  EXPECT_EQ(run({"db", db(), "--verify", "full", "--skip-family", "other"}).status, 0);
}

TEST_F(Offline, nothing_to_do_writes_nothing) {
  make_kind("plain");
  const auto before = read_folder(work());
  EXPECT_EQ(run({"db", db(), "--min-ssts", "1000"}).status, 0);
  EXPECT_EQ(run({"db", db(), "--skip-family", "default", "--skip-family", "other"}).status, 0);
  EXPECT_TRUE(read_folder(work()) == before);
}

TEST_F(Offline, families_that_are_not_asked_for_stay_in_the_log) {
  make_kind("plain");
  EXPECT_EQ(run({"db", db(), "--column-family", "other", "--verify", "full"}).status, 0);
  const auto found = plan();
  EXPECT_EQ(found["column_families"][0]["ssts"], 4);
  EXPECT_EQ(found["column_families"][0]["wal_records"], 60);
  EXPECT_EQ(found["column_families"][1]["ssts"], 1);
  EXPECT_EQ(found["column_families"][1]["wal_records"], 0);
}

// A crash without a sync loses the end of a log, and may keep the next one.
TEST_F(Offline, log_with_a_hole_between_its_files_is_refused) {
  auto two_logs = kind("plain");
  two_logs.fill = [](OwnedDatabase& database) {
    for (const char* key : {"a", "b"}) {
      for (int each = 0; each < 20; ++each) {
        ASSERT_TRUE(database.db()
                        .Put({}, database.handles().front(), key + std::to_string(each), "value")
                        .ok());
      }
      if (*key == 'a') {  // which begins a new log, while the other family keeps the old one
        ASSERT_TRUE(
            database.db().Put({}, database.handles().back(), "keeps the log", "value").ok());
        ASSERT_TRUE(database.db().Flush({}, database.handles().front()).ok());
      }
    }
  };
  make(two_logs, work());
  std::vector<fs::path> logs;
  for (const auto& entry : fs::directory_iterator(db())) {
    if (entry.path().extension() == ".log") {
      logs.push_back(entry.path());
    }
  }
  std::sort(logs.begin(), logs.end());
  ASSERT_EQ(logs.size(), 2U);
  fs::resize_file(logs.front(), fs::file_size(logs.front()) - 5);
  expect_refusal({"db", db()}, "a newer WAL goes on");
}

TEST_F(Offline, log_that_holds_no_record_is_no_log) {
  make_kind("plain");
  write(db() + "/20240101.log", "hello");
  expect_refusal({"db", db()}, "holds bytes, and not one record");
}

TEST_F(Offline, lock_that_is_made_belongs_to_the_owner) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  fs::remove(db() + "/LOCK");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0711), 0);
  ASSERT_EQ(chown(db().c_str(), 65534, 65533), 0);
  for (const auto& entry : fs::directory_iterator(db())) {
    ASSERT_EQ(chown(entry.path().c_str(), 65534, 65533), 0);
    ASSERT_EQ(chmod(entry.path().c_str(), 0600), 0);
  }
  EXPECT_EQ(run({"db", db()}).status, 0);
  for (const auto& entry : fs::directory_iterator(db())) {
    struct stat status{};
    ASSERT_EQ(stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 65534U) << entry.path();
    EXPECT_EQ(status.st_mode & 07777U, 0600U) << entry.path();
  }
}

TEST_F(Offline, lock_that_is_no_plain_file_is_refused) {
  make_kind("plain");
  fs::remove(db() + "/LOCK");
  fs::create_symlink(folder_.path() / "outside", db() + "/LOCK");
  const auto result = run({"db", db()});
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("LOCK is not a plain file"), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(folder_.path() / "outside"));
  EXPECT_NE(result.err.find("removing it, if nobody has"), std::string::npos) << result.err;
  fs::remove(db() + "/LOCK");
  write(folder_.path() / "other-lock", "");
  fs::create_hard_link(folder_.path() / "other-lock", db() + "/LOCK");
  expect_refusal({"db", db()}, "removing it, if nobody has");
}

TEST_F(Offline, backups_are_refused) {
  make_kind("plain");
  const auto backups = folder_.path() / "backups";
  {
    OwnedDatabase database(kind("plain").owner(work()), db());
    for (const bool checksums : {false, true}) {
      ::rocksdb::BackupEngineOptions options(backups.string());
      options.share_files_with_checksum = checksums;
      ::rocksdb::BackupEngine* opened = nullptr;
      ASSERT_TRUE(::rocksdb::BackupEngine::Open(::rocksdb::Env::Default(), options, &opened).ok());
      const std::unique_ptr<::rocksdb::BackupEngine> engine(opened);
      ASSERT_TRUE(engine->CreateNewBackup(&database.db(), true).ok());
    }
  }
  const auto backup = (backups / "private" / "1").string();
  const auto shared = (backups / "shared").string();
  expect_refusal({"db", backup}, "it is one of the backups in " + backups.string());
  expect_refusal({"db", backup, "--db-path", shared}, "it is one of the backups in");
  for (const auto& place : {shared, (backups / "shared_checksum").string(), backup}) {
    expect_refusal({"db", db(), "--db-path", place}, "holds files of the backups in");
  }
}

TEST_F(Offline, options_files_that_contradict_each_other_are_refused) {
  make_kind("universal_with_one_level");
  const auto own = read_file(options_file(db()));
  auto other = own;
  const auto at = other.find("num_levels=1");
  write(db() + "/OPTIONS-999999", other.replace(at, 12, "num_levels=7"));
  expect_refusal({"db", db()}, "says otherwise: num_levels=1");
  fs::remove(db() + "/OPTIONS-999999");
  write(folder_.path() / "options", other);
  expect_refusal({"db", db(), "--options-file", (folder_.path() / "options").string()},
                 "says otherwise: num_levels=1");
  EXPECT_EQ(
      run({"db", db(), "--options-file", options_file(db()).string(), "--verify", "full"}).status,
      0);
}

// Other circumstances.

TEST_F(Offline, user_timestamps_are_kept_with_every_version) {
  ::rocksdb::Options options;
  options.create_if_missing = true;
  ASSERT_TRUE(::rocksdb::Comparator::CreateFromString(::rocksdb::ConfigOptions(),
                                                      "leveldb.BytewiseComparator.u64ts",
                                                      &options.comparator)
                  .ok());
  const auto time = [](char number) { return std::string(1, number) + std::string(7, '\0'); };
  const auto versions = [&](::rocksdb::DB& database) {
    Contents found;
    const auto latest = time(127);
    const auto earliest = time(0);
    const ::rocksdb::Slice until(latest);
    const ::rocksdb::Slice since(earliest);
    ::rocksdb::ReadOptions read;
    read.timestamp = &until;
    read.iter_start_ts = &since;
    const std::unique_ptr<::rocksdb::Iterator> at(database.NewIterator(read));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      found[at->key().ToString()] = at->value().ToString();
    }
    EXPECT_TRUE(at->status().ok());
    return found;
  };
  const auto open = [&] {
    fs::create_directories(work());
    ::rocksdb::DB* opened = nullptr;
    EXPECT_TRUE(::rocksdb::DB::Open(options, db(), &opened).ok());
    return std::unique_ptr<::rocksdb::DB>(opened);
  };
  Contents before;
  {
    const auto database = open();
    for (char version = 1; version <= 4; ++version) {
      for (int key = 0; key < 50; ++key) {
        ASSERT_TRUE(
            database->Put({}, std::to_string(key), time(version), std::string(100, version)).ok());
      }
      ASSERT_TRUE(version == 4 || database->Flush({}).ok());
    }
    before = versions(*database);
  }
  EXPECT_EQ(before.size(), 200U);
  const auto result = run({"db", db(), "--verify", "full"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("200 records are as before"), std::string::npos) << result.out;
  EXPECT_TRUE(versions(*open()) == before);
}

TEST_F(Offline, names_are_printed_escaped) {
  auto odd = kind("plain");
  odd.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    owner.families["\x1b[31mred\n"] = owner.families["default"];
    owner.families["a=b"] = owner.families["default"];
    return owner;
  };
  make(odd, work());
  const auto result = run({"db", db()});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos);
  EXPECT_NE(result.out.find("\\x1B[31mred\\x0A"), std::string::npos) << result.out;
  EXPECT_EQ(run({"db", db(), "--column-family", "\\x1B[31mred\\x0A"}).status, 0);
  EXPECT_EQ(run({"db", db(), "--merge-operator", "a=b=put"}).status, 0);
}

TEST_F(Offline, options_that_name_nothing_are_told) {
  make_kind("plain");
  expect_refusal({"db", db(), "--skip-family", "none"}, "--skip-family");
  expect_refusal({"db", db(), "--merge-operator", "none=put"}, "no column family 'none'");
  expect_refusal({"db", db(), "--merge-operator", "default"}, "expected FAMILY=VALUE");
  expect_refusal({"db", db(), "--merge-operator", "default=acme"}, "RocksDB has no 'acme'");
  expect_refusal({"db", db(), "--accept-loss", "data"}, "expected one of wal-records");
  expect_refusal({"db", db(), "--accept-loss", "filters:"}, "expected the name");
  expect_refusal({"db", db(), "--accept-loss", "filters:none"}, "no column family 'none'");
  expect_refusal({"db", db(), "--verify", "some"}, "--verify");
}

}  // namespace
}  // namespace kstone::rocksdb::test
