#include "plait/inspect/door.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "inspect/activity.hpp"
#include "inspect/door_folder.hpp"
#include "inspect/registry.hpp"
#include "plait/core/errors.hpp"

namespace plait::inspect {
namespace {

class descriptor {
 public:
  explicit descriptor(int fd = -1) noexcept : fd_(fd) {}
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  descriptor& operator=(descriptor other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

descriptor checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return descriptor(fd);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw invalid_state(path + " is too long a path");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// Whether somebody answers at that address.
bool is_alive(const sockaddr_un& address) {
  const auto probe =
      checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

void bind_to(int fd, const std::string& path) {
  const auto address = address_of(path);
  const auto* a = reinterpret_cast<const sockaddr*>(&address);
  if (bind(fd, a, sizeof address) == 0) return;
  // A program that had our number was killed before it could clean up. It may also be alive: another
  // container counts its processes by itself, and may share the folder.
  if (errno == EADDRINUSE && !is_alive(address)) {
    unlink(path.c_str());
    if (bind(fd, a, sizeof address) == 0) return;
  }
  throw std::system_error(errno, std::generic_category(), "bind " + path);
}

// The path that the listening socket was bound to.
std::string listen_somewhere(int fd) {
  std::string trouble;
  for (const auto& folder : door_folders()) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) continue;  // no such place here
    const std::string why = why_unsafe(folder);
    if (why.empty()) {
      const std::string path = door_path(folder, getpid());
      bind_to(fd, path);
      if (listen(fd, 16) != 0) throw std::system_error(errno, std::generic_category(), "listen");
      return path;
    }
    trouble = why;
  }
  throw invalid_state("no folder for the door: " +
                      (trouble.empty() ? "/tmp is not writable" : trouble));
}

bool is_same_user(int connection) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == geteuid();
}

void send_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0 && errno != EINTR) return;  // gone, or too slow: a tool's trouble, not ours
    if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
  }
}

// One socket and the thread behind it.
class door {
 public:
  door()
      : listener_(checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")),
        end_(checked(eventfd(0, EFD_CLOEXEC), "eventfd")),
        path_(listen_somewhere(listener_.get())),
        owner_(getpid()) {
    sigset_t all, before;  // no handler of the program's signals runs on our thread
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { serve(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      unlink(path_.c_str());
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~door() {
    unlink(path_.c_str());
    eventfd_write(end_.get(), 1);
    thread_.join();
  }
  door(const door&) = delete;
  door& operator=(const door&) = delete;
  const std::string& path() const noexcept { return path_; }
  // False in a child that was forked: the thread and the file are the parent's.
  bool is_ours() const noexcept { return owner_ == getpid(); }

 private:
  void serve() noexcept {
    pthread_setname_np(pthread_self(), "plait-door");
    for (;;) {
      pollfd waiting[] = {{listener_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
      if (poll(waiting, 2, -1) < 0 && errno != EINTR) return;
      if (waiting[1].revents != 0) return;
      if (waiting[0].revents == 0) continue;
      const descriptor connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (connection.get() >= 0) answer(connection.get());
    }
  }
  void answer(int connection) noexcept {
    if (!is_same_user(connection)) return;
    const timeval patience{.tv_sec = 2, .tv_usec = 0};  // a tool that was stopped must not keep us
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    std::string text;
    try {
      text = report();
    } catch (const std::exception& e) {
      text = std::string(R"({"error":"no memory for an answer"})");
    }
    send_all(connection, text);
  }

  descriptor listener_, end_;
  std::string path_;
  pid_t owner_;
  std::thread thread_;
};

std::mutex guard;  // of the door
constinit door* open_one = nullptr;

}  // namespace

std::string open_door() {
  const std::lock_guard hold(guard);
  if (open_one != nullptr && !open_one->is_ours()) open_one = nullptr;  // left behind by fork()
  if (open_one == nullptr) {
    open_one = new door;
    set_watched(detail::watcher::door);
    static const int registered = std::atexit(close_door);
    static_cast<void>(registered);
  }
  return open_one->path();
}

void close_door() noexcept {
  const std::lock_guard hold(guard);
  if (open_one == nullptr || !open_one->is_ours()) return;
  set_unwatched(detail::watcher::door);
  delete std::exchange(open_one, nullptr);
}

std::string report() {
  detail::json_writer out;
  detail::symbols names;
  detail::inspection into{out, names};
  char program[4096];
  const ssize_t n = readlink("/proc/self/exe", program, sizeof program);
  out.begin_object();
  out.field("format", 1);
  out.field("pid", getpid());
  out.field("program", std::string_view(program, n > 0 ? static_cast<std::size_t>(n) : 0));
  const auto list = [&](const char* name, detail::inspected::engine_kind which) {
    out.key(name).begin_array();
    describe_all(which, into);
    out.end_array();
  };
  list("loops", detail::inspected::engine_kind::loop);
  list("thread_pools", detail::inspected::engine_kind::thread_pool);
  list("process_pools", detail::inspected::engine_kind::process_pool);
  out.end_object();
  return out.str() + "\n";
}

}  // namespace plait::inspect

extern "C" const char* plait_open_door() noexcept {
  static char path[256];
  try {
    plait::inspect::open_door().copy(path, sizeof path - 1);
    return path;
  } catch (...) {
    return nullptr;
  }
}
