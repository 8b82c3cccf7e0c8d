// Ctrl-C, and the one thing that the main thread waits for.
//
// Thread safety: `notify` and `interrupted` from any thread, `notify` from a signal handler too; `wait_for` from one thread.

#ifndef KSTONE_COMPACT_INTERRUPT_H_
#define KSTONE_COMPACT_INTERRUPT_H_

#include <chrono>

namespace kstone::compact {

// A pipe, since that is what a signal handler may write to and a thread can wait for with a limit.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void notify() noexcept;
  // Returns after the next `notify`, at once if one came since the last return, or when the limit has passed.
  void wait_for(std::chrono::milliseconds limit);

 private:
  int read_end_ = -1;
  int write_end_ = -1;
};

// From now on SIGINT and SIGTERM notify `wakeup`, and `interrupted` says so. Each does so once: the second one ends the
// process, as it would without us, for a user who does not want to wait. A file size limit is reported as an error of the
// write, not as a signal.
void handle_signals(Wakeup& wakeup);
bool interrupted() noexcept;

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_INTERRUPT_H_
