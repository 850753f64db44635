#include "plait/net/open_socket.hpp"

#include <unistd.h>

namespace plait::net::detail {

open_socket::open_socket(int fd) {
  try {
    ready.emplace(fd);
  } catch (...) {
    ::close(fd);
    throw;
  }
}

open_socket::~open_socket() {
  const int fd = ready->fd();
  ready.reset();
  ::close(fd);
}

}  // namespace plait::net::detail
