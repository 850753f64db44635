#include "processes/error_stream.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "processes/channel.hpp"
#include "processes/descriptor.hpp"

namespace plait::detail {
namespace {

// How to write to standard error now: it may be another one than the last time.
class way_out {
 public:
  way_out() noexcept {
    struct stat s {};
    if (fstat(STDERR_FILENO, &s) != 0) return;
    is_socket_ = S_ISSOCK(s.st_mode);
    is_patient_ = S_ISREG(s.st_mode) || S_ISBLK(s.st_mode);
    if (!is_socket_ && !is_patient_)
      own_ = descriptor(open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  }
  // As write(), at once.
  ssize_t put(std::string_view text) const noexcept {
    if (is_socket_)
      return send(STDERR_FILENO, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (own_) return ::write(own_.get(), text.data(), text.size());
    if (is_patient_) return ::write(STDERR_FILENO, text.data(), text.size());
    // Nobody lets us open it. There is room for that much, unless another writer is faster.
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1) return errno = EAGAIN, -1;
    return ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), 4096));
  }

 private:
  bool is_socket_ = false, is_patient_ = false;
  descriptor own_;
};

}  // namespace

// False if it would have to wait. What is written is taken off the text; if nobody can have it, all.
bool error_stream::put_out(std::string_view& text) noexcept {
  const way_out out;
  while (!text.empty()) {
    const ssize_t n = out.put(text);
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
      moved_ = monotonic_ns();
    } else if (n < 0 && errno == EAGAIN) {
      return false;
    } else if (n == 0 || errno != EINTR) {
      text = {};  // closed or broken: a crash's report still has the end of it
    }
  }
  return true;
}

void error_stream::write(std::string_view text) {
  if (!empty()) flush();
  if (empty()) {
    put_out(text);
    if (text.empty()) return;
    moved_ = monotonic_ns();
  }
  const std::size_t room = left_out_ != 0 ? 0 : max_kept - std::min(max_kept, kept_.size());
  kept_.append(text.substr(0, room));
  left_out_ += text.size() - std::min(room, text.size());
}

void error_stream::flush() {
  std::string_view rest = kept_;
  const bool all = put_out(rest);
  kept_.erase(0, kept_.size() - rest.size());
  if (!all || left_out_ == 0) return;
  kept_ = "\nplait: " + std::to_string(std::exchange(left_out_, 0)) +
          " bytes of the workers' standard error are left out here: nobody was reading\n";
  flush();
}

void error_stream::drain() noexcept {
  try {
    flush();
    moved_ = monotonic_ns();
    while (!empty() && monotonic_ns() < moved_ + patience_ns) {
      pollfd ready{STDERR_FILENO, POLLOUT, 0};
      poll(&ready, 1, static_cast<int>(retry_ns / 1'000'000));
      flush();
    }
  } catch (const std::exception&) {  // no memory: it is lost
  }
}

}  // namespace plait::detail
