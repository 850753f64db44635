#include "http/open_beneath.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <string_view>

namespace plait::http {
namespace {

// O_NONBLOCK: a FIFO without a writer must hold nobody up.
constexpr int reading = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

net::owned_descriptor opened_at(int folder, const std::string& name, int flags) {
  int fd = -1;
  do fd = openat(folder, name.c_str(), flags);
  while (fd == -1 && errno == EINTR);
  return net::owned_descriptor(fd);
}

// One segment after the other, so that no link is ever followed.
net::owned_descriptor by_hand(int folder, std::string_view path) {
  net::owned_descriptor at = net::duplicate(folder);
  const bool is_folder = path.ends_with('/');
  if (is_folder) path.remove_suffix(1);
  while (at) {
    const auto slash = path.find('/');
    const std::string name(path.substr(0, slash));
    if (name == "..") {
      errno = EXDEV;
      return {};
    }
    const bool last = slash == std::string_view::npos;
    at = opened_at(at.get(), name, reading | O_NOFOLLOW | (last && !is_folder ? 0 : O_DIRECTORY));
    if (last) break;
    path.remove_prefix(slash + 1);
  }
  return at;
}

}  // namespace

net::owned_descriptor open_beneath(int folder, const std::string& path, resolution how) {
  if (how == resolution::by_hand) return by_hand(folder, path);
  open_how wanted{};
  wanted.flags = reading;
  wanted.resolve =
      RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (how == resolution::cached ? RESOLVE_CACHED : 0);
  long fd = -1;
  do fd = syscall(SYS_openat2, folder, path.c_str(), &wanted, sizeof wanted);
  while (fd == -1 && (errno == EINTR || (errno == EAGAIN && how == resolution::full)));
  // An older kernel, or a sandbox that does not know the call.
  if (fd == -1 && (errno == ENOSYS || errno == EPERM)) return by_hand(folder, path);
  return net::owned_descriptor(static_cast<int>(fd));
}

}  // namespace plait::http
