#include "identity.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "bad_input.h"
#include "escape.h"

namespace kstone::compact {

namespace fs = std::filesystem;

namespace {

bool take_identity(uid_t user, gid_t group) {
  const auto* entry = getpwuid(user);
  const bool groups =
      entry != nullptr ? initgroups(entry->pw_name, group) == 0 : setgroups(1, &group) == 0;
  return groups && setresgid(group, group, group) == 0 && setresuid(user, user, user) == 0;
}

}  // namespace

void become_owner(const std::string& folder) {
  struct stat current{};
  if (geteuid() != 0 || stat((folder + "/CURRENT").c_str(), &current) != 0 || current.st_uid == 0) {
    return;
  }
  const auto shown = escaped(folder) + ": its files belong to user " +
                     std::to_string(current.st_uid) + ", and this process cannot ";
  if (!take_identity(current.st_uid, current.st_gid)) {
    throw BadInput(shown + "become that user: " + std::strerror(errno));
  }
  if (faccessat(AT_FDCWD, (folder + "/CURRENT").c_str(), R_OK, AT_EACCESS) != 0 ||
      faccessat(AT_FDCWD, folder.c_str(), R_OK | X_OK, AT_EACCESS) != 0) {
    throw BadInput(shown + "work as that user: " + std::strerror(errno) +
                   "; move it to where that user may enter, or give all of it to root");
  }
}

std::string danger_to_root(const std::string& folder) {
  if (geteuid() != 0) {
    return "";
  }
  // Who may change a folder may put another in the place of one below it.
  for (auto at = fs::path(folder);; at = at.parent_path()) {
    struct stat status{};
    if (stat(at.c_str(), &status) != 0) {
      return "";
    }
    const bool others_write =
        (status.st_mode & S_IWOTH) != 0 || ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0);
    // Above the folder it matters only who may rename what is there.
    const bool keeps_names = at != folder && (status.st_mode & S_ISVTX) != 0;
    if (status.st_uid != 0 || (others_write && !keeps_names)) {
      return escaped(at.string()) + " can be changed by others than root, whose database it is";
    }
    if (at == at.parent_path()) {
      return "";
    }
  }
}

std::string not_lockable(const std::string& folder) {
  const auto file = folder + "/LOCK";
  struct stat status{};
  if (lstat(file.c_str(), &status) != 0) {
    return "";
  }
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1) {
    return "its LOCK is not a plain file, or one with several names (removing it, if nobody has "
           "the "
           "database open: the next to open it makes another)";
  }
  return faccessat(AT_FDCWD, file.c_str(), R_OK | W_OK, AT_EACCESS) == 0
             ? ""
             : "its LOCK cannot be locked: " + std::string(std::strerror(errno));
}

std::string not_writable(const std::string& folder) {
  return faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0
             ? ""
             : "no file can be made in " + escaped(folder) + ": " + std::strerror(errno);
}

}  // namespace kstone::compact
