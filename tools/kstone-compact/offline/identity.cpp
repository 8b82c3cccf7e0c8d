#include "identity.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bad_input.h"
#include "escape.h"

namespace kstone::compact {
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
  struct stat status{};
  if (geteuid() != 0 || stat(folder.c_str(), &status) != 0) {
    return "";
  }
  const bool of_others = status.st_uid != 0 || (status.st_mode & S_IWOTH) != 0 ||
                         ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0);
  return of_others ? escaped(folder) + " can be changed by others than root, whose database it is"
                   : "";
}

std::string not_writable(const std::string& folder) {
  return faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0
             ? ""
             : "no file can be made in " + escaped(folder) + ": " + std::strerror(errno);
}

}  // namespace kstone::compact
