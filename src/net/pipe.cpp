#include "plait/net/pipe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <system_error>

#include "net/failures.hpp"
#include "net/file_request.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::net {
namespace detail {

struct pipe_end {
  // own: non-blocking. shared: other programs use it too and it may block, so the kernel is asked
  // before each call. file: the poller refuses it.
  enum class manner { own, shared, file };

  pipe_end(owned_descriptor d, manner m) noexcept : fd(std::move(d)), how(m) {}

  // On the loop, before each operation.
  void begin() {
    if (how == manner::file || ready) return;
    try {
      ready.emplace(fd.get());
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::operation_not_permitted) throw;
      how = manner::file;
    }
  }
  // Whether a call in this direction would not block.
  bool may_try(short direction) const noexcept {
    if (how != manner::shared) return true;
    pollfd p{.fd = fd.get(), .events = direction, .revents = 0};
    return poll(&p, 1, 0) == 1;
  }

  owned_descriptor fd;
  manner how;
  std::optional<plait::detail::readiness> ready;  // gone before the descriptor is
};

void pipe_end_closer::operator()(pipe_end* end) const noexcept { delete end; }

}  // namespace detail

namespace {

using detail::pipe_end;
using detail::pipe_end_ptr;

constexpr const char* other_end = "the other end of the pipe";
// When poll() says that a pipe can be written, this much fits.
constexpr std::size_t fits_surely = 4096;

// Holds SIGPIPE back from this thread for a scope, and swallows the one that the scope caused.
class without_sigpipe {
 public:
  without_sigpipe() noexcept {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~without_sigpipe() {
    if (!sigismember(&before_, SIGPIPE)) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  // Somebody who had blocked the signal before finds it pending as if we had not been here.
  void swallow() noexcept {
    if (sigismember(&before_, SIGPIPE)) return;
    const timespec at_once{};
    while (sigtimedwait(&pipe_, nullptr, &at_once) == -1 && errno == EINTR) {
    }
  }

 private:
  sigset_t pipe_, before_;
};

ssize_t write_quietly(int fd, const void* bytes, std::size_t n) noexcept {
  without_sigpipe scope;
  const ssize_t written = ::write(fd, bytes, n);
  if (written == -1 && errno == EPIPE) {
    scope.swallow();
    errno = EPIPE;
  }
  return written;
}

pipe_end_ptr adopt_end(int fd) {
  owned_descriptor owned(fd);
  const int flags = fcntl(fd, F_GETFL);
  if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
    throw_closed(errno, "adopting it", "this end");
  return pipe_end_ptr(new pipe_end(std::move(owned), pipe_end::manner::own));
}

pipe_end_ptr share_end(int fd) {
  owned_descriptor copy = duplicate(fd);
  if (!copy) {
    if (out_of_descriptors(errno)) throw_out_of_descriptors(errno);
    throw_closed(errno, "opening it", "this program's standard stream");
  }
  return pipe_end_ptr(new pipe_end(std::move(copy), pipe_end::manner::shared));
}

pipe_end& opened(const pipe_end_ptr& end) {
  if (end == nullptr) throw_closed(EBADF, "using it", "this end");
  end->begin();
  return *end;
}

// Nothing: none have come yet.
std::optional<std::size_t> try_read(pipe_end& end, std::span<char> into) {
  while (end.may_try(POLLIN)) {
    const ssize_t got = ::read(end.fd.get(), into.data(), into.size());
    if (got >= 0) {
      if (static_cast<std::size_t>(got) < into.size() && end.how == pipe_end::manner::own)
        end.ready->drained();
      return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno != EINTR) throw_closed(errno, "reading", other_end);
  }
  end.ready->not_readable();
  return std::nullopt;
}

std::size_t try_write(pipe_end& end, std::string_view bytes) {
  while (end.may_try(POLLOUT)) {
    const std::size_t n =
        end.how == pipe_end::manner::shared ? std::min(bytes.size(), fits_surely) : bytes.size();
    const ssize_t written = write_quietly(end.fd.get(), bytes.data(), n);
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno != EINTR) throw_closed(errno, "writing", other_end);
  }
  end.ready->not_writable();
  return 0;
}

}  // namespace

pipe_reader pipe_reader::adopt(int fd) { return pipe_reader(adopt_end(fd)); }
pipe_writer pipe_writer::adopt(int fd) { return pipe_writer(adopt_end(fd)); }
pipe_reader standard_input() { return pipe_reader(share_end(STDIN_FILENO)); }
pipe_writer standard_output() { return pipe_writer(share_end(STDOUT_FILENO)); }
pipe_writer standard_error() { return pipe_writer(share_end(STDERR_FILENO)); }

pipe_ends make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) == -1) throw_out_of_descriptors(errno);
  owned_descriptor writing(fds[1]);
  auto reader = pipe_reader::adopt(fds[0]);
  return {std::move(reader), pipe_writer::adopt(writing.release())};
}

task<std::size_t> pipe_reader::read_some(std::span<char> into) {
  pipe_end& end = opened(end_);
  if (end.how == pipe_end::manner::file) {
    const file_request request{file_request::act::read, end.fd.get(), into.data(), into.size(),
                               file_request::here};
    const long got = co_await perform(request);
    if (got < 0) throw_closed(static_cast<int>(-got), "reading", "the file behind this stream");
    co_return static_cast<std::size_t>(got);
  }
  for (;;) {
    co_await end.ready->readable();
    if (const auto got = try_read(end, into)) co_return *got;
  }
}

task<> pipe_writer::write_all(std::string_view bytes) {
  pipe_end& end = opened(end_);
  while (end.how == pipe_end::manner::file && !bytes.empty()) {
    const file_request request{file_request::act::write, end.fd.get(),
                               const_cast<char*>(bytes.data()), bytes.size(), file_request::here};
    const long written = co_await perform(request);
    if (written < 0)
      throw_closed(static_cast<int>(-written), "writing", "the file behind this stream");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  while (!bytes.empty()) {
    co_await end.ready->writable();
    bytes.remove_prefix(try_write(end, bytes));
  }
}

}  // namespace plait::net
