// Raw epoll echo server, one thread: epoll_wait in batches, read, write. The limit for the same
// poller.
#include <cerrno>

#include "loopback.hpp"

namespace {

char buffer[65536];

void accept_all(int epoll, int listener) {
  int accepted = -1;
  while ((accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0) {
    loopback::no_delay(accepted);
    loopback::watch(epoll, accepted, EPOLLIN, {.fd = accepted}, EPOLL_CTL_ADD);
  }
}

void echo(int connection) {
  const ssize_t got = read(connection, buffer, sizeof buffer);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0 || write(connection, buffer, static_cast<std::size_t>(got)) != got)
    close(connection);
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = loopback::listen_on(argc > 1 ? std::atoi(argv[1]) : 0, SOCK_NONBLOCK);
  const int epoll = epoll_create1(0);
  loopback::watch(epoll, listener, EPOLLIN, {.fd = listener}, EPOLL_CTL_ADD);
  epoll_event events[256];
  for (;;) {
    const int ready = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.fd == listener)
        accept_all(epoll, listener);
      else
        echo(events[i].data.fd);
    }
  }
}
