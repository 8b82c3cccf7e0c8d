// kstone-compact as a user calls it: what it does, and what it says when it cannot.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>

#include "process_support.h"
#include "sample_database.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;

// One line on stderr that says `what`, status 2.
void expect_complaint(const Result& result, const std::string& what) {
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_TRUE(result.err.starts_with("kstone-compact: ")) << result.err;
  EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
}

class CommandLine : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string sample(const SampleShape& shape = {}) {
    make_sample(path("db"), shape);
    return path("db");
  }
  std::string write(const std::string& name, const std::string& contents) const {
    std::ofstream(path(name)) << contents;
    return path(name);
  }
  // Records that do not compress well.
  std::string input(int lines) const {
    std::mt19937 random(1);
    std::string contents;
    for (int i = 0; i < lines; ++i) {
      contents += "key " + std::to_string(i) + "\t";
      for (int byte = 0; byte < 400; ++byte) {
        contents += static_cast<char>('0' + random() % 64);
      }
      contents += "\n";
    }
    return write("input", contents);
  }
  std::vector<std::string> demo(std::vector<std::string> more = {}, int lines = 2000) const {
    std::vector<std::string> arguments = {"demo", "--input", input(lines), "--summary",
                                          path("summary.json")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  TemporaryFolder folder_;
};

TEST_F(CommandLine, help_is_no_error) {
  const auto result = run({"--help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.out.find("demo"), std::string::npos);
  EXPECT_EQ(result.err, "");
}

TEST_F(CommandLine, a_subcommand_is_needed) { expect_complaint(run({}), "subcommand is required"); }

TEST_F(CommandLine, an_unknown_word_is_named_wherever_it_stands) {
  expect_complaint(run({"dmo"}), "unknown subcommand 'dmo'; demo and db exist");
  expect_complaint(run({"--fast", "demo"}), "unknown option '--fast'");
  expect_complaint(run({"demo", "--fast"}), "demo: unknown option '--fast'");
  expect_complaint(run({"demo", "--inptu", "file"}), "demo: unknown option '--inptu'");
  expect_complaint(run({"demo", "--line\nbreak\xff"}), R"('--line\x0Abreak\xFF')");
}

TEST_F(CommandLine, version_names_the_program_and_rocksdb) {
  const auto result = run({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(std::regex_match(
      result.out, std::regex(R"(kstone-compact \d+\.\d+\.\d+ \(RocksDB \d+\.\d+\.\d+\)\n)")))
      << result.out;
}

TEST_F(CommandLine, standard_output_that_takes_nothing_is_an_error) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  Circumstances circumstances;
  circumstances.out = full;
  expect_complaint(run({"--help"}, circumstances), "standard output: No space left on device");
  const auto result = run(demo({"--seconds", "0", "--json"}), circumstances);
  close(full);
  expect_complaint(result, "standard output: No space left on device");
  EXPECT_FALSE(fs::exists(path("summary.json")));  // it did not begin
}

TEST_F(CommandLine, standard_output_that_is_closed_is_an_error_and_no_file_takes_its_number) {
  const auto db = path("demo-db");
  const std::string program = KSTONE_COMPACT_PROGRAM;
  const auto command =
      program + " demo --dir " + db + " --input " + input(10) + " --seconds 0 >&- 2>" + path("err");
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_EQ(read_file(path("err")), "kstone-compact: standard output: is closed\n");
  EXPECT_FALSE(fs::exists(db));
}

// db

TEST_F(CommandLine, db_compacts_every_column_family_and_keeps_every_key) {
  const auto db = sample();
  const auto result = run({"db", db, "--json"});
  EXPECT_EQ(result.status, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  ASSERT_EQ(report["column_families"].size(), 4U);
  for (const auto& family : report["column_families"]) {
    const bool empty = family["name"] == "default";
    EXPECT_EQ(family["result"], empty ? "left_alone" : "compacted");
    if (!empty) {
      EXPECT_EQ(family["ssts_before"], 6);
      EXPECT_EQ(family["ssts_after"], 1);
    }
  }
  EXPECT_EQ(report["total_ssts_merged"], 18);
  EXPECT_EQ(report["total_ssts_created"], 3);
  EXPECT_GT(report["total_bytes_reclaimed"], 0);
  EXPECT_EQ(check_sample(db, {}), "");
}

TEST_F(CommandLine, db_compacts_the_named_column_families_only) {
  const auto db = sample();
  const auto result =
      run({"db", db, "--json", "--column-family", "family-1", "--column-family", "family-2"});
  EXPECT_EQ(result.status, 0) << result.err;
  const auto report = nlohmann::json::parse(result.out);
  EXPECT_EQ(report["column_families"][1]["ssts_after"], 6);
  EXPECT_EQ(report["column_families"][2]["ssts_after"], 1);
  EXPECT_EQ(report["column_families"][3]["ssts_after"], 1);
  EXPECT_EQ(check_sample(db, {}), "");
}

TEST_F(CommandLine, db_does_not_count_ssts_that_only_move_to_another_level) {
  const SampleShape shape{2, 1};
  const auto db = sample(shape);
  const auto report = nlohmann::json::parse(run({"db", db, "--json", "--bottommost", "keep"}).out);
  EXPECT_EQ(report["column_families"][1]["result"], "nothing to rewrite");
  EXPECT_EQ(report["total_ssts_merged"], 0);
  EXPECT_EQ(check_sample(db, shape), "");
}

TEST_F(CommandLine, db_leaves_those_below_min_ssts_alone) {
  const auto db = sample();
  EXPECT_EQ(run({"db", db, "--column-family", "family-0"}).status, 0);
  const auto report = nlohmann::json::parse(run({"db", db, "--json", "--min-ssts", "6"}).out);
  EXPECT_EQ(report["column_families"][0]["note"], "below 6 SSTs");
  EXPECT_EQ(report["column_families"][1]["note"], "below 6 SSTs");
  EXPECT_EQ(report["column_families"][2]["result"], "compacted");
  EXPECT_EQ(check_sample(db, {}), "");
}

TEST_F(CommandLine, db_runs_as_many_compactions_at_a_time_as_asked_for) {
  const SampleShape shape{4, 6, 4000, 500};
  const auto db = sample(shape);
  fs::copy(db, path("copy"), fs::copy_options::recursive);
  EXPECT_EQ(
      nlohmann::json::parse(run({"db", db, "--json", "--workers", "1"}).out)["max_concurrent_seen"],
      1);
  EXPECT_GE(nlohmann::json::parse(
                run({"db", path("copy"), "--json", "--workers", "4"}).out)["max_concurrent_seen"],
            2);
  EXPECT_EQ(check_sample(db, shape), "");
  EXPECT_EQ(check_sample(path("copy"), shape), "");
}

TEST_F(CommandLine, db_leaves_the_owners_options_and_log_as_they_are) {
  const auto db = sample();
  const auto owned = [&] {
    std::map<std::string, std::string> files;
    for (const auto& [name, contents] : read_folder(db)) {
      const auto file = fs::path(name).filename().string();
      if (file.starts_with("OPTIONS") || file.starts_with("LOG")) {
        files[file] = contents;
      }
    }
    return files;
  };
  const auto before = owned();
  ASSERT_EQ(before.count("LOG"), 1U);
  EXPECT_EQ(run({"db", db}).status, 0);
  EXPECT_TRUE(owned() == before);
}

TEST_F(CommandLine, db_without_an_options_file_is_refused) {
  const auto db = sample();
  for (const auto& entry : fs::directory_iterator(db)) {
    if (entry.path().filename().string().starts_with("OPTIONS")) {
      fs::remove(entry.path());
    }
  }
  const auto before = read_folder(db);
  expect_complaint(run({"db", db}), "--options-file FILE");
  EXPECT_TRUE(read_folder(db) == before);
}

TEST_F(CommandLine, db_compacts_what_the_demo_left) {
  EXPECT_EQ(run(demo({"--dir", path("demo-db"), "--compact-mib", "4"})).status, 0);
  const auto result = run({"db", path("demo-db"), "--json"});
  EXPECT_EQ(result.status, 0) << result.err;
  // KCompactionStyleNone would do nothing.
  EXPECT_GT(nlohmann::json::parse(result.out)["total_ssts_merged"], 0);
}

TEST_F(CommandLine, db_no_such_path) {
  expect_complaint(run({"db", path("none")}), "no such path");
}

TEST_F(CommandLine, db_a_file_is_no_database) {
  expect_complaint(run({"db", write("file", "contents")}), "not a database: not a folder");
  EXPECT_EQ(read_file(path("file")), "contents");
}

TEST_F(CommandLine, db_a_folder_without_current_is_no_database_and_stays_as_it_is) {
  fs::create_directory(path("folder"));
  write("folder/precious", "contents");
  const auto before = read_folder(path("folder"));
  expect_complaint(run({"db", path("folder")}), "not a database");
  EXPECT_TRUE(read_folder(path("folder")) == before);
}

TEST_F(CommandLine, db_a_damaged_current_is_no_database) {
  const auto db = sample();
  write("db/CURRENT", "nonsense");
  const auto before = read_folder(db);
  expect_complaint(run({"db", db}), "not a database");
  EXPECT_TRUE(read_folder(db) == before);
}

TEST_F(CommandLine, db_locked_by_another_process) {
  const auto db = sample();
  ::rocksdb::FileLock* lock = nullptr;
  ASSERT_TRUE(::rocksdb::Env::Default()->LockFile(db + "/LOCK", &lock).ok());
  const auto before = read_folder(db);
  expect_complaint(run({"db", db}), "locked by another process");
  EXPECT_TRUE(read_folder(db) == before);
  ::rocksdb::Env::Default()->UnlockFile(lock);
  EXPECT_EQ(run({"db", db}).status, 0);
}

TEST_F(CommandLine, db_unknown_column_family) {
  const auto db = sample();
  expect_complaint(run({"db", db, "--column-family", "family-0", "--column-family", "family-9"}),
                   "no column family 'family-9'");
  EXPECT_EQ(
      nlohmann::json::parse(
          run({"db", db, "--json", "--min-ssts", "99"}).out)["column_families"][1]["ssts_before"],
      6);
}

TEST_F(CommandLine, db_zero_workers) {
  const auto db = sample();
  expect_complaint(run({"db", db, "--workers", "0"}), "--workers");
  expect_complaint(run({"db", db, "--workers", "-1"}), "--workers");
  expect_complaint(run({"db", db, "--workers", "two"}), "--workers");
}

TEST_F(CommandLine, db_no_permission) {
  const auto db = sample();
  Circumstances circumstances;
  if (geteuid() == 0) {
    circumstances.user = 65534;  // root may do everything
    if (run({"--help"}, circumstances).status == 127) {
      GTEST_SKIP() << "another user may not run the program";
    }
  }
  fs::permissions(db, fs::perms::none);
  expect_complaint(run({"db", db}, circumstances), "ermission denied");
  fs::permissions(db, fs::perms::owner_all);
  EXPECT_EQ(check_sample(db, {}), "");
}

// A limit on the size of a file refuses writes as a full disk does, and needs no privileges.
TEST_F(CommandLine, db_that_cannot_write_damages_nothing) {
  const SampleShape shape{3, 6, 2000, 500};
  const auto db = sample(shape);
  expect_complaint(run({"db", db}, {.file_size_limit = 500'000}),
                   "compacting column family 'family-");
  EXPECT_EQ(check_sample(db, shape), "");
  EXPECT_EQ(run({"db", db}).status, 0);
  EXPECT_EQ(check_sample(db, shape), "");
}

class SmallDisk {
 public:
  SmallDisk(const std::string& path, const std::string& options) : path_(path) {
    fs::create_directory(path);
    mounted_ = mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) {
      umount2(path_.c_str(), MNT_DETACH);
    }
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  bool remount_read_only() {
    return mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  std::string path_;
  bool mounted_;
};

TEST_F(CommandLine, db_on_a_full_disk) {
  const SmallDisk disk(path("disk"), "size=30m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "may not mount a tmpfs";
  }
  const SampleShape shape{1, 3, 10'000, 1000};  // 24 MB; the merged SST would be 8 MB
  make_sample(path("disk/db"), shape);
  const auto before = read_folder(path("disk/db"));
  expect_complaint(run({"db", path("disk/db")}), "--ignore-free-space");
  EXPECT_TRUE(read_folder(path("disk/db")) == before);
  // Who insists gets RocksDB's word, and loses nothing.
  expect_complaint(run({"db", path("disk/db"), "--ignore-free-space"}), "No space left on device");
  EXPECT_EQ(check_sample(path("disk/db"), shape), "");
}

TEST_F(CommandLine, db_on_a_read_only_disk) {
  SmallDisk disk(path("disk"), "size=32m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "may not mount a tmpfs";
  }
  make_sample(path("disk/db"), {});
  ASSERT_TRUE(disk.remount_read_only());
  expect_complaint(run({"db", path("disk/db")}), "Read-only file system");
  EXPECT_EQ(check_sample(path("disk/db"), {}), "");
}

// demo

TEST_F(CommandLine, demo_verifies_every_key_and_writes_the_summary) {
  const auto result = run(demo({"--compact-mib", "8", "--stripes", "16", "--json"}));
  EXPECT_EQ(result.status, 0) << result.err;
  const auto summary = nlohmann::json::parse(read_file(path("summary.json")));
  EXPECT_EQ(summary, nlohmann::json::parse(result.out));
  for (const auto* field : {"stripes",
                            "keys_written",
                            "keys_verified",
                            "keys_wrong",
                            "requests",
                            "coalesced",
                            "rerun_pending",
                            "compactions",
                            "discarded",
                            "max_concurrent_seen",
                            "max_l0_files",
                            "stall_seconds",
                            "shutdown_ms",
                            "bytes_compacted",
                            "total_compactions",
                            "total_ssts_merged",
                            "total_ssts_created",
                            "total_bytes_read",
                            "total_bytes_written",
                            "total_bytes_reclaimed",
                            "total_records_deduplicated",
                            "total_tombstones_removed",
                            "active_compactions",
                            "wall_seconds"}) {
    EXPECT_TRUE(summary.contains(field)) << field;
  }
  EXPECT_EQ(summary["keys_written"], 2000);
  EXPECT_EQ(summary["keys_verified"], 2000);
  EXPECT_EQ(summary["keys_wrong"], 0);
  EXPECT_EQ(summary["active_compactions"], 0);
  EXPECT_GE(summary["bytes_compacted"], 8 << 20);
}

TEST_F(CommandLine, demo_leaves_the_database_where_it_was_told_to) {
  EXPECT_EQ(run(demo({"--dir", path("new/db"), "--seconds", "0"})).status, 0);
  EXPECT_TRUE(fs::exists(path("new/db/CURRENT")));
}

TEST_F(CommandLine, demo_stripes_and_workers_have_limits) {
  expect_complaint(run(demo({"--stripes", "15"})), "--stripes");
  expect_complaint(run(demo({"--stripes", "257"})), "--stripes");
  expect_complaint(run(demo({"--workers", "0"})), "--workers");
}

TEST_F(CommandLine, demo_takes_plain_decimal_numbers_alone) {
  for (const auto* option : {"--seed", "--stripes", "--workers", "--compact-mib", "--seconds"}) {
    for (const auto* value : {"-1", "+20", " 20", "20 ", "020", "0x10", "20x", "nan", "inf", "-nan",
                              "1e99", "twenty"}) {
      const auto result = run(demo({option, value}));
      expect_complaint(result, std::string(option) + ": '" + value + "' is not a ");
      EXPECT_NE(result.err.find(" from "), std::string::npos) << result.err;
    }
    const auto words = demo({option, ""});
    expect_complaint(run(words), std::string(option) + ": '' is not a ");
  }
  expect_complaint(run(demo({"--seed", "18446744073709551616"})), "from 0 to 18446744073709551615");
  expect_complaint(run(demo({"--seconds", "1000000.5"})), "from 0 to 1000000");
  expect_complaint(run(demo({"--stripes", "4294967312"})), "from 16 to 256");  // 16 in 32 bits
  EXPECT_FALSE(fs::exists(path("summary.json")));
}

TEST_F(CommandLine, demo_tells_its_seed) {
  const auto result = run(demo({"--seed", "18446744073709551615", "--seconds", "0"}));
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("18446744073709551615"), std::string::npos) << result.out;
  EXPECT_EQ(nlohmann::json::parse(read_file(path("summary.json")))["seed"], UINT64_MAX);
}

TEST_F(CommandLine, demo_paths_may_not_be_empty) {
  for (const auto* option : {"--input", "--dir", "--summary"}) {
    expect_complaint(run({"demo", option, ""}), std::string(option) + ": is empty");
  }
}

TEST_F(CommandLine, demo_input_whose_name_is_not_utf8) {
  auto arguments = demo({"--seconds", "0"});
  const auto name = path("non\xffutf8");
  fs::rename(arguments[2], name);
  arguments[2] = name;
  const auto result = run(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(read_file(path("summary.json")))["source"],
            path(R"(non\xFFutf8)"));
  EXPECT_NE(result.out.find(R"(non\xFFutf8)"), std::string::npos) << result.out;
}

TEST_F(CommandLine, demo_reads_a_pipe) {
  const std::string program = KSTONE_COMPACT_PROGRAM;
  const auto command = "cat " + input(100) + " | " + program +
                       " demo --input /dev/stdin --seconds 0 --summary " + path("summary.json") +
                       " >" + path("out");
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(path("summary.json")))["keys_verified"], 100);
}

TEST_F(CommandLine, demo_reads_standard_input) {
  const std::string program = KSTONE_COMPACT_PROGRAM;
  const auto command = "cat " + input(100) + " | " + program +
                       " demo --input - --seconds 0 --summary " + path("summary.json") + " >" +
                       path("out");
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(path("summary.json")))["keys_verified"], 100);
}

TEST_F(CommandLine, demo_bad_input_file) {
  expect_complaint(run({"demo", "--input", path("none")}), "No such file");
  expect_complaint(run({"demo", "--input", write("bad", "no tab\n")}), "line 1 has no TAB");
}

TEST_F(CommandLine, demo_takes_no_folder_that_is_in_use) {
  fs::create_directory(path("folder"));
  write("folder/precious", "contents");
  expect_complaint(run(demo({"--dir", path("folder")})), "is not empty");
  EXPECT_EQ(read_file(path("folder/precious")), "contents");
  expect_complaint(run(demo({"--dir", path("folder/precious")})), "is not a folder");
}

// All of it before the work: a summary that cannot be written is no news after two minutes.
TEST_F(CommandLine, demo_summary_that_cannot_be_written) {
  const auto expect_refused = [&](const std::string& summary, const std::string& why) {
    auto arguments = demo({"--seconds", "0"});
    arguments[4] = summary;
    const auto result = run(arguments);
    expect_complaint(result, "--summary " + summary + ": " + why);
    EXPECT_EQ(result.out, "");
  };
  expect_refused(folder_.path().string(), "cannot be written: Is a directory");
  expect_refused(path("none/summary"), "cannot be written: No such file or directory");
  EXPECT_FALSE(fs::exists(path("none")));
  expect_refused("/dev/full", "cannot be written: No space left on device");
  expect_refused(write("file", "") + "/summary", "cannot be written: Not a directory");
  expect_refused(path("input"), "is the file of --input");
  EXPECT_NE(read_file(path("input")), "");
}

TEST_F(CommandLine, demo_that_fails_leaves_the_last_summary_as_it_is) {
  auto arguments = demo();
  write("input", "no tab\n");
  EXPECT_EQ(run(arguments).status, 2);
  EXPECT_FALSE(fs::exists(path("summary.json")));
  write("summary.json", "the last one, which is longer than nothing");
  EXPECT_EQ(run(arguments).status, 2);
  EXPECT_EQ(read_file(path("summary.json")), "the last one, which is longer than nothing");
}

TEST_F(CommandLine, demo_replaces_a_summary_that_is_longer) {
  auto arguments = demo({"--seconds", "0"}, 10);
  write("summary.json", std::string(100'000, 'x'));
  EXPECT_EQ(run(arguments).status, 0);
  EXPECT_EQ(nlohmann::json::parse(read_file(path("summary.json")))["keys_written"], 10);
}

// Whatever of RocksDB or of the C++ runtime meets the limit first.
TEST_F(CommandLine, demo_without_memory_says_so_and_leaves_nothing_behind) {
  fs::create_directory(path("tmp"));
  Circumstances circumstances;
  circumstances.temporary_folder = path("tmp");
  for (const rlim_t mib : {96U, 128U, 192U, 256U, 384U}) {
    circumstances.memory_limit = mib << 20;
    const auto result = run(demo({"--seconds", "0", "--workers", "64"}), circumstances);
    expect_complaint(result, "");
    EXPECT_TRUE(fs::is_empty(path("tmp"))) << mib << " MiB: " << result.err;
  }
}

TEST_F(CommandLine, demo_on_a_full_disk) {
  const SmallDisk disk(path("disk"), "size=16m");
  if (!disk.mounted()) {
    GTEST_SKIP() << "may not mount a tmpfs";
  }
  expect_complaint(run(demo({"--dir", path("disk/db"), "--compact-mib", "1000"}, 30'000)),
                   "No space left on device");
}

TEST_F(CommandLine, demo_that_cannot_write_says_so) {
  expect_complaint(run(demo({"--compact-mib", "1000"}), {.file_size_limit = 300'000}),
                   "File too large");
}

}  // namespace
}  // namespace kstone::rocksdb::test
