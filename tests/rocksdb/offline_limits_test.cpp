// What `kstone-compact db` takes of the machine, and what it leaves where it was.

#include <unistd.h>

#include <random>
#include <thread>

#include "offline/enclosure.h"
#include "offline_support.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using compact::Enclosure;
using nlohmann::json;

class OfflineLimits : public OfflineTest {
 protected:
  std::uint64_t bytes_in_folder() const {
    std::uint64_t sum = 0;
    std::error_code ignored;
    for (fs::directory_iterator at(db(), ignored), end; at != end; at.increment(ignored)) {
      const auto size = at->file_size(ignored);
      sum += ignored ? 0 : size;
    }
    return sum;
  }
  json report(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"db", db(), "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto result = run(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return json::parse(result.out);
  }
};

// A family whose compaction takes long, and one that is written again at each of its levels
// meanwhile: RocksDB keeps what the second no longer needs until the first has ended.
Kind slow_beside_deep() {
  auto found = kind("plain");
  found.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    owner.families["default"].compression = ::rocksdb::kZSTD;
    owner.families["default"].compression_opts.level = 19;
    return owner;
  };
  found.fill = [](OwnedDatabase& database) {
    auto& db = database.db();
    auto* const slow = database.handles().front();
    auto* const deep = database.handles().back();
    for (int level = 6; level > 0; --level) {
      expect_ok(db.Put({}, deep, "a", "first"));
      expect_ok(db.Put({}, deep, "z", "last"));
      expect_ok(db.Flush({}, deep));
      ::rocksdb::ColumnFamilyMetaData metadata;
      db.GetColumnFamilyMetaData(deep, &metadata);
      ::rocksdb::CompactionOptions options;
      options.compression = ::rocksdb::kDisableCompressionOption;  // the family's own
      expect_ok(db.CompactFiles(options, deep, {metadata.levels[0].files[0].name}, level));
    }
    std::mt19937 random(20261129);
    for (int key = 0; key < 8000; ++key) {
      std::string value(1000, ' ');
      for (auto& byte : value) {
        byte = static_cast<char>('a' + random() % 26);
      }
      const auto name = "k" + std::to_string(key * 7919 % 8000);
      expect_ok(db.Put({}, slow, name, value));
      expect_ok(db.Put({}, deep, name, value));
      if (key == 4000) {  // one SST alone would only move
        expect_ok(db.Flush({}, slow));
      }
    }
    database.flush();
  };
  return found;
}

TEST_F(OfflineLimits, space_that_is_needed_at_most_is_never_exceeded) {
  make(slow_beside_deep(), work());
  for (const auto* workers : {"2", "1"}) {
    const auto copy = folder_.path() / workers;
    fs::copy(work(), copy, fs::copy_options::recursive);
    const auto needed = plan({"--workers", workers})["bytes_needed_max"].get<std::uint64_t>();
    const auto before = bytes_in_folder();
    auto most = before;
    Process process({"db", db(), "--workers", workers});
    while (!process.ended()) {
      most = std::max(most, bytes_in_folder());
      std::this_thread::yield();
    }
    EXPECT_EQ(process.wait().status, 0);
    EXPECT_LE(most - before, needed) << workers << " workers";
    std::cout << workers << " workers: " << (most - before) << " of " << needed << "\n";
    fs::remove_all(work());
    fs::rename(copy, work());
  }
}

TEST_F(OfflineLimits, memory_does_not_follow_the_owners_write_buffers) {
  auto filtered = kind("plain");
  filtered.owner = [](const fs::path& folder) {
    auto owner = kind("plain").owner(folder);
    for (int family = 0; family < 4; ++family) {
      owner.families["family-" + std::to_string(family)] = owner.families["default"];
    }
    owner.each([](auto& family) {
      family.memtable_prefix_bloom_size_ratio = 0.0312;  // half a GiB of a buffer of 16
      family.memtable_whole_key_filtering = true;
    });
    return owner;
  };
  make(filtered, work());
  Circumstances circumstances;
  circumstances.memory_limit = 2ULL << 30;
  const auto result = run({"db", db(), "--verify", "full"}, circumstances);
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST_F(OfflineLimits, last_level_is_rewritten_unless_it_is_to_be_kept) {
  make_kind("plain");
  EXPECT_EQ(report()["column_families"][0]["result"], "compacted");
  const auto before = read_folder(work());
  const auto kept = report({"--bottommost", "keep"});
  EXPECT_EQ(kept["column_families"][0]["result"], "nothing to rewrite");
  EXPECT_EQ(kept["total_bytes_written"], 0);
  EXPECT_EQ(kept["verified"], true);
  for (const auto& [path, text] : before) {
    EXPECT_TRUE(!path.ends_with(".sst") || fs::exists(path)) << path;
  }
  const auto again = report();
  EXPECT_EQ(again["column_families"][0]["result"], "compacted");
  EXPECT_GT(again["total_bytes_written"], 0);
}

// What a snapshot had kept alive is not needed any more.
TEST_F(OfflineLimits, space_in_the_last_level_is_reclaimed) {
  auto hidden = kind("plain");
  hidden.fill = [](OwnedDatabase& database) {
    auto& db = database.db();
    for (int key = 0; key < 1000; ++key) {
      expect_ok(db.Put({}, "k" + std::to_string(key), std::string(1000, 'a')));
    }
    expect_ok(db.Flush({}));
    const auto* snapshot = db.GetSnapshot();
    expect_ok(db.DeleteRange({}, db.DefaultColumnFamily(), "k", "l"));
    expect_ok(db.Put({}, "z", "stays"));
    expect_ok(db.CompactRange({}, nullptr, nullptr));
    db.ReleaseSnapshot(snapshot);
  };
  make(hidden, work());
  const auto found = report({"--verify", "full"})["column_families"][0];
  EXPECT_GT(found["bytes_before"], 900'000);
  EXPECT_LT(found["bytes_after"], 100'000);
}

// Each with the paths of its SSTs, by the owner's number.
TEST_F(OfflineLimits, ssts_stay_in_the_path_of_their_last_level) {
  make_kind("db_paths");
  const auto first = work() / "first";
  const auto second = work() / "second";
  const auto ssts = [](const fs::path& folder) {
    std::size_t found = 0;
    for (const auto& entry : fs::directory_iterator(folder)) {
      found += entry.path().extension() == ".sst" ? 1 : 0;
    }
    return found;
  };
  {
    OwnedDatabase database(kind("db_paths").owner(work()), db());
    for (auto* handle : database.handles()) {
      ::rocksdb::CompactRangeOptions options;
      options.target_path_id = 1;
      expect_ok(database.db().CompactRange(options, handle, nullptr, nullptr));
      expect_ok(database.db().Put({}, handle, "key-30", "newer"));
      expect_ok(database.db().Flush({}, handle));
    }
  }
  ASSERT_EQ(ssts(first), 2U);
  ASSERT_EQ(ssts(second), 2U);
  const std::vector<std::string> both = {"--db-path", first.string(), "--db-path", second.string()};
  expect_refusal({"db", db(), "--db-path", first.string()}, "--db-path PATH for each");
  expect_refusal({"db", db()}, "--db-path PATH for each");
  EXPECT_EQ(report(both)["column_families"][0]["result"], "compacted");
  EXPECT_EQ(ssts(first), 0U);
  EXPECT_EQ(ssts(second), 2U);
}

TEST_F(OfflineLimits, last_level_in_two_paths_is_refused) {
  auto spread = kind("db_paths");
  spread.fill = [](OwnedDatabase& database) {
    for (std::uint32_t path = 0; path < 2; ++path) {
      const std::string key(1, static_cast<char>('a' + path));
      expect_ok(database.db().Put({}, key, "value"));
      expect_ok(database.db().Flush({}));
      ::rocksdb::CompactRangeOptions options;
      options.target_path_id = path;
      options.bottommost_level_compaction = ::rocksdb::BottommostLevelCompaction::kSkip;
      const ::rocksdb::Slice only(key);
      expect_ok(database.db().CompactRange(options, &only, &only));
    }
  };
  make(spread, work());
  const std::vector<std::string> arguments = {"db",        db(),
                                              "--db-path", (work() / "first").string(),
                                              "--db-path", (work() / "second").string()};
  expect_refusal(arguments, "--accept-loss placement:default");
  auto accepting = arguments;
  accepting.insert(accepting.end(), {"--accept-loss", "placement"});
  EXPECT_EQ(run(accepting).status, 0);
}

TEST_F(OfflineLimits, root_works_as_the_owner_of_the_database) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  for (const auto& entry : fs::directory_iterator(db())) {
    ASSERT_EQ(chown(entry.path().c_str(), 65534, 65534), 0);
  }
  // It can do no more than that user: not enter, not write, not read what is root's.
  expect_refusal({"db", db()}, "cannot work as that user: Permission denied");
  fs::permissions(folder_.path(), fs::perms(0711));
  expect_refusal({"db", db()}, "no file can be made in " + db() + ": Permission denied");
  ASSERT_EQ(chown(db().c_str(), 65534, 65534), 0);
  const auto options = options_file(db());
  ASSERT_EQ(chown(options.c_str(), 0, 0), 0);
  fs::permissions(options, fs::perms(0600));
  expect_refusal({"db", db()}, "cannot be read");
  fs::permissions(options, fs::perms(0644));
  EXPECT_EQ(run({"db", db(), "--verify", "full"}).status, 0);
}

TEST_F(OfflineLimits, root_does_not_work_where_others_can_change_names) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  fs::permissions(db(), fs::perms(0777));
  expect_refusal({"db", db()}, "can be changed by others than root");
  fs::permissions(db(), fs::perms(0755));
  ASSERT_EQ(chown(db().c_str(), 65534, 65534), 0);
  expect_refusal({"db", db()}, "can be changed by others than root");
}

TEST_F(OfflineLimits, root_does_not_work_below_what_others_can_change) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  make_kind("plain");
  ASSERT_EQ(chown(work().c_str(), 65534, 65534), 0);
  expect_refusal({"db", db()}, work().string() + " can be changed by others than root");
}

// CURRENT is made anew at each open, whatever the umask was when the SSTs were made.
TEST_F(OfflineLimits, new_files_have_the_mode_of_the_old_ones_of_their_kind) {
  make_kind("plain");
  for (const auto& entry : fs::directory_iterator(db())) {
    const bool current = entry.path().filename() == "CURRENT";
    fs::permissions(entry.path(), fs::perms(current ? 0644 : 0600));
  }
  const auto before = read_folder(db());
  ASSERT_EQ(run({"db", db()}).status, 0);
  for (const auto& entry : fs::directory_iterator(db())) {
    const bool current = entry.path().filename() == "CURRENT";
    EXPECT_EQ(entry.status().permissions(), fs::perms(current ? 0644 : 0600)) << entry.path();
  }
  EXPECT_FALSE(read_folder(db()) == before);
}

TEST_F(OfflineLimits, folder_in_the_place_of_the_database_s_is_left_alone) {
  make_kind("plain");
  const auto file = db() + "/CURRENT";
  Enclosure enclosure(::rocksdb::FileSystem::Default(), db(), true);
  ASSERT_TRUE(enclosure.know({db()}, {file}));
  ASSERT_TRUE(enclosure.work());
  const auto moved = work() / "moved";
  fs::rename(db(), moved);
  fs::copy(moved, db());
  const auto before = read_folder(db());
  EXPECT_FALSE(enclosure.DeleteFile(file, {}, nullptr).ok());
  std::unique_ptr<::rocksdb::FSWritableFile> made;
  EXPECT_FALSE(enclosure.NewWritableFile(db() + "/new.sst", {}, &made, nullptr).ok());
  EXPECT_NE(enclosure.refused().find("another folder has taken the place"), std::string::npos);
  EXPECT_TRUE(read_folder(db()) == before);
  // The folder again, and another file in the place of the one.
  fs::remove_all(db());
  fs::rename(moved, db());
  fs::copy_file(file, work() / "copy");
  fs::rename(work() / "copy", file);
  EXPECT_TRUE(enclosure.DeleteFile(file, {}, nullptr).ok());
  EXPECT_TRUE(fs::exists(file));
}

TEST_F(OfflineLimits, folder_exchanged_after_it_was_looked_at_is_left_alone) {
  make_kind("plain");
  const auto file = db() + "/CURRENT";
  Enclosure early(::rocksdb::FileSystem::Default(), db(), true);
  Enclosure late(::rocksdb::FileSystem::Default(), db(), true);
  ASSERT_TRUE(late.know({db()}, {file}));
  const auto moved = work() / "moved";
  fs::rename(db(), moved);
  fs::copy(moved, db());
  const auto before = read_folder(db());
  EXPECT_FALSE(early.know({db()}, {file}));
  EXPECT_FALSE(late.work());
  EXPECT_FALSE(late.DeleteFile(file, {}, nullptr).ok());
  EXPECT_TRUE(read_folder(db()) == before);
}

TEST_F(OfflineLimits, lock_that_cannot_be_taken_is_in_the_plan) {
  make_kind("plain");
  fs::create_hard_link(db() + "/LOCK", work() / "another");
  EXPECT_EQ(plan()["verdict"], "refused");
  expect_refusal({"db", db()}, "LOCK");
}

// Killed before each of its steps: at no moment there is a file that others may read.
TEST_F(OfflineLimits, new_files_are_never_readable_by_others) {
  auto small = kind("plain");
  small.fill = [](OwnedDatabase& database) {
    for (int round = 0; round < 2; ++round) {
      expect_ok(database.db().Put({}, "key", "value"));
      expect_ok(database.db().Flush({}));
    }
  };
  const auto steps = [&] {
    make(small, work());
    Process process({"db", db()});
    EXPECT_EQ(process.wait().status, 0);
    return process.steps();
  }();
  ASSERT_GT(steps, 10U);
  for (std::uint64_t step = 1; step <= steps; ++step) {
    fs::remove_all(work());
    make(small, work());
    for (const auto& entry : fs::directory_iterator(db())) {
      fs::permissions(entry.path(), fs::perms(0600));
    }
    Circumstances circumstances;
    circumstances.signal_at = {SIGKILL, step};
    run({"db", db()}, circumstances);
    for (const auto& entry : fs::directory_iterator(db())) {
      EXPECT_EQ(entry.status().permissions() & fs::perms(0077), fs::perms::none)
          << entry.path() << " before step " << step << " of " << steps;
    }
  }
}

}  // namespace
}  // namespace kstone::rocksdb::test
