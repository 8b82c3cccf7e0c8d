#include "watchdog.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

#if defined(__linux__)
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#endif

namespace kstone::model {

Standstill StandstillDetector::look(const Look& now) {
  if (!any_ || now.progress != last_.progress) {
    any_ = true;
    busy_since_ = now.processor_seconds;
    asleep_ = 0;
  } else if (now.asleep && last_.asleep) {
    asleep_ += std::min(now.seconds - last_.seconds, limit_ * longest_gap);
  }
  last_ = now;
  if (asleep_ >= limit_) {
    asleep_ = 0;
    return Standstill::asleep;
  }
  if (now.processor_seconds - busy_since_ >= limit_) {
    busy_since_ = now.processor_seconds;
    return Standstill::busy;
  }
  return Standstill::none;
}

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

struct Advice {
  const char* name;  // part of a function's name
  const char* instead;
};

// The first that fits, so what is special comes first.
constexpr Advice advice[] = {
    {"ProductionSync", "the worker on the same Sync: basic_background_worker<Sync>"},
    {"cond", "Sync::condition_variable"},
    {"sem_", "Sync::semaphore"},
    {"semaphore", "Sync::semaphore"},
    {"rwlock", "Sync::mutex (docs/gate.md tells how a readers-writer lock becomes one)"},
    {"shared_mutex", "Sync::mutex (docs/gate.md tells how a readers-writer lock becomes one)"},
    {"mutex", "Sync::mutex"},
    {"lll_lock", "Sync::mutex"},
    {"spin_lock", "Sync::mutex"},
    {"join", "Sync::thread"},
    {"sleep", "Sync::condition_variable::wait_until, which takes no time in the model"},
    {"atomic", "Sync::atomic, and Sync::condition_variable or Sync::semaphore"},
    {"futex", "Sync::condition_variable or Sync::semaphore"},
};

}  // namespace

std::string standstill_text(Standstill kind, double limit, const std::vector<Place>& places) {
  const Place* const own = own_place(places);
  const Place* primitive = nullptr;  // the outermost call into a library that can be named
  const char* instead = nullptr;
  for (const Place& place : places) {
    if (&place == own || is_explorer(place)) {
      break;
    }
    if (!place.function.empty()) {
      primitive = &place;
    }
  }
  for (const Advice& each : advice) {
    for (const Place& place : places) {
      if (&place == own || is_explorer(place)) {
        break;
      }
      if (instead == nullptr && contains(place.function, each.name)) {
        instead = each.instead;
      }
    }
  }
  std::string text = kind == Standstill::asleep ? "sleeps" : "is busy";
  if (primitive != nullptr) {
    text += " in " + short_name(primitive->function);
  }
  if (own != nullptr) {
    text += (primitive != nullptr ? ", called at " : " at ") + file_name(own->file) + ":" +
            std::to_string(own->line) +
            (own->function.empty() || contains(own->function, "scenario_table<")
                 ? ""
                 : " in " + short_name(own->function));
  } else {
    text += " (no line is known: compile with -g, and have addr2line at hand)";
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g", limit);
  text += std::string(", and no step has come for ") + seconds + " s: ";
  if (kind == Standstill::asleep) {
    text +=
        "a real lock or wait blocks every modelled thread, also the one that would end it; use ";
  } else {
    text +=
        "a loop that waits for a real atomic never ends in the model, and a long computation wants "
        "a higher "
        "Limits::step_seconds (--step-seconds); to wait, use ";
  }
  return text + (instead != nullptr ? instead
                 : kind == Standstill::asleep
                     ? "the types of Sync"
                     : "Sync::atomic, and Sync::condition_variable or Sync::semaphore");
}

#if defined(__linux__)

namespace watchdog {
namespace {

using Handler = void (*)(Standstill, void* const*, int);

constexpr int signal_number = SIGVTALRM;  // debuggers pass it on without stopping

std::atomic<std::uint64_t> progress_made{0};
std::atomic<double> limit_seconds{0};  // 0: nothing is watched
std::atomic<pthread_t> explored_thread{};
std::atomic<pid_t> explored_id{0};
std::atomic<std::uint64_t> stands_at{0};  // the progress at which a standstill was seen
std::atomic<Standstill> stands{Standstill::none};
std::atomic<bool> left{false};  // where it stood
std::atomic<Handler> handler{nullptr};
std::atomic<pid_t> watched_process{0};  // a forked child has no watching thread
void* addresses[max_addresses];
int address_count = 0;

void on_signal(int) {
  // Late, or the thread has moved on meanwhile.
  if (limit_seconds.load() == 0 || stands.load() == Standstill::none ||
      progress_made.load() != stands_at.load() || left.exchange(true)) {
    return;
  }
  void* all[max_addresses + 2];
  const int count = backtrace(all, max_addresses + 2);
  address_count = std::max(0, count - 2);  // less this function and the signal's trampoline
  std::copy_n(all + std::min(count, 2), address_count, addresses);
  if (address_count > 0) {
    // The first is no return address, which lies behind its call, but the instruction itself.
    addresses[0] = static_cast<char*>(addresses[0]) + 1;
  }
  handler.load()(stands.load(), addresses, address_count);
}

bool read_state(pid_t id, char& state) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", static_cast<int>(id));
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return false;
  }
  char text[512];
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  text[std::max<ssize_t>(length, 0)] = '\0';
  const char* const name_end = std::strrchr(text, ')');
  if (name_end == nullptr || std::strlen(name_end) < 3) {
    return false;
  }
  state = name_end[2];
  return true;
}

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Look look_at_thread(std::uint64_t made) {
  Look look;
  look.progress = made;
  look.seconds = seconds_of(CLOCK_MONOTONIC);
  clockid_t clock{};
  if (pthread_getcpuclockid(explored_thread.load(), &clock) == 0) {
    look.processor_seconds = seconds_of(clock);
  }
  char state = '?';
  look.asleep = read_state(explored_id.load(), state) && state == 'S';
  return look;
}

[[noreturn]] void give_up() {
  constexpr char text[] =
      "kstone model: no step comes, and the thread that stands still cannot be left: a real lock "
      "or a loop that waits for "
      "a real atomic, where only the types of Sync may wait. It stands here:\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) >= 0) {
    backtrace_symbols_fd(addresses, address_count, STDERR_FILENO);
  }
  _exit(1);
}

// Allocates nothing: while something is explored, allocations are the model's.
void* watch_all(void*) {
  double limit = 0;
  StandstillDetector detector(1);
  StandstillDetector leaving(1);
  bool told = false;
  for (;;) {
    const double wanted = limit_seconds.load();
    if (wanted != limit) {
      limit = wanted;
      detector = StandstillDetector(limit);
      told = false;
    }
    if (limit > 0) {
      const Look look = look_at_thread(progress_made.load());
      if (told && look.progress != stands_at.load()) {
        told = false;
      }
      if (told) {
        if (leaving.look(look) != Standstill::none) {
          give_up();  // or the signal is blocked
        }
      } else if (const Standstill kind = detector.look(look); kind != Standstill::none) {
        told = true;
        leaving = StandstillDetector(std::max(1.0, limit));
        stands_at.store(look.progress);
        stands.store(kind);
        left.store(false);
        pthread_kill(explored_thread.load(), signal_number);
      }
    }
    const double pause = limit > 0 ? std::clamp(limit / 20, 0.001, 0.05) : 0.02;
    timespec time{0, static_cast<long>(pause * 1e9)};
    nanosleep(&time, nullptr);
  }
}

void begin_watching() {
  if (watched_process.exchange(getpid()) == getpid()) {
    return;
  }
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_NODEFER | SA_RESTART;  // as that of a crash, it need not return
  sigaction(signal_number, &action, nullptr);
  void* warm[2];
  backtrace(warm, 2);  // its first call loads a library, which a signal handler must not
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the explored thread's
  pthread_t thread{};
  if (pthread_create(&thread, nullptr, watch_all, nullptr) == 0) {
    pthread_detach(thread);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

void watch(double limit, Handler on_standstill) {
  if (limit <= 0) {
    return;
  }
  handler.store(on_standstill);
  explored_thread.store(pthread_self());
  explored_id.store(static_cast<pid_t>(syscall(SYS_gettid)));
  stands.store(Standstill::none);
  progress();
  begin_watching();
  limit_seconds.store(limit);
}

void unwatch() {
  limit_seconds.store(0);
  progress();
}

// One thread writes it: no read-modify-write at each step.
void progress() {
  progress_made.store(progress_made.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace watchdog

#else

// Elsewhere nobody tells whether a thread sleeps; the test's time limit remains.
namespace watchdog {
void watch(double, void (*)(Standstill, void* const*, int)) {}
void unwatch() {}
void progress() {}
}  // namespace watchdog

#endif

}  // namespace kstone::model
