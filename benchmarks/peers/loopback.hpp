// benchmarks/peers/loopback.hpp: sockets on 127.0.0.1 for the raw peers.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace loopback {

inline sockaddr_in address(int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

// For the few calls without which the program has no meaning.
inline int must(int result, const char* what) {
  if (result >= 0) return result;
  std::perror(what);
  std::exit(1);
}

inline void no_delay(int socket) {
  const int one = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Listens on `port`, or on a free one if that is 0, and prints which: "listening on
// 127.0.0.1:PORT".
inline int listen_on(int port, int flags) {
  const int one = 1;
  const int listener = must(socket(AF_INET, SOCK_STREAM | flags, 0), "socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in to = address(port);
  socklen_t length = sizeof to;
  must(bind(listener, reinterpret_cast<sockaddr*>(&to), length), "bind");
  must(listen(listener, 65535), "listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&to), &length);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(to.sin_port));
  std::fflush(stdout);
  return listener;
}

inline void watch(int epoll, int descriptor, std::uint32_t events, epoll_data_t data,
                  int operation) {
  epoll_event event{};
  event.events = events;
  event.data = data;
  must(epoll_ctl(epoll, operation, descriptor, &event), "epoll_ctl");
}

}  // namespace loopback
