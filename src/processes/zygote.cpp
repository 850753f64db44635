#include "processes/zygote.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "plait/processes/errors.hpp"
#include "processes/greeting_wire.hpp"
#include "processes/launch.hpp"
#include "processes/module_table.hpp"
#include "processes/worker.hpp"

namespace plait::detail {

std::uint32_t nesting_depth = 0;
bool is_zygote_or_worker = false;

namespace {

void die_with_parent(pid_t parent) noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);  // it died before the line above
}

pool_page* map_page(int fd, const worker_profile& profile) {
  const auto access = profile.sandbox ? page_access::read : page_access::read_and_write;
  return static_cast<pool_page*>(map_shared(fd, sizeof(pool_page), {.pages = access}));
}

struct child {
  std::uint32_t seat, generation;
  pid_t pid;
};

// A process that waits for its seat: forking it took most of the time that a new worker takes.
struct waiting_worker {
  pid_t pid = 0;
  descriptor socket;
};

void unblock_signals() noexcept {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In a waiting worker: until it has a channel, a socket and a standard error of its own. When the
// zygote goes without a word, so does it.
void await_seat(worker_setup& setup, descriptor from_zygote) {
  prctl(PR_SET_NAME, "plait-spare");
  descriptor fds[max_sent];
  std::size_t count = 0;
  char byte;
  if (receive_packet(from_zygote.get(), &byte, 1, fds, &count, 0) <= 0 || count != 3) _exit(0);
  prctl(PR_SET_NAME, "plait-worker");
  dup2(fds[2].get(), STDERR_FILENO);
  setup.shared = static_cast<channel*>(
      map_shared(fds[0].get(), sizeof(channel), {.tables = page_tables::as_touched}));
  setup.socket = std::move(fds[1]);
}

resource_usage usage_of(const rusage& used) noexcept {
  const auto span = [](const timeval& t) {
    return duration(t.tv_sec * 1'000'000'000LL + t.tv_usec * 1'000LL);
  };
  const auto count = [](long n) { return static_cast<std::uint64_t>(n); };
  return {span(used.ru_utime), span(used.ru_stime), count(used.ru_maxrss) * 1024,
          count(used.ru_minflt), count(used.ru_majflt)};
}

// Rung by a handler: a signalfd would miss what a thread of a static initialiser is interrupted by.
int death_bell = -1;
void ring_death_bell(int) noexcept {
  const int before = errno;
  ring(death_bell);
  errno = before;
}

class zygote {
 public:
  zygote(int socket, std::uint64_t nonce, zygote_origin origin)
      : socket_(socket), nonce_(nonce), origin_(origin) {}

  [[noreturn]] void run() {
    prctl(PR_SET_NAME, "plait-zygote");
    fcntl(socket_, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGINT, SIG_IGN);
    death_bell = make_eventfd().release();
    struct sigaction action {};
    action.sa_handler = ring_death_bell;
    action.sa_flags = SA_RESTART;
    sigaction(SIGCHLD, &action, nullptr);
    __fpurge(stdout);  // what static initialisers wrote, the user's program has written as well
    if (!receive_greeting()) end();
    for (;;) {
      if (!spare_died_) prepare_spare();
      pollfd watched[] = {{socket_, POLLIN, 0}, {death_bell, POLLIN, 0}};
      if (poll(watched, 2, -1) < 0 && errno != EINTR) end();
      if (watched[1].revents != 0) {
        std::uint64_t ignored;
        [[maybe_unused]] const auto n = read(death_bell, &ignored, sizeof ignored);
        reap();
      }
      if (watched[0].revents == 0) continue;
      spare_died_ = false;
      prepare_spare();
      obey();
    }
  }

 private:
  void report(zygote_report r, int fd = -1) {
    if (!send_packet(socket_, &r, sizeof r, &fd, fd >= 0 ? 1 : 0, 0)) end();
  }

  bool receive_greeting() {
    const auto buffer = std::make_unique<std::byte[]>(max_greeting);
    descriptor fds[max_sent];
    std::size_t count = 0;
    const long n = receive_packet(socket_, buffer.get(), max_greeting, fds, &count, 0);
    if (n <= 0 || count != 3) return false;
    greeting_.assign(buffer.get(), buffer.get() + n);
    decoder from(buffer.get(), static_cast<std::size_t>(n));
    const greeting hello = decode_greeting(from);
    profile_ = hello.profile;
    nesting_depth = hello.depth;
    start_ = hello.start;
    if (start_ == start_method::forkserver && threads_here() > 1) start_ = start_method::spawn;
    pool_ = map_page(fds[0].get(), profile_);
    page_file_ = std::move(fds[0]);
    doorbell_ = fds[1].release();
    zygote_report answer{};
    answer.what = zygote_report::kind::ready;
    answer.nonce = nonce_;
    answer.pid = getpid();
    answer.start = start_;
    module_list_ = descriptor(fcntl(fds[2].get(), F_DUPFD_CLOEXEC, 3));
    std::string differences;
    if (origin_ == zygote_origin::fork)
      adopt_own_modules(std::move(fds[2]));
    else
      differences = adopt_modules(std::move(fds[2]));
    if (hello.nonce != nonce_ || !differences.empty()) {
      answer.what = zygote_report::kind::refused;
      differences.copy(answer.text, sizeof answer.text - 1);
    }
    report(answer);
    return answer.what == zygote_report::kind::ready;
  }

  // More than one, if a static initialiser started some: a fork would have none of them.
  static std::size_t threads_here() {
    std::error_code unknown;
    const std::filesystem::directory_iterator tasks("/proc/self/task", unknown);
    return static_cast<std::size_t>(std::distance(tasks, std::filesystem::directory_iterator()));
  }

  void obey() {
    zygote_command command{};
    descriptor fds[max_sent];
    std::size_t count = 0;
    const long n = receive_packet(socket_, &command, sizeof command, fds, &count, 0);
    if (n == 0 || (n < 0 && errno != EMFILE)) end();
    if (n > 0 && command.what == zygote_command::kind::kill) {
      for (const child& c : children_)
        if (c.seat == command.seat && c.generation == command.generation) kill(c.pid, SIGKILL);
      return;
    }
    zygote_report answer{};
    answer.seat = command.seat;
    answer.generation = command.generation;
    if (n < 0 || count != 3) {
      answer.what = zygote_report::kind::not_spawned;
      answer.status = EMFILE;
      return report(answer);
    }
    const pid_t pid = assign_spare(fds);
    if (pid < 0) {
      answer.what = zygote_report::kind::not_spawned;
      answer.status = spare_error_;
      return report(answer);
    }
    children_.push_back({command.seat, command.generation, pid});
    answer.what = zygote_report::kind::spawned;
    answer.pid = pid;
    // We are its parent and have not reaped it: the number cannot mean anybody else.
    const descriptor handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    report(answer, handle.get());
  }

  // At a time when no other worker's descriptors are open here.
  void prepare_spare() {
    if (spare_.pid > 0) return;
    try {
      descriptor_pair sockets = make_socket_pair();
      const pid_t pid = start_ == start_method::spawn ? start_anew(sockets) : fork_worker(sockets);
      spare_error_ = errno;
      if (pid > 0) spare_ = {pid, std::move(sockets.ours)};
    } catch (const std::system_error& e) {
      spare_error_ = e.code().value();
    }
  }

  // Its process, which has its seat from now on; -1 with spare_error_ if there is none.
  pid_t assign_spare(const descriptor* fds) {
    const waiting_worker taken = std::exchange(spare_, {});
    if (taken.pid <= 0) return -1;
    const int seat[] = {fds[0].get(), fds[1].get(), fds[2].get()};
    if (send_packet(taken.socket.get(), "", 1, seat, 3, 0)) return taken.pid;
    spare_error_ = errno;
    return -1;
  }

  pid_t fork_worker(descriptor_pair& sockets) {
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    die_with_parent(self);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    sockets.ours = descriptor();
    close(socket_);
    signal(SIGCHLD, SIG_DFL);
    close(death_bell);
    page_file_ = descriptor();
    module_list_ = descriptor();
    unblock_signals();
    worker_setup setup{};
    setup.pool = pool_;
    setup.doorbell = doorbell_;
    setup.profile = std::move(profile_);
    await_seat(setup, std::move(sockets.theirs));
    run_worker(std::move(setup));
  }

  // What it needs to know waits for it in a socket. A fork first, so that there is no moment at which
  // our death would leave it alive.
  pid_t start_anew(const descriptor_pair& sockets) {
    const int with[] = {page_file_.get(), doorbell_, module_list_.get()};
    if (!send_packet(sockets.ours.get(), greeting_.data(), greeting_.size(), with, 3, 0)) return -1;
    launch_environment environment(launch_environment::role::worker, nonce_);
    const pid_t self = getpid();
    const pid_t pid = fork();
    if (pid != 0) return pid;
    die_with_parent(self);
    unblock_signals();
    exec_worker(sockets.theirs.get(), environment);
  }

  void reap() {
    int status = 0;
    rusage used{};
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &used)) > 0;) {
      const auto dead = std::find_if(children_.begin(), children_.end(),
                                     [pid](const child& c) { return c.pid == pid; });
      if (dead == children_.end()) {  // a worker's own child, orphaned; or the spare one
        if (pid == spare_.pid) {
          spare_ = {};
          spare_died_ = true;  // as the next one may: when there is need of it, and not before
        }
        continue;
      }
      zygote_report r{};
      r.what = zygote_report::kind::died;
      r.seat = dead->seat;
      r.generation = dead->generation;
      r.pid = pid;
      r.status = status;
      r.usage = usage_of(used);
      children_.erase(dead);
      kill_strays();
      report(r);
    }
  }

  // What a dead worker's calls have started and left behind is ours now.
  void kill_strays() {
    char path[64], list[4096];
    std::snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    const descriptor file(open(path, O_RDONLY | O_CLOEXEC));
    long n = file ? read(file.get(), list, sizeof list - 1) : 0;
    while (n > 0 && list[n - 1] != ' ') --n;  // half a number is somebody else's
    if (n <= 0) return;
    list[n] = '\0';
    for (char *at = list, *end = nullptr;; at = end) {
      const auto pid = static_cast<pid_t>(std::strtol(at, &end, 10));
      if (end == at) return;
      if (pid != spare_.pid && std::none_of(children_.begin(), children_.end(),
                                            [pid](const child& c) { return c.pid == pid; }))
        kill(pid, SIGKILL);
    }
  }

  [[noreturn]] void end() {
    for (const child& c : children_) kill(c.pid, SIGKILL);
    children_.clear();
    spare_ = {};
    do kill_strays();  // whose own children become ours as they die
    while (waitpid(-1, nullptr, 0) > 0);
    _exit(0);
  }

  const int socket_;
  const std::uint64_t nonce_;
  const zygote_origin origin_;
  int doorbell_ = -1;
  pool_page* pool_ = nullptr;
  worker_profile profile_;
  start_method start_ = start_method::forkserver;
  std::vector<std::byte> greeting_;  // and what goes with it, for workers that are started anew
  descriptor page_file_, module_list_;
  std::vector<child> children_;
  waiting_worker spare_;
  int spare_error_ = 0;  // why there is none
  bool spare_died_ = false;
};

}  // namespace

void run_zygote(int socket, int parent, std::uint64_t nonce, zygote_origin origin) {
  die_with_parent(parent);
  is_zygote_or_worker = true;
  try {
    zygote(socket, nonce, origin).run();
  } catch (const std::exception& e) {
    dprintf(STDERR_FILENO, "plait: the workers' supervisor cannot go on: %s\n", e.what());
  }
  _exit(1);
}

void run_started_worker(int socket, int parent) {
  die_with_parent(parent);
  is_zygote_or_worker = true;
  signal(SIGINT, SIG_IGN);
  __fpurge(stdout);
  try {
    descriptor from_zygote(fcntl(socket, F_DUPFD_CLOEXEC, launch_socket + 1));
    close(socket);
    const auto buffer = std::make_unique<std::byte[]>(max_greeting);
    descriptor fds[max_sent];
    std::size_t count = 0;
    const long n = receive_packet(from_zygote.get(), buffer.get(), max_greeting, fds, &count, 0);
    if (n <= 0 || count != 3) _exit(1);
    decoder from(buffer.get(), static_cast<std::size_t>(n));
    greeting hello = decode_greeting(from);
    nesting_depth = hello.depth;
    const std::string differences = adopt_modules(std::move(fds[2]));
    if (!differences.empty()) throw image_mismatch(differences + "restart it");
    worker_setup setup{};
    setup.pool = map_page(fds[0].get(), hello.profile);
    fds[0] = descriptor();
    setup.doorbell = fds[1].release();
    setup.profile = std::move(hello.profile);
    await_seat(setup, std::move(from_zygote));
    run_worker(std::move(setup));
  } catch (const std::exception& e) {
    dprintf(STDERR_FILENO, "plait: a worker cannot start: %s\n", e.what());
  }
  _exit(1);
}

}  // namespace plait::detail
