#include "places.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__linux__)
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#endif

namespace kstone::model {

namespace {

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

bool is_system(const std::string& file) {
  return contains(file, "/usr/include/") || contains(file, "/usr/lib/") ||
         contains(file, "/include/c++/") || contains(file, "/sysdeps/") || contains(file, "/nptl/");
}

bool is_worker(const std::string& file) {
  return (contains(file, "/include/kstone/") || file.rfind("include/kstone/", 0) == 0) &&
         !is_modelled(file);
}

bool is_explorer(const Place& place) {
  return contains(place.function, "kstone::model::explorer::(anonymous namespace)::run_");
}

bool is_modelled(const std::string& file) {
  static const std::array<const char*, 7> names{"model/explorer/",           "model/explorer.h",
                                                "model/relacy_locks.h",      "model/relacy_sync.h",
                                                "model/relacy_shared_ptr.h", "model/runtime.h",
                                                "model/scenario.h"};
  return std::any_of(names.begin(), names.end(),
                     [&file](const char* name) { return contains(file, name); });
}

const Place* own_place(const std::vector<Place>& calls) {
  const Place* destructor = nullptr;
  for (const Place& place : calls) {
    if (is_explorer(place)) {
      break;
    }
    if (place.file.empty() || is_system(place.file) || is_worker(place.file) ||
        is_modelled(place.file)) {
      continue;
    }
    if (!contains(place.function, "~")) {
      return &place;
    }
    destructor = destructor == nullptr ? &place : destructor;
  }
  return destructor;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string short_name(std::string function) {
  constexpr char anonymous[] = "(anonymous namespace)::";
  for (std::size_t at; (at = function.find(anonymous)) != std::string::npos;) {
    function.erase(at, sizeof anonymous - 1);
  }
  std::string text;
  int depth = 0;
  for (const char letter : function) {
    if (letter == '<' && depth++ == 0) {
      text += "<...>";
    } else if (letter == '>') {
      --depth;
    } else if (depth == 0 && letter == '(' && !text.empty()) {
      break;
    } else if (depth == 0) {
      text += letter;
    }
  }
  text.erase(0, text.rfind(' ') + 1);
  text.erase(0, text.find_first_not_of('_'));
  return text.size() < 80 ? text : text.substr(0, 77) + "...";
}

#if defined(__linux__)

namespace {

std::string addr2line(const std::string& file, const std::vector<std::string>& offsets) {
  int ends[2];
  if (pipe(ends) != 0) {
    return {};
  }
  std::vector<std::string> words{"addr2line", "-e", file, "-a", "-f", "-C", "-i"};
  words.insert(words.end(), offsets.begin(), offsets.end());
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  pid_t child = 0;
  const bool spawned =
      posix_spawnp(&child, "addr2line", &actions, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  if (spawned) {
    char buffer[4096];
    for (ssize_t count = 0; (count = read(ends[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(count));
    }
    waitpid(child, nullptr, 0);
  }
  close(ends[0]);
  return text;
}

std::string own_executable() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : std::string();
}

// What addr2line said of one address: a function and its place on two lines, for each inlined call.
std::vector<Place> parse_places(const std::string& text, std::size_t& at) {
  std::vector<Place> places;
  const auto line = [&text, &at] {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string result = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
    return result;
  };
  line();  // the address
  while (at < text.size() && text.compare(at, 2, "0x") != 0) {
    Place place;
    place.function = line();
    std::string where = line();
    where = where.substr(0, where.find(" (discriminator"));
    if (place.function == "??") {
      place.function.clear();
    }
    if (const std::size_t colon = where.rfind(':'); colon != std::string::npos && where[0] != '?') {
      place.line = std::atoi(where.c_str() + colon + 1);
      place.file = place.line > 0 ? where.substr(0, colon) : "";
    }
    places.push_back(place);
  }
  return places;
}

}  // namespace

std::vector<std::vector<Place>> places_of(const std::vector<void*>& addresses) {
  struct InFile {
    std::vector<std::size_t> which;
    std::vector<std::string> offsets;
  };
  std::map<std::string, InFile> files;
  std::vector<std::vector<Place>> places(addresses.size());
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    Dl_info info{};
    link_map* map = nullptr;
    // The call, not what comes after it.
    const auto address = reinterpret_cast<std::uintptr_t>(addresses[i]) - 1;
    if (dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map),
                RTLD_DL_LINKMAP) != 0 &&
        map != nullptr) {
      char offset[32];
      std::snprintf(offset, sizeof offset, "0x%zx",
                    static_cast<std::size_t>(address - map->l_addr));
      InFile& file = files[map->l_name[0] != '\0' ? map->l_name : own_executable()];
      file.which.push_back(i);
      file.offsets.emplace_back(offset);
    }
    places[i].push_back({info.dli_sname == nullptr ? "" : info.dli_sname, "", 0});
  }
  for (const auto& [name, file] : files) {
    const std::string text = addr2line(name, file.offsets);
    std::size_t at = 0;
    for (const std::size_t which : file.which) {
      const std::vector<Place> found =
          at < text.size() ? parse_places(text, at) : std::vector<Place>{};
      if (!found.empty() && !found.back().function.empty()) {
        places[which] = found;
      }
    }
  }
  return places;
}

#else

std::vector<std::vector<Place>> places_of(const std::vector<void*>& addresses) {
  return std::vector<std::vector<Place>>(addresses.size());
}

#endif

}  // namespace kstone::model
