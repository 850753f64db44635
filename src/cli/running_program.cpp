#include "cli/running_program.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>

#include "cli/exit_status.hpp"
#include "inspect/door_folder.hpp"

namespace plait::cli {
namespace {

constexpr int format_spoken = 1;
constexpr time_t patience =
    10;  // seconds; a program answers within a fraction of one for each loop

class connection {
 public:
  explicit connection(const std::string& path) noexcept
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (fd_ < 0 || path.size() >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const timeval limit{.tv_sec = patience, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    do error_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) ? errno : 0;
    while (error_ == EINTR);
  }
  ~connection() {
    if (fd_ >= 0) close(fd_);
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  bool is_open() const noexcept { return error_ == 0; }
  int error() const noexcept { return error_; }

  // Whether who answers is that process of this user, and not somebody who took its place.
  bool is_with(int pid) const noexcept {
    ucred peer{};
    socklen_t size = sizeof peer;
    return getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid() &&
           peer.pid == pid;
  }
  // Everything up to the end; nothing if that takes too long.
  std::optional<std::string> read_all() const {
    std::string all;
    char block[16384];
    for (;;) {
      const ssize_t n = recv(fd_, block, sizeof block, 0);
      if (n == 0) return all;
      if (n > 0) {
        all.append(block, static_cast<std::size_t>(n));
      } else if (errno != EINTR) {
        return std::nullopt;
      }
    }
  }

 private:
  int fd_;
  int error_ = ENOTCONN;
};

bool exists(int pid) noexcept { return kill(pid, 0) == 0 || errno != ESRCH; }

std::string name_of(int pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return name.empty() ? "?" : name;
}

std::string name_of_user(uid_t uid) {
  const passwd* user = getpwuid(uid);
  return user != nullptr ? user->pw_name : fmt::format("user {}", uid);
}

[[noreturn]] void refuse(const std::string& line) { throw complaint(exit_status::usage, line); }

void require_own_process(int pid) {
  struct stat about {};
  if (!exists(pid) || stat(fmt::format("/proc/{}", pid).c_str(), &about) != 0)
    refuse(fmt::format("there is no process {}", pid));
  if (about.st_uid != geteuid())
    refuse(
        fmt::format("process {} ({}) belongs to {}; a door opens to its own user only: run this "
                    "as {}",
                    pid, name_of(pid), name_of_user(about.st_uid), name_of_user(about.st_uid)));
}

nlohmann::json parse(const std::string& text, int pid) {
  auto report = nlohmann::json::parse(text, nullptr, false);
  if (!report.is_object()) refuse(fmt::format("process {} ended while it answered", pid));
  if (report.contains("error"))
    refuse(fmt::format("process {}: {}", pid, report.value("error", "")));
  if (report.value("format", 0) != format_spoken)
    refuse(fmt::format("process {} was built with another version of plait than this tool", pid));
  return report;
}

}  // namespace

std::vector<int> programs_with_doors() {
  std::vector<int> pids;
  for (const auto& folder : inspect::door_folders()) {
    if (!inspect::why_unsafe(folder).empty()) continue;
    DIR* entries = opendir(folder.c_str());
    if (entries == nullptr) continue;
    while (const dirent* entry = readdir(entries)) {
      const std::string_view name = entry->d_name;
      int pid = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
      if (error != std::errc() || std::string_view(end) != ".sock") continue;
      const std::string path = inspect::door_path(folder, pid);
      const connection probe(path);
      if (probe.is_open()) {
        pids.push_back(pid);
      } else if (probe.error() == ECONNREFUSED && !exists(pid)) {
        unlink(path.c_str());
      }
    }
    closedir(entries);
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

nlohmann::json ask_program(int pid) {
  require_own_process(pid);
  for (const auto& folder : inspect::door_folders()) {
    if (!inspect::why_unsafe(folder).empty()) continue;
    const connection door(inspect::door_path(folder, pid));
    if (!door.is_open()) continue;
    if (!door.is_with(pid))
      refuse(fmt::format("what answers for process {} is another process", pid));
    const auto text = door.read_all();
    if (!text) refuse(fmt::format("process {} does not answer; is it stopped?", pid));
    return parse(*text, pid);
  }
  refuse(
      fmt::format("process {} ({}) has no door: either it is no plait program, or it was started "
                  "without PLAIT_INSPECT=1 in its environment (see docs/inside.md)",
                  pid, name_of(pid)));
}

}  // namespace plait::cli
