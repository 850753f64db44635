// plait/net/open_socket.hpp: a connected descriptor and its place on the loop; closes it.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "plait/core/block_cache.hpp"
#include "plait/coroutines/readiness.hpp"

namespace plait::net::detail {

struct open_socket {
  explicit open_socket(int fd);  // takes the descriptor over, also if it throws
  open_socket(const open_socket&) = delete;
  open_socket& operator=(const open_socket&) = delete;
  ~open_socket();
  static void* operator new(std::size_t bytes) {
    return plait::detail::block_cache::allocate(bytes);
  }
  static void operator delete(void* block, std::size_t bytes) noexcept {
    plait::detail::block_cache::free(block, bytes);
  }
  std::optional<plait::detail::readiness> ready;
};

// With what tells who is at the other end.
template <class Peer>
struct connected_socket : open_socket {
  connected_socket(int fd, Peer other_end) : open_socket(fd), peer(std::move(other_end)) {}
  Peer peer;
};

}  // namespace plait::net::detail
