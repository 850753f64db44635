// Raw epoll HTTP client: the limit. It looks for the status, the length and the blank line, and no
// more.
#include <cerrno>
#include <cstring>

#include "../http_workloads.hpp"
#include "loopback.hpp"

namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "http_epoll: %s\n", what);
  std::exit(1);
}

std::string request_for(const std::string& target, const char* path) {
  return std::string("GET ") + path + " HTTP/1.1\r\nHost: " + target +
         "\r\nUser-Agent: raw\r\nAccept: */*\r\n\r\n";
}

// How many bytes the response has in all, from a first part that holds the whole head.
std::size_t response_bytes(const char* part) {
  const char* head_end = std::strstr(part, "\r\n\r\n");
  const char* length = strcasestr(part, "content-length:");
  if (head_end == nullptr || length == nullptr || std::strncmp(part, "HTTP/1.1 200", 12) != 0)
    fail("bad response");
  return static_cast<std::size_t>(head_end + 4 - part) +
         static_cast<std::size_t>(std::atol(length + 15));
}

struct connection {
  int descriptor = -1;
  bool connected = false;
  std::size_t received = 0;
  std::size_t expected = 0;
};

class client {
 public:
  enum class reuse { connections, nothing };

  client(const std::string& target, const char* path, long requests, reuse reused)
      : request_(request_for(target, path)),
        to_(loopback::address(std::atoi(workloads::port_of(target).c_str()))),
        requests_(requests),
        reused_(reused) {}

  void run(long concurrency) {
    connections_.resize(static_cast<std::size_t>(concurrency));
    for (auto& started : connections_) connect(started);
    epoll_event events[512];
    while (done_ < requests_) {
      const int ready = epoll_wait(epoll_, events, 512, 5000);
      if (ready <= 0) fail("no answer for five seconds");
      for (int i = 0; i < ready; ++i) {
        auto& woken = *static_cast<connection*>(events[i].data.ptr);
        if (woken.connected)
          receive(woken);
        else
          begin(woken);
      }
    }
  }

 private:
  void connect(connection& started) {
    started.descriptor = loopback::must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
    const auto* address = reinterpret_cast<const sockaddr*>(&to_);
    if (::connect(started.descriptor, address, sizeof to_) != 0 && errno != EINPROGRESS)
      fail("connect");
    loopback::no_delay(started.descriptor);
    loopback::watch(epoll_, started.descriptor, EPOLLOUT, {.ptr = &started}, EPOLL_CTL_ADD);
  }

  void begin(connection& connected) {
    connected.connected = true;
    loopback::watch(epoll_, connected.descriptor, EPOLLIN, {.ptr = &connected}, EPOLL_CTL_MOD);
    send(connected);
  }

  void send(connection& to) {
    if (sent_ == requests_) return;
    ++sent_;
    if (write(to.descriptor, request_.data(), request_.size()) !=
        static_cast<ssize_t>(request_.size()))
      fail("short write");
  }

  void receive(connection& from) {
    const ssize_t got = read(from.descriptor, buffer_, sizeof buffer_ - 1);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("closed");
    buffer_[got] = 0;
    if (from.expected == 0) from.expected = response_bytes(buffer_);
    from.received += static_cast<std::size_t>(got);
    if (from.received < from.expected) return;
    ++done_;
    from.received = from.expected = 0;
    if (reused_ == reuse::connections)
      send(from);
    else
      close(from.descriptor);
  }

  const std::string request_;
  const sockaddr_in to_;
  const long requests_;
  const reuse reused_;
  int epoll_ = epoll_create1(0);
  long sent_ = 0;
  long done_ = 0;
  std::vector<connection> connections_;
  char buffer_[65536];
};

void delay(const measurement::arguments& given) {
  const long n = given.n_or(1000);
  const workloads::http_run run{given, "raw_epoll"};
  client one{given.target, workloads::delayed_path, n, client::reuse::nothing};
  one.run(n);
  run.report(n, n);
}

void keep_alive(const measurement::arguments& given) {
  const long n = given.n_or(100'000);
  const workloads::http_run run{given, "raw_epoll"};
  client one{given.target, workloads::small_path, n, client::reuse::connections};
  one.run(given.workers);
  run.report(n, n);
}

void threads(const measurement::arguments& given) {
  const sockaddr_in to = loopback::address(std::atoi(workloads::port_of(given.target).c_str()));
  workloads::on_threads(given, "raw_sockets", [&](const char* path) {
    const int connection = loopback::must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    loopback::must(connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to),
                   "connect");
    const std::string request = request_for(given.target, path);
    if (write(connection, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
      fail("short write");
    char buffer[4096];
    std::size_t expected = sizeof buffer;
    std::size_t received = 0;
    while (received < expected) {
      const ssize_t got = read(connection, buffer + received, sizeof buffer - 1 - received);
      if (got <= 0) fail("closed");
      received += static_cast<std::size_t>(got);
      buffer[received] = 0;
      expected = response_bytes(buffer);
    }
    close(connection);
    return 1;
  });
}

}  // namespace

int main(int argc, char** argv) {
  measurement::raise_open_files();
  return measurement::run_mode(
      argc, argv, {{"delay", delay}, {"keep_alive", keep_alive}, {"threads", threads}});
}
