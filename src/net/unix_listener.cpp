#include "plait/net/unix_listener.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "net/accept_loop.hpp"
#include "net/failures.hpp"
#include "net/unix_address.hpp"

namespace plait::net {
namespace {

// Nobody else who locks the folder binds a name in it meanwhile. Without the right to read the
// folder there is no lock: then two processes that replace one stale file may cross.
class folder_lock {
 public:
  explicit folder_lock(const std::string& file) {
    const auto slash = file.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash + 1);
    fd_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd_ != -1 && flock(fd_, LOCK_EX) == -1 && errno == EINTR) {
    }
  }
  folder_lock(const folder_lock&) = delete;
  folder_lock& operator=(const folder_lock&) = delete;
  ~folder_lock() {
    if (fd_ != -1) ::close(fd_);
  }

 private:
  int fd_ = -1;
};

// True for a socket file on which nobody listens any more.
bool is_stale(const unix_address& address) noexcept {
  struct stat file {};
  if (lstat(address.name.sun_path, &file) == -1 || !S_ISSOCK(file.st_mode)) return false;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) return false;
  const bool refused = connect(fd, address.data(), address.size) == -1 && errno == ECONNREFUSED;
  ::close(fd);
  return refused;
}

}  // namespace

unix_listener::listening::~listening() {
  ready.reset();
  struct stat now {};
  if (!file.empty() && lstat(file.c_str(), &now) == 0 && now.st_dev == device &&
      now.st_ino == inode)
    unlink(file.c_str());
  ::close(fd);
}

unix_listener unix_listener::bind(const std::string& address, unix_listen_options options) {
  const auto wanted = unix_address::parse(address);
  if (!wanted)
    throw listen_error("cannot listen on \"" + address + "\": a Unix address has 1 to " +
                           std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes",
                       std::make_error_code(std::errc::invalid_argument));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd == -1) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_unix_listen_error(errno, address);
  }
  unix_listener listener(fd);
  listener.address_ = address;
  if (wanted->abstract()) {
    if (::bind(fd, wanted->data(), wanted->size) == -1 || listen(fd, options.backlog) == -1)
      throw_unix_listen_error(errno, address);
  } else {
    listener.bind_file(&wanted->name, wanted->size, options);
  }
  return listener;
}

void unix_listener::bind_file(const void* name, std::uint32_t size, unix_listen_options options) {
  const int fd = socket_->fd;
  unix_address to;
  std::memcpy(&to.name, name, sizeof to.name);
  to.size = size;
  const folder_lock lock(address_);
  if (::bind(fd, to.data(), to.size) == -1) {
    if (errno != EADDRINUSE) throw_unix_listen_error(errno, address_);
    if (!is_stale(to) || unlink(address_.c_str()) == -1 || ::bind(fd, to.data(), to.size) == -1)
      throw_unix_listen_error(EADDRINUSE, address_);
  }
  struct stat made {};
  if (lstat(address_.c_str(), &made) == 0) {
    socket_->file = address_;
    socket_->device = made.st_dev;
    socket_->inode = made.st_ino;
  }
  // Nobody can connect before listen().
  if ((options.permissions && chmod(address_.c_str(), *options.permissions) == -1) ||
      listen(fd, options.backlog) == -1)
    throw_unix_listen_error(errno, address_);
}

std::optional<unix_stream> unix_listener::try_accept() {
  const auto fd = try_accept_from(socket_->fd, nullptr, nullptr,
                                  [&](int code) { throw_unix_listen_error(code, address_); });
  if (!fd) return std::nullopt;
  return unix_stream::adopt(*fd, "the client of " + address_);
}

task<unix_stream> unix_listener::accept() {
  return accept_from<unix_stream>(
      [this]() -> plait::detail::readiness& {
        if (socket_ == nullptr) throw_unix_listen_error(EBADF, address_);
        if (!socket_->ready) socket_->ready.emplace(socket_->fd);
        return *socket_->ready;
      },
      [this] { return try_accept(); }, [] { return false; });
}

}  // namespace plait::net
