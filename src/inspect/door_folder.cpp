#include "inspect/door_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace plait::inspect {

std::vector<std::string> door_folders() {
  const std::string uid = std::to_string(geteuid());
  std::vector<std::string> folders;
  const char* runtime = secure_getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') folders.push_back(std::string(runtime) + "/plait");
  if (const std::string usual = "/run/user/" + uid + "/plait";
      folders.empty() || folders.front() != usual)
    folders.push_back(usual);
  folders.push_back("/tmp/plait-" + uid);
  return folders;
}

std::string why_unsafe(const std::string& folder) {
  struct stat about {};
  if (lstat(folder.c_str(), &about) != 0) return folder + ": " + std::strerror(errno);
  if (!S_ISDIR(about.st_mode)) return folder + " is not a folder";
  if (about.st_uid != geteuid()) return folder + " belongs to somebody else";
  if ((about.st_mode & 077) != 0) return folder + " is open to others (chmod 700 would help)";
  return {};
}

std::string door_path(const std::string& folder, int pid) {
  return folder + "/" + std::to_string(pid) + ".sock";
}

}  // namespace plait::inspect
