// The records that the demo writes: real ones from the machine it runs on, or the user's.
//
// Thread safety: values.

#ifndef KSTONE_COMPACT_RECORDS_H_
#define KSTONE_COMPACT_RECORDS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace kstone::compact {

struct Record {
  std::string key;
  // The values the source gives this key, as indices into `RecordSet::texts`. More than one where
  // the source itself updates it: a package that is in main and in security, a folder that many
  // packages own.
  std::vector<std::uint32_t> texts;
};

struct RecordSet {
  std::string source;           // printable
  std::vector<Record> records;  // in the order in which the source first names each key
  std::vector<std::string> texts;
};

// Debian's package index if apt has one, else the file lists of dpkg. Throws BadInput if there is
// neither. After an interrupt these all return what they have so far.
RecordSet read_system_records();

// Lines of key TAB value, from a file or a pipe. Throws BadInput, naming the line, for anything
// else.
RecordSet read_record_file(const std::string& path);

// The two sources of `read_system_records`, each empty if it is not there.
RecordSet read_package_index(const std::string& lists_folder);
RecordSet read_file_lists(const std::string& dpkg_folder);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_RECORDS_H_
