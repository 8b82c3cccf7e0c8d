#include "merge_operators.h"

#include <rocksdb/convenience.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "bad_input.h"

namespace kstone::compact {
namespace {

using ::rocksdb::MergeOperator;
using ::rocksdb::Slice;

class RefusingOperator final : public MergeOperator {
 public:
  explicit RefusingOperator(std::string name) : name_(std::move(name)) {}
  const char* Name() const override { return name_.c_str(); }
  bool FullMergeV2(const MergeOperationInput&, MergeOperationOutput*) const override {
    return false;
  }

 private:
  std::string name_;
};

class MeasuringOperator final : public MergeOperator {
 public:
  explicit MeasuringOperator(OperandSizes& sizes) : sizes_(sizes) {}
  const char* Name() const override { return "kstone::compact::MeasuringOperator"; }
  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    for (const auto& operand : in.operand_list) {
      sizes_.add(operand.size());
    }
    if (in.existing_value != nullptr) {
      sizes_.add(in.existing_value->size());
    }
    out->new_value.clear();
    return true;
  }
  bool AllowSingleOperand() const override { return true; }

 private:
  OperandSizes& sizes_;
};

constexpr std::string_view id_prefix = "id=";
constexpr std::string_view delimiter_prefix = "delimiter=";

// An options file does not escape what separates its values, and trims spaces; so a delimiter that
// has such a character reads as another one.
bool reads_as_written(std::string_view delimiter) {
  return !delimiter.empty() &&
         std::all_of(delimiter.begin(), delimiter.end(), [](unsigned char byte) {
           return byte > ' ' && byte < 0x7f &&
                  std::string_view("\\{};=#:").find(static_cast<char>(byte)) ==
                      std::string_view::npos;
         });
}

}  // namespace

std::shared_ptr<MergeOperator> described_operator(const std::string& value) {
  // {id=StringAppendOperator;delimiter=,;}, in either order, and nothing else.
  std::string_view rest = value;
  if (!rest.starts_with('{') || !rest.ends_with(";}")) {
    return nullptr;
  }
  rest = rest.substr(1, rest.size() - 2);
  std::string_view id;
  std::string_view delimiter;
  while (!rest.empty()) {
    const auto end = rest.find(';');
    if (end == std::string_view::npos) {
      return nullptr;
    }
    const auto part = rest.substr(0, end);
    rest = rest.substr(end + 1);
    if (part.starts_with(id_prefix) && id.empty()) {
      id = part.substr(id_prefix.size());
    } else if (part.starts_with(delimiter_prefix) && delimiter.empty()) {
      delimiter = part.substr(delimiter_prefix.size());
    } else {
      return nullptr;
    }
  }
  if ((id != "StringAppendOperator" && id != "StringAppendTESTOperator") ||
      !reads_as_written(delimiter)) {
    return nullptr;
  }
  std::shared_ptr<MergeOperator> result;
  const auto status = MergeOperator::CreateFromString(::rocksdb::ConfigOptions(), value, &result);
  return status.ok() ? result : nullptr;
}

std::shared_ptr<MergeOperator> named_operator(const std::string& text) {
  std::shared_ptr<MergeOperator> result;
  ::rocksdb::ConfigOptions config;
  config.ignore_unsupported_options = false;
  const auto status = MergeOperator::CreateFromString(config, text, &result);
  if (!status.ok() || result == nullptr) {
    throw BadInput("--merge-operator: RocksDB has no '" + text +
                   "'; it has uint64add, max, put, bytesxor, sortlist and "
                   "{id=StringAppendOperator;delimiter=,;}");
  }
  return result;
}

std::shared_ptr<MergeOperator> refusing_operator(const std::string& name) {
  return std::make_shared<RefusingOperator>(name);
}

void note_mergers(const ::rocksdb::TablePropertiesCollection& ssts, FamilyEvidence& evidence) {
  for (const auto& [path, sst] : ssts) {
    bool counted = false;
    ::rocksdb::GetMergeOperands(sst->user_collected_properties, &counted);
    const bool holds = sst->num_merge_operands > 0;
    evidence.may_merge = evidence.may_merge || holds || !counted;
    const auto& name = sst->merge_operator_name;  // "nullptr" if there was none
    if ((holds || !counted) && !name.empty() && (holds || name != "nullptr")) {
      evidence.mergers.insert(name);
    }
  }
}

bool has_known_sizes(const MergeOperator& merge) {
  return std::string_view(merge.Name()) == "UInt64AddOperator";
}

std::string misfit(const MergeOperator& merge, const OperandSizes& sizes) {
  constexpr std::uint64_t number_bytes = 8;
  if (!has_known_sizes(merge) || sizes.count == 0 ||
      (sizes.min == number_bytes && sizes.max == number_bytes)) {
    return "";
  }
  const auto other = sizes.min != number_bytes ? sizes.min : sizes.max;
  return std::string(merge.Name()) + " adds numbers of 8 bytes, and there are values of " +
         std::to_string(other);
}

std::shared_ptr<MergeOperator> measuring_operator(OperandSizes& sizes) {
  return std::make_shared<MeasuringOperator>(sizes);
}

}  // namespace kstone::compact
