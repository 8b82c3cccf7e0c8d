// What the user got wrong, or what the machine refuses: one line on stderr and exit status 2.

#ifndef KSTONE_COMPACT_BAD_INPUT_H_
#define KSTONE_COMPACT_BAD_INPUT_H_

#include <rocksdb/status.h>

#include <stdexcept>
#include <string>

namespace kstone::compact {

enum ExitStatus : int {
  exit_success = 0,
  exit_wrong_data = 1,  // the verification found a key that is not as written
  exit_bad_input = 2,
  exit_interrupted = 130  // as a shell reports SIGINT
};

class BadInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws what RocksDB says, if it is not OK, as "what: status".
inline void require_ok(const ::rocksdb::Status& status, const std::string& what) {
  if (!status.ok()) {
    throw BadInput(what + ": " + status.ToString());
  }
}

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_BAD_INPUT_H_
