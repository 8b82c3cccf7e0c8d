// The file that the summary goes to, tried before the work.
//
// Thread safety: none.

#ifndef KSTONE_COMPACT_SUMMARY_FILE_H_
#define KSTONE_COMPACT_SUMMARY_FILE_H_

#include <string>
#include <string_view>

namespace kstone::compact {

class SummaryFile {
 public:
  // Makes the folders above it if they are not there. What is there stays as it is until `write`,
  // and a file that is not there is not there afterwards either. Throws BadInput if it could not be
  // written.
  explicit SummaryFile(const std::string& path);
  ~SummaryFile();
  SummaryFile(const SummaryFile&) = delete;
  SummaryFile& operator=(const SummaryFile&) = delete;

  // Replaces what the file holds; once. Throws BadInput, and leaves no half of it in a file.
  void write(std::string_view text);

 private:
  [[noreturn]] void refuse(const std::string& why) const;
  void write_all(std::string_view text);

  std::string path_;
  int descriptor_ = -1;  // of what was there
};

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_SUMMARY_FILE_H_
