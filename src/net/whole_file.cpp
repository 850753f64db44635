#include "plait/net/whole_file.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <stop_token>

#include "net/file_failures.hpp"
#include "net/file_request.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/await_future.hpp"
#include "plait/threads/thread_pool_executor.hpp"

namespace plait::net {
namespace {

constexpr std::size_t piece = 1024 * 1024;  // how much is done between two looks at the stop

void check(const std::stop_token& stop) {
  if (stop.stop_requested()) throw cancelled_error();
}

owned_descriptor open_or_throw(const std::string& path, int flags) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0666);
  while (fd == -1 && errno == EINTR);
  if (fd == -1) throw_file_error(errno, "open", path);
  return owned_descriptor(fd);
}

std::string read_now(std::stop_token stop, const std::string& path) {
  const auto file = open_or_throw(path, O_RDONLY);
  struct stat status {};
  if (fstat(file.get(), &status) == -1) throw_file_error(errno, "look at", path);
  // One byte more than it has: the read that fills it all would need another to see the end.
  std::string all;
  std::size_t size = 0;
  std::size_t expected = static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1;
  for (;;) {
    check(stop);
    if (size == all.size()) all.resize(std::max({expected, size + size / 2, std::size_t{4096}}));
    const ssize_t got = ::read(file.get(), all.data() + size, std::min(all.size() - size, piece));
    if (got == 0) break;
    if (got == -1 && errno == EINTR) continue;
    if (got == -1) throw_file_error(errno, "read", path);
    size += static_cast<std::size_t>(got);
  }
  all.resize(size);
  return all;
}

void write_to(int fd, std::string_view bytes, const std::stop_token& stop,
              const std::string& path) {
  while (!bytes.empty()) {
    check(stop);
    const ssize_t written = ::write(fd, bytes.data(), std::min(bytes.size(), piece));
    if (written == -1 && errno == EINTR) continue;
    if (written == -1) throw_file_error(errno, "write to", path);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

// What a chain of symbolic links leads to; the path itself if there is nothing.
std::string behind_links(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  std::string found = real != nullptr ? real : path;
  free(real);
  return found;
}

// A file of a name that no other has; gone with its object unless it has been renamed.
class file_beside {
 public:
  explicit file_beside(const std::string& target) {
    static std::atomic<unsigned> counter{0};
    do {
      path_ = target + ".new-" + std::to_string(getpid()) + "-" + std::to_string(++counter);
      fd_ = owned_descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    } while (!fd_ && (errno == EEXIST || errno == EINTR));
    if (!fd_) throw_file_error(errno, "open", path_);
  }
  ~file_beside() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  file_beside(const file_beside&) = delete;
  file_beside& operator=(const file_beside&) = delete;
  int fd() const noexcept { return fd_.get(); }
  const std::string& path() const noexcept { return path_; }
  void rename_to(const std::string& target) {
    if (rename(path_.c_str(), target.c_str()) == -1) throw_file_error(errno, "replace", target);
    path_.clear();
  }

 private:
  std::string path_;
  owned_descriptor fd_;
};

void replace_now(const std::stop_token& stop, const std::string& link, std::string_view bytes) {
  const std::string path = behind_links(link);
  file_beside fresh(path);
  struct stat old {};
  if (stat(path.c_str(), &old) == 0) {
    // Its owner too, as far as we may; the mode after it, because a change of owner clears bits.
    [[maybe_unused]] const int owned = fchown(fresh.fd(), old.st_uid, old.st_gid);
    if (fchmod(fresh.fd(), old.st_mode & 07777) == -1) throw_file_error(errno, "replace", path);
  }
  write_to(fresh.fd(), bytes, stop, fresh.path());
  if (fsync(fresh.fd()) == -1) throw_file_error(errno, "write to the disk", fresh.path());
  check(stop);
  fresh.rename_to(path);
  const std::size_t slash = path.find_last_of('/');
  const auto folder = open_or_throw(slash == std::string::npos ? "." : path.substr(0, slash + 1),
                                    O_RDONLY | O_DIRECTORY);
  fsync(folder.get());  // so that the new name survives; not every file system can
}

void write_now(std::stop_token stop, const std::string& path, std::string_view bytes,
               write_manner manner) {
  if (manner == write_manner::replace) return replace_now(stop, path, bytes);
  const int how = manner == write_manner::append ? O_APPEND : O_TRUNC;
  const auto file = open_or_throw(path, O_WRONLY | O_CREAT | how);
  write_to(file.get(), bytes, stop, path);
}

}  // namespace

task<std::string> read_file(std::string path) {
  co_return co_await file_threads().submit(read_now, std::move(path));
}

task<> write_file(std::string path, std::string_view bytes, write_manner manner) {
  co_await file_threads().submit(write_now, std::move(path), bytes, manner);
}

}  // namespace plait::net
