// Kinds of databases by what their options files name: see offline_kinds.h.

#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_partitioner.h>
#include <rocksdb/table.h>
#include <rocksdb/table_properties.h>

#include "offline_kind_parts.h"

namespace kstone::rocksdb::test {
namespace {

namespace fs = std::filesystem;
using ::rocksdb::Slice;

// Of things that an engine brings along.

class Backwards final : public ::rocksdb::Comparator {
 public:
  const char* Name() const override { return "acme.Backwards"; }
  int Compare(const Slice& a, const Slice& b) const override { return b.compare(a); }
  void FindShortestSeparator(std::string*, const Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}
};

class FirstByte final : public ::rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "acme.FirstByte"; }
  Slice Transform(const Slice& key) const override { return Slice(key.data(), 1); }
  bool InDomain(const Slice& key) const override { return !key.empty(); }
};

class Collector final : public ::rocksdb::TablePropertiesCollector {
 public:
  const char* Name() const override { return "acme.Collector"; }
  ::rocksdb::Status Finish(::rocksdb::UserCollectedProperties* properties) override {
    (*properties)["acme.rows"] = "many";
    return ::rocksdb::Status::OK();
  }
  ::rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }
};

class Collectors final : public ::rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "acme.Collectors"; }
  ::rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new Collector;
  }
};

class OwnFilterPolicy final : public ::rocksdb::FilterPolicy {
 public:
  const char* Name() const override { return "acme.Filter"; }
  const char* CompatibilityName() const override { return "acme.Filter"; }
  ::rocksdb::FilterBitsBuilder* GetBuilderWithContext(
      const ::rocksdb::FilterBuildingContext& context) const override {
    return builtin_->GetBuilderWithContext(context);
  }
  ::rocksdb::FilterBitsReader* GetFilterBitsReader(const Slice& contents) const override {
    return builtin_->GetFilterBitsReader(contents);
  }

 private:
  std::shared_ptr<const ::rocksdb::FilterPolicy> builtin_{::rocksdb::NewBloomFilterPolicy(10)};
};

void add_newer_releases(std::vector<Kind>& kinds) {
  const auto written = [](const std::string& of_database, const std::string& of_family) {
    return [=](const fs::path& folder) {
      edit_options(folder / "db", "rocksdb_version=7.8.3", "rocksdb_version=9.10.0");
      edit_options(folder / "db", "[DBOptions]\n", "[DBOptions]\n" + of_database);
      edit_options(folder / "db", "[CFOptions \"other\"]\n", "[CFOptions \"other\"]\n" + of_family);
    };
  };
  const auto newer = with("options_of_a_newer_release", [](auto&, auto&) {});
  const auto harmless =
      written("  follower_refresh_catchup_period_ms=10000\n", "  memtable_max_range_deletions=7\n");
  kinds.push_back(altered(newer, "", harmless,
                          "follower_refresh_catchup_period_ms=10000, "
                          "memtable_max_range_deletions=7 ('other') (--accept-loss options"));
  kinds.push_back(altered(newer, "_accepted", harmless, "", {"--accept-loss", "options"}));
  kinds.push_back(altered(newer, "_that_keeps_no_timestamps",
                          written("", "  persist_user_defined_timestamps=false\n"),
                          "persist_user_defined_timestamps=false of column family 'other'",
                          {"--accept-loss", "options"}));
}

void add_filters(std::vector<Kind>& kinds) {
  for (const std::string policy : {"bloomfilter:10:false", "ribbonfilter:10:-1"}) {
    kinds.push_back(with(policy.substr(0, policy.find(':')), [policy](Owner& owner, auto&) {
      set_table(owner, [&](auto& table) {
        check(::rocksdb::FilterPolicy::CreateFromString(::rocksdb::ConfigOptions(), policy,
                                                        &table.filter_policy));
      });
    }));
  }
  const auto bloom = with("filter", [](Owner& owner, auto&) {
    set_table(owner,
              [](auto& table) { table.filter_policy.reset(::rocksdb::NewBloomFilterPolicy(10)); });
  });
  const auto as_old_releases = [](const fs::path& folder) {
    for (int family = 0; family < 2; ++family) {
      edit_options(folder / "db", "filter_policy=bloomfilter:10:false",
                   "filter_policy=rocksdb.BuiltinBloomFilter");
    }
  };
  kinds.push_back(
      altered(bloom, "_without_parameters", as_old_releases, "--accept-loss filters:default"));
  kinds.push_back(altered(bloom, "_without_parameters_accepted", as_old_releases, "",
                          {"--accept-loss", "filters"}));
  kinds.push_back(with(
      "filter_of_the_owner",
      [](Owner& owner, auto&) {
        set_table(owner,
                  [](auto& table) { table.filter_policy = std::make_shared<OwnFilterPolicy>(); });
      },
      "filter policy 'acme.Filter' is not in this program"));
}

}  // namespace

void add_names(std::vector<Kind>& kinds) {
  add_filters(kinds);
  kinds.push_back(each("prefix_extractor", [](auto& family) {
    family.prefix_extractor.reset(::rocksdb::NewFixedPrefixTransform(3));
  }));
  kinds.push_back(each(
      "prefix_extractor_of_the_owner",
      [](auto& family) { family.prefix_extractor = std::make_shared<FirstByte>(); },
      "prefix extractor 'acme.FirstByte' is not in this program"));
  kinds.push_back(each("comparator_reversed", [](auto& family) {
    family.comparator = ::rocksdb::ReverseBytewiseComparator();
  }));
  kinds.push_back(each(
      "comparator_of_the_owner",
      [](auto& family) {
        static const Backwards backwards;
        family.comparator = &backwards;
      },
      "comparator 'acme.Backwards' is not in this program"));
  kinds.push_back(each(
      "compaction_filter",
      [](auto& family) {
        static const KeepsAll keeps_all;
        family.compaction_filter = &keeps_all;
      },
      "--accept-loss compaction-filter:default"));
  kinds.push_back(each(
      "collected_properties",
      [](auto& family) {
        family.table_properties_collector_factories = {std::make_shared<Collectors>()};
      },
      "--accept-loss properties:default"));
  kinds.push_back(with("file_checksums", [](Owner& owner, auto&) {
    owner.database.file_checksum_gen_factory = ::rocksdb::GetFileChecksumGenCrc32cFactory();
  }));
  kinds.push_back(each("partitioner", [](auto& family) {
    family.sst_partitioner_factory = ::rocksdb::NewSstPartitionerFixedPrefixFactory(4);
  }));
  auto old_options = with("options_of_an_older_release", [](auto&, auto&) {});
  old_options.alter = [](const fs::path& folder) {
    edit_options(folder / "db", "rocksdb_version=7.8.3", "rocksdb_version=6.2.2");
    edit_options(folder / "db", "  memtable_protection_bytes_per_key=0\n", "");
  };
  kinds.push_back(old_options);
  add_newer_releases(kinds);
}

}  // namespace kstone::rocksdb::test
