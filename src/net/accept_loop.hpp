// src/net/accept_loop.hpp: taking connections from a listening socket, of whatever kind.
//
// When there are no descriptors left it waits, longer each time up to a second, and tries again:
// connections queue in the kernel meanwhile.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "net/failures.hpp"
#include "plait/coroutines/readiness.hpp"
#include "plait/coroutines/task.hpp"
#include "plait/coroutines/timer.hpp"
#include "plait/net/errors.hpp"

namespace plait::net {

// The descriptor of the next connection and, if asked for, its peer's name. Nothing: none is waiting.
// Throws descriptors_exhausted, or through fail(errno) what is wrong with the listener itself.
template <class Fail>
std::optional<int> try_accept_from(int listener, sockaddr* peer, socklen_t* size,
                                   const Fail& fail) {
  for (;;) {
    const int fd = accept4(listener, peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return fd;
    switch (errno) {
      case EAGAIN:
        return std::nullopt;
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
        fail(errno);
        break;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        throw_out_of_descriptors(errno);
      default:
        break;  // that connection is gone already, or a signal: the next one
    }
  }
}

// ready() is the listener's readiness, made at the first call; try_accept() the next stream, if any;
// make_room() true if descriptors will be free at once.
template <class Stream, class Ready, class TryAccept, class MakeRoom>
task<Stream> accept_from(Ready ready, TryAccept try_accept, MakeRoom make_room) {
  constexpr duration first_pause = std::chrono::milliseconds(10);
  constexpr duration longest_pause = std::chrono::seconds(1);
  ready();
  duration pause = first_pause;
  for (;;) {
    bool scarce = false;
    try {
      if (std::optional<Stream> stream = try_accept()) co_return std::move(*stream);
    } catch (const descriptors_exhausted&) {
      scarce = true;
    } catch (const std::system_error&) {  // the loop cannot watch another descriptor
      scarce = true;
    }
    if (scarce) {
      if (make_room()) pause = first_pause;
      co_await sleep(pause);
      pause = std::min(2 * pause, longest_pause);
    } else {
      ready().not_readable();
      co_await ready().readable();
      pause = first_pause;
    }
  }
}

}  // namespace plait::net
