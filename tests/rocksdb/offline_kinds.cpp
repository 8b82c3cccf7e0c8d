#include "offline_kinds.h"

#include <rocksdb/convenience.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "offline_kind_parts.h"

namespace kstone::rocksdb::test {

namespace fs = std::filesystem;
using ::rocksdb::ColumnFamilyOptions;
using ::rocksdb::MergeOperator;
using ::rocksdb::Slice;

void check(const ::rocksdb::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}

void set_table(Owner& owner, const std::function<void(::rocksdb::BlockBasedTableOptions&)>& set) {
  ::rocksdb::BlockBasedTableOptions table;
  set(table);
  owner.each([&](auto& family) {
    family.table_factory.reset(::rocksdb::NewBlockBasedTableFactory(table));
  });
}

Kind with(const std::string& name, const Set& set, const std::string& refusal,
          std::vector<std::string> arguments) {
  Kind kind;
  kind.name = name;
  kind.owner = [set](const fs::path& folder) {
    Owner owner;
    set(owner, folder);
    return owner;
  };
  kind.refusal = refusal;
  kind.arguments = std::move(arguments);
  return kind;
}

Kind each(const std::string& name, const std::function<void(ColumnFamilyOptions&)>& set,
          const std::string& refusal, std::vector<std::string> arguments) {
  return with(
      name, [set](Owner& owner, const fs::path&) { owner.each(set); }, refusal,
      std::move(arguments));
}

Kind altered(Kind kind, const std::string& suffix,
             const std::function<void(const fs::path&)>& alter, const std::string& refusal,
             std::vector<std::string> arguments) {
  kind.name += suffix;
  kind.alter = alter;
  kind.refusal = refusal;
  kind.arguments = std::move(arguments);
  return kind;
}

namespace {

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// Merge operators of owners.

class Appending final : public ::rocksdb::AssociativeMergeOperator {
 public:
  Appending(std::string name, std::string delimiter)
      : name_(std::move(name)), delimiter_(std::move(delimiter)) {}
  const char* Name() const override { return name_.c_str(); }
  bool Merge(const Slice&, const Slice* old, const Slice& value, std::string* result,
             ::rocksdb::Logger*) const override {
    *result = old == nullptr ? value.ToString() : old->ToString() + delimiter_ + value.ToString();
    return true;
  }

 private:
  std::string name_;
  std::string delimiter_;
};

std::shared_ptr<MergeOperator> of_rocksdb(const std::string& spec) {
  std::shared_ptr<MergeOperator> merge;
  check(MergeOperator::CreateFromString(::rocksdb::ConfigOptions(), spec, &merge));
  return merge;
}

std::shared_ptr<MergeOperator> string_append(const std::string& delimiter) {
  auto merge = of_rocksdb("StringAppendOperator");
  *merge->GetOptions<std::string>("Delimiter") = delimiter;
  return merge;
}

void fill_with_merges(OwnedDatabase& database, const std::string& operand, bool logged) {
  database.fill();
  database.flush();
  for (int round = 0; round < 3; ++round) {
    for (auto* handle : database.handles()) {
      for (int key = 0; key < 50; ++key) {
        check(database.db().Merge({}, handle, "merged-" + std::to_string(key), operand));
      }
    }
    if (round < 2 || !logged) {
      database.flush();
    }
  }
}

Kind merging(const std::string& name, const std::shared_ptr<MergeOperator>& merge,
             const std::string& operand, const std::string& refusal = "",
             std::vector<std::string> arguments = {}, bool logged = false) {
  auto kind = each(
      name, [merge](auto& family) { family.merge_operator = merge; }, refusal,
      std::move(arguments));
  kind.fill = [operand, logged](OwnedDatabase& database) {
    fill_with_merges(database, operand, logged);
  };
  return kind;
}

// Name a merge operator for both families.
std::vector<std::string> named(const std::string& spec) {
  return {"--merge-operator", "default=" + spec, "--merge-operator", "other=" + spec};
}

void add_shapes(std::vector<Kind>& kinds) {
  kinds.push_back(with("plain", [](auto&, auto&) {}));
  kinds.push_back(each("universal", [](auto& family) {
    family.compaction_style = ::rocksdb::kCompactionStyleUniversal;
  }));
  kinds.push_back(each("universal_with_one_level", [](auto& family) {
    family.compaction_style = ::rocksdb::kCompactionStyleUniversal;
    family.num_levels = 1;
  }));
  kinds.push_back(each("fifo", [](auto& family) {
    family.compaction_style = ::rocksdb::kCompactionStyleFIFO;
    family.num_levels = 1;
    family.compaction_options_fifo.max_table_files_size = 1 << 30;
  }));
  kinds.push_back(each(
      "none", [](auto& family) { family.compaction_style = ::rocksdb::kCompactionStyleNone; }));
  kinds.push_back(each(
      "none_with_one_level",
      [](auto& family) {
        family.compaction_style = ::rocksdb::kCompactionStyleNone;
        family.num_levels = 1;
      },
      "compaction style none with one level"));
  kinds.push_back(each("dynamic_levels",
                       [](auto& family) { family.level_compaction_dynamic_level_bytes = true; }));
  kinds.push_back(each("two_levels", [](auto& family) { family.num_levels = 2; }));
  const auto blobs = [](auto& family) {
    family.enable_blob_files = true;
    family.min_blob_size = 100;
  };
  kinds.push_back(each("blobs", blobs));
  kinds.push_back(each("blobs_collected", [blobs](auto& family) {
    blobs(family);
    family.enable_blob_garbage_collection = true;
    family.blob_garbage_collection_age_cutoff = 1.0;
  }));
  for (const std::uint32_t version : {2, 3, 4, 5}) {
    kinds.push_back(
        with("format_version_" + std::to_string(version), [version](Owner& owner, auto&) {
          set_table(owner, [&](auto& table) { table.format_version = version; });
        }));
  }
  kinds.push_back(altered(
      kinds.front(), "_format_version_6",
      [](const fs::path& folder) {
        edit_options(folder / "db", "format_version=5", "format_version=6");
      },
      "format_version"));
  auto many = with("many_families", [](Owner& owner, auto&) {
    for (int family = 0; family < 40; ++family) {
      owner.families["family-" + std::to_string(family)] = owner.families["default"];
    }
  });
  kinds.push_back(many);
  auto odd = with("odd_names", [](Owner& owner, auto&) {
    for (const char* name : {"a b", "tab\there", "back\\slash", "quote\"d", "[CFOptions]",
                             "\xff\xfe", "a=b", "#hash"}) {
      owner.families[name] = owner.families["default"];
    }
  });
  kinds.push_back(odd);
}

void add_merges(std::vector<Kind>& kinds) {
  const std::map<std::string, std::string> readable = {
      {"comma", ","}, {"bar", "|"}, {"two_letters", "ab"}, {"dot", "."}};
  for (const auto& [name, delimiter] : readable) {
    kinds.push_back(merging("append_with_" + name, string_append(delimiter), "x"));
  }
  kinds.push_back(merging("append_in_the_log", string_append(","), "x", "", {}, true));
  // An options file does not escape these so that they could be read again.
  const std::map<std::string, std::string> unreadable = {
      {"nothing", ""}, {"semicolon", ";"},        {"brace", "}"},
      {"space", " "},  {"newline", "\n"},         {"semicolon_brace", ";}"},
      {"equals", "="}, {"backslash", "\\"},       {"hash", "#"},
      {"colon", ":"},  {"a_space_within", "a b"}, {"another_option", ",;id=x"}};
  for (const auto& [name, delimiter] : unreadable) {
    kinds.push_back(
        merging("append_with_" + name, string_append(delimiter), "x", "--merge-operator"));
  }
  const auto as_old_releases = [](const fs::path& folder) {
    for (int family = 0; family < 2; ++family) {
      edit_options(folder / "db", "merge_operator={id=StringAppendOperator;delimiter=|;}",
                   "merge_operator=StringAppendOperator");
    }
  };
  const auto append = merging("append", string_append("|"), "x");
  kinds.push_back(
      altered(append, "_without_delimiter", as_old_releases, "--merge-operator default=SPEC"));
  kinds.push_back(altered(append, "_without_delimiter_named", as_old_releases, "",
                          named("{id=StringAppendOperator;delimiter=|;}")));
  kinds.push_back(merging("append_of_another_engine",
                          std::make_shared<Appending>("StringAppendOperator", "+"), "x",
                          "--merge-operator default=SPEC"));
  kinds.push_back(merging("add_of_another_engine",
                          std::make_shared<Appending>("UInt64AddOperator", "+"), "eight by",
                          "--merge-operator default=SPEC"));
  const auto add = of_rocksdb("uint64add");
  kinds.push_back(merging("add", add, std::string(8, '\1'), "--merge-operator default=SPEC"));
  kinds.push_back(merging("add_named", add, std::string(8, '\1'), "", named("uint64add")));
  kinds.push_back(
      merging("add_named_in_the_log", add, std::string(8, '\1'), "", named("uint64add"), true));
  kinds.push_back(merging("add_named_as_another", add, std::string(8, '\1'),
                          "the options file names 'UInt64AddOperator'", named("max")));
  kinds.push_back(merging("add_named_wrongly",
                          std::make_shared<Appending>("UInt64AddOperator", "+"), "text",
                          "UInt64AddOperator adds numbers of 8 bytes", named("uint64add")));
  kinds.push_back(merging("merge_of_the_owner", std::make_shared<Appending>("acme.Append", "+"),
                          "x", "merge operator 'acme.Append' is not certain"));
  kinds.push_back(merging("merge_of_the_owner_in_the_log",
                          std::make_shared<Appending>("acme.Append", "+"), "x",
                          "merge operator 'acme.Append' is not certain", {}, true));
  kinds.push_back(each("merge_of_the_owner_unused", [](auto& family) {
    family.merge_operator = std::make_shared<Appending>("acme.Append", "+");
  }));
}

void add_places(std::vector<Kind>& kinds) {
  const auto wal = [](const std::string& below) {
    return [below](Owner& owner, const fs::path& folder) {
      owner.database.wal_dir = (folder / below).string();
    };
  };
  kinds.push_back(with("wal_dir_outside", wal("wal"), "--wal-dir"));
  kinds.push_back(with("wal_dir_outside_named", wal("wal"), "", {"--wal-dir", "{}/wal"}));
  kinds.push_back(with("wal_dir_inside", wal("db/wal")));
  kinds.push_back(with("wal_dir_with_a_slash", wal("db/")));
  auto relative = with("wal_dir_relative", [](auto&, auto&) {});
  relative.alter = [](const fs::path& folder) {
    edit_options(folder / "db", "[DBOptions]\n", "[DBOptions]\n  wal_dir=./.rocksdb\n");
  };
  relative.refusal = "--wal-dir";
  kinds.push_back(relative);
  kinds.push_back(altered(
      with("wal_dir", [](auto&, auto&) {}), "_gone",
      [](const fs::path& folder) {
        edit_options(folder / "db", "[DBOptions]\n", "[DBOptions]\n  wal_dir=/nowhere/at/all\n");
      },
      ""));
  kinds.push_back(with("wal_dir_holds_another_database", wal("wal"), "holds another database",
                       {"--wal-dir", "{}/wal"}));
  kinds.back().alter = [](const fs::path& folder) {
    write_text(folder / "wal" / "CURRENT", "MANIFEST-000001\n");
  };
  const auto two_paths = [](Owner& owner, const fs::path& folder) {
    owner.database.db_paths = {{(folder / "first").string(), 20'000},
                               {(folder / "second").string(), 1ULL << 40}};
  };
  kinds.push_back(with("db_paths", two_paths, "--db-path PATH"));
  kinds.push_back(
      with("db_paths_named", two_paths, "", {"--db-path", "{}/first", "--db-path", "{}/second"}));
  const auto family_paths = [](Owner& owner, const fs::path& folder) {
    owner.families["other"].cf_paths = {{(folder / "other").string(), 1ULL << 40}};
  };
  kinds.push_back(with("cf_paths", family_paths, "--cf-path FAMILY=PATH"));
  kinds.push_back(with("cf_paths_named", family_paths, "", {"--cf-path", "other={}/other"}));
  auto young = with("cf_paths_of_a_family_in_the_log", family_paths);
  young.fill = [](OwnedDatabase& database) {
    for (int round = 0; round < 4; ++round) {
      check(database.db().Put({}, database.handles().front(), "key", std::string(1000, 'a')));
      check(database.db().Flush({}, database.handles().front()));
    }
    check(database.db().Put({}, database.handles().back(), "only in the log", "value"));
  };
  kinds.push_back(young);
  kinds.push_back(with("wal_dir_with_a_colon", wal("wal:6379"), "--wal-dir"));
  kinds.push_back(
      with("wal_dir_with_a_colon_named", wal("wal:6379"), "", {"--wal-dir", "{}/wal:6379"}));
  kinds.push_back(altered(
      with("wal_dir_inside", wal("db/wal")), "_and_empty",
      [](const fs::path& folder) {
        fs::rename(folder / "db" / "wal", folder / "not-mounted");
        fs::create_directory(folder / "db" / "wal");
      },
      "there is no WAL in"));
}

// A program with other options opens and closes the database.
std::function<void(const fs::path&)> opened_by_a_tool(int times, const Set& set) {
  return [times, set](const fs::path& folder) {
    Owner tool;
    set(tool, folder);
    for (int time = 0; time < times; ++time) {
      const OwnedDatabase opened(tool, (folder / "db").string());
    }
  };
}

// What speaks for the owner after another program has left options files of its own.
void add_tools(std::vector<Kind>& kinds) {
  const auto merges_with = [](const std::shared_ptr<MergeOperator>& merge) {
    return [merge](Owner& tool, const fs::path&) {
      tool.each([&](auto& family) { family.merge_operator = merge; });
    };
  };
  // Two opens leave no options file of the owner.
  kinds.push_back(altered(merging("add", of_rocksdb("uint64add"), std::string(8, '\1')),
                          "_opened_twice_to_append",
                          opened_by_a_tool(2, merges_with(string_append("|"))),
                          "its SSTs were merged by 'UInt64AddOperator'"));
  kinds.push_back(altered(
      merging("append_of_another_engine", std::make_shared<Appending>("acme.Append", "+"), "x"),
      "_opened_twice_to_append", opened_by_a_tool(2, merges_with(string_append("|"))),
      "its SSTs were merged by 'acme.Append'"));
  kinds.push_back(altered(merging("append", string_append("|"), "x"), "_opened_to_append_otherwise",
                          opened_by_a_tool(1, merges_with(string_append(","))),
                          "says otherwise: merge_operator="));
  const auto plain = [](Owner&, const fs::path&) {};
  static const KeepsAll keeps_all;
  kinds.push_back(altered(
      each("compaction_filter", [](auto& family) { family.compaction_filter = &keeps_all; }),
      "_opened_without_it", opened_by_a_tool(1, plain), "says otherwise: compaction_filter"));
  kinds.push_back(altered(
      each("prefix_extractor",
           [](auto& family) {
             family.prefix_extractor.reset(::rocksdb::NewFixedPrefixTransform(3));
           }),
      "_opened_twice_with_another",
      opened_by_a_tool(2,
                       [](Owner& tool, const fs::path&) {
                         tool.each([](auto& family) {
                           family.prefix_extractor.reset(::rocksdb::NewFixedPrefixTransform(5));
                         });
                       }),
      "--accept-loss prefix-extractor:default"));
  const auto compressed =
      each("compression", [](auto& family) { family.compression = ::rocksdb::kZSTD; });
  kinds.push_back(altered(compressed, "_opened_with_another", opened_by_a_tool(1, plain),
                          "says otherwise: compression="));
  kinds.push_back(altered(compressed, "_opened_twice_with_another", opened_by_a_tool(2, plain),
                          "--accept-loss compression:default"));
  const auto tuned = [](Owner& tool, const fs::path&) {
    tool.each([](auto& family) {
      family.write_buffer_size = 1 << 20;
      family.ttl = 1000;
      family.max_bytes_for_level_base = 1 << 20;
    });
  };
  kinds.push_back(
      altered(with("plain", plain), "_opened_with_other_memory", opened_by_a_tool(1, tuned), ""));
}

std::vector<Kind> make_kinds() {
  std::vector<Kind> kinds;
  add_shapes(kinds);
  add_names(kinds);
  add_merges(kinds);
  add_places(kinds);
  add_logs(kinds);
  add_tools(kinds);
  return kinds;
}

}  // namespace

Owner::Owner() {
  database.create_if_missing = true;
  database.create_missing_column_families = true;
  ColumnFamilyOptions family;
  family.compression = ::rocksdb::kNoCompression;
  family.level0_file_num_compaction_trigger = 100;
  families = {{"default", family}, {"other", family}};
}

void Owner::each(const std::function<void(ColumnFamilyOptions&)>& set) {
  for (auto& [name, options] : families) {
    set(options);
  }
}

OwnedDatabase::OwnedDatabase(const Owner& owner, const std::string& path)
    : has_columns_(!owner.open) {
  std::vector<::rocksdb::ColumnFamilyDescriptor> families;
  for (const auto& [name, options] : owner.families) {
    families.emplace_back(name, options);
  }
  ::rocksdb::DB* db = nullptr;
  check(owner.open ? owner.open(owner, path, families, &handles_, &db)
                   : ::rocksdb::DB::Open(owner.database, path, families, &handles_, &db));
  db_.reset(db);
}

OwnedDatabase::~OwnedDatabase() {
  for (auto* handle : handles_) {
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  db_->Close().PermitUncheckedError();
}

Contents OwnedDatabase::contents() {
  Contents contents;
  for (auto* handle : handles_) {
    ::rocksdb::ReadOptions options;
    options.total_order_seek = true;
    const std::unique_ptr<::rocksdb::Iterator> at(db_->NewIterator(options, handle));
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      auto& value = contents[handle->GetName() + "/" + at->key().ToString()];
      value = at->value().ToString();
      if (!has_columns_) {
        continue;
      }
      for (const auto& column : at->columns()) {
        value += "|" + column.name().ToString() + "=" + column.value().ToString();
      }
    }
    check(at->status());
  }
  if (const auto status = db_->VerifyChecksum(); !status.IsNotSupported()) {
    check(status);  // plain tables have none
  }
  return contents;
}

void OwnedDatabase::flush() {
  for (auto* handle : handles_) {
    check(db_->Flush({}, handle));
  }
}

void OwnedDatabase::fill() {
  constexpr int generations = 4;
  for (int generation = 0; generation <= generations; ++generation) {
    for (auto* handle : handles_) {
      for (int key = 0; key < 60; ++key) {
        const auto name = "key-" + std::to_string(key);
        if ((key + generation) % 5 == 0) {
          check(db_->Delete({}, handle, name));
        } else {
          check(db_->Put({}, handle, name,
                         std::string(200, static_cast<char>('a' + generation)) + name));
        }
      }
    }
    if (generation < generations) {
      flush();
    }
  }
}

const std::vector<Kind>& kinds() {
  static const auto all = make_kinds();
  return all;
}

const Kind& kind(const std::string& name) {
  for (const auto& each : kinds()) {
    if (each.name == name) {
      return each;
    }
  }
  throw std::runtime_error("no kind " + name);
}

void make(const Kind& kind, const fs::path& folder) {
  fs::create_directories(folder);
  {
    OwnedDatabase database(kind.owner(folder), (folder / "db").string());
    kind.fill(database);
  }
  if (kind.alter) {
    kind.alter(folder);
  }
}

Contents read(const Kind& kind, const fs::path& folder) {
  return OwnedDatabase(kind.owner(folder), (folder / "db").string()).contents();
}

std::vector<std::string> arguments_of(const Kind& kind, const fs::path& folder) {
  std::vector<std::string> arguments = {"db", (folder / "db").string()};
  for (auto argument : kind.arguments) {
    if (const auto at = argument.find("{}"); at != std::string::npos) {
      argument.replace(at, 2, folder.string());
    }
    arguments.push_back(argument);
  }
  return arguments;
}

fs::path options_file(const fs::path& database) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(database)) {
    if (entry.path().filename().string().starts_with("OPTIONS-") && entry.path() > newest) {
      newest = entry.path();
    }
  }
  return newest;
}

void edit_options(const fs::path& database, const std::string& from, const std::string& to) {
  const auto path = options_file(database);
  auto text = read_text(path);
  const auto at = text.find(from);
  if (at == std::string::npos) {
    throw std::runtime_error(path.string() + " has no '" + from + "'");
  }
  write_text(path, text.replace(at, from.size(), to));
}

}  // namespace kstone::rocksdb::test
