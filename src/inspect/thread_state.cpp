#include "inspect/thread_state.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

namespace plait::detail {
namespace {

std::string first_bytes(const std::string& path) {
  char bytes[256];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t n = read(fd, bytes, sizeof bytes);
  close(fd);
  return n > 0 ? std::string(bytes, static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

std::string thread_state(int tid) {
  const std::string folder = "/proc/self/task/" + std::to_string(tid);
  const std::string stat = first_bytes(folder + "/stat");  // 17 (name) S ...
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return {};
  const char state = stat[name_end + 2];
  if (state == 'R') return "on a CPU";
  if (state == 'T' || state == 't') return "stopped";
  std::string where = first_bytes(folder + "/wchan");
  where.resize(std::min(where.size(), where.find('.')));  // what the compiler added to the name
  const bool named = !where.empty() && std::isalpha(static_cast<unsigned char>(where[0])) != 0;
  return named || where.starts_with('_') ? "asleep in " + where : "asleep";
}

}  // namespace plait::detail
