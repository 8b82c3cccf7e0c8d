// Which merge operator may merge an owner's values.
//
// A value is merged only by an operator that is certainly the owner's. The name in an options file
// is not enough: another engine's operator may have the same name, and older releases write
// StringAppendOperator without its delimiter. So an operator counts if the options file describes
// it in full, or if the user has named it; and if no SST with operands carries another name.
//
// Thread safety: values, and stateless operators.

#ifndef KSTONE_COMPACT_OFFLINE_MERGE_OPERATORS_H_
#define KSTONE_COMPACT_OFFLINE_MERGE_OPERATORS_H_

#include <rocksdb/merge_operator.h>
#include <rocksdb/table_properties.h>

#include <memory>
#include <string>

#include "evidence.h"
#include "wal_contents.h"

namespace kstone::compact {

// The operator that `value`, as it stands in an options file, describes in full; null if it does
// not.
std::shared_ptr<::rocksdb::MergeOperator> described_operator(const std::string& value);

// The operator of the user's text, which is what options files hold: `uint64add`,
// `{id=StringAppendOperator;delimiter=,;}`. Throws BadInput if RocksDB has none.
std::shared_ptr<::rocksdb::MergeOperator> named_operator(const std::string& text);

// An operator with the name of the owner's that merges nothing: each merge is an error, which fails
// the compaction and leaves everything as it was. For families without merge operands, whose new
// SSTs keep the operator's name.
std::shared_ptr<::rocksdb::MergeOperator> refusing_operator(const std::string& name);

// Whether values may be merged, and the operators of those who wrote the SSTs.
void note_mergers(const ::rocksdb::TablePropertiesCollection& ssts, FamilyEvidence& evidence);

// Why operands and values of these sizes are not of the operator, or empty.
std::string misfit(const ::rocksdb::MergeOperator& merge, const OperandSizes& sizes);
// Whether `misfit` can say anything about it.
bool has_known_sizes(const ::rocksdb::MergeOperator& merge);

// Merges nothing either, but notes the sizes of each operand and of the values below them.
std::shared_ptr<::rocksdb::MergeOperator> measuring_operator(OperandSizes& sizes);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_OFFLINE_MERGE_OPERATORS_H_
