// Signals that ask the program to stop, and what may be waited for meanwhile.
//
// Thread safety: `notify`, `interrupted` and `interrupt` from any thread and from a signal handler;
// the waits and `take_steps` from one thread.

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
  // Returns after the next `notify`, at once if one came since the last return, or when the limit
  // has passed.
  void wait_for(std::chrono::milliseconds limit);

  // To poll beside others: it is readable after a `notify`.
  int descriptor() const { return read_end_; }

 private:
  int read_end_ = -1;
  int write_end_ = -1;
};

// From now on SIGINT, SIGTERM and SIGHUP notify `wakeup`, and `interrupted` says so; SIGHUP not
// where the caller ignores it, as nohup does. The second signal ends the process at once, for a
// user who does not want to wait; the demo's temporary folder goes even then. A closed reader and a
// file size limit are errors of the write, not signals.
//
// `wakeup` is never destroyed: a signal may come at any later moment.
void handle_signals(Wakeup& wakeup);
bool interrupted() noexcept;

// What the exit status is after an interrupt, as a shell has it: 128 and the first signal.
int interrupt_status() noexcept;

// From now on SIGUSR1 and SIGUSR2 notify the `wakeup` of `handle_signals`, too: one more, and one
// less. How many more that is since the last call; negative, how many less.
void handle_steps();
int take_steps() noexcept;

// As a signal does, where there is no one left to work for.
void interrupt() noexcept;

// Waits until the file can be read without blocking, or has ended. False if interrupted first.
bool wait_until_readable(int descriptor);

// Waits until the file takes some bytes without blocking. After an interrupt it waits for one
// second at most, and is false if the reader takes nothing in it.
bool wait_until_writable(int descriptor);

}  // namespace kstone::compact

#endif  // KSTONE_COMPACT_INTERRUPT_H_
