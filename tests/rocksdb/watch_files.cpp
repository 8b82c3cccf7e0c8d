// Loaded into a process in front of the C library (LD_PRELOAD): each call that opens a file for
// writing, or makes, renames, links, deletes or alters one, adds a line to the file $KSTONE_WATCH:
// the call, a space, and the absolute path.
//
// It sees what a process asks of the C library, whichever library of the process asks. Each of
// those calls, and each that writes to a file or brings it to the disk, is a step.
// KSTONE_WATCH_SIGNAL, "SIGNAL STEP", sends the process that signal before that step.
//
// KSTONE_WATCH_REFUSE, "N", lets opening an SST to be read fail for the Nth time that it is asked
// for, as if there were too many open files; KSTONE_WATCH_KEEP=1 lets no SST be deleted.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string folder_of(int folder) {
  char buffer[PATH_MAX];
  if (folder == AT_FDCWD) {
    return getcwd(buffer, sizeof buffer) == nullptr ? "?" : buffer;
  }
  const auto link = "/proc/self/fd/" + std::to_string(folder);
  const auto length = readlink(link.c_str(), buffer, sizeof buffer);
  return length < 0 ? "?" : std::string(buffer, static_cast<std::size_t>(length));
}

std::atomic<long> steps{0};

void step() {
  const long now = steps.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: a number for each
  const char* wanted = getenv("KSTONE_WATCH_SIGNAL");
  int signal = 0;
  long at = 0;
  if (wanted != nullptr && std::sscanf(wanted, "%d %ld", &signal, &at) == 2 && now == at) {
    kill(getpid(), signal);
  }
}

void note(const char* call, int folder, const char* path) {
  const int saved = errno;
  step();
  const char* report = getenv("KSTONE_WATCH");
  if (report != nullptr && path != nullptr) {
    const auto line =
        std::string(call) + " " + (path[0] == '/' ? path : folder_of(folder) + "/" + path) + "\n";
    const auto file = static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (file < 0 ||
        syscall(SYS_write, file, line.data(), line.size()) != static_cast<long>(line.size())) {
      _exit(126);  // a watch that sees nothing must not look like one that found nothing
    }
    close(file);
  }
  errno = saved;
}

bool is_sst(const char* path) {
  const auto length = std::strlen(path);
  return length > 4 && std::strcmp(path + length - 4, ".sst") == 0;
}

std::atomic<long> ssts{0};

bool refuses(const char* path) {
  const char* wanted = getenv("KSTONE_WATCH_REFUSE");
  // Relaxed: a number for each.
  return wanted != nullptr && is_sst(path) &&
         ssts.fetch_add(1, std::memory_order_relaxed) + 1 == std::strtol(wanted, nullptr, 10);
}

bool writes(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

mode_t mode_of(int flags, std::va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

extern "C" {

#define WATCH_OPEN(name)                                               \
  int name(const char* path, int flags, ...) {                         \
    std::va_list arguments;                                            \
    va_start(arguments, flags);                                        \
    const mode_t mode = mode_of(flags, arguments);                     \
    va_end(arguments);                                                 \
    if (writes(flags)) {                                               \
      note("open", AT_FDCWD, path);                                    \
    } else if (refuses(path)) {                                        \
      errno = EMFILE;                                                  \
      return -1;                                                       \
    }                                                                  \
    return next<int(const char*, int, ...)>(#name)(path, flags, mode); \
  }
WATCH_OPEN(open)
WATCH_OPEN(open64)

#define WATCH_OPENAT(name)                                                          \
  int name(int folder, const char* path, int flags, ...) {                          \
    std::va_list arguments;                                                         \
    va_start(arguments, flags);                                                     \
    const mode_t mode = mode_of(flags, arguments);                                  \
    va_end(arguments);                                                              \
    if (writes(flags)) note("open", folder, path);                                  \
    return next<int(int, const char*, int, ...)>(#name)(folder, path, flags, mode); \
  }
WATCH_OPENAT(openat)
WATCH_OPENAT(openat64)

#define WATCH_FOPEN(name)                                                   \
  FILE* name(const char* path, const char* mode) {                          \
    if (std::strpbrk(mode, "wa+") != nullptr) note("open", AT_FDCWD, path); \
    return next<FILE*(const char*, const char*)>(#name)(path, mode);        \
  }
WATCH_FOPEN(fopen)
WATCH_FOPEN(fopen64)

ssize_t write(int file, const void* bytes, std::size_t size) {
  step();
  return next<ssize_t(int, const void*, std::size_t)>("write")(file, bytes, size);
}
ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t at) {
  step();
  return next<ssize_t(int, const void*, std::size_t, off_t)>("pwrite")(file, bytes, size, at);
}
ssize_t pwrite64(int file, const void* bytes, std::size_t size, off64_t at) {
  step();
  return next<ssize_t(int, const void*, std::size_t, off64_t)>("pwrite64")(file, bytes, size, at);
}
int fsync(int file) {
  step();
  return next<int(int)>("fsync")(file);
}
int fdatasync(int file) {
  step();
  return next<int(int)>("fdatasync")(file);
}

int creat(const char* path, mode_t mode) {
  note("open", AT_FDCWD, path);
  return next<int(const char*, mode_t)>("creat")(path, mode);
}
int unlink(const char* path) noexcept {
  if (getenv("KSTONE_WATCH_KEEP") != nullptr && is_sst(path)) {
    errno = EPERM;
    return -1;
  }
  note("unlink", AT_FDCWD, path);
  return next<int(const char*)>("unlink")(path);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  note("unlink", folder, path);
  return next<int(int, const char*, int)>("unlinkat")(folder, path, flags);
}
int remove(const char* path) noexcept {
  note("unlink", AT_FDCWD, path);
  return next<int(const char*)>("remove")(path);
}
int rmdir(const char* path) noexcept {
  note("rmdir", AT_FDCWD, path);
  return next<int(const char*)>("rmdir")(path);
}
int mkdir(const char* path, mode_t mode) noexcept {
  note("mkdir", AT_FDCWD, path);
  return next<int(const char*, mode_t)>("mkdir")(path, mode);
}
int mkdirat(int folder, const char* path, mode_t mode) noexcept {
  note("mkdir", folder, path);
  return next<int(int, const char*, mode_t)>("mkdirat")(folder, path, mode);
}
int rename(const char* from, const char* to) noexcept {
  note("rename", AT_FDCWD, from);
  note("rename", AT_FDCWD, to);
  return next<int(const char*, const char*)>("rename")(from, to);
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  note("rename", from_folder, from);
  note("rename", to_folder, to);
  return next<int(int, const char*, int, const char*)>("renameat")(from_folder, from, to_folder,
                                                                   to);
}
int link(const char* from, const char* to) noexcept {
  note("link", AT_FDCWD, to);
  return next<int(const char*, const char*)>("link")(from, to);
}
int symlink(const char* from, const char* to) noexcept {
  note("link", AT_FDCWD, to);
  return next<int(const char*, const char*)>("symlink")(from, to);
}
int truncate(const char* path, off_t size) noexcept {
  note("truncate", AT_FDCWD, path);
  return next<int(const char*, off_t)>("truncate")(path, size);
}
int chmod(const char* path, mode_t mode) noexcept {
  note("chmod", AT_FDCWD, path);
  return next<int(const char*, mode_t)>("chmod")(path, mode);
}
int chown(const char* path, uid_t user, gid_t group) noexcept {
  note("chown", AT_FDCWD, path);
  return next<int(const char*, uid_t, gid_t)>("chown")(path, user, group);
}
int lchown(const char* path, uid_t user, gid_t group) noexcept {
  note("chown", AT_FDCWD, path);
  return next<int(const char*, uid_t, gid_t)>("lchown")(path, user, group);
}

// When the process ends: how many steps there were.
[[gnu::destructor]] void tell_steps() {
  const char* report = getenv("KSTONE_WATCH_STEPS");
  if (report != nullptr) {
    const auto text = std::to_string(steps.load(std::memory_order_relaxed));
    const auto file = static_cast<int>(
        syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (file < 0 ||
        syscall(SYS_write, file, text.data(), text.size()) != static_cast<long>(text.size())) {
      _exit(126);
    }
  }
}

}  // extern "C"
