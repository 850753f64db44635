#include "advise/observe/open_files.hpp"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "advise/observe/proc_file.hpp"

namespace plait::detail {
namespace {

constexpr double remembered_seconds = 0.5;
constexpr std::size_t asked_at_most = 48;  // connections of one epoll; the rest is extrapolated

struct address {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  std::uint16_t port() const {
    if (bytes.ss_family == AF_INET)
      return ntohs(reinterpret_cast<const sockaddr_in&>(bytes).sin_port);
    if (bytes.ss_family == AF_INET6)
      return ntohs(reinterpret_cast<const sockaddr_in6&>(bytes).sin6_port);
    return 0;
  }
  std::string text() const {
    char host[INET6_ADDRSTRLEN] = "";
    if (bytes.ss_family == AF_INET)
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(bytes).sin_addr, host, sizeof host);
    else if (bytes.ss_family == AF_INET6)
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(bytes).sin6_addr, host,
                sizeof host);
    const bool six = bytes.ss_family == AF_INET6;
    return (six ? "[" : "") + std::string(host) + (six ? "]:" : ":") + std::to_string(port());
  }
  std::string unix_path() const {
    if (bytes.ss_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return {};
    const auto& local = reinterpret_cast<const sockaddr_un&>(bytes);
    const std::size_t length = size - offsetof(sockaddr_un, sun_path);
    std::string path(local.sun_path, strnlen(local.sun_path + 1, length - 1) + 1);
    if (path[0] == '\0') path[0] = '@';
    return path;
  }
};

int option_of(int socket, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

}  // namespace

std::set<std::uint16_t> find_listening_ports() {
  std::set<std::uint16_t> ports;
  const int link = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (link < 0) return ports;
  for (const int family : {AF_INET, AF_INET6}) {
    struct {
      nlmsghdr head;
      inet_diag_req_v2 body;
    } ask{};
    ask.head.nlmsg_len = sizeof ask;
    ask.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    ask.body.sdiag_family = static_cast<__u8>(family);
    ask.body.sdiag_protocol = IPPROTO_TCP;
    ask.body.idiag_states = 1u << 10;  // TCP_LISTEN
    if (send(link, &ask, sizeof ask, 0) < 0) break;
    alignas(nlmsghdr) char block[16384];
    for (bool more = true; more;) {
      const ssize_t n = recv(link, block, sizeof block, 0);
      if (n <= 0) break;
      auto left = static_cast<unsigned>(n);
      for (auto* head = reinterpret_cast<nlmsghdr*>(block); NLMSG_OK(head, left);
           head = NLMSG_NEXT(head, left)) {
        if (head->nlmsg_type == NLMSG_DONE || head->nlmsg_type == NLMSG_ERROR) {
          more = false;
          break;
        }
        ports.insert(ntohs(static_cast<inet_diag_msg*>(NLMSG_DATA(head))->id.idiag_sport));
      }
    }
  }
  close(link);
  return ports;
}

open_files::open_files(int pid, const surroundings& around)
    : pid_(pid), handle_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))), around_(around) {}

open_files::~open_files() {
  if (handle_ >= 0) close(handle_);
}

int open_files::duplicate(int fd) const {
  return handle_ < 0 ? -1 : static_cast<int>(syscall(SYS_pidfd_getfd, handle_, fd, 0));
}

const open_file& open_files::look_at(int fd, double now) {
  remembered& known = files_[fd];
  if (now < known.until) return known.file;
  // A connection remains what it is: to see that it is the same is a fifth of the cost.
  const bool connection = known.file.outbound_tcp || known.file.inbound;
  if (connection && known.file.inode != 0 &&
      link_target("/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(fd)) ==
          "socket:[" + std::to_string(known.file.inode) + "]")
    known.until = now + 2 * remembered_seconds;
  else
    known = {examine(fd), now + remembered_seconds};
  return known.file;
}

open_file open_files::examine(int fd) {
  open_file file;
  const std::string path = "/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(fd);
  file.name = link_target(path);
  if (file.name.empty()) return file;
  file.is = open_file::kind::other;
  const auto bracket = file.name.find(":[");
  if (bracket != file.name.npos && file.name[0] != '/') {
    std::string_view rest = std::string_view(file.name).substr(bracket);
    file.inode = static_cast<std::uint64_t>(next_number(rest));
  }
  if (file.name.starts_with("socket:[")) {
    file.is = open_file::kind::socket;
    examine_socket(fd, file);
  } else if (file.name.starts_with("pipe:[")) {
    file.is = open_file::kind::pipe;
    // A pipe of the process alone is how its threads wake one another.
    file.waits = around_.has_pipe_in_tree(file.inode, pid_) ? activity::pipe : activity::clients;
  } else if (file.name.starts_with("anon_inode:")) {
    const std::string_view kind = std::string_view(file.name).substr(11);
    if (kind == "[eventpoll]") file.is = open_file::kind::epoll;
    if (kind == "[io_uring]") file.is = open_file::kind::ring;
    if (kind == "[eventfd]") file.is = open_file::kind::event, file.waits = activity::peer;
    if (kind == "[timerfd]") file.is = open_file::kind::timer, file.waits = activity::sleep;
    if (kind == "[pidfd]") file.is = open_file::kind::process, file.waits = activity::children;
    if (kind == "[signalfd]" || kind == "inotify" || kind == "[fanotify]")
      file.waits = activity::clients;
  } else {
    struct stat facts {};
    if (stat(path.c_str(), &facts) != 0) return file;
    if (S_ISREG(facts.st_mode) || S_ISDIR(facts.st_mode) || S_ISBLK(facts.st_mode)) {
      file.is = open_file::kind::regular;
      file.waits = activity::disk;
    } else if (S_ISFIFO(facts.st_mode)) {
      file.is = open_file::kind::pipe;
      file.waits = activity::clients;
    } else if (file.name.starts_with("/dev/tty") || file.name.starts_with("/dev/pts") ||
               file.name.starts_with("/dev/console")) {
      file.is = open_file::kind::terminal;
      file.waits = activity::terminal;
    } else {
      file.is = open_file::kind::device;
    }
  }
  return file;
}

void open_files::examine_socket(int fd, open_file& file) {
  file.waits = activity::network;
  const int copy = duplicate(fd);
  if (copy < 0) {
    refused_ = refused_ || errno == EPERM || errno == ENOSYS;
    file.outbound_tcp = false;
    return;
  }
  address local, peer;
  local.size = peer.size = sizeof local.bytes;
  if (getsockname(copy, reinterpret_cast<sockaddr*>(&local.bytes), &local.size) != 0)
    local.size = 0;
  const bool connected =
      getpeername(copy, reinterpret_cast<sockaddr*>(&peer.bytes), &peer.size) == 0;
  const int family = option_of(copy, SO_DOMAIN), type = option_of(copy, SO_TYPE);
  if (option_of(copy, SO_ACCEPTCONN) == 1) {
    file.listens = true;
    file.waits = activity::clients;
    file.name = "listening at " + (family == AF_UNIX ? local.unix_path() : local.text());
  } else if (family == AF_UNIX) {
    struct ucred owner {};
    socklen_t size = sizeof owner;
    const bool known = getsockopt(copy, SOL_SOCKET, SO_PEERCRED, &owner, &size) == 0;
    const bool named = !local.unix_path().empty();
    if (known && owner.pid == pid_)
      file.waits =
          activity::peer;  // a pair by which the process wakes itself, unless a child has it
    else if (known && around_.is_in_tree(owner.pid))
      file.waits = activity::pipe;
    else if (named || (connected && peer.unix_path().empty()))
      file.waits = activity::clients, file.inbound = named;
    file.name = named ? local.unix_path() : connected ? peer.unix_path() : "unix socket";
  } else if (type == SOCK_STREAM && (family == AF_INET || family == AF_INET6)) {
    if (local.port() != 0 && around_.listening_ports.contains(local.port())) {
      file.inbound = true;
      file.waits = activity::clients;
      file.name = "a client of port " + std::to_string(local.port());
    } else {
      file.outbound_tcp = true;
      file.name = connected ? peer.text() : "a connection being made";
    }
  } else if (family == AF_INET || family == AF_INET6) {  // datagrams
    const bool well_known = local.port() != 0 && local.port() < 32768 && !connected;
    file.waits = well_known ? activity::clients : activity::network;
    file.name = connected ? "udp " + peer.text() : "udp port " + std::to_string(local.port());
  } else if (family == AF_NETLINK) {
    file.waits = activity::clients;
    file.name = "netlink";
  }
  close(copy);
}

bool open_files::awaits_answer(int fd, double& quiet_seconds) const {
  const int copy = duplicate(fd);
  quiet_seconds = 0;
  if (copy < 0) return true;
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool known = getsockopt(copy, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  close(copy);
  if (!known) return true;
  if (info.tcpi_state == 2 || info.tcpi_state == 3) return true;  // SYN_SENT, SYN_RECV
  if (info.tcpi_state != 1) return false;
  quiet_seconds = 1e-3 * std::min(info.tcpi_last_data_sent, info.tcpi_last_data_recv);
  // last_data_recv counts from the beginning of the connection while nothing has come.
  return info.tcpi_last_data_sent <= info.tcpi_last_data_recv && info.tcpi_bytes_sent > 0;
}

double open_files::bytes_received(int fd) const {
  const int copy = duplicate(fd);
  if (copy < 0) return 0;
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool known = getsockopt(copy, IPPROTO_TCP, TCP_INFO, &info, &size) == 0;
  close(copy);
  return known ? static_cast<double>(info.tcpi_bytes_received) : 0;
}

open_files::many open_files::look_at_all(const std::vector<int>& fds, bool has_timeout,
                                         double now) {
  many all;
  std::vector<int> outbound;
  std::optional<activity> weakest;  // of what is neither an answer nor a client
  std::string client;
  bool clients = false, network = false;
  for (const int fd : fds) {
    const open_file& file = look_at(fd, now);
    if (file.is == open_file::kind::gone) continue;
    if (file.listens) ++all.listening;
    if (file.inbound) ++all.inbound;
    if (file.outbound_tcp) {
      outbound.push_back(fd);
      ++all.outbound;
    } else if (file.waits == activity::clients) {
      clients = true;
      if (client.empty() || file.listens) client = file.name;
    } else if (file.waits == activity::network) {
      network = true;
      all.name = file.name;
      ++all.in_flight;
    } else if (!weakest || file.waits < *weakest) {
      weakest = file.waits;
      if (!network) all.name = file.name;
    }
  }
  // Which of many connections await an answer: a part of them is asked.
  const std::size_t step = outbound.size() / asked_at_most + 1;
  std::size_t asked = 0, awaiting = 0;
  double least_quiet = 1e9;
  int awaited = -1;
  for (std::size_t i = 0; i < outbound.size(); i += step, ++asked) {
    double quiet = 0;
    if (awaits_answer(outbound[i], quiet)) {
      ++awaiting;
      awaited = outbound[i];
    }
    least_quiet = std::min(least_quiet, quiet);
  }
  if (asked > 0) all.in_flight += (awaiting * outbound.size() + asked / 2) / asked;
  if (awaiting > 0) all.name = look_at(awaited, now).name;
  if (awaiting > 0 || network) {
    all.waits = activity::network;
  } else if (clients) {
    all.waits = activity::clients;
    all.name = client;
  } else if (!outbound.empty() && !has_timeout) {
    // Nothing was asked, so what comes is news. While they come often it is a stream.
    all.waits = least_quiet < 1.0 ? activity::network : activity::clients;
    all.name = look_at(outbound.front(), now).name;
    all.in_flight = least_quiet < 1.0 ? 1 : 0;
  } else if (has_timeout && (!weakest || *weakest > activity::timer)) {
    all.waits = activity::sleep;
    all.name = "a time";
  } else if (weakest) {
    all.waits = *weakest;
  } else {
    all.waits = activity::clients;  // nothing but a signal can end this wait
  }
  return all;
}

const open_files::many& open_files::look_at_epoll(int fd, bool has_timeout, double now) {
  remembered_many& known = epolls_[{fd, has_timeout}];
  if (now < known.until) return known.files;
  const double before = own_thread_cpu_seconds();
  const std::string text =
      read_whole("/proc/" + std::to_string(pid_) + "/fdinfo/" + std::to_string(fd));
  std::vector<int> members;
  std::string_view rest = text;
  for (std::size_t at; (at = rest.find("tfd:")) != rest.npos;) {
    rest.remove_prefix(at + 4);
    members.push_back(static_cast<int>(next_number(rest)));
  }
  known.files = look_at_all(members, has_timeout, now);
  known.until = now + std::min(0.5, 300 * (own_thread_cpu_seconds() - before));
  return known.files;
}

open_files::many open_files::look_at_everything(double now) {
  return look_at_all(numbers_in("/proc/" + std::to_string(pid_) + "/fd"), false, now);
}

}  // namespace plait::detail
