#include "plait/net/subprocess.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "net/failures.hpp"
#include "net/launch.hpp"
#include "net/owned_descriptor.hpp"
#include "plait/coroutines/gather.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::net {
namespace detail {
namespace {

// As system calls: glibc 2.36 declares its own without extern "C".
int open_pidfd(int pid) noexcept { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
void signal_pidfd(int fd, int signal) noexcept {
  syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0);
}

}  // namespace

// The end of a child as a descriptor
// ----------------------------------
// `ended` becomes readable when the child has ended, and stays so: a pidfd, or, where the kernel has
// none or refuses it, a pipe whose other end a thread closes after it has seen the end. The child is
// reaped by take_status() alone, and never before that thread has let go: until then the pid is the
// child's, so that neither the thread nor a signal meets a stranger.
struct child_process {
  explicit child_process(launch l) : pid(l.pid), leads_group(l.leads_group) {
    if (l.in) in = pipe_writer::adopt(l.in.release());
    if (l.out) out = pipe_reader::adopt(l.out.release());
    if (l.err) err = pipe_reader::adopt(l.err.release());
  }
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;
  ~child_process() {
    ready.reset();
    if (!known()) {
      send(SIGKILL);
      if (watcher.joinable()) watcher.join();
      siginfo_t ignored{};
      while (waitid(P_PID, static_cast<id_t>(pid), &ignored, WEXITED) == -1 && errno == EINTR) {
      }
    }
    if (watcher.joinable()) watcher.join();
  }

  void watch() {
    ended = owned_descriptor(open_pidfd(pid));
    if (ended || out_of_descriptors(errno)) {
      if (!ended) throw_out_of_descriptors(errno);
      return;
    }
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) throw_out_of_descriptors(errno);
    ended = owned_descriptor(fds[0]);
    watcher = std::thread([child = pid, closes = owned_descriptor(fds[1])] {
      siginfo_t info{};
      while (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == -1 &&
             errno == EINTR) {
      }
    });
  }

  bool known() const noexcept { return status.has_value() || lost; }

  // Reaps the child if it has ended; returns whether it has.
  bool take_status() noexcept {
    if (known()) return true;
    pollfd p{.fd = ended.get(), .events = POLLIN, .revents = 0};
    if (poll(&p, 1, 0) != 1) return false;
    siginfo_t info{};
    int code = 0;
    do code = waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG);
    while (code == -1 && errno == EINTR);
    if (code == -1) {
      lost = true;
    } else if (info.si_pid == 0) {
      return false;
    } else {
      status = info.si_code == CLD_EXITED ? exit_status::exited(info.si_status)
                                          : exit_status::killed_by(info.si_status);
    }
    return true;
  }

  exit_status result() const {
    if (lost)
      throw exit_status_lost("process " + std::to_string(pid) +
                             " has ended, but its status was taken by somebody else: is SIGCHLD "
                             "ignored, or does other code call waitpid(-1)?");
    return *status;
  }

  void send(int signal) noexcept {
    if (known()) return;
    if (leads_group) {
      ::kill(-pid, signal);
    } else if (watcher.joinable() || !ended) {
      ::kill(pid, signal);
    } else {
      signal_pidfd(ended.get(), signal);
    }
  }

  int pid;
  bool leads_group;
  bool lost = false;
  std::optional<exit_status> status;
  pipe_writer in;
  pipe_reader out, err;
  owned_descriptor ended;
  std::optional<plait::detail::readiness> ready;  // of `ended`, from the first wait on
  std::thread watcher;
};

void child_process_closer::operator()(child_process* child) const noexcept { delete child; }

}  // namespace detail

namespace {

task<> feed(pipe_writer& to, std::string_view input) {
  if (to.is_open()) {
    try {
      co_await to.write_all(input);
    } catch (const connection_closed&) {  // it did not want all of it
    }
  }
  to.close();
}

task<std::string> collect(pipe_reader& from, std::size_t limit, const char* stream) {
  constexpr std::size_t step = 32 * 1024;
  std::string all;
  while (from.is_open()) {
    const std::size_t before = all.size();
    all.resize(before + step);
    const std::size_t got = co_await from.read_some(std::span(all).subspan(before));
    all.resize(before + got);
    if (got == 0) break;
    if (all.size() > limit)
      throw output_limit_exceeded("more than " + std::to_string(limit) +
                                  " bytes were written to standard " + stream +
                                  ": raise output_limit, or read the pipe piece by piece");
  }
  from.close();
  co_return all;
}

}  // namespace

subprocess subprocess::start(const command& what) {
  subprocess started(new detail::child_process(detail::launch::of(what)));
  started.child_->watch();
  return started;
}

int subprocess::pid() const noexcept { return child_->pid; }
pipe_writer& subprocess::in() noexcept { return child_->in; }
pipe_reader& subprocess::out() noexcept { return child_->out; }
pipe_reader& subprocess::err() noexcept { return child_->err; }

std::optional<exit_status> subprocess::status() {
  if (!child_->take_status()) return std::nullopt;
  return child_->result();
}

task<exit_status> subprocess::wait() {
  auto& child = *child_;
  if (!child.ready) child.ready.emplace(child.ended.get());
  while (!child.known()) {
    co_await child.ready->readable();
    if (!child.take_status()) child.ready->not_readable();
  }
  co_return child.result();
}

task<completed> subprocess::communicate(std::string input, communicate_options options) {
  auto& child = *child_;
  auto [written, out, err] =
      co_await gather(feed(child.in, input), collect(child.out, options.output_limit, "output"),
                      collect(child.err, options.output_limit, "error"));
  static_cast<void>(written);
  completed done;
  done.out = std::move(out);
  done.err = std::move(err);
  done.status = co_await wait();
  co_return done;
}

void subprocess::send_signal(int signal) {
  if (!child_->leads_group) child_->take_status();  // not to one who has ended
  child_->send(signal);
}
void subprocess::terminate() { send_signal(SIGTERM); }
void subprocess::kill() { send_signal(SIGKILL); }

}  // namespace plait::net
